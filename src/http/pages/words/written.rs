//! Numbers, sizes, spans and instants as each language writes them, and words that go with a number.

use std::time::Duration;

use chrono::{DateTime, Datelike, Timelike, Utc};

use crate::media::report::Language;
use crate::task::{Status, Timestamp};

/// A space at which no line breaks.
const TIGHT: char = '\u{a0}';

/// A whole number in groups of three digits. Russian leaves four digits together.
pub(in crate::http) fn number(language: Language, number: u64) -> String {
    let digits = number.to_string();
    let (group, least) = match language {
        Language::En => (',', 4),
        Language::Ru => (TIGHT, 5),
    };
    if digits.len() < least {
        return digits;
    }
    let mut text = String::with_capacity(digits.len() * 2);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(group);
        }
        text.push(digit);
    }
    text
}

/// The same for what may be below zero.
pub(in crate::http) fn signed(language: Language, value: i64) -> String {
    let text = number(language, value.unsigned_abs());
    if value < 0 { format!("\u{2212}{text}") } else { text }
}

/// A number that may have a fraction: to a tenth, and below one to three digits.
pub(in crate::http) fn decimal(language: Language, value: f64) -> String {
    let text = match value.abs() {
        0.0 => "0".to_owned(),
        ..1.0 => format!("{value:.3}"),
        _ => format!("{value:.1}"),
    };
    let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let (sign, digits) = whole.strip_prefix('-').map_or(("", whole), |digits| ("\u{2212}", digits));
    let whole = number(language, digits.parse().unwrap_or(u64::MAX));
    match (fraction, language) {
        ("", _) => format!("{sign}{whole}"),
        (_, Language::En) => format!("{sign}{whole}.{fraction}"),
        (_, Language::Ru) => format!("{sign}{whole},{fraction}"),
    }
}

/// A word after a number: for one, for few, for many. English has no few.
pub(in crate::http) fn plural(language: Language, number: u64, forms: [&str; 3]) -> &str {
    let [one, few, many] = forms;
    match language {
        Language::En if number == 1 => one,
        Language::En => many,
        Language::Ru => match (number % 10, number % 100) {
            (_, 11..=14) => many,
            (1, _) => one,
            (2..=4, _) => few,
            (_, _) => many,
        },
    }
}

/// A number of bytes, in the unit in which it is short.
pub(in crate::http) fn size(language: Language, bytes: u64) -> String {
    let (units, point) = match language {
        Language::En => (["bytes", "KiB", "MiB", "GiB", "TiB"], '.'),
        Language::Ru => (["байт", "КиБ", "МиБ", "ГиБ", "ТиБ"], ','),
    };
    let [plain, larger @ ..] = units;
    if bytes < 1024 {
        let unit = plural(
            language,
            bytes,
            [if bytes == 1 { plain.trim_end_matches('s') } else { plain }, "байта", plain],
        );
        return format!("{bytes}{TIGHT}{unit}");
    }
    // Tenths, so that nothing is lost to fractions.
    let (mut tenths, mut at) = (u128::from(bytes) * 10 / 1024, 0);
    while tenths >= 10_240 && at + 1 < larger.len() {
        tenths /= 1024;
        at += 1;
    }
    let unit = larger.get(at).copied().unwrap_or_default();
    let (whole, tenth) = (tenths / 10, tenths % 10);
    let whole = number(language, u64::try_from(whole).unwrap_or(u64::MAX));
    if tenth == 0 || tenths >= 1_000 {
        return format!("{whole}{TIGHT}{unit}");
    }
    format!("{whole}{point}{tenth}{TIGHT}{unit}")
}

/// How long something takes, in at most two units.
pub(in crate::http) fn span(language: Language, span: Duration) -> String {
    let units = match language {
        Language::En => ["ms", "s", "min", "h", "d"],
        Language::Ru => ["мс", "с", "мин", "ч", "д"],
    };
    let [ms, s, min, h, d] = units;
    let seconds = span.as_secs();
    if seconds == 0 && !span.is_zero() {
        return format!("{}{TIGHT}{ms}", span.as_millis().max(1));
    }
    let parts = match seconds {
        0..60 => [(seconds, s), (0, ms)],
        60..3_600 => [(seconds / 60, min), (seconds % 60, s)],
        3_600..86_400 => [(seconds / 3_600, h), (seconds % 3_600 / 60, min)],
        _ => [(seconds / 86_400, d), (seconds % 86_400 / 3_600, h)],
    };
    let [(first, unit), (second, smaller)] = parts;
    let first = format!("{}{TIGHT}{unit}", number(language, first));
    if second == 0 { first } else { format!("{first} {second}{TIGHT}{smaller}") }
}

/// An instant, to the second, in UTC: pages have it beside the exact one, by which a script writes it in the reader's zone.
pub(in crate::http) fn instant(language: Language, instant: Timestamp) -> String {
    let Some(instant) = DateTime::<Utc>::from_timestamp_micros(instant.as_micros()) else {
        return instant.to_string();
    };
    let months = match language {
        Language::En => ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"],
        Language::Ru => {
            ["янв.", "фев.", "мар.", "апр.", "мая", "июн.", "июл.", "авг.", "сен.", "окт.", "нояб.", "дек."]
        }
    };
    let month = months.get(instant.month0() as usize).copied().unwrap_or_default();
    let (day, year) = (instant.day(), instant.year());
    let (hour, minute, second) = (instant.hour(), instant.minute(), instant.second());
    format!("{day}{TIGHT}{month} {year}, {hour:02}:{minute:02}:{second:02}{TIGHT}UTC")
}

/// Where a task stands, in words for people.
pub(in crate::http) fn status(language: Language, status: Status) -> &'static str {
    let (en, ru) = match status {
        Status::New => ("waits", "ожидает"),
        Status::InProgress => ("in progress", "выполняется"),
        Status::Completed => ("completed", "выполнена"),
        Status::Failed => ("failed", "не удалась"),
        Status::Cancelled => ("cancelled", "отменена"),
    };
    match language {
        Language::En => en,
        Language::Ru => ru,
    }
}

/// The part of a class name that goes with a status.
pub(in crate::http) fn status_class(status: Status) -> &'static str {
    match status {
        Status::New => "new",
        Status::InProgress => "running",
        Status::Completed => "completed",
        Status::Failed => "failed",
        Status::Cancelled => "cancelled",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// With plain spaces, to compare.
    fn plain(text: &str) -> String {
        text.replace(TIGHT, " ")
    }

    #[test]
    fn numbers_are_grouped_as_the_language_does() {
        for (value, en, ru) in [
            (0, "0", "0"),
            (999, "999", "999"),
            (1234, "1,234", "1234"),
            (1_234_567, "1,234,567", "1 234 567"),
        ] {
            assert_eq!(number(Language::En, value), en);
            assert_eq!(plain(&number(Language::Ru, value)), ru);
        }
        assert_eq!(signed(Language::En, i64::MIN), "\u{2212}9,223,372,036,854,775,808");
    }

    #[test]
    fn fractions_are_short() {
        for (value, en, ru) in [
            (0.0, "0", "0"),
            (0.25, "0.25", "0,25"),
            (0.0004, "0", "0"),
            (10.0, "10", "10"),
            (1234.56, "1,234.6", "1234,6"),
            (-2.5, "\u{2212}2.5", "\u{2212}2,5"),
        ] {
            assert_eq!(decimal(Language::En, value), en);
            assert_eq!(plain(&decimal(Language::Ru, value)), ru);
        }
    }

    #[test]
    fn russian_counts_in_three_forms() {
        let forms = ["задача", "задачи", "задач"];
        for (count, form) in
            [(0, 2), (1, 0), (2, 1), (4, 1), (5, 2), (11, 2), (14, 2), (21, 0), (22, 1), (111, 2), (101, 0)]
        {
            assert_eq!(plural(Language::Ru, count, forms), forms[form], "{count}");
        }
        assert_eq!(plural(Language::En, 1, ["task", "", "tasks"]), "task");
        assert_eq!(plural(Language::En, 21, ["task", "", "tasks"]), "tasks");
    }

    #[test]
    fn sizes_and_spans_are_short() {
        for (bytes, en, ru) in [
            (0, "0 bytes", "0 байт"),
            (1, "1 byte", "1 байт"),
            (1023, "1023 bytes", "1023 байта"),
            (1024, "1 KiB", "1 КиБ"),
            (1536, "1.5 KiB", "1,5 КиБ"),
            (5 << 20, "5 MiB", "5 МиБ"),
            (200 << 20, "200 MiB", "200 МиБ"),
            (u64::MAX, "16,777,215 TiB", "16 777 215 ТиБ"),
        ] {
            assert_eq!(plain(&size(Language::En, bytes)), en);
            assert_eq!(plain(&size(Language::Ru, bytes)), ru);
        }
        for (millis, en) in [
            (0, "0 s"),
            (20, "20 ms"),
            (1_500, "1 s"),
            (61_000, "1 min 1 s"),
            (7_200_000, "2 h"),
            (90_000_000, "1 d 1 h"),
        ] {
            assert_eq!(plain(&span(Language::En, Duration::from_millis(millis))), en);
        }
    }

    #[test]
    fn an_instant_is_written_out() {
        let moment = "2026-01-31T12:05:09.5Z".parse().unwrap();
        assert_eq!(plain(&instant(Language::En, moment)), "31 Jan 2026, 12:05:09 UTC");
        assert_eq!(plain(&instant(Language::Ru, moment)), "31 янв. 2026, 12:05:09 UTC");
    }
}
