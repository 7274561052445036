//! The gate: what a file is, whether it may come in, and the file without what is not the picture.
//!
//! The containers are read in a file each (`jpeg`, `png`, `gif`, `webp`, `avif`), from the first byte to the last; what they found is
//! held against the limits here. One rule for all of them: a file that stops before its end is refused, and what comes
//! behind the end marker is no part of the picture. Only of a JPEG that may be missing: see there.

use super::price::area;
use super::{
    Format, FormatSet, Header, ImageError, Limits, Orientation, Stripped, avif, gif, guess, jpeg, png, webp,
};

/// Reads the headers of an image from beginning to end, and says what decoding it would take.
///
/// Nothing is decoded or decompressed, no memory is sized by a header, and the time grows with the file and
/// nothing else. That the pixels can be decoded is not said.
///
/// # Errors
/// - [`ImageError::Unsupported`]: the bytes are none of the formats that are taken, or a kind of one that cannot be read.
/// - [`ImageError::TooLarge`]: more pixels, frames, memory, scans or colour profile than is allowed.
/// - [`ImageError::Damaged`]: the file is cut off, contradicts itself, or breaks its format's rules.
pub fn inspect(bytes: &[u8], limits: &Limits) -> Result<Header, ImageError> {
    let Some(format) = Format::sniff(bytes).filter(|format| limits.formats.has(*format)) else {
        return Err(unsupported(guess_with_ours(bytes), &limits.formats));
    };
    let found = match format {
        Format::Jpeg => jpeg::inspect(bytes),
        Format::Png => png::inspect(bytes),
        Format::Gif => gif::inspect(bytes),
        Format::Webp => webp::inspect(bytes, limits.memory),
        Format::Avif => avif::inspect(bytes),
    };
    let found = found.map_err(|trouble| trouble.told(&limits.formats))?;
    found.hold_against(limits)?;
    let Picture { width, height, orientation, frames, price, pixels: _ } = found;
    let frames = u32::try_from(frames).unwrap_or(u32::MAX);
    Ok(Header { format, width, height, orientation, frames, price })
}

/// The image without what is not the picture: where and by what it was taken, texts, small pictures, trailers.
///
/// The compressed pixels are copied as they are, as is all that the picture looks different without: colour profiles,
/// palettes, transparency, the order and times of frames. The orientation is written anew, alone. What comes out is
/// inspected as what came in, apart from its price, and stripping it again changes nothing. With `keep_metadata` the
/// bytes are those that came, trailers too; an end marker that is missing is written in any case.
///
/// # Errors
/// [`ImageError::Damaged`] as [`inspect`] has it: `header` has to be what it found in the same bytes.
pub fn strip(bytes: &[u8], header: &Header, keep_metadata: bool) -> Result<Stripped, ImageError> {
    if Format::sniff(bytes) != Some(header.format) {
        return Err(ImageError::Damaged(format!(
            "it does not begin as the {} that it is said to be",
            header.format
        )));
    }
    let only: FormatSet = [header.format].into_iter().collect();
    if keep_metadata {
        let whole =
            if header.format == Format::Jpeg { jpeg::with_its_end(bytes) } else { Ok(bytes.to_vec()) };
        let bytes = whole.map_err(|trouble| trouble.told(&only))?;
        return Ok(Stripped { bytes, removed: Vec::new() });
    }
    let stripped = match header.format {
        Format::Jpeg => jpeg::strip(bytes, header.orientation),
        Format::Png => png::strip(bytes, header.orientation),
        Format::Gif => gif::strip(bytes),
        Format::Webp => webp::strip(bytes, header.orientation),
        Format::Avif => avif::strip(bytes),
    };
    stripped.map_err(|trouble| trouble.told(&only))
}

/// What a container says of its picture, before anything is held against it.
#[derive(Debug)]
pub(super) struct Picture {
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) orientation: Orientation,
    pub(super) frames: u64,
    /// The pixels of all frames as they are drawn, and at least those of the canvas.
    pub(super) pixels: u64,
    pub(super) price: u64,
}

impl Picture {
    fn hold_against(&self, limits: &Limits) -> Result<(), ImageError> {
        let Self { width, height, frames, pixels, price, orientation: _ } = self;
        if *width == 0 || *height == 0 {
            return Err(ImageError::Damaged(format!("it has no pixels ({width} by {height})")));
        }
        if *pixels > limits.pixels {
            let all = if *pixels > area(*width, *height) {
                format!(", {} frames together", grouped(*frames))
            } else {
                String::new()
            };
            let what = format!("has {} pixels ({width} by {height}{all})", grouped(*pixels));
            return Err(too_large(what, format!("{} pixels", grouped(limits.pixels))));
        }
        if *frames > u64::from(limits.frames) {
            let what = format!("has {} frames", grouped(*frames));
            return Err(too_large(what, format!("{} frames", grouped(limits.frames.into()))));
        }
        if *price > limits.memory {
            let what = format!("would take {} bytes of memory to decode", grouped(*price));
            return Err(too_large(what, format!("{} bytes", grouped(limits.memory))));
        }
        Ok(())
    }
}

/// Why a container cannot be read.
#[derive(Debug)]
pub(super) enum Trouble {
    /// It breaks the rules of its format.
    Damaged(String),
    /// It is of a kind that the decoders do not know: what it is.
    Unreadable(String),
    /// It has too much of something that no setting allows: what it has, and the most.
    Excessive { what: String, most: String },
}

impl Trouble {
    fn told(self, formats: &FormatSet) -> ImageError {
        match self {
            Self::Damaged(what) => ImageError::Damaged(what),
            Self::Unreadable(found) => unsupported(found, formats),
            Self::Excessive { what, most } => too_large(what, most),
        }
    }
}

/// `Trouble::Damaged` with these words.
pub(super) fn damaged(what: impl Into<String>) -> Trouble {
    Trouble::Damaged(what.into())
}

/// The file stops within something.
pub(super) fn cut_off(within: &str) -> Trouble {
    Trouble::Damaged(format!("it is cut off within {within}"))
}

fn unsupported(found: String, formats: &FormatSet) -> ImageError {
    ImageError::Unsupported { found, allowed: formats.to_string() }
}

fn too_large(what: String, most: String) -> ImageError {
    ImageError::TooLarge { what, most }
}

/// What it is, the formats known here included: each may be one that is not taken.
fn guess_with_ours(bytes: &[u8]) -> String {
    match Format::sniff(bytes) {
        Some(Format::Jpeg) => "a JPEG picture".to_owned(),
        Some(Format::Png) => "a PNG picture".to_owned(),
        Some(Format::Gif) => "a GIF picture".to_owned(),
        Some(Format::Webp) => "a WebP picture".to_owned(),
        Some(Format::Avif) | None => guess::what_it_is(bytes),
    }
}

/// `40,000,000`.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
