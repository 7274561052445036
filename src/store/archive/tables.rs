//! Which tables and columns a backup holds, as this program's schema has them.
//!
//! Read by the adapters and by the backups. A migration that adds a table or a column adds it here too: a test compares this
//! with the catalogues of both databases. Backups of older schemas bring their own list, in their manifest.

use super::ColumnType::{self, Bool, Int, Text};
use super::{Column, Shape};

/// A table.
#[derive(Debug, Clone, Copy)]
pub struct Table {
    /// Its name.
    pub name: &'static str,
    /// What tells its rows apart, and orders them.
    pub key: &'static [&'static str],
    /// Whether the database numbers its rows.
    pub numbered: bool,
    /// Its columns.
    pub columns: &'static [(&'static str, ColumnType)],
    /// Columns of which something else is kept than what stands there, in SQL that both databases understand.
    pub instead: &'static [(&'static str, &'static str)],
}

impl Table {
    /// As a backup writes it down.
    #[must_use]
    pub fn shape(&self) -> Shape {
        let instead =
            |name: &str| self.instead.iter().find(|(column, _)| *column == name).map(|(_, sql)| *sql);
        let column = |&(name, holds): &(&'static str, ColumnType)| Column {
            name: name.to_owned(),
            holds,
            instead: instead(name),
        };
        Shape {
            name: self.name.to_owned(),
            columns: self.columns.iter().map(column).collect(),
            key: self.key.iter().map(|name| (*name).to_owned()).collect(),
        }
    }
}

/// Tables that stay where they are: the holds are those of backups under way, the migrations are the schema itself.
pub const LEFT_OUT: &[&str] = &["holds", "_sqlx_migrations"];

/// Tables in which a new database has rows from its first migration on: they say nothing against its being empty, and those
/// of the backup take their place.
pub const SEEDED: &[&str] = &["marks"];

/// All others, those first that others refer to. All their rows, but for the mark of a database that was moved away.
pub const TABLES: &[Table] = &[
    Table {
        name: "users",
        key: &["id"],
        numbered: true,
        columns: &[
            ("id", Int),
            ("name", Text),
            ("email", Text),
            ("token_hash", Text),
            ("created_at", Int),
            ("gender", Text),
            ("avatar", Text),
            ("avatar_bytes", Int),
            ("role", Text),
            ("password", Text),
            ("deleted_at", Int),
        ],
        instead: &[],
    },
    Table {
        name: "tasks",
        key: &["id"],
        numbered: true,
        columns: &[
            ("id", Int),
            ("kind", Text),
            ("owner", Int),
            ("status", Text),
            ("priority", Int),
            ("max_attempts", Int),
            ("attempt", Int),
            ("failures", Int),
            ("crashes", Int),
            ("run_at", Int),
            ("holder", Text),
            ("progress", Int),
            ("result", Text),
            ("error", Text),
            ("started_at", Int),
            ("finished_at", Int),
            ("created_at", Int),
            ("updated_at", Int),
            ("timeout", Int),
            ("payload", Text),
            ("tags", Text),
            ("assignee", Int),
            ("lease", Int),
            ("lease_until", Int),
            ("unique_key", Text),
            ("callback", Text),
            ("traceparent", Text),
            ("expires_at", Int),
        ],
        instead: &[],
    },
    Table {
        name: "task_tags",
        key: &["tag", "task"],
        numbered: false,
        columns: &[("tag", Text), ("task", Int)],
        instead: &[],
    },
    Table {
        name: "events",
        key: &["id"],
        numbered: true,
        columns: &[
            ("id", Int),
            ("task", Int),
            ("kind", Text),
            ("event", Text),
            ("attempt", Int),
            ("at", Int),
            ("data", Text),
            ("owner", Int),
        ],
        instead: &[],
    },
    Table {
        name: "nodes",
        key: &["id"],
        numbered: false,
        columns: &[
            ("id", Text),
            ("seat", Text),
            ("name", Text),
            ("started_at", Int),
            ("lease_until", Int),
            ("spared", Bool),
            ("session", Int),
            ("missed_at", Int),
            ("said", Text),
            ("said_at", Int),
        ],
        // No node of a backup lives. It is not known to have crashed, so that what it had in hand is given back, and runs again
        // at no cost, as after a drain.
        instead: &[
            ("lease_until", "CAST(0 AS BIGINT)"),
            ("spared", "TRUE"),
            ("session", "CAST(NULL AS BIGINT)"),
            ("missed_at", "CAST(NULL AS BIGINT)"),
        ],
    },
    Table {
        name: "task_blobs",
        key: &["task", "role"],
        numbered: false,
        columns: &[("task", Int), ("role", Text), ("blob", Text), ("bytes", Int)],
        instead: &[],
    },
    Table {
        name: "recordings",
        key: &["id"],
        numbered: false,
        columns: &[("id", Text), ("task", Int), ("owner", Int), ("filename", Text), ("created_at", Int)],
        instead: &[],
    },
    Table {
        name: "ready",
        key: &["task"],
        numbered: false,
        columns: &[
            ("task", Int),
            ("kind", Text),
            ("owner", Int),
            ("lane", Int),
            ("home", Int),
            ("rank", Int),
            ("run_at", Int),
        ],
        instead: &[],
    },
    Table {
        name: "remembered",
        key: &["scope", "key"],
        numbered: false,
        columns: &[
            ("scope", Text),
            ("key", Text),
            ("request", Text),
            ("status", Int),
            ("location", Text),
            ("body", Text),
            ("forget_at", Int),
        ],
        instead: &[],
    },
    Table {
        name: "created_counts",
        key: &["owner", "part"],
        numbered: false,
        columns: &[("owner", Int), ("part", Int), ("created", Int)],
        instead: &[],
    },
    Table {
        name: "callbacks",
        key: &["task"],
        numbered: false,
        columns: &[
            ("task", Int),
            ("url", Text),
            ("told", Int),
            ("next_at", Int),
            ("tries", Int),
            ("since", Int),
            ("given_up", Int),
            ("last_error", Text),
        ],
        instead: &[],
    },
    Table {
        name: "replies",
        key: &["task"],
        numbered: false,
        columns: &[("task", Int), ("reply_to", Text), ("correlation_id", Text)],
        instead: &[],
    },
    Table {
        name: "duties",
        key: &["name"],
        numbered: false,
        columns: &[("name", Text), ("node", Text), ("told", Int)],
        // How far was told stays, so that it goes on there; who told is gone.
        instead: &[("node", "CAST(NULL AS TEXT)")],
    },
    Table {
        name: "sessions",
        key: &["token_hash"],
        numbered: false,
        columns: &[("token_hash", Text), ("owner", Int), ("created_at", Int), ("expires_at", Int)],
        instead: &[],
    },
    Table {
        name: "allowances",
        key: &["key"],
        numbered: false,
        columns: &[("key", Text), ("spent_until", Int)],
        instead: &[],
    },
    Table {
        name: "images",
        key: &["id"],
        numbered: false,
        columns: &[
            ("id", Text),
            ("name", Text),
            ("task", Int),
            ("owner", Int),
            ("filename", Text),
            ("format", Text),
            ("bytes", Int),
            ("width", Int),
            ("height", Int),
            ("frames", Int),
            ("thumbhash", Text),
            ("delete_token", Text),
            ("created_at", Int),
            ("ready_at", Int),
        ],
        instead: &[],
    },
    Table {
        name: "questions",
        key: &["id"],
        numbered: true,
        columns: &[
            ("id", Int),
            ("source", Text),
            ("content", Text),
            ("upstream_id", Text),
            ("question", Text),
            ("answer", Text),
            ("category", Text),
            ("value", Int),
            ("difficulty", Text),
            ("wrong_answers", Text),
            ("upstream_created_at", Int),
            ("searched", Text),
            ("saved_at", Int),
            ("task", Int),
        ],
        instead: &[],
    },
    Table {
        name: "counters",
        key: &["owner", "name"],
        numbered: false,
        columns: &[("owner", Int), ("name", Text), ("value", Int), ("updated_at", Int)],
        instead: &[],
    },
    Table {
        name: "counter_days",
        key: &["owner", "name", "day"],
        numbered: false,
        columns: &[("owner", Int), ("name", Text), ("day", Int), ("value", Int)],
        instead: &[],
    },
    Table {
        name: "reports",
        key: &["id"],
        numbered: false,
        columns: &[("id", Text), ("task", Int), ("owner", Int), ("created_at", Int), ("expires_at", Int)],
        instead: &[],
    },
    Table {
        name: "pictures",
        key: &["task"],
        numbered: false,
        columns: &[("task", Int), ("owner", Int), ("bytes", Int)],
        instead: &[],
    },
    Table {
        name: "paused_kinds",
        key: &["kind"],
        numbered: false,
        columns: &[("kind", Text), ("paused_at", Int), ("paused_by", Int)],
        instead: &[],
    },
    Table {
        name: "kind_minutes",
        key: &["minute", "kind", "counter"],
        numbered: false,
        columns: &[
            ("minute", Int),
            ("kind", Text),
            ("counter", Text),
            ("created", Int),
            ("completed", Int),
            ("failed", Int),
            ("cancelled", Int),
            ("retried", Int),
            ("waits", Text),
            ("runs", Text),
        ],
        instead: &[],
    },
    Table {
        name: "marks",
        key: &["name"],
        numbered: false,
        columns: &[("name", Text), ("value", Int)],
        instead: &[],
    },
];
