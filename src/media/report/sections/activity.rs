//! The work of each day, as bars: of what has become of it, and of what kinds it was.

use std::collections::BTreeMap;

use chrono::{Days, NaiveDate};

use super::super::canvas::{Area, Colour, Tag};
use super::super::data::{Outcomes, ReportData};
use super::super::sheet::{MARGIN, Sheet, WIDTH};
use super::stack::{Layer, Stack, number};
use super::{plus, sum, ways};
use crate::task::Kind;

const HEIGHT: f32 = 128.0;
/// Between the two charts.
const GAP: f32 = 10.0;

/// The kinds, the largest first, and last what is beyond them: from dark to light, so that nobody needs the hues, of which
/// none is one of those for what has become of work.
const KINDS: [Colour; ReportData::KINDS_OVER_TIME] = [
    Colour(0x33, 0x22, 0x88),
    Colour(0x14, 0x60, 0x5a),
    Colour(0xb0, 0x55, 0x9a),
    Colour(0x57, 0xb0, 0x9c),
    Colour(0xe0, 0xb8, 0x5a),
];
const OTHERS: Colour = Colour(0xd5, 0xdc, 0xe4);

/// A day's work in both ways.
#[derive(Debug, Clone, Default)]
struct Work {
    outcomes: Outcomes,
    kinds: BTreeMap<Kind, u64>,
}

pub(super) fn draw(sheet: &mut Sheet<'_>) {
    let days = days(sheet.report.data);
    let all = days.iter().fold(Outcomes::default(), |all, (_, work)| plus(all, work.outcomes));
    let empty = sum(all) == 0;
    sheet.heading(sheet.words.activity, if empty { 40.0 } else { HEIGHT });
    if empty {
        sheet.nothing(sheet.words.no_activity);
        return;
    }
    let charts = [by_outcome(sheet, &days, all), by_kind(sheet, &days)];
    for (index, chart) in charts.iter().enumerate().filter(|(_, chart)| !chart.layers.is_empty()) {
        if index > 0 {
            sheet.skip(GAP);
        }
        sheet.room(HEIGHT);
        let area = Area::new(MARGIN, sheet.y, WIDTH, HEIGHT);
        let alt = chart.said(sheet);
        sheet.part(Tag::Figure(alt), |sheet| chart.draw(sheet, area));
        sheet.skip(HEIGHT);
    }
}

/// Every day from the first to the last, those without work as well.
fn days(data: &ReportData) -> Vec<(NaiveDate, Work)> {
    let mut known: BTreeMap<NaiveDate, Work> = BTreeMap::new();
    for day in &data.activity {
        let work = known.entry(day.date).or_default();
        work.outcomes = plus(work.outcomes, day.outcomes);
        for (kind, tasks) in &day.kinds {
            let sum = work.kinds.entry(kind.clone()).or_default();
            *sum = sum.saturating_add(*tasks);
        }
    }
    let (Some((first, _)), Some((last, _))) = (known.first_key_value(), known.last_key_value()) else {
        return Vec::new();
    };
    let (first, last) = (*first, *last);
    let earliest = last.checked_sub_days(Days::new(ReportData::DAYS_MAX as u64 - 1)).unwrap_or(first);
    let all = earliest.max(first).iter_days().take_while(|day| *day <= last);
    all.map(|day| (day, known.remove(&day).unwrap_or_default())).collect()
}

fn by_outcome(sheet: &Sheet<'_>, days: &[(NaiveDate, Work)], all: Outcomes) -> Stack {
    let words = sheet.words;
    let each: Vec<_> = days.iter().map(|(_, work)| ways(words, work.outcomes)).collect();
    let layers = ways(words, all).into_iter().enumerate().map(|(index, (label, colour, _))| Layer {
        label: label.to_owned(),
        colour,
        counts: each.iter().map(|ways| ways[index].2).collect(),
    });
    let tasks =
        if sum(all) < 1_000_000 { words.counted(sum(all), &words.tasks) } else { number(sheet, sum(all)) };
    let caption = format!("{tasks} {}", words.counted(days.len() as u64, &words.in_days));
    Stack { days: dates(days), layers: layers.collect(), caption }
}

/// The kinds with the most work in these days; what is beyond them, summed up.
fn by_kind(sheet: &Sheet<'_>, days: &[(NaiveDate, Work)]) -> Stack {
    let words = sheet.words;
    let mut sums: BTreeMap<&Kind, u64> = BTreeMap::new();
    for (kind, tasks) in days.iter().flat_map(|(_, work)| &work.kinds).filter(|(_, tasks)| **tasks > 0) {
        let sum = sums.entry(kind).or_default();
        *sum = sum.saturating_add(*tasks);
    }
    let mut kinds: Vec<(&Kind, u64)> = sums.into_iter().collect();
    kinds.sort_by(|(one, most), (other, more)| more.cmp(most).then_with(|| one.cmp(other)));
    let (shown, rest) = kinds.split_at(kinds.len().min(KINDS.len()));
    let layer = |label: &str, colour, kinds: &[(&Kind, u64)]| Layer {
        label: label.to_owned(),
        colour,
        counts: days.iter().map(|(_, work)| of(work, kinds)).collect(),
    };
    let shown = shown.chunks(1).zip(KINDS);
    let mut layers: Vec<Layer> =
        shown.map(|(kind, colour)| layer(words.work(kind[0].0), colour, kind)).collect();
    if !rest.is_empty() {
        layers.push(layer(words.other_kinds, OTHERS, rest));
    }
    Stack { days: dates(days), layers, caption: words.of_kinds.to_owned() }
}

/// How much of a day's work was of those kinds.
fn of(work: &Work, kinds: &[(&Kind, u64)]) -> u64 {
    kinds.iter().fold(0, |sum, (kind, _)| sum.saturating_add(work.kinds.get(*kind).copied().unwrap_or(0)))
}

fn dates(days: &[(NaiveDate, Work)]) -> Vec<NaiveDate> {
    days.iter().map(|(date, _)| *date).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How light a colour is to the eye, from 0 to 100: L* of CIELAB.
    fn lightness(Colour(red, green, blue): Colour) -> f64 {
        let linear = |part: u8| {
            let part = f64::from(part) / 255.0;
            if part <= 0.040_45 { part / 12.92 } else { ((part + 0.055) / 1.055).powf(2.4) }
        };
        let light = 0.2126 * linear(red) + 0.7152 * linear(green) + 0.0722 * linear(blue);
        116.0 * light.cbrt() - 16.0
    }

    #[test]
    fn the_colours_of_kinds_are_told_apart_by_lightness_from_dark_to_light() {
        let mut all = KINDS.to_vec();
        all.push(OTHERS);
        let steps: Vec<f64> = all.windows(2).map(|pair| lightness(pair[1]) - lightness(pair[0])).collect();
        assert!(steps.iter().all(|step| *step > 10.0), "{steps:?}");
        assert!(lightness(OTHERS) < 90.0, "it is still seen on paper");
    }
}
