//! Moments and spans as people type them: `2026-01-31T12:00:00Z`, `30s`, `5m`, `2h`, `1d`.

use std::str::FromStr;

use chrono::{DateTime, TimeDelta, Utc};

use super::problem::Problem;

/// A moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Moment {
    /// As it stands in the calendar.
    At(DateTime<Utc>),
    /// So long from now, one way or the other.
    Away(TimeDelta),
}

/// Which way from now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    Back,
    Forth,
}

impl Moment {
    pub(super) fn at(self, now: DateTime<Utc>, way: Way) -> Result<DateTime<Utc>, Problem> {
        let at = match (self, way) {
            (Self::At(at), _) => Some(at),
            (Self::Away(span), Way::Back) => now.checked_sub_signed(span),
            (Self::Away(span), Way::Forth) => now.checked_add_signed(span),
        };
        at.ok_or_else(|| Problem::usage("that time is beyond the calendar"))
    }
}

impl FromStr for Moment {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(at) = DateTime::parse_from_rfc3339(text) {
            return Ok(Self::At(at.to_utc()));
        }
        span(text.trim_start_matches(['+', '-'])).map(Self::Away)
    }
}

/// A span: a number and its unit.
pub(super) fn span(text: &str) -> Result<TimeDelta, String> {
    let wrong = || "expected a time like 2026-01-31T12:00:00Z, or a span like 30s, 5m, 2h or 1d".to_owned();
    let unit = text.chars().next_back().ok_or_else(wrong)?;
    let (number, seconds) = match unit {
        's' => (&text[..text.len() - 1], 1),
        'm' => (&text[..text.len() - 1], 60),
        'h' => (&text[..text.len() - 1], 3600),
        'd' => (&text[..text.len() - 1], 86_400),
        _ => return Err(wrong()),
    };
    let number: u32 = number.parse().map_err(|_| wrong())?;
    Ok(TimeDelta::seconds(i64::from(number) * seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_read_as_people_type_them() {
        let now = DateTime::UNIX_EPOCH + TimeDelta::days(10);
        for (text, way, seconds) in [
            ("1970-01-02T00:00:00Z", Way::Forth, -9 * 86_400),
            ("30s", Way::Forth, 30),
            ("+5m", Way::Forth, 300),
            ("2h", Way::Back, -7200),
            ("-1d", Way::Back, -86_400),
        ] {
            let at = text.parse::<Moment>().unwrap().at(now, way).unwrap();
            assert_eq!((at - now).num_seconds(), seconds, "{text}");
        }
        for text in ["", "s", "5", "five minutes", "5mm", "1.5h", "99999999999s", "ж"] {
            assert!(text.parse::<Moment>().is_err(), "{text}");
        }
    }
}
