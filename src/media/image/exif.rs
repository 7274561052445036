//! Exif, as far as the gate needs it: how the picture lies, and what is told beside it.
//!
//! An Exif block is a TIFF file without pixels (CIPA DC-008; TIFF 6.0): a byte order, and directories of entries. Only
//! the first directory is read, without following anything; a block that makes no sense tells nothing. What is written
//! is a block of one entry, always the same bytes for the same orientation.

use super::Orientation;

/// The entry of the orientation.
const ORIENTATION: u16 = 0x0112;
/// The entry that leads to the directory of places.
const GPS: u16 = 0x8825;
/// The type of numbers of two bytes.
const SHORT: u16 = 3;

/// What an Exif block tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Exif {
    /// How the picture lies.
    pub(super) orientation: Orientation,
    /// Whether there is a directory of places.
    pub(super) gps: bool,
    /// Whether there is a second directory, which describes a small picture.
    pub(super) thumbnail: bool,
}

/// Reads a block, which begins with its byte order.
pub(super) fn read(tiff: &[u8]) -> Exif {
    let mut exif = Exif::default();
    if let Some(directory) = Directory::first(tiff) {
        for at in 0..directory.entries {
            let Some((tag, kind, value)) = directory.entry(at) else { break };
            if tag == GPS {
                exif.gps = true;
            } else if tag == ORIENTATION && kind == SHORT {
                exif.orientation = Orientation::of_number(value).unwrap_or_default();
            }
        }
        exif.thumbnail = directory.has_next();
    }
    exif
}

/// The block that holds the orientation and nothing else; `None` when there is nothing to say.
pub(super) fn minimal(orientation: Orientation) -> Option<[u8; 26]> {
    let mut block = *b"MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\0\0\0\0\0\0\0";
    block[19] = orientation as u8;
    (orientation != Orientation::Upright).then_some(block)
}

struct Directory<'a> {
    tiff: &'a [u8],
    little: bool,
    /// Where its first entry is.
    start: usize,
    entries: usize,
}

impl<'a> Directory<'a> {
    const ENTRY: usize = 12;

    fn first(tiff: &'a [u8]) -> Option<Self> {
        let little = match tiff.get(..4)? {
            b"II\x2a\0" => true,
            b"MM\0\x2a" => false,
            _ => return None,
        };
        let mut directory = Self { tiff, little, start: 0, entries: 0 };
        let offset = usize::try_from(directory.long(4)?).ok()?;
        directory.entries = usize::from(directory.short(offset)?);
        directory.start = offset + 2;
        Some(directory)
    }

    fn entry(&self, at: usize) -> Option<(u16, u16, u16)> {
        let at = self.start + at * Self::ENTRY;
        Some((self.short(at)?, self.short(at + 2)?, self.short(at + 8)?))
    }

    fn has_next(&self) -> bool {
        self.long(self.start + self.entries * Self::ENTRY).is_some_and(|offset| offset != 0)
    }

    fn short(&self, at: usize) -> Option<u16> {
        let bytes = self.tiff.get(at..)?.first_chunk().copied()?;
        Some(if self.little { u16::from_le_bytes(bytes) } else { u16::from_be_bytes(bytes) })
    }

    fn long(&self, at: usize) -> Option<u32> {
        let bytes = self.tiff.get(at..)?.first_chunk().copied()?;
        Some(if self.little { u32::from_le_bytes(bytes) } else { u32::from_be_bytes(bytes) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again_and_upright_needs_no_words() {
        for number in 1..=8 {
            let orientation = Orientation::of_number(number).unwrap();
            match minimal(orientation) {
                Some(block) => assert_eq!(read(&block), Exif { orientation, ..Exif::default() }),
                None => assert_eq!(orientation, Orientation::Upright),
            }
        }
    }

    #[test]
    fn nonsense_tells_nothing() {
        for block in [
            &b""[..],
            b"MM",
            b"XX\0\x2a\0\0\0\x08\0\x01",
            b"MM\0\x2a\xff\xff\xff\xff\0\x01",
            b"II\x2a\0\x08\0\0\0\xff\xff",
            b"MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x09\0\0\0\0\0\0",
            b"MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x04\0\0\0\x01\0\x06\0\0\0\0\0\0",
        ] {
            assert_eq!(read(block), Exif::default(), "{}", block.escape_ascii());
        }
    }
}
