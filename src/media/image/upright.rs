//! A small picture turned as it is to be seen.

use super::Orientation;
use super::pixels::Pixels;

/// The picture, upright.
pub(super) fn upright(pixels: Pixels, orientation: Orientation) -> Pixels {
    if orientation == Orientation::Upright {
        return pixels;
    }
    let (width, height) = (pixels.width as usize, pixels.height as usize);
    let (seen_width, seen_height) = if orientation.swaps_sides() { (height, width) } else { (width, height) };
    let channels = pixels.layout.channels();
    let mut data = Vec::with_capacity(pixels.data.len());
    for y in 0..seen_height {
        for x in 0..seen_width {
            // Where in the file the pixel is that is seen at (x, y).
            let (column, row) = match orientation {
                Orientation::Upright => (x, y),
                Orientation::Mirrored => (width - 1 - x, y),
                Orientation::Rotated180 => (width - 1 - x, height - 1 - y),
                Orientation::Flipped => (x, height - 1 - y),
                Orientation::Transposed => (y, x),
                Orientation::Rotated90 => (y, height - 1 - x),
                Orientation::Transversed => (width - 1 - y, height - 1 - x),
                Orientation::Rotated270 => (width - 1 - y, x),
            };
            let at = (row * width + column) * channels;
            data.extend_from_slice(&pixels.data[at..at + channels]);
        }
    }
    Pixels { width: seen_width as u32, height: seen_height as u32, layout: pixels.layout, data }
}
