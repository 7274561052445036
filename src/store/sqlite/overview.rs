//! What those see who run the daemon.

use async_trait::async_trait;
use sqlx::Connection;

use super::SqliteStore;
use crate::store::overview::rows;
use crate::store::row::to_json;
use crate::store::{
    KindLoad, Minute, Node, NodeReport, Overview, Pause, Selection, Store, StoreError, Totals, minute_of,
};
use crate::task::{NodeId, TaskId, Timestamp};

rows::overview!(SqliteStore, writer);
