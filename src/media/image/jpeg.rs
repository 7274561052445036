//! JPEG (ITU-T T.81): markers, the segments that they open, and scans of compressed data between them.
//!
//! Read are baseline, extended and progressive pictures of 8 bits, compressed by Huffman's codes: what browsers show and
//! our decoder reads. What stands between segments and is none is skipped, as decoders do, and does not survive
//! stripping. A file may end without its end marker, as many do, when its scans bring all there is of the picture;
//! whether the last one is cut off the decoder sees. What is stored of it has the marker.

use std::collections::BTreeSet;

use super::brought::Brought;
use super::gate::{Picture, Trouble, cut_off, damaged};
use super::price::{self, JpegFrame};
use super::{Orientation, Removed, Stripped, exif};

const SOI: u8 = 0xd8;
const EOI: u8 = 0xd9;
const SOS: u8 = 0xda;
const DAC: u8 = 0xcc;
const DNL: u8 = 0xdc;
const COM: u8 = 0xfe;
const APP0: u8 = 0xe0;
const APP1: u8 = 0xe1;
const APP2: u8 = 0xe2;
const APP13: u8 = 0xed;
const APP14: u8 = 0xee;
const APP15: u8 = 0xef;

const EXIF: &[u8] = b"Exif\0\0";
const JFIF: &[u8] = b"JFIF\0";

/// Each scan may make the decoder go over the whole picture; real pictures have about ten.
const MOST_SCANS: usize = 100;

/// What the headers say.
pub(super) fn inspect(bytes: &[u8]) -> Result<Picture, Trouble> {
    let mut walk = Walk::new(bytes);
    let mut frame: Option<Frame> = None;
    let mut orientation = None;
    let mut scans = 0;
    let mut one_scan = true;
    let mut brought = Brought::default();
    while let Some(part) = walk.next_part()? {
        match part.marker {
            0xc0..=0xc3 | 0xc5..=0xcb | 0xcd..=0xcf => {
                let twice = frame.replace(Frame::read(part.marker, part.data)?).is_some();
                (!twice).then_some(()).ok_or_else(|| damaged("it has two frame headers"))?;
            }
            SOS => {
                let frame = frame.as_ref().ok_or_else(|| damaged("a scan comes before the frame header"))?;
                let components = frame.components_of_scan(part.data, &mut brought)?;
                one_scan &= scans == 0 && components == frame.components.len() && !frame.progressive;
                scans += 1;
            }
            DNL if frame.as_ref().is_some_and(|frame| frame.height == 0) => {
                return Err(Trouble::Unreadable(
                    "a JPEG picture that tells its height at its end".to_owned(),
                ));
            }
            APP1 if orientation.is_none() && scans == 0 => {
                orientation = part.data.strip_prefix(EXIF).map(|tiff| exif::read(tiff).orientation);
            }
            _ => {}
        }
    }
    let (Some(frame), 1..) = (frame, scans) else {
        return Err(damaged("it has no picture between its markers"));
    };
    if walk.end == End::Missing && !brought.is_whole(frame.components.len()) {
        return Err(no_end());
    }
    if scans > MOST_SCANS {
        let what = format!("has {scans} scans");
        return Err(Trouble::Excessive { what, most: format!("{MOST_SCANS} scans") });
    }
    let (width, height) = (u32::from(frame.width), u32::from(frame.height));
    let components = frame.components.iter().map(|component| component.sampling).collect();
    let file = bytes.len() as u64;
    Ok(Picture {
        width,
        height,
        orientation: orientation.unwrap_or_default(),
        frames: 1,
        pixels: price::area(width, height),
        price: price::jpeg(&JpegFrame { width, height, components, one_scan, file }),
    })
}

/// The file with the segments that its picture needs.
pub(super) fn strip(bytes: &[u8], orientation: Orientation) -> Result<Stripped, Trouble> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut removed = BTreeSet::new();
    let block = exif::minimal(orientation);
    out.extend([0xff, SOI]);
    out.extend(first_jfif(bytes)?.into_iter().flatten());
    if let Some(block) = block {
        push_segment(&mut out, APP1, &[EXIF, &block]);
    }
    let (mut jfif_seen, mut scan_seen) = (false, false);
    let mut walk = Walk::new(bytes);
    while let Some(part) = walk.next_part()? {
        scan_seen |= part.marker == SOS;
        match part.marker {
            APP0 if part.data.starts_with(JFIF) => {
                // The first one is written already.
                if jfif_seen || part.data.len() < JFIF_BYTES {
                    removed.insert(Removed::Application);
                } else if part.data.len() > JFIF_BYTES || part.data[12..14] != [0, 0] {
                    removed.insert(Removed::Thumbnail);
                }
                jfif_seen = true;
            }
            APP0 if part.data.starts_with(b"JFXX\0") => drop(removed.insert(Removed::Thumbnail)),
            // A frame of a film, which may leave out the codes that all such frames share.
            APP0 if part.data.starts_with(b"AVI1") && part.data.len() <= 14 => out.extend(part.raw),
            APP1 => removed.extend(told_by_app1(part.data, block.as_ref().map(|block| &block[..]))),
            APP2 if part.data.starts_with(b"ICC_PROFILE\0") && !scan_seen => out.extend(part.raw),
            APP13 if part.data.starts_with(b"Photoshop 3.0\0") => drop(removed.insert(Removed::Iptc)),
            APP14 if part.data.starts_with(b"Adobe") && part.data.len() >= ADOBE_BYTES => {
                push_segment(&mut out, APP14, &[&part.data[..ADOBE_BYTES]]);
                if part.data.len() > ADOBE_BYTES {
                    removed.insert(Removed::Application);
                }
            }
            COM => drop(removed.insert(Removed::Comment)),
            // The height once more: nobody reads it who has it from the frame header.
            DNL => drop(removed.insert(Removed::Application)),
            APP0..=APP15 | 0xf0..=0xfd => drop(removed.insert(Removed::Application)),
            _ => out.extend(part.raw),
        }
    }
    if walk.end == End::Missing {
        out.extend([0xff, EOI]);
    }
    if walk.skipped {
        removed.insert(Removed::Application);
    }
    if !walk.rest().is_empty() {
        removed.insert(Removed::Trailer);
    }
    Ok(Stripped { bytes: out, removed: removed.into_iter().collect() })
}

/// The file with its end marker.
pub(super) fn with_its_end(bytes: &[u8]) -> Result<Vec<u8>, Trouble> {
    let mut walk = Walk::new(bytes);
    while walk.next_part()?.is_some() {}
    let missing: &[u8] = if walk.end == End::Missing { &[0xff, EOI] } else { &[] };
    Ok([bytes, missing].concat())
}

/// What a JFIF segment has before its small picture.
const JFIF_BYTES: usize = 14;
/// What an Adobe segment has.
const ADOBE_BYTES: usize = 12;

/// The first JFIF segment, without its small picture. It has to come first.
fn first_jfif(bytes: &[u8]) -> Result<Option<Vec<u8>>, Trouble> {
    let mut walk = Walk::new(bytes);
    while let Some(part) = walk.next_part()? {
        if part.marker == SOS {
            break;
        }
        if part.marker == APP0 && part.data.starts_with(JFIF) {
            if part.data.len() < JFIF_BYTES {
                break;
            }
            let mut segment = Vec::new();
            push_segment(&mut segment, APP0, &[&part.data[..JFIF_BYTES - 2], &[0, 0]]);
            return Ok(Some(segment));
        }
    }
    Ok(None)
}

/// What goes with an APP1 segment; nothing when it is the one that is written anew.
fn told_by_app1(data: &[u8], written: Option<&[u8]>) -> Vec<Removed> {
    let Some(tiff) = data.strip_prefix(EXIF) else {
        let xmp = data.starts_with(b"http://ns.adobe.com/");
        return vec![if xmp { Removed::Xmp } else { Removed::Application }];
    };
    removed_with_exif(tiff, written)
}

/// What goes with an Exif block; nothing when it is the one that is written anew.
pub(super) fn removed_with_exif(tiff: &[u8], written: Option<&[u8]>) -> Vec<Removed> {
    if written == Some(tiff) {
        return Vec::new();
    }
    let told = exif::read(tiff);
    let mut removed = vec![Removed::Exif];
    removed.extend(told.gps.then_some(Removed::Gps));
    removed.extend(told.thumbnail.then_some(Removed::Thumbnail));
    removed
}

/// Writes a segment, whose data has to be shorter than 65,534 bytes.
fn push_segment(out: &mut Vec<u8>, marker: u8, data: &[&[u8]]) {
    let length = data.iter().map(|part| part.len()).sum::<usize>() + 2;
    out.extend([0xff, marker]);
    out.extend(u16::try_from(length).unwrap_or(u16::MAX).to_be_bytes());
    for part in data {
        out.extend_from_slice(part);
    }
}

/// A segment with the scan behind it, if it opens one; or the end marker.
struct Part<'a> {
    marker: u8,
    /// All of it, from its marker on.
    raw: &'a [u8],
    /// The segment without marker and length.
    data: &'a [u8],
}

/// How far a walk is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// More may come.
    Ahead,
    /// The end marker came.
    Came,
    /// The file ended, and the end marker did not come.
    Missing,
}

/// The parts of a file, one after the other, up to and with the end marker.
struct Walk<'a> {
    bytes: &'a [u8],
    at: usize,
    end: End,
    /// Whether something was skipped that is no segment.
    skipped: bool,
}

impl<'a> Walk<'a> {
    /// `bytes` begin with SOI.
    fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 2, end: End::Ahead, skipped: false }
    }

    /// What comes behind the end marker.
    fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    fn next_part(&mut self) -> Result<Option<Part<'a>>, Trouble> {
        if self.end != End::Ahead {
            return Ok(None);
        }
        let Some(marker) = self.find_marker() else {
            (self.end, self.at) = (End::Missing, self.bytes.len());
            return Ok(None);
        };
        let start = self.at - 2;
        match marker {
            EOI => {
                self.end = End::Came;
                Ok(Some(Part { marker, raw: &self.bytes[start..self.at], data: &[] }))
            }
            SOI => Err(damaged("a second picture begins within it")),
            0x02..=0xbf => Err(damaged(format!("it has a marker that means nothing (ff {marker:02x})"))),
            DAC => Err(Trouble::Unreadable("a JPEG picture with arithmetic codes".to_owned())),
            0xde | 0xdf => Err(Trouble::Unreadable("a JPEG picture in several sizes".to_owned())),
            _ => {
                let data = self.segment()?;
                if marker == SOS {
                    self.at += compressed(&self.bytes[self.at..]);
                }
                Ok(Some(Part { marker, raw: &self.bytes[start..self.at], data }))
            }
        }
    }

    /// Moves behind the next marker, past fill bytes and whatever is no marker; `None` when none comes.
    fn find_marker(&mut self) -> Option<u8> {
        loop {
            let rest = self.bytes.get(self.at..)?;
            let to_ff = rest.iter().position(|byte| *byte == 0xff)?;
            let fill = rest[to_ff..].iter().position(|byte| *byte != 0xff)?;
            self.at += to_ff + fill + 1;
            self.skipped |= to_ff > 0;
            match rest[to_ff + fill] {
                // No marker, a mark of restart outside of a scan, or a marker without a use.
                0x00 | 0xd0..=0xd7 | 0x01 => self.skipped = true,
                marker => return Some(marker),
            }
        }
    }

    /// The data of the segment that begins here; moves behind it.
    fn segment(&mut self) -> Result<&'a [u8], Trouble> {
        let rest = &self.bytes[self.at..];
        let length = rest.first_chunk().map(|bytes| usize::from(u16::from_be_bytes(*bytes)));
        let length = length.ok_or_else(|| cut_off("a segment"))?;
        if length < 2 {
            return Err(damaged("a segment is shorter than its own length"));
        }
        let data = rest.get(2..length).ok_or_else(|| cut_off("a segment"))?;
        self.at += length;
        Ok(data)
    }
}

fn no_end() -> Trouble {
    damaged("it is cut off: the end marker is missing")
}

/// How many bytes of compressed data stand here, up to a marker that is no mark of restart, or to the end.
fn compressed(bytes: &[u8]) -> usize {
    let mut at = 0;
    loop {
        let Some(to_ff) = bytes[at..].iter().position(|byte| *byte == 0xff) else { return bytes.len() };
        at += to_ff;
        match bytes[at..].iter().position(|byte| *byte != 0xff) {
            Some(fill) if matches!(bytes[at + fill], 0x00 | 0xd0..=0xd7) => at += fill + 1,
            Some(_) | None => return at,
        }
    }
}

/// The frame header.
struct Frame {
    progressive: bool,
    width: u16,
    height: u16,
    components: Vec<Component>,
}

struct Component {
    id: u8,
    /// Across and down.
    sampling: (u8, u8),
}

impl Frame {
    fn read(marker: u8, data: &[u8]) -> Result<Self, Trouble> {
        let progressive = match marker {
            0xc0 | 0xc1 => false,
            0xc2 => true,
            0xc3 | 0xc7 | 0xcb | 0xcf => {
                return Err(Trouble::Unreadable("a lossless JPEG picture".to_owned()));
            }
            0xc5 | 0xc6 => return Err(Trouble::Unreadable("a JPEG picture in several sizes".to_owned())),
            _ => return Err(Trouble::Unreadable("a JPEG picture with arithmetic codes".to_owned())),
        };
        let [bits, h1, h0, w1, w0, count, components @ ..] = data else {
            return Err(damaged("the frame header is too short"));
        };
        if *bits != 8 {
            return Err(Trouble::Unreadable(format!("a JPEG picture of {bits} bits a sample")));
        }
        if !matches!(count, 1 | 3 | 4) || components.len() != 3 * usize::from(*count) {
            return Err(damaged(format!("the frame header is not one of {count} colour components")));
        }
        let components: Vec<Component> = components.chunks_exact(3).map(Component::read).collect();
        let senseless = |side: u8| !(1..=4).contains(&side);
        if components
            .iter()
            .any(|component| senseless(component.sampling.0) || senseless(component.sampling.1))
        {
            return Err(damaged("a colour component is sampled in a way that does not exist"));
        }
        Ok(Self {
            progressive,
            width: u16::from_be_bytes([*w1, *w0]),
            height: u16::from_be_bytes([*h1, *h0]),
            components,
        })
    }

    /// How many components the scan has; what it brings is noted.
    fn components_of_scan(&self, data: &[u8], brought: &mut Brought) -> Result<usize, Trouble> {
        let count = usize::from(*data.first().ok_or_else(|| damaged("a scan has no header"))?);
        if !(1..=self.components.len()).contains(&count) || data.len() != 4 + 2 * count {
            return Err(damaged(format!("the header of a scan is not one of {count} colour components")));
        }
        let known = |id: u8| self.components.iter().any(|component| component.id == id);
        if !data[1..=2 * count].chunks_exact(2).all(|component| known(component[0])) {
            return Err(damaged("a scan has a colour component that the frame has not"));
        }
        let (chosen, band) = data[1..].split_at(2 * count);
        let (band, high, low) = if self.progressive {
            ((usize::from(band[0]), usize::from(band[1])), band[2] >> 4, band[2] & 15)
        } else {
            ((0, 63), 0, 0)
        };
        for (place, component) in self.components.iter().enumerate() {
            if chosen.chunks_exact(2).any(|chosen| chosen[0] == component.id) {
                // Whether it is in turn the decoder sees.
                brought.scan(place, band, high, low);
            }
        }
        Ok(count)
    }
}

impl Component {
    /// Of three bytes.
    fn read(bytes: &[u8]) -> Self {
        Self { id: bytes[0], sampling: (bytes[1] >> 4, bytes[1] & 15) }
    }
}
