//! `gristmill migrate`: brings the schema up to date without serving; with `--to`, moves all rows to PostgreSQL.

use std::io::Read as _;

use clap::Args;

use super::problem::Problem;
use super::terminal::{Console, Manners};
use super::watched::{problem, said, watched};
use super::{Exit, block_on};
use crate::app::{Seat, open_archive, open_store};
use crate::backup::move_rows;
use crate::clock::Clock;
use crate::config::{DatabaseUrl, Settings};
use crate::kinds;

/// No address is longer.
const ADDRESS_BYTES: u64 = 4 << 10;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Move all rows from SQLite to this empty database, postgres://user:password@host/database, and compare them there; `-`
    /// reads it from standard input, since everybody on this machine can see a command line. The daemon must be stopped; blobs
    /// stay where they are.
    #[arg(long, value_name = "URL")]
    to: Option<String>,
    #[command(flatten)]
    manners: Manners,
}

/// Opens the database, which is what brings it up to date, and says so; or moves it.
pub(super) fn run(arguments: &Arguments, settings: &Settings) -> Exit {
    match &arguments.to {
        Some(to) => said(move_to(to, settings, &Console::new(&arguments.manners))),
        None => bring_up_to_date(settings),
    }
}

fn bring_up_to_date(settings: &Settings) -> Exit {
    let migrated = block_on(async {
        let store = open_store(settings, &kinds::outside(&settings.kinds), Clock::system()).await?;
        let version = store.schema().await;
        store.close().await;
        version
    });
    let place = match &settings.database.url {
        DatabaseUrl::Sqlite { path } => path.display().to_string(),
        DatabaseUrl::Postgres(url) => url.to_string(),
    };
    match migrated {
        Ok(Ok(version)) => {
            say!("{place}: schema {version}, up to date");
            Exit::Done
        }
        Ok(Err(error)) => {
            eprintln!("{place}: {error}");
            Exit::Failed
        }
        Err(error) => {
            eprintln!("the runtime cannot be started: {error}");
            Exit::Failed
        }
    }
}

/// The address that was given, or the one that standard input has.
fn address(to: &str) -> Result<DatabaseUrl, Problem> {
    let mut read = String::new();
    if to == "-" {
        let input = std::io::stdin().lock().take(ADDRESS_BYTES).read_to_string(&mut read);
        input.map_err(|error| Problem::usage(format!("--to -: standard input: {error}")))?;
    } else {
        to.clone_into(&mut read);
    }
    read.trim().parse().map_err(|problem| Problem::usage(format!("--to {problem}")))
}

fn move_to(to: &str, settings: &Settings, console: &Console) -> Result<Exit, Problem> {
    let url = address(to)?;
    let target = match &url {
        DatabaseUrl::Postgres(target) => target.to_string(),
        DatabaseUrl::Sqlite { .. } => {
            return Err(Problem::usage("--to names a file: it moves to PostgreSQL only")
                .hint("the way back is `gristmill backup` there, and `gristmill restore` here"));
        }
    };
    let DatabaseUrl::Sqlite { path } = &settings.database.url else {
        return Err(Problem::usage(format!(
            "database.url is {}, which is PostgreSQL already: --to moves from SQLite",
            settings.database.url
        )));
    };
    if !path.exists() {
        return Err(Problem::failed(format!("{}: there is no database to move", path.display())));
    }
    let failed = |error: &dyn std::fmt::Display| Problem::failed(error.to_string());
    // With both nobody writes until the end: what is moved is all there is.
    let seat = Seat::take(settings.data_dir()).map_err(|error| failed(&error))?;
    let moved = watched(console, |handle, watcher| {
        let outside = kinds::outside(&settings.kinds);
        let store = open_store(settings, &outside, Clock::system());
        let store = handle.block_on(store).map_err(|error| failed(&error))?;
        let archive = |url| open_archive(url, settings, Clock::system()).map_err(|error| failed(&error));
        let moved = move_rows(&*archive(&settings.database.url)?, &*archive(&url)?, handle, watcher);
        handle.block_on(store.close());
        moved.map_err(|error| problem(&error))
    })?;
    drop(seat);
    if console.json {
        console.json_line(&moved)?;
        return Ok(Exit::Done);
    }
    console.line(&format!(
        "moved {} rows of {} tables from {} to {target}; each table was read there and compared",
        moved.rows,
        moved.tables,
        path.display()
    ))?;
    console.remark(
        "Now set `database.url` to the new address, and start the daemon. Blobs stay where they are.",
    );
    console.remark(&format!(
        "{} has all its rows still: keep it until all is well. It has a mark that they moved away: a daemon that starts on it \
         warns, and removes no files.",
        path.display()
    ));
    Ok(Exit::Done)
}
