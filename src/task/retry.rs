//! When a failed try is tried again.

use std::time::Duration;

use super::{Attempt, TaskId};

/// Exponential back-off with jitter, as a pure function of the task and its attempt.
///
/// The n-th failure waits between half and all of `base · 2^(n-1)`, at most `cap` ("equal jitter"). The jitter
/// is drawn from the task's id and attempt, not from a generator: the answer can be tested, and tasks that
/// failed together still spread out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// The longest wait after the first failure.
    pub base: Duration,
    /// The longest wait ever.
    pub cap: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { base: Duration::from_secs(1), cap: Duration::from_secs(600) }
    }
}

impl Backoff {
    /// How long the task waits after its `failures`-th failure, which was `attempt`.
    #[must_use]
    pub fn wait(&self, task: TaskId, attempt: Attempt, failures: u32) -> Duration {
        let doublings = failures.saturating_sub(1).min(63);
        let full = self.base.as_micros().saturating_mul(1 << doublings).min(self.cap.as_micros());
        let full = u64::try_from(full).unwrap_or(u64::MAX);
        let half = full / 2;
        let spread = full - half;
        let draw = splitmix64(task.0.cast_unsigned() ^ (u64::from(attempt.0) << 40));
        Duration::from_micros(half + draw % (spread + 1))
    }
}

/// SplitMix64's output function (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", 2014).
fn splitmix64(seed: u64) -> u64 {
    let mut z = seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: Backoff = Backoff { base: Duration::from_secs(1), cap: Duration::from_secs(60) };

    #[test]
    fn each_failure_doubles_the_wait_up_to_the_cap() {
        for (failures, longest) in [(1, 1), (2, 2), (3, 4), (6, 32), (7, 60), (8, 60), (u32::MAX, 60)] {
            for task in 1..200 {
                let wait = POLICY.wait(TaskId(task), Attempt(failures), failures);
                let longest = Duration::from_secs(longest);
                assert!(
                    wait >= longest / 2 && wait <= longest,
                    "failure {failures} of task {task}: {wait:?}"
                );
            }
        }
    }

    #[test]
    fn tasks_that_failed_together_do_not_come_back_together() {
        let waits: std::collections::BTreeSet<_> =
            (1..=100).map(|task| POLICY.wait(TaskId(task), Attempt(1), 1)).collect();
        assert!(waits.len() > 95, "{} distinct waits of 100", waits.len());
    }
}
