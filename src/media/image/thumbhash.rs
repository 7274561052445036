//! A picture in at most 25 bytes, in the form of ThumbHash: what pages show until the picture itself is there.

use super::ImageError;
use super::pixels::{Layout, Pixels};
use super::shrink::resample;

/// The largest side that the form is made of.
const SIDE: u32 = 100;

/// The hash of a small picture.
pub(super) fn thumbhash(pixels: &Pixels) -> Result<Vec<u8>, ImageError> {
    let longer = pixels.width.max(pixels.height).max(SIDE);
    let side = |side: u32| (side * SIDE / longer).max(1);
    let small = resample(pixels, [side(pixels.width), side(pixels.height)])?;
    let channels = small.layout.channels();
    let rgba = |pixel: &[u8]| match small.layout {
        Layout::Grey => [pixel[0], pixel[0], pixel[0], 255],
        Layout::GreyAlpha => [pixel[0], pixel[0], pixel[0], pixel[1]],
        Layout::Rgb => [pixel[0], pixel[1], pixel[2], 255],
        Layout::Rgba => [pixel[0], pixel[1], pixel[2], pixel[3]],
    };
    let data: Vec<u8> = small.data.chunks_exact(channels).flat_map(rgba).collect();
    Ok(::thumbhash::rgba_to_thumb_hash(small.width as usize, small.height as usize, &data))
}
