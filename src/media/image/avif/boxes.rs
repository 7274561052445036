//! Boxes within boxes (ISO/IEC 14496-12), and numbers in them: what every reader of the file shares.
//!
//! What is true: nothing is read past the end of what it lies in, and a box that says it is longer than that is cut off.

use super::{Trouble, cut_off, damaged};

/// The name of a kind of box, item, property or reference.
pub(super) type Kind = [u8; 4];

/// A box.
#[derive(Debug, Clone, Copy)]
pub(super) struct Box4<'a> {
    pub(super) kind: Kind,
    /// What is in it, its own head left out.
    pub(super) data: &'a [u8],
    /// Where in the bytes that were walked the data begins.
    pub(super) start: usize,
}

impl<'a> Box4<'a> {
    /// The version, the flags, and what follows them.
    pub(super) fn full(&self) -> Result<(u8, u32, Numbers<'a>), Trouble> {
        let mut numbers = Numbers::of(self.data, self.kind);
        let word = numbers.u32()?;
        Ok(((word >> 24) as u8, word & 0x00ff_ffff, numbers))
    }
}

/// Walks the boxes in some bytes.
pub(super) struct Boxes<'a> {
    bytes: &'a [u8],
    at: usize,
    /// Whether a box may go on to the end of the file without telling its length.
    open: bool,
}

impl<'a> Boxes<'a> {
    /// Those of a file.
    pub(super) fn of_file(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0, open: true }
    }

    /// Those within a box.
    pub(super) fn within(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0, open: false }
    }

    /// Where the next one begins.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// The kind of the next one, without looking whether it is whole.
    pub(super) fn peek(&self) -> Option<Kind> {
        self.bytes.get(self.at + 4..)?.first_chunk().copied()
    }

    /// The next one; `None` behind the last.
    pub(super) fn next_box(&mut self) -> Result<Option<Box4<'a>>, Trouble> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        if rest.is_empty() {
            return Ok(None);
        }
        let (Some(length), Some(kind)) = (word(rest, 0), self.peek()) else {
            return Err(cut_off("the head of a box"));
        };
        let (head, length) = match length {
            0 if self.open => (8, rest.len()),
            1 => {
                let (Some(high), Some(low)) = (word(rest, 8), word(rest, 12)) else {
                    return Err(cut_off("the head of a box"));
                };
                (16, usize::try_from(u64::from(high) << 32 | u64::from(low)).unwrap_or(usize::MAX))
            }
            length => (8, length as usize),
        };
        if length < head {
            return Err(damaged(format!("its box {} says that it is shorter than its head", named(kind))));
        }
        let data = rest.get(head..length).ok_or_else(|| cut_off(&format!("its box {}", named(kind))))?;
        let start = self.at + head;
        self.at += length;
        Ok(Some(Box4 { kind, data, start }))
    }
}

/// A kind as it can be shown.
pub(super) fn named(kind: Kind) -> String {
    kind.escape_ascii().to_string()
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|word| u32::from_be_bytes(*word))
}

/// Numbers, one after the other, the most significant byte first.
#[derive(Debug, Clone)]
pub(super) struct Numbers<'a> {
    rest: &'a [u8],
    within: Kind,
}

impl<'a> Numbers<'a> {
    /// Those in the bytes, which are of that box.
    pub(super) fn of(bytes: &'a [u8], within: Kind) -> Self {
        Self { rest: bytes, within }
    }

    /// What was not read yet.
    pub(super) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// A number of so many bytes: 0 (which is 0) to 8.
    pub(super) fn sized(&mut self, bytes: usize) -> Result<u64, Trouble> {
        let (taken, rest) = self
            .rest
            .split_at_checked(bytes)
            .ok_or_else(|| cut_off(&format!("its box {}", named(self.within))))?;
        self.rest = rest;
        Ok(taken.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }

    pub(super) fn u8(&mut self) -> Result<u8, Trouble> {
        self.sized(1).map(|number| number as u8)
    }

    pub(super) fn u16(&mut self) -> Result<u16, Trouble> {
        self.sized(2).map(|number| number as u16)
    }

    pub(super) fn u32(&mut self) -> Result<u32, Trouble> {
        self.sized(4).map(|number| number as u32)
    }

    /// A number of four bytes, or of two.
    pub(super) fn wide(&mut self, wide: bool) -> Result<u32, Trouble> {
        self.sized(if wide { 4 } else { 2 }).map(|number| number as u32)
    }

    pub(super) fn kind(&mut self) -> Result<Kind, Trouble> {
        self.u32().map(u32::to_be_bytes)
    }

    /// A text, which ends with a zero.
    pub(super) fn text(&mut self) -> Result<&'a [u8], Trouble> {
        let end = self.rest.iter().position(|byte| *byte == 0);
        let end = end.ok_or_else(|| cut_off(&format!("its box {}", named(self.within))))?;
        let text = &self.rest[..end];
        self.rest = &self.rest[end + 1..];
        Ok(text)
    }
}
