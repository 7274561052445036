//! LAME behind a safe and small face: configure, encode, flush, read the numbers of the LAME tag.
//!
//! Called by [`mp3`](super::mp3) only. The encoder is built and driven by mp3lame-encoder; raw calls are left for what it
//! has no method for. True here: samples are `i32` of full scale; input and output rate are equal, so LAME never
//! resamples; LAME writes no ID3 tag, computes no ReplayGain (a tenth of the time, for a value few players read) and
//! prints nothing.
#![expect(
    unsafe_code,
    reason = "LAME is a C library and its Rust wrapper has no method for a dozen settings and numbers"
)]

use std::num::NonZeroU32;
use std::ptr::NonNull;

use mp3lame_encoder::{
    Bitrate, BuildError, Builder, DualPcm, EncodeError, Encoder, FlushGap, InterleavedPcm, MonoPcm, Quality,
    VbrMode, max_required_buffer_size,
};
use mp3lame_sys as ffi;

/// Room that a flush needs at most (lame.h, `lame_encode_flush`).
const FLUSH_ROOM: usize = 7200;

/// Why LAME would not work.
#[derive(Debug, thiserror::Error)]
pub enum LameError {
    /// LAME could not allocate its state.
    #[error("LAME could not allocate its state; free some memory and try again")]
    NoMemory,
    /// LAME refused a setting.
    #[error("LAME refused {what}: {reason}; ask for other settings")]
    Setting {
        /// The setting and its value.
        what: String,
        /// LAME's answer.
        reason: BuildError,
    },
    /// LAME failed while encoding.
    #[error("LAME failed to encode: {reason}; this is a fault of the program, report it with the file")]
    Encode {
        /// LAME's answer.
        reason: EncodeError,
    },
    /// LAME made no tag frame where it should have.
    #[error("LAME made no tag frame; this is a fault of the program, report it with the file")]
    NoTag,
}

impl From<EncodeError> for LameError {
    fn from(reason: EncodeError) -> Self {
        Self::Encode { reason }
    }
}

/// What LAME is asked for.
#[derive(Clone, Copy)]
pub(super) struct Request {
    /// 1 or 2.
    pub(super) channels: u8,
    /// Of input and output, in Hz, one that MP3 has.
    pub(super) sample_rate: u32,
    pub(super) rate_control: RateControl,
    /// LAME's `-q`.
    pub(super) quality: Quality,
}

/// Where LAME gets its bits from.
#[derive(Clone, Copy)]
pub(super) enum RateControl {
    Cbr(Bitrate),
    Vbr(Quality),
}

/// A running encoder.
pub(super) struct Lame {
    encoder: Encoder,
    /// The same state that `encoder` owns. It stays valid as long as `encoder` lives, is only read through, and only
    /// while no method of `encoder` runs (all under `&self` here); the raw pointer also keeps this type on one thread.
    state: NonNull<ffi::lame_global_flags>,
}

impl Lame {
    /// Builds an encoder; LAME itself may choose another output rate, see [`output_rate`](Self::output_rate).
    pub(super) fn new(request: Request) -> Result<Self, LameError> {
        Self::build(request, None)
    }

    /// Builds an encoder whose output rate is the input rate, whatever LAME would choose.
    pub(super) fn with_fixed_rate(request: Request) -> Result<Self, LameError> {
        Self::build(request, NonZeroU32::new(request.sample_rate))
    }

    fn build(request: Request, output_rate: Option<NonZeroU32>) -> Result<Self, LameError> {
        let Request { channels, sample_rate, rate_control, quality } = request;
        let refused = |what: String| move |reason| LameError::Setting { what, reason };
        let mut builder = Builder::new().ok_or(LameError::NoMemory)?;
        builder.set_num_channels(channels).map_err(refused(format!("{channels} channels")))?;
        builder.set_sample_rate(sample_rate).map_err(refused(format!("{sample_rate} Hz")))?;
        builder.set_output_sample_rate(output_rate).map_err(refused(format!("{sample_rate} Hz")))?;
        builder.set_quality(quality).map_err(refused(format!("quality {}", quality as u8)))?;
        match rate_control {
            RateControl::Cbr(rate) => {
                builder.set_vbr_mode(VbrMode::Off).map_err(refused("constant bit rate".to_owned()))?;
                builder.set_brate(rate).map_err(refused(format!("{} kbit/s", rate as u16)))?;
            }
            RateControl::Vbr(vbr) => {
                builder.set_vbr_mode(VbrMode::Mtrh).map_err(refused("variable bit rate".to_owned()))?;
                builder.set_vbr_quality(vbr).map_err(refused(format!("VBR quality {}", vbr as u8)))?;
            }
        }
        builder.set_to_write_vbr_tag(true).map_err(refused("a LAME tag".to_owned()))?;

        // SAFETY: the builder owns a live state and nothing is closed or freed through the pointer.
        let state = NonNull::new(unsafe { builder.as_ptr() }).ok_or(LameError::NoMemory)?;
        // SAFETY: `state` is live; these calls store values in it. A null report function is LAME's way to be silent.
        unsafe {
            ffi::lame_set_write_id3tag_automatic(state.as_ptr(), 0);
            ffi::lame_set_findReplayGain(state.as_ptr(), 0);
            ffi::lame_set_errorf(state.as_ptr(), None);
            ffi::lame_set_debugf(state.as_ptr(), None);
            ffi::lame_set_msgf(state.as_ptr(), None);
        }
        // `build` moves the state from the builder into the encoder without changing its address.
        let encoder = builder
            .build()
            .map_err(refused(format!("{channels} channels at {sample_rate} Hz with these settings")))?;
        Ok(Self { encoder, state })
    }

    /// Encodes mono samples, appending whole bytes of MP3 to `out`.
    pub(super) fn encode_mono(&mut self, samples: &[i32], out: &mut Vec<u8>) -> Result<(), LameError> {
        out.reserve(max_required_buffer_size(samples.len()));
        self.encoder.encode_to_vec(MonoPcm(samples), out)?;
        Ok(())
    }

    /// Encodes interleaved stereo samples; a last odd sample is left out.
    pub(super) fn encode_interleaved(&mut self, samples: &[i32], out: &mut Vec<u8>) -> Result<(), LameError> {
        let frames = samples.len() / 2;
        out.reserve(max_required_buffer_size(frames));
        self.encoder.encode_to_vec(InterleavedPcm(samples.get(..frames * 2).unwrap_or_default()), out)?;
        Ok(())
    }

    /// Encodes stereo samples in two planes, as many as the shorter one has.
    pub(super) fn encode_planes(
        &mut self,
        left: &[i32],
        right: &[i32],
        out: &mut Vec<u8>,
    ) -> Result<(), LameError> {
        let frames = left.len().min(right.len());
        let (left, right) = (left.get(..frames).unwrap_or_default(), right.get(..frames).unwrap_or_default());
        out.reserve(max_required_buffer_size(frames));
        self.encoder.encode_to_vec(DualPcm { left, right }, out)?;
        Ok(())
    }

    /// Encodes what LAME still holds and closes the last frame.
    ///
    /// This is `FlushGap`: the other flush leaves the last samples, about two frames, unencoded.
    pub(super) fn flush(&mut self, out: &mut Vec<u8>) -> Result<(), LameError> {
        out.reserve(FLUSH_ROOM);
        self.encoder.flush_to_vec::<FlushGap>(out)?;
        Ok(())
    }

    /// The finished tag frame, to be written over the placeholder that was the first output; `None` if a frame of this
    /// bit rate is too small for one, and then there was no placeholder either (see
    /// [`FrameShape::holds_tag`](super::info_tag::FrameShape::holds_tag)).
    pub(super) fn tag_frame(&self) -> Option<Vec<u8>> {
        let mut tag = Vec::with_capacity(self.encoder.lame_tag_size());
        self.encoder.lame_tag_encode_to_vec(&mut tag)?;
        Some(tag)
    }

    /// Sample rate of the output in Hz.
    pub(super) fn output_rate(&self) -> u32 {
        // SAFETY: see the field `state`.
        u32::try_from(unsafe { ffi::lame_get_out_samplerate(self.state.as_ptr()) }).unwrap_or(0)
    }

    /// The constant bit rate really used, in kbit/s: the nearest that the output rate has.
    pub(super) fn bit_rate(&self) -> u32 {
        // SAFETY: see the field `state`.
        u32::try_from(unsafe { ffi::lame_get_brate(self.state.as_ptr()) }).unwrap_or(0)
    }

    /// Audio frames encoded so far, without the tag frame.
    pub(super) fn frames(&self) -> u64 {
        // SAFETY: see the field `state`.
        u64::try_from(unsafe { ffi::lame_get_frameNum(self.state.as_ptr()) }).unwrap_or(0)
    }

    /// Samples of one channel in a frame: 1152, or 576 at 24 kHz and below.
    pub(super) fn frame_size(&self) -> u64 {
        // SAFETY: see the field `state`.
        u64::try_from(unsafe { ffi::lame_get_framesize(self.state.as_ptr()) }).unwrap_or(0)
    }

    /// Samples of silence before the first, as a player trims them (576; the decoder's own 529 come on top).
    pub(super) fn delay(&self) -> u64 {
        // SAFETY: see the field `state`.
        u64::try_from(unsafe { ffi::lame_get_encoder_delay(self.state.as_ptr()) }).unwrap_or(0)
    }

    /// Samples of silence after the last; known once [`flush`](Self::flush) was called.
    pub(super) fn padding(&self) -> u64 {
        // SAFETY: see the field `state`.
        u64::try_from(unsafe { ffi::lame_get_encoder_padding(self.state.as_ptr()) }).unwrap_or(0)
    }

    /// Cutoff of LAME's low-pass filter in Hz, 0 if there is none.
    pub(super) fn low_pass(&self) -> u32 {
        // SAFETY: see the field `state`.
        u32::try_from(unsafe { ffi::lame_get_lowpassfreq(self.state.as_ptr()) }).unwrap_or(0)
    }
}
