//! The forms of a line: for people, as JSON, and for the journal.
//!
//! Called by the pen. True here: a line is one line, whatever strangers put into its values; each form says all that
//! the line holds. The names of the fields are told in docs/logs.md.

use std::fmt::Write as _;

use chrono::SecondsFormat;
use serde::ser::{Serialize, SerializeMap, Serializer};
use tracing::Level;

use super::line::{LONGEST, Line, Value};
use crate::telemetry::plain;

/// The form of lines on a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// For people.
    Human {
        /// Whether levels are told by colours as well.
        colours: bool,
    },
    /// One JSON object a line.
    Json,
}

impl Form {
    /// The line with its end.
    pub(super) fn of(self, line: &Line) -> String {
        match self {
            Self::Human { colours } => human(line, colours),
            Self::Json => json(line),
        }
    }
}

/// `2026-01-02T03:04:05.678Z  WARN http::problem  the message error="why"  request_id=17 route=/tasks`.
fn human(line: &Line, colours: bool) -> String {
    let paint = |code: &'static str| if colours { code } else { "" };
    let (dim, reset) = (paint("\u{1b}[2m"), paint("\u{1b}[0m"));
    let (word, colour) = match line.level {
        Level::ERROR => ("ERROR", "\u{1b}[31m"),
        Level::WARN => (" WARN", "\u{1b}[33m"),
        Level::INFO => (" INFO", "\u{1b}[32m"),
        Level::DEBUG => ("DEBUG", "\u{1b}[34m"),
        Level::TRACE => ("TRACE", "\u{1b}[35m"),
    };
    let mut out = format!("{dim}{}{reset} {}{word}{reset} {dim}", time(line), paint(colour));
    plain::push(&mut out, line.target.strip_prefix("gristmill::").unwrap_or(&line.target), LONGEST);
    let _ = write!(out, "{reset}  ");
    said(&mut out, line);
    if !line.around.is_empty() {
        let _ = write!(out, " {dim}");
        line.around.iter().for_each(|(name, value)| pair(&mut out, name, value));
        out.push_str(reset);
    }
    out.push('\n');
    out
}

/// The message and the event's own fields.
fn said(out: &mut String, line: &Line) {
    plain::push(out, &line.message, LONGEST);
    line.fields.iter().for_each(|(name, value)| pair(out, name, value));
}

/// ` name=value`, in quotes where the end of the value could not be seen otherwise.
fn pair(out: &mut String, name: &str, value: &Value) {
    let _ = write!(out, " {name}=");
    match value {
        Value::Text(text) if text.is_empty() || text.contains([' ', '"', '=', '\n', '\t']) => {
            let mut quoted = String::with_capacity(text.len() + 2);
            plain::push(&mut quoted, text, LONGEST);
            let _ = write!(out, "\"{}\"", quoted.replace('"', "\\\""));
        }
        Value::Text(text) => plain::push(out, text, LONGEST),
        Value::Flag(_) | Value::Whole(_) | Value::Large(_) | Value::Fraction(_) => {
            let _ = write!(out, "{value}");
        }
    }
}

fn time(line: &Line) -> String {
    line.time.to_rfc3339_opts(SecondsFormat::Millis, true)
}

fn word(level: Level) -> &'static str {
    match level {
        Level::ERROR => "ERROR",
        Level::WARN => "WARN",
        Level::INFO => "INFO",
        Level::DEBUG => "DEBUG",
        Level::TRACE => "TRACE",
    }
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Flag(flag) => flag.serialize(serializer),
            Self::Whole(number) => number.serialize(serializer),
            Self::Large(number) => number.serialize(serializer),
            Self::Fraction(number) => number.serialize(serializer),
            Self::Text(text) => text.serialize(serializer),
        }
    }
}

/// All names of what every line has; a field of such a name gets an underscore.
const OURS: [&str; 4] = ["timestamp", "level", "target", "message"];

struct Object<'a>(&'a Line);

impl Serialize for Object<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(line) = self;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("timestamp", &time(line))?;
        map.serialize_entry("level", word(line.level))?;
        map.serialize_entry("target", &line.target)?;
        map.serialize_entry("message", &line.message)?;
        for (name, value) in line.fields.iter().chain(&line.around) {
            if OURS.contains(name) {
                map.serialize_entry(&format!("{name}_"), value)?;
            } else {
                map.serialize_entry(name, value)?;
            }
        }
        map.end()
    }
}

fn json(line: &Line) -> String {
    let Ok(text) = serde_json::to_string(&Object(line)) else {
        unreachable!("text and numbers can always be written")
    };
    // JSON lets stand what a terminal would obey. Outside of strings there is none of it.
    let mut out = String::with_capacity(text.len() + 1);
    for c in text.chars() {
        if plain::is_treacherous(c) {
            let mut units = [0; 2];
            for unit in c.encode_utf16(&mut units) {
                let _ = write!(out, "\\u{unit:04x}");
            }
        } else {
            out.push(c);
        }
    }
    out.push('\n');
    out
}

/// Fields of the journal that are ours, or mean something to systemd: a field of such a name gets a prefix.
const JOURNALS: [&str; 10] = [
    "MESSAGE",
    "MESSAGE_ID",
    "PRIORITY",
    "CODE_FILE",
    "CODE_LINE",
    "CODE_FUNC",
    "SYSLOG_IDENTIFIER",
    "TARGET",
    "UNIT",
    "USER_UNIT",
];

/// The line in the journal's native protocol (<https://systemd.io/JOURNAL_NATIVE_PROTOCOL/>). What the event and the
/// spans say is in fields, and the event's in the message too, which is all that most people look at.
pub(super) fn journal(line: &Line) -> Vec<u8> {
    let mut out = Vec::with_capacity(512);
    let mut message = String::new();
    said(&mut message, line);
    // As the journal's users understand the priorities: at 5 somebody should look.
    let priority = match line.level {
        Level::ERROR => "3",
        Level::WARN => "4",
        Level::INFO => "6",
        Level::DEBUG | Level::TRACE => "7",
    };
    field(&mut out, "MESSAGE", &message);
    field(&mut out, "PRIORITY", priority);
    field(&mut out, "SYSLOG_IDENTIFIER", "gristmill");
    field(&mut out, "TARGET", &line.target);
    if let Some(file) = &line.file {
        field(&mut out, "CODE_FILE", file);
    }
    if let Some(number) = line.line {
        field(&mut out, "CODE_LINE", &number.to_string());
    }
    for (name, value) in line.fields.iter().chain(&line.around) {
        field(&mut out, &journal_name(name), &value.to_string());
    }
    out
}

/// Capital letters, digits and underscores, at most 64, none of the latter two in front.
fn journal_name(name: &str) -> String {
    let capitals = name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' });
    let name: String = capitals.take(50).collect();
    if JOURNALS.contains(&name.as_str()) || !name.starts_with(|c: char| c.is_ascii_uppercase()) {
        return format!("GRISTMILL_{}", name.trim_start_matches('_'));
    }
    name
}

/// With its length, so that a value with line ends is no forged field.
fn field(out: &mut Vec<u8>, name: &str, value: &str) {
    out.extend_from_slice(name.as_bytes());
    out.push(b'\n');
    out.extend_from_slice(&(value.len() as u64).to_le_bytes());
    out.extend_from_slice(value.as_bytes());
    out.push(b'\n');
}
