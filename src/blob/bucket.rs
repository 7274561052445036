//! The bucket: a blob is one or more objects `prefix/ab/cdef…/<window>`, each the whole of its bytes.
//!
//! Used by `mod.rs` and `reader.rs`. Nodes that share a bucket cannot rename in it, nor remove an object only if it is
//! still the one that they looked at: a removal may take effect after somebody else has put the same bytes there anew
//! and named them. So the key of a copy ends with the ten minutes in which it was begun, and:
//! - A key is written only while its window lasts, and by an upload that ends in time or is given up.
//! - A copy is removed only when it is older than the grace, which is longer than both together, and either nobody
//!   names the blob or a younger copy of it is there.
//! - So whoever keeps a blob writes a key that no sweep may touch before it is old, and a removal that is late removes
//!   what nobody writes any more. `docs/adr/0009-blobs-in-a-bucket.md` has the sum.
//!
//! The library that speaks S3 is asynchronous; it runs on one thread of its own, and callers wait for it on theirs.

mod files;

use std::fmt;
use std::future::Future;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures_util::{StreamExt, TryStreamExt, stream};
use object_store::aws::AmazonS3;
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt};
use tokio::runtime::Runtime;
use tokio::time::error::Elapsed;
use tokio::time::timeout;
use uuid::Uuid;

use super::bucket_settings;
use super::draft::Draft;
use super::horizon::Horizon;
use super::pins::{Kept, Pins};
use super::upload::Upload;
use super::{BlobError, Swept};
use crate::clock::Clock;
use crate::config::BlobSettings;
use crate::failpoint::{self, Failpoint};
use crate::task::BlobName;

/// Within so many seconds, equal bytes are one object.
const WINDOW: i64 = 600;

/// So many requests of a sweep are under way at once.
const AT_ONCE: usize = 8;

/// As long as the store answered well so recently, a probe does not ask it again: every request is paid for.
const FRESH: Duration = Duration::from_secs(30);

/// A bucket of blobs.
pub(super) struct Bucket {
    store: AmazonS3,
    /// `Some` until this is dropped.
    runtime: Option<Runtime>,
    prefix: Path,
    /// As the settings name it.
    shown: String,
    /// The longest that a call of few bytes may take, all attempts together.
    patience: Duration,
    upload: Upload,
    clock: Clock,
    /// When the store last answered a probe.
    good: Mutex<Option<Instant>>,
}

/// One object of a blob.
#[derive(Debug, Clone)]
pub(super) struct Copy {
    place: Path,
    bytes: u64,
    modified: DateTime<Utc>,
}

impl Copy {
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    fn is_behind(&self, horizon: Horizon, now: SystemTime) -> bool {
        horizon.has_passed(self.modified.into(), now)
    }
}

impl From<ObjectMeta> for Copy {
    fn from(object: ObjectMeta) -> Self {
        Self { place: object.location, bytes: object.size, modified: object.last_modified }
    }
}

impl Bucket {
    /// Makes ready what is needed to speak to the bucket; asks it nothing.
    pub(super) fn open(
        settings: &BlobSettings,
        bucket: &str,
        prefix: &str,
        clock: Clock,
    ) -> Result<Self, BlobError> {
        let (store, patience) = bucket_settings::store(settings, bucket)?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("bucket")
            .enable_all()
            .build();
        let runtime = runtime.map_err(|source| BlobError::Io {
            doing: "cannot start",
            path: "the thread of the bucket".to_owned(),
            source,
        })?;
        Ok(Self {
            store,
            runtime: Some(runtime),
            prefix: Path::from(prefix),
            shown: settings.url.to_string(),
            patience,
            upload: Upload::new(patience),
            clock,
            good: Mutex::default(),
        })
    }

    /// Uploads a draft.
    pub(super) fn keep(&self, draft: &Draft, name: BlobName, pins: &Arc<Pins>) -> Result<Kept, BlobError> {
        let kept = pins.pin(&mut pins.lock(), name, draft.len());
        failpoint::hit(Failpoint::BlobSynced);
        let now = self.clock.unsteady().as_micros().div_euclid(1_000_000);
        let window = now.div_euclid(WINDOW) * WINDOW;
        // In digits of one length, so that the order of keys is that of time.
        let place = self.folder(&kept.name).join(format!("{window:012}"));
        self.block_on(self.upload.run(&self.store, &place, draft))
            .map_err(|reason| self.unavailable("cannot keep blob", kept.name.as_str(), reason))?;
        failpoint::hit(Failpoint::BlobMoved);
        Ok(kept)
    }

    /// The youngest copy of the blob: the one that is removed last, so that it may only be gone later because nobody
    /// names the blob or a still younger one is there.
    pub(super) fn find(&self, name: &BlobName) -> Result<Copy, BlobError> {
        let copies = self.ask("cannot find blob", name.as_str(), self.copies(name))?;
        let youngest = copies.into_iter().max_by(|one, other| one.place.cmp(&other.place));
        youngest.ok_or_else(|| BlobError::Missing(name.clone()))
    }

    /// Bytes of a copy; `None` when it is gone.
    pub(super) fn fetch(&self, copy: &Copy, range: Range<u64>) -> Result<Option<Bytes>, BlobError> {
        let asked = range.end - range.start;
        let fetched = self.block_on(self.in_time(self.store.get_range(&copy.place, range)));
        let (doing, what) = ("cannot read", copy.place.as_ref());
        match fetched {
            Ok(Ok(bytes)) if bytes.len() as u64 == asked => Ok(Some(bytes)),
            Ok(Ok(bytes)) => {
                let reason = format!("{} bytes came instead of {asked}", bytes.len());
                Err(self.unavailable(doing, what, reason))
            }
            Ok(Err(object_store::Error::NotFound { .. })) => Ok(None),
            Ok(Err(error)) => Err(self.unavailable(doing, what, told(&error))),
            Err(_) => Err(self.late(doing, what)),
        }
    }

    /// See [`super::Blobs::candidates`].
    pub(super) fn candidates(&self, grace: Duration, pins: &Pins) -> Result<Vec<BlobName>, BlobError> {
        let (names, replaced) = self.look(grace, pins)?;
        self.remove(replaced)?;
        Ok(names)
    }

    /// The same, and the copies that younger ones have replaced; removes nothing.
    pub(super) fn look(&self, grace: Duration, pins: &Pins) -> Result<(Vec<BlobName>, Vec<Path>), BlobError> {
        let (now, horizon) = (self.now(), self.horizon(grace));
        let mut objects = self.store.list(Some(&self.prefix));
        let (mut names, mut replaced) = (Vec::new(), Vec::new());
        // A blob's copies come one after another, as keys are listed in order. A store with another order costs nothing
        // but a look more: the sweep looks at all copies again, and what is replaced was seen with what replaces it.
        let mut last: Option<(BlobName, Copy)> = None;
        let mut done = |(name, copy): (BlobName, Copy)| {
            if copy.is_behind(horizon, now) && !pins.holds(&name) {
                names.push(name);
            }
        };
        loop {
            let next = self.ask("cannot list", &self.shown, async { objects.next().await.transpose() })?;
            let Some(object) = next else { break };
            let Some(name) = self.name_of(&object.location) else { continue };
            let copy = Copy::from(object);
            let Some((former, older)) = last.replace((name.clone(), copy.clone())) else { continue };
            if former != name {
                done((former, older));
            } else if older.is_behind(horizon, now) && older.place < copy.place {
                replaced.push(older.place);
            }
        }
        last.into_iter().for_each(&mut done);
        Ok((names, replaced))
    }

    /// How many bytes these hold together, all copies counted; one that is gone meanwhile holds none.
    pub(super) fn bytes_of(&self, names: &[BlobName]) -> Result<u64, BlobError> {
        let mut bytes = 0;
        for names in names.chunks(AT_ONCE) {
            let looks = stream::iter(names.iter().map(|name| self.copies(name))).buffer_unordered(AT_ONCE);
            let found: Vec<Vec<Copy>> = self.ask("cannot list", &self.shown, looks.try_collect())?;
            bytes += found.iter().flatten().map(Copy::bytes).sum::<u64>();
        }
        Ok(bytes)
    }

    /// See [`super::Blobs::sweep`].
    pub(super) fn sweep(
        &self,
        unreferenced: &[BlobName],
        horizon: Horizon,
        pins: &Pins,
    ) -> Result<Swept, BlobError> {
        let mut swept = Swept::default();
        for names in unreferenced.chunks(AT_ONCE) {
            let names = names.iter().filter(|name| !pins.holds(name));
            let looks = stream::iter(names.map(|name| self.copies(name))).buffer_unordered(AT_ONCE);
            let found: Vec<Vec<Copy>> = self.ask("cannot list", &self.shown, looks.try_collect())?;
            let now = self.now();
            for copies in found {
                // One young copy is enough: somebody keeps the blob at this time, or has just now.
                if copies.is_empty() || !copies.iter().all(|copy| copy.is_behind(horizon, now)) {
                    continue;
                }
                swept.blobs += 1;
                swept.bytes += copies.iter().map(Copy::bytes).sum::<u64>();
                self.remove(copies.into_iter().map(|copy| copy.place).collect())?;
            }
        }
        Ok(swept)
    }

    /// Whether the bucket answers.
    pub(super) fn probe(&self) -> Result<(), BlobError> {
        let good = *self.good();
        if good.is_some_and(|good| good.elapsed() < FRESH) {
            return Ok(());
        }
        let folder = self.prefix.clone().join("probe");
        let mut objects = self.store.list(Some(&folder));
        let listed = self.ask("cannot list", &self.shown, async { objects.next().await.transpose() });
        *self.good() = listed.is_ok().then(Instant::now);
        listed.map(drop)
    }

    /// Does once everything that a node will have to do.
    pub(super) fn rehearse(&self) -> Result<(), BlobError> {
        let folder = self.prefix.clone().join("probe");
        let place = folder.clone().join(Uuid::new_v4().simple().to_string());
        let bytes = Bytes::from_static(b"gristmill");
        let what = place.as_ref();
        self.ask("cannot write", what, self.store.put(&place, bytes.clone().into()))?;
        let whole = 0..bytes.len() as u64;
        let read = self.ask("cannot read", what, self.store.get_range(&place, whole))?;
        if read != bytes {
            return Err(self.unavailable(
                "cannot read",
                what,
                "other bytes came than were written".to_owned(),
            ));
        }
        let listed = self.store.list(Some(&folder)).map_ok(|object| object.location);
        let listed: Vec<Path> = self.ask("cannot list", &self.shown, listed.try_collect())?;
        if !listed.contains(&place) {
            let reason = "what was written is not listed".to_owned();
            return Err(self.unavailable("cannot list", &self.shown, reason));
        }
        self.ask("cannot remove", what, self.store.delete(&place))
    }

    /// The horizon of now.
    pub(super) fn horizon(&self, grace: Duration) -> Horizon {
        Horizon::at(self.now(), grace)
    }

    /// What the system says, steps back and all: that is what others' clocks, and the store's, are near to. A clock that makes
    /// up for a step back is ahead of them for hours, and what they put there just now would look old.
    fn now(&self) -> SystemTime {
        DateTime::from_timestamp_micros(self.clock.unsteady().as_micros()).unwrap_or_default().into()
    }

    async fn copies(&self, name: &BlobName) -> object_store::Result<Vec<Copy>> {
        self.store.list(Some(&self.folder(name))).map_ok(Copy::from).try_collect().await
    }

    /// Removes objects; one that is gone already is no error.
    fn remove(&self, places: Vec<Path>) -> Result<(), BlobError> {
        for some in places.chunks(AT_ONCE) {
            let removals = stream::iter(some).map(|place| async move {
                match self.store.delete(place).await {
                    Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
                    Err(error) => Err(error),
                }
            });
            let removals = removals.buffer_unordered(AT_ONCE).try_collect::<()>();
            self.ask("cannot remove from", &self.shown, removals)?;
        }
        Ok(())
    }

    fn folder(&self, name: &BlobName) -> Path {
        let (first, rest) = name.as_str().split_at(2);
        self.prefix.clone().join(first).join(rest)
    }

    /// The blob that an object is a copy of; `None` for what is not ours.
    fn name_of(&self, place: &Path) -> Option<BlobName> {
        let mut parts = place.prefix_match(&self.prefix)?;
        let (first, rest, _window) = (parts.next()?, parts.next()?, parts.next()?);
        let name = format!("{}{}", first.as_ref(), rest.as_ref());
        if parts.next().is_some() || first.as_ref().len() != 2 { None } else { name.parse().ok() }
    }

    /// Asks something of few bytes. A store that has lost the bucket says "not found" as well.
    fn ask<T>(
        &self,
        doing: &'static str,
        what: &str,
        question: impl Future<Output = object_store::Result<T>>,
    ) -> Result<T, BlobError> {
        match self.block_on(self.in_time(question)) {
            Ok(answer) => answer.map_err(|error| self.unavailable(doing, what, told(&error))),
            Err(_) => Err(self.late(doing, what)),
        }
    }

    /// Waits on this thread. Panics on one that drives a runtime, which would otherwise stand still.
    fn block_on<F: Future>(&self, work: F) -> F::Output {
        let Some(runtime) = &self.runtime else { unreachable!("taken only when this is dropped") };
        runtime.handle().block_on(work)
    }

    /// Made when it is first asked, since only then there is a runtime to ask for the time.
    async fn in_time<F: Future>(&self, work: F) -> Result<F::Output, Elapsed> {
        timeout(self.patience, work).await
    }

    fn late(&self, doing: &'static str, what: &str) -> BlobError {
        self.unavailable(doing, what, format!("it took longer than {:?}", self.patience))
    }

    fn unavailable(&self, doing: &'static str, what: &str, reason: String) -> BlobError {
        *self.good() = None;
        BlobError::Unavailable { doing, what: what.to_owned(), reason }
    }

    fn good(&self) -> std::sync::MutexGuard<'_, Option<Instant>> {
        self.good.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the library says, with the causes: it names the request, the number of attempts, and the store's own words.
pub(super) fn told(error: &object_store::Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = error.source();
    }
    text
}

impl fmt::Debug for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not the store: it holds the key.
        f.debug_struct("Bucket").field("url", &self.shown).finish_non_exhaustive()
    }
}

impl Drop for Bucket {
    fn drop(&mut self) {
        // The last clone may go on a thread that drives a runtime, where this one must not be waited for.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
