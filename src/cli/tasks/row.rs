//! A task as the daemon told it: the text, which `--json` passes on, and what of it is shown to people.

use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use crate::cli::client::{Answer, Daemon};
use crate::cli::problem::Problem;
use crate::cli::terminal::Colour;
use crate::cli::terminal::table::{Cell, Column, Table};
use crate::cli::terminal::text::{indented, span};

/// A task.
#[derive(Debug, Clone)]
pub(in crate::cli) struct Told {
    /// The JSON, as it came.
    pub(in crate::cli) json: Box<RawValue>,
    pub(in crate::cli) task: Task,
}

/// What is read of it. Whatever is new is passed over.
#[derive(Debug, Clone, Deserialize)]
pub(in crate::cli) struct Task {
    pub(in crate::cli) id: i64,
    pub(in crate::cli) kind: String,
    pub(in crate::cli) status: String,
    #[serde(default)]
    owner: Option<i64>,
    #[serde(default)]
    assignee: Option<i64>,
    #[serde(default)]
    worker: Option<String>,
    #[serde(default)]
    priority: i64,
    #[serde(default)]
    attempt: u32,
    #[serde(default)]
    failures: u32,
    #[serde(default)]
    crashes: u32,
    #[serde(default)]
    max_attempts: u32,
    #[serde(default)]
    pub(in crate::cli) progress: Option<u64>,
    #[serde(default)]
    run_at: Option<DateTime<Utc>>,
    #[serde(default)]
    started_at: Option<DateTime<Utc>>,
    #[serde(default)]
    finished_at: Option<DateTime<Utc>>,
    created_at: DateTime<Utc>,
    #[serde(default)]
    tags: Vec<String>,
    #[serde(default)]
    unique_key: Option<String>,
    #[serde(default)]
    payload: Option<Box<RawValue>>,
    #[serde(default)]
    meta: Option<Box<RawValue>>,
    #[serde(default)]
    pub(in crate::cli) result: Option<Box<RawValue>>,
    #[serde(default)]
    error: Option<Failure>,
}

/// Why a try failed.
#[derive(Debug, Clone, Deserialize)]
struct Failure {
    reason: String,
    message: String,
}

/// Where a task may stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli) enum Stand {
    /// It waits or runs.
    Open,
    /// It did what it was for.
    Completed,
    /// It ended without that.
    Short,
}

impl Told {
    pub(in crate::cli) fn of(daemon: &Daemon, answer: &Answer) -> Result<Self, Problem> {
        daemon.parse::<Box<RawValue>>(answer).and_then(Self::from)
    }

    pub(in crate::cli) fn from(json: Box<RawValue>) -> Result<Self, Problem> {
        let task = serde_json::from_str(json.get())
            .map_err(|error| Problem::failed(format!("a task came that cannot be read: {error}")))?;
        Ok(Self { json, task })
    }
}

impl Task {
    pub(in crate::cli) fn stand(&self) -> Stand {
        match self.status.as_str() {
            "Completed" => Stand::Completed,
            "Failed" | "Cancelled" => Stand::Short,
            _ => Stand::Open,
        }
    }

    pub(in crate::cli) fn colour(&self) -> Option<Colour> {
        match self.status.as_str() {
            "Completed" => Some(Colour::Green),
            "Failed" => Some(Colour::Red),
            "Cancelled" => Some(Colour::Yellow),
            "In Progress" => Some(Colour::Cyan),
            _ => None,
        }
    }

    /// The payload, if it has that form.
    pub(in crate::cli) fn payload_as<T: DeserializeOwned>(&self) -> Option<T> {
        serde_json::from_str(self.payload.as_ref()?.get()).ok()
    }

    /// One line on how it stands: `task 7 (noop): Completed in 0 s`.
    pub(in crate::cli) fn story(&self) -> String {
        let Self { id, kind, status, .. } = self;
        let took = match (self.started_at, self.finished_at) {
            (Some(from), Some(to)) if self.stand() == Stand::Completed => format!(" in {}", took(from, to)),
            _ => String::new(),
        };
        let why = match &self.error {
            Some(Failure { reason, message }) if self.stand() == Stand::Short => {
                format!(": {message} ({reason})")
            }
            _ => String::new(),
        };
        format!("task {id} ({kind}): {status}{took}{why}")
    }

    /// What is to be said of it in a few words: why it failed, how far it is, when it runs.
    fn note(&self, now: DateTime<Utc>) -> String {
        if let Some(Failure { message, .. }) = &self.error {
            return message.clone();
        }
        match (self.run_at, self.progress.filter(|_| self.stand() == Stand::Open)) {
            (Some(at), _) if at > now => format!("in {}", span((at - now).num_seconds())),
            (_, Some(percent)) => format!("{percent} %"),
            (_, None) => self.worker.as_ref().map(|worker| format!("by {worker}")).unwrap_or_default(),
        }
    }

    /// Everything about it, as pairs of a name and what stands there.
    pub(in crate::cli) fn facts(&self, now: DateTime<Utc>) -> Vec<(&'static str, String)> {
        let number = |number: Option<i64>| number.map(|number| number.to_string());
        let time = |at: Option<DateTime<Utc>>| {
            let at = at?;
            let ago = (now - at).num_seconds();
            let far = if ago < 0 { format!("in {}", span(-ago)) } else { format!("{} ago", span(ago)) };
            Some(format!("{}  ({far})", at.to_rfc3339_opts(chrono::SecondsFormat::Millis, true)))
        };
        let json = |json: &Option<Box<RawValue>>| json.as_ref().map(|json| indented(json.get()));
        let tries = format!("{} ({} failed, {} allowed)", self.attempt, self.failures, self.max_attempts);
        let facts = [
            ("kind", Some(self.kind.clone())),
            ("status", Some(self.status.clone())),
            ("progress", self.progress.map(|percent| format!("{percent} %"))),
            ("owner", number(self.owner)),
            ("in hand of", self.worker.clone().or_else(|| Some(format!("user {}", self.assignee?)))),
            ("priority", Some(self.priority.to_string())),
            ("tries", Some(tries)),
            ("crashes", (self.crashes > 0).then(|| self.crashes.to_string())),
            ("tags", (!self.tags.is_empty()).then(|| self.tags.join(", "))),
            ("unique key", self.unique_key.clone()),
            ("created", time(Some(self.created_at))),
            ("runs", time(self.run_at.filter(|at| *at > now))),
            ("started", time(self.started_at)),
            ("finished", time(self.finished_at)),
            ("error", self.error.as_ref().map(|Failure { reason, message }| format!("{message} ({reason})"))),
            ("meta", json(&self.meta)),
            ("payload", json(&self.payload)),
            ("result", json(&self.result)),
        ];
        facts.into_iter().filter_map(|(name, what)| Some((name, what?))).collect()
    }
}

/// The tasks as a table.
pub(in crate::cli) fn table<'a>(tasks: impl IntoIterator<Item = &'a Task>, now: DateTime<Utc>) -> Table {
    let mut table = Table::new(&[
        Column::new("ID").right(),
        Column::new("STATUS"),
        Column::new("KIND").least(8),
        Column::new("TRY").right(),
        Column::new("AGE").right(),
        Column::new("TOOK").right().optional(),
        Column::new("NOTE").least(8).optional(),
        Column::new("TAGS").least(6).optional(),
    ]);
    for task in tasks {
        let took = task.started_at.zip(task.finished_at).map(|(from, to)| took(from, to));
        table.row(vec![
            Cell::new(task.id.to_string()),
            Cell::coloured(&task.status, task.colour()),
            Cell::new(&task.kind),
            Cell::new(task.attempt.to_string()),
            Cell::new(span((now - task.created_at).num_seconds())),
            Cell::new(took.unwrap_or_default()),
            Cell::new(task.note(now)),
            Cell::new(task.tags.join(", ")),
        ]);
    }
    table
}

fn took(from: DateTime<Utc>, to: DateTime<Utc>) -> String {
    let ms = (to - from).num_milliseconds().max(0);
    if ms < 10_000 { format!("{}.{} s", ms / 1000, ms % 1000 / 100) } else { span(ms / 1000) }
}
