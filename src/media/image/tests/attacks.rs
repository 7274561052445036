//! Files that mean harm: they say that they are huge, are two things at once, or stop in the middle.

use super::*;
use crate::media::Cancel;
use crate::media::image::check;
use make::{Jpeg, chunk, gif, gif_frame, gif_head, jpeg, png, png_head, stored, webp};

#[test]
fn what_claims_to_be_huge_is_refused_by_its_own_words() {
    let tiny = |width, height| {
        [png_head(width, height, 8, 6, false), chunk(b"IDAT", &stored(&[0; 8])), chunk(b"IEND", b"")].concat()
    };
    let still = |width, height| [gif_head(width, height), gif_frame(1, 1), vec![0x3b]].concat();
    let film = |side, frames: usize| {
        [gif_head(side, side), gif_frame(side, side).repeat(frames), vec![0x3b]].concat()
    };
    let mut wide = jpeg(16, 16, Jpeg::default());
    let frame = wide.windows(2).position(|pair| pair == [0xff, 0xc0]).unwrap();
    wide[frame + 5..frame + 9].fill(0xff);
    for (bytes, words) in [
        (
            tiny(16_384, 16_384),
            "it has 268,435,456 pixels (16384 by 16384), more than the 40,000,000 pixels that are allowed",
        ),
        (tiny(30_000, 30_000), "has 900,000,000 pixels"),
        (tiny(0x7fff_ffff, 0x7fff_ffff), "has 4,611,686,014,132,420,609 pixels"),
        (still(65_535, 65_535), "has 4,294,836,225 pixels"),
        (film(5000, 3000), "has 75,000,000,000 pixels (5000 by 5000, 3,000 frames together)"),
        (film(1, 65_535), "has 65,535 frames, more than the 1,000 frames"),
        (wide, "has 4,294,836,225 pixels (65535 by 65535)"),
    ] {
        assert!(refusal(&bytes).contains(words), "{words}: {}", refusal(&bytes));
        assert!(matches!(look(&bytes), Err(ImageError::TooLarge { .. })));
    }
}

#[test]
fn what_would_take_too_much_memory_is_refused_though_its_pixels_are_allowed() {
    let bytes =
        [png_head(6000, 6000, 16, 6, true), chunk(b"IDAT", &stored(&[0; 8])), chunk(b"IEND", b"")].concat();
    assert!(refusal(&bytes).contains("bytes of memory to decode, more than the 201,326,592 bytes"));
}

#[test]
fn what_is_two_things_at_once_is_the_picture_only_or_nothing() {
    let page = b"GIF89a/*<html><script>alert(document.cookie)</script>*/=1;";
    assert!(matches!(look(page), Err(ImageError::Damaged(_))));
    // A comment and a trailer that a browser would run, in a GIF that is one.
    let plain = gif(43, 29, 1);
    let script = make::extension(0xfe, &[b"*/=1;<script>alert(1)</script>"]);
    let both = [make::gif_with(&plain, &[script]), b"<script>alert(2)</script>".to_vec()].concat();
    let stripped = bared(&both);
    assert_eq!(stripped.removed, [Removed::Comment, Removed::Trailer]);
    assert!(stripped.bytes == plain);
}

#[test]
fn what_is_no_picture_is_called_by_its_name() {
    for (bytes, words) in [
        (&b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>"[..], "an SVG drawing"),
        (b"BM\x36\0\0\0\0\0\0\0", "a BMP picture"),
        (b"<!doctype html><script>", "an HTML page"),
        (b"\0\0\0\x20ftypheic\0\0\0\0mif1heic", "a HEIC picture"),
    ] {
        let error = look(bytes).unwrap_err();
        assert!(matches!(&error, ImageError::Unsupported { found, .. } if found == words), "{error}");
    }
}

#[test]
fn a_file_cut_off_anywhere_is_refused() {
    for whole in [
        jpeg(21, 17, Jpeg { progressive: true, restarts: true, halved: true }),
        png(21, 17, true),
        gif(21, 17, 2),
        webp(21, 17),
        make::animated_webp(21, 17),
        make::apng(21, 17, true),
        make::avif("clear420"),
    ] {
        let of = look(&whole).unwrap();
        for length in 0..whole.len() {
            let cut = &whole[..length];
            let error = match look(cut) {
                Err(error) => error,
                // Whether the last scan is all there, decoding tells.
                Ok(header) => {
                    assert_eq!(header.format, Format::Jpeg);
                    let Err(error) = check(cut, &header, &Cancel::new()) else {
                        assert!(length + 3 >= whole.len(), "cut at {length} of {}", whole.len());
                        continue;
                    };
                    error
                }
            };
            assert!(!matches!(error, ImageError::TooLarge { .. } | ImageError::Cancelled), "{error}");
            let told_by_strip = strip(cut, &of, false).is_err();
            assert!(
                told_by_strip || matches!(of.format, Format::Webp | Format::Jpeg),
                "cut at {length} of {}",
                whole.len()
            );
        }
    }
}
