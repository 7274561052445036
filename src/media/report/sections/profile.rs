//! The head of the first page: what this is, about whom, from when.

use super::super::canvas::{Area, Form, PAGE_WIDTH, Paint, Spot, Tag, spot};
use super::super::portrait::{DIAMETER, initials};
use super::super::sheet::{ACCENT, DEEP, INK, MARGIN, MUTED, RIGHT, Sheet, Side, TINT, WHITE, bold, plain};
use super::super::text::{self, Weight};
use super::super::written::local;

/// How high the band is.
const BAND: f32 = 108.0;
/// Where the texts begin, right of the picture.
const LEFT: f32 = MARGIN + DIAMETER + 20.0;

pub(super) fn draw(sheet: &mut Sheet<'_>) {
    sheet.canvas.draw(&Form::Rect(Area::new(0.0, 0.0, PAGE_WIDTH, BAND)), Paint::Fill(DEEP));
    sheet.write(spot(LEFT, 64.0), Side::Left, "GRISTMILL", bold(8.0, TINT), 120.0);
    let title = sheet.words.title;
    sheet.canvas.bookmark(title, 0.0);
    sheet.part(Tag::Title, |sheet| {
        sheet.write(spot(LEFT, 90.0), Side::Left, title, bold(21.0, WHITE), RIGHT - LEFT - 110.0);
    });
    let day = sheet.words.day(sheet.report.created.date_naive());
    sheet.write(spot(RIGHT, 90.0), Side::Right, &day, plain(9.5, TINT), 100.0);
    portrait(sheet);
    names(sheet);
}

fn portrait(sheet: &mut Sheet<'_>) {
    let centre = spot(MARGIN + DIAMETER / 2.0, BAND);
    let report = sheet.report;
    sheet.canvas.draw(&Form::Circle(centre, DIAMETER / 2.0 + 3.0), Paint::Fill(WHITE));
    let alt = format!("{} {}", sheet.words.portrait_of, report.name);
    if let Some(picture) = &report.portrait {
        sheet.part(Tag::Figure(alt), |sheet| sheet.canvas.portrait(picture, centre, DIAMETER / 2.0));
        return;
    }
    sheet.canvas.draw(&Form::Circle(centre, DIAMETER / 2.0), Paint::Fill(ACCENT));
    let letters = report.data.user.name.as_ref().map(|name| initials(name.as_str())).unwrap_or_default();
    let line = text::line(sheet.canvas, &letters, Weight::Bold);
    // Nor are letters that no font has anybody's initials.
    if line.runs.is_empty() || line.runs.iter().any(|run| run.said.is_some()) {
        somebody(sheet, centre);
        return;
    }
    sheet.write_line(spot(centre.x, centre.y + 10.5), Side::Middle, &line, bold(30.0, WHITE));
}

/// Somebody of whom there is neither picture nor name: a head and shoulders.
fn somebody(sheet: &mut Sheet<'_>, centre: Spot) {
    let shoulders = Area::new(centre.x - 20.0, centre.y + 7.0, 40.0, 20.0);
    sheet.canvas.draw(&Form::Circle(spot(centre.x, centre.y - 10.0), 12.0), Paint::Fill(TINT));
    sheet.canvas.draw(&Form::Rounded(shoulders, 10.0), Paint::Fill(TINT));
}

fn names(sheet: &mut Sheet<'_>) {
    let report = sheet.report;
    let width = RIGHT - LEFT;
    let size = if sheet.width(&report.name, bold(17.0, INK)) <= width { 17.0 } else { 13.0 };
    let style = bold(size, INK);
    let mut y = BAND + 8.0;
    let lines = text::wrapped(sheet.canvas, &report.name, Weight::Bold, size, width, 2);
    sheet.part(Tag::Paragraph, |sheet| {
        for line in &lines {
            y += size + 3.0;
            sheet.write_line(spot(LEFT, y), Side::Left, line, style);
        }
    });
    y += 17.0;
    sheet.part(Tag::Paragraph, |sheet| {
        for line in text::wrapped(sheet.canvas, &facts(sheet), Weight::Regular, 9.0, width, 3) {
            sheet.write_line(spot(LEFT, y), Side::Left, &line, plain(9.0, MUTED));
            y += 12.5;
        }
    });
    sheet.y = y.max(BAND + DIAMETER / 2.0 + 6.0);
}

/// What is known of the user, in a line.
fn facts(sheet: &Sheet<'_>) -> String {
    let (user, words) = (&sheet.report.data.user, sheet.words);
    let mut facts = Vec::new();
    facts.extend(user.email.as_ref().map(|email| email.as_str().to_owned()));
    if user.name.is_some() {
        facts.push(format!("{}\u{a0}{}", words.user, user.id));
    }
    facts.extend(user.gender.as_ref().map(|gender| gender.as_str().to_owned()));
    facts.extend(
        local(user.created_at, sheet.report.data.time_zone)
            .map(|since| format!("{}\u{a0}{}", words.member_since, words.day(since.date_naive()))),
    );
    facts.join("  ·  ")
}
