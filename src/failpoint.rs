//! Named instants at which a test may stop the process dead, as a power cut would.
//!
//! Only debug builds have them: in a release build [`hit`] is empty. `GRISTMILL_FAILPOINT=commit_before:3` kills
//! the process, by SIGKILL to itself, the third time that instant is reached; `run_done@7` does so when it is
//! reached for task 7. The crash tests walk through [`Failpoint::ALL`], so a new one is tested as soon as it is
//! listed.

use crate::task::TaskId;

/// An instant worth dying at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failpoint {
    /// The tracker has planned and written a group, but not committed it.
    CommitBefore,
    /// The group is committed, and nobody knows yet.
    CommitAfter,
    /// Tasks are claimed, and no runner has them yet.
    ClaimedBeforeRun,
    /// A run is done, and its outcome is not yet on its way to the tracker.
    RunDone,
    /// A blob is synced under its draft's name.
    BlobSynced,
    /// A blob is in its place, and no row names it.
    BlobMoved,
    /// A lease was renewed.
    LeaseRenewed,
    /// The drain has begun: nothing is claimed any more.
    DrainBegun,
}

impl Failpoint {
    /// Every one.
    pub const ALL: [Self; 8] = [
        Self::CommitBefore,
        Self::CommitAfter,
        Self::ClaimedBeforeRun,
        Self::RunDone,
        Self::BlobSynced,
        Self::BlobMoved,
        Self::LeaseRenewed,
        Self::DrainBegun,
    ];

    /// The name in the environment variable.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::CommitBefore => "commit_before",
            Self::CommitAfter => "commit_after",
            Self::ClaimedBeforeRun => "claimed_before_run",
            Self::RunDone => "run_done",
            Self::BlobSynced => "blob_synced",
            Self::BlobMoved => "blob_moved",
            Self::LeaseRenewed => "lease_renewed",
            Self::DrainBegun => "drain_begun",
        }
    }
}

/// Dies here when a test has asked for it.
#[inline]
pub fn hit(point: Failpoint) {
    #[cfg(debug_assertions)]
    armed::hit(point, None);
    #[cfg(not(debug_assertions))]
    let _ = point;
}

/// Dies here when a test has asked for it, for this task or for any.
#[inline]
pub fn hit_for(point: Failpoint, task: TaskId) {
    #[cfg(debug_assertions)]
    armed::hit(point, Some(task));
    #[cfg(not(debug_assertions))]
    let _ = (point, task);
}

#[cfg(debug_assertions)]
mod armed {
    use std::process::Command;
    use std::sync::LazyLock;
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::Failpoint;
    use crate::task::TaskId;

    /// What was asked for.
    struct Armed {
        name: String,
        task: Option<TaskId>,
        /// How many times it is yet to be passed unharmed.
        left: AtomicU64,
    }

    static ARMED: LazyLock<Option<Armed>> = LazyLock::new(|| {
        let asked = std::env::var("GRISTMILL_FAILPOINT").ok()?;
        let (place, nth) = asked.split_once(':').unwrap_or((&asked, "1"));
        let (name, task) = match place.split_once('@') {
            Some((name, task)) => (name, task.parse().ok()),
            None => (place, None),
        };
        let left = AtomicU64::new(nth.parse::<u64>().unwrap_or(1).saturating_sub(1));
        Some(Armed { name: name.to_owned(), task, left })
    });

    pub(super) fn hit(point: Failpoint, task: Option<TaskId>) {
        let Some(armed) = &*ARMED else { return };
        if armed.name != point.name() || (armed.task.is_some() && armed.task != task) {
            return;
        }
        let lived = armed.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        if lived.is_err() {
            // The standard library has no `kill`; `abort` would do as well but for the signal, which the tests
            // look at to tell this death from any other.
            let _ = Command::new("kill").args(["-KILL", &std::process::id().to_string()]).status();
            loop {
                std::thread::park();
            }
        }
    }
}
