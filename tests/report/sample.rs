//! Data of reports, made up: what a usual one looks like, and the corners of what may come.
//!
//! Whoever includes this file has the types of reports and tasks in scope, by whatever way: the tests from outside, those
//! inside the module, and the benchmarks.

use chrono::{Datelike, Days, NaiveDate};

use super::{
    Attempt, Counter, Day, Holding, KindTotal, Language, Outcomes, Point, RecentTask, ReportData, Status,
    Subject, TaskId, Timestamp, UserId,
};

/// Every sample by its name.
pub(crate) fn all() -> Vec<(&'static str, ReportData)> {
    vec![
        ("usual-ru", usual(Language::Ru)),
        ("usual-en", usual(Language::En)),
        ("empty-ru", empty(Language::Ru)),
        ("empty-en", empty(Language::En)),
        ("hostile-ru", hostile(Language::Ru)),
        ("hostile-en", hostile(Language::En)),
        ("crowded-en", crowded(Language::En)),
    ]
}

/// Numbers that look like chance and are the same each time.
struct Dice(u64);

impl Dice {
    fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Below `bound`.
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

fn instant(text: &str) -> Timestamp {
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
        storage: Vec::new(),
        recent: Vec::new(),
        tasks_total: 0,
    }
}

/// A counter that grew to `value` over the last 90 days.
fn counter(name: &str, value: i64, dice: &mut Dice) -> Counter {
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
    let busy = if date.weekday().num_days_from_monday() < 5 { 34 } else { 9 };
    let completed = dice.below(busy) + busy / 3;
    let (failed, cancelled, other) = (dice.below(5), dice.below(3), 0);
    let mut rest = completed + failed + cancelled;
    let names = ["transcode", "image", "quiz", "noop", "report", "resize", "thumbnail"];
    let mut kinds = Vec::new();
    for (index, name) in names.into_iter().enumerate() {
        let tasks = if index + 1 == names.len() { rest } else { dice.below(rest * 4 / 5 + 1) };
        kinds.push((name.parse().expect("a kind"), tasks));
        rest -= tasks;
    }
    Day { date, outcomes: Outcomes { completed, failed, cancelled, other }, kinds }
}

fn task(id: i64, dice: &mut Dice) -> RecentTask {
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

/// What is kept, as it grew to `bytes` over the last 60 days.
fn grown(bytes: i64, dice: &mut Dice) -> Vec<Point> {
    let mut left = bytes;
    let mut points: Vec<Point> = (0..60)
        .map(|back| {
            let point = Point { date: last_day() - Days::new(back), value: left };
            left -= bytes / 100 * dice.below(4) as i64 / 3;
            point
        })
        .collect();
    points.reverse();
    points
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
        storage: grown(6_222_000_000, dice),
        recent: (0..40).map(|index| task(100_000 - index * 3, dice)).collect(),
        tasks_total: 2_575,
        ..empty(language)
    }
}

/// What strangers may write, each where it hurts most: as wide as can be, above and below the line, from right to left,
/// of no script that the fonts have, made of nothing that is seen.
pub(crate) const NASTY: [&str; 12] = [
    "WWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWW",
    "Z\u{301}\u{302}\u{303}\u{304}\u{305}\u{306}\u{307}\u{308}\u{309}\u{30a}\u{30b}a\u{316}\u{317}\u{318}\u{319}lgo",
    "\u{202e}gnp.exe\u{202c} \u{2066}hidden\u{2069}\u{200b}\u{feff}",
    "山田太郎 かな 한글 ไทย हिन्दी",
    "👩‍👩‍👧‍👦 🏳️‍🌈 😀 🇷🇺",
    "שלום עולם (abc) 123",
    "السلام عليكم، العالم",
    "İstanbul ﬁ Straße ǅ Ҙҡ Ѣ ₽ № → ✓ €",
    "(\\) endobj << /JS (app.alert(1)) >> %%EOF ) Tj ET Q",
    "\u{1f3fb}\u{200d}\u{fe0f}\u{301}",
    "a\tb\nc\r\nd\u{0}e\u{7}f\u{85}g\u{2028}h",
    "одно-очень-длинное-слово-без-единого-пробела-которое-нигде-нельзя-разорвать-кроме-как-посередине-если-уж-надо",
];

/// Numbers at their ends, and names and notes that were meant to break the page.
pub(crate) fn hostile(language: Language) -> ReportData {
    let dice = &mut Dice::new(11);
    let ends = [i64::MIN, i64::MAX, -1, 0, 999_999_999_999];
    let names = NASTY.iter().map(|name| (*name).to_owned()).chain([
        "wins".to_owned(),
        "losses".to_owned(),
        "_s".to_owned(),
        "_bytes".to_owned(),
        "x_bytes".to_owned(),
        "idle_s".to_owned(),
        String::new(),
    ]);
    let counters = names.enumerate().map(|(index, name)| {
        let value = ends[index % ends.len()];
        let history = (0..120).map(|day| Point {
            date: last_day() - Days::new(day * 3),
            value: ends[(index + day as usize) % ends.len()],
        });
        Counter { name, value, history: history.collect() }
    });
    let most = Outcomes { completed: u64::MAX, failed: u64::MAX, cancelled: 1, other: u64::MAX };
    let kinds: Vec<_> = (0..40)
        .map(|index| (format!("{}{index}", "w".repeat(30)).parse().expect("a kind"), u64::MAX - index))
        .collect();
    let notes = NASTY.iter().enumerate().map(|(index, note)| RecentTask {
        id: TaskId(i64::MAX - index as i64),
        kind: "k".repeat(32).parse().expect("a kind"),
        note: Some(format!("{note} {}", "много слов ".repeat(400))),
        attempt: Attempt(u32::MAX),
        created_at: Timestamp::from_micros(i64::MIN),
        finished_at: Some(Timestamp::from_micros(i64::MAX)),
        ..task(1, dice)
    });
    ReportData {
        user: Subject {
            id: UserId(i64::MAX),
            name: Some(NASTY[11].chars().take(100).collect::<String>().parse().expect("a name")),
            email: Some(format!("{}@example.com", "я".repeat(120)).parse().expect("an address")),
            gender: Some("\u{202e}очень длинное слово, каких не бывает".parse().expect("a gender")),
            created_at: Timestamp::from_micros(i64::MAX),
        },
        avatar: Some(b"\xff\xd8\xff\xe0\x00\x10JFIF, and then nothing".to_vec()),
        counters: counters.collect(),
        activity: vec![
            Day { date: NaiveDate::MIN, outcomes: most, kinds: kinds.clone() },
            Day { date: last_day() - Days::new(2), outcomes: most, kinds: kinds.clone() },
            Day { date: last_day(), outcomes: most, kinds },
        ],
        by_kind: (0..40)
            .map(|index| KindTotal {
                kind: format!("{}{index}", "w".repeat(30)).parse().expect("a kind"),
                outcomes: most,
            })
            .collect(),
        recordings: Holding { count: u64::MAX, bytes: u64::MAX },
        images: Holding { count: u64::MAX, bytes: u64::MAX },
        storage_bytes: u64::MAX,
        storage: vec![
            Point { date: NaiveDate::MIN, value: i64::MIN },
            Point { date: last_day(), value: i64::MAX },
            Point { date: last_day() - Days::new(400), value: 0 },
            Point { date: last_day() - Days::new(40), value: i64::MAX },
        ],
        recent: notes.collect(),
        tasks_total: u64::MAX,
        ..empty(language)
    }
}

/// More of everything than there is room for.
pub(crate) fn crowded(language: Language) -> ReportData {
    let dice = &mut Dice::new(3);
    ReportData {
        counters: (0..100).map(|index| counter(&format!("counter_{index}"), index * 37, dice)).collect(),
        activity: (last_day() - Days::new(999)).iter_days().take(1000).map(|date| day(date, dice)).collect(),
        recent: (0..10_000).map(|index| task(100_000 - index, dice)).collect(),
        tasks_total: 10_000,
        ..usual(language)
    }
}
