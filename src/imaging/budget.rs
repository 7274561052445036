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

/// How long anybody waits in the line.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);

/// How many may wait.
pub(super) const LINE: usize = 256;

/// Memory is counted in steps of so many bytes.
const STEP: u64 = 1 << 10;

/// The budget. Clones share it.
#[derive(Clone)]
pub(super) struct Budget {
    free: Arc<Semaphore>,
    steps: u32,
    waiting: Arc<AtomicUsize>,
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
    /// A budget of so many bytes.
    pub(super) fn new(bytes: u64, metrics: ImagingMetrics) -> Self {
        let steps = u32::try_from(bytes / STEP).unwrap_or(u32::MAX);
        let free = Arc::new(Semaphore::new(steps as usize));
        Self { free, steps, waiting: Arc::default(), metrics }
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
        let waited = tokio::time::timeout(PATIENCE, free).await;
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
