//! `[kinds]`: how many tasks of each kind run at once. Consumed by the registry and the dispatcher.

use std::num::NonZeroUsize;

use super::rule::cores_or;
use super::section::section;

section! {
    /// What this node does of each kind of task.
    KindSettings = "kinds" {
        /// Runs of `noop` at once. They do nothing but pass through, so many may.
        "noop.concurrency" => noop_concurrency: NonZeroUsize = 256, cores_or(65_536);

        /// Runs of `transcode` at once. Each keeps a core busy: more than there are cores make all of them
        /// slower.
        "transcode.concurrency" => transcode_concurrency: NonZeroUsize = 0, cores_or(1024);
    }
}

impl KindSettings {
    /// How many tasks of this kind run at once, if the kind is one that this daemon runs itself.
    pub fn concurrency(&self, kind: &str) -> Option<NonZeroUsize> {
        match kind {
            "noop" => Some(self.noop_concurrency),
            "transcode" => Some(self.transcode_concurrency),
            _ => None,
        }
    }
}
