//! WebP: a frame at a time, each whole, since its coding needs the whole.

use std::io::Cursor;

use image_webp::{DecodingError, WebPDecoder};

use super::super::pixels::{Layout, Rows, Source, Watch};
use super::{Extent, Header, ImageError, agree, size};

pub(super) fn decode(
    bytes: &[u8],
    header: &Header,
    extent: Extent,
    rows: &mut dyn Rows,
    watch: &mut Watch<'_>,
) -> Result<(), ImageError> {
    // The library is content with a file that ends within its last frame.
    let told = bytes.get(4..).and_then(|rest| rest.first_chunk::<4>()).map(|told| u32::from_le_bytes(*told));
    if told.is_none_or(|told| (bytes.len() as u64) < u64::from(told) + 8) {
        return Err(super::damaged("WebP", "it ends before the picture does"));
    }
    let mut decoder = WebPDecoder::new(Cursor::new(bytes)).map_err(damaged)?;
    decoder.set_memory_limit(usize::try_from(header.price).unwrap_or(usize::MAX));
    let (width, height) = decoder.dimensions();
    agree(header, width, height)?;
    let layout = if decoder.has_alpha() { Layout::Rgba } else { Layout::Rgb };
    let mut whole = vec![0; size(width, height, layout.channels())?];
    if decoder.is_animated() {
        // What a frame leaves free is transparent, as browsers show it.
        decoder.set_background_color([0; 4]).map_err(damaged)?;
        decoder.read_frame(&mut whole).map_err(damaged)?;
    } else {
        decoder.read_image(&mut whole).map_err(damaged)?;
    }
    let profile = decoder.icc_profile().map_err(damaged)?;
    rows.begin(Source { width, height, layout, reduced: 1, drawn: false, profile });
    for row in whole.chunks_exact(width as usize * layout.channels()) {
        rows.row(row)?;
        watch.row()?;
    }
    if extent == Extent::First || !decoder.is_animated() {
        return Ok(());
    }
    for _ in 1..decoder.num_frames() {
        decoder.read_frame(&mut whole).map_err(damaged)?;
        for _ in 0..height {
            watch.row()?;
        }
    }
    Ok(())
}

fn damaged(error: DecodingError) -> ImageError {
    super::damaged("WebP", error)
}
