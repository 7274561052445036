//! What may go.

use async_trait::async_trait;
use sqlx::{Connection, QueryBuilder, Sqlite};

use super::SqliteStore;
use crate::store::{Housekeeping, MOVED_AWAY, StoreError, housekeeping};
use crate::task::{EventSeq, Kind, Status, TaskId, Timestamp};

housekeeping::housekeeping!(SqliteStore, Sqlite, writer);
