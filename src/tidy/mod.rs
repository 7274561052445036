//! What is here that need not be, and removing it: tasks that ended long ago, events of tasks that are gone, blobs that no row
//! names.
//!
//! Called by the janitor of the node that cleans up for all, and by whoever runs the daemon and wants it done or wants to
//! know what would be (`gristmill gc`). What is true:
//! - What is told beforehand and what is done come from the same rules and the same look.
//! - A task is removed by the same command whoever asks, which looks again whether it ended so, and so long ago.
//! - Each step is bounded, and says whether there is more: nobody who writes waits for more than one of them.
//! - Blobs are removed in one place, [`Tidy::sweep`], and what keeps from it is asked there, whoever calls: a backup under way,
//!   a clock that was set forward, a database that never named anything, or whose rows were moved to another. A look tells it too.

mod retention;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::blob::{BlobError, Blobs, Swept};
use crate::clock::Watch;
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
    /// Whether the clock was set forward: blobs look older then than they are.
    pub watch: Watch,
    /// Where sweeps that were out of time go on.
    pub place: Place,
}

/// Up to which blob a sweep got that had no more time. Cheap to clone; clones go on with each other's.
#[derive(Debug, Clone, Default)]
pub struct Place(Arc<Mutex<Option<BlobName>>>);

impl Place {
    fn take(&self) -> Option<BlobName> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn keep(&self, last: Option<&BlobName>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = last.cloned();
    }
}

/// What keeps blobs from being swept at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Held {
    /// A backup is being made.
    Backup,
    /// The clock was set forward, less than the grace ago.
    Clock,
    /// The database never had a task, and has no user with a picture, but there are blobs: it is another's, or about to be
    /// restored.
    EmptyDatabase,
    /// The rows of the database were moved to another, which names blobs that this one does not know.
    MovedAway,
}

impl Held {
    /// What it is, and what to do about it.
    #[must_use]
    pub fn told(self) -> &'static str {
        match self {
            Self::Backup => "a backup is under way: blobs are swept after it",
            Self::Clock => {
                "the clock was set forward: blobs are swept again once their grace has really passed"
            }
            Self::EmptyDatabase => {
                "the database never had a task nor a picture, and there are blobs all the same: they are another database's, \
                 or its backup is yet to be restored; none is removed. Check database.url and blobs.url"
            }
            Self::MovedAway => {
                "the rows of this database were moved to another by gristmill migrate --to, and blobs that nothing names here \
                 are named there; none is removed. Set database.url to the other; docs/backups.md has the way back"
            }
        }
    }
}

/// What a sweep did, and what it left.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Cleared {
    /// What went.
    pub swept: Swept,
    /// What kept the rest, if anything did.
    pub held: Option<Held>,
    /// Whether its time was over before all was looked at.
    pub more: bool,
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
    /// What keeps these blobs from going now, if anything does.
    pub held: Option<Held>,
    /// Whether the time was over before all was looked at: there is at least so much.
    pub more: bool,
}

impl Tidy {
    /// So many tasks are removed in one transaction.
    pub const TASKS: u32 = 200;
    /// So many blobs are asked about in one query.
    const BLOBS: usize = 500;
    /// So many users are looked at in one query.
    const USERS: u32 = 200;
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

    /// Removes the blobs that no row names and that are older than the grace. Begins with no further ones after `until`, and
    /// the next sweep with an end goes on there. Listing the blobs is not cut short.
    ///
    /// # Errors
    /// [`TidyError`]; what was removed before is.
    pub async fn sweep(&self, until: Option<Instant>) -> Result<Cleared, TidyError> {
        let mut cleared = Cleared::default();
        if let Some(held) = self.held_before_all().await? {
            return Ok(Cleared { held: Some(held), ..cleared });
        }
        let (blobs, grace) = (self.blobs.clone(), self.grace);
        let mut candidates = blocking(move || blobs.candidates(grace)).await?;
        if !candidates.is_empty() && self.never_named().await? {
            return Ok(Cleared { held: Some(Held::EmptyDatabase), ..cleared });
        }
        if until.is_some() {
            candidates.sort_unstable();
            if let Some(last) = self.place.take() {
                candidates.drain(..candidates.partition_point(|name| *name <= last));
            }
        }
        for chunk in candidates.chunks(Self::BLOBS) {
            // Before the question: what is kept from here on is beyond it.
            let horizon = self.blobs.horizon(self.grace);
            let unreferenced = self.store.unreferenced(chunk).await?;
            // A backup that looked before a row went still has to copy what the row named. Asked in this order: a hold that
            // comes later is one of a backup that sees no such row.
            if self.store.holds_blobs().await? {
                return Ok(Cleared { held: Some(Held::Backup), ..cleared });
            }
            let blobs = self.blobs.clone();
            let removed = blocking(move || blobs.sweep(&unreferenced, horizon)).await?;
            cleared.swept.blobs += removed.blobs;
            cleared.swept.bytes += removed.bytes;
            if chunk.last() != candidates.last() && until.is_some_and(|until| Instant::now() >= until) {
                self.place.keep(chunk.last());
                return Ok(Cleared { more: true, ..cleared });
            }
        }
        Ok(cleared)
    }

    /// What keeps from a sweep whatever blobs there are.
    async fn held_before_all(&self) -> Result<Option<Held>, TidyError> {
        if self.watch.stepped_within(self.grace) {
            return Ok(Some(Held::Clock));
        }
        Ok(self.store.moved_away().await?.map(|_| Held::MovedAway))
    }

    /// Whether the database never had what names a blob. One that was restored has the number of tasks that were created.
    async fn never_named(&self) -> Result<bool, TidyError> {
        if self.store.created_total(None).await?.total > 0 {
            return Ok(false);
        }
        let mut after = None;
        loop {
            let users = self.store.users(after, Self::USERS).await?;
            if users.iter().any(|user| user.avatar.is_some()) {
                return Ok(false);
            }
            match users.last() {
                Some(last) => after = Some(last.id),
                None => return Ok(true),
            }
        }
    }

    /// What would go now, and removes nothing. Of the blobs at most `names` are named. Looks at no further ones after `until`.
    ///
    /// # Errors
    /// [`TidyError`].
    pub async fn look(&self, names: usize, until: Option<Instant>) -> Result<Found, TidyError> {
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
        found.held = match self.held_before_all().await? {
            None if candidates.is_empty() => None,
            None if self.never_named().await? => Some(Held::EmptyDatabase),
            None => self.store.holds_blobs().await?.then_some(Held::Backup),
            held @ Some(_) => held,
        };
        for chunk in candidates.chunks(Self::BLOBS) {
            let unreferenced = self.store.unreferenced(chunk).await?;
            found.blobs += unreferenced.len() as u64;
            let room = names.saturating_sub(found.names.len());
            found.names.extend(unreferenced.iter().take(room).cloned());
            let blobs = self.blobs.clone();
            found.bytes += blocking(move || blobs.bytes_of(&unreferenced)).await?;
            if chunk.last() != candidates.last() && until.is_some_and(|until| Instant::now() >= until) {
                found.more = true;
                break;
            }
        }
        Ok(found)
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, BlobError> + Send + 'static,
) -> Result<T, TidyError> {
    Ok(tokio::task::spawn_blocking(work).await.map_err(|_| TidyError::Panicked)??)
}

#[cfg(test)]
mod tests;
