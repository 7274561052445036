//! The threads that compute on images: as many at once as there are cores, behind a panic boundary.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::available_parallelism;

use tokio::sync::Semaphore;

use super::ImagingError;
use super::budget::{Budget, Share};
use crate::media::image::ImageError;

/// The workers.
pub(super) struct Workers {
    pub(super) budget: Budget,
    /// A permit a core.
    cores: Arc<Semaphore>,
}

impl Workers {
    pub(super) fn new(budget: Budget) -> Self {
        let cores = available_parallelism().map_or(1, usize::from);
        Self { budget, cores: Arc::new(Semaphore::new(cores)) }
    }

    /// Computes with so many bytes of the budget, once they are free.
    ///
    /// The work goes on when its asker hangs up, and keeps its memory until it is over.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        need: u64,
        work: impl FnOnce() -> Result<T, ImageError> + Send + 'static,
    ) -> Result<T, ImagingError> {
        let place = self.budget.line_up()?;
        let share = self.budget.take(need, place).await?;
        self.with(Some(share), work).await
    }

    /// Computes what takes no memory to speak of.
    pub(super) async fn now<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, ImageError> + Send + 'static,
    ) -> Result<T, ImagingError> {
        self.with(None, work).await
    }

    /// Computes with memory that was taken before.
    pub(super) async fn with<T: Send + 'static>(
        &self,
        share: Option<Share>,
        work: impl FnOnce() -> Result<T, ImageError> + Send + 'static,
    ) -> Result<T, ImagingError> {
        // Nobody closes the semaphore; and who has it computes, which ends.
        let core = Arc::clone(&self.cores).acquire_owned().await.map_err(|_| ImagingError::Stopping)?;
        let computed = tokio::task::spawn_blocking(move || {
            let _held = (share, core);
            guarded(work)
        });
        // The boundary is inside, so what can fail here is only a runtime that is going down.
        Ok(computed.await.map_err(|_| ImagingError::Stopping)??)
    }
}

/// The panic boundary.
fn guarded<T>(work: impl FnOnce() -> Result<T, ImageError>) -> Result<T, ImageError> {
    // Whatever the work had in hand is dropped with it.
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        tracing::error!(
            reason = said(&*panic),
            "an image made a decoder panic; it was refused as damaged, and nothing else was touched"
        );
        Err(ImageError::Damaged("it cannot be decoded".to_owned()))
    })
}

fn said(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no word")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::imaging::budget::PATIENCE;
    use crate::telemetry::metrics::ImagingMetrics;

    #[tokio::test]
    async fn a_panic_is_a_damaged_image_and_gives_everything_back() {
        let workers = Workers::new(Budget::new(1 << 20, PATIENCE, ImagingMetrics::new()));
        let cores = workers.cores.available_permits();
        for round in 0..2 * cores {
            let outcome = workers.run(1 << 20, move || -> Result<(), _> { panic!("secret {round}") }).await;
            let Err(ImagingError::Image(ImageError::Damaged(reason))) = outcome else {
                panic!("{outcome:?}")
            };
            assert!(!reason.contains("secret"), "{reason}");
        }
        assert_eq!(workers.run(1 << 20, || Ok(7)).await.unwrap(), 7);
        assert_eq!((workers.budget.taken(), workers.cores.available_permits()), (0, cores));
    }

    #[tokio::test]
    async fn work_whose_asker_hung_up_keeps_its_memory_until_it_is_over() {
        let workers = Workers::new(Budget::new(1 << 20, PATIENCE, ImagingMetrics::new()));
        let (go, wait) = std::sync::mpsc::channel();
        let (begun, begins) = tokio::sync::oneshot::channel();
        let work = move || {
            let _ = begun.send(());
            wait.recv().map_err(|_| ImageError::Cancelled)
        };
        tokio::select! {
            ended = workers.run(1 << 20, work) => panic!("{ended:?}"),
            begins = begins => begins.unwrap(),
        }
        assert_eq!(workers.budget.taken(), 1 << 20);
        go.send(()).unwrap();
        // It is free once the work is over: this waits for just that.
        workers.run(1 << 20, || Ok(())).await.unwrap();
    }
}
