//! The local folder: `ab/cdef…` under the blob folder for a blob, `tmp/` beside them for drafts.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::failpoint::{self, Failpoint};
use crate::task::BlobName;

/// Why the bytes could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum BlobError {
    /// No such blob.
    #[error("there is no blob {0}")]
    Missing(BlobName),
    /// No room.
    #[error("the disk that holds {path} is full: make room, then try again")]
    Full {
        /// Which file.
        path: String,
    },
    /// Anything else.
    #[error("{doing} {path}: {source}")]
    Io {
        /// What was being done.
        doing: &'static str,
        /// To which file.
        path: String,
        /// The system's word.
        source: io::Error,
    },
}

impl BlobError {
    fn of<'a>(doing: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> Self + 'a {
        move |source| {
            let path = path.display().to_string();
            if matches!(source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) {
                Self::Full { path }
            } else {
                Self::Io { doing, path, source }
            }
        }
    }
}

/// A folder of blobs. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Blobs {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    root: PathBuf,
    /// Drafts of ours begin with this, so that another process's drafts in the same folder are let alone.
    seat: String,
    /// How often each blob is pinned. The lock also orders "move into place" against "look again and remove".
    pins: Mutex<HashMap<BlobName, usize>>,
}

/// Bytes being written. Removed when dropped.
#[derive(Debug)]
pub struct Draft {
    path: PathBuf,
    file: File,
    written: Option<Sha256>,
    bytes: u64,
}

/// A blob in its place, pinned until this is dropped.
#[derive(Debug)]
pub struct Kept {
    /// Its name.
    pub name: BlobName,
    /// Its size.
    pub bytes: u64,
    blobs: Blobs,
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
    /// Opens the folder, making it where it is missing, and removes what an earlier process in the same `seat`
    /// left half written.
    ///
    /// # Errors
    /// [`BlobError`] when the folder cannot be made or read.
    pub fn open(root: &Path, seat: &str) -> Result<Self, BlobError> {
        let tmp = root.join("tmp");
        make_private(&tmp)?;
        for entry in fs::read_dir(&tmp).map_err(BlobError::of("cannot read", &tmp))? {
            let entry = entry.map_err(BlobError::of("cannot read", &tmp))?;
            if entry.file_name().to_string_lossy().starts_with(&format!("{seat}-")) {
                remove(&entry.path())?;
            }
        }
        let inner = Inner { root: root.to_owned(), seat: seat.to_owned(), pins: Mutex::default() };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Begins a blob.
    ///
    /// # Errors
    /// [`BlobError`] when the file cannot be made.
    pub fn draft(&self) -> Result<Draft, BlobError> {
        let name = format!("{}-{}", self.inner.seat, Uuid::new_v4().simple());
        let path = self.inner.root.join("tmp").join(name);
        let mut options = OpenOptions::new();
        // Recordings are their owners' alone.
        options.read(true).write(true).create_new(true).mode(0o600);
        let file = match options.open(&path) {
            // Somebody removed the folder: it is made again rather than missed for ever.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                make_private(&self.inner.root.join("tmp"))?;
                options.open(&path)
            }
            opened => opened,
        };
        let file = file.map_err(BlobError::of("cannot make", &path))?;
        Ok(Draft { path, file, written: Some(Sha256::new()), bytes: 0 })
    }

    /// Syncs a draft and moves it to its content address. When this returns, the blob survives a power cut.
    ///
    /// # Errors
    /// [`BlobError`] when it cannot be synced or moved; nothing is left behind then.
    pub fn keep(&self, mut draft: Draft) -> Result<Kept, BlobError> {
        let name = draft.digest()?;
        let bytes = draft.bytes;
        draft.file.sync_all().map_err(BlobError::of("cannot sync", &draft.path))?;
        failpoint::hit(Failpoint::BlobSynced);
        let place = self.path(&name);
        let Some(folder) = place.parent() else { unreachable!("a blob lies in a folder of the root") };
        let kept = {
            let mut pins = self.pins();
            make_private(folder)?;
            // Over an older copy of the same bytes too: that makes it young again for the sweep.
            fs::rename(&draft.path, &place).map_err(BlobError::of("cannot move into place", &draft.path))?;
            *pins.entry(name.clone()).or_default() += 1;
            Kept { name, bytes, blobs: self.clone() }
        };
        failpoint::hit(Failpoint::BlobMoved);
        sync_folder(folder)?;
        sync_folder(&self.inner.root)?;
        Ok(kept)
    }

    /// Opens a blob for reading. A file that is open outlives its removal.
    ///
    /// # Errors
    /// [`BlobError::Missing`] when there is none of that name.
    pub fn read(&self, name: &BlobName) -> Result<File, BlobError> {
        let path = self.path(name);
        File::open(&path).map_err(|error| {
            if error.kind() == io::ErrorKind::NotFound {
                BlobError::Missing(name.clone())
            } else {
                BlobError::of("cannot open", &path)(error)
            }
        })
    }

    /// Every blob that is older than `grace` and not pinned: those a sweep may ask about.
    ///
    /// # Errors
    /// [`BlobError`] when a folder cannot be read.
    pub fn candidates(&self, grace: Duration) -> Result<Vec<BlobName>, BlobError> {
        let mut names = Vec::new();
        let root = &self.inner.root;
        for folder in fs::read_dir(root).map_err(BlobError::of("cannot read", root))? {
            let folder = folder.map_err(BlobError::of("cannot read", root))?;
            let prefix = folder.file_name().to_string_lossy().into_owned();
            if prefix.len() != 2 {
                continue;
            }
            let folder = folder.path();
            for file in fs::read_dir(&folder).map_err(BlobError::of("cannot read", &folder))? {
                let file = file.map_err(BlobError::of("cannot read", &folder))?;
                let name = format!("{prefix}{}", file.file_name().to_string_lossy());
                if let Ok(name) = name.parse::<BlobName>()
                    && is_older(&file.path(), grace)
                    && !self.pins().contains_key(&name)
                {
                    names.push(name);
                }
            }
        }
        Ok(names)
    }

    /// Removes those of `unreferenced` that are still old and unpinned: one that was kept anew while the caller
    /// asked who names it stays, on whichever node that was.
    ///
    /// # Errors
    /// [`BlobError`] when a file cannot be removed.
    pub fn sweep(&self, unreferenced: &[BlobName], grace: Duration) -> Result<Swept, BlobError> {
        let mut swept = Swept::default();
        for name in unreferenced {
            let path = self.path(name);
            let pins = self.pins();
            if pins.contains_key(name) || !is_older(&path, grace) {
                continue;
            }
            // Out of the way first, and looked at again there: another node may have put the same bytes into place since,
            // and its pins are not ours to see.
            let aside = self.inner.root.join("tmp").join(format!("{}-swept-{name}", self.inner.seat));
            match fs::rename(&path, &aside) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(BlobError::of("cannot move aside", &path)(error)),
            }
            if !is_older(&aside, grace) {
                fs::rename(&aside, &path).map_err(BlobError::of("cannot move back", &aside))?;
                continue;
            }
            let bytes = fs::metadata(&aside).map(|file| file.len()).unwrap_or(0);
            remove(&aside)?;
            drop(pins);
            swept.blobs += 1;
            swept.bytes += bytes;
        }
        Ok(swept)
    }

    /// Drafts of ours that are under way.
    ///
    /// # Errors
    /// [`BlobError`] when the folder cannot be read.
    pub fn drafts(&self) -> Result<usize, BlobError> {
        let tmp = self.inner.root.join("tmp");
        Ok(fs::read_dir(&tmp).map_err(BlobError::of("cannot read", &tmp))?.count())
    }

    /// Whether a draft can be made and removed: the folder is there and can be written.
    ///
    /// # Errors
    /// [`BlobError`] when it cannot.
    pub fn probe(&self) -> Result<(), BlobError> {
        self.draft().map(drop)
    }

    fn path(&self, name: &BlobName) -> PathBuf {
        let (prefix, rest) = name.as_str().split_at(2);
        self.inner.root.join(prefix).join(rest)
    }

    fn pins(&self) -> MutexGuard<'_, HashMap<BlobName, usize>> {
        // The map is whole at every instant, so a panic elsewhere while it was locked does not spoil it.
        self.inner.pins.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        let mut pins = self.blobs.pins();
        if let Some(count) = pins.get_mut(&self.name) {
            *count -= 1;
            if *count == 0 {
                pins.remove(&self.name);
            }
        }
    }
}

impl Draft {
    /// Bytes written so far.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.bytes
    }

    /// Whether nothing has been written.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes == 0
    }

    /// A second handle on the same file, to read what was written.
    ///
    /// # Errors
    /// [`BlobError`] when it cannot be opened.
    pub fn reader(&self) -> Result<File, BlobError> {
        File::open(&self.path).map_err(BlobError::of("cannot open", &self.path))
    }

    fn digest(&mut self) -> Result<BlobName, BlobError> {
        let digest = match self.written.take() {
            Some(written) => written.finalize(),
            // Written out of order: read it again.
            None => {
                let mut hasher = Sha256::new();
                let mut buffer = vec![0; 256 * 1024];
                let reading = BlobError::of("cannot read", &self.path);
                let read = (|| {
                    self.file.seek(SeekFrom::Start(0))?;
                    self.bytes = 0;
                    loop {
                        let n = self.file.read(&mut buffer)?;
                        if n == 0 {
                            return Ok(());
                        }
                        self.bytes += n as u64;
                        hasher.update(&buffer[..n]);
                    }
                })();
                read.map_err(reading)?;
                hasher.finalize()
            }
        };
        Ok(BlobName::of_digest(&digest.into()))
    }
}

impl Write for Draft {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = self.file.write(bytes)?;
        if let Some(written) = &mut self.written {
            written.update(&bytes[..n]);
            self.bytes += n as u64;
        }
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Seek for Draft {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        // From here on the order of writing is not the order of the bytes: the digest is taken at the end.
        self.written = None;
        self.file.seek(to)
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        // After `keep` moved the file there is nothing under this name; a file that stays behind for another
        // reason is removed at the next start.
        let _ = fs::remove_file(&self.path);
    }
}

/// Makes a folder, with those above it, for nobody else's eyes.
fn make_private(folder: &Path) -> Result<(), BlobError> {
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.map_err(BlobError::of("cannot make", folder))
}

fn remove(path: &Path) -> Result<(), BlobError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(BlobError::of("cannot remove", path)(error))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

fn is_older(path: &Path, grace: Duration) -> bool {
    let modified = fs::metadata(path).and_then(|file| file.modified());
    modified.is_ok_and(|modified| SystemTime::now().duration_since(modified).is_ok_and(|age| age >= grace))
}

/// Without this the move itself may be lost in a power cut.
fn sync_folder(folder: &Path) -> Result<(), BlobError> {
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(BlobError::of("cannot sync", folder))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blobs() -> (tempfile::TempDir, Blobs) {
        let folder = tempfile::tempdir().unwrap();
        let blobs = Blobs::open(folder.path(), "seat").unwrap();
        (folder, blobs)
    }

    fn draft_of(blobs: &Blobs, bytes: &[u8]) -> Draft {
        let mut draft = blobs.draft().unwrap();
        draft.write_all(bytes).unwrap();
        draft
    }

    fn content(blobs: &Blobs, name: &BlobName) -> Vec<u8> {
        let mut bytes = Vec::new();
        blobs.read(name).unwrap().read_to_end(&mut bytes).unwrap();
        bytes
    }

    #[test]
    fn a_kept_blob_has_the_name_of_its_bytes_and_equal_bytes_are_one() {
        let (_folder, blobs) = blobs();
        let kept = blobs.keep(draft_of(&blobs, b"abc")).unwrap();
        // FIPS 180-2, appendix B.1.
        assert_eq!(kept.name.as_str(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        let again = blobs.keep(draft_of(&blobs, b"abc")).unwrap();
        assert_eq!((again.name.clone(), again.bytes), (kept.name.clone(), 3));
        assert_eq!(content(&blobs, &kept.name), b"abc");
        assert_eq!(blobs.drafts().unwrap(), 0);
    }

    #[test]
    fn a_draft_written_out_of_order_has_the_name_of_its_final_bytes() {
        let (_folder, blobs) = blobs();
        let mut draft = draft_of(&blobs, b"xbc");
        draft.seek(SeekFrom::Start(0)).unwrap();
        draft.write_all(b"a").unwrap();
        let kept = blobs.keep(draft).unwrap();
        assert_eq!(kept.bytes, 3);
        assert_eq!(content(&blobs, &kept.name), b"abc");
    }

    #[test]
    fn a_dropped_draft_leaves_nothing_and_a_killed_one_goes_at_the_next_start() {
        let (folder, blobs) = blobs();
        drop(draft_of(&blobs, b"abc"));
        assert_eq!(blobs.drafts().unwrap(), 0);

        std::mem::forget(draft_of(&blobs, b"killed"));
        fs::write(folder.path().join("tmp/other-1"), "somebody else's").unwrap();
        let blobs = Blobs::open(folder.path(), "seat").unwrap();
        assert_eq!(blobs.drafts().unwrap(), 1, "only the other process's draft is left");
    }

    #[test]
    fn the_sweep_passes_over_what_is_young_pinned_or_named() {
        let (_folder, blobs) = blobs();
        let kept = blobs.keep(draft_of(&blobs, b"abc")).unwrap();
        let name = kept.name.clone();
        assert_eq!(blobs.candidates(Duration::ZERO).unwrap(), [], "pinned");
        assert_eq!(blobs.sweep(std::slice::from_ref(&name), Duration::ZERO).unwrap(), Swept::default());
        drop(kept);
        assert_eq!(blobs.candidates(Duration::from_secs(60)).unwrap(), [], "young");
        assert_eq!(blobs.candidates(Duration::ZERO).unwrap(), std::slice::from_ref(&name));
        assert_eq!(blobs.sweep(&[], Duration::ZERO).unwrap(), Swept::default());
        assert_eq!(
            blobs.sweep(std::slice::from_ref(&name), Duration::ZERO).unwrap(),
            Swept { blobs: 1, bytes: 3 }
        );
        assert!(matches!(blobs.read(&name), Err(BlobError::Missing(missing)) if missing == name));
    }
}
