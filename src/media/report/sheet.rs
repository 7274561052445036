//! The paper as the layout sees it: margins, a place that moves down, the head and foot of each page, and the few styles
//! that everything is written in.

use super::Report;
use super::canvas::{Area, Canvas, Colour, Form, PAGE_HEIGHT, PAGE_WIDTH, Paint, Spot, Tag, spot};
use super::text::{self, Line, Weight};
use super::words::Words;

/// Nothing that is read comes nearer to an edge: 19 mm.
pub(super) const MARGIN: f32 = 54.0;
/// Between the margins.
pub(super) const WIDTH: f32 = PAGE_WIDTH - 2.0 * MARGIN;
/// The right margin.
pub(super) const RIGHT: f32 = MARGIN + WIDTH;
/// Where the foot begins.
const BOTTOM: f32 = PAGE_HEIGHT - MARGIN - 22.0;
/// Where a page begins, below its head.
const TOP: f32 = MARGIN + 34.0;

/// Text.
pub(super) const INK: Colour = Colour(0x1b, 0x27, 0x33);
/// What is beside the point.
pub(super) const MUTED: Colour = Colour(0x5a, 0x69, 0x78);
/// Thin lines.
pub(super) const HAIR: Colour = Colour(0xd5, 0xdc, 0xe4);
/// Behind figures.
pub(super) const PALE: Colour = Colour(0xf3, 0xf6, 0xf9);
/// The one colour of the house.
pub(super) const ACCENT: Colour = Colour(0x1d, 0x5f, 0x9e);
/// The same, for large areas.
pub(super) const DEEP: Colour = Colour(0x15, 0x34, 0x57);
/// Text on it that is beside the point.
pub(super) const TINT: Colour = Colour(0xb9, 0xcf, 0xe6);
/// On dark.
pub(super) const WHITE: Colour = Colour(0xff, 0xff, 0xff);

/// How a text looks.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Style {
    /// How heavy.
    pub(super) weight: Weight,
    /// How large, in points.
    pub(super) size: f32,
    /// In which colour.
    pub(super) colour: Colour,
}

/// Plain text of that size.
pub(super) const fn plain(size: f32, colour: Colour) -> Style {
    Style { weight: Weight::Regular, size, colour }
}

/// Bold text of that size.
pub(super) const fn bold(size: f32, colour: Colour) -> Style {
    Style { weight: Weight::Bold, size, colour }
}

/// Where a text stands against a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    /// It begins there.
    Left,
    /// Its middle is there.
    Middle,
    /// It ends there.
    Right,
}

/// The pages, as they are filled.
pub(super) struct Sheet<'a> {
    /// What is drawn on.
    pub(super) canvas: &'a mut dyn Canvas,
    /// What is drawn.
    pub(super) report: &'a Report<'a>,
    /// In which words.
    pub(super) words: &'static Words,
    /// How far down the page is filled.
    pub(super) y: f32,
    /// Which page this is, from 1.
    page: usize,
    /// How many there will be.
    pages: usize,
}

impl<'a> Sheet<'a> {
    /// The first page, of so many.
    pub(super) fn begin(canvas: &'a mut dyn Canvas, report: &'a Report<'a>, pages: usize) -> Self {
        canvas.begin_page();
        let mut sheet = Self { canvas, report, words: report.words, y: TOP, page: 1, pages };
        sheet.foot();
        sheet
    }

    /// The number of the last page, when all is drawn.
    pub(super) fn end(self) -> usize {
        self.page
    }

    /// Sees to it that so many points are free below, on the next page where they are not on this one; whether it is
    /// the next one.
    pub(super) fn room(&mut self, height: f32) -> bool {
        if self.y + height <= BOTTOM {
            return false;
        }
        self.canvas.begin_page();
        self.page += 1;
        self.head();
        self.foot();
        self.y = TOP;
        true
    }

    /// Leaves so many points free.
    pub(super) fn skip(&mut self, height: f32) {
        self.y += height;
    }

    /// The heading of a section, which stays on the page of what follows if that is `with` points high.
    pub(super) fn heading(&mut self, title: &str, with: f32) {
        if self.y > TOP {
            self.skip(22.0);
        }
        self.room(24.0 + with);
        self.canvas.bookmark(title, self.y);
        self.part(Tag::Heading, |sheet| {
            let at = spot(MARGIN, sheet.y + 12.0);
            sheet.write(at, Side::Left, title, bold(12.5, INK), WIDTH);
        });
        let rule = Area::new(MARGIN, self.y + 18.0, 24.0, 1.6);
        self.canvas.draw(&Form::Rect(rule), Paint::Fill(ACCENT));
        self.skip(30.0);
    }

    /// Draws something that is part of the document in that sense.
    pub(super) fn part<T>(&mut self, tag: Tag, draw: impl FnOnce(&mut Self) -> T) -> T {
        self.canvas.open(tag);
        let drawn = draw(self);
        self.canvas.close();
        drawn
    }

    /// Writes a text on one line, cut where it is wider than it may be; how wide it is.
    pub(super) fn write(&mut self, at: Spot, side: Side, text: &str, style: Style, width: f32) -> f32 {
        let line = text::fitted(self.canvas, text, style.weight, style.size, width);
        self.write_line(at, side, &line, style)
    }

    /// Writes a text that is a paragraph by itself; how wide it is.
    pub(super) fn paragraph(&mut self, at: Spot, text: &str, style: Style, width: f32) -> f32 {
        self.part(Tag::Paragraph, |sheet| sheet.write(at, Side::Left, text, style, width))
    }

    /// Writes a line as it is; how wide it is.
    pub(super) fn write_line(&mut self, at: Spot, side: Side, line: &Line, style: Style) -> f32 {
        let width = line.width(style.size);
        let mut x = match side {
            Side::Left => at.x,
            Side::Middle => at.x - width / 2.0,
            Side::Right => at.x - width,
        };
        for run in &line.runs {
            self.canvas.write(spot(x, at.y), style.size, style.colour, run);
            x += run.advance as f32 * style.size / 1000.0;
        }
        width
    }

    /// How wide a text is on one line.
    pub(super) fn width(&self, text: &str, style: Style) -> f32 {
        text::line(self.canvas, text, style.weight).width(style.size)
    }

    /// A thin line across.
    pub(super) fn hair(&mut self, x: f32, y: f32, width: f32) {
        self.canvas.draw(&Form::Rect(Area::new(x, y - 0.25, width, 0.5)), Paint::Fill(HAIR));
    }

    /// What is said instead of a drawing that would be empty.
    pub(super) fn nothing(&mut self, text: &str) {
        self.room(40.0);
        let area = Area::new(MARGIN, self.y, WIDTH, 40.0);
        self.canvas.draw(&Form::Rounded(area, 4.0), Paint::Fill(PALE));
        self.part(Tag::Paragraph, |sheet| {
            let at = spot(MARGIN + WIDTH / 2.0, sheet.y + 23.5);
            sheet.write(at, Side::Middle, text, plain(9.0, MUTED), WIDTH - 20.0);
        });
        self.skip(40.0);
    }

    /// The head of every page but the first, which has its own.
    fn head(&mut self) {
        let baseline = MARGIN + 8.0;
        let name = self.report.name.clone();
        self.write(spot(MARGIN, baseline), Side::Left, &name, bold(8.0, MUTED), WIDTH * 0.6);
        let title = self.words.title;
        self.write(spot(RIGHT, baseline), Side::Right, title, plain(8.0, MUTED), WIDTH * 0.35);
        self.hair(MARGIN, baseline + 7.0, WIDTH);
    }

    fn foot(&mut self) {
        let baseline = PAGE_HEIGHT - MARGIN;
        self.hair(MARGIN, baseline - 12.0, WIDTH);
        let made = self.report.made.clone();
        self.write(spot(MARGIN, baseline), Side::Left, &made, plain(7.5, MUTED), WIDTH * 0.75);
        let [page, of] = self.words.page;
        let place = format!("{page} {} {of} {}", self.page, self.pages);
        self.write(spot(RIGHT, baseline), Side::Right, &place, plain(7.5, MUTED), WIDTH * 0.2);
    }
}
