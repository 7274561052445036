//! The handles of what works on images, and of those in memory.

use std::sync::Arc;

use metrics::{Counter, Gauge};

use super::super::labels::{HotResult, VariantResult};
use super::super::{
    HOT_IMAGE_BYTES, HOT_IMAGES, IMAGE_CACHE_BYTES, IMAGE_MEMORY_BYTES, IMAGE_OVERLOADED, IMAGE_VARIANTS,
    counter, gauge,
};

/// Working on images. Clones share their handles.
#[derive(Clone)]
pub struct ImagingMetrics {
    variants: Arc<[Counter]>,
    cache: Gauge,
    memory: Gauge,
    overloaded: Counter,
}

impl ImagingMetrics {
    /// The handles; their series show 0 from now on.
    #[expect(
        clippy::new_without_default,
        reason = "making handles registers series, which a default should not"
    )]
    pub fn new() -> Self {
        let results = VariantResult::ALL.iter();
        Self {
            variants: results.map(|result| counter(&IMAGE_VARIANTS, &[result.as_str()])).collect(),
            cache: gauge(&IMAGE_CACHE_BYTES, &[]),
            memory: gauge(&IMAGE_MEMORY_BYTES, &[]),
            overloaded: counter(&IMAGE_OVERLOADED, &[]),
        }
    }

    /// A variant was asked for, and had so.
    pub fn variant(&self, result: VariantResult) {
        if let Some(counter) = self.variants.get(result as usize) {
            counter.increment(1);
        }
    }

    /// The folder of variants holds so many bytes.
    pub fn set_cache_bytes(&self, bytes: u64) {
        self.cache.set(bytes as f64);
    }

    /// So many bytes of memory were set aside.
    pub fn memory_taken(&self, bytes: u64) {
        self.memory.increment(bytes as f64);
    }

    /// So many are free again.
    pub fn memory_given_back(&self, bytes: u64) {
        self.memory.decrement(bytes as f64);
    }

    /// Somebody was sent away.
    pub fn overloaded(&self) {
        self.overloaded.increment(1);
    }
}

/// The images in memory.
#[derive(Clone)]
pub struct HotMetrics {
    hits: Counter,
    misses: Counter,
    bytes: Gauge,
}

impl HotMetrics {
    /// The handles; their series show 0 from now on.
    #[expect(
        clippy::new_without_default,
        reason = "making handles registers series, which a default should not"
    )]
    pub fn new() -> Self {
        Self {
            hits: counter(&HOT_IMAGES, &[HotResult::Hit.as_str()]),
            misses: counter(&HOT_IMAGES, &[HotResult::Miss.as_str()]),
            bytes: gauge(&HOT_IMAGE_BYTES, &[]),
        }
    }

    /// A file was there.
    pub fn hit(&self) {
        self.hits.increment(1);
    }

    /// A file was not there.
    pub fn miss(&self) {
        self.misses.increment(1);
    }

    /// So much is there.
    pub fn set_bytes(&self, bytes: u64) {
        self.bytes.set(bytes as f64);
    }
}
