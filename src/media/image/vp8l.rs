//! Lossless data of a WebP (RFC 9649, 3): what a decoder sets up to read it, found without setting it up.
//!
//! Called by `webp`, for the price. The data describes codes, and each becomes a table, by which more data is read: a
//! picture of one pixel may ask for 65,536 groups of five. So they are read here as a decoder reads them, up to where the
//! pixels of the picture begin, and their tables are summed up and not made. True here: one group of codes is in memory at
//! a time and no pixel ever, since of the small pictures that come first (what predicts, which group is meant where)
//! nothing matters but where they end and the largest number in them; the time grows with the bits of the data alone, not
//! with the symbols that a few of them give codes to, and nobody reads on when it is too much already. What cannot be read
//! is told by `None`: it is for the decoder to say what is wrong with it.

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
/// are meant where, and the tables of the codes. `data` begins behind the sides, with the transforms. When it is more than
/// `most`, it may be more than is told.
pub(super) fn set_up(data: &[u8], width: u32, height: u32, most: u64) -> Option<u64> {
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
        if reader.taken > most {
            break;
        }
        for alphabet in alphabets(cache) {
            reader.taken += Described::read(&mut reader.bits, alphabet)?.table()?;
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
            codes.push(Described::read(&mut self.bits, alphabet)?.code()?);
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

/// A code as the data describes it.
enum Described {
    /// By its one or two symbols.
    Simple([u16; 2], usize),
    /// By the lengths of the codes of all symbols.
    Lengths(Lengths),
}

impl Described {
    fn read(bits: &mut Bits<'_>, alphabet: usize) -> Option<Self> {
        if !bits.flag()? {
            return Lengths::read(bits, alphabet).map(Self::Lengths);
        }
        let two = bits.flag()?;
        let wide = bits.flag()?;
        let mut symbols = [bits.take(if wide { 8 } else { 1 })?, 0];
        if two {
            symbols[1] = bits.take(8)?;
        }
        if symbols.iter().any(|symbol| *symbol as usize >= alphabet) {
            return None;
        }
        Some(Self::Simple(symbols.map(|symbol| symbol as u16), 1 + usize::from(two)))
    }

    /// The bytes that the decoder's table for it takes; `None` for what is no code.
    fn table(&self) -> Option<u64> {
        match self {
            Self::Simple(_, 1) => Some(0),
            Self::Simple(..) => Some(3 * 16 + 2 * 4 + 2 * ALLOCATION),
            Self::Lengths(lengths) => lengths.table(),
        }
    }

    fn code(&self) -> Option<Code> {
        match self {
            Self::Simple(symbols, count) => {
                let mut counts = [0; 16];
                counts[1] = *count as u16;
                Some(Code { counts, symbols: symbols[..*count].to_vec() })
            }
            Self::Lengths(lengths) => lengths.code(),
        }
    }
}

/// How long the codes of the symbols of an alphabet are.
#[derive(Default)]
struct Lengths {
    /// How many symbols have a code of that many bits.
    counts: [u16; 16],
    /// Those that have a code, by number.
    runs: Vec<Run>,
    /// How many symbols were told of, those included that have none.
    symbols: usize,
}

/// Symbols side by side whose codes are of one length: a few bits may describe a whole alphabet.
struct Run {
    length: u8,
    first: u16,
    count: u16,
}

impl Lengths {
    /// The lengths, which are coded themselves.
    fn read(bits: &mut Bits<'_>, alphabet: usize) -> Option<Self> {
        let mut of_lengths = [0_u8; 19];
        let given = bits.take(4)? as usize + 4;
        for at in ORDER.iter().take(given) {
            of_lengths[*at] = u8::try_from(bits.take(3)?).ok()?;
        }
        let mut lengths = Self::default();
        for length in of_lengths {
            lengths.push(length, 1)?;
        }
        let code = lengths.code()?;
        let mut left = alphabet;
        if bits.flag()? {
            let wide = 2 + 2 * bits.take(3)?;
            left = bits.take(wide)? as usize + 2;
            if left > alphabet {
                return None;
            }
        }
        let (mut lengths, mut last) = (Self::default(), 8);
        while lengths.symbols < alphabet && left > 0 {
            let before = bits.at;
            left -= 1;
            let (length, mut times) = match code.symbol(bits)? {
                16 => (last, bits.take(2)? as usize + 3),
                17 => (0, bits.take(3)? as usize + 3),
                18 => (0, bits.take(7)? as usize + 11),
                length => (u8::try_from(length).ok()?, 1),
            };
            if bits.at == before {
                // The only length there is takes no bits: it goes on like this.
                times += left.min(alphabet - lengths.symbols - 1);
                left = 0;
            }
            if length > 0 {
                last = length;
            }
            lengths.push(length, times)?;
            if lengths.symbols > alphabet {
                return None;
            }
        }
        Some(lengths)
    }

    /// The next symbols have codes of this length.
    fn push(&mut self, length: u8, times: usize) -> Option<()> {
        let (first, count) = (u16::try_from(self.symbols).ok()?, u16::try_from(times).ok()?);
        self.symbols += times;
        if length > 0 {
            *self.counts.get_mut(usize::from(length))? += count;
            self.runs.push(Run { length, first, count });
        }
        Some(())
    }

    /// How many symbols have a code.
    fn coded(&self) -> usize {
        self.counts.iter().map(|count| usize::from(*count)).sum()
    }

    fn table(&self) -> Option<u64> {
        if self.coded() == 1 {
            return Some(0);
        }
        // Every sequence of bits has to mean something.
        let used: u64 = (1..=15).map(|length| u64::from(self.counts[length]) << (15 - length)).sum();
        if used != 1 << 15 {
            return None;
        }
        let longest = (1..=15_u32).rev().find(|length| self.counts[*length as usize] > 0)?;
        let long: u64 = self.counts.iter().skip(TABLE_BITS as usize + 1).map(|count| u64::from(*count)).sum();
        // Behind the table stands a tree of 16 bytes a knot for the codes that are longer.
        Some((4 << longest.min(TABLE_BITS)) + long * 2 * 16 + 2 * ALLOCATION)
    }

    fn code(&self) -> Option<Code> {
        self.table()?;
        let mut symbols = vec![0; self.coded()];
        // Where the next symbol of each length belongs.
        let mut places = [0; 16];
        for length in 1..16 {
            places[length] = places[length - 1] + usize::from(self.counts[length - 1]);
        }
        for Run { length, first, count } in &self.runs {
            let place = &mut places[usize::from(*length)];
            let end = *place + usize::from(*count);
            for (symbol, number) in symbols[*place..end].iter_mut().zip(*first..) {
                *symbol = number;
            }
            *place = end;
        }
        Some(Code { counts: self.counts, symbols })
    }
}

/// A prefix code, read bit by bit.
struct Code {
    /// How many symbols have a code of that many bits.
    counts: [u16; 16],
    /// By the length of their code, then by number; the only one of all takes no bits.
    symbols: Vec<u16>,
}

impl Code {
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
        let rest = self.data.get(byte..).unwrap_or_default();
        let window = rest
            .first_chunk()
            .copied()
            .unwrap_or_else(|| std::array::from_fn(|at| rest.get(at).copied().unwrap_or_default()));
        self.at = end;
        Some((u32::from_le_bytes(window) >> shift) & ((1 << count) - 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bits in the order in which they are read.
    fn packed(numbers: &[(u32, usize)]) -> Vec<u8> {
        let bits: Vec<u32> = numbers
            .iter()
            .flat_map(|(number, count)| (0..*count).map(move |bit| number >> bit & 1))
            .collect();
        bits.chunks(8).map(|byte| byte.iter().rev().fold(0, |sum, bit| sum << 1 | *bit as u8)).collect()
    }

    /// The lengths of 256 symbols are eight: that length is the only one that has a code.
    fn all_eight() -> Vec<(u32, usize)> {
        let lengths = ORDER.iter().take(12).map(|of| (u32::from(*of == 8), 3));
        [(0, 1), (8, 4)].into_iter().chain(lengths).chain([(1, 1), (3, 3), (254, 8)]).collect()
    }

    #[test]
    fn few_bits_that_describe_many_codes_are_little_work() {
        let data = packed(&all_eight());
        let mut bits = Bits { data: &data, at: 0 };
        let Some(Described::Lengths(lengths)) = Described::read(&mut bits, 256) else { panic!("no lengths") };
        assert_eq!((lengths.symbols, lengths.counts[8], lengths.runs.len()), (256, 256, 1));
        let code = lengths.code().unwrap();
        assert!(code.symbols.iter().copied().eq(0..256));
    }

    #[test]
    fn symbols_are_sorted_by_the_length_of_their_codes() {
        let mut lengths = Lengths::default();
        for (length, times) in [(3, 2), (0, 5), (2, 1), (3, 2), (4, 3), (0, 100), (4, 1)] {
            lengths.push(length, times).unwrap();
        }
        let code = lengths.code().unwrap();
        assert_eq!(code.symbols, [7, 0, 1, 8, 9, 10, 11, 12, 113]);
        // The codes of three bits begin behind the one of two, 00, with 010; they are told from the highest bit down.
        let data = packed(&[(0, 1), (1, 1), (0, 1)]);
        assert_eq!(code.symbol(&mut Bits { data: &data, at: 0 }), Some(0));
        lengths.push(4, 1).unwrap();
        assert!(lengths.code().is_none(), "there are more codes than four bits can tell apart");
    }

    #[test]
    fn nobody_reads_on_when_it_is_too_much_already() {
        // No transforms and no cache; the number of the last group, in a picture of one pixel, says how many there are.
        let only = |symbol: u32| [(1, 1), (0, 1), (1, 1), (symbol, 8)];
        let mut numbers = vec![(0, 1), (0, 1), (1, 1), (7, 3), (0, 1)];
        for symbol in [0xff, 0xff, 0, 0, 0] {
            numbers.extend(only(symbol));
        }
        for _ in 0..20 {
            // The fifth, of distances, has fewer symbols.
            (0..4).for_each(|_| numbers.extend(all_eight()));
            numbers.extend(only(0));
        }
        let data = packed(&numbers);
        let groups = 65_536 * GROUP;
        // It is cut off: who reads on does not come to an end.
        assert_eq!(set_up(&data, 1, 1, u64::MAX), None);
        assert!(set_up(&data, 1, 1, groups - 1).is_some_and(|taken| taken > groups));
        let tables = (10 * 4) << 10;
        assert!(set_up(&data, 1, 1, groups + PASSING + tables).is_some_and(|taken| taken > groups + tables));
    }
}
