//! `gristmill backup`: saves the installation, beside a daemon that runs or without one; lists what was saved, and checks it.

use clap::Args;
use uuid::Uuid;

use super::Exit;
use super::problem::Problem;
use super::terminal::table::{Cell, Column, Table};
use super::terminal::{Colour, Console, Manners};
use super::watched::{place, problem, said, size, watched};
use crate::app::{open_backups, open_blobs};
use crate::backup::{Backups, Checked, Listed, Name, Summary};
use crate::clock::Clock;
use crate::config::{BlobCare, Settings};

const COLUMNS: [Column; 7] = [
    Column::new("BACKUP"),
    Column::new("SHOWS").optional(),
    Column::new("SCHEMA").right().optional(),
    Column::new("ROWS").right(),
    Column::new("BLOBS").right(),
    Column::new("SIZE").right(),
    Column::new("LACKS").right(),
];

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Where to, instead of `backup.to`: a folder, or s3://BUCKET/PREFIX with the keys of the settings.
    #[arg(long, value_name = "PLACE")]
    to: Option<String>,
    /// How many backups stay there, instead of `backup.keep`.
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    keep: Option<u32>,
    /// Only list the blobs, and see that each is there, as `backup.blobs = "reference"`.
    #[arg(long)]
    reference: bool,
    /// List the backups that are there, and make none.
    #[arg(long, conflicts_with_all = ["keep", "reference", "check"])]
    list: bool,
    /// Read all of a backup, the newest unless one is named, and compare it with its sums; make none.
    #[arg(long, value_name = "NAME", num_args = 0..=1, default_missing_value = "", conflicts_with_all = ["keep", "reference"])]
    check: Option<String>,
    #[command(flatten)]
    manners: Manners,
}

/// Makes one, or looks at those that are there.
pub(super) fn run(arguments: &Arguments, mut settings: Settings) -> Exit {
    let console = Console::new(&arguments.manners);
    said(backup(arguments, &mut settings, &console))
}

fn backup(arguments: &Arguments, settings: &mut Settings, console: &Console) -> Result<Exit, Problem> {
    if let Some(to) = &arguments.to {
        settings.backup.to = place(to)?;
    }
    settings.backup.keep = arguments.keep.unwrap_or(settings.backup.keep);
    if arguments.reference {
        settings.backup.blobs = BlobCare::Reference;
    }
    let failed = |error: &dyn std::fmt::Display| Problem::failed(error.to_string());
    let clock = Clock::system();
    // A seat of its own: a daemon's drafts are let alone.
    let seat = format!("backup-{}", Uuid::new_v4().simple());
    let blobs = open_blobs(settings, &seat, clock.clone()).map_err(|error| failed(&error))?;
    let backups = open_backups(settings, blobs, clock, None).map_err(|error| failed(&error))?;
    if arguments.list {
        return list(&backups, console);
    }
    match &arguments.check {
        Some(name) => check(&backups, name, console),
        None => make(&backups, settings, console),
    }
}

fn make(backups: &Backups, settings: &Settings, console: &Console) -> Result<Exit, Problem> {
    let made =
        watched(console, |handle, watcher| backups.make(handle, watcher).map_err(|error| problem(&error)))?;
    if console.json {
        console.json_line(&made)?;
    } else {
        console.line(&story(&made, &settings.backup.to.to_string()))?;
    }
    for remark in &made.remarks {
        console.warn(remark);
    }
    if made.lost == 0 {
        return Ok(Exit::Done);
    }
    console.warn(&format!(
        "{} blobs are not to be found, or damaged, and are not in the backup: {}",
        made.lost,
        made.lost_blobs.join(", ")
    ));
    Ok(Exit::CheckFailed)
}

fn story(made: &Summary, place: &str) -> String {
    let removed = match made.removed.len() {
        0 => String::new(),
        removed => format!("; removed {removed} older"),
    };
    format!(
        "{}: {} rows ({}), {} blobs ({}), {} of them copied now ({}), in {:.1} s, to {place}{removed}",
        made.name,
        made.rows,
        size(made.bytes),
        made.blobs,
        size(made.blob_bytes),
        made.copied,
        size(made.copied_bytes),
        std::time::Duration::from_millis(made.took_ms).as_secs_f64(),
    )
}

fn list(backups: &Backups, console: &Console) -> Result<Exit, Problem> {
    let found = backups.list().map_err(|error| problem(&error))?;
    let mut table = Table::new(&COLUMNS);
    let mut exit = Exit::Done;
    for backup in found {
        let manifest = match backup {
            Ok(manifest) => manifest,
            Err(error) => {
                console.warn(&error.to_string());
                exit = Exit::CheckFailed;
                continue;
            }
        };
        let listed = Listed::from(&manifest);
        if console.json {
            console.json_line(&listed)?;
            continue;
        }
        table.row(vec![
            Cell::new(listed.name),
            Cell::new(listed.created_at),
            Cell::new(listed.schema.to_string()),
            Cell::new(listed.rows.to_string()),
            Cell::new(listed.blobs.to_string()),
            Cell::new(size(listed.bytes + listed.blob_bytes)),
            Cell::new(listed.lost.to_string()),
        ]);
    }
    if !console.json {
        console.table(&table)?;
    }
    Ok(exit)
}

fn check(backups: &Backups, name: &str, console: &Console) -> Result<Exit, Problem> {
    let name: Option<Name> = match name {
        "" => None,
        name => {
            Some(name.parse().map_err(|error: crate::backup::NameError| Problem::usage(error.to_string()))?)
        }
    };
    let mut damage = false;
    let checked = watched(console, |_, watcher| {
        backups.check(name.as_ref(), watcher).map_err(|error| {
            damage = error.is_damage();
            problem(&error)
        })
    });
    let Checked { name, rows, blobs, blob_bytes, lost } = match checked {
        Ok(checked) if console.json => {
            console.json_line(&checked)?;
            return Ok(if checked.lost == 0 { Exit::Done } else { Exit::CheckFailed });
        }
        Ok(checked) => checked,
        Err(problem) if damage => {
            problem.say();
            return Ok(Exit::CheckFailed);
        }
        Err(problem) => return Err(problem),
    };
    let sound = console.paint(Some(Colour::Green), "sound");
    console.line(&format!("{name}: {sound}: {rows} rows, {blobs} blobs ({})", size(blob_bytes)))?;
    if lost == 0 {
        return Ok(Exit::Done);
    }
    console.warn(&format!("{lost} blobs were lost when it was made, and are not in it"));
    Ok(Exit::CheckFailed)
}
