//! More than two channels to stereo, or anything to mono.
//!
//! Called by [`mp3`](super::mp3), as an MP3 frame has one or two channels. Levels follow ITU-R BS.775: centre and
//! surrounds at -3 dB, LFE left out; then both sides are scaled alike so that no input can clip.

use super::wav::{Format, MAX_CHANNELS, unit_scale};

/// -3 dB, as an amplitude.
const MINUS_3_DB: f32 = std::f32::consts::FRAC_1_SQRT_2;

/// What each input channel gives to the left and to the right.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Downmix {
    gains: [(f32, f32); MAX_CHANNELS as usize],
    channels: usize,
}

impl Downmix {
    /// The mix of `format` to stereo: by its channel mask if that names every channel, else by the usual layout for the
    /// number of channels.
    pub(super) fn to_stereo(format: &Format) -> Self {
        let channels = usize::from(format.channels.clamp(1, MAX_CHANNELS));
        let mut gains = [(0.0, 0.0); MAX_CHANNELS as usize];
        match channels {
            1 => gains[0] = (1.0, 1.0),
            2 => gains[..2].copy_from_slice(&[(1.0, 0.0), (0.0, 1.0)]),
            _ => {
                let mask = format.channel_mask.filter(|mask| mask.count_ones() as usize >= channels);
                let mut speakers = mask.unwrap_or(default_mask(channels));
                // Channels are stored in the order of the bits; bits beyond the number of channels mean nothing.
                for gain in gains.iter_mut().take(channels) {
                    *gain = speaker_gain(speakers.trailing_zeros());
                    speakers &= speakers.wrapping_sub(1);
                }
                let sum = |side: fn(&(f32, f32)) -> f32| gains.iter().map(side).sum::<f32>();
                let peak = sum(|gain| gain.0).max(sum(|gain| gain.1));
                if peak > 1.0 {
                    for gain in &mut gains {
                        *gain = (gain.0 / peak, gain.1 / peak);
                    }
                }
            }
        }
        Self { gains, channels }
    }

    /// The mix of `format` to one channel: the mean of the two sides of [`to_stereo`](Self::to_stereo), on both sides.
    pub(super) fn to_mono(format: &Format) -> Self {
        let mut mix = Self::to_stereo(format);
        for gain in &mut mix.gains {
            let mean = (gain.0 + gain.1) / 2.0;
            *gain = (mean, mean);
        }
        mix
    }

    /// Appends the mix of interleaved `samples` (full scale ±2³¹) to the planes (full scale ±1.0), one or two of them.
    pub(super) fn apply(&self, samples: &[i32], planes: &mut [Vec<f32>]) {
        let gains = &self.gains[..self.channels];
        let frames = samples.chunks_exact(self.channels);
        let mix = |frame: &[i32], side: fn(&(f32, f32)) -> f32| {
            frame.iter().zip(gains).map(|(sample, gain)| unit_scale(*sample) * side(gain)).sum::<f32>()
        };
        match planes {
            [mono] => mono.extend(frames.map(|frame| mix(frame, |gain| gain.0))),
            [left, right, ..] => {
                left.extend(frames.clone().map(|frame| mix(frame, |gain| gain.0)));
                right.extend(frames.map(|frame| mix(frame, |gain| gain.1)));
            }
            [] => {}
        }
    }
}

/// The layout that a number of channels means when no mask is given (KSAUDIO_SPEAKER_* of ksmedia.h; 7 is 6.1 with side
/// speakers, as FLAC and FFmpeg have it).
fn default_mask(channels: usize) -> u32 {
    match channels {
        0 | 1 => 0x4, // centre
        2 => 0x3,     // left, right
        3 => 0x7,     // left, right, centre
        4 => 0x33,    // quadraphonic: front and back pairs
        5 => 0x37,    // front three, back pair
        6 => 0x3F,    // 5.1
        7 => 0x70F,   // front three, LFE, back centre, side pair
        _ => 0x63F,   // 7.1: front three, LFE, back pair, side pair
    }
}

/// What the speaker with this bit of `dwChannelMask` gives to (left, right).
fn speaker_gain(bit: u32) -> (f32, f32) {
    match bit {
        0 => (1.0, 0.0),                           // front left
        1 => (0.0, 1.0),                           // front right
        2 => (MINUS_3_DB, MINUS_3_DB),             // front centre
        3 => (0.0, 0.0),                           // LFE
        4 | 6 | 9 | 12 | 15 => (MINUS_3_DB, 0.0),  // left: back, of centre, side, top front, top back
        5 | 7 | 10 | 14 | 17 => (0.0, MINUS_3_DB), // the same on the right
        8 | 11 | 13 | 16 => (0.5, 0.5), // back centre and the top centres: a surround on both sides
        _ => (0.5, 0.5),                // no such speaker yet: heard in the middle
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::wav::Encoding;

    fn format(channels: u16, channel_mask: Option<u32>) -> Format {
        Format {
            encoding: Encoding::Pcm,
            channels,
            sample_rate: 48_000,
            bits: 16,
            valid_bits: 16,
            channel_mask,
            block_align: channels * 2,
        }
    }

    /// The level of channel `at` of `channels` on (left, right).
    fn heard(mix: &Downmix, channels: usize, at: usize) -> (f32, f32) {
        let mut frame = vec![0; channels];
        frame[at] = 1 << 30;
        let mut planes = [Vec::new(), Vec::new()];
        mix.apply(&frame, &mut planes);
        (planes[0][0] * 2.0, planes[1][0] * 2.0)
    }

    fn near(a: (f32, f32), b: (f32, f32)) -> bool {
        (a.0 - b.0).abs() < 1e-5 && (a.1 - b.1).abs() < 1e-5
    }

    #[test]
    fn five_one_mixes_at_the_levels_of_bs_775_and_drops_the_lfe() {
        let scale = 1.0 / (1.0 + 2.0 * MINUS_3_DB);
        let side = MINUS_3_DB * scale;
        let wanted = [(scale, 0.0), (0.0, scale), (side, side), (0.0, 0.0), (side, 0.0), (0.0, side)];
        for mask in [None, Some(0x3F), Some(0x60F)] {
            let mix = Downmix::to_stereo(&format(6, mask));
            for (at, wanted) in wanted.iter().enumerate() {
                assert!(near(heard(&mix, 6, at), *wanted), "mask {mask:?}, channel {at}");
            }
        }
    }

    #[test]
    fn the_mask_decides_and_not_the_number_of_channels() {
        // Front pair, centre, back centre: not the quadraphonic layout that four channels mean without a mask.
        let mix = Downmix::to_stereo(&format(4, Some(0x107)));
        let (centre_left, centre_right) = heard(&mix, 4, 2);
        assert!((centre_left - centre_right).abs() < 1e-6 && centre_left > 0.0);
        let quad = Downmix::to_stereo(&format(4, None));
        assert_eq!(heard(&quad, 4, 2).1, 0.0);
    }

    #[test]
    fn a_mask_that_names_too_few_speakers_is_not_used() {
        assert_eq!(Downmix::to_stereo(&format(6, Some(0x3))), Downmix::to_stereo(&format(6, None)));
    }

    #[test]
    fn no_layout_can_clip() {
        for channels in 1..=8 {
            for mask in [None, Some(0x3FFFF), Some(u32::MAX), Some(0xFFFF_0000)] {
                for mix in
                    [Downmix::to_stereo(&format(channels, mask)), Downmix::to_mono(&format(channels, mask))]
                {
                    let mut planes = [Vec::new(), Vec::new()];
                    mix.apply(&vec![i32::MIN; usize::from(channels)], &mut planes);
                    for plane in &planes {
                        assert!(
                            (-1.0 - 1e-6..=0.0).contains(&plane[0]),
                            "{channels} channels, {mask:?}: {plane:?}"
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn stereo_stays_as_it_is_and_mono_is_the_mean() {
        let stereo = Downmix::to_stereo(&format(2, Some(0x3)));
        assert!(near(heard(&stereo, 2, 0), (1.0, 0.0)));
        assert!(near(heard(&stereo, 2, 1), (0.0, 1.0)));
        let mono = Downmix::to_mono(&format(2, None));
        assert!(near(heard(&mono, 2, 0), (0.5, 0.5)));
    }
}
