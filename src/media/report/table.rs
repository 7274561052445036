//! Tables: columns, a head that comes again on each page, lines of any height.

use super::canvas::{Area, Form, Paint, Spot, Tag, spot};
use super::sheet::{INK, MARGIN, MUTED, PALE, RIGHT, Sheet, Side, Style, WIDTH, bold};
use super::text::{self, Line};

/// A column: what it is called, where it begins, how wide it is, at which side its texts stand.
#[derive(Debug, Clone, Copy)]
pub(super) struct Column {
    /// Its name.
    pub(super) label: &'static str,
    /// From the left edge of the page.
    pub(super) x: f32,
    /// Its width, the space to the next one not counted.
    pub(super) width: f32,
    /// Numbers stand at the right.
    pub(super) side: Side,
}

/// How far the texts of a row lie within its colour.
pub(super) const INSET: f32 = 4.0;

/// Columns one after the other, as wide as told, with `gap` between; what is left over goes to the last one.
pub(super) fn columns<const N: usize>(gap: f32, told: [(&'static str, f32, Side); N]) -> [Column; N] {
    let mut x = MARGIN + INSET;
    let mut index = 0;
    told.map(|(label, width, side)| {
        index += 1;
        let width = if index == N { RIGHT - INSET - x } else { width };
        let column = Column { label, x, width, side };
        x += width + gap;
        column
    })
}

impl Column {
    /// The place in it at which a text at that height stands.
    fn anchor(&self, y: f32) -> Spot {
        let x = match self.side {
            Side::Left => self.x,
            Side::Middle => self.x + self.width / 2.0,
            Side::Right => self.x + self.width,
        };
        spot(x, y)
    }

    /// Writes a cell.
    pub(super) fn cell(&self, sheet: &mut Sheet<'_>, y: f32, text: &str, style: Style) {
        sheet.part(Tag::Cell, |sheet| sheet.write(self.anchor(y), self.side, text, style, self.width));
    }

    /// Writes a cell of several lines.
    pub(super) fn lines(&self, sheet: &mut Sheet<'_>, y: f32, lines: &[Line], style: Style, leading: f32) {
        sheet.part(Tag::Cell, |sheet| {
            for (index, line) in lines.iter().enumerate() {
                sheet.write_line(self.anchor(y + index as f32 * leading), self.side, line, style);
            }
        });
    }

    /// A text as lines of this column.
    pub(super) fn wrapped(&self, sheet: &Sheet<'_>, text: &str, style: Style, most: usize) -> Vec<Line> {
        text::wrapped(sheet.canvas, text, style.weight, style.size, self.width, most)
    }
}

/// How high the head is.
pub(super) const HEAD: f32 = 20.0;

/// Writes the head.
pub(super) fn head(sheet: &mut Sheet<'_>, columns: &[Column]) {
    let style = bold(7.5, MUTED);
    let y = sheet.y + 12.0;
    sheet.part(Tag::Row, |sheet| {
        for column in columns {
            sheet.part(Tag::HeadCell, |sheet| {
                sheet.write(column.anchor(y), column.side, column.label, style, column.width)
            });
        }
    });
    let rule = Area::new(MARGIN, sheet.y + HEAD - 2.0, WIDTH, 0.8);
    sheet.canvas.draw(&Form::Rect(rule), Paint::Fill(INK));
    sheet.skip(HEAD);
}

/// Makes room for a row, with the head before it where that is on a new page; colours every second one.
pub(super) fn row(sheet: &mut Sheet<'_>, columns: &[Column], height: f32, odd: bool) {
    if sheet.room(height) {
        head(sheet, columns);
    }
    if odd {
        let area = Area::new(MARGIN, sheet.y, WIDTH, height);
        sheet.canvas.draw(&Form::Rect(area), Paint::Fill(PALE));
    }
}
