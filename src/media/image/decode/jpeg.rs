//! JPEG.

use zune_core::bytestream::ZCursor;
use zune_core::colorspace::ColorSpace;
use zune_core::options::DecoderOptions;
use zune_jpeg::JpegDecoder;
use zune_jpeg::errors::DecodeErrors;

use super::super::pixels::{Layout, Rows, Source, Watch};
use super::{ImageError, size};

pub(super) fn decode(
    bytes: &[u8],
    _reduce: u32,
    rows: &mut dyn Rows,
    watch: &mut Watch<'_>,
) -> Result<(), ImageError> {
    let options =
        DecoderOptions::default().set_strict_mode(true).set_max_width(65_535).set_max_height(65_535);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), options);
    decoder.decode_headers().map_err(damaged)?;
    let grey = decoder.input_colorspace() == Some(ColorSpace::Luma);
    let (layout, space) =
        if grey { (Layout::Grey, ColorSpace::Luma) } else { (Layout::Rgb, ColorSpace::RGB) };
    decoder.set_options(options.jpeg_set_out_colorspace(space));
    let (width, height) = decoder.dimensions().ok_or_else(|| super::damaged("JPEG", "it has no size"))?;
    let (width, height) = (width as u32, height as u32);
    let mut whole = vec![0; size(width, height, layout.channels())?];
    decoder.decode_into(&mut whole).map_err(damaged)?;
    let profile = decoder.icc_profile();
    rows.begin(Source { width, height, layout, reduced: 1, drawn: false, profile });
    for row in whole.chunks_exact(width as usize * layout.channels()) {
        rows.row(row)?;
        watch.row()?;
    }
    Ok(())
}

fn damaged(error: DecodeErrors) -> ImageError {
    super::damaged("JPEG", error)
}
