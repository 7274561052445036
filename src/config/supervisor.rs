//! `[supervisor]`: when restarting a part of the daemon has become pointless. Consumed by the supervisor.

use std::time::Duration;

use super::rule::{seconds, whole};
use super::section::section;

section! {
    /// The supervisor restarts parts of the daemon that fail, and gives up when they keep failing: the
    /// process then ends with an error, so that the service manager acts.
    SupervisorSettings = "supervisor" {
        /// Restarts of one part within window_s before the daemon gives up. 0 gives up at the first failure.
        "max_restarts" => max_restarts: u32 = 10, whole(0..=10_000);

        /// The time over which restarts are counted, in seconds.
        "window_s" => window: Duration = 60, seconds(1.0..=86_400.0);
    }
}
