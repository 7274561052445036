//! Pixels on their way from a decoder to what is made of them: rows of eight-bit samples, top to bottom.
//!
//! The decoders of `decode/` push into a [`Rows`]; nobody has to hold a whole picture for it. What is true: samples are
//! not multiplied by alpha, and a row is exactly as long as its [`Source`] says.

use super::ImageError;
use crate::media::Cancel;

/// What a pixel consists of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Layout {
    Grey,
    GreyAlpha,
    Rgb,
    Rgba,
}

impl Layout {
    /// Samples, which are bytes, of a pixel.
    pub(super) fn channels(self) -> usize {
        match self {
            Self::Grey => 1,
            Self::GreyAlpha => 2,
            Self::Rgb => 3,
            Self::Rgba => 4,
        }
    }

    pub(super) fn has_alpha(self) -> bool {
        match self {
            Self::Grey | Self::Rgb => false,
            Self::GreyAlpha | Self::Rgba => true,
        }
    }

    /// The same without alpha.
    pub(super) fn opaque(self) -> Self {
        match self {
            Self::Grey | Self::GreyAlpha => Self::Grey,
            Self::Rgb | Self::Rgba => Self::Rgb,
        }
    }
}

/// What a decoder is about to push.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Source {
    /// Pixels of a row.
    pub(super) width: u32,
    /// Rows.
    pub(super) height: u32,
    pub(super) layout: Layout,
    /// How many columns and rows of the picture one of these stands for: a decoder may shrink by itself.
    pub(super) reduced: u32,
    /// Whether it has a palette: drawn by somebody, rather than seen by a camera.
    pub(super) drawn: bool,
    /// The colour profile (ICC) of the samples; none means sRGB.
    pub(super) profile: Option<Vec<u8>>,
}

/// Who takes the rows.
pub(super) trait Rows {
    /// Called once, first.
    fn begin(&mut self, source: Source);
    /// Called for each row.
    fn row(&mut self, row: &[u8]) -> Result<(), ImageError>;
}

/// For who only wants to know whether a picture can be decoded.
pub(super) struct Nowhere;

impl Rows for Nowhere {
    fn begin(&mut self, _: Source) {}
    fn row(&mut self, _: &[u8]) -> Result<(), ImageError> {
        Ok(())
    }
}

/// A small picture, whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pixels {
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) layout: Layout,
    /// `width * height` pixels, row after row.
    pub(super) data: Vec<u8>,
}

impl Pixels {
    /// The same without its alpha, when that says nothing: every pixel is opaque.
    pub(super) fn without_idle_alpha(self) -> Self {
        let channels = self.layout.channels();
        let idle =
            self.layout.has_alpha() && self.data.chunks_exact(channels).all(|pixel| pixel.ends_with(&[255]));
        if !idle {
            return self;
        }
        let data =
            self.data.chunks_exact(channels).flat_map(|pixel| &pixel[..channels - 1]).copied().collect();
        Self { layout: self.layout.opaque(), data, ..self }
    }

    /// The same laid over white.
    pub(super) fn over_white(self) -> Self {
        if !self.layout.has_alpha() {
            return self;
        }
        let channels = self.layout.channels();
        let lay = |pixel: &[u8]| {
            let alpha = u32::from(pixel[channels - 1]);
            let over =
                move |sample: &u8| ((u32::from(*sample) * alpha + 255 * (255 - alpha) + 127) / 255) as u8;
            pixel[..channels - 1].iter().map(over).collect::<Vec<u8>>()
        };
        let data = self.data.chunks_exact(channels).flat_map(lay).collect();
        Self { layout: self.layout.opaque(), data, ..self }
    }
}

/// How far work on an image is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Rows that were decoded, over all frames.
    pub done: u64,
    /// Rows there are.
    pub total: u64,
}

/// Rows between two calls of the progress callback.
const ROWS_A_CALL: u64 = 256;

/// Looks whether to go on, and tells how far it is.
pub(super) struct Watch<'a> {
    cancel: &'a Cancel,
    progress: &'a mut dyn FnMut(Progress),
    at: Progress,
}

impl<'a> Watch<'a> {
    pub(super) fn new(cancel: &'a Cancel, progress: &'a mut dyn FnMut(Progress), total: u64) -> Self {
        let at = Progress { done: 0, total };
        progress(at);
        Self { cancel, progress, at }
    }

    /// Another row is done.
    pub(super) fn row(&mut self) -> Result<(), ImageError> {
        self.at.done = (self.at.done + 1).min(self.at.total);
        if self.at.done.is_multiple_of(ROWS_A_CALL) {
            (self.progress)(self.at);
        }
        self.go_on()
    }

    /// Whether to go on.
    pub(super) fn go_on(&self) -> Result<(), ImageError> {
        if self.cancel.is_cancelled() { Err(ImageError::Cancelled) } else { Ok(()) }
    }

    /// All is done.
    pub(super) fn end(&mut self) {
        self.at.done = self.at.total;
        (self.progress)(self.at);
    }
}
