//! What stands between the scans of a JPEG: its frame, its tables, and what programs left for the colours.

use super::super::super::brought::Brought;
use super::bits::Huffman;
use super::{Damage, standard};

/// The order in which the coefficients of a block come: for each, its place in rows of eight.
pub(super) const ZIGZAG: [u8; 64] = [
    0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6, 7,
    14, 21, 28, 35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39,
    46, 53, 60, 61, 54, 47, 55, 62, 63,
];

/// The picture, as its frame header has it.
#[derive(Debug, Clone)]
pub(super) struct Frame {
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) progressive: bool,
    pub(super) components: Vec<Component>,
}

/// A component of the picture.
#[derive(Debug, Clone)]
pub(super) struct Component {
    pub(super) id: u8,
    /// How finely it is sampled, across and down.
    pub(super) across: u32,
    pub(super) down: u32,
    pub(super) table: usize,
}

impl Frame {
    pub(super) fn most_across(&self) -> u32 {
        self.components.iter().map(|component| component.across).max().unwrap_or(1)
    }

    pub(super) fn most_down(&self) -> u32 {
        self.components.iter().map(|component| component.down).max().unwrap_or(1)
    }

    /// Groups of blocks (MCUs) in a row, and rows of them.
    pub(super) fn groups(&self) -> (u32, u32) {
        (self.width.div_ceil(8 * self.most_across()), self.height.div_ceil(8 * self.most_down()))
    }

    /// Blocks across and down that carry the component where it comes alone.
    pub(super) fn blocks(&self, component: &Component) -> (u32, u32) {
        let width = (self.width * component.across).div_ceil(self.most_across());
        let height = (self.height * component.down).div_ceil(self.most_down());
        (width.div_ceil(8), height.div_ceil(8))
    }

    fn read(data: &[u8], progressive: bool) -> Result<Self, Damage> {
        let [precision, high, low, wide, thin, count, rest @ ..] = data else { return Err(Damage::Segment) };
        let (height, width) =
            (u32::from(*high) << 8 | u32::from(*low), u32::from(*wide) << 8 | u32::from(*thin));
        if *precision != 8 || width == 0 || height == 0 || rest.len() != usize::from(*count) * 3 {
            return Err(Damage::Frame);
        }
        let component = |bytes: &[u8]| Component {
            id: bytes[0],
            across: u32::from(bytes[1] >> 4),
            down: u32::from(bytes[1] & 15),
            table: usize::from(bytes[2]),
        };
        let components: Vec<Component> = rest.chunks_exact(3).map(component).collect();
        let sound = |component: &Component| {
            (1..=4).contains(&component.across) && (1..=4).contains(&component.down) && component.table < 4
        };
        let known = matches!(components.len(), 1 | 3 | 4) && components.iter().all(sound);
        if known { Ok(Self { width, height, progressive, components }) } else { Err(Damage::Frame) }
    }
}

/// A scan, as its header has it.
#[derive(Debug, Clone)]
pub(super) struct ScanHead {
    /// Which components, with their tables for DC and AC.
    pub(super) components: Vec<(usize, usize, usize)>,
    /// The first and the last coefficient.
    pub(super) from: usize,
    pub(super) to: usize,
    /// The bit that comes: how many were before, if any, and how many are still to come.
    pub(super) high: u32,
    pub(super) low: u32,
}

impl ScanHead {
    pub(super) fn read(data: &[u8], frame: &Frame) -> Result<Self, Damage> {
        let [count, rest @ ..] = data else { return Err(Damage::Segment) };
        let (chosen, band) = rest.split_at_checked(usize::from(*count) * 2).ok_or(Damage::Segment)?;
        let [from, to, bits] = band else { return Err(Damage::Segment) };
        let mut components: Vec<(usize, usize, usize)> = Vec::new();
        for pair in chosen.chunks_exact(2) {
            // Some files have one name for several components: then they are meant in order.
            let free = |place: &usize| components.iter().all(|(chosen, ..)| chosen != place);
            let mut named = (0..frame.components.len()).filter(|at| frame.components[*at].id == pair[0]);
            let place = named.find(free);
            components.push((
                place.ok_or(Damage::Scan)?,
                usize::from(pair[1] >> 4),
                usize::from(pair[1] & 15),
            ));
        }
        let head = Self {
            components,
            from: usize::from(*from),
            to: usize::from(*to),
            high: u32::from(bits >> 4),
            low: u32::from(bits & 15),
        };
        if head.makes_sense(frame) { Ok(head) } else { Err(Damage::Scan) }
    }

    /// Notes what the scan brings; whether it is in turn.
    pub(super) fn bring(&self, frame: &Frame, brought: &mut Brought) -> bool {
        let sequential = ((0, 63), 0, 0);
        let progressive = ((self.from, self.to), self.high as u8, self.low as u8);
        let (band, high, low) = if frame.progressive { progressive } else { sequential };
        let places = self.components.iter().map(|(place, ..)| *place);
        // Every place is told, also behind one that is out of turn.
        let mut in_turn = true;
        for place in places {
            in_turn &= brought.scan(place, band, high, low);
        }
        in_turn
    }

    fn makes_sense(&self, frame: &Frame) -> bool {
        let Self { components, from, to, high, low } = self;
        let tables = components.iter().all(|(_, dc, ac)| *dc < 4 && *ac < 4);
        // What groups of blocks may be made of at most.
        let samples = components.iter().map(|(place, ..)| &frame.components[*place]);
        let blocks: u32 = samples.map(|component| component.across * component.down).sum();
        let some = !components.is_empty() && (components.len() == 1 || blocks <= 10);
        if !frame.progressive {
            return tables && some;
        }
        let band = if *from == 0 { *to == 0 } else { from <= to && *to < 64 && components.len() == 1 };
        tables && some && band && *low <= 13 && (*high == 0 || *high == low + 1)
    }
}

/// What the segments before a scan say.
#[derive(Default)]
pub(super) struct Head {
    pub(super) frame: Option<Frame>,
    /// Steps of the coefficients, in rows of eight.
    pub(super) steps: [Option<[f32; 64]>; 4],
    pub(super) dc: [Option<Huffman>; 4],
    pub(super) ac: [Option<Huffman>; 4],
    /// Groups of blocks between two restarts; 0 for no restarts.
    pub(super) restart: u32,
    pub(super) jfif: bool,
    /// What Adobe's segment says of the colours; `None` without one.
    pub(super) adobe: Option<u8>,
    /// Parts of the colour profile: the number of each, how many there are, and the part.
    profile: Vec<(u8, u8, Vec<u8>)>,
}

impl Head {
    /// Takes in a segment; `data` is what follows its length.
    pub(super) fn segment(&mut self, marker: u8, data: &[u8]) -> Result<(), Damage> {
        match marker {
            0xc0..=0xc2 if self.frame.is_some() => return Err(Damage::Frame),
            0xc0..=0xc2 => self.frame = Some(Frame::read(data, marker == 0xc2)?),
            // Lossless, hierarchical, arithmetic.
            0xc3 | 0xc5..=0xcb | 0xcd..=0xcf | 0xde | 0xdf => return Err(Damage::Kind),
            0xc4 => self.codes(data)?,
            0xdb => self.quantisation(data)?,
            0xdd => {
                let [high, low] = data else { return Err(Damage::Segment) };
                self.restart = u32::from(*high) << 8 | u32::from(*low);
            }
            0xe0 if data.starts_with(b"JFIF\0") && data.len() >= 14 => self.jfif = true,
            0xe2 => {
                if let Some([number, total, part @ ..]) = data.strip_prefix(b"ICC_PROFILE\0") {
                    self.profile.push((*number, *total, part.to_vec()));
                }
            }
            0xee if data.starts_with(b"Adobe") && data.len() >= 12 => self.adobe = Some(data[11]),
            _ => {}
        }
        Ok(())
    }

    /// Puts the typical codes where a scan needs some and none came.
    pub(super) fn complete(&mut self, scan: &ScanHead) {
        for (_, dc, ac) in &scan.components {
            if self.dc[*dc].is_none() {
                self.dc[*dc] = standard::dc(*dc);
            }
            if self.ac[*ac].is_none() {
                self.ac[*ac] = standard::ac(*ac);
            }
        }
    }

    fn codes(&mut self, mut data: &[u8]) -> Result<(), Damage> {
        while let Some((kind, rest)) = data.split_first() {
            let (counts, rest) = rest.split_first_chunk::<16>().ok_or(Damage::Segment)?;
            let symbols: usize = counts.iter().map(|count| usize::from(*count)).sum();
            let (symbols, rest) = rest.split_at_checked(symbols).ok_or(Damage::Segment)?;
            let tables = match kind >> 4 {
                0 => &mut self.dc,
                1 => &mut self.ac,
                _ => return Err(Damage::Table),
            };
            let table = tables.get_mut(usize::from(kind & 15)).ok_or(Damage::Table)?;
            *table = Some(Huffman::new(counts, symbols)?);
            data = rest;
        }
        Ok(())
    }

    fn quantisation(&mut self, mut data: &[u8]) -> Result<(), Damage> {
        while let Some((kind, rest)) = data.split_first() {
            let bytes = if kind >> 4 == 0 { 64 } else { 128 };
            let (steps, rest) = rest.split_at_checked(bytes).ok_or(Damage::Segment)?;
            let mut table = [0.0; 64];
            for (step, place) in steps.chunks_exact(bytes / 64).zip(ZIGZAG) {
                let step = step.iter().fold(0_u16, |step, byte| step << 8 | u16::from(*byte));
                table[usize::from(place)] = f32::from(step);
            }
            *self.steps.get_mut(usize::from(kind & 15)).ok_or(Damage::Table)? = Some(table);
            data = rest;
        }
        Ok(())
    }

    /// The colour profile, when all its parts came.
    pub(super) fn profile(&self) -> Option<Vec<u8>> {
        let mut parts: Vec<&(u8, u8, Vec<u8>)> = self.profile.iter().collect();
        parts.sort_by_key(|(number, ..)| *number);
        let numbered = (1_u8..).zip(&parts).all(|(number, part)| number == part.0);
        let whole = numbered && parts.iter().all(|(_, total, _)| usize::from(*total) == parts.len());
        (whole && !parts.is_empty())
            .then(|| parts.into_iter().flat_map(|(.., part)| part.iter().copied()).collect())
    }
}
