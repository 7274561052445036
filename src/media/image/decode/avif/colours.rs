//! From brightness and differences of colour to red, green and blue of eight bits (ITU-T H.273, §8.3).
//!
//! What is true: the colours stay those of the file's own primaries and curve; where these are not those of sRGB, a profile
//! says so.

use moxcms::{CicpColorPrimaries, CicpProfile, ColorProfile, MatrixCoefficients, TransferCharacteristics};

use super::{Cicp, Layout};

/// Samples of a line, for each pixel: brightness from 0 to 1, and the differences of blue and red from -0.5 to 0.5.
#[derive(Default)]
pub(super) struct Line {
    pub(super) luma: Vec<f32>,
    pub(super) blue: Vec<f32>,
    pub(super) red: Vec<f32>,
}

impl Line {
    /// Takes out the transparency that they were multiplied with. What is wholly transparent has no colour.
    pub(super) fn divide(&mut self, alpha: &[f32]) {
        for samples in [&mut self.luma, &mut self.blue, &mut self.red] {
            for (sample, alpha) in samples.iter_mut().zip(alpha) {
                *sample = if *alpha > 0.0 { *sample / alpha } else { 0.0 };
            }
        }
    }
}

/// How samples become colours.
pub(super) struct Colours {
    cicp: Cicp,
    way: Way,
    /// What is taken from a sample, and what the rest is multiplied with: of brightness, and of colour.
    luma: (f32, f32),
    chroma: (f32, f32),
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Way {
    /// They are green, blue and red.
    Themselves,
    /// Green and orange (YCgCo).
    GreenOrange,
    /// By the parts that red and blue have in brightness.
    Parts(f32, f32),
}

impl Colours {
    /// For samples of so many bits.
    pub(super) fn new(cicp: Cicp, bits: u8) -> Self {
        let most = f32::from((1_u16 << bits) - 1);
        let step = f32::from(1_u16 << (bits - 8));
        let (luma, mut chroma) = if cicp.full_range {
            ((0.0, 1.0 / most), (128.0 * step, 1.0 / most))
        } else {
            ((16.0 * step, 1.0 / (219.0 * step)), (128.0 * step, 1.0 / (224.0 * step)))
        };
        let way = way(cicp);
        if way == Way::Themselves {
            chroma = luma;
        }
        Self { cicp, way, luma, chroma }
    }

    pub(super) fn luma(&self, sample: u16) -> f32 {
        (f32::from(sample) - self.luma.0) * self.luma.1
    }

    pub(super) fn chroma(&self, sample: u16) -> f32 {
        (f32::from(sample) - self.chroma.0) * self.chroma.1
    }

    /// A row of pixels.
    pub(super) fn row(&self, line: &Line, alpha: Option<&[f32]>, layout: Layout, row: &mut [u8]) {
        let channels = layout.channels();
        match layout.opaque() {
            Layout::Grey | Layout::GreyAlpha => {
                for (pixel, luma) in row.chunks_exact_mut(channels).zip(&line.luma) {
                    pixel[0] = eight(*luma);
                }
            }
            Layout::Rgb | Layout::Rgba => self.colours(line, channels, row),
        }
        for (pixel, alpha) in row.chunks_exact_mut(channels).zip(alpha.unwrap_or_default()) {
            pixel[channels - 1] = eight(*alpha);
        }
    }

    fn colours(&self, line: &Line, channels: usize, row: &mut [u8]) {
        let Line { luma, blue, red } = line;
        let pixels = row.chunks_exact_mut(channels).zip(luma.iter().zip(blue.iter().zip(red)));
        match self.way {
            Way::Themselves => {
                for (pixel, (green, (blue, red))) in pixels {
                    pixel[..3].copy_from_slice(&[*red, *green, *blue].map(eight));
                }
            }
            Way::GreenOrange => {
                for (pixel, (luma, (green, orange))) in pixels {
                    let rest = luma - green;
                    pixel[..3].copy_from_slice(&[rest + orange, luma + green, rest - orange].map(eight));
                }
            }
            Way::Parts(of_red, of_blue) => {
                let (to_red, to_blue) = (2.0 * (1.0 - of_red), 2.0 * (1.0 - of_blue));
                let of_green = 1.0 - of_red - of_blue;
                let (from_red, from_blue) = (of_red * to_red / of_green, of_blue * to_blue / of_green);
                for (pixel, (luma, (blue, red))) in pixels {
                    let green = luma - from_red * red - from_blue * blue;
                    pixel[..3]
                        .copy_from_slice(&[luma + to_red * red, green, luma + to_blue * blue].map(eight));
                }
            }
        }
    }

    /// The profile of colours that are not those of sRGB; the curves of television are taken for its, as browsers do.
    pub(super) fn profile(&self, grey: bool) -> Option<Vec<u8>> {
        let Cicp { primaries, transfer, .. } = self.cicp;
        let usual = matches!(primaries, 0..=2) && matches!(transfer, 0..=2 | 6 | 13..=15);
        if usual || grey {
            return None;
        }
        let primaries = if matches!(primaries, 0 | 2) { 1 } else { u8::try_from(primaries).ok()? };
        let transfer =
            if matches!(transfer, 0..=2 | 6 | 14 | 15) { 13 } else { u8::try_from(transfer).ok()? };
        let mut profile = ColorProfile::new_from_cicp(CicpProfile {
            color_primaries: CicpColorPrimaries::try_from(primaries).ok()?,
            transfer_characteristics: TransferCharacteristics::try_from(transfer).ok()?,
            matrix_coefficients: MatrixCoefficients::Identity,
            full_range: true,
        });
        profile.cicp = None;
        profile.encode().ok()
    }
}

fn way(cicp: Cicp) -> Way {
    match cicp.matrix {
        0 => Way::Themselves,
        1 => Way::Parts(0.2126, 0.0722),
        4 => Way::Parts(0.30, 0.11),
        7 => Way::Parts(0.212, 0.087),
        8 => Way::GreenOrange,
        9 => Way::Parts(0.2627, 0.0593),
        12 => derived(cicp.primaries),
        // BT.601, which is also what is taken when nothing is said.
        _ => Way::Parts(0.299, 0.114),
    }
}

/// The parts that follow from the primaries (H.273, formulas 32 to 37).
fn derived(primaries: u16) -> Way {
    const D65: (f32, f32) = (0.3127, 0.3290);
    const C: (f32, f32) = (0.310, 0.316);
    let (red, green, blue, white) = match primaries {
        4 => ((0.67, 0.33), (0.21, 0.71), (0.14, 0.08), C),
        5 => ((0.64, 0.33), (0.29, 0.60), (0.15, 0.06), D65),
        6 | 7 => ((0.630, 0.340), (0.310, 0.595), (0.155, 0.070), D65),
        8 => ((0.681, 0.319), (0.243, 0.692), (0.145, 0.049), C),
        9 => ((0.708, 0.292), (0.170, 0.797), (0.131, 0.046), D65),
        11 => ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060), (0.314, 0.351)),
        12 => ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060), D65),
        22 => ((0.630, 0.340), (0.295, 0.605), (0.155, 0.077), D65),
        _ => ((0.640, 0.330), (0.300, 0.600), (0.150, 0.060), D65),
    };
    let third = |(x, y): (f32, f32)| 1.0 - x - y;
    let cross = |one: (f32, f32), other: (f32, f32)| one.1 * third(other) - other.1 * third(one);
    let (r, g, b, w) = (red, green, blue, white);
    let all = r.0 * cross(g, b) + g.0 * cross(b, r) + b.0 * cross(r, g);
    let part = |of: (f32, f32), one: (f32, f32), other: (f32, f32)| {
        let crossed = w.0 * cross(one, other)
            + w.1 * (other.0 * third(one) - one.0 * third(other))
            + third(w) * (one.0 * other.1 - other.0 * one.1);
        of.1 * crossed / (w.1 * all)
    };
    Way::Parts(part(r, g, b), part(b, r, g))
}

/// A part of one in eight bits.
fn eight(part: f32) -> u8 {
    // What lies outside is cut off by the conversion.
    (part * 255.0 + 0.5) as u8
}
