//! Rows into an empty database, and whether they arrived.
//!
//! Called by `restore.rs` with the files of a backup, and by `gristmill migrate --to` with another database. True here: when
//! [`Filling::finish`] returns, every table was read again, and has the rows that were put in.

use serde::{Deserialize, Serialize};
use tokio::runtime::Handle;

use super::error::BackupError;
use super::lines::{Sum, Summing};
use super::{Phase, Progress, Watcher};
use crate::store::{Archive, Row, Session, Shape};

/// So many rows are handed over at a time.
const AT_ONCE: usize = 500;

/// A database that is being filled.
pub(super) struct Filling<'a> {
    session: Box<dyn Session>,
    handle: &'a Handle,
    watcher: &'a dyn Watcher,
    done: u64,
    total: u64,
    tables: Vec<(Shape, Sum, Option<i64>)>,
}

impl<'a> Filling<'a> {
    pub(super) fn new(
        session: Box<dyn Session>,
        handle: &'a Handle,
        watcher: &'a dyn Watcher,
        total: u64,
    ) -> Self {
        Self { session, handle, watcher, done: 0, total, tables: Vec::new() }
    }

    /// Begins a table.
    pub(super) fn table(&mut self, shape: Shape) -> Table<'_, 'a> {
        Table { filling: self, shape, rows: Vec::with_capacity(AT_ONCE), summing: Summing::default() }
    }

    /// Compares every table with what was put in, and makes it durable.
    pub(super) fn finish(mut self) -> Result<u64, BackupError> {
        for (shape, expected, last_number) in &self.tables {
            if let Some(number) = last_number {
                self.handle.block_on(self.session.go_on_after(shape, *number))?;
            }
            let mut summing = Summing::default();
            let mut wrong = None;
            let mut take = |row| {
                if let Err(error) = summing.add(&row) {
                    wrong = Some(BackupError::io("cannot read", shape.name.clone())(error));
                }
                wrong.is_none()
            };
            self.handle.block_on(self.session.rows(shape, &mut take))?;
            if let Some(error) = wrong {
                return Err(error);
            }
            let different = |problem| BackupError::NotTheSame { table: shape.name.clone(), problem };
            let found = summing.sum();
            if found.rows != expected.rows {
                return Err(different(format!("{} rows of {}", found.rows, expected.rows)));
            }
            if found != *expected {
                return Err(different("its rows differ".to_owned()));
            }
            let going_on = self.handle.block_on(self.session.last_number(shape))?;
            if last_number.is_some() && going_on != *last_number {
                return Err(different(format!("its numbers go on after {going_on:?}, not {last_number:?}")));
            }
            if self.watcher.is_over() {
                return Err(BackupError::Stopped);
            }
        }
        self.handle.block_on(self.session.commit())?;
        Ok(self.done)
    }
}

/// A table that is being filled.
pub(super) struct Table<'a, 'b> {
    filling: &'a mut Filling<'b>,
    shape: Shape,
    rows: Vec<Row>,
    summing: Summing,
}

impl Table<'_, '_> {
    pub(super) fn put(&mut self, row: Row) -> Result<(), BackupError> {
        self.summing.add(&row).map_err(BackupError::io("cannot read", self.shape.name.clone()))?;
        self.rows.push(row);
        if self.rows.len() == AT_ONCE { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<(), BackupError> {
        let Filling { session, handle, watcher, done, total, .. } = &mut *self.filling;
        *done += self.rows.len() as u64;
        let rows = std::mem::replace(&mut self.rows, Vec::with_capacity(AT_ONCE));
        handle.block_on(session.put(&self.shape, rows))?;
        watcher.progress(Progress { phase: Phase::Rows, done: *done, total: *total });
        if watcher.is_over() { Err(BackupError::Stopped) } else { Ok(()) }
    }

    pub(super) fn finish(mut self, last_number: Option<i64>) -> Result<(), BackupError> {
        self.flush()?;
        self.filling.tables.push((self.shape.as_it_is(), self.summing.sum(), last_number));
        Ok(())
    }
}

/// What was moved from one database to another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moved {
    /// Tables.
    pub tables: usize,
    /// Rows of all of them.
    pub rows: u64,
}

/// Moves all rows of a database, on which nobody works, into an empty one, and compares. Then the first notes that they are
/// there no more: by its rows no blob is to be swept from now on.
///
/// # Errors
/// [`BackupError`]; unless it is [`BackupError::NotLeft`], the other database is as empty as it was.
pub fn move_rows(
    from: &dyn Archive,
    to: &dyn Archive,
    handle: &Handle,
    watcher: &dyn Watcher,
) -> Result<Moved, BackupError> {
    let schema = match handle.block_on(from.schema())? {
        (Some(found), known) if found == known => found,
        (Some(found), known) => return Err(BackupError::Schema { found, known }),
        (None, _) => return Err(BackupError::NoDatabase),
    };
    let mut look = handle.block_on(from.look())?;
    let shapes = Shape::all();
    let mut total = 0;
    for shape in &shapes {
        total += handle.block_on(look.count(shape))?;
    }
    let session = handle.block_on(to.fill(schema))?;
    let mut filling = Filling::new(session, handle, watcher, total);
    let tables = shapes.len();
    for shape in shapes {
        let last_number = handle.block_on(look.last_number(&shape))?;
        let mut table = filling.table(shape.clone());
        // Handed over in parts by a channel of few rows: reading one database must not wait inside of the other's driver.
        read_apart(&mut *look, &shape, handle, &mut |row| table.put(row))?;
        table.finish(last_number)?;
    }
    let rows = filling.finish()?;
    handle.block_on(from.leave()).map_err(BackupError::NotLeft)?;
    Ok(Moved { tables, rows })
}

/// Reads a table on a thread of its own, and gives each row here.
fn read_apart(
    look: &mut dyn Session,
    shape: &Shape,
    handle: &Handle,
    put: &mut dyn FnMut(Row) -> Result<(), BackupError>,
) -> Result<(), BackupError> {
    std::thread::scope(|scope| {
        let (send, rows) = std::sync::mpsc::sync_channel(AT_ONCE);
        let reading = scope.spawn(move || {
            // Whoever takes them may have had enough.
            let mut take = |row| send.send(row).is_ok();
            handle.block_on(look.rows(shape, &mut take))
        });
        let put = rows.iter().try_for_each(put);
        drop(rows);
        let read = reading.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        put.and_then(|()| Ok(read?))
    })
}
