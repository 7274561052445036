//! Reading all of a backup, and comparing it with its sums.
//!
//! Called by [`Backups::check`](super::Backups::check), and by a restore before it writes anything. True here: when it gives
//! [`Checked`], every byte of the backup was read, and is the one that was written.

use serde::{Deserialize, Serialize};

use super::error::BackupError;
use super::lines;
use super::manifest::Manifest;
use super::name::{Name, blob_file};
use super::{Phase, Progress, Watcher};
use crate::blob::{BlobError, Blobs, Shelf};
use crate::task::BlobName;

/// What was read, and found as it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checked {
    /// Which backup.
    pub name: String,
    /// Rows of all tables.
    pub rows: u64,
    /// Blobs.
    pub blobs: u64,
    /// Their size.
    pub blob_bytes: u64,
    /// Blobs that were lost when the backup was made: it never had them.
    pub lost: u64,
}

/// The name of a manifest that was read by its name.
pub(super) fn name_of(manifest: &Manifest) -> Result<Name, BackupError> {
    manifest.name.parse().map_err(|error: super::NameError| BackupError::Damaged {
        backup: manifest.name.clone(),
        file: "manifest.json".to_owned(),
        problem: error.to_string(),
    })
}

pub(super) fn check(
    shelf: &Shelf,
    manifest: Manifest,
    blobs: &Blobs,
    watcher: &dyn Watcher,
) -> Result<Checked, BackupError> {
    let name = name_of(&manifest)?;
    for table in &manifest.tables {
        let columns = table.columns.len();
        lines::read_file(shelf, &name, &table.rows, |row| {
            if row.len() == columns {
                Ok(())
            } else {
                Err("a row has another number of columns".to_owned().into())
            }
        })?;
    }
    let (mut done, mut count, mut lost) = (0, 0, 0);
    lines::read_list(shelf, &name, &manifest, |blob, bytes| {
        let Some(bytes) = bytes else {
            lost += 1;
            return Ok(());
        };
        count += 1;
        let mut tell = |more: u64| {
            done += more;
            watcher.progress(Progress { phase: Phase::Checking, done, total: manifest.blob_bytes });
            if watcher.is_over() { Err(BackupError::Stopped) } else { Ok(()) }
        };
        if manifest.has_blobs() {
            copy_is_sound(shelf, &blob, bytes, &mut tell)
        } else {
            reference_is_sound(blobs, &blob, bytes, &mut tell)
        }
    })?;
    Ok(Checked { name: manifest.name.clone(), rows: manifest.rows(), blobs: count, blob_bytes: done, lost })
}

/// Whether the copy of a blob in the place is what it was.
fn copy_is_sound(
    shelf: &Shelf,
    blob: &BlobName,
    bytes: u64,
    tell: &mut dyn FnMut(u64) -> Result<(), BackupError>,
) -> Result<(), BackupError> {
    let file = blob_file(blob);
    let damaged = |problem| BackupError::DamagedBlob {
        place: shelf.to_string(),
        blob: blob.clone(),
        file: file.clone(),
        problem,
    };
    let reader = shelf.read(&file)?.ok_or_else(|| damaged("is missing"))?;
    let (found, digest) = look_through(reader, blob, tell)?;
    if found == bytes && digest == *blob { Ok(()) } else { Err(damaged("is damaged")) }
}

/// Whether a blob in the blob store is what it was.
pub(super) fn reference_is_sound(
    blobs: &Blobs,
    blob: &BlobName,
    bytes: u64,
    tell: &mut dyn FnMut(u64) -> Result<(), BackupError>,
) -> Result<(), BackupError> {
    let wrong = |problem| BackupError::Reference { blob: blob.clone(), problem };
    let reader = match blobs.read(blob) {
        Err(BlobError::Missing(_)) => return Err(wrong("is missing")),
        reader => reader?,
    };
    let (found, digest) = look_through(reader, blob, tell)?;
    if found == bytes && digest == *blob { Ok(()) } else { Err(wrong("is damaged")) }
}

fn look_through(
    reader: impl std::io::Read,
    blob: &BlobName,
    tell: &mut dyn FnMut(u64) -> Result<(), BackupError>,
) -> Result<(u64, BlobName), BackupError> {
    let mut ended = None;
    let looked = lines::look_through(reader, |more| {
        tell(more).map_err(|error| {
            ended = Some(error);
            lines::invalid("stopped")
        })
    });
    match ended {
        Some(error) => Err(error),
        None => looked.map_err(BackupError::io("cannot read blob", blob.as_str())),
    }
}
