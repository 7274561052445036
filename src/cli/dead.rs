//! `gristmill dead`: the messages of the broker's queue that were no tasks.
//!
//! Works on `<broker.queue>.dead`, with or without a daemon running. Looking changes nothing: messages are taken without
//! an acknowledgement, and are back in their places when the command ends, however it ends. A message leaves the dead
//! queue only after the broker has confirmed it elsewhere (`redrive`), or on request (`purge`).

use std::collections::BTreeSet;
use std::time::Duration;

use chrono::{DateTime, Utc};
use clap::{Args, Subcommand};
use serde::Serialize;

use super::{Exit, block_on};
use crate::broker::{Broker, Browser, Delivery, REASON_HEADER, TopologyError, dead_queue, died_at};
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
    let dead = Dead { broker: &broker, queue: &settings.queue, now: clock.utc() };
    let done = match command {
        Command::List { limit, json } => dead.list(*limit, *json).await,
        Command::Show { which, json } => dead.show(which, *json).await,
        Command::Redrive(choice) => dead.remove(choice, Removal::Redrive).await,
        Command::Purge { choice, .. } => dead.remove(choice, Removal::Purge).await,
    };
    broker.close().await;
    done
}

/// How messages leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Removal {
    Redrive,
    Purge,
}

struct Dead<'a> {
    broker: &'a Broker,
    /// The queue that they came from.
    queue: &'a str,
    now: DateTime<Utc>,
}

impl Dead<'_> {
    async fn list(&self, limit: u32, json: bool) -> Result<Exit, String> {
        let mut lines = Vec::new();
        let mut behind = 0;
        if let Some(mut browser) = self.browse().await? {
            while (lines.len() as u64) < u64::from(limit)
                && let Some((message, rest)) = browser.next().await.map_err(text)?
            {
                behind = rest;
                lines.push(self.line(lines.len() as u32 + 1, &message));
            }
            browser.close().await.map_err(text)?;
        }
        if json {
            say!("{}", serde_json::to_string_pretty(&lines).map_err(|error| error.to_string())?);
            return Ok(Exit::Done);
        }
        if lines.is_empty() {
            say!("{}: no messages", dead_queue(self.queue));
            return Ok(Exit::Done);
        }
        say!("{:>4}  {:>10}  {:>8}  {:<36}  reason", "#", "age", "bytes", "id");
        for Line { position, message_id, reason, size, age_s } in &lines {
            let age = age_s.map_or_else(|| "?".to_owned(), age);
            let (id, reason) = (printable(message_id.as_deref()), printable(reason.as_deref()));
            say!("{position:>4}  {age:>10}  {size:>8}  {id:<36}  {reason}");
        }
        if behind > 0 {
            say!("and {behind} more (--limit)");
        }
        Ok(Exit::Done)
    }

    async fn show(&self, which: &str, json: bool) -> Result<Exit, String> {
        let mut position = 0;
        let Some(mut browser) = self.browse().await? else { return Err(self.nothing(which)) };
        let mut found = None;
        while let Some((message, _)) = browser.next().await.map_err(text)? {
            position += 1;
            if names(which, position, &message) {
                found = Some(message);
                break;
            }
        }
        browser.close().await.map_err(text)?;
        let message = found.ok_or_else(|| self.nothing(which))?;
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
            say!("{}", serde_json::to_string_pretty(&shown).map_err(|error| error.to_string())?);
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
        say!("\n{}", printable_body(&body));
        Ok(Exit::Done)
    }

    /// Sends back or removes what is chosen: all of it, or nothing if a word names no message.
    async fn remove(&self, choice: &Choice, how: Removal) -> Result<Exit, String> {
        let Some(mut browser) = self.browse().await? else {
            return if choice.all {
                Ok(self.done(how, 0))
            } else {
                Err(self.nothing(&choice.which.join(", ")))
            };
        };
        // What is there now and no more, so that a message that dies again meanwhile is not taken in circles.
        let count = self.broker.queue(&dead_queue(self.queue)).await.map_err(text)?.messages;
        let mut unmet: BTreeSet<&str> = choice.which.iter().map(String::as_str).collect();
        let (mut chosen, mut removed, mut failed) = (Vec::new(), 0, None);
        for position in 1..=count {
            let Some((message, _)) = browser.next().await.map_err(text)? else { break };
            if choice.all {
                failed = self.remove_one(&mut browser, position, &message, how).await.err();
                if failed.is_some() {
                    break;
                }
                removed += 1;
            } else if let Some(word) = choice.which.iter().find(|word| names(word, position, &message)) {
                unmet.remove(word.as_str());
                chosen.push((position, message));
            }
        }
        if !unmet.is_empty() {
            browser.close().await.map_err(text)?;
            let unmet: Vec<&str> = unmet.into_iter().collect();
            return Err(format!("{}; nothing was done", self.nothing(&unmet.join(", "))));
        }
        for (position, message) in &chosen {
            failed = self.remove_one(&mut browser, *position, message, how).await.err();
            if failed.is_some() {
                break;
            }
            removed += 1;
        }
        browser.close().await.map_err(text)?;
        let exit = self.done(how, removed);
        failed.map_or(Ok(exit), Err)
    }

    async fn remove_one(
        &self,
        browser: &mut Browser,
        position: u32,
        message: &Delivery,
        how: Removal,
    ) -> Result<(), String> {
        if how == Removal::Redrive {
            let sent = self.broker.redrive(self.queue, message).await;
            sent.map_err(|error| format!("message {position} stays, with those behind it: {error}"))?;
        }
        browser.remove(message).await.map_err(text)
    }

    fn done(&self, how: Removal, removed: u32) -> Exit {
        let what = match how {
            Removal::Redrive => "sent back",
            Removal::Purge => "removed",
        };
        say!("{}: {removed} {what}", dead_queue(self.queue));
        Exit::Done
    }

    /// A look into the dead queue; `None` when there is none, which is as good as empty.
    async fn browse(&self) -> Result<Option<Browser>, String> {
        match self.broker.browse(&dead_queue(self.queue)).await {
            Ok(browser) => Ok(Some(browser)),
            Err(TopologyError::Missing { .. }) => Ok(None),
            Err(
                error @ (TopologyError::Unavailable { .. }
                | TopologyError::Differs { .. }
                | TopologyError::Refused { .. }
                | TopologyError::BadName { .. }),
            ) => Err(text(error)),
        }
    }

    fn nothing(&self, which: &str) -> String {
        format!("{} has no message {which}: see `gristmill dead list`", dead_queue(self.queue))
    }

    fn line(&self, position: u32, message: &Delivery) -> Line {
        let made = || DateTime::from_timestamp(i64::try_from(message.timestamp()?).ok()?, 0);
        let since = died_at(message).or_else(made);
        Line {
            position,
            message_id: message.message_id().map(str::to_owned),
            reason: message.header(REASON_HEADER),
            size: message.body.len(),
            age_s: since.map(|at| (self.now - at).num_seconds().max(0)),
        }
    }
}

/// Whether a word of the command line means this message: a number is a position, anything else an id.
fn names(which: &str, position: u32, message: &Delivery) -> bool {
    match which.parse::<u32>() {
        Ok(number) => number == position,
        Err(_) => message.message_id() == Some(which),
    }
}

fn text(error: TopologyError) -> String {
    error.to_string()
}

/// What a producer wrote must not move the terminal's cursor.
fn printable(value: Option<&str>) -> String {
    value.unwrap_or("-").chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

/// Likewise, but lines and tabs are kept.
fn printable_body(body: &str) -> String {
    let kept = |c: char| !c.is_control() || matches!(c, '\n' | '\t');
    body.chars().map(|c| if kept(c) { c } else { '\u{fffd}' }).collect()
}

/// A time span for people.
fn age(seconds: i64) -> String {
    match seconds {
        ..60 => format!("{seconds} s"),
        60..3600 => format!("{} min", seconds / 60),
        3600..86_400 => format!("{} h", seconds / 3600),
        86_400.. => format!("{} days", seconds / 86_400),
    }
}
