//! Reading, through the pool of readers.

use std::time::Duration;

use sqlx::Postgres;

use super::PostgresStore;
use crate::account::{Caller, LoginName, PasswordHash, TokenHash, User};
use crate::store::clerk;
use crate::store::row::{
    BlobRow, EventRow, IMAGE_COLUMNS, ImageRow, OwnedBlobRow, RecordingRow, TASK_COLUMNS, TaskRow,
    USER_COLUMNS, UserRow, micros,
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

crate::store::read::readers!(PostgresStore, Postgres);

impl PostgresStore {
    /// By what clock holds are written: the server's.
    pub(super) async fn holds_now(&self) -> Result<Timestamp, StoreError> {
        self.now().await
    }

    pub(super) async fn read_unreferenced(&self, blobs: &[BlobName]) -> Result<Vec<BlobName>, StoreError> {
        let named: Vec<String> = sqlx::query_scalar(
            "SELECT blob FROM task_blobs WHERE blob = ANY($1) \
                 UNION SELECT avatar FROM users WHERE avatar = ANY($1)",
        )
        .bind(blobs.iter().map(BlobName::as_str).collect::<Vec<_>>())
        .fetch_all(&self.readers)
        .await
        .map_err(StoreError::of("look who names blobs"))?;
        Ok(query::without(blobs, named))
    }
}
