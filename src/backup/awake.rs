//! A session that is not needed for a while, and must be there afterwards.
//!
//! Used by `restore.rs`, which locks the database before it reads and copies blobs, perhaps for hours. True here: the session is
//! asked something every minute, so that no firewall on the way forgets the connection; what became of it meanwhile is told
//! when it is needed. Dropped, it waits until the session is.

use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::task::{JoinError, JoinHandle};
use tokio::time::timeout;

use super::error::BackupError;
use crate::store::{Session, StoreError};

/// How often it is asked something: more often than what stands between forgets.
const EVERY: Duration = Duration::from_secs(60);

/// A session that waits.
pub(super) struct Awake {
    handle: Handle,
    /// Dropped, it ends the waiting.
    over: Option<oneshot::Sender<()>>,
    waiting: Option<JoinHandle<Waited>>,
}

/// What becomes of it.
type Waited = Result<Box<dyn Session>, StoreError>;

impl Awake {
    /// Keeps it until it is needed.
    pub(super) fn keep(session: Box<dyn Session>, handle: &Handle) -> Self {
        let (over, ended) = oneshot::channel();
        let waiting = Some(handle.spawn(stay(EVERY, session, ended)));
        Self { handle: handle.clone(), over: Some(over), waiting }
    }

    /// The session, if it is still there.
    pub(super) fn needed(mut self) -> Result<Box<dyn Session>, BackupError> {
        match self.end() {
            Some(Ok(session)) => Ok(session?),
            // The runtime goes down.
            Some(Err(_)) | None => Err(BackupError::Stopped),
        }
    }

    fn end(&mut self) -> Option<Result<Waited, JoinError>> {
        drop(self.over.take());
        self.waiting.take().map(|waiting| self.handle.block_on(waiting))
    }
}

impl Drop for Awake {
    fn drop(&mut self) {
        // What was put in is taken back by the time that whoever began it is told of an error.
        drop(self.end());
    }
}

async fn stay(every: Duration, mut session: Box<dyn Session>, mut ended: oneshot::Receiver<()>) -> Waited {
    // Whatever it says, and most of all when its sender is gone, it is over.
    while timeout(every, &mut ended).await.is_err() {
        session.stay().await?;
    }
    Ok(session)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use async_trait::async_trait;

    use super::*;
    use crate::store::{Each, Row, Shape};

    /// One that counts how often it is asked something, and is gone after so often.
    struct Counted {
        asked: Arc<AtomicU32>,
        gone_after: u32,
    }

    #[async_trait]
    impl Session for Counted {
        async fn count(&mut self, _: &Shape) -> Result<u64, StoreError> {
            unreachable!("it waits")
        }

        async fn rows(&mut self, _: &Shape, _: &mut Each<'_>) -> Result<(), StoreError> {
            unreachable!("it waits")
        }

        async fn blobs(&mut self, _: &mut Each<'_>) -> Result<(), StoreError> {
            unreachable!("it waits")
        }

        async fn last_number(&mut self, _: &Shape) -> Result<Option<i64>, StoreError> {
            unreachable!("it waits")
        }

        async fn put(&mut self, _: &Shape, _: Vec<Row>) -> Result<(), StoreError> {
            unreachable!("it waits")
        }

        async fn go_on_after(&mut self, _: &Shape, _: i64) -> Result<(), StoreError> {
            unreachable!("it waits")
        }

        async fn stay(&mut self) -> Result<(), StoreError> {
            if self.asked.fetch_add(1, Ordering::SeqCst) < self.gone_after {
                return Ok(());
            }
            Err(StoreError::Unavailable { doing: "keep the connection", source: sqlx::Error::PoolClosed })
        }

        async fn commit(self: Box<Self>) -> Result<(), StoreError> {
            unreachable!("it waits")
        }
    }

    #[tokio::test]
    async fn a_session_that_waits_is_asked_again_and_again_and_told_of_when_it_is_gone() {
        let asked = Arc::new(AtomicU32::new(0));
        let session = |gone_after| Box::new(Counted { asked: Arc::clone(&asked), gone_after });
        let (over, ended) = oneshot::channel();
        let staying = tokio::spawn(stay(Duration::from_millis(1), session(u32::MAX), ended));
        while asked.load(Ordering::SeqCst) < 5 {
            assert!(!staying.is_finished());
            tokio::task::yield_now().await;
        }
        drop(over);
        assert!(staying.await.unwrap().is_ok(), "it is there when it is needed");
        asked.store(0, Ordering::SeqCst);
        let (_over, ended) = oneshot::channel();
        assert!(stay(Duration::from_millis(1), session(3), ended).await.is_err());
    }
}
