//! An instant as the whole program counts it.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Microseconds since 1970-01-01T00:00:00Z. Written and read as RFC 3339 in UTC; kept as a plain integer in
/// both databases, so that the two cannot disagree on precision or time zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The instant `micros` microseconds after the epoch.
    #[must_use]
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// Microseconds after the epoch.
    #[must_use]
    pub const fn as_micros(self) -> i64 {
        self.0
    }

    /// This instant less `span`; the far end of time rather than an overflow.
    #[must_use]
    pub fn before(self, span: Duration) -> Self {
        let micros = i64::try_from(span.as_micros()).unwrap_or(i64::MAX);
        Self(self.0.saturating_sub(micros))
    }

    /// This instant and `span` more; the far end of time rather than an overflow.
    #[must_use]
    pub fn after(self, span: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(span.as_micros()).unwrap_or(i64::MAX)))
    }

    /// How long ago `earlier` was, seen from here; zero when it is still to come.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match DateTime::<Utc>::from_timestamp_micros(self.0) {
            Some(instant) => f.write_str(&instant.to_rfc3339_opts(SecondsFormat::Micros, true)),
            None => write!(f, "{} µs after 1970-01-01T00:00:00Z", self.0),
        }
    }
}

/// A text that is no RFC 3339 time, or one outside of the years 0000 to 9999 in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an RFC 3339 time from 0000-01-01T00:00:00Z to 9999-12-31T23:59:59.999999Z")]
pub struct TimestampError;

/// 0000-01-01T00:00:00Z.
const FIRST: i64 = -62_167_219_200_000_000;
/// 9999-12-31T23:59:59.999999Z.
const LAST: i64 = 253_402_300_799_999_999;

impl FromStr for Timestamp {
    type Err = TimestampError;

    /// An offset (or a leap second) at either end can lead out of the years that RFC 3339 can write: refused, so that
    /// whatever is read can be written.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let instant = DateTime::parse_from_rfc3339(text).map_err(|_| TimestampError)?.timestamp_micros();
        if (FIRST..=LAST).contains(&instant) { Ok(Self(instant)) } else { Err(TimestampError) }
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        text.parse().map_err(|_| de::Error::custom(format!("`{text}` is not an RFC 3339 time")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timestamp_reads_and_writes_rfc_3339_with_microseconds() {
        let instant: Timestamp = "2024-12-17T10:00:00.25+03:00".parse().unwrap();
        assert_eq!(instant.to_string(), "2024-12-17T07:00:00.250000Z");
        assert_eq!(instant.to_string().parse::<Timestamp>().unwrap(), instant);
        assert!("yesterday".parse::<Timestamp>().is_err());
    }

    #[test]
    fn what_is_read_can_be_written() {
        for (text, micros) in [("0000-01-01T00:00:00Z", FIRST), ("9999-12-31T23:59:59.999999Z", LAST)] {
            let instant: Timestamp = text.parse().unwrap();
            assert_eq!(instant.as_micros(), micros, "{text}");
            assert_eq!(instant.to_string().parse::<Timestamp>().unwrap(), instant);
        }
        for text in [
            "0000-01-01T00:00:00+00:01",
            "9999-12-31T23:59:59-00:01",
            "9999-12-31T23:59:60Z",
            "10000-01-01T00:00:00Z",
            "+10000-01-01T00:00:00Z",
            "-0001-01-01T00:00:00Z",
        ] {
            assert_eq!(text.parse::<Timestamp>(), Err(TimestampError), "{text}");
        }
    }

    #[test]
    fn spans_saturate_and_never_go_negative() {
        let (early, late) = (Timestamp::from_micros(10), Timestamp::from_micros(30));
        assert_eq!(late.since(early), Duration::from_micros(20));
        assert_eq!(early.since(late), Duration::ZERO);
        assert_eq!(late.after(Duration::MAX).as_micros(), i64::MAX);
    }
}
