//! Files that mean harm, made byte by byte, and what is to be said of each.

use super::make::{
    Jpeg, animated_webp, bomb, canvas, chunk, extension, gif, gif_frame, gif_head, gif_with, jpeg, png,
    png_head, png_with, riff, stored, webp, webp_of,
};

/// A file, and the answer to whoever sends it.
pub(crate) struct Attack {
    pub(crate) name: &'static str,
    pub(crate) file: Vec<u8>,
    pub(crate) status: u16,
    /// The code of the problem; none where it is taken.
    pub(crate) code: &'static str,
}

/// How it is answered.
#[derive(Clone, Copy)]
enum End {
    Taken,
    NoImage,
    TooLarge,
    Damaged,
}

fn attack(name: &'static str, end: End, file: Vec<u8>) -> Attack {
    let (status, code) = match end {
        End::Taken => (201, ""),
        End::NoImage => (415, "unsupported_image"),
        End::TooLarge => (413, "image_too_large"),
        End::Damaged => (422, "damaged_image"),
    };
    Attack { name, file, status, code }
}

/// All of them.
pub(crate) fn attacks() -> Vec<Attack> {
    [huge(), compressed(), busy(), disguised(), polyglots()].into_iter().flatten().collect()
}

/// A PNG that is nothing but its words.
fn claiming(width: u32, height: u32, bits: u8, interlaced: bool) -> Vec<u8> {
    let data = chunk(b"IDAT", &stored(&[0; 8]));
    [png_head(width, height, bits, 6, interlaced), data, chunk(b"IEND", b"")].concat()
}

/// The JPEG with other sides in its frame header.
fn resized(mut jpeg: Vec<u8>, sides: [u8; 4]) -> Vec<u8> {
    let frame = jpeg.windows(2).position(|pair| matches!(pair, [0xff, 0xc0 | 0xc2])).unwrap();
    jpeg[frame + 5..frame + 9].copy_from_slice(&sides);
    jpeg
}

/// What says that it is huge.
fn huge() -> Vec<Attack> {
    let progressive = || jpeg(16, 16, Jpeg { progressive: true, ..Jpeg::default() });
    let still =
        |canvas: u16, frame: u16| [gif_head(canvas, canvas), gif_frame(frame, frame), vec![0x3b]].concat();
    let films = [gif_head(5000, 5000), gif_frame(5000, 5000).repeat(30), vec![0x3b]].concat();
    let lossless = {
        let sides: u32 = 16_382 | 16_382 << 14;
        webp_of(&[riff(b"VP8L", &[&[0x2f][..], &sides.to_le_bytes(), &[0; 16]].concat())])
    };
    let small = webp(8, 8);
    let wide = webp_of(&[canvas(0, 16_384, 16_384), small[12..].to_vec()]);
    vec![
        attack("16384.png", End::TooLarge, claiming(16_384, 16_384, 8, false)),
        attack("2147483647.png", End::TooLarge, claiming(0x7fff_ffff, 0x7fff_ffff, 8, false)),
        attack("no-pixels.png", End::Damaged, claiming(0, 5, 8, false)),
        attack("deep-interlaced.png", End::TooLarge, claiming(6000, 6000, 16, true)),
        attack("65535.jpg", End::TooLarge, resized(jpeg(16, 16, Jpeg::default()), [0xff; 4])),
        // As much as may be, so that the memory for it is taken, and then there is nothing in it.
        attack("hollow.jpg", End::Damaged, resized(jpeg(16, 16, Jpeg::default()), [0x17, 0x70, 0x17, 0x70])),
        attack("hollow-progressive.jpg", End::Damaged, resized(progressive(), [0x0f, 0xa0, 0x0f, 0xa0])),
        attack("hollow.png", End::Damaged, claiming(6000, 6000, 8, false)),
        attack("65535.gif", End::TooLarge, still(0xffff, 1)),
        attack("65535-frame.gif", End::TooLarge, still(0xffff, 0xffff)),
        attack("7-gigabytes.gif", End::TooLarge, films),
        attack("hollow.gif", End::Damaged, still(6000, 6000)),
        attack("16383.webp", End::TooLarge, lossless),
        attack("16384-canvas.webp", End::Damaged, wide),
    ]
}

/// What is small until somebody decompresses it.
fn compressed() -> Vec<Attack> {
    let zeros = bomb(64 << 20);
    let plain = png(9, 7, false);
    let with = |kind: &[u8; 4], head: &[u8]| png_with(&plain, &[chunk(kind, &[head, &zeros].concat())]);
    // The picture has 8 by 8 pixels, and data for sixty million.
    let spilling = [png_head(8, 8, 8, 0, false), chunk(b"IDAT", &zeros), chunk(b"IEND", b"")].concat();
    vec![
        attack("ztxt.png", End::Taken, with(b"zTXt", b"Comment\0\0")),
        attack("itxt.png", End::Taken, with(b"iTXt", b"Comment\0\x01\0\0\0")),
        attack("iccp.png", End::Taken, with(b"iCCP", b"colours\0\0")),
        attack("spilling.png", End::Taken, spilling),
        // Forty million pixels in forty thousand bytes: as much as is allowed, so it is a picture.
        attack("flat.png", End::Taken, flat(6300, 6300)),
    ]
}

/// A grey PNG of one shade.
fn flat(width: u32, height: u32) -> Vec<u8> {
    let mut file = Vec::new();
    let mut encoder = ::png::Encoder::new(&mut file, width, height);
    encoder.set_color(::png::ColorType::Grayscale);
    encoder.set_compression(::png::Compression::High);
    encoder.set_filter(::png::Filter::NoFilter);
    let mut writer = encoder.write_header().unwrap();
    writer.write_image_data(&vec![0; (width * height) as usize]).unwrap();
    writer.finish().unwrap();
    file
}

/// What takes long.
fn busy() -> Vec<Attack> {
    let frames = |count: usize| [gif_head(1, 1), gif_frame(1, 1).repeat(count), vec![0x3b]].concat();
    let progressive = jpeg(64, 64, Jpeg { progressive: true, ..Jpeg::default() });
    let last = progressive.windows(2).rposition(|pair| pair == [0xff, 0xda]).unwrap();
    let (head, scan) = (&progressive[..last], &progressive[last..progressive.len() - 2]);
    let scans = [head, &scan.repeat(3000), &[0xff, 0xd9]].concat();
    let nothing_between = [&gif_head(4, 4)[..], &extension(0xfe, &[]).repeat(200_000), &[0x3b]].concat();
    vec![
        attack("65535-frames.gif", End::TooLarge, frames(65_535)),
        attack("3000-scans.jpg", End::TooLarge, scans),
        attack("comments.gif", End::Damaged, nothing_between),
        attack("restless.webp", End::Taken, animated_webp(9, 7)),
    ]
}

/// What is something else, and is called a PNG.
fn disguised() -> Vec<Attack> {
    // 40 bits a pixel, and rows that are negative many.
    let mut bmp = b"BM\x36\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0".to_vec();
    bmp.extend([0x10, 0, 0, 0, 0xf0, 0xff, 0xff, 0xff, 1, 0, 40, 0]);
    bmp.resize(200, 0);
    let svg = b"<svg xmlns=\"http://www.w3.org/2000/svg\" onload=\"alert(1)\"><script>alert(2)</script>\
        <a href=\"javascript:alert(3)\"/><foreignObject><iframe src=\"//evil\"/></foreignObject></svg>";
    vec![
        attack("bmp.png", End::NoImage, bmp),
        attack("tiff.png", End::NoImage, [b"II*\0\x08\0\0\0".as_slice(), &[0xff; 64]].concat()),
        attack("ico.png", End::NoImage, [b"\0\0\x01\0\xff\xff".as_slice(), &[0xff; 64]].concat()),
        attack(
            "hdr.png",
            End::NoImage,
            b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y 99999 +X 99999\n".to_vec(),
        ),
        attack("svg.png", End::NoImage, svg.to_vec()),
        attack("page.png", End::NoImage, b"<!doctype html><script>alert(document.cookie)</script>".to_vec()),
        attack("pdf.png", End::NoImage, b"%PDF-1.7\n1 0 obj<</JS(app.alert(1))>>endobj\n".to_vec()),
        attack("zip.png", End::NoImage, [b"PK\x03\x04".as_slice(), &[0; 64]].concat()),
        attack("exe.png", End::NoImage, [b"MZ".as_slice(), &[0; 62], b"PE\0\0"].concat()),
        attack("elf.png", End::NoImage, [b"\x7fELF".as_slice(), &[2; 60]].concat()),
        attack("php.png", End::NoImage, b"<?php system($_GET['c']); ?>".to_vec()),
        attack("magick.png", End::NoImage, b"push graphic-context\nfill 'url(https://x\"|id\")'\n".to_vec()),
        attack("nothing.png", End::NoImage, Vec::new()),
        attack("zeros.png", End::NoImage, vec![0; 4096]),
    ]
}

/// What is an image and something else.
fn polyglots() -> Vec<Attack> {
    let script = b"GIF89a/*<html><script>alert(document.cookie)</script>*/=1;";
    let comment = extension(0xfe, &[b"*/=1;<script>alert(1)</script>"]);
    let both = [gif_with(&gif(43, 29, 1), &[comment]), b"<script>alert(2)</script>".to_vec()].concat();
    let archive = [&png(9, 7, false)[..], b"PK\x03\x04", &[0; 64]].concat();
    let page = png_with(&png(9, 7, false), &[chunk(b"tEXt", b"Title\0<script>alert(1)</script>")]);
    vec![
        attack("script.gif", End::Damaged, script.to_vec()),
        attack("polyglot.gif", End::Taken, both),
        attack("archive.png", End::Taken, archive),
        attack("titled.png", End::Taken, page),
    ]
}
