//! Every form of WAV that is read, every one that is refused, and hostile bytes.

mod forms;
mod hostile;
mod refusals;

use std::io::Cursor;

use super::testfile::{TestWav, bytes16, fmt16};
use super::*;

fn read_all(bytes: &[u8]) -> Result<(Format, Vec<i32>, Vec<String>), WavError> {
    let mut wav = WavReader::open(Cursor::new(bytes))?;
    let (mut all, mut chunk) = (Vec::new(), Vec::new());
    let mut frames = 0;
    loop {
        let got = wav.read(&mut chunk)?;
        assert_eq!(chunk.len(), got * usize::from(wav.format().channels));
        if got == 0 {
            break;
        }
        frames += got as u64;
        all.extend_from_slice(&chunk);
    }
    assert_eq!((frames, wav.frames_read()), (wav.frames(), wav.frames()));
    Ok((*wav.format(), all, wav.notes().to_vec()))
}

const SAMPLES: [i16; 6] = [0, 1, -1, i16::MAX, i16::MIN, 0x1234];

fn wide() -> Vec<i32> {
    SAMPLES.iter().map(|sample| i32::from(*sample) << 16).collect()
}

/// A mono 16-bit file with `SAMPLES`, its chunks arranged by `arrange`.
fn arranged(arrange: impl FnOnce(TestWav, &[u8], &[u8]) -> TestWav) -> Vec<u8> {
    arrange(TestWav::new(), &fmt16(1, 1, 44_100, 16), &bytes16(&SAMPLES)).build()
}
