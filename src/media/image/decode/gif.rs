//! GIF: the first frame on its canvas, row by row; of the others only whether they can be unpacked.

use gif::{ColorOutput, DecodeOptions, Decoder, DecodingError, Frame, MemoryLimit};

use super::super::pixels::{Layout, Rows, Source, Watch};
use super::{Extent, Header, ImageError, agree, size};

/// Pixels of a frame that are unpacked at once, when nobody wants to see them.
const AT_ONCE: usize = 64 << 10;

/// What the blocks beside the picture may take.
const BESIDE: u64 = 4 << 20;

type Gif<'a> = Decoder<&'a [u8]>;

pub(super) fn decode(
    bytes: &[u8],
    header: &Header,
    extent: Extent,
    rows: &mut dyn Rows,
    watch: &mut Watch<'_>,
) -> Result<(), ImageError> {
    let mut options = DecodeOptions::new();
    options.set_color_output(ColorOutput::Indexed);
    options.set_memory_limit(MemoryLimit::Bytes(BESIDE.try_into().map_err(|_| nothing_in_it())?));
    let mut decoder = options.read_info(bytes).map_err(damaged)?;
    first(&mut decoder, header, rows, watch)?;
    if extent == Extent::First {
        return Ok(());
    }
    let mut buffer = vec![0; AT_ONCE];
    while let Some(frame) = decoder.next_frame_info().map_err(damaged)? {
        let (width, height) = (usize::from(frame.width), usize::from(frame.height));
        unpack(&mut decoder, width * height, &mut buffer, watch)?;
        for _ in 0..height {
            watch.row()?;
        }
    }
    Ok(())
}

/// The first frame, where it stands on the canvas; what it leaves free is transparent, as browsers show it.
fn first(
    decoder: &mut Gif<'_>,
    header: &Header,
    rows: &mut dyn Rows,
    watch: &mut Watch<'_>,
) -> Result<(), ImageError> {
    let screen = (u32::from(decoder.width()), u32::from(decoder.height()));
    agree(header, screen.0, screen.1)?;
    let frame = decoder.next_frame_info().map_err(damaged)?.ok_or_else(nothing_in_it)?.clone();
    let (width, height) = (u32::from(frame.width), u32::from(frame.height));
    let taken = size(width, height, 1)?;
    if taken as u64 > header.price {
        return Err(super::damaged("GIF", "a frame is larger than its header says"));
    }
    let mut whole = vec![0; taken];
    decoder.read_into_buffer(&mut whole).map_err(damaged)?;
    let palette = decoder.palette().map_err(damaged)?.to_vec();
    let covers = (frame.left, frame.top) == (0, 0) && width >= screen.0 && height >= screen.1;
    let layout = if covers && frame.transparent.is_none() { Layout::Rgb } else { Layout::Rgba };
    let canvas = Canvas { frame, palette, layout, pixels: whole };
    rows.begin(Source { width: screen.0, height: screen.1, layout, reduced: 1, drawn: true, profile: None });
    let mut row = vec![0; size(screen.0, 1, layout.channels())?];
    for y in 0..screen.1 as usize {
        canvas.draw(y, &mut row);
        rows.row(&row)?;
        watch.row()?;
    }
    Ok(())
}

/// Unpacks that many pixels and looks at none.
fn unpack(
    decoder: &mut Gif<'_>,
    pixels: usize,
    buffer: &mut [u8],
    watch: &Watch<'_>,
) -> Result<(), ImageError> {
    let mut left = pixels;
    while left > 0 {
        watch.go_on()?;
        let part = left.min(buffer.len());
        if !decoder.fill_buffer(&mut buffer[..part]).map_err(damaged)? {
            return Err(super::damaged("GIF", "a frame ends before all its pixels came"));
        }
        left -= part;
    }
    Ok(())
}

/// A frame on the canvas.
struct Canvas {
    frame: Frame<'static>,
    palette: Vec<u8>,
    layout: Layout,
    /// The frame's pixels, each the number of its colour.
    pixels: Vec<u8>,
}

impl Canvas {
    /// Row `y` of the canvas.
    fn draw(&self, y: usize, row: &mut [u8]) {
        row.fill(0);
        let (left, top, width) =
            (usize::from(self.frame.left), usize::from(self.frame.top), usize::from(self.frame.width));
        let line = y.checked_sub(top).and_then(|y| self.pixels.chunks_exact(width.max(1)).nth(y));
        let channels = self.layout.channels();
        let places = row.chunks_exact_mut(channels).skip(left);
        for (place, index) in places.zip(line.unwrap_or(&[])) {
            if self.frame.transparent == Some(*index) {
                continue;
            }
            let at = usize::from(*index) * 3;
            // A colour that the palette does not have is black, as browsers show it.
            let colour = self.palette.get(at..at + 3).unwrap_or(&[0, 0, 0]);
            place[..3].copy_from_slice(colour);
            if let Some(alpha) = place.get_mut(3) {
                *alpha = 255;
            }
        }
    }
}

fn nothing_in_it() -> ImageError {
    super::damaged("GIF", "there is no picture in it")
}

fn damaged(error: DecodingError) -> ImageError {
    super::damaged("GIF", error)
}
