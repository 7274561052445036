//! The local folder: `ab/cdef…` under the blob folder for a blob, `tmp/` beside them for drafts.
//!
//! Used by `mod.rs`. True here: a blob is put in place by renaming, and both it and its folder are synced before it
//! counts as kept.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::draft::{Draft, Drafts, make_private, remove};
use super::pins::{Kept, Pins};
use super::{BlobError, Swept};
use crate::failpoint::{self, Failpoint};
use crate::task::BlobName;

/// A folder of blobs.
#[derive(Debug)]
pub(super) struct Folder {
    root: PathBuf,
}

impl Folder {
    pub(super) fn new(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }

    /// Syncs a draft and moves it to its place.
    pub(super) fn keep(&self, draft: &Draft, name: BlobName, pins: &Arc<Pins>) -> Result<Kept, BlobError> {
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

    /// Opens a blob. A file that is open outlives its removal.
    pub(super) fn read(&self, name: &BlobName) -> Result<File, BlobError> {
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
    pub(super) fn candidates(&self, grace: Duration, pins: &Pins) -> Result<Vec<BlobName>, BlobError> {
        let mut names = Vec::new();
        let root = &self.root;
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
                    && !pins.holds(&name)
                {
                    names.push(name);
                }
            }
        }
        Ok(names)
    }

    /// Removes those of `unreferenced` that are still old and unpinned: one that was kept anew while the caller
    /// asked who names it stays, on whichever node that was.
    pub(super) fn sweep(
        &self,
        unreferenced: &[BlobName],
        grace: Duration,
        pins: &Pins,
        drafts: &Drafts,
    ) -> Result<Swept, BlobError> {
        let mut swept = Swept::default();
        for name in unreferenced {
            let path = self.path(name);
            let pins = pins.lock();
            if pins.contains_key(name) || !is_older(&path, grace) {
                continue;
            }
            // Out of the way first, and looked at again there: another node may have put the same bytes into place since,
            // and its pins are not ours to see.
            let aside = drafts.place(&format!("swept-{name}"));
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

    fn path(&self, name: &BlobName) -> PathBuf {
        let (prefix, rest) = name.as_str().split_at(2);
        self.root.join(prefix).join(rest)
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
