//! What is kept: recordings, images, all of it, and how that came together.

use super::super::canvas::{Area, Form, Paint, Tag, spot};
use super::super::data::Holding;
use super::super::figure::Figure;
use super::super::sheet::{ACCENT, INK, MARGIN, MUTED, PALE, Sheet, WIDTH, bold, plain};
use super::lines::{Chart, Series, latest};

const GAP: f32 = 10.0;
const CARD: f32 = 58.0;
const HEIGHT: f32 = 84.0;

pub(super) fn draw(sheet: &mut Sheet<'_>) {
    let chart = over_time(sheet);
    let with = if chart.is_some() { CARD + GAP + HEIGHT } else { CARD };
    sheet.heading(sheet.words.kept, with);
    let data = sheet.report.data;
    if data.storage_bytes == 0 && [data.recordings, data.images] == [Holding::default(); 2] {
        sheet.nothing(sheet.words.no_storage);
        return;
    }
    cards(sheet);
    let Some(chart) = chart else { return };
    sheet.skip(GAP);
    let area = Area::new(MARGIN, sheet.y, WIDTH, HEIGHT);
    sheet.part(Tag::Figure(chart.said()), |sheet| chart.draw(sheet, area));
    sheet.skip(HEIGHT);
}

fn cards(sheet: &mut Sheet<'_>) {
    let (data, words) = (sheet.report.data, sheet.words);
    let size = |bytes: u64| words.size(i64::try_from(bytes).unwrap_or(i64::MAX));
    let holding = |holding: Holding| (words.count(holding.count), size(holding.bytes));
    let (recordings, images) = (holding(data.recordings), holding(data.images));
    let cards = [
        (words.recordings, recordings.0, recordings.1),
        (words.images, images.0, images.1),
        (words.storage, size(data.storage_bytes), words.storage_note.to_owned()),
    ];
    let width = (WIDTH - 2.0 * GAP) / 3.0;
    for (column, (label, value, note)) in cards.into_iter().enumerate() {
        let area = Area::new(MARGIN + column as f32 * (width + GAP), sheet.y, width, CARD);
        sheet.canvas.draw(&Form::Rounded(area, 4.0), Paint::Fill(PALE));
        let (x, room) = (area.x + 12.0, area.width - 24.0);
        sheet.paragraph(spot(x, area.y + 17.0), label, plain(8.0, MUTED), room);
        let large = sheet.width(&value, bold(16.0, INK)) <= room;
        let style = bold(if large { 16.0 } else { 10.0 }, INK);
        sheet.paragraph(spot(x, area.y + 36.0), &value, style, room);
        sheet.paragraph(spot(x, area.y + 49.5), &note, plain(7.5, MUTED), room);
    }
    sheet.skip(CARD);
}

/// What was there at the end of each day, of what is kept now; `None` where there is no line to draw.
fn over_time(sheet: &Sheet<'_>) -> Option<Chart> {
    let words = sheet.words;
    let points = latest(&sheet.report.data.storage);
    let last = points.last().filter(|_| points.len() > 1)?;
    let figure = Figure::bytes(words.storage_over_time, words);
    let value = figure.short(last.value);
    let line = Series { label: figure.label.clone(), value, colour: ACCENT, points };
    Some(Chart { figure, lines: vec![line] })
}
