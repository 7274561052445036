//! `gristmill dead`: the messages of the broker's queue that were no tasks.
//!
//! Works on `<broker.queue>.dead`, with or without a daemon running. Looking changes nothing: messages are taken without
//! an acknowledgement, and are back in their places when the command ends, however it ends. A message leaves the dead
//! queue only after the broker has confirmed it elsewhere (`redrive`), or on request (`purge`).

use std::time::Duration;

use chrono::{DateTime, Utc};
use clap::{Args, Subcommand};
use serde::Serialize;

use super::terminal::text::{harmless, harmless_json, harmless_lines, span};
use super::{Exit, block_on};
use crate::broker::Choice as Chosen;
use crate::broker::{Bounds, Broker, DeadQueue, DeadQueueError, Letter, Removal, Which};
use crate::clock::Clock;
use crate::config::{BrokerSettings, Settings};
use crate::telemetry::Health;
use crate::telemetry::metrics;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// The messages, the oldest first: position, id, reason, size, age.
    List {
        /// At most so many.
        #[arg(long, default_value_t = 50)]
        limit: u32,
        /// As JSON, for scripts.
        #[arg(long)]
        json: bool,
    },
    /// One message whole: headers and body.
    Show {
        /// Its position in the list (a number), or its id.
        which: String,
        /// As JSON, for scripts; a body that is not UTF-8 is shown with replacement characters.
        #[arg(long)]
        json: bool,
    },
    /// Send messages back to the queue they came from, without the reason. Should the command be cut short, one may be
    /// in both queues; none is lost.
    Redrive(Choice),
    /// Remove messages for good.
    Purge {
        #[command(flatten)]
        choice: Choice,
        /// That you mean it.
        #[arg(long)]
        yes: bool,
    },
}

/// Which messages.
#[derive(Debug, Args)]
#[group(required = true)]
pub(super) struct Choice {
    /// Positions in the list (numbers), or ids.
    #[arg(conflicts_with = "all")]
    which: Vec<String>,
    /// All that are there now.
    #[arg(long)]
    all: bool,
}

/// One message, as the list shows it.
#[derive(Debug, Serialize)]
struct Line {
    position: u32,
    message_id: Option<String>,
    reason: Option<String>,
    size: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    age_s: Option<i64>,
}

/// Does it.
pub(super) fn run(command: &Command, settings: &Settings) -> Exit {
    let settings = &settings.broker;
    let Some(url) = &settings.url else {
        eprintln!("gristmill: broker.url is not set: there is no broker to ask");
        return Exit::Usage;
    };
    if let Command::Purge { yes: false, .. } = command {
        eprintln!("gristmill: purge removes messages for good: say --yes as well");
        return Exit::Usage;
    }
    match block_on(act(command, settings)) {
        Ok(Ok(exit)) => exit,
        Ok(Err(problem)) => {
            eprintln!("gristmill: {url}: {problem}");
            Exit::Failed
        }
        Err(error) => {
            eprintln!("gristmill: the runtime cannot be started: {error}");
            Exit::Failed
        }
    }
}

async fn act(command: &Command, settings: &BrokerSettings) -> Result<Exit, String> {
    metrics::install().map_err(|error| error.to_string())?;
    let clock = Clock::system();
    let broker = Broker::start(settings, Health::new(), clock.clone()).map_err(|error| error.to_string())?;
    let broker = broker.ok_or("broker.url is not set")?;
    broker.until_up(settings.connect_timeout + Duration::from_secs(1)).await?;
    let queue = DeadQueue::new(broker.clone(), &settings.queue);
    let done = match command {
        Command::List { limit, json } => list(&queue, clock.utc(), *limit, *json).await,
        Command::Show { which, json } => show(&queue, which, *json).await,
        Command::Redrive(choice) => remove(&queue, choice, Removal::Redrive).await,
        Command::Purge { choice, .. } => remove(&queue, choice, Removal::Purge).await,
    };
    broker.close().await;
    done
}

async fn list(queue: &DeadQueue, now: DateTime<Utc>, limit: u32, json: bool) -> Result<Exit, String> {
    let bounds = Bounds { messages: limit, ..Bounds::NONE };
    let looked = queue.look(bounds, |letter| Line::of(letter, now)).await.map_err(|error| told(&error))?;
    let lines = looked.lines;
    if json {
        say!("{}", harmless_json(&serde_json::to_string(&lines).map_err(|error| error.to_string())?));
        return Ok(Exit::Done);
    }
    if lines.is_empty() {
        say!("{}: no messages", queue.name());
        return Ok(Exit::Done);
    }
    say!("{:>4}  {:>10}  {:>8}  {:<36}  reason", "#", "age", "bytes", "id");
    for Line { position, message_id, reason, size, age_s } in &lines {
        let age = age_s.map_or_else(|| "?".to_owned(), span);
        let (id, reason) = (printable(message_id.as_deref()), printable(reason.as_deref()));
        say!("{position:>4}  {age:>10}  {size:>8}  {id:<36}  {reason}");
    }
    if looked.behind > 0 {
        say!("and {} more (--limit)", looked.behind);
    }
    Ok(Exit::Done)
}

async fn show(queue: &DeadQueue, which: &str, json: bool) -> Result<Exit, String> {
    let letter = queue.find(Bounds::NONE, &Which::read(which)).await.map_err(|error| told(&error))?;
    let (position, message) = (letter.position, letter.delivery);
    let body = String::from_utf8_lossy(&message.body);
    if json {
        let headers: serde_json::Map<String, serde_json::Value> =
            message.headers().into_iter().map(|(name, value)| (name, value.into())).collect();
        let shown = serde_json::json!({
            "position": position,
            "message_id": message.message_id(),
            "correlation_id": message.correlation_id(),
            "reply_to": message.reply_to(),
            "content_type": message.content_type(),
            "headers": headers,
            "body": body,
        });
        say!("{}", harmless_json(&shown.to_string()));
        return Ok(Exit::Done);
    }
    let properties = [
        ("message id", message.message_id()),
        ("correlation id", message.correlation_id()),
        ("reply to", message.reply_to()),
        ("content type", message.content_type()),
    ];
    for (name, value) in properties.into_iter().filter(|(_, value)| value.is_some()) {
        say!("{name}: {}", printable(value));
    }
    for (name, value) in message.headers() {
        say!("{}: {}", printable(Some(&name)), printable(Some(&value)));
    }
    say!("\n{}", harmless_lines(&body));
    Ok(Exit::Done)
}

/// Sends back or removes what is chosen: all of it, or nothing if a word names no message.
async fn remove(queue: &DeadQueue, choice: &Choice, how: Removal) -> Result<Exit, String> {
    let chosen = match choice.all {
        true => Chosen::All,
        false => Chosen::These(choice.which.iter().map(|word| Which::read(word)).collect()),
    };
    let removed = queue.remove(Bounds::NONE, &chosen, how).await.map_err(|error| match error {
        DeadQueueError::Unmet { .. } => format!("{}; nothing was done", told(&error)),
        DeadQueueError::Topology(_) | DeadQueueError::TimedOut { .. } | DeadQueueError::Stays { .. } => {
            told(&error)
        }
    })?;
    let what = match how {
        Removal::Redrive => "sent back",
        Removal::Purge => "removed",
    };
    say!("{}: {} {what}", queue.name(), removed.count);
    removed.stopped.map_or(Ok(Exit::Done), |error| Err(told(&error)))
}

/// What went wrong, with where to look.
fn told(error: &DeadQueueError) -> String {
    match error {
        DeadQueueError::Unmet { .. } => format!("{error}: see `gristmill dead list`"),
        DeadQueueError::Topology(_) | DeadQueueError::TimedOut { .. } | DeadQueueError::Stays { .. } => {
            error.to_string()
        }
    }
}

impl Line {
    fn of(letter: &Letter, now: DateTime<Utc>) -> Self {
        Self {
            position: letter.position,
            message_id: letter.delivery.message_id().map(str::to_owned),
            reason: letter.reason(),
            size: letter.delivery.body.len(),
            age_s: letter.since().map(|at| (now - at).num_seconds().max(0)),
        }
    }
}

/// What a producer wrote must not move the terminal's cursor.
fn printable(value: Option<&str>) -> String {
    harmless(value.unwrap_or("-"))
}
