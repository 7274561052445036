//! Reading, through the read-only pool.

use sqlx::Sqlite;

use super::SqliteStore;
use crate::account::{TokenHash, User};
use crate::store::row::{BlobRow, EventRow, RecordingRow, TASK_COLUMNS, TaskRow, UserRow, to_json};
use crate::store::{KindDepth, Order, Page, Recording, StoreError, TaskFilter, query};
use crate::task::{Attempt, BlobName, Event, EventSeq, NodeId, RecordingId, Task, TaskId, UserId};

crate::store::read::readers!(SqliteStore, Sqlite);

impl SqliteStore {
    pub(super) async fn read_unreferenced(&self, blobs: &[BlobName]) -> Result<Vec<BlobName>, StoreError> {
        let named: Vec<String> = sqlx::query_scalar(
            "SELECT DISTINCT blob FROM task_blobs WHERE blob IN (SELECT value FROM json_each(?1))",
        )
        .bind(to_json(&blobs))
        .fetch_all(&self.readers)
        .await
        .map_err(StoreError::of("look who names blobs"))?;
        Ok(query::without(blobs, named))
    }
}
