//! The file anew, of nothing but the picture: its items, what is said of them, and their bytes.
//!
//! What is true: the units of AV1 that make the picture are copied as they are; the same picture is always the same bytes,
//! so that what was stripped once is changed by nothing.

use std::collections::{BTreeMap, BTreeSet};

use super::boxes::{Box4, Kind};
use super::meta::Item;
use super::{Avif, Layer, Trouble, damaged, properties};
use crate::media::image::jpeg::removed_with_exif;
use crate::media::image::{Removed, Stripped};

/// The file without what is not its picture.
pub(crate) fn strip(bytes: &[u8]) -> Result<Stripped, Trouble> {
    let avif = Avif::read(bytes)?;
    let plan = Plan::of(&avif);
    let head = brands(bytes);
    // Where the bytes of the items lie is told before them, in numbers that are always as long.
    let length = head.len() + plan.meta(0).len() + 8;
    let start = u32::try_from(length).ok().filter(|_| u32::try_from(bytes.len() + length).is_ok());
    let start = start.ok_or_else(|| damaged("it is longer than an AVIF is"))?;
    let bytes = [head, plan.meta(start), boxed(b"mdat", &plan.data)].concat();
    Ok(Stripped { bytes, removed: removed(&avif).into_iter().collect() })
}

/// What goes with the items, properties and boxes that are left out.
fn removed(avif: &Avif<'_>) -> BTreeSet<Removed> {
    let mut removed = BTreeSet::new();
    let kept: BTreeSet<u32> = avif.items().collect();
    let mut told = 0;
    let mut ranges = BTreeSet::new();
    for (id, item) in &avif.meta.items {
        if ranges.insert((item.data.as_ptr(), item.data.len())) {
            told += item.data.len();
        }
        if kept.contains(id) {
            continue;
        }
        match &item.kind {
            b"Exif" => removed.extend(removed_with_exif(tiff(item.data), None)),
            b"mime" if item.content_type == b"application/rdf+xml" => drop(removed.insert(Removed::Xmp)),
            _ if avif.meta.referred(b"thmb", *id).next().is_some() => {
                removed.insert(Removed::Thumbnail);
            }
            _ => drop(removed.insert(Removed::Application)),
        }
    }
    let layers = [Some(&avif.colour), avif.alpha.as_ref()];
    let units = layers.into_iter().flatten().flat_map(|layer| &layer.tiles).any(|tile| tile.coded.others);
    let unused = kept.iter().filter_map(|id| avif.meta.items.get(id)).any(|item| {
        let mut profiles = Profiles::default();
        properties(&avif.meta, item).any(|(property, _)| profiles.kept(property).is_none())
    });
    if avif.strangers || avif.meta.words || units || unused || told < avif.room {
        removed.insert(Removed::Application);
    }
    removed.extend(avif.trailer.then_some(Removed::Trailer));
    removed
}

/// The block of TIFF in an item, which says first where that begins.
fn tiff(data: &[u8]) -> &[u8] {
    let Some((start, rest)) = data.split_first_chunk() else { return &[] };
    rest.get(u32::from_be_bytes(*start) as usize..).unwrap_or_default()
}

/// Which colour descriptions an item has been given: one of numbers, one profile.
#[derive(Default)]
struct Profiles {
    numbers: bool,
    profile: bool,
}

impl Profiles {
    /// The property as it is written; `None` for what is left out.
    fn kept<'a>(&mut self, property: &Box4<'a>) -> Option<&'a [u8]> {
        let length = match (&property.kind, property.data.get(..4)) {
            (b"ispe", _) => 12,
            (b"pixi", _) => 5 + usize::from(*property.data.get(4)?),
            (b"av1C" | b"clli", _) => 4,
            (b"irot" | b"imir", _) => 1,
            (b"pasp", _) => 8,
            (b"mdcv", _) => 24,
            (b"auxC", _) => 5 + property.data.get(4..)?.iter().position(|byte| *byte == 0)?,
            (b"colr", Some(b"nclx")) if !std::mem::replace(&mut self.numbers, true) => 11,
            (b"colr", Some(b"prof" | b"rICC")) if !std::mem::replace(&mut self.profile, true) => {
                property.data.len()
            }
            _ => return None,
        };
        property.data.get(..length)
    }
}

/// What is written.
struct Plan<'a> {
    /// The items, each with the flags of its description, where its bytes begin, how many they are, and its properties.
    items: Vec<Written<'a>>,
    /// The properties, in the order of their numbers.
    properties: Vec<(Kind, &'a [u8])>,
    references: Vec<(Kind, u16, Vec<u16>)>,
    data: Vec<u8>,
}

struct Written<'a> {
    item: &'a Item<'a>,
    hidden: bool,
    start: u32,
    length: u32,
    properties: Vec<(u16, bool)>,
}

impl<'a> Plan<'a> {
    fn of(avif: &'a Avif<'a>) -> Self {
        let mut plan =
            Self { items: Vec::new(), properties: Vec::new(), references: Vec::new(), data: Vec::new() };
        let mut numbers = BTreeMap::new();
        let mut written = BTreeMap::new();
        let mut at = BTreeMap::new();
        for layer in [Some(&avif.colour), avif.alpha.as_ref()].into_iter().flatten() {
            let tiles = layer.tiles.iter().filter(|tile| tile.item != layer.item);
            let grid = (layer.item, grid_of(avif, layer));
            let all = std::iter::once(grid).chain(tiles.map(|tile| (tile.item, tile.coded.units.concat())));
            for (id, bytes) in all {
                let Some(item) = avif.meta.items.get(&id) else { continue };
                if numbers.contains_key(&id) {
                    continue;
                }
                numbers.insert(id, numbers.len() as u16 + 1);
                let source = (item.data.as_ptr(), item.data.len());
                let start = *at.entry(source).or_insert_with(|| {
                    let start = plan.data.len();
                    plan.data.extend_from_slice(&bytes);
                    start as u32
                });
                let properties = plan.numbered(avif, item, &mut written);
                let (hidden, length) = (id != layer.item, bytes.len() as u32);
                plan.items.push(Written { item, hidden, start, length, properties });
            }
        }
        plan.refer(avif, &numbers);
        plan
    }

    /// The properties of an item, by the numbers that they are written with.
    fn numbered(
        &mut self,
        avif: &'a Avif<'a>,
        item: &'a Item<'a>,
        written: &mut BTreeMap<usize, u16>,
    ) -> Vec<(u16, bool)> {
        let mut profiles = Profiles::default();
        let kept = properties(&avif.meta, item)
            .filter_map(|(property, essential)| Some((property, profiles.kept(property)?, essential)));
        kept.map(|(property, data, essential)| {
            let number = *written.entry(property.data.as_ptr() as usize).or_insert_with(|| {
                self.properties.push((property.kind, data));
                self.properties.len() as u16
            });
            (number, essential)
        })
        .collect()
    }

    fn refer(&mut self, avif: &Avif<'_>, numbers: &BTreeMap<u32, u16>) {
        let number = |id: u32| numbers.get(&id).copied().unwrap_or_default();
        let layers = [Some(&avif.colour), avif.alpha.as_ref()];
        for layer in layers.into_iter().flatten() {
            if layer.is_grid() {
                let tiles = layer.tiles.iter().map(|tile| number(tile.item)).collect();
                self.references.push((*b"dimg", number(layer.item), tiles));
            }
        }
        let picture = number(avif.colour.item);
        if let Some(alpha) = &avif.alpha {
            self.references.push((*b"auxl", number(alpha.item), vec![picture]));
            if avif.premultiplied {
                self.references.push((*b"prem", picture, vec![number(alpha.item)]));
            }
        }
    }

    /// The box `meta`, for items whose bytes begin at `start` of the file.
    fn meta(&self, start: u32) -> Vec<u8> {
        let count = (self.items.len() as u16).to_be_bytes();
        let (mut infos, mut places, mut associations) = (count.to_vec(), vec![0x44, 0], Vec::new());
        places.extend(count);
        associations.extend((self.items.len() as u32).to_be_bytes());
        let wide = self.properties.len() > 127;
        for (written, id) in self.items.iter().zip(1_u16..) {
            let id = id.to_be_bytes();
            let info = [&id[..], &[0, 0], &written.item.kind, &[0]].concat();
            infos.extend(full(b"infe", 2, u8::from(written.hidden), &info));
            places.extend([&id[..], &[0, 0, 0, 1]].concat());
            places.extend((start + written.start).to_be_bytes());
            places.extend(written.length.to_be_bytes());
            associations.extend(id);
            associations.push(written.properties.len() as u8);
            for (number, essential) in &written.properties {
                if wide {
                    associations.extend((number | u16::from(*essential) << 15).to_be_bytes());
                } else {
                    associations.push(*number as u8 | u8::from(*essential) << 7);
                }
            }
        }
        let properties: Vec<u8> = self.properties.iter().flat_map(|(kind, data)| boxed(kind, data)).collect();
        let described =
            [boxed(b"ipco", &properties), full(b"ipma", 0, u8::from(wide), &associations)].concat();
        let references = self.references.iter().flat_map(|(kind, from, to)| {
            let numbers = [*from, to.len() as u16].into_iter().chain(to.iter().copied());
            boxed(kind, &numbers.flat_map(u16::to_be_bytes).collect::<Vec<u8>>())
        });
        let references: Vec<u8> = references.collect();
        let mut inner = vec![
            full(b"hdlr", 0, 0, b"\0\0\0\0pict\0\0\0\0\0\0\0\0\0\0\0\0\0"),
            full(b"pitm", 0, 0, &[0, 1]),
            full(b"iloc", 0, 0, &places),
            full(b"iinf", 0, 0, &infos),
        ];
        if !references.is_empty() {
            inner.push(full(b"iref", 0, 0, &references));
        }
        inner.push(boxed(b"iprp", &described));
        full(b"meta", 0, 0, &inner.concat())
    }
}

impl Layer<'_> {
    fn is_grid(&self) -> bool {
        self.tiles.iter().any(|tile| tile.item != self.item)
    }
}

/// The bytes of a layer's own item: how its tiles make a picture, or the picture.
fn grid_of(avif: &Avif<'_>, layer: &Layer<'_>) -> Vec<u8> {
    if !layer.is_grid() {
        return layer.tiles.iter().flat_map(|tile| tile.coded.units.concat()).collect();
    }
    let data = avif.meta.items.get(&layer.item).map_or(&[][..], |item| item.data);
    let length = if data.get(1).is_some_and(|flags| flags & 1 != 0) { 12 } else { 8 };
    data.iter().take(length).copied().collect()
}

/// What the file says that it is: of what it said itself, the words that everybody knows.
fn brands(bytes: &[u8]) -> Vec<u8> {
    const PROFILES: [Kind; 2] = [*b"MA1A", *b"MA1B"];
    let length = bytes.first_chunk().map_or(0, |length| u32::from_be_bytes(*length) as usize);
    let said = bytes.get(16..length).unwrap_or_default().chunks_exact(4);
    let profile = PROFILES.into_iter().find(|profile| said.clone().any(|brand| brand == profile));
    let mut out = b"avif\0\0\0\0avifmif1miaf".to_vec();
    out.extend(profile.into_iter().flatten());
    boxed(b"ftyp", &out)
}

fn boxed(kind: &Kind, data: &[u8]) -> Vec<u8> {
    [&(data.len() as u32 + 8).to_be_bytes()[..], kind, data].concat()
}

/// A box with a version and flags.
fn full(kind: &Kind, version: u8, flags: u8, data: &[u8]) -> Vec<u8> {
    boxed(kind, &[&[version, 0, 0, flags], data].concat())
}
