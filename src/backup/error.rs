//! Why a backup could not be made, checked or restored.
//!
//! Made by all of this room; shown by the command line and in the tasks of the kind `backup`, which are for admins alone. True
//! here: what is damaged is named, and what can be tried again is told from what cannot.

use std::io;

use crate::blob::BlobError;
use crate::store::{LoadError, StoreError};
use crate::task::BlobName;

/// Why it was not done.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The database.
    #[error("the database: {0}")]
    Store(#[from] StoreError),
    /// The database that was to be filled.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The blobs, or the place of the backups.
    #[error(transparent)]
    Blob(#[from] BlobError),
    /// A file of the backup cannot be written or read.
    #[error("{doing} {what}: {source}")]
    Io {
        /// What was being done.
        doing: &'static str,
        /// With which file.
        what: String,
        /// The system's word.
        source: io::Error,
    },
    /// There is no database to save.
    #[error("there is no database yet: nothing to back up")]
    NoDatabase,
    /// The database has another schema than this program.
    #[error("the database has schema {found}, this program knows {known}: {}", advice(*found, *known))]
    Schema {
        /// What the database has.
        found: i64,
        /// What this program knows.
        known: i64,
    },
    /// The folder of the backups is not there.
    #[error("{0}: there is no such folder, and so no backup")]
    NoPlace(String),
    /// Backups would lie among the blobs.
    #[error(
        "{0} is where the blobs are kept, or around it: give backups a place of their own (backup.to, or --to)"
    )]
    AmongBlobs(String),
    /// Blobs lie there that no backup put there.
    #[error(
        "{0} has a folder `blobs` and no backup: it looks like the data folder of a daemon, whose blobs are not to be taken for \
         copies; give backups a place of their own (backup.to, or --to)"
    )]
    NotABackupPlace(String),
    /// It would leave less room on the disk than must stay free.
    #[error(
        "the disk of {place} has {free} bytes free, and the backup needs {needed}, with what must stay free there \
         (storage.min_free_bytes, storage.min_free_percent): make room, keep fewer backups (backup.keep), or give another \
         place (backup.to)"
    )]
    NoRoom {
        /// Where.
        place: String,
        /// How much is free, in bytes.
        free: u64,
        /// How much should be, in bytes.
        needed: u64,
    },
    /// What is on its way to a bucket would leave less room on this machine than must stay free.
    #[error(
        "the disk of {folder}, where what is on its way to the bucket lies, has {free} bytes free, and the backup needs {needed}, \
         with what must stay free there (storage.min_free_bytes, storage.min_free_percent): make room"
    )]
    NoRoomForDrafts {
        /// Where.
        folder: String,
        /// How much is free, in bytes.
        free: u64,
        /// How much should be, in bytes.
        needed: u64,
    },
    /// There is no such backup.
    #[error("{place} has no backup{which}")]
    NoBackup {
        /// Where.
        place: String,
        /// Which, where one was named.
        which: String,
    },
    /// A backup is not what it was.
    #[error("backup {backup}: {file}: {problem}; use another backup")]
    Damaged {
        /// Which backup.
        backup: String,
        /// Which file of it.
        file: String,
        /// What is wrong.
        problem: String,
    },
    /// A newer backup was made meanwhile, and there were enough of them.
    #[error(
        "{place}: backup {backup} was removed while it was read, as the oldest is when there are enough newer ones: take one that is \
         there (gristmill backup --list), or keep more of them (backup.keep)"
    )]
    Removed {
        /// Where.
        place: String,
        /// Which.
        backup: String,
    },
    /// None was named, and one that is newer than all that are whole is damaged.
    #[error("the newest backup is damaged: {problem}; {whole}")]
    NewestDamaged {
        /// Which, and what is wrong with it.
        problem: String,
        /// Which can be used in its place.
        whole: String,
    },
    /// A copied blob is not what it was.
    #[error(
        "{place}: the copy of blob {blob} {problem}; remove it ({file}), and the next backup copies it anew if it is still \
         there"
    )]
    DamagedBlob {
        /// Where.
        place: String,
        /// Which.
        blob: BlobName,
        /// Its file there.
        file: String,
        /// What is wrong.
        problem: &'static str,
    },
    /// The backup was made by a newer program.
    #[error(
        "backup {backup} has schema {found}, this program knows {known}: restore it with the program that made it"
    )]
    TooNew {
        /// Which backup.
        backup: String,
        /// What it has.
        found: i64,
        /// What this program knows.
        known: i64,
    },
    /// The blob store that should be filled has something else.
    #[error("the blob store is not empty: it has blob {0}, which is not of this backup; give an empty place")]
    BlobsOccupied(BlobName),
    /// What was put in is not what came out.
    #[error("table {table} is not what was put into it: {problem}; nothing was kept")]
    NotTheSame {
        /// Which table.
        table: String,
        /// What differs.
        problem: String,
    },
    /// The rows were moved, and the database that they came from has no mark of it.
    #[error(
        "the rows are in the new database, and the old one could not note that ({0}): set database.url to the new address, and \
         put the old database where no daemon starts on it, since it would remove files that are made from now on"
    )]
    NotLeft(StoreError),
    /// A blob that is referred to is not there, or is not what it was.
    #[error("blob {blob} {problem}, and the backup has no copy of it")]
    Reference {
        /// Which.
        blob: BlobName,
        /// What is wrong.
        problem: &'static str,
    },
    /// Others removed blobs while the backup was made, since it was away for too long.
    #[error("the backup stood still for too long, and blobs may have been removed meanwhile: begin again")]
    HoldLost,
    /// Another process cleans up the place for too long.
    #[error("another process has been cleaning up {0} for too long: try again later")]
    Busy(String),
    /// It was asked to stop.
    #[error("stopped")]
    Stopped,
}

impl BackupError {
    /// Whether it is that a backup is not what it was, rather than that it could not be looked at.
    #[must_use]
    pub fn is_damage(&self) -> bool {
        matches!(
            self,
            Self::Damaged { .. }
                | Self::NewestDamaged { .. }
                | Self::DamagedBlob { .. }
                | Self::Reference { .. }
        )
    }

    /// Whether the disk of the backups is too full for it.
    pub(super) fn is_for_room(&self) -> bool {
        let full = |error: &io::Error| {
            matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
        };
        matches!(self, Self::NoRoom { .. } | Self::Blob(BlobError::Full { .. }))
            || matches!(self, Self::Io { source, .. } if full(source))
    }

    pub(super) fn io(doing: &'static str, what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { doing, what, source }
    }
}

/// What to do about a database of another schema.
fn advice(found: i64, known: i64) -> &'static str {
    if found > known {
        "a newer program has brought it up to date, and only that one knows all of its tables: run that one's backup"
    } else {
        "bring it up to date first (gristmill migrate), or back it up with the program that made it"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_that_is_full_is_told_from_one_that_fails() {
        let wrote = |kind: io::ErrorKind| BackupError::io("cannot write", "tasks")(kind.into());
        assert!(wrote(io::ErrorKind::StorageFull).is_for_room());
        assert!(wrote(io::ErrorKind::QuotaExceeded).is_for_room());
        assert!(!wrote(io::ErrorKind::PermissionDenied).is_for_room());
    }
}
