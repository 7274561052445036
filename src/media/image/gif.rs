//! GIF (87a and 89a): blocks behind a screen, each a picture or an extension, in chains of small sub-blocks.
//!
//! Frames are counted, and their areas summed, as they are drawn: a frame may be larger than the screen. Texts to be
//! drawn over pictures are what no browser draws; they go with the comments.

use std::collections::BTreeSet;

use super::gate::{Picture, Trouble, cut_off, damaged};
use super::price::{self, area};
use super::{Orientation, Removed, Stripped};

const SIGNATURE: usize = 6;
const SCREEN: usize = 7;

/// What the headers say.
pub(super) fn inspect(bytes: &[u8]) -> Result<Picture, Trouble> {
    let mut walk = Walk::new(bytes)?;
    let (width, height) = walk.screen();
    let (mut frames, mut drawn, mut largest) = (0_u64, 0_u64, 0);
    while let Some(block) = walk.next_block()? {
        if let Kind::Image { pixels, own_colours } = block.kind {
            if pixels == 0 {
                return Err(damaged("a frame has no pixels"));
            }
            if !own_colours && walk.colours == 0 {
                return Err(damaged("a frame has no colours"));
            }
            frames += 1;
            drawn += pixels;
            largest = pixels.max(largest);
        }
    }
    if frames == 0 {
        return Err(damaged("it has no frames"));
    }
    let screen = area(width, height);
    Ok(Picture {
        width,
        height,
        orientation: Orientation::Upright,
        frames,
        pixels: drawn.max(screen),
        price: price::gif(largest),
    })
}

/// The file with the blocks that its pictures and their order need.
pub(super) fn strip(bytes: &[u8]) -> Result<Stripped, Trouble> {
    let mut walk = Walk::new(bytes)?;
    let mut out = Vec::with_capacity(bytes.len());
    let mut removed = BTreeSet::new();
    out.extend_from_slice(&bytes[..walk.at]);
    while let Some(block) = walk.next_block()? {
        match block.kind {
            Kind::Image { .. } | Kind::Control | Kind::End => out.extend_from_slice(block.raw),
            Kind::Comment => drop(removed.insert(Removed::Comment)),
            Kind::Text => drop(removed.insert(Removed::Text)),
            Kind::Unknown => drop(removed.insert(Removed::Application)),
            Kind::Application => match application(block.raw) {
                Application::Loop(kept) => {
                    out.extend_from_slice(&kept);
                    if kept != block.raw {
                        removed.insert(Removed::Application);
                    }
                }
                Application::Profile => out.extend_from_slice(block.raw),
                Application::Gone(what) => drop(removed.insert(what)),
            },
        }
    }
    if !walk.rest().is_empty() {
        removed.insert(Removed::Trailer);
    }
    Ok(Stripped { bytes: out, removed: removed.into_iter().collect() })
}

/// What an application's extension is good for.
enum Application {
    /// It says how often the animation runs: all that is kept of it.
    Loop(Vec<u8>),
    /// It is a colour profile.
    Profile,
    Gone(Removed),
}

/// `raw`: an extension with its introducer, label and name.
fn application(raw: &[u8]) -> Application {
    const LOOP_END: usize = 14 + 4;
    // The name is a sub-block of eleven bytes.
    match raw.get(2..14).unwrap_or_default() {
        b"\x0bNETSCAPE2.0" | b"\x0bANIMEXTS1.0" => match raw.get(14..LOOP_END) {
            Some(kept @ [3, 1, _, _]) => Application::Loop([&raw[..14], kept, &[0]].concat()),
            Some(_) | None => Application::Gone(Removed::Application),
        },
        b"\x0bICCRGBG1012" => Application::Profile,
        b"\x0bXMP DataXMP" => Application::Gone(Removed::Xmp),
        _ => Application::Gone(Removed::Application),
    }
}

struct Block<'a> {
    kind: Kind,
    /// All of it, from its introducer to its terminator.
    raw: &'a [u8],
}

#[derive(Clone, Copy)]
enum Kind {
    Image {
        pixels: u64,
        /// Whether it brings a palette.
        own_colours: bool,
    },
    /// How the next picture is shown, and for how long.
    Control,
    Comment,
    Text,
    Application,
    Unknown,
    End,
}

/// The blocks of a file, one after the other, up to and with the trailer.
struct Walk<'a> {
    bytes: &'a [u8],
    at: usize,
    ended: bool,
    /// How many bytes the palette of all pictures has.
    colours: usize,
}

impl<'a> Walk<'a> {
    /// At the first block, behind the screen and its palette.
    fn new(bytes: &'a [u8]) -> Result<Self, Trouble> {
        let flags = *bytes.get(SIGNATURE + 4).ok_or_else(|| cut_off("the header"))?;
        let colours = palette(flags);
        let at = SIGNATURE + SCREEN + colours;
        if bytes.len() < at {
            return Err(cut_off("the header"));
        }
        Ok(Self { bytes, at, ended: false, colours })
    }

    /// Width and height.
    fn screen(&self) -> (u32, u32) {
        let side = |at: usize| u32::from(u16::from_le_bytes([self.bytes[at], self.bytes[at + 1]]));
        (side(SIGNATURE), side(SIGNATURE + 2))
    }

    /// What comes behind the trailer.
    fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    fn next_block(&mut self) -> Result<Option<Block<'a>>, Trouble> {
        if self.ended {
            return Ok(None);
        }
        let rest = self.rest();
        let (kind, length) = match rest {
            [0x3b, ..] => {
                self.ended = true;
                (Kind::End, 1)
            }
            [0x2c, ..] => image(rest)?,
            [0x21, label, blocks @ ..] => (extension(*label, blocks)?, 2 + chain(blocks)?),
            [] | [0x21] => return Err(damaged("it is cut off: the trailer is missing")),
            [other, ..] => {
                return Err(damaged(format!("something begins with {other:02x} where a frame should begin")));
            }
        };
        self.at += length;
        Ok(Some(Block { kind, raw: &rest[..length] }))
    }
}

fn extension(label: u8, blocks: &[u8]) -> Result<Kind, Trouble> {
    Ok(match label {
        0xf9 if !matches!(blocks, [4, _, _, _, _, 0, ..] | []) => {
            return Err(damaged("a control block is not of four bytes"));
        }
        0xf9 => Kind::Control,
        0xfe => Kind::Comment,
        0x01 => Kind::Text,
        0xff => Kind::Application,
        _ => Kind::Unknown,
    })
}

/// A picture, from its introducer on, and how long it is.
fn image(bytes: &[u8]) -> Result<(Kind, usize), Trouble> {
    let [_, _, _, _, _, w0, w1, h0, h1, flags, behind @ ..] = bytes else {
        return Err(cut_off("a frame"));
    };
    let colours = palette(*flags);
    let [code, blocks @ ..] = behind.get(colours..).unwrap_or_default() else {
        return Err(cut_off("a frame"));
    };
    if !(1..=11).contains(code) {
        return Err(damaged(format!("the codes of a frame begin with {code} bits")));
    }
    let pixels = area(u16::from_le_bytes([*w0, *w1]).into(), u16::from_le_bytes([*h0, *h1]).into());
    Ok((Kind::Image { pixels, own_colours: colours > 0 }, 10 + colours + 1 + chain(blocks)?))
}

/// The bytes of a palette that the flags announce.
fn palette(flags: u8) -> usize {
    if flags & 0x80 == 0 { 0 } else { 3 << ((flags & 7) + 1) }
}

/// How long a chain of sub-blocks is, with its terminator.
fn chain(bytes: &[u8]) -> Result<usize, Trouble> {
    let mut at = 0;
    loop {
        match bytes.get(at) {
            None => return Err(cut_off("a block")),
            Some(0) => return Ok(at + 1),
            Some(length) => at += 1 + usize::from(*length),
        }
    }
}
