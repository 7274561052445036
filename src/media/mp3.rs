//! WAV in, MP3 out.
//!
//! [`transcode`] is the whole room in one call: read, mix down to two channels, resample if MP3 lacks the rate, encode,
//! write the LAME tag. The caller is the audio kind, on a compute thread.
//!
//! True here: what a player hears after gapless trimming has exactly the length of the source (or its rounded length at
//! another rate), and [`transcode`] checks that sum before it answers; every output has a LAME/Info tag with frames,
//! bytes, table of contents, delay, padding and CRCs; equal input and settings give equal bytes; memory is a few
//! hundred KiB for any length, and up to 45 MB more while resampling between large rates that share no factor.
//!
//! The samples, the decisions and so the audio bytes are those of the `lame` program with the same `-b`, `-V` and `-q`
//! (where nothing is mixed or resampled). That includes its levels: with constant bit rates up to 224 kbit/s LAME scales
//! by 0.95 to 0.98 (0.2 to 0.45 dB) against clipping in the player; variable bit rates and 256 up keep the level.

mod settings;
#[cfg(test)]
mod tests;

use std::io::{self, Read, Seek, SeekFrom, Write};

use serde::Serialize;

use super::Cancel;
use super::downmix::Downmix;
use super::info_tag::{Crc16, FrameShape, InfoTag};
pub use super::lame::LameError;
use super::lame::{Lame, Request};
use super::resample::{ResampleError, Resampler};
use super::wav::{Format, WavError, WavReader, duration_ms, full_scale};
use super::waveform::Peaks;
pub use settings::{CbrKbps, ChannelMode, Effort, Mode, Mp3Settings, SettingsError, VbrQuality};

/// How far a transcoding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Frames of the source that were read.
    pub done: u64,
    /// Frames of the source; it may fall if the file turns out shorter.
    pub total: u64,
}

/// What was made of what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Transcoded {
    /// Frames of the source that were encoded.
    pub frames_in: u64,
    /// Sample rate of the source in Hz.
    pub sample_rate_in: u32,
    /// Channels of the source.
    pub channels_in: u16,
    /// Frames of the MP3 after gapless trimming.
    pub frames_out: u64,
    /// Sample rate of the MP3 in Hz.
    pub sample_rate_out: u32,
    /// Channels of the MP3, 1 or 2.
    pub channels_out: u16,
    /// Length of the sound in milliseconds, rounded down.
    pub duration_ms: u64,
    /// Size of the MP3 in bytes.
    pub bytes: u64,
    /// The outline of the source for a player to draw: of at most 256 parts, all equally long but for the last, the
    /// loudest sample, 0 to 255.
    pub peaks: Vec<u8>,
    /// What was repaired, mixed, resampled or rounded, in sentences for the sender.
    pub notes: Vec<String>,
}

/// Why there is no MP3.
#[derive(Debug, thiserror::Error)]
pub enum TranscodeError {
    /// The source could not be read.
    #[error(transparent)]
    Wav(#[from] WavError),
    /// The MP3 could not be written.
    #[error("writing the MP3 failed: {0}; check the space and the rights of the target")]
    Output(#[source] io::Error),
    /// The cancel flag was raised.
    #[error("the transcoding was cancelled after {done} of {total} frames")]
    Cancelled {
        /// Frames of the source that were read.
        done: u64,
        /// Frames of the source.
        total: u64,
    },
    /// LAME failed.
    #[error(transparent)]
    Lame(#[from] LameError),
    /// The resampler failed.
    #[error("{reason}; this is a fault of the program, report it with the file")]
    Resample {
        /// What the resampler said.
        reason: String,
    },
    /// The finished MP3 would not play at the length of the source.
    #[error(
        "the MP3 came out with {found} frames of sound where {wanted} were wanted; \
         this is a fault of the program, report it with the file"
    )]
    Length {
        /// Frames by the encoder's own count.
        found: u64,
        /// Frames by the source.
        wanted: u64,
    },
}

impl From<ResampleError> for TranscodeError {
    fn from(error: ResampleError) -> Self {
        Self::Resample { reason: error.to_string() }
    }
}

/// Sample rates of MP3 in Hz: MPEG-2.5, MPEG-2 and MPEG-1.
pub const MP3_RATES: [u32; 9] = [8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000];

/// Source frames between two calls of the progress callback, about.
const PROGRESS_STEP: u64 = 65_536;
/// Encoded bytes that are gathered before they are written.
const WRITE_STEP: usize = 64 * 1024;

/// Encodes `input` as MP3 into `output`, from its present position on.
///
/// The sample rate stays if MP3 has it; else it becomes the next higher one of [`MP3_RATES`], and above 48 kHz the one of
/// the same family (44.1 kHz for its multiples, 48 kHz for all others). At low bit rates LAME's own table may choose less,
/// as the `lame` program does. Integer samples reach LAME unchanged.
///
/// `progress` is called at the beginning, about every 65,000 frames and at the end; `cancel` is obeyed about every 8,000
/// frames. After an error what `output` holds is worthless.
///
/// # Errors
/// [`TranscodeError`], one variant a cause.
pub fn transcode<R: Read + Seek, W: Write + Seek>(
    mut input: WavReader<R>,
    output: W,
    settings: &Mp3Settings,
    cancel: &Cancel,
    progress: &mut dyn FnMut(Progress),
) -> Result<Transcoded, TranscodeError> {
    let format = *input.format();
    let mut notes = Vec::new();
    let channels_out = match settings.channels {
        ChannelMode::Mono => 1,
        ChannelMode::Auto => format.channels.min(2) as u8,
    };
    if format.channels > u16::from(channels_out) {
        let target = if channels_out == 1 { "one channel" } else { "stereo" };
        notes.push(format!("{} channels were mixed down to {target}", format.channels));
    }
    let lame = choose_encoder(&format, channels_out, settings)?;
    let sample_rate_out = lame.output_rate();
    if sample_rate_out != format.sample_rate {
        notes.push(format!("resampled from {} to {sample_rate_out} Hz", format.sample_rate));
    }
    let kbps = lame.bit_rate();
    match settings.mode {
        Mode::Cbr(asked) if u32::from(asked.get()) != kbps => {
            notes.push(format!(
                "{} kbit/s does not exist at {sample_rate_out} Hz: {kbps} was used",
                asked.get()
            ));
        }
        Mode::Cbr(_) | Mode::Vbr(_) => {}
    }

    let mut feed = Feed::new(&format, channels_out, sample_rate_out)?;
    let mut sink = Sink::new(
        lame,
        output,
        FrameShape { sample_rate: sample_rate_out, channels: channels_out },
        settings,
    )?;
    let mut peaks = Peaks::new(format.channels);
    let mut samples = Vec::new();
    let mut told = 0;
    progress(Progress { done: 0, total: input.frames() });
    loop {
        let done = input.frames_read();
        if cancel.is_cancelled() {
            return Err(TranscodeError::Cancelled { done, total: input.frames() });
        }
        if input.read(&mut samples)? == 0 {
            break;
        }
        peaks.push(&samples);
        feed.push(&samples, &mut sink)?;
        if done - told >= PROGRESS_STEP {
            told = done;
            progress(Progress { done, total: input.frames() });
        }
    }
    let frames_in = input.frames_read();
    let frames_out = feed.finish(frames_in, &mut sink)?;
    let bytes = sink.finish(frames_out, format.sample_rate, settings)?;
    progress(Progress { done: frames_in, total: frames_in });

    notes.splice(0..0, input.notes().iter().cloned());
    Ok(Transcoded {
        frames_in,
        sample_rate_in: format.sample_rate,
        channels_in: format.channels,
        frames_out,
        sample_rate_out,
        channels_out: channels_out.into(),
        duration_ms: duration_ms(frames_in, format.sample_rate),
        bytes,
        peaks: peaks.finish(),
        notes,
    })
}

/// An encoder whose input rate is its output rate.
///
/// LAME decides together on the rate and on details (its low-pass) when it is asked for no rate, so it is asked that way,
/// first with the source's rate and then with its own answer. That gives the same bytes as the `lame` program wherever no
/// resampling is needed.
fn choose_encoder(format: &Format, channels: u8, settings: &Mp3Settings) -> Result<Lame, LameError> {
    let mut request = Request {
        channels,
        sample_rate: mp3_rate(format.sample_rate),
        rate_control: settings.mode.rate_control(),
        quality: settings.effort.quality(),
    };
    for _ in 0..MP3_RATES.len() {
        let lame = Lame::new(request)?;
        if lame.output_rate() == request.sample_rate {
            return Ok(lame);
        }
        request.sample_rate = lame.output_rate();
    }
    Lame::with_fixed_rate(request)
}

/// The rate of MP3 that keeps what a source of `rate` Hz holds, as far as there is one.
fn mp3_rate(rate: u32) -> u32 {
    match MP3_RATES.into_iter().find(|mp3| *mp3 >= rate) {
        Some(fitting) => fitting,
        None if rate.is_multiple_of(44_100) => 44_100,
        None => 48_000,
    }
}

/// What happens to samples on their way to the encoder.
enum Feed {
    /// Mono or stereo at the right rate: nothing.
    Direct,
    /// Mixed, resampled or both, in single precision.
    Mixed {
        mix: Downmix,
        mixed: Vec<Vec<f32>>,
        resampler: Option<Box<Resampler>>,
        resampled: Vec<Vec<f32>>,
        planes: Vec<Vec<i32>>,
    },
}

impl Feed {
    fn new(format: &Format, channels: u8, sample_rate: u32) -> Result<Self, ResampleError> {
        if format.sample_rate == sample_rate && format.channels == u16::from(channels) {
            return Ok(Self::Direct);
        }
        let planes = usize::from(channels);
        let resampler = match format.sample_rate {
            same if same == sample_rate => None,
            rate => Some(Box::new(Resampler::new(rate, sample_rate, planes)?)),
        };
        let mix = if channels == 1 { Downmix::to_mono(format) } else { Downmix::to_stereo(format) };
        let empty = || vec![Vec::new(); planes];
        Ok(Self::Mixed {
            mix,
            mixed: empty(),
            resampler,
            resampled: empty(),
            planes: vec![Vec::new(); planes],
        })
    }

    /// Sends interleaved samples on to the encoder.
    fn push<W: Write + Seek>(&mut self, samples: &[i32], sink: &mut Sink<W>) -> Result<(), TranscodeError> {
        match self {
            Self::Direct => sink.encode_interleaved(samples),
            Self::Mixed { mix, mixed, resampler, resampled, planes } => {
                mixed.iter_mut().for_each(Vec::clear);
                mix.apply(samples, mixed);
                match resampler {
                    None => sink.encode_planes(mixed, planes),
                    Some(resampler) => {
                        resampled.iter_mut().for_each(Vec::clear);
                        resampler.push(mixed, resampled)?;
                        sink.encode_planes(resampled, planes)
                    }
                }
            }
        }
    }

    /// Sends what is held back; returns the frames that reached the encoder in all.
    fn finish<W: Write + Seek>(&mut self, frames_in: u64, sink: &mut Sink<W>) -> Result<u64, TranscodeError> {
        match self {
            Self::Mixed { resampler: Some(resampler), resampled, planes, .. } => {
                resampled.iter_mut().for_each(Vec::clear);
                resampler.finish(resampled)?;
                sink.encode_planes(resampled, planes)?;
                Ok(resampler.frames_out())
            }
            Self::Mixed { resampler: None, .. } | Self::Direct => Ok(frames_in),
        }
    }
}

/// The encoder and the file behind it.
struct Sink<W> {
    lame: Lame,
    output: W,
    shape: FrameShape,
    /// Where the MP3 begins in `output`.
    start: u64,
    pending: Vec<u8>,
    written: u64,
    /// Kept only where LAME writes no tag of its own.
    own_tag: Option<OwnTag>,
}

/// What the tag needs to know of the audio that was written.
#[derive(Default)]
struct OwnTag {
    first_header: Option<[u8; 4]>,
    crc: Crc16,
}

impl<W: Write + Seek> Sink<W> {
    fn new(
        lame: Lame,
        mut output: W,
        shape: FrameShape,
        settings: &Mp3Settings,
    ) -> Result<Self, TranscodeError> {
        let start = output.stream_position().map_err(TranscodeError::Output)?;
        let own_tag = match settings.mode {
            Mode::Cbr(_) if !shape.holds_tag(lame.bit_rate()) => Some(OwnTag::default()),
            Mode::Cbr(_) | Mode::Vbr(_) => None,
        };
        let mut written = 0;
        if own_tag.is_some() {
            let room = vec![0; shape.tag_frame_bytes()];
            output.write_all(&room).map_err(TranscodeError::Output)?;
            written = room.len() as u64;
        }
        Ok(Self { lame, output, shape, start, pending: Vec::new(), written, own_tag })
    }

    fn encode_interleaved(&mut self, samples: &[i32]) -> Result<(), TranscodeError> {
        match self.shape.channels {
            1 => self.lame.encode_mono(samples, &mut self.pending)?,
            _ => self.lame.encode_interleaved(samples, &mut self.pending)?,
        }
        self.write(WRITE_STEP)
    }

    /// Encodes planes of ±1.0; `scratch` holds them as integers for the moment.
    fn encode_planes(&mut self, planes: &[Vec<f32>], scratch: &mut [Vec<i32>]) -> Result<(), TranscodeError> {
        for (to, from) in scratch.iter_mut().zip(planes) {
            to.clear();
            to.extend(from.iter().copied().map(full_scale));
        }
        match scratch {
            [mono] => self.lame.encode_mono(mono, &mut self.pending)?,
            [left, right, ..] => self.lame.encode_planes(left, right, &mut self.pending)?,
            [] => {}
        }
        self.write(WRITE_STEP)
    }

    /// Writes the pending bytes if there are at least `step` of them.
    fn write(&mut self, step: usize) -> Result<(), TranscodeError> {
        if self.pending.len() < step {
            return Ok(());
        }
        if let Some(own) = &mut self.own_tag {
            own.first_header = own.first_header.or(self.pending.first_chunk().copied());
            own.crc.update(&self.pending);
        }
        self.output.write_all(&self.pending).map_err(TranscodeError::Output)?;
        self.written += self.pending.len() as u64;
        self.pending.clear();
        Ok(())
    }

    /// Ends the stream, checks its length and writes the tag; returns the size of the MP3 in bytes.
    fn finish(
        mut self,
        frames: u64,
        source_rate: u32,
        settings: &Mp3Settings,
    ) -> Result<u64, TranscodeError> {
        self.lame.flush(&mut self.pending)?;
        self.write(0)?;

        let (delay, padding) = (self.lame.delay(), self.lame.padding());
        let found = (self.lame.frames() * self.lame.frame_size()).saturating_sub(delay + padding);
        if found != frames {
            return Err(TranscodeError::Length { found, wanted: frames });
        }
        let tag = match self.own_tag.take() {
            None => self.lame.tag_frame().ok_or(LameError::NoTag)?,
            Some(own) => InfoTag {
                shape: self.shape,
                first_header: own.first_header.unwrap_or_default(),
                frames: self.lame.frames(),
                audio_bytes: self.written - self.shape.tag_frame_bytes() as u64,
                audio_crc: own.crc,
                kbps: self.lame.bit_rate(),
                quality: settings.effort.get(),
                low_pass: self.lame.low_pass(),
                delay,
                padding,
                source_rate,
            }
            .frame(),
        };
        let patch = |output: &mut W| {
            // Over the placeholder that the stream began with, of the same size.
            output.seek(SeekFrom::Start(self.start))?;
            output.write_all(&tag)?;
            output.seek(SeekFrom::Start(self.start + self.written))?;
            output.flush()
        };
        patch(&mut self.output).map_err(TranscodeError::Output)?;
        Ok(self.written)
    }
}
