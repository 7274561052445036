//! Reading a blob: a file, or pieces of an object that are fetched as they are needed.
//!
//! Made by [`super::Blobs::read`]; used like a file. True here: whatever is read is from one blob, since the bytes of a
//! name never change; nothing stays open towards the store between two reads, however slow the reader; memory does not
//! grow beyond one piece.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::sync::Arc;

use bytes::{Buf, Bytes};

use super::BlobError;
use super::bucket::{Bucket, Copy};
use crate::task::BlobName;

/// The first piece: a head, or what a player asks for.
const FIRST: u64 = 128 << 10;
/// Pieces double up to this while they are read in order.
const LARGEST: u64 = 1 << 20;

/// An open blob, at its beginning.
#[derive(Debug)]
pub struct Reader {
    bytes: u64,
    source: Source,
}

#[derive(Debug)]
enum Source {
    File(File),
    Bucket(Pieces),
}

/// An object that is read piece by piece.
#[derive(Debug)]
struct Pieces {
    bucket: Arc<Bucket>,
    name: BlobName,
    copy: Copy,
    /// Where the next byte is read.
    at: u64,
    /// What has been fetched and not read, from `at` on.
    ahead: Bytes,
    /// How much is fetched next.
    next: u64,
}

impl Reader {
    pub(super) fn of_file(file: File, name: &BlobName) -> Result<Self, BlobError> {
        let looked = file.metadata();
        let looked = looked.map_err(|source| BlobError::Io {
            doing: "cannot look at",
            path: name.to_string(),
            source,
        })?;
        Ok(Self { bytes: looked.len(), source: Source::File(file) })
    }

    pub(super) fn of_bucket(bucket: &Arc<Bucket>, name: &BlobName) -> Result<Self, BlobError> {
        let copy = bucket.find(name)?;
        let bytes = copy.bytes();
        let (bucket, name) = (Arc::clone(bucket), name.clone());
        let pieces = Pieces { bucket, name, copy, at: 0, ahead: Bytes::new(), next: FIRST };
        Ok(Self { bytes, source: Source::Bucket(pieces) })
    }

    /// How many bytes the blob has, wherever the reader stands.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.bytes
    }

    /// Whether it has none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes == 0
    }
}

impl Read for Reader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match &mut self.source {
            Source::File(file) => file.read(buffer),
            Source::Bucket(pieces) => pieces.read(buffer),
        }
    }
}

impl Seek for Reader {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        match &mut self.source {
            Source::File(file) => file.seek(to),
            Source::Bucket(pieces) => pieces.seek(to, self.bytes),
        }
    }
}

impl Pieces {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() || self.at >= self.copy.bytes() {
            return Ok(0);
        }
        if self.ahead.is_empty() {
            let until = self.copy.bytes().min(self.at.saturating_add(self.next));
            self.ahead = self.fetch(self.at..until).map_err(io::Error::other)?;
            self.next = (self.next * 2).min(LARGEST);
        }
        let n = buffer.len().min(self.ahead.len());
        self.ahead.copy_to_slice(&mut buffer[..n]);
        self.at += n as u64;
        Ok(n)
    }

    /// A copy that was replaced by a younger one is gone at some time; the younger one has the same bytes.
    fn fetch(&mut self, range: std::ops::Range<u64>) -> Result<Bytes, BlobError> {
        if let Some(bytes) = self.bucket.fetch(&self.copy, range.clone())? {
            return Ok(bytes);
        }
        self.copy = self.bucket.find(&self.name)?;
        let fetched = self.bucket.fetch(&self.copy, range)?;
        fetched.ok_or_else(|| BlobError::Missing(self.name.clone()))
    }

    fn seek(&mut self, to: SeekFrom, bytes: u64) -> io::Result<u64> {
        let place = match to {
            SeekFrom::Start(place) => Some(place),
            SeekFrom::End(by) => bytes.checked_add_signed(by),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
        };
        let place = place
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "a seek to before the beginning"))?;
        match place.checked_sub(self.at).and_then(|skipped| usize::try_from(skipped).ok()) {
            Some(skipped) if skipped <= self.ahead.len() => self.ahead.advance(skipped),
            Some(_) | None => {
                self.ahead = Bytes::new();
                self.next = FIRST;
            }
        }
        self.at = place;
        Ok(place)
    }
}
