//! Whether this process does what it is for: the actors answer, and the database does.
//!
//! Asked by the attendant before it feeds the watchdog. What counts as an answer, and why, is in
//! `docs/adr/0016-what-the-watchdog-asks.md`; in short: a silence that a new process would end is told as one.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use actix::Addr;
use futures_util::future::join3;
use tokio::time::timeout;

use crate::actors::supervisor::{RollCall, Supervisor};
use crate::config::{DatabaseUrl, Settings};
use crate::store::{Store, StoreError, WriteError, Writer};

/// What is asked. Cheap to clone.
#[derive(Clone)]
pub(super) struct Pulse {
    pub(super) supervisor: Addr<Supervisor>,
    pub(super) writer: Writer,
    pub(super) store: Arc<dyn Store>,
    pub(super) settings: Arc<Settings>,
}

/// Who did not answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Silence {
    /// The supervisor itself.
    Supervisor,
    /// These actors.
    Actors(Vec<String>),
    /// The tracker, or the database when it writes.
    Writing,
    /// The database when it is read from.
    Reading,
}

impl fmt::Display for Silence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Supervisor => write!(f, "the supervisor of the actors does not answer"),
            Self::Actors(names) => write!(f, "these actors do not answer: {}", names.join(", ")),
            Self::Writing => write!(f, "the database does not answer what is written"),
            Self::Reading => write!(f, "the database does not answer what is read"),
        }
    }
}

impl Pulse {
    /// Asks everybody at once, and waits at most about twice this long.
    pub(super) async fn look(&self, patience: Duration) -> Result<(), Silence> {
        let roll = timeout(patience * 2, self.supervisor.send(RollCall(patience)));
        let write = timeout(patience, self.writer.probe());
        let read = timeout(patience, self.store.newest_event());
        let (roll, write, read) = join3(roll, write, read).await;
        match roll {
            Ok(Ok(missing)) if missing.is_empty() => {}
            Ok(Ok(missing)) => return Err(Silence::Actors(missing)),
            Ok(Err(_)) | Err(_) => return Err(Silence::Supervisor),
        }
        let write = write.map_or(Heard::Nobody, |written| wrote(&written));
        let read = read.map_or(Heard::Nobody, |read| Heard::of(read.err().as_ref()));
        match &self.settings.database.url {
            DatabaseUrl::Sqlite { .. } => here(write, read),
            DatabaseUrl::Postgres(_) => self.elsewhere(write, patience).await,
        }
    }

    /// A database on a server. Where the tracker was answered, be it by an error, this process is well. Where it was not,
    /// a connection of its own tells whose fault that is: no new process finds a server that is away.
    async fn elsewhere(&self, write: Heard, patience: Duration) -> Result<(), Silence> {
        match write {
            Heard::Database | Heard::Ourselves => Ok(()),
            Heard::Nobody => {
                let asked = timeout(patience, super::schema_of(&self.settings)).await;
                if matches!(asked, Ok(Ok(_))) { Err(Silence::Writing) } else { Ok(()) }
            }
        }
    }
}

/// A database in this process: its silence is ours.
fn here(write: Heard, read: Heard) -> Result<(), Silence> {
    match (write, read) {
        (Heard::Database, Heard::Database) => Ok(()),
        (Heard::Ourselves | Heard::Nobody, _) => Err(Silence::Writing),
        (Heard::Database, Heard::Ourselves | Heard::Nobody) => Err(Silence::Reading),
    }
}

/// Who answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Heard {
    /// The database, whatever it said: a full disk is an answer, and no new process has more room.
    Database,
    /// Our own side, in its name: it had waited long enough, or found no way there.
    Ourselves,
    /// Nobody.
    Nobody,
}

impl Heard {
    fn of(error: Option<&StoreError>) -> Self {
        if error.is_some_and(StoreError::is_silence) { Self::Ourselves } else { Self::Database }
    }
}

fn wrote(written: &Result<(), WriteError>) -> Heard {
    match written {
        Err(WriteError::Store(error)) => Heard::of(Some(error)),
        // A tracker that ended just then is its supervisor's affair, which answered; its successor is asked next time.
        Ok(()) | Err(WriteError::Full | WriteError::Interrupted) => Heard::Database,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_in_this_process_must_answer_both_ways() {
        for (write, read, told) in [
            (Heard::Database, Heard::Database, Ok(())),
            (Heard::Ourselves, Heard::Database, Err(Silence::Writing)),
            (Heard::Nobody, Heard::Nobody, Err(Silence::Writing)),
            (Heard::Database, Heard::Ourselves, Err(Silence::Reading)),
            (Heard::Database, Heard::Nobody, Err(Silence::Reading)),
        ] {
            assert_eq!(here(write, read), told, "{write:?} {read:?}");
        }
    }

    #[test]
    fn what_the_database_says_is_an_answer_and_what_we_say_for_it_is_none() {
        let refused = StoreError::Corrupt { table: "tasks", row: "7".into(), problem: "rot".into() };
        assert_eq!(wrote(&Err(WriteError::Store(Arc::new(refused)))), Heard::Database);
        let silent = StoreError::Unavailable { doing: "commit", source: sqlx::Error::PoolTimedOut };
        assert_eq!(wrote(&Err(WriteError::Store(Arc::new(silent)))), Heard::Ourselves);
        assert_eq!(wrote(&Ok(())), Heard::Database);
        assert_eq!(wrote(&Err(WriteError::Interrupted)), Heard::Database);
    }
}
