//! Images worked on within bounds: one budget of memory, a thread a core, a panic boundary, and a folder of what was
//! made.
//!
//! [`Imaging`] is called by the routes of images and users and by the kind `image`; the work itself is
//! [`media::image`](crate::media::image), which knows no bounds but those in its headers. What is true:
//! - All images together never take more memory to decode than `images.memory`; who would exceed it waits, first come
//!   first served, and no longer than twenty seconds. The line has an end: who comes to a full one is told so at
//!   once.
//! - A decoder that panics harms nobody: its image is damaged, and that is all.
//! - A variant is made once, however many ask for it at the same time, and whoever of them hangs up. An error is told
//!   to all of them and kept for nobody.
//! - The folder of variants holds at most `images.cache_bytes`, is never trusted (what is broken is made again), and can
//!   be removed at any time.

mod budget;
mod cache;
mod flight;
mod index;
mod variants;
mod work;

#[cfg(test)]
mod tests;

use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::Mutex;

use self::budget::{Budget, PATIENCE};
use self::cache::Cache;
use self::flight::Flights;
use self::work::Workers;
use crate::config::ImageSettings;
use crate::media::image::{
    self, Developed, Encoded, Format, Header, ImageError, Limits, Progress, Spec, Stripped, develop, inspect,
    strip,
};
use crate::media::{Cancel, CancelOnDrop};
use crate::telemetry::metrics::ImagingMetrics;
use crate::telemetry::space::Space;

pub use self::variants::Variant;

/// Side of a user's picture, in pixels.
pub const AVATAR_SIDE: u32 = 256;

/// Why an image was not worked on to its end.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ImagingError {
    /// The image is at fault, or the work on it was cancelled.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// Too many wait already, or this one waited too long: it may be tried again in a few seconds.
    #[error("more images are being worked on than there is memory for: try again in a few seconds")]
    Overloaded,
    /// The image to make a variant of could not be had.
    #[error("the image cannot be read: {0}")]
    Source(Arc<dyn Error + Send + Sync>),
    /// The daemon is going down.
    #[error("the daemon is stopping: try again")]
    Stopping,
}

/// The folder of variants cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{doing} {}: {source}; it is images.cache_dir, and may be any folder that this program may write to", path.display())]
pub struct FolderError {
    /// What was being done.
    doing: &'static str,
    path: PathBuf,
    source: std::io::Error,
}

/// Works on images. Clones share everything.
#[derive(Clone)]
pub struct Imaging {
    inner: Arc<Inner>,
}

struct Inner {
    /// Of what comes in.
    limits: Limits,
    /// Of what came in, maybe under other settings.
    stored: Limits,
    thumbnail: Spec,
    keep_metadata: bool,
    workers: Workers,
    cache: Cache,
    flights: Flights,
    /// Whose turn it is to read an image and wait for memory.
    turn: Mutex<()>,
    /// Whether there is room for variants.
    space: Space,
    metrics: ImagingMetrics,
}

impl Imaging {
    /// Opens the folder of variants and looks what is in it, which takes about a second for 100,000 of them.
    ///
    /// # Errors
    /// [`FolderError`] when the folder cannot be made or read.
    pub fn new(settings: &ImageSettings) -> Result<Self, FolderError> {
        Self::within(settings, Space::default())
    }

    /// The same; variants are kept while there is room for them.
    ///
    /// # Errors
    /// As there.
    pub fn within(settings: &ImageSettings, space: Space) -> Result<Self, FolderError> {
        let metrics = ImagingMetrics::new();
        let memory = settings.memory.bytes();
        let largest = settings.sizes.iter().copied().max().unwrap_or(0);
        // The file is in memory too, once more without its metadata, and so is what is made of it.
        let beside =
            settings.max_bytes.bytes().saturating_mul(2) + image::room_beside(&Spec::within(largest));
        let limits = Limits {
            formats: settings.formats.clone(),
            pixels: settings.max_pixels,
            frames: settings.max_frames,
            memory: memory.saturating_sub(beside),
        };
        let stored =
            Limits { formats: Format::ALL.into_iter().collect(), pixels: u64::MAX, frames: u32::MAX, memory };
        let inner = Inner {
            limits,
            stored,
            thumbnail: Spec::within(settings.thumbnail),
            keep_metadata: settings.keep_metadata,
            workers: Workers::new(Budget::new(memory, PATIENCE, metrics.clone())),
            cache: Cache::open(&settings.cache_dir, settings.cache_bytes.bytes(), metrics.clone())?,
            flights: Flights::default(),
            turn: Mutex::default(),
            space,
            metrics,
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// What is known of the disks: the same for the whole process.
    #[must_use]
    pub fn space(&self) -> &Space {
        &self.inner.space
    }

    /// What images may cost here.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.inner.limits
    }

    /// The variant that is made of each image when it is taken.
    #[must_use]
    pub fn thumbnail(&self) -> Spec {
        self.inner.thumbnail
    }

    /// Reads the headers of an image: whether it may come in, as far as can be told without decoding it.
    ///
    /// # Errors
    /// [`ImagingError::Image`] when it may not.
    pub async fn inspect_upload(&self, bytes: impl Into<Bytes>) -> Result<Header, ImagingError> {
        let (bytes, limits) = (bytes.into(), self.inner.limits.clone());
        self.inner.workers.now(move || inspect(&bytes, &limits)).await
    }

    /// Takes an image in: reads its headers, takes out what is not the picture, decodes all that is left, and makes
    /// the thumbnail and the facts of that.
    ///
    /// `progress` is called from another thread, every few hundred rows.
    ///
    /// # Errors
    /// [`ImagingError`].
    pub async fn develop(
        &self,
        bytes: impl Into<Bytes>,
        cancel: Cancel,
        mut progress: impl FnMut(Progress) + Send + 'static,
    ) -> Result<(Stripped, Developed), ImagingError> {
        let bytes = bytes.into();
        let header = self.inspect_upload(bytes.clone()).await?;
        let spec = self.inner.thumbnail;
        let need = image::room(&header, &spec) + 2 * bytes.len() as u64;
        let (keep_metadata, side) = (self.inner.keep_metadata, spec.width.unwrap_or(1));
        let work = move || {
            let stripped = strip(&bytes, &header, keep_metadata)?;
            let developed = develop(&stripped.bytes, &header, side, &cancel, &mut progress)?;
            Ok((stripped, developed))
        };
        self.inner.workers.run(need, work).await
    }

    /// Makes a user's picture of an image of any allowed format: a square of at most [`AVATAR_SIDE`], cut from the
    /// middle, without any metadata.
    ///
    /// # Errors
    /// [`ImagingError`].
    pub async fn avatar(&self, bytes: impl Into<Bytes>) -> Result<Encoded, ImagingError> {
        let bytes = bytes.into();
        let header = self.inspect_upload(bytes.clone()).await?;
        let spec = Spec::square(AVATAR_SIDE);
        let need = image::room(&header, &spec) + bytes.len() as u64;
        let cancel = CancelOnDrop::default();
        let flag = cancel.flag();
        let work = move || {
            image::check(&bytes, &header, &flag)?;
            image::variant(&bytes, &header, &spec, &flag)
        };
        self.inner.workers.run(need, work).await
    }
}
