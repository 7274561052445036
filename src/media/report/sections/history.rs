//! How the counters came to be what they are: a line each, small charts side by side.

use super::super::canvas::{Area, Tag};
use super::super::figure::{Figure, known};
use super::super::sheet::{ACCENT, MARGIN, Sheet, WIDTH};
use super::FAILED;
use super::lines::{Chart, Series, latest};

const GAP: f32 = 24.0;
const HEIGHT: f32 = 118.0;
/// No more charts than that.
const CHARTS_MAX: usize = 6;

pub(super) fn draw(sheet: &mut Sheet<'_>) {
    let charts = charts(sheet);
    sheet.heading(sheet.words.history, if charts.is_empty() { 40.0 } else { HEIGHT });
    if charts.is_empty() {
        sheet.nothing(sheet.words.no_history);
        return;
    }
    let width = (WIDTH - GAP) / 2.0;
    for (row, pair) in charts.chunks(2).enumerate() {
        if row > 0 {
            sheet.skip(16.0);
        }
        sheet.room(HEIGHT);
        for (column, chart) in pair.iter().enumerate() {
            let x = MARGIN + column as f32 * (width + GAP);
            let area = Area::new(x, sheet.y, width, HEIGHT);
            let alt = chart.said();
            sheet.part(Tag::Figure(alt), |sheet| chart.draw(sheet, area));
        }
        sheet.skip(HEIGHT);
    }
}

/// The charts that there are data for.
fn charts(sheet: &Sheet<'_>) -> Vec<Chart> {
    let words = sheet.words;
    let mut charts: Vec<Chart> = Vec::new();
    for counter in known(&sheet.report.data.counters) {
        let points = latest(&counter.history);
        if points.len() < 2 {
            continue;
        }
        let figure = Figure::of(counter, words);
        let line = |colour| Series {
            label: figure.label.clone(),
            value: figure.short(counter.value),
            colour,
            points,
        };
        let beside_wins = counter.name == "losses"
            && charts.last().is_some_and(|chart: &Chart| chart.figure.label == words.wins);
        if beside_wins && let Some(chart) = charts.last_mut() {
            chart.lines.push(line(FAILED));
            continue;
        }
        if charts.len() == CHARTS_MAX {
            break;
        }
        let lines = vec![line(ACCENT)];
        charts.push(Chart { figure, lines });
    }
    charts
}
