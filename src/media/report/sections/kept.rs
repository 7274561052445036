//! What is kept: recordings, images, and all of it.

use super::super::canvas::{Area, Form, Paint, spot};
use super::super::data::Holding;
use super::super::sheet::{INK, MARGIN, MUTED, PALE, Sheet, WIDTH, bold, plain};

const GAP: f32 = 10.0;
const HEIGHT: f32 = 58.0;

pub(super) fn draw(sheet: &mut Sheet<'_>) {
    sheet.heading(sheet.words.kept, HEIGHT);
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
        let area = Area::new(MARGIN + column as f32 * (width + GAP), sheet.y, width, HEIGHT);
        sheet.canvas.draw(&Form::Rounded(area, 4.0), Paint::Fill(PALE));
        let (x, room) = (area.x + 12.0, area.width - 24.0);
        sheet.paragraph(spot(x, area.y + 17.0), label, plain(8.0, MUTED), room);
        let large = sheet.width(&value, bold(16.0, INK)) <= room;
        let style = bold(if large { 16.0 } else { 10.0 }, INK);
        sheet.paragraph(spot(x, area.y + 36.0), &value, style, room);
        sheet.paragraph(spot(x, area.y + 49.5), &note, plain(7.5, MUTED), room);
    }
    sheet.skip(HEIGHT);
}
