//! Images: what the bytes are, what decoding them would take, and what is made of them.
//!
//! An image goes through here in this order: [`Format::sniff`] on its first bytes, [`inspect`] on all of
//! them, which decodes nothing and says what decoding would cost; [`strip`], which takes out what is not the picture; then whatever needs its pixels. What is true: the
//! format is what the bytes say, never what a name or a header says; nothing is allocated by the word of a header before
//! that word was checked against [`Limits`]; the pixels that are kept are the ones that came, bit for bit.

mod average;
mod avif;
mod brought;
mod colour;
mod decode;
mod encode;
mod exif;
mod format;
mod gate;
mod gif;
mod guess;
mod jpeg;
mod pixels;
mod png;
mod price;
mod shrink;
mod stripped;
mod thumbhash;
mod upright;
mod variant;
mod vp8l;
mod webp;

pub use decode::{DecoderProcess, check};
pub use format::{Format, FormatSet, NoFormat};
pub use gate::{inspect, strip};
pub use pixels::Progress;
pub use price::{room, room_beside};
pub use stripped::{Removed, Stripped};
pub use variant::{Developed, Encoded, Encoding, Fit, NoEncoding, NoFit, Spec, develop, variant};

/// What an image may cost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// The formats that are taken.
    pub formats: FormatSet,
    /// The most pixels of a picture; of an animation, of all its frames together, as they are drawn.
    pub pixels: u64,
    /// The most frames.
    pub frames: u32,
    /// The most bytes of memory that decoding may take.
    pub memory: u64,
}

/// How the pixels lie in the file, as Exif has it (CIPA DC-008, tag 274): what has to be done to see them upright.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Orientation {
    /// As they are.
    #[default]
    Upright = 1,
    /// Mirrored, left for right.
    Mirrored = 2,
    /// Upside down.
    Rotated180 = 3,
    /// Mirrored, top for bottom.
    Flipped = 4,
    /// Mirrored about the main diagonal.
    Transposed = 5,
    /// To be turned a quarter clockwise.
    Rotated90 = 6,
    /// Mirrored about the other diagonal.
    Transversed = 7,
    /// To be turned a quarter counter-clockwise.
    Rotated270 = 8,
}

impl Orientation {
    /// The orientation of that number; `None` for what is none.
    #[must_use]
    pub fn of_number(number: u16) -> Option<Self> {
        Some(match number {
            1 => Self::Upright,
            2 => Self::Mirrored,
            3 => Self::Rotated180,
            4 => Self::Flipped,
            5 => Self::Transposed,
            6 => Self::Rotated90,
            7 => Self::Transversed,
            8 => Self::Rotated270,
            _ => return None,
        })
    }

    /// Whether width and height change places.
    #[must_use]
    pub fn swaps_sides(self) -> bool {
        match self {
            Self::Upright | Self::Mirrored | Self::Rotated180 | Self::Flipped => false,
            Self::Transposed | Self::Rotated90 | Self::Transversed | Self::Rotated270 => true,
        }
    }
}

/// What the headers of an image say, within the [`Limits`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// What it is.
    pub format: Format,
    /// Columns of pixels, as they lie in the file.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// How they lie.
    pub orientation: Orientation,
    /// How many frames; 1 for a still picture.
    pub frames: u32,
    /// The most bytes of memory that decoding it takes, the file itself not counted.
    pub price: u64,
}

impl Header {
    /// Width and height as they are seen, upright.
    #[must_use]
    pub fn seen(&self) -> (u32, u32) {
        if self.orientation.swaps_sides() { (self.height, self.width) } else { (self.width, self.height) }
    }
}

/// What is told of an image that was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// What it is.
    pub format: Format,
    /// Columns of pixels, as they are seen, upright.
    pub width: u32,
    /// Rows, likewise.
    pub height: u32,
    /// How many frames; 1 for a still picture.
    pub frames: u32,
    /// The picture in a few bytes, to show while it loads (ThumbHash: at most 25 bytes).
    pub thumbhash: Vec<u8>,
}

/// Why an image is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ImageError {
    /// Not one of the formats that are taken.
    #[error("{found}, which is not taken here: send {allowed}")]
    Unsupported {
        /// What it is, as far as the first bytes tell.
        found: String,
        /// The formats that are taken, in words.
        allowed: String,
    },
    /// It says that it is larger than is allowed.
    #[error("it {what}, more than the {most} that are allowed")]
    TooLarge {
        /// What it has too many of, as `has 900,000,000 pixels (30000 by 30000)`.
        what: String,
        /// The limit, with its unit.
        most: String,
    },
    /// It cannot be read to its end.
    #[error("it is damaged: {0}")]
    Damaged(String),
    /// It could not be decoded now, which is not its fault.
    #[error("it cannot be decoded now: {0}")]
    Unavailable(String),
    /// The work was asked to stop.
    #[error("stopped")]
    Cancelled,
}

#[cfg(test)]
mod tests;
