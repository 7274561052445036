//! How the HTTP server ends without letting anybody down: those who have a connection are told to take a new one, and those
//! who are about to ask are waited for a moment.
//!
//! Used by the composition root at a drain, which stops accepting in between: from then on connections stay in the queue of
//! the listening socket, for the next process where systemd holds it. The server itself would drop a request that arrives on
//! a kept connection just then, and connections of which it has read nothing yet. Costs requests nothing before a drain but
//! a look at a flag.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use actix_web::http::{ConnectionType, header};
use actix_web::{HttpResponse, body::MessageBody};

/// For so long nothing must have come before the connections that are left are taken for idle ones.
const QUIET: Duration = Duration::from_millis(300);

/// How often that is looked at.
const LOOK: Duration = Duration::from_millis(10);

/// The end of the server, as it comes. Clones share it.
#[derive(Debug, Clone)]
pub struct Closing {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    begun: AtomicBool,
    /// Connections that are open.
    open: AtomicUsize,
    /// When something came last, in milliseconds since `since`.
    moved: AtomicU64,
    since: Instant,
}

/// A connection, for as long as it is open.
#[derive(Debug)]
pub(super) struct OpenConnection {
    shared: Arc<Shared>,
}

impl Default for Closing {
    fn default() -> Self {
        Self {
            shared: Arc::new(Shared {
                begun: AtomicBool::new(false),
                open: AtomicUsize::new(0),
                moved: AtomicU64::new(0),
                since: Instant::now(),
            }),
        }
    }
}

impl Closing {
    /// From now on every answer says that its connection is closed after it.
    pub fn begin(&self) {
        self.shared.move_now();
        self.shared.begun.store(true, Ordering::Release);
    }

    /// Waits until no connection is open, or nothing has come on those that are for a moment; not longer than `patience`.
    pub async fn quiet(&self, patience: Duration) {
        let until = Instant::now() + patience;
        while self.shared.open.load(Ordering::Acquire) > 0
            && self.shared.still() < QUIET
            && Instant::now() < until
        {
            tokio::time::sleep(LOOK).await;
        }
    }

    /// A connection was opened.
    pub(super) fn opened(&self) -> OpenConnection {
        self.shared.open.fetch_add(1, Ordering::AcqRel);
        self.shared.move_now();
        OpenConnection { shared: Arc::clone(&self.shared) }
    }

    /// A request came.
    pub(super) fn asked(&self) {
        if self.shared.begun.load(Ordering::Acquire) {
            self.shared.move_now();
        }
    }

    /// Puts into an answer what is to become of its connection.
    pub(super) fn answered<B: MessageBody>(&self, response: &mut HttpResponse<B>) {
        if self.shared.begun.load(Ordering::Acquire) && !response.headers().contains_key(header::UPGRADE) {
            response.head_mut().set_connection_type(ConnectionType::Close);
        }
    }
}

impl Shared {
    fn move_now(&self) {
        let now = u64::try_from(self.since.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.moved.fetch_max(now, Ordering::AcqRel);
    }

    fn still(&self) -> Duration {
        self.since.elapsed().saturating_sub(Duration::from_millis(self.moved.load(Ordering::Acquire)))
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.shared.open.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn without_connections_nobody_is_waited_for() {
        let closing = Closing::default();
        drop(closing.opened());
        closing.begin();
        assert!(closing.quiet(Duration::from_secs(60)).now_or_never().is_some());
    }

    #[tokio::test]
    async fn an_open_connection_is_given_a_moment_and_not_more_than_the_patience() {
        let closing = Closing::default();
        let _open = closing.opened();
        closing.begin();
        let begun = Instant::now();
        closing.quiet(Duration::from_secs(60)).await;
        assert!(begun.elapsed() >= QUIET - LOOK, "{:?}", begun.elapsed());

        // As if somebody had asked whenever that is looked at.
        closing.shared.moved.store(u64::MAX, Ordering::Release);
        let (begun, patience) = (Instant::now(), QUIET * 2);
        closing.quiet(patience).await;
        assert!(begun.elapsed() >= patience, "{:?}", begun.elapsed());
    }
}
