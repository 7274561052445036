//! Files by name, in a folder or in a bucket: where backups lie, apart from the blobs.
//!
//! Used by the backups, which say what the files are. True here: a file is there whole or not at all, and survives a power cut
//! once it was put there; nobody else may read what lies in the folder; a name is words with slashes between them.
//!
//! What is being written is a [`Draft`] under `tmp`, in the folder itself or, for a bucket, in one of this machine; those of
//! processes that were killed are removed after a day.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use uuid::Uuid;

use super::BlobError;
use super::bucket::Bucket;
use super::draft::{Draft, Drafts, make_private, remove};
use super::folder::sync_folder;
use crate::clock::Clock;
use crate::config::{BlobSettings, BlobUrl};
use crate::task::BlobName;

/// The folder of drafts.
const TMP: &str = "tmp";

/// A place for files. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Shelf {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    /// Where drafts lie.
    tmp: PathBuf,
    /// Opened by the first draft: a place that is only read from is not written to.
    drafts: Mutex<Option<Drafts>>,
    place: Place,
    /// As the settings name it.
    shown: String,
}

#[derive(Debug)]
enum Place {
    Folder(PathBuf),
    Bucket(Arc<Bucket>),
}

/// A file that lies there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// Its name.
    pub name: String,
    /// Its size.
    pub bytes: u64,
    /// How long ago it was put there, by the clock that dated it.
    pub age: Duration,
}

impl Shelf {
    /// Opens what the settings name; makes no folder before something is written, and asks a bucket nothing. What is written
    /// for a bucket lies in `scratch` until it is there.
    ///
    /// # Errors
    /// [`BlobError`] when the bucket's settings cannot be used.
    pub fn open(settings: &BlobSettings, scratch: &Path, clock: Clock) -> Result<Self, BlobError> {
        let (tmp, place) = match &settings.url {
            BlobUrl::File { folder } => (folder.join(TMP), Place::Folder(folder.clone())),
            BlobUrl::Bucket { bucket, prefix } => {
                let bucket = Bucket::open(settings, bucket, prefix, clock)?;
                (scratch.to_owned(), Place::Bucket(Arc::new(bucket)))
            }
        };
        let inner = Inner { tmp, drafts: Mutex::new(None), place, shown: settings.url.to_string() };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Begins a file; the first makes the folder where it is missing, and removes what is forgotten there.
    ///
    /// # Errors
    /// [`BlobError`] when it cannot be made.
    pub fn draft(&self) -> Result<Draft, BlobError> {
        let mut drafts = self.inner.drafts.lock().unwrap_or_else(PoisonError::into_inner);
        let drafts = match &mut *drafts {
            Some(drafts) => drafts,
            none => {
                let tmp = &self.inner.tmp;
                // Of a seat that nobody had before: others' drafts are let alone.
                let seat = Uuid::new_v4().simple().to_string();
                none.insert(Drafts::open(tmp.clone(), &seat, SystemTime::now())?)
            }
        };
        drafts.begin()
    }

    /// Puts a draft in its place, over what was there; gives the digest of its bytes, and their number.
    ///
    /// # Errors
    /// [`BlobError`] when it cannot be written, moved or uploaded; what was there before is there still then.
    pub fn put(&self, mut draft: Draft, name: &str) -> Result<(BlobName, u64), BlobError> {
        let digest = draft.digest()?;
        self.place(&draft, name)?;
        Ok((digest, draft.len()))
    }

    /// Puts a draft in its place if its bytes are those of that name; `false` when they are not, and nothing was done.
    ///
    /// # Errors
    /// As [`Self::put`].
    pub fn put_if(&self, mut draft: Draft, name: &str, digest: &BlobName) -> Result<bool, BlobError> {
        if draft.digest()? != *digest {
            return Ok(false);
        }
        self.place(&draft, name)?;
        Ok(true)
    }

    /// Puts bytes in their place that are in memory already; see [`Self::put`].
    ///
    /// # Errors
    /// As there.
    pub fn put_bytes(&self, bytes: &[u8], name: &str) -> Result<(), BlobError> {
        let mut draft = self.draft()?;
        draft.append(bytes)?;
        self.put(draft, name).map(drop)
    }

    fn place(&self, draft: &Draft, name: &str) -> Result<(), BlobError> {
        let root = match &self.inner.place {
            Place::Folder(root) => root,
            Place::Bucket(bucket) => return bucket.put_file(draft, name),
        };
        draft.file.sync_all().map_err(BlobError::of("cannot sync", &draft.path))?;
        let place = root.join(name);
        let Some(folder) = place.parent() else { unreachable!("a file lies in a folder") };
        make_private(folder)?;
        fs::rename(&draft.path, &place).map_err(BlobError::of("cannot move into place", &draft.path))?;
        // The folders between may be new.
        let between = folder.ancestors().take_while(|folder| folder.starts_with(root));
        between.into_iter().try_for_each(sync_folder)
    }

    /// Opens a file; `None` when there is none of that name.
    ///
    /// # Errors
    /// [`BlobError`] when that cannot be found out. What goes wrong later is an error of the reader.
    pub fn read(&self, name: &str) -> Result<Option<Box<dyn Read + Send>>, BlobError> {
        match &self.inner.place {
            Place::Folder(root) => {
                let path = root.join(name);
                // Opening a FIFO would wait for whoever writes to it.
                if fs::metadata(&path).is_ok_and(|there| !there.is_file()) {
                    let problem = io::Error::new(io::ErrorKind::InvalidInput, "it is no file");
                    return Err(BlobError::of("cannot open", &path)(problem));
                }
                match File::open(&path) {
                    Ok(file) => Ok(Some(Box::new(file))),
                    Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
                    Err(error) => Err(BlobError::of("cannot open", &path)(error)),
                }
            }
            Place::Bucket(bucket) => bucket.read_file(name),
        }
    }

    /// The files in a folder and below it; `""` is all of them. In no order.
    ///
    /// # Errors
    /// [`BlobError`] when it cannot be listed.
    pub fn list(&self, folder: &str) -> Result<Vec<Item>, BlobError> {
        let root = match &self.inner.place {
            Place::Folder(root) => root,
            Place::Bucket(bucket) => return bucket.list_files(folder),
        };
        let (mut open, mut found) = (vec![root.join(folder)], Vec::new());
        while let Some(path) = open.pop() {
            let entries = match fs::read_dir(&path) {
                // Nothing was put there, or it was removed while we looked.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                entries => entries.map_err(BlobError::of("cannot read", &path))?,
            };
            for entry in entries {
                let path = entry.map_err(BlobError::of("cannot read", &path))?.path();
                let Ok(name) = path.strip_prefix(root) else { unreachable!("it lies below it") };
                if name == Path::new(TMP) {
                    continue;
                }
                let looked = match fs::symlink_metadata(&path) {
                    Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                    looked => looked.map_err(BlobError::of("cannot look at", &path))?,
                };
                if looked.is_dir() {
                    open.push(path);
                } else {
                    found.push(Item {
                        name: name.to_string_lossy().into_owned(),
                        bytes: looked.len(),
                        age: age(&looked),
                    });
                }
            }
        }
        Ok(found)
    }

    /// The names of the folders that lie at the top.
    ///
    /// # Errors
    /// [`BlobError`] when they cannot be listed.
    pub fn folders(&self) -> Result<Vec<String>, BlobError> {
        let root = match &self.inner.place {
            Place::Folder(root) => root,
            Place::Bucket(bucket) => return bucket.folders(),
        };
        let mut names = Vec::new();
        for entry in fs::read_dir(root).map_err(BlobError::of("cannot read", root))? {
            let entry = entry.map_err(BlobError::of("cannot read", root))?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if entry.path().is_dir() && name != TMP {
                names.push(name);
            }
        }
        Ok(names)
    }

    /// Removes files, and folders that are empty then; one that is gone already is no error.
    ///
    /// # Errors
    /// [`BlobError`] when one cannot be removed; those before it are.
    pub fn remove(&self, names: &[String]) -> Result<(), BlobError> {
        let root = match &self.inner.place {
            Place::Folder(root) => root,
            Place::Bucket(bucket) => return bucket.remove_files(names),
        };
        for name in names {
            let path = root.join(name);
            remove(&path)?;
            for folder in path.ancestors().skip(1).take_while(|folder| *folder != root) {
                // It holds something else, or is gone.
                if fs::remove_dir(folder).is_err() {
                    break;
                }
            }
        }
        Ok(())
    }
}

/// As the settings name it.
impl fmt::Display for Shelf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.inner.shown)
    }
}

fn age(file: &fs::Metadata) -> Duration {
    let modified = file.modified().unwrap_or(SystemTime::UNIX_EPOCH);
    SystemTime::now().duration_since(modified).unwrap_or_default()
}
