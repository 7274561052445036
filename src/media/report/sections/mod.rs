//! The parts of a report, in their order, a file each.

mod activity;
mod figures;
mod history;
mod kept;
mod kinds;
mod lines;
mod profile;
mod recent;
mod stack;

use super::Report;
use super::canvas::{Canvas, Colour};
use super::data::Outcomes;
use super::sheet::Sheet;
use super::words::Words;

/// Draws everything; how many pages it took. `pages` is what the foot of each says there are.
pub(super) fn draw(canvas: &mut dyn Canvas, report: &Report<'_>, pages: usize) -> usize {
    let mut sheet = Sheet::begin(canvas, report, pages);
    profile::draw(&mut sheet);
    figures::draw(&mut sheet);
    history::draw(&mut sheet);
    activity::draw(&mut sheet);
    kinds::draw(&mut sheet);
    kept::draw(&mut sheet);
    recent::draw(&mut sheet);
    sheet.end()
}

/// Completed: blue. These four differ in lightness as well as in hue, so that nobody needs the hue.
const COMPLETED: Colour = Colour(0x00, 0x72, 0xb2);
/// Failed: vermilion.
const FAILED: Colour = Colour(0xd5, 0x5e, 0x00);
/// Cancelled: grey.
const CANCELLED: Colour = Colour(0xa9, 0xb4, 0xbf);
/// Neither yet: yellow.
const OPEN: Colour = Colour(0xf0, 0xc8, 0x4a);

/// The four ways of work, from the ground up: what each is called, its colour, how much of it there was.
fn ways(words: &Words, outcomes: Outcomes) -> [(&'static str, Colour, u64); 4] {
    [
        (words.completed, COMPLETED, outcomes.completed),
        (words.failed, FAILED, outcomes.failed),
        (words.cancelled, CANCELLED, outcomes.cancelled),
        (words.open, OPEN, outcomes.other),
    ]
}

/// All of it.
fn sum(outcomes: Outcomes) -> u64 {
    let Outcomes { completed, failed, cancelled, other } = outcomes;
    completed.saturating_add(failed).saturating_add(cancelled).saturating_add(other)
}

/// All of it as a length, beyond what can be counted.
fn length(outcomes: Outcomes) -> f64 {
    let Outcomes { completed, failed, cancelled, other } = outcomes;
    [completed, failed, cancelled, other].into_iter().map(|count| count as f64).sum()
}

/// One and the other.
fn plus(one: Outcomes, other: Outcomes) -> Outcomes {
    Outcomes {
        completed: one.completed.saturating_add(other.completed),
        failed: one.failed.saturating_add(other.failed),
        cancelled: one.cancelled.saturating_add(other.cancelled),
        other: one.other.saturating_add(other.other),
    }
}
