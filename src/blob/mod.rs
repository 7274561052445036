//! Bytes by name: recordings in, MP3s out. Knows nothing of tasks; a blob lives while somebody names it, and who
//! that is the caller of [`Blobs::sweep`] says.
//!
//! Two stores do it alike, a local folder and a bucket that speaks S3: one conformance suite runs on both
//! (`tests/blob`). Nodes may share either.
//!
//! A blob is written as a [`Draft`], always a file of this machine, under a name that nobody can ask for, and only then
//! put under its content address ([`Blobs::keep`]): in the folder by syncing and renaming, in the bucket by an upload
//! that takes effect as a whole. So a blob is there whole or not at all, whatever happens in between, and equal bytes
//! are stored once (in the bucket: once in ten minutes, see `bucket.rs`). A draft that is dropped is removed; those of a
//! process that was killed are removed when its folder is opened again.
//!
//! A kept blob is pinned until its [`Kept`] is dropped, which its owner does after the transaction that names
//! the blob: the sweep passes over what is pinned, younger than the grace, or kept after it was asked who names it
//! ([`Horizon`]).
//!
//! Everything here is synchronous; callers on a runtime use a blocking thread. With a bucket every call ends in bounded
//! time with an answer or [`BlobError::Unavailable`], and panics on a thread that drives a runtime, rather than stop
//! everything that runs there.

mod bucket;
mod bucket_settings;
mod draft;
mod error;
mod folder;
mod horizon;
mod pins;
mod reader;
mod shelf;
mod transport;
mod upload;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use self::bucket::Bucket;
use self::draft::Drafts;
use self::folder::Folder;
use self::pins::Pins;
use crate::clock::Clock;
use crate::config::{BlobSettings, BlobUrl};
use crate::task::BlobName;

pub use self::draft::Draft;
pub use self::error::BlobError;
pub use self::horizon::Horizon;
pub use self::pins::Kept;
pub use self::reader::Reader;
pub use self::shelf::{Item, Shelf};

/// Where blobs are. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Blobs {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    drafts: Drafts,
    pins: Arc<Pins>,
    place: Place,
}

#[derive(Debug)]
enum Place {
    Folder(Folder),
    Bucket(Arc<Bucket>),
}

/// What a sweep did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Swept {
    /// Blobs removed.
    pub blobs: u64,
    /// Bytes freed.
    pub bytes: u64,
}

impl Blobs {
    /// Opens what the settings name; the drafts of a bucket lie in `data_dir`. Does not ask the bucket anything:
    /// [`Self::probe`] does.
    ///
    /// # Errors
    /// [`BlobError`] when a folder cannot be made or read, or the bucket's settings cannot be used.
    pub fn configured(
        settings: &BlobSettings,
        data_dir: &Path,
        seat: &str,
        clock: Clock,
    ) -> Result<Self, BlobError> {
        match &settings.url {
            BlobUrl::File { folder } => Self::open(folder, seat),
            BlobUrl::Bucket { bucket, prefix } => {
                let drafts = Drafts::open(data_dir.join("drafts"), seat, folder::now())?;
                let bucket = Bucket::open(settings, bucket, prefix, clock)?;
                Ok(Self::over(drafts, Place::Bucket(Arc::new(bucket))))
            }
        }
    }

    /// Opens a folder, making it where it is missing, and removes what an earlier process in the same `seat`
    /// left half written.
    ///
    /// # Errors
    /// [`BlobError`] when the folder cannot be made or read.
    pub fn open(root: &Path, seat: &str) -> Result<Self, BlobError> {
        let folder = Folder::new(root);
        let now = folder::now();
        folder.give_back(seat, now)?;
        Ok(Self::over(Drafts::open(folder.tmp(), seat, now)?, Place::Folder(folder)))
    }

    fn over(drafts: Drafts, place: Place) -> Self {
        Self { inner: Arc::new(Inner { drafts, pins: Arc::default(), place }) }
    }

    /// Begins a blob.
    ///
    /// # Errors
    /// [`BlobError`] when the file cannot be made.
    pub fn draft(&self) -> Result<Draft, BlobError> {
        self.inner.drafts.begin()
    }

    /// Puts a draft under its content address. When this returns, the blob survives a power cut of this machine.
    ///
    /// # Errors
    /// [`BlobError`] when it cannot be synced, moved or uploaded; no blob is named then that was not there before.
    pub fn keep(&self, mut draft: Draft) -> Result<Kept, BlobError> {
        let name = draft.digest()?;
        match &self.inner.place {
            Place::Folder(folder) => folder.keep(&draft, name, &self.inner.pins),
            Place::Bucket(bucket) => bucket.keep(&draft, name, &self.inner.pins),
        }
    }

    /// Keeps bytes that are in memory already; see [`Blobs::keep`].
    ///
    /// # Errors
    /// As there.
    pub fn keep_bytes(&self, bytes: &[u8]) -> Result<Kept, BlobError> {
        let mut draft = self.draft()?;
        draft.append(bytes)?;
        self.keep(draft)
    }

    /// Opens a blob for reading. What is open outlives a removal in the folder; in the bucket its next bytes are an
    /// error then.
    ///
    /// # Errors
    /// [`BlobError::Missing`] when there is none of that name, [`BlobError::Unavailable`] when that cannot be found
    /// out.
    pub fn read(&self, name: &BlobName) -> Result<Reader, BlobError> {
        match &self.inner.place {
            Place::Folder(folder) => Reader::of_file(folder.read(name)?, name),
            Place::Bucket(bucket) => Reader::of_bucket(bucket, name),
        }
    }

    /// Every blob that is older than `grace` and not pinned: those a sweep may ask about. In the bucket, copies that a
    /// younger one of the same blob has replaced are removed on the way.
    ///
    /// # Errors
    /// [`BlobError`] when the store cannot be listed.
    pub fn candidates(&self, grace: Duration) -> Result<Vec<BlobName>, BlobError> {
        match &self.inner.place {
            Place::Folder(folder) => folder.candidates(grace, &self.inner.pins),
            Place::Bucket(bucket) => bucket.candidates(grace, &self.inner.pins),
        }
    }

    /// The same as [`Self::candidates`], and changes nothing.
    ///
    /// # Errors
    /// [`BlobError`] when the store cannot be listed.
    pub fn candidates_seen(&self, grace: Duration) -> Result<Vec<BlobName>, BlobError> {
        match &self.inner.place {
            Place::Folder(folder) => folder.candidates(grace, &self.inner.pins),
            Place::Bucket(bucket) => Ok(bucket.look(grace, &self.inner.pins)?.0),
        }
    }

    /// How many bytes these hold together, those that are gone meanwhile none.
    ///
    /// # Errors
    /// [`BlobError`] when the store does not say.
    pub fn bytes_of(&self, names: &[BlobName]) -> Result<u64, BlobError> {
        match &self.inner.place {
            Place::Folder(folder) => Ok(folder.bytes_of(names)),
            Place::Bucket(bucket) => bucket.bytes_of(names),
        }
    }

    /// The horizon of now: to be taken before it is asked who names blobs.
    #[must_use]
    pub fn horizon(&self, grace: Duration) -> Horizon {
        match &self.inner.place {
            Place::Folder(_) => Horizon::at(folder::now(), grace),
            Place::Bucket(bucket) => bucket.horizon(grace),
        }
    }

    /// Removes those of `unreferenced` that are behind the horizon, which was taken before it was asked who names them,
    /// and unpinned: one that was kept anew since then stays, on whichever node that was.
    ///
    /// # Errors
    /// [`BlobError`] when one cannot be removed. In a folder, all others are; in a bucket, those before it.
    pub fn sweep(&self, unreferenced: &[BlobName], horizon: Horizon) -> Result<Swept, BlobError> {
        let Inner { drafts, pins, place } = &*self.inner;
        match place {
            Place::Folder(folder) => folder.sweep(unreferenced, horizon, pins, drafts),
            Place::Bucket(bucket) => bucket.sweep(unreferenced, horizon, pins),
        }
    }

    /// Drafts that are under way.
    ///
    /// # Errors
    /// [`BlobError`] when the folder cannot be read.
    pub fn drafts(&self) -> Result<usize, BlobError> {
        self.inner.drafts.count()
    }

    /// Whether the store can be used, at little cost: a draft can be made and removed, and the bucket answers.
    ///
    /// # Errors
    /// [`BlobError`] when it cannot.
    pub fn probe(&self) -> Result<(), BlobError> {
        self.draft().map(drop)?;
        match &self.inner.place {
            Place::Folder(_) => Ok(()),
            Place::Bucket(bucket) => bucket.probe(),
        }
    }

    /// Whether everything can be done that will have to be: in a bucket an object is written, read, listed and
    /// removed.
    ///
    /// # Errors
    /// [`BlobError`] that names the first thing which cannot.
    pub fn rehearse(&self) -> Result<(), BlobError> {
        self.draft().map(drop)?;
        match &self.inner.place {
            Place::Folder(_) => Ok(()),
            Place::Bucket(bucket) => bucket.rehearse(),
        }
    }
}
