//! Charts, drawn here as SVG: data in, picture out.
//!
//! Called by the pages of the admins. Pure: the same data make the same picture, letter by letter, so a page that keeps
//! itself up to date replaces only charts that changed. True here: colours come from the stylesheet by classes (light and
//! dark alike), and no series is known by its colour alone; whoever does not see the picture gets its title, what it shows in
//! a sentence, and its numbers as a table.

use std::fmt::Write as _;
use std::ops::Range;

use askama::Template;
use askama::filters::HtmlSafe;

use super::words::charts::ChartWords;
use super::words::filled;
use super::words::written::decimal;
use crate::media::report::Language;

/// How a series is drawn: the class of its path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::http) enum Ink {
    /// What went well; in full.
    Good,
    /// What went badly; hatched.
    Bad,
    /// What was stopped; thin.
    Stopped,
    /// A line.
    Main,
    /// A line of dashes.
    Dashed,
}

impl Ink {
    fn class(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Bad => "bad",
            Self::Stopped => "stopped",
            Self::Main => "main",
            Self::Dashed => "dashed",
        }
    }
}

/// What is done with the values of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::http) enum Shape {
    /// Bars, one series on top of the other. What stands for several columns is their sum.
    Bars,
    /// A line a series, broken where nothing is known. What stands for several columns is the most of them.
    Lines,
}

/// Values, one a column; `None` where nothing is known.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::http) struct Series {
    /// What it is called.
    pub(in crate::http) name: String,
    /// How it is drawn.
    pub(in crate::http) ink: Ink,
    /// The values, none of them below zero.
    pub(in crate::http) values: Vec<Option<f64>>,
}

/// What is drawn: the last columns of time, the newest at the right.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::http) struct Chart {
    /// Its id on the page.
    pub(in crate::http) id: String,
    /// What it is called.
    pub(in crate::http) title: String,
    /// What the values are of: stands at the axis.
    pub(in crate::http) unit: String,
    /// How.
    pub(in crate::http) shape: Shape,
    /// The values; all series are equally long.
    pub(in crate::http) series: Vec<Series>,
    /// How many minutes a column is.
    pub(in crate::http) minutes: u32,
}

/// The room of the picture, in units that are pixels on a phone.
const WIDTH: f64 = 360.0;
const HEIGHT: f64 = 160.0;
/// The plot in it.
const LEFT: f64 = 42.0;
const RIGHT: f64 = 352.0;
const TOP: f64 = 22.0;
const BOTTOM: f64 = 138.0;

/// At most so many lines above the one at zero.
const LINES: f64 = 4.0;

/// How many rows the table has, at most.
const ROWS: usize = 12;

/// A chart as it stands on the page.
#[derive(Template)]
#[template(path = "chart.html")]
pub(in crate::http) struct Picture {
    id: String,
    title: String,
    says: String,
    unit: String,
    w: &'static ChartWords,
    width: f64,
    height: f64,
    left: f64,
    right: f64,
    bottom: f64,
    /// Lines across: how high, and the number at them.
    across: Vec<(String, String)>,
    /// Marks below: where, the words, and how they stand to that place.
    below: Vec<(String, String, &'static str)>,
    paths: Vec<(&'static str, String)>,
    legend: Vec<(&'static str, String)>,
    rows: Vec<(String, Vec<String>)>,
    hatched: bool,
}

// Whatever is in it was escaped by its own template.
impl HtmlSafe for Picture {}

impl Chart {
    /// The picture of it, with its words in that language.
    pub(in crate::http) fn drawn(&self, language: Language) -> Picture {
        let w = ChartWords::of(language);
        let columns = self.series.iter().map(|series| series.values.len()).max().unwrap_or_default();
        let (step, top) = scale(self.most(columns));
        let height = |value: f64| BOTTOM - (BOTTOM - TOP) * (value / top).clamp(0.0, 1.0);
        let lines = (top / step).round() as u32;
        let across = (0..=lines).map(|line| {
            let value = f64::from(line) * step;
            (short(height(value)), decimal(language, value))
        });
        let paths = match self.shape {
            Shape::Bars => self.bars(columns, height),
            Shape::Lines => self.lines(columns, height),
        };
        Picture {
            says: self.says(w, language, columns),
            across: across.collect(),
            below: self.below(w, columns),
            paths,
            legend: self.series.iter().map(|series| (series.ink.class(), series.name.clone())).collect(),
            rows: self.rows(w, language, columns),
            hatched: self.series.iter().any(|series| series.ink == Ink::Bad),
            id: self.id.clone(),
            title: self.title.clone(),
            unit: self.unit.clone(),
            w,
            width: WIDTH,
            height: HEIGHT,
            left: LEFT,
            right: RIGHT,
            bottom: BOTTOM,
        }
    }

    fn value(&self, series: usize, column: usize) -> Option<f64> {
        self.series.get(series)?.values.get(column).copied().flatten().filter(|value| value.is_finite())
    }

    /// The highest point of the picture.
    fn most(&self, columns: usize) -> f64 {
        let of_column = |column: usize| {
            let values = (0..self.series.len()).filter_map(|series| self.value(series, column));
            match self.shape {
                Shape::Bars => values.sum(),
                Shape::Lines => values.fold(0.0, f64::max),
            }
        };
        (0..columns).map(of_column).fold(0.0, f64::max)
    }

    /// Where a column begins, and how wide it is.
    fn place(column: usize, columns: usize) -> (f64, f64) {
        let width = (RIGHT - LEFT) / columns.max(1) as f64;
        (LEFT + width * column as f64, width)
    }

    fn bars(&self, columns: usize, height: impl Fn(f64) -> f64) -> Vec<(&'static str, String)> {
        let mut base = vec![0.0; columns];
        let mut paths = Vec::new();
        for (at, series) in self.series.iter().enumerate() {
            let mut path = String::new();
            for (column, base) in base.iter_mut().enumerate() {
                let Some(value) = self.value(at, column).filter(|value| *value > 0.0) else { continue };
                let (left, width) = Self::place(column, columns);
                let (low, high) = (height(*base), height(*base + value));
                *base += value;
                let (x, wide) = (short(left + width * 0.1), short(width * 0.8));
                // Writing to a string does not fail.
                let _ = write!(path, "M{x} {}V{}h{wide}V{}z", short(low), short(high), short(low));
            }
            paths.push((series.ink.class(), path));
        }
        paths
    }

    fn lines(&self, columns: usize, height: impl Fn(f64) -> f64) -> Vec<(&'static str, String)> {
        let path = |at: usize| {
            let mut path = String::new();
            let mut open = false;
            for column in 0..columns {
                let Some(value) = self.value(at, column) else {
                    open = false;
                    continue;
                };
                let (left, width) = Self::place(column, columns);
                let (x, y) = (left + width / 2.0, height(value));
                let alone = !open && (column + 1 == columns || self.value(at, column + 1).is_none());
                let _ = match (open, alone) {
                    (true, _) => write!(path, "L{} {}", short(x), short(y)),
                    (false, false) => write!(path, "M{} {}", short(x), short(y)),
                    // A point that has no neighbours would not be seen as a line.
                    (false, true) => write!(path, "M{} {}h5", short(x - 2.5), short(y)),
                };
                open = true;
            }
            path
        };
        self.series.iter().enumerate().map(|(at, series)| (series.ink.class(), path(at))).collect()
    }

    /// The marks below: so many minutes ago, from the oldest to now.
    fn below(&self, w: &ChartWords, columns: usize) -> Vec<(String, String, &'static str)> {
        let all = self.minutes as usize * columns;
        let mark = |quarter: usize| {
            let x = short(LEFT + (RIGHT - LEFT) * quarter as f64 / 4.0);
            let ago = all * (4 - quarter) / 4;
            match quarter {
                0 => (x, filled(w.minutes_ago, &[&ago.to_string()]), "start"),
                4 => (x, w.now.to_owned(), "end"),
                _ => (x, format!("\u{2212}{ago}"), "middle"),
            }
        };
        (0..=4).map(mark).collect()
    }

    /// The columns that a row of the table stands for, the newest first.
    fn groups(columns: usize) -> Vec<Range<usize>> {
        let size = columns.div_ceil(ROWS).max(1);
        let mut groups: Vec<Range<usize>> =
            (0..columns).rev().step_by(size).map(|last| (last + 1).saturating_sub(size)..last + 1).collect();
        groups.retain(|group| !group.is_empty());
        groups
    }

    /// What stands for several columns.
    fn together(&self, series: usize, columns: Range<usize>) -> Option<f64> {
        let values = columns.filter_map(|column| self.value(series, column));
        match self.shape {
            Shape::Bars => Some(values.sum()),
            Shape::Lines => values.reduce(f64::max),
        }
    }

    fn rows(&self, w: &ChartWords, language: Language, columns: usize) -> Vec<(String, Vec<String>)> {
        let row = |group: Range<usize>| {
            let minutes = |column: usize| ((columns - column) * self.minutes as usize).to_string();
            let span = filled(w.span, &[&minutes(group.start), &minutes(group.end)]);
            let text =
                |value: Option<f64>| value.map_or_else(|| w.none.to_owned(), |it| decimal(language, it));
            let values = (0..self.series.len()).map(|series| text(self.together(series, group.clone())));
            (span, values.collect())
        };
        Self::groups(columns).into_iter().map(row).collect()
    }

    /// The picture in a sentence.
    fn says(&self, w: &ChartWords, language: Language, columns: usize) -> String {
        let all = columns * self.minutes as usize;
        let form = match self.shape {
            Shape::Bars => w.sum,
            Shape::Lines => w.most,
        };
        let part = |at: usize| {
            let name = &self.series[at].name;
            let value = self.together(at, 0..columns);
            let value = value.map_or_else(|| w.none.to_owned(), |value| decimal(language, value));
            filled(form, &[name, &value])
        };
        let parts: Vec<String> = (0..self.series.len()).map(part).collect();
        filled(w.says, &[&all.to_string(), &self.unit, &parts.join("; ")])
    }
}

/// How far the lines across are from each other, and how high the highest is: a round number each.
fn scale(most: f64) -> (f64, f64) {
    if most <= 0.0 {
        return (1.0, 1.0);
    }
    let rough = most / LINES;
    let power = 10_f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].into_iter().map(|it| it * power).find(|step| *step >= rough * 0.999_999);
    let step = step.unwrap_or(power * 10.0);
    (step, step * (most / step * 0.999_999).ceil().max(1.0))
}

/// A coordinate, to a tenth, without a nought that says nothing.
fn short(value: f64) -> String {
    let text = format!("{value:.1}");
    text.strip_suffix(".0").map(str::to_owned).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart(shape: Shape, values: Vec<Vec<Option<f64>>>) -> Chart {
        let inks = [Ink::Good, Ink::Bad, Ink::Main];
        let series = values.into_iter().zip(inks).enumerate();
        Chart {
            id: "c".into(),
            title: "A <chart>".into(),
            unit: "tasks".into(),
            shape,
            series: series
                .map(|(at, (values, ink))| Series { name: format!("s{at}"), ink, values })
                .collect(),
            minutes: 1,
        }
    }

    fn known(values: &[f64]) -> Vec<Option<f64>> {
        values.iter().copied().map(Some).collect()
    }

    #[test]
    fn an_axis_ends_at_a_round_number_that_is_high_enough() {
        for (most, expected) in [
            (0.0, (1.0, 1.0)),
            (1.0, (0.5, 1.0)),
            (3.0, (1.0, 3.0)),
            (4.0, (1.0, 4.0)),
            (5.0, (2.0, 6.0)),
            (99.0, (50.0, 100.0)),
            (1234.0, (500.0, 1500.0)),
            (0.03, (0.01, 0.03)),
        ] {
            let (step, top) = scale(most);
            assert!(
                (step - expected.0).abs() < 1e-9 && (top - expected.1).abs() < 1e-9,
                "{most}: {step} {top}"
            );
        }
        for most in (1..100_000).map(|most| f64::from(most) / 7.0) {
            let (step, top) = scale(most);
            assert!(top * 1.000_001 >= most && top <= step * 5.01, "{most}: {step} {top}");
        }
    }

    #[test]
    fn bars_stand_on_each_other_from_the_floor_on() {
        let chart = chart(Shape::Bars, vec![known(&[1.0, 0.0]), known(&[3.0, 2.0])]);
        let picture = chart.drawn(Language::En);
        // Four are as high as the plot; each column has half of its width.
        assert_eq!(picture.paths[0], ("good", "M57.5 138V109h124V138z".to_owned()));
        assert_eq!(picture.paths[1], ("bad", "M57.5 109V22h124V109zM212.5 138V80h124V138z".to_owned()));
        let labels: Vec<&str> = picture.across.iter().map(|(_, label)| label.as_str()).collect();
        assert_eq!(labels, ["0", "1", "2", "3", "4"]);
        assert!(picture.hatched);
    }

    #[test]
    fn a_line_breaks_where_nothing_is_known_and_a_lone_point_is_seen() {
        let chart = chart(Shape::Lines, vec![vec![Some(1.0), Some(2.0), None, Some(1.0), None]]);
        let picture = chart.drawn(Language::En);
        assert_eq!(picture.paths[0].1, "M73 80L135 22M256.5 80h5");
    }

    #[test]
    fn who_does_not_see_it_gets_a_sentence_and_a_table() {
        let mut values = vec![Some(0.0); 60];
        values[59] = Some(7.0);
        values[54] = Some(5.0);
        let bars = chart(Shape::Bars, vec![values.clone()]);
        let rows = bars.drawn(Language::En).rows;
        assert_eq!(rows.len(), 12);
        assert_eq!(rows[0], ("5 to 0".to_owned(), vec!["7".to_owned()]));
        assert_eq!(rows[1], ("10 to 5".to_owned(), vec!["5".to_owned()]));
        let lines = chart(Shape::Lines, vec![values, vec![None; 60]]);
        let picture = lines.drawn(Language::En);
        assert_eq!(picture.rows[0].1, ["7", "none"]);
        assert!(
            picture.says.contains("s0: at most 7") && picture.says.contains("s1: at most none"),
            "{}",
            picture.says
        );
        let html = picture.render().unwrap();
        for part in [
            "role=\"img\"",
            "aria-labelledby=\"c-title c-says\"",
            "A &#60;chart&#62;",
            "<table",
            "scope=\"col\"",
        ] {
            assert!(html.contains(part), "{part}: {html}");
        }
        assert!(!html.contains("style"), "{html}");
    }

    #[test]
    fn nothing_and_nonsense_are_drawn_as_an_empty_chart() {
        for values in
            [vec![], vec![vec![]], vec![vec![None; 60]], vec![vec![Some(f64::NAN), Some(f64::INFINITY)]]]
        {
            for shape in [Shape::Bars, Shape::Lines] {
                let picture = chart(shape, values.clone()).drawn(Language::Ru);
                assert!(picture.paths.iter().all(|(_, path)| path.is_empty()));
                let html = picture.render().unwrap();
                assert!(!html.contains("NaN") && !html.contains("inf"), "{html}");
            }
        }
    }
}
