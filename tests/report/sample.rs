//! Data of reports, made up: what a usual one looks like, and the corners of what may come.

use chrono::{Days, NaiveDate};
use gristmill::media::report::{
    Counter, Day, Holding, KindTotal, Language, Outcomes, Point, RecentTask, ReportData, Subject,
};
use gristmill::task::{Attempt, Status, TaskId, Timestamp, UserId};

/// Numbers that look like chance and are the same each time.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Below `bound`.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

pub(crate) fn instant(text: &str) -> Timestamp {
    text.parse().expect("a time")
}

/// The last day of the samples.
fn last_day() -> NaiveDate {
    NaiveDate::from_ymd_opt(2026, 7, 19).expect("a day")
}

/// A report without anything in it.
pub(crate) fn empty(language: Language) -> ReportData {
    ReportData {
        id: "5b4f7c0e-8f57-4c0f-9d4e-3a1de2a1f6c1".into(),
        language,
        time_zone: chrono_tz::Tz::Europe__Moscow,
        created_at: instant("2026-07-19T15:30:05Z"),
        user: Subject {
            id: UserId(7),
            name: None,
            email: None,
            gender: None,
            created_at: instant("2025-11-02T09:00:00Z"),
        },
        avatar: None,
        counters: Vec::new(),
        activity: Vec::new(),
        by_kind: Vec::new(),
        recordings: Holding::default(),
        images: Holding::default(),
        storage_bytes: 0,
        recent: Vec::new(),
        tasks_total: 0,
    }
}

/// A counter that grew to `value` over the last 90 days.
pub(crate) fn counter(name: &str, value: i64, dice: &mut Dice) -> Counter {
    let days = 90u64;
    let steps: Vec<i64> = (0..days).map(|_| dice.below(10).saturating_sub(3) as i64).collect();
    let all: i64 = steps.iter().sum::<i64>().max(1);
    let mut sum = 0;
    let history = steps.iter().enumerate().map(|(index, step)| {
        sum += step;
        let grown = (i128::from(value) * i128::from(all / 2 + sum) / i128::from(all + all / 2)) as i64;
        Point { date: last_day() - Days::new(days - 1 - index as u64), value: grown }
    });
    let mut history: Vec<Point> = history.collect();
    if let Some(last) = history.last_mut() {
        last.value = value;
    }
    Counter { name: name.into(), value, history }
}

/// A day's work: more in the week than at its end.
fn day(date: NaiveDate, dice: &mut Dice) -> Day {
    use chrono::Datelike;
    let busy = if date.weekday().num_days_from_monday() < 5 { 34 } else { 9 };
    let completed = dice.below(busy) + busy / 3;
    let (failed, cancelled, other) = (dice.below(5), dice.below(3), 0);
    Day { date, outcomes: Outcomes { completed, failed, cancelled, other } }
}

pub(crate) fn task(id: i64, dice: &mut Dice) -> RecentTask {
    let kinds = ["transcode", "image", "image", "quiz", "report", "noop"];
    let kind = kinds[dice.below(6) as usize].parse().expect("a kind");
    let created_at = instant("2026-07-19T15:00:00Z").before(std::time::Duration::from_secs(
        (100_000u64.saturating_sub(id.unsigned_abs())) * 613 % 2_500_000,
    ));
    let took = std::time::Duration::from_secs(dice.below(400) * dice.below(9));
    let (status, note) = match dice.below(12) {
        0 => {
            (Status::Failed, Some("the WAV file is cut: its header promises 4,410,000 bytes, 1,200,044 came"))
        }
        1 => (Status::Cancelled, None),
        2 if id > 99_995 => (Status::InProgress, None),
        3 => (Status::Completed, Some("holiday recording.wav")),
        _ => (Status::Completed, None),
    };
    let finished_at = status.is_terminal().then(|| created_at.after(took));
    let attempt = Attempt(1 + u32::from(status == Status::Failed) * 2);
    RecentTask { id: TaskId(id), kind, status, created_at, finished_at, attempt, note: note.map(Into::into) }
}

/// A usual player and worker.
pub(crate) fn usual(language: Language) -> ReportData {
    let dice = &mut Dice::new(5);
    let kinds = [
        ("transcode", 1_204, 38, 12, 1),
        ("image", 846, 9, 3, 0),
        ("quiz", 412, 21, 0, 0),
        ("report", 19, 0, 0, 1),
        ("noop", 7, 0, 2, 0),
    ];
    let name = match language {
        Language::Ru => "Анна Сергеевна Кузнецова",
        Language::En => "Anna Kuznetsova",
    };
    let start = last_day() - Days::new(59);
    ReportData {
        user: Subject {
            name: Some(name.parse().expect("a name")),
            email: Some("anna@example.com".parse().expect("an address")),
            ..empty(language).user
        },
        counters: vec![
            counter("boss_fights", 57, dice),
            counter("time_played_s", 912_540, dice),
            counter("losses", 388, dice),
            counter("wins", 614, dice),
            counter("sessions", 1_284, dice),
        ],
        activity: start.iter_days().take(60).map(|date| day(date, dice)).collect(),
        by_kind: kinds
            .map(|(kind, completed, failed, cancelled, other)| KindTotal {
                kind: kind.parse().expect("a kind"),
                outcomes: Outcomes { completed, failed, cancelled, other },
            })
            .into(),
        recordings: Holding { count: 1_204, bytes: 5_310_000_000 },
        images: Holding { count: 846, bytes: 912_000_000 },
        storage_bytes: 6_222_000_000,
        recent: (0..40).map(|index| task(100_000 - index * 3, dice)).collect(),
        tasks_total: 2_575,
        ..empty(language)
    }
}
