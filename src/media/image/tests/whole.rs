//! JPEGs with harmless faults, which everybody shows and which become whole; and those that only look like them.

use super::make::{Jpeg, jpeg, segment};
use super::*;
use crate::media::Cancel;
use crate::media::image::{Encoding, Spec, check, variant};

fn every_way() -> impl Iterator<Item = Vec<u8>> {
    (0..8_u8).map(|bits| {
        jpeg(43, 29, Jpeg { progressive: bits & 1 > 0, restarts: bits & 2 > 0, halved: bits & 4 > 0 })
    })
}

fn sound(bytes: &[u8]) -> Result<(), ImageError> {
    check(bytes, &look(bytes)?, &Cancel::new())
}

/// The pixels as we see them.
fn pixels(bytes: &[u8]) -> Vec<u8> {
    sound(bytes).unwrap();
    let spec = Spec { format: Some(Encoding::Png), ..Spec::default() };
    variant(bytes, &look(bytes).unwrap(), &spec, &Cancel::new()).unwrap().bytes
}

fn find(bytes: &[u8], marker: u8) -> usize {
    bytes.windows(2).position(|pair| pair == [0xff, marker]).unwrap()
}

/// Its tables of codes taken out.
fn without_codes(plain: &[u8]) -> Vec<u8> {
    let mut bytes = plain.to_vec();
    while let Some(at) = bytes.windows(2).position(|pair| pair == [0xff, 0xc4]) {
        let length = usize::from(u16::from_be_bytes([bytes[at + 2], bytes[at + 3]]));
        bytes.drain(at..at + 2 + length);
    }
    bytes
}

#[test]
fn only_the_end_marker_may_be_missing_and_it_is_written() {
    for plain in every_way() {
        let picture = &plain[..plain.len() - 2];
        for end in [&[][..], &[0xff], &[0xff; 3]] {
            let bytes = [picture, end].concat();
            assert!(pixels(&bytes) == pixels(&plain));
            let header = look(&bytes).unwrap();
            let stripped = strip(&bytes, &header, false).unwrap();
            assert!(stripped.bytes == plain && stripped.removed.is_empty());
            let kept = strip(&bytes, &header, true).unwrap();
            assert!(kept.bytes == [&bytes[..], &[0xff, 0xd9]].concat() && kept.removed.is_empty());
        }
    }
}

#[test]
fn a_scan_that_is_cut_off_or_missing_is_damage_with_and_without_an_end_marker() {
    for plain in every_way() {
        let from = find(&plain, 0xda);
        // The last byte may be fill bits only.
        for length in from..plain.len() - 3 {
            assert!(matches!(sound(&plain[..length]), Err(ImageError::Damaged(_))), "{length}");
        }
    }
    let plain = jpeg(43, 29, Jpeg { progressive: true, ..Jpeg::default() });
    let scans: Vec<usize> = (0..plain.len() - 1).filter(|at| plain[*at..][..2] == [0xff, 0xda]).collect();
    assert!(scans.len() > 3);
    for scan in &scans[1..] {
        assert!(refusal(&plain[..*scan]).contains("the end marker is missing"));
    }
    // The first coefficients of a component are lost, and the others come without what they are built upon.
    let lost = [&plain[..scans[0]], &plain[scans[1]..]].concat();
    assert!(sound(&lost).unwrap_err().to_string().contains("a scan header makes no sense"));
}

#[test]
fn what_stands_between_segments_hides_nothing_and_goes() {
    for plain in every_way() {
        let scan = find(&plain, 0xda);
        for between in [&b"\x12\xff\0\x34"[..], b"\xff\xd3\xff\x01", b"\xff\xff\xff"] {
            let bytes = [&plain[..scan], between, &plain[scan..]].concat();
            assert!(pixels(&bytes) == pixels(&plain));
            assert!(strip(&bytes, &look(&bytes).unwrap(), false).unwrap().bytes == plain);
        }
        // Within a scan it may be the picture that is there and not known as such.
        let end = plain.len() - 2;
        let bytes = [&plain[..end], b"\x12\x34\x56", &plain[end..]].concat();
        assert!(sound(&bytes).unwrap_err().to_string().contains("left over"));
    }
}

#[test]
fn codes_that_are_left_out_are_the_typical_ones() {
    for restarts in [false, true] {
        let plain = jpeg(43, 29, Jpeg { restarts, ..Jpeg::default() });
        // The encoder uses the typical codes.
        let bytes = without_codes(&plain);
        assert!(bytes.len() < plain.len() - 400);
        assert!(pixels(&bytes) == pixels(&plain));
    }
    let progressive = without_codes(&jpeg(43, 29, Jpeg { progressive: true, ..Jpeg::default() }));
    assert!(sound(&progressive).unwrap_err().to_string().contains("a table is missing"));
}

#[test]
fn components_of_one_name_are_meant_in_order() {
    let plain = jpeg(43, 29, Jpeg { halved: true, ..Jpeg::default() });
    let (frame, scan) = (find(&plain, 0xc0), find(&plain, 0xda));
    let mut bytes = plain.clone();
    for component in 0..3 {
        bytes[frame + 10 + 3 * component] = 1;
        bytes[scan + 5 + 2 * component] = 1;
    }
    assert!(pixels(&bytes) == pixels(&plain));
    let nameless = bytes.len() - 2;
    assert!(pixels(&bytes[..nameless]) == pixels(&plain));
}

#[test]
fn a_height_that_is_told_once_more_is_nothing_and_one_that_is_told_only_then_is_not_read() {
    let plain = jpeg(43, 29, Jpeg::default());
    let end = plain.len() - 2;
    let mut bytes = [&plain[..end], &segment(0xdc, &[0, 29]), &plain[end..]].concat();
    assert!(pixels(&bytes) == pixels(&plain));
    assert!(strip(&bytes, &look(&bytes).unwrap(), false).unwrap().bytes == plain);
    let frame = find(&bytes, 0xc0);
    bytes[frame + 5..frame + 7].fill(0);
    assert!(refusal(&bytes).contains("tells its height at its end"));
}

#[test]
fn what_is_said_of_colours_counts_before_the_picture_only_and_in_full() {
    let plain = jpeg(43, 29, Jpeg { progressive: true, ..Jpeg::default() });
    let later = plain.windows(2).rposition(|pair| pair == [0xff, 0xda]).unwrap();
    let adobe = segment(0xee, b"Adobe\0\x64\0\0\0\0\0");
    // Without JFIF, Adobe's word counts.
    let bare = [&plain[..2], &plain[20..]].concat();
    let told = [&plain[..2], &adobe, &plain[20..]].concat();
    assert!(pixels(&bare) == pixels(&plain) && pixels(&told) != pixels(&plain));
    let late = [&plain[..2], &plain[20..later], &adobe, &plain[later..]].concat();
    assert!(pixels(&late) == pixels(&plain));
    let short = [&plain[..2], &segment(0xe0, b"JFIF\0\x01\x02"), &adobe, &plain[20..]].concat();
    assert!(pixels(&short) == pixels(&told), "a JFIF segment that is too short is none");
    let profile = segment(0xe2, b"ICC_PROFILE\0\x01\x01 hidden");
    let hidden = [&plain[..later], &profile, &plain[later..]].concat();
    assert!(strip(&hidden, &look(&hidden).unwrap(), false).unwrap().bytes == plain);
}
