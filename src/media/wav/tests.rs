//! Every form of WAV that is read, every one that is refused, and hostile bytes.

use std::io::{self, Cursor, Read, Seek, SeekFrom};

use proptest::prelude::*;

use super::testfile::{TestWav, bytes16, fmt_ex, fmt16, fmt40, wav16};
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

#[test]
fn every_sample_form_becomes_full_scale_integers() {
    let float32: Vec<u8> = [0.0_f32, 0.5, -1.0, 1.0, 2.5, f32::NAN, f32::NEG_INFINITY, f32::INFINITY]
        .iter()
        .flat_map(|x| x.to_le_bytes())
        .collect();
    let float64: Vec<u8> = [0.0_f64, 0.5, -1.0, 1.0, 2.5, f64::NAN, f64::NEG_INFINITY, f64::INFINITY]
        .iter()
        .flat_map(|x| x.to_le_bytes())
        .collect();
    let floats = vec![0, 1 << 30, i32::MIN, i32::MAX, i32::MAX, 0, i32::MIN, i32::MAX];
    let bytes24 = [0x01, 0x00, 0x00, 0xFF, 0xFF, 0x7F, 0x00, 0x00, 0x80];
    let wide24 = vec![0x100, 0x7FFF_FF00, i32::MIN];
    let bytes32: Vec<u8> = [1_i32, -1, i32::MAX, i32::MIN].iter().flat_map(|x| x.to_le_bytes()).collect();
    let wide32 = vec![1, -1, i32::MAX, i32::MIN];
    // 20 valid bits in 3 bytes: left-justified, so the same as 24.
    let bytes20 = [0x10, 0x00, 0x00, 0xF0, 0xFF, 0x7F];
    let wide20 = vec![0x1000, 0x7FFF_F000];

    type Case<'a> = (&'a str, Vec<u8>, &'a [u8], Vec<i32>);
    let table: Vec<Case<'_>> = vec![
        ("8 bit", fmt16(1, 1, 8_000, 8), &[128, 129, 0, 255], vec![0, 1 << 24, i32::MIN, 127 << 24]),
        ("16 bit", fmt16(1, 1, 44_100, 16), &[0, 0, 1, 0, 0, 0x80], vec![0, 1 << 16, i32::MIN]),
        ("12 bit in 16", fmt16(1, 1, 44_100, 12), &[0x10, 0x00, 0xF0, 0x7F], vec![0x10_0000, 0x7FF0_0000]),
        ("24 bit", fmt16(1, 1, 48_000, 24), &bytes24, wide24.clone()),
        ("24 bit, fmt 18", fmt_ex(1, 1, 48_000, 24, 0), &bytes24, wide24.clone()),
        ("24 bit extensible", fmt40(1, 1, 48_000, 24, 24, 4), &bytes24, wide24),
        ("20 bit in 24", fmt16(1, 1, 48_000, 20), &bytes20, wide20.clone()),
        ("20 bit in 24, extensible", fmt40(1, 1, 48_000, 24, 20, 4), &bytes20, wide20),
        ("32 bit", fmt16(1, 1, 96_000, 32), &bytes32, wide32.clone()),
        ("32 bit, fmt 18", fmt_ex(1, 1, 96_000, 32, 0), &bytes32, wide32.clone()),
        ("24 bit in 32, extensible", fmt40(1, 1, 96_000, 32, 24, 4), &bytes32, wide32),
        ("float32", fmt16(3, 1, 44_100, 32), &float32, floats.clone()),
        ("float32, fmt 18", fmt_ex(3, 1, 44_100, 32, 0), &float32, floats.clone()),
        ("float32 extensible", fmt40(3, 1, 44_100, 32, 32, 0), &float32, floats.clone()),
        ("float64", fmt16(3, 1, 192_000, 64), &float64, floats.clone()),
        ("float64 extensible", fmt40(3, 1, 192_000, 64, 64, 0), &float64, floats),
        (
            "A-law",
            fmt_ex(6, 1, 8_000, 8, 0),
            &[0xD5, 0x55, 0xAA, 0x2A],
            vec![8 << 16, -8 << 16, 32_256 << 16, -32_256 << 16],
        ),
        ("A-law extensible", fmt40(6, 1, 8_000, 8, 8, 4), &[0xD5], vec![8 << 16]),
        (
            "mu-law",
            fmt_ex(7, 1, 8_000, 8, 0),
            &[0xFF, 0x7F, 0x80, 0x00],
            vec![0, 0, 32_124 << 16, -32_124 << 16],
        ),
        ("mu-law, bits 16", fmt16(7, 1, 8_000, 16), &[0x80], vec![32_124 << 16]),
        ("fmt 20", [fmt_ex(1, 1, 44_100, 16, 0), vec![0; 2]].concat(), &[1, 0], vec![1 << 16]),
        ("fmt 22", fmt_ex(1, 1, 44_100, 16, 4), &[1, 0], vec![1 << 16]),
        ("fmt 28", fmt_ex(1, 1, 44_100, 16, 10), &[1, 0], vec![1 << 16]),
        ("fmt 40 with tag 1", fmt_ex(1, 1, 44_100, 16, 22), &[1, 0], vec![1 << 16]),
    ];
    for (name, fmt, data, wanted) in table {
        let (_, samples, _) = read_all(&TestWav::new().fmt(&fmt).data(data).build()).expect(name);
        assert_eq!(samples, wanted, "{name}");
    }
}

#[test]
fn a_wider_container_is_believed_when_block_align_and_byte_rate_agree() {
    let mut fmt = fmt16(1, 2, 48_000, 24);
    fmt[8..12].copy_from_slice(&(48_000_u32 * 8).to_le_bytes());
    fmt[12..14].copy_from_slice(&8_u16.to_le_bytes());
    let data: Vec<u8> = [0x0100_0000_i32, -256].iter().flat_map(|x| x.to_le_bytes()).collect();
    let (format, samples, notes) = read_all(&TestWav::new().fmt(&fmt).data(&data).build()).unwrap();
    assert_eq!((format.bits, format.valid_bits, format.block_align), (32, 24, 8));
    assert_eq!(samples, [0x0100_0000, -256]);
    assert!(notes.is_empty(), "{notes:?}");
}

#[test]
fn the_format_says_what_the_header_says() {
    for (channels, rate) in [(1, 8_000), (2, 11_025), (3, 37_800), (6, 48_000), (8, 192_000)] {
        let bytes = TestWav::new().fmt(&fmt40(1, channels, rate, 16, 12, 0x3F)).data(&[0; 16 * 2]).build();
        let wav = WavReader::open(Cursor::new(bytes)).unwrap();
        let wanted = Format {
            encoding: Encoding::Pcm,
            channels,
            sample_rate: rate,
            bits: 16,
            valid_bits: 12,
            channel_mask: Some(0x3F),
            block_align: channels * 2,
        };
        assert_eq!((*wav.format(), wav.frames()), (wanted, 16 / u64::from(channels)));
    }
}

#[test]
fn careless_files_are_read_whole_and_the_repair_is_noted() {
    let odd = b"INFOINAM\x01\x00\x00\x00x";
    let ds64 = |data: u64| [&0_u64.to_le_bytes()[..], &data.to_le_bytes(), &[0; 12]].concat();
    let rf64 = |magic: &[u8; 4], size: u64| {
        let mut wav = TestWav::new().chunk(b"ds64", &ds64(size)).fmt(&fmt16(1, 1, 44_100, 16));
        wav.magic = *magic;
        wav.chunk_sized(b"data", &bytes16(&SAMPLES), u32::MAX)
    };
    let table: Vec<(&str, Vec<u8>, &[&str])> = vec![
        ("plain", arranged(|w, f, d| w.fmt(f).data(d)), &[]),
        (
            "chunks before",
            arranged(|w, f, d| {
                w.chunk(b"JUNK", &[0; 28]).chunk(b"bext", &[b'x'; 602]).fmt(f).chunk(b"fact", &[0; 8]).data(d)
            }),
            &[],
        ),
        (
            "chunks after",
            arranged(|w, f, d| w.fmt(f).data(d).chunk(b"LIST", odd).chunk(b"id3 ", &[9; 11])),
            &[],
        ),
        (
            "odd chunk padded",
            arranged(|w, f, d| w.chunk(b"LIST", odd).fmt(f).chunk(b"junk", &[0; 3]).data(d)),
            &[],
        ),
        (
            "odd chunk not padded",
            arranged(|w, f, d| {
                w.chunk_sized(b"LIST", odd, 13).fmt(f).chunk_sized(b"abcd", b"odd", 3).data(d)
            }),
            &[],
        ),
        (
            "unknown chunk, not padded",
            arranged(|w, f, d| w.fmt(f).chunk_sized(b"LIST", odd, 13).chunk(b"zz\x7Ez", &[1; 2]).data(d)),
            &[],
        ),
        (
            "odd chunk padded with rubbish",
            arranged(|w, f, d| w.chunk_sized(b"LIST", &[odd, &b"\xAB"[..]].concat(), 13).fmt(f).data(d)),
            &[],
        ),
        (
            "streamed by ffmpeg",
            arranged(|mut w, f, d| {
                w.riff_size = Some(u32::MAX);
                w.fmt(f).chunk_sized(b"data", d, u32::MAX)
            }),
            &["does not give the length"],
        ),
        (
            "streamed by sox",
            arranged(|w, f, d| w.fmt(f).chunk_sized(b"data", d, 0x7FFF_F000)),
            &["does not give the length"],
        ),
        (
            "never closed",
            arranged(|mut w, f, d| {
                w.riff_size = Some(0);
                w.fmt(f).chunk_sized(b"data", d, 0)
            }),
            &["data size was 0"],
        ),
        (
            "cut off",
            arranged(|w, f, d| w.fmt(f).chunk_sized(b"data", d, 1000)),
            &["declares 1000 bytes but the file holds 12"],
        ),
        (
            "cut off inside a frame",
            arranged(|w, f, d| w.fmt(f).chunk_sized(b"data", &[d, &[1]].concat(), 1000)),
            &["declares 1000", "last 1 bytes are not a whole frame"],
        ),
        (
            "RIFF size too small",
            arranged(|mut w, f, d| {
                w.riff_size = Some(4);
                w.fmt(f).data(d)
            }),
            &[],
        ),
        (
            "RIFF size too large",
            arranged(|mut w, f, d| {
                w.riff_size = Some(0x7FFF_FFFF);
                w.fmt(f).data(d)
            }),
            &[],
        ),
        (
            "two fmt chunks",
            arranged(|w, f, d| w.fmt(f).fmt(&fmt16(1, 2, 8_000, 8)).data(d)),
            &["second fmt chunk"],
        ),
        (
            "block align and byte rate wrong",
            arranged(|w, f, d| {
                let mut fmt = f.to_vec();
                fmt[8..14].copy_from_slice(&[1, 0, 0, 0, 0, 0]);
                w.fmt(&fmt).data(d)
            }),
            &["block align was 0; 2 was used", "byte rate of 1"],
        ),
        ("RF64", rf64(b"RF64", 12).build(), &[]),
        ("BW64", rf64(b"BW64", 12).build(), &[]),
        ("RF64 with a chunk after", rf64(b"RF64", 12).chunk(b"LIST", odd).build(), &[]),
        ("RF64 cut off", rf64(b"RF64", 1 << 40).build(), &["it is cut off"]),
        ("RF64 never closed", rf64(b"RF64", 0).build(), &["data size was 0"]),
        (
            "RF64 without ds64",
            arranged(|mut w, f, d| {
                w.magic = *b"RF64";
                w.fmt(f).chunk_sized(b"data", d, u32::MAX)
            }),
            &["does not give the length"],
        ),
        (
            "RF64 with a short data size",
            arranged(|mut w, f, d| {
                w.magic = *b"RF64";
                w.chunk(b"ds64", &ds64(99)).fmt(f).data(d)
            }),
            &[],
        ),
    ];
    for (name, bytes, wanted_notes) in table {
        let (_, samples, notes) = read_all(&bytes).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(samples, wide(), "{name}");
        assert_eq!(notes.len(), wanted_notes.len(), "{name}: {notes:?}");
        for (note, wanted) in notes.iter().zip(wanted_notes) {
            assert!(note.contains(wanted), "{name}: {note}");
        }
    }
}

#[test]
fn what_hound_writes_is_read_as_hound_reads_it() {
    for (channels, bits, float) in [
        (1, 8, false),
        (2, 16, false),
        (1, 24, false),
        (2, 24, false),
        (2, 32, false),
        (6, 16, false),
        (8, 24, false),
        (2, 32, true),
    ] {
        let sample_format = if float { hound::SampleFormat::Float } else { hound::SampleFormat::Int };
        let spec = hound::WavSpec { channels, sample_rate: 44_100, bits_per_sample: bits, sample_format };
        let mut bytes = Cursor::new(Vec::new());
        let mut writer = hound::WavWriter::new(&mut bytes, spec).unwrap();
        let mut state = 1_u32;
        for _ in 0..i32::from(channels) * 9001 {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let sample = state as i32 >> (32 - bits);
            if float {
                writer.write_sample(sample as f32 / 2_147_483_648.0).unwrap();
            } else {
                writer.write_sample(sample).unwrap();
            }
        }
        writer.finalize().unwrap();
        let bytes = bytes.into_inner();
        let mut reader = hound::WavReader::new(Cursor::new(&bytes)).unwrap();
        let wanted: Vec<i32> = if float {
            reader.samples::<f32>().map(|x| full_scale(x.unwrap())).collect()
        } else {
            reader.samples::<i32>().map(|x| x.unwrap() << (32 - bits)).collect()
        };
        let (format, samples, notes) = read_all(&bytes).unwrap();
        assert_eq!((format.channels, format.bits, notes), (channels, bits, vec![]));
        assert!(samples == wanted, "{channels} channels of {bits} bits differ");
    }
}

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
        (riff(b"AVI "), UnsupportedType, "AVI"),
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

/// A file of any length: a beginning, then zeros. Notes the largest read that was asked for.
struct Sparse {
    head: Vec<u8>,
    length: u64,
    at: u64,
    largest: usize,
}

impl Sparse {
    fn new(head: Vec<u8>, length: u64) -> Self {
        Self { head, length, at: 0, largest: 0 }
    }
}

impl Read for Sparse {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.largest = self.largest.max(buffer.len());
        let count =
            buffer.len().min(usize::try_from(self.length.saturating_sub(self.at)).unwrap_or(usize::MAX));
        for (offset, byte) in buffer[..count].iter_mut().enumerate() {
            *byte = self.head.get(self.at as usize + offset).copied().unwrap_or(0);
        }
        self.at += count as u64;
        Ok(count)
    }
}

impl Seek for Sparse {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.at = match to {
            SeekFrom::Start(at) => at,
            SeekFrom::End(by) => self.length.saturating_add_signed(by),
            SeekFrom::Current(by) => self.at.saturating_add_signed(by),
        };
        Ok(self.at)
    }
}

#[test]
fn a_size_that_wrapped_past_4_gib_is_seen_through() {
    let five_gib = 5_u64 << 30;
    let mut head = wav16(2, 48_000, &[]);
    head[40..44].copy_from_slice(&((five_gib - 44) as u32).to_le_bytes());
    let wav = WavReader::open(Sparse::new(head, five_gib)).unwrap();
    assert_eq!(wav.frames(), (five_gib - 44) / 4);
    assert!(wav.notes()[0].contains("overflowed past 4 GiB"), "{:?}", wav.notes());
}

#[test]
fn a_large_rf64_is_read_to_its_end_with_a_small_buffer() {
    let frames = 20_000_000_000_u64;
    let ds64 = [&0_u64.to_le_bytes()[..], &(frames * 2).to_le_bytes(), &[0; 12]].concat();
    let mut file = TestWav::new().chunk(b"ds64", &ds64).fmt(&fmt16(1, 1, 44_100, 16)).chunk_sized(
        b"data",
        &[],
        u32::MAX,
    );
    file.magic = *b"RF64";
    let head = file.build();
    let length = head.len() as u64 + frames * 2;
    let mut wav = WavReader::open(Sparse::new(head, length)).unwrap();
    assert_eq!(wav.frames(), frames);
    let mut samples = Vec::new();
    for _ in 0..3 {
        assert_eq!(wav.read(&mut samples).unwrap(), MAX_CHUNK_FRAMES);
    }
    assert_eq!(wav.inner.largest, MAX_CHUNK_FRAMES * 2);
}

#[test]
fn a_file_that_shrinks_while_it_is_read_ends_early_with_a_note() {
    let samples = vec![1; 20_000];
    let mut wav = WavReader::open(Sparse::new(wav16(1, 8_000, &samples), 44 + 40_000)).unwrap();
    let mut out = Vec::new();
    wav.read(&mut out).unwrap();
    wav.inner.length = 44 + 20_001;
    assert_eq!(wav.read(&mut out).unwrap(), 10_000 - MAX_CHUNK_FRAMES);
    assert_eq!(wav.read(&mut out).unwrap(), 0);
    assert_eq!((wav.frames(), wav.frames_read()), (10_000, 10_000));
    assert!(wav.notes()[0].contains("ended after 10000 of 20000 frames"));
}

#[test]
fn an_io_error_is_told_apart_from_a_bad_file() {
    struct Broken;
    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("the disk is gone"))
        }
    }
    impl Seek for Broken {
        fn seek(&mut self, _: SeekFrom) -> io::Result<u64> {
            Ok(100)
        }
    }
    let error = WavReader::open(Broken).err().unwrap();
    assert!(error.is_io() && !error.is_unsupported_type(), "{error}");
    assert!(error.to_string().contains("the disk is gone"));
}

#[test]
fn a_file_cut_at_any_byte_gives_its_whole_frames_or_a_reason() {
    let bytes = TestWav::new()
        .chunk(b"LIST", b"odd")
        .fmt(&fmt40(1, 2, 44_100, 24, 24, 3))
        .data(&[5; 60])
        .chunk(b"LIST", b"more")
        .build();
    let data = bytes.windows(4).position(|w| w == b"data").unwrap() + 8;
    for length in 0..=bytes.len() {
        match read_all(&bytes[..length]) {
            Ok((_, samples, _)) => {
                assert_eq!(samples.len(), (length - data).min(60) / 6 * 2, "cut at {length}")
            }
            Err(error) => assert!(length < data + 6, "cut at {length}: {error}"),
        }
    }
}

/// Opens and reads; whatever it says, it must neither panic nor ask for large reads.
fn survive(bytes: Vec<u8>) {
    let length = bytes.len() as u64;
    let mut sparse = Sparse::new(bytes, length);
    if let Ok(mut wav) = WavReader::open(&mut sparse) {
        let mut samples = Vec::new();
        let mut total = 0;
        while let Ok(1..) = wav.read(&mut samples) {
            total += samples.len() as u64;
        }
        assert!(total <= length);
        assert!(samples.capacity() <= 8 * MAX_CHUNK_FRAMES);
    }
    assert!(sparse.largest <= 64 * MAX_CHUNK_FRAMES);
}

proptest! {
    #[test]
    fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        survive([b"RIFF\0\0\0\0WAVE", &bytes[..]].concat());
        survive(bytes);
    }

    #[test]
    fn headers_with_random_bytes_in_them_never_panic(
        changes in proptest::collection::vec((0_usize..140, any::<u8>()), 1..12),
        wide in any::<bool>(),
    ) {
        let mut file = TestWav::new()
            .chunk(b"ds64", &[0; 28])
            .chunk(b"LIST", b"odd")
            .fmt(&fmt40(1, 2, 44_100, 24, 24, 3))
            .data(&[5; 60])
            .chunk(b"LIST", b"more");
        if wide {
            file.magic = *b"RF64";
        }
        let mut bytes = file.build();
        for (at, byte) in changes {
            if let Some(place) = bytes.get_mut(at) {
                *place = byte;
            }
        }
        survive(bytes);
    }

    #[test]
    fn any_fields_in_the_fmt_chunk_never_panic(
        tag in prop_oneof![Just(1_u16), Just(3), Just(6), Just(7), Just(0xFFFE), any::<u16>()],
        channels in prop_oneof![0_u16..10, any::<u16>()],
        rate in prop_oneof![7_000_u32..200_000, any::<u32>()],
        (byte_rate, align, bits) in (any::<u32>(), any::<u16>(), prop_oneof![0_u16..70, any::<u16>()]),
        (valid, mask, size) in (any::<u16>(), any::<u32>(), any::<u32>()),
    ) {
        let mut fmt = fmt40(tag, channels, rate, bits, valid, mask);
        fmt[0..2].copy_from_slice(&tag.to_le_bytes());
        fmt[8..12].copy_from_slice(&byte_rate.to_le_bytes());
        fmt[12..14].copy_from_slice(&align.to_le_bytes());
        survive(TestWav::new().fmt(&fmt).chunk_sized(b"data", &[1; 300], size).build());
    }
}
