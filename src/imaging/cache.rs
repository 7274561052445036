//! The folder of variants: `ab/<blob>-<spec>-<version>`, the least recently used removed first.
//!
//! Which files there are is known in memory, and found out anew at each start; in which order they were used last,
//! too, then by the times of the files (an access time counts where the file system keeps it). A file is written under
//! another name, moved into place, and begins with a head that tells its length and its digest: nothing is synced, so
//! after a power cut a file may be anything, and what does not fit its head is removed and made again. Several
//! processes may share the folder: each keeps its own to the limit, and finds what the others made.
//!
//! Everything here is synchronous; callers on a runtime use a blocking thread.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::UNIX_EPOCH;

use bytes::Bytes;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::FolderError;
use super::index::Index;
use super::variants::Variant;
use crate::media::image::{Format, Spec};
use crate::task::BlobName;
use crate::telemetry::metrics::ImagingMetrics;

/// Counted up whenever the same spec is to give other bytes, so that none of the old ones are found.
const VERSION: u32 = 1;

/// Where files are written before they are moved into place.
const DRAFTS: &str = "tmp";

/// Which file: the name of the blob, of the spec and of the version.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Key(String);

impl Key {
    pub(super) fn new(blob: &BlobName, spec: &Spec) -> Self {
        Self(format!("{blob}-{spec}-{VERSION}"))
    }

    /// The key of a file that was found; `None` for one that is no variant.
    fn of_file(name: &str) -> Option<Self> {
        let (blob, rest) = name.split_once('-')?;
        (BlobName::from_str(blob).is_ok() && rest.ends_with(&format!("-{VERSION}")))
            .then(|| Self(name.to_owned()))
    }

    /// The name of the blob.
    fn blob(&self) -> &str {
        self.0.split_once('-').map_or("", |(blob, _)| blob)
    }

    fn path(&self, root: &Path) -> PathBuf {
        root.join(&self.0[..2]).join(&self.0)
    }
}

/// The folder. Clones share it.
#[derive(Clone)]
pub(super) struct Cache(Arc<Inner>);

struct Inner {
    root: PathBuf,
    index: Mutex<Index<Key>>,
    metrics: ImagingMetrics,
}

impl Cache {
    /// Opens the folder, makes it where it is missing, and removes what is no variant or too much.
    pub(super) fn open(root: &Path, most: u64, metrics: ImagingMetrics) -> Result<Self, FolderError> {
        let failed = |doing, path: &Path| {
            let path = path.to_owned();
            move |source| FolderError { doing, path, source }
        };
        let drafts = root.join(DRAFTS);
        make_private(&drafts).map_err(failed("cannot make", &drafts))?;
        for draft in fs::read_dir(&drafts).map_err(failed("cannot read", &drafts))? {
            let draft = draft.map_err(failed("cannot read", &drafts))?.path();
            fs::remove_file(&draft).map_err(failed("cannot remove", &draft))?;
        }
        let mut found = Vec::new();
        for shelf in fs::read_dir(root).map_err(failed("cannot read", root))? {
            let shelf = shelf.map_err(failed("cannot read", root))?.path();
            if shelf != drafts && shelf.is_dir() {
                survey(&shelf, &mut found).map_err(failed("cannot read", &shelf))?;
            }
        }
        found.sort();
        let cache =
            Self(Arc::new(Inner { root: root.to_owned(), index: Mutex::new(Index::new(most)), metrics }));
        for (_, key, bytes) in found {
            let (place, path) = (key.clone(), key.path(root));
            let removed = {
                let mut index = cache.index();
                let removed = index.make_room(&key, bytes);
                index.ready(&place);
                removed
            };
            match removed {
                Some(removed) => cache.remove(&removed),
                None => remove(&path),
            }
        }
        cache.tell();
        Ok(cache)
    }

    /// The variant, when it is there and whole.
    pub(super) fn get(&self, key: &Key) -> Option<Variant> {
        let path = key.path(&self.0.root);
        let variant = File::open(&path).and_then(read);
        match variant {
            Ok(Some(variant)) => {
                self.index().used(key);
                Some(variant)
            }
            Ok(None) => {
                tracing::warn!(file = %path.display(), "a variant in the cache was broken; it is made again");
                self.lost(key);
                remove(&path);
                None
            }
            Err(error) => {
                if error.kind() != io::ErrorKind::NotFound {
                    tracing::warn!(file = %path.display(), %error, "a variant in the cache cannot be read; it is made again");
                }
                self.lost(key);
                None
            }
        }
    }

    /// Puts a variant there, and takes others out to make room for it. When it cannot be written, it is not there.
    pub(super) fn put(&self, key: &Key, variant: &Variant) {
        let head = Head::of(variant);
        let bytes = (HEAD + variant.bytes.len()) as u64;
        let Some(removed) = self.index().make_room(key, bytes) else { return };
        self.remove(&removed);
        let path = key.path(&self.0.root);
        match self.write(&path, &head, &variant.bytes) {
            // It may have been taken out again, or forgotten, while it was written.
            Ok(()) if !self.index().ready(key) => remove(&path),
            Ok(()) => {}
            Err(error) => {
                self.index().remove(key);
                tracing::warn!(file = %path.display(), %error, "a variant cannot be kept; it will be made again");
            }
        }
        self.tell();
    }

    /// The blobs of which there are variants, each once.
    pub(super) fn blobs(&self) -> Vec<BlobName> {
        let mut names: Vec<BlobName> =
            self.index().keys().filter_map(|key| key.blob().parse().ok()).collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// Takes out all variants of these blobs.
    pub(super) fn forget(&self, blobs: &[BlobName]) {
        let gone: HashSet<&str> = blobs.iter().map(BlobName::as_str).collect();
        let removed = self.index().remove_all(|key| gone.contains(key.blob()));
        self.remove(&removed);
        self.tell();
    }

    fn write(&self, path: &Path, head: &[u8; HEAD], bytes: &[u8]) -> io::Result<()> {
        let drafts = self.0.root.join(DRAFTS);
        let draft = drafts.join(Uuid::new_v4().simple().to_string());
        let mut options = fs::OpenOptions::new();
        options.write(true).create_new(true).mode(0o600);
        let file = match options.open(&draft) {
            // Somebody removed the folder, as they may.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                make_private(&drafts)?;
                options.open(&draft)
            }
            opened => opened,
        };
        let written = file.and_then(|mut file| {
            file.write_all(head)?;
            file.write_all(bytes)?;
            match fs::rename(&draft, path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    make_private(path.parent().unwrap_or(&self.0.root))?;
                    fs::rename(&draft, path)
                }
                moved => moved,
            }
        });
        written.inspect_err(|_| remove(&draft))
    }

    /// A file is not there as it was thought to be. One that is being written is let alone.
    fn lost(&self, key: &Key) {
        self.index().lost(key);
        self.tell();
    }

    fn remove(&self, keys: &[Key]) {
        for key in keys {
            remove(&key.path(&self.0.root));
        }
    }

    fn index(&self) -> MutexGuard<'_, Index<Key>> {
        self.0.index.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self) {
        self.0.metrics.set_cache_bytes(self.bytes());
    }

    /// What the files take, those that are being written included.
    pub(super) fn bytes(&self) -> u64 {
        self.index().bytes()
    }
}

/// When a file was used last (nanoseconds since 1970), which it is, and its size.
type Found = (u128, Key, u64);

/// What is on a shelf; files that are no variants, of other versions above all, are removed.
fn survey(shelf: &Path, found: &mut Vec<Found>) -> io::Result<()> {
    for file in fs::read_dir(shelf)? {
        let file = file?;
        let key = file.file_name().to_str().and_then(Key::of_file);
        let Some(key) = key else {
            remove(&file.path());
            continue;
        };
        let metadata = file.metadata()?;
        let times = [metadata.modified(), metadata.accessed()].into_iter().flatten();
        let used = times.filter_map(|time| time.duration_since(UNIX_EPOCH).ok()).max().unwrap_or_default();
        found.push((used.as_nanos(), key, metadata.len()));
    }
    Ok(())
}

/// Removes a file that may be gone already. One that stays is found by the next start.
fn remove(path: &Path) {
    if let Err(error) = fs::remove_file(path)
        && error.kind() != io::ErrorKind::NotFound
    {
        tracing::warn!(file = %path.display(), %error, "a file in the cache of variants cannot be removed");
    }
}

fn make_private(folder: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

/// Bytes of the head of a file: a mark, the format, width, height, length and digest.
const HEAD: usize = 4 + 4 + 4 + 4 + 8 + 32;
const MARK: &[u8; 4] = b"gmv1";

struct Head;

impl Head {
    fn of(variant: &Variant) -> [u8; HEAD] {
        let mut head = [0; HEAD];
        let format = Format::ALL.iter().position(|format| *format == variant.format).unwrap_or(0) as u32;
        head[..4].copy_from_slice(MARK);
        head[4..8].copy_from_slice(&format.to_le_bytes());
        head[8..12].copy_from_slice(&variant.width.to_le_bytes());
        head[12..16].copy_from_slice(&variant.height.to_le_bytes());
        head[16..24].copy_from_slice(&(variant.bytes.len() as u64).to_le_bytes());
        head[24..].copy_from_slice(&variant.digest);
        head
    }
}

/// The variant in a file; `None` when it is broken.
fn read(mut file: File) -> io::Result<Option<Variant>> {
    let length = file.metadata()?.len();
    let mut head = [0; HEAD];
    match file.read_exact(&mut head) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        read => read?,
    }
    let number = |at: usize| u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
    let told = u64::from(number(16)) | u64::from(number(20)) << 32;
    let format = Format::ALL.get(number(4) as usize).copied();
    let (Some(format), true) =
        (format, head.starts_with(MARK) && told.checked_add(HEAD as u64) == Some(length))
    else {
        return Ok(None);
    };
    let mut bytes = Vec::with_capacity((length - HEAD as u64) as usize);
    file.read_to_end(&mut bytes)?;
    let digest: [u8; 32] = Sha256::digest(&bytes).into();
    let whole = digest == head[24..];
    let variant = Variant { format, width: number(8), height: number(12), bytes: Bytes::from(bytes), digest };
    Ok(whole.then_some(variant))
}
