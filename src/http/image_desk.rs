//! The memory in which uploads and heavy JSON bodies are looked at: one bound for all of them together.
//!
//! Called by `image_form` and `extract`, with a file or text that has come whole and lies on the disk. True here: whoever
//! is slow to send holds none of it, and nobody waits for it longer than [`PATIENCE`].

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::Problem;
use super::catalogue::Code;

/// What all of them together may have in memory, in KiB.
const KIB: u32 = 32 * 1024;

/// How long anybody waits for the others.
const PATIENCE: Duration = Duration::from_secs(20);

/// The bound. Clones share it.
#[derive(Debug, Clone)]
pub(super) struct Desk {
    free: Arc<Semaphore>,
    patience: Duration,
}

impl Desk {
    /// An empty one.
    pub(super) fn new() -> Self {
        Self::with(PATIENCE)
    }

    fn with(patience: Duration) -> Self {
        Self { free: Arc::new(Semaphore::new(KIB as usize)), patience }
    }

    /// Waits for so many bytes, which are given back when the share is dropped. What is larger than the whole desk has it
    /// alone.
    pub(super) async fn take(&self, bytes: u64) -> Result<OwnedSemaphorePermit, Problem> {
        let kib = u32::try_from(bytes.div_ceil(1024)).unwrap_or(KIB).min(KIB);
        let share = timeout(self.patience, Arc::clone(&self.free).acquire_many_owned(kib)).await;
        // Nobody closes the semaphore.
        share.ok().and_then(Result::ok).ok_or_else(|| {
            let detail = "more large bodies are being sent than there is memory for: try again in a moment";
            Problem::new(Code::Overloaded, detail)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_share_is_waited_for_and_not_for_ever_and_the_largest_has_the_desk_alone() {
        let desk = Desk::with(Duration::from_millis(20));
        let all = desk.take(u64::MAX).await.unwrap();
        assert_eq!(desk.take(1).await.unwrap_err().code(), Code::Overloaded);
        drop(all);
        let patient = Desk::with(Duration::from_secs(60));
        let all = patient.take(u64::MAX).await.unwrap();
        let (waited, ()) = tokio::join!(patient.take(1 << 20), async { drop(all) });
        assert!(waited.is_ok());
        let small = (patient.take(8 << 20).await, patient.take(8 << 20).await, patient.take(8 << 20).await);
        assert!(small.0.is_ok() && small.1.is_ok() && small.2.is_ok(), "they fit beside each other");
    }
}
