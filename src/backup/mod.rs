//! Backups: the rows of the database as they were at one instant, and every blob that they name.
//!
//! Used by the kind `backup` and by `gristmill backup`, `restore` and `migrate --to`. It knows rows and blobs, and not what they
//! mean. A backup is a folder of a [`Shelf`], by its [`Name`]: a file of rows a table, a list of blobs, and a [`Manifest`];
//! `docs/backups.md` has the form, `docs/adr/0015-backups-in-rows.md` the reasons. Copies of blobs lie beside the backups,
//! each once for all of them.
//!
//! What is true:
//! - A backup without a manifest is none. The manifest is written when all else is there, and has the sums of it.
//! - While a backup is being made, it holds the blobs: no node sweeps any (`Store::holds_blobs`), so what its rows name can be
//!   copied. A hold that is not prolonged ends by itself.
//! - Nothing is removed from a place but what a backup put there, and never a blob that a manifest there names, or that a
//!   backup under way may count on (`keep.rs`).
//! - What is restored is read again and compared before it counts.
//!
//! All of it blocks: to be called on a thread that drives no runtime, with a handle to one that others drive.

mod awake;
mod check;
mod error;
mod hold;
mod keep;
mod lines;
mod make;
mod manifest;
mod moving;
mod name;
mod present;
mod restore;

use std::fmt;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tokio::runtime::Handle;

pub use self::check::Checked;
pub use self::error::BackupError;
pub use self::manifest::{FileEntry, Manifest, TableEntry};
pub use self::moving::{Moved, move_rows};
pub use self::name::{Name, NameError};
pub use self::restore::Restored;

use crate::blob::{Blobs, Shelf};
use crate::clock::Clock;
use crate::config::{BackupSettings, BlobCare, BlobSettings, BlobUrl, StorageSettings};
use crate::store::Archive;
use crate::task::Timestamp;

/// How far something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// What is being done.
    pub phase: Phase,
    /// How much of it is done: rows, or bytes of blobs.
    pub done: u64,
    /// How much there is of it.
    pub total: u64,
}

/// What is being done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Rows are read, or put in.
    Rows,
    /// Blobs are copied, or looked through.
    Blobs,
    /// What is there is compared with what should be.
    Checking,
}

/// Whoever waits for it.
pub trait Watcher: Send + Sync {
    /// Told now and then.
    fn progress(&self, progress: Progress);

    /// Whether to stop.
    fn is_over(&self) -> bool;
}

/// What a backup came to: the result of a task of the kind `backup`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// Its name.
    pub name: String,
    /// The instant that it shows.
    pub created_at: Timestamp,
    /// Rows of all tables.
    pub rows: u64,
    /// The size of the files of rows, packed.
    pub bytes: u64,
    /// Blobs that rows name.
    pub blobs: u64,
    /// Their size.
    pub blob_bytes: u64,
    /// Blobs that were copied now; the others were there from earlier backups, or are referred to.
    pub copied: u64,
    /// Their size.
    pub copied_bytes: u64,
    /// Blobs that are not to be found, damaged, or cannot be read: the backup has all but these.
    pub lost: u64,
    /// Which those are, the first twenty.
    pub lost_blobs: Vec<String>,
    /// Backups that were removed since there were more than should stay.
    pub removed: Vec<String>,
    /// What else whoever looks after backups should know: what is damaged in the place, or could not be cleaned up.
    #[serde(default)]
    pub remarks: Vec<String>,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
}

/// A backup that lies there, as it is listed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Listed {
    /// Its name.
    pub name: String,
    /// The instant that it shows.
    pub created_at: String,
    /// The version of the program that made it.
    pub gristmill: String,
    /// The schema of the database.
    pub schema: i64,
    /// Rows of all tables.
    pub rows: u64,
    /// The size of the files of rows, packed.
    pub bytes: u64,
    /// Blobs that rows name.
    pub blobs: u64,
    /// Their size.
    pub blob_bytes: u64,
    /// Blobs that it does not have.
    pub lost: u64,
    /// How long it took to make, in milliseconds.
    pub took_ms: u64,
}

impl From<&Manifest> for Listed {
    fn from(manifest: &Manifest) -> Self {
        Self {
            name: manifest.name.clone(),
            created_at: manifest.created_at.to_string(),
            gristmill: manifest.gristmill.clone(),
            schema: manifest.schema,
            rows: manifest.rows(),
            bytes: manifest.bytes(),
            blobs: manifest.blob_count,
            blob_bytes: manifest.blob_bytes,
            lost: manifest.lost,
            took_ms: millis(manifest.finished_at.since(manifest.created_at)),
        }
    }
}

fn millis(span: std::time::Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

/// The backups of an installation: what is saved, and where to. Cheap to clone.
#[derive(Clone)]
pub struct Backups {
    inner: Arc<Inner>,
}

struct Inner {
    archive: Arc<dyn Archive>,
    blobs: Blobs,
    /// Where the blobs are kept, unless that is a bucket.
    blob_folder: Option<PathBuf>,
    /// How the place is reached.
    place: BlobSettings,
    scratch: PathBuf,
    keep: usize,
    care: BlobCare,
    clock: Clock,
    /// What must stay free on the disk of the place: bytes, and percent of it.
    floor: (u64, u64),
    /// Whether the blobs are kept in the same place.
    among_blobs: bool,
}

/// What is saved, and how.
pub struct Parts {
    /// The database.
    pub archive: Arc<dyn Archive>,
    /// The blobs.
    pub blobs: Blobs,
    /// Where what is on its way to a bucket may lie: a folder of this machine.
    pub scratch: PathBuf,
    /// The time.
    pub clock: Clock,
    /// What must stay free on the disk of a folder that backups are written to.
    pub storage: StorageSettings,
}

impl Backups {
    /// The backups of that place; opens nothing.
    #[must_use]
    pub fn to(parts: Parts, settings: &BackupSettings, blobs: &BlobSettings, url: BlobUrl) -> Self {
        let Parts { archive, blobs: store, scratch, clock, storage } = parts;
        let place = settings.place(url, blobs);
        let inner = Inner {
            archive,
            blobs: store,
            blob_folder: blobs.url.folder().map(Path::to_owned),
            among_blobs: overlap(&place, blobs),
            place,
            scratch,
            keep: usize::try_from(settings.keep).unwrap_or(usize::MAX).max(1),
            care: settings.blobs,
            clock,
            floor: (storage.min_free_bytes.bytes(), u64::from(storage.min_free_percent)),
        };
        Self { inner: Arc::new(inner) }
    }

    /// Where they lie.
    ///
    /// # Errors
    /// [`BackupError::Blob`] when the bucket's settings cannot be used.
    pub fn shelf(&self) -> Result<Shelf, BackupError> {
        let Inner { place, scratch, clock, .. } = &*self.inner;
        Ok(Shelf::open(place, scratch, clock.clone())?)
    }

    /// The same, to read from: what is not there is not made.
    fn shelf_that_is_there(&self) -> Result<Shelf, BackupError> {
        match self.inner.place.url.folder() {
            Some(folder) if !folder.is_dir() => Err(BackupError::NoPlace(folder.display().to_string())),
            Some(_) | None => self.shelf(),
        }
    }

    /// Makes a backup, and removes those that are too many by then.
    ///
    /// # Errors
    /// [`BackupError`]; there is no new backup then.
    pub fn make(&self, handle: &Handle, watcher: &dyn Watcher) -> Result<Summary, BackupError> {
        if self.inner.among_blobs {
            return Err(BackupError::AmongBlobs(self.inner.place.url.to_string()));
        }
        make::make(&self.inner, &self.shelf()?, handle, watcher)
    }

    /// The backups that are there, the oldest first. One whose manifest is damaged is an error in its place.
    ///
    /// # Errors
    /// When the place cannot be listed.
    pub fn list(&self) -> Result<Vec<Result<Manifest, BackupError>>, BackupError> {
        keep::manifests(&self.shelf_that_is_there()?)
    }

    /// The newest backup that is whole; `None` where there is none. Makes no folder.
    ///
    /// # Errors
    /// When the place cannot be listed.
    pub fn newest(&self) -> Result<Option<Manifest>, BackupError> {
        if self.inner.place.url.folder().is_some_and(|folder| !folder.exists()) {
            return Ok(None);
        }
        keep::newest(&self.shelf()?)
    }

    /// Reads all of a backup, or of the newest, and compares it with the sums in its manifest; restores nothing.
    ///
    /// # Errors
    /// [`BackupError`] with the first thing that is not as it was.
    pub fn check(&self, name: Option<&Name>, watcher: &dyn Watcher) -> Result<Checked, BackupError> {
        let shelf = self.shelf_that_is_there()?;
        let manifest = keep::find(&shelf, name)?;
        let name = check::name_of(&manifest)?;
        let checked = check::check(&shelf, manifest, &self.inner.blobs, watcher);
        checked.map_err(|error| keep::removed_or(error, &shelf, &name))
    }

    /// Fills this installation, which must be empty, from a backup, or from the newest.
    ///
    /// # Errors
    /// [`BackupError`]; then there is no database that was not there before.
    pub fn restore(
        &self,
        name: Option<&Name>,
        handle: &Handle,
        watcher: &dyn Watcher,
    ) -> Result<Restored, BackupError> {
        let shelf = self.shelf_that_is_there()?;
        let manifest = keep::find(&shelf, name)?;
        let name = check::name_of(&manifest)?;
        let restored = restore::restore(&self.inner, &shelf, manifest, handle, watcher);
        restored.map_err(|error| keep::removed_or(error, &shelf, &name))
    }
}

/// Whether one of the two lies within the other, or is it. Copies of blobs lie in `blobs` below a place of backups, as the
/// blobs of a daemon do below its data folder: there each would remove what the other needs.
fn overlap(place: &BlobSettings, blobs: &BlobSettings) -> bool {
    let within =
        |one: &str, other: &str| other.is_empty() || one == other || one.starts_with(&format!("{other}/"));
    match (&place.url, &blobs.url) {
        (BlobUrl::File { folder: one }, BlobUrl::File { folder: other }) => {
            let (one, other) = (real(one), real(other));
            one.starts_with(&other) || other.starts_with(&one)
        }
        (
            BlobUrl::Bucket { bucket: one, prefix: place_prefix },
            BlobUrl::Bucket { bucket: other, prefix: blobs_prefix },
        ) => {
            one == other
                && place.s3_endpoint == blobs.s3_endpoint
                && (within(place_prefix, blobs_prefix) || within(blobs_prefix, place_prefix))
        }
        (BlobUrl::File { .. }, BlobUrl::Bucket { .. }) | (BlobUrl::Bucket { .. }, BlobUrl::File { .. }) => {
            false
        }
    }
}

/// The folder as the file system knows it, through links; one that is not there yet by the part of it that is.
fn real(folder: &Path) -> PathBuf {
    let whole = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
    let there = whole.ancestors().find_map(|part| Some((part, part.canonicalize().ok()?)));
    match there {
        Some((part, mut real)) => {
            for step in whole.strip_prefix(part).into_iter().flat_map(Path::components) {
                match step {
                    Component::ParentDir => drop(real.pop()),
                    Component::Normal(name) => real.push(name),
                    Component::Prefix(_) | Component::RootDir | Component::CurDir => {}
                }
            }
            real
        }
        None => whole,
    }
}

impl fmt::Debug for Backups {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Backups").field("to", &self.inner.place.url.to_string()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{LoadOptions, Settings};

    fn meet(place: &str, blobs: &str) -> bool {
        let options = LoadOptions { directory: "no such folder".into(), ..LoadOptions::default() };
        let settings = Settings::load(options).unwrap().settings.blobs;
        let at = |url: &str| BlobSettings { url: url.parse().unwrap(), ..settings.clone() };
        overlap(&at(place), &at(blobs))
    }

    #[test]
    fn a_place_of_backups_lies_apart_from_the_blobs() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join("data/blobs")).unwrap();
        std::os::unix::fs::symlink(folder.path().join("data"), folder.path().join("link")).unwrap();
        let at = |path: &str| format!("file:{}/{path}", folder.path().display());
        for place in ["data", "data/blobs", "link", "link/blobs/deep/er", ".", "data/backups/../blobs"] {
            assert!(meet(&at(place), &at("data/blobs")), "{place}");
        }
        for place in ["data/backups", "data/blobs-2", "elsewhere", "link/backups"] {
            assert!(!meet(&at(place), &at("data/blobs")), "{place}");
        }
        for place in ["s3://mill", "s3://mill/x", "s3://mill/x/blobs", "s3://mill/x/blobs/y"] {
            assert!(meet(place, "s3://mill/x/blobs"), "{place}");
        }
        for place in ["s3://mill/x/backups", "s3://mill/x/blobs2", "s3://other/x/blobs", &at("x")] {
            assert!(!meet(place, "s3://mill/x/blobs"), "{place}");
        }
    }
}
