//! Colour profiles: what is carried over into what is made, and what is turned into sRGB, which needs none.
//!
//! A profile that comes with an image is anything until it was read. A small one for colours of the right kind goes
//! into the result as it is, and whoever shows it reads it as they read the original; so wide colours stay wide. A large
//! one, which might outweigh the thumbnail, is applied. One that makes no sense is left out: sRGB is what everybody
//! takes colours for that have no profile.

use moxcms::{ColorProfile, DataColorSpace, Layout as Order, TransformOptions};

use super::pixels::{Layout, Pixels};

/// A profile of more bytes is applied instead of carried over.
const SMALL: usize = 4 << 10;

/// The pixels, and the profile that they are to be shown by.
pub(super) fn settle(pixels: Pixels, profile: Option<Vec<u8>>) -> (Pixels, Option<Vec<u8>>) {
    let Some(profile) = profile else { return (pixels, None) };
    let Ok(read) = ColorProfile::new_from_slice(&profile) else { return (pixels, None) };
    let fits = match pixels.layout.opaque() {
        Layout::Grey | Layout::GreyAlpha => read.color_space == DataColorSpace::Gray,
        Layout::Rgb | Layout::Rgba => read.color_space == DataColorSpace::Rgb,
    };
    if !fits {
        return (pixels, None);
    }
    if profile.len() <= SMALL {
        return (pixels, Some(profile));
    }
    (in_srgb(&pixels, &read).unwrap_or(pixels), None)
}

/// The pixels in sRGB; `None` when the profile cannot be applied.
fn in_srgb(pixels: &Pixels, profile: &ColorProfile) -> Option<Pixels> {
    let (order, target) = match pixels.layout {
        Layout::Grey => (Order::Gray, ColorProfile::new_gray_with_gamma(2.2)),
        Layout::GreyAlpha => (Order::GrayAlpha, ColorProfile::new_gray_with_gamma(2.2)),
        Layout::Rgb => (Order::Rgb, ColorProfile::new_srgb()),
        Layout::Rgba => (Order::Rgba, ColorProfile::new_srgb()),
    };
    let transform = profile.create_transform_8bit(order, &target, order, TransformOptions::default()).ok()?;
    let mut data = vec![0; pixels.data.len()];
    transform.transform(&pixels.data, &mut data).ok()?;
    Some(Pixels { data, ..pixels.clone() })
}
