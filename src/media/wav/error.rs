//! Why a WAV is refused: one variant a cause, and the class that decides the HTTP answer.

use std::io;

use super::sniff::Container;

/// Why a file cannot be read as WAV.
#[derive(Debug, thiserror::Error)]
pub enum WavError {
    /// The bytes are another kind of file.
    #[error(
        "this is not a WAV file: it is {found}; send PCM, float, A-law or mu-law audio in a RIFF/WAVE file"
    )]
    NotWav {
        /// What the first bytes say the file is.
        found: Container,
    },
    /// A WAV whose `fmt ` chunk names a codec that is not read here.
    #[error(
        "the WAV holds {name} (format tag 0x{tag:04X}), which is not read here; \
         decode it to PCM first{}", already_mp3(*.tag)
    )]
    UnsupportedCodec {
        /// `wFormatTag`, or the first word of the sub-format of WAVE_FORMAT_EXTENSIBLE.
        tag: u16,
        /// The codec's name, "an unregistered codec" when the tag is not known.
        name: &'static str,
    },
    /// WAVE_FORMAT_EXTENSIBLE with a sub-format outside the standard KSDATAFORMAT family.
    #[error(
        "the WAV has the sub-format {guid}, which is not one of PCM, float, A-law or mu-law; decode it to PCM first"
    )]
    UnsupportedSubFormat {
        /// The sub-format in the usual notation of a GUID.
        guid: String,
    },
    /// A sample width that the encoding does not have.
    #[error(
        "{encoding} samples of {bits} bits are not readable; send 8 to 32 bit PCM, or 32 or 64 bit float"
    )]
    UnsupportedBits {
        /// "PCM" or "float".
        encoding: &'static str,
        /// `wBitsPerSample` as found.
        bits: u16,
    },
    /// No channel at all, or more than eight.
    #[error("the WAV declares {found} channels; 1 to 8 are accepted")]
    Channels {
        /// `nChannels` as found.
        found: u16,
    },
    /// A sample rate outside 8 to 192 kHz.
    #[error("the WAV declares a sample rate of {found} Hz; 8000 to 192000 Hz are accepted")]
    SampleRate {
        /// `nSamplesPerSec` as found, in Hz.
        found: u32,
    },
    /// The file ends inside its header.
    #[error("the file ends after {length} bytes, inside the {inside}; it was cut off, send it again")]
    HeaderCut {
        /// Length of the file in bytes.
        length: u64,
        /// The part that is not complete.
        inside: &'static str,
    },
    /// A `fmt ` chunk too short for what it says it is.
    #[error(
        "the fmt chunk has {found} bytes where {needed} are needed; the header is damaged, export the file again"
    )]
    FmtTooShort {
        /// Bytes of the chunk.
        found: u32,
        /// Bytes that its format tag needs.
        needed: u32,
    },
    /// No `fmt ` chunk in the file.
    #[error("the WAV has no fmt chunk, so its samples cannot be understood; export the file again")]
    NoFmt,
    /// The `fmt ` chunk comes after the samples.
    #[error(
        "the WAV has its data chunk before its fmt chunk, which the format does not allow; export the file again"
    )]
    DataBeforeFmt,
    /// No `data` chunk in the file.
    #[error("the WAV has no data chunk (the chunks found: {found}); the file was cut off or holds no audio")]
    NoData {
        /// The identifiers of the chunks that were found, the first few.
        found: String,
    },
    /// More chunks before the samples than any real file has.
    #[error(
        "the WAV has more than {limit} chunks before its samples; export the file without the extra chunks"
    )]
    TooManyChunks {
        /// Chunks that are looked at.
        limit: u32,
    },
    /// A `data` chunk without one whole frame.
    #[error(
        "the WAV holds no samples ({bytes} bytes of audio data, a frame needs {frame}); record or export it again"
    )]
    NoSamples {
        /// Bytes of audio data in the file.
        bytes: u64,
        /// Bytes of a frame.
        frame: u16,
    },
    /// Reading the bytes failed.
    #[error("reading the WAV failed: {0}")]
    Io(#[from] io::Error),
}

/// Who has to act on a [`WavError`], and so which answer a server gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WavErrorClass {
    /// Not a WAV, or a codec that is not read: 415 Unsupported Media Type.
    UnsupportedType,
    /// A WAV that is damaged or outside the limits: 422 Unprocessable Content.
    Malformed,
    /// The bytes could not be read: not the sender's fault.
    Io,
}

impl WavError {
    /// The class of the error.
    pub fn class(&self) -> WavErrorClass {
        match self {
            Self::NotWav { .. } | Self::UnsupportedCodec { .. } | Self::UnsupportedSubFormat { .. } => {
                WavErrorClass::UnsupportedType
            }
            Self::UnsupportedBits { .. }
            | Self::Channels { .. }
            | Self::SampleRate { .. }
            | Self::HeaderCut { .. }
            | Self::FmtTooShort { .. }
            | Self::NoFmt
            | Self::DataBeforeFmt
            | Self::NoData { .. }
            | Self::TooManyChunks { .. }
            | Self::NoSamples { .. } => WavErrorClass::Malformed,
            Self::Io(_) => WavErrorClass::Io,
        }
    }

    /// Whether the file is no WAV, or holds a codec that is not read (HTTP 415).
    pub fn is_unsupported_type(&self) -> bool {
        self.class() == WavErrorClass::UnsupportedType
    }

    /// Whether reading failed for a reason outside the file.
    pub fn is_io(&self) -> bool {
        self.class() == WavErrorClass::Io
    }
}

/// The one codec whose owner should not decode anything.
fn already_mp3(tag: u16) -> &'static str {
    if tag == 0x0055 { " (it is MP3 already: the data chunk can be used as it is)" } else { "" }
}
