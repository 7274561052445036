//! What a counter's name says about how it is called and written.

use super::data::Counter;
use super::text::clean;
use super::words::Words;

/// In what a counter counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unit {
    /// Whole things.
    Things,
    /// Seconds.
    Seconds,
    /// Bytes.
    Bytes,
}

/// How a counter is shown.
pub(super) struct Figure {
    /// What it is called.
    pub(super) label: String,
    /// In what it counts.
    pub(super) unit: Unit,
    words: &'static Words,
}

/// The counters of the game that the report knows, in the order in which they are shown.
const KNOWN: [&str; 4] = ["sessions", "wins", "losses", "time_played_s"];

/// Counters in the order in which they are shown: the known ones, then the others as they came.
pub(super) fn known(counters: &[Counter]) -> Vec<&Counter> {
    let place =
        |counter: &&Counter| KNOWN.iter().position(|name| *name == counter.name).unwrap_or(KNOWN.len());
    let mut ordered: Vec<&Counter> = counters.iter().collect();
    ordered.sort_by_key(place);
    ordered
}

impl Figure {
    /// How that counter is shown in those words.
    pub(super) fn of(counter: &Counter, words: &'static Words) -> Self {
        let name = counter.name.as_str();
        let (stem, unit) = if let Some(stem) = name.strip_suffix("_bytes") {
            (stem, Unit::Bytes)
        } else if let Some(stem) = name.strip_suffix("_s") {
            (stem, Unit::Seconds)
        } else {
            (name, Unit::Things)
        };
        let label = match name {
            "sessions" => words.sessions.to_owned(),
            "wins" => words.wins.to_owned(),
            "losses" => words.losses.to_owned(),
            "time_played_s" => words.time_played.to_owned(),
            _ => spoken(stem, name),
        };
        Self { label, unit, words }
    }

    /// An amount of memory that is no counter's, under that label.
    pub(super) fn bytes(label: &str, words: &'static Words) -> Self {
        Self { label: label.to_owned(), unit: Unit::Bytes, words }
    }

    /// A value in full.
    pub(super) fn value(&self, value: i64) -> String {
        match self.unit {
            Unit::Things => self.words.whole(value),
            Unit::Seconds => self.words.span(value),
            Unit::Bytes => self.words.size(value),
        }
    }

    /// A value in few signs.
    pub(super) fn short(&self, value: i64) -> String {
        match self.unit {
            Unit::Things => self.words.short(value),
            Unit::Seconds => self.words.short_span(value),
            Unit::Bytes => self.words.size(value),
        }
    }

    /// How much the counter changed since the beginning of its history; `None` without one.
    pub(super) fn change(&self, counter: &Counter) -> Option<String> {
        let (first, last) = (counter.history.first()?, counter.history.last()?);
        let days = u64::try_from((last.date - first.date).num_days()).ok().filter(|days| *days > 0)?;
        let change = counter.value.saturating_sub(first.value);
        let time = self.words.counted(days, &self.words.in_days);
        Some(match change {
            0 => format!("{} {time}", self.words.unchanged),
            1.. => format!("+{} {time}", self.short(change)),
            _ => format!("{} {time}", self.short(change)),
        })
    }
}

/// A name as people would write it: `boss_fights` is "Boss fights".
fn spoken(stem: &str, name: &str) -> String {
    let spaced = clean(&stem.replace('_', " "));
    let mut signs = spaced.chars();
    match signs.next() {
        Some(first) => first.to_uppercase().chain(signs).collect(),
        // Made of nothing that is seen.
        None => [clean(name), "—".to_owned()].into_iter().find(|label| !label.is_empty()).unwrap_or_default(),
    }
}
