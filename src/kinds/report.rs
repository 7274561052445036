//! `report`: a user in, a PDF about them out.
//!
//! What it tells is read when it runs; of when it was ordered are its dates, so that a second attempt that finds the same
//! makes the same bytes.

use std::collections::BTreeMap;
use std::io::Read;
use std::time::Duration;

use chrono::{DateTime, Days, NaiveDate, Utc};
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};

use super::desk::DeskError;
use super::{Done, Run, RunError, Work, name};
use crate::account::{Avatar, CounterDay, Day, Portfolio};
use crate::blob::BlobError;
use crate::media::report::{
    self, Counter, Holding, KindTotal, Language, Outcomes, Point, RecentTask, ReportData, Subject,
};
use crate::task::{Json, Kind, ReportId, Status, Task, Timestamp, UserId};

/// The kind.
#[derive(Debug, Clone, Copy)]
pub struct Report;

/// Which report to make.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Payload {
    /// Its name.
    pub report: ReportId,
    /// About whom.
    pub user: UserId,
    /// In which language: the tag of [`Language`].
    pub language: String,
    /// In which time zone, as the IANA database calls it.
    pub time_zone: String,
    /// Over how many days the work is shown.
    pub days: u16,
    /// Whether the user's e-mail is on it.
    pub contact: bool,
    /// When it was ordered.
    pub asked_at: Timestamp,
}

/// What was made: the result of the task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Made {
    /// The link.
    pub url: String,
    /// The size of the PDF.
    pub bytes: u64,
}

/// Its name.
#[must_use]
pub fn kind() -> Kind {
    name(Report::NAME)
}

/// The largest picture that is read; users' pictures are made much smaller.
const MOST_PICTURE: u64 = 4 << 20;

impl Work for Report {
    const NAME: &'static str = "report";
    type Payload = Payload;

    /// Who orders a report has to be the user, or an admin; a payload says nothing of that.
    fn other_door(&self) -> Option<&'static str> {
        Some("order it by POST /users/{id}/report")
    }

    async fn run(&self, payload: Payload, run: Run) -> Result<Done, RunError> {
        let order = Order::of(&payload)?;
        // One more than is shown: this very task is not.
        let recent = u32::try_from(ReportData::RECENT_MAX + 1).unwrap_or(u32::MAX);
        let portfolio = run.desk.portfolio(payload.user, order.since(), recent).await.map_err(desk_error)?;
        let portfolio = portfolio
            .ok_or_else(|| RunError::InvalidInput(format!("there is no user {} any more", payload.user)))?;
        run.compute(move |run| {
            let avatar = match &portfolio.user.avatar {
                Some(avatar) => Some(picture(run, avatar)?),
                None => None,
            };
            let data = order.data(portfolio, avatar);
            let pdf = report::draw(&data).map_err(|error| RunError::Error(error.to_string()))?;
            let output = run.blobs.keep_bytes(&pdf).map_err(|error| blob_error(&error))?;
            let made = Made { url: format!("/reports/{}", payload.report), bytes: output.bytes };
            let result = Json::of(&made).map_err(|error| RunError::Error(error.to_string()))?;
            Ok(Done { result, output: Some(output), drop_input: false, image: None })
        })
        .await
    }
}

/// An order, read.
struct Order {
    report: ReportId,
    language: Language,
    time_zone: Tz,
    days: u16,
    contact: bool,
    asked_at: Timestamp,
}

impl Order {
    fn of(payload: &Payload) -> Result<Self, RunError> {
        let bad = |what: &str| RunError::InvalidInput(format!("the payload does not fit: {what}"));
        Ok(Self {
            report: payload.report,
            language: Language::parse(&payload.language).ok_or_else(|| bad("no such language"))?,
            time_zone: payload.time_zone.parse().map_err(|_| bad("no such time zone"))?,
            days: payload.days.max(1),
            contact: payload.contact,
            asked_at: payload.asked_at,
        })
    }

    /// An instant before the first day that is shown, in whatever zone.
    fn since(&self) -> Timestamp {
        self.asked_at.before(Duration::from_secs((u64::from(self.days) + 1) * 24 * 3600))
    }

    /// The day of an instant where the reader is.
    fn date(&self, instant: Timestamp) -> NaiveDate {
        let utc = DateTime::<Utc>::from_timestamp_micros(instant.as_micros()).unwrap_or_default();
        utc.with_timezone(&self.time_zone).date_naive()
    }

    /// The days that are shown, oldest first.
    fn dates(&self) -> impl Iterator<Item = NaiveDate> + use<> {
        let last = self.date(self.asked_at);
        (0..self.days).rev().filter_map(move |back| last.checked_sub_days(Days::new(back.into())))
    }

    fn data(&self, portfolio: Portfolio, avatar: Option<Vec<u8>>) -> ReportData {
        let Portfolio { user, counters, history, totals, activity, recordings, images, storage, recent } =
            portfolio;
        let mut days: BTreeMap<NaiveDate, Outcomes> =
            self.dates().map(|date| (date, Outcomes::default())).collect();
        for at in activity.iter().filter(|at| !is_under_way(&at.count.kind, at.count.status)) {
            if let Some(day) = days.get_mut(&self.date(at.from)) {
                add(day, at.count.status, at.count.tasks);
            }
        }
        let mut by_kind: BTreeMap<Kind, Outcomes> = BTreeMap::new();
        let mut tasks_total = 0;
        for count in totals.into_iter().filter(|count| !is_under_way(&count.kind, count.status)) {
            tasks_total += count.tasks;
            add(by_kind.entry(count.kind).or_default(), count.status, count.tasks);
        }
        let shown = recent.into_iter().filter(|task| !is_under_way(&task.life.kind, task.life.status()));
        ReportData {
            id: self.report.to_string(),
            language: self.language,
            time_zone: self.time_zone,
            created_at: self.asked_at,
            user: Subject {
                id: user.id,
                name: user.name,
                email: user.email.filter(|_| self.contact),
                gender: user.gender,
                created_at: user.created_at,
            },
            avatar,
            counters: counters
                .iter()
                .map(|(name, value)| Counter {
                    name: name.to_string(),
                    value,
                    history: self.points(history.iter().filter(|day| day.name == *name)),
                })
                .collect(),
            activity: days.into_iter().map(|(date, outcomes)| report::Day { date, outcomes }).collect(),
            by_kind: by_kind.into_iter().map(|(kind, outcomes)| KindTotal { kind, outcomes }).collect(),
            recordings: Holding { count: recordings.count, bytes: recordings.bytes },
            images: Holding { count: images.count, bytes: images.bytes },
            storage_bytes: storage,
            recent: shown.take(ReportData::RECENT_MAX).map(line).collect(),
            tasks_total,
        }
    }

    /// The history of a counter over the days that are shown; what it was before them is what it was on the first.
    fn points<'a>(&self, days: impl Iterator<Item = &'a CounterDay>) -> Vec<Point> {
        let Some(first) = self.dates().next() else { return Vec::new() };
        let mut points: BTreeMap<NaiveDate, i64> = BTreeMap::new();
        for CounterDay { day, value, .. } in days {
            // In order: a later day that falls onto the same date takes its place.
            points.insert(calendar(*day).max(first), *value);
        }
        points.into_iter().map(|(date, value)| Point { date, value }).collect()
    }
}

/// The date of a day in UTC.
fn calendar(day: Day) -> NaiveDate {
    DateTime::<Utc>::from_timestamp_micros(day.begins().as_micros()).unwrap_or_default().date_naive()
}

/// Whether it is a report that is not made yet, as this one: no work to tell of.
fn is_under_way(kind: &Kind, status: Status) -> bool {
    kind.as_str() == Report::NAME && !status.is_terminal()
}

fn add(outcomes: &mut Outcomes, status: Status, tasks: u64) {
    let of = match status {
        Status::Completed => &mut outcomes.completed,
        Status::Failed => &mut outcomes.failed,
        Status::Cancelled => &mut outcomes.cancelled,
        Status::New | Status::InProgress => &mut outcomes.other,
    };
    *of = of.saturating_add(tasks);
}

fn line(task: Task) -> RecentTask {
    let life = task.life;
    RecentTask {
        id: life.id,
        status: life.status(),
        created_at: task.created_at,
        finished_at: life.finished_at(),
        attempt: life.attempt,
        note: life.error.map(|failure| failure.message),
        kind: life.kind,
    }
}

fn picture(run: &Run, avatar: &Avatar) -> Result<Vec<u8>, RunError> {
    let mut bytes = Vec::new();
    let reader = run.blobs.read(&avatar.blob).map_err(|error| blob_error(&error))?;
    reader.take(MOST_PICTURE).read_to_end(&mut bytes).map_err(|error| {
        RunError::Error(format!("cannot read the user's picture {}: {error}", avatar.blob))
    })?;
    Ok(bytes)
}

fn desk_error(error: DeskError) -> RunError {
    match error {
        DeskError::Lost(..) => RunError::Cancelled,
        DeskError::Unavailable(story) => RunError::Error(story),
    }
}

fn blob_error(error: &BlobError) -> RunError {
    // Also a blob that is missing may come back: the folder was not mounted, or is not shared by this node.
    RunError::Error(error.to_string())
}
