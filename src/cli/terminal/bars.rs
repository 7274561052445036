//! Bars that show how far something is, on standard error where that is a terminal, and nowhere else.
//!
//! Called by whatever takes its time. True here: a bar that is dropped is wiped away, however the command ends.

use std::io::{self, Write};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressFinish, ProgressStyle, TermLike};

use super::columns;
use super::text::{cut, harmless, padded};

/// How often something that tells nothing of itself shows that it lives.
const TICK: Duration = Duration::from_millis(120);

/// So many times a second a bar is drawn anew, at the most.
const PACE: u8 = 20;

/// Columns that stay free at the right: what the terminal echoes there, `^C` above all, must not break into a second line,
/// which nobody would wipe away.
const FREE: usize = 3;

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
            Some(_) => ProgressDrawTarget::term_like_with_hz(Box::new(Paper), PACE),
            None => ProgressDrawTarget::hidden(),
        };
        Self { all: MultiProgress::with_draw_target(target), width }
    }

    /// A bar of bytes on their way.
    pub(in crate::cli) fn bytes(&self, name: &str, length: u64) -> Bar {
        self.bar(name, length, "{bytes:>10} of {total_bytes:<10} {eta:>4}", 30)
    }

    /// A bar of a hundred, with a word to it.
    pub(in crate::cli) fn percent(&self, name: &str) -> Bar {
        self.bar(name, 100, "{pos:>3} % {msg:<11}", 17)
    }

    /// A bar of so many things.
    pub(in crate::cli) fn count(&self, name: &str, length: u64) -> Bar {
        self.bar(name, length, "{pos} of {len}", 14)
    }

    /// Something of which nobody knows how far it is.
    pub(in crate::cli) fn spinner(&self, name: &str) -> Bar {
        self.add(name, 0, "{spinner} {prefix} {elapsed}")
    }

    /// Something said on standard error, above the bars.
    pub(in crate::cli) fn say(&self, told: impl FnOnce()) {
        self.all.suspend(told);
    }

    /// A bar with something to the right of it, of so many columns.
    fn bar(&self, name: &str, length: u64, right: &str, columns: usize) -> Bar {
        let width = self.width.unwrap_or(80);
        let left = width.saturating_sub(width / 3 + columns + 2 + FREE).max(4);
        self.add(name, length, &format!("{{prefix}} {{bar:{left}}} {right}"))
    }

    fn add(&self, name: &str, length: u64, template: &str) -> Bar {
        let bar = self.all.add(ProgressBar::new(length).with_finish(ProgressFinish::AndClear));
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style.progress_chars("█▌ "));
        }
        let columns = self.width.unwrap_or(80) / 3;
        bar.set_prefix(padded(&cut(&harmless(name), columns), columns, false));
        bar.tick();
        if self.width.is_some() {
            // Drawn also while nothing moves: what came last may have come too soon after what was drawn last.
            bar.enable_steady_tick(TICK);
        }
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

/// Standard error as bars are drawn on it, a little narrower than it is: they fill their lines to the end.
#[derive(Debug)]
struct Paper;

impl Paper {
    fn put(text: &str) -> io::Result<()> {
        io::stderr().lock().write_all(text.as_bytes())
    }

    fn go(count: usize, way: char) -> io::Result<()> {
        // Of none a terminal would make one.
        if count == 0 { Ok(()) } else { Self::put(&format!("\u{1b}[{count}{way}")) }
    }
}

impl TermLike for Paper {
    fn width(&self) -> u16 {
        u16::try_from(columns(io::stderr()).saturating_sub(FREE)).unwrap_or(u16::MAX)
    }

    fn move_cursor_up(&self, n: usize) -> io::Result<()> {
        Self::go(n, 'A')
    }

    fn move_cursor_down(&self, n: usize) -> io::Result<()> {
        Self::go(n, 'B')
    }

    fn move_cursor_right(&self, n: usize) -> io::Result<()> {
        Self::go(n, 'C')
    }

    fn move_cursor_left(&self, n: usize) -> io::Result<()> {
        Self::go(n, 'D')
    }

    fn write_line(&self, line: &str) -> io::Result<()> {
        Self::put(&format!("{line}\n"))
    }

    fn write_str(&self, text: &str) -> io::Result<()> {
        Self::put(text)
    }

    fn clear_line(&self) -> io::Result<()> {
        Self::put("\r\u{1b}[2K")
    }

    fn flush(&self) -> io::Result<()> {
        io::stderr().lock().flush()
    }
}
