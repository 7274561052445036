//! The outline of a sound, as a player draws it: how loud each part of it is at its loudest.
//!
//! Gathered by `mp3` from what it reads anyway, in one pass. True here: memory is [`Peaks::MOST`] numbers, however long
//! the sound is and whatever its header says of its length; all parts are equally long, but for the last.

use std::mem::take;

/// The loudest sample of each part so far.
pub(super) struct Peaks {
    /// Values in one frame.
    channels: usize,
    /// The parts that are full.
    full: Vec<u8>,
    /// Frames in each of them.
    span: u64,
    /// The loudest of the part that is being read.
    loudest: u32,
    /// The frames that it has.
    frames: u64,
}

impl Peaks {
    /// There are never more parts than this, and more than half as many once the sound has so many frames.
    pub(super) const MOST: usize = 256;

    /// Of a sound with `channels` values in a frame; the loudest of a frame counts.
    pub(super) fn new(channels: u16) -> Self {
        let channels = usize::from(channels.max(1));
        Self { channels, full: Vec::with_capacity(Self::MOST), span: 1, loudest: 0, frames: 0 }
    }

    /// Takes whole frames of interleaved samples, of which ±2^31 are the loudest.
    pub(super) fn push(&mut self, mut samples: &[i32]) {
        while !samples.is_empty() {
            let room = usize::try_from(self.span - self.frames).unwrap_or(usize::MAX);
            let (part, rest) = samples.split_at(room.saturating_mul(self.channels).min(samples.len()));
            samples = rest;
            let loudest = part.iter().map(|sample| sample.unsigned_abs()).max().unwrap_or(0);
            self.loudest = self.loudest.max(loudest);
            self.frames += (part.len() / self.channels) as u64;
            if self.frames == self.span {
                if self.full.len() == Self::MOST {
                    self.halve();
                } else {
                    self.end_part();
                }
            }
        }
    }

    /// What was gathered: 0 is silence, 255 as loud as can be. Empty without a frame.
    pub(super) fn finish(mut self) -> Vec<u8> {
        if self.frames > 0 {
            if self.full.len() == Self::MOST {
                self.halve();
            }
            self.end_part();
        }
        self.full
    }

    /// Makes each two parts one of twice the length: the one that is being read is half of one then.
    fn halve(&mut self) {
        self.full = self.full.chunks(2).map(|two| two.iter().copied().max().unwrap_or(0)).collect();
        self.span *= 2;
    }

    /// Keeps the part that is being read, and begins the next.
    fn end_part(&mut self) {
        let byte = (take(&mut self.loudest) >> 23).min(255);
        self.full.push(u8::try_from(byte).unwrap_or(u8::MAX));
        self.frames = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peaks(channels: u16, samples: &[i32], at_a_time: usize) -> Vec<u8> {
        let mut peaks = Peaks::new(channels);
        samples.chunks(at_a_time * usize::from(channels)).for_each(|chunk| peaks.push(chunk));
        peaks.finish()
    }

    fn loud(level: u8) -> i32 {
        i32::from(level) << 23
    }

    #[test]
    fn a_few_frames_are_shown_one_by_one_and_the_loudest_channel_counts() {
        assert_eq!(peaks(1, &[], 1), Vec::<u8>::new());
        assert_eq!(peaks(2, &[loud(3), -loud(7), 0, 0, i32::MIN, 1], 1), [7, 0, 255]);
    }

    #[test]
    fn a_long_sound_is_halved_until_it_fits_and_its_end_is_not_lost() {
        for frames in [255, 256, 257, 511, 512, 513, 5_000, 100_003] {
            // Silence, with the very last frame loud.
            let mut samples = vec![0; frames];
            samples[frames - 1] = loud(200);
            let made = peaks(1, &samples, 8_191);
            assert!(
                made.len() <= Peaks::MOST && made.len() * 2 >= frames.min(Peaks::MOST),
                "{frames}: {}",
                made.len()
            );
            assert_eq!(made.last(), Some(&200), "{frames}");
            assert!(made[..made.len() - 1].iter().all(|peak| *peak == 0), "{frames}");
        }
    }

    #[test]
    fn it_is_the_same_however_it_comes() {
        let samples: Vec<i32> = (0..40_000_u32).map(|n| n.wrapping_mul(2_654_435_761) as i32).collect();
        let whole = peaks(2, &samples, samples.len());
        for at_a_time in [1, 7, 1_000] {
            assert_eq!(peaks(2, &samples, at_a_time), whole);
        }
        // A rise stays one.
        let rise: Vec<i32> = (0..1_000_000).map(|n| n * 2_000).collect();
        assert!(peaks(1, &rise, 4_096).is_sorted());
    }
}
