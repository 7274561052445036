//! What is heard: levels, channels, depth.

use std::f64::consts::TAU;

use super::decode::decode;
use super::*;
use crate::media::wav::testfile::{TestWav, fmt_ex, fmt16, fmt40, sines, wav16};

/// Amplitude of a frequency in a plane, its edges left out.
fn level(plane: &[f32], rate: u32, hertz: f64) -> f64 {
    let middle = &plane[plane.len() / 8..plane.len() * 7 / 8];
    let (mut re, mut im) = (0.0, 0.0);
    for (n, x) in middle.iter().enumerate() {
        let phase = TAU * hertz * n as f64 / f64::from(rate);
        re += f64::from(*x) * phase.cos();
        im += f64::from(*x) * phase.sin();
    }
    2.0 * (re * re + im * im).sqrt() / middle.len() as f64
}

/// Signal-to-noise ratio in dB against a sine of this amplitude, its edges left out.
fn snr(plane: &[f32], rate: u32, hertz: f64, amplitude: f64) -> f64 {
    let (mut signal, mut noise) = (0.0, 0.0);
    for (n, x) in plane.iter().enumerate().take(plane.len() * 7 / 8).skip(plane.len() / 8) {
        let wanted = amplitude * (TAU * hertz * n as f64 / f64::from(rate)).sin();
        signal += wanted * wanted;
        noise += (f64::from(*x) - wanted).powi(2);
    }
    10.0 * (signal / noise).log10()
}

fn db(ratio: f64) -> f64 {
    20.0 * ratio.log10()
}

#[test]
fn a_sine_comes_back_in_its_place_at_every_rate() {
    for (rate, hertz) in [
        (8_000, 440.0),
        (22_050, 1_000.0),
        (44_100, 440.0),
        (48_000, 1_000.0),
        (96_000, 440.0),
        (37_800, 440.0),
        (192_000, 1_000.0),
    ] {
        for settings in [cbr(128), vbr(2)] {
            let (report, mp3) = encode(&wav16(1, rate, &sines(rate, &[hertz], rate as usize)), &settings);
            let decoded = decode(&mp3);
            let heard = level(&decoded.planes[0], report.sample_rate_out, hertz);
            assert!((-0.5..0.05).contains(&db(heard / 0.5)), "{rate} Hz, {:?}: {heard}", settings.mode);
            let snr = snr(&decoded.planes[0], report.sample_rate_out, hertz, heard);
            assert!(snr > 30.0, "{rate} Hz, {:?}: {snr:.1} dB", settings.mode);
        }
    }
}

#[test]
fn left_is_left_and_right_is_right() {
    for rate in [44_100, 96_000] {
        for settings in [cbr(192), vbr(0)] {
            let (report, mp3) =
                encode(&wav16(2, rate, &sines(rate, &[440.0, 3_000.0], rate as usize)), &settings);
            let decoded = decode(&mp3);
            for (plane, own, other) in [(0, 440.0, 3_000.0), (1, 3_000.0, 440.0)] {
                let plane = &decoded.planes[plane];
                let own = level(plane, report.sample_rate_out, own);
                let other = level(plane, report.sample_rate_out, other);
                assert!((0.47..0.505).contains(&own) && other < 0.005, "{rate} Hz: {own:.4} and {other:.4}");
            }
        }
    }
}

#[test]
fn every_encoding_is_heard_at_its_full_level() {
    let sine = |n: usize| 0.5 * (TAU * 440.0 * n as f64 / 44_100.0).sin();
    let build = |fmt: &[u8], sample: &dyn Fn(f64) -> Vec<u8>| {
        let data: Vec<u8> = (0..44_100).flat_map(|n| sample(sine(n))).collect();
        TestWav::new().fmt(fmt).data(&data).build()
    };
    let scaled = |x: f64, bits: u32| (x * f64::from(1_u32 << (bits - 1))).round() as i32;
    let files = [
        ("8 bit", build(&fmt16(1, 1, 44_100, 8), &|x| vec![(scaled(x, 8) + 128) as u8])),
        ("16 bit", build(&fmt16(1, 1, 44_100, 16), &|x| (scaled(x, 16) as i16).to_le_bytes().to_vec())),
        ("24 bit", build(&fmt16(1, 1, 44_100, 24), &|x| scaled(x, 24).to_le_bytes()[..3].to_vec())),
        ("32 bit", build(&fmt40(1, 1, 44_100, 32, 32, 4), &|x| scaled(x, 32).to_le_bytes().to_vec())),
        ("float32", build(&fmt_ex(3, 1, 44_100, 32, 0), &|x| (x as f32).to_le_bytes().to_vec())),
        ("float64", build(&fmt16(3, 1, 44_100, 64), &|x| x.to_le_bytes().to_vec())),
    ];
    for (name, wav) in files {
        let (_, mp3) = encode(&wav, &vbr(2));
        let heard = db(level(&decode(&mp3).planes[0], 44_100, 440.0) / 0.5);
        assert!(heard.abs() < 0.1, "{name}: {heard:.3} dB off");
    }
}

#[test]
fn a_24_bit_file_gives_the_bytes_of_the_16_bit_file_that_it_repeats() {
    let samples = sines(44_100, &[440.0, 1_234.0], 44_100);
    let bytes24: Vec<u8> = samples.iter().flat_map(|x| [0, x.to_le_bytes()[0], x.to_le_bytes()[1]]).collect();
    let wav24 = TestWav::new().fmt(&fmt16(1, 2, 44_100, 24)).data(&bytes24).build();
    assert_eq!(encode(&wav24, &vbr(2)).1, encode(&wav16(2, 44_100, &samples), &vbr(2)).1);
}

#[test]
fn five_one_is_heard_at_the_levels_of_the_downmix() {
    let hertz = [500.0, 700.0, 1_100.0, 60.0, 1_700.0, 2_300.0];
    let samples = sines(48_000, &hertz, 48_000);
    let data: Vec<u8> = samples.iter().flat_map(|x| x.to_le_bytes()).collect();
    let wav = TestWav::new().fmt(&fmt40(1, 6, 48_000, 16, 16, 0x3F)).data(&data).build();
    let (report, mp3) = encode(&wav, &vbr(0));
    assert_eq!((report.channels_in, report.channels_out), (6, 2));
    assert!(
        report.notes.iter().any(|note| note == "6 channels were mixed down to stereo"),
        "{:?}",
        report.notes
    );
    let planes = decode(&mp3).planes;
    let front = 0.5 / (1.0 + std::f64::consts::SQRT_2);
    let side = front * std::f64::consts::FRAC_1_SQRT_2;
    for (at, (left, right)) in
        [(front, 0.0), (0.0, front), (side, side), (0.0, 0.0), (side, 0.0), (0.0, side)].iter().enumerate()
    {
        let heard = (level(&planes[0], 48_000, hertz[at]), level(&planes[1], 48_000, hertz[at]));
        assert!((heard.0 - left).abs() < 0.005 && (heard.1 - right).abs() < 0.005, "channel {at}: {heard:?}");
    }
}

#[test]
fn mono_is_asked_for_and_given() {
    let settings = Mp3Settings { channels: ChannelMode::Mono, ..vbr(2) };
    let (report, mp3) = encode(&wav16(2, 44_100, &sines(44_100, &[440.0, 3_000.0], 44_100)), &settings);
    assert_eq!(report.channels_out, 1);
    let planes = decode(&mp3).planes;
    assert_eq!(planes.len(), 1);
    for hertz in [440.0, 3_000.0] {
        let heard = level(&planes[0], 44_100, hertz);
        assert!((heard - 0.25).abs() < 0.005, "{hertz} Hz at {heard}");
    }
}

#[test]
fn floats_out_of_range_are_encoded_as_if_clipped() {
    let build = |sample: &dyn Fn(usize) -> f32| {
        let data: Vec<u8> = (0..44_100).flat_map(|n| sample(n).to_le_bytes()).collect();
        TestWav::new().fmt(&fmt16(3, 1, 44_100, 32)).data(&data).build()
    };
    let wild = build(&|n| match n % 7 {
        0 => f32::NAN,
        1 => f32::INFINITY,
        2 => f32::NEG_INFINITY,
        3 => 3.0e38,
        4 => -7.0,
        _ => 0.25,
    });
    let tame = build(&|n| match n % 7 {
        0 => 0.0,
        1 | 3 => 1.0,
        2 | 4 => -1.0,
        _ => 0.25,
    });
    assert_eq!(encode(&wild, &vbr(2)).1, encode(&tame, &vbr(2)).1);
}
