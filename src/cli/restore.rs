//! `gristmill restore`: fills this installation, which must be empty, from a backup.

use clap::Args;

use super::Exit;
use super::problem::Problem;
use super::terminal::{Console, Manners};
use super::watched::{above, place, problem, said, size, watched};
use crate::app::{Seat, open_backups, open_blobs};
use crate::backup::{Name, NameError};
use crate::clock::Clock;
use crate::config::{BlobUrl, Settings};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Where backups lie, or a backup itself: a folder, or s3://BUCKET/PREFIX with the keys of the settings.
    from: String,
    /// Which of them; the newest unless given.
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    #[command(flatten)]
    manners: Manners,
}

/// Restores, and proves that it did.
pub(super) fn run(arguments: &Arguments, settings: &Settings) -> Exit {
    let console = Console::new(&arguments.manners);
    said(restore(arguments, settings, &console))
}

fn restore(arguments: &Arguments, settings: &Settings, console: &Console) -> Result<Exit, Problem> {
    let (from, name) = which(&arguments.from, arguments.name.as_deref())?;
    if let Some(folder) = from.folder()
        && !folder.is_dir()
    {
        return Err(Problem::failed(format!("{}: there is no such folder", folder.display())));
    }
    let failed = |error: &dyn std::fmt::Display| Problem::failed(error.to_string());
    // While a daemon runs here, it is not empty.
    let seat = Seat::take(settings.data_dir()).map_err(|error| failed(&error))?;
    let clock = Clock::system();
    let blobs = open_blobs(settings, seat.name(), clock.clone()).map_err(|error| failed(&error))?;
    let backups = open_backups(settings, blobs, clock, Some(from)).map_err(|error| failed(&error))?;
    let restored = watched(console, |handle, watcher| {
        backups.restore(name.as_ref(), handle, watcher).map_err(|error| problem(&error))
    })?;
    drop(seat);
    if console.json {
        console.json_line(&restored)?;
    } else {
        console.line(&format!(
            "restored {}, which shows {}: {} rows into {}, {} blobs ({}) in {}; all of it was read again and compared",
            restored.name,
            restored.created_at,
            restored.rows,
            settings.database.url,
            restored.blobs,
            size(restored.blob_bytes),
            settings.blobs.url,
        ))?;
    }
    if restored.lost == 0 {
        return Ok(Exit::Done);
    }
    console.warn(&format!(
        "{} blobs were lost when the backup was made: what names them is there without them",
        restored.lost
    ));
    Ok(Exit::CheckFailed)
}

/// The place, and the backup where one is named: by its option, or by the end of the place.
fn which(from: &str, name: Option<&str>) -> Result<(BlobUrl, Option<Name>), Problem> {
    let from = place(from)?;
    if let Some(name) = name {
        let name = name.parse().map_err(|error: NameError| Problem::usage(error.to_string()))?;
        return Ok((from, Some(name)));
    }
    let named = above(&from).and_then(|(above, last)| Some((above, last.parse::<Name>().ok()?)));
    Ok(match named {
        Some((above, name)) => (above, Some(name)),
        None => (from, None),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backup_is_named_by_the_end_of_its_place_as_well() {
        let name = "20260131T030000.000Z-1a2b3c4d";
        for (from, above) in [
            (format!("/srv/backups/{name}"), "file:/srv/backups"),
            (name.to_owned(), "file:."),
            (format!("s3://bucket/mill/{name}"), "s3://bucket/mill"),
            (format!("s3://bucket/{name}"), "s3://bucket"),
        ] {
            let (place, found) = which(&from, None).unwrap();
            assert_eq!((place.to_string().as_str(), found.unwrap().as_str()), (above, name), "{from}");
        }
        let (place, found) = which("/srv/backups", None).unwrap();
        assert_eq!((place.to_string().as_str(), found), ("file:/srv/backups", None));
        assert!(which("/srv/backups", Some("newest")).is_err());
    }
}
