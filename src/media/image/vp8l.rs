//! Lossless data of a WebP (RFC 9649, 3): what a decoder sets up to read it, found without setting it up.
//!
//! Called by `webp`, for the price. The data describes codes, and each becomes a table, by which more data is read: a
//! picture of one pixel may ask for 65,536 groups of five. So they are read here as a decoder reads them, up to where the
//! pixels of the picture begin, and their tables are summed up and not made. True here: one group of codes is in memory at
//! a time and no pixel ever, since of the small pictures that come first (what predicts, which group is meant where)
//! nothing matters but where they end and the largest number in them; the time grows with the data alone. What cannot be
//! read is told by `None`: it is for the decoder to say what is wrong with it.

/// Codes in a group: green and lengths, red, blue, alpha, distances.
const CODES: usize = 5;
/// The symbols of each, without those of the cache of colours.
const ALPHABETS: [usize; CODES] = [256 + 24, 256, 256, 256, 40];
/// Up to this many bits a code is looked up at once: the decoder's table has a place for each.
const TABLE_BITS: u32 = 10;
/// The order in which the lengths of the code of lengths come.
const ORDER: [usize; 19] = [17, 18, 0, 1, 2, 3, 4, 5, 16, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];

/// The bytes that a group takes besides its tables: five codes of 56 bytes, in a list that doubles as it grows.
const GROUP: u64 = 3 * 5 * 56;
/// What an allocation takes besides.
const ALLOCATION: u64 = 16;
/// What the codes of one small picture and the lengths of a code take at most, while they are needed.
const PASSING: u64 = 256 << 10;

/// The bytes that reading `data` takes besides the pixels of the picture, of these sides: what transforms it, which codes
/// are meant where, and the tables of the codes. `data` begins behind the sides, with the transforms.
pub(super) fn set_up(data: &[u8], width: u32, height: u32) -> Option<u64> {
    let mut reader = Reader { bits: Bits { data, at: 0 }, taken: PASSING };
    let width = reader.transforms(width, height)?;
    let cache = reader.cache()?;
    let mut groups = 1;
    if reader.bits.flag()? {
        let block = reader.bits.take(3)? + 2;
        let (across, down) = (blocks(width, block), blocks(height, block));
        // Each pixel is a number of 16 bits besides.
        reader.taken += u64::from(across) * u64::from(down) * 6;
        groups = u64::from(reader.picture(across, down)?) + 1;
    }
    reader.taken += groups * GROUP;
    for _ in 0..groups {
        for alphabet in alphabets(cache) {
            reader.taken += Code::read(&mut reader.bits, alphabet)?.table;
        }
    }
    Some(reader.taken)
}

/// How many blocks of `2^bits` pixels cover a side.
fn blocks(side: u32, bits: u32) -> u32 {
    side.div_ceil(1 << bits)
}

fn alphabets(cache: usize) -> [usize; CODES] {
    let [green, others @ ..] = ALPHABETS;
    let [red, blue, alpha, distance] = others;
    [green + cache, red, blue, alpha, distance]
}

struct Reader<'a> {
    bits: Bits<'a>,
    /// Bytes so far.
    taken: u64,
}

impl Reader<'_> {
    /// Reads past the transforms; gives the width that the picture is coded with.
    fn transforms(&mut self, width: u32, height: u32) -> Option<u32> {
        let (mut width, mut seen) = (width, [false; 4]);
        while self.bits.flag()? {
            let kind = self.bits.take(2)?;
            if std::mem::replace(seen.get_mut(kind as usize)?, true) {
                return None;
            }
            match kind {
                // What predicts a block, and what its colours are turned by.
                0 | 1 => {
                    let block = self.bits.take(3)? + 2;
                    let (across, down) = (blocks(width, block), blocks(height, block));
                    self.taken += u64::from(across) * u64::from(down) * 4;
                    self.picture(across, down)?;
                }
                // Green is taken from the others.
                2 => {}
                // A palette: of few colours several share a pixel.
                _ => {
                    let colours = self.bits.take(8)? + 1;
                    self.picture(colours, 1)?;
                    let shared = if colours <= 2 {
                        3
                    } else if colours <= 4 {
                        2
                    } else {
                        u32::from(colours <= 16)
                    };
                    width = blocks(width, shared);
                }
            }
        }
        Some(width)
    }

    /// The colours that are remembered; 0 for none.
    fn cache(&mut self) -> Option<usize> {
        if !self.bits.flag()? {
            return Some(0);
        }
        let bits = self.bits.take(4)?;
        (1..=11).contains(&bits).then(|| 1 << bits)
    }

    /// Reads past a small picture; gives the largest number that red and green make in it. Pixels that are copied, or
    /// remembered, are those that were there before, or zero.
    fn picture(&mut self, width: u32, height: u32) -> Option<u32> {
        let cache = self.cache()?;
        let mut codes = Vec::with_capacity(CODES);
        for alphabet in alphabets(cache) {
            codes.push(Code::read(&mut self.bits, alphabet)?);
        }
        let [green, red, blue, alpha, distance] = codes.as_slice() else { return None };
        let mut left = u64::from(width) * u64::from(height);
        let mut largest = 0;
        while left > 0 {
            let before = self.bits.at;
            let symbol = green.symbol(&mut self.bits)?;
            let pixels = match symbol.checked_sub(256) {
                None => {
                    largest = largest.max(red.symbol(&mut self.bits)? << 8 | symbol);
                    blue.symbol(&mut self.bits)?;
                    alpha.symbol(&mut self.bits)?;
                    1
                }
                Some(length) if length < 24 => {
                    let length = self.length(length)?;
                    let distance = distance.symbol(&mut self.bits)?;
                    self.length(distance)?;
                    length
                }
                Some(_) => 1,
            };
            left = left.checked_sub(u64::from(pixels))?;
            if self.bits.at == before {
                // Every code has one symbol, which takes no bits: it goes on like this.
                break;
            }
        }
        Some(largest)
    }

    /// A length or a distance by its symbol.
    fn length(&mut self, symbol: u32) -> Option<u32> {
        if symbol < 4 {
            return Some(symbol + 1);
        }
        let more = (symbol - 2) >> 1;
        Some(((2 + (symbol & 1)) << more) + self.bits.take(more)? + 1)
    }
}

/// A prefix code, read bit by bit.
struct Code {
    /// How many symbols have a code of that many bits.
    counts: [u16; 16],
    /// By the length of their code, then by number; the only one of all takes no bits.
    symbols: Vec<u16>,
    /// The bytes that the decoder's table for it takes.
    table: u64,
}

impl Code {
    fn read(bits: &mut Bits<'_>, alphabet: usize) -> Option<Self> {
        if !bits.flag()? {
            let lengths = lengths(bits, alphabet)?;
            return Self::of(&lengths);
        }
        let two = bits.flag()?;
        let wide = bits.flag()?;
        let mut symbols = vec![u16::try_from(bits.take(if wide { 8 } else { 1 })?).ok()?];
        if two {
            symbols.push(u16::try_from(bits.take(8)?).ok()?);
        }
        if symbols.iter().any(|symbol| usize::from(*symbol) >= alphabet) {
            return None;
        }
        let mut counts = [0; 16];
        counts[1] = u16::from(two) * 2;
        let table = if two { 3 * 16 + 2 * 4 + 2 * ALLOCATION } else { 0 };
        Some(Self { counts, symbols, table })
    }

    /// The code whose symbols have codes of these lengths.
    fn of(lengths: &[u8]) -> Option<Self> {
        let mut counts = [0_u16; 16];
        for length in lengths.iter().filter(|length| **length > 0) {
            *counts.get_mut(usize::from(*length))? += 1;
        }
        let mut symbols = Vec::new();
        for length in 1..=15_u8 {
            let of_it = lengths.iter().enumerate().filter(|(_, other)| **other == length);
            symbols.extend(of_it.filter_map(|(symbol, _)| u16::try_from(symbol).ok()));
        }
        if symbols.len() == 1 {
            return Some(Self { counts: [0; 16], symbols, table: 0 });
        }
        // Every sequence of bits has to mean something.
        let used: u64 = (1..=15).map(|length| u64::from(counts[length]) << (15 - length)).sum();
        if used != 1 << 15 {
            return None;
        }
        let longest = (1..=15_u32).rev().find(|length| counts[*length as usize] > 0)?;
        let long: u64 = counts.iter().skip(TABLE_BITS as usize + 1).map(|count| u64::from(*count)).sum();
        // Behind the table stands a tree of 16 bytes a knot for the codes that are longer.
        let table = (4 << longest.min(TABLE_BITS)) + long * 2 * 16 + 2 * ALLOCATION;
        Some(Self { counts, symbols, table })
    }

    fn symbol(&self, bits: &mut Bits<'_>) -> Option<u32> {
        if let [only] = self.symbols.as_slice() {
            return Some(u32::from(*only));
        }
        // `code` is what was read, `first` the first code of its length, `at` the place of that one's symbol.
        let (mut code, mut first, mut at) = (0_u32, 0_u32, 0_usize);
        for count in &self.counts[1..] {
            code |= bits.take(1)?;
            let count = u32::from(*count);
            if code < first + count {
                return self.symbols.get(at + (code - first) as usize).copied().map(u32::from);
            }
            at += count as usize;
            first = (first + count) << 1;
            code <<= 1;
        }
        None
    }
}

/// The lengths of the codes of an alphabet, which are coded themselves.
fn lengths(bits: &mut Bits<'_>, alphabet: usize) -> Option<Vec<u8>> {
    let mut of_lengths = [0_u8; 19];
    let given = bits.take(4)? as usize + 4;
    for at in ORDER.iter().take(given) {
        of_lengths[*at] = u8::try_from(bits.take(3)?).ok()?;
    }
    let code = Code::of(&of_lengths)?;
    let mut symbols_left = alphabet;
    if bits.flag()? {
        let wide = 2 + 2 * bits.take(3)?;
        symbols_left = bits.take(wide)? as usize + 2;
        if symbols_left > alphabet {
            return None;
        }
    }
    let mut lengths = Vec::with_capacity(alphabet);
    let mut last = 8;
    while lengths.len() < alphabet && symbols_left > 0 {
        symbols_left -= 1;
        let (length, times) = match code.symbol(bits)? {
            16 => (last, bits.take(2)? + 3),
            17 => (0, bits.take(3)? + 3),
            18 => (0, bits.take(7)? + 11),
            length => (u8::try_from(length).ok()?, 1),
        };
        if length > 0 {
            last = length;
        }
        lengths.extend(std::iter::repeat_n(length, times as usize));
        if lengths.len() > alphabet {
            return None;
        }
    }
    lengths.resize(alphabet, 0);
    Some(lengths)
}

/// Bits, from the lowest of each byte up.
struct Bits<'a> {
    data: &'a [u8],
    /// The next one.
    at: usize,
}

impl Bits<'_> {
    fn flag(&mut self) -> Option<bool> {
        self.take(1).map(|bit| bit == 1)
    }

    /// The next bits, at most 24, as a number; `None` where there are not as many.
    fn take(&mut self, count: u32) -> Option<u32> {
        let (byte, shift) = (self.at / 8, self.at % 8);
        let end = self.at + count as usize;
        if end > self.data.len() * 8 {
            return None;
        }
        let mut window = [0; 4];
        let rest = self.data.get(byte..).unwrap_or_default();
        let there = rest.len().min(4);
        window[..there].copy_from_slice(&rest[..there]);
        self.at = end;
        Some((u32::from_le_bytes(window) >> shift) & ((1 << count) - 1))
    }
}
