//! How a report writes numbers, sizes, spans and dates in its language.

use chrono::{DateTime, Datelike, NaiveDate, Offset, TimeZone, Timelike};
use chrono_tz::Tz;

use super::data::Language;
use super::words::{Counted, Words};
use crate::task::Timestamp;

/// A space that does not break.
const TIE: char = '\u{a0}';

impl Words {
    /// The form of a word that goes with a number.
    pub(super) fn plural<'a>(&self, number: u64, forms: &[&'a str; 3]) -> &'a str {
        match self.language {
            Language::En if number == 1 => forms[0],
            Language::En => forms[2],
            Language::Ru => match (number % 10, number % 100) {
                (_, 11..=14) => forms[2],
                (1, _) => forms[0],
                (2..=4, _) => forms[1],
                (..) => forms[2],
            },
        }
    }

    /// A phrase with a number in it.
    pub(super) fn counted(&self, number: u64, forms: &Counted) -> String {
        self.plural(number, forms).replace("{}", &self.count(number))
    }

    /// A whole number.
    pub(super) fn count(&self, number: u64) -> String {
        self.grouped(&number.to_string())
    }

    /// A whole number that may be below zero, with a true minus.
    pub(super) fn whole(&self, number: i64) -> String {
        let sign = if number < 0 { "−" } else { "" };
        format!("{sign}{}", self.count(number.unsigned_abs()))
    }

    /// Digits in groups of three. Numbers of four digits stay whole where the language writes them so.
    fn grouped(&self, digits: &str) -> String {
        if self.language == Language::Ru && digits.len() <= 4 {
            return digits.to_owned();
        }
        let mut grouped = String::with_capacity(digits.len() * 2);
        for (index, digit) in digits.chars().enumerate() {
            if index > 0 && (digits.len() - index).is_multiple_of(3) {
                grouped.push(self.group);
            }
            grouped.push(digit);
        }
        grouped
    }

    /// A number with one digit after the point, none where that is 0.
    fn tenths(&self, number: f64) -> String {
        let tenths = (number.abs() * 10.0).round();
        let (whole, tenth) = (tenths / 10.0, tenths % 10.0);
        let sign = if number < 0.0 && tenths > 0.0 { "−" } else { "" };
        let whole = self.grouped(&format!("{:.0}", whole.floor()));
        if tenth == 0.0 { format!("{sign}{whole}") } else { format!("{sign}{whole}{}{tenth:.0}", self.point) }
    }

    /// A part of a whole, per cent.
    pub(super) fn percent(&self, part: f64) -> String {
        let tie = if self.language == Language::Ru { "\u{a0}" } else { "" };
        format!("{}{tie}%", self.tenths(part * 100.0))
    }

    /// A number in few signs, for the largest: `9.2 × 10¹⁸`.
    pub(super) fn short(&self, number: i64) -> String {
        let size = number.unsigned_abs();
        if size < 1_000_000 {
            return self.whole(number);
        }
        let mut power = size.ilog10();
        let mut mantissa = number as f64 / 10f64.powi(power as i32);
        if (mantissa.abs() * 10.0).round() >= 100.0 {
            power += 1;
            mantissa /= 10.0;
        }
        const RAISED: [char; 10] = ['⁰', '¹', '²', '³', '⁴', '⁵', '⁶', '⁷', '⁸', '⁹'];
        let raised: String =
            power.to_string().chars().filter_map(|digit| RAISED.get(digit.to_digit(10)? as usize)).collect();
        format!("{}{TIE}×{TIE}10{raised}", self.tenths(mantissa))
    }

    /// An amount of memory, in powers of a thousand.
    pub(super) fn size(&self, bytes: i64) -> String {
        let mut value = bytes as f64;
        let mut unit = 0;
        while value.abs() >= 999.95 && unit + 1 < self.units.len() {
            value /= 1000.0;
            unit += 1;
        }
        format!("{}{TIE}{}", self.tenths(value), self.units[unit])
    }

    /// A span of seconds, in its two largest units.
    pub(super) fn span(&self, seconds: i64) -> String {
        let sign = if seconds < 0 { "−" } else { "" };
        let total = seconds.unsigned_abs();
        let parts = [total / 86_400, total / 3600 % 24, total / 60 % 60, total % 60];
        let first = parts.iter().position(|part| *part > 0).unwrap_or(3);
        let named = |index: usize| format!("{}{TIE}{}", self.count(parts[index]), self.spans[index]);
        let second = (first + 1 < 4 && parts[first + 1] > 0 && parts[0] < 100).then(|| named(first + 1));
        match second {
            Some(second) => format!("{sign}{}{TIE}{second}", named(first)),
            None => format!("{sign}{}", named(first)),
        }
    }

    /// What a second is called.
    pub(super) fn second(&self) -> &'static str {
        self.spans[3]
    }

    /// A span of seconds in few signs, for the longest.
    pub(super) fn short_span(&self, seconds: i64) -> String {
        let days = seconds / 86_400;
        if days.unsigned_abs() < 100_000 {
            return self.span(seconds);
        }
        format!("{}{TIE}{}", self.short(days), self.spans[0])
    }

    /// A day with its month and year: `19 July 2026`, `19 июля 2026`.
    pub(super) fn day(&self, date: NaiveDate) -> String {
        format!("{}{TIE}{}{TIE}{}", date.day(), self.months[date.month0() as usize], date.year())
    }

    /// A day on an axis: `19 Jul`.
    pub(super) fn short_day(&self, date: NaiveDate) -> String {
        format!("{}{TIE}{}", date.day(), self.short_months[date.month0() as usize])
    }

    /// An instant in a table: `19.07.2026 18:30`, `19 Jul 2026, 18:30`.
    pub(super) fn moment(&self, instant: DateTime<Tz>) -> String {
        let (date, hour, minute) = (instant.date_naive(), instant.hour(), instant.minute());
        match self.language {
            Language::Ru => {
                format!("{:02}.{:02}.{}{TIE}{hour:02}:{minute:02}", date.day(), date.month(), date.year())
            }
            Language::En => {
                format!("{}{TIE}{},{TIE}{hour:02}:{minute:02}", self.short_day(date), date.year())
            }
        }
    }

    /// An instant with its zone, in full: `19 July 2026, 18:30 (Europe/Moscow, UTC+3)`.
    pub(super) fn full_moment(&self, instant: DateTime<Tz>) -> String {
        let offset = instant.timezone().offset_from_utc_datetime(&instant.naive_utc()).fix();
        let minutes = offset.local_minus_utc() / 60;
        let sign = if minutes < 0 { '−' } else { '+' };
        let (hours, rest) = (minutes.abs() / 60, minutes.abs() % 60);
        let zone = match (hours, rest) {
            (0, 0) => "UTC".to_owned(),
            (_, 0) => format!("UTC{sign}{hours}"),
            (..) => format!("UTC{sign}{hours}:{rest:02}"),
        };
        let name = instant.timezone().name();
        let zone = if name == zone { zone } else { format!("{name}, {zone}") };
        let (day, time) = (self.day(instant.date_naive()), instant.format("%H:%M"));
        format!("{day}, {time} ({zone})")
    }
}

/// An instant in a zone; `None` beyond the years that have dates.
pub(super) fn local(instant: Timestamp, zone: Tz) -> Option<DateTime<Tz>> {
    let instant = DateTime::from_timestamp_micros(instant.as_micros())?;
    (0..=9999).contains(&instant.year()).then(|| instant.with_timezone(&zone))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(text: &str) -> String {
        text.replace('\u{a0}', " ")
    }

    #[test]
    fn russian_numbers_choose_the_form_of_their_word() {
        let words = Words::of(Language::Ru);
        for (number, told) in [
            (0, "0 задач"),
            (1, "1 задача"),
            (2, "2 задачи"),
            (5, "5 задач"),
            (11, "11 задач"),
            (14, "14 задач"),
            (21, "21 задача"),
            (104, "104 задачи"),
            (111, "111 задач"),
            (10_000, "10 000 задач"),
            (u64::MAX, "18 446 744 073 709 551 615 задач"),
        ] {
            assert_eq!(plain(&words.counted(number, &words.tasks)), told);
        }
        let words = Words::of(Language::En);
        assert_eq!(words.counted(1, &words.tasks), "1 task");
        assert_eq!(words.counted(1_001, &words.tasks), "1,001 tasks");
    }

    #[test]
    fn numbers_follow_their_language_to_the_ends_of_their_range() {
        let (ru, en) = (Words::of(Language::Ru), Words::of(Language::En));
        assert_eq!(plain(&ru.whole(-1234)), "−1234");
        assert_eq!(plain(&ru.whole(1_234_567)), "1 234 567");
        assert_eq!(en.whole(i64::MIN), "−9,223,372,036,854,775,808");
        assert_eq!(plain(&en.short(i64::MIN)), "−9.2 × 10¹⁸");
        assert_eq!(plain(&ru.short(9_990_000)), "1 × 10⁷");
        assert_eq!(en.short(-999_999), "−999,999");
        assert_eq!(plain(&ru.percent(0.6125)), "61,3 %");
        assert_eq!(en.percent(1.0), "100%");
        assert_eq!(plain(&ru.size(1_536_000)), "1,5 МБ");
        assert_eq!(plain(&en.size(999_999)), "1 MB");
        assert_eq!(plain(&en.size(0)), "0 B");
        assert_eq!(plain(&en.size(i64::MAX)), "9.2 EB");
    }

    #[test]
    fn spans_have_two_units_at_most() {
        let (ru, en) = (Words::of(Language::Ru), Words::of(Language::En));
        assert_eq!(plain(&en.span(0)), "0 s");
        assert_eq!(plain(&en.span(59)), "59 s");
        assert_eq!(plain(&en.span(3600)), "1 h");
        assert_eq!(plain(&ru.span(3 * 86_400 + 4 * 3600 + 59)), "3 д 4 ч");
        assert_eq!(plain(&en.span(-90)), "−1 min 30 s");
        assert_eq!(plain(&ru.span(i64::MIN)), "−106 751 991 167 300 д");
    }

    #[test]
    fn dates_are_written_as_the_language_does_and_instants_name_their_zone() {
        let (ru, en) = (Words::of(Language::Ru), Words::of(Language::En));
        let instant = "2026-07-19T15:30:05Z".parse::<Timestamp>().unwrap();
        let moscow = local(instant, Tz::Europe__Moscow).unwrap();
        assert_eq!(plain(&ru.full_moment(moscow)), "19 июля 2026, 18:30 (Europe/Moscow, UTC+3)");
        assert_eq!(plain(&ru.moment(moscow)), "19.07.2026 18:30");
        assert_eq!(plain(&en.moment(moscow)), "19 Jul 2026, 18:30");
        assert_eq!(plain(&en.full_moment(local(instant, Tz::UTC).unwrap())), "19 July 2026, 15:30 (UTC)");
        let kathmandu = local(instant, Tz::Asia__Kathmandu).unwrap();
        assert!(plain(&en.full_moment(kathmandu)).ends_with("21:15 (Asia/Kathmandu, UTC+5:45)"));
        assert_eq!(local(Timestamp::from_micros(i64::MAX), Tz::UTC), None);
    }
}
