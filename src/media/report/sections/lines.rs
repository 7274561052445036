//! A chart of lines over days: each line with its name and present value, zero on the axis.

use chrono::{Days, NaiveDate};

use super::super::axis::{Values, dates};
use super::super::canvas::{Area, Colour, Form, Paint, Spot, spot};
use super::super::data::{Point, ReportData};
use super::super::figure::Figure;
use super::super::sheet::{HAIR, INK, MUTED, Sheet, Side, WHITE, bold, plain};

/// Room for what is written beside the value axis.
const BESIDE: f32 = 40.0;
/// The area below a line: its colour on paper, at an eighth.
const BELOW: Colour = Colour(0xe2, 0xeb, 0xf3);

/// A line of a chart.
pub(super) struct Series {
    pub(super) label: String,
    pub(super) value: String,
    pub(super) colour: Colour,
    pub(super) points: Vec<Point>,
}

/// A chart: one line, or two that are best seen together.
pub(super) struct Chart {
    pub(super) figure: Figure,
    pub(super) lines: Vec<Series>,
}

/// The points of the last days, in their order, one a day.
pub(super) fn latest(history: &[Point]) -> Vec<Point> {
    let mut points = history.to_vec();
    points.sort_by_key(|point| point.date);
    points.dedup_by_key(|point| point.date);
    let Some(last) = points.last().map(|point| point.date) else { return points };
    let days = Days::new(ReportData::DAYS_MAX as u64 - 1);
    let first = last.checked_sub_days(days).unwrap_or(NaiveDate::MIN);
    points.retain(|point| point.date >= first);
    points
}

impl Chart {
    /// What it shows, in words.
    pub(super) fn said(&self) -> String {
        let lines = self.lines.iter().map(|line| format!("{}: {}", line.label, line.value));
        lines.collect::<Vec<_>>().join("; ")
    }

    fn points(&self) -> impl Iterator<Item = &Point> {
        self.lines.iter().flat_map(|line| &line.points)
    }

    /// Draws it there.
    pub(super) fn draw(&self, sheet: &mut Sheet<'_>, area: Area) {
        self.labels(sheet, area);
        let plot = Area::new(area.x + BESIDE, area.y + 24.0, area.width - BESIDE - 4.0, area.height - 40.0);
        let values = Values::over(self.points().map(|point| point.value as f64), self.figure.unit);
        self.grid(sheet, plot, &values);
        let (Some(first), Some(last)) =
            (self.points().map(|point| point.date).min(), self.points().map(|point| point.date).max())
        else {
            return;
        };
        below(sheet, plot, first, last);
        let place = |point: &Point| {
            let days = (last - first).num_days().max(1) as f32;
            let along = (point.date - first).num_days() as f32 / days;
            spot(plot.x + along * plot.width, height(plot, &values, point.value as f64))
        };
        let zero = height(plot, &values, 0.0);
        for line in &self.lines {
            let spots: Vec<Spot> = line.points.iter().map(place).collect();
            stroke(sheet, &spots, zero, line.colour, self.lines.len() == 1);
        }
    }

    /// Each line's name and present value, in its colour: nobody has to look for a key.
    fn labels(&self, sheet: &mut Sheet<'_>, area: Area) {
        let baseline = area.y + 9.0;
        let mut x = area.x;
        let room = area.width / self.lines.len() as f32;
        for line in &self.lines {
            let end = x + room;
            if self.lines.len() > 1 {
                let mark = Area::new(x, baseline - 6.0, 6.0, 6.0);
                sheet.canvas.draw(&Form::Rounded(mark, 1.5), Paint::Fill(line.colour));
                x += 10.0;
            }
            let value = sheet.width(&line.value, bold(8.5, line.colour)).min(room * 0.6);
            let label_room = (end - x - value - 8.0).max(20.0);
            x += sheet.write(spot(x, baseline), Side::Left, &line.label, bold(8.5, INK), label_room) + 5.0;
            sheet.write(spot(x, baseline), Side::Left, &line.value, bold(8.5, line.colour), end - x);
            x = end;
        }
    }

    fn grid(&self, sheet: &mut Sheet<'_>, plot: Area, values: &Values) {
        for tick in &values.ticks {
            let y = height(plot, values, *tick);
            let colour = if *tick == 0.0 { MUTED } else { HAIR };
            let rule = Area::new(plot.x, y - 0.25, plot.width, 0.5);
            sheet.canvas.draw(&Form::Rect(rule), Paint::Fill(colour));
            let at = spot(plot.x - 5.0, y + 2.4);
            let said = self.figure.short(*tick as i64);
            sheet.write(at, Side::Right, &said, plain(6.8, MUTED), BESIDE - 5.0);
        }
    }
}

/// How far down the page a value lies.
fn height(plot: Area, values: &Values, value: f64) -> f32 {
    plot.bottom() - values.place(value) * plot.height
}

/// The days below a chart: the first at its left end, the last at its right.
fn below(sheet: &mut Sheet<'_>, plot: Area, first: NaiveDate, last: NaiveDate) {
    let days = dates(first, last, 3);
    let (count, all) = (days.len(), (last - first).num_days().max(1) as f32);
    for (index, day) in days.into_iter().enumerate() {
        let x = plot.x + plot.width * (day - first).num_days() as f32 / all;
        let side = match index {
            0 => Side::Left,
            _ if index + 1 == count => Side::Right,
            _ => Side::Middle,
        };
        let said = sheet.words.short_day(day);
        sheet.write(spot(x, plot.bottom() + 11.0), side, &said, plain(6.8, MUTED), plot.width / 3.0);
    }
}

/// A line with its end marked; the area between it and zero as well, where it is alone.
fn stroke(sheet: &mut Sheet<'_>, spots: &[Spot], zero: f32, colour: Colour, alone: bool) {
    let (Some(first), Some(last)) = (spots.first(), spots.last()) else { return };
    if alone {
        let mut outline = vec![spot(first.x, zero)];
        outline.extend_from_slice(spots);
        outline.push(spot(last.x, zero));
        sheet.canvas.draw(&Form::Polygon(outline), Paint::Fill(BELOW));
    }
    sheet.canvas.draw(&Form::Line(spots.to_vec()), Paint::Stroke(colour, 1.4));
    sheet.canvas.draw(&Form::Circle(*last, 3.0), Paint::Fill(WHITE));
    sheet.canvas.draw(&Form::Circle(*last, 2.2), Paint::Fill(colour));
}
