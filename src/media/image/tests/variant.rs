//! What is made of images: sizes, turns, transparency, colours, and the facts.

use image::GenericImageView;

use super::make::{self, Jpeg};
use super::*;
use crate::media::Cancel;
use crate::media::image::{Encoded, Encoding, Fit, Spec, develop, variant};

fn made(bytes: &[u8], spec: &Spec) -> Encoded {
    variant(bytes, &look(bytes).unwrap(), spec, &Cancel::new()).unwrap()
}

fn seen(encoded: &Encoded) -> image::DynamicImage {
    let format = match encoded.format {
        Format::Jpeg => image::ImageFormat::Jpeg,
        Format::Png => image::ImageFormat::Png,
        Format::Gif | Format::Webp | Format::Avif => panic!("{encoded:?}"),
    };
    let seen = image::load_from_memory_with_format(&encoded.bytes, format).unwrap();
    assert_eq!((seen.width(), seen.height()), (encoded.width, encoded.height));
    seen
}

fn png_of(picture: &image::DynamicImage) -> Vec<u8> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    picture.write_to(&mut bytes, image::ImageFormat::Png).unwrap();
    bytes.into_inner()
}

#[test]
fn a_variant_has_the_size_that_was_asked_for_and_is_never_larger_than_the_picture() {
    let bytes = make::png(200, 100, false);
    let spec = |width, height, fit| Spec { width, height, fit, format: None };
    for (width, height, fit, size) in [
        (Some(64), Some(64), Fit::Contain, (64, 32)),
        (Some(64), None, Fit::Contain, (64, 32)),
        (None, Some(25), Fit::Contain, (50, 25)),
        (Some(64), Some(64), Fit::Cover, (64, 64)),
        (Some(64), None, Fit::Cover, (64, 32)),
        (Some(300), Some(300), Fit::Contain, (200, 100)),
        (Some(300), Some(300), Fit::Cover, (100, 100)),
        (Some(150), Some(30), Fit::Cover, (150, 30)),
        (Some(1), Some(1), Fit::Contain, (1, 1)),
        (Some(0), Some(0), Fit::Cover, (1, 1)),
        (None, None, Fit::Contain, (200, 100)),
    ] {
        let made = made(&bytes, &spec(width, height, fit));
        assert_eq!((made.width, made.height), size, "{width:?} {height:?} {fit:?}");
        seen(&made);
    }
    for (width, height) in [(3000, 1), (1, 3000), (3000, 2)] {
        let made = made(&make::png(width, height, false), &Spec::within(64));
        assert_eq!(made.width.max(made.height), 64);
        assert_eq!(made.width.min(made.height), 1);
    }
}

#[test]
fn a_picture_in_bands_is_the_picture_at_once() {
    let bytes = make::png(613, 911, false);
    let whole = image::load_from_memory(&bytes).unwrap();
    for side in [900, 500, 333, 100] {
        let spec = Spec { format: Some(Encoding::Png), ..Spec::within(side) };
        let ours = seen(&made(&bytes, &spec)).to_rgb8();
        let theirs = whole.resize_exact(ours.width(), ours.height(), image::imageops::Lanczos3).to_rgb8();
        let sum: u64 = ours.iter().zip(theirs.iter()).map(|(a, b)| u64::from(a.abs_diff(*b))).sum();
        let mean = sum as f64 / ours.len() as f64;
        // The picture is nearly noise: averaging first leaves a little less of it.
        assert!(mean < if side > 306 { 1.0 } else { 8.0 }, "{side}: {mean}");
    }
}

#[test]
fn a_variant_stands_upright_however_the_file_lies() {
    // Four colours: top left, top right, bottom left, bottom right.
    let colours = [[250, 10, 10], [10, 250, 10], [10, 10, 250], [250, 250, 10]];
    let picture = image::RgbImage::from_fn(80, 60, |x, y| {
        image::Rgb(colours[usize::from(x >= 40) + 2 * usize::from(y >= 30)])
    });
    let bytes = png_of(&picture.into());
    let header = look(&bytes).unwrap();
    for (number, order) in [
        (1, [0, 1, 2, 3]),
        (2, [1, 0, 3, 2]),
        (3, [3, 2, 1, 0]),
        (4, [2, 3, 0, 1]),
        (5, [0, 2, 1, 3]),
        (6, [2, 0, 3, 1]),
        (7, [3, 1, 2, 0]),
        (8, [1, 3, 0, 2]),
    ] {
        let header = Header { orientation: Orientation::of_number(number).unwrap(), ..header.clone() };
        for spec in [Spec::within(40), Spec::square(20)] {
            let spec = Spec { format: Some(Encoding::Png), ..spec };
            let made = variant(&bytes, &header, &spec, &Cancel::new()).unwrap();
            let (width, height) = (made.width, made.height);
            assert_eq!(width < height, number > 4 && spec.fit == Fit::Contain, "{number}");
            let picture = seen(&made);
            let at = |x: u32, y: u32| picture.get_pixel(x, y).0[..3].to_vec();
            let corners = [at(2, 2), at(width - 3, 2), at(2, height - 3), at(width - 3, height - 3)];
            for (corner, colour) in corners.iter().zip(order.map(|place: usize| colours[place])) {
                let near = corner.iter().zip(colour).all(|(a, b)| a.abs_diff(b) < 30);
                assert!(near, "orientation {number}: {corners:?}");
            }
        }
    }
}

#[test]
fn a_transparent_pixel_colours_nothing() {
    for (step, side) in [(1, 64), (5, 32), (9, 13)] {
        let picture = image::RgbaImage::from_fn(128, 128, |x, y| {
            if (x / step + y / step) % 2 == 0 {
                image::Rgba([200, 0, 0, 255])
            } else {
                image::Rgba([0, 255, 0, 0])
            }
        });
        let made = made(&png_of(&picture.into()), &Spec::within(side));
        assert_eq!(made.format, Format::Png, "what is transparent stays so");
        for (_, _, pixel) in seen(&made).pixels() {
            assert!(pixel.0[1] < 6 || pixel.0[3] <= 20, "{pixel:?}");
        }
    }
}

#[test]
fn what_is_transparent_is_white_in_a_jpeg_and_idle_alpha_is_none() {
    let clear = image::RgbaImage::from_pixel(32, 32, image::Rgba([0, 0, 0, 0]));
    let spec = Spec { format: Some(Encoding::Jpeg), ..Spec::within(16) };
    let white = seen(&made(&png_of(&clear.into()), &spec));
    assert!(white.pixels().all(|(_, _, pixel)| pixel.0[..3].iter().all(|sample| *sample > 250)));
    let full = image::RgbaImage::from_fn(64, 64, |x, y| image::Rgba([x as u8, y as u8, (x * y) as u8, 255]));
    assert_eq!(made(&png_of(&full.into()), &Spec::within(16)).format, Format::Jpeg);
}

#[test]
fn grey_stays_grey_and_few_colours_stay_sharp() {
    let grey = image::GrayImage::from_fn(64, 64, |x, y| image::Luma([(x * 3 + y) as u8]));
    let png = Spec { format: Some(Encoding::Png), ..Spec::within(32) };
    assert_eq!(seen(&made(&png_of(&grey.clone().into()), &png)).color(), image::ColorType::L8);
    assert_eq!(seen(&made(&png_of(&grey.into()), &Spec::within(32))).color(), image::ColorType::L8);
    // Two colours in large areas take less room as PNG.
    let mut drawn = Vec::new();
    let mut encoder = ::gif::Encoder::new(&mut drawn, 64, 64, &[0, 0, 0, 255, 255, 255]).unwrap();
    let pixels: Vec<u8> = (0..64 * 64).map(|at| u8::from(at > 2048)).collect();
    encoder.write_frame(&::gif::Frame::from_indexed_pixels(64, 64, pixels, None)).unwrap();
    drop(encoder);
    assert_eq!(made(&drawn, &Spec::within(32)).format, Format::Png);
}

#[test]
fn the_first_frame_stands_where_it_belongs() {
    let mut bytes = Vec::new();
    let mut encoder = ::gif::Encoder::new(&mut bytes, 40, 20, &[255, 0, 0, 0, 0, 255]).unwrap();
    let frame =
        ::gif::Frame { left: 20, top: 10, ..::gif::Frame::from_indexed_pixels(20, 10, vec![1; 200], None) };
    encoder.write_frame(&frame).unwrap();
    encoder.write_frame(&::gif::Frame::from_indexed_pixels(40, 20, vec![0; 800], None)).unwrap();
    drop(encoder);
    let picture = seen(&made(&bytes, &Spec::within(20)));
    assert_eq!((picture.width(), picture.height()), (20, 10));
    assert_eq!(picture.get_pixel(2, 2).0[3], 0, "what the frame leaves free is transparent");
    assert_eq!(picture.get_pixel(17, 8).0, [0, 0, 255, 255]);
}

#[test]
fn a_small_colour_profile_comes_along_and_a_large_one_is_applied() {
    use image::ImageDecoder;
    let profile = moxcms::ColorProfile::new_display_p3().encode().unwrap();
    let carried = |bytes: &[u8], format| {
        let bytes = std::io::Cursor::new(bytes);
        let mut decoder: Box<dyn ImageDecoder> = if format == Format::Jpeg {
            Box::new(image::codecs::jpeg::JpegDecoder::new(bytes).unwrap())
        } else {
            Box::new(image::codecs::png::PngDecoder::new(bytes).unwrap())
        };
        decoder.icc_profile().unwrap()
    };
    let jpeg = |profile: &[u8]| {
        let mut bytes = Vec::new();
        let mut encoder = jpeg_encoder::Encoder::new(&mut bytes, 95);
        encoder.add_icc_profile(profile).unwrap();
        encoder.encode(&[200, 90, 40].repeat(64 * 64), 64, 64, jpeg_encoder::ColorType::Rgb).unwrap();
        bytes
    };
    for encoding in [Encoding::Jpeg, Encoding::Png] {
        let spec = Spec { format: Some(encoding), ..Spec::within(32) };
        let small = made(&jpeg(&profile), &spec);
        assert_eq!(carried(&small.bytes, small.format).as_deref(), Some(&profile[..]));
        let near = |pixel: [u8; 4], colour: [u8; 3]| pixel.iter().zip(colour).all(|(a, b)| a.abs_diff(b) < 5);
        assert!(near(seen(&small).get_pixel(9, 9).0, [200, 90, 40]));
        let padded = [&profile[..], &vec![0; 8000]].concat();
        let large = made(&jpeg(&padded), &spec);
        assert_eq!(carried(&large.bytes, large.format), None);
        // This orange of Display P3 is a stronger one in sRGB.
        let pixel = seen(&large).get_pixel(9, 9).0;
        assert!(pixel[0] > 206 && pixel[2] < 36, "{pixel:?}");
    }
    let nonsense = made(&jpeg(b"no profile at all"), &Spec::within(32));
    assert_eq!(carried(&nonsense.bytes, nonsense.format), None);
}

#[test]
fn the_facts_and_the_thumbnail_come_from_one_pass() {
    let turned = |orientation| {
        let plain = make::jpeg(160, 120, Jpeg { progressive: true, restarts: false, halved: true });
        let exif = [b"Exif\0\0", &make::camera(true, orientation)[..]].concat();
        make::jpeg_with(&plain, &[make::segment(0xe1, &exif)])
    };
    for (bytes, width, height, frames) in [
        (turned(6), 120, 160, 1),
        (make::png(160, 120, true), 160, 120, 1),
        (make::gif(160, 120, 4), 160, 120, 4),
        (make::animated_webp(160, 120), 160, 120, 2),
    ] {
        let header = look(&bytes).unwrap();
        let mut told = Vec::new();
        let developed =
            develop(&bytes, &header, 64, &Cancel::new(), &mut |progress| told.push(progress)).unwrap();
        let facts = &developed.facts;
        assert_eq!((facts.width, facts.height, facts.frames), (width, height, frames));
        assert_eq!(facts.format, header.format);
        assert!((5..=25).contains(&facts.thumbhash.len()), "{}", facts.thumbhash.len());
        let (red, green, blue, _) = ::thumbhash::thumb_hash_to_average_rgba(&facts.thumbhash).unwrap();
        assert!([red, green, blue].iter().all(|part| (0.05..0.95).contains(part)), "{red} {green} {blue}");
        assert_eq!(developed.thumbnail, made(&bytes, &Spec::within(64)));
        assert_eq!((told[0].done, told.last().unwrap().done), (0, told.last().unwrap().total));
    }
    let broken = make::png(160, 120, false);
    let header = look(&broken).unwrap();
    let outcome = develop(&broken[..broken.len() - 1], &header, 64, &Cancel::new(), &mut |_| {});
    assert!(matches!(outcome, Err(ImageError::Damaged(_))), "{outcome:?}");
}
