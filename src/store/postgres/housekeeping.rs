//! What may go.

use async_trait::async_trait;
use sqlx::{Connection, Postgres, QueryBuilder};

use super::PostgresStore;
use crate::store::{Housekeeping, MOVED_AWAY, StoreError, housekeeping};
use crate::task::{EventSeq, Kind, Status, TaskId, Timestamp};

housekeeping::housekeeping!(PostgresStore, Postgres, clerk);
