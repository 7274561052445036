//! What is refused, for which reason and in which class.

use super::super::testfile::{fmt_ex, fmt40};
use super::*;

#[test]
fn every_refusal_names_its_cause_and_has_its_class() {
    use WavErrorClass::{Malformed, UnsupportedType};
    let with_fmt = |fmt: Vec<u8>| TestWav::new().fmt(&fmt).data(&[0; 64]).build();
    let riff = |form: &[u8; 4]| [b"RIFF\x10\0\0\0".as_slice(), form, &[0; 64]].concat();
    let ambisonic = [
        fmt40(1, 4, 48_000, 16, 16, 0)[..24].to_vec(),
        vec![1, 0, 0, 0, 0x21, 7, 0xD3, 0x11, 0x86, 0x44, 0xC8, 0xC1, 0xCA, 0, 0, 0],
    ]
    .concat();
    let table: Vec<(Vec<u8>, WavErrorClass, &str)> = vec![
        (vec![], UnsupportedType, "empty"),
        (b"ID3\x04\0\0\0\0\0\0".to_vec(), UnsupportedType, "MP3"),
        (vec![0xFF, 0xFB, 0x90, 0x64, 0], UnsupportedType, "MP3"),
        (vec![0xFF, 0xF1, 0x50, 0x80, 0], UnsupportedType, "AAC"),
        (b"OggS\0\x02".to_vec(), UnsupportedType, "Ogg"),
        (b"fLaC\0\0\0\x22".to_vec(), UnsupportedType, "FLAC"),
        (vec![0x1A, 0x45, 0xDF, 0xA3, 0x9F], UnsupportedType, "WebM"),
        (b"\0\0\0\x20ftypM4A \0".to_vec(), UnsupportedType, "M4A"),
        (b"FORM\0\0\0\0AIFFCOMM".to_vec(), UnsupportedType, "AIFF"),
        (b"FORM\0\0\0\0AIFCFVER".to_vec(), UnsupportedType, "AIFF"),
        (b"RIFX\0\0\0\0WAVEfmt ".to_vec(), UnsupportedType, "RIFX"),
        (b"riff\x2E\x91\xCF\x11\xA5\xD6\x28\xDB\x04\xC1\0\0".to_vec(), UnsupportedType, "Wave64"),
        (riff(b"AVI "), UnsupportedType, "AVI video"),
        (riff(b"WEBP"), UnsupportedType, "\"WEBP\""),
        (b"caff\0\x01".to_vec(), UnsupportedType, "CAF"),
        (b".snd\0\0\0\x18".to_vec(), UnsupportedType, ".au"),
        (b"#!AMR\n<".to_vec(), UnsupportedType, "AMR"),
        (vec![0x30, 0x26, 0xB2, 0x75, 0x8E], UnsupportedType, "ASF"),
        (
            "<!doctype html><p>привет, this is long enough to be cut in the midst of a letter ё".into(),
            UnsupportedType,
            "text",
        ),
        (vec![1, 2, 3], UnsupportedType, "\\x01\\x02\\x03"),
        (with_fmt(fmt_ex(2, 1, 8_000, 4, 32)), UnsupportedType, "MS ADPCM"),
        (with_fmt(fmt_ex(0x11, 1, 8_000, 4, 2)), UnsupportedType, "IMA ADPCM (format tag 0x0011)"),
        (with_fmt(fmt_ex(0x31, 1, 8_000, 0, 2)), UnsupportedType, "GSM 6.10"),
        (with_fmt(fmt_ex(0x55, 2, 44_100, 0, 12)), UnsupportedType, "is MP3 already"),
        (with_fmt(fmt40(0x92, 2, 48_000, 16, 16, 0)), UnsupportedType, "AC-3"),
        (with_fmt(fmt16(0x7777, 2, 48_000, 16)), UnsupportedType, "0x7777"),
        (with_fmt(ambisonic), UnsupportedType, "00000001-0721-11D3-8644-C8C1CA000000"),
        (b"RIFF".to_vec(), Malformed, "ends after 4 bytes"),
        (b"RIFF\0\0\0\0WAV".to_vec(), Malformed, "ends after 11 bytes"),
        (b"RIFF\0\0\0\0WAVE".to_vec(), Malformed, "no fmt chunk"),
        (with_fmt(fmt16(1, 0, 44_100, 16)), Malformed, "0 channels"),
        (with_fmt(fmt16(1, 9, 44_100, 16)), Malformed, "9 channels"),
        (with_fmt(fmt16(1, 65_535, 44_100, 16)), Malformed, "65535 channels"),
        (with_fmt(fmt16(1, 1, 0, 16)), Malformed, "0 Hz"),
        (with_fmt(fmt16(1, 1, 7_999, 16)), Malformed, "7999 Hz"),
        (with_fmt(fmt16(1, 1, 192_001, 16)), Malformed, "192001 Hz"),
        (with_fmt(fmt16(1, 1, u32::MAX, 16)), Malformed, "4294967295 Hz"),
        (with_fmt(fmt16(1, 1, 44_100, 0)), Malformed, "PCM samples of 0 bits"),
        (with_fmt(fmt16(1, 1, 44_100, 64)), Malformed, "PCM samples of 64 bits"),
        (with_fmt(fmt16(1, 1, 44_100, 65_535)), Malformed, "65535 bits"),
        (with_fmt(fmt16(3, 1, 44_100, 16)), Malformed, "float samples of 16 bits"),
        (with_fmt(fmt16(1, 1, 44_100, 16)[..14].to_vec()), Malformed, "14 bytes where 16 are needed"),
        (with_fmt(fmt_ex(0xFFFE, 1, 44_100, 16, 0)), Malformed, "18 bytes where 40 are needed"),
        (TestWav::new().fmt(&[1, 0]).build()[..22].to_vec(), Malformed, "2 bytes where 16"),
        (arranged(|w, _, d| w.data(d)), Malformed, "no fmt chunk"),
        (arranged(|w, f, d| w.data(d).fmt(f)), Malformed, "data chunk before its fmt"),
        (
            arranged(|w, f, _| w.chunk(b"LIST", b"x").fmt(f)),
            Malformed,
            "the chunks found: \"LIST\", \"fmt \"",
        ),
        (arranged(|w, f, _| w.fmt(f).data(&[])), Malformed, "no samples (0 bytes"),
        (arranged(|w, f, _| w.fmt(f).data(&[]).chunk(b"LIST", b"INFOxyz")), Malformed, "no samples (0 bytes"),
        (
            arranged(|w, f, _| w.fmt(f).data(&[7])),
            Malformed,
            "no samples (1 bytes of audio data, a frame needs 2)",
        ),
        (arranged(|w, f, _| w.fmt(f).chunk_sized(b"data", &[], u32::MAX)), Malformed, "no samples"),
        (
            arranged(|w, f, d| (0..5000).fold(w, |w, _| w.chunk(b"JUNK", &[])).fmt(f).data(d)),
            Malformed,
            "4096 chunks",
        ),
        (arranged(|w, f, d| w.chunk_sized(b"JUNK", &[], u32::MAX).fmt(f).data(d)), Malformed, "no fmt chunk"),
    ];
    for (bytes, class, told) in table {
        let error = read_all(&bytes).err().unwrap_or_else(|| panic!("accepted, wanted {told}"));
        assert!(error.to_string().contains(told), "wanted {told}: {error}");
        assert_eq!(error.class(), class, "{error}");
        assert_eq!(error.is_unsupported_type(), class == UnsupportedType);
        assert!(!error.is_io());
    }
}
