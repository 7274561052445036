//! From the planes of the components to rows of pixels.

use std::sync::Arc;

use moxcms::{ColorProfile, DataColorSpace, Layout as Order, TransformExecutor, TransformOptions};

use super::super::super::ImageError;
use super::super::super::pixels::{Layout, Rows, Source, Watch};
use super::head::{Frame, Head};

/// What the components are.
enum Colours {
    Grey,
    Rgb,
    /// Brightness and two differences of colour.
    Differences,
    /// Inks, and black; `differences` when the first three come as such. Adobe writes the light that is left, others
    /// the ink.
    Inks {
        differences: bool,
        light: bool,
        profile: Option<Arc<dyn TransformExecutor<u8> + Send + Sync>>,
    },
}

/// A row of groups of a component, as samples.
pub(super) struct Strip {
    /// Samples of a block, across and down: 1, 2, 4 or 8.
    pub(super) size: usize,
    pub(super) stride: usize,
    pub(super) samples: Vec<u8>,
    /// Rows of the strip.
    rows: usize,
    /// For each column that is shown, the column of the strip; empty when they are the same.
    columns: Vec<u32>,
    /// The row that is shown, one sample a column.
    row: Vec<u8>,
}

/// Shows rows of groups, one after the other.
pub(super) struct Show {
    pub(super) strips: Vec<Strip>,
    colours: Colours,
    width: usize,
    /// Rows that a row of groups shows.
    rows: usize,
    /// Rows that are still to be shown.
    left: usize,
    line: Vec<u8>,
}

impl Show {
    /// Shows the picture at one `reduced`th of its size (1, 2, 4 or 8), and tells `rows` what will come.
    pub(super) fn new(frame: &Frame, head: &Head, reduced: u32, rows: &mut dyn Rows) -> Self {
        let (width, height) = (frame.width.div_ceil(reduced), frame.height.div_ceil(reduced));
        let colours = Colours::of(frame, head);
        let layout = match colours {
            Colours::Grey => Layout::Grey,
            Colours::Rgb | Colours::Differences | Colours::Inks { .. } => Layout::Rgb,
        };
        let profile = match colours {
            Colours::Grey | Colours::Rgb | Colours::Differences => head.profile(),
            Colours::Inks { .. } => None,
        };
        rows.begin(Source { width, height, layout, reduced, drawn: false, profile });
        Self {
            strips: frame.components.iter().map(|c| Strip::new(frame, (c.across, c.down), reduced)).collect(),
            line: vec![0; width as usize * layout.channels()],
            colours,
            width: width as usize,
            rows: (frame.most_down() * 8 / reduced) as usize,
            left: height as usize,
        }
    }

    /// The strips are full: shows them.
    pub(super) fn strips(&mut self, rows: &mut dyn Rows, watch: &mut Watch<'_>) -> Result<(), ImageError> {
        let shown = self.rows.min(self.left);
        self.left -= shown;
        for y in 0..shown {
            for strip in &mut self.strips {
                strip.pick(y, self.rows, self.width);
            }
            self.line();
            rows.row(&self.line)?;
            watch.row()?;
        }
        Ok(())
    }

    /// Puts the colours of a row together.
    fn line(&mut self) {
        match (&self.colours, &self.strips[..]) {
            (Colours::Rgb, [red, green, blue]) => {
                let samples = red.row.iter().zip(&green.row).zip(&blue.row);
                for (pixel, ((red, green), blue)) in self.line.chunks_exact_mut(3).zip(samples) {
                    pixel.copy_from_slice(&[*red, *green, *blue]);
                }
            }
            (Colours::Differences, [bright, blue, red]) => differences(bright, blue, red, &mut self.line),
            (Colours::Inks { differences: mixed, light, profile }, [cyan, magenta, yellow, black]) => {
                if *mixed {
                    differences(cyan, magenta, yellow, &mut self.line);
                } else {
                    let samples = cyan.row.iter().zip(&magenta.row).zip(&yellow.row);
                    for (pixel, ((cyan, magenta), yellow)) in self.line.chunks_exact_mut(3).zip(samples) {
                        pixel.copy_from_slice(&[*cyan, *magenta, *yellow]);
                    }
                }
                // What was mixed from differences is the opposite of what was written.
                inks(&mut self.line, &black.row, *mixed != *light, *light, profile.as_deref());
            }
            (_, [first, ..]) => self.line.copy_from_slice(&first.row),
            (_, []) => {}
        }
    }
}

impl Colours {
    fn of(frame: &Frame, head: &Head) -> Self {
        let names: Vec<u8> = frame.components.iter().map(|component| component.id).collect();
        match frame.components.len() {
            1 => Self::Grey,
            3 => match head.adobe {
                _ if head.jfif => Self::Differences,
                Some(0) => Self::Rgb,
                None if names == b"RGB" => Self::Rgb,
                Some(_) | None => Self::Differences,
            },
            _ => Self::Inks {
                differences: head.adobe == Some(2),
                light: head.adobe.is_some(),
                profile: head.profile().and_then(|profile| of_inks(&profile)),
            },
        }
    }
}

/// From inks to sRGB, as a colour profile has it; `None` when it makes no sense.
fn of_inks(profile: &[u8]) -> Option<Arc<dyn TransformExecutor<u8> + Send + Sync>> {
    let profile = ColorProfile::new_from_slice(profile).ok()?;
    if profile.color_space != DataColorSpace::Cmyk {
        return None;
    }
    let srgb = ColorProfile::new_srgb();
    profile.create_transform_8bit(Order::Rgba, &srgb, Order::Rgb, TransformOptions::default()).ok()
}

impl Strip {
    fn new(frame: &Frame, (across, down): (u32, u32), reduced: u32) -> Self {
        let size = size(frame, (across, down), reduced);
        let stride = (frame.groups().0 * across) as usize * size;
        let rows = down as usize * size;
        let width = frame.width.div_ceil(reduced) as usize;
        let (shown, taken) = ((frame.most_across() * 8 / reduced) as usize, across as usize * size);
        let columns = if shown == taken {
            Vec::new()
        } else {
            (0..width).map(|x| ((x * taken / shown) as u32).min(stride as u32 - 1)).collect()
        };
        Self { size, stride, samples: vec![0; stride * rows], rows, columns, row: vec![0; width] }
    }

    /// Takes row `y` of so many that are shown.
    fn pick(&mut self, y: usize, shown: usize, width: usize) {
        let from = (y * self.rows / shown) * self.stride;
        let line = &self.samples[from..from + self.stride];
        if self.columns.is_empty() {
            self.row.copy_from_slice(&line[..width]);
        } else {
            for (sample, column) in self.row.iter_mut().zip(&self.columns) {
                *sample = line[*column as usize];
            }
        }
    }
}

/// How many samples of a block of a component are shown, across and down. A component that is sampled coarsely is
/// shown the larger for it, so that nothing is left to be stretched.
pub(super) fn size(frame: &Frame, (across, down): (u32, u32), reduced: u32) -> usize {
    let shown = 8 / reduced;
    let most = (shown * frame.most_across() / across).min(shown * frame.most_down() / down).clamp(1, 8);
    1 << most.ilog2()
}

/// Mixes brightness and differences of colour (ITU-R BT.601, all 256 values, as JFIF has it).
fn differences(bright: &Strip, blue: &Strip, red: &Strip, line: &mut [u8]) {
    let samples = bright.row.iter().zip(&blue.row).zip(&red.row);
    for (pixel, ((bright, blue), red)) in line.chunks_exact_mut(3).zip(samples) {
        // In 65,536ths, and a half to round.
        let bright = (i32::from(*bright) << 16) + (1 << 15);
        let (blue, red) = (i32::from(*blue) - 128, i32::from(*red) - 128);
        let shown = |sum: i32| (sum >> 16).clamp(0, 255) as u8;
        pixel[0] = shown(bright + 91_881 * red);
        pixel[1] = shown(bright - 22_554 * blue - 46_802 * red);
        pixel[2] = shown(bright + 116_130 * blue);
    }
}

/// Turns inks into what is seen of them. `flip` and `flip_black` where the samples are the light that is left, and not
/// the ink.
fn inks(
    line: &mut [u8],
    black: &[u8],
    flip: bool,
    flip_black: bool,
    profile: Option<&(dyn TransformExecutor<u8> + Send + Sync)>,
) {
    let (mask, mask_black) = (if flip { 255 } else { 0 }, if flip_black { 255 } else { 0 });
    let inks = line.chunks_exact(3).zip(black);
    let inks: Vec<u8> = inks
        .flat_map(|(pixel, black)| [pixel[0] ^ mask, pixel[1] ^ mask, pixel[2] ^ mask, black ^ mask_black])
        .collect();
    if let Some(profile) = profile
        && profile.transform(&inks, line).is_ok()
    {
        return;
    }
    for (pixel, inks) in line.chunks_exact_mut(3).zip(inks.chunks_exact(4)) {
        for (shown, ink) in pixel.iter_mut().zip(inks) {
            *shown = ((u32::from(255 - ink) * u32::from(255 - inks[3]) + 127) / 255) as u8;
        }
    }
}
