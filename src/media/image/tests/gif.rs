//! GIF: frames, loops, and what hides between the blocks.

use super::make::{extension, gif, gif_frame, gif_head, gif_with};
use super::*;

#[test]
fn comments_texts_and_data_of_programs_go_and_the_loop_stays() {
    let plain = gif(43, 29, 3);
    assert_eq!(told(&plain), (43, 29, 3, 1));
    let xmp = extension(0xff, &[b"XMP DataXMP", b"<x:xmpmeta>secret"]);
    for (what, removed) in [
        (extension(0xfe, &[b"secret", b"secret"]), Removed::Comment),
        (extension(0x01, &[&[0; 12], b"secret"]), Removed::Text),
        (xmp, Removed::Xmp),
        (extension(0xff, &[b"MGK8BIM0000", b"secret"]), Removed::Application),
        (extension(0xff, &[b"NETSCAPE2.0", b"secret"]), Removed::Application),
        (extension(0xce, &[b"secret"]), Removed::Application),
        (extension(0xff, &[b"NETSCAPE2.0\x03\x01\x02\x03 secret"]), Removed::Application),
        (extension(0xff, &[]), Removed::Application),
    ] {
        let stripped = strip_by_us(&gif_with(&plain, &[what]));
        assert_eq!(stripped.removed, [removed]);
        assert!(stripped.bytes == plain);
    }
    let trailer = [&plain[..], b"<script>secret</script>"].concat();
    let stripped = bared(&trailer);
    assert!(stripped.removed == [Removed::Trailer] && stripped.bytes == plain);
}

/// The decoder of the tests does not read unknown extensions; what is left is compared with the plain file instead.
fn strip_by_us(bytes: &[u8]) -> Stripped {
    strip(bytes, &look(bytes).unwrap(), false).unwrap()
}

#[test]
fn a_loop_keeps_its_number_and_nothing_behind_it() {
    let plain = gif(43, 29, 2);
    let looped = extension(0xff, &[b"ANIMEXTS1.0", &[1, 7, 0]]);
    let more = extension(0xff, &[b"ANIMEXTS1.0", &[1, 7, 0], b"secret"]);
    let profile = extension(0xff, &[b"ICCRGBG1012", b"the colours"]);
    let bytes = gif_with(&plain, &[looped.clone(), profile.clone()]);
    let stripped = bared(&bytes);
    assert!(stripped.removed.is_empty() && stripped.bytes == bytes);
    let stripped = bared(&gif_with(&plain, &[more]));
    assert!(stripped.removed == [Removed::Application] && has(&stripped.bytes, &looped));
}

#[test]
fn frames_count_by_their_own_size_and_the_screen_counts_too() {
    let file = |head: Vec<u8>, frames: &[Vec<u8>]| [head, frames.concat(), vec![0x3b]].concat();
    let small = file(gif_head(10, 10), &[gif_frame(1, 1), gif_frame(1, 1)]);
    assert_eq!(told(&small), (10, 10, 2, 1));
    assert!(inspect(&small, &Limits { pixels: 99, ..limits() }).is_err(), "the screen has 100");
    let large = file(gif_head(10, 10), &[gif_frame(20, 20), gif_frame(20, 20)]);
    assert!(inspect(&large, &Limits { pixels: 799, ..limits() }).is_err(), "frames may be larger");
    assert!(inspect(&large, &Limits { pixels: 800, ..limits() }).is_ok());
    assert!(look(&large).unwrap().price >= 400 * 5 + 100 * 4);
}

#[test]
fn a_file_that_breaks_the_rules_is_told_which() {
    let file = |blocks: &[&[u8]]| [gif_head(10, 10), blocks.concat()].concat();
    let frame = gif_frame(1, 1);
    let mut coded = frame.clone();
    coded[10] = 12;
    for (bytes, words) in [
        (file(&[&[0x3b]]), "no frames"),
        (file(&[&frame]), "the trailer is missing"),
        (file(&[&frame[..5]]), "cut off within a frame"),
        (file(&[&frame[..12]]), "cut off within a block"),
        (file(&[&frame, &[0x21]]), "the trailer is missing"),
        (file(&[&frame, &[0, 0x3b]]), "something begins with 00"),
        (file(&[&extension(0xf9, &[b"abc"]), &frame, &[0x3b]]), "not of four bytes"),
        (file(&[&gif_frame(0, 1), &[0x3b]]), "a frame has no pixels"),
        (file(&[&coded, &[0x3b]]), "begin with 12 bits"),
        ([gif_head(0, 10), frame.clone(), vec![0x3b]].concat(), "no pixels (0 by 10)"),
        ([b"GIF89a\x01\0\x01\0\0\0\0".to_vec(), frame.clone(), vec![0x3b]].concat(), "no colours"),
        (b"GIF89a".to_vec(), "cut off within the header"),
    ] {
        assert!(refusal(&bytes).contains(words), "{words}: {}", refusal(&bytes));
    }
}
