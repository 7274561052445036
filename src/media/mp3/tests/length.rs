//! Sample-exact length, and a whole tag, for every rate, length, number of channels and mode.

use proptest::prelude::*;

use super::decode::decode;
use super::*;
use crate::media::resample::resampled_frames;
use crate::media::wav::testfile::{TestWav, fmt16, sines, wav16};

/// The rates of MP3, and rates that have to be resampled.
const RATES: [u32; 17] = [
    8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000, // MP3's own
    8_001, 18_900, 37_800, 44_056, 64_000, 88_200, 96_000, 192_000,
];

fn check(rate: u32, channels: usize, frames: usize, settings: &Mp3Settings) {
    let case = format!("{frames} frames of {channels} at {rate} Hz, {:?}", settings.mode);
    let (report, mp3) =
        encode(&wav16(channels as u16, rate, &sines(rate, &[440.0, 1_000.0][..channels], frames)), settings);
    let decoded = decode(&mp3);
    let wanted = resampled_frames(frames as u64, rate, report.sample_rate_out);
    for plane in &decoded.planes {
        assert_eq!(plane.len() as u64, wanted, "{case}");
    }
    assert_eq!(report.frames_out, wanted, "{case}");
    assert_eq!((report.frames_in, report.sample_rate_in), (frames as u64, rate), "{case}");
    assert_eq!((decoded.sample_rate, decoded.channels), (report.sample_rate_out, channels), "{case}");
    assert_eq!(report.duration_ms, frames as u64 * 1000 / u64::from(rate), "{case}");
    assert_eq!(
        report.notes.iter().any(|note| note.contains("resampled")),
        rate != report.sample_rate_out,
        "{case}"
    );
}

#[test]
fn a_few_frames_at_every_rate_keep_their_exact_length() {
    for rate in RATES {
        for channels in [1, 2] {
            for frames in [1, 575, 576, 577, 1151, 1152, 1153, 2304, 2305] {
                for settings in [cbr(128), vbr(2)] {
                    check(rate, channels, frames, &settings);
                }
            }
        }
    }
}

#[test]
fn one_second_at_every_rate_keeps_its_exact_length() {
    for rate in RATES {
        for channels in [1, 2] {
            for settings in [cbr(128), cbr(64), vbr(2), vbr(9)] {
                check(rate, channels, rate as usize, &settings);
            }
        }
    }
}

#[test]
fn ten_seconds_keep_their_exact_length() {
    for (rate, channels) in [(8_000, 1), (22_050, 2), (44_100, 2), (48_000, 1), (96_000, 2)] {
        for settings in [cbr(128), vbr(2)] {
            check(rate, channels, 10 * rate as usize, &settings);
        }
    }
}

#[test]
fn every_bit_rate_and_quality_has_a_whole_tag() {
    for rate in [8_000, 16_000, 44_100, 48_000] {
        for channels in [1, 2] {
            for kbps in CbrKbps::ALLOWED {
                check(rate, channels, 20_000, &cbr(kbps));
            }
            for quality in 0..=9 {
                check(rate, channels, 20_000, &vbr(quality));
            }
        }
    }
}

#[test]
fn the_rate_of_the_mp3_is_the_next_one_up_and_keeps_its_family() {
    for (rate, wanted) in [
        (8_000, 8_000),
        (8_001, 11_025),
        (18_900, 22_050),
        (37_800, 44_100),
        (44_056, 44_100),
        (44_101, 48_000),
        (88_200, 44_100),
        (176_400, 44_100),
        (64_000, 48_000),
        (96_000, 48_000),
        (192_000, 48_000),
    ] {
        assert_eq!(mp3_rate(rate), wanted, "{rate} Hz");
    }
}

#[test]
fn a_bit_rate_that_the_rate_does_not_have_becomes_the_nearest_and_is_noted() {
    let (report, mp3) = encode(&wav16(1, 8_000, &sines(8_000, &[440.0], 8_000)), &cbr(320));
    assert!(decode(&mp3).kbps.iter().all(|kbps| *kbps == 64));
    assert_eq!(report.notes, ["320 kbit/s does not exist at 8000 Hz: 64 was used"]);
}

#[test]
fn cbr_is_constant_and_vbr_follows_the_sound() {
    // A second of silence, then a second of a chord.
    let mut samples = vec![0_i16; 88_200];
    samples.extend(sines(44_100, &[440.0, 3_000.0], 44_100));
    let wav = wav16(2, 44_100, &samples);
    let (_, constant) = encode(&wav, &cbr(128));
    assert!(decode(&constant).kbps.iter().all(|kbps| *kbps == 128));
    let (_, variable) = encode(&wav, &vbr(2));
    let kbps = decode(&variable).kbps;
    assert!(kbps[10] <= 32 && kbps[60] > 32, "{kbps:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    // LAME is compiled with its assertions: a value that it does not expect would abort the process.
    #[test]
    fn any_bytes_as_samples_in_any_format_give_a_whole_mp3(
        (tag, bits) in prop_oneof![Just((1_u16, 8_u16)), Just((1, 16)), Just((1, 24)), Just((1, 32)), Just((3, 32)), Just((3, 64)), Just((6, 8)), Just((7, 8))],
        channels in 1_u16..=8,
        rate in prop_oneof![prop::sample::select(RATES.to_vec()), 8_000_u32..=192_000],
        settings in prop_oneof![prop::sample::select(CbrKbps::ALLOWED.to_vec()).prop_map(cbr), (0_u8..=9).prop_map(vbr)],
        effort in 3_u8..=9,
        mono in any::<bool>(),
        frames in 1_usize..6_000,
        seed in any::<u64>(),
    ) {
        let mut state = seed | 1;
        let data: Vec<u8> = (0..frames * usize::from(channels) * usize::from(bits / 8))
            .map(|_| {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                (state >> 32) as u8
            })
            .collect();
        let settings = Mp3Settings {
            channels: if mono { ChannelMode::Mono } else { ChannelMode::Auto },
            effort: effort.try_into().unwrap(),
            ..settings
        };
        let (report, mp3) = encode(&TestWav::new().fmt(&fmt16(tag, channels, rate, bits)).data(&data).build(), &settings);
        let decoded = decode(&mp3);
        let wanted = resampled_frames(frames as u64, rate, report.sample_rate_out);
        prop_assert!(decoded.planes.iter().all(|plane| plane.len() as u64 == wanted));
        prop_assert_eq!(decoded.channels, if mono { 1 } else { usize::from(channels.min(2)) });
    }
}
