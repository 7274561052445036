//! `[database]`: where the rows are. Consumed by the store.

use std::time::Duration;

use super::rule::{database_url, seconds, whole};
use super::section::{Literal, derived, section};
use super::value::DatabaseUrl;

section! {
    /// The database that holds every task.
    DatabaseSettings = "database" {
        /// Where it is: a SQLite file for one node, or a PostgreSQL server for any number of nodes. A
        /// password in the URL is never printed; to keep it out of files, set the environment variable.
        "url" => url: DatabaseUrl = derived(
            "gristmill.db in data_dir",
            |base| Literal::Text(format!("sqlite:{}", base.in_data_dir("gristmill.db")))
        ), database_url();

        /// Connections that read, beside the one that writes. More let more readers work at once; each costs
        /// a file handle and some memory, and with PostgreSQL one of the server's connections.
        "readers" => readers: u32 = 4, whole(1..=256);

        /// How long one statement may take (on SQLite: one that reads), in seconds. Too low, and a slow disk
        /// fails good requests; too high, and a stuck server is noticed late.
        "statement_timeout_s" => statement_timeout: Duration = 30, seconds(1.0..=600.0);

        /// How long to wait for a connection, in seconds.
        "connect_timeout_s" => connect_timeout: Duration = 10, seconds(0.1..=300.0);
    }
}
