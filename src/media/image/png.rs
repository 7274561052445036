//! PNG and APNG (ISO/IEC 15948; PNG third edition): chunks, each with its length, kind and check sum.
//!
//! Nothing is decompressed: texts and profiles may be bombs. Every check sum is compared, and a chunk that a reader has to
//! know and that is unknown here is refused. Frames are those of the animation when there is one (an `acTL` before the
//! first `IDAT`); otherwise there is one, and chunks of frames are data without use.

use std::collections::BTreeSet;

use super::gate::{Picture, Trouble, cut_off, damaged, grouped};
use super::jpeg::removed_with_exif;
use super::price::{self, area};
use super::{Orientation, Removed, Stripped, exif};

const SIGNATURE: usize = 8;
/// Colour profiles are compressed, up to a thousand to one. Real ones are below this, compressed or not; whoever
/// decodes must not inflate them without a bound.
const MOST_PROFILE: usize = 1 << 20;
/// The most that a length may be, and a side of a picture.
const MOST: u32 = i32::MAX as u32;

/// What the headers say.
pub(super) fn inspect(bytes: &[u8]) -> Result<Picture, Trouble> {
    let mut chunks = Chunks::new(bytes);
    let first = chunks.next_chunk()?.ok_or_else(|| cut_off("the first chunk"))?;
    let head = Head::read(&first)?;
    let mut seen = Seen::default();
    let mut orientation = None;
    while let Some(chunk) = chunks.next_chunk()? {
        seen.add(&chunk, &head)?;
        if &chunk.kind == b"eXIf" && orientation.is_none() {
            orientation = Some(exif::read(chunk.data).orientation);
        }
    }
    let (frames, drawn) = seen.frames(&head)?;
    Ok(Picture {
        width: head.width,
        height: head.height,
        orientation: orientation.unwrap_or_default(),
        frames,
        pixels: drawn.max(area(head.width, head.height)),
        price: price::png(head.width, head.height, head.bits, head.interlaced),
    })
}

/// The file with the chunks that its picture needs.
pub(super) fn strip(bytes: &[u8], orientation: Orientation) -> Result<Stripped, Trouble> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut removed = BTreeSet::new();
    let block = exif::minimal(orientation);
    out.extend_from_slice(&bytes[..SIGNATURE]);
    let (mut animated, mut data_seen) = (false, false);
    let mut chunks = Chunks::new(bytes);
    while let Some(chunk) = chunks.next_chunk()? {
        animated |= &chunk.kind == b"acTL" && !data_seen;
        data_seen |= &chunk.kind == b"IDAT";
        match chunk.fate(animated, data_seen) {
            Fate::Kept => out.extend_from_slice(chunk.raw),
            Fate::Exif => {
                removed.extend(removed_with_exif(chunk.data, block.as_ref().map(|block| &block[..])));
            }
            Fate::Gone(what) => drop(removed.insert(what)),
        }
        if let Some(block) = block.as_ref().filter(|_| &chunk.kind == b"IHDR") {
            push_chunk(&mut out, *b"eXIf", block);
        }
    }
    if !chunks.rest().is_empty() {
        removed.insert(Removed::Trailer);
    }
    Ok(Stripped { bytes: out, removed: removed.into_iter().collect() })
}

fn push_chunk(out: &mut Vec<u8>, kind: [u8; 4], data: &[u8]) {
    let length = u32::try_from(data.len()).unwrap_or(u32::MAX);
    out.extend(length.to_be_bytes());
    let start = out.len();
    out.extend(kind);
    out.extend_from_slice(data);
    out.extend(crc32fast::hash(&out[start..]).to_be_bytes());
}

/// What becomes of a chunk.
enum Fate {
    Kept,
    Exif,
    Gone(Removed),
}

struct Chunk<'a> {
    kind: [u8; 4],
    data: &'a [u8],
    /// All of it, length and check sum too.
    raw: &'a [u8],
}

impl Chunk<'_> {
    /// By the chunk's kind and place: colours have their meaning before the data only.
    fn fate(&self, animated: bool, data_seen: bool) -> Fate {
        let fits = |most: usize| self.data.len() <= most;
        let kept = match &self.kind {
            b"IHDR" | b"PLTE" | b"IDAT" | b"IEND" | b"tRNS" => true,
            b"acTL" | b"fcTL" | b"fdAT" => animated,
            b"sRGB" => fits(1) && !data_seen,
            b"gAMA" | b"sBIT" | b"cICP" => fits(4) && !data_seen,
            b"cHRM" => fits(32) && !data_seen,
            b"mDCV" => fits(24) && !data_seen,
            b"cLLI" => fits(8) && !data_seen,
            b"pHYs" => fits(9) && !data_seen,
            b"bKGD" => fits(6) && !data_seen,
            b"hIST" => fits(512) && !data_seen,
            b"iCCP" | b"sPLT" => !data_seen,
            _ => false,
        };
        if kept {
            return Fate::Kept;
        }
        Fate::Gone(match &self.kind {
            b"eXIf" => return Fate::Exif,
            b"tEXt" | b"zTXt" | b"iTXt" => self.text(),
            b"tIME" => Removed::Time,
            _ => Removed::Application,
        })
    }

    /// What a text is by its keyword: some programs hide their blocks in texts.
    fn text(&self) -> Removed {
        let keyword = self.data.split(|byte| *byte == 0).next().unwrap_or_default();
        match keyword {
            b"XML:com.adobe.xmp" => Removed::Xmp,
            b"Raw profile type exif" | b"Raw profile type APP1" => Removed::Exif,
            b"Raw profile type xmp" => Removed::Xmp,
            b"Raw profile type iptc" => Removed::Iptc,
            _ => Removed::Text,
        }
    }

    /// Four bytes of its data, as a number.
    fn long(&self, at: usize) -> Result<u32, Trouble> {
        let bytes = self.data.get(at..).and_then(<[u8]>::first_chunk);
        let short = || damaged(format!("its chunk {} is too short", self.name()));
        Ok(u32::from_be_bytes(*bytes.ok_or_else(short)?))
    }

    fn name(&self) -> String {
        self.kind.escape_ascii().to_string()
    }

    fn is_critical(&self) -> bool {
        self.kind[0].is_ascii_uppercase()
    }
}

/// The chunks of a file, one after the other, up to and with `IEND`.
struct Chunks<'a> {
    bytes: &'a [u8],
    at: usize,
    ended: bool,
}

impl<'a> Chunks<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: SIGNATURE, ended: false }
    }

    /// What comes behind the last chunk.
    fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    fn next_chunk(&mut self) -> Result<Option<Chunk<'a>>, Trouble> {
        if self.ended {
            return Ok(None);
        }
        let rest = self.rest();
        let Some((length, kind)) = rest.first_chunk().zip(rest.get(4..).and_then(<[u8]>::first_chunk)) else {
            return Err(damaged("it is cut off: the last chunk (IEND) is missing"));
        };
        let (length, kind) = (u32::from_be_bytes(*length), *kind);
        if length > MOST || !kind.iter().all(u8::is_ascii_alphabetic) {
            return Err(damaged("there is no chunk where one should begin"));
        }
        let end = 8 + length as usize;
        let sum = rest.get(end..).and_then(<[u8]>::first_chunk);
        let chunk = Chunk {
            kind,
            data: rest.get(8..end).unwrap_or_default(),
            raw: rest.get(..end + 4).unwrap_or_default(),
        };
        let sum = sum.ok_or_else(|| cut_off(&format!("its chunk {}", chunk.name())))?;
        if crc32fast::hash(&rest[4..end]) != u32::from_be_bytes(*sum) {
            return Err(damaged(format!("the check sum of its chunk {} is wrong", chunk.name())));
        }
        self.at += end + 4;
        self.ended = &kind == b"IEND";
        Ok(Some(chunk))
    }
}

/// The header.
struct Head {
    width: u32,
    height: u32,
    /// Bits a sample, or a number of the palette.
    bits: u8,
    colour: u8,
    interlaced: bool,
}

impl Head {
    fn read(chunk: &Chunk<'_>) -> Result<Self, Trouble> {
        let (width, height) = (chunk.long(0)?, chunk.long(4)?);
        let (b"IHDR", [bits, colour, 0, 0, interlace @ 0..=1]) =
            (&chunk.kind, chunk.data.get(8..).unwrap_or_default())
        else {
            return Err(damaged("it does not begin with a header that makes sense"));
        };
        let known = match colour {
            0 => matches!(bits, 1 | 2 | 4 | 8 | 16),
            3 => matches!(bits, 1 | 2 | 4 | 8),
            2 | 4 | 6 => matches!(bits, 8 | 16),
            _ => false,
        };
        if !known {
            return Err(damaged(format!("its header has colours that do not exist ({colour}, {bits} bits)")));
        }
        if width > MOST || height > MOST {
            return Err(damaged(format!("its header has sides that no PNG may have ({width} by {height})")));
        }
        Ok(Self { width, height, bits: *bits, colour: *colour, interlaced: *interlace == 1 })
    }
}

/// What has been seen so far, and in which order.
#[derive(Default)]
struct Seen {
    palette: bool,
    profile: bool,
    data: bool,
    /// Something came behind the data.
    past_data: bool,
    /// How many frames the animation claims to have.
    animation: Option<u32>,
    frames: u64,
    drawn: u64,
    /// The data is the first frame of the animation.
    data_is_frame: bool,
}

impl Seen {
    fn add(&mut self, chunk: &Chunk<'_>, head: &Head) -> Result<(), Trouble> {
        self.past_data |= self.data && &chunk.kind != b"IDAT";
        match &chunk.kind {
            b"IHDR" => Err(damaged("it has two headers")),
            b"PLTE" => self.add_palette(chunk, head),
            b"IDAT" => self.add_data(head),
            b"iCCP" => self.add_profile(chunk),
            b"acTL" if !self.data => {
                let twice = self.animation.replace(chunk.long(0)?).is_some() || chunk.data.len() != 8;
                if twice { Err(damaged("it describes its animation twice, or wrongly")) } else { Ok(()) }
            }
            b"fcTL" if self.animation.is_some() => self.add_frame(chunk, head),
            b"fdAT" if self.animation.is_some() && !self.data => {
                Err(damaged("data of a frame comes before the picture's own"))
            }
            b"IEND" if !chunk.data.is_empty() => Err(damaged("its last chunk (IEND) is not empty")),
            b"IEND" => Ok(()),
            b"tRNS" if chunk.data.len() > 256 => Err(damaged("its chunk tRNS is too long")),
            _ if chunk.is_critical() => Err(damaged(format!(
                "it has a chunk that a reader has to know and this one does not: {}",
                chunk.name()
            ))),
            _ => Ok(()),
        }
    }

    fn add_palette(&mut self, chunk: &Chunk<'_>, head: &Head) -> Result<(), Trouble> {
        let colours = chunk.data.len();
        if self.palette
            || self.data
            || matches!(head.colour, 0 | 4)
            || !colours.is_multiple_of(3)
            || !(3..=768).contains(&colours)
        {
            return Err(damaged(
                "its palette is doubled, in the wrong place or of no size that a palette can have",
            ));
        }
        self.palette = true;
        Ok(())
    }

    fn add_data(&mut self, head: &Head) -> Result<(), Trouble> {
        if self.past_data {
            return Err(damaged("its data is in two places"));
        }
        if head.colour == 3 && !self.palette {
            return Err(damaged("it has no palette, and its pixels are numbers of colours"));
        }
        self.data = true;
        self.data_is_frame = self.frames > 0;
        Ok(())
    }

    fn add_profile(&mut self, chunk: &Chunk<'_>) -> Result<(), Trouble> {
        if self.profile {
            return Err(damaged("it has two colour profiles"));
        }
        if chunk.data.len() > MOST_PROFILE {
            let what =
                format!("has a colour profile of {} bytes, compressed", grouped(chunk.data.len() as u64));
            return Err(Trouble::Excessive { what, most: format!("{} bytes", grouped(MOST_PROFILE as u64)) });
        }
        self.profile = true;
        Ok(())
    }

    fn add_frame(&mut self, chunk: &Chunk<'_>, head: &Head) -> Result<(), Trouble> {
        let [width, height, left, top] = [chunk.long(4)?, chunk.long(8)?, chunk.long(12)?, chunk.long(16)?];
        let within = |from: u32, side: u32, whole: u32| {
            side > 0 && from.checked_add(side).is_some_and(|end| end <= whole)
        };
        if chunk.data.len() != 26 || !within(left, width, head.width) || !within(top, height, head.height) {
            return Err(damaged("a frame does not lie within the picture"));
        }
        if !self.data && (self.frames > 0 || (width, height) != (head.width, head.height)) {
            return Err(damaged("the first frame is not the whole picture"));
        }
        self.frames += 1;
        self.drawn = self.drawn.saturating_add(area(width, height));
        Ok(())
    }

    /// How many frames there are, and the pixels of all that is drawn.
    fn frames(&self, head: &Head) -> Result<(u64, u64), Trouble> {
        if !self.data {
            return Err(damaged("it has no data"));
        }
        let whole = area(head.width, head.height);
        match self.animation {
            None => Ok((1, whole)),
            Some(0) => Err(damaged("its animation has no frames")),
            Some(claimed) if u64::from(claimed) != self.frames => {
                Err(damaged(format!("its animation has {} frames and claims {claimed}", self.frames)))
            }
            Some(_) if self.data_is_frame => Ok((self.frames, self.drawn)),
            Some(_) => Ok((self.frames, self.drawn.saturating_add(whole))),
        }
    }
}
