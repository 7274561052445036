//! Sample forms and layouts of files, with what comes out of them.

use super::super::testfile::{fmt_ex, fmt40};
use super::*;

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
