//! What stands at charts.

words! {
    /// At a chart.
    ChartWords {
        minutes_ago: "{} min ago" => "{} мин назад";
        now: "now" => "сейчас";
        none: "none" => "нет";
        table: "The numbers" => "Числа";
        when: "Minutes ago" => "Минут назад";
        span: "{} to {}" => "от {} до {}";
        says: "The last {} minutes, {}. {}." => "Последние {} мин., {}. {}.";
        sum: "{}: {} in all" => "{}: всего {}";
        most: "{}: at most {}" => "{}: не более {}";
    }
}
