//! The box `meta`: which items a file has, where their bytes lie, what is said of each, and how they hang together
//! (ISO/IEC 14496-12 §8.11, ISO/IEC 23008-12 §6).
//!
//! What is true: an item is told once; its bytes lie in the file, in one piece; there are never more items, properties or
//! references than a picture has any use for, whatever is counted in the file.

use std::collections::BTreeMap;

use super::boxes::{Box4, Boxes, Kind, Numbers, named};
use super::{Trouble, damaged};

/// More items than this, or more references, has nobody: a picture of a thousand tiles, twice, and what is beside it.
const MOST_ITEMS: usize = 4096;
/// More properties has no item.
const MOST_PROPERTIES: usize = 32;

/// What is in it.
#[derive(Debug, Default)]
pub(super) struct Meta<'a> {
    pub(super) primary: u32,
    pub(super) items: BTreeMap<u32, Item<'a>>,
    /// All properties; items name them by number, from 1.
    pub(super) properties: Vec<Box4<'a>>,
    pub(super) references: Vec<Reference>,
    /// Whether it has names, or boxes with no part in the picture.
    pub(super) words: bool,
    /// How many bytes of items lie in it.
    pub(super) held: usize,
}

/// A part of a file: a picture, a tile, metadata.
#[derive(Debug, Default)]
pub(super) struct Item<'a> {
    pub(super) kind: Kind,
    /// Of metadata: the media type.
    pub(super) content_type: &'a [u8],
    /// Its bytes.
    pub(super) data: &'a [u8],
    /// Its properties, by number, and whether it may not be shown without.
    pub(super) properties: Vec<(u16, bool)>,
}

/// How an item hangs together with others.
#[derive(Debug)]
pub(super) struct Reference {
    pub(super) kind: Kind,
    pub(super) from: u32,
    pub(super) to: Vec<u32>,
}

impl<'a> Meta<'a> {
    /// Reads it; `file` is what the bytes of items lie in.
    pub(super) fn read(meta: &Box4<'a>, file: &'a [u8]) -> Result<Self, Trouble> {
        let (_, _, inner) = meta.full()?;
        let mut told: BTreeMap<Kind, Box4<'a>> = BTreeMap::new();
        let mut found = Self::default();
        let mut boxes = Boxes::within(inner.rest());
        while let Some(part) = boxes.next_box()? {
            match &part.kind {
                b"hdlr" | b"pitm" | b"iloc" | b"iinf" | b"iprp" | b"iref" | b"idat" => {
                    if told.insert(part.kind, part).is_some() {
                        return Err(damaged(format!("it has two boxes {}", named(part.kind))));
                    }
                }
                // Where data lies that is in no file.
                b"dinf" => {}
                _ => found.words = true,
            }
        }
        let required = |kind: &Kind| {
            let part = told.get(kind).copied();
            part.ok_or_else(|| damaged(format!("it has no box {}", named(*kind))))
        };
        found.words |= !is_of_pictures(&required(b"hdlr")?)?;
        let (version, _, mut numbers) = required(b"pitm")?.full()?;
        found.primary = numbers.wide(version > 0)?;
        found.infos(&required(b"iinf")?)?;
        let held = told.get(b"idat").map_or(&[][..], |held| held.data);
        found.held = held.len();
        found.places(&required(b"iloc")?, file, held)?;
        found.property_boxes(&required(b"iprp")?)?;
        if let Some(references) = told.get(b"iref") {
            found.read_references(references)?;
        }
        Ok(found)
    }

    /// The item of that number.
    pub(super) fn item(&self, id: u32) -> Result<&Item<'a>, Trouble> {
        self.items.get(&id).ok_or_else(|| damaged(format!("it has no item {id}, and speaks of it")))
    }

    /// Those that an item refers to, in that way and in order.
    pub(super) fn referred(&self, kind: &Kind, from: u32) -> impl Iterator<Item = u32> {
        let of_it = move |reference: &&Reference| reference.kind == *kind && reference.from == from;
        self.references.iter().filter(of_it).flat_map(|reference| reference.to.iter().copied())
    }

    /// Those that refer to an item in that way.
    pub(super) fn referring(&self, kind: &Kind, to: u32) -> impl Iterator<Item = u32> {
        let to_it = move |reference: &&Reference| reference.kind == *kind && reference.to.contains(&to);
        self.references.iter().filter(to_it).map(|reference| reference.from)
    }

    fn infos(&mut self, part: &Box4<'a>) -> Result<(), Trouble> {
        let (version, _, mut numbers) = part.full()?;
        let count = numbers.wide(version > 0)?;
        few(count as usize, "items")?;
        let mut boxes = Boxes::within(numbers.rest());
        while let Some(info) = boxes.next_box()? {
            let (version, _, mut numbers) = info.full()?;
            if &info.kind != b"infe" || !(2..=3).contains(&version) {
                return Err(damaged("one of its items is not described as items of pictures are"));
            }
            let id = numbers.wide(version == 3)?;
            let protected = numbers.u16()? != 0;
            let kind = numbers.kind()?;
            if protected {
                return Err(Trouble::Unreadable("an AVIF picture that is encrypted".to_owned()));
            }
            self.words |= !is_usual(numbers.text()?);
            let content_type = if &kind == b"mime" { numbers.text()? } else { &[] };
            let item = Item { kind, content_type, ..Item::default() };
            if self.items.insert(id, item).is_some() {
                return Err(damaged(format!("it has two items of the number {id}")));
            }
            few(self.items.len(), "items")?;
        }
        Ok(())
    }

    fn places(&mut self, part: &Box4<'a>, file: &'a [u8], held: &'a [u8]) -> Result<(), Trouble> {
        let (version, _, mut numbers) = part.full()?;
        let sizes = numbers.u16()?;
        let [offset, length, base, index] = [12, 8, 4, 0].map(|shift| usize::from(sizes >> shift & 15));
        if version > 2 || [offset, length, base, index].iter().any(|size| !matches!(size, 0 | 4 | 8)) {
            return Err(damaged("where its items lie is told in a way that is none"));
        }
        let index = if version == 0 { 0 } else { index };
        let count = numbers.wide(version == 2)?;
        few(count as usize, "items")?;
        let mut seen = std::collections::BTreeSet::new();
        for _ in 0..count {
            let id = numbers.wide(version == 2)?;
            let method = if version == 0 { 0 } else { numbers.u16()? & 15 };
            let outside = numbers.u16()? != 0;
            let from = numbers.sized(base)?;
            let pieces = numbers.u16()?;
            let mut place = None;
            for _ in 0..pieces {
                numbers.sized(index)?;
                place = Some((from.saturating_add(numbers.sized(offset)?), numbers.sized(length)?));
            }
            if !seen.insert(id) {
                return Err(damaged(format!("it tells twice where its item {id} lies")));
            }
            let Some(item) = self.items.get_mut(&id) else { continue };
            let whole = match method {
                0 => file,
                1 => held,
                _ => &[],
            };
            let range = place.and_then(|(start, length)| {
                let end = start.checked_add(length)?;
                Some(usize::try_from(start).ok()?..usize::try_from(end).ok()?)
            });
            let data = range.and_then(|range| whole.get(range)).filter(|data| !data.is_empty());
            match (data, pieces) {
                (Some(data), 1) if method < 2 && !outside => item.data = data,
                (_, 0 | 1) if method < 2 && !outside => {
                    return Err(damaged(format!("it is cut off: its item {id} does not lie in the file")));
                }
                // What is left empty is not read, unless the picture needs it.
                _ => {}
            }
        }
        Ok(())
    }

    fn property_boxes(&mut self, part: &Box4<'a>) -> Result<(), Trouble> {
        let mut boxes = Boxes::within(part.data);
        let mut associated = false;
        while let Some(inner) = boxes.next_box()? {
            match &inner.kind {
                b"ipco" if self.properties.is_empty() => {
                    let mut properties = Boxes::within(inner.data);
                    while let Some(property) = properties.next_box()? {
                        self.properties.push(property);
                        few(self.properties.len(), "properties")?;
                    }
                }
                b"ipma" if !associated => {
                    associated = true;
                    self.associations(&inner)?;
                }
                _ => return Err(damaged("the properties of its items are told in a way that is none")),
            }
        }
        Ok(())
    }

    fn associations(&mut self, part: &Box4<'a>) -> Result<(), Trouble> {
        let (version, flags, mut numbers) = part.full()?;
        let count = numbers.u32()?;
        few(count as usize, "items")?;
        let mut seen = std::collections::BTreeSet::new();
        for _ in 0..count {
            let id = numbers.wide(version > 0)?;
            let properties = association(&mut numbers, flags & 1 != 0)?;
            if !seen.insert(id) {
                return Err(damaged(format!("it tells twice what its item {id} is")));
            }
            if let Some(item) = self.items.get_mut(&id) {
                item.properties = properties;
            }
        }
        Ok(())
    }

    fn read_references(&mut self, part: &Box4<'a>) -> Result<(), Trouble> {
        let (version, _, numbers) = part.full()?;
        let mut boxes = Boxes::within(numbers.rest());
        let mut count = 0;
        while let Some(reference) = boxes.next_box()? {
            let mut numbers = Numbers::of(reference.data, reference.kind);
            let from = numbers.wide(version > 0)?;
            let targets = numbers.u16()?;
            count += usize::from(targets) + 1;
            few(count, "references")?;
            let to = (0..targets).map(|_| numbers.wide(version > 0)).collect::<Result<_, _>>()?;
            self.references.push(Reference { kind: reference.kind, from, to });
        }
        Ok(())
    }
}

/// The properties of an item, by their numbers.
fn association(numbers: &mut Numbers<'_>, wide: bool) -> Result<Vec<(u16, bool)>, Trouble> {
    let count = usize::from(numbers.u8()?);
    if count > MOST_PROPERTIES {
        return Err(damaged(format!("one of its items has {count} properties")));
    }
    let mut properties = Vec::with_capacity(count);
    for _ in 0..count {
        let (number, essential) = if wide {
            let number = numbers.u16()?;
            (number & 0x7fff, number & 0x8000 != 0)
        } else {
            let number = numbers.u8()?;
            (u16::from(number & 0x7f), number & 0x80 != 0)
        };
        // The number 0 is none.
        if number != 0 {
            properties.push((number, essential));
        }
    }
    Ok(properties)
}

/// Whether the file says that it holds pictures, and nothing besides: it may have a name here.
fn is_of_pictures(handler: &Box4<'_>) -> Result<bool, Trouble> {
    let (_, _, mut numbers) = handler.full()?;
    numbers.u32()?;
    if &numbers.kind()? != b"pict" {
        return Err(Trouble::Unreadable("an AVIF file without a picture".to_owned()));
    }
    let name = numbers.rest().get(12..).unwrap_or_default();
    Ok(is_usual(name.strip_suffix(&[0]).unwrap_or(name)))
}

/// A name that says nothing: the encoder that most files are of writes these.
fn is_usual(name: &[u8]) -> bool {
    matches!(name, b"" | b"libavif" | b"Color" | b"Alpha" | b"Exif" | b"XMP")
}

fn few(count: usize, what: &str) -> Result<(), Trouble> {
    if count <= MOST_ITEMS {
        return Ok(());
    }
    let (what, most) = (format!("has {count} {what}"), format!("{MOST_ITEMS} {what}"));
    Err(Trouble::Excessive { what, most })
}
