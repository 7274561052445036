//! What happened, minute by minute, and what follows from it: rates, and how long tasks waited and ran.
//!
//! A statistic: each process counts for itself and writes its counts every few seconds, so a crash takes some seconds of them
//! along. Durations are kept as how many were within each of the bounds that the metrics have too.

use std::time::Duration;

use crate::task::{Kind, Timestamp};
use crate::telemetry::metrics::RUN_SECONDS;

/// The length of what is counted together.
const MINUTE: Duration = Duration::from_secs(60);

/// How long something about a task took that a commit ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    /// Of which kind the task is.
    pub kind: Kind,
    /// What it was.
    pub stretch: Stretch,
    /// How long.
    pub took: Duration,
    /// When it ended.
    pub at: Timestamp,
}

/// A part of a task's life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stretch {
    /// From when it could have started to its start.
    Wait,
    /// From its start to the end of that try; not one that was given back, or whose worker was lost.
    Run,
}

/// Durations, by how many were within which bound. Cheap to add up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Spread {
    /// For each of [`Spread::BOUNDS`] those within it and not within the one before; at last those beyond all.
    counts: [u64; RUN_SECONDS.len() + 1],
}

impl Spread {
    /// The upper bounds, in seconds, ascending.
    pub const BOUNDS: &'static [f64] = RUN_SECONDS;

    /// One more.
    pub fn add(&mut self, took: Duration) {
        let seconds = took.as_secs_f64();
        let place = Self::BOUNDS.iter().take_while(|bound| seconds > **bound).count();
        if let Some(count) = self.counts.get_mut(place) {
            *count += 1;
        }
    }

    /// All of another.
    pub fn merge(&mut self, other: &Self) {
        self.counts.iter_mut().zip(other.counts).for_each(|(count, more)| *count += more);
    }

    /// How many there are.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// How many are within each bound and not within the one before; at last those beyond all.
    #[must_use]
    pub fn counts(&self) -> &[u64] {
        &self.counts
    }

    /// Of counts as they are kept; `None` when they are for other bounds.
    pub(in crate::store) fn of(counts: &[u64]) -> Option<Self> {
        Some(Self { counts: counts.try_into().ok()? })
    }

    /// Within how many seconds that part (0 to 1) of all was, estimated between two bounds; `None` when there are none. What is
    /// beyond the last bound counts as that.
    #[must_use]
    pub fn quantile(&self, part: f64) -> Option<f64> {
        let total = self.total();
        if total == 0 {
            return None;
        }
        let wanted = part.clamp(0.0, 1.0) * total as f64;
        let (mut below, mut low) = (0.0, 0.0);
        for (bound, count) in Self::BOUNDS.iter().zip(self.counts) {
            let count = count as f64;
            if count > 0.0 && below + count >= wanted {
                return Some(low + (bound - low) * ((wanted - below) / count).clamp(0.0, 1.0));
            }
            below += count;
            low = *bound;
        }
        Some(low)
    }
}

/// What happened to the tasks of a kind within a minute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MinuteCounts {
    /// Tasks accepted.
    pub created: u64,
    /// Tasks done.
    pub completed: u64,
    /// Tasks that ended without success.
    pub failed: u64,
    /// Tasks stopped by somebody's wish.
    pub cancelled: u64,
    /// Tries that ended with another to come, and tasks that somebody made ready again.
    pub retried: u64,
    /// How long tasks waited that started.
    pub waits: Spread,
    /// How long tries took that ended.
    pub runs: Spread,
}

impl MinuteCounts {
    /// Adds all of another.
    pub fn merge(&mut self, other: &Self) {
        self.created += other.created;
        self.completed += other.completed;
        self.failed += other.failed;
        self.cancelled += other.cancelled;
        self.retried += other.retried;
        self.waits.merge(&other.waits);
        self.runs.merge(&other.runs);
    }
}

/// A minute of a kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Minute {
    /// Of which kind.
    pub kind: Kind,
    /// When it began.
    pub from: Timestamp,
    /// What happened.
    pub counts: MinuteCounts,
}

/// The number of the minute in which that was, from 1970-01-01.
#[must_use]
pub fn minute_of(at: Timestamp) -> i64 {
    at.as_micros().div_euclid(60_000_000)
}

/// When that minute began.
#[must_use]
pub fn start_of(minute: i64) -> Timestamp {
    Timestamp::from_micros(minute.saturating_mul(60_000_000))
}

/// Something per minute, over the last 1, 5 and 60 minutes.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Rates {
    /// Over the last minute.
    pub one: f64,
    /// Over the last five.
    pub five: f64,
    /// Over the last hour.
    pub hour: f64,
}

/// How a kind has done lately.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Trend {
    /// Tasks accepted.
    pub created: Rates,
    /// Tasks done.
    pub completed: Rates,
    /// Tasks that ended without success.
    pub failed: Rates,
    /// Tries with another to come.
    pub retried: Rates,
    /// How long tasks waited, over the last hour.
    pub waits: Spread,
    /// How long tries took, over the last hour.
    pub runs: Spread,
}

impl Trend {
    /// The trend of `kind` at `now`, of a history that goes back an hour.
    #[must_use]
    pub fn of(history: &[Minute], kind: &Kind, now: Timestamp) -> Self {
        let mut trend = Self::default();
        for minute in history.iter().filter(|minute| minute.kind == *kind) {
            let age = now.since(minute.from);
            if age > MINUTE * 60 {
                continue;
            }
            trend.waits.merge(&minute.counts.waits);
            trend.runs.merge(&minute.counts.runs);
            let counts = &minute.counts;
            for (rates, count) in [
                (&mut trend.created, counts.created),
                (&mut trend.completed, counts.completed),
                (&mut trend.failed, counts.failed),
                (&mut trend.retried, counts.retried),
            ] {
                rates.one += share(age, 1) * count as f64;
                rates.five += share(age, 5) * count as f64 / 5.0;
                rates.hour += share(age, 60) * count as f64 / 60.0;
            }
        }
        trend
    }
}

/// Which part of a minute that began `age` ago is within the last `window` minutes, as if its events were spread evenly.
fn share(age: Duration, window: u32) -> f64 {
    let over = age.saturating_sub(MINUTE * window).as_secs_f64();
    (1.0 - over / MINUTE.as_secs_f64()).max(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spread(millis: &[u64]) -> Spread {
        let mut spread = Spread::default();
        millis.iter().for_each(|millis| spread.add(Duration::from_millis(*millis)));
        spread
    }

    #[test]
    fn a_spread_counts_by_bounds_that_include_their_own_value() {
        let spread = spread(&[0, 1, 2, 3_600_000, 3_600_001]);
        assert_eq!(spread.total(), 5);
        assert_eq!((spread.counts()[0], spread.counts()[1]), (2, 1));
        assert_eq!(spread.counts()[Spread::BOUNDS.len() - 1..], [1, 1]);
        assert_eq!(Spread::of(spread.counts()), Some(spread));
        assert_eq!(Spread::of(&[1, 2]), None);
    }

    #[test]
    fn a_quantile_lies_between_the_bounds_where_the_durations_are() {
        assert_eq!(Spread::default().quantile(0.5), None);
        let even = spread(&[600, 700, 800, 900]);
        for (part, expected) in [(0.0, 0.5), (0.5, 0.75), (1.0, 1.0)] {
            assert_eq!(even.quantile(part), Some(expected), "{part}");
        }
        let mixed = spread(&[5, 5, 5, 5, 5, 5, 5, 5, 5, 20_000]);
        assert!(mixed.quantile(0.5).unwrap() <= 0.01);
        assert!((10.0..=30.0).contains(&mixed.quantile(0.95).unwrap()));
        assert_eq!(spread(&[9_000_000]).quantile(0.5), Some(3600.0), "no more is known");
    }

    #[test]
    fn rates_are_of_the_last_minutes_and_forget_bit_by_bit() {
        let kind: Kind = "noop".parse().unwrap();
        let start = start_of(1_000_000);
        let counts = MinuteCounts { completed: 60, ..MinuteCounts::default() };
        let history = [Minute { kind: kind.clone(), from: start, counts }];
        let rates =
            |seconds: u64| Trend::of(&history, &kind, start.after(Duration::from_secs(seconds))).completed;
        assert_eq!(rates(30), Rates { one: 60.0, five: 12.0, hour: 1.0 });
        assert_eq!(rates(90), Rates { one: 30.0, five: 12.0, hour: 1.0 }, "half of it is over a minute ago");
        assert_eq!(rates(120), Rates { one: 0.0, five: 12.0, hour: 1.0 });
        assert_eq!(rates(330), Rates { one: 0.0, five: 6.0, hour: 1.0 });
        assert_eq!(rates(3_700), Rates::default());
        let other: Kind = "image".parse().unwrap();
        assert_eq!(Trend::of(&history, &other, start), Trend::default());
    }

    #[test]
    fn a_minute_begins_where_its_number_says() {
        let at = Timestamp::from_micros(1_700_000_000_123_456);
        let start = start_of(minute_of(at));
        assert!(start <= at && at.since(start) < MINUTE);
        assert_eq!(minute_of(start), minute_of(at));
    }
}
