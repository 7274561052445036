//! What the MP3s are, seen by a decoder that is not LAME and by a parser of the LAME tag that is not the one that wrote.

mod content;
mod decode;
mod length;
mod manners;

use std::io::Cursor;

use super::*;
use crate::media::wav::WavReader;

/// Encodes a WAV in memory.
fn encode(wav: &[u8], settings: &Mp3Settings) -> (Transcoded, Vec<u8>) {
    let mut mp3 = Cursor::new(Vec::new());
    let wav = WavReader::open(Cursor::new(wav)).unwrap();
    let report = transcode(wav, &mut mp3, settings, &Cancel::new(), &mut |_| {}).unwrap();
    let mp3 = mp3.into_inner();
    assert_eq!(report.bytes, mp3.len() as u64);
    (report, mp3)
}

fn cbr(kbps: u16) -> Mp3Settings {
    Mp3Settings { mode: Mode::Cbr(kbps.try_into().unwrap()), ..Mp3Settings::default() }
}

fn vbr(quality: u8) -> Mp3Settings {
    Mp3Settings { mode: Mode::Vbr(quality.try_into().unwrap()), ..Mp3Settings::default() }
}
