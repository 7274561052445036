//! `gristmill submit`: a task is created.

use std::io::Read;
use std::path::PathBuf;
use std::time::Duration;

use chrono::SecondsFormat;
use clap::Args;
use serde_json::value::{RawValue, to_raw_value};
use std::collections::BTreeMap;

use super::Exit;
use super::client::{Call, Daemon, Way, with_daemon};
use super::follow::{End, follow};
use super::problem::Problem;
use super::tasks::row::{Stand, Told};
use super::terminal::Console;
use super::when::{self, Moment};
use crate::clock::Clock;

/// What is read of a file or of standard input, in bytes: far more than a payload may have.
const MOST: u64 = 16 << 20;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// What to do; `noop` unless said, `manual` with --meta.
    kind: Option<String>,
    /// The input: JSON, `@FILE` that holds it, or `-` for standard input.
    #[arg(long, value_name = "JSON", conflicts_with = "meta")]
    payload: Option<String>,
    /// What a person is to know of a `manual` task: likewise.
    #[arg(long, value_name = "JSON")]
    meta: Option<String>,
    /// A word to find it by; may be given several times.
    #[arg(long, value_name = "TAG")]
    tag: Vec<String>,
    /// How urgent, from -100 to 100: higher runs sooner.
    #[arg(long, allow_negative_numbers = true)]
    priority: Option<i64>,
    /// The earliest start: a time as RFC 3339 has it, or so long from now, as `10m`.
    #[arg(long, value_name = "TIME")]
    run_at: Option<Moment>,
    /// How often it may be tried.
    #[arg(long, value_name = "TRIES")]
    max_attempts: Option<u32>,
    /// How long one try may take: seconds, or a span such as `5m`.
    #[arg(long, value_name = "TIME", value_parser = seconds)]
    try_timeout: Option<i64>,
    /// While a task of yours of this kind with this key has not ended, no other is made: that one is the answer.
    #[arg(long, value_name = "KEY")]
    unique_key: Option<String>,
    /// The same request with the same key, within a day, makes one task.
    #[arg(long, value_name = "KEY")]
    idempotency_key: Option<String>,
    /// Where to tell of its events.
    #[arg(long, value_name = "URL")]
    callback_url: Option<String>,
    /// Wait for its end, at most so many seconds if a number is given; the exit code says how it ended.
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, require_equals = true)]
    wait: Option<Option<u32>>,
    #[command(flatten)]
    way: Way,
}

/// Submits.
pub(super) fn run(arguments: &Arguments, config: Vec<PathBuf>) -> Exit {
    // Before anybody is asked: it may be read from a pipe, and may be wrong.
    let body = match body(arguments) {
        Ok(body) => body,
        Err(problem) => return problem.say(),
    };
    with_daemon(&arguments.way, config, async |daemon, console| {
        submit(arguments, body, daemon, console).await
    })
}

async fn submit(
    arguments: &Arguments,
    body: String,
    daemon: &Daemon,
    console: &Console,
) -> Result<Exit, Problem> {
    let mut call = Call::post("/tasks").json(body);
    if let Some(key) = &arguments.idempotency_key {
        call = call.header("idempotency-key", key);
    }
    let made = Told::of(daemon, &daemon.ask(call).await?)?;
    let Some(wait) = arguments.wait else {
        return tell(&made, console).map(|()| Exit::Done);
    };
    let id = made.task.id;
    if !console.json {
        console.remark(&format!("task {id} ({}) is accepted", made.task.kind));
    }
    let end = match made.task.stand() {
        Stand::Open => {
            let patience = wait.map(|seconds| Duration::from_secs(seconds.into()));
            follow(daemon, id, patience, &console.bars(), |_| Ok(())).await?
        }
        Stand::Completed | Stand::Short => End::Ended(made),
    };
    end.say(console)?;
    Ok(end.exit())
}

/// The number alone, for people and for `$(…)`; all of it with --json.
fn tell(made: &Told, console: &Console) -> Result<(), Problem> {
    if console.json {
        return console.json_line(&made.json);
    }
    console.remark(&format!(
        "task {} ({}) is accepted; `gristmill watch {0}` follows it",
        made.task.id, made.task.kind
    ));
    console.line(&made.task.id.to_string())
}

/// The body of the request. What was given as JSON goes as it was written.
fn body(arguments: &Arguments) -> Result<String, Problem> {
    let mut fields: BTreeMap<&str, Box<RawValue>> = BTreeMap::new();
    let mut put = |name, value: Option<serde_json::Value>| -> Result<(), Problem> {
        if let Some(value) = value {
            fields.insert(name, to_raw_value(&value).map_err(|error| Problem::failed(error.to_string()))?);
        }
        Ok(())
    };
    let text = |text: &Option<String>| text.clone().map(serde_json::Value::from);
    put("kind", text(&arguments.kind))?;
    put("priority", arguments.priority.map(Into::into))?;
    put("max_attempts", arguments.max_attempts.map(Into::into))?;
    put("timeout_s", arguments.try_timeout.map(Into::into))?;
    put("unique_key", text(&arguments.unique_key))?;
    put("callback_url", text(&arguments.callback_url))?;
    put("tags", (!arguments.tag.is_empty()).then(|| arguments.tag.clone().into()))?;
    let run_at =
        arguments.run_at.map(|moment| moment.at(Clock::system().utc(), when::Way::Forth)).transpose()?;
    put("run_at", run_at.map(|at| at.to_rfc3339_opts(SecondsFormat::Micros, true).into()))?;
    for (name, option, given) in
        [("payload", "--payload", &arguments.payload), ("meta", "--meta", &arguments.meta)]
    {
        if let Some(given) = given {
            fields.insert(name, json(option, given)?);
        }
    }
    serde_json::to_string(&fields).map_err(|error| Problem::failed(error.to_string()))
}

/// JSON as the command line gives it.
fn json(option: &str, given: &str) -> Result<Box<RawValue>, Problem> {
    let (text, place) = match (given, given.strip_prefix('@')) {
        ("-", _) => (read(&mut std::io::stdin().lock()), "standard input".to_owned()),
        (_, Some(path)) => {
            let file = std::fs::File::open(path);
            (file.and_then(|mut file| read(&mut file)), path.to_owned())
        }
        (text, None) => (Ok(text.to_owned()), option.to_owned()),
    };
    let text = text.map_err(|error| Problem::usage(format!("{option}: {place}: {error}")))?;
    serde_json::from_str(text.trim()).map_err(|error| {
        Problem::usage(format!("{option}: {place} holds no JSON: {error}"))
            .hint("a text wants quotes of its own: '\"hello\"'; @FILE reads a file, - standard input")
    })
}

fn read(from: &mut dyn Read) -> std::io::Result<String> {
    let mut text = String::new();
    from.take(MOST).read_to_string(&mut text)?;
    Ok(text)
}

/// Seconds, plain or as a span.
fn seconds(text: &str) -> Result<i64, String> {
    match text.parse::<u32>() {
        Ok(seconds) => Ok(seconds.into()),
        Err(_) => when::span(text).map(|span| span.num_seconds()),
    }
}
