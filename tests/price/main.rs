//! The price of a picture against the memory that checking it, developing it and making a variant of it really take: the
//! price is never less, and not far more.
//!
//! One test, alone in its program: it counts every byte that the program holds.

#[path = "../../src/media/image/tests/make.rs"]
#[expect(dead_code, reason = "the tests of the gate use more of it")]
mod make;

use gristmill::media::Cancel;
use gristmill::media::image::{
    DecoderProcess, Format, Header, Limits, Spec, check, develop, inspect, room, variant,
};
use jpeg_encoder::{ColorType, Encoder, SamplingFactor};
use peak_alloc::PeakAlloc;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// The sides of thumbnails and variants.
const SIDES: [u32; 2] = [320, 1920];

/// Prices are for the worst that may come: noise as transparent PNG, all coefficients at full size.
const MOST_LOOSE: f64 = 10.0;

#[test]
fn no_decoder_takes_more_than_the_price() {
    let mut wrong = Vec::new();
    let mut loose = Vec::new();
    for (width, height) in [(1, 1), (64, 64), (1000, 800), (1600, 1200), (16_000, 60), (60, 16_000)] {
        for (name, bytes) in pictures(width, height) {
            let header = header(&bytes);
            for (what, price, taken) in work(&bytes, &header) {
                let told = format!("{what} {name} of {width} by {height} ({} bytes)", bytes.len());
                if taken > price {
                    wrong.push(format!("{told} takes {taken} bytes, and its price is {price}"));
                }
                loose.push((price as f64 / taken as f64, told, price, taken));
            }
        }
    }
    for name in make::LARGE_AVIFS {
        let bytes = make::large_avif(name);
        let price = header(&bytes).price;
        // As its process does it.
        let decode = || {
            let mut none = std::io::sink();
            assert_eq!(DecoderProcess::serve(&mut &bytes[..], &mut none, &mut std::io::sink()), 0);
        };
        let taken = taken(decode);
        let told = format!("decoding {name}");
        if taken > price {
            wrong.push(format!("{told} takes {taken} bytes, and its price is {price}"));
        }
        println!("{told}: {taken} of {price}");
        loose.push((price as f64 / taken as f64, told, price, taken));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    // A price that is far too high would refuse what can be decoded. What is small costs what is fixed.
    loose.retain(|(_, _, price, _)| *price > 32 << 20);
    loose.sort_by(|one, other| one.0.total_cmp(&other.0));
    let (median, ..) = loose[loose.len() / 2];
    let all: Vec<String> = loose
        .iter()
        .map(|(times, told, price, taken)| format!("{times:.2} {told}: {taken} of {price}"))
        .collect();
    assert!(median < MOST_LOOSE, "the median price is {median:.2} times what is taken:\n{}", all.join("\n"));
}

/// What is done with a picture: its price, and what it takes.
fn work(bytes: &[u8], header: &Header) -> Vec<(String, u64, u64)> {
    let cancel = Cancel::new();
    let mut all = vec![(
        "checking".to_owned(),
        header.price,
        taken(|| check(bytes, header, &cancel).expect("it is sound")),
    )];
    let [small, large] = SIDES;
    let spec = Spec::within(small);
    let developed = || drop(develop(bytes, header, small, &cancel, &mut |_| {}).expect("it is sound"));
    all.push((format!("developing to {small}"), room(header, &spec), taken(developed)));
    for spec in [Spec::within(large), Spec::square(small)] {
        let made = || drop(variant(bytes, header, &spec, &cancel).expect("it is sound"));
        all.push((format!("a variant {spec} of"), room(header, &spec), taken(made)));
    }
    all
}

fn pictures(width: u32, height: u32) -> Vec<(String, Vec<u8>)> {
    let mut all = jpegs(width, height);
    for deep in [false, true] {
        all.push((format!("a PNG (deep {deep})"), make::png(width, height, deep)));
        all.push((format!("an interlaced PNG (deep {deep})"), make::interlaced(width, height, deep)));
    }
    all.push(("a PNG with a palette".to_owned(), palette(width, height)));
    let (w, h) = sides(width, height);
    all.push(("a GIF".to_owned(), make::gif(w, h, 2)));
    let small = [make::gif_head(w, h), make::gif_frame(1, 1), vec![0x3b]].concat();
    all.push(("a GIF with a small frame".to_owned(), small));
    all.push(("a WebP".to_owned(), make::webp(width, height)));
    // In the largest the same costs the same, and takes longer.
    if width * height < 1_000_000 {
        all.extend(webps(width, height));
    }
    if width >= 4 && height >= 3 {
        all.push(("an animated PNG".to_owned(), make::apng(width, height, true)));
        all.push(("an animated WebP".to_owned(), make::animated_webp(width, height)));
    }
    all
}

/// WebPs of every coding, alone and with what comes with them.
fn webps(width: u32, height: u32) -> Vec<(String, Vec<u8>)> {
    let mut all = Vec::new();
    for groups in [1, 1000] {
        for transparent in [false, true] {
            let name = format!("a WebP of {groups} groups (transparent {transparent})");
            all.push((name, make::webp_of(&[make::grouped(width, height, groups, transparent)])));
        }
    }
    let canvas = |flags| make::canvas(flags, width, height);
    let lossy = make::lossy(width, height);
    all.push(("a lossy WebP".to_owned(), make::webp_of(std::slice::from_ref(&lossy))));
    let profile = make::riff(b"ICCP", &vec![7; 3_000_000]);
    all.push((
        "a lossy WebP with a profile".to_owned(),
        make::webp_of(&[canvas(0x20), profile, lossy.clone()]),
    ));
    let loops = make::riff(b"ANIM", &[0, 0, 0, 0, 0, 0]);
    for groups in [None, Some(300)] {
        let alpha = make::transparency(width, height, groups);
        let name = format!("a lossy WebP with transparency (groups {groups:?})");
        all.push((name, make::webp_of(&[canvas(0x10), alpha.clone(), lossy.clone()])));
        let frame = make::webp_frame(width, height, &[alpha, lossy.clone()]);
        let name = format!("an animated lossy WebP with transparency (groups {groups:?})");
        all.push((name, make::webp_of(&[canvas(0x12), loops.clone(), frame.clone(), frame])));
    }
    let frame = make::webp_frame(width, height, std::slice::from_ref(&lossy));
    all.push(("an animated lossy WebP".to_owned(), make::webp_of(&[canvas(0x02), loops.clone(), frame])));
    let frame = make::webp_frame(width, height, &[make::grouped(width, height, 100, true)]);
    all.push(("an animated lossless WebP".to_owned(), make::webp_of(&[canvas(0x02), loops, frame])));
    all
}

fn sides(width: u32, height: u32) -> (u16, u16) {
    (width.try_into().expect("a side"), height.try_into().expect("a side"))
}

/// JPEGs of every sampling and kind, with and without a large colour profile.
fn jpegs(width: u32, height: u32) -> Vec<(String, Vec<u8>)> {
    use SamplingFactor as Factor;
    let (w, h) = sides(width, height);
    let rgb = make::rgb(width, height);
    let inks: Vec<u8> = rgb.chunks_exact(3).flat_map(|pixel| [pixel[0], pixel[1], pixel[2], 40]).collect();
    let mut all = Vec::new();
    for progressive in [false, true] {
        for factor in
            [Factor::F_1_1, Factor::F_2_1, Factor::F_1_2, Factor::F_2_2, Factor::F_4_1, Factor::F_4_2]
        {
            for (colours, pixels) in
                [(ColorType::Rgb, &rgb), (ColorType::Cmyk, &inks), (ColorType::Luma, &rgb)]
            {
                let plain = matches!(factor, Factor::F_1_1 | Factor::F_2_2);
                if colours != ColorType::Rgb && !plain {
                    continue;
                }
                let samples = if colours == ColorType::Luma { rgb.len() / 3 } else { pixels.len() };
                let mut bytes = Vec::new();
                let mut encoder = Encoder::new(&mut bytes, 90);
                encoder.set_sampling_factor(factor);
                encoder.set_progressive(progressive);
                let profiled = factor == Factor::F_2_2;
                if profiled {
                    encoder.add_icc_profile(&vec![7; 300_000]).expect("a profile");
                }
                encoder.encode(&pixels[..samples], w, h, colours).expect("a picture can be made");
                let name = format!("a JPEG ({colours:?}, {factor:?}, progressive {progressive})");
                all.push((name, bytes));
            }
        }
    }
    all
}

/// A PNG of two colours, one of them transparent.
fn palette(width: u32, height: u32) -> Vec<u8> {
    let mut out = Vec::new();
    let mut encoder = png::Encoder::new(&mut out, width, height);
    encoder.set_color(png::ColorType::Indexed);
    encoder.set_depth(png::BitDepth::One);
    encoder.set_palette(&[0, 0, 0, 255, 255, 255][..]);
    encoder.set_trns(&[0][..]);
    let mut writer = encoder.write_header().expect("a picture can be made");
    let row = vec![0x5a; width.div_ceil(8) as usize];
    writer.write_image_data(&row.repeat(height as usize)).expect("a picture can be made");
    writer.finish().expect("a picture can be made");
    out
}

fn header(bytes: &[u8]) -> Header {
    let formats = Format::ALL.into_iter().collect();
    let limits = Limits { formats, pixels: u64::MAX, frames: u32::MAX, memory: u64::MAX };
    inspect(bytes, &limits).expect("a picture")
}

/// The bytes that are held at once while it is done.
fn taken(done: impl FnOnce()) -> u64 {
    let before = MEMORY.current_usage();
    MEMORY.reset_peak_usage();
    done();
    (MEMORY.peak_usage() - before) as u64
}
