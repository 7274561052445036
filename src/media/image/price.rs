//! What decoding takes: upper bounds of the bytes of memory that our decoders hold at once.
//!
//! The gate reckons them from the headers and refuses what costs too much; whoever decodes takes as much from the
//! budget that all decoding shares. So the formulas and the decoders must agree, and stand together here: a decoder that
//! comes to hold more has its formula changed in the same change. The file itself is not counted, a second copy of it is.
//! `tests/price` compares the two. All sums saturate: a header's nonsense makes a price that nobody can pay.

/// What every decoder holds whatever the picture: its tables, its windows, its buffers of reading.
const FIXED: u64 = 512 << 10;

/// A JPEG: the whole picture, one byte a sample as it is shown, and some rows of blocks on the way. When the blocks of
/// a picture do not come in one scan, all their coefficients as well, two bytes each.
pub(super) fn jpeg(frame: &JpegFrame) -> u64 {
    let shown = if frame.components.len() == 1 { 1 } else { 3 };
    let picture = area(frame.width, frame.height).saturating_mul(shown);
    let (across, down) = frame.blocks();
    let coefficients: u64 = if frame.one_scan {
        0
    } else {
        frame.components.iter().map(|(h, v)| across * down * u64::from(*h) * u64::from(*v) * 64 * 2).sum()
    };
    // A row of blocks of each component before and after it is stretched, two bytes a sample, and the rows around it.
    let rows = across * 8 * frame.most_across() * frame.components.len() as u64 * 128;
    FIXED + frame.file + picture + coefficients + rows
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
    /// The bytes of the file, of which the decoder takes a copy.
    pub(super) file: u64,
}

impl JpegFrame {
    /// How many groups of blocks lie side by side and on top of each other.
    fn blocks(&self) -> (u64, u64) {
        let most_down = self.components.iter().map(|(_, v)| u64::from(*v)).max().unwrap_or(1);
        (
            u64::from(self.width).div_ceil(8 * self.most_across()),
            u64::from(self.height).div_ceil(8 * most_down),
        )
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

/// A GIF: the canvas in four bytes a pixel, and one frame both in four bytes and as numbers of colours.
pub(super) fn gif(canvas: u64, largest_frame: u64) -> u64 {
    FIXED.saturating_add(canvas.saturating_mul(4)).saturating_add(largest_frame.saturating_mul(5))
}

/// A WebP: what is shown, in four bytes a pixel, and what a frame takes on its way: for a lossy one with transparency
/// its planes (1.5), itself (4), and the transparency, which is a lossless picture of its own (6); an animation has a
/// canvas besides. Lossless data is read by tables that the data describes, in places by few bits each: that is what
/// makes a large lossless file dear, whatever its sides.
pub(super) fn webp(canvas: u64, largest_frame: u64, animated: bool, lossless: u64) -> u64 {
    /// The bytes of tables that a byte of data can ask for: 4 KiB by 61 bits.
    const TABLES_BY_BYTE: u64 = 550;
    /// Five tables of 4 KiB and a little for each of 65,536 groups.
    const MOST_TABLES: u64 = 65_536 * 5 * 4_352;
    let kept = if animated { 8 } else { 4 };
    FIXED
        .saturating_add(canvas.saturating_mul(kept))
        .saturating_add(largest_frame.saturating_mul(12))
        .saturating_add(lossless.saturating_mul(TABLES_BY_BYTE).min(MOST_TABLES))
}

/// Pixels of a rectangle.
pub(super) fn area(width: u32, height: u32) -> u64 {
    u64::from(width) * u64::from(height)
}
