//! What stands between the commands and the terminal: lines and JSON on standard output, bars and remarks on standard error.
//!
//! Made once by each command that speaks to a daemon. What is true:
//! - Standard output holds results and nothing else; with `--json` it holds lines of JSON and nothing else.
//! - Bars, remarks and warnings go to standard error; bars only where that is a terminal.
//! - Colours are for a terminal, and not for one whose owner does not want them (`NO_COLOR`, `TERM=dumb`, `--color`).
//! - What others wrote is harmless before it gets here ([`text`]), or is made so here.

pub(super) mod bars;
pub(super) mod screen;
pub(super) mod table;
pub(super) mod text;

use std::io::{self, IsTerminal, Write};

use clap::{Args, ValueEnum};
use serde::Serialize;

use self::bars::Bars;
use self::table::Table;
use super::problem::Problem;

/// How a command speaks.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Output")]
pub(super) struct Manners {
    /// For scripts: each thing as one line of JSON on standard output, and nothing else there.
    #[arg(long)]
    pub(super) json: bool,
    /// Without remarks and progress bars; only results and errors.
    #[arg(short, long)]
    pub(super) quiet: bool,
    /// Whether to use colours; `auto` is on a terminal, unless `NO_COLOR` is set.
    #[arg(long, value_name = "WHEN", default_value = "auto")]
    color: When,
}

impl Manners {
    pub(super) fn is_quiet(&self) -> bool {
        self.quiet
    }
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum When {
    #[default]
    Auto,
    Always,
    Never,
}

/// A colour by what it is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Colour {
    Dim,
    Red,
    Green,
    Yellow,
    Cyan,
}

impl Colour {
    pub(super) fn paint(self, text: &str) -> String {
        let code = match self {
            Self::Dim => 2,
            Self::Red => 31,
            Self::Green => 32,
            Self::Yellow => 33,
            Self::Cyan => 36,
        };
        format!("\u{1b}[{code}m{text}\u{1b}[0m")
    }
}

/// The terminal, or what is in its place.
#[derive(Debug)]
pub(super) struct Console {
    pub(super) json: bool,
    quiet: bool,
    coloured: bool,
    /// How wide standard output is, if it is a terminal.
    width: Option<usize>,
    progress: bool,
}

impl Console {
    pub(super) fn new(manners: &Manners) -> Self {
        let Manners { json, quiet, color } = *manners;
        let terminal = io::stdout().is_terminal();
        let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        let coloured = match color {
            When::Always => true,
            When::Never => false,
            When::Auto => terminal && !dumb && !set("NO_COLOR"),
        };
        let width = if terminal { Some(columns(io::stdout())) } else { None };
        let progress = !quiet && !dumb && io::stderr().is_terminal();
        Self { json, quiet, coloured, width, progress }
    }

    /// A line of results.
    pub(super) fn line(&self, line: &str) -> Result<(), Problem> {
        let mut out = io::stdout().lock();
        let written = writeln!(out, "{line}").and_then(|()| out.flush());
        written.map_err(|error| {
            if error.kind() == io::ErrorKind::BrokenPipe {
                return Problem::reader_is_gone();
            }
            Problem::failed(format!("standard output cannot be written: {error}"))
        })
    }

    /// A thing as a line of JSON.
    pub(super) fn json_line<T: Serialize + ?Sized>(&self, thing: &T) -> Result<(), Problem> {
        let json = serde_json::to_string(thing).map_err(|error| Problem::failed(error.to_string()))?;
        self.line(&text::harmless_json(&json))
    }

    pub(super) fn table(&self, table: &Table) -> Result<(), Problem> {
        table.lines(self.width, self.coloured).iter().try_for_each(|line| self.line(line))
    }

    /// Something that is good to know, and no result.
    pub(super) fn remark(&self, told: &str) {
        if !self.quiet {
            eprintln!("{}", text::harmless(told));
        }
    }

    /// Something that should be seen, whatever becomes of the command.
    pub(super) fn warn(&self, told: &str) {
        eprintln!("warning: {}", text::harmless(told));
    }

    pub(super) fn paint(&self, colour: Option<Colour>, text: &str) -> String {
        match colour.filter(|_| self.coloured) {
            Some(colour) => colour.paint(text),
            None => text.to_owned(),
        }
    }

    pub(super) fn is_coloured(&self) -> bool {
        self.coloured
    }

    pub(super) fn is_terminal(&self) -> bool {
        self.width.is_some()
    }

    pub(super) fn bars(&self) -> Bars {
        Bars::new(self.progress.then(|| columns(io::stderr())))
    }
}

/// How wide a terminal is; 80 where it does not tell.
fn columns(terminal: impl std::os::fd::AsFd) -> usize {
    let told = rustix::termios::tcgetwinsize(terminal).map_or(0, |size| usize::from(size.ws_col));
    if told == 0 { 80 } else { told }
}
