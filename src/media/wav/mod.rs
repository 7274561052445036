//! Reading WAV: RIFF, RF64 and BW64 with PCM, float, A-law or mu-law samples.
//!
//! [`WavReader::open`] finds the format and the samples in a file that may be streamed, cut off or carelessly written,
//! and says in [`WavReader::notes`] what it repaired; [`WavReader::read`] hands the samples out in chunks. The caller is
//! [`mp3`](super::mp3), and whoever wants to know what an upload is before it becomes a task.
//!
//! True here: a size in a header is never believed beyond the file's real length and never sizes a buffer; a reader
//! holds one buffer of at most [`MAX_CHUNK_FRAMES`] frames; what is refused is refused by [`WavError`] with its class.
//!
//! The formats: Microsoft/IBM "Multimedia Programming Interface and Data Specifications 1.0" (RIFF, WAVE), "Multiple
//! Channel Audio Data and WAVE Files" (WAVE_FORMAT_EXTENSIBLE), EBU Tech 3306 (RF64), ITU-R BS.2088 (BW64).

mod chunks;
mod error;
mod fmt;
mod samples;
mod sniff;
#[cfg(test)]
pub(in crate::media) mod testfile;
#[cfg(test)]
mod tests;

use std::io::{Read, Seek, SeekFrom};

pub use error::{WavError, WavErrorClass};
pub use fmt::{Encoding, Format, MAX_CHANNELS, SAMPLE_RATES};
pub(super) use samples::{full_scale, unit_scale};
pub use sniff::Container;

/// Most frames that one [`WavReader::read`] returns; with eight channels of 64 bits the buffer is 512 KiB.
pub const MAX_CHUNK_FRAMES: usize = 8192;

/// A WAV file whose header was understood, placed at its first sample.
#[derive(Debug)]
pub struct WavReader<R> {
    inner: R,
    format: Format,
    frames: u64,
    frames_read: u64,
    notes: Vec<String>,
    raw: Vec<u8>,
}

impl<R: Read + Seek> WavReader<R> {
    /// Reads the header of the file that `inner` is, from its first byte whatever its position.
    ///
    /// # Errors
    /// [`WavError`], see [`WavError::class`] for whose turn it is.
    pub fn open(mut inner: R) -> Result<Self, WavError> {
        let layout = chunks::read_layout(&mut inner)?;
        inner.seek(SeekFrom::Start(layout.data_start))?;
        Ok(Self {
            inner,
            format: layout.format,
            frames: layout.frames,
            frames_read: 0,
            notes: layout.notes,
            raw: Vec::new(),
        })
    }

    /// The layout of the samples.
    pub fn format(&self) -> &Format {
        &self.format
    }

    /// Whole frames in the file, at least 1, counted from the file's real length.
    pub fn frames(&self) -> u64 {
        self.frames
    }

    /// Frames handed out by [`read`](Self::read) so far.
    pub fn frames_read(&self) -> u64 {
        self.frames_read
    }

    /// Length of the audio in milliseconds, rounded down.
    pub fn duration_ms(&self) -> u64 {
        duration_ms(self.frames, self.format.sample_rate)
    }

    /// What was repaired or left out, in sentences for the sender; empty for a well-formed file.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// Replaces `out` by the next frames: interleaved samples, full scale at ±2³¹ (exact for integers and G.711; float
    /// is clipped at ±1.0 and NaN becomes silence).
    ///
    /// Returns the number of frames, up to [`MAX_CHUNK_FRAMES`]; 0 is the end. A file that became shorter since it was
    /// opened ends early, with a note.
    ///
    /// # Errors
    /// [`WavError::Io`] when reading fails.
    pub fn read(&mut self, out: &mut Vec<i32>) -> Result<usize, WavError> {
        out.clear();
        let frame = usize::from(self.format.block_align);
        let left = self.frames - self.frames_read;
        let frames = usize::try_from(left).unwrap_or(MAX_CHUNK_FRAMES).min(MAX_CHUNK_FRAMES);
        if frames == 0 {
            return Ok(0);
        }
        self.raw.resize(frames * frame, 0);
        let bytes = chunks::read_full(&mut self.inner, &mut self.raw)?;
        let got = bytes / frame;
        if got < frames {
            let end = self.frames_read + got as u64;
            self.notes.push(format!(
                "the file ended after {end} of {} frames: it was changed while it was read",
                self.frames
            ));
            self.frames = end;
        }
        self.frames_read += got as u64;
        samples::widen(&self.format, self.raw.get(..got * frame).unwrap_or_default(), out);
        Ok(got)
    }
}

/// `frames` at `rate` Hz in milliseconds, rounded down.
pub(super) fn duration_ms(frames: u64, rate: u32) -> u64 {
    u64::try_from(u128::from(frames) * 1000 / u128::from(rate.max(1))).unwrap_or(u64::MAX)
}
