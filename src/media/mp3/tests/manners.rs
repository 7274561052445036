//! How `transcode` treats its caller: progress, cancel, errors, a target that is not empty.

use std::io::{self, Cursor, Seek, SeekFrom, Write};

use super::decode::decode;
use super::*;
use crate::media::wav::testfile::{sines, wav16};

fn one_minute() -> Vec<u8> {
    wav16(1, 8_000, &sines(8_000, &[440.0], 480_000))
}

fn open(wav: &[u8]) -> WavReader<Cursor<&[u8]>> {
    WavReader::open(Cursor::new(wav)).unwrap()
}

#[test]
fn progress_starts_at_nothing_rises_and_ends_at_all() {
    let wav = one_minute();
    let mut told = Vec::new();
    transcode(open(&wav), Cursor::new(Vec::new()), &vbr(5), &Cancel::new(), &mut |p| told.push(p)).unwrap();
    assert_eq!(told.first(), Some(&Progress { done: 0, total: 480_000 }));
    assert_eq!(told.last(), Some(&Progress { done: 480_000, total: 480_000 }));
    assert!(told.is_sorted_by_key(|p| p.done));
    assert!((6..=10).contains(&told.len()), "{} calls", told.len());
}

#[test]
fn a_raised_flag_stops_the_work_at_the_next_chunk() {
    let wav = one_minute();
    let cancel = Cancel::new();
    let mut calls = 0;
    let result = transcode(open(&wav), Cursor::new(Vec::new()), &vbr(5), &cancel, &mut |p| {
        calls += 1;
        if p.done > 0 {
            cancel.cancel();
        }
    });
    assert_eq!(calls, 2);
    match result {
        Err(TranscodeError::Cancelled { done, total: 480_000 }) => {
            assert!(done < 80_000, "went on to {done}")
        }
        other => panic!("not cancelled: {other:?}"),
    }
}

#[test]
fn a_full_disk_is_an_output_error() {
    struct Full;
    impl Write for Full {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::StorageFull.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    impl Seek for Full {
        fn seek(&mut self, _: SeekFrom) -> io::Result<u64> {
            Ok(0)
        }
    }
    let wav = one_minute();
    for settings in [vbr(2), cbr(8)] {
        match transcode(open(&wav), Full, &settings, &Cancel::new(), &mut |_| {}) {
            Err(TranscodeError::Output(error)) => assert_eq!(error.kind(), io::ErrorKind::StorageFull),
            other => panic!("no output error: {other:?}"),
        }
    }
}

#[test]
fn what_stands_before_the_mp3_is_left_alone_and_the_end_is_the_position() {
    let wav = wav16(2, 44_100, &sines(44_100, &[440.0, 880.0], 5_000));
    for settings in [vbr(2), cbr(32), cbr(320)] {
        let mut output = Cursor::new(b"before".to_vec());
        output.set_position(6);
        let report = transcode(open(&wav), &mut output, &settings, &Cancel::new(), &mut |_| {}).unwrap();
        assert_eq!(output.position(), 6 + report.bytes);
        let bytes = output.into_inner();
        assert_eq!(&bytes[..6], b"before");
        assert_eq!(bytes[6..], encode(&wav, &settings).1);
        assert_eq!(decode(&bytes[6..]).planes[0].len() as u64, report.frames_out);
    }
}

#[test]
fn the_notes_of_the_reader_come_first_and_the_report_is_json() {
    let mut wav = wav16(2, 96_000, &sines(96_000, &[440.0, 880.0], 9_600));
    wav[40..44].fill(0xFF);
    let (report, _) = encode(&wav, &vbr(2));
    assert!(report.notes[0].contains("does not give the length"), "{:?}", report.notes);
    assert_eq!(report.notes[1], "resampled from 96000 to 48000 Hz");
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!((json["frames_in"].as_u64(), json["duration_ms"].as_u64()), (Some(9_600), Some(100)));
}
