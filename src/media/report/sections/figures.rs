//! The counters as cards, and how many games were won.

use super::super::canvas::{Area, Form, Paint, spot};
use super::super::data::{Counter, ReportData};
use super::super::figure::{Figure, known};
use super::super::sheet::{ACCENT, INK, MARGIN, MUTED, PALE, RIGHT, Sheet, WIDTH, bold, plain};
use super::{CANCELLED, COMPLETED};

const GAP: f32 = 10.0;
const HEIGHT: f32 = 62.0;
const INSET: f32 = 10.0;

pub(super) fn draw(sheet: &mut Sheet<'_>) {
    sheet.heading(sheet.words.figures, HEIGHT);
    let data = sheet.report.data;
    if data.counters.is_empty() {
        sheet.nothing(sheet.words.no_figures);
        return;
    }
    let counters: Vec<&Counter> = known(&data.counters).into_iter().take(ReportData::COUNTERS_MAX).collect();
    let columns = columns(counters.len());
    let width = (WIDTH - GAP * (columns - 1) as f32) / columns as f32;
    for row in counters.chunks(columns) {
        sheet.room(HEIGHT);
        for (column, counter) in row.iter().enumerate() {
            let x = MARGIN + column as f32 * (width + GAP);
            card(sheet, Area::new(x, sheet.y, width, HEIGHT), counter);
        }
        sheet.skip(HEIGHT + GAP);
    }
    sheet.skip(-GAP);
    more(sheet, data.counters.len() - counters.len());
    win_ratio(sheet, &data.counters);
}

/// Four cards in a row, or three where that leaves fewer places empty.
fn columns(cards: usize) -> usize {
    let empty = |columns: usize| cards.next_multiple_of(columns) - cards;
    if cards > 4 && empty(3) < empty(4) { 3 } else { 4 }
}

fn card(sheet: &mut Sheet<'_>, area: Area, counter: &Counter) {
    sheet.canvas.draw(&Form::Rounded(area, 4.0), Paint::Fill(PALE));
    let figure = Figure::of(counter, sheet.words);
    let (x, width) = (area.x + INSET, area.width - 2.0 * INSET);
    sheet.paragraph(spot(x, area.y + 17.0), &figure.label, plain(8.0, MUTED), width);
    value(sheet, x, area.y + 38.0, width, [figure.value(counter.value), figure.short(counter.value)]);
    if let Some(change) = figure.change(counter) {
        sheet.paragraph(spot(x, area.y + 53.0), &change, plain(7.5, MUTED), width);
    }
}

/// A number as large as it fits: in full if it can be, in few signs if not.
fn value(sheet: &mut Sheet<'_>, x: f32, baseline: f32, width: f32, forms: [String; 2]) {
    let [full, short] = &forms;
    let sizes = [(full, 17.0), (full, 14.0), (full, 11.0), (short, 14.0), (short, 11.0)];
    let fits = sizes.into_iter().find(|(form, size)| sheet.width(form, bold(*size, INK)) <= width);
    let (form, size) = fits.unwrap_or((short, 9.0));
    sheet.paragraph(spot(x, baseline), form, bold(size, INK), width);
}

/// What did not fit, in words.
fn more(sheet: &mut Sheet<'_>, hidden: usize) {
    if hidden == 0 {
        return;
    }
    let said = sheet.words.counted(hidden as u64, &sheet.words.more_figures);
    sheet.room(16.0);
    sheet.paragraph(spot(MARGIN, sheet.y + 13.0), &said, plain(8.0, MUTED), WIDTH);
    sheet.skip(16.0);
}

/// A bar of wins and losses, for games that count both.
fn win_ratio(sheet: &mut Sheet<'_>, counters: &[Counter]) {
    let counted = |name: &str| {
        let counter = counters.iter().find(|counter| counter.name == name)?;
        u64::try_from(counter.value).ok()
    };
    let (Some(wins), Some(losses)) = (counted("wins"), counted("losses")) else { return };
    let games = wins as f64 + losses as f64;
    if games == 0.0 {
        return;
    }
    let part = wins as f64 / games;
    sheet.room(GAP + 32.0);
    sheet.skip(GAP);
    let area = Area::new(MARGIN, sheet.y, WIDTH, 32.0);
    sheet.canvas.draw(&Form::Rounded(area, 4.0), Paint::Fill(PALE));
    let (label, share) = (sheet.words.win_ratio, sheet.words.percent(part));
    let baseline = area.y + 20.0;
    let from = sheet.paragraph(spot(MARGIN + INSET, baseline), label, plain(8.0, MUTED), 110.0);
    sheet.paragraph(spot(MARGIN + INSET + from + 8.0, baseline + 0.5), &share, bold(12.0, ACCENT), 60.0);
    let left = MARGIN + 190.0;
    let bar = Area::new(left, area.y + 12.5, RIGHT - INSET - left, 7.0);
    sheet.canvas.draw(&Form::Rounded(bar, 3.5), Paint::Fill(CANCELLED));
    let won = Area { width: (bar.width * part as f32).max(0.0), ..bar };
    if won.width > 0.5 {
        sheet.canvas.draw(&Form::Rounded(won, 3.5), Paint::Fill(COMPLETED));
    }
    sheet.skip(32.0);
}
