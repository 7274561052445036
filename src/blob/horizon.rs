//! What is old enough to be swept.
//!
//! Made by [`super::Blobs::horizon`], and asked by both stores.

use std::time::{Duration, SystemTime};

/// What was put into the store longer ago than the grace, and that at an instant *before* it was asked who names it. So a
/// process that stands still between the answer and the removal, for however long, removes nothing that was kept since, and
/// named.
#[derive(Debug, Clone, Copy)]
pub struct Horizon {
    /// The grace before that instant.
    before: SystemTime,
    grace: Duration,
}

impl Horizon {
    /// The horizon as it is `now`.
    #[must_use]
    pub fn at(now: SystemTime, grace: Duration) -> Self {
        // Where time itself begins later, nothing is old.
        Self { before: now.checked_sub(grace).unwrap_or(SystemTime::UNIX_EPOCH), grace }
    }

    /// Whether what was put there at `modified` is behind it. Also by the clock as it is `now`, which may have been set back
    /// since.
    pub(super) fn has_passed(self, modified: SystemTime, now: SystemTime) -> bool {
        modified <= self.before && now.duration_since(modified).is_ok_and(|age| age >= self.grace)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn what_came_after_the_question_is_never_behind_it_and_a_clock_set_back_makes_nothing_old() {
        let then = SystemTime::now();
        let horizon = Horizon::at(then, MINUTE);
        assert!(horizon.has_passed(then - MINUTE, then));
        assert!(!horizon.has_passed(then - MINUTE / 2, then), "young");
        assert!(
            !horizon.has_passed(then + MINUTE, then + 100 * MINUTE),
            "kept after the question, and old by now"
        );
        assert!(!horizon.has_passed(then - MINUTE, then - MINUTE / 2), "the clock was wrong before");
        assert!(!Horizon::at(then, Duration::MAX).has_passed(then - MINUTE, then));
    }
}
