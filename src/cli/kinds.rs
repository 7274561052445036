//! `gristmill kinds`: what tasks there can be, how many of each wait, and whether they are held.

use std::path::PathBuf;

use chrono::{DateTime, Utc};
use clap::{Args, Subcommand};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::Exit;
use super::client::{Call, Daemon, Way, encoded, with_daemon};
use super::problem::Problem;
use super::terminal::table::{Cell, Column, Table};
use super::terminal::text::span;
use super::terminal::{Colour, Console};
use crate::clock::Clock;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// The kinds: how many tasks wait and run, and what is paused. For admins.
    List(List),
    /// Start no more tasks of some kinds, on any node, until they are resumed; what runs goes on. For admins.
    Pause(Hold),
    /// Start tasks of some kinds again. For admins.
    Resume(Hold),
}

#[derive(Debug, Args)]
pub(super) struct List {
    #[command(flatten)]
    way: Way,
}

#[derive(Debug, Args)]
pub(super) struct Hold {
    /// Which kinds.
    #[arg(required = true, value_name = "KIND")]
    kinds: Vec<String>,
    #[command(flatten)]
    way: Way,
}

/// A kind, as far as it is shown.
#[derive(Debug, Deserialize)]
struct Kind {
    kind: String,
    #[serde(default)]
    outside: bool,
    #[serde(default)]
    concurrency: Option<u32>,
    #[serde(default)]
    paused_at: Option<DateTime<Utc>>,
    depth: Depth,
    running: u64,
    #[serde(default)]
    oldest_waiting_s: Option<f64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Depth {
    open: u64,
    parked: u64,
    suspect: u64,
    outside: u64,
}

/// Does it.
pub(super) fn run(command: &Command, config: Vec<PathBuf>) -> Exit {
    match command {
        Command::List(List { way }) => {
            with_daemon(way, config, async |daemon, console| list(daemon, console).await)
        }
        Command::Pause(hold) => with_daemon(&hold.way, config, async |daemon, console| {
            set(&hold.kinds, "pause", daemon, console).await
        }),
        Command::Resume(hold) => with_daemon(&hold.way, config, async |daemon, console| {
            set(&hold.kinds, "resume", daemon, console).await
        }),
    }
}

async fn list(daemon: &Daemon, console: &Console) -> Result<Exit, Problem> {
    let kinds: Vec<Box<RawValue>> = daemon.read(Call::get("/kinds")).await?;
    if console.json {
        kinds.iter().try_for_each(|kind| console.json_line(kind))?;
        return Ok(Exit::Done);
    }
    let now = Clock::system().utc();
    let mut table = Table::new(&[
        Column::new("KIND").least(8),
        Column::new("BY"),
        Column::new("READY").right(),
        Column::new("LATER").right(),
        Column::new("RUNNING").right(),
        Column::new("AT ONCE").right().optional(),
        Column::new("OLDEST").right().optional(),
        Column::new("STATE").least(6),
    ]);
    for kind in kinds {
        let odd = |error| Problem::failed(format!("a kind came that cannot be read: {error}"));
        let kind: Kind = serde_json::from_str(kind.get()).map_err(odd)?;
        let Depth { open, parked, suspect, outside } = kind.depth;
        let state = match kind.paused_at {
            Some(at) => {
                let told = format!("paused for {}", span((now - at).num_seconds()));
                Cell::coloured(told, Some(Colour::Yellow))
            }
            None => Cell::new("on"),
        };
        let oldest = kind.oldest_waiting_s.map(|seconds| span(seconds.min(1e12).round() as i64));
        table.row(vec![
            Cell::new(&kind.kind),
            Cell::new(if kind.outside { "workers" } else { "daemon" }),
            Cell::new((open + suspect + outside).to_string()),
            Cell::new(parked.to_string()),
            Cell::new(kind.running.to_string()),
            Cell::new(kind.concurrency.map(|number| number.to_string()).unwrap_or_default()),
            Cell::new(oldest.unwrap_or_default()),
            state,
        ]);
    }
    console.table(&table)?;
    Ok(Exit::Done)
}

async fn set(kinds: &[String], verb: &str, daemon: &Daemon, console: &Console) -> Result<Exit, Problem> {
    let mut exit = Exit::Done;
    for kind in kinds {
        let call = Call::post(format!("/kinds/{}/{verb}", encoded(kind)));
        let held: Box<RawValue> = match daemon.read(call).await {
            Ok(held) => held,
            Err(problem) if problem.code() == Some("unknown_kind") => {
                exit = exit.or(problem.say());
                continue;
            }
            Err(problem) => return Err(problem),
        };
        if console.json {
            console.json_line(&held)?;
        } else {
            let state = if verb == "pause" { "paused" } else { "on" };
            console.line(&format!("{}: {state}", super::terminal::text::harmless(kind)))?;
        }
    }
    Ok(exit)
}
