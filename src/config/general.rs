//! Top-level keys: those that belong to no section.

use std::path::PathBuf;

use super::roles::{Roles, roles};
use super::rule::folder;
use super::section::{Literal, derived, section};

section! {
    /// The daemon as a whole.
    GeneralSettings = "" {
        /// The folder that holds everything the daemon keeps on this machine: the database, the blobs, the
        /// action log. Relative paths, here and in other keys, start at the working directory. It is made if
        /// it does not exist.
        "data_dir" => data_dir: PathBuf = derived(
            "`./data`, or the folder that systemd made for the service (`$STATE_DIRECTORY`)",
            |base| match &base.state_directory {
                Some(folder) => Literal::Text(folder.clone()),
                None => Literal::Text("./data".to_owned()),
            }
        ), folder();

        /// What this node does: `http` (the routes, and taking tasks from the broker's queue), `worker` (running
        /// tasks) and `janitor` (what one node does for all, and callbacks). Nodes that share a database must
        /// have each role somewhere; one without `http` still answers /health and /metrics. `--roles` of
        /// `gristmill serve` comes before this.
        "roles" => roles: Roles = "http, worker, janitor", roles();
    }
}
