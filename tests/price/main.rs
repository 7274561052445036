//! The price of a picture against the memory that its decoder really takes: the price is never less.
//!
//! One test, alone in its program: it counts every byte that the program holds.

#[path = "../../src/media/image/tests/make.rs"]
#[expect(dead_code, reason = "the tests of the gate use more of it")]
mod make;

use std::io::Cursor;

use gristmill::media::image::{Format, Limits, inspect};
use image::AnimationDecoder;
use peak_alloc::PeakAlloc;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

#[test]
fn no_decoder_takes_more_than_the_price() {
    let mut wrong = Vec::new();
    for (width, height) in [(64, 64), (1000, 800), (16_000, 60), (60, 16_000)] {
        for (name, bytes, decode) in pictures(width, height) {
            let (price, taken) = (price(&bytes), taken(&bytes, decode));
            if taken > price {
                wrong.push(format!(
                    "{name} of {width} by {height} takes {taken} bytes, and its price is {price}"
                ));
            }
            // A price that is far too high would refuse what can be decoded.
            let slack = 4 * taken + (2 << 20) + 560 * bytes.len() * usize::from(name.contains("WebP"));
            if price > slack {
                wrong.push(format!(
                    "{name} of {width} by {height} has the price {price}, and takes {taken} bytes"
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

type Decode = fn(&[u8]);

fn pictures(width: u32, height: u32) -> Vec<(String, Vec<u8>, Decode)> {
    let mut all: Vec<(String, Vec<u8>, Decode)> = Vec::new();
    for progressive in [false, true] {
        for halved in [false, true] {
            let how = make::Jpeg { progressive, halved, restarts: false };
            let name = format!("a JPEG (progressive {progressive}, halved {halved})");
            all.push((name, make::jpeg(width, height, how), whole));
        }
    }
    for deep in [false, true] {
        all.push((format!("a PNG (deep {deep})"), make::png(width, height, deep), rows));
        all.push((format!("an interlaced PNG (deep {deep})"), make::interlaced(width, height, deep), whole));
    }
    let (w, h) = (width.try_into().expect("a side"), height.try_into().expect("a side"));
    all.push(("a GIF".to_owned(), make::gif(w, h, 2), gif_frames));
    all.push(("a WebP".to_owned(), make::webp(width, height), whole));
    all.push(("an animated WebP".to_owned(), make::animated_webp(width, height), webp_frames));
    all
}

fn price(bytes: &[u8]) -> usize {
    let formats = Format::ALL.into_iter().collect();
    let limits = Limits { formats, pixels: u64::MAX, frames: u32::MAX, memory: u64::MAX };
    let header = inspect(bytes, &limits).expect("a picture");
    usize::try_from(header.price).expect("a price")
}

fn taken(bytes: &[u8], decode: Decode) -> usize {
    let before = MEMORY.current_usage();
    MEMORY.reset_peak_usage();
    decode(bytes);
    MEMORY.peak_usage() - before
}

fn whole(bytes: &[u8]) {
    drop(image::load_from_memory(bytes).expect("it decodes"));
}

fn rows(bytes: &[u8]) {
    let mut decoder = png::Decoder::new(Cursor::new(bytes));
    decoder.set_transformations(png::Transformations::EXPAND);
    let mut reader = decoder.read_info().expect("it has a header");
    while reader.next_row().expect("it decodes").is_some() {}
}

fn gif_frames(bytes: &[u8]) {
    let mut options = gif::DecodeOptions::new();
    options.set_color_output(gif::ColorOutput::RGBA);
    options.set_memory_limit(gif::MemoryLimit::Unlimited);
    let mut decoder = options.read_info(Cursor::new(bytes)).expect("it has a header");
    let canvas = vec![0_u8; usize::from(decoder.width()) * usize::from(decoder.height()) * 4];
    while decoder.read_next_frame().expect("it decodes").is_some() {
        std::hint::black_box(&canvas);
    }
}

fn webp_frames(bytes: &[u8]) {
    let decoder = image::codecs::webp::WebPDecoder::new(Cursor::new(bytes)).expect("it has a header");
    for frame in decoder.into_frames() {
        drop(frame.expect("it decodes"));
    }
}
