//! Filling an empty installation from a backup.
//!
//! Called by [`Backups::restore`](super::Backups::restore), by whoever has the seat of the data folder. The order: all of the
//! backup is read and compared; what should be empty is looked at; the blobs are put in, and read again; the rows are put in by
//! one transaction, and read again in it; then that is made durable. So a database is there only when all else is, and what was
//! interrupted can be begun again: of the blobs that it left all are of this backup.

use std::collections::HashSet;
use std::io::Read as _;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use tokio::runtime::Handle;

use super::awake::Awake;
use super::check::{check, name_of, reference_is_sound};
use super::error::BackupError;
use super::lines::{self, Wrong};
use super::manifest::Manifest;
use super::moving::Filling;
use super::name::{Name, blob_file};
use super::{Inner, Phase, Progress, Watcher};
use crate::blob::{Blobs, Shelf};
use crate::failpoint::{self, Failpoint};
use crate::store::TABLES;
use crate::task::BlobName;

/// What was restored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restored {
    /// From which backup.
    pub name: String,
    /// The instant that it shows.
    pub created_at: String,
    /// Rows of all tables.
    pub rows: u64,
    /// Blobs.
    pub blobs: u64,
    /// Their size.
    pub blob_bytes: u64,
    /// Blobs that the backup never had: what names them is there without them.
    pub lost: u64,
}

pub(super) fn restore(
    parts: &Inner,
    shelf: &Shelf,
    manifest: Manifest,
    handle: &Handle,
    watcher: &dyn Watcher,
) -> Result<Restored, BackupError> {
    let name = name_of(&manifest)?;
    let (_, known) = handle.block_on(parts.archive.schema())?;
    if manifest.schema > known {
        return Err(BackupError::TooNew { backup: manifest.name, found: manifest.schema, known });
    }
    only_our_tables(&manifest)?;
    // Locked from here to the end, so that no daemon begins with half of it.
    let session = Awake::keep(handle.block_on(parts.archive.fill(manifest.schema))?, handle);
    let checked = check(shelf, manifest.clone(), &parts.blobs, watcher)?;
    if manifest.has_blobs() {
        only_ours(shelf, &name, &manifest, &parts.blobs)?;
        let restoring = Restoring { shelf, name: &name, manifest: &manifest, blobs: &parts.blobs, watcher };
        restoring.copy()?;
        failpoint::hit(Failpoint::RestoreBlobsPut);
        restoring.look_again()?;
    }
    let mut filling = Filling::new(session.needed()?, handle, watcher, manifest.rows());
    for entry in &manifest.tables {
        let mut table = filling.table(entry.shape());
        lines::read_file(shelf, &name, &entry.rows, |row| table.put(row).map_err(Wrong::Other))?;
        table.finish(entry.last_number)?;
    }
    failpoint::hit(Failpoint::RestoreRowsPut);
    let rows = filling.finish()?;
    Ok(Restored {
        name: manifest.name.clone(),
        created_at: manifest.created_at.to_string(),
        rows,
        blobs: checked.blobs,
        blob_bytes: checked.blob_bytes,
        lost: checked.lost,
    })
}

/// Refuses a manifest with a table or a column that programs of ours do not save: it was written by somebody else, and what it
/// names is written to. An older schema's tables and columns are all there still, since migrations only add.
fn only_our_tables(manifest: &Manifest) -> Result<(), BackupError> {
    let refused = |problem: String| {
        Err(BackupError::Damaged {
            backup: manifest.name.clone(),
            file: "manifest.json".to_owned(),
            problem: format!("{problem}: it was not written by this program"),
        })
    };
    let mut seen = HashSet::new();
    for entry in &manifest.tables {
        let Some(known) = TABLES.iter().find(|table| table.name == entry.table) else {
            return refused(format!("it names the table {}, which no backup has", entry.table));
        };
        if !seen.insert(known.name) {
            return refused(format!("it names the table {} twice", entry.table));
        }
        let mut columns = HashSet::new();
        for column in &entry.columns {
            if !known.columns.contains(&(column.name.as_str(), column.holds)) || !columns.insert(&column.name)
            {
                return refused(format!(
                    "it has a column {}.{} that no backup has",
                    entry.table, column.name
                ));
            }
        }
    }
    Ok(())
}

/// Refuses a blob store that has anything which the backup does not name. Changes nothing there: it may be somebody's.
fn only_ours(shelf: &Shelf, name: &Name, manifest: &Manifest, blobs: &Blobs) -> Result<(), BackupError> {
    let mut there: HashSet<BlobName> = blobs.candidates_seen(Duration::ZERO)?.into_iter().collect();
    if there.is_empty() {
        return Ok(());
    }
    lines::read_list(shelf, name, manifest, |blob, _| {
        there.remove(&blob);
        Ok(())
    })?;
    there.into_iter().next().map_or(Ok(()), |blob| Err(BackupError::BlobsOccupied(blob)))
}

struct Restoring<'a> {
    shelf: &'a Shelf,
    name: &'a Name,
    manifest: &'a Manifest,
    blobs: &'a Blobs,
    watcher: &'a dyn Watcher,
}

impl Restoring<'_> {
    /// Puts every blob in its place.
    fn copy(&self) -> Result<(), BackupError> {
        let mut done = 0;
        let mut buffer = vec![0; 256 << 10];
        lines::read_list(self.shelf, self.name, self.manifest, |blob, bytes| {
            if bytes.is_none() {
                return Ok(());
            }
            let damaged = |problem| BackupError::DamagedBlob {
                place: self.shelf.to_string(),
                blob: blob.clone(),
                file: blob_file(&blob),
                problem,
            };
            let mut reader = self.shelf.read(&blob_file(&blob))?.ok_or_else(|| damaged("is missing"))?;
            let (mut draft, mut hasher) = (self.blobs.draft()?, Sha256::new());
            loop {
                let n =
                    reader.read(&mut buffer).map_err(BackupError::io("cannot read blob", blob.as_str()))?;
                if n == 0 {
                    break;
                }
                draft.append(&buffer[..n])?;
                hasher.update(&buffer[..n]);
                done += n as u64;
                let total = self.manifest.blob_bytes;
                self.watcher.progress(Progress { phase: Phase::Blobs, done, total });
                if self.watcher.is_over() {
                    return Err(BackupError::Stopped);
                }
            }
            // Before it is kept, by the name of its bytes: one of another name would be in the way of the next try.
            if lines::digest(hasher) != blob {
                return Err(damaged("is damaged"));
            }
            self.blobs.keep(draft)?;
            Ok(())
        })
    }

    /// Reads every blob from where it is now.
    fn look_again(&self) -> Result<(), BackupError> {
        let mut done = 0;
        lines::read_list(self.shelf, self.name, self.manifest, |blob, bytes| {
            let Some(bytes) = bytes else { return Ok(()) };
            reference_is_sound(self.blobs, &blob, bytes, &mut |more| {
                done += more;
                let total = self.manifest.blob_bytes;
                self.watcher.progress(Progress { phase: Phase::Checking, done, total });
                if self.watcher.is_over() { Err(BackupError::Stopped) } else { Ok(()) }
            })
        })
    }
}
