//! Rows in, a small picture out: averaged over squares of pixels while the rows come, and once they are all there,
//! resampled to the very size.
//!
//! What is true: what is held meanwhile is the averaged picture, at most three times as wide and as high as what comes
//! out, however large the picture is; a transparent pixel's colour counts for nothing.

use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{PixelType, ResizeOptions, Resizer};

use super::ImageError;
use super::pixels::{Layout, Pixels, Rows, Source};

/// The largest side of the squares: sums of so many samples fit into 16 bits.
const LARGEST: u32 = 256;

/// What is to be made of a picture, as it lies in the file.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Plan {
    /// The part of the picture that is wanted, in its pixels: left, top, width, height.
    pub(super) part: [f64; 4],
    /// Width and height of what comes out.
    pub(super) out: (u32, u32),
}

impl Plan {
    /// Of how many columns and rows of the picture one may be made while the rows come: so many that more than half
    /// as much again is left as comes out, for the resampling to work with.
    pub(super) fn factor(&self) -> u32 {
        let ratio = (self.part[2] / f64::from(self.out.0)).min(self.part[3] / f64::from(self.out.1));
        let factor = if (3.0..4.0).contains(&ratio) { 2 } else { (ratio / 2.0) as u32 };
        factor.clamp(1, LARGEST)
    }
}

/// Takes rows, gives the small picture.
pub(super) struct Shrinker {
    plan: Plan,
    source: Option<Source>,
    /// The side of the squares, in rows as they come.
    factor: u32,
    sums: Sums,
    /// Rows in the sums.
    gathered: u32,
    averaged: Vec<u8>,
}

/// A sum for each sample of a row; of colours that have an alpha, the sum of each times its alpha.
enum Sums {
    Plain(Vec<u16>),
    Weighted(Vec<u32>),
}

/// A picture made small, and what it was made of.
pub(super) struct Shrunk {
    pub(super) pixels: Pixels,
    pub(super) drawn: bool,
    pub(super) profile: Option<Vec<u8>>,
}

impl Shrinker {
    pub(super) fn new(plan: Plan) -> Self {
        Self {
            plan,
            source: None,
            factor: 1,
            sums: Sums::Plain(Vec::new()),
            gathered: 0,
            averaged: Vec::new(),
        }
    }

    /// Resamples what was averaged.
    pub(super) fn finish(mut self) -> Result<Shrunk, ImageError> {
        if self.gathered > 0 {
            self.average();
        }
        let source = self.source.ok_or_else(|| ImageError::Damaged("no picture came".to_owned()))?;
        let averaged = Pixels {
            width: source.width.div_ceil(self.factor),
            height: source.height.div_ceil(self.factor),
            layout: source.layout,
            data: self.averaged,
        };
        let scale = f64::from(self.factor * source.reduced);
        let pixels = resample(averaged, self.plan.part.map(|side| side / scale), self.plan.out)?;
        Ok(Shrunk { pixels: pixels.without_idle_alpha(), drawn: source.drawn, profile: source.profile })
    }

    /// Ends a row of squares.
    fn average(&mut self) {
        let Some(source) = &self.source else { return };
        let (factor, rows) = (self.factor as usize, self.gathered);
        match &mut self.sums {
            Sums::Plain(sums) => {
                match source.layout.channels() {
                    1 => average_plain::<1>(sums, factor, rows, &mut self.averaged),
                    _ => average_plain::<3>(sums, factor, rows, &mut self.averaged),
                }
                sums.fill(0);
            }
            Sums::Weighted(sums) => {
                match source.layout.channels() {
                    2 => average_weighted::<2>(sums, factor, rows, &mut self.averaged),
                    _ => average_weighted::<4>(sums, factor, rows, &mut self.averaged),
                }
                sums.fill(0);
            }
        }
        self.gathered = 0;
    }
}

impl Rows for Shrinker {
    fn begin(&mut self, source: Source) {
        self.factor = (self.plan.factor() / source.reduced).max(1);
        let samples = source.width as usize * source.layout.channels();
        let cells = source.width.div_ceil(self.factor) as usize * source.height.div_ceil(self.factor) as usize;
        self.averaged = Vec::with_capacity(cells * source.layout.channels());
        if self.factor > 1 {
            self.sums = if source.layout.has_alpha() {
                Sums::Weighted(vec![0; samples])
            } else {
                Sums::Plain(vec![0; samples])
            };
        }
        self.source = Some(source);
    }

    fn row(&mut self, row: &[u8]) {
        if self.factor == 1 {
            self.averaged.extend_from_slice(row);
            return;
        }
        match &mut self.sums {
            Sums::Plain(sums) => {
                for (sum, sample) in sums.iter_mut().zip(row) {
                    *sum += u16::from(*sample);
                }
            }
            Sums::Weighted(sums) => match self.source.as_ref().map(|source| source.layout) {
                Some(Layout::GreyAlpha) => add_weighted::<2>(sums, row),
                _ => add_weighted::<4>(sums, row),
            },
        }
        self.gathered += 1;
        if self.gathered == self.factor {
            self.average();
        }
    }
}

fn add_weighted<const CHANNELS: usize>(sums: &mut [u32], row: &[u8]) {
    for (sums, pixel) in sums.chunks_exact_mut(CHANNELS).zip(row.chunks_exact(CHANNELS)) {
        let alpha = u32::from(pixel[CHANNELS - 1]);
        for (sum, sample) in sums[..CHANNELS - 1].iter_mut().zip(pixel) {
            *sum += u32::from(*sample) * alpha;
        }
        sums[CHANNELS - 1] += alpha;
    }
}

fn average_plain<const CHANNELS: usize>(sums: &[u16], factor: usize, rows: u32, out: &mut Vec<u8>) {
    for square in sums.chunks(factor * CHANNELS) {
        let mut total = [0_u32; CHANNELS];
        for pixel in square.chunks_exact(CHANNELS) {
            for (total, sum) in total.iter_mut().zip(pixel) {
                *total += u32::from(*sum);
            }
        }
        let count = (square.len() / CHANNELS) as u32 * rows;
        out.extend(total.map(|total| ((total + count / 2) / count) as u8));
    }
}

fn average_weighted<const CHANNELS: usize>(sums: &[u32], factor: usize, rows: u32, out: &mut Vec<u8>) {
    for square in sums.chunks(factor * CHANNELS) {
        let mut total = [0_u64; CHANNELS];
        for pixel in square.chunks_exact(CHANNELS) {
            for (total, sum) in total.iter_mut().zip(pixel) {
                *total += u64::from(*sum);
            }
        }
        let count = (square.len() / CHANNELS) as u64 * u64::from(rows);
        let weight = total[CHANNELS - 1];
        let mut pixel = total.map(|total| if weight == 0 { 0 } else { ((total + weight / 2) / weight) as u8 });
        pixel[CHANNELS - 1] = ((weight + count / 2) / count) as u8;
        out.extend(pixel);
    }
}

/// The part of a picture, at another size; neither is larger than the picture.
pub(super) fn resample(pixels: Pixels, part: [f64; 4], out: (u32, u32)) -> Result<Pixels, ImageError> {
    if part == [0.0, 0.0, f64::from(out.0), f64::from(out.1)] && out == (pixels.width, pixels.height) {
        return Ok(pixels);
    }
    let pixel_type = match pixels.layout {
        Layout::Grey => PixelType::U8,
        Layout::GreyAlpha => PixelType::U8x2,
        Layout::Rgb => PixelType::U8x3,
        Layout::Rgba => PixelType::U8x4,
    };
    let failed = |error: &dyn std::fmt::Display| {
        ImageError::Damaged(format!("it cannot be made {} by {} pixels: {error}", out.0, out.1))
    };
    let source = ImageRef::new(pixels.width, pixels.height, &pixels.data, pixel_type).map_err(|e| failed(&e))?;
    let mut target = Image::new(out.0, out.1, pixel_type);
    let [left, top, width, height] = within(part, pixels.width, pixels.height);
    let options = ResizeOptions::new().crop(left, top, width, height).use_alpha(pixels.layout.has_alpha());
    Resizer::new().resize(&source, &mut target, &options).map_err(|e| failed(&e))?;
    Ok(Pixels { width: out.0, height: out.1, layout: pixels.layout, data: target.into_vec() })
}

/// The part without what rounding put outside.
fn within([left, top, width, height]: [f64; 4], columns: u32, rows: u32) -> [f64; 4] {
    let (columns, rows) = (f64::from(columns), f64::from(rows));
    let (left, top) = (left.clamp(0.0, columns - 1.0), top.clamp(0.0, rows - 1.0));
    [left, top, width.min(columns - left), height.min(rows - top)]
}
