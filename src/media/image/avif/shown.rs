//! How the picture is to be shown: turned, mirrored, and in which colours (ISO/IEC 23008-12 §6.5).
//!
//! What is true: it is turned first and then mirrored, and what has it the other way round is refused.

use super::boxes::Numbers;
use super::meta::Meta;
use super::{Cicp, Trouble, damaged, properties};
use crate::media::image::Orientation;

/// The most bytes of a colour profile: it is copied.
const MOST_PROFILE: usize = 4 << 20;

/// How the picture is to be shown.
#[derive(Default)]
pub(super) struct Shown<'a> {
    pub(super) orientation: Orientation,
    pub(super) cicp: Option<Cicp>,
    pub(super) profile: Option<&'a [u8]>,
}

impl<'a> Shown<'a> {
    pub(super) fn read(meta: &Meta<'a>, primary: u32) -> Result<Self, Trouble> {
        let mut shown = Self::default();
        let (mut turns, mut mirrored) = (0, None);
        for (property, _) in properties(meta, meta.item(primary)?) {
            let mut numbers = Numbers::of(property.data, property.kind);
            match &property.kind {
                b"irot" if mirrored.is_none() => turns = numbers.u8()? & 3,
                b"irot" => {
                    return Err(damaged("it is mirrored before it is turned, which is the wrong way round"));
                }
                b"imir" => mirrored = Some(numbers.u8()? & 1),
                b"colr" => shown.colours(&mut numbers)?,
                _ => {}
            }
        }
        shown.orientation = orientation(turns, mirrored);
        Ok(shown)
    }

    fn colours(&mut self, numbers: &mut Numbers<'a>) -> Result<(), Trouble> {
        match &numbers.kind()? {
            b"nclx" => {
                let (primaries, transfer, matrix) = (numbers.u16()?, numbers.u16()?, numbers.u16()?);
                let full_range = numbers.u8()? & 0x80 != 0;
                self.cicp = self.cicp.or(Some(Cicp { primaries, transfer, matrix, full_range }));
            }
            b"prof" | b"rICC" if numbers.rest().len() > MOST_PROFILE => {
                let what = format!("has a colour profile of {} bytes", numbers.rest().len());
                return Err(Trouble::Excessive { what, most: format!("{MOST_PROFILE} bytes") });
            }
            b"prof" | b"rICC" => self.profile = self.profile.or(Some(numbers.rest())),
            _ => {}
        }
        Ok(())
    }
}

/// Quarter turns against the clock, and then a mirror: 0 puts the top below, 1 the left to the right.
fn orientation(turns: u8, mirrored: Option<u8>) -> Orientation {
    match (turns, mirrored) {
        (1, None) => Orientation::Rotated270,
        (2, None) => Orientation::Rotated180,
        (3, None) => Orientation::Rotated90,
        (_, None) => Orientation::Upright,
        (0, Some(0)) | (2, Some(1)) => Orientation::Flipped,
        (1, Some(0)) | (3, Some(1)) => Orientation::Transposed,
        (1 | 3, Some(_)) => Orientation::Transversed,
        (_, Some(_)) => Orientation::Mirrored,
    }
}
