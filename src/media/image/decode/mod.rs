//! From bytes to rows: a decoder a format, each in its file.
//!
//! All of them are strict: what ends early, or carries a sum that is wrong, is damaged, also when most of it could be
//! shown. AVIF, whose decoder may end the program that it runs in, is decoded in a process of its own. What is true: a decoder takes no more memory than the [`Header::price`] that was worked out from the headers,
//! and texts in a file, which may unpack to anything, are never unpacked.

mod avif;
mod gif;
mod jpeg;
mod png;
mod webp;

use super::pixels::{Nowhere, Rows, Watch};
use super::{Format, Header, ImageError};
use crate::media::Cancel;

pub use avif::DecoderProcess;
#[cfg(test)]
pub(super) use avif::push as push_avif;

/// How much of an animation is decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Extent {
    /// Its first frame.
    First,
    /// That, and every other one, which only has to be sound.
    All,
}

/// Whether all of an image can be decoded, every frame of it.
///
/// # Errors
/// [`ImageError::Damaged`] says what is wrong; [`ImageError::Cancelled`].
pub fn check(bytes: &[u8], header: &Header, cancel: &Cancel) -> Result<(), ImageError> {
    let mut untold = |_| {};
    let mut watch = Watch::new(cancel, &mut untold, 0);
    decode(bytes, header, Extent::All, 8, &mut Nowhere, &mut watch)
}

/// Pushes the first frame into `rows`. The decoder may shrink by up to `reduce` by itself.
pub(super) fn decode(
    bytes: &[u8],
    header: &Header,
    extent: Extent,
    reduce: u32,
    rows: &mut dyn Rows,
    watch: &mut Watch<'_>,
) -> Result<(), ImageError> {
    watch.go_on()?;
    match header.format {
        Format::Jpeg => jpeg::decode(bytes, header, reduce, rows, watch),
        Format::Png => png::decode(bytes, header, extent, rows, watch),
        Format::Gif => gif::decode(bytes, header, extent, rows, watch),
        Format::Webp => webp::decode(bytes, header, extent, rows, watch),
        Format::Avif => avif::decode(bytes, header, rows, watch),
    }
}

/// The size of something that decoding would take, as it fits into memory at all.
fn size(width: u32, height: u32, channels: usize) -> Result<usize, ImageError> {
    let bytes = u64::from(width) * u64::from(height);
    let bytes = usize::try_from(bytes).ok().and_then(|pixels| pixels.checked_mul(channels));
    bytes.ok_or_else(|| damaged("its size", "is more than there is memory"))
}

/// The gate and the decoder must mean the same picture: what is made of it was reckoned from what the gate said.
fn agree(header: &Header, width: u32, height: u32) -> Result<(), ImageError> {
    let same = (header.width, header.height) == (width, height);
    if same { Ok(()) } else { Err(damaged("its size", "it says two things about it")) }
}

/// The word for what a decoder could not make sense of.
fn damaged(what: &str, why: impl std::fmt::Display) -> ImageError {
    // Reasons may quote the file.
    ImageError::Damaged(format!("{what}: {why}").chars().filter(|c| !c.is_control()).take(200).collect())
}
