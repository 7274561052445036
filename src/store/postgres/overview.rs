//! What those see who run the daemon.

use async_trait::async_trait;
use sqlx::Connection;

use super::PostgresStore;
use crate::store::overview::rows;
use crate::store::row::to_json;
use crate::store::{KindLoad, Minute, Overview, Pause, Selection, StoreError, Totals, minute_of};
use crate::task::{EventSeq, TaskId, Timestamp};

rows::overview!(PostgresStore, clerk);
