//! Bars that show how far something is, on standard error where that is a terminal, and nowhere else.
//!
//! Called by whatever takes its time. True here: a bar that is dropped is wiped away, however the command ends.

use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressFinish, ProgressStyle};

use super::text::{cut, harmless, padded};

/// How often something that tells nothing of itself shows that it lives.
const TICK: Duration = Duration::from_millis(120);

/// A place for bars, one below the other. Cheap to clone.
#[derive(Debug, Clone)]
pub(in crate::cli) struct Bars {
    all: MultiProgress,
    /// How wide the terminal is, if there is one.
    width: Option<usize>,
}

/// One bar.
#[derive(Debug)]
pub(in crate::cli) struct Bar(ProgressBar);

impl Bars {
    pub(super) fn new(width: Option<usize>) -> Self {
        let target = match width {
            Some(_) => ProgressDrawTarget::stderr(),
            None => ProgressDrawTarget::hidden(),
        };
        Self { all: MultiProgress::with_draw_target(target), width }
    }

    /// A bar of bytes on their way.
    pub(in crate::cli) fn bytes(&self, name: &str, length: u64) -> Bar {
        self.bar(name, length, "{prefix} {wide_bar} {bytes:>10} of {total_bytes:<10} {eta:>4}")
    }

    /// A bar of a hundred, with a word to it.
    pub(in crate::cli) fn percent(&self, name: &str) -> Bar {
        self.bar(name, 100, "{prefix} {wide_bar} {pos:>3} % {msg:<11}")
    }

    /// A bar of so many things.
    pub(in crate::cli) fn count(&self, name: &str, length: u64) -> Bar {
        self.bar(name, length, "{prefix} {wide_bar} {pos} of {len}")
    }

    /// Something of which nobody knows how far it is.
    pub(in crate::cli) fn spinner(&self, name: &str) -> Bar {
        let bar = self.bar(name, 0, "{spinner} {prefix} {elapsed}");
        if self.width.is_some() {
            bar.0.enable_steady_tick(TICK);
        }
        bar
    }

    /// Something said on standard error, above the bars.
    pub(in crate::cli) fn say(&self, told: impl FnOnce()) {
        self.all.suspend(told);
    }

    fn bar(&self, name: &str, length: u64, template: &str) -> Bar {
        let bar = self.all.add(ProgressBar::new(length).with_finish(ProgressFinish::AndClear));
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style.progress_chars("█▌ "));
        }
        let columns = self.width.unwrap_or(80) / 3;
        bar.set_prefix(padded(&cut(&harmless(name), columns), columns, false));
        bar.tick();
        Bar(bar)
    }
}

impl Bar {
    pub(in crate::cli) fn set(&self, position: u64) {
        self.0.set_position(position);
    }

    pub(in crate::cli) fn advance(&self, by: u64) {
        self.0.inc(by);
    }

    /// The word to it.
    pub(in crate::cli) fn word(&self, word: &str) {
        self.0.set_message(harmless(word));
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
