//! What a report is drawn from. Whoever asks for a report fills this in; nothing here is read from anywhere else, so that
//! equal data make equal bytes.
//!
//! The lists have bounds of their own in the drawing ([`ReportData::RECENT_MAX`] and the like): more is left out, and
//! the page says how much.

use chrono::NaiveDate;
use chrono_tz::Tz;

use crate::account::{Email, Gender, Name};
use crate::task::{Attempt, Kind, Status, TaskId, Timestamp, UserId};

/// In which language a report speaks: its words, numbers and dates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Language {
    /// Russian.
    Ru,
    /// English.
    #[default]
    En,
}

impl Language {
    /// Every language.
    pub const ALL: [Self; 2] = [Self::Ru, Self::En];

    /// The tag of BCP 47, as it is asked for and as the document carries it: `ru`, `en`.
    #[must_use]
    pub fn tag(self) -> &'static str {
        match self {
            Self::Ru => "ru",
            Self::En => "en",
        }
    }

    /// The language that `tag` names, if reports speak it.
    #[must_use]
    pub fn parse(tag: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|language| language.tag() == tag)
    }
}

/// Everything that is on a report.
#[derive(Debug, Clone, PartialEq)]
pub struct ReportData {
    /// The report's own name, which the document carries as its identifier: any text that no other report has.
    pub id: String,
    /// In which language.
    pub language: Language,
    /// In which zone instants are written, and which the page names.
    pub time_zone: Tz,
    /// When the report was ordered: the document's creation date, and the day at the end of its axes.
    pub created_at: Timestamp,
    /// About whom.
    pub user: Subject,
    /// Their picture, a JPEG or a PNG that decodes; anything else counts as none.
    pub avatar: Option<Vec<u8>>,
    /// Their counters, in the order in which those that have no fixed place are shown.
    pub counters: Vec<Counter>,
    /// The work of each day, oldest first, one entry a day; days left out had none. The first and the last entry are the
    /// ends of the time axis.
    pub activity: Vec<Day>,
    /// All work that there ever was, kind by kind.
    pub by_kind: Vec<KindTotal>,
    /// What is kept of recordings.
    pub recordings: Holding,
    /// What is kept of images.
    pub images: Holding,
    /// All that is kept, in bytes.
    pub storage_bytes: u64,
    /// How that came together: of what is kept now, the bytes that were there at the end of each day, oldest first, one
    /// entry a day.
    pub storage: Vec<Point>,
    /// The latest tasks, newest first.
    pub recent: Vec<RecentTask>,
    /// How many tasks there are in all, those of `recent` among them.
    pub tasks_total: u64,
}

impl ReportData {
    /// How many tasks the table shows at most.
    pub const RECENT_MAX: usize = 200;
    /// How many counters are shown at most.
    pub const COUNTERS_MAX: usize = 24;
    /// How many kinds are shown at most; the rest are summed up.
    pub const KINDS_MAX: usize = 12;
    /// How many kinds have a colour of their own over time; the rest are summed up.
    pub const KINDS_OVER_TIME: usize = 5;
    /// How many days a time axis shows at most: the latest.
    pub const DAYS_MAX: usize = 90;
}

/// The user, as far as the reader may know them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// The number.
    pub id: UserId,
    /// What they are called, when they said so.
    pub name: Option<Name>,
    /// Where to reach them; `None` as well when the reader of the report may not know.
    pub email: Option<Email>,
    /// What they say they are.
    pub gender: Option<Gender>,
    /// Since when they are known.
    pub created_at: Timestamp,
}

/// A named number, and how it came to be what it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counter {
    /// The name. Of `sessions`, `wins`, `losses` and `time_played_s` the report knows what to call them; of any other the
    /// ending `_s` means seconds and `_bytes` bytes.
    pub name: String,
    /// What it is now.
    pub value: i64,
    /// What it was at the end of days, oldest first, one entry a day at most.
    pub history: Vec<Point>,
}

/// What a number was at the end of a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Point {
    /// The day, in the report's time zone.
    pub date: NaiveDate,
    /// The value.
    pub value: i64,
}

/// How work ended, or that it did not yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Outcomes {
    /// Tasks that completed.
    pub completed: u64,
    /// Tasks that failed.
    pub failed: u64,
    /// Tasks that were cancelled.
    pub cancelled: u64,
    /// Tasks that wait or run.
    pub other: u64,
}

/// The work of a day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Day {
    /// The day, in the report's time zone.
    pub date: NaiveDate,
    /// The tasks created on it, by what has become of them.
    pub outcomes: Outcomes,
    /// The same tasks by kind, each kind once, in any order.
    pub kinds: Vec<(Kind, u64)>,
}

/// All work of a kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KindTotal {
    /// Which.
    pub kind: Kind,
    /// Its tasks, by what has become of them.
    pub outcomes: Outcomes,
}

/// Things that are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Holding {
    /// How many.
    pub count: u64,
    /// How large together.
    pub bytes: u64,
}

/// A line of the table of recent work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecentTask {
    /// Which.
    pub id: TaskId,
    /// What it did.
    pub kind: Kind,
    /// What has become of it.
    pub status: Status,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it ended, if it did.
    pub finished_at: Option<Timestamp>,
    /// Its last attempt.
    pub attempt: Attempt,
    /// Why it failed, or whatever else is to be said; cut where the line ends.
    pub note: Option<String>,
}
