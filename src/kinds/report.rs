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
use crate::account::{Activity, Avatar, CounterDay, Day, Portfolio, RecentWork, Stored};
use crate::blob::BlobError;
use crate::media::report::{
    self, Counter, Holding, KindTotal, Language, Outcomes, Point, RecentTask, ReportData, Subject,
};
use crate::task::{Json, Kind, ReportId, Status, Timestamp, UserId};

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
        let Portfolio {
            user,
            counters,
            history,
            totals,
            activity,
            recordings,
            images,
            storage,
            stored,
            recent,
        } = portfolio;
        let mut by_kind: BTreeMap<Kind, Outcomes> = BTreeMap::new();
        let mut tasks_total = 0;
        for count in totals.into_iter().filter(|count| !is_under_way(&count.kind, count.status)) {
            tasks_total += count.tasks;
            add(by_kind.entry(count.kind).or_default(), count.status, count.tasks);
        }
        let shown = recent.into_iter().filter(|task| !is_under_way(&task.kind, task.status));
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
                    history: self.points(history.iter().filter(|day| day.name == *name), value),
                })
                .collect(),
            activity: self.work(&activity),
            by_kind: by_kind.into_iter().map(|(kind, outcomes)| KindTotal { kind, outcomes }).collect(),
            recordings: Holding { count: recordings.count, bytes: recordings.bytes },
            images: Holding { count: images.count, bytes: images.bytes },
            storage_bytes: storage,
            storage: self.storage(storage, &stored),
            recent: shown.take(ReportData::RECENT_MAX).map(line).collect(),
            tasks_total,
        }
    }

    /// The work of each day that is shown.
    fn work(&self, activity: &[Activity]) -> Vec<report::Day> {
        let mut days: BTreeMap<NaiveDate, (Outcomes, BTreeMap<Kind, u64>)> =
            self.dates().map(|date| (date, Default::default())).collect();
        for Activity { from, count } in
            activity.iter().filter(|at| !is_under_way(&at.count.kind, at.count.status))
        {
            let Some((outcomes, kinds)) = days.get_mut(&self.date(*from)) else { continue };
            add(outcomes, count.status, count.tasks);
            let tasks = kinds.entry(count.kind.clone()).or_default();
            *tasks = tasks.saturating_add(count.tasks);
        }
        let day = |(date, (outcomes, kinds)): (_, (_, BTreeMap<_, _>))| report::Day {
            date,
            outcomes,
            kinds: kinds.into_iter().collect(),
        };
        days.into_iter().map(day).collect()
    }

    /// What was there at the end of each day that is shown, of all that is kept; what came before them is there on the
    /// first, and what came since the report was ordered on the last, which so ends at `all`.
    fn storage(&self, all: u64, stored: &[Stored]) -> Vec<Point> {
        let mut came: BTreeMap<NaiveDate, u64> = self.dates().map(|date| (date, 0)).collect();
        let (Some(first), Some(last)) = (self.dates().next(), self.dates().last()) else { return Vec::new() };
        for Stored { from, bytes } in stored {
            let day = came.entry(self.date(*from).clamp(first, last)).or_default();
            *day = day.saturating_add(*bytes);
        }
        let since = came.values().fold(0, |sum: u64, bytes| sum.saturating_add(*bytes));
        let mut kept = all.saturating_sub(since);
        let at_end = |(date, bytes)| {
            kept = kept.saturating_add(bytes);
            Point { date, value: i64::try_from(kept).unwrap_or(i64::MAX) }
        };
        came.into_iter().map(at_end).collect()
    }

    /// The history of a counter over the days that are shown; what it was before them is what it was on the first, and
    /// what it is now it is on the last, so that one that stood still has a line as well.
    fn points<'a>(&self, days: impl Iterator<Item = &'a CounterDay>, now: i64) -> Vec<Point> {
        let (Some(first), Some(last)) = (self.dates().next(), self.dates().last()) else { return Vec::new() };
        let mut points: BTreeMap<NaiveDate, i64> = BTreeMap::new();
        for CounterDay { day, value, .. } in days {
            // In order: a later day that falls onto the same date takes its place. Days in UTC may be ahead of the reader's.
            points.insert(calendar(*day).clamp(first, last), *value);
        }
        points.insert(last, now);
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

fn line(task: RecentWork) -> RecentTask {
    let RecentWork { id, kind, status, created_at, finished_at, attempt, error } = task;
    RecentTask {
        id,
        kind,
        status,
        created_at,
        finished_at,
        attempt,
        note: error.map(|failure| failure.message),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::{Count, CounterName, Counters, Holding, Role, User};
    use crate::task::{Attempt, Failure, FailureReason, TaskId};

    /// Ordered on the evening of 19 July in UTC, which is the 20th already in Moscow; three days are shown.
    fn order(time_zone: &str) -> Order {
        let payload = Payload {
            report: ReportId::fresh(),
            user: UserId(7),
            language: "en".into(),
            time_zone: time_zone.into(),
            days: 3,
            contact: false,
            asked_at: at("2026-07-19T22:00:00Z"),
        };
        Order::of(&payload).unwrap()
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn date(day: u32) -> NaiveDate {
        NaiveDate::from_ymd_opt(2026, 7, day).unwrap()
    }

    fn utc_day(text: &str) -> Day {
        Day::of(at(text))
    }

    fn portfolio() -> Portfolio {
        Portfolio {
            user: User {
                id: UserId(7),
                name: None,
                email: None,
                gender: None,
                avatar: None,
                role: Role::User,
                has_password: false,
                created_at: at("2026-01-01T00:00:00Z"),
            },
            counters: Counters::default(),
            history: Vec::new(),
            totals: Vec::new(),
            activity: Vec::new(),
            recordings: Holding::default(),
            images: Holding::default(),
            storage: 0,
            stored: Vec::new(),
            recent: Vec::new(),
        }
    }

    fn activity(from: &str, kind: &str, status: Status, tasks: u64) -> Activity {
        Activity { from: at(from), count: Count { kind: kind.parse().unwrap(), status, tasks } }
    }

    fn points(points: &[Point]) -> Vec<(NaiveDate, i64)> {
        points.iter().map(|point| (point.date, point.value)).collect()
    }

    #[test]
    fn the_work_of_a_day_is_told_by_outcome_and_by_kind_where_the_reader_is() {
        let of = Portfolio {
            activity: vec![
                activity("2026-07-16T12:00:00Z", "image", Status::Completed, 100),
                activity("2026-07-18T20:45:00Z", "image", Status::Completed, 1),
                activity("2026-07-18T21:00:00Z", "image", Status::Completed, 2),
                activity("2026-07-18T21:00:00Z", "image", Status::Failed, 4),
                activity("2026-07-18T21:15:00Z", "report", Status::Completed, 8),
                activity("2026-07-18T21:15:00Z", "report", Status::InProgress, 16),
                activity("2026-07-18T21:15:00Z", "transcode", Status::New, 32),
            ],
            ..portfolio()
        };
        let days = order("Europe/Moscow").data(of, None).activity;
        let kind = |name: &str| name.parse::<Kind>().unwrap();
        let expected = [
            (date(18), Outcomes { completed: 1, ..Outcomes::default() }, vec![(kind("image"), 1)]),
            (
                date(19),
                Outcomes { completed: 10, failed: 4, other: 32, ..Outcomes::default() },
                vec![(kind("image"), 6), (kind("report"), 8), (kind("transcode"), 32)],
            ),
            (date(20), Outcomes::default(), vec![]),
        ];
        let expected = expected.map(|(date, outcomes, kinds)| report::Day { date, outcomes, kinds });
        assert_eq!(days, expected);
    }

    #[test]
    fn storage_grows_from_what_was_there_before_to_what_is_there() {
        let stored = |from: &str, bytes| Stored { from: at(from), bytes };
        let of = Portfolio {
            storage: 1_000,
            stored: vec![
                // Before the first day, on it, on the second, and since the report was ordered.
                stored("2026-07-16T12:00:00Z", 5),
                stored("2026-07-17T00:00:00Z", 10),
                stored("2026-07-18T00:15:00Z", 20),
                stored("2026-07-18T23:45:00Z", 30),
                stored("2026-07-20T00:00:00Z", 40),
            ],
            ..portfolio()
        };
        let kept = order("UTC").data(of, None).storage;
        assert_eq!(points(&kept), [(date(17), 910), (date(18), 960), (date(19), 1_000)]);
        let nothing = order("UTC").data(portfolio(), None).storage;
        assert_eq!(points(&nothing), [(date(17), 0), (date(18), 0), (date(19), 0)]);
    }

    #[test]
    fn the_line_of_a_counter_ends_today_with_what_it_is_now() {
        let name = |name: &str| name.parse::<CounterName>().unwrap();
        let was =
            |counter: &str, day: &str, value| CounterDay { name: name(counter), day: utc_day(day), value };
        let counters = [("losses", 3), ("still", 5), ("wins", 9)].map(|(word, value)| (name(word), value));
        let of = || Portfolio {
            counters: Counters::new(counters.clone().into()).unwrap(),
            history: vec![
                was("losses", "2026-07-18T12:00:00Z", 2),
                // A day in UTC that has not begun yet where the reader is.
                was("losses", "2026-07-20T01:00:00Z", 3),
                was("still", "2026-05-01T12:00:00Z", 5),
                was("wins", "2026-07-01T12:00:00Z", 7),
                was("wins", "2026-07-19T12:00:00Z", 8),
            ],
            ..portfolio()
        };
        let lines = |zone: &str| {
            let counters = order(zone).data(of(), None).counters;
            counters.into_iter().map(|counter| points(&counter.history)).collect::<Vec<_>>()
        };
        let losses = vec![(date(18), 2), (date(19), 3)];
        let still = vec![(date(17), 5), (date(19), 5)];
        let wins = vec![(date(17), 7), (date(19), 9)];
        assert_eq!(lines("America/New_York"), [losses, still, wins]);
        let wins = vec![(date(18), 7), (date(19), 8), (date(20), 9)];
        assert_eq!(lines("Europe/Moscow")[2], wins);
    }

    #[test]
    fn a_line_tells_why_a_task_failed_and_no_report_that_is_being_made() {
        let task = |id, kind: &str, status, error| RecentWork {
            id: TaskId(id),
            kind: kind.parse().unwrap(),
            status,
            created_at: at("2026-07-19T10:00:00Z"),
            finished_at: None,
            attempt: Attempt(2),
            error,
        };
        let failure = Failure::new(FailureReason::InvalidInput, "it is cut");
        let of = Portfolio {
            recent: vec![
                task(2, "report", Status::InProgress, None),
                task(1, "transcode", Status::Failed, Some(failure)),
            ],
            ..portfolio()
        };
        let recent = order("UTC").data(of, None).recent;
        let told: Vec<_> = recent.iter().map(|task| (task.id, task.attempt, task.note.as_deref())).collect();
        assert_eq!(told, [(TaskId(1), Attempt(2), Some("it is cut"))]);
    }
}
