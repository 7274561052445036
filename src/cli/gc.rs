//! `gristmill gc`: what is here that need not be, and removing it now.
//!
//! Opens the database, so it works where no daemon runs; where a daemon has its SQLite database to itself, it asks that
//! daemon, as its operator. Both do what the daemon's janitor does by itself. Makes no database and migrates none.

use std::cmp::Ordering;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;

use super::client::{Call, Daemon, with_operator};
use super::problem::Problem;
use super::terminal::{Console, Manners};
use super::{Exit, interruptible_within, with_settings};
use crate::app::{Seat, StartError, open_blobs, open_store, schema_of};
use crate::clock::Clock;
use crate::config::{DatabaseUrl, Settings};
use crate::http::{GarbageView, HeldView, collect};
use crate::kinds;
use crate::store::StoreError;
use crate::tidy::{Hand, Place, Retention, Tidy};

/// How long a step takes between two words about it.
const STEP: Duration = Duration::from_secs(10);

/// How long the blobs that are just being removed may take when it is interrupted.
const LAST: Duration = Duration::from_secs(10);

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Only say what would go.
    #[arg(long)]
    dry_run: bool,
    /// Name so many of the blobs that would go.
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u16).range(..=1000))]
    names: u16,
    #[command(flatten)]
    manners: Manners,
}

/// Does it.
pub(super) fn run(arguments: &Arguments, config: Vec<PathBuf>) -> Exit {
    with_settings(config, |loaded| {
        let console = Console::new(&arguments.manners);
        match interruptible_within(here(arguments, &loaded.settings, &console), LAST) {
            Ok(Some(exit)) => exit,
            Ok(None) => with_operator(&loaded.settings, &console, async |daemon, console| {
                there(arguments, daemon, console).await
            }),
            Err(problem) => problem.say(),
        }
    })
}

/// Through the database itself; `None` where a daemon has it.
async fn here(
    arguments: &Arguments,
    settings: &Settings,
    console: &Console,
) -> Result<Option<Exit>, Problem> {
    let failed = |error: &dyn std::fmt::Display| Problem::failed(error.to_string());
    ready(settings).await?;
    let clock = Clock::system();
    let store = match open_store(settings, &kinds::outside(&settings.kinds), clock.clone()).await {
        Ok(store) => store,
        Err(StoreError::InUse { .. }) => return Ok(None),
        Err(error) => return Err(failed(&error)),
    };
    // A seat of its own, kept from one time to the next: what one that was killed had moved aside is put back here, and no
    // other is at it now. The daemon's seat may be taken.
    let taken = Seat::take(&settings.data_dir().join("gc"));
    if let Err(StartError::SeatTaken { .. }) = taken {
        return Err(Problem::failed("another gristmill gc is at work here: wait for its end"));
    }
    let seat = taken.map_err(|error| failed(&error))?;
    let blobs = open_blobs(settings, seat.name(), clock.clone()).map_err(|error| failed(&error))?;
    let tidy = Tidy {
        store: Arc::clone(&store),
        blobs,
        hand: Hand::Store,
        retention: Arc::new(Retention::of(&settings.tasks, &kinds::all(&settings.kinds))),
        grace: settings.blobs.sweep_grace,
        watch: clock.watch(),
        place: Place::default(),
    };
    let done = if arguments.dry_run {
        let found = tidy.look(arguments.names.into(), None).await.map_err(|error| failed(&error))?;
        show(&GarbageView::of(found), true, console)
    } else {
        act(console, async || collect(&tidy, STEP).await.map_err(|error| failed(&error))).await
    };
    store.close().await;
    done.map(Some)
}

/// Whether the database is there and as this program knows it. What is opened is made or migrated, and by an empty database
/// no blob would be named: one that was looked for in the wrong place must not cost all of them.
async fn ready(settings: &Settings) -> Result<(), Problem> {
    let url = match &settings.database.url {
        DatabaseUrl::Sqlite { path } => {
            format!("sqlite:{}", std::path::absolute(path).unwrap_or_else(|_| path.clone()).display())
        }
        DatabaseUrl::Postgres(url) => url.to_string(),
    };
    let (found, known) = schema_of(settings).await.map_err(|error| Problem::failed(error.to_string()))?;
    let Some(found) = found else {
        return Err(Problem::failed(format!(
            "there is no database of gristmill's at {url}; nothing was made, nothing removed"
        ))
        .hint("name the daemon's settings with --config, or run this in the daemon's folder")
        .hint("if its disk is not mounted, mount it"));
    };
    let differs = format!("{url} has schema {found}, this program knows {known}; nothing was removed");
    match found.cmp(&known) {
        Ordering::Equal => Ok(()),
        Ordering::Less => Err(Problem::failed(differs)
            .hint("bring it up to date first: start the daemon of this version, or run gristmill migrate")),
        Ordering::Greater => {
            Err(Problem::failed(differs).hint("use the gristmill of the version that the daemon has"))
        }
    }
}

/// Through the daemon that has the database.
async fn there(arguments: &Arguments, daemon: &Daemon, console: &Console) -> Result<Exit, Problem> {
    if arguments.dry_run {
        let found = daemon.read(Call::get(format!("/gc?names={}", arguments.names))).await?;
        return show(&found, true, console);
    }
    act(console, async || daemon.read(Call::post("/gc")).await).await
}

/// Removes step by step, until there is no more.
async fn act(
    console: &Console,
    step: impl AsyncFn() -> Result<GarbageView, Problem>,
) -> Result<Exit, Problem> {
    let mut all = GarbageView::default();
    loop {
        let view = step().await?;
        for ended in view.tasks {
            let same =
                all.tasks.iter_mut().find(|old| (&old.kind, &old.status) == (&ended.kind, &ended.status));
            match same {
                Some(same) => same.tasks += ended.tasks,
                None => all.tasks.push(ended),
            }
        }
        all.blobs.count += view.blobs.count;
        all.blobs.bytes += view.blobs.bytes;
        all.held_by = view.held_by;
        if !view.more {
            let exit = show(&all, false, console)?;
            return match all.held_by {
                Some(held @ (HeldView::Clock | HeldView::EmptyDatabase | HeldView::MovedAway)) => {
                    Err(Problem::failed(held.told()))
                }
                Some(HeldView::Backup) | None => Ok(exit),
            };
        }
        let tasks: u64 = all.tasks.iter().map(|ended| ended.tasks).sum();
        console.remark(&format!("{tasks} tasks and {} blobs so far", all.blobs.count));
    }
}

fn show(view: &GarbageView, dry: bool, console: &Console) -> Result<Exit, Problem> {
    if console.json {
        console.json_line(view)?;
        return Ok(Exit::Done);
    }
    let word = if dry { "would go" } else { "removed" };
    for ended in &view.tasks {
        let (kind, status) = (super::terminal::text::harmless(&ended.kind), &ended.status);
        console
            .line(&format!("{word}: {} tasks of kind {kind} ({status}) that ended long ago", ended.tasks))?;
    }
    let (count, size) = (view.blobs.count, view.blobs.bytes);
    let word = if dry && view.held_by.is_some() { "held back" } else { word };
    console.line(&format!("{word}: {count} blobs that nothing names, {size} bytes"))?;
    match view.held_by {
        Some(held @ HeldView::Backup) => console.line(held.told())?,
        // What removes ends with it.
        Some(held @ (HeldView::Clock | HeldView::EmptyDatabase | HeldView::MovedAway)) if dry => {
            console.line(held.told())?;
        }
        Some(HeldView::Clock | HeldView::EmptyDatabase | HeldView::MovedAway) | None => {}
    }
    if view.more {
        console.line("that is not all: the time for looking was over")?;
    }
    for name in &view.blobs.names {
        console.line(&format!("  {}", super::terminal::text::harmless(name)))?;
    }
    Ok(Exit::Done)
}
