//! Another sample rate, with the length kept exact.
//!
//! Called by [`mp3`](super::mp3) for rates that MP3 does not have. The filter is rubato's FFT resampler in single
//! precision; this module feeds it whole blocks, takes away its delay and ends at `round(frames × out / in)` frames.
//!
//! LAME has a resampler of its own. It is not used: its filter has 32 taps, and its end is off by the delay it estimates.

use rubato::audioadapter_buffers::direct::SequentialSliceOfVecs;
use rubato::{Fft, FixedSync, Resampler as _, WindowFunction};

/// Shortest block on the input side, in frames: long enough for a cutoff near the top of the band.
const MIN_BLOCK: usize = 2048;

/// Why resampling failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum ResampleError {
    #[error("the resampler cannot go from {from} to {to} Hz: {reason}")]
    Rates { from: u32, to: u32, reason: String },
    #[error("the resampler refused a block: {0}")]
    Block(#[from] rubato::ResampleError),
    #[error("the resampler refused a buffer: {0}")]
    Buffer(String),
}

/// A resampler for one stream of one or two channels.
///
/// Its memory depends on the two rates only, as a block is a multiple of their common period: well under a megabyte for
/// the usual rates, some 45 MB for 191,999 Hz, which shares no factor with any rate of MP3.
pub(super) struct Resampler {
    fft: Fft<f32>,
    /// Input waiting for a whole block, a plane a channel.
    waiting: Vec<Vec<f32>>,
    /// One block of output.
    block: Vec<Vec<f32>>,
    block_in: usize,
    block_out: usize,
    /// Output frames of delay still to be dropped.
    to_skip: usize,
    from: u32,
    to: u32,
    frames_in: u64,
    frames_out: u64,
}

impl Resampler {
    /// A resampler between two rates in Hz (both at least 1).
    pub(super) fn new(from: u32, to: u32, channels: usize) -> Result<Self, ResampleError> {
        let refused = |reason: String| ResampleError::Rates { from, to, reason };
        let (rate_in, rate_out) = (from as usize, to as usize);
        let period = rate_in / gcd(rate_in, rate_out).max(1);
        // An even number of periods, so that half a block, the delay, is a whole number of frames on both sides.
        let block = period.max(1) * MIN_BLOCK.div_ceil(period.max(1)).next_multiple_of(2);
        let fft = Fft::new_custom(
            rate_in,
            rate_out,
            block,
            1,
            channels,
            WindowFunction::BlackmanHarris2,
            FixedSync::Both,
        )
        .map_err(|error| refused(error.to_string()))?;
        let (block_in, block_out) = (fft.input_frames_max(), fft.output_frames_max());
        Ok(Self {
            to_skip: fft.output_delay(),
            fft,
            waiting: vec![Vec::with_capacity(block_in); channels],
            block: vec![vec![0.0; block_out]; channels],
            block_in,
            block_out,
            from,
            to,
            frames_in: 0,
            frames_out: 0,
        })
    }

    /// Takes `input` (a plane a channel, all of one length) and appends what is ready to `output`.
    pub(super) fn push(&mut self, input: &[Vec<f32>], output: &mut [Vec<f32>]) -> Result<(), ResampleError> {
        let frames = input.first().map_or(0, Vec::len);
        self.frames_in += frames as u64;
        let mut from = 0;
        while from < frames {
            let held = self.waiting.first().map_or(0, Vec::len);
            let take = (self.block_in - held).min(frames - from);
            for (waiting, plane) in self.waiting.iter_mut().zip(input) {
                waiting.extend_from_slice(plane.get(from..from + take).unwrap_or_default());
            }
            from += take;
            if held + take == self.block_in {
                self.run(u64::MAX, output)?;
            }
        }
        Ok(())
    }

    /// Appends the rest to `output`, so that all of it together is `round(frames × out / in)` frames.
    pub(super) fn finish(&mut self, output: &mut [Vec<f32>]) -> Result<(), ResampleError> {
        let total = resampled_frames(self.frames_in, self.from, self.to);
        while self.frames_out < total {
            for waiting in &mut self.waiting {
                waiting.resize(self.block_in, 0.0);
            }
            self.run(total, output)?;
        }
        Ok(())
    }

    /// Frames handed out so far.
    pub(super) fn frames_out(&self) -> u64 {
        self.frames_out
    }

    /// Resamples the waiting block and appends it, up to `total` frames in all.
    fn run(&mut self, total: u64, output: &mut [Vec<f32>]) -> Result<(), ResampleError> {
        let channels = self.waiting.len();
        let input = SequentialSliceOfVecs::new(&self.waiting, channels, self.block_in)
            .map_err(|error| ResampleError::Buffer(error.to_string()))?;
        let mut block = SequentialSliceOfVecs::new_mut(&mut self.block, channels, self.block_out)
            .map_err(|error| ResampleError::Buffer(error.to_string()))?;
        let (_, made) = self.fft.process_into_buffer(&input, &mut block, None)?;
        for waiting in &mut self.waiting {
            waiting.clear();
        }
        let skip = self.to_skip.min(made);
        self.to_skip -= skip;
        let room = usize::try_from(total - self.frames_out).unwrap_or(usize::MAX);
        let end = made.min(skip.saturating_add(room));
        for (plane, block) in output.iter_mut().zip(&self.block) {
            plane.extend_from_slice(block.get(skip..end).unwrap_or_default());
        }
        self.frames_out += (end - skip) as u64;
        Ok(())
    }
}

/// `round(frames × to / from)`, halves up.
pub(super) fn resampled_frames(frames: u64, from: u32, to: u32) -> u64 {
    let (from, to) = (u128::from(from.max(1)), u128::from(to));
    u64::try_from((u128::from(frames) * to * 2 + from) / (from * 2)).unwrap_or(u64::MAX)
}

fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sine(rate: u32, hertz: f64, frames: usize) -> Vec<f32> {
        (0..frames)
            .map(|n| (0.5 * (std::f64::consts::TAU * hertz * n as f64 / f64::from(rate)).sin()) as f32)
            .collect()
    }

    fn resample(from: u32, to: u32, input: &[f32], step: usize) -> Vec<f32> {
        let mut resampler = Resampler::new(from, to, 1).unwrap();
        let mut output = vec![Vec::new()];
        for part in input.chunks(step) {
            resampler.push(&[part.to_vec()], &mut output).unwrap();
        }
        resampler.finish(&mut output).unwrap();
        assert_eq!(resampler.frames_out(), output[0].len() as u64);
        output.remove(0)
    }

    #[test]
    fn the_length_is_the_rounded_ratio_for_any_input_and_any_chunks() {
        for (from, to) in
            [(96_000, 48_000), (88_200, 44_100), (192_000, 48_000), (37_800, 44_100), (8_001, 11_025)]
        {
            for frames in [1, 2, 575, 1152, 2047, 2048, 2049, 10_000] {
                let output = resample(from, to, &sine(from, 100.0, frames), 777);
                assert_eq!(
                    output.len() as u64,
                    resampled_frames(frames as u64, from, to),
                    "{from} to {to}: {frames}"
                );
            }
        }
    }

    #[test]
    fn a_sine_keeps_its_level_and_its_place() {
        // Rates without a common factor need transforms of odd lengths, which cost some of single precision.
        for (from, to, bound) in [
            (96_000, 48_000, 90.0),
            (88_200, 44_100, 90.0),
            (192_000, 48_000, 90.0),
            (37_800, 44_100, 90.0),
            (47_999, 48_000, 80.0),
        ] {
            for hertz in [100.0, 1_000.0, 10_000.0, 15_000.0] {
                let input = sine(from, hertz, from as usize / 2);
                let output = resample(from, to, &input, 8192);
                let wanted = sine(to, hertz, output.len());
                // The edges hear the silence around the file.
                let (start, end) = (2_000, output.len() - 2_000);
                let noise: f64 = (start..end).map(|n| f64::from(output[n] - wanted[n]).powi(2)).sum();
                let signal: f64 = (start..end).map(|n| f64::from(wanted[n]).powi(2)).sum();
                let snr = 10.0 * (signal / noise).log10();
                assert!(snr > bound, "{from} to {to}, {hertz} Hz: {snr:.1} dB");
            }
        }
    }

    #[test]
    fn what_the_new_rate_cannot_hold_is_gone_and_not_folded_back() {
        let output = resample(96_000, 44_100, &sine(96_000, 30_000.0, 48_000), 8192);
        let level = output[2_000..output.len() - 2_000].iter().fold(0.0_f32, |peak, x| peak.max(x.abs()));
        assert!(level < 1e-4, "30 kHz left {level} at 44.1 kHz");
    }

    #[test]
    fn rates_without_a_common_factor_work() {
        let output = resample(191_999, 48_000, &sine(191_999, 440.0, 191_999), 8192);
        assert_eq!(output.len(), 48_000);
    }
}
