//! The local folder: `ab/cdef…` under the blob folder for a blob, `tmp/` beside them for drafts.
//!
//! Used by `mod.rs`. True here: a blob is put in place by renaming, and both it and its folder are synced before it
//! counts as kept.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rustix::fs::{Timespec, Timestamps, UTIME_NOW, UTIME_OMIT, futimens};

use super::draft::{ASIDE, Draft, Drafts, FORGOTTEN, make_private, remove};
use super::horizon::Horizon;
use super::pins::{Kept, Pins};
use super::{BlobError, Swept};
use crate::failpoint::{self, Failpoint};
use crate::task::BlobName;

/// How often a reader looks before a blob is missing: between two looks it may have been put back.
const LOOKS: usize = 3;

/// A file's age begins anew: by the clock of whoever keeps the files.
const TOUCHED: Timestamps = Timestamps {
    last_access: Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT },
    last_modification: Timespec { tv_sec: 0, tv_nsec: UTIME_NOW },
};

/// A folder of blobs.
#[derive(Debug)]
pub(super) struct Folder {
    root: PathBuf,
}

impl Folder {
    pub(super) fn new(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }

    /// Puts back what a process of this seat had moved aside when it was killed in the middle of a sweep, and what one of
    /// another seat did so long ago that it must have been killed as well: a row may have come to name it just then. Where
    /// nothing does, the next sweep finds it again.
    pub(super) fn give_back(&self, seat: &str, now: SystemTime) -> Result<(), BlobError> {
        for (path, whose, blob) in self.aside()? {
            if whose == seat || lies_for(&path, now) > FORGOTTEN {
                self.put_back(&path, &blob)?;
            }
        }
        Ok(())
    }

    /// Over nothing that was kept anew since: that has the same bytes, and is younger.
    fn put_back(&self, aside: &Path, blob: &BlobName) -> Result<(), BlobError> {
        let place = self.path(blob);
        if let Some(folder) = place.parent() {
            make_private(folder)?;
        }
        match fs::hard_link(aside, &place) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists && !place.exists() => {
                // Where there are no hard links.
                fs::rename(aside, &place).map_err(BlobError::of("cannot move back", &place))
            }
            Ok(()) | Err(_) => remove(aside),
        }
    }

    /// Syncs a draft and moves it to its place.
    pub(super) fn keep(&self, draft: &Draft, name: BlobName, pins: &Arc<Pins>) -> Result<Kept, BlobError> {
        // Its age counts from now, however long ago its last byte came.
        futimens(&draft.file, &TOUCHED)
            .map_err(|error| BlobError::of("cannot date", &draft.path)(error.into()))?;
        draft.file.sync_all().map_err(BlobError::of("cannot sync", &draft.path))?;
        failpoint::hit(Failpoint::BlobSynced);
        let place = self.path(&name);
        let Some(folder) = place.parent() else { unreachable!("a blob lies in a folder of the root") };
        let kept = {
            let mut locked = pins.lock();
            make_private(folder)?;
            // Over an older copy of the same bytes too: that makes it young again for the sweep.
            fs::rename(&draft.path, &place).map_err(BlobError::of("cannot move into place", &draft.path))?;
            pins.pin(&mut locked, name, draft.len())
        };
        failpoint::hit(Failpoint::BlobMoved);
        sync_folder(folder)?;
        sync_folder(&self.root)?;
        Ok(kept)
    }

    /// Opens a blob. A file that is open outlives its removal. One that another node's sweep holds aside at this moment
    /// is read there, whether it is then put back or removed.
    pub(super) fn read(&self, name: &BlobName) -> Result<File, BlobError> {
        let place = self.path(name);
        for _ in 0..LOOKS {
            if let Some(file) = open(&place)? {
                return Ok(file);
            }
            for (aside, ..) in self.aside()?.iter().filter(|(.., blob)| blob == name) {
                if let Some(file) = open(aside)? {
                    return Ok(file);
                }
            }
        }
        Err(BlobError::Missing(name.clone()))
    }

    /// What sweeps hold aside: where, the seat of whose, and which blob.
    fn aside(&self) -> Result<Vec<(PathBuf, String, BlobName)>, BlobError> {
        let tmp = self.tmp();
        let entries = match fs::read_dir(&tmp) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(BlobError::of("cannot read", &tmp))?,
        };
        let mut found = Vec::new();
        for entry in entries {
            let entry = entry.map_err(BlobError::of("cannot read", &tmp))?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if let Some((whose, blob)) = name.rsplit_once(ASIDE)
                && let Ok(blob) = blob.parse()
            {
                found.push((entry.path(), whose.to_owned(), blob));
            }
        }
        Ok(found)
    }

    /// Every blob that is older than `grace` and not pinned: those a sweep may ask about.
    pub(super) fn candidates(&self, grace: Duration, pins: &Pins) -> Result<Vec<BlobName>, BlobError> {
        let horizon = Horizon::at(now(), grace);
        let mut names = Vec::new();
        let root = &self.root;
        for folder in fs::read_dir(root).map_err(BlobError::of("cannot read", root))? {
            let folder = folder.map_err(BlobError::of("cannot read", root))?;
            let prefix = folder.file_name().to_string_lossy().into_owned();
            if prefix.len() != 2 {
                continue;
            }
            let folder = folder.path();
            let files = match fs::read_dir(&folder) {
                Ok(files) => files,
                Err(error) => {
                    // One that is not ours to read must not keep all others for ever.
                    tracing::warn!(folder = %folder.display(), %error, "blobs there cannot be listed, and are not swept");
                    continue;
                }
            };
            for file in files {
                let file = file.map_err(BlobError::of("cannot read", &folder))?;
                let name = format!("{prefix}{}", file.file_name().to_string_lossy());
                if let Ok(name) = name.parse::<BlobName>()
                    && is_behind(&file.path(), horizon)
                    && !pins.holds(&name)
                {
                    names.push(name);
                }
            }
        }
        Ok(names)
    }

    /// See [`super::Blobs::sweep`]. One that cannot be removed keeps no other: the first error is told at the end.
    pub(super) fn sweep(
        &self,
        unreferenced: &[BlobName],
        horizon: Horizon,
        pins: &Pins,
        drafts: &Drafts,
    ) -> Result<Swept, BlobError> {
        let (mut swept, mut failed) = (Swept::default(), None);
        for name in unreferenced {
            match self.sweep_one(name, horizon, pins, drafts) {
                Ok(Some(bytes)) => {
                    swept.blobs += 1;
                    swept.bytes += bytes;
                }
                Ok(None) => {}
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        failed.map_or(Ok(swept), Err)
    }

    /// How many bytes were freed, if it was removed.
    fn sweep_one(
        &self,
        name: &BlobName,
        horizon: Horizon,
        pins: &Pins,
        drafts: &Drafts,
    ) -> Result<Option<u64>, BlobError> {
        let path = self.path(name);
        let pins = pins.lock();
        if pins.contains_key(name) || !is_behind(&path, horizon) {
            return Ok(None);
        }
        // Out of the way first, and looked at again there: another node may have put the same bytes into place since, and
        // its pins are not ours to see.
        let aside = drafts.place(&format!("{}{name}", ASIDE.trim_start_matches('-')));
        match fs::rename(&path, &aside) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(BlobError::of("cannot move aside", &path)(error)),
        }
        if !is_behind(&aside, horizon) {
            fs::rename(&aside, &path).map_err(BlobError::of("cannot move back", &aside))?;
            return Ok(None);
        }
        let bytes = fs::metadata(&aside).map(|file| file.len()).unwrap_or(0);
        remove(&aside)?;
        Ok(Some(bytes))
    }

    /// How many bytes these hold together; one that is gone meanwhile holds none.
    pub(super) fn bytes_of(&self, names: &[BlobName]) -> u64 {
        names.iter().filter_map(|name| fs::metadata(self.path(name)).ok()).map(|file| file.len()).sum()
    }

    /// Where drafts lie, and what is moved aside.
    pub(super) fn tmp(&self) -> PathBuf {
        self.root.join("tmp")
    }

    fn path(&self, name: &BlobName) -> PathBuf {
        let (prefix, rest) = name.as_str().split_at(2);
        self.root.join(prefix).join(rest)
    }
}

/// `None` when there is no such file.
fn open(path: &Path) -> Result<Option<File>, BlobError> {
    match File::open(path) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(BlobError::of("cannot open", path)(error)),
    }
}

/// How long ago it was moved to where it is: the time of its bytes stays what it was.
fn lies_for(path: &Path, now: SystemTime) -> Duration {
    let seconds = fs::metadata(path).ok().and_then(|file| u64::try_from(file.ctime()).ok());
    let moved = seconds.and_then(|at| SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(at)));
    moved.and_then(|moved| now.duration_since(moved).ok()).unwrap_or_default()
}

/// The clock by which files are dated.
pub(super) fn now() -> SystemTime {
    SystemTime::now()
}

fn is_behind(path: &Path, horizon: Horizon) -> bool {
    let modified = fs::metadata(path).and_then(|file| file.modified());
    modified.is_ok_and(|modified| horizon.has_passed(modified, now()))
}

/// Without this the move itself may be lost in a power cut.
pub(super) fn sync_folder(folder: &Path) -> Result<(), BlobError> {
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(BlobError::of("cannot sync", folder))
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;
    use crate::blob::Blobs;

    /// Another node has looked, the same bytes were kept anew, and it has not yet seen that they are young.
    #[test]
    fn what_another_nodes_sweep_holds_aside_is_read_there() {
        let root = tempfile::tempdir().unwrap();
        let blobs = Blobs::open(root.path(), "seat").unwrap();
        let name = blobs.keep_bytes(b"contested").unwrap().name.clone();
        let folder = Folder::new(root.path());
        fs::rename(folder.path(&name), folder.tmp().join(format!("other-swept-{name}"))).unwrap();
        let mut bytes = Vec::new();
        blobs.read(&name).unwrap().read_to_end(&mut bytes).unwrap();
        assert_eq!(bytes, b"contested");
    }

    /// Data folders come and go where each container has one of its own, and seats with them.
    #[test]
    fn what_processes_left_that_never_come_back_is_tidied_up_after_a_day() {
        let root = tempfile::tempdir().unwrap();
        let blobs = Blobs::open(root.path(), "seat").unwrap();
        let name = blobs.keep_bytes(b"named just now").unwrap().name.clone();
        let folder = Folder::new(root.path());
        let (aside, draft) =
            (folder.tmp().join(format!("gone-swept-{name}")), folder.tmp().join("gone-draft"));
        fs::rename(folder.path(&name), &aside).unwrap();
        fs::write(&draft, b"half").unwrap();
        drop(Blobs::open(root.path(), "seat").unwrap());
        assert!(aside.exists() && draft.exists(), "of today: somebody else's");
        let later = SystemTime::now() + 2 * FORGOTTEN;
        folder.give_back("seat", later).unwrap();
        drop(Drafts::open(folder.tmp(), "seat", later).unwrap());
        assert!(!aside.exists() && !draft.exists() && folder.path(&name).exists());
    }

    #[test]
    fn what_a_killed_sweep_had_moved_aside_is_put_back() {
        let root = tempfile::tempdir().unwrap();
        let blobs = Blobs::open(root.path(), "seat").unwrap();
        let name = blobs.keep_bytes(b"named just now").unwrap().name.clone();
        let folder = Folder::new(root.path());
        let tmp = folder.tmp();
        fs::rename(folder.path(&name), tmp.join(format!("seat-swept-{name}"))).unwrap();
        fs::write(tmp.join("seat-swept-no-name"), b"").unwrap();
        drop(blobs);

        let blobs = Blobs::open(root.path(), "seat").unwrap();
        let mut bytes = Vec::new();
        blobs.read(&name).unwrap().read_to_end(&mut bytes).unwrap();
        assert_eq!(bytes, b"named just now");
        assert_eq!(blobs.drafts().unwrap(), 0);
    }
}
