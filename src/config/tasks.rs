//! `[tasks]`: leases, tries and queues. Consumed by the tracker, the dispatcher, the runners and the janitor.

use std::collections::BTreeMap;
use std::time::Duration;

use super::by_kind::by_kind;
use super::keep::{Keep, keep};
use super::rule::{seconds, whole};
use super::section::section;
use crate::task::Kind;

section! {
    /// How tasks are carried through their lives.
    TaskSettings = "tasks" {
        /// How long a node or an outside worker may hold tasks without a sign of life, in seconds. Lower, and
        /// the tasks of a dead node run sooner elsewhere; too low, and a node that merely pauses loses its
        /// work. At 10, together with rescue_s, tasks of a dead node are back in the queue within 15 s.
        "lease_s" => lease: Duration = 10, seconds(3.0..=3600.0);

        /// Tries of a task that does not say so itself, the first included. A drain or a crash of the daemon
        /// costs none.
        "max_attempts" => max_attempts: u32 = 3, whole(1..=100);

        /// How long one run may take, in seconds, for a task that does not say so itself; then it is
        /// cancelled and the try counts as failed.
        "timeout_s" => timeout: Duration = 3600, seconds(1.0..=604_800.0);

        /// Commands that may wait for the next commit. When the queue is full, requests are answered 503 with
        /// Retry-After: a longer queue takes larger bursts, and makes the last in it wait longer.
        "queue" => queue: usize = 4096, whole(16..=1_000_000);

        /// Tasks that one commit may gather, a batch counting for as many as it holds (and never being divided).
        /// More raise throughput under load, and make a commit last longer.
        "group_max" => group_max: usize = 1000, whole(1..=10_000);

        /// How often the dispatcher looks for ready tasks when nobody tells it of any, in seconds. This
        /// bounds how late a task starts when a hint is lost; looking costs one small query.
        "poll_s" => poll: Duration = 1, seconds(0.05..=60.0);

        /// The pause before the second try, in seconds; it doubles with each further try, with jitter.
        "retry_base_s" => retry_base: Duration = 2, seconds(0.01..=3600.0);

        /// The longest pause between tries, in seconds.
        "retry_cap_s" => retry_cap: Duration = 600, seconds(0.01..=86_400.0);

        /// How often the janitor looks for tasks whose lease has run out, in seconds.
        "rescue_s" => rescue: Duration = 1, seconds(0.1..=300.0);

        /// How long a person who took a `manual` task may hold it without finishing it, in seconds; then it is
        /// free again. 0 is for as long as it takes.
        "manual_lease_s" => manual_lease: Duration = 0, seconds(0.0..=31_536_000.0);

        /// How often blobs that no row names are looked for, in seconds. See blobs.sweep_grace_s.
        "sweep_s" => sweep: Duration = 600, seconds(1.0..=86_400.0);

        /// How long completed tasks are kept, in seconds from their end; 0 is for ever. Then they are removed as if by
        /// DELETE. Those that hold what users keep (images, recordings, reports) are not, unless `keep_kinds` names
        /// their kind: deleting the image, the recording or the user removes them.
        "keep_completed_s" => keep_completed: Duration = 0, seconds(0.0..=3_153_600_000.0);

        /// The same of tasks that failed, of whatever kind: an upload that could not be converted goes with its task.
        "keep_failed_s" => keep_failed: Duration = 0, seconds(0.0..=3_153_600_000.0);

        /// The same of tasks that were cancelled.
        "keep_cancelled_s" => keep_cancelled: Duration = 0, seconds(0.0..=3_153_600_000.0);

        /// What holds for some kinds instead, as `"resize = 3600, ocr failed = 86400"`; 0 is for ever. With
        /// `"image completed = 2592000"`, images are removed after 30 days.
        "keep_kinds" => keep_kinds: Keep = "", keep();

        /// How long the events of tasks that were removed are kept, in seconds from the removal; 0 is for ever. Who
        /// comes back to a stream of events after longer is told that some are missing.
        "keep_events_s" => keep_events: Duration = 604_800, seconds(0.0..=3_153_600_000.0);

        /// The most tasks that may wait (`New`, those for later among them), over all kinds; 0 for any number. With
        /// more, creating and retrying tasks and uploads that make them are answered 503 `queue_full`, and the broker's
        /// messages wait. One node keeps to it; several may together pass it by what they take within five seconds.
        "max_waiting" => max_waiting: u64 = 0, whole(0..=1_000_000_000_000);

        /// The same for some kinds by themselves, as `"transcode = 1000, resize = 50000"`.
        "max_waiting_kinds" => max_waiting_kinds: BTreeMap<Kind, u64> = "", by_kind("a number of tasks");

        check fits;
    }
}

fn fits(tasks: &TaskSettings) -> Vec<(&'static str, String)> {
    let mut problems = Vec::new();
    if tasks.retry_base > tasks.retry_cap {
        let reason = format!(
            "is {} s, more than tasks.retry_cap_s ({} s)",
            tasks.retry_base.as_secs_f64(),
            tasks.retry_cap.as_secs_f64()
        );
        problems.push(("retry_base_s", reason));
    }
    problems
}
