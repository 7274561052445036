//! WebP (RFC 9649): chunks in a RIFF file; one picture, or a canvas with pictures and what belongs to them.
//!
//! What comes behind the length that the file tells of itself is a trailer. A chunk may lack the byte that makes its
//! length even when it is the last one.

use std::collections::BTreeSet;

use super::gate::{Picture, Trouble, cut_off, damaged, grouped};
use super::jpeg::removed_with_exif;
use super::price::{self, WebpAlpha, WebpCoding, WebpPicture, area};
use super::{Orientation, Removed, Stripped, exif, vp8l};

/// `RIFF`, a length, `WEBP`.
const HEAD: usize = 12;
/// The head of a frame, before its own chunks.
const FRAME: usize = 16;

const ICC: u8 = 0x20;
const ALPHA: u8 = 0x10;
const EXIF: u8 = 0x08;
const ANIMATION: u8 = 0x02;

/// What the headers say. Of what would take more memory than `most` no more is read than shows that.
pub(super) fn inspect(bytes: &[u8], most: u64) -> Result<Picture, Trouble> {
    let mut chunks = Chunks::of_file(bytes)?;
    let first = chunks.next_chunk()?.ok_or_else(|| cut_off("the header"))?;
    let Some(canvas) = Canvas::read(&first)? else {
        let (width, height) = sides(&first)?;
        while chunks.next_chunk()?.is_some() {}
        // A lossless one says itself whether it is transparent.
        let lossless = &first.kind == b"VP8L";
        let transparent = lossless && first.data.get(4).is_some_and(|byte| byte & 0x10 != 0);
        let cost = price::webp_picture(&picture(&first, None, most)?, !lossless || transparent);
        let pixels = area(width, height);
        let price = price::webp(pixels, transparent, false, cost, 0);
        return Ok(Picture { width, height, orientation: Orientation::Upright, frames: 1, pixels, price });
    };
    let whole = area(canvas.width, canvas.height);
    let mut orientation = None;
    let (mut still, mut alpha, mut profile) = (None, None, 0);
    let (mut frames, mut drawn, mut dearest) = (0_u64, 0_u64, 0);
    let mut timed = !canvas.animated;
    while let Some(chunk) = chunks.next_chunk()? {
        match &chunk.kind {
            b"VP8 " | b"VP8L" if !canvas.animated => canvas.show(chunk, &mut still)?,
            // Of several the decoder may read any.
            b"ALPH" if !canvas.animated => {
                alpha = dearer(alpha, transparency(&chunk, canvas.width, canvas.height, most)?)
            }
            b"ANMF" if canvas.animated => {
                let (pixels, cost) = frame(&chunk, &canvas, most)?;
                frames += 1;
                drawn = drawn.saturating_add(pixels);
                dearest = cost.max(dearest);
            }
            b"EXIF" if orientation.is_none() => orientation = Some(exif::read(tiff(chunk.data)).orientation),
            b"VP8X" => return Err(damaged("it has two headers")),
            b"ICCP" => profile = profile.max(chunk.data.len() as u64),
            b"ANIM" => timed = true,
            _ => {}
        }
    }
    if let Some(still) = &still {
        let lossless = &still.kind == b"VP8L";
        dearest = price::webp_picture(&picture(still, alpha, most)?, !lossless || canvas.transparent);
        (frames, drawn) = (1, whole);
    }
    if frames == 0 {
        return Err(damaged("it has no picture"));
    }
    if !timed {
        return Err(damaged("its animation is not described"));
    }
    Ok(Picture {
        width: canvas.width,
        height: canvas.height,
        orientation: orientation.unwrap_or_default(),
        frames,
        pixels: drawn.max(whole),
        price: price::webp(whole, canvas.transparent, canvas.animated, dearest, profile),
    })
}

/// The file with the chunks that its picture needs.
pub(super) fn strip(bytes: &[u8], orientation: Orientation) -> Result<Stripped, Trouble> {
    let mut chunks = Chunks::of_file(bytes)?;
    let mut out = Vec::with_capacity(bytes.len());
    let mut removed = BTreeSet::new();
    let block = exif::minimal(orientation);
    out.extend_from_slice(&bytes[..HEAD]);
    let mut shape = Shape::Bare { seen: false };
    while let Some(chunk) = chunks.next_chunk()? {
        match &chunk.kind {
            b"VP8X" => {
                shape = Shape::Canvas { flags: out.len() + 8, has: 0 };
                push_chunk(&mut out, chunk.kind, chunk.data.get(..10).unwrap_or_default());
            }
            b"EXIF" => {
                let written = block.as_ref().map(|block| &block[..]);
                removed.extend(removed_with_exif(tiff(chunk.data), written));
            }
            b"XMP " => drop(removed.insert(Removed::Xmp)),
            kind if !shape.keeps(kind, &out) => drop(removed.insert(Removed::Application)),
            b"ANMF" => {
                let (kept, whole) = without_strangers(chunk.data)?;
                push_chunk(&mut out, chunk.kind, &kept);
                removed.extend((!whole).then_some(Removed::Application));
            }
            _ => push_chunk(&mut out, chunk.kind, chunk.data),
        }
    }
    if let Shape::Canvas { flags, has } = shape {
        out[flags] &= has | ALPHA | ANIMATION;
        if let Some(block) = &block {
            out[flags] |= EXIF;
            push_chunk(&mut out, *b"EXIF", block);
        }
    }
    let length = u32::try_from(out.len() - 8).map_err(|_| damaged("it is longer than a WebP can be"))?;
    out[4..8].copy_from_slice(&length.to_le_bytes());
    // A length that leaves out the byte behind a chunk of odd length leaves that byte behind.
    if !matches!(chunks.behind, [] | [0]) {
        removed.insert(Removed::Trailer);
    }
    Ok(Stripped { bytes: out, removed: removed.into_iter().collect() })
}

/// What kind of file is being written.
enum Shape {
    /// One picture and nothing else.
    Bare {
        /// Whether it is written.
        seen: bool,
    },
    /// A header, and what it announces.
    Canvas {
        /// Where its flags are written.
        flags: usize,
        /// The flags of what was found.
        has: u8,
    },
}

impl Shape {
    /// Whether a chunk of that kind has a part in the picture. A profile that is not announced is none.
    fn keeps(&mut self, kind: &[u8; 4], out: &[u8]) -> bool {
        match self {
            Self::Bare { seen } => matches!(kind, b"VP8 " | b"VP8L") && !std::mem::replace(seen, true),
            Self::Canvas { flags, has } => {
                let announced = out[*flags];
                let animated = announced & ANIMATION != 0;
                match kind {
                    b"ICCP" if announced & ICC != 0 && *has & ICC == 0 => {
                        *has |= ICC;
                        true
                    }
                    b"VP8 " | b"VP8L" | b"ALPH" => !animated,
                    b"ANIM" | b"ANMF" => animated,
                    _ => false,
                }
            }
        }
    }
}

/// The block of TIFF in a chunk; some programs write the name before it that JPEG has there.
fn tiff(data: &[u8]) -> &[u8] {
    data.strip_prefix(b"Exif\0\0").unwrap_or(data)
}

fn push_chunk(out: &mut Vec<u8>, kind: [u8; 4], data: &[u8]) {
    out.extend(kind);
    out.extend(u32::try_from(data.len()).unwrap_or(u32::MAX).to_le_bytes());
    out.extend_from_slice(data);
    if !data.len().is_multiple_of(2) {
        out.push(0);
    }
}

/// A frame without chunks that are no part of its picture, and whether there were none.
fn without_strangers(data: &[u8]) -> Result<(Vec<u8>, bool), Trouble> {
    let (head, inner) = data.split_at_checked(FRAME).ok_or_else(|| cut_off("a frame"))?;
    let mut kept = head.to_vec();
    let mut whole = true;
    let mut chunks = Chunks { bytes: inner, at: 0, behind: &[] };
    while let Some(chunk) = chunks.next_chunk()? {
        if matches!(&chunk.kind, b"VP8 " | b"VP8L" | b"ALPH") {
            push_chunk(&mut kept, chunk.kind, chunk.data);
        } else {
            whole = false;
        }
    }
    Ok((kept, whole))
}

struct Chunk<'a> {
    kind: [u8; 4],
    data: &'a [u8],
}

/// Chunks, one after the other.
struct Chunks<'a> {
    bytes: &'a [u8],
    at: usize,
    /// What comes behind all of them.
    behind: &'a [u8],
}

impl<'a> Chunks<'a> {
    fn of_file(bytes: &'a [u8]) -> Result<Self, Trouble> {
        let length = bytes.get(4..).and_then(<[u8]>::first_chunk).map(|length| u32::from_le_bytes(*length));
        let length = length.and_then(|length| usize::try_from(length).ok()).unwrap_or_default();
        let end = 8_usize.saturating_add(length);
        // The last chunk may lack its last byte.
        let whole = bytes.get(..end).or_else(|| bytes.get(..end.saturating_sub(1)));
        let whole = whole.ok_or_else(|| damaged("it is cut off: the file is shorter than it says"))?;
        if whole.len() < HEAD {
            return Err(cut_off("the header"));
        }
        Ok(Self { bytes: whole, at: HEAD, behind: &bytes[whole.len()..] })
    }

    fn next_chunk(&mut self) -> Result<Option<Chunk<'a>>, Trouble> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        if rest.is_empty() {
            return Ok(None);
        }
        let Some((kind, length)) = rest.first_chunk().zip(rest.get(4..).and_then(<[u8]>::first_chunk)) else {
            return Err(cut_off("a chunk"));
        };
        let length = u32::from_le_bytes(*length) as usize;
        let data = rest.get(8..8 + length).ok_or_else(|| cut_off("a chunk"))?;
        self.at += 8 + length.next_multiple_of(2);
        Ok(Some(Chunk { kind: *kind, data }))
    }
}

/// The header of a file that is more than one picture alone.
struct Canvas {
    width: u32,
    height: u32,
    animated: bool,
    transparent: bool,
}

impl Canvas {
    /// `None` when the chunk is a picture.
    fn read(chunk: &Chunk<'_>) -> Result<Option<Self>, Trouble> {
        if &chunk.kind != b"VP8X" {
            return Ok(None);
        }
        let [flags, _, _, _, sides @ ..] = chunk.data else { return Err(cut_off("the header")) };
        let side = |at| triple(sides, at).ok_or_else(|| cut_off("the header"));
        let (animated, transparent) = (flags & ANIMATION != 0, flags & ALPHA != 0);
        Ok(Some(Self { width: side(0)? + 1, height: side(3)? + 1, animated, transparent }))
    }

    /// Takes the only picture of one that is not animated.
    fn show<'a>(&self, picture: Chunk<'a>, still: &mut Option<Chunk<'a>>) -> Result<(), Trouble> {
        let fits = sides(&picture)? == (self.width, self.height);
        if fits && still.replace(picture).is_none() {
            return Ok(());
        }
        Err(damaged("its picture is doubled, or not as large as it says"))
    }
}

/// The pixels of a frame of an animation, and what decoding it takes.
fn frame(chunk: &Chunk<'_>, canvas: &Canvas, most: u64) -> Result<(u64, u64), Trouble> {
    let number = |at| triple(chunk.data, at).ok_or_else(|| cut_off("a frame"));
    let (left, top, width, height) = (number(0)? * 2, number(3)? * 2, number(6)? + 1, number(9)? + 1);
    if left + width > canvas.width || top + height > canvas.height {
        return Err(damaged("a frame does not lie within the picture"));
    }
    let inner = chunk.data.get(FRAME..).ok_or_else(|| cut_off("a frame"))?;
    let mut chunks = Chunks { bytes: inner, at: 0, behind: &[] };
    let (mut pictures, mut found, mut alpha) = (0, None, None);
    while let Some(inner) = chunks.next_chunk()? {
        match &inner.kind {
            b"VP8 " | b"VP8L" => {
                pictures += 1;
                if sides(&inner)? != (width, height) {
                    return Err(damaged("a frame's picture is not as large as the frame"));
                }
                found = Some(inner);
            }
            b"ALPH" => alpha = dearer(alpha, transparency(&inner, width, height, most)?),
            _ => {}
        }
    }
    match found {
        Some(found) if pictures == 1 => {
            Ok((area(width, height), price::webp_picture(&picture(&found, alpha, most)?, false)))
        }
        Some(_) | None => Err(damaged(format!("a frame has {pictures} pictures"))),
    }
}

/// What the price of a picture depends on.
fn picture(chunk: &Chunk<'_>, alpha: Option<WebpAlpha>, most: u64) -> Result<WebpPicture, Trouble> {
    let (width, height) = sides(chunk)?;
    let coding = if &chunk.kind == b"VP8L" {
        WebpCoding::Lossless(set_up(chunk.data.get(5..).unwrap_or_default(), width, height, most)?)
    } else {
        WebpCoding::Lossy(chunk.data.len() as u64)
    };
    Ok(WebpPicture { width, height, coding, alpha })
}

/// The same for the transparency of a lossy picture.
fn transparency(chunk: &Chunk<'_>, width: u32, height: u32, most: u64) -> Result<WebpAlpha, Trouble> {
    match chunk.data {
        [how, data @ ..] if how & 3 != 0 => Ok(WebpAlpha::Lossless(set_up(data, width, height, most)?)),
        [..] => Ok(WebpAlpha::Plain),
    }
}

fn dearer(one: Option<WebpAlpha>, other: WebpAlpha) -> Option<WebpAlpha> {
    match (one, other) {
        (Some(WebpAlpha::Lossless(one)), WebpAlpha::Lossless(other)) => {
            Some(WebpAlpha::Lossless(one.max(other)))
        }
        (Some(one @ WebpAlpha::Lossless(_)), WebpAlpha::Plain) => Some(one),
        (None | Some(WebpAlpha::Plain), other) => Some(other),
    }
}

/// What reading lossless data takes besides its pixels; refused when that alone is more than `most`.
fn set_up(data: &[u8], width: u32, height: u32, most: u64) -> Result<u64, Trouble> {
    match vp8l::set_up(data, width, height, most) {
        Some(taken) if taken > most => {
            let most = format!("{} bytes", grouped(most));
            Err(Trouble::Excessive { what: format!("would take more than {most} of memory to decode"), most })
        }
        Some(taken) => Ok(taken),
        None => Ok(price::webp_unread(area(width, height), data.len() as u64)),
    }
}

/// Width and height of a picture, lossy or lossless.
fn sides(chunk: &Chunk<'_>) -> Result<(u32, u32), Trouble> {
    match (&chunk.kind, chunk.data) {
        (b"VP8 ", [tag, _, _, 0x9d, 0x01, 0x2a, w0, w1, h0, h1, ..]) if tag & 1 == 0 => {
            let side = |low, high| u32::from(u16::from_le_bytes([low, high]) & 0x3fff);
            Ok((side(*w0, *w1), side(*h0, *h1)))
        }
        (b"VP8L", [0x2f, a, b, c, d, ..]) if d >> 5 == 0 => {
            let bits = u32::from_le_bytes([*a, *b, *c, *d]);
            Ok(((bits & 0x3fff) + 1, (bits >> 14 & 0x3fff) + 1))
        }
        (kind, _) => Err(damaged(format!("there is no picture in its chunk {}", kind.escape_ascii()))),
    }
}

/// A number of three bytes.
fn triple(bytes: &[u8], at: usize) -> Option<u32> {
    let [a, b, c] = *bytes.get(at..)?.first_chunk()?;
    Some(u32::from_le_bytes([a, b, c, 0]))
}
