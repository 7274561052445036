//! `[shutdown]`: the drain. Consumed by the composition root.

use std::time::Duration;

use super::rule::seconds;
use super::section::section;

section! {
    /// How the daemon ends.
    ShutdownSettings = "shutdown" {
        /// How long running tasks may go on after the order to stop, in seconds; what still runs then goes
        /// back to the queue and costs no try. Keep it below the time that the service manager waits before
        /// it kills.
        "grace_s" => grace: Duration = 30, seconds(0.0..=3600.0);
    }
}
