//! From coefficients to samples, at full size or at a half, a quarter or an eighth of it.
//!
//! A block of 8 by 8 is shown as `N` by `N` samples by reading its lowest `N` by `N` coefficients as those of a block
//! of that size: that is the picture without what is too fine to be seen at that size, and takes little.

/// The cosines that samples are made of.
pub(super) struct Basis {
    /// By size (1, 2, 4, 8, as powers of 2), coefficient and sample.
    cosines: [[[f32; 8]; 8]; 4],
}

/// What of a block is not zero: a bit for each of its eight rows and columns.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Filled {
    pub(super) rows: u8,
    pub(super) columns: u8,
}

impl Filled {
    /// The coefficient at that place, in rows of eight, is not zero.
    #[inline]
    pub(super) fn at(&mut self, place: u8) {
        self.rows |= 1 << (place >> 3);
        self.columns |= 1 << (place & 7);
    }
}

impl Basis {
    pub(super) fn new() -> Self {
        let mut cosines = [[[0.0; 8]; 8]; 4];
        for (power, table) in cosines.iter_mut().enumerate() {
            let size = 1 << power;
            for (coefficient, row) in table.iter_mut().enumerate().take(size) {
                for (sample, cosine) in row.iter_mut().enumerate().take(size) {
                    let angle =
                        ((2 * sample + 1) * coefficient) as f64 * std::f64::consts::PI / (2 * size) as f64;
                    let norm = if coefficient == 0 { 0.125_f64.sqrt() } else { 0.5 };
                    *cosine = (norm * angle.cos()) as f32;
                }
            }
        }
        Self { cosines }
    }

    /// Shows a block as `size` by `size` samples (1, 2, 4 or 8), each row of them `stride` after the one before.
    #[inline]
    pub(super) fn show(
        &self,
        size: usize,
        block: &[i16; 64],
        steps: &[f32; 64],
        filled: Filled,
        out: &mut [u8],
        stride: usize,
    ) {
        if size == 1 || (filled.rows | filled.columns) & !1 == 0 {
            let sample = sample(f32::from(block[0]) * steps[0] * 0.125);
            for row in out.chunks_mut(stride).take(size) {
                row[..size].fill(sample);
            }
            return;
        }
        match size {
            2 => show::<2>(&self.cosines[1], block, steps, filled, out, stride),
            4 => show::<4>(&self.cosines[2], block, steps, filled, out, stride),
            _ => show::<8>(&self.cosines[3], block, steps, filled, out, stride),
        }
    }
}

#[inline]
fn show<const N: usize>(
    cosines: &[[f32; 8]; 8],
    block: &[i16; 64],
    steps: &[f32; 64],
    filled: Filled,
    out: &mut [u8],
    stride: usize,
) {
    // Down the columns, all of them side by side.
    let mut half = [[0.0_f32; N]; N];
    for v in (0..N).filter(|v| filled.rows >> v & 1 == 1) {
        let mut row = [0.0_f32; N];
        for (u, value) in row.iter_mut().enumerate() {
            *value = f32::from(block[v * 8 + u]) * steps[v * 8 + u];
        }
        for (half, cosine) in half.iter_mut().zip(&cosines[v]) {
            for (sum, value) in half.iter_mut().zip(&row) {
                *sum += value * cosine;
            }
        }
    }
    // Along the rows.
    for (half, out) in half.iter().zip(out.chunks_mut(stride)) {
        let mut sums = [0.0_f32; N];
        for u in (0..N).filter(|u| filled.columns >> u & 1 == 1) {
            for (sum, cosine) in sums.iter_mut().zip(&cosines[u]) {
                *sum += half[u] * cosine;
            }
        }
        for (out, sum) in out.iter_mut().zip(sums) {
            *out = sample(sum);
        }
    }
}

/// A sample of a sum, which is centred on zero.
#[inline]
fn sample(sum: f32) -> u8 {
    /// Added to a small number, this leaves it, rounded, in the lowest bits.
    const ROUND: f32 = 12_582_912.0;
    ((sum + 128.0).clamp(0.0, 255.0) + ROUND).to_bits() as u8
}
