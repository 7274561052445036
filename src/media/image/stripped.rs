//! What a file is once that is gone which is not the picture, and what went.
//!
//! Made by [`strip`](super::strip); told in the answer to an upload.

use std::fmt;

/// An image without what its taker did not mean to tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stripped {
    /// The file; its compressed pixels are those that came, byte for byte.
    pub bytes: Vec<u8>,
    /// What was taken out: each kind once, in the order of [`Removed`].
    pub removed: Vec<Removed>,
}

/// Something in a file that is not the picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Removed {
    /// What the camera wrote (Exif). The orientation is written anew where it matters.
    Exif,
    /// Where it was taken, or when by the clocks of satellites: the Exif had a GPS directory.
    Gps,
    /// What programs wrote (XMP).
    Xmp,
    /// What agencies write (IPTC, in Photoshop's blocks).
    Iptc,
    /// A comment.
    Comment,
    /// Texts with names, or text to be drawn over a GIF.
    Text,
    /// When it was last changed.
    Time,
    /// A small picture of the picture.
    Thumbnail,
    /// Data of programs and makers: anything with no part in showing the picture.
    Application,
    /// What came behind the end of the picture: other pictures, videos, archives.
    Trailer,
}

impl Removed {
    /// Every one, in order.
    pub const ALL: [Self; 10] = [
        Self::Exif,
        Self::Gps,
        Self::Xmp,
        Self::Iptc,
        Self::Comment,
        Self::Text,
        Self::Time,
        Self::Thumbnail,
        Self::Application,
        Self::Trailer,
    ];

    /// The word in answers.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Exif => "exif",
            Self::Gps => "gps",
            Self::Xmp => "xmp",
            Self::Iptc => "iptc",
            Self::Comment => "comment",
            Self::Text => "text",
            Self::Time => "time",
            Self::Thumbnail => "thumbnail",
            Self::Application => "application",
            Self::Trailer => "trailer",
        }
    }
}

impl fmt::Display for Removed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
