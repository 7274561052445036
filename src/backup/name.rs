//! What a backup is called, and where its files lie.
//!
//! Used by all of this room. True here: names order backups as they were begun, whatever the clock was set to meanwhile, and
//! nothing else in the place has a name of this form.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, NaiveDateTime, TimeDelta, Utc};
use uuid::Uuid;

use crate::task::BlobName;

/// The name of a backup: when it was begun, and something of its own, as `20260131T030000.000Z-1a2b3c4d`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(String);

/// A text that is no such name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not the name of a backup, as 20260131T030000.000Z-1a2b3c4d")]
pub struct NameError(String);

/// To the millisecond: one backup after another is the later one.
const TIME: &str = "%Y%m%dT%H%M%S%.3fZ";

/// What lies between two names at least.
const STEP: TimeDelta = TimeDelta::milliseconds(1);

/// The file that says what the place is; with it, the copied blobs there are ours.
pub(super) const MARK: &str = "gristmill-backups.txt";

/// The folder of copied blobs, which all backups of a place share.
pub(super) const BLOBS: &str = "blobs";

/// The folder that tells who cleans up.
pub(super) const CLEANING: &str = "cleaning";

impl Name {
    /// A new one, which is later than the newest that is there: a clock that was ahead, and is right again, must not make what
    /// is new look old.
    pub(super) fn fresh(now: DateTime<Utc>, newest: Option<&Self>) -> Self {
        let after = newest.and_then(Self::begun_at).and_then(|time| time.checked_add_signed(STEP));
        let time = after.map_or(now, |after| after.max(now));
        let own = Uuid::new_v4().simple().to_string();
        Self(format!("{}-{}", time.format(TIME), own.get(..8).unwrap_or("00000000")))
    }

    /// As text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// When it was begun; later where the place had one that was dated later.
    #[must_use]
    pub fn begun_at(&self) -> Option<DateTime<Utc>> {
        let (time, _) = self.0.split_once('-')?;
        NaiveDateTime::parse_from_str(time, TIME).ok().map(|time| time.and_utc())
    }

    /// One of its files.
    pub(super) fn file(&self, name: &str) -> String {
        format!("{}/{name}", self.0)
    }

    /// Written last: with it a backup is one.
    pub(super) fn manifest(&self) -> String {
        self.file("manifest.json")
    }

    /// There while it is being made.
    pub(super) fn sign_of_life(&self) -> String {
        self.file("running")
    }
}

/// Where the copy of a blob lies.
pub(super) fn blob_file(blob: &BlobName) -> String {
    let (first, rest) = blob.as_str().split_at(2);
    format!("{BLOBS}/{first}/{rest}")
}

/// The blob of which that is the copy; `None` for what is not ours.
pub(super) fn blob_of(file: &str) -> Option<BlobName> {
    let (first, rest) = file.strip_prefix(BLOBS)?.strip_prefix('/')?.split_once('/')?;
    if first.len() == 2 { format!("{first}{rest}").parse().ok() } else { None }
}

impl FromStr for Name {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let name = Self(text.to_owned());
        let own = text.split_once('-').map(|(_, own)| own).unwrap_or_default();
        let hex = own.len() == 8 && own.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        let written = name.begun_at().map(|time| time.format(TIME).to_string());
        match written {
            Some(time) if hex && text.starts_with(&time) && text.len() == time.len() + 9 => Ok(name),
            Some(_) | None => Err(NameError(text.chars().take(80).collect())),
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_written_and_nothing_else_is_one() {
        let now = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        let name = Name::fresh(now, None);
        assert_eq!(name.as_str().parse(), Ok(name.clone()));
        assert_eq!(name.begun_at(), Some(now));
        for text in [
            "",
            "blobs",
            "20260131T030000.000Z",
            "20260131T030000.000Z-1A2B3C4D",
            "20261331T030000.000Z-1a2b3c4d",
            "20260131T030000.000Z-1a2b3c4d5",
            "x/20260131T030000.000Z-1a2b3c4d",
        ] {
            assert!(text.parse::<Name>().is_err(), "{text}");
        }
        assert!("20260131T030000.000Z-1a2b3c4d".parse::<Name>().is_ok());
    }

    #[test]
    fn a_name_is_later_than_the_newest_that_is_there_whatever_the_clock_says() {
        let now = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        let ahead = Name::fresh(now + TimeDelta::days(400), None);
        let next = Name::fresh(now, Some(&ahead));
        assert!(next > ahead && next.as_str().parse() == Ok(next.clone()), "{next} after {ahead}");
        assert_eq!(
            Name::fresh(now + TimeDelta::days(800), Some(&next)).begun_at(),
            Some(now + TimeDelta::days(800))
        );
    }

    #[test]
    fn a_blob_is_known_by_its_place_and_a_stranger_is_none() {
        let blob: BlobName = "0123456789abcdef".repeat(4).parse().unwrap();
        assert_eq!(blob_of(&blob_file(&blob)), Some(blob));
        for file in ["blobs/note.txt", "blobs/ab/cd", "other/ab/cd", "blobs"] {
            assert_eq!(blob_of(file), None, "{file}");
        }
    }
}
