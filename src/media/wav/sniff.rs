//! What kind of file the first bytes belong to, so that a refusal can name it.
//!
//! Called by the chunk walker on the first 64 bytes. Signatures are those of the formats' own specifications.

use std::fmt;

/// A kind of file that is not a readable WAV.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Container {
    /// No bytes at all.
    Empty,
    /// MPEG audio layer III, with or without an ID3v2 tag.
    Mp3,
    /// AAC in ADTS frames.
    Aac,
    /// Ogg: Vorbis, Opus, Speex or FLAC inside.
    Ogg,
    /// FLAC.
    Flac,
    /// WebM or Matroska: what browsers record.
    Matroska,
    /// MP4, M4A, QuickTime.
    Mp4,
    /// AIFF or AIFF-C.
    Aiff,
    /// RIFF with its numbers in big-endian order.
    Rifx,
    /// Sony Wave64.
    Wave64,
    /// AVI video.
    Avi,
    /// RIFF of another form (WebP, MIDI, palettes).
    OtherRiff([u8; 4]),
    /// Apple Core Audio Format.
    Caf,
    /// Sun/NeXT audio.
    Au,
    /// AMR speech.
    Amr,
    /// Windows Media (ASF).
    Asf,
    /// Plain text, HTML, JSON.
    Text,
    /// Nothing recognised; the first bytes, up to four.
    Unknown([u8; 4]),
}

impl fmt::Display for Container {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self {
            Self::Empty => "empty (0 bytes)",
            Self::Mp3 => "an MP3 file already",
            Self::Aac => "AAC audio (ADTS)",
            Self::Ogg => "an Ogg file (Vorbis or Opus)",
            Self::Flac => "a FLAC file",
            Self::Matroska => "a WebM or Matroska file",
            Self::Mp4 => "an MP4 or M4A file",
            Self::Aiff => "an AIFF file",
            Self::Rifx => "a RIFX file (big-endian WAV)",
            Self::Wave64 => "a Sony Wave64 file",
            Self::Avi => "an AVI video",
            Self::OtherRiff(form) => return write!(f, "a RIFF file of the form \"{}\"", form.escape_ascii()),
            Self::Caf => "an Apple CAF file",
            Self::Au => "a Sun/NeXT .au file",
            Self::Amr => "an AMR recording",
            Self::Asf => "a Windows Media (ASF) file",
            Self::Text => "text",
            Self::Unknown(head) => {
                return write!(f, "of no known audio format (it starts with \"{}\")", head.escape_ascii());
            }
        };
        f.write_str(name)
    }
}

/// What the first bytes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sniffed {
    /// RIFF/WAVE with 32-bit sizes.
    Wave,
    /// RF64 or BW64: the same with 64-bit sizes in a `ds64` chunk (EBU Tech 3306, ITU-R BS.2088).
    Wave64Bit,
    /// `RIFF` and nothing after it: the beginning of a WAV perhaps.
    CutRiff,
    /// Something else.
    Other(Container),
}

/// The first sixteen bytes of a Wave64 file: the GUID of its `riff` chunk.
const WAVE64_RIFF: &[u8] = b"riff\x2E\x91\xCF\x11\xA5\xD6\x28\xDB\x04\xC1\x00\x00";

/// Names the file by its first bytes (`head` holds up to 64 of them, fewer only if the file is shorter).
pub(super) fn sniff(head: &[u8]) -> Sniffed {
    let form = head.get(8..12);
    let other = match head {
        [] => Container::Empty,
        [b'R', b'I', b'F', b'F', ..] => match form {
            Some(b"WAVE") => return Sniffed::Wave,
            Some(b"AVI ") => Container::Avi,
            Some(&[a, b, c, d]) => Container::OtherRiff([a, b, c, d]),
            Some(_) | None => return Sniffed::CutRiff,
        },
        [b'R', b'F', b'6', b'4', ..] | [b'B', b'W', b'6', b'4', ..] => match form {
            Some(b"WAVE") => return Sniffed::Wave64Bit,
            Some(&[a, b, c, d]) => Container::OtherRiff([a, b, c, d]),
            Some(_) | None => return Sniffed::CutRiff,
        },
        [b'R', b'I', b'F', b'X', ..] => Container::Rifx,
        [b'F', b'O', b'R', b'M', ..] if matches!(form, Some(b"AIFF" | b"AIFC")) => Container::Aiff,
        [b'I', b'D', b'3', ..] => Container::Mp3,
        [b'O', b'g', b'g', b'S', ..] => Container::Ogg,
        [b'f', b'L', b'a', b'C', ..] => Container::Flac,
        [0x1A, 0x45, 0xDF, 0xA3, ..] => Container::Matroska,
        [_, _, _, _, b'f', b't', b'y', b'p', ..] => Container::Mp4,
        [b'c', b'a', b'f', b'f', ..] => Container::Caf,
        [b'.', b's', b'n', b'd', ..] => Container::Au,
        [b'#', b'!', b'A', b'M', b'R', ..] => Container::Amr,
        [0x30, 0x26, 0xB2, 0x75, ..] => Container::Asf,
        // An MPEG audio frame: eleven sync bits, then a layer that is not "reserved"; ADTS has the reserved one.
        [0xFF, second, third, ..] if second & 0xE0 == 0xE0 && third & 0xF0 != 0xF0 => {
            if second & 0x06 != 0 {
                Container::Mp3
            } else if second & 0xF6 == 0xF0 {
                Container::Aac
            } else {
                unknown(head)
            }
        }
        _ if head.starts_with(WAVE64_RIFF) => Container::Wave64,
        _ if is_text(head) => Container::Text,
        _ => unknown(head),
    };
    Sniffed::Other(other)
}

fn unknown(head: &[u8]) -> Container {
    let mut first = [0; 4];
    for (to, from) in first.iter_mut().zip(head) {
        *to = *from;
    }
    Container::Unknown(first)
}

/// UTF-8 without control characters; the last character may be cut by the end of `head`.
fn is_text(head: &[u8]) -> bool {
    let valid = match std::str::from_utf8(head) {
        Ok(text) => text,
        Err(error) if error.error_len().is_none() => {
            std::str::from_utf8(head.get(..error.valid_up_to()).unwrap_or_default()).unwrap_or_default()
        }
        Err(_) => return false,
    };
    !valid.is_empty() && valid.chars().all(|c| !c.is_control() || c.is_ascii_whitespace())
}
