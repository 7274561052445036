//! JPEG: sequential and progressive, with Huffman codes and eight bits a sample, which is what there is.
//!
//! A decoder of our own, for three things that others do not have together (`docs/adr/0010-our-own-jpeg-decoder.md`). It is
//! strict: what ends early, has bits left over where none belong, or lacks a scan, is damaged; only the marker at its very
//! end may be missing. It shrinks while it decodes, by a half, a quarter or an eighth, and then does not compute what would
//! not be seen. And it holds little: of a picture that comes in one scan a row of blocks, of one that comes in several the
//! coefficients that are shown.
//!
//! `head` reads what stands between scans, `bits` and `scan` the coefficients, `idct` makes samples of them, `show` rows of
//! pixels; `kept` holds coefficients between scans; `standard` has the codes of pictures that bring none.

mod bits;
mod head;
mod idct;
mod kept;
mod scan;
mod show;
mod standard;

use self::head::{Frame, Head, ScanHead};
use self::idct::{Basis, Filled};
use self::kept::Store;
use self::scan::{Block, Scan};
use self::show::Show;
use super::super::brought::Brought;
use super::super::pixels::{Rows, Watch};
use super::{Header, ImageError, agree};

/// More scans than any encoder writes; each of them may take as long as the whole picture.
const SCANS: u32 = 100;

/// What is wrong with a JPEG.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
enum Damage {
    #[error("it ends before the picture does")]
    CutOff,
    #[error("a code in it is none of its tables")]
    Code,
    #[error("a block has more coefficients than there are")]
    Run,
    #[error("something is left over where the picture ends")]
    LeftOver,
    #[error("a restart marker is missing or out of turn")]
    Restart,
    #[error("a table is missing or makes no sense")]
    Table,
    #[error("a segment is shorter than it must be")]
    Segment,
    #[error("its frame header makes no sense")]
    Frame,
    #[error("a scan header makes no sense")]
    Scan,
    #[error("it has no picture, or not all of it")]
    Missing,
    #[error("it is of a rare kind: arithmetic, lossless or hierarchical")]
    Kind,
    #[error("it has more than {SCANS} scans")]
    Scans,
}

impl From<Damage> for ImageError {
    fn from(damage: Damage) -> Self {
        super::damaged("JPEG", damage)
    }
}

pub(super) fn decode(
    bytes: &[u8],
    header: &Header,
    reduce: u32,
    rows: &mut dyn Rows,
    watch: &mut Watch<'_>,
) -> Result<(), ImageError> {
    let mut decoder = Decoder {
        bytes,
        at: 2,
        head: Head::default(),
        reduced: 1 << reduce.clamp(1, 8).ilog2(),
        basis: Basis::new(),
        scans: 0,
        brought: Brought::default(),
    };
    let Some(first) = decoder.next_scan()? else { return Err(Damage::Missing.into()) };
    let frame = decoder.head.frame.clone().ok_or(Damage::Frame)?;
    agree(header, frame.width, frame.height)?;
    let all_at_once = !frame.progressive && first.components.len() == frame.components.len();
    if all_at_once {
        decoder.at_once(&frame, first, rows, watch)?;
        // Nothing but the end may follow.
        return match decoder.next_scan()? {
            Some(_) => Err(Damage::Scan.into()),
            None => Ok(()),
        };
    }
    decoder.by_and_by(&frame, first, rows, watch)
}

struct Decoder<'a> {
    bytes: &'a [u8],
    /// Where the next marker is.
    at: usize,
    head: Head,
    /// By how much the picture is shrunk: 1, 2, 4 or 8.
    reduced: u32,
    basis: Basis,
    scans: u32,
    brought: Brought,
}

impl Decoder<'_> {
    /// Reads up to the data of the next scan; `None` at the end of the picture.
    fn next_scan(&mut self) -> Result<Option<ScanHead>, Damage> {
        loop {
            let Some(marker) = self.marker() else { return self.end_unsaid() };
            if marker == 0xd9 {
                return Ok(None);
            }
            let length =
                self.bytes.get(self.at..).and_then(|rest| rest.first_chunk::<2>()).ok_or(Damage::CutOff)?;
            let length = usize::from(u16::from_be_bytes(*length));
            let data = self.bytes.get(self.at + 2..self.at + length).ok_or(Damage::CutOff)?;
            self.at += length;
            if marker == 0xda {
                return self.scan(data).map(Some);
            }
            // What programs left for the colours has its meaning before the picture only.
            if self.scans == 0 || !(0xe0..=0xef).contains(&marker) {
                self.head.segment(marker, data)?;
            }
        }
    }

    /// Reads the header of a scan.
    fn scan(&mut self, data: &[u8]) -> Result<ScanHead, Damage> {
        self.scans += 1;
        if self.scans > SCANS {
            return Err(Damage::Scans);
        }
        let frame = self.head.frame.as_ref().ok_or(Damage::Frame)?;
        let scan = ScanHead::read(data, frame)?;
        let in_turn = scan.bring(frame, &mut self.brought);
        if !frame.progressive {
            self.head.complete(&scan);
        }
        if in_turn { Ok(scan) } else { Err(Damage::Scan) }
    }

    /// The file ends without saying so: no harm once everything came.
    fn end_unsaid(&self) -> Result<Option<ScanHead>, Damage> {
        let components = self.head.frame.as_ref().map(|frame| frame.components.len());
        let whole = components.is_some_and(|components| self.brought.is_whole(components));
        if whole { Ok(None) } else { Err(Damage::CutOff) }
    }

    /// Moves behind the next marker, past fill bytes and whatever is none, as the gate does; `None` when there is none.
    fn marker(&mut self) -> Option<u8> {
        loop {
            let rest = self.bytes.get(self.at..)?;
            let to_ff = rest.iter().position(|byte| *byte == 0xff)?;
            let marker = to_ff + rest[to_ff..].iter().position(|byte| *byte != 0xff)?;
            self.at += marker + 1;
            if !matches!(rest[marker], 0x00 | 0x01 | 0xd0..=0xd7) {
                return Some(rest[marker]);
            }
        }
    }

    /// A picture whose only scan has everything: a row of groups at a time.
    fn at_once(
        &mut self,
        frame: &Frame,
        head: ScanHead,
        rows: &mut dyn Rows,
        watch: &mut Watch<'_>,
    ) -> Result<(), ImageError> {
        let mut show = Show::new(frame, &self.head, self.reduced, rows);
        let mut steps = Vec::with_capacity(4);
        for (place, ..) in &head.components {
            steps.push(self.head.steps[frame.components[*place].table].ok_or(Damage::Table)?);
        }
        let mut scan = Scan::new(self.bytes, self.at, &self.head, head.clone());
        let mut block = Block { values: [0; 64], filled: Filled::default() };
        // A component that comes alone comes without the blocks that would fill up a group.
        let alone = head.components.len() == 1;
        let (wide, high) = if alone { frame.blocks(&frame.components[0]) } else { frame.groups() };
        let down = if alone { frame.components[0].down } else { 1 };
        for row in 0..high {
            for column in 0..wide as usize {
                scan.group()?;
                for (listed, steps) in head.components.iter().zip(&steps) {
                    let component = &frame.components[listed.0];
                    let strip = &mut show.strips[listed.0];
                    let (across, lines) =
                        if alone { (1, 1) } else { (component.across as usize, component.down as usize) };
                    let first = if alone { (row % down) as usize } else { 0 };
                    for y in first..first + lines {
                        for x in column * across..(column + 1) * across {
                            scan.whole(*listed, &mut block)?;
                            let at = (y * strip.stride + x) * strip.size;
                            let (size, stride) = (strip.size, strip.stride);
                            let samples = &mut strip.samples[at..];
                            self.basis.show(size, &block.values, steps, block.filled, samples, stride);
                        }
                    }
                }
            }
            if (row + 1) % down == 0 || row + 1 == high {
                show.strips(rows, watch)?;
            }
        }
        self.at = scan.end()?;
        Ok(())
    }

    /// A picture that comes in several scans: all of them first.
    fn by_and_by(
        &mut self,
        frame: &Frame,
        first: ScanHead,
        rows: &mut dyn Rows,
        watch: &mut Watch<'_>,
    ) -> Result<(), ImageError> {
        let mut store = Store::new(frame, self.reduced);
        let mut next = Some(first);
        while let Some(head) = next {
            let mut scan = Scan::new(self.bytes, self.at, &self.head, head.clone());
            store.latch(frame, &self.head, &scan)?;
            scan_into(&mut store, frame, &mut scan, &head, watch)?;
            self.at = scan.end()?;
            next = self.next_scan()?;
        }
        if !store.is_complete() {
            return Err(Damage::Missing.into());
        }
        let mut show = Show::new(frame, &self.head, self.reduced, rows);
        for row in 0..frame.groups().1 {
            store.show(frame, row as usize, &self.basis, &mut show);
            show.strips(rows, watch)?;
        }
        Ok(())
    }
}

/// Decodes the blocks of a scan into the store.
fn scan_into(
    store: &mut Store,
    frame: &Frame,
    scan: &mut Scan<'_>,
    head: &ScanHead,
    watch: &Watch<'_>,
) -> Result<(), ImageError> {
    let mut block = Block { values: [0; 64], filled: Filled::default() };
    let alone = head.components.len() == 1;
    let (wide, high) =
        if alone { frame.blocks(&frame.components[head.components[0].0]) } else { frame.groups() };
    for row in 0..high as usize {
        watch.go_on()?;
        for column in 0..wide as usize {
            scan.group()?;
            for listed in &head.components {
                let component = &frame.components[listed.0];
                let (across, down) =
                    if alone { (1, 1) } else { (component.across as usize, component.down as usize) };
                for y in row * down..(row + 1) * down {
                    for x in column * across..(column + 1) * across {
                        store.block(scan, *listed, x, y, &mut block)?;
                    }
                }
            }
        }
    }
    Ok(())
}
