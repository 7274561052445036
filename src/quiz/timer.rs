//! Waiting, as an input: the tests of this room let hours pass in no time.
//!
//! Used by whatever waits here. True here: the room measures and waits by one timer, never by the runtime's own.

use std::future::Future;

use async_trait::async_trait;
use tokio::time::{Instant, sleep_until};

/// Tells the time and waits for it.
#[async_trait]
pub(super) trait Timer: Send + Sync {
    /// Now.
    fn now(&self) -> Instant;

    /// Waits until then.
    async fn sleep_until(&self, then: Instant);
}

/// The runtime's.
pub(super) struct Runtime;

#[async_trait]
impl Timer for Runtime {
    fn now(&self) -> Instant {
        Instant::now()
    }

    async fn sleep_until(&self, then: Instant) {
        sleep_until(then).await;
    }
}

/// What comes of `future`; `None` when it is not there by then.
pub(super) async fn until<T>(
    timer: &dyn Timer,
    then: Instant,
    future: impl Future<Output = T> + Send,
) -> Option<T> {
    tokio::select! {
        biased;
        out = future => Some(out),
        () = timer.sleep_until(then) => None,
    }
}
