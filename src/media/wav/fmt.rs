//! The `fmt ` chunk: what one sample is and how frames are laid out.
//!
//! Called by the chunk walker with the first bytes of the chunk. Formats: PCMWAVEFORMAT (16 bytes), WAVEFORMATEX (18)
//! and WAVEFORMATEXTENSIBLE (40) of Microsoft's mmreg.h and ksmedia.h; bytes beyond those are ignored.

use super::error::WavError;

/// How a sample is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Encoding {
    /// Integers: unsigned for 8 bits, signed little-endian for 16, 24 and 32.
    Pcm,
    /// IEEE 754 of 32 or 64 bits, full scale at ±1.0.
    Float,
    /// ITU-T G.711 A-law, 8 bits.
    ALaw,
    /// ITU-T G.711 mu-law, 8 bits.
    MuLaw,
}

/// The layout of the samples, checked and with its derived fields recomputed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Format {
    /// How a sample is written.
    pub encoding: Encoding,
    /// Channels in a frame, 1 to 8.
    pub channels: u16,
    /// Frames in a second, 8,000 to 192,000 Hz.
    pub sample_rate: u32,
    /// Bits that a sample takes in the file: 8, 16, 24, 32 or 64.
    pub bits: u16,
    /// Bits of those that carry sound, left-justified; the rest is zero or noise.
    pub valid_bits: u16,
    /// `dwChannelMask` of WAVE_FORMAT_EXTENSIBLE, unless absent or zero.
    pub channel_mask: Option<u32>,
    /// Bytes of a frame: `channels × bits / 8`, whatever the header said.
    pub block_align: u16,
}

/// Most channels in a frame.
pub const MAX_CHANNELS: u16 = 8;
/// Sample rates that are read, in Hz.
pub const SAMPLE_RATES: std::ops::RangeInclusive<u32> = 8_000..=192_000;

/// Bytes of the chunk that are looked at.
pub(super) const FMT_READ: usize = 40;

const TAG_PCM: u16 = 0x0001;
const TAG_FLOAT: u16 = 0x0003;
const TAG_ALAW: u16 = 0x0006;
const TAG_MULAW: u16 = 0x0007;
const TAG_EXTENSIBLE: u16 = 0xFFFE;

/// The end of KSDATAFORMAT_SUBTYPE_*: the first two bytes of such a GUID are a format tag.
const SUBTYPE_TAIL: [u8; 14] =
    [0x00, 0x00, 0x00, 0x00, 0x10, 0x00, 0x80, 0x00, 0x00, 0xAA, 0x00, 0x38, 0x9B, 0x71];

/// Reads a `fmt ` chunk: `body` is its beginning (up to [`FMT_READ`] bytes), `size` the length that the chunk declares.
///
/// Adds to `notes` what had to be corrected.
pub(super) fn parse_fmt(body: &[u8], size: u32, notes: &mut Vec<String>) -> Result<Format, WavError> {
    let short = |needed| WavError::FmtTooShort { found: size, needed };
    let u16_at = |at: usize| body.get(at..)?.first_chunk().map(|b| u16::from_le_bytes(*b));
    let u32_at = |at: usize| body.get(at..)?.first_chunk().map(|b| u32::from_le_bytes(*b));
    let (Some(tag), Some(channels), Some(sample_rate), Some(byte_rate), Some(block_align), Some(bits)) =
        (u16_at(0), u16_at(2), u32_at(4), u32_at(8), u16_at(12), u16_at(14))
    else {
        return Err(short(16));
    };

    let mut valid_bits = bits;
    let mut channel_mask = None;
    let coded_tag = if tag == TAG_EXTENSIBLE {
        let (Some(valid), Some(mask), Some(guid)) =
            (u16_at(18), u32_at(20), body.get(24..).and_then(<[u8]>::first_chunk::<16>))
        else {
            return Err(short(40));
        };
        valid_bits = valid;
        channel_mask = (mask != 0).then_some(mask);
        match guid {
            [low, high, tail @ ..] if *tail == SUBTYPE_TAIL => u16::from_le_bytes([*low, *high]),
            _ => return Err(WavError::UnsupportedSubFormat { guid: guid_text(guid) }),
        }
    } else {
        tag
    };

    let encoding = match coded_tag {
        TAG_PCM => Encoding::Pcm,
        TAG_FLOAT => Encoding::Float,
        TAG_ALAW => Encoding::ALaw,
        TAG_MULAW => Encoding::MuLaw,
        tag => return Err(WavError::UnsupportedCodec { tag, name: codec_name(tag) }),
    };
    if !(1..=MAX_CHANNELS).contains(&channels) {
        return Err(WavError::Channels { found: channels });
    }
    if !SAMPLE_RATES.contains(&sample_rate) {
        return Err(WavError::SampleRate { found: sample_rate });
    }

    let container_bits = match encoding {
        Encoding::Pcm => match bits {
            8..=32 => pcm_container(channels, sample_rate, byte_rate, block_align, bits),
            _ => return Err(WavError::UnsupportedBits { encoding: "PCM", bits }),
        },
        Encoding::Float => match bits {
            32 | 64 => bits,
            _ => return Err(WavError::UnsupportedBits { encoding: "float", bits }),
        },
        // G.711 has one width; headers that say 16 (the width after decoding) or 0 exist and mean the same.
        Encoding::ALaw | Encoding::MuLaw => 8,
    };
    if !(1..=container_bits).contains(&valid_bits) {
        valid_bits = container_bits;
    }

    let frame = channels * (container_bits / 8);
    if block_align != frame {
        notes.push(format!(
            "the header's block align was {block_align}; {frame} was used, as the format needs"
        ));
    }
    if byte_rate != sample_rate * u32::from(frame) {
        notes
            .push(format!("the header's byte rate of {byte_rate} does not match its format and was ignored"));
    }
    Ok(Format {
        encoding,
        channels,
        sample_rate,
        bits: container_bits,
        valid_bits,
        channel_mask,
        block_align: frame,
    })
}

/// The width of the container of a PCM sample, in bits.
///
/// It is the width rounded up to bytes. A wider one (12 bits in 3 bytes, 20 or 24 in 4) is believed only if block align
/// and byte rate, which are often wrong alone, agree on it; samples are left-justified there (Microsoft, "Multiple
/// Channel Audio Data and WAVE Files"). 8 and 16 bits are so common that a wider frame is a mistake in the header.
fn pcm_container(channels: u16, sample_rate: u32, byte_rate: u32, block_align: u16, bits: u16) -> u16 {
    let tight = bits.div_ceil(8);
    let wide = block_align / channels;
    let agreed = block_align.is_multiple_of(channels)
        && u64::from(byte_rate) == u64::from(sample_rate) * u64::from(block_align);
    8 * if agreed && !matches!(bits, 8 | 16) && (tight..=4).contains(&wide) { wide } else { tight }
}

/// Names from the registry of wave formats (RFC 2361 and Microsoft's mmreg.h), those that are met in practice.
fn codec_name(tag: u16) -> &'static str {
    match tag {
        0x0000 => "a codec marked \"unknown\"",
        0x0002 => "MS ADPCM",
        0x0010 => "OKI ADPCM",
        0x0011 => "IMA ADPCM",
        0x0020 => "Yamaha ADPCM",
        0x0022 => "TrueSpeech",
        0x0031 => "GSM 6.10",
        0x0040 | 0x0045 | 0x0064 => "ITU-T G.726 ADPCM",
        0x0042 => "G.723.1",
        0x0050 => "MPEG audio layer I or II",
        0x0055 => "MP3",
        0x0083 => "G.729",
        0x00FF | 0x1600 | 0x1601 | 0x1610 => "AAC",
        0x0160..=0x0163 => "Windows Media Audio",
        0x2000 | 0x0092 => "Dolby AC-3",
        0x2001 => "DTS",
        0x566F | 0x674F..=0x6771 => "Vorbis",
        0x704F => "Opus",
        0xF1AC => "FLAC",
        _ => "an unregistered codec",
    }
}

/// A GUID as text: its first three fields are little-endian.
fn guid_text(guid: &[u8; 16]) -> String {
    let [a, b, c, d, e, f, g, h, rest @ ..] = guid;
    let mut text = format!("{d:02X}{c:02X}{b:02X}{a:02X}-{f:02X}{e:02X}-{h:02X}{g:02X}-");
    for (at, byte) in rest.iter().enumerate() {
        if at == 2 {
            text.push('-');
        }
        text.push_str(&format!("{byte:02X}"));
    }
    text
}
