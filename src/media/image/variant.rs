//! What can be made of an image: smaller ones, and in one go with checking it, its thumbnail and its facts.

use std::fmt;
use std::str::FromStr;

use super::decode::{Extent, decode};
use super::pixels::{Progress, Watch};
use super::shrink::{Plan, Shrinker, Shrunk};
use super::thumbhash::thumbhash;
use super::upright::upright;
use super::{Facts, Format, Header, ImageError, encode};
use crate::media::Cancel;

/// How a picture is fitted into a box of another shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Fit {
    /// All of it is seen, and one side of the box may stay free.
    #[default]
    Contain,
    /// The box is filled, and what stands out of it, left and right or above and below alike, is cut off.
    Cover,
}

/// The word is no way to fit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no way to fit a picture: contain or cover")]
pub struct NoFit(String);

impl Fit {
    /// The word in requests.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Contain => "contain",
            Self::Cover => "cover",
        }
    }
}

impl FromStr for Fit {
    type Err = NoFit;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let fits = [Self::Contain, Self::Cover].into_iter().find(|fit| fit.as_str() == text);
        fits.ok_or_else(|| NoFit(text.chars().take(20).collect()))
    }
}

/// A format that variants are written in. The others are read only: what could be written of WebP and AVIF here would
/// be larger than these, and of GIF uglier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Encoding {
    /// JPEG; what is transparent is white.
    Jpeg,
    /// PNG.
    Png,
}

/// The word is no format that variants are written in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no format that images are made in: jpeg or png")]
pub struct NoEncoding(String);

impl Encoding {
    /// It, among all formats.
    #[must_use]
    pub fn format(self) -> Format {
        match self {
            Self::Jpeg => Format::Jpeg,
            Self::Png => Format::Png,
        }
    }
}

impl FromStr for Encoding {
    type Err = NoEncoding;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "jpeg" | "jpg" => Ok(Self::Jpeg),
            "png" => Ok(Self::Png),
            _ => Err(NoEncoding(text.chars().take(20).collect())),
        }
    }
}

/// Which variant of an image. Its text is a name of it, of the characters `a-z`, `0-9` and `-`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Spec {
    /// The width of the box, in pixels, at least 1; `None` for any.
    pub width: Option<u32>,
    /// Its height, likewise.
    pub height: Option<u32>,
    /// How the picture is fitted into it. It never becomes larger than it is.
    pub fit: Fit,
    /// The format; `None` for what suits the picture.
    pub format: Option<Encoding>,
}

impl Spec {
    /// What fits into a square of that side, in pixels.
    #[must_use]
    pub fn within(side: u32) -> Self {
        Self { width: Some(side), height: Some(side), ..Self::default() }
    }

    /// What fills a square of that side, in pixels.
    #[must_use]
    pub fn square(side: u32) -> Self {
        Self { fit: Fit::Cover, ..Self::within(side) }
    }

    /// What has to be done to a picture.
    fn plan(&self, header: &Header) -> Plan {
        let wanted = (self.width, self.height);
        let (box_width, box_height) =
            if header.orientation.swaps_sides() { (wanted.1, wanted.0) } else { wanted };
        let (width, height) = (f64::from(header.width), f64::from(header.height));
        let (wide, high) = (
            box_width.map_or(f64::INFINITY, |side| f64::from(side.max(1))),
            box_height.map_or(f64::INFINITY, |side| f64::from(side.max(1))),
        );
        let (part_width, part_height) = match self.fit {
            Fit::Cover if wide.is_finite() && high.is_finite() => {
                ((height * wide / high).min(width), (width * high / wide).min(height))
            }
            Fit::Cover | Fit::Contain => (width, height),
        };
        let scale = (wide / part_width).min(high / part_height).min(1.0);
        let side = |part: f64| (part * scale).round().max(1.0) as u32;
        Plan {
            part: [((width - part_width) / 2.0, part_width), ((height - part_height) / 2.0, part_height)],
            out: [side(part_width), side(part_height)],
        }
    }
}

impl fmt::Display for Spec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let side = |side: Option<u32>| side.unwrap_or(0);
        let format = self.format.map_or("any", |encoding| encoding.format().as_str());
        write!(f, "{}x{}-{}-{format}", side(self.width), side(self.height), self.fit.as_str())
    }
}

/// An image that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encoded {
    /// In which format.
    pub format: Format,
    /// Columns of pixels.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// The file.
    pub bytes: Vec<u8>,
}

/// What is made of an image that is taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Developed {
    /// What is told of it.
    pub facts: Facts,
    /// It, small.
    pub thumbnail: Encoded,
}

/// Makes a variant. Of an animation it shows the first frame, and only that has to be sound.
///
/// # Errors
/// [`ImageError`].
pub fn variant(bytes: &[u8], header: &Header, spec: &Spec, cancel: &Cancel) -> Result<Encoded, ImageError> {
    let mut untold = |_| {};
    let mut watch = Watch::new(cancel, &mut untold, 0);
    let shrunk = shrink(bytes, header, spec, Extent::First, &mut watch)?;
    encode::encode(shrunk, spec.format)
}

/// Decodes an image once, all of it, and makes of it what everybody asks for: its facts, and a thumbnail whose longer
/// side is at most `side` pixels.
///
/// `progress` is called at the beginning, every few hundred rows and at the end; `cancel` is obeyed at each row.
///
/// # Errors
/// [`ImageError`]; of what cannot be decoded to its end nothing is made.
pub fn develop(
    bytes: &[u8],
    header: &Header,
    side: u32,
    cancel: &Cancel,
    progress: &mut dyn FnMut(Progress),
) -> Result<Developed, ImageError> {
    let total = u64::from(header.height) * u64::from(header.frames);
    let mut watch = Watch::new(cancel, progress, total);
    let shrunk = shrink(bytes, header, &Spec::within(side), Extent::All, &mut watch)?;
    let thumbhash = thumbhash(&shrunk.pixels)?;
    let thumbnail = encode::encode(shrunk, None)?;
    watch.end();
    let (width, height) = header.seen();
    let facts = Facts { format: header.format, width, height, frames: header.frames, thumbhash };
    Ok(Developed { facts, thumbnail })
}

fn shrink(
    bytes: &[u8],
    header: &Header,
    spec: &Spec,
    extent: Extent,
    watch: &mut Watch<'_>,
) -> Result<Shrunk, ImageError> {
    let plan = spec.plan(header);
    let mut shrinker = Shrinker::new(plan);
    decode(bytes, header, extent, plan.reduction(), &mut shrinker, watch)?;
    let shrunk = shrinker.finish()?;
    Ok(Shrunk { pixels: upright(shrunk.pixels, header.orientation), ..shrunk })
}
