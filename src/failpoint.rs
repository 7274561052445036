//! Named instants at which a test may stop the process dead, as a power cut would, or freeze it.
//!
//! Only debug builds have them: in a release build [`hit`] is empty. The variable `GRISTMILL_FAILPOINT` says where,
//! and when: `commit_before:3` kills the process, by SIGKILL to itself, the third time that instant is reached;
//! `run_done@7` when it is reached for task 7; `run_done=STOP` freezes the process there once, until SIGCONT;
//! `commit_before=HANG` lets the thread that comes there, and no other, wait for ever. The crash tests walk through [`Failpoint::ALL`], so a new one is tested as soon as it is listed.

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
    /// The tasks of a batch of messages are committed, and the broker does not know yet.
    InboxBeforeAck,
    /// The broker has a page of events, and how far the relay is was not noted yet.
    RelayBeforeNote,
    /// Questions are saved, and the run that drew them does not know yet.
    QuestionsSaved,
    /// The rows of a backup are in their place, and no blob was looked at yet.
    BackupRowsPut,
    /// A blob was copied to where backups lie.
    BackupBlobCopied,
    /// All of a backup is in its place but its manifest.
    BackupBeforeManifest,
    /// A restore has put in the blobs, and no row.
    RestoreBlobsPut,
    /// A restore has put in all rows, and committed none.
    RestoreRowsPut,
}

impl Failpoint {
    /// Every one that is reached with a broker only.
    pub const WITH_A_BROKER: [Self; 2] = [Self::InboxBeforeAck, Self::RelayBeforeNote];

    /// Every one that is reached by a task of kind `quiz` only.
    pub const IN_A_QUIZ: [Self; 1] = [Self::QuestionsSaved];

    /// Every one that is reached by a backup.
    pub const IN_A_BACKUP: [Self; 3] =
        [Self::BackupRowsPut, Self::BackupBlobCopied, Self::BackupBeforeManifest];

    /// Every one that is reached by a restore.
    pub const IN_A_RESTORE: [Self; 2] = [Self::RestoreBlobsPut, Self::RestoreRowsPut];

    /// Every other one.
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
            Self::InboxBeforeAck => "inbox_before_ack",
            Self::RelayBeforeNote => "relay_before_note",
            Self::QuestionsSaved => "questions_saved",
            Self::BackupRowsPut => "backup_rows_put",
            Self::BackupBlobCopied => "backup_blob_copied",
            Self::BackupBeforeManifest => "backup_before_manifest",
            Self::RestoreBlobsPut => "restore_blobs_put",
            Self::RestoreRowsPut => "restore_rows_put",
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
    use std::time::Duration;

    use super::Failpoint;
    use crate::task::TaskId;

    /// What was asked for.
    struct Armed {
        name: String,
        task: Option<TaskId>,
        /// Which time it is reached.
        nth: u64,
        deed: Deed,
        reached: AtomicU64,
    }

    /// What happens there.
    #[derive(Clone, Copy)]
    enum Deed {
        Die,
        /// The process stands still.
        Freeze,
        /// The thread does.
        Hang,
    }

    static ARMED: LazyLock<Option<Armed>> = LazyLock::new(|| {
        let asked = std::env::var("GRISTMILL_FAILPOINT").ok()?;
        let (place, deed) = match asked.split_once('=') {
            Some((place, "STOP")) => (place, Deed::Freeze),
            Some((place, "HANG")) => (place, Deed::Hang),
            Some(_) | None => (&*asked, Deed::Die),
        };
        let (place, nth) = place.split_once(':').unwrap_or((place, "1"));
        let (name, task) = match place.split_once('@') {
            Some((name, task)) => (name, task.parse().ok()),
            None => (place, None),
        };
        let nth = nth.parse().unwrap_or(1);
        Some(Armed { name: name.to_owned(), task, nth, deed, reached: AtomicU64::new(0) })
    });

    pub(super) fn hit(point: Failpoint, task: Option<TaskId>) {
        let Some(armed) = &*ARMED else { return };
        if armed.name != point.name() || (armed.task.is_some() && armed.task != task) {
            return;
        }
        let reached = armed.reached.fetch_add(1, Ordering::SeqCst) + 1;
        match armed.deed {
            Deed::Freeze if reached == armed.nth => {
                signal("-STOP");
                // It takes effect when some thread gets round to it, and this one must not go on before.
                std::thread::sleep(Duration::from_millis(500));
            }
            Deed::Die if reached >= armed.nth => {
                signal("-KILL");
                // Nobody passes here any more, however long the signal takes.
                hang()
            }
            Deed::Hang if reached == armed.nth => hang(),
            Deed::Freeze | Deed::Die | Deed::Hang => {}
        }
    }

    fn hang() -> ! {
        loop {
            std::thread::park();
        }
    }

    /// Sends this process a signal. The standard library has no `kill`; `abort` would do as well but for the
    /// signal, which the tests look at to tell this death from any other.
    fn signal(name: &str) {
        let _ = Command::new("kill").args([name, &std::process::id().to_string()]).status();
    }
}
