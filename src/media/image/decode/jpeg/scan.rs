//! The blocks of a scan.

use super::Damage;
use super::bits::{Bits, Huffman};
use super::head::{Head, ScanHead, ZIGZAG};
use super::idct::Filled;

/// A block that came whole, in rows of eight.
pub(super) struct Block {
    pub(super) values: [i16; 64],
    pub(super) filled: Filled,
}

/// The state of decoding within a scan.
pub(super) struct Scan<'a> {
    bits: Bits<'a>,
    data: &'a [u8],
    head: &'a Head,
    pub(super) scan: ScanHead,
    /// The last DC of each component of the frame.
    dc: [i32; 4],
    /// Blocks that are still empty, of a progressive scan.
    empty: u32,
    /// Groups until the next restart.
    until_restart: u32,
    restarts: u8,
}

impl<'a> Scan<'a> {
    /// A scan whose bits begin at `at`.
    pub(super) fn new(data: &'a [u8], at: usize, head: &'a Head, scan: ScanHead) -> Self {
        let until_restart = head.restart;
        Self { bits: Bits::new(data, at), data, head, scan, dc: [0; 4], empty: 0, until_restart, restarts: 0 }
    }

    /// Called before each group of blocks: passes a restart where one is due.
    pub(super) fn group(&mut self) -> Result<(), Damage> {
        if self.head.restart == 0 {
            return Ok(());
        }
        if self.until_restart == 0 {
            let at = std::mem::replace(&mut self.bits, Bits::new(&[], 0)).end()?;
            match self.data.get(at + 1) {
                None => return Err(Damage::CutOff),
                Some(marker) if *marker == 0xd0 + self.restarts => {}
                Some(_) => return Err(Damage::Restart),
            }
            self.bits = Bits::new(self.data, at + 2);
            self.restarts = (self.restarts + 1) & 7;
            self.dc = [0; 4];
            self.empty = 0;
            self.until_restart = self.head.restart;
        }
        self.until_restart -= 1;
        Ok(())
    }

    /// Where the marker after the scan is. A restart that nothing follows is passed over.
    pub(super) fn end(self) -> Result<usize, Damage> {
        let at = self.bits.end()?;
        let idle = matches!(self.data.get(at + 1), Some(0xd0..=0xd7));
        if idle { Bits::new(self.data, at + 2).end() } else { Ok(at) }
    }

    /// A whole block of a sequential picture.
    #[inline]
    pub(super) fn whole(
        &mut self,
        (component, dc, ac): (usize, usize, usize),
        block: &mut Block,
    ) -> Result<(), Damage> {
        let (dc, ac) = (table(&self.head.dc, dc)?, table(&self.head.ac, ac)?);
        block.values.fill(0);
        block.filled = Filled { rows: 1, columns: 1 };
        block.values[0] = self.difference(component, dc)? as i16;
        let mut at = 1;
        while at < 64 {
            self.bits.fill();
            let value = match self.bits.whole(ac)? {
                Some((run, value)) => {
                    at += run as usize;
                    value
                }
                None => {
                    let symbol = self.bits.symbol(ac)?;
                    let (run, size) = (usize::from(symbol >> 4), u32::from(symbol & 15));
                    if size == 0 {
                        if run < 15 {
                            break;
                        }
                        at += 16;
                        continue;
                    }
                    at += run;
                    self.bits.value(size)? as i16
                }
            };
            let place = *ZIGZAG.get(at).ok_or(Damage::Run)?;
            block.values[usize::from(place)] = value;
            block.filled.at(place);
            at += 1;
        }
        if at > 64 { Err(Damage::Run) } else { Ok(()) }
    }

    /// A DC, by its difference from the last one.
    #[inline]
    fn difference(&mut self, component: usize, table: &Huffman) -> Result<i32, Damage> {
        self.bits.fill();
        let size = u32::from(self.bits.symbol(table)?);
        if size > 15 {
            return Err(Damage::Code);
        }
        let dc = &mut self.dc[component];
        *dc = dc.wrapping_add(self.bits.value(size)?);
        Ok(*dc)
    }

    /// A part of a block of a progressive picture.
    pub(super) fn part(
        &mut self,
        (component, dc, ac): (usize, usize, usize),
        block: &mut Kept<'_>,
    ) -> Result<(), Damage> {
        match (self.scan.from, self.scan.high) {
            (0, 0) => {
                let value = self.difference(component, table(&self.head.dc, dc)?)? << self.scan.low;
                block.set(0, value as i16);
                Ok(())
            }
            (0, _) => {
                if self.bits.bit()? {
                    block.add(0, 1 << self.scan.low);
                }
                Ok(())
            }
            (_, 0) => self.first(table(&self.head.ac, ac)?, block),
            (_, _) => self.refine(table(&self.head.ac, ac)?, block),
        }
    }

    /// The first bits of a band of coefficients.
    fn first(&mut self, ac: &Huffman, block: &mut Kept<'_>) -> Result<(), Damage> {
        if self.empty > 0 {
            self.empty -= 1;
            return Ok(());
        }
        let mut at = self.scan.from;
        while at <= self.scan.to {
            self.bits.fill();
            let symbol = self.bits.symbol(ac)?;
            let (run, size) = (usize::from(symbol >> 4), u32::from(symbol & 15));
            if size == 0 {
                if run < 15 {
                    // This block and so many after it have no more.
                    self.empty = (1 << run) - 1 + self.bits.take(run as u32)?;
                    return Ok(());
                }
                at += 16;
                continue;
            }
            at += run;
            let value = self.bits.value(size)? << self.scan.low;
            if at > self.scan.to {
                return Err(Damage::Run);
            }
            block.set(at, value as i16);
            at += 1;
        }
        Ok(())
    }

    /// Another bit of a band of coefficients: one for each that is not zero already, and some that were zero so far.
    fn refine(&mut self, ac: &Huffman, block: &mut Kept<'_>) -> Result<(), Damage> {
        let bit = 1_i16 << self.scan.low;
        let mut at = self.scan.from;
        if self.empty == 0 {
            while at <= self.scan.to {
                self.bits.fill();
                let symbol = self.bits.symbol(ac)?;
                let (mut run, size) = (symbol >> 4, symbol & 15);
                let new = match (run, size) {
                    (15, 0) => None,
                    (run, 0) => {
                        self.empty = (1 << run) + self.bits.take(u32::from(run))?;
                        break;
                    }
                    (_, 1) => Some(if self.bits.take(1)? == 1 { bit } else { -bit }),
                    (_, _) => return Err(Damage::Code),
                };
                // The zeros of the run are counted; what lies between them gets its bit.
                while at <= self.scan.to {
                    if block.has(at) {
                        self.correct(at, bit, block)?;
                    } else if run == 0 {
                        if let Some(new) = new {
                            block.set(at, new);
                        }
                        at += 1;
                        break;
                    } else {
                        run -= 1;
                    }
                    at += 1;
                }
            }
        }
        if self.empty > 0 {
            for at in at..=self.scan.to {
                if block.has(at) {
                    self.correct(at, bit, block)?;
                }
            }
            self.empty -= 1;
        }
        Ok(())
    }

    fn correct(&mut self, at: usize, bit: i16, block: &mut Kept<'_>) -> Result<(), Damage> {
        if self.bits.bit()? {
            block.add(at, bit);
        }
        Ok(())
    }
}

/// What is kept of a block between scans: the coefficients that will be shown, and of all of them whether they are zero.
pub(super) struct Kept<'a> {
    /// `size` by `size`, in rows.
    pub(super) values: &'a mut [i16],
    /// A bit for each, in the order they come in.
    pub(super) filled: &'a mut u64,
    pub(super) size: usize,
}

impl Kept<'_> {
    fn place(&self, at: usize) -> Option<usize> {
        let place = usize::from(ZIGZAG[at]);
        let (row, column) = (place >> 3, place & 7);
        (row < self.size && column < self.size).then_some(row * self.size + column)
    }

    fn has(&self, at: usize) -> bool {
        *self.filled >> at & 1 == 1
    }

    fn set(&mut self, at: usize, value: i16) {
        *self.filled |= 1 << at;
        if let Some(place) = self.place(at) {
            self.values[place] = value;
        }
    }

    /// Adds a bit, away from zero.
    fn add(&mut self, at: usize, bit: i16) {
        if let Some(place) = self.place(at) {
            let value = &mut self.values[place];
            // A DC is refined as it is written, whatever its sign.
            *value = if at == 0 { *value | bit } else { value.wrapping_add(value.signum() * bit) };
        }
    }
}

fn table(tables: &[Option<Huffman>; 4], number: usize) -> Result<&Huffman, Damage> {
    tables.get(number).and_then(Option::as_ref).ok_or(Damage::Table)
}
