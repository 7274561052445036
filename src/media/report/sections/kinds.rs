//! All work by kind and by what has become of it, with a bar that shows the shares.

use super::super::canvas::{Area, Form, Paint, Tag};
use super::super::data::{KindTotal, Outcomes, ReportData};
use super::super::sheet::{INK, MARGIN, MUTED, Sheet, Side, WIDTH, bold, plain};
use super::super::table::{self, Column, HEAD, columns};
use super::{length, plus, sum, ways};

const HEIGHT: f32 = 17.0;

pub(super) fn draw(sheet: &mut Sheet<'_>) {
    let data = sheet.report.data;
    let rows = rows(sheet, &data.by_kind);
    sheet.heading(sheet.words.by_kind, HEAD + 2.0 * HEIGHT);
    if rows.is_empty() {
        sheet.nothing(sheet.words.no_tasks);
        return;
    }
    let words = sheet.words;
    let columns = columns(
        10.0,
        [
            (words.kind, 96.0, Side::Left),
            (words.completed, 52.0, Side::Right),
            (words.failed, 52.0, Side::Right),
            (words.cancelled, 48.0, Side::Right),
            (words.open, 44.0, Side::Right),
            (words.total, 48.0, Side::Right),
            (words.share, 0.0, Side::Left),
        ],
    );
    sheet.part(Tag::Table, |sheet| {
        table::head(sheet, &columns);
        for (index, (kind, outcomes)) in rows.iter().enumerate() {
            table::row(sheet, &columns, HEIGHT, index % 2 == 1);
            sheet.part(Tag::Row, |sheet| row(sheet, &columns, kind, *outcomes));
            sheet.skip(HEIGHT);
        }
        if rows.len() > 1 {
            let all = rows.iter().fold(Outcomes::default(), |all, (_, outcomes)| plus(all, *outcomes));
            totals(sheet, &columns, all);
        }
    });
}

/// The kinds with the most work; what is beyond them, summed up.
fn rows(sheet: &Sheet<'_>, kinds: &[KindTotal]) -> Vec<(String, Outcomes)> {
    let mut kinds: Vec<&KindTotal> = kinds.iter().filter(|kind| sum(kind.outcomes) > 0).collect();
    kinds.sort_by(|one, other| {
        sum(other.outcomes).cmp(&sum(one.outcomes)).then_with(|| one.kind.cmp(&other.kind))
    });
    let shown = kinds.len().min(ReportData::KINDS_MAX);
    let (shown, rest) = kinds.split_at(shown);
    let mut rows: Vec<_> = shown.iter().map(|kind| (kind.kind.to_string(), kind.outcomes)).collect();
    if !rest.is_empty() {
        let rest = rest.iter().fold(Outcomes::default(), |all, kind| plus(all, kind.outcomes));
        rows.push((sheet.words.other_kinds.to_owned(), rest));
    }
    rows
}

fn row(sheet: &mut Sheet<'_>, columns: &[Column; 7], kind: &str, outcomes: Outcomes) {
    let y = sheet.y + 11.5;
    let [name, completed, failed, cancelled, open, total, share] = columns;
    name.cell(sheet, y, kind, bold(8.0, INK));
    let numbers = [outcomes.completed, outcomes.failed, outcomes.cancelled, outcomes.other];
    for (column, count) in [completed, failed, cancelled, open].into_iter().zip(numbers) {
        let colour = if count == 0 { MUTED } else { INK };
        column.cell(sheet, y, &number(sheet, count), plain(8.0, colour));
    }
    total.cell(sheet, y, &number(sheet, sum(outcomes)), bold(8.0, INK));
    shares(sheet, Area::new(share.x, sheet.y + 5.5, share.width, 6.0), outcomes);
}

fn number(sheet: &Sheet<'_>, count: u64) -> String {
    if count < 10_000_000 {
        return sheet.words.count(count);
    }
    sheet.words.short(i64::try_from(count).unwrap_or(i64::MAX))
}

fn shares(sheet: &mut Sheet<'_>, area: Area, outcomes: Outcomes) {
    let all = length(outcomes).max(1.0);
    let mut x = area.x;
    for (_, colour, count) in ways(sheet.words, outcomes) {
        let width = (count as f64 / all) as f32 * area.width;
        if width > 0.0 {
            sheet.canvas.draw(&Form::Rect(Area::new(x, area.y, width, area.height)), Paint::Fill(colour));
        }
        x += width;
    }
}

/// The sums below, where there is more than one kind to sum up.
fn totals(sheet: &mut Sheet<'_>, columns: &[Column; 7], all: Outcomes) {
    table::row(sheet, columns, HEIGHT, false);
    sheet.hair(MARGIN, sheet.y, WIDTH);
    let (y, style) = (sheet.y + 12.0, bold(8.0, MUTED));
    let [name, numbers @ .., _] = columns;
    let sums = [all.completed, all.failed, all.cancelled, all.other, sum(all)];
    sheet.part(Tag::Row, |sheet| {
        name.cell(sheet, y, sheet.words.total, style);
        for (column, count) in numbers.iter().zip(sums) {
            column.cell(sheet, y, &number(sheet, count), style);
        }
    });
    sheet.skip(HEIGHT);
}
