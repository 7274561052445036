//! Making a backup.
//!
//! Called by [`Backups::make`](super::Backups::make). The order is what makes it sound: the sign of life, the hold, the look at
//! the database, its rows, the blobs that they name, the list of these, and the manifest when all else is there. Rows are written
//! to files of this machine while the look lasts, and put in their place after it: a slow place does not keep the database from
//! cleaning its log.

use std::fs;
use std::io::Read;
use std::pin::pin;
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use tokio::runtime::Handle;
use tokio::time::timeout;

use super::error::BackupError;
use super::hold::Hold;
use super::lines::{self, Writer};
use super::manifest::{FileEntry, Manifest, TableEntry};
use super::name::{Name, blob_file};
use super::present::Present;
use super::{Inner, Phase, Progress, Summary, Watcher, keep, millis};
use crate::blob::{BlobError, Draft, Reader, Shelf};
use crate::config::BlobCare;
use crate::failpoint::{self, Failpoint};
use crate::store::{Session, Shape, StoreError, Value};
use crate::task::BlobName;
use crate::telemetry::disk::room_at;

/// So often whoever waits is told, in rows.
const TELL: u64 = 1_000;

/// So many lost blobs are named.
const TOLD: usize = 20;

/// So often a wait for the database is broken off to see whether to stop.
const LOOK: Duration = Duration::from_millis(500);

/// Clocks of machines that are kept right differ by less.
const APART: TimeDelta = TimeDelta::minutes(1);

/// A file that is written and not in its place yet.
struct Written {
    draft: Draft,
    sum: lines::Sum,
}

impl Written {
    fn put(self, shelf: &Shelf, name: &Name, file: String) -> Result<FileEntry, BackupError> {
        let (sha256, bytes) = shelf.put(self.draft, &name.file(&file))?;
        Ok(FileEntry { file, rows: self.sum.rows, rows_sha256: self.sum.sha256, bytes, sha256 })
    }
}

pub(super) fn make(
    parts: &Inner,
    shelf: &Shelf,
    handle: &Handle,
    watcher: &dyn Watcher,
) -> Result<Summary, BackupError> {
    let begun = Instant::now();
    let schema = schema(parts, handle)?;
    // The first draft makes the place where it is missing.
    drop(shelf.draft()?);
    keep::claim(shelf)?;
    let (now, newest) = (parts.clock.utc(), keep::names(shelf)?.pop());
    let name = Name::fresh(now, newest.as_ref());
    shelf.put_bytes(b"", &name.sign_of_life())?;
    let making = Making { parts, shelf, name: &name, handle, watcher };
    let made = making.make(schema);
    let (manifest, copied) = match made {
        Ok(made) => made,
        Err(error) => {
            making.take_back(&error);
            return Err(error);
        }
    };
    // The backup is there; what is left over is for the next one, should this fail.
    let keep::Cleaned { gone, mut remarks } = keep::clean(shelf, parts.keep, &name).unwrap_or_else(|error| {
        tracing::warn!(%error, "older backups could not be cleaned up; the next backup tries again");
        let remark = format!("older backups could not be cleaned up; the next backup tries again: {error}");
        keep::Cleaned { gone: Vec::new(), remarks: vec![remark] }
    });
    remarks.extend(newest.filter(|newest| is_ahead(newest, now)).map(|newest| {
        format!(
            "backup {newest} has a name of the future, as if a clock was ahead when it was made: the new one is named after \
             it, and shows what its `created_at` says"
        )
    }));
    Ok(Summary {
        name: name.to_string(),
        created_at: manifest.created_at,
        rows: manifest.rows(),
        bytes: manifest.bytes(),
        blobs: manifest.blob_count,
        blob_bytes: manifest.blob_bytes,
        copied: copied.blobs,
        copied_bytes: copied.bytes,
        lost: manifest.lost,
        lost_blobs: copied.lost_blobs,
        removed: gone,
        remarks,
        took_ms: millis(begun.elapsed()),
    })
}

/// Whether that is later than clocks of several machines are apart.
fn is_ahead(name: &Name, now: DateTime<Utc>) -> bool {
    name.begun_at().is_some_and(|begun| begun.signed_duration_since(now) > APART)
}

/// The schema of the database, which must be this program's: its tables are those that are known here.
fn schema(parts: &Inner, handle: &Handle) -> Result<i64, BackupError> {
    match handle.block_on(parts.archive.schema())? {
        (Some(found), known) if found == known => Ok(found),
        (Some(found), known) => Err(BackupError::Schema { found, known }),
        (None, _) => Err(BackupError::NoDatabase),
    }
}

/// What was done about blobs.
#[derive(Default)]
struct Copied {
    blobs: u64,
    bytes: u64,
    lost: u64,
    lost_blobs: Vec<String>,
    /// Of all that rows name.
    all_bytes: u64,
}

struct Making<'a> {
    parts: &'a Inner,
    shelf: &'a Shelf,
    name: &'a Name,
    handle: &'a Handle,
    watcher: &'a dyn Watcher,
}

impl Making<'_> {
    fn make(&self, schema: i64) -> Result<(Manifest, Copied), BackupError> {
        self.leaves_room(0)?;
        keep::wait_for_cleaners(self.shelf, || self.watcher.is_over())?;
        let hold = Hold::take(&self.parts.archive, self.shelf, self.name, self.handle)?;
        let mut look = self.asked(self.parts.archive.look())?;
        // Not before the look: what it shows was there by then.
        let created_at = self.parts.clock.now();
        let tables = self.rows(&mut *look)?;
        let named = self.named(&mut *look)?;
        drop(look);
        let put = |(shape, last_number, written): (Shape, Option<i64>, Written)| {
            let file = format!("{}.jsonl.gz", shape.name);
            let rows = written.put(self.shelf, self.name, file)?;
            Ok(TableEntry { table: shape.name, columns: shape.columns, key: shape.key, last_number, rows })
        };
        let tables = tables.into_iter().map(put).collect::<Result<Vec<_>, BackupError>>()?;
        failpoint::hit(Failpoint::BackupRowsPut);
        let (list, copied) = self.blobs(&named, &hold)?;
        let blob_list = list.put(self.shelf, self.name, "blobs.jsonl.gz".to_owned())?;
        if hold.is_lost()? {
            return Err(BackupError::HoldLost);
        }
        failpoint::hit(Failpoint::BackupBeforeManifest);
        let manifest = Manifest {
            format: Manifest::FORMAT,
            name: self.name.to_string(),
            gristmill: env!("CARGO_PKG_VERSION").to_owned(),
            schema,
            created_at,
            finished_at: self.parts.clock.now(),
            blobs: self.parts.care.as_str().to_owned(),
            blob_count: blob_list.rows,
            blob_bytes: copied.all_bytes,
            lost: copied.lost,
            blob_list,
            tables,
        };
        let sealed = manifest.seal().map_err(|error| {
            BackupError::io("cannot write", self.name.manifest())(std::io::Error::other(error))
        })?;
        self.shelf.put_bytes(sealed.as_bytes(), &self.name.manifest())?;
        Ok((manifest, copied))
    }

    /// Refuses to write so many bytes more where that would leave less than must stay free: in the place or, on the way to a
    /// bucket, on this machine.
    fn leaves_room(&self, more: u64) -> Result<(), BackupError> {
        let place = self.parts.place.url.folder();
        let folder = place.unwrap_or(&self.parts.scratch);
        let told = room_at(folder);
        let room =
            told.map_err(BackupError::io("cannot look at the disk of", folder.display().to_string()))?;
        let (bytes, percent) = self.parts.floor;
        let needed = bytes.max(room.total / 100 * percent).saturating_add(more);
        if room.free >= needed {
            return Ok(());
        }
        let free = room.free;
        Err(match place {
            Some(_) => BackupError::NoRoom { place: self.shelf.to_string(), free, needed },
            None => BackupError::NoRoomForDrafts { folder: folder.display().to_string(), free, needed },
        })
    }

    /// Waits for what the database answers, or until it is to stop: a connection that died without a word holds the sweep for no
    /// longer than somebody wants to wait.
    fn asked<T>(&self, answer: impl Future<Output = Result<T, StoreError>>) -> Result<T, BackupError> {
        self.handle.block_on(async {
            let mut answer = pin!(answer);
            loop {
                match timeout(LOOK, &mut answer).await {
                    Ok(answer) => return Ok(answer?),
                    Err(_) if self.watcher.is_over() => return Err(BackupError::Stopped),
                    Err(_) => {}
                }
            }
        })
    }

    /// Reads every table into a file.
    fn rows(&self, look: &mut dyn Session) -> Result<Vec<(Shape, Option<i64>, Written)>, BackupError> {
        let shapes = Shape::all();
        let mut total = 0;
        for shape in &shapes {
            total += self.asked(look.count(shape))?;
        }
        let (mut done, mut tables) = (0, Vec::with_capacity(shapes.len()));
        for shape in shapes {
            let last_number = self.asked(look.last_number(&shape))?;
            let mut writer = Writer::new(self.shelf.draft()?);
            let mut ended = None;
            let mut take = |row| {
                if let Err(error) = writer.write(&row) {
                    ended = Some(BackupError::io("cannot write", shape.name.clone())(error));
                }
                done += 1;
                if done % TELL == 0 {
                    self.watcher.progress(Progress { phase: Phase::Rows, done, total });
                    if self.watcher.is_over() {
                        ended = Some(BackupError::Stopped);
                    } else if let Err(error) = self.leaves_room(0) {
                        ended = Some(error);
                    }
                }
                ended.is_none()
            };
            self.asked(look.rows(&shape, &mut take))?;
            if let Some(error) = ended {
                return Err(error);
            }
            let (draft, sum) =
                writer.finish().map_err(BackupError::io("cannot write", shape.name.clone()))?;
            tables.push((shape, last_number, Written { draft, sum }));
        }
        self.watcher.progress(Progress { phase: Phase::Rows, done, total });
        Ok(tables)
    }

    /// Reads which blobs rows name into a file that is never put anywhere.
    fn named(&self, look: &mut dyn Session) -> Result<Named, BackupError> {
        let mut writer = Writer::new(self.shelf.draft()?);
        let (mut bytes, mut ended) = (0, None);
        let mut take = |row: Vec<Value>| {
            if let Some(Value::Int(more)) = row.get(1) {
                bytes += more.unsigned_abs();
            }
            if let Err(error) = writer.write(&row) {
                ended = Some(BackupError::io("cannot write", "the list of blobs")(error));
            }
            ended.is_none()
        };
        self.asked(look.blobs(&mut take))?;
        if let Some(error) = ended {
            return Err(error);
        }
        let (draft, _) = writer.finish().map_err(BackupError::io("cannot write", "the list of blobs"))?;
        Ok(Named { draft, bytes })
    }

    /// Sees to every blob, and lists it: with its size, or with none where it is lost.
    fn blobs(&self, named: &Named, hold: &Hold) -> Result<(Written, Copied), BackupError> {
        let mut list = Writer::new(self.shelf.draft()?);
        let mut copied = Copied::default();
        let mut present = Present::default();
        lines::read::<Ended>(named.draft.reader()?, |row| {
            let Some(Value::Text(blob)) = row.first() else {
                return Err(lines::invalid("a row without a blob").into());
            };
            let blob: BlobName = blob.parse().map_err(|_| lines::invalid(format!("{blob:?} is no blob")))?;
            let size = match row.get(1) {
                Some(Value::Int(bytes)) => Some(bytes.unsigned_abs()),
                Some(Value::Null | Value::Text(_) | Value::Bool(_)) | None => None,
            };
            let cared = match self.parts.care {
                BlobCare::Copy => self.copy(&blob, size, hold, &mut present, &mut copied)?,
                BlobCare::Reference => self.is_there(&blob)?,
            };
            match cared {
                Some(bytes) => copied.all_bytes += bytes,
                None => {
                    copied.lost += 1;
                    if copied.lost_blobs.len() < TOLD {
                        copied.lost_blobs.push(blob.to_string());
                    }
                }
            }
            let bytes =
                cared.map_or(Value::Null, |bytes| Value::Int(i64::try_from(bytes).unwrap_or(i64::MAX)));
            list.write(&vec![Value::Text(blob.to_string()), bytes])?;
            let done = copied.all_bytes.min(named.bytes);
            self.watcher.progress(Progress { phase: Phase::Blobs, done, total: named.bytes });
            Ok(self.goes_on(hold)?)
        })
        .map_err(|Ended(error)| error)?;
        let (draft, sum) = list.finish().map_err(BackupError::io("cannot write", "the list of blobs"))?;
        Ok((Written { draft, sum }, copied))
    }

    /// Copies a blob unless it lies there already; its size, or `None` when it cannot be had.
    fn copy(
        &self,
        blob: &BlobName,
        size: Option<u64>,
        hold: &Hold,
        present: &mut Present,
        copied: &mut Copied,
    ) -> Result<Option<u64>, BackupError> {
        if let Some(bytes) = present.of(self.shelf, blob)?
            && size.is_none_or(|size| size == bytes)
        {
            return Ok(Some(bytes));
        }
        let Some(draft) = self.draft_of(blob, hold)? else { return Ok(None) };
        let bytes = draft.len();
        if !self.shelf.put_if(draft, &blob_file(blob), blob)? {
            tracing::error!(%blob, "a blob is not what it was when it was kept: it is not in the backup");
            return Ok(None);
        }
        copied.blobs += 1;
        copied.bytes += bytes;
        failpoint::hit(Failpoint::BackupBlobCopied);
        Ok(Some(bytes))
    }

    /// The bytes of a blob, to be put in their place; `None` when they cannot be had.
    fn draft_of(&self, blob: &BlobName, hold: &Hold) -> Result<Option<Draft>, BackupError> {
        let mut buffer = vec![0; 256 << 10];
        // Once more where reading fails: on another machine's disk its equal may have taken its place meanwhile.
        let mut again = true;
        'anew: loop {
            let Some(mut reader) = self.open(blob)? else { return Ok(None) };
            self.leaves_room(reader.len())?;
            let mut draft = self.shelf.draft()?;
            loop {
                let n = match reader.read(&mut buffer) {
                    Ok(0) => return Ok(Some(draft)),
                    Ok(n) => n,
                    Err(_) if std::mem::take(&mut again) => continue 'anew,
                    Err(error) => {
                        let error = BackupError::io("cannot read blob", blob.as_str())(error);
                        return self.passed_over(blob, error).map(|()| None);
                    }
                };
                draft.append(&buffer[..n])?;
                self.goes_on(hold)?;
            }
        }
    }

    /// Whether to copy on: what follows would be for nothing once the hold is lost.
    fn goes_on(&self, hold: &Hold) -> Result<(), BackupError> {
        if self.watcher.is_over() {
            return Err(BackupError::Stopped);
        }
        if hold.is_known_to_be_lost() { Err(BackupError::HoldLost) } else { Ok(()) }
    }

    fn is_there(&self, blob: &BlobName) -> Result<Option<u64>, BackupError> {
        Ok(self.open(blob)?.map(|reader| reader.len()))
    }

    /// A blob to read; `None` when it is not there, or cannot be opened.
    fn open(&self, blob: &BlobName) -> Result<Option<Reader>, BackupError> {
        match self.parts.blobs.read(blob) {
            Ok(reader) => Ok(Some(reader)),
            Err(error @ (BlobError::Missing(_) | BlobError::Io { .. })) => {
                self.passed_over(blob, error.into()).map(|()| None)
            }
            Err(
                error @ (BlobError::Full { .. } | BlobError::Unavailable { .. } | BlobError::Settings { .. }),
            ) => Err(error.into()),
        }
    }

    /// Goes on without a blob that is not there or, in a folder, cannot be read: others may be sound. An error where that is not
    /// the blob's own matter: the folder itself cannot be read, or a bucket does not answer.
    fn passed_over(&self, blob: &BlobName, error: BackupError) -> Result<(), BackupError> {
        let missing = matches!(error, BackupError::Blob(BlobError::Missing(_)));
        match &self.parts.blob_folder {
            Some(folder) => {
                let looked = fs::read_dir(folder).and_then(|mut entries| entries.next().transpose());
                looked.map_err(BackupError::io("cannot read", folder.display().to_string()))?;
            }
            None if missing => {}
            None => return Err(error),
        }
        if missing {
            tracing::error!(%blob, "a row names a blob that is not there: it is not in the backup");
        } else {
            tracing::error!(%blob, %error, "a row names a blob that cannot be read: it is not in the backup");
        }
        Ok(())
    }

    /// Removes what there is of a backup that came to nothing. Copied blobs stay for the next one, unless there was no room in a
    /// folder: then they would keep the disk full.
    fn take_back(&self, error: &BackupError) {
        let files = self.shelf.list(self.name.as_str());
        let removed = files.and_then(|files| {
            self.shelf.remove(&files.into_iter().map(|file| file.name).collect::<Vec<_>>())
        });
        if let Err(error) = removed {
            tracing::warn!(%error, name = %self.name, "what is left of a broken-off backup is removed after a day");
        }
        if error.is_for_room()
            && self.parts.place.url.folder().is_some()
            && let Err(error) = keep::clean_after_failure(self.shelf, self.name)
        {
            tracing::warn!(%error, "blobs that a broken-off backup copied stay until the next one is made");
        }
    }
}

/// The blobs that rows name, in a file of this machine.
struct Named {
    draft: Draft,
    /// Their size, as the rows have it.
    bytes: u64,
}

/// What ends the reading of a file of our own.
struct Ended(BackupError);

impl From<std::io::Error> for Ended {
    fn from(error: std::io::Error) -> Self {
        Self(BackupError::io("cannot read", "the list of blobs")(error))
    }
}

impl From<BackupError> for Ended {
    fn from(error: BackupError) -> Self {
        Self(error)
    }
}
