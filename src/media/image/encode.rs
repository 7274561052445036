//! Pixels into a file, with the colours they had.

use jpeg_encoder::{ColorType, Encoder, SamplingFactor};

use super::colour;
use super::pixels::{Layout, Pixels};
use super::shrink::Shrunk;
use super::variant::{Encoded, Encoding};
use super::{Format, ImageError};

/// Of JPEG's qualities, one where the eye sees no difference at sizes like these.
const QUALITY: u8 = 82;

/// Writes a picture as asked; nothing asked, as suits it: JPEG, and PNG for what is transparent somewhere, or what was
/// drawn and takes no more room so.
pub(super) fn encode(shrunk: Shrunk, wanted: Option<Encoding>) -> Result<Encoded, ImageError> {
    let Shrunk { pixels, drawn, profile } = shrunk;
    let (pixels, profile) = colour::settle(pixels, profile);
    let profile = profile.as_deref();
    match wanted {
        Some(Encoding::Jpeg) => jpeg(&pixels.over_white(), profile, drawn),
        Some(Encoding::Png) => png(&pixels, profile),
        None if pixels.layout.has_alpha() => png(&pixels, profile),
        None if drawn => {
            let (jpeg, png) = (jpeg(&pixels, profile, drawn)?, png(&pixels, profile)?);
            Ok(if png.bytes.len() <= jpeg.bytes.len() { png } else { jpeg })
        }
        None => jpeg(&pixels, profile, drawn),
    }
}

/// `pixels` have no alpha. What a camera saw has its colours at half its size: nobody sees it, and it takes a quarter
/// less. What somebody drew has lines of pure colour, whose edges it would blur.
fn jpeg(pixels: &Pixels, profile: Option<&[u8]>, drawn: bool) -> Result<Encoded, ImageError> {
    let mut bytes = Vec::new();
    let mut encoder = Encoder::new(&mut bytes, QUALITY);
    encoder.set_sampling_factor(if drawn { SamplingFactor::F_1_1 } else { SamplingFactor::F_2_2 });
    if let Some(profile) = profile {
        encoder.add_icc_profile(profile).map_err(|error| failed(pixels, &error))?;
    }
    let colour = match pixels.layout.opaque() {
        Layout::Grey | Layout::GreyAlpha => ColorType::Luma,
        Layout::Rgb | Layout::Rgba => ColorType::Rgb,
    };
    let side = |side: u32| u16::try_from(side).map_err(|error| failed(pixels, &error));
    encoder
        .encode(&pixels.data, side(pixels.width)?, side(pixels.height)?, colour)
        .map_err(|error| failed(pixels, &error))?;
    Ok(Encoded { format: Format::Jpeg, width: pixels.width, height: pixels.height, bytes })
}

fn png(pixels: &Pixels, profile: Option<&[u8]>) -> Result<Encoded, ImageError> {
    let mut bytes = Vec::new();
    let mut info = png::Info::with_size(pixels.width, pixels.height);
    info.bit_depth = png::BitDepth::Eight;
    info.color_type = match pixels.layout {
        Layout::Grey => png::ColorType::Grayscale,
        Layout::GreyAlpha => png::ColorType::GrayscaleAlpha,
        Layout::Rgb => png::ColorType::Rgb,
        Layout::Rgba => png::ColorType::Rgba,
    };
    info.icc_profile = profile.map(|profile| profile.to_vec().into());
    let written = png::Encoder::with_info(&mut bytes, info).and_then(|encoder| {
        let mut writer = encoder.write_header()?;
        writer.write_image_data(&pixels.data)?;
        writer.finish()
    });
    written.map_err(|error| failed(pixels, &error))?;
    Ok(Encoded { format: Format::Png, width: pixels.width, height: pixels.height, bytes })
}

fn failed(pixels: &Pixels, error: &dyn std::fmt::Display) -> ImageError {
    ImageError::Damaged(format!(
        "{} by {} pixels of it cannot be written: {error}",
        pixels.width, pixels.height
    ))
}
