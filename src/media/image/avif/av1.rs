//! AV1 as far as the gate needs it (AV1 Bitstream Specification 1.0.0): which units a picture consists of, how large it
//! is, what its samples are, and into how many tiles it is cut.
//!
//! What is true: a picture that is let through is one key frame of one layer that is shown, with one sequence header, and
//! the decoder is handed nothing but the units that were read here.

use super::bits::Bits;
use super::{Trouble, cut_off, damaged};

const SEQUENCE: u8 = 1;
const DELIMITER: u8 = 2;
const FRAME_HEADER: u8 = 3;
const TILES: u8 = 4;
const METADATA: u8 = 5;
const FRAME: u8 = 6;

/// Samples between columns and rows of colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sampling {
    /// No colours at all.
    Grey,
    /// A colour for each pixel.
    Full,
    /// A colour for two pixels side by side.
    Halved,
    /// A colour for two by two pixels.
    Quartered,
}

/// What the samples of a picture are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Samples {
    pub(crate) profile: u8,
    /// Bits of a sample: 8, 10 or 12.
    pub(crate) bits: u8,
    pub(crate) sampling: Sampling,
}

/// What the numbers of colours mean (ITU-T H.273).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cicp {
    pub(crate) primaries: u16,
    pub(crate) transfer: u16,
    pub(crate) matrix: u16,
    /// Whether black is 0 and white the largest number.
    pub(crate) full_range: bool,
}

/// What the headers of a picture say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Frame {
    /// Columns of pixels, as they are shown.
    pub(crate) width: u32,
    /// Rows.
    pub(crate) height: u32,
    pub(crate) samples: Samples,
    pub(crate) cicp: Cicp,
    /// Into how many parts it is cut that are decoded each for itself.
    pub(crate) tiles: u32,
    /// Whether a second picture is made of it: wider than it is coded, or with noise drawn over it.
    pub(crate) doubled: bool,
}

/// A picture: what it is, and its units.
#[derive(Debug, Clone)]
pub(crate) struct Coded<'a> {
    pub(crate) frame: Frame,
    /// The units that make it, as they are in the file.
    pub(crate) units: Vec<&'a [u8]>,
    /// Whether there were others.
    pub(crate) others: bool,
}

/// Reads the units of a picture.
pub(super) fn read(data: &[u8]) -> Result<Coded<'_>, Trouble> {
    /// A picture has a handful of them, or one for each tile.
    const MOST: usize = 4200;
    let mut units = Vec::new();
    let (mut sequence, mut frame, mut tiles) = (None, None, false);
    let mut others = false;
    let mut rest = data;
    while !rest.is_empty() {
        let unit = Unit::first(rest)?;
        rest = &rest[unit.whole.len()..];
        let kept = match unit.kind {
            SEQUENCE if sequence.is_none() => {
                sequence = Some(Sequence::read(unit.data)?);
                true
            }
            SEQUENCE => return Err(damaged("its AV1 data has two sequence headers")),
            FRAME | FRAME_HEADER if frame.is_none() && unit.layer == 0 => {
                let sequence =
                    sequence.as_ref().ok_or_else(|| damaged("its AV1 data has no sequence header"))?;
                frame = Some(sequence.frame(unit.data)?);
                tiles = unit.kind == FRAME;
                true
            }
            FRAME | FRAME_HEADER => {
                return Err(Trouble::Unreadable("an AVIF picture in several layers or frames".to_owned()));
            }
            TILES if frame.is_some() && unit.layer == 0 => {
                tiles = true;
                true
            }
            TILES => return Err(damaged("its AV1 data has tiles without a frame")),
            METADATA => tells_light(unit.data),
            // Every picture begins with one, by right; it says nothing.
            DELIMITER => {
                continue;
            }
            _ => false,
        };
        others |= !kept;
        if kept {
            units.push(unit.whole);
        }
        if units.len() > MOST {
            return Err(damaged("its AV1 data has more units than there are tiles"));
        }
    }
    match frame {
        Some(frame) if tiles => Ok(Coded { frame, units, others }),
        Some(_) | None => Err(damaged("its AV1 data has no picture")),
    }
}

/// Whether a unit of metadata says how bright the picture may be: the rest is for programs, and may be anything.
fn tells_light(data: &[u8]) -> bool {
    matches!(data, [1, rest @ ..] if rest.len() <= 5) || matches!(data, [2, rest @ ..] if rest.len() <= 25)
}

/// A unit (OBU).
struct Unit<'a> {
    kind: u8,
    layer: u8,
    whole: &'a [u8],
    data: &'a [u8],
}

impl<'a> Unit<'a> {
    fn first(bytes: &'a [u8]) -> Result<Self, Trouble> {
        let cut = || cut_off("its AV1 data");
        let head = *bytes.first().ok_or_else(cut)?;
        if head & 0x80 != 0 {
            return Err(damaged("its AV1 data has a unit that is none"));
        }
        let (extended, sized) = (head & 4 != 0, head & 2 != 0);
        let mut at = 1;
        let mut layer = 0;
        if extended {
            layer = bytes.get(1).ok_or_else(cut)? >> 3 & 3;
            at = 2;
        }
        let mut end = bytes.len();
        if sized {
            let mut length = 0_u64;
            for place in 0.. {
                let byte = *bytes.get(at).ok_or_else(cut)?;
                at += 1;
                length |= u64::from(byte & 0x7f) << (7 * place);
                if byte & 0x80 == 0 {
                    break;
                }
                if place == 7 {
                    return Err(damaged("its AV1 data has a length that is none"));
                }
            }
            let length = usize::try_from(length).unwrap_or(usize::MAX);
            end = at.checked_add(length).filter(|end| *end <= bytes.len()).ok_or_else(cut)?;
        }
        Ok(Self { kind: head >> 3 & 15, layer, whole: &bytes[..end], data: &bytes[at..end] })
    }
}

/// What the sequence header says, as far as the frame's header or the decoder's memory depend on it.
#[derive(Debug)]
struct Sequence {
    samples: Samples,
    cicp: Cicp,
    grain: bool,
    /// A header of a single picture, which leaves out what is of use to films only.
    reduced: bool,
    /// The bits of a frame's number; none when frames have none.
    id_bits: Option<u32>,
    timing: Timing,
    /// For each operating point what it consists of, and whether it has times of its own.
    points: Vec<(u32, bool)>,
    /// Bits of the largest sides, and these.
    bits: (u32, u32),
    sides: (u32, u32),
    superblock_128: bool,
    /// Whether each frame may use tools for drawn pictures, whole vectors: `None` when it says so itself.
    drawn: Option<bool>,
    whole_vectors: Option<bool>,
    order_bits: u32,
    superres: bool,
}

#[derive(Debug, Clone, Copy, Default)]
struct Timing {
    equal: bool,
    /// Bits of delays, of times of removal and of presentation, when there is a model of a decoder.
    model: Option<(u32, u32, u32)>,
}

impl Sequence {
    fn read(data: &[u8]) -> Result<Self, Trouble> {
        let mut bits = Bits::of(data);
        let profile = bits.take(3)? as u8;
        let _still = bits.flag()?;
        let reduced = bits.flag()?;
        if profile > 2 {
            return Err(Trouble::Unreadable(format!("an AVIF picture of the AV1 profile {profile}")));
        }
        let (timing, points) = if reduced {
            bits.take(5)?;
            (Timing::default(), vec![(0, false)])
        } else {
            Self::times(&mut bits)?
        };
        let side_bits = (bits.take(4)? + 1, bits.take(4)? + 1);
        let sides = (bits.take(side_bits.0)? + 1, bits.take(side_bits.1)? + 1);
        let mut id_bits = None;
        if !reduced && bits.flag()? {
            let delta = bits.take(4)? + 2;
            id_bits = Some(delta + bits.take(3)? + 1);
        }
        let superblock_128 = bits.flag()?;
        bits.take(2)?;
        let (mut drawn, mut whole_vectors, mut order_bits) = (None, None, 0);
        if !reduced {
            bits.take(4)?;
            let ordered = bits.flag()?;
            if ordered {
                bits.take(2)?;
            }
            if !bits.flag()? {
                drawn = Some(bits.flag()?);
            }
            if drawn != Some(false) && !bits.flag()? {
                whole_vectors = Some(bits.flag()?);
            }
            if ordered {
                order_bits = bits.take(3)? + 1;
            }
        }
        let superres = bits.flag()?;
        bits.take(2)?;
        let (samples, cicp) = colours(&mut bits, profile)?;
        let grain = bits.flag()?;
        Ok(Self {
            samples,
            cicp,
            grain,
            reduced,
            id_bits,
            timing,
            points,
            bits: side_bits,
            sides,
            superblock_128,
            drawn,
            whole_vectors,
            order_bits,
            superres,
        })
    }

    fn times(bits: &mut Bits<'_>) -> Result<(Timing, Vec<(u32, bool)>), Trouble> {
        let mut timing = Timing::default();
        if bits.flag()? {
            bits.take(32)?;
            bits.take(32)?;
            timing.equal = bits.flag()?;
            if timing.equal {
                bits.variable()?;
            }
            if bits.flag()? {
                let delays = bits.take(5)? + 1;
                bits.take(32)?;
                timing.model = Some((delays, bits.take(5)? + 1, bits.take(5)? + 1));
            }
        }
        let delayed = bits.flag()?;
        let count = bits.take(5)? + 1;
        let mut points = Vec::new();
        for _ in 0..count {
            let consists_of = bits.take(12)?;
            if bits.take(5)? > 7 {
                bits.take(1)?;
            }
            let mut timed = false;
            if let Some((delays, ..)) = timing.model {
                timed = bits.flag()?;
                if timed {
                    bits.take(delays)?;
                    bits.take(delays)?;
                    bits.take(1)?;
                }
            }
            if delayed && bits.flag()? {
                bits.take(4)?;
            }
            points.push((consists_of, timed));
        }
        Ok((timing, points))
    }

    /// Reads the header of a frame as far as its tiles.
    fn frame(&self, data: &[u8]) -> Result<Frame, Trouble> {
        let mut bits = Bits::of(data);
        if !self.reduced {
            let (again, kind, shown) = (bits.flag()?, bits.take(2)?, bits.flag()?);
            if again || kind != 0 || !shown {
                return Err(damaged("its AV1 data begins with no picture that stands by itself"));
            }
            if let Some((_, _, presentation)) = self.timing.model
                && !self.timing.equal
            {
                bits.take(presentation)?;
            }
        }
        let fixed_odds = bits.flag()?;
        let drawn = match self.drawn {
            Some(drawn) => drawn,
            None => bits.flag()?,
        };
        if drawn && self.whole_vectors.is_none() {
            bits.flag()?;
        }
        bits.take(self.id_bits.unwrap_or(0))?;
        let resized = !self.reduced && bits.flag()?;
        bits.take(self.order_bits)?;
        self.removal_times(&mut bits)?;
        let (mut width, mut height) = self.sides;
        if resized {
            (width, height) = (bits.take(self.bits.0)? + 1, bits.take(self.bits.1)? + 1);
        }
        let mut coded = width;
        if self.superres && bits.flag()? {
            let denominator = bits.take(3)? + 9;
            coded = (width * 8 + denominator / 2) / denominator;
        }
        if bits.flag()? {
            bits.take(32)?;
        }
        if drawn && coded == width {
            bits.flag()?;
        }
        if !self.reduced && !fixed_odds {
            bits.flag()?;
        }
        let tiles = self.tiles(&mut bits, coded, height)?;
        let Self { samples, cicp, grain, .. } = *self;
        Ok(Frame { width, height, samples, cicp, tiles, doubled: grain || coded != width })
    }

    fn removal_times(&self, bits: &mut Bits<'_>) -> Result<(), Trouble> {
        let Some((_, removal, _)) = self.timing.model else { return Ok(()) };
        if bits.flag()? {
            for (consists_of, timed) in &self.points {
                // The layer is the lowest one, in time and in space.
                let within = *consists_of == 0 || consists_of & 1 != 0 && consists_of >> 8 & 1 != 0;
                if *timed && within {
                    bits.take(removal)?;
                }
            }
        }
        Ok(())
    }

    /// How many tiles there are.
    fn tiles(&self, bits: &mut Bits<'_>, width: u32, height: u32) -> Result<u32, Trouble> {
        /// The widest tile, and the pixels of the largest.
        const WIDEST: u32 = 4096;
        const LARGEST: u32 = 4096 * 2304;
        let shift = if self.superblock_128 { 7 } else { 6 };
        let blocks = |side: u32| side.next_multiple_of(8).div_ceil(1 << shift);
        let (across, down) = (blocks(width), blocks(height));
        let widest = WIDEST >> shift;
        let largest = LARGEST >> (2 * shift);
        let least_across = doublings(widest, across);
        let least = least_across.max(doublings(largest, across.saturating_mul(down)));
        if bits.flag()? {
            let columns = bits.raise(least_across, doublings(1, across.min(64)))?;
            let rows = bits.raise(least.saturating_sub(columns), doublings(1, down.min(64)))?;
            let count = |blocks: u32, doublings: u32| blocks.div_ceil(blocks.div_ceil(1 << doublings).max(1));
            return Ok(count(across, columns).saturating_mul(count(down, rows)));
        }
        let (columns, broadest) = bits.parts(across, widest)?;
        let all = across.saturating_mul(down);
        let area = if least > 0 { all >> (least + 1) } else { all };
        let (rows, _) = bits.parts(down, (area / broadest.max(1)).max(1))?;
        Ok(columns.saturating_mul(rows))
    }
}

/// How often `from` is doubled until it is at least `to`.
fn doublings(from: u32, to: u32) -> u32 {
    (0..31).find(|times| u64::from(from) << times >= u64::from(to)).unwrap_or(31)
}

fn colours(bits: &mut Bits<'_>, profile: u8) -> Result<(Samples, Cicp), Trouble> {
    let high = bits.flag()?;
    let depth = match (profile, high) {
        (_, false) => 8,
        (2, true) if bits.flag()? => 12,
        (_, true) => 10,
    };
    let grey = profile != 1 && bits.flag()?;
    let (mut primaries, mut transfer, mut matrix) = (2, 2, 2);
    if bits.flag()? {
        (primaries, transfer, matrix) = (bits.take(8)?, bits.take(8)?, bits.take(8)?);
    }
    let cicp = |full_range| Cicp {
        primaries: primaries as u16,
        transfer: transfer as u16,
        matrix: matrix as u16,
        full_range,
    };
    let samples = |sampling| Samples { profile, bits: depth, sampling };
    if grey {
        let full_range = bits.flag()?;
        return Ok((samples(Sampling::Grey), cicp(full_range)));
    }
    if (primaries, transfer, matrix) == (1, 13, 0) {
        bits.flag()?;
        return Ok((samples(Sampling::Full), cicp(true)));
    }
    let full_range = bits.flag()?;
    let (across, down) = match (profile, depth) {
        (0, _) => (true, true),
        (1, _) => (false, false),
        (_, 12) => {
            let across = bits.flag()?;
            (across, across && bits.flag()?)
        }
        _ => (true, false),
    };
    if across && down {
        bits.take(2)?;
    }
    bits.flag()?;
    let sampling = match (across, down) {
        (false, _) => Sampling::Full,
        (true, false) => Sampling::Halved,
        (true, true) => Sampling::Quartered,
    };
    Ok((samples(sampling), cicp(full_range)))
}
