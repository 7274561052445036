//! Bytes of samples to integers of full scale.
//!
//! Every form becomes `i32` with full scale at ±2³¹: exact for integers of 8 to 32 bits and for G.711, and what LAME's
//! integer entry takes. Loops run over fixed-size arrays so that the compiler vectorises them.

use super::fmt::{Encoding, Format};

/// Converts whole samples from `bytes` and appends them to `out` in the same order; a cut sample at the end is left out.
///
/// Float: NaN becomes silence; infinities and what lies beyond ±1.0 are clipped to full scale.
pub(super) fn widen(format: &Format, bytes: &[u8], out: &mut Vec<i32>) {
    match (format.encoding, format.bits) {
        (Encoding::ALaw, _) => out.extend(bytes.iter().map(|byte| A_LAW[usize::from(*byte)])),
        (Encoding::MuLaw, _) => out.extend(bytes.iter().map(|byte| MU_LAW[usize::from(*byte)])),
        (Encoding::Float, 64) => {
            out.extend(bytes.as_chunks().0.iter().map(|b| full_scale_f64(f64::from_le_bytes(*b))));
        }
        (Encoding::Float, _) => {
            out.extend(bytes.as_chunks().0.iter().map(|b| full_scale(f32::from_le_bytes(*b))));
        }
        // 8-bit PCM is unsigned with its zero at 128.
        (Encoding::Pcm, ..=8) => out.extend(bytes.iter().map(|byte| i32::from(byte ^ 0x80).wrapping_shl(24))),
        (Encoding::Pcm, ..=16) => {
            out.extend(bytes.as_chunks().0.iter().map(|b| i32::from(i16::from_le_bytes(*b)) << 16));
        }
        (Encoding::Pcm, ..=24) => {
            out.extend(bytes.as_chunks().0.iter().map(|&[a, b, c]| i32::from_le_bytes([0, a, b, c])));
        }
        (Encoding::Pcm, _) => out.extend(bytes.as_chunks().0.iter().map(|b| i32::from_le_bytes(*b))),
    }
}

/// ±1.0 to ±2³¹: `as` sends NaN to 0 and saturates, which is the cleaning that an encoder needs.
pub(in crate::media) fn full_scale(sample: f32) -> i32 {
    (sample * 2_147_483_648.0) as i32
}

/// The same from double precision.
fn full_scale_f64(sample: f64) -> i32 {
    (sample * 2_147_483_648.0) as i32
}

/// ±2³¹ to ±1.0; exact for samples of up to 24 bits.
pub(in crate::media) fn unit_scale(sample: i32) -> f32 {
    sample as f32 * (1.0 / 2_147_483_648.0)
}

/// G.711 mu-law, decoded to 16 bits (14 significant) and widened.
static MU_LAW: [i32; 256] = {
    let mut table = [0; 256];
    let mut code = 0;
    while code < 256 {
        let bits = !code as i32 & 0xFF;
        let magnitude = ((((bits & 0x0F) << 3) + 0x84) << ((bits >> 4) & 7)) - 0x84;
        table[code] = (if bits & 0x80 != 0 { -magnitude } else { magnitude }) << 16;
        code += 1;
    }
    table
};

/// G.711 A-law, decoded to 16 bits (13 significant) and widened.
static A_LAW: [i32; 256] = {
    let mut table = [0; 256];
    let mut code = 0;
    while code < 256 {
        let bits = code as i32 ^ 0x55;
        let segment = (bits >> 4) & 7;
        let step = (bits & 0x0F) << 4;
        let magnitude = if segment == 0 { step + 8 } else { (step + 0x108) << (segment - 1) };
        table[code] = (if bits & 0x80 != 0 { magnitude } else { -magnitude }) << 16;
        code += 1;
    }
    table
};
