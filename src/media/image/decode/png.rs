//! PNG and animated PNG, row by row; only an interlaced one is held whole.

use std::io::Cursor;

use png::{ColorType, DecodeOptions, Decoder, DecodingError, Limits, Reader, Transformations};

use super::super::pixels::{Layout, Rows, Source, Watch};
use super::{Extent, Header, ImageError, agree, size};

/// What the chunks beside the picture may take: the unpacked colour profile above all.
const BESIDE: usize = 4 << 20;

type Png<'a> = Reader<Cursor<&'a [u8]>>;

pub(super) fn decode(
    bytes: &[u8],
    header: &Header,
    extent: Extent,
    rows: &mut dyn Rows,
    watch: &mut Watch<'_>,
) -> Result<(), ImageError> {
    let mut reader = open(bytes, header)?;
    let frames = frames(&reader);
    picture(&mut reader, header, rows, watch)?;
    if extent == Extent::First {
        return Ok(());
    }
    for _ in 1..frames {
        reader.next_frame_info().map_err(damaged)?;
        while reader.next_interlaced_row().map_err(damaged)?.is_some() {
            watch.row()?;
        }
    }
    reader.finish().map_err(damaged)
}

fn open<'a>(bytes: &'a [u8], header: &Header) -> Result<Png<'a>, ImageError> {
    let mut options = DecodeOptions::default();
    options.set_ignore_text_chunk(true);
    options.set_ignore_adler32(false);
    let mut decoder = Decoder::new_with_options(Cursor::new(bytes), options);
    // The decoder counts the buffer of a row again for each frame.
    let row = size(header.width, header.frames, 8)?;
    decoder.set_limits(Limits { bytes: row.saturating_add(BESIDE) });
    decoder.set_transformations(Transformations::EXPAND | Transformations::STRIP_16);
    decoder.read_info().map_err(damaged)
}

/// Every frame, and the picture for those who know no animations, when that is none of them.
fn frames(reader: &Png<'_>) -> u32 {
    let info = reader.info();
    match info.animation_control {
        None => 1,
        Some(animation) => animation.num_frames.saturating_add(u32::from(info.frame_control.is_none())),
    }
}

/// The picture that is in the file in any case.
fn picture(
    reader: &mut Png<'_>,
    header: &Header,
    rows: &mut dyn Rows,
    watch: &mut Watch<'_>,
) -> Result<(), ImageError> {
    let info = reader.info();
    let (width, height, interlaced) = (info.width, info.height, info.interlaced);
    agree(header, width, height)?;
    let layout = match reader.output_color_type().0 {
        ColorType::Grayscale => Layout::Grey,
        ColorType::GrayscaleAlpha => Layout::GreyAlpha,
        // A palette is unpacked by the transformation.
        ColorType::Rgb | ColorType::Indexed => Layout::Rgb,
        ColorType::Rgba => Layout::Rgba,
    };
    let drawn = info.color_type == ColorType::Indexed || (info.bit_depth as u8) < 8;
    let profile = info.icc_profile.as_ref().map(|profile| profile.to_vec());
    rows.begin(Source { width, height, layout, reduced: 1, drawn, profile });
    if interlaced {
        let mut whole = vec![0; size(width, height, layout.channels())?];
        reader.next_frame(&mut whole).map_err(damaged)?;
        for row in whole.chunks_exact(width as usize * layout.channels()) {
            rows.row(row)?;
            watch.row()?;
        }
        return Ok(());
    }
    let mut buffer = vec![0; size(width, 1, layout.channels())?];
    while reader.read_row(&mut buffer).map_err(damaged)?.is_some() {
        rows.row(&buffer)?;
        watch.row()?;
    }
    Ok(())
}

fn damaged(error: DecodingError) -> ImageError {
    super::damaged("PNG", error)
}
