//! A group of commands as one transaction: load, plan, write.

use sqlx::{Connection, Sqlite, Transaction};

use super::SqliteStore;
use super::write::write;
use crate::failpoint::{self, Failpoint};
use crate::store::plan::{Needs, plan};
use crate::store::{Command, Group, Grouping, StoreError};

pub(super) type Tx<'a> = Transaction<'a, Sqlite>;

impl Grouping for SqliteStore {
    async fn group(&self, commands: &[Command]) -> Result<Group, StoreError> {
        let mut connection = self.writer.borrow().await?;
        let begin = connection.begin_with("BEGIN IMMEDIATE");
        let mut tx = begin.await.map_err(StoreError::of("begin a group"))?;
        let loaded = self.load(&mut tx, Needs::of(commands)).await?;
        let (replies, changes) = plan(commands, loaded, &self.outside);
        write(&mut tx, &changes, self.part).await?;
        failpoint::hit(Failpoint::CommitBefore);
        tx.commit().await.map_err(StoreError::of("commit a group"))?;
        connection.keep();
        failpoint::hit(Failpoint::CommitAfter);
        Ok(Group { replies, events: changes.events, spans: changes.spans })
    }
}
