//! What is here that need not be, and removing it: tasks that ended long ago, events of tasks that are gone, blobs that no row
//! names.
//!
//! Called by the janitor of the node that cleans up for all, and by whoever runs the daemon and wants it done or wants to
//! know what would be (`gristmill gc`). What is true:
//! - What is told beforehand and what is done come from the same rules and the same look.
//! - A task is removed by the same command whoever asks, which looks again whether it ended so, and so long ago.
//! - Each step is bounded, and says whether there is more: nobody who writes waits for more than one of them.
//! - Blobs are removed in one place, [`Tidy::sweep`].

mod retention;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::blob::{BlobError, Blobs, Swept};
use crate::store::{Command, Reply, Store, StoreError, WriteError, Writer};
use crate::task::{BlobName, Kind, Status, TaskId, Timestamp};

pub use retention::{Retention, Term};

/// Why it could not be done, or found out.
#[derive(Debug, thiserror::Error)]
pub enum TidyError {
    /// The blobs.
    #[error(transparent)]
    Blob(#[from] BlobError),
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The way to it.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// A bug of ours.
    #[error("its thread panicked")]
    Panicked,
}

/// Who writes.
#[derive(Clone)]
pub enum Hand {
    /// The tracker of a daemon that runs.
    Writer(Writer),
    /// Nobody else: there is no daemon here.
    Store,
}

/// The one who tidies. Cheap to clone.
#[derive(Clone)]
pub struct Tidy {
    /// What the rows say.
    pub store: Arc<dyn Store>,
    /// The blobs.
    pub blobs: Blobs,
    /// Who writes.
    pub hand: Hand,
    /// What is kept for how long.
    pub retention: Arc<Retention>,
    /// How old a blob must be that no row names.
    pub grace: Duration,
}

/// What a round of removing tasks did.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Expired {
    /// How many tasks, by kind and how they had ended.
    pub tasks: BTreeMap<(Kind, Status), u64>,
    /// Whether there is more of it.
    pub more: bool,
}

/// What may go.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// How many tasks, by kind and how they ended.
    pub tasks: BTreeMap<(Kind, Status), u64>,
    /// Blobs that no row names.
    pub blobs: u64,
    /// What they hold.
    pub bytes: u64,
    /// The first of them.
    pub names: Vec<BlobName>,
}

impl Tidy {
    /// So many tasks are removed in one transaction.
    pub const TASKS: u32 = 200;
    /// So many blobs are asked about in one query.
    const BLOBS: usize = 500;
    /// The events of so many tasks are forgotten in one transaction.
    const EVENTS: u32 = 200;

    /// Removes tasks whose time is over: of each kind and end one transaction's worth.
    ///
    /// # Errors
    /// [`TidyError`]; what was removed before is.
    pub async fn expire(&self) -> Result<Expired, TidyError> {
        let mut expired = Expired::default();
        if self.retention.terms().next().is_none() {
            return Ok(expired);
        }
        let now = self.store.now().await?;
        for Term { kind, status, keep } in self.retention.terms() {
            let before = now.before(*keep);
            let found = self.store.ended(kind, *status, before, Self::TASKS).await?;
            if found.is_empty() {
                continue;
            }
            let full = found.len() == Self::TASKS as usize;
            let removed = self.remove(found, *status, before).await?;
            *expired.tasks.entry((kind.clone(), *status)).or_default() += u64::from(removed);
            // What cannot be removed must not keep anybody at it for ever.
            expired.more |= full && removed > 0;
        }
        Ok(expired)
    }

    async fn remove(&self, tasks: Vec<TaskId>, status: Status, before: Timestamp) -> Result<u32, TidyError> {
        match &self.hand {
            Hand::Writer(writer) => Ok(writer.expire(tasks, status, before).await?.tasks),
            Hand::Store => {
                let mut committed = self.store.commit(&[Command::Expire { tasks, status, before }]).await?;
                match committed.replies.pop() {
                    Some(Ok(Reply::Purged(purged))) => Ok(purged.tasks),
                    Some(Err(error)) => Err(error.into()),
                    Some(Ok(_)) | None => unreachable!("the plan gave the reply of another command"),
                }
            }
        }
    }

    /// Forgets events of tasks that were removed long ago; whether there is more of it. `relayed`: while they are told to a
    /// broker, not before that was done.
    ///
    /// # Errors
    /// [`TidyError::Store`].
    pub async fn forget_events(&self, relayed: bool) -> Result<bool, TidyError> {
        let Some(keep) = self.retention.events() else { return Ok(false) };
        let before = self.store.now().await?.before(keep);
        let tasks = self.store.forget_events(before, relayed, Self::EVENTS).await?;
        Ok(tasks == u64::from(Self::EVENTS))
    }

    /// Removes the blobs that no row names and that are older than the grace.
    ///
    /// # Errors
    /// [`TidyError`]; what was removed before is.
    pub async fn sweep(&self) -> Result<Swept, TidyError> {
        let mut swept = Swept::default();
        let (blobs, grace) = (self.blobs.clone(), self.grace);
        let candidates = blocking(move || blobs.candidates(grace)).await?;
        for chunk in candidates.chunks(Self::BLOBS) {
            let unreferenced = self.store.unreferenced(chunk).await?;
            // A backup that looked before a row went still has to copy what the row named. Asked in this order: a hold that
            // comes later is one of a backup that sees no such row.
            if self.store.holds_blobs().await? {
                tracing::debug!("a backup is under way: blobs are swept after it");
                break;
            }
            let (blobs, grace) = (self.blobs.clone(), self.grace);
            let removed = blocking(move || blobs.sweep(&unreferenced, grace)).await?;
            swept.blobs += removed.blobs;
            swept.bytes += removed.bytes;
        }
        Ok(swept)
    }

    /// What would go now, and removes nothing. Of the blobs at most `names` are named.
    ///
    /// # Errors
    /// [`TidyError`].
    pub async fn look(&self, names: usize) -> Result<Found, TidyError> {
        let mut found = Found::default();
        let now = self.store.now().await?;
        for Term { kind, status, keep } in self.retention.terms() {
            let tasks = self.store.count_ended(kind, *status, now.before(*keep)).await?;
            if tasks > 0 {
                found.tasks.insert((kind.clone(), *status), tasks);
            }
        }
        let (blobs, grace) = (self.blobs.clone(), self.grace);
        let candidates = blocking(move || blobs.candidates_seen(grace)).await?;
        for chunk in candidates.chunks(Self::BLOBS) {
            let unreferenced = self.store.unreferenced(chunk).await?;
            found.blobs += unreferenced.len() as u64;
            let room = names.saturating_sub(found.names.len());
            found.names.extend(unreferenced.iter().take(room).cloned());
            let blobs = self.blobs.clone();
            found.bytes += blocking(move || blobs.bytes_of(&unreferenced)).await?;
        }
        Ok(found)
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, BlobError> + Send + 'static,
) -> Result<T, TidyError> {
    Ok(tokio::task::spawn_blocking(work).await.map_err(|_| TidyError::Panicked)??)
}
