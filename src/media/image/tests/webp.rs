//! WebP: one picture, a canvas, an animation.

use super::make::{animated_webp, camera, canvas, riff, webp, webp_of};
use super::*;

/// A canvas with these flags, these chunks, and a picture of 43 by 29.
fn extended(flags: u8, before: &[Vec<u8>], behind: &[Vec<u8>]) -> Vec<u8> {
    let picture = webp(43, 29)[12..].to_vec();
    webp_of(&[canvas(flags, 43, 29), before.concat(), picture, behind.concat()])
}

#[test]
fn the_camera_and_the_texts_go_and_the_orientation_stays() {
    for orientation in 1..=8 {
        for name in [&b""[..], b"Exif\0\0"] {
            let exif = riff(b"EXIF", &[name, &camera(true, orientation)].concat());
            let bytes = extended(0x08, &[], &[exif]);
            assert_eq!(told(&bytes), (43, 29, 1, orientation));
            assert_eq!(bared(&bytes).removed, [Removed::Exif, Removed::Gps, Removed::Thumbnail]);
        }
    }
    let stripped = bared(&extended(0x04, &[], &[riff(b"XMP ", b"<x:xmpmeta>secret")]));
    assert!(stripped.removed == [Removed::Xmp] && stripped.bytes == extended(0, &[], &[]));
    let stripped = bared(&extended(0, &[riff(b"JUNK", b"secret")], &[]));
    assert!(stripped.removed == [Removed::Application] && stripped.bytes == extended(0, &[], &[]));
    let stripped = bared(&[&webp(43, 29)[..], b"PK secret"].concat());
    assert!(stripped.removed == [Removed::Trailer] && stripped.bytes == webp(43, 29));
    let beside =
        webp_of(&[webp(43, 29)[12..].to_vec(), riff(b"JUNK", b"secret"), riff(b"EXIF", &camera(true, 6))]);
    assert_eq!(told(&beside), (43, 29, 1, 1), "a file without a header has a picture and nothing else");
    assert!(bared(&beside).bytes == webp(43, 29));
}

#[test]
fn a_profile_stays_where_it_is_announced() {
    let profile = riff(b"ICCP", b"the colours of it");
    let bytes = extended(0x20, std::slice::from_ref(&profile), &[]);
    let stripped = bared(&bytes);
    assert!(stripped.removed.is_empty() && stripped.bytes == bytes);
    let stripped = bared(&extended(0, &[profile], &[]));
    assert!(stripped.removed == [Removed::Application] && stripped.bytes == extended(0, &[], &[]));
    assert!(
        bared(&extended(0x20, &[], &[])).bytes == extended(0, &[], &[]),
        "nor is one announced that is not there"
    );
}

#[test]
fn frames_are_counted_and_strangers_in_them_go() {
    let plain = animated_webp(43, 29);
    assert_eq!(told(&plain), (43, 29, 2, 1));
    assert!(inspect(&plain, &Limits { pixels: 43 * 29 + 5, ..limits() }).is_err());
    assert!(inspect(&plain, &Limits { pixels: 43 * 29 + 6, ..limits() }).is_ok());
    let start = plain.windows(4).rposition(|kind| kind == b"ANMF").unwrap();
    let frame = [&plain[start + 8..], &riff(b"JUNK", b"secret")].concat();
    let bytes = webp_of(&[plain[12..start].to_vec(), riff(b"ANMF", &frame)]);
    let stripped = bared(&bytes);
    assert!(stripped.removed == [Removed::Application] && stripped.bytes == plain);
}

#[test]
fn a_file_that_breaks_the_rules_is_told_which() {
    let plain = webp(43, 29);
    let picture = plain[12..].to_vec();
    let animation = animated_webp(43, 29);
    let mut shaped = plain.clone();
    shaped[20] = 0x2e;
    for (bytes, words) in [
        (plain[..plain.len() - 2].to_vec(), "shorter than it says"),
        (shaped, "no picture in its chunk VP8L"),
        (webp_of(&[]), "cut off within the header"),
        (webp_of(&[canvas(0, 44, 29), picture.clone()]), "not as large as it says"),
        (webp_of(&[canvas(0, 43, 29), picture.clone(), picture.clone()]), "doubled"),
        (webp_of(&[canvas(0, 43, 29)]), "no picture"),
        (webp_of(&[canvas(0x02, 43, 29)]), "no picture"),
        (webp_of(&[canvas(0x02, 43, 29), animation[44..].to_vec()]), "animation is not described"),
        (webp_of(&[canvas(0x02, 42, 29), animation[30..].to_vec()]), "does not lie within the picture"),
        (webp_of(&[canvas(0, 43, 29), canvas(0, 43, 29)]), "two headers"),
        (webp_of(&[riff(b"VP8 ", &[1, 0, 0, 0x9d, 1, 0x2a, 1, 0, 1, 0])]), "no picture in its chunk VP8 "),
    ] {
        assert!(refusal(&bytes).contains(words), "{words}: {}", refusal(&bytes));
    }
    let odd = webp_of(&[riff(b"VP8X", &[0; 10]), riff(b"VP8L", &[0x2f, 0, 0, 0, 0])]);
    assert_eq!(told(&odd[..odd.len() - 1]), (1, 1, 1, 1), "the last byte may lack");
}

#[test]
fn lossless_data_is_paid_for_by_the_tables_that_it_can_ask_for() {
    let plain = look(&webp(43, 29)).unwrap().price;
    let picture = [&webp(43, 29)[20..], &[0; 100_000]].concat();
    let padded = look(&webp_of(&[riff(b"VP8L", &picture)])).unwrap().price;
    assert!(padded >= plain + 100_000 * 500);
}
