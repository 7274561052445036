//! `gristmill tasks`: listed, shown, watched, cancelled, tried again, removed.

mod act;
mod filter;
mod live;
pub(super) mod row;

use std::path::PathBuf;

use clap::{Args, Subcommand};

use self::act::Act;
use self::filter::Filter;
use self::row::Told;
use super::Exit;
use super::client::{Call, Daemon, Way, with_daemon};
use super::follow::look;
use super::problem::Problem;
use super::terminal::Console;
use super::watch;
use crate::clock::Clock;

/// The longest page that a daemon gives.
const PAGE: u32 = 1000;

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    list: List,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// The tasks, the newest first (what happens without a subcommand, too).
    List(List),
    /// All about some tasks.
    Show(Show),
    /// Follow tasks to their ends: `gristmill watch`.
    Watch(watch::Arguments),
    /// Cancel tasks; what runs is stopped.
    Cancel(act::Arguments),
    /// Try tasks again that failed or were cancelled.
    Retry(act::Arguments),
    /// Remove tasks, and what they own; what runs is cancelled.
    Delete(act::Arguments),
}

#[derive(Debug, Args)]
struct List {
    #[command(flatten)]
    filter: Filter,
    /// At most so many.
    #[arg(long, short = 'n', default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
    /// All of them.
    #[arg(long, conflicts_with = "limit")]
    all: bool,
    /// The oldest first.
    #[arg(long)]
    oldest_first: bool,
    /// Like top: on the whole terminal, drawn anew when something happens; q ends it.
    #[arg(long, conflicts_with_all = ["json", "all", "limit"])]
    watch: bool,
    #[command(flatten)]
    way: Way,
}

#[derive(Debug, Args)]
struct Show {
    /// The tasks' numbers.
    #[arg(required = true, value_name = "ID")]
    ids: Vec<i64>,
    #[command(flatten)]
    way: Way,
}

/// Does it.
pub(super) fn run(arguments: &Arguments, config: Vec<PathBuf>) -> Exit {
    match &arguments.command {
        None => list(&arguments.list, config),
        Some(Command::List(arguments)) => list(arguments, config),
        Some(Command::Show(arguments)) => with_daemon(&arguments.way, config, async |daemon, console| {
            show(&arguments.ids, daemon, console).await
        }),
        Some(Command::Watch(arguments)) => watch::run(arguments, config),
        Some(Command::Cancel(arguments)) => act::run(Act::Cancel, arguments, config),
        Some(Command::Retry(arguments)) => act::run(Act::Retry, arguments, config),
        Some(Command::Delete(arguments)) => act::run(Act::Delete, arguments, config),
    }
}

fn list(arguments: &List, config: Vec<PathBuf>) -> Exit {
    with_daemon(&arguments.way, config, async |daemon, console| {
        if arguments.watch {
            return live::run(&arguments.filter, arguments.oldest_first, daemon, console).await;
        }
        list_once(arguments, daemon, console).await
    })
}

async fn list_once(arguments: &List, daemon: &Daemon, console: &Console) -> Result<Exit, Problem> {
    let clock = Clock::system();
    let mut left = if arguments.all { u32::MAX } else { arguments.limit };
    let (mut after, mut found) = (None, Vec::new());
    loop {
        let path = page(&arguments.filter, arguments.oldest_first, left.min(PAGE), after)?;
        let answer = daemon.ask(Call::get(path)).await?;
        let tasks = tasks(daemon, &answer)?;
        after = tasks.last().map(|told| told.task.id);
        left = left.saturating_sub(u32::try_from(tasks.len()).unwrap_or(u32::MAX));
        if console.json {
            // As they come: there may be more of them than memory.
            tasks.iter().try_for_each(|told| console.json_line(&told.json))?;
        } else {
            found.extend(tasks.into_iter().map(|told| told.task));
        }
        if !answer.more || after.is_none() || left == 0 {
            if answer.more && !console.json {
                console.remark(&format!("the first {}; there are more (--limit, --all)", found.len()));
            }
            break;
        }
    }
    if console.json {
        return Ok(Exit::Done);
    }
    if found.is_empty() {
        let words = arguments.filter.words(clock.utc());
        let such = if words.is_empty() { String::new() } else { format!(" with {words}") };
        console.remark(&format!("no tasks{such}"));
        return Ok(Exit::Done);
    }
    console.table(&row::table(&found, clock.utc()))?;
    Ok(Exit::Done)
}

/// The path of a page of tasks.
fn page(filter: &Filter, oldest_first: bool, limit: u32, after: Option<i64>) -> Result<String, Problem> {
    let order = if oldest_first { "id" } else { "-id" };
    let filter = filter.query(Clock::system().utc())?;
    let filter = if filter.is_empty() { filter } else { format!("&{filter}") };
    let after = after.map(|after| format!("&after={after}")).unwrap_or_default();
    Ok(format!("/tasks?order={order}&limit={limit}{after}{filter}"))
}

/// The tasks of a page.
fn tasks(daemon: &Daemon, answer: &super::client::Answer) -> Result<Vec<Told>, Problem> {
    let tasks: Vec<Box<serde_json::value::RawValue>> = daemon.parse(answer)?;
    tasks.into_iter().map(Told::from).collect()
}

async fn show(ids: &[i64], daemon: &Daemon, console: &Console) -> Result<Exit, Problem> {
    let mut exit = Exit::Done;
    for (at, id) in ids.iter().enumerate() {
        let told = match look(daemon, *id).await {
            Ok(told) => told,
            // One that is not there is no reason to keep the others back.
            Err(problem) if problem.code() == Some("task_not_found") => {
                exit = exit.or(problem.say());
                continue;
            }
            Err(problem) => return Err(problem),
        };
        if console.json {
            console.json_line(&told.json)?;
            continue;
        }
        if at > 0 {
            console.line("")?;
        }
        let now = Clock::system().utc();
        let title = format!("task {}", told.task.id);
        console.line(&console.paint(told.task.colour(), &title))?;
        for (name, what) in told.task.facts(now) {
            let what = super::terminal::text::harmless_lines(&what).replace('\n', &format!("\n{:14}", ""));
            console.line(&format!("  {name:<12}{what}"))?;
        }
    }
    Ok(exit)
}
