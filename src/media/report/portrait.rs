//! The picture of the user: a JPEG no finer than it can be printed, or the first letters of the name.

use crate::media::Cancel;
use crate::media::image::{
    Encoding, Fit, Format, FormatSet, Limits, Orientation, Spec, check, inspect, variant,
};

use super::canvas::Picture;

/// How wide the picture is on the page, in points.
pub(super) const DIAMETER: f32 = 84.0;
/// As many pixels across as 300 dots an inch have room for.
const PIXELS: u32 = (DIAMETER / 72.0 * 300.0) as u32;
/// A JPEG that is not larger goes into the document as it came.
const BYTES_MAX: usize = 64 * 1024;

/// The bounds within which an avatar is decoded. Those that the daemon keeps are far below.
fn limits() -> Limits {
    let formats = [Format::Jpeg, Format::Png].into_iter().collect::<FormatSet>();
    Limits { formats, pixels: 16_000_000, frames: 1, memory: 64 << 20 }
}

/// The picture as it goes into the document; `None` where the bytes are no picture that decodes.
pub(super) fn picture(bytes: &[u8]) -> Option<Picture> {
    let header = inspect(bytes, &limits()).ok()?;
    let cancel = Cancel::new();
    let small = header.width.min(header.height) <= PIXELS && bytes.len() <= BYTES_MAX;
    if header.format == Format::Jpeg && small && header.orientation == Orientation::Upright {
        check(bytes, &header, &cancel).ok()?;
        if let Some(grey) = components(bytes) {
            let jpeg = bytes.to_vec();
            return Some(Picture { jpeg, width: header.width, height: header.height, grey });
        }
    }
    let spec = Spec { fit: Fit::Cover, format: Some(Encoding::Jpeg), ..Spec::within(PIXELS) };
    let made = variant(bytes, &header, &spec, &cancel).ok()?;
    let grey = components(&made.bytes)?;
    Some(Picture { jpeg: made.bytes, width: made.width, height: made.height, grey })
}

/// Whether a sound JPEG is grey (`true`) or has three components; `None` for four, on whose inks viewers disagree.
fn components(jpeg: &[u8]) -> Option<bool> {
    let mut at = 2;
    loop {
        let [0xff, kind, high, low] = *jpeg.get(at..at + 4)? else { return None };
        let length = usize::from(u16::from_be_bytes([high, low]));
        match kind {
            // The start of a frame; DHT, JPG and DAC lie between them.
            0xc0..=0xc3 | 0xc5..=0xc7 | 0xc9..=0xcb | 0xcd..=0xcf => {
                return match *jpeg.get(at + 9)? {
                    1 => Some(true),
                    3 => Some(false),
                    _ => None,
                };
            }
            _ => at += 2 + length,
        }
    }
}

/// What stands for somebody without a picture: the first letters of their first and last word.
pub(super) fn initials(name: &str) -> String {
    let first = |word: &str| word.chars().find(|sign| sign.is_alphanumeric());
    let mut letters = name.split_whitespace().filter_map(first);
    let start = letters.next();
    let end = letters.next_back();
    start.into_iter().chain(end).flat_map(char::to_uppercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn initials_are_of_the_first_and_the_last_word() {
        assert_eq!(initials("анна мария фон петровна"), "АП");
        assert_eq!(initials("Zoë"), "Z");
        assert_eq!(initials("«Ёж» & (7up)"), "Ё7");
        assert_eq!(initials("… !"), "");
    }

    #[test]
    fn what_is_no_picture_is_none() {
        assert_eq!(picture(b""), None);
        assert_eq!(picture(b"GIF89a"), None);
        assert_eq!(picture(&[0xff, 0xd8, 0xff, 0xe0, 0, 4]), None);
    }
}
