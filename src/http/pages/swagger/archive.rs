//! The archive (ZIP) that a release of Swagger UI is, as it lies in the program: its files found by name, and given out
//! without being unpacked.
//!
//! Used by the page alone. True here: the archive is not a stranger's, so what cannot be read in it is not there; what it
//! holds is compared, byte for byte with its checksums, by a test.

use std::collections::HashMap;
use std::io::{self, Read};

use flate2::read::DeflateDecoder;

/// Every file of its folder `dist/`, by name.
pub(super) struct Archive<'a> {
    files: HashMap<&'a str, Entry<'a>>,
}

/// A file as it lies there.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry<'a> {
    /// Of the plain bytes.
    pub(super) crc32: u32,
    length: u32,
    packing: Packing,
    bytes: &'a [u8],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Packing {
    Stored,
    Deflated,
}

/// Begins the list of all files, one of its entries, and the bytes of a file (APPNOTE.TXT, 4.3).
const END_OF_LIST: &[u8] = b"PK\x05\x06";
const LISTED: &[u8] = b"PK\x01\x02";
const FILE: &[u8] = b"PK\x03\x04";

/// A gzip member without a name or a time, from a system that does not matter (RFC 1952, 2.3).
const GZIP_HEAD: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];

impl<'a> Archive<'a> {
    /// Reads the list of files. Nothing is unpacked.
    pub(super) fn read(archive: &'a [u8]) -> Self {
        let mut files = HashMap::new();
        let end = archive.windows(4).rposition(|four| four == END_OF_LIST);
        let mut at = end.and_then(|end| long(archive, end + 16));
        while let Some((entry, name, next)) = at.and_then(|at| listed(archive, at)) {
            if let Some((_, name)) = name.rsplit_once("/dist/").filter(|(root, _)| !root.contains('/')) {
                files.insert(name, entry);
            }
            at = Some(next);
        }
        Self { files }
    }

    /// The file of that name.
    pub(super) fn entry(&self, name: &str) -> Option<Entry<'a>> {
        self.files.get(name).copied()
    }
}

impl Entry<'_> {
    /// The file as a gzip member, which is the bytes of the archive between ten of one's own and eight; `None` for one that
    /// is not compressed.
    pub(super) fn as_gzip(&self) -> Option<Vec<u8>> {
        if self.packing == Packing::Stored {
            return None;
        }
        let tail = [self.crc32.to_le_bytes(), self.length.to_le_bytes()];
        Some([&GZIP_HEAD, self.bytes, tail.as_flattened()].concat())
    }

    /// The plain bytes.
    ///
    /// # Errors
    /// When they are not as the archive says.
    pub(super) fn unpacked(&self) -> io::Result<Vec<u8>> {
        match self.packing {
            Packing::Stored => Ok(self.bytes.to_vec()),
            Packing::Deflated => {
                let mut plain = Vec::new();
                DeflateDecoder::new(self.bytes).take(self.length.into()).read_to_end(&mut plain)?;
                Ok(plain)
            }
        }
    }
}

/// The file that is listed at `at`, its name, and where the next one is listed.
fn listed(archive: &[u8], at: usize) -> Option<(Entry<'_>, &str, usize)> {
    archive.get(at..at + 4).filter(|four| *four == LISTED)?;
    let packing = match short(archive, at + 10)? {
        0 => Packing::Stored,
        8 => Packing::Deflated,
        _ => return None,
    };
    let crc32 = word(archive, at + 16)?;
    let (packed, length) = (long(archive, at + 20)?, word(archive, at + 24)?);
    let lengths = [short(archive, at + 28)?, short(archive, at + 30)?, short(archive, at + 32)?];
    let name = std::str::from_utf8(archive.get(at + 46..at + 46 + lengths[0])?).ok()?;
    // The bytes have a head of their own, whose name and notes may be of other lengths than the list's.
    let head = long(archive, at + 42)?;
    archive.get(head..head + 4).filter(|four| *four == FILE)?;
    let begin = head + 30 + short(archive, head + 26)? + short(archive, head + 28)?;
    let bytes = archive.get(begin..begin + packed)?;
    Some((Entry { crc32, length, packing, bytes }, name, at + 46 + lengths.iter().sum::<usize>()))
}

fn short(archive: &[u8], at: usize) -> Option<usize> {
    let bytes = archive.get(at..at + 2)?.try_into().ok()?;
    Some(u16::from_le_bytes(bytes).into())
}

fn word(archive: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(archive.get(at..at + 4)?.try_into().ok()?))
}

fn long(archive: &[u8], at: usize) -> Option<usize> {
    word(archive, at)?.try_into().ok()
}
