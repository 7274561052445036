//! Bytes on their way in: files in a folder of this machine, under names that nobody can ask for.
//!
//! Used by `mod.rs`; a [`Draft`] is filled by whoever has bytes to keep. True here: a draft that is dropped is removed,
//! and those of a process that was killed are removed when the next one in its seat opens the folder, or anybody does to whom
//! they look forgotten.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::BlobError;
use crate::task::BlobName;

/// Drafts of this age are nobody's any more: their process was killed, and nobody has its seat.
pub(super) const FORGOTTEN: Duration = Duration::from_secs(24 * 3600);

/// What stands between the seat and the name of a blob that a sweep has moved aside: that is no draft.
pub(super) const ASIDE: &str = "-swept-";

/// The folder of drafts.
#[derive(Debug)]
pub(super) struct Drafts {
    folder: PathBuf,
    /// Drafts of ours begin with this, so that another process's drafts in the same folder are let alone.
    seat: String,
}

/// Bytes being written. Removed when dropped.
#[derive(Debug)]
pub struct Draft {
    pub(super) path: PathBuf,
    pub(super) file: File,
    written: Option<Sha256>,
    bytes: u64,
}

impl Drafts {
    /// Opens the folder, making it where it is missing, and removes what an earlier process in the same `seat` left, and what
    /// is forgotten by `now`.
    pub(super) fn open(folder: PathBuf, seat: &str, now: SystemTime) -> Result<Self, BlobError> {
        make_private(&folder)?;
        for entry in fs::read_dir(&folder).map_err(BlobError::of("cannot read", &folder))? {
            let entry = entry.map_err(BlobError::of("cannot read", &folder))?;
            let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
            let ours = name.starts_with(&format!("{seat}-"));
            if ours || !name.contains(ASIDE) && is_forgotten(&path, now) {
                remove(&path)?;
            }
        }
        Ok(Self { folder, seat: seat.to_owned() })
    }

    /// Begins a draft.
    pub(super) fn begin(&self) -> Result<Draft, BlobError> {
        let path = self.place(&Uuid::new_v4().simple().to_string());
        let mut options = OpenOptions::new();
        // Recordings are their owners' alone.
        options.read(true).write(true).create_new(true).mode(0o600);
        let file = match options.open(&path) {
            // Somebody removed the folder: it is made again rather than missed for ever.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                make_private(&self.folder)?;
                options.open(&path)
            }
            opened => opened,
        };
        let file = file.map_err(BlobError::of("cannot make", &path))?;
        Ok(Draft { path, file, written: Some(Sha256::new()), bytes: 0 })
    }

    /// How many drafts lie here, whosever they are.
    pub(super) fn count(&self) -> Result<usize, BlobError> {
        Ok(fs::read_dir(&self.folder).map_err(BlobError::of("cannot read", &self.folder))?.count())
    }

    /// A path in the folder that is ours to clean up.
    pub(super) fn place(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{}-{name}", self.seat))
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

    /// Writes all of `bytes`.
    ///
    /// # Errors
    /// [`BlobError::Full`] when there is no room, and whatever else keeps the file from being written.
    pub fn append(&mut self, bytes: &[u8]) -> Result<(), BlobError> {
        let written = self.write_all(bytes);
        written.map_err(BlobError::of("cannot write", &self.path))
    }

    /// A second handle on the same file, to read what was written.
    ///
    /// # Errors
    /// [`BlobError`] when it cannot be opened.
    pub fn reader(&self) -> Result<File, BlobError> {
        File::open(&self.path).map_err(BlobError::of("cannot open", &self.path))
    }

    /// The name of the bytes. From here on [`Self::len`] is that of the bytes named.
    pub(super) fn digest(&mut self) -> Result<BlobName, BlobError> {
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

/// Whether nobody has written to this file for so long that nobody will.
fn is_forgotten(path: &Path, now: SystemTime) -> bool {
    let written = |file: fs::Metadata| if file.is_file() { file.modified().ok() } else { None };
    let written = fs::symlink_metadata(path).ok().and_then(written);
    written.and_then(|written| now.duration_since(written).ok()).is_some_and(|age| age > FORGOTTEN)
}

/// Makes a folder, with those above it, for nobody else's eyes.
pub(super) fn make_private(folder: &Path) -> Result<(), BlobError> {
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.map_err(BlobError::of("cannot make", folder))
}

pub(super) fn remove(path: &Path) -> Result<(), BlobError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(BlobError::of("cannot remove", path)(error))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}
