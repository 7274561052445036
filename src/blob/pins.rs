//! Which blobs this process holds on to: kept, and not yet named by a row for all it knows.
//!
//! Used by both stores. True here: a blob is pinned from before [`Kept`] is given out until the last one is dropped.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::task::BlobName;

/// How often each blob is pinned. In the folder, the lock also orders "move into place" against "look again and
/// remove".
#[derive(Debug, Default)]
pub(super) struct Pins(Mutex<HashMap<BlobName, usize>>);

/// A blob in its place, pinned until this is dropped.
#[derive(Debug)]
pub struct Kept {
    /// Its name.
    pub name: BlobName,
    /// Its size.
    pub bytes: u64,
    pins: Arc<Pins>,
}

impl Pins {
    pub(super) fn lock(&self) -> MutexGuard<'_, HashMap<BlobName, usize>> {
        // The map is whole at every instant, so a panic elsewhere while it was locked does not spoil it.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Pins a blob; `locked` is our own lock.
    pub(super) fn pin(
        self: &Arc<Self>,
        locked: &mut HashMap<BlobName, usize>,
        name: BlobName,
        bytes: u64,
    ) -> Kept {
        *locked.entry(name.clone()).or_default() += 1;
        Kept { name, bytes, pins: Arc::clone(self) }
    }

    pub(super) fn holds(&self, name: &BlobName) -> bool {
        self.lock().contains_key(name)
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        let mut pins = self.pins.lock();
        if let Some(count) = pins.get_mut(&self.name) {
            *count -= 1;
            if *count == 0 {
                pins.remove(&self.name);
            }
        }
    }
}
