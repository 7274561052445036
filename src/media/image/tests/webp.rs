//! WebP: one picture, a canvas, an animation.

use super::make::{
    animated_webp, camera, canvas, grouped, lossy, riff, transparency, webp, webp_frame, webp_of,
};
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
fn lossless_data_is_paid_for_by_the_tables_that_it_asks_for() {
    let price = |chunks: &[Vec<u8>]| look(&webp_of(chunks)).unwrap().price;
    let of = |groups| price(&[grouped(1, 1, groups, false)]);
    let (few, many) = (of(1000), of(3000));
    let tables = 2000 * 5 * 4096;
    assert!((tables..tables * 11 / 10).contains(&(many - few)), "{few} {many}");
    assert!(of(1) < 1 << 20, "{}", of(1));
    // The same in a transparency and in an animation.
    let apart = |groups| price(&[canvas(0x10, 9, 9), transparency(9, 9, Some(groups)), lossy(9, 9)]);
    assert!(apart(3000) - apart(1000) >= tables);
    let moving = |groups| {
        let frame = webp_frame(9, 9, &[grouped(9, 9, groups, false)]);
        price(&[canvas(0x02, 9, 9), riff(b"ANIM", &[0; 6]), frame])
    };
    assert!(moving(3000) - moving(1000) >= tables);
}

#[test]
fn a_bomb_of_tables_is_refused_and_an_honest_file_of_its_size_is_not() {
    let limits = Limits { memory: 256 << 20, ..limits() };
    let bomb = webp_of(&[grouped(1, 1, 65_536, false)]);
    let refusal = inspect(&bomb, &limits).unwrap_err().to_string();
    assert!(refusal.contains("bytes of memory to decode"), "{refusal}");
    // What comes behind the codes is pixels, and asks for nothing.
    let honest = [&webp(430, 290)[20..], &vec![0; bomb.len()]].concat();
    let header = inspect(&webp_of(&[riff(b"VP8L", &honest)]), &limits).unwrap();
    assert!(header.price < 4 << 20, "{}", header.price);
    // What cannot be read costs what its bytes could ask for.
    let nonsense = [&webp(1, 1)[20..25], &vec![0xff; 1 << 20]].concat();
    assert!(inspect(&webp_of(&[riff(b"VP8L", &nonsense)]), &limits).is_err());
}

#[test]
fn every_format_may_be_large_within_the_memory_that_is_the_default() {
    let limits = Limits { memory: 256 << 20, pixels: 40_000_000, ..limits() };
    let (width, height) = (8000, 5000);
    let still = |picture: Vec<u8>| webp_of(&[picture]);
    for (name, bytes, fits) in [
        ("a GIF", [make::gif_head(8000, 5000), make::gif_frame(8000, 5000), vec![0x3b]].concat(), true),
        ("a lossy WebP", still(lossy(width, height)), true),
        ("a transparent lossless WebP", still(grouped(width, height, 2000, true)), true),
        ("a lossless WebP of 32 MP", still(grouped(width, 4000, 1, false)), true),
        ("a lossless WebP", still(grouped(width, height, 1, false)), false),
        (
            "a transparent lossy WebP of 22 MP",
            webp_of(&[canvas(0x10, 5500, 4000), transparency(5500, 4000, Some(1)), lossy(5500, 4000)]),
            true,
        ),
    ] {
        let told = inspect(&bytes, &limits);
        assert_eq!(told.is_ok(), fits, "{name}: {told:?}");
    }
}
