//! The circuit breaker of a service: whether it is asked at all.
//!
//! Held by `upstream.rs`, which lets one request through at a time; so the probe of a half-open breaker is alone.

use std::time::Duration;

use tokio::time::Instant;

use super::source::Trouble;
use crate::telemetry::metrics::QuizBreaker;

/// A breaker.
#[derive(Debug, Clone)]
pub(super) struct Breaker {
    /// So many failures in a row open it.
    most: u32,
    /// For so long.
    pause: Duration,
    state: State,
    /// Failures since the last success, and the last of them.
    failures: u32,
    last: Option<Trouble>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Closed,
    Open { until: Instant },
    HalfOpen,
}

impl Breaker {
    /// A closed one.
    pub(super) fn new(most: u32, pause: Duration) -> Self {
        Self { most, pause, state: State::Closed, failures: 0, last: None }
    }

    /// What went wrong last, when something did since the last success.
    pub(super) fn last(&self) -> Option<&Trouble> {
        self.last.as_ref()
    }

    /// How long nobody may ask yet; `None` when somebody may.
    pub(super) fn shut(&self, now: Instant) -> Option<Duration> {
        match self.state {
            State::Open { until } if until > now => Some(until - now),
            State::Open { .. } | State::Closed | State::HalfOpen => None,
        }
    }

    /// A request goes out: an open breaker whose time is over is half open from now on. A request of which nobody says
    /// how it ended leaves it so, and the next one finds out.
    pub(super) fn asks(&mut self) {
        if let State::Open { .. } = self.state {
            self.state = State::HalfOpen;
        }
    }

    /// A request was answered.
    pub(super) fn succeeded(&mut self) {
        self.state = State::Closed;
        self.failures = 0;
        self.last = None;
    }

    /// A request failed. Tells how many did in a row.
    pub(super) fn failed(&mut self, now: Instant, trouble: &Trouble) -> u32 {
        self.last = Some(trouble.clone());
        self.failures = self.failures.saturating_add(1);
        if self.state == State::HalfOpen || self.failures >= self.most {
            self.state = State::Open { until: now + self.pause };
        }
        self.failures
    }

    /// As it is shown.
    pub(super) fn shown(&self) -> QuizBreaker {
        match self.state {
            State::Closed => QuizBreaker::Closed,
            State::HalfOpen => QuizBreaker::HalfOpen,
            State::Open { .. } => QuizBreaker::Open,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAUSE: Duration = Duration::from_secs(60);

    fn failing(breaker: &mut Breaker, times: u32, now: Instant) {
        for _ in 0..times {
            breaker.asks();
            breaker.failed(now, &Trouble::Refused { status: 404 });
        }
    }

    #[test]
    fn failures_in_a_row_open_it_and_a_success_between_them_does_not() {
        let (mut breaker, now) = (Breaker::new(3, PAUSE), Instant::now());
        failing(&mut breaker, 2, now);
        breaker.succeeded();
        failing(&mut breaker, 2, now);
        assert_eq!((breaker.shut(now), breaker.shown()), (None, QuizBreaker::Closed));
        failing(&mut breaker, 1, now);
        assert_eq!((breaker.shut(now), breaker.shown()), (Some(PAUSE), QuizBreaker::Open));
    }

    #[test]
    fn one_request_finds_out_whether_it_may_close() {
        let (mut breaker, now) = (Breaker::new(1, PAUSE), Instant::now());
        failing(&mut breaker, 1, now);
        let later = now + PAUSE;
        assert_eq!(breaker.shut(later - Duration::from_millis(1)), Some(Duration::from_millis(1)));
        assert_eq!(breaker.shut(later), None);
        breaker.asks();
        assert_eq!(breaker.shown(), QuizBreaker::HalfOpen);
        breaker.failed(later, &Trouble::Refused { status: 404 });
        assert_eq!(breaker.shut(later), Some(PAUSE), "one failure of the probe is enough");
        let last = later + PAUSE;
        breaker.asks();
        breaker.succeeded();
        assert_eq!((breaker.shut(last), breaker.shown()), (None, QuizBreaker::Closed));
    }

    #[test]
    fn a_probe_that_nobody_tells_the_end_of_keeps_nobody_out() {
        let (mut breaker, now) = (Breaker::new(1, PAUSE), Instant::now());
        failing(&mut breaker, 1, now);
        breaker.asks();
        assert_eq!(breaker.shut(now + PAUSE), None);
    }
}
