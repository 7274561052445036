//! Rectangles of pixels made one pixel each, while their rows come.
//!
//! Sums are kept a column and sample each and added up across once a rectangle is complete: adding whole rows is what
//! processors do best. Colours with an alpha are weighted by it.

use super::pixels::Layout;

/// Averages rows.
pub(super) struct Averager {
    layout: Layout,
    /// Columns and rows of a rectangle.
    across: usize,
    down: u32,
    sums: Sums,
    /// Rows in the sums.
    gathered: u32,
}

/// A sum for each sample of a row; of a colour that has an alpha, the sum of both multiplied. Sums of 256 rows fit.
enum Sums {
    /// One row and one column make a rectangle: there is nothing to add.
    None,
    Plain(Vec<u16>),
    Weighted(Vec<u32>),
}

impl Averager {
    /// For rows of so many pixels; rectangles have at most 256 rows.
    pub(super) fn new(layout: Layout, across: u32, down: u32, width: usize) -> Self {
        let samples = width * layout.channels();
        let sums = if (across, down) == (1, 1) {
            Sums::None
        } else if layout.has_alpha() {
            Sums::Weighted(vec![0; samples])
        } else {
            Sums::Plain(vec![0; samples])
        };
        Self { layout, across: across as usize, down, sums, gathered: 0 }
    }

    /// Takes a row. When it was the last one of its rectangles, appends them to `out` and says so.
    pub(super) fn row(&mut self, row: &[u8], out: &mut Vec<u8>) -> bool {
        match &mut self.sums {
            Sums::None => {
                out.extend_from_slice(row);
                return true;
            }
            Sums::Plain(sums) => {
                for (sum, sample) in sums.iter_mut().zip(row) {
                    *sum += u16::from(*sample);
                }
            }
            Sums::Weighted(sums) => match self.layout {
                Layout::Grey | Layout::GreyAlpha => add::<2>(sums, row),
                Layout::Rgb | Layout::Rgba => add::<4>(sums, row),
            },
        }
        self.gathered += 1;
        let complete = self.gathered == self.down;
        if complete {
            self.flush(out);
        }
        complete
    }

    /// Ends the rectangles that the picture ended within.
    pub(super) fn flush(&mut self, out: &mut Vec<u8>) {
        if self.gathered == 0 {
            return;
        }
        let (across, rows) = (self.across, self.gathered);
        match &mut self.sums {
            Sums::None => {}
            Sums::Plain(sums) => {
                match self.layout {
                    Layout::Grey | Layout::GreyAlpha => plain::<1>(sums, across, rows, out),
                    Layout::Rgb | Layout::Rgba => plain::<3>(sums, across, rows, out),
                }
                sums.fill(0);
            }
            Sums::Weighted(sums) => {
                match self.layout {
                    Layout::Grey | Layout::GreyAlpha => weighted::<2>(sums, across, rows, out),
                    Layout::Rgb | Layout::Rgba => weighted::<4>(sums, across, rows, out),
                }
                sums.fill(0);
            }
        }
        self.gathered = 0;
    }
}

fn add<const CHANNELS: usize>(sums: &mut [u32], row: &[u8]) {
    for (sums, pixel) in sums.chunks_exact_mut(CHANNELS).zip(row.chunks_exact(CHANNELS)) {
        let alpha = u32::from(pixel[CHANNELS - 1]);
        for (sum, sample) in sums[..CHANNELS - 1].iter_mut().zip(pixel) {
            *sum += u32::from(*sample) * alpha;
        }
        sums[CHANNELS - 1] += alpha;
    }
}

fn plain<const CHANNELS: usize>(sums: &[u16], across: usize, rows: u32, out: &mut Vec<u8>) {
    for rectangle in sums.chunks(across * CHANNELS) {
        let mut total = [0_u32; CHANNELS];
        for pixel in rectangle.chunks_exact(CHANNELS) {
            for (total, sum) in total.iter_mut().zip(pixel) {
                *total += u32::from(*sum);
            }
        }
        let count = (rectangle.len() / CHANNELS) as u32 * rows;
        out.extend(total.map(|total| ((total + count / 2) / count) as u8));
    }
}

fn weighted<const CHANNELS: usize>(sums: &[u32], across: usize, rows: u32, out: &mut Vec<u8>) {
    for rectangle in sums.chunks(across * CHANNELS) {
        let mut total = [0_u64; CHANNELS];
        for pixel in rectangle.chunks_exact(CHANNELS) {
            for (total, sum) in total.iter_mut().zip(pixel) {
                *total += u64::from(*sum);
            }
        }
        let count = (rectangle.len() / CHANNELS) as u64 * u64::from(rows);
        let weight = total[CHANNELS - 1];
        let mut pixel = total.map(|total| (total + weight / 2).checked_div(weight).unwrap_or(0) as u8);
        pixel[CHANNELS - 1] = ((weight + count / 2) / count) as u8;
        out.extend(pixel);
    }
}
