//! What keeps blobs in their place while a backup is made: a row in the database, and a sign of life in the place.
//!
//! Used by `make.rs`. Both are renewed by a task on the runtime, while the backup itself computes and copies; neither waits for
//! the other, so a slow place does not cost the hold. True here: when [`Hold::is_lost`] is `false` after all was copied, no node
//! swept a blob meanwhile. Dropped, the renewing ends, and the row with its time.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use uuid::Uuid;

use super::error::BackupError;
use super::name::Name;
use crate::blob::Shelf;
use crate::store::Archive;

/// For how long a hold lasts that nobody prolongs.
const SPAN: Duration = Duration::from_secs(120);

/// How often it is prolonged.
const RENEWAL: Duration = Duration::from_secs(20);

/// The hold of a backup under way.
pub(super) struct Hold {
    id: Uuid,
    archive: Arc<dyn Archive>,
    handle: Handle,
    /// Dropped, it ends the renewing.
    over: Option<watch::Sender<()>>,
    renewing: Option<JoinHandle<()>>,
    lost: Arc<AtomicBool>,
    shelf: Shelf,
    name: Name,
}

impl Hold {
    /// Takes it. From then on no blob is swept that a row names by now.
    pub(super) fn take(
        archive: &Arc<dyn Archive>,
        shelf: &Shelf,
        name: &Name,
        handle: &Handle,
    ) -> Result<Self, BackupError> {
        let id = Uuid::new_v4();
        handle.block_on(archive.hold(id, SPAN))?;
        let lost = Arc::new(AtomicBool::new(false));
        let (over, ended) = watch::channel(());
        let prolong = prolonging(Arc::clone(archive), id, Arc::clone(&lost));
        let renewal = renew(RENEWAL, ended, prolong, showing(shelf.clone(), name.sign_of_life()));
        let renewing = Some(handle.spawn(renewal));
        Ok(Self {
            id,
            archive: Arc::clone(archive),
            handle: handle.clone(),
            over: Some(over),
            renewing,
            lost,
            shelf: shelf.clone(),
            name: name.clone(),
        })
    }

    /// Whether it is known by now that it was over at some time: asks nobody.
    pub(super) fn is_known_to_be_lost(&self) -> bool {
        self.lost.load(Ordering::SeqCst)
    }

    /// Whether it was over at some time, asked now.
    pub(super) fn is_lost(&self) -> Result<bool, BackupError> {
        let kept = self.handle.block_on(self.archive.prolong(self.id, SPAN))?;
        Ok(!kept || self.lost.load(Ordering::SeqCst))
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        // Waited for, not cut off: a sign that is on its way would be there again after it was removed.
        drop(self.over.take());
        if let Some(renewing) = self.renewing.take()
            && let Err(error) = self.handle.block_on(renewing)
        {
            tracing::warn!(%error, "the renewing of a backup's hold ended early");
        }
        // Whatever fails here goes by itself: the hold with its time, the sign of life when it is old.
        if let Err(error) = self.handle.block_on(self.archive.let_go(self.id)) {
            tracing::warn!(%error, "the hold of a backup could not be taken back: it ends by itself");
        }
        if let Err(error) = self.shelf.remove(&[self.name.sign_of_life()]) {
            tracing::warn!(%error, "a backup's sign of life could not be removed");
        }
    }
}

/// What is done once; `false` when it need not be done again.
type Acting = Pin<Box<dyn Future<Output = bool> + Send>>;

/// Prolongs a hold; whether to go on with that.
fn prolonging(archive: Arc<dyn Archive>, id: Uuid, lost: Arc<AtomicBool>) -> impl FnMut() -> Acting + Send {
    move || {
        let (archive, lost) = (Arc::clone(&archive), Arc::clone(&lost));
        Box::pin(async move {
            match archive.prolong(id, SPAN).await {
                Ok(true) => {}
                Ok(false) => {
                    lost.store(true, Ordering::SeqCst);
                    return false;
                }
                // Tried again before the hold is over; should it be over by then, that is seen.
                Err(error) => tracing::warn!(%error, "the hold of a backup could not be prolonged yet"),
            }
            true
        })
    }
}

/// Shows a sign of life, and will again.
fn showing(shelf: Shelf, sign: String) -> impl FnMut() -> Acting + Send {
    move || {
        let (shelf, sign) = (shelf.clone(), sign.clone());
        Box::pin(async move {
            let shown = tokio::task::spawn_blocking(move || shelf.put_bytes(b"", &sign)).await;
            if !matches!(shown, Ok(Ok(()))) {
                tracing::warn!("a backup could not show that it is still being made");
            }
            true
        })
    }
}

/// Does both again and again, each at its own pace, until the sender is gone.
async fn renew(
    every: Duration,
    ended: watch::Receiver<()>,
    prolong: impl FnMut() -> Acting,
    show: impl FnMut() -> Acting,
) {
    tokio::join!(regularly(every, ended.clone(), prolong), regularly(every, ended, show));
}

async fn regularly(every: Duration, mut ended: watch::Receiver<()>, mut act: impl FnMut() -> Acting) {
    // Whatever it says, and most of all when its sender is gone, it is over.
    while timeout(every, ended.changed()).await.is_err() && act().await {}
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU32;

    use super::*;

    #[tokio::test]
    async fn a_place_that_does_not_answer_does_not_cost_the_hold() {
        let (over, ended) = watch::channel(());
        let prolonged = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&prolonged);
        let prolong = move || -> Acting {
            counted.fetch_add(1, Ordering::SeqCst);
            Box::pin(std::future::ready(true))
        };
        let (answer, answered) = watch::channel(());
        let show = move || -> Acting {
            let mut answered = answered.clone();
            Box::pin(async move { answered.changed().await.is_ok() })
        };
        let renewing = tokio::spawn(renew(Duration::from_millis(1), ended, prolong, show));
        while prolonged.load(Ordering::SeqCst) < 5 {
            assert!(!renewing.is_finished());
            tokio::task::yield_now().await;
        }
        drop(over);
        // A sign that is on its way is waited for.
        answer.send_replace(());
        renewing.await.unwrap();
    }
}
