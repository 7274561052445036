//! `[log]`: what is written about the daemon's doings. Consumed by `telemetry`.

use std::path::PathBuf;

use super::rule::{Choice, choice, log_filter, optional_file};
use super::section::{Literal, derived, section};
use super::value::LogFilter;

/// The form of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// As fits to where standard error goes.
    Auto,
    /// Lines for people.
    Human,
    /// One JSON object a line, for programs.
    Json,
    /// Fields for systemd's journal.
    Journald,
}

impl Choice for LogFormat {
    const ALL: &'static [(&'static str, Self)] =
        &[("auto", Self::Auto), ("human", Self::Human), ("json", Self::Json), ("journald", Self::Journald)];
}

/// The language of the action log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    /// English.
    En,
    /// Russian.
    Ru,
}

impl Choice for Language {
    const ALL: &'static [(&'static str, Self)] = &[("en", Self::En), ("ru", Self::Ru)];
}

section! {
    /// The log on standard error, and the action log: a file with one line for each thing that a user did.
    LogSettings = "log" {
        /// What is logged on standard error: a level, or levels for parts of the program. `debug` adds each
        /// step of each task; `trace` is for hunting a fault. `actix_http` is off because it makes an error of every
        /// request whose head cannot be read, as port scans send them, and `lapin` because what it tells of the broker is
        /// told by the broker's own lines. This key may be reloaded while the daemon runs.
        "level" => level: LogFilter = "info,actix_server=warn,actix_http=off,lapin=off", log_filter();

        /// The form of that log: `human` are lines for people, with colours on a terminal unless NO_COLOR is set; `json` is
        /// one JSON object a line; `journald` goes to systemd's journal, with fields to search by. `auto` is `human` on a
        /// terminal, `journald` where standard error is the journal's, and `json` elsewhere.
        "format" => format: LogFormat = "auto", choice();

        /// The language of the action log. This key may be reloaded while the daemon runs.
        "language" => language: Language = "en", choice();

        /// The file of the action log. It is opened for appending, and again when the daemon gets SIGHUP, so
        /// that it may be rotated.
        "file" => file: Option<PathBuf> = derived(
            "app.log in data_dir",
            |base| Literal::Text(base.in_data_dir("app.log"))
        ), optional_file();
    }
}
