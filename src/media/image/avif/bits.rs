//! Numbers of AV1's headers, bit by bit (AV1 Bitstream Specification 1.0.0, §4.10).
//!
//! What is true: what asks for more bits than there are is cut off.

use super::{Trouble, cut_off, damaged};

/// Bits, the most significant first.
pub(super) struct Bits<'a> {
    data: &'a [u8],
    at: usize,
}

impl<'a> Bits<'a> {
    pub(super) fn of(data: &'a [u8]) -> Self {
        Self { data, at: 0 }
    }

    pub(super) fn flag(&mut self) -> Result<bool, Trouble> {
        Ok(self.take(1)? == 1)
    }

    /// A number of so many bits: 0 to 32.
    pub(super) fn take(&mut self, count: u32) -> Result<u32, Trouble> {
        let mut number = 0_u64;
        for _ in 0..count {
            let byte = *self.data.get(self.at / 8).ok_or_else(|| cut_off("the headers of its AV1 data"))?;
            number = number << 1 | u64::from(byte >> (7 - self.at % 8) & 1);
            self.at += 1;
        }
        Ok(number as u32)
    }

    /// A number that says itself how long it is (uvlc).
    pub(super) fn variable(&mut self) -> Result<(), Trouble> {
        let mut zeros = 0;
        while !self.flag()? {
            zeros += 1;
        }
        if zeros < 32 {
            self.take(zeros)?;
        }
        Ok(())
    }

    /// One more for each bit that is set, from the least to the most.
    pub(super) fn raise(&mut self, least: u32, most: u32) -> Result<u32, Trouble> {
        let mut number = least;
        while number < most && self.flag()? {
            number += 1;
        }
        Ok(number)
    }

    /// Parts of a side, each with its length: how many, and the longest.
    pub(super) fn parts(&mut self, side: u32, longest: u32) -> Result<(u32, u32), Trouble> {
        let (mut done, mut count, mut most) = (0, 0, 0);
        while done < side {
            let part = self.below(longest.min(side - done))? + 1;
            most = most.max(part);
            done += part;
            count += 1;
            if count > 64 {
                return Err(damaged("its AV1 data has more than 64 tiles in a row"));
            }
        }
        Ok((count, most))
    }

    /// A number below `bound`, in as few bits as it takes.
    pub(super) fn below(&mut self, bound: u32) -> Result<u32, Trouble> {
        let width = bound.checked_ilog2().unwrap_or(0) + 1;
        let spare = (1_u64 << width) as u32 - bound;
        let number = self.take(width - 1)?;
        if number < spare { Ok(number) } else { Ok((number << 1) - spare + self.take(1)?) }
    }
}
