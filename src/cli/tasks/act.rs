//! `gristmill tasks cancel`, `retry` and `delete`: of some tasks by their numbers, or of all that match.

use std::path::PathBuf;

use clap::Args;
use serde::{Deserialize, Serialize};

use super::filter::Filter;
use super::row::Told;
use crate::cli::Exit;
use crate::cli::client::{Call, Daemon, Way, with_daemon};
use crate::cli::problem::Problem;
use crate::cli::terminal::Console;
use crate::clock::Clock;
use crate::outbound::Method;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The tasks' numbers.
    #[arg(value_name = "ID", required_unless_present = "all_matching")]
    ids: Vec<i64>,
    /// All tasks of yours (an admin's: everybody's) that the filters let through.
    #[arg(long, conflicts_with = "ids")]
    all_matching: bool,
    /// That you mean it: with --all-matching, to delete, or without any filter.
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    filter: Filter,
    #[command(flatten)]
    way: Way,
}

/// What is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Act {
    Cancel,
    Retry,
    Delete,
}

/// What became of all that matched.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Bulk {
    matched: u64,
    changed: u64,
    refused: u64,
    #[serde(default, skip_serializing)]
    next: Option<i64>,
}

impl Act {
    fn verb(self) -> &'static str {
        match self {
            Self::Cancel => "cancel",
            Self::Retry => "retry",
            Self::Delete => "delete",
        }
    }

    /// What a task is then.
    fn done(self) -> &'static str {
        match self {
            Self::Cancel => "cancelled",
            Self::Retry => "ready again",
            Self::Delete => "deleted",
        }
    }
}

/// Does it.
pub(super) fn run(act: Act, arguments: &Arguments, config: Vec<PathBuf>) -> Exit {
    if let Err(problem) = check(act, arguments) {
        return problem.say();
    }
    with_daemon(&arguments.way, config, async |daemon, console| {
        if arguments.all_matching {
            all(act, &arguments.filter, daemon, console).await
        } else {
            some(act, &arguments.ids, daemon, console).await
        }
    })
}

fn check(act: Act, arguments: &Arguments) -> Result<(), Problem> {
    let Arguments { all_matching, yes, filter, .. } = arguments;
    if !all_matching && !filter.is_empty() {
        return Err(Problem::usage("filters go with --all-matching, and not with numbers"));
    }
    if *all_matching && !yes && (filter.is_empty() || act == Act::Delete) {
        let words = filter.words(Clock::system().utc());
        let which = if words.is_empty() { "all tasks".to_owned() } else { format!("all tasks with {words}") };
        return Err(Problem::usage(format!("{} {which}? Say --yes as well", act.verb()))
            .hint("`gristmill tasks list` with the same filters shows which they are"));
    }
    Ok(())
}

/// One after the other, so that each has its own answer.
async fn some(act: Act, ids: &[i64], daemon: &Daemon, console: &Console) -> Result<Exit, Problem> {
    let mut exit = Exit::Done;
    for id in ids {
        if let Err(problem) = one(act, *id, daemon, console).await {
            // What the daemon refuses of one, it may do of the next; where there is no daemon, there is none for that.
            if problem.code().is_none() {
                return Err(problem);
            }
            exit = exit.or(problem.say());
        }
    }
    Ok(exit)
}

async fn one(act: Act, id: i64, daemon: &Daemon, console: &Console) -> Result<(), Problem> {
    let (method, path) = match act {
        Act::Cancel | Act::Retry => (Method::POST, format!("/tasks/{id}/{}", act.verb())),
        Act::Delete => (Method::DELETE, format!("/tasks/{id}")),
    };
    let answer = daemon.ask(Call::new(method, path)).await?;
    match (console.json, act) {
        (false, _) => console.line(&format!("task {id}: {}", act.done())),
        (true, Act::Delete) => console.json_line(&serde_json::json!({"id": id, "status": "Deleted"})),
        (true, Act::Cancel | Act::Retry) => console.json_line(&Told::of(daemon, &answer)?.json),
    }
}

/// What went wrong after a part was done: that is not to be lost.
fn so_far(problem: Problem, act: Act, total: &Bulk) -> Problem {
    if total.matched == 0 {
        return problem;
    }
    let Bulk { matched, changed, .. } = total;
    problem.hint(format!(
        "{changed} of {matched} tasks had been {} by then; the same again does the rest",
        act.done()
    ))
}

/// All that match, as many at a time as the daemon does.
async fn all(act: Act, filter: &Filter, daemon: &Daemon, console: &Console) -> Result<Exit, Problem> {
    let query = filter.query(Clock::system().utc())?;
    let query = if query.is_empty() { "all=true".to_owned() } else { query };
    let bars = console.bars();
    let spinner = bars.spinner(&format!("{} all that match", act.verb()));
    let (mut total, mut after) = (Bulk::default(), String::new());
    loop {
        let path = format!("/tasks/{}?{query}{after}", act.verb());
        let answer = daemon.read(Call::post(path)).await;
        let Bulk { matched, changed, refused, next } =
            answer.map_err(|problem| so_far(problem, act, &total))?;
        total.matched += matched;
        total.changed += changed;
        total.refused += refused;
        match next {
            Some(next) => after = format!("&after={next}"),
            None => break,
        }
    }
    drop(spinner);
    if console.json {
        console.json_line(&total)?;
    } else {
        let Bulk { matched, changed, refused, .. } = total;
        let not = if refused > 0 { format!("; {refused} could not be") } else { String::new() };
        console.line(&format!("{changed} of {matched} tasks: {}{not}", act.done()))?;
    }
    Ok(if total.refused > 0 { Exit::CheckFailed } else { Exit::Done })
}
