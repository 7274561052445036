//! What decoding takes: upper bounds of the bytes of memory that our decoders hold at once.
//!
//! The gate reckons them from the headers and refuses what costs too much; whoever decodes takes as much from the
//! budget that all decoding shares. So the formulas and the decoders must agree, and stand together here: a decoder that
//! comes to hold more has its formula changed in the same change. The file itself is not counted, a second copy of it is.
//! `tests/price` compares the two. All sums saturate: a header's nonsense makes a price that nobody can pay.

use super::avif::{Layer, Sampling};
use super::shrink::{BAND_ROWS, LARGEST};
use super::{Header, Spec};

/// What every decoder holds whatever the picture: its tables, its windows, its buffers of reading.
const FIXED: u64 = 512 << 10;

/// A JPEG: a row of groups of blocks as samples, and rows as they are shown. When the blocks of a picture do not come in
/// one scan, all their coefficients as well, two bytes each, and eight bytes a block to tell which are not zero.
pub(super) fn jpeg(frame: &JpegFrame) -> u64 {
    let (across, down) = frame.blocks();
    let blocks: u64 =
        frame.components.iter().map(|(h, v)| across * down * u64::from(*h) * u64::from(*v)).sum();
    let coefficients = if frame.one_scan { 0 } else { blocks * (64 * 2 + 8) };
    // A component that is sampled coarsely may be shown larger for it: then its row is as large as the finest one's.
    let count = frame.components.len() as u64;
    let row = across * 8 * frame.most_across();
    FIXED + 2 * frame.file + coefficients + row * (count * (8 * frame.most_down() + 5) + 7)
}

/// What the price of a JPEG depends on.
#[derive(Debug, Clone)]
pub(super) struct JpegFrame {
    pub(super) width: u32,
    pub(super) height: u32,
    /// How finely each component is sampled, across and down: 1 to 4.
    pub(super) components: Vec<(u8, u8)>,
    /// Whether the first scan has all components in full.
    pub(super) one_scan: bool,
    /// The bytes of the file, of which its colour profile may be most: it is copied in parts and put together.
    pub(super) file: u64,
}

impl JpegFrame {
    /// How many groups of blocks lie side by side and on top of each other.
    fn blocks(&self) -> (u64, u64) {
        (
            u64::from(self.width).div_ceil(8 * self.most_across()),
            u64::from(self.height).div_ceil(8 * self.most_down()),
        )
    }

    fn most_down(&self) -> u64 {
        self.components.iter().map(|(_, v)| u64::from(*v)).max().unwrap_or(1)
    }

    fn most_across(&self) -> u64 {
        self.components.iter().map(|(h, _)| u64::from(*h)).max().unwrap_or(1)
    }
}

/// A PNG, read row by row: the rows at hand, raw and as they are shown, in buffers that double when they grow. An
/// interlaced one has no rows before it is whole, and is held whole.
pub(super) fn png(width: u32, height: u32, sample: u8, interlaced: bool) -> u64 {
    // At most four samples are shown of a pixel, whatever the kind: a palette may have transparency.
    let row = u64::from(width).saturating_mul(4 * u64::from(sample.div_ceil(8)));
    let whole = if interlaced { row.saturating_mul(u64::from(height)) } else { 0 };
    FIXED.saturating_add(row.saturating_mul(16)).saturating_add(whole)
}

/// A GIF: the numbers of the colours of its first frame. The others are unpacked piece by piece, and the canvas is drawn
/// row by row; a row has at most 65,535 pixels.
pub(super) fn gif(largest_frame: u64) -> u64 {
    FIXED.saturating_add(8 * 65_535).saturating_add(largest_frame)
}

/// A WebP: what is shown, and what a picture takes on its way there; an animation has a canvas besides, and one picture
/// at a time. `profile`: the bytes of its colour profile, which is copied.
pub(super) fn webp(canvas: u64, transparent: bool, animated: bool, dearest: u64, profile: u64) -> u64 {
    let shown = if transparent { 4 } else { 3 };
    let kept = if animated { 4 } else { 0 };
    FIXED
        .saturating_add(canvas.saturating_mul(shown + kept))
        .saturating_add(dearest)
        .saturating_add(profile.saturating_mul(2))
}

/// A picture of a WebP.
#[derive(Debug, Clone, Copy)]
pub(super) struct WebpPicture {
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) coding: WebpCoding,
    /// What its transparency takes, where it comes apart.
    pub(super) alpha: Option<WebpAlpha>,
}

/// How it is coded.
#[derive(Debug, Clone, Copy)]
pub(super) enum WebpCoding {
    /// In so many bytes of lossy data.
    Lossy(u64),
    /// Without loss; what reading it takes besides its pixels.
    Lossless(u64),
}

/// How the transparency of a lossy picture is coded.
#[derive(Debug, Clone, Copy)]
pub(super) enum WebpAlpha {
    /// A byte a pixel.
    Plain,
    /// As a lossless picture of its own; what reading that takes besides its pixels.
    Lossless(u64),
}

/// What a picture of a WebP takes before it is shown. `direct` tells that it is decoded into what is shown.
pub(super) fn webp_picture(picture: &WebpPicture, direct: bool) -> u64 {
    let pixels = area(picture.width, picture.height);
    let own = match picture.coding {
        WebpCoding::Lossless(set_up) => {
            return set_up.saturating_add(if direct { 0 } else { pixels.saturating_mul(4) });
        }
        // Three planes in whole blocks of 16 by 16, and of each block its kind, in a list that doubles as it grows; the
        // data twice, and while a list of it grows once more.
        WebpCoding::Lossy(bytes) => {
            let blocks = u64::from(picture.width).div_ceil(16) * u64::from(picture.height).div_ceil(16);
            let columns = u64::from(picture.width).div_ceil(16);
            blocks
                .saturating_mul(16 * 24 + 3 * 32)
                .saturating_add(columns * 128)
                .saturating_add(bytes.saturating_mul(4))
        }
    };
    let alpha = match picture.alpha {
        None => 0,
        Some(WebpAlpha::Plain) => pixels,
        Some(WebpAlpha::Lossless(set_up)) => pixels.saturating_mul(5).saturating_add(set_up),
    };
    let shown = if direct { 0 } else { pixels.saturating_mul(4) };
    own.saturating_add(shown).saturating_add(alpha)
}

/// What lossless data takes of which nobody knows what it says: more than its bytes can ask for.
pub(super) fn webp_unread(pixels: u64, bytes: u64) -> u64 {
    /// The bytes of tables that a byte of data can ask for: 4 KiB by 61 bits.
    const TABLES_BY_BYTE: u64 = 550;
    pixels.saturating_add(bytes.saturating_mul(TABLES_BY_BYTE)).saturating_add(FIXED)
}

/// An AVIF, decoded in a process of its own: that process, the file in it, and for its picture and its transparency each
/// a row of tiles that were decoded, and what the decoder takes for one.
pub(super) fn avif(colour: &Layer<'_>, alpha: Option<&Layer<'_>>, file: u64) -> u64 {
    /// What a process takes that does nothing yet, and the tables of the decoder.
    const PROCESS: u64 = 12 << 20;
    let layers = [Some(colour), alpha].into_iter().flatten();
    layers
        .map(avif_layer)
        .fold(PROCESS.saturating_add(file.saturating_mul(4)), u64::saturating_add)
        .saturating_add(u64::from(colour.width).saturating_mul(64))
}

fn avif_layer(layer: &Layer<'_>) -> u64 {
    /// What the decoder keeps of a tile that AV1 cuts a picture into.
    const BY_TILE: u64 = 24 << 10;
    let frame = layer.frame();
    let bytes = if frame.samples.bits > 8 { 2 } else { 1 };
    // It lays planes out in blocks of 128, and a little more.
    let side = |side: u32| u64::from(side).next_multiple_of(128) + 128;
    let pixels = side(frame.width).saturating_mul(side(frame.height));
    // Twice the samples of a pixel.
    let samples = match frame.samples.sampling {
        Sampling::Grey => 2,
        Sampling::Quartered => 3,
        Sampling::Halved => 4,
        Sampling::Full => 6,
    };
    let plane = pixels.saturating_mul(samples * bytes) / 2;
    // Of both at once when it is wider than coded and has noise.
    // Tiles are alike in size and samples, and in nothing else: the dearest counts.
    let mut frames = layer.tiles.iter().map(|tile| &tile.coded.frame);
    let most_tiles = frames.clone().map(|frame| frame.tiles).max().unwrap_or(1);
    let pictures = u64::from(layer.columns) + if frames.any(|frame| frame.doubled) { 2 } else { 0 };
    // What it knows of blocks of four by four pixels, to filter their edges and to guess the next.
    let beside = pixels + u64::from(most_tiles) * BY_TILE;
    plane.saturating_mul(pictures).saturating_add(beside)
}

/// Pixels of a rectangle.
pub(super) fn area(width: u32, height: u32) -> u64 {
    u64::from(width) * u64::from(height)
}

/// What making a variant takes, the file itself not counted: the decoder, and what is made while it decodes.
#[must_use]
pub fn room(header: &Header, spec: &Spec) -> u64 {
    let (width, height) = header.seen();
    let within = |side: Option<u32>, most: u32| Some(side.map_or(most, |side| side.min(most)));
    let boxed = Spec { width: within(spec.width, width), height: within(spec.height, height), ..*spec };
    // The sums of a row as it comes.
    let sums = u64::from(header.width).saturating_mul(16);
    header.price.saturating_add(sums).saturating_add(room_beside(&boxed))
}

/// What making a variant takes beside the decoder, of whatever picture: the rows that are being averaged and resampled,
/// what comes out, once more when it is turned, and the file that is written of it.
#[must_use]
pub fn room_beside(spec: &Spec) -> u64 {
    /// What a colour profile takes while it is applied.
    const COLOURS: u64 = 6 << 20;
    /// Rows that are held at once while they are resampled, with what the resampling makes of them.
    const ROWS: u64 = 3 * BAND_ROWS as u64;
    let sides = [spec.width, spec.height].map(|side| u64::from(side.unwrap_or(0)));
    let (width, height) = (sides[0].max(1), sides[1].max(1));
    let longer = width.max(height);
    let rows = (4 * longer + u64::from(LARGEST)).saturating_mul(4 * ROWS + 16);
    FIXED
        .saturating_add(COLOURS)
        .saturating_add(rows)
        .saturating_add(width.saturating_mul(height).saturating_mul(4 * 4))
}
