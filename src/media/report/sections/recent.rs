//! The latest tasks, line by line.

use super::super::canvas::{Colour, Form, Paint, Tag, spot};
use super::super::data::{RecentTask, ReportData};
use super::super::sheet::{INK, MARGIN, MUTED, Sheet, Side, WIDTH, bold, plain};
use super::super::table::{self, Column, HEAD, columns};
use super::super::written::local;
use super::{CANCELLED, COMPLETED, FAILED, OPEN};
use crate::task::Status;

const HEIGHT: f32 = 17.0;
/// From one line of a note to the next.
const LEADING: f32 = 9.5;
const SIZE: f32 = 7.6;

pub(super) fn draw(sheet: &mut Sheet<'_>) {
    let (data, words) = (sheet.report.data, sheet.words);
    sheet.heading(words.recent, HEAD + 2.0 * HEIGHT);
    if data.recent.is_empty() {
        sheet.nothing(words.no_tasks);
        return;
    }
    let columns = columns(
        8.0,
        [
            (words.number, 40.0, Side::Right),
            (words.kind, 62.0, Side::Left),
            (words.status, 62.0, Side::Left),
            (words.created, 78.0, Side::Left),
            (words.took, 54.0, Side::Right),
            (words.attempts, 38.0, Side::Right),
            (words.note, 0.0, Side::Left),
        ],
    );
    let shown = data.recent.len().min(ReportData::RECENT_MAX);
    sheet.part(Tag::Table, |sheet| {
        table::head(sheet, &columns);
        for (index, task) in data.recent[..shown].iter().enumerate() {
            row(sheet, &columns, task, index % 2 == 1);
        }
    });
    more(sheet, data.tasks_total.saturating_sub(shown as u64).max((data.recent.len() - shown) as u64));
}

fn row(sheet: &mut Sheet<'_>, columns: &[Column; 7], task: &RecentTask, odd: bool) {
    let [number, kind, status, created, took, attempt, note] = columns;
    let said = task.note.as_deref().unwrap_or_default();
    let lines = note.wrapped(sheet, said, plain(SIZE, MUTED), 3);
    let height = HEIGHT + LEADING * lines.len().saturating_sub(1) as f32;
    table::row(sheet, columns, height, odd);
    let (y, text, words) = (sheet.y + 11.5, plain(SIZE, INK), sheet.words);
    sheet.part(Tag::Row, |sheet| {
        number.cell(sheet, y, &task.id.to_string(), plain(SIZE, MUTED));
        kind.cell(sheet, y, task.kind.as_str(), bold(SIZE, INK));
        let dot = spot(status.x + 2.6, y - 2.7);
        sheet.canvas.draw(&Form::Circle(dot, 2.6), Paint::Fill(colour(task.status)));
        let beside = Column { x: status.x + 9.0, width: status.width - 9.0, ..*status };
        beside.cell(sheet, y, words.status(task.status), text);
        let moment = local(task.created_at, sheet.report.data.time_zone).map(|at| words.moment(at));
        created.cell(sheet, y, moment.as_deref().unwrap_or("—"), text);
        took.cell(sheet, y, &span(sheet, task), text);
        attempt.cell(sheet, y, &words.count(task.attempt.0.into()), text);
        note.lines(sheet, y, &lines, plain(SIZE, MUTED), LEADING);
    });
    sheet.skip(height);
}

/// From the creation to the end.
fn span(sheet: &Sheet<'_>, task: &RecentTask) -> String {
    let Some(finished) = task.finished_at else { return "—".into() };
    let span = finished.since(task.created_at);
    if span.as_secs() == 0 {
        return "< 1\u{a0}".to_owned() + sheet.words.second();
    }
    sheet.words.short_span(i64::try_from(span.as_secs()).unwrap_or(i64::MAX))
}

fn colour(status: Status) -> Colour {
    match status {
        Status::Completed => COMPLETED,
        Status::Failed => FAILED,
        Status::Cancelled => CANCELLED,
        Status::New | Status::InProgress => OPEN,
    }
}

/// How many tasks the table leaves out.
fn more(sheet: &mut Sheet<'_>, hidden: u64) {
    if hidden == 0 {
        return;
    }
    let said = sheet.words.counted(hidden, &sheet.words.and_more);
    sheet.room(24.0);
    sheet.hair(MARGIN, sheet.y + 2.0, WIDTH);
    sheet.paragraph(spot(MARGIN, sheet.y + 16.0), &said, plain(8.0, MUTED), WIDTH);
    sheet.skip(24.0);
}
