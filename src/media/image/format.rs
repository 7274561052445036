//! The formats of images, and how their first bytes tell them.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

/// A format that can be taken in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Format {
    /// JPEG (ITU-T T.81).
    Jpeg,
    /// PNG (ISO/IEC 15948).
    Png,
    /// GIF (87a, 89a).
    Gif,
    /// WebP (RFC 9649).
    Webp,
    /// AVIF (AV1 Image File Format): stills.
    Avif,
}

/// The word is no format.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no image format: jpeg, png, gif, webp or avif")]
pub struct NoFormat(String);

impl Format {
    /// Every format.
    pub const ALL: [Self; 5] = [Self::Jpeg, Self::Png, Self::Gif, Self::Webp, Self::Avif];

    /// The bytes that are enough to tell a format.
    pub const SNIFF_BYTES: usize = 16;

    /// The format that bytes begin as; `None` when they begin as none, or are too few to tell.
    #[must_use]
    pub fn sniff(bytes: &[u8]) -> Option<Self> {
        if bytes.starts_with(&[0xff, 0xd8, 0xff]) {
            Some(Self::Jpeg)
        } else if bytes.starts_with(b"\x89PNG\r\n\x1a\n") {
            Some(Self::Png)
        } else if bytes.starts_with(b"GIF87a") || bytes.starts_with(b"GIF89a") {
            Some(Self::Gif)
        } else if bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(b"WEBP") {
            Some(Self::Webp)
        } else if bytes.get(4..8) == Some(b"ftyp") && matches!(bytes.get(8..12), Some(b"avif" | b"avis")) {
            Some(Self::Avif)
        } else {
            None
        }
    }

    /// The word in settings, answers and the database.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Jpeg => "jpeg",
            Self::Png => "png",
            Self::Gif => "gif",
            Self::Webp => "webp",
            Self::Avif => "avif",
        }
    }

    /// How names of files of the format end, without the dot.
    #[must_use]
    pub fn extension(self) -> &'static str {
        match self {
            Self::Jpeg => "jpg",
            Self::Png | Self::Gif | Self::Webp | Self::Avif => self.as_str(),
        }
    }

    /// The media type.
    #[must_use]
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Jpeg => "image/jpeg",
            Self::Png => "image/png",
            Self::Gif => "image/gif",
            Self::Webp => "image/webp",
            Self::Avif => "image/avif",
        }
    }
}

impl FromStr for Format {
    type Err = NoFormat;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let word = text.to_ascii_lowercase();
        let found =
            Self::ALL.into_iter().find(|format| word == format.as_str() || word == format.extension());
        found.ok_or_else(|| NoFormat(text.chars().take(20).collect()))
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Some of the formats.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FormatSet(BTreeSet<Format>);

impl FormatSet {
    /// Whether the format is one of them.
    #[must_use]
    pub fn has(&self, format: Format) -> bool {
        self.0.contains(&format)
    }

    /// Each of them, in order.
    pub fn iter(&self) -> impl Iterator<Item = Format> {
        self.0.iter().copied()
    }
}

impl FromIterator<Format> for FormatSet {
    fn from_iter<T: IntoIterator<Item = Format>>(formats: T) -> Self {
        Self(formats.into_iter().collect())
    }
}

/// `jpeg, png or gif`, as a sentence has it.
impl fmt::Display for FormatSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let last = self.0.len().saturating_sub(1);
        for (at, format) in self.iter().enumerate() {
            let before = match at {
                0 => "",
                at if at == last => " or ",
                _ => ", ",
            };
            write!(f, "{before}{format}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_format_is_told_by_its_first_bytes_and_by_nothing_else() {
        for (bytes, format) in [
            (&b"\xff\xd8\xff\xe0\0\x10JFIF\0"[..], Some(Format::Jpeg)),
            (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", Some(Format::Png)),
            (b"GIF89a<script>", Some(Format::Gif)),
            (b"GIF87a", Some(Format::Gif)),
            (b"RIFF\x10\0\0\0WEBPVP8 ", Some(Format::Webp)),
            (b"\0\0\0\x20ftypavif\0\0\0\0", Some(Format::Avif)),
            (b"RIFF\x10\0\0\0WAVEfmt ", None),
            (b"<svg xmlns=", None),
            (b"BM\x10\0\0\0", None),
            (b"\x89PNG", None),
            (b"", None),
        ] {
            assert_eq!(Format::sniff(bytes), format, "{}", bytes.escape_ascii());
        }
    }

    #[test]
    fn formats_are_read_by_word_or_extension_and_told_as_in_a_sentence() {
        assert_eq!("JPG".parse(), Ok(Format::Jpeg));
        for format in Format::ALL {
            assert_eq!(format.as_str().parse(), Ok(format));
        }
        assert!("svg".parse::<Format>().is_err());
        let set: FormatSet = [Format::Gif, Format::Jpeg, Format::Png].into_iter().collect();
        assert_eq!(set.to_string(), "jpeg, png or gif");
        assert!(set.has(Format::Gif) && !set.has(Format::Avif));
    }
}
