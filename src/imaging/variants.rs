//! Variants: out of the folder, or made and put there.

use std::error::Error;
use std::sync::Arc;

use bytes::Bytes;
use sha2::{Digest, Sha256};

use super::cache::Key;
use super::{Imaging, ImagingError, Inner};
use crate::media::Cancel;
use crate::media::image::{self, Encoded, Format, Header, Spec, inspect};
use crate::task::BlobName;
use crate::telemetry::metrics::VariantResult;

/// An image that was made of another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Variant {
    /// In which format.
    pub format: Format,
    /// Columns of pixels.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// The file.
    pub bytes: Bytes,
    /// Their SHA-256.
    pub digest: [u8; 32],
}

impl Variant {
    fn of(made: Encoded) -> Self {
        let Encoded { format, width, height, bytes } = made;
        let digest = Sha256::digest(&bytes).into();
        Self { format, width, height, bytes: Bytes::from(bytes), digest }
    }

    /// A strong entity tag, with its quotes: other bytes have another.
    #[must_use]
    pub fn etag(&self) -> String {
        let digits: String = self.digest[..16].iter().map(|byte| format!("{byte:02x}")).collect();
        format!("\"{digits}\"")
    }
}

impl Imaging {
    /// A variant of the image that the blob is. `source` gives the blob's bytes; it is called on a thread where it may
    /// block, and only when the variant is not there yet.
    ///
    /// # Errors
    /// [`ImagingError`]; what `source` failed with is in [`ImagingError::Source`].
    pub async fn variant<E: Error + Send + Sync + 'static>(
        &self,
        blob: &BlobName,
        spec: &Spec,
        source: impl FnOnce() -> Result<Vec<u8>, E> + Send + 'static,
    ) -> Result<Variant, ImagingError> {
        let (key, spec) = (Key::new(blob, spec), *spec);
        if let Some(found) = self.inner.cached(&key).await? {
            return Ok(found);
        }
        let inner = Arc::clone(&self.inner);
        let make = || {
            let key = key.clone();
            async move {
                // Somebody may have made it between the first look and this flight.
                if let Some(found) = inner.cached(&key).await? {
                    return Ok(found);
                }
                let made = inner.make(&spec, source).await;
                let result = if made.is_ok() { VariantResult::Made } else { VariantResult::Failed };
                inner.metrics.variant(result);
                Ok(inner.keep(key, made?).await)
            }
        };
        self.inner.flights.join(&key, make).await
    }

    /// Keeps the thumbnail that was made when the image was taken in, so that it is not made again.
    pub async fn remember_thumbnail(&self, blob: &BlobName, spec: &Spec, made: Encoded) -> Variant {
        self.inner.keep(Key::new(blob, spec), made).await
    }

    /// The blobs of which there are variants on this machine.
    ///
    /// # Errors
    /// [`ImagingError::Stopping`].
    pub async fn blobs(&self) -> Result<Vec<BlobName>, ImagingError> {
        let cache = self.inner.cache.clone();
        tokio::task::spawn_blocking(move || cache.blobs()).await.map_err(|_| ImagingError::Stopping)
    }

    /// Removes whatever variants there are of images that are there no more.
    ///
    /// # Errors
    /// [`ImagingError::Stopping`].
    pub async fn forget(&self, blobs: Vec<BlobName>) -> Result<(), ImagingError> {
        let cache = self.inner.cache.clone();
        tokio::task::spawn_blocking(move || cache.forget(&blobs)).await.map_err(|_| ImagingError::Stopping)
    }
}

impl Inner {
    async fn cached(&self, key: &Key) -> Result<Option<Variant>, ImagingError> {
        let (cache, key) = (self.cache.clone(), key.clone());
        let found = tokio::task::spawn_blocking(move || cache.get(&key));
        let found = found.await.map_err(|_| ImagingError::Stopping)?;
        if found.is_some() {
            self.metrics.variant(VariantResult::Cached);
        }
        Ok(found)
    }

    async fn make<E: Error + Send + Sync + 'static>(
        &self,
        spec: &Spec,
        source: impl FnOnce() -> Result<Vec<u8>, E> + Send + 'static,
    ) -> Result<Encoded, ImagingError> {
        let place = self.workers.budget.line_up()?;
        // Whoever has bytes in hand and waits for memory counts in nobody's budget: so that is one at a time.
        let turn = tokio::time::timeout(self.workers.budget.patience, self.turn.lock()).await;
        let turn = turn.map_err(|_| self.workers.budget.overloaded())?;
        let (bytes, header) = self.read(source).await?;
        let need = image::room(&header, spec) + bytes.len() as u64;
        let share = self.workers.budget.take(need, place).await?;
        drop(turn);
        let spec = *spec;
        let work = move || image::variant(&bytes, &header, &spec, &Cancel::new());
        self.workers.with(Some(share), work).await
    }

    async fn read<E: Error + Send + Sync + 'static>(
        &self,
        source: impl FnOnce() -> Result<Vec<u8>, E> + Send + 'static,
    ) -> Result<(Bytes, Header), ImagingError> {
        let read = tokio::task::spawn_blocking(source).await.map_err(|_| ImagingError::Stopping)?;
        let bytes = Bytes::from(read.map_err(|error| ImagingError::Source(Arc::new(error)))?);
        let (seen, limits) = (bytes.clone(), self.stored.clone());
        let header = self.workers.now(move || inspect(&seen, &limits)).await?;
        Ok((bytes, header))
    }

    /// Puts it into the folder, while there is room on its disk. A folder that cannot be written to costs time, and no
    /// answer.
    async fn keep(&self, key: Key, made: Encoded) -> Variant {
        let variant = Variant::of(made);
        if !self.space.keeps_variants(variant.bytes.len() as u64) {
            return variant;
        }
        let (cache, kept) = (self.cache.clone(), variant.clone());
        // A runtime that goes down while it is written leaves a file that the next start removes.
        let _ = tokio::task::spawn_blocking(move || cache.put(&key, &kept)).await;
        variant
    }
}
