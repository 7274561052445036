//! What a backup says of itself: which tables, how many rows, how large, and the sums of it all.
//!
//! Written last and read first. True here: a manifest in hand is one that was written by this code, byte for byte, for it
//! carries its own digest; its names are such as we give.

use std::io::Read;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

use super::error::BackupError;
use super::lines::{Seen, Sum, digest};
use super::name::Name;
use crate::blob::Shelf;
use crate::config::BlobCare;
use crate::store::{Column, Shape};
use crate::task::{BlobName, Timestamp};

/// The form of all files.
const FORMAT: u32 = 1;

/// The largest manifest that is read.
const LARGEST: u64 = 16 << 20;

/// A backup, as it is written down.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The form of the files; 1.
    pub format: u32,
    /// Its name.
    pub name: String,
    /// The version of the program that made it.
    pub gristmill: String,
    /// The schema of the database.
    pub schema: i64,
    /// The instant that it shows.
    pub created_at: Timestamp,
    /// When all of it was there.
    pub finished_at: Timestamp,
    /// What became of blobs: `copy` or `reference`.
    pub blobs: String,
    /// How many blobs rows name.
    pub blob_count: u64,
    /// How many bytes these have.
    pub blob_bytes: u64,
    /// How many of them were not to be found, or were damaged, when the backup was made.
    pub lost: u64,
    /// The list of blobs.
    pub blob_list: FileEntry,
    /// The tables, those first that others refer to.
    pub tables: Vec<TableEntry>,
}

/// A file of rows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileEntry {
    /// Its name, in the folder of the backup.
    pub file: String,
    /// How many rows it has.
    pub rows: u64,
    /// The digest of the lines of the rows: the same on either database.
    pub rows_sha256: BlobName,
    /// The size of the file.
    pub bytes: u64,
    /// The digest of the file.
    pub sha256: BlobName,
}

impl FileEntry {
    /// What its rows should add up to.
    pub(super) fn sum(&self) -> Sum {
        Sum { rows: self.rows, sha256: self.rows_sha256.clone() }
    }

    /// What is wrong with a file that was read, if something is.
    pub(super) fn judge(&self, seen: &Seen) -> Option<String> {
        if seen.bytes != self.bytes {
            return Some(format!("it has {} bytes instead of {}", seen.bytes, self.bytes));
        }
        if seen.sha256 != self.sha256 {
            return Some("its bytes are not those that were written".to_owned());
        }
        if seen.sum != self.sum() {
            return Some("its rows are not those that were written".to_owned());
        }
        None
    }
}

/// A table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TableEntry {
    /// Its name.
    pub table: String,
    /// Its columns, in the order of the values.
    pub columns: Vec<Column>,
    /// What tells its rows apart, and orders them.
    pub key: Vec<String>,
    /// The last number that it gave to a row, where rows are numbered.
    pub last_number: Option<i64>,
    /// The file of its rows.
    pub rows: FileEntry,
}

impl TableEntry {
    /// The table itself.
    #[must_use]
    pub fn shape(&self) -> Shape {
        Shape { name: self.table.clone(), columns: self.columns.clone(), key: self.key.clone() }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Sealed<'a> {
    sha256: BlobName,
    #[serde(borrow)]
    backup: &'a RawValue,
}

impl Manifest {
    pub(super) const FORMAT: u32 = FORMAT;

    /// All rows of all tables.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.tables.iter().map(|table| table.rows.rows).sum()
    }

    /// The size of the files of rows, packed.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.blob_list.bytes + self.tables.iter().map(|table| table.rows.bytes).sum::<u64>()
    }

    /// Whether it has its blobs.
    #[must_use]
    pub fn has_blobs(&self) -> bool {
        self.blobs == BlobCare::Copy.as_str()
    }

    /// As it is written: with its digest, so that a change anywhere in it is seen.
    pub(super) fn seal(&self) -> Result<String, serde_json::Error> {
        let backup = serde_json::value::to_raw_value(self)?;
        sealed(&backup)
    }

    /// The manifest of a backup; `None` where there is none, so that it is no backup.
    pub(super) fn read(shelf: &Shelf, name: &Name) -> Result<Option<Self>, BackupError> {
        let file = name.manifest();
        let Some(reader) = shelf.read(&file)? else { return Ok(None) };
        let mut text = Vec::new();
        let read = reader.take(LARGEST).read_to_end(&mut text);
        read.map_err(BackupError::io("cannot read", file.clone()))?;
        let damaged = |problem: String| BackupError::Damaged { backup: name.to_string(), file, problem };
        let manifest = Self::open(&text).map_err(damaged)?;
        if manifest.name != name.as_str() {
            return Err(BackupError::Damaged {
                backup: name.to_string(),
                file: name.manifest(),
                problem: format!("it is that of {}", manifest.name),
            });
        }
        Ok(Some(manifest))
    }

    fn open(text: &[u8]) -> Result<Self, String> {
        let changed = || "its bytes are not those that were written".to_owned();
        let text = std::str::from_utf8(text).map_err(|_| changed())?;
        let envelope: Sealed<'_> = serde_json::from_str(text).map_err(|error| error.to_string())?;
        if sealed(envelope.backup).map_err(|error| error.to_string())? != text {
            return Err(changed());
        }
        /// What every manifest has, of whatever form.
        #[derive(Deserialize)]
        struct Form {
            format: u32,
        }
        let form: Form = serde_json::from_str(envelope.backup.get()).map_err(|error| error.to_string())?;
        if form.format != FORMAT {
            return Err(format!(
                "it has form {}, this program knows {FORMAT}: use the program that made it",
                form.format
            ));
        }
        let manifest: Self =
            serde_json::from_str(envelope.backup.get()).map_err(|error| error.to_string())?;
        let plain = |file: &FileEntry| !file.file.contains(['/', '\\']) && file.file.ends_with(".gz");
        let sound = manifest.tables.iter().all(|table| table.shape().is_well_formed() && plain(&table.rows));
        if sound && plain(&manifest.blob_list) {
            Ok(manifest)
        } else {
            Err("it has names that are none".to_owned())
        }
    }
}

fn sealed(backup: &RawValue) -> Result<String, serde_json::Error> {
    let mut hasher = Sha256::new();
    hasher.update(backup.get());
    let mut text = serde_json::to_string(&Sealed { sha256: digest(hasher), backup })?;
    text.push('\n');
    Ok(text)
}
