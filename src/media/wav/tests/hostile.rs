//! Files larger than memory, files that change, cut files and random bytes.

use std::io::{self, Read, Seek, SeekFrom};

use proptest::prelude::*;

use super::super::testfile::{fmt40, wav16};
use super::*;

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
