//! `gristmill watch`: tasks followed to their ends.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use futures_util::{StreamExt, stream};

use super::Exit;
use super::client::{Daemon, Way, with_daemon};
use super::follow::follow;
use super::problem::Problem;
use super::terminal::Console;

/// So many at a time: each has a connection of its own.
const MOST: usize = 100;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The tasks' numbers; at most 100.
    #[arg(required = true, value_name = "ID", num_args = 1..=MOST)]
    ids: Vec<i64>,
    /// At most so long, in seconds; else until all have ended.
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..))]
    timeout: Option<u32>,
    /// Also each event, as it comes, as a line of JSON.
    #[arg(long)]
    events: bool,
    #[command(flatten)]
    way: Way,
}

/// Watches.
pub(super) fn run(arguments: &Arguments, config: Vec<PathBuf>) -> Exit {
    with_daemon(&arguments.way, config, async |daemon, console| watch(arguments, daemon, console).await)
}

async fn watch(arguments: &Arguments, daemon: &Daemon, console: &Console) -> Result<Exit, Problem> {
    let bars = console.bars();
    let patience = arguments.timeout.map(|seconds| Duration::from_secs(seconds.into()));
    let follow_one = |id: i64| {
        let bars = &bars;
        async move {
            let hear = |event: &super::client::events::Event| {
                if !arguments.events {
                    return Ok(());
                }
                let mut written = Ok(());
                bars.say(|| written = console.line(&super::terminal::text::harmless_json(&event.json)));
                written
            };
            (id, follow(daemon, id, patience, bars, hear).await)
        }
    };
    let mut ids = arguments.ids.clone();
    ids.sort_unstable();
    ids.dedup();
    let mut ends = stream::iter(ids).map(follow_one).buffer_unordered(MOST);
    let mut exit = Exit::Done;
    while let Some((id, end)) = ends.next().await {
        let so = match end {
            Ok(end) => {
                let mut said = Ok(());
                bars.say(|| said = end.say(console));
                said?;
                end.exit()
            }
            Err(problem) if problem.ends_all() => return Err(problem),
            Err(problem) => {
                let mut so = Exit::Failed;
                bars.say(|| so = problem.about(&format!("task {id}")).say());
                so
            }
        };
        exit = exit.or(so);
    }
    Ok(exit)
}
