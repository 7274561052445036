//! What is kept here, and whose it is.

use std::collections::BTreeMap;

use async_trait::async_trait;
use sqlx::Postgres;

use super::PostgresStore;
use crate::account::{Holding, User};
use crate::store::holdings::rows;
use crate::store::row::{USER_COLUMNS, UserRow};
use crate::store::{Holdings, ReportLine, Selection, Storage, StoreError, UserLine, UserSearch};
use crate::task::{TaskId, UserId};

rows::holdings!(PostgresStore, Postgres, "SELECT pg_database_size(current_database())");
