//! The work of each day, as bars of what has become of it.

use std::collections::BTreeMap;

use chrono::{Days, NaiveDate};

use super::super::axis::{Values, dates};
use super::super::canvas::{Area, Form, Paint, Tag, spot};
use super::super::data::{Outcomes, ReportData};
use super::super::figure::Unit;
use super::super::sheet::{HAIR, INK, MARGIN, MUTED, RIGHT, Sheet, Side, WIDTH, bold, plain};
use super::{length, plus, sum, ways};

const HEIGHT: f32 = 168.0;
/// Room for what is written beside the value axis.
const BESIDE: f32 = 40.0;

pub(super) fn draw(sheet: &mut Sheet<'_>) {
    let days = days(sheet.report.data);
    let all = days.iter().fold(Outcomes::default(), |all, (_, outcomes)| plus(all, *outcomes));
    let empty = sum(all) == 0;
    sheet.heading(sheet.words.activity, if empty { 40.0 } else { HEIGHT });
    if empty {
        sheet.nothing(sheet.words.no_activity);
        return;
    }
    let area = Area::new(MARGIN, sheet.y, WIDTH, HEIGHT);
    let alt = said(sheet, all, days.len());
    sheet.part(Tag::Figure(alt), |sheet| {
        legend(sheet, area, all, days.len());
        chart(sheet, area, &days);
    });
    sheet.skip(HEIGHT);
}

/// Every day from the first to the last, those without work as well.
fn days(data: &ReportData) -> Vec<(NaiveDate, Outcomes)> {
    let mut known: BTreeMap<NaiveDate, Outcomes> = BTreeMap::new();
    for day in &data.activity {
        let sum = known.entry(day.date).or_default();
        *sum = plus(*sum, day.outcomes);
    }
    let (Some((first, _)), Some((last, _))) = (known.first_key_value(), known.last_key_value()) else {
        return Vec::new();
    };
    let earliest = last.checked_sub_days(Days::new(ReportData::DAYS_MAX as u64 - 1)).unwrap_or(*first);
    let all = earliest.max(*first).iter_days().take_while(|day| day <= last);
    all.map(|day| (day, known.get(&day).copied().unwrap_or_default())).collect()
}

/// The chart in words.
fn said(sheet: &Sheet<'_>, all: Outcomes, days: usize) -> String {
    let words = sheet.words;
    let parts = ways(words, all).map(|(label, _, count)| format!("{label}: {}", words.count(count)));
    let (tasks, days) = (words.counted(sum(all), &words.tasks), words.counted(days as u64, &words.in_days));
    format!("{tasks} {days}. {}", parts.join("; "))
}

/// What the colours mean and how much there is of each, with the sum at the right.
fn legend(sheet: &mut Sheet<'_>, area: Area, all: Outcomes, days: usize) {
    let words = sheet.words;
    let baseline = area.y + 8.0;
    let mut x = area.x;
    for (label, colour, count) in ways(words, all) {
        sheet.canvas.draw(&Form::Rounded(Area::new(x, baseline - 6.5, 7.0, 7.0), 1.5), Paint::Fill(colour));
        x += 11.0;
        x += sheet.write(spot(x, baseline), Side::Left, label, plain(8.0, MUTED), 80.0) + 4.0;
        let count = if count < 1_000_000 { words.count(count) } else { short(sheet, count) };
        x += sheet.write(spot(x, baseline), Side::Left, &count, bold(8.0, INK), 60.0) + 14.0;
    }
    let tasks =
        if sum(all) < 1_000_000 { words.counted(sum(all), &words.tasks) } else { short(sheet, sum(all)) };
    let sentence = format!("{tasks} {}", words.counted(days as u64, &words.in_days));
    sheet.write(spot(RIGHT, baseline), Side::Right, &sentence, plain(8.0, MUTED), RIGHT - x);
}

fn short(sheet: &Sheet<'_>, count: u64) -> String {
    sheet.words.short(i64::try_from(count).unwrap_or(i64::MAX))
}

fn chart(sheet: &mut Sheet<'_>, area: Area, days: &[(NaiveDate, Outcomes)]) {
    let plot = Area::new(area.x + BESIDE, area.y + 22.0, area.width - BESIDE, area.height - 38.0);
    let values = Values::over(days.iter().map(|(_, outcomes)| length(*outcomes)), Unit::Things);
    for tick in &values.ticks {
        let y = plot.bottom() - values.place(*tick) * plot.height;
        let colour = if *tick == 0.0 { MUTED } else { HAIR };
        let rule = Area::new(plot.x, y - 0.25, plot.width, 0.5);
        sheet.canvas.draw(&Form::Rect(rule), Paint::Fill(colour));
        let count = sheet.words.short(*tick as i64);
        sheet.write(spot(plot.x - 5.0, y + 2.4), Side::Right, &count, plain(6.8, MUTED), BESIDE - 5.0);
    }
    let slot = plot.width / days.len() as f32;
    for (index, (_, outcomes)) in days.iter().enumerate() {
        bar(sheet, plot, &values, slot, index, *outcomes);
    }
    below(sheet, plot, slot, days);
}

fn bar(sheet: &mut Sheet<'_>, plot: Area, values: &Values, slot: f32, index: usize, outcomes: Outcomes) {
    let width = (slot * 0.72).min(22.0);
    let x = plot.x + slot * index as f32 + (slot - width) / 2.0;
    let mut below = 0.0;
    for (_, colour, count) in ways(sheet.words, outcomes) {
        if count == 0 {
            continue;
        }
        let top = below + count as f64;
        let (from, to) = (values.place(below), values.place(top));
        // A single task among thousands is still to be seen.
        let height = ((to - from) * plot.height).max(0.4);
        let y = plot.bottom() - from * plot.height - height;
        sheet.canvas.draw(&Form::Rect(Area::new(x, y, width, height)), Paint::Fill(colour));
        below = top;
    }
}

fn below(sheet: &mut Sheet<'_>, plot: Area, slot: f32, days: &[(NaiveDate, Outcomes)]) {
    let (Some((first, _)), Some((last, _))) = (days.first(), days.last()) else { return };
    let labels = dates(*first, *last, 7);
    let room = plot.width / labels.len() as f32;
    for day in labels {
        let index = (day - *first).num_days() as f32;
        let half = sheet.width(&sheet.words.short_day(day), plain(6.8, MUTED)) / 2.0;
        let x = (plot.x + slot * (index + 0.5)).clamp(plot.x + half - 4.0, plot.right() - half);
        let said = sheet.words.short_day(day);
        sheet.write(spot(x, plot.bottom() + 11.0), Side::Middle, &said, plain(6.8, MUTED), room);
    }
}
