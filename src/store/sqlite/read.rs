//! Reading, through the read-only pool.

use std::time::Duration;

use sqlx::Sqlite;

use super::SqliteStore;
use crate::account::{Caller, LoginName, PasswordHash, TokenHash, User};
use crate::store::clerk;
use crate::store::row::{
    BlobRow, EventRow, IMAGE_COLUMNS, ImageRow, OwnedBlobRow, RecordingRow, TASK_COLUMNS, TaskRow,
    USER_COLUMNS, UserRow, micros, to_json,
};
use crate::store::{
    CallbackState, CreatedTotal, Image, KindDepth, Order, Page, Recording, ReplyTo, Selection, StoreError,
    TaskFilter, query,
};
use crate::task::{
    Attachment, Attempt, BlobName, Event, EventSeq, ImageName, Kind, NodeId, RecordingId, Task, TaskId,
    Timestamp, UserId,
};

use crate::store::Store;

crate::store::read::readers!(SqliteStore, Sqlite);

impl SqliteStore {
    /// By what clock holds are written: another process may have written them, which makes up for no step back of the clock that
    /// this one saw.
    #[expect(clippy::unused_async, reason = "as its twin, which asks the database")]
    pub(super) async fn holds_now(&self) -> Result<Timestamp, StoreError> {
        Ok(self.clock.unsteady())
    }

    pub(super) async fn read_unreferenced(&self, blobs: &[BlobName]) -> Result<Vec<BlobName>, StoreError> {
        let named: Vec<String> = sqlx::query_scalar(
            "SELECT blob FROM task_blobs WHERE blob IN (SELECT value FROM json_each(?1)) \
             UNION SELECT avatar FROM users WHERE avatar IN (SELECT value FROM json_each(?1))",
        )
        .bind(to_json(&blobs))
        .fetch_all(&self.readers)
        .await
        .map_err(StoreError::of("look who names blobs"))?;
        Ok(query::without(blobs, named))
    }
}
