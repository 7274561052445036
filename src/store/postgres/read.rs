//! Reading, through the pool of readers.

use sqlx::Postgres;

use super::PostgresStore;
use crate::account::{TokenHash, User};
use crate::store::row::{BlobRow, EventRow, RecordingRow, TASK_COLUMNS, TaskRow, UserRow};
use crate::store::{KindDepth, Order, Page, Recording, StoreError, TaskFilter, query};
use crate::task::{Attempt, BlobName, Event, EventSeq, NodeId, RecordingId, Task, TaskId, UserId};

crate::store::read::readers!(PostgresStore, Postgres);

impl PostgresStore {
    pub(super) async fn read_unreferenced(&self, blobs: &[BlobName]) -> Result<Vec<BlobName>, StoreError> {
        let named: Vec<String> =
            sqlx::query_scalar("SELECT DISTINCT blob FROM task_blobs WHERE blob = ANY($1)")
                .bind(blobs.iter().map(BlobName::as_str).collect::<Vec<_>>())
                .fetch_all(&self.readers)
                .await
                .map_err(StoreError::of("look who names blobs"))?;
        Ok(query::without(blobs, named))
    }
}
