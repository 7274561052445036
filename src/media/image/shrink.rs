//! Rows in, a small picture out: averaged over rectangles of pixels while the rows come, and resampled to the very size
//! a band at a time.
//!
//! What is true: what is held meanwhile is a few dozen rows, of at most about four times the width that comes out,
//! however large the picture is; a transparent pixel's colour counts for nothing.

use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{PixelType, ResizeOptions, Resizer};

use super::ImageError;
use super::average::Averager;
use super::pixels::{Layout, Pixels, Rows, Source};

/// Rows that come out of one resampling.
const BAND: u32 = 32;

/// The filter looks so many pixels of what comes out to either side (Lanczos).
const REACH: f64 = 3.0;

/// The most rows that are held: a band, four times as high, and the reach above and below it.
pub(super) const BAND_ROWS: u32 = 4 * BAND + 2 * 4 * REACH as u32 + 4;

/// The longest side of a rectangle that is averaged.
pub(super) const LARGEST: u32 = 256;

/// What is to be made of a picture, as it lies in the file.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Plan {
    /// The part of the picture that is wanted, across and down: from where, and how much, in its pixels.
    pub(super) part: [(f64, f64); 2],
    /// Width and height of what comes out.
    pub(super) out: [u32; 2],
}

impl Plan {
    /// By how much a decoder may shrink the picture by itself: it must leave at least twice of what comes out.
    pub(super) fn reduction(&self) -> u32 {
        factor(self.part[0].1, self.out[0]).min(factor(self.part[1].1, self.out[1]))
    }
}

/// Of how many columns or rows of the picture one may be made before it is resampled: so many that at least half as
/// much again is left as comes out, and less than four times as much.
fn factor(part: f64, out: u32) -> u32 {
    let ratio = part / f64::from(out);
    let factor = if (3.0..4.0).contains(&ratio) { 2 } else { (ratio / 2.0) as u32 };
    factor.clamp(1, LARGEST)
}

/// A picture made small, and what it was made of.
pub(super) struct Shrunk {
    pub(super) pixels: Pixels,
    pub(super) drawn: bool,
    pub(super) profile: Option<Vec<u8>>,
}

/// Takes rows, gives the small picture.
pub(super) struct Shrinker {
    plan: Plan,
    work: Option<Work>,
}

/// The columns, or rows, that are wanted.
#[derive(Debug, Clone, Copy)]
struct Window {
    /// How many that come are averaged to one.
    factor: u32,
    /// The first and the end of those that are looked at, as they come.
    from: u32,
    to: u32,
    /// Where, among those averaged, the part begins.
    start: f64,
    /// How many of those averaged make one that comes out.
    scale: f64,
    /// How many come out.
    out: u32,
}

impl Window {
    fn new((from, length): (f64, f64), out: u32, source: u32, reduced: u32) -> Self {
        let factor = (factor(length, out) / reduced).max(1);
        let cell = f64::from(factor) * f64::from(reduced);
        let scale = length / cell / f64::from(out);
        let reach = REACH * scale.max(1.0) + 1.0;
        let cells = source.div_ceil(factor);
        // Rounding must not put the end of the part outside the picture.
        let first = (from / cell - reach).floor().max(0.0) as u32;
        let end = (((from + length) / cell + reach).ceil() as u32).min(cells);
        let first = first.min(end.saturating_sub(1));
        Self {
            factor,
            from: first * factor,
            to: end.saturating_mul(factor).min(source),
            start: from / cell - f64::from(first),
            scale,
            out,
        }
    }

    /// How many there are once they are averaged.
    fn cells(&self) -> u32 {
        (self.to - self.from).div_ceil(self.factor)
    }
}

/// The work under way.
struct Work {
    source: Source,
    columns: Window,
    rows: Window,
    averager: Averager,
    /// Rows that came.
    came: u32,
    /// Averaged rows that are still needed; the first is number `base`.
    held: Vec<u8>,
    base: u32,
    resizer: Resizer,
    /// Rows that came out.
    done: u32,
    out: Vec<u8>,
}

impl Shrinker {
    pub(super) fn new(plan: Plan) -> Self {
        Self { plan, work: None }
    }

    /// The small picture, once all rows came.
    pub(super) fn finish(self) -> Result<Shrunk, ImageError> {
        let missing = || ImageError::Damaged("rows of the picture are missing".to_owned());
        let mut work = self.work.ok_or_else(missing)?;
        work.averager.flush(&mut work.held);
        work.resample()?;
        let [width, height] = self.plan.out;
        if work.done < height {
            return Err(missing());
        }
        let pixels = Pixels { width, height, layout: work.source.layout, data: work.out };
        Ok(Shrunk {
            pixels: pixels.without_idle_alpha(),
            drawn: work.source.drawn,
            profile: work.source.profile,
        })
    }
}

impl Rows for Shrinker {
    fn begin(&mut self, source: Source) {
        let [across, down] = self.plan.part;
        let [width, height] = self.plan.out;
        let columns = Window::new(across, width, source.width, source.reduced);
        let rows = Window::new(down, height, source.height, source.reduced);
        let channels = source.layout.channels();
        self.work = Some(Work {
            columns,
            rows,
            averager: Averager::new(
                source.layout,
                columns.factor,
                rows.factor,
                (columns.to - columns.from) as usize,
            ),
            came: 0,
            held: Vec::new(),
            base: 0,
            resizer: Resizer::new(),
            done: 0,
            out: Vec::with_capacity(width as usize * height as usize * channels),
            source,
        });
    }

    fn row(&mut self, row: &[u8]) -> Result<(), ImageError> {
        let Some(work) = &mut self.work else { return Ok(()) };
        let wanted = (work.rows.from..work.rows.to).contains(&work.came);
        work.came += 1;
        if !wanted {
            return Ok(());
        }
        let channels = work.source.layout.channels();
        let (from, to) = (work.columns.from as usize * channels, work.columns.to as usize * channels);
        if work.averager.row(&row[from..to], &mut work.held) { work.resample() } else { Ok(()) }
    }
}

impl Work {
    /// Averaged rows there are so far, those that are held no more included.
    fn averaged(&self) -> u32 {
        let row = self.columns.cells() as usize * self.source.layout.channels();
        self.base + (self.held.len() / row.max(1)) as u32
    }

    /// Resamples whatever bands have all their rows.
    fn resample(&mut self) -> Result<(), ImageError> {
        while self.done < self.rows.out {
            let rows = BAND.min(self.rows.out - self.done);
            let reach = REACH * self.rows.scale.max(1.0) + 1.0;
            let end = self.rows.start + f64::from(self.done + rows) * self.rows.scale;
            let needed = ((end + reach).ceil() as u32).min(self.rows.cells());
            if self.averaged() < needed {
                break;
            }
            self.band(rows)?;
            let start = self.rows.start + f64::from(self.done) * self.rows.scale;
            self.drop_before((start - reach).floor().max(0.0) as u32);
        }
        Ok(())
    }

    fn band(&mut self, rows: u32) -> Result<(), ImageError> {
        let top = self.rows.start + f64::from(self.done) * self.rows.scale - f64::from(self.base);
        let part = [
            (self.columns.start, self.columns.scale * f64::from(self.columns.out)),
            (top, self.rows.scale * f64::from(rows)),
        ];
        let sides = [self.columns.cells(), self.averaged() - self.base];
        let out = [self.columns.out, rows];
        let band = resize(&mut self.resizer, self.source.layout, &self.held, sides, part, out)?;
        self.out.extend_from_slice(&band);
        self.done += rows;
        Ok(())
    }

    fn drop_before(&mut self, row: u32) {
        let gone = row.saturating_sub(self.base).min(self.averaged() - self.base);
        let bytes = gone as usize * self.columns.cells() as usize * self.source.layout.channels();
        self.held.drain(..bytes);
        self.base += gone;
    }
}

/// A small picture at a smaller size.
pub(super) fn resample(pixels: &Pixels, out: [u32; 2]) -> Result<Pixels, ImageError> {
    let sides = [pixels.width, pixels.height];
    let part = sides.map(|side| (0.0, f64::from(side)));
    let data = resize(&mut Resizer::new(), pixels.layout, &pixels.data, sides, part, out)?;
    Ok(Pixels { width: out[0], height: out[1], layout: pixels.layout, data })
}

fn resize(
    resizer: &mut Resizer,
    layout: Layout,
    data: &[u8],
    sides: [u32; 2],
    part: [(f64, f64); 2],
    out: [u32; 2],
) -> Result<Vec<u8>, ImageError> {
    let pixel_type = match layout {
        Layout::Grey => PixelType::U8,
        Layout::GreyAlpha => PixelType::U8x2,
        Layout::Rgb => PixelType::U8x3,
        Layout::Rgba => PixelType::U8x4,
    };
    let failed = |error: &dyn std::fmt::Display| {
        ImageError::Damaged(format!("it cannot be made {} by {} pixels: {error}", out[0], out[1]))
    };
    let source = ImageRef::new(sides[0], sides[1], data, pixel_type).map_err(|e| failed(&e))?;
    let mut target = Image::new(out[0], out[1], pixel_type);
    let [(left, width), (top, height)] = [0, 1].map(|axis| within(part[axis], sides[axis]));
    let options = ResizeOptions::new().crop(left, top, width, height).use_alpha(layout.has_alpha());
    resizer.resize(&source, &mut target, &options).map_err(|e| failed(&e))?;
    Ok(target.into_vec())
}

/// The part without what rounding put outside.
fn within((from, length): (f64, f64), side: u32) -> (f64, f64) {
    let side = f64::from(side);
    let from = from.clamp(0.0, (side - 1.0).max(0.0));
    (from, length.min(side - from))
}
