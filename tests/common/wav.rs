//! WAV files for tests, written by hound.

use std::io::Cursor;

/// `seconds` of a stereo sine at 44.1 kHz, 16 bit; `hertz` makes files differ.
pub fn sine(seconds: f64, hertz: f64) -> Vec<u8> {
    let spec = hound::WavSpec {
        channels: 2,
        sample_rate: 44_100,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut bytes = Cursor::new(Vec::new());
    let mut writer = hound::WavWriter::new(&mut bytes, spec).unwrap();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a small positive count")]
    let frames = (seconds * 44_100.0) as u32;
    for frame in 0..frames {
        let angle = f64::from(frame) / 44_100.0 * hertz * std::f64::consts::TAU;
        #[expect(clippy::cast_possible_truncation, reason = "within ±12,000")]
        let sample = (angle.sin() * 12_000.0) as i16;
        writer.write_sample(sample).unwrap();
        writer.write_sample(sample).unwrap();
    }
    writer.finalize().unwrap();
    bytes.into_inner()
}
