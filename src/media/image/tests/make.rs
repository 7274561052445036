//! Pictures made for the tests: real ones by real encoders, and containers put together by hand.

use std::io::Write;

/// A picture that no two rows of are alike: 3 bytes a pixel.
pub(crate) fn rgb(width: u32, height: u32) -> Vec<u8> {
    let pixel = |x: u32, y: u32| [(x * 7 + y) as u8, (y * 5) as u8, (x * y / 3 + 40) as u8];
    (0..height).flat_map(|y| (0..width).flat_map(move |x| pixel(x, y))).collect()
}

/// How a JPEG is to be made.
#[derive(Clone, Copy, Default)]
pub(crate) struct Jpeg {
    pub(crate) progressive: bool,
    pub(crate) restarts: bool,
    pub(crate) halved: bool,
}

/// A JPEG of the picture.
pub(crate) fn jpeg(width: u32, height: u32, how: Jpeg) -> Vec<u8> {
    let mut out = Vec::new();
    let mut encoder = jpeg_encoder::Encoder::new(&mut out, 90);
    encoder.set_progressive(how.progressive);
    if how.restarts {
        encoder.set_restart_interval(3);
    }
    encoder.set_sampling_factor(if how.halved {
        jpeg_encoder::SamplingFactor::F_2_2
    } else {
        jpeg_encoder::SamplingFactor::F_1_1
    });
    let pixels = rgb(width, height);
    encoder
        .encode(&pixels, width as u16, height as u16, jpeg_encoder::ColorType::Rgb)
        .expect("a picture can be made");
    out
}

/// A segment of a JPEG.
pub(crate) fn segment(marker: u8, data: &[u8]) -> Vec<u8> {
    let length = u16::try_from(data.len() + 2).expect("a picture can be made").to_be_bytes();
    [&[0xff, marker], &length[..], data].concat()
}

/// The JPEG with something behind its first marker.
pub(crate) fn jpeg_with(jpeg: &[u8], segments: &[Vec<u8>]) -> Vec<u8> {
    [&jpeg[..2], &segments.concat(), &jpeg[2..]].concat()
}

/// Exif as cameras write it: a maker, an orientation, a place, and a small picture in a second directory.
pub(crate) fn camera(little: bool, orientation: u16) -> Vec<u8> {
    let short = |number: u16| if little { number.to_le_bytes() } else { number.to_be_bytes() };
    let long = |number: u32| if little { number.to_le_bytes() } else { number.to_be_bytes() };
    let mut out = if little { b"II".to_vec() } else { b"MM".to_vec() };
    out.extend(short(42));
    out.extend(long(8));
    out.extend(short(3));
    let mut entry = |tag: u16, kind: u16, count: u32, value: [u8; 4]| {
        out.extend(short(tag));
        out.extend(short(kind));
        out.extend(long(count));
        out.extend(value);
    };
    entry(0x010f, 2, 4, *b"Cam\0");
    let [a, b] = short(orientation);
    entry(0x0112, 3, 1, [a, b, 0, 0]);
    entry(0x8825, 4, 1, long(50));
    out.extend(long(68));
    assert_eq!(out.len(), 50);
    out.extend(short(1));
    out.extend(short(1));
    out.extend(short(2));
    out.extend(long(2));
    out.extend(b"N\0\0\0");
    out.extend(long(0));
    out.extend(short(1));
    out.extend(short(0x0201));
    out.extend(short(4));
    out.extend(long(1));
    out.extend(long(86));
    out.extend(long(0));
    out.extend(b"secret place 55.75 37.61");
    out
}

/// A chunk of a PNG.
pub(crate) fn chunk(kind: &[u8; 4], data: &[u8]) -> Vec<u8> {
    let body = [&kind[..], data].concat();
    let mut sum = crc32fast::Hasher::new();
    sum.update(&body);
    [&(data.len() as u32).to_be_bytes()[..], &body, &sum.finalize().to_be_bytes()].concat()
}

/// The PNG with chunks behind its header.
pub(crate) fn png_with(png: &[u8], chunks: &[Vec<u8>]) -> Vec<u8> {
    [&png[..33], &chunks.concat(), &png[33..]].concat()
}

/// A header of a PNG, and no more.
pub(crate) fn png_head(width: u32, height: u32, bits: u8, colour: u8, interlaced: bool) -> Vec<u8> {
    let sides = [width.to_be_bytes(), height.to_be_bytes()].concat();
    let head = chunk(b"IHDR", &[&sides[..], &[bits, colour, 0, 0, u8::from(interlaced)]].concat());
    [b"\x89PNG\r\n\x1a\n".to_vec(), head].concat()
}

/// A PNG by a real encoder; 3 bytes a pixel, or 6.
pub(crate) fn png(width: u32, height: u32, deep: bool) -> Vec<u8> {
    let mut out = Vec::new();
    let mut encoder = png::Encoder::new(&mut out, width, height);
    encoder.set_color(png::ColorType::Rgb);
    let mut pixels = rgb(width, height);
    if deep {
        encoder.set_depth(png::BitDepth::Sixteen);
        pixels = pixels.iter().flat_map(|sample| [*sample, sample.wrapping_mul(31)]).collect();
    }
    let mut writer = encoder.write_header().expect("a picture can be made");
    writer.write_image_data(&pixels).expect("a picture can be made");
    writer.finish().expect("a picture can be made");
    out
}

/// An APNG of three frames, of which the second is smaller.
pub(crate) fn apng(width: u32, height: u32, picture_apart: bool) -> Vec<u8> {
    let mut out = Vec::new();
    let mut encoder = png::Encoder::new(&mut out, width, height);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_animated(3, 0).expect("a picture can be made");
    encoder.set_sep_def_img(picture_apart).expect("a picture can be made");
    let mut writer = encoder.write_header().expect("a picture can be made");
    let whole = rgb(width, height);
    if picture_apart {
        writer.write_image_data(&whole).expect("a picture can be made");
    }
    writer.set_frame_delay(1, 10).expect("a picture can be made");
    writer.write_image_data(&whole).expect("a picture can be made");
    writer.set_frame_dimension(2, 3).expect("a picture can be made");
    writer.write_image_data(&rgb(2, 3)).expect("a picture can be made");
    writer.reset_frame_dimension().expect("a picture can be made");
    writer.write_image_data(&whole).expect("a picture can be made");
    writer.finish().expect("a picture can be made");
    out
}

/// An interlaced PNG, in grey: the seven passes with rows unfiltered, stored without compression.
pub(crate) fn interlaced(width: u32, height: u32, deep: bool) -> Vec<u8> {
    const PASSES: [[u32; 4]; 7] =
        [[0, 0, 8, 8], [4, 0, 8, 8], [0, 4, 4, 8], [2, 0, 4, 4], [0, 2, 2, 4], [1, 0, 2, 2], [0, 1, 1, 2]];
    let mut rows = Vec::new();
    for [left, top, across, down] in PASSES {
        if left >= width {
            continue;
        }
        for y in (top..height).step_by(down as usize) {
            rows.push(0);
            for x in (left..width).step_by(across as usize) {
                rows.push((x * 3 + y * 11) as u8);
                rows.extend(deep.then_some(x as u8));
            }
        }
    }
    let bits = if deep { 16 } else { 8 };
    [png_head(width, height, bits, 0, true), chunk(b"IDAT", &stored(&rows)), chunk(b"IEND", b"")].concat()
}

/// A zlib stream without compression.
pub(crate) fn stored(data: &[u8]) -> Vec<u8> {
    let mut out = vec![0x78, 0x01];
    let mut blocks = data.chunks(65_535).peekable();
    while let Some(block) = blocks.next() {
        let length = block.len() as u16;
        out.push(u8::from(blocks.peek().is_none()));
        out.extend(length.to_le_bytes());
        out.extend((!length).to_le_bytes());
        out.extend(block);
    }
    let (mut a, mut b) = (1_u32, 0_u32);
    for byte in data {
        a = (a + u32::from(*byte)) % 65_521;
        b = (b + a) % 65_521;
    }
    out.extend((b << 16 | a).to_be_bytes());
    out
}

/// A GIF by a real encoder: frames of the picture, moved about.
pub(crate) fn gif(width: u16, height: u16, frames: u16) -> Vec<u8> {
    let mut out = Vec::new();
    let palette: Vec<u8> = (0..=255_u8).flat_map(|shade| [shade, 255 - shade, shade / 2]).collect();
    let mut encoder = gif::Encoder::new(&mut out, width, height, &palette).expect("a picture can be made");
    encoder.set_repeat(gif::Repeat::Infinite).expect("a picture can be made");
    for at in 0..frames {
        let shade = |i: usize| (i * 3 + usize::from(at) * 17) as u8;
        let frame = gif::Frame {
            width,
            height,
            delay: 4 + at,
            buffer: (0..usize::from(width) * usize::from(height)).map(shade).collect::<Vec<u8>>().into(),
            ..gif::Frame::default()
        };
        encoder.write_frame(&frame).expect("a picture can be made");
    }
    drop(encoder);
    out
}

/// The head of a GIF with two colours.
pub(crate) fn gif_head(width: u16, height: u16) -> Vec<u8> {
    [b"GIF89a", &width.to_le_bytes()[..], &height.to_le_bytes(), &[0x80, 0, 0], &[0, 0, 0, 255, 255, 255]]
        .concat()
}

/// A frame of a GIF whose data says nothing.
pub(crate) fn gif_frame(width: u16, height: u16) -> Vec<u8> {
    let sides = [width.to_le_bytes(), height.to_le_bytes()].concat();
    [&[0x2c, 0, 0, 0, 0][..], &sides, &[0, 2, 2, 0x4c, 0x01, 0]].concat()
}

/// An extension of a GIF.
pub(crate) fn extension(label: u8, blocks: &[&[u8]]) -> Vec<u8> {
    let mut out = vec![0x21, label];
    for block in blocks {
        out.push(u8::try_from(block.len()).expect("a picture can be made"));
        out.extend_from_slice(block);
    }
    out.push(0);
    out
}

/// The GIF with blocks behind its palette of 256 colours.
pub(crate) fn gif_with(gif: &[u8], blocks: &[Vec<u8>]) -> Vec<u8> {
    [&gif[..13 + 768], &blocks.concat(), &gif[13 + 768..]].concat()
}

/// A chunk of a WebP.
pub(crate) fn riff(kind: &[u8; 4], data: &[u8]) -> Vec<u8> {
    let pad = &[0][..data.len() % 2];
    [&kind[..], &(data.len() as u32).to_le_bytes(), data, pad].concat()
}

/// A WebP of these chunks.
pub(crate) fn webp_of(chunks: &[Vec<u8>]) -> Vec<u8> {
    let body = [b"WEBP".to_vec(), chunks.concat()].concat();
    riff(b"RIFF", &body)
}

/// A lossless WebP by a real encoder: one chunk.
pub(crate) fn webp(width: u32, height: u32) -> Vec<u8> {
    let mut out = Vec::new();
    image::codecs::webp::WebPEncoder::new_lossless(&mut out)
        .encode(&rgb(width, height), width, height, image::ExtendedColorType::Rgb8)
        .expect("a picture can be made");
    out
}

/// The head of a WebP of many chunks.
pub(crate) fn canvas(flags: u8, width: u32, height: u32) -> Vec<u8> {
    let side = |side: u32| (side - 1).to_le_bytes()[..3].to_vec();
    riff(b"VP8X", &[vec![flags, 0, 0, 0], side(width), side(height)].concat())
}

/// An animated WebP: a whole frame, and one of 2 by 3 pixels.
pub(crate) fn animated_webp(width: u32, height: u32) -> Vec<u8> {
    let frame = |left: u32, width: u32, height: u32| {
        let numbers = [left / 2, 0, width - 1, height - 1, 100];
        let mut data: Vec<u8> =
            numbers.iter().flat_map(|number| number.to_le_bytes()[..3].to_vec()).collect();
        data.push(0);
        data.extend(&webp(width, height)[12..]);
        riff(b"ANMF", &data)
    };
    let loops = riff(b"ANIM", &[0, 0, 0, 0, 0, 0]);
    webp_of(&[canvas(0x02, width, height), loops, frame(0, width, height), frame(2, 2, 3)])
}

/// Zeros, compressed a thousand to one.
pub(crate) fn bomb(bytes: usize) -> Vec<u8> {
    let mut png = Vec::new();
    let mut encoder = png::Encoder::new(&mut png, bytes as u32, 1);
    encoder.set_color(png::ColorType::Grayscale);
    encoder.set_compression(png::Compression::High);
    let mut writer = encoder.write_header().expect("a picture can be made");
    let mut stream = writer.stream_writer().expect("a picture can be made");
    stream.write_all(&vec![0; bytes]).expect("a picture can be made");
    stream.finish().expect("a picture can be made");
    writer.finish().expect("a picture can be made");
    // The data of its only large chunk.
    png[41..png.len() - 16].to_vec()
}

/// Bits, from the lowest of each byte up.
#[derive(Default)]
struct Bits {
    bytes: Vec<u8>,
    count: usize,
}

impl Bits {
    fn put(&mut self, value: u32, count: u32) {
        for bit in 0..count {
            if self.count.is_multiple_of(8) {
                self.bytes.push(0);
            }
            let last = self.bytes.len() - 1;
            self.bytes[last] |= ((value >> bit & 1) as u8) << (self.count % 8);
            self.count += 1;
        }
    }

    /// A code of one symbol, which takes no bits.
    fn put_only(&mut self, symbol: u32) {
        self.put(0b101, 3);
        self.put(symbol, 8);
    }

    /// A code of eleven symbols, the longest of ten bits: a table of 4 KiB.
    fn put_code(&mut self) {
        const LENGTHS: [u32; 11] = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 10];
        self.put(0, 1);
        // The code of the lengths: 1 to 5 in three bits, 0 and 6 to 10 in four.
        self.put(15 - 4, 4);
        for length in [0, 0, 4, 3, 3, 3, 3, 3, 0, 4, 4, 4, 4, 4, 0] {
            self.put(length, 3);
        }
        // So many of them, and then no more.
        self.put(1, 1);
        self.put(1, 3);
        self.put(LENGTHS.len() as u32 - 2, 4);
        for length in LENGTHS {
            let (code, bits) = if length <= 5 { (length - 1, 3) } else { (length + 5, 4) };
            for bit in (0..bits).rev() {
                self.put(code >> bit & 1, 1);
            }
        }
    }
}

/// The data of a lossless WebP, behind its sides, that asks for so many groups of codes with tables of 4 KiB each.
pub(crate) fn lossless(width: u32, height: u32, groups: u32) -> Vec<u8> {
    let mut bits = Bits::default();
    // No transforms, no cache, and a picture of groups, a pixel of it for 512 by 512: all of them name the last group.
    bits.put(0b100, 3);
    bits.put(7, 3);
    bits.put(0, 1);
    let last = groups - 1;
    for symbol in [last & 0xff, last >> 8, 0, 0, 0] {
        bits.put_only(symbol);
    }
    for _ in 0..groups * 5 {
        bits.put_code();
    }
    // Each pixel is a bit a channel.
    bits.bytes.extend(vec![0; (width * height) as usize / 2 + 16]);
    bits.bytes
}

/// A chunk with a lossless picture of so many groups of codes.
pub(crate) fn grouped(width: u32, height: u32, groups: u32, transparent: bool) -> Vec<u8> {
    let sides = (width - 1) | (height - 1) << 14 | u32::from(transparent) << 28;
    riff(b"VP8L", &[&[0x2f][..], &sides.to_le_bytes(), &lossless(width, height, groups)].concat())
}

/// A chunk with a lossy picture of one colour: zeros are read as whatever is likeliest.
pub(crate) fn lossy(width: u32, height: u32) -> Vec<u8> {
    let blocks = width.div_ceil(16) * height.div_ceil(16);
    let first = (blocks * 2 + 64).min((1 << 19) - 1);
    let tag = (first << 5 | 1 << 4).to_le_bytes();
    let sides = [(width as u16).to_le_bytes(), (height as u16).to_le_bytes()].concat();
    let data = vec![0; (first + blocks * 8 + 64) as usize];
    riff(b"VP8 ", &[&tag[..3], &[0x9d, 0x01, 0x2a], &sides, &data].concat())
}

/// A chunk with a transparency, as it is or as a lossless picture of so many groups of codes.
pub(crate) fn transparency(width: u32, height: u32, groups: Option<u32>) -> Vec<u8> {
    let data = match groups {
        None => [vec![0], vec![0x80; (width * height) as usize]].concat(),
        Some(groups) => [vec![1], lossless(width, height, groups)].concat(),
    };
    riff(b"ALPH", &data)
}

/// A frame of an animation, with these chunks.
pub(crate) fn webp_frame(width: u32, height: u32, chunks: &[Vec<u8>]) -> Vec<u8> {
    let numbers = [0, 0, width - 1, height - 1, 100];
    let mut data: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()[..3].to_vec()).collect();
    data.push(0);
    data.extend(chunks.concat());
    riff(b"ANMF", &data)
}

/// An AVIF that `avif/make.sh` made.
macro_rules! avifs {
    ($($name:literal)*) => {
        /// Those that are sound stills, by name.
        pub(crate) const AVIFS: &[(&str, &[u8])] =
            &[$(($name, include_bytes!(concat!("avif/", $name, ".avif")))),*];
    };
}
avifs! {
    "plain420" "limited420" "halved422" "full444" "bt2020" "p3" "grey400" "lossless" "green_orange" "clear420"
    "multiplied" "clear_grey" "grid" "clear_grid" "grain" "told"
}

/// One of them.
pub(crate) fn avif(name: &str) -> Vec<u8> {
    let found = AVIFS.iter().find(|(other, _)| *other == name);
    found.expect("a file of that name").1.to_vec()
}

/// Those that take as much to decode as large pictures do.
pub(crate) const LARGE_AVIFS: [&str; 4] = ["large420", "large444", "large_grid", "large_grain"];

/// One of them.
pub(crate) fn large_avif(name: &str) -> Vec<u8> {
    let path = format!("{}/src/media/image/tests/avif/{name}.avif", env!("CARGO_MANIFEST_DIR"));
    std::fs::read(path).expect("it is there")
}

/// A box of an AVIF.
pub(crate) fn boxed(kind: &[u8; 4], data: &[u8]) -> Vec<u8> {
    [&(data.len() as u32 + 8).to_be_bytes()[..], kind, data].concat()
}

/// A box with a version and flags.
pub(crate) fn full_box(kind: &[u8; 4], version: u8, data: &[u8]) -> Vec<u8> {
    boxed(kind, &[&[version, 0, 0, 0], data].concat())
}

/// An AVIF, part by part.
#[derive(Clone)]
pub(crate) struct Avif {
    /// Kind and bytes of each item, from number 1.
    pub(crate) items: Vec<([u8; 4], Vec<u8>)>,
    /// Boxes.
    pub(crate) properties: Vec<Vec<u8>>,
    /// For each item, its properties by number.
    pub(crate) told: Vec<Vec<u8>>,
    pub(crate) references: Vec<(&'static [u8; 4], u16, Vec<u16>)>,
    /// Behind the box `meta`.
    pub(crate) behind: Vec<u8>,
}

impl Avif {
    /// The item's data of a file with one, in a picture of that size.
    pub(crate) fn still(data: &[u8], width: u32, height: u32) -> Self {
        Self {
            items: vec![(*b"av01", data.to_vec())],
            properties: vec![Self::size(width, height), boxed(b"av1C", &[0x81, 0, 0x0c, 0])],
            told: vec![vec![1, 0x82]],
            references: Vec::new(),
            behind: Vec::new(),
        }
    }

    /// A grid of so many rows and columns, whose tiles are all that item's bytes.
    pub(crate) fn grid(data: &[u8], side: u32, (rows, columns): (u16, u16)) -> Self {
        let mut file = Self::still(data, side, side);
        let (width, height) = (side * u32::from(columns), side * u32::from(rows));
        let shape = [0, 1, (rows - 1) as u8, (columns - 1) as u8];
        let grid = [&shape[..], &width.to_be_bytes(), &height.to_be_bytes()].concat();
        file.items.insert(0, (*b"grid", grid));
        file.properties.push(Self::size(width, height));
        file.told.insert(0, vec![3]);
        let tiles = usize::from(rows) * usize::from(columns);
        file.references.push((b"dimg", 1, vec![2; tiles]));
        file
    }

    /// The property of that size.
    pub(crate) fn size(width: u32, height: u32) -> Vec<u8> {
        full_box(b"ispe", 0, &[width.to_be_bytes(), height.to_be_bytes()].concat())
    }

    /// The file.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let head = boxed(b"ftyp", b"avif\0\0\0\0avifmif1miaf");
        let start = head.len() + self.meta(0).len() + 8;
        let data: Vec<u8> = self.items.iter().flat_map(|(_, data)| data.clone()).collect();
        [head, self.meta(start as u32), boxed(b"mdat", &data), self.behind.clone()].concat()
    }

    fn meta(&self, mut start: u32) -> Vec<u8> {
        let count = self.items.len() as u16;
        let (mut infos, mut places) = (count.to_be_bytes().to_vec(), vec![0x44, 0]);
        places.extend(count.to_be_bytes());
        let mut told = u32::from(count).to_be_bytes().to_vec();
        for (((kind, data), properties), id) in self.items.iter().zip(&self.told).zip(1_u16..) {
            let id = id.to_be_bytes();
            let media: &[u8] = if kind == b"mime" { b"application/rdf+xml\0" } else { b"" };
            infos.extend(full_box(b"infe", 2, &[&id[..], &[0, 0], kind, &[0], media].concat()));
            let length = data.len() as u32;
            places.extend([&id[..], &[0, 0, 0, 1], &start.to_be_bytes(), &length.to_be_bytes()].concat());
            start += length;
            told.extend([&id[..], &[properties.len() as u8], properties].concat());
        }
        let references = self.references.iter().flat_map(|(kind, from, to)| {
            let numbers = [*from, to.len() as u16].into_iter().chain(to.iter().copied());
            boxed(kind, &numbers.flat_map(u16::to_be_bytes).collect::<Vec<u8>>())
        });
        let references: Vec<u8> = references.collect();
        let properties = [boxed(b"ipco", &self.properties.concat()), full_box(b"ipma", 0, &told)].concat();
        let inner = [
            full_box(b"hdlr", 0, b"\0\0\0\0pict\0\0\0\0\0\0\0\0\0\0\0\0\0"),
            full_box(b"pitm", 0, &[0, 1]),
            full_box(b"iloc", 0, &places),
            full_box(b"iinf", 0, &infos),
            if references.is_empty() { Vec::new() } else { full_box(b"iref", 0, &references) },
            boxed(b"iprp", &properties),
        ];
        full_box(b"meta", 0, &inner.concat())
    }
}
