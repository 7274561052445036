//! The bits of a scan, and the Huffman codes in them.

use super::Damage;

/// Codes of so many bits are found by one look into a table.
const LOOK: u32 = 10;

/// The bits between two markers. They are all there before a symbol is taken: what would need more is cut off.
pub(super) struct Bits<'a> {
    data: &'a [u8],
    /// Where the next byte is.
    at: usize,
    /// The bits that were read and not taken, from the top down; below them zeros.
    window: u64,
    /// How many those are.
    count: u32,
}

impl<'a> Bits<'a> {
    pub(super) fn new(data: &'a [u8], at: usize) -> Self {
        Self { data, at, window: 0, count: 0 }
    }

    /// Reads until there are more than 32 bits, or no more come.
    #[inline]
    pub(super) fn fill(&mut self) {
        if self.count > 32 {
            return;
        }
        if let Some(bytes) = self.data.get(self.at..).and_then(|rest| rest.first_chunk::<4>())
            && !bytes.contains(&0xff)
        {
            self.window |= u64::from(u32::from_be_bytes(*bytes)) << (32 - self.count);
            self.count += 32;
            self.at += 4;
        } else {
            self.fill_slowly();
        }
    }

    /// Byte by byte, since a byte of ones has another meaning unless a zero follows.
    #[cold]
    fn fill_slowly(&mut self) {
        while self.count <= 56 {
            let Some(byte) = self.data.get(self.at) else { return };
            if *byte == 0xff {
                // Fill bytes may stand before the zero as before a marker.
                let fill = self.data[self.at..].iter().position(|byte| *byte != 0xff);
                let Some(fill) = fill.filter(|fill| self.data[self.at + fill] == 0) else { return };
                self.at += fill;
            }
            self.at += 1;
            self.window |= u64::from(*byte) << (56 - self.count);
            self.count += 8;
        }
    }

    #[inline]
    fn look(&self, bits: u32) -> usize {
        (self.window >> (64 - bits)) as usize
    }

    #[inline]
    fn pass(&mut self, bits: u32) -> Result<(), Damage> {
        if bits > self.count {
            return Err(Damage::CutOff);
        }
        self.window <<= bits;
        self.count -= bits;
        Ok(())
    }

    /// The next bits, at most 16 of them, as a number. The caller has filled.
    #[inline]
    pub(super) fn take(&mut self, bits: u32) -> Result<u32, Damage> {
        if bits == 0 {
            return Ok(0);
        }
        let taken = self.look(bits) as u32;
        self.pass(bits)?;
        Ok(taken)
    }

    /// One bit.
    #[inline]
    pub(super) fn bit(&mut self) -> Result<bool, Damage> {
        self.fill();
        Ok(self.take(1)? == 1)
    }

    /// The value that so many bits stand for: those that begin with a zero are negative. The caller has filled.
    #[inline]
    pub(super) fn value(&mut self, bits: u32) -> Result<i32, Damage> {
        let taken = self.take(bits)? as i32;
        Ok(extend(taken, bits))
    }

    /// The next symbol. The caller has filled.
    #[inline]
    pub(super) fn symbol(&mut self, table: &Huffman) -> Result<u8, Damage> {
        let entry = table.short[self.look(LOOK)];
        if entry.length != 0 {
            self.pass(u32::from(entry.length))?;
            return Ok(entry.symbol);
        }
        self.long_symbol(table)
    }

    /// A code that is longer than the table's look.
    fn long_symbol(&mut self, table: &Huffman) -> Result<u8, Damage> {
        for length in LOOK + 1..=16 {
            let code = self.look(length) as i32;
            let (most, offset) = table.long[length as usize];
            if code <= most {
                self.pass(length)?;
                return table.symbols.get((code + offset) as usize).copied().ok_or(Damage::Code);
            }
        }
        Err(if self.count < 16 { Damage::CutOff } else { Damage::Code })
    }

    /// The next symbol of an AC table and the value after it, when both are found at one look.
    #[inline]
    pub(super) fn whole(&mut self, table: &Huffman) -> Result<Option<(u32, i16)>, Damage> {
        let entry = &table.whole[self.look(LOOK)];
        if entry.length == 0 {
            return Ok(None);
        }
        self.pass(u32::from(entry.length))?;
        Ok(Some((u32::from(entry.run), entry.value)))
    }

    /// Ends the run of bits: where the next marker is, or the end of the file. Fill bits and zeros may stand before it, and
    /// nothing else.
    pub(super) fn end(mut self) -> Result<usize, Damage> {
        self.fill_slowly();
        if self.count >= 8 && self.window << (self.count % 8) != 0 {
            return Err(Damage::LeftOver);
        }
        while let Some(byte) = self.data.get(self.at) {
            match (byte, self.data.get(self.at + 1)) {
                (0, _) => self.at += 1,
                (0xff, Some(0xff)) => self.at += 1,
                (0xff, Some(marker)) if *marker != 0 => return Ok(self.at),
                (0xff, None) => break,
                (0xff, Some(_)) | (_, _) => return Err(Damage::LeftOver),
            }
        }
        Ok(self.data.len())
    }
}

#[inline]
fn extend(taken: i32, bits: u32) -> i32 {
    if bits > 0 && taken < 1 << (bits - 1) { taken - (1 << bits) + 1 } else { taken }
}

/// A Huffman table.
#[derive(Clone)]
pub(super) struct Huffman {
    /// By the next bits: the symbol, when its code is not longer.
    short: Box<[Short; 1 << LOOK]>,
    /// Likewise: the run and the value of a symbol, when its value fits too.
    whole: Box<[Whole; 1 << LOOK]>,
    /// By length: the largest code, and what to add to one for the place of its symbol.
    long: [(i32, i32); 17],
    symbols: Vec<u8>,
}

#[derive(Clone, Copy, Default)]
struct Short {
    /// Bits of the code; 0 for none.
    length: u8,
    symbol: u8,
}

#[derive(Clone, Copy, Default)]
struct Whole {
    value: i16,
    /// Bits of code and value; 0 for none.
    length: u8,
    /// Zeros before the value.
    run: u8,
}

impl Huffman {
    /// The table with so many codes of each length, from 1, for these symbols.
    pub(super) fn new(counts: &[u8; 16], symbols: &[u8]) -> Result<Self, Damage> {
        let mut table = Self {
            short: Box::new([Short::default(); 1 << LOOK]),
            whole: Box::new([Whole::default(); 1 << LOOK]),
            long: [(-1, 0); 17],
            symbols: symbols.to_vec(),
        };
        let (mut code, mut place) = (0_u32, 0_usize);
        for (length, count) in (1_u32..).zip(counts) {
            let first = code;
            table.long[length as usize].1 = place as i32 - first as i32;
            for _ in 0..*count {
                let symbol = *symbols.get(place).ok_or(Damage::Table)?;
                if code >= 1 << length {
                    return Err(Damage::Table);
                }
                if length <= LOOK {
                    table.enter(code, length, symbol);
                }
                code += 1;
                place += 1;
            }
            if *count > 0 {
                table.long[length as usize].0 = code as i32 - 1;
            }
            code <<= 1;
        }
        Ok(table)
    }

    /// Enters a short code into the tables.
    fn enter(&mut self, code: u32, length: u32, symbol: u8) {
        let rest = LOOK - length;
        let (run, bits) = (symbol >> 4, u32::from(symbol & 15));
        for below in 0..1_u32 << rest {
            let at = ((code << rest) | below) as usize;
            self.short[at] = Short { length: length as u8, symbol };
            if bits > 0 && bits <= rest {
                let value = extend((below >> (rest - bits)) as i32, bits) as i16;
                self.whole[at] = Whole { value, length: (length + bits) as u8, run };
            }
        }
    }
}
