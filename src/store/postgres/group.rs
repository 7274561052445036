//! A group of commands as one transaction: load, plan, write.
//!
//! Locks are taken in one order everywhere: named users by ascending id, the counts of images by owner, named tasks by
//! ascending id (waiting for these if need be), then ready rows with their tasks and lost tasks (never waiting), then
//! ready rows that go, then unique keys in their order, counts and callbacks, and at last the order of events (the holder
//! of which waits for nothing more). So nodes hardly ever wait for each other in a circle; where they do (unique keys had
//! again by a retry), the database ends it, and the group is planned anew.

use sqlx::{Connection, Postgres, Transaction};

use super::PostgresStore;
use super::write::write;
use crate::failpoint::{self, Failpoint};
use crate::store::plan::{Needs, plan};
use crate::store::{Command, Group, Grouping, StoreError};
use crate::task::TaskId;

pub(super) type Tx<'a> = Transaction<'a, Postgres>;

impl Grouping for PostgresStore {
    async fn group(&self, commands: &[Command]) -> Result<Group, StoreError> {
        let mut connection = self.writer.borrow().await?;
        let mut tx = connection.begin().await.map_err(StoreError::of("begin a group"))?;
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

/// As a statement takes them.
pub(super) fn numbers(ids: &[TaskId]) -> Vec<i64> {
    ids.iter().map(|id| id.0).collect()
}
