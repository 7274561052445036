//! From AV1 to lines of samples: tiles are decoded a row of them at a time, and read as one picture.
//!
//! What is true: the decoder has one thread, is handed one frame, and may make none larger than the file's boxes said; what
//! it makes is compared with what was announced.

use re_rav1d::{Decoder, Error, Picture, PixelLayout, PlanarImageComponent as Component, Settings};

use super::colours::{Colours, Line};
use super::{Frame, ImageError, Layer, Sampling, Tile, damaged};

/// A layer, decoded as far as its lines are asked for.
pub(super) struct Planes<'a> {
    layer: &'a Layer<'a>,
    /// A row of tiles, and which one it is.
    row: Vec<Picture>,
    at: Option<u32>,
    /// A line of colours that lies next to the one at hand.
    beside: Vec<f32>,
    coarse: Vec<f32>,
}

impl<'a> Planes<'a> {
    pub(super) fn new(layer: &'a Layer<'a>) -> Self {
        Self { layer, row: Vec::new(), at: None, beside: Vec::new(), coarse: Vec::new() }
    }

    /// The line's samples, colours for each pixel.
    pub(super) fn line(&mut self, y: u32, colours: &Colours, line: &mut Line) -> Result<(), ImageError> {
        self.luma(y, colours, line)?;
        for (component, out) in [(Component::U, &mut line.blue), (Component::V, &mut line.red)] {
            self.chroma(y, component, colours, out);
        }
        Ok(())
    }

    /// The line's brightness alone.
    pub(super) fn luma(&mut self, y: u32, colours: &Colours, line: &mut Line) -> Result<(), ImageError> {
        let within = self.reach(y)?;
        let width = self.layer.width as usize;
        line.luma.clear();
        self.copy(Component::Y, within, width, |sample| colours.luma(sample), &mut line.luma);
        Ok(())
    }

    fn chroma(&mut self, y: u32, component: Component, colours: &Colours, out: &mut Vec<f32>) {
        let frame = *self.layer.frame();
        let (width, within) = (self.layer.width as usize, y % frame.height);
        out.clear();
        let read = |sample| colours.chroma(sample);
        let mut coarse = std::mem::take(&mut self.coarse);
        coarse.clear();
        match frame.samples.sampling {
            Sampling::Grey => {}
            Sampling::Full => self.copy(component, within, width, read, out),
            Sampling::Halved => self.copy(component, within, width.div_ceil(2), read, &mut coarse),
            Sampling::Quartered => {
                // A line of colours lies between two of brightness: what is seen is three parts of the nearer one.
                let last = frame.height.div_ceil(2) - 1;
                let near = within / 2;
                let far =
                    if within.is_multiple_of(2) { near.saturating_sub(1) } else { (near + 1).min(last) };
                let mut beside = std::mem::take(&mut self.beside);
                beside.clear();
                self.copy(component, near, width.div_ceil(2), read, &mut coarse);
                self.copy(component, far, width.div_ceil(2), read, &mut beside);
                for (near, far) in coarse.iter_mut().zip(&beside) {
                    *near = 0.75 * *near + 0.25 * far;
                }
                self.beside = beside;
            }
        }
        if !coarse.is_empty() {
            spread(&coarse, width, out);
        }
        self.coarse = coarse;
    }

    /// Decodes the tiles that the line lies in, unless they are at hand; which of their lines it is.
    fn reach(&mut self, y: u32) -> Result<u32, ImageError> {
        let height = self.layer.frame().height;
        let row = y / height;
        if self.at != Some(row) {
            // What was shown is let go first: the price counts one row of tiles.
            self.row.clear();
            let columns = self.layer.columns as usize;
            let tiles = self.layer.tiles.chunks(columns).nth(row as usize);
            let tiles = tiles.ok_or_else(|| damaged("it has fewer tiles than it is high"))?;
            for tile in tiles {
                self.row.push(decode(tile)?);
            }
            self.at = Some(row);
        }
        Ok(y % height)
    }

    /// Appends samples of a line of a plane, across all tiles of the row, until there are `width`.
    fn copy(
        &self,
        component: Component,
        line: u32,
        width: usize,
        read: impl Fn(u16) -> f32,
        out: &mut Vec<f32>,
    ) {
        let frame = self.layer.frame();
        let coarse = component != Component::Y
            && matches!(frame.samples.sampling, Sampling::Halved | Sampling::Quartered);
        let across = if coarse { frame.width.div_ceil(2) } else { frame.width } as usize;
        for picture in &self.row {
            let plane = picture.plane(component);
            let start = line as usize * picture.stride(component) as usize;
            let count = across.min(width - out.len());
            if frame.samples.bits > 8 {
                let samples = plane[start..start + 2 * count].chunks_exact(2);
                out.extend(samples.map(|pair| read(u16::from_ne_bytes([pair[0], pair[1]]))));
            } else {
                out.extend(plane[start..start + count].iter().map(|sample| read(u16::from(*sample))));
            }
        }
    }
}

/// A line with a colour for two pixels, for each pixel: three parts of the nearer one, one of the other.
fn spread(coarse: &[f32], width: usize, out: &mut Vec<f32>) {
    let last = coarse.len() - 1;
    for (at, near) in coarse.iter().enumerate() {
        let (left, right) = (coarse[at.saturating_sub(1)], coarse[(at + 1).min(last)]);
        out.push(0.75 * near + 0.25 * left);
        out.push(0.75 * near + 0.25 * right);
    }
    out.truncate(width);
}

/// Decodes a picture.
fn decode(tile: &Tile<'_>) -> Result<Picture, ImageError> {
    let Frame { width, height, samples, .. } = tile.coded.frame;
    let mut settings = Settings::new();
    settings.set_n_threads(1);
    settings.set_max_frame_delay(1);
    settings.set_all_layers(false);
    settings.set_frame_size_limit(width.saturating_mul(height));
    let mut decoder = Decoder::with_settings(&settings).map_err(damaged)?;
    let picture = picture_of(&mut decoder, tile.coded.units.concat());
    let picture = picture.map_err(|error| damaged(format!("its AV1 data makes no sense ({error})")))?;
    let layout = match samples.sampling {
        Sampling::Grey => PixelLayout::I400,
        Sampling::Full => PixelLayout::I444,
        Sampling::Halved => PixelLayout::I422,
        Sampling::Quartered => PixelLayout::I420,
    };
    let found = (picture.width(), picture.height(), picture.pixel_layout(), picture.bit_depth());
    if found != (width, height, layout, usize::from(samples.bits)) {
        return Err(damaged("its AV1 data is another picture than its headers say"));
    }
    Ok(picture)
}

fn picture_of(decoder: &mut Decoder, data: Vec<u8>) -> Result<Picture, Error> {
    /// The decoder takes one frame in one or two steps.
    const STEPS: u32 = 8;
    match decoder.send_data(data, None, None, None) {
        Ok(()) | Err(Error::Again) => {}
        Err(error) => return Err(error),
    }
    for _ in 0..STEPS {
        match decoder.get_picture() {
            Err(Error::Again) => {}
            done => return done,
        }
        match decoder.send_pending_data() {
            Ok(()) | Err(Error::Again) => {}
            Err(error) => return Err(error),
        }
    }
    Err(Error::InvalidArgument)
}
