//! JPEG: what cameras and programs write, and what is left of it.

use super::make::{Jpeg, camera, jpeg, jpeg_with, rgb, segment};
use super::*;

fn exif(tiff: &[u8]) -> Vec<u8> {
    segment(0xe1, &[b"Exif\0\0", tiff].concat())
}

fn every_way() -> impl Iterator<Item = Vec<u8>> {
    (0..8_u8).map(|bits| {
        jpeg(43, 29, Jpeg { progressive: bits & 1 > 0, restarts: bits & 2 > 0, halved: bits & 4 > 0 })
    })
}

#[test]
fn the_camera_the_place_and_the_small_picture_go_and_the_orientation_stays() {
    for plain in every_way() {
        for little in [false, true] {
            for orientation in 1..=8 {
                let bytes = jpeg_with(&plain, &[exif(&camera(little, orientation))]);
                assert_eq!(told(&bytes), (43, 29, 1, orientation));
                let stripped = bared(&bytes);
                assert_eq!(stripped.removed, [Removed::Exif, Removed::Gps, Removed::Thumbnail]);
                let more = if orientation == 1 { 0 } else { 36 };
                assert_eq!(stripped.bytes.len(), plain.len() + more);
            }
        }
    }
}

#[test]
fn everything_that_is_not_the_picture_goes_and_is_named() {
    let plain = jpeg(43, 29, Jpeg::default());
    let xmp = segment(0xe1, b"http://ns.adobe.com/xap/1.0/\0<x:xmpmeta>secret");
    let long_xmp = segment(
        0xe1,
        b"http://ns.adobe.com/xmp/extension/\x000123456789abcdef0123456789abcdef\0\0\0\x06\0\0\0\0secret",
    );
    for (what, removed) in [
        (xmp, Removed::Xmp),
        (long_xmp, Removed::Xmp),
        (segment(0xed, b"Photoshop 3.0\08BIM secret"), Removed::Iptc),
        (segment(0xfe, b"secret"), Removed::Comment),
        (segment(0xe0, b"JFXX\0\x10secret"), Removed::Thumbnail),
        (segment(0xe2, b"MPF\0secret"), Removed::Application),
        (segment(0xeb, b"JP secret C2PA"), Removed::Application),
        (segment(0xe1, b"secret"), Removed::Application),
        (segment(0xf0, b"secret"), Removed::Application),
        (b"secret".to_vec(), Removed::Application),
    ] {
        // Behind the first segment, which is 18 bytes long.
        let stripped = bared(&[&plain[..20], &what, &plain[20..]].concat());
        assert_eq!(stripped.removed, [removed]);
        assert!(stripped.bytes == plain);
    }
    // Marks without a meaning here, which the decoder of the tests stumbles over.
    let marks = [&plain[..20], &[0xff, 0xd0, 0xff, 0x01], &plain[20..]].concat();
    let stripped = strip(&marks, &look(&marks).unwrap(), false).unwrap();
    assert!(stripped.removed == [Removed::Application] && stripped.bytes == plain);
    let with_trailer = [&plain[..], b"PK\x03\x04 secret archive"].concat();
    let stripped = bared(&with_trailer);
    assert_eq!(stripped.removed, [Removed::Trailer]);
    assert!(stripped.bytes == plain);
}

#[test]
fn a_small_picture_in_the_first_segment_goes_and_the_segment_stays() {
    let plain = jpeg(43, 29, Jpeg::default());
    assert_eq!(&plain[2..4], [0xff, 0xe0]);
    let mut data = plain[6..20].to_vec();
    data[12..14].copy_from_slice(&[2, 1]);
    data.extend(b"secret");
    let bytes = [&plain[..2], &segment(0xe0, &data), &plain[20..]].concat();
    let stripped = bared(&bytes);
    assert_eq!(stripped.removed, [Removed::Thumbnail]);
    assert!(stripped.bytes == plain);
}

#[test]
fn colours_stay_as_they_are_described() {
    let plain = jpeg(43, 29, Jpeg::default());
    let profile = segment(0xe2, b"ICC_PROFILE\0\x01\x01 the colours of this");
    let adobe = segment(0xee, b"Adobe\0\x64\0\0\0\0\x01");
    let long_adobe = segment(0xee, b"Adobe\0\x64\0\0\0\0\x01secret");
    let stripped = bared(&jpeg_with(&plain, &[profile.clone(), adobe.clone()]));
    assert_eq!(stripped.removed, []);
    assert!(has(&stripped.bytes, &profile) && has(&stripped.bytes, &adobe));
    let stripped = bared(&jpeg_with(&plain, &[long_adobe]));
    assert_eq!(stripped.removed, [Removed::Application]);
    assert!(has(&stripped.bytes, &adobe));
}

#[test]
fn fill_bytes_before_markers_are_nothing() {
    let plain = jpeg(43, 29, Jpeg::default());
    let filled =
        [&plain[..2], &[0xff; 9], &plain[2..plain.len() - 2], &[0xff; 5], &plain[plain.len() - 2..]].concat();
    let stripped = bared(&filled);
    assert_eq!(stripped.removed, []);
}

#[test]
fn an_exif_block_between_the_scans_turns_nothing() {
    let plain = jpeg(43, 29, Jpeg { progressive: true, ..Jpeg::default() });
    let second = plain.windows(2).rposition(|pair| pair == [0xff, 0xda]).unwrap();
    let bytes = [&plain[..second], &exif(&camera(true, 6)), &plain[second..]].concat();
    assert_eq!(told(&bytes).3, 1);
    assert!(bared(&bytes).removed.contains(&Removed::Gps));
}

#[test]
fn grey_and_four_colours_are_read_and_other_kinds_are_called_by_their_name() {
    let mut grey = Vec::new();
    let encoder = jpeg_encoder::Encoder::new(&mut grey, 90);
    encoder.encode(&rgb(43, 29)[..43 * 29], 43, 29, jpeg_encoder::ColorType::Luma).unwrap();
    assert_eq!(told(&grey), (43, 29, 1, 1));
    bared(&grey);
    let mut four = Vec::new();
    let encoder = jpeg_encoder::Encoder::new(&mut four, 90);
    encoder.encode(&rgb(40, 30), 30, 30, jpeg_encoder::ColorType::Cmyk).unwrap();
    assert_eq!(told(&four), (30, 30, 1, 1));
    bared(&four);
    let plain = jpeg(43, 29, Jpeg::default());
    let frame = plain.windows(2).position(|pair| pair == [0xff, 0xc0]).unwrap();
    for (at, byte, words) in [
        (1, 0xc3, "a lossless JPEG picture, which is not taken here"),
        (1, 0xc9, "a JPEG picture with arithmetic codes, which is not taken here"),
        (1, 0xde, "a JPEG picture in several sizes"),
        (4, 12, "a JPEG picture of 12 bits a sample"),
        (9, 2, "not one of 2 colour components"),
        (11, 0x50, "sampled in a way that does not exist"),
        (1, 0xd8, "a second picture begins within it"),
        (1, 0x4f, "a marker that means nothing (ff 4f)"),
        (1, 0xfe, "before the frame header"),
    ] {
        let mut bytes = plain.clone();
        bytes[frame + at] = byte;
        assert!(refusal(&bytes).contains(words), "{}", refusal(&bytes));
    }
    let mut flat = plain.clone();
    flat[frame + 5..frame + 7].fill(0);
    assert!(refusal(&flat).contains("no pixels"));
    let doubled = [&plain[..frame], &plain[frame..frame + 19], &plain[frame..]].concat();
    assert!(refusal(&doubled).contains("two frame headers"));
}

#[test]
fn a_picture_in_thousands_of_scans_is_refused() {
    let plain = jpeg(43, 29, Jpeg::default());
    let scan = plain.windows(2).position(|pair| pair == [0xff, 0xda]).unwrap();
    let (head, scan) = (&plain[..scan], &plain[scan..plain.len() - 2]);
    let bytes = [head.to_vec(), scan.repeat(5000), vec![0xff, 0xd9]].concat();
    assert!(refusal(&bytes).contains("has 5000 scans, more than the 100 scans"));
}

#[test]
fn coefficients_are_paid_for_when_the_scans_do_not_come_at_once() {
    let price = |progressive, halved| {
        look(&jpeg(800, 600, Jpeg { progressive, halved, restarts: false })).unwrap().price
    };
    assert!(price(false, false) > 800 * 600 * 3);
    assert!(price(true, false) > price(false, false) + 800 * 600 * 3 * 2 - 100_000);
    assert!(price(true, true) > price(false, true) + 800 * 600 * 3 - 100_000);
    assert!(price(true, true) < price(true, false));
}
