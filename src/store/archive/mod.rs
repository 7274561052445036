//! The whole of a database, row by row: out of it in one consistent look, and into an empty one.
//!
//! Used by the backups, which know no SQL; implemented beside each adapter, with connections of their own, so that neither
//! the pool of readers nor the patience of a statement is touched. The rows are the same whichever database they come from:
//! [`TABLES`] says which tables and columns there are, and in which order rows come.
//!
//! True here: a [`Session`] sees the database as it was at one instant, from its first row to its last, however long that
//! takes and whatever is written meanwhile. What is put into one is there whole after [`Session::commit`], or not at all.

pub(super) mod speak;
mod tables;

use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

pub use self::tables::{LEFT_OUT, SEEDED, TABLES, Table};

use super::StoreError;

/// What a column holds; any of them may be missing (`NULL`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ColumnType {
    /// A whole number of 64 bits.
    Int,
    /// Text.
    Text,
    /// `true` or `false`.
    Bool,
}

/// What stands in a column of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// Nothing.
    Null,
    /// See [`ColumnType::Int`].
    Int(i64),
    /// See [`ColumnType::Text`].
    Text(String),
    /// See [`ColumnType::Bool`].
    Bool(bool),
}

/// The values of a row, in the order of its shape's columns.
pub type Row = Vec<Value>;

/// A column, as a backup writes it down.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// What it holds.
    #[serde(rename = "type")]
    pub holds: ColumnType,
    /// What is read in its place, in SQL that both databases understand: what is true of the running daemon only.
    #[serde(skip)]
    pub instead: Option<&'static str>,
}

/// A table, as a backup writes it down: of this program's schema, or of an older one's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shape {
    /// Its name.
    pub name: String,
    /// Its columns, in the order of the values of a row.
    pub columns: Vec<Column>,
    /// The columns that tell its rows apart: rows come in their order, that of bytes.
    pub key: Vec<String>,
}

impl Shape {
    /// The tables of this program's schema, those first that others refer to.
    #[must_use]
    pub fn all() -> Vec<Self> {
        TABLES.iter().map(Table::shape).collect()
    }

    /// The same, with every column as it stands there.
    #[must_use]
    pub fn as_it_is(mut self) -> Self {
        self.columns.iter_mut().for_each(|column| column.instead = None);
        self
    }

    /// Whether all names are such as we give: this may come from a file that anybody could have written.
    #[must_use]
    pub fn is_well_formed(&self) -> bool {
        let named = |name: &str| {
            !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
        };
        let key = |key: &String| self.columns.iter().any(|column| column.name == *key);
        named(&self.name)
            && !self.columns.is_empty()
            && self.columns.iter().all(|column| named(&column.name))
            && !self.key.is_empty()
            && self.key.iter().all(key)
    }
}

/// Takes rows as they come; `false` when it has had enough.
pub type Each<'a> = dyn FnMut(Row) -> bool + Send + 'a;

/// Why rows cannot be put into a database.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// It is not empty.
    #[error(
        "{place} is not empty: its table {table} has rows; give an empty database, or take this one away first"
    )]
    Occupied {
        /// Which database.
        place: String,
        /// Where rows are.
        table: String,
    },
    /// It is empty, and was made by a program of another schema than the rows.
    #[error(
        "{place} is empty, but has schema {found}, and the rows have schema {wanted}: remove it, and let it be made anew"
    )]
    OtherSchema {
        /// Which database.
        place: String,
        /// What it has.
        found: i64,
        /// What the rows have.
        wanted: i64,
    },
    /// Somebody else has its tables locked.
    #[error(
        "{place}: another connection has its tables locked, as a restore into it does that is still going on: look for it, or in \
         pg_stat_activity for who has them; begin again when it is over"
    )]
    Locked {
        /// Which database.
        place: String,
    },
    /// Another process has it open.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A database, as backups see it.
#[async_trait]
pub trait Archive: Send + Sync + 'static {
    /// Its schema, `None` when there is no database yet, and the one that this program knows.
    ///
    /// # Errors
    /// When the database does not answer.
    async fn schema(&self) -> Result<(Option<i64>, i64), StoreError>;

    /// Keeps all nodes from sweeping blobs for that time.
    ///
    /// # Errors
    /// When the database does not answer.
    async fn hold(&self, id: Uuid, span: Duration) -> Result<(), StoreError>;

    /// Prolongs a hold; `false` when it was over, so that blobs may have been swept.
    ///
    /// # Errors
    /// When the database does not answer.
    async fn prolong(&self, id: Uuid, span: Duration) -> Result<bool, StoreError>;

    /// Lets the sweep go on.
    ///
    /// # Errors
    /// When the database does not answer.
    async fn let_go(&self, id: Uuid) -> Result<(), StoreError>;

    /// Notes that all rows were moved to another database, so that no blob is swept by this one any more
    /// ([`Housekeeping::moved_away`](super::Housekeeping::moved_away)).
    ///
    /// # Errors
    /// When the database does not answer.
    async fn leave(&self) -> Result<(), StoreError>;

    /// Looks at the database as it is now.
    ///
    /// # Errors
    /// When the database does not answer.
    async fn look(&self) -> Result<Box<dyn Session>, StoreError>;

    /// Begins to fill an empty database that has that schema afterwards, until [`Session::commit`], which brings it to the
    /// schema of this program.
    ///
    /// # Errors
    /// [`LoadError`].
    async fn fill(&self, schema: i64) -> Result<Box<dyn Session>, LoadError>;
}

/// One transaction over the whole database. Dropped, it takes back what was put in.
#[async_trait]
pub trait Session: Send {
    /// How many rows a table has.
    ///
    /// # Errors
    /// When the database does not answer.
    async fn count(&mut self, table: &Shape) -> Result<u64, StoreError>;

    /// Gives every row of a table, in the order of its key.
    ///
    /// # Errors
    /// When the database does not answer.
    async fn rows(&mut self, table: &Shape, take: &mut Each<'_>) -> Result<(), StoreError>;

    /// Gives every blob that a row names, in order: its name, and how large the row says it is.
    ///
    /// # Errors
    /// When the database does not answer.
    async fn blobs(&mut self, take: &mut Each<'_>) -> Result<(), StoreError>;

    /// The last number that a table gave to a row, 0 before the first: numbers are never used twice. `None` where rows are
    /// not numbered.
    ///
    /// # Errors
    /// When the database does not answer.
    async fn last_number(&mut self, table: &Shape) -> Result<Option<i64>, StoreError>;

    /// Puts rows into a table.
    ///
    /// # Errors
    /// When the database does not answer, or refuses one.
    async fn put(&mut self, table: &Shape, rows: Vec<Row>) -> Result<(), StoreError>;

    /// Makes the table go on numbering after that number.
    ///
    /// # Errors
    /// When the database does not answer.
    async fn go_on_after(&mut self, table: &Shape, number: i64) -> Result<(), StoreError>;

    /// Asks the database something small, so that nothing between here and there takes the connection for one that nobody needs.
    ///
    /// # Errors
    /// When the database does not answer.
    async fn stay(&mut self) -> Result<(), StoreError>;

    /// Makes what was put in durable, and ends the session.
    ///
    /// # Errors
    /// When the database does not answer; nothing was put in then, unless the error is one of the migrations after it.
    async fn commit(self: Box<Self>) -> Result<(), StoreError>;
}
