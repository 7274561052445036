//! A user's counters: numbers under names of the user's choice (a game's sessions, wins, losses), and how they change.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use crate::task::Timestamp;

/// What a counter is called: 1 to 64 small letters, digits and `_`, a letter first. Names that end in `_s` count seconds,
/// those that end in `_bytes` bytes; that is only for whoever shows them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CounterName(String);

impl CounterName {
    /// The longest name, in bytes.
    pub const MAX_BYTES: usize = 64;

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for CounterName {
    type Err = CountersError;

    fn from_str(text: &str) -> Result<Self, CountersError> {
        let fits = text.len() <= Self::MAX_BYTES
            && text.starts_with(|first: char| first.is_ascii_lowercase())
            && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
        if fits {
            Ok(Self(text.to_owned()))
        } else {
            Err(CountersError::Name(text.chars().take(80).collect()))
        }
    }
}

impl fmt::Display for CounterName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why counters cannot be that.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CountersError {
    /// It is no name.
    #[error(
        "{0:?} is no counter's name: it takes 1 to {max} small letters, digits and `_`, beginning with a letter",
        max = CounterName::MAX_BYTES
    )]
    Name(String),
    /// The number is too far from zero for programs that count in floating point.
    #[error("counter {0} would be outside of {least} to {most}", least = -Counters::MOST, most = Counters::MOST)]
    OutOfRange(CounterName),
    /// More counters than a user has.
    #[error("a user has at most {} counters", Counters::MAX)]
    TooMany,
}

/// All counters of a user.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Counters(BTreeMap<CounterName, i64>);

impl Counters {
    /// The most counters of a user.
    pub const MAX: usize = 64;
    /// The largest value, 2^53 - 1, and the smallest with a minus: what every JSON reader reads exactly.
    pub const MOST: i64 = (1 << 53) - 1;

    /// These counters.
    ///
    /// # Errors
    /// [`CountersError::OutOfRange`], [`CountersError::TooMany`].
    pub fn new(values: BTreeMap<CounterName, i64>) -> Result<Self, CountersError> {
        if values.len() > Self::MAX {
            return Err(CountersError::TooMany);
        }
        match values.iter().find(|(_, value)| !(-Self::MOST..=Self::MOST).contains(*value)) {
            Some((name, _)) => Err(CountersError::OutOfRange(name.clone())),
            None => Ok(Self(values)),
        }
    }

    /// By name, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&CounterName, i64)> {
        self.0.iter().map(|(name, value)| (name, *value))
    }

    /// One of them.
    #[must_use]
    pub fn get(&self, name: &CounterName) -> Option<i64> {
        self.0.get(name).copied()
    }
}

/// How counters are to change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CountersChange {
    /// To these; others go, with their history.
    Replace(Counters),
    /// By these amounts; a counter that is not there begins at zero.
    Add(Counters),
}

impl CountersChange {
    /// What `before` becomes.
    ///
    /// # Errors
    /// [`CountersError::OutOfRange`], [`CountersError::TooMany`]; then nothing changes.
    pub fn apply(&self, before: &Counters) -> Result<Counters, CountersError> {
        match self {
            Self::Replace(counters) => Ok(counters.clone()),
            Self::Add(amounts) => {
                let mut values = before.0.clone();
                for (name, amount) in amounts.iter() {
                    let value = values.entry(name.clone()).or_default();
                    *value = value.saturating_add(amount);
                }
                Counters::new(values)
            }
        }
    }
}

/// A user's counters, and when the last of them changed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CountersNow {
    /// The counters.
    pub counters: Counters,
    /// `None` when there never were any.
    pub updated_at: Option<Timestamp>,
}

/// A day in UTC, counted from 1970-01-01.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Day(pub i64);

impl Day {
    /// For so many days the history of counters is kept.
    pub const KEPT: i64 = 1100;
    const MICROS: i64 = 24 * 3600 * 1_000_000;

    /// The day of that instant.
    #[must_use]
    pub fn of(instant: Timestamp) -> Self {
        Self(instant.as_micros().div_euclid(Self::MICROS))
    }

    /// Its first instant.
    #[must_use]
    pub fn begins(self) -> Timestamp {
        Timestamp::from_micros(self.0.saturating_mul(Self::MICROS))
    }
}

impl fmt::Display for Day {
    /// As `2026-11-21`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.begins().to_string();
        f.write_str(text.split('T').next().unwrap_or(&text))
    }
}

/// What a counter was at the end of a day on which it changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CounterDay {
    /// Which counter.
    pub name: CounterName,
    /// Which day.
    pub day: Day,
    /// What it was.
    pub value: i64,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counters(values: &[(&str, i64)]) -> Result<Counters, CountersError> {
        Counters::new(values.iter().map(|(name, value)| (name.parse().unwrap(), *value)).collect())
    }

    #[test]
    fn names_are_plain_words() {
        for good in ["wins", "time_played_s", "a1", &"a".repeat(64)] {
            assert_eq!(good.parse::<CounterName>().unwrap().as_str(), good);
        }
        for bad in ["", "Wins", "1st", "_x", "a b", "выигрыши", "a-b", &"a".repeat(65)] {
            assert!(bad.parse::<CounterName>().is_err(), "{bad}");
        }
    }

    #[test]
    fn amounts_are_added_to_what_is_there_and_others_stay() {
        let before = counters(&[("wins", 3), ("losses", 1)]).unwrap();
        let change = CountersChange::Add(counters(&[("wins", 2), ("draws", -1)]).unwrap());
        let after = counters(&[("wins", 5), ("losses", 1), ("draws", -1)]).unwrap();
        assert_eq!(change.apply(&before), Ok(after));
    }

    #[test]
    fn a_replacement_leaves_nothing_else() {
        let new = counters(&[("draws", 7)]).unwrap();
        let change = CountersChange::Replace(new.clone());
        assert_eq!(change.apply(&counters(&[("wins", 3)]).unwrap()), Ok(new));
    }

    #[test]
    fn no_value_leaves_its_range_and_no_user_has_too_many() {
        assert!(counters(&[("wins", Counters::MOST)]).is_ok());
        let wins: CounterName = "wins".parse().unwrap();
        assert_eq!(counters(&[("wins", i64::MIN)]), Err(CountersError::OutOfRange(wins.clone())));
        let most = counters(&[("wins", Counters::MOST)]).unwrap();
        let change = CountersChange::Add(counters(&[("wins", 1)]).unwrap());
        assert_eq!(change.apply(&most), Err(CountersError::OutOfRange(wins)));
        let many: Vec<String> = (0..=Counters::MAX).map(|number| format!("c{number}")).collect();
        let many: Vec<(&str, i64)> = many.iter().map(|name| (name.as_str(), 0)).collect();
        assert_eq!(counters(&many), Err(CountersError::TooMany));
    }

    #[test]
    fn days_are_counted_in_utc() {
        let instant: Timestamp = "2026-11-21T23:59:59.999999Z".parse().unwrap();
        assert_eq!(Day::of(instant).to_string(), "2026-11-21");
        assert_eq!(Day::of("1969-12-31T23:00:00Z".parse().unwrap()), Day(-1));
        assert_eq!(Day(-1).to_string(), "1969-12-31");
    }
}
