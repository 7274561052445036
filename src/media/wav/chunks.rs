//! The chunks of a RIFF/WAVE file: where the format and the samples are, however the sizes lie.
//!
//! Called by [`WavReader::open`](super::WavReader::open). The truth is the length of the file; a size field is believed
//! as far as the file bears it out. What had to be repaired goes into the notes.

use std::io::{self, Read, Seek, SeekFrom};

use super::error::WavError;
use super::fmt::{FMT_READ, Format, parse_fmt};
use super::sniff::{Sniffed, sniff};

/// Where the samples are.
pub(super) struct Layout {
    pub(super) format: Format,
    /// Offset of the first sample from the start of the file, in bytes.
    pub(super) data_start: u64,
    /// Whole frames in the file.
    pub(super) frames: u64,
    pub(super) notes: Vec<String>,
}

/// Chunks that are looked at before giving up: real files have a dozen, and a file of empty chunks must not keep a
/// thread busy.
const MAX_CHUNKS: u32 = 4096;
/// Size fields that recorders write when they cannot know the length: ffmpeg, sox, and others' "largest" values.
const STREAMED: [u32; 4] = [u32::MAX, 0x7FFF_F000, 0x7FFF_FFFF, 0xFFFF_F000];

/// Walks the chunks up to the samples.
pub(super) fn read_layout<R: Read + Seek>(reader: &mut R) -> Result<Layout, WavError> {
    let end = reader.seek(SeekFrom::End(0))?;
    let mut head = [0; 64];
    let head = read_at(reader, 0, &mut head)?;
    let wide = match sniff(head) {
        Sniffed::Wave => false,
        Sniffed::Wave64Bit => true,
        Sniffed::CutRiff => return Err(WavError::HeaderCut { length: end, inside: "RIFF header" }),
        Sniffed::Other(found) => return Err(WavError::NotWav { found }),
    };

    let mut notes = Vec::new();
    let mut format: Option<Format> = None;
    let mut wide_data_size = None;
    let mut seen = Vec::new();
    let mut at = 12;
    for _ in 0..MAX_CHUNKS {
        let Some(chunk) = read_header(reader, at)? else {
            return Err(match format {
                None => WavError::NoFmt,
                Some(_) => WavError::NoData { found: chunk_list(&seen) },
            });
        };
        match (&chunk.id, format) {
            (b"fmt ", Some(_)) => notes.push("a second fmt chunk was ignored".to_owned()),
            (b"fmt ", None) => {
                let mut body = [0; FMT_READ];
                let wanted = FMT_READ.min(usize::try_from(chunk.size).unwrap_or(FMT_READ));
                let body = read_at(reader, chunk.body, body.get_mut(..wanted).unwrap_or_default())?;
                if body.len() < wanted {
                    return Err(WavError::HeaderCut { length: end, inside: "fmt chunk" });
                }
                format = Some(parse_fmt(body, chunk.size, &mut notes)?);
            }
            (b"ds64", _) if wide => {
                // Size of the RIFF, then size of the data.
                let mut size = [0; 8];
                if read_at(reader, chunk.body + 8, &mut size)?.len() == size.len() {
                    wide_data_size = Some(u64::from_le_bytes(size));
                }
            }
            (b"data", Some(format)) => {
                let declared = match wide_data_size {
                    Some(size) if chunk.size == u32::MAX => Declared::Bytes(size),
                    _ if STREAMED.contains(&chunk.size) => Declared::Streamed,
                    Some(_) | None => Declared::Bytes(u64::from(chunk.size)),
                };
                let bytes = data_length(reader, declared, chunk.body, end, &mut notes)?;
                let frame = u64::from(format.block_align);
                let frames = bytes / frame;
                if frames == 0 {
                    return Err(WavError::NoSamples { bytes, frame: format.block_align });
                }
                if bytes % frame != 0 {
                    notes.push(format!(
                        "the last {} bytes are not a whole frame and were dropped",
                        bytes % frame
                    ));
                }
                return Ok(Layout { format, data_start: chunk.body, frames, notes });
            }
            (b"data", None) => {
                let next = next_chunk(reader, &chunk)?;
                return Err(if has_fmt(reader, next)? { WavError::DataBeforeFmt } else { WavError::NoFmt });
            }
            _ => {}
        }
        if seen.len() < 8 {
            seen.push(chunk.id);
        }
        at = next_chunk(reader, &chunk)?;
    }
    Err(WavError::TooManyChunks { limit: MAX_CHUNKS })
}

struct Chunk {
    id: [u8; 4],
    size: u32,
    /// Offset of the first byte after the header.
    body: u64,
}

/// The length that the header gives the `data` chunk.
#[derive(Clone, Copy)]
enum Declared {
    Streamed,
    Bytes(u64),
}

/// How many bytes of samples there really are from `start` on.
fn data_length<R: Read + Seek>(
    reader: &mut R,
    declared: Declared,
    start: u64,
    end: u64,
    notes: &mut Vec<String>,
) -> io::Result<u64> {
    let rest = end.saturating_sub(start);
    let declared = match declared {
        Declared::Bytes(size) => size,
        Declared::Streamed => {
            notes.push(
                "the header does not give the length (a streamed file): read to the end of the file"
                    .to_owned(),
            );
            return Ok(rest);
        }
    };
    if declared == 0 {
        // Either there is nothing, or the recorder died before it could write the size. Chunks that fit the rest of the
        // file exactly are the first case; samples do not look like that.
        if rest == 0 || is_chunk_chain(reader, start, end)? {
            return Ok(0);
        }
        notes.push(
            "the data size was 0 (a recording that was not closed): read to the end of the file".to_owned(),
        );
        return Ok(rest);
    }
    if declared > rest {
        notes.push(format!(
            "the data chunk declares {declared} bytes but the file holds {rest}: it is cut off, what is there was read"
        ));
        return Ok(rest);
    }
    // A 32-bit size that wrapped around: only past 4 GiB, and only if no chunk follows where the size says.
    let after = start + declared + declared % 2;
    if rest - declared >= 1 << 32 && !is_chunk_chain(reader, after, end)? {
        notes.push(format!(
            "the data size of {declared} bytes overflowed past 4 GiB: read to the end of the file"
        ));
        return Ok(rest);
    }
    Ok(declared)
}

/// Whether the bytes from `at` to `end` are chunks that fill that room exactly.
fn is_chunk_chain<R: Read + Seek>(reader: &mut R, mut at: u64, end: u64) -> io::Result<bool> {
    for _ in 0..64 {
        // One byte may be left: a pad byte, or its lack.
        if at.abs_diff(end) <= 1 {
            return Ok(true);
        }
        match read_header(reader, at)? {
            Some(chunk) if is_fourcc(chunk.id) && chunk.body + u64::from(chunk.size) <= end => {
                at = next_chunk(reader, &chunk)?;
            }
            Some(_) | None => return Ok(false),
        }
    }
    Ok(false)
}

/// Whether a `fmt ` chunk comes at `at` or later.
fn has_fmt<R: Read + Seek>(reader: &mut R, mut at: u64) -> io::Result<bool> {
    for _ in 0..64 {
        match read_header(reader, at)? {
            Some(chunk) if &chunk.id == b"fmt " => return Ok(true),
            Some(chunk) => at = next_chunk(reader, &chunk)?,
            None => break,
        }
    }
    Ok(false)
}

/// Where the chunk after `chunk` begins.
///
/// Chunks start at even offsets, with a pad byte after an odd size. Some writers leave it out, so the bytes there decide.
fn next_chunk<R: Read + Seek>(reader: &mut R, chunk: &Chunk) -> io::Result<u64> {
    let next = chunk.body + u64::from(chunk.size);
    if chunk.size.is_multiple_of(2) {
        return Ok(next);
    }
    let mut peek = [0; 5];
    let unpadded = match *read_at(reader, next, &mut peek)? {
        [0, ..] => false,
        [a, b, c, d, e] => {
            // A missing pad shows as a known name right here. Otherwise a name one byte on is the padded case, and
            // only if there is none a strange name right here counts.
            is_known([a, b, c, d]) || (!is_fourcc([b, c, d, e]) && is_fourcc([a, b, c, d]))
        }
        _ => false,
    };
    Ok(if unpadded { next } else { next + 1 })
}

fn is_known(id: [u8; 4]) -> bool {
    const KNOWN: [&[u8; 4]; 18] = [
        b"fmt ", b"data", b"LIST", b"fact", b"bext", b"JUNK", b"junk", b"PAD ", b"id3 ", b"ID3 ", b"cue ",
        b"smpl", b"inst", b"iXML", b"PEAK", b"FLLR", b"ds64", b"_PMX",
    ];
    KNOWN.contains(&&id)
}

/// Printable ASCII, as every registered chunk name is.
fn is_fourcc(id: [u8; 4]) -> bool {
    id.iter().all(|byte| (0x20..0x7F).contains(byte))
}

/// The chunk header at `at`, or nothing where the file ends before it is complete.
fn read_header<R: Read + Seek>(reader: &mut R, at: u64) -> io::Result<Option<Chunk>> {
    let mut header = [0; 8];
    Ok(match *read_at(reader, at, &mut header)? {
        [a, b, c, d, s0, s1, s2, s3] => {
            Some(Chunk { id: [a, b, c, d], size: u32::from_le_bytes([s0, s1, s2, s3]), body: at + 8 })
        }
        _ => None,
    })
}

/// Reads at an offset, as many bytes as the file has and `buffer` takes.
fn read_at<'b, R: Read + Seek>(reader: &mut R, at: u64, buffer: &'b mut [u8]) -> io::Result<&'b [u8]> {
    reader.seek(SeekFrom::Start(at))?;
    let filled = read_full(reader, buffer)?;
    Ok(buffer.get(..filled).unwrap_or_default())
}

/// Fills `buffer` as far as the input goes; returns the bytes read.
pub(super) fn read_full<R: Read>(reader: &mut R, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match reader.read(rest) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

fn chunk_list(seen: &[[u8; 4]]) -> String {
    if seen.is_empty() {
        return "none".to_owned();
    }
    seen.iter().map(|id| format!("\"{}\"", id.escape_ascii())).collect::<Vec<_>>().join(", ")
}
