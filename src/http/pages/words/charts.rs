//! What stands at charts.

words! {
    /// At a chart.
    ChartWords {
        minutes_ago: "\u{2212}{} min" => "\u{2212}{} мин";
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
