//! The decoders: the right pixels of what is sound, and nothing of what is not.

use super::make::{self, Jpeg};
use super::*;
use crate::media::Cancel;
use crate::media::image::{Encoding, Spec, check, variant};

fn sound(bytes: &[u8]) -> Result<(), ImageError> {
    check(bytes, &look(bytes)?, &Cancel::new())
}

/// The picture as it is, decoded.
fn decoded(bytes: &[u8], spec: Spec) -> image::DynamicImage {
    let spec = Spec { format: Some(Encoding::Png), ..spec };
    let made = variant(bytes, &look(bytes).unwrap(), &spec, &Cancel::new()).unwrap();
    image::load_from_memory(&made.bytes).unwrap()
}

/// The largest and the mean difference of two pictures of a size.
fn difference(one: &image::DynamicImage, other: &image::DynamicImage) -> (u8, f64) {
    assert_eq!((one.width(), one.height()), (other.width(), other.height()));
    let (one, other) = (one.to_rgba8(), other.to_rgba8());
    let differences: Vec<u8> = one.iter().zip(other.iter()).map(|(a, b)| a.abs_diff(*b)).collect();
    let mean = differences.iter().map(|d| f64::from(*d)).sum::<f64>() / differences.len() as f64;
    (differences.into_iter().max().unwrap(), mean)
}

/// Every kind of file, small.
fn every_kind() -> Vec<Vec<u8>> {
    let how = |progressive, restarts, halved| Jpeg { progressive, restarts, halved };
    vec![
        make::jpeg(37, 29, how(false, false, false)),
        make::jpeg(37, 29, how(false, true, true)),
        make::jpeg(37, 29, how(true, false, true)),
        make::jpeg(37, 29, how(true, true, false)),
        make::png(20, 15, false),
        make::png(20, 15, true),
        make::interlaced(20, 15, false),
        make::apng(20, 15, false),
        make::apng(20, 15, true),
        make::gif(20, 15, 3),
        make::webp(20, 15),
        make::animated_webp(20, 15),
    ]
}

#[test]
fn every_kind_gives_the_pixels_that_another_decoder_gives() {
    for bytes in every_kind() {
        let format = look(&bytes).unwrap().format;
        sound(&bytes).unwrap();
        let theirs = image::load_from_memory(&bytes).unwrap();
        let (most, mean) = difference(&decoded(&bytes, Spec::default()), &theirs);
        if format == Format::Jpeg {
            // They stretch colours that were halved by another rule.
            assert!(mean < 6.0, "{mean}");
        } else {
            assert!(most <= 1, "{format}: {most}");
        }
    }
}

#[test]
fn a_jpeg_of_any_size_gives_the_pixels_that_another_decoder_gives() {
    for (width, height) in [(1, 1), (7, 5), (8, 8), (9, 17), (16, 16), (33, 47), (97, 61)] {
        for (progressive, restarts) in [(false, false), (false, true), (true, false), (true, true)] {
            let bytes = make::jpeg(width, height, Jpeg { progressive, restarts, halved: false });
            sound(&bytes).unwrap();
            let theirs = image::load_from_memory(&bytes).unwrap();
            let (most, mean) = difference(&decoded(&bytes, Spec::default()), &theirs);
            assert!(most <= 5 && mean < 0.7, "{width} by {height}, {progressive}: {most}, {mean}");
        }
    }
}

/// Softly shaded, so that a small picture of it is what averaging makes of it.
fn soft(width: u32, height: u32) -> image::RgbImage {
    image::RgbImage::from_fn(width, height, |x, y| {
        image::Rgb([
            (x * 255 / width) as u8,
            (y * 255 / height) as u8,
            ((x + y) * 127 / (width + height)) as u8 + 60,
        ])
    })
}

#[test]
fn a_jpeg_that_shrinks_while_it_is_decoded_shows_the_same_picture() {
    use jpeg_encoder::SamplingFactor as Factor;
    let picture = soft(403, 301);
    for factor in [Factor::F_1_1, Factor::F_2_1, Factor::F_1_2, Factor::F_2_2, Factor::F_4_1, Factor::F_4_2] {
        for progressive in [false, true] {
            let mut bytes = Vec::new();
            let mut encoder = jpeg_encoder::Encoder::new(&mut bytes, 95);
            encoder.set_sampling_factor(factor);
            encoder.set_progressive(progressive);
            encoder.encode(&picture, 403, 301, jpeg_encoder::ColorType::Rgb).unwrap();
            sound(&bytes).unwrap();
            for side in [403, 200, 100, 50, 25, 11] {
                let ours = decoded(&bytes, Spec::within(side));
                let (width, height) = (ours.width(), ours.height());
                let plain = image::imageops::resize(&picture, width, height, image::imageops::Triangle);
                let (most, mean) = difference(&ours, &plain.into());
                assert!(most <= 12 && mean < 1.5, "{factor:?} {progressive} {side}: {most}, {mean}");
            }
        }
    }
}

#[test]
fn four_colours_become_what_is_seen_of_them() {
    // Ink as Adobe writes it: the light that is left. Cyan, half black, nothing.
    for (inks, seen) in
        [([0, 255, 255, 255], [0, 255, 255]), ([255, 255, 255, 128], [128; 3]), ([255; 4], [255; 3])]
    {
        for kind in [jpeg_encoder::ColorType::Cmyk, jpeg_encoder::ColorType::CmykAsYcck] {
            let mut bytes = Vec::new();
            // The encoder turns ink into light by itself.
            let ink: Vec<u8> = inks.iter().map(|light| 255 - light).collect();
            jpeg_encoder::Encoder::new(&mut bytes, 100).encode(&ink.repeat(64), 8, 8, kind).unwrap();
            let pixel = decoded(&bytes, Spec::default()).to_rgb8().get_pixel(4, 4).0;
            let near = pixel.iter().zip(seen).all(|(a, b)| a.abs_diff(b) <= 4);
            assert!(near, "{kind:?} {inks:?}: {pixel:?} is not {seen:?}");
        }
    }
}

#[test]
fn whatever_is_cut_off_anywhere_is_damaged() {
    for bytes in every_kind() {
        let header = look(&bytes).unwrap();
        // Of a JPEG the end marker may be missing, and fill bits before it.
        let needed = if header.format == Format::Jpeg { bytes.len() - 3 } else { bytes.len() };
        for length in 0..needed {
            let outcome = check(&bytes[..length], &header, &Cancel::new());
            assert!(
                matches!(outcome, Err(ImageError::Damaged(_))),
                "{} of {} bytes of a {}: {outcome:?}",
                length,
                bytes.len(),
                header.format
            );
        }
    }
}

#[test]
fn a_jpeg_that_lacks_a_piece_in_the_middle_is_damaged() {
    for (progressive, restarts) in [(false, false), (false, true), (true, false)] {
        let bytes = make::jpeg(160, 120, Jpeg { progressive, restarts, halved: true });
        let header = look(&bytes).unwrap();
        let from = bytes.len() / 2;
        for piece in [1000, 600, 300] {
            let cut = [&bytes[..from], &bytes[from + piece.min(from - 2)..]].concat();
            assert!(check(&cut, &header, &Cancel::new()).is_err(), "{progressive} {restarts} {piece}");
        }
        // The end of the picture, and the marker that says so.
        let cut = [&bytes[..from], &[0xff, 0xd9]].concat();
        assert!(check(&cut, &header, &Cancel::new()).is_err());
    }
}

#[test]
fn a_sum_that_is_wrong_is_damage() {
    let bytes = make::png(40, 30, false);
    let data = bytes.windows(4).position(|word| word == b"IDAT").unwrap() + 20;
    let mut wrong = bytes.clone();
    wrong[data] ^= 1;
    assert!(matches!(sound(&wrong), Err(ImageError::Damaged(_))));
    // The sum of the chunk is right, and that of the data within is not.
    let mut inner = make::stored(&[0, 1, 2, 3]);
    *inner.last_mut().unwrap() ^= 1;
    let head = make::png_head(3, 1, 8, 0, false);
    let file = |data: &[u8]| [head.clone(), make::chunk(b"IDAT", data), make::chunk(b"IEND", b"")].concat();
    sound(&file(&make::stored(&[0, 1, 2, 3]))).unwrap();
    assert!(matches!(sound(&file(&inner)), Err(ImageError::Damaged(_))));
}

#[test]
fn a_later_frame_that_is_damaged_is_damage_and_the_first_is_shown_all_the_same() {
    let whole = make::gif(20, 15, 3);
    let header = look(&whole).unwrap();
    // The last frame ends too early: its last block of data is taken out.
    let cut = [&whole[..whole.len() - 40], &[0, 0x3b]].concat();
    assert!(check(&cut, &header, &Cancel::new()).is_err());
    variant(&cut, &header, &Spec::default(), &Cancel::new()).unwrap();

    let whole = make::apng(20, 15, true);
    let header = look(&whole).unwrap();
    let mut broken = whole.clone();
    let last = whole.windows(4).rposition(|word| word == b"fdAT").unwrap();
    broken[last + 12] ^= 1;
    assert!(check(&broken, &header, &Cancel::new()).is_err());
    variant(&broken, &header, &Spec::default(), &Cancel::new()).unwrap();
}

#[test]
fn bytes_changed_at_random_are_decoded_or_refused_and_nothing_else() {
    let mut chance = 0x1234_5678_9abc_def0_u64;
    let mut next = move |below: usize| {
        chance = chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (chance >> 33) as usize % below
    };
    for bytes in every_kind() {
        let header = look(&bytes).unwrap();
        for _ in 0..400 {
            let mut changed = bytes.clone();
            for _ in 0..=next(4) {
                let at = next(changed.len());
                changed[at] = next(256) as u8;
            }
            let header = look(&changed).unwrap_or_else(|_| header.clone());
            if header.price > 64 << 20 {
                continue;
            }
            let outcome = check(&changed, &header, &Cancel::new());
            let side = 1 + next(30) as u32;
            let made = variant(&changed, &header, &Spec::square(side), &Cancel::new());
            for error in [outcome.err(), made.err()].into_iter().flatten() {
                assert!(!matches!(error, ImageError::Cancelled), "{error}");
            }
        }
    }
}

#[test]
fn work_that_is_stopped_stops() {
    for bytes in every_kind() {
        let cancel = Cancel::new();
        cancel.cancel();
        let outcome = check(&bytes, &look(&bytes).unwrap(), &cancel);
        assert_eq!(outcome, Err(ImageError::Cancelled));
    }
}
