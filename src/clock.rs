//! Time as an input: the only place that asks the system what time it is.
//!
//! The store asks the [`Clock`] (on SQLite) or the database's own clock moved by [`Clock::shift`] (on
//! PostgreSQL, where nodes must agree), so a test that advances the clock moves both.
//!
//! True of the clock: it never goes back by a little. The system's clock does when somebody, or a time server, sets it; then
//! this one goes on at half the pace until the system's has caught up, so that nothing that is due in five seconds waits for an
//! hour. A step back by more than [`Clock::ABSORBED`] is followed at once: it undoes a time that was wrong altogether. Steps
//! forward are followed at once.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};

use crate::task::Timestamp;

/// A clock, cheap to clone; clones advance together.
#[derive(Debug, Clone, Default)]
pub struct Clock {
    inner: Arc<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    shift_micros: AtomicI64,
    /// What was told last, in microseconds, and when that was.
    told: Mutex<Option<(i64, Instant)>>,
}

impl Clock {
    /// The longest step back that is not followed: what a confusion of time zones makes, and more than any time server
    /// corrects in one go.
    pub const ABSORBED: Duration = Duration::from_secs(2 * 3600);

    /// The system's clock.
    #[must_use]
    pub fn system() -> Self {
        Self::default()
    }

    /// The time now.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        let mut told = self.inner.told.lock().unwrap_or_else(PoisonError::into_inner);
        let (wall, instant) = (self.wall(), Instant::now());
        let now = steady(wall, told.map(|(last, at)| (last, instant.saturating_duration_since(at))));
        *told = Some((now, instant));
        Timestamp::from_micros(now)
    }

    /// What the system says, steps back and all: for what several processes write and compare, of which each makes up for a
    /// step back by itself, or does not know of it.
    #[must_use]
    pub fn unsteady(&self) -> Timestamp {
        Timestamp::from_micros(self.wall())
    }

    /// What the system says, in microseconds, steps and all.
    fn wall(&self) -> i64 {
        Utc::now().timestamp_micros().saturating_add(self.shift())
    }

    /// The time now, as the health board writes it.
    #[must_use]
    pub fn utc(&self) -> DateTime<Utc> {
        DateTime::from_timestamp_micros(self.now().as_micros()).unwrap_or_default()
    }

    /// Moves this clock and all its clones forward: for tests that would otherwise have to wait.
    pub fn advance(&self, by: Duration) {
        self.inner.shift_micros.fetch_add(micros(by), Ordering::SeqCst);
    }

    /// Moves the system's clock back, as this one sees it: for tests.
    pub fn set_back(&self, by: Duration) {
        self.inner.shift_micros.fetch_sub(micros(by), Ordering::SeqCst);
    }

    /// How far it was moved, in microseconds.
    #[must_use]
    pub fn shift(&self) -> i64 {
        self.inner.shift_micros.load(Ordering::SeqCst)
    }

    /// One who sees whether the system's clock was set forward.
    #[must_use]
    pub fn watch(&self) -> Watch {
        let seen = Arc::new(Mutex::new(Seen { at: (self.wall(), Instant::now()), stepped: None }));
        Watch { clock: self.clone(), seen }
    }
}

/// Sees whether the system's clock was set forward: what looks old then may not be. Cheap to clone; what one clone sees, all
/// know.
#[derive(Debug, Clone)]
pub struct Watch {
    clock: Clock,
    seen: Arc<Mutex<Seen>>,
}

#[derive(Debug)]
struct Seen {
    at: (i64, Instant),
    stepped: Option<Instant>,
}

impl Watch {
    /// What is no step yet: a clock that is drawn along, a machine that stood still for a moment.
    const TOLERANCE: Duration = Duration::from_secs(30);

    /// Whether the clock was set forward within that time before now, as far as was looked.
    #[must_use]
    pub fn stepped_within(&self, span: Duration) -> bool {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let (wall, instant) = (self.clock.wall(), Instant::now());
        let (last, at) = seen.at;
        let beyond = wall.saturating_sub(last).saturating_sub(micros(instant.saturating_duration_since(at)));
        if beyond > micros(Self::TOLERANCE) {
            seen.stepped = Some(instant);
        }
        seen.at = (wall, instant);
        seen.stepped.is_some_and(|stepped| instant.saturating_duration_since(stepped) < span)
    }
}

/// The time to tell when the system says `wall`, so long after another time was told.
fn steady(wall: i64, last: Option<(i64, Duration)>) -> i64 {
    let Some((last, since)) = last else { return wall };
    let least = last.saturating_add(micros(since) / 2);
    if least.saturating_sub(wall) > micros(Clock::ABSORBED) { wall } else { wall.max(least) }
}

fn micros(span: Duration) -> i64 {
    i64::try_from(span.as_micros()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000;

    #[test]
    fn a_step_back_is_made_up_for_at_half_the_pace_and_a_step_forward_is_followed() {
        let after = |seconds| Duration::from_secs(seconds);
        assert_eq!(steady(5, None), 5);
        // As usual, drawn back a little, and set forward.
        assert_eq!(steady(110 * SECOND, Some((100 * SECOND, after(10)))), 110 * SECOND);
        assert_eq!(steady(109 * SECOND, Some((100 * SECOND, after(10)))), 109 * SECOND);
        assert_eq!(steady(9_000 * SECOND, Some((100 * SECOND, after(10)))), 9_000 * SECOND);
        // An hour back: 5 s are over after 10, and after two hours the two are one.
        let (last, back) = (10_000 * SECOND, 6_400 * SECOND);
        assert_eq!(steady(back + 10 * SECOND, Some((last, after(10)))), last + 5 * SECOND);
        assert_eq!(steady(back + 7_200 * SECOND, Some((last, after(7_200)))), last + 3_600 * SECOND);
        assert_eq!(steady(back + 7_201 * SECOND, Some((last, after(7_201)))), back + 7_201 * SECOND);
        // What was wrong altogether.
        assert_eq!(steady(100 * SECOND, Some((10_000 * SECOND, after(1)))), 100 * SECOND);
    }

    #[test]
    fn a_clock_that_is_set_back_goes_on() {
        let clock = Clock::system();
        let before = clock.now();
        clock.set_back(Duration::from_secs(3_600));
        let after = clock.now();
        assert!(after >= before && after < before.after(Duration::from_secs(60)), "{before} {after}");
        clock.set_back(Duration::from_secs(24 * 3_600));
        assert!(clock.now() < before.before(Duration::from_secs(24 * 3_600)));
    }

    #[test]
    fn who_watches_sees_a_step_forward_for_a_while_and_no_other() {
        let (clock, hour) = (Clock::system(), Duration::from_secs(3_600));
        let watch = clock.watch();
        assert!(!watch.stepped_within(hour));
        clock.set_back(hour);
        assert!(!watch.stepped_within(hour));
        clock.advance(hour);
        assert!(watch.stepped_within(hour));
        assert!(watch.stepped_within(hour), "not only once");
        assert!(!watch.stepped_within(Duration::ZERO));
    }
}
