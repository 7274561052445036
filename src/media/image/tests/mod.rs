//! The gate, on real pictures and on files that mean harm.

mod attacks;
mod avif;
mod decode;
mod gif;
mod jpeg;
mod make;
mod mutations;
mod png;
mod variant;
mod webp;
mod whole;

use super::{Format, Header, ImageError, Limits, Orientation, Removed, Stripped, inspect, strip};

/// The limits of the settings, and every format.
fn limits() -> Limits {
    Limits { formats: Format::ALL.into_iter().collect(), pixels: 40_000_000, frames: 1000, memory: 192 << 20 }
}

fn look(bytes: &[u8]) -> Result<Header, ImageError> {
    inspect(bytes, &limits())
}

/// Width, height, frames and orientation.
fn told(bytes: &[u8]) -> (u32, u32, u32, u16) {
    let header = look(bytes).unwrap();
    (header.width, header.height, header.frames, header.orientation as u16)
}

/// Why it is refused.
fn refusal(bytes: &[u8]) -> String {
    look(bytes).unwrap_err().to_string()
}

/// Strips it, and checks what holds for every picture: the same header, the same pixels, and nothing left to take.
fn bared(bytes: &[u8]) -> Stripped {
    let before = look(bytes).unwrap();
    let stripped = strip(bytes, &before, false).unwrap();
    let after = look(&stripped.bytes).unwrap();
    assert_eq!(Header { price: 0, ..after.clone() }, Header { price: 0, ..before.clone() });
    let again = strip(&stripped.bytes, &after, false).unwrap();
    assert_eq!(again.removed, []);
    assert!(again.bytes == stripped.bytes, "stripping again changes it");
    assert!(frames(bytes, before.format) == frames(&stripped.bytes, before.format), "the pixels changed");
    for word in ["secret", "<script", "Cam\0"] {
        assert!(!has(&stripped.bytes, word.as_bytes()), "{word} is left");
    }
    let kept = strip(bytes, &before, true).unwrap();
    assert!(kept.bytes == bytes && kept.removed.is_empty(), "what is to be kept is not touched");
    stripped
}

fn has(bytes: &[u8], word: &[u8]) -> bool {
    bytes.windows(word.len()).any(|window| window == word)
}

/// The pixels of every frame, and how long it is shown.
fn frames(bytes: &[u8], format: Format) -> Vec<(Vec<u8>, (u32, u32))> {
    use image::AnimationDecoder;
    use std::io::Cursor;
    let all = |frames: image::Frames<'_>| {
        let frame = |frame: image::Frame| (frame.buffer().as_raw().clone(), frame.delay().numer_denom_ms());
        frames.map(|decoded| frame(decoded.unwrap())).collect()
    };
    let still = || {
        let picture = image::load_from_memory(bytes).unwrap();
        vec![(picture.as_bytes().to_vec(), (picture.width(), picture.height()))]
    };
    let cursor = Cursor::new(bytes);
    match format {
        Format::Gif => all(image::codecs::gif::GifDecoder::new(cursor).unwrap().into_frames()),
        Format::Png => {
            let decoder = image::codecs::png::PngDecoder::new(cursor).unwrap();
            if decoder.is_apng().unwrap() { all(decoder.apng().unwrap().into_frames()) } else { still() }
        }
        Format::Webp => {
            let decoder = image::codecs::webp::WebPDecoder::new(cursor).unwrap();
            if decoder.has_animation() { all(decoder.into_frames()) } else { still() }
        }
        Format::Jpeg => still(),
        Format::Avif => {
            let (source, rows) = avif::seen(bytes).unwrap();
            vec![(rows, (source.width, source.height))]
        }
    }
}

#[test]
fn what_is_removed_is_told_in_words_of_its_own() {
    let mut words: Vec<&str> = Removed::ALL.into_iter().map(Removed::as_str).collect();
    assert!(Removed::ALL.is_sorted());
    words.sort_unstable();
    words.dedup();
    assert_eq!(words.len(), Removed::ALL.len());
}

#[test]
fn a_format_that_is_not_taken_is_named_with_those_that_are() {
    let few = Limits { formats: [Format::Jpeg, Format::Png].into_iter().collect(), ..limits() };
    for (bytes, words) in [
        (make::webp(4, 4), "a WebP picture, which is not taken here: send jpeg or png"),
        (make::gif(4, 4, 1), "a GIF picture, which is not taken here: send jpeg or png"),
        (b"BM6\0\0\0".to_vec(), "a BMP picture, which is not taken here: send jpeg or png"),
        (Vec::new(), "an empty file, which is not taken here: send jpeg or png"),
    ] {
        assert_eq!(inspect(&bytes, &few).unwrap_err().to_string(), words);
    }
}

#[test]
fn a_picture_without_anything_to_take_out_comes_back_as_it_came() {
    for bytes in [
        make::jpeg(40, 30, make::Jpeg::default()),
        make::png(40, 30, false),
        make::gif(40, 30, 3),
        make::webp(40, 30),
        make::apng(40, 30, false),
        make::animated_webp(40, 30),
    ] {
        let stripped = bared(&bytes);
        assert!(stripped.bytes == bytes, "{:?}", stripped.removed);
        assert_eq!(stripped.removed, []);
    }
}

#[test]
fn the_orientation_that_is_read_swaps_what_is_seen() {
    let turned = make::jpeg(40, 30, make::Jpeg::default());
    let turned =
        make::jpeg_with(&turned, &[make::segment(0xe1, &[b"Exif\0\0", &make::camera(true, 6)[..]].concat())]);
    let header = look(&turned).unwrap();
    assert_eq!(header.orientation, Orientation::Rotated90);
    assert_eq!((header.width, header.height, header.seen()), (40, 30, (30, 40)));
}
