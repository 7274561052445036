//! The coefficients of a picture that comes in several scans, until the last one came.
//!
//! Of each block only those are kept that will be shown at the size that is wanted; of the rest a progressive scan needs
//! to know only whether they are zero, a bit each.

use super::Damage;
use super::head::{Frame, Head};
use super::idct::{Basis, Filled};
use super::scan::{Block, Kept, Scan};
use super::show::{Show, size};

/// The coefficients of all components.
pub(super) struct Store {
    components: Vec<Plane>,
}

struct Plane {
    /// Coefficients of a block that are kept, across and down.
    size: usize,
    /// Blocks in a row, those that fill up the last group included.
    across: usize,
    values: Vec<i16>,
    /// Of a progressive picture, for each block which coefficients are not zero.
    filled: Vec<u64>,
    /// The steps, as they were when the component's first scan began.
    steps: Option<[f32; 64]>,
}

impl Store {
    pub(super) fn new(frame: &Frame, reduced: u32) -> Self {
        let (wide, high) = frame.groups();
        let plane = |component: &super::head::Component| {
            let size = size(frame, (component.across, component.down), reduced);
            let across = (wide * component.across) as usize;
            let blocks = across * (high * component.down) as usize;
            let filled = if frame.progressive { vec![0; blocks] } else { Vec::new() };
            Plane { size, across, values: vec![0; blocks * size * size], filled, steps: None }
        };
        Self { components: frame.components.iter().map(plane).collect() }
    }

    /// A scan of these components begins.
    pub(super) fn latch(&mut self, frame: &Frame, head: &Head, scan: &Scan<'_>) -> Result<(), Damage> {
        for (place, ..) in &scan.scan.components {
            let plane = &mut self.components[*place];
            if plane.steps.is_none() {
                plane.steps = Some(head.steps[frame.components[*place].table].ok_or(Damage::Table)?);
            }
        }
        Ok(())
    }

    /// Decodes what a scan has of a block.
    pub(super) fn block(
        &mut self,
        scan: &mut Scan<'_>,
        listed: (usize, usize, usize),
        column: usize,
        row: usize,
        whole: &mut Block,
    ) -> Result<(), Damage> {
        let plane = &mut self.components[listed.0];
        let number = row * plane.across + column;
        let count = plane.size * plane.size;
        let values = &mut plane.values[number * count..(number + 1) * count];
        if let Some(filled) = plane.filled.get_mut(number) {
            return scan.part(listed, &mut Kept { values, filled, size: plane.size });
        }
        scan.whole(listed, whole)?;
        for (kept, came) in values.chunks_exact_mut(plane.size).zip(whole.values.chunks_exact(8)) {
            kept.copy_from_slice(&came[..plane.size]);
        }
        Ok(())
    }

    /// Whether something came of every component.
    pub(super) fn is_complete(&self) -> bool {
        self.components.iter().all(|plane| plane.steps.is_some())
    }

    /// Shows a row of groups.
    pub(super) fn show(&self, frame: &Frame, row: usize, basis: &Basis, show: &mut Show) {
        let planes = self.components.iter().zip(&frame.components).zip(&mut show.strips);
        for ((plane, component), strip) in planes {
            let Some(steps) = &plane.steps else { continue };
            let down = component.down as usize;
            for y in 0..down {
                for x in 0..plane.across {
                    let (values, filled) = plane.wide(x, row * down + y);
                    let at = y * plane.size * strip.stride + x * plane.size;
                    basis.show(plane.size, &values, steps, filled, &mut strip.samples[at..], strip.stride);
                }
            }
        }
    }
}

impl Plane {
    /// A block in rows of eight.
    fn wide(&self, column: usize, row: usize) -> ([i16; 64], Filled) {
        let count = self.size * self.size;
        let number = row * self.across + column;
        let values = &self.values[number * count..(number + 1) * count];
        let (mut wide, mut filled) = ([0; 64], Filled::default());
        for (y, line) in values.chunks_exact(self.size).enumerate() {
            for (x, value) in line.iter().enumerate().filter(|(_, value)| **value != 0) {
                let place = y * 8 + x;
                wide[place] = *value;
                filled.at(place as u8);
            }
        }
        (wide, filled)
    }
}
