//! AVIF (AV1 Image File Format 1.1): a picture coded in AV1, or a grid of them, in a file of boxes; its transparency is a
//! picture of its own.
//!
//! Called by the gate, and by the process that decodes ([`decode`](super::decode)), which read the file in the same
//! way. What is true: the picture is the file's primary item, alone: films, layers, crops, and whatever else may not be
//! left out and is not known here are refused by name, so that nobody sees a picture that is not the one in the file.

mod av1;
mod bits;
mod boxes;
mod meta;
mod shown;
mod write;

use av1::Coded;
pub(super) use av1::{Cicp, Frame, Sampling};
use boxes::{Boxes, Kind, Numbers, named};
use meta::{Item, Meta};
use shown::Shown;
pub(super) use write::strip;

use super::Orientation;
use super::gate::{Picture, Trouble, cut_off, damaged};
use super::price::{self, area};

/// More tiles than this is no picture cut for its size.
const MOST_TILES: usize = 1024;

/// What the boxes say.
pub(super) fn inspect(bytes: &[u8]) -> Result<Picture, Trouble> {
    let avif = Avif::read(bytes)?;
    let Layer { width, height, .. } = avif.colour;
    let price = price::avif(&avif.colour, avif.alpha.as_ref(), bytes.len() as u64);
    let pixels = area(width, height);
    Ok(Picture { width, height, orientation: avif.orientation, frames: 1, pixels, price })
}

/// A file, read.
pub(super) struct Avif<'a> {
    meta: Meta<'a>,
    pub(super) orientation: Orientation,
    pub(super) colour: Layer<'a>,
    pub(super) alpha: Option<Layer<'a>>,
    /// Whether the colours are multiplied by the transparency.
    pub(super) premultiplied: bool,
    pub(super) cicp: Cicp,
    pub(super) profile: Option<&'a [u8]>,
    /// Whether there is something behind the last box.
    trailer: bool,
    /// Whether there are boxes with no part in the picture.
    strangers: bool,
    /// The bytes there are for items to lie in.
    room: usize,
}

/// A picture, or a grid of pictures of one size.
pub(super) struct Layer<'a> {
    /// Which item it is.
    item: u32,
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) columns: u32,
    /// Row after row; one for what is no grid.
    pub(super) tiles: Vec<Tile<'a>>,
}

/// A picture that is decoded at once.
pub(super) struct Tile<'a> {
    item: u32,
    pub(super) coded: Coded<'a>,
}

impl Layer<'_> {
    /// What its first tile is: the others are as large, and have samples like its. How they are coded may differ.
    pub(super) fn frame(&self) -> &Frame {
        // No layer is made without a tile.
        &self.tiles[0].coded.frame
    }
}

impl<'a> Avif<'a> {
    /// Reads a file from its first byte to its last.
    pub(super) fn read(bytes: &'a [u8]) -> Result<Self, Trouble> {
        let mut boxes = Boxes::of_file(bytes);
        let (mut meta, mut room) = (None, 0);
        let (mut strangers, mut trailer) = (false, false);
        while boxes.at() < bytes.len() {
            let known = boxes.peek().is_some_and(|kind| is_known(&kind));
            let next = match boxes.next_box() {
                Ok(Some(next)) if known => next,
                Ok(Some(_)) => {
                    strangers = true;
                    continue;
                }
                Ok(None) => break,
                // What is no box, behind all that a picture consists of, is behind its end.
                Err(_) if !known && meta.is_some() => {
                    trailer = true;
                    break;
                }
                Err(trouble) => return Err(trouble),
            };
            match &next.kind {
                b"meta" if meta.is_none() => meta = Some(Meta::read(&next, bytes)?),
                b"meta" => return Err(damaged("it has two boxes meta")),
                b"moov" => return Err(Trouble::Unreadable("an AVIF film (a sequence of images)".to_owned())),
                b"mdat" => room += next.data.len(),
                b"ftyp" => strangers |= next.start != 8,
                _ => strangers |= next.data.iter().any(|byte| *byte != 0),
            }
        }
        if bytes.get(8..12) == Some(b"avis") {
            return Err(Trouble::Unreadable("an AVIF film (a sequence of images)".to_owned()));
        }
        let meta = meta.ok_or_else(|| damaged("it has no box meta"))?;
        room += meta.held;
        Self::of_items(meta, strangers, trailer, room)
    }

    fn of_items(meta: Meta<'a>, strangers: bool, trailer: bool, room: usize) -> Result<Self, Trouble> {
        let primary = meta.primary;
        let colour = Layer::read(&meta, primary, "its picture")?;
        let alpha = alpha_of(&meta, primary)?;
        let alpha = alpha.map(|item| Layer::read(&meta, item, "its transparency")).transpose()?;
        if let Some(alpha) = &alpha
            && (alpha.width, alpha.height) != (colour.width, colour.height)
        {
            return Err(damaged("its transparency is not as large as its picture"));
        }
        for tile in &colour.tiles {
            if tile.item != primary && alpha_of(&meta, tile.item)?.is_some() {
                let what = "an AVIF picture whose parts are transparent each for itself";
                return Err(Trouble::Unreadable(what.to_owned()));
            }
        }
        let shown = Shown::read(&meta, primary)?;
        let premultiplied =
            alpha.as_ref().is_some_and(|alpha| meta.referred(b"prem", primary).any(|to| to == alpha.item));
        let cicp = shown.cicp.unwrap_or(colour.frame().cicp);
        let known = match (cicp.matrix, colour.frame().samples.sampling) {
            (0, sampling) => matches!(sampling, Sampling::Full | Sampling::Grey),
            (1 | 2 | 4..=9 | 12, _) => true,
            _ => false,
        };
        if !known {
            let what = format!("an AVIF picture whose colours are coded in the way {}", cicp.matrix);
            return Err(Trouble::Unreadable(what));
        }
        let Shown { orientation, profile, .. } = shown;
        let avif =
            Self { meta, orientation, colour, alpha, premultiplied, cicp, profile, trailer, strangers, room };
        avif.shares_nothing()?;
        Ok(avif)
    }

    /// Items may be the same bytes, as tiles that are all opaque are; what overlaps otherwise is no picture, and would
    /// grow when it is written anew.
    fn shares_nothing(&self) -> Result<(), Trouble> {
        let mut ranges: Vec<_> =
            self.items().filter_map(|id| Some(self.meta.items.get(&id)?.data.as_ptr_range())).collect();
        ranges.sort_unstable_by_key(|range| (range.start, range.end));
        ranges.dedup();
        let apart = ranges.windows(2).all(|pair| pair[0].end <= pair[1].start);
        if apart { Ok(()) } else { Err(damaged("parts of its picture lie in each other")) }
    }

    /// The items that the picture consists of.
    fn items(&self) -> impl Iterator<Item = u32> {
        [Some(&self.colour), self.alpha.as_ref()]
            .into_iter()
            .flatten()
            .flat_map(|layer| std::iter::once(layer.item).chain(layer.tiles.iter().map(|tile| tile.item)))
    }
}

/// A kind of box that files of this format have at their top.
fn is_known(kind: &Kind) -> bool {
    matches!(kind, b"ftyp" | b"meta" | b"mdat" | b"moov" | b"free" | b"skip")
}

/// The item that is another one's transparency.
fn alpha_of(meta: &Meta<'_>, of: u32) -> Result<Option<u32>, Trouble> {
    let mut found = None;
    for item in meta.referring(b"auxl", of) {
        let is_alpha = properties(meta, meta.item(item)?).any(|(property, _)| {
            &property.kind == b"auxC"
                && property.full().is_ok_and(|(_, _, mut urn)| {
                    matches!(
                        urn.text(),
                        Ok(b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha" | b"urn:mpeg:hevc:2015:auxid:1")
                    )
                })
        });
        if is_alpha && found.replace(item).is_some() {
            return Err(damaged("it has two transparencies"));
        }
    }
    Ok(found)
}

fn properties<'a, 'm>(
    meta: &'m Meta<'a>,
    item: &'m Item<'a>,
) -> impl Iterator<Item = (&'m boxes::Box4<'a>, bool)> {
    let of_number = |(number, essential): &(u16, bool)| {
        Some((meta.properties.get(usize::from(*number) - 1)?, *essential))
    };
    item.properties.iter().filter_map(of_number)
}

/// The sides that are told of an item. What must not be left out and is not known makes it unreadable.
fn sides(meta: &Meta<'_>, item: &Item<'_>) -> Result<(u32, u32), Trouble> {
    let mut sides = None;
    for (property, essential) in properties(meta, item) {
        match &property.kind {
            b"ispe" if sides.is_none() => {
                let (_, _, mut numbers) = property.full()?;
                sides = Some((numbers.u32()?, numbers.u32()?));
            }
            b"ispe" => return Err(damaged("one of its items has two sizes")),
            b"clap" => {
                return Err(Trouble::Unreadable("an AVIF picture that is to be cropped (clap)".to_owned()));
            }
            b"a1op" | b"lsel" => {
                return Err(Trouble::Unreadable("an AVIF picture in several layers".to_owned()));
            }
            kind if essential && !is_kept(kind) => {
                let what =
                    format!("an AVIF picture that nobody may show who does not know its {}", named(*kind));
                return Err(Trouble::Unreadable(what));
            }
            _ => {}
        }
    }
    sides.ok_or_else(|| damaged("one of its items does not say how large it is"))
}

/// A property that the picture is shown by.
fn is_kept(kind: &Kind) -> bool {
    matches!(
        kind,
        b"ispe"
            | b"pixi"
            | b"av1C"
            | b"colr"
            | b"irot"
            | b"imir"
            | b"auxC"
            | b"pasp"
            | b"clli"
            | b"mdcv"
            | b"cclv"
    )
}

impl<'a> Layer<'a> {
    fn read(meta: &Meta<'a>, id: u32, what: &str) -> Result<Self, Trouble> {
        let item = meta.item(id)?;
        let (width, height) = sides(meta, item)?;
        let (columns, tiles) = match &item.kind {
            b"av01" => (1, vec![id]),
            b"grid" => {
                let grid = Grid::read(item.data, meta.referred(b"dimg", id).collect())?;
                if (grid.width, grid.height) != (width, height) {
                    return Err(damaged(format!("{what} says two things about its size")));
                }
                (grid.columns, grid.tiles)
            }
            kind => {
                let coded = format!("an AVIF file with a picture that is coded as {}", named(*kind));
                return Err(Trouble::Unreadable(coded));
            }
        };
        let mut read = Vec::with_capacity(tiles.len());
        for tile in tiles {
            read.push(Tile::read(meta, tile)?);
        }
        let layer = Self { item: id, width, height, columns, tiles: read };
        layer.fits(what)?;
        Ok(layer)
    }

    /// The tiles must be alike, cover the picture, and none of them lie outside.
    fn fits(&self, what: &str) -> Result<(), Trouble> {
        let first = self.tiles.first().ok_or_else(|| damaged(format!("{what} has no tiles")))?.coded.frame;
        for tile in &self.tiles {
            let frame = tile.coded.frame;
            if (frame.width, frame.height, frame.samples) != (first.width, first.height, first.samples) {
                return Err(damaged(format!("{what} has tiles of more than one kind")));
            }
        }
        let rows = self.tiles.len() as u64 / u64::from(self.columns);
        let covers = |tile: u32, count: u64, side: u32| {
            let all = u64::from(tile) * count;
            all >= u64::from(side) && all - u64::from(tile) < u64::from(side)
        };
        let whole = self.columns > 1 || rows > 1;
        let same =
            covers(first.width, self.columns.into(), self.width) && covers(first.height, rows, self.height);
        // Colours are shared by pixels side by side, and may not be shared by tiles.
        let even = match first.samples.sampling {
            Sampling::Grey | Sampling::Full => true,
            Sampling::Halved => first.width.is_multiple_of(2),
            Sampling::Quartered => first.width.is_multiple_of(2) && first.height.is_multiple_of(2),
        };
        let exact = (first.width, first.height) == (self.width, self.height);
        if if whole { same && even } else { exact } {
            return Ok(());
        }
        let (width, height) = (self.width, self.height);
        Err(damaged(format!(
            "{what} says two things about its size: {width} by {height}, and {} by {} of its AV1 data",
            u64::from(first.width) * u64::from(self.columns),
            u64::from(first.height) * rows,
        )))
    }
}

impl<'a> Tile<'a> {
    fn read(meta: &Meta<'a>, id: u32) -> Result<Self, Trouble> {
        let item = meta.item(id)?;
        if &item.kind != b"av01" {
            let coded = format!("an AVIF file with a picture that is coded as {}", named(item.kind));
            return Err(Trouble::Unreadable(coded));
        }
        if item.data.is_empty() {
            return Err(Trouble::Unreadable("an AVIF picture whose bytes lie in pieces".to_owned()));
        }
        let told = sides(meta, item)?;
        let coded = av1::read(item.data)?;
        let Frame { width, height, samples, .. } = coded.frame;
        if told != (width, height) {
            return Err(damaged(format!(
                "it says two things about its size: {} by {}, and {width} by {height} in its AV1 data",
                told.0, told.1
            )));
        }
        let configured = properties(meta, item).find(|(property, _)| &property.kind == b"av1C");
        let (configuration, _) = configured.ok_or_else(|| damaged("it has no box av1C"))?;
        let mut numbers = Numbers::of(configuration.data, *b"av1C");
        let (version, profile, flags) = (numbers.u8()?, numbers.u8()? >> 5, numbers.u8()?);
        let bits = match flags >> 5 & 3 {
            0 | 1 => 8,
            2 => 10,
            _ => 12,
        };
        let sampling = match (flags >> 4 & 1, flags >> 2 & 3) {
            (1, _) => Sampling::Grey,
            (_, 3) => Sampling::Quartered,
            (_, 2) => Sampling::Halved,
            _ => Sampling::Full,
        };
        if version != 0x81 || (profile, bits, sampling) != (samples.profile, samples.bits, samples.sampling) {
            return Err(damaged(
                "it says two things about its samples: in its box av1C, and in its AV1 data",
            ));
        }
        Ok(Self { item: id, coded })
    }
}

/// How tiles make a picture (ISO/IEC 23008-12 §6.6.2.3).
struct Grid {
    columns: u32,
    width: u32,
    height: u32,
    tiles: Vec<u32>,
}

impl Grid {
    fn read(data: &[u8], tiles: Vec<u32>) -> Result<Self, Trouble> {
        let mut numbers = Numbers::of(data, *b"grid");
        let (version, flags) = (numbers.u8()?, numbers.u8()?);
        if version != 0 {
            return Err(Trouble::Unreadable(format!("an AVIF picture in a grid of the version {version}")));
        }
        let (rows, columns) = (u32::from(numbers.u8()?) + 1, u32::from(numbers.u8()?) + 1);
        let wide = flags & 1 != 0;
        let (width, height) = (numbers.wide(wide)?, numbers.wide(wide)?);
        let count = rows as usize * columns as usize;
        if count > MOST_TILES {
            let (what, most) = (format!("has {count} tiles"), format!("{MOST_TILES} tiles"));
            return Err(Trouble::Excessive { what, most });
        }
        if tiles.len() != count {
            let found = tiles.len();
            return Err(damaged(format!("its grid is of {count} tiles, and there are {found}")));
        }
        Ok(Self { columns, width, height, tiles })
    }
}
