//! A chart of bars, one a day, each made of layers; above it what the colours mean and how much there is of each.

use chrono::NaiveDate;

use super::super::axis::{Values, dates};
use super::super::canvas::{Area, Colour, Form, Paint, spot};
use super::super::figure::Unit;
use super::super::sheet::{HAIR, INK, MUTED, RIGHT, Sheet, Side, bold, plain};

/// Room for what is written beside the value axis.
const BESIDE: f32 = 40.0;
/// From one line of the legend to the next.
const LEADING: f32 = 13.0;
/// How wide a name in the legend may be, and a number.
const LABEL: f32 = 80.0;
const COUNT: f32 = 60.0;

/// What lies on what is below it, in every bar.
pub(super) struct Layer {
    pub(super) label: String,
    pub(super) colour: Colour,
    /// How much of it there was on each day.
    pub(super) counts: Vec<u64>,
}

impl Layer {
    /// How much of it there was.
    pub(super) fn sum(&self) -> u64 {
        self.counts.iter().fold(0, |sum, count| sum.saturating_add(*count))
    }
}

/// The bars.
pub(super) struct Stack {
    pub(super) days: Vec<NaiveDate>,
    /// From the ground up.
    pub(super) layers: Vec<Layer>,
    /// What the chart shows, right of the legend.
    pub(super) caption: String,
}

impl Stack {
    /// The chart in words.
    pub(super) fn said(&self, sheet: &Sheet<'_>) -> String {
        let parts =
            self.layers.iter().map(|layer| format!("{}: {}", layer.label, number(sheet, layer.sum())));
        format!("{}. {}", self.caption, parts.collect::<Vec<_>>().join("; "))
    }

    /// Draws it there; a legend of many lines takes its room from the bars.
    pub(super) fn draw(&self, sheet: &mut Sheet<'_>, area: Area) {
        let legend = self.legend(sheet, area);
        let top = area.y + 14.0 + legend;
        let plot = Area::new(area.x + BESIDE, top, area.width - BESIDE, area.bottom() - 16.0 - top);
        let heights = (0..self.days.len()).map(|day| self.bar(day).map(|(_, count)| count as f64).sum());
        let values = Values::over(heights, Unit::Things);
        grid(sheet, plot, &values);
        let slot = plot.width / self.days.len() as f32;
        for day in 0..self.days.len() {
            bar(sheet, plot, &values, slot, day, self.bar(day));
        }
        self.below(sheet, plot, slot);
    }

    /// The layers of a day.
    fn bar(&self, day: usize) -> impl Iterator<Item = (Colour, u64)> {
        self.layers.iter().map(move |layer| (layer.colour, layer.counts.get(day).copied().unwrap_or(0)))
    }

    /// What the colours mean, line by line, with the caption at the right of the last; how far down it goes.
    fn legend(&self, sheet: &mut Sheet<'_>, area: Area) -> f32 {
        let (name, figure) = (plain(8.0, MUTED), bold(8.0, INK));
        let mut baseline = area.y + 8.0;
        let mut x = area.x;
        for layer in &self.layers {
            let count = number(sheet, layer.sum());
            let width =
                15.0 + sheet.width(&layer.label, name).min(LABEL) + sheet.width(&count, figure).min(COUNT);
            if x > area.x && x + width > RIGHT {
                (x, baseline) = (area.x, baseline + LEADING);
            }
            let mark = Area::new(x, baseline - 6.5, 7.0, 7.0);
            sheet.canvas.draw(&Form::Rounded(mark, 1.5), Paint::Fill(layer.colour));
            x += 11.0;
            x += sheet.write(spot(x, baseline), Side::Left, &layer.label, name, LABEL) + 4.0;
            x += sheet.write(spot(x, baseline), Side::Left, &count, figure, COUNT) + 14.0;
        }
        if x > area.x && x + sheet.width(&self.caption, name) > RIGHT {
            (x, baseline) = (area.x, baseline + LEADING);
        }
        sheet.write(spot(RIGHT, baseline), Side::Right, &self.caption, name, RIGHT - x);
        baseline - area.y
    }

    fn below(&self, sheet: &mut Sheet<'_>, plot: Area, slot: f32) {
        let (Some(first), Some(last)) = (self.days.first(), self.days.last()) else { return };
        let labels = dates(*first, *last, 7);
        let room = plot.width / labels.len() as f32;
        for day in labels {
            let index = (day - *first).num_days() as f32;
            let said = sheet.words.short_day(day);
            let half = sheet.width(&said, plain(6.8, MUTED)) / 2.0;
            let x = (plot.x + slot * (index + 0.5)).clamp(plot.x + half - 4.0, plot.right() - half);
            sheet.write(spot(x, plot.bottom() + 11.0), Side::Middle, &said, plain(6.8, MUTED), room);
        }
    }
}

/// A count in full, or in few signs where it is large.
pub(super) fn number(sheet: &Sheet<'_>, count: u64) -> String {
    if count < 1_000_000 {
        return sheet.words.count(count);
    }
    sheet.words.short(i64::try_from(count).unwrap_or(i64::MAX))
}

fn grid(sheet: &mut Sheet<'_>, plot: Area, values: &Values) {
    for tick in &values.ticks {
        let y = plot.bottom() - values.place(*tick) * plot.height;
        let colour = if *tick == 0.0 { MUTED } else { HAIR };
        let rule = Area::new(plot.x, y - 0.25, plot.width, 0.5);
        sheet.canvas.draw(&Form::Rect(rule), Paint::Fill(colour));
        let count = sheet.words.short(*tick as i64);
        sheet.write(spot(plot.x - 5.0, y + 2.4), Side::Right, &count, plain(6.8, MUTED), BESIDE - 5.0);
    }
}

fn bar(
    sheet: &mut Sheet<'_>,
    plot: Area,
    values: &Values,
    slot: f32,
    index: usize,
    layers: impl Iterator<Item = (Colour, u64)>,
) {
    let width = (slot * 0.72).min(22.0);
    let x = plot.x + slot * index as f32 + (slot - width) / 2.0;
    let mut below = 0.0;
    for (colour, count) in layers.filter(|(_, count)| *count > 0) {
        let top = below + count as f64;
        let (from, to) = (values.place(below), values.place(top));
        // A single task among thousands is still to be seen.
        let height = ((to - from) * plot.height).max(0.4);
        let y = plot.bottom() - from * plot.height - height;
        sheet.canvas.draw(&Form::Rect(Area::new(x, y, width, height)), Paint::Fill(colour));
        below = top;
    }
}
