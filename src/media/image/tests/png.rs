//! PNG and APNG: what is kept, what goes, and what breaks the rules.

use super::make::{apng, bomb, camera, chunk, interlaced, png, png_head, png_with, stored};
use super::*;

#[test]
fn texts_times_and_the_camera_go_and_the_orientation_stays() {
    let plain = png(43, 29, false);
    for (what, removed) in [
        (chunk(b"tEXt", b"Author\0secret"), Removed::Text),
        (chunk(b"zTXt", b"Author\0\0secret"), Removed::Text),
        (chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0secret"), Removed::Xmp),
        (chunk(b"zTXt", b"Raw profile type exif\0\0secret"), Removed::Exif),
        (chunk(b"zTXt", b"Raw profile type iptc\0\0secret"), Removed::Iptc),
        (chunk(b"tIME", &[7, 230, 1, 1, 1, 1, 1]), Removed::Time),
        (chunk(b"caBX", b"secret"), Removed::Application),
        (chunk(b"gAMA", b"\0\0\xb1\x8fsecret"), Removed::Application),
    ] {
        let stripped = bared(&png_with(&plain, &[what]));
        assert_eq!(stripped.removed, [removed]);
        assert!(stripped.bytes == plain);
    }
    // The decoder of the tests does not read a frame without an animation.
    let stray = png_with(&plain, &[chunk(b"fcTL", b"secret")]);
    let stripped = strip(&stray, &look(&stray).unwrap(), false).unwrap();
    assert!(stripped.removed == [Removed::Application] && stripped.bytes == plain);
    for little in [false, true] {
        for orientation in 1..=8 {
            let bytes = png_with(&plain, &[chunk(b"eXIf", &camera(little, orientation))]);
            assert_eq!(told(&bytes), (43, 29, 1, orientation));
            assert_eq!(bared(&bytes).removed, [Removed::Exif, Removed::Gps, Removed::Thumbnail]);
        }
    }
    let trailer = [&plain[..], b"<script>alert(1)</script>"].concat();
    assert_eq!(bared(&trailer).removed, [Removed::Trailer]);
}

#[test]
fn colours_and_sizes_stay() {
    let plain = png(43, 29, true);
    let kept = [
        chunk(b"gAMA", &[0, 0, 0xb1, 0x8f]),
        chunk(b"cHRM", &[0; 32]),
        chunk(b"sBIT", &[5, 6, 5]),
        chunk(b"pHYs", &[0, 0, 0x0b, 0x13, 0, 0, 0x0b, 0x13, 1]),
        chunk(b"bKGD", &[0; 6]),
        chunk(b"iCCP", &[b"colours\0\0", &stored(b"a profile")[..]].concat()),
        chunk(b"cICP", &[1, 13, 0, 1]),
    ];
    let bytes = png_with(&plain, &kept);
    let stripped = bared(&bytes);
    assert_eq!(stripped.removed, []);
    assert!(stripped.bytes == bytes);
}

#[test]
fn frames_are_those_of_the_animation() {
    assert_eq!(told(&apng(43, 29, false)), (43, 29, 3, 1));
    let apart = apng(43, 29, true);
    assert_eq!(told(&apart), (43, 29, 3, 1));
    for pixels in [2 * 43 * 29 + 6, 3 * 43 * 29 + 6] {
        let tight = Limits { pixels: pixels - 1, ..limits() };
        let bytes = apng(43, 29, pixels > 3 * 43 * 29);
        assert!(inspect(&bytes, &tight).unwrap_err().to_string().contains("3 frames together"));
        assert!(inspect(&bytes, &Limits { pixels, ..limits() }).is_ok());
        bared(&bytes);
    }
    let few = Limits { frames: 2, ..limits() };
    assert!(inspect(&apart, &few).unwrap_err().to_string().contains("has 3 frames, more than the 2 frames"));
    let late =
        [&apart[..apart.len() - 12], &chunk(b"acTL", &[0, 0, 0, 9, 0, 0, 0, 0]), &apart[apart.len() - 12..]];
    assert_eq!(told(&late.concat()).2, 3, "an animation that is described behind the data is none");
}

#[test]
fn interlaced_pictures_are_held_whole_and_others_by_the_row() {
    for deep in [false, true] {
        let bytes = interlaced(43, 29, deep);
        assert_eq!(told(&bytes), (43, 29, 1, 1));
        bared(&bytes);
    }
    let price = |deep| look(&interlaced(600, 400, deep)).unwrap().price;
    assert!(price(false) > 600 * 400 * 4 && price(true) > 600 * 400 * 8);
    assert!(look(&png(600, 400, true)).unwrap().price < 600 * 400 * 6);
}

#[test]
fn a_file_that_breaks_the_rules_is_told_which() {
    let plain = png(43, 29, false);
    let data = chunk(b"IDAT", &stored(&[0; 2]));
    let end = chunk(b"IEND", b"");
    let file = |head: &[u8], chunks: &[&[u8]]| [head, &chunks.concat()].concat();
    let grey = png_head(1, 1, 8, 0, false);
    for (bytes, words) in [
        (png_head(1, 1, 3, 0, false), "colours that do not exist"),
        (png_head(1, 1, 16, 3, false), "colours that do not exist"),
        (png_head(1, 0x8000_0000, 8, 0, false), "sides that no PNG may have"),
        (file(&png_head(0, 1, 8, 0, false), &[&data, &end]), "no pixels (0 by 1)"),
        (file(&grey, &[&end]), "no data"),
        (file(&grey, &[&data]), "the last chunk (IEND) is missing"),
        (file(&grey, &[&data, &chunk(b"tIME", b""), &data, &end]), "its data is in two places"),
        (file(&grey, &[&grey[8..], &data, &end]), "two headers"),
        (file(&grey, &[&chunk(b"CgBI", b""), &data, &end]), "has to know and this one does not: CgBI"),
        (file(&grey, &[&chunk(b"PLTE", &[0; 3]), &data, &end]), "palette"),
        (file(&png_head(1, 1, 8, 3, false), &[&data, &end]), "no palette"),
        (file(&grey, &[&chunk(b"acTL", &[0; 8]), &data, &end]), "no frames"),
        (file(&grey, &[&chunk(b"acTL", &[0, 0, 0, 1, 0, 0, 0, 0]), &data, &end]), "0 frames and claims 1"),
        (plain[..plain.len() - 13].to_vec(), "cut off"),
        (plain[..8].to_vec(), "cut off"),
        (png_with(&plain, &[b"\xff\xff\xff\xffjunk".to_vec()]), "no chunk where one should begin"),
    ] {
        assert!(refusal(&bytes).contains(words), "{words}: {}", refusal(&bytes));
    }
    let mut flipped = plain.clone();
    flipped[60] ^= 1;
    assert!(refusal(&flipped).contains("the check sum of its chunk IDAT is wrong"));
}

#[test]
fn bombs_are_not_inflated() {
    let plain = png(43, 29, false);
    let zeros = bomb(64 << 20);
    assert!(zeros.len() < 1 << 20, "{} bytes", zeros.len());
    let text = png_with(&plain, &[chunk(b"zTXt", &[b"a\0\0", &zeros[..]].concat())]);
    let stripped = bared(&text);
    assert!(stripped.removed == [Removed::Text] && stripped.bytes == plain);
    let profile = png_with(&plain, &[chunk(b"iCCP", &[b"a\0\0", &zeros.repeat(32)[..]].concat())]);
    assert!(
        refusal(&profile).contains("bytes, compressed, more than the 1,048,576 bytes"),
        "{}",
        refusal(&profile)
    );
}
