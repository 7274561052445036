//! The memory that all images together may take while they are worked on.
//!
//! Who needs some takes it before the work begins and gives it back when the work is over, not when its asker hung up.
//! Large ones are not overtaken: the line is first come, first served.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::ImagingError;
use crate::media::image::ImageError;
use crate::telemetry::metrics::ImagingMetrics;

/// How long anybody waits in the line of a daemon.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);

/// How many may wait.
const LINE: usize = 256;

/// Memory is counted in steps of so many bytes.
const STEP: u64 = 1 << 10;

/// The budget. Clones share it.
#[derive(Clone)]
pub(super) struct Budget {
    free: Arc<Semaphore>,
    steps: u32,
    waiting: Arc<AtomicUsize>,
    pub(super) patience: Duration,
    metrics: ImagingMetrics,
}

/// A part of the budget, until it is dropped.
pub(super) struct Share {
    permit: OwnedSemaphorePermit,
    metrics: ImagingMetrics,
}

impl Drop for Share {
    fn drop(&mut self) {
        self.metrics.memory_given_back(self.permit.num_permits() as u64 * STEP);
    }
}

/// A place in the line, until it is dropped.
pub(super) struct Place(Arc<AtomicUsize>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Budget {
    /// A budget of so many bytes, for which nobody waits longer than `patience`.
    pub(super) fn new(bytes: u64, patience: Duration, metrics: ImagingMetrics) -> Self {
        let steps = u32::try_from(bytes / STEP).unwrap_or(u32::MAX);
        let free = Arc::new(Semaphore::new(steps as usize));
        Self { free, steps, waiting: Arc::default(), patience, metrics }
    }

    /// A place in the line.
    ///
    /// # Errors
    /// [`ImagingError::Overloaded`] when it is full.
    pub(super) fn line_up(&self) -> Result<Place, ImagingError> {
        let place = Place(Arc::clone(&self.waiting));
        if self.waiting.fetch_add(1, Ordering::Relaxed) >= LINE {
            return Err(self.overloaded());
        }
        Ok(place)
    }

    /// Waits for so many bytes.
    ///
    /// # Errors
    /// [`ImagingError::Overloaded`] when they did not come in time, and [`ImageError::TooLarge`] when they never could.
    pub(super) async fn take(&self, bytes: u64, place: Place) -> Result<Share, ImagingError> {
        let steps = u32::try_from(bytes.div_ceil(STEP)).unwrap_or(u32::MAX);
        if steps > self.steps {
            return Err(ImagingError::Image(ImageError::TooLarge {
                what: format!("takes {bytes} bytes of memory to decode"),
                most: format!("{} bytes", u64::from(self.steps) * STEP),
            }));
        }
        let free = Arc::clone(&self.free).acquire_many_owned(steps);
        let waited = tokio::time::timeout(self.patience, free).await;
        drop(place);
        let Ok(permit) = waited else {
            return Err(self.overloaded());
        };
        // Nobody closes the semaphore.
        let permit = permit.map_err(|_| ImagingError::Stopping)?;
        self.metrics.memory_taken(u64::from(steps) * STEP);
        Ok(Share { permit, metrics: self.metrics.clone() })
    }

    /// Somebody is sent away.
    pub(super) fn overloaded(&self) -> ImagingError {
        self.metrics.overloaded();
        ImagingError::Overloaded
    }

    /// How many bytes are taken now.
    #[cfg(test)]
    pub(super) fn taken(&self) -> u64 {
        (u64::from(self.steps) - self.free.available_permits() as u64) * STEP
    }

    /// How many wait now.
    #[cfg(test)]
    pub(super) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU64;

    use super::super::work::Workers;
    use super::*;

    const WHOLE: u64 = 1 << 20;

    fn budget(patience: Duration) -> Budget {
        Budget::new(WHOLE, patience, ImagingMetrics::new())
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn all_work_together_never_holds_more_than_the_budget() {
        let workers = Arc::new(Workers::new(budget(PATIENCE)));
        let (held, most) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let runs = (1..=100_u64).map(|number| {
            let (workers, held, most) = (Arc::clone(&workers), Arc::clone(&held), Arc::clone(&most));
            let need = number * 7919 % 700 * STEP;
            tokio::spawn(async move {
                let place = workers.budget.line_up().unwrap();
                let share = workers.budget.take(need, place).await.unwrap();
                let now = held.fetch_add(need, Ordering::SeqCst) + need;
                most.fetch_max(now, Ordering::SeqCst);
                assert!(workers.budget.taken() <= WHOLE);
                let done = workers.with(Some(share), move || {
                    held.fetch_sub(need, Ordering::SeqCst);
                    Ok(())
                });
                done.await.unwrap();
            })
        });
        for run in runs.collect::<Vec<_>>() {
            run.await.unwrap();
        }
        let most = most.load(Ordering::SeqCst);
        assert!(most <= WHOLE && most > WHOLE / 2, "{most}");
        assert_eq!((workers.budget.taken(), workers.budget.waiting()), (0, 0));
    }

    #[tokio::test]
    async fn a_large_one_is_not_overtaken_by_small_ones() {
        let budget = budget(PATIENCE);
        let first = budget.take(STEP, budget.line_up().unwrap()).await.unwrap();
        let mut large = Box::pin(budget.take(WHOLE, budget.line_up().unwrap()));
        let mut small = Box::pin(budget.take(STEP, budget.line_up().unwrap()));
        assert!(futures_util::poll!(&mut large).is_pending());
        assert!(futures_util::poll!(&mut small).is_pending(), "there is room for it, and it is not its turn");
        drop(first);
        assert!(futures_util::poll!(&mut small).is_pending());
        drop(large.await.unwrap());
        small.await.unwrap();
    }

    #[tokio::test]
    async fn who_waits_too_long_or_comes_to_a_full_line_or_wants_too_much_is_sent_away() {
        let budget = budget(Duration::from_millis(5));
        let all = budget.take(WHOLE, budget.line_up().unwrap()).await.unwrap();
        let late = budget.take(1, budget.line_up().unwrap()).await;
        assert!(matches!(late, Err(ImagingError::Overloaded)));
        let line: Vec<Place> = (0..LINE).map(|_| budget.line_up().unwrap()).collect();
        assert!(matches!(budget.line_up(), Err(ImagingError::Overloaded)));
        drop((line, all));
        let more = budget.take(WHOLE + 1, budget.line_up().unwrap()).await;
        assert!(matches!(more, Err(ImagingError::Image(ImageError::TooLarge { .. }))));
        budget.take(WHOLE, budget.line_up().unwrap()).await.unwrap();
    }
}
