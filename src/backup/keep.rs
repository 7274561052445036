//! Which backups stay, and what goes with the others.
//!
//! Called before every backup, and at its end. True here:
//! - A place where blobs lie that no backup put there is none for backups.
//! - The backup that was just made stays. Of whole backups the newest `keep` stay; one that lacks blobs pushes out none that has them all, so the newest of those
//!   stays too.
//! - A backup that was broken off is removed once it has shown no sign of life for a day.
//! - A copied blob is removed when no manifest names it, and no backup is under way: one that is may have found it there, and
//!   count on it. Who cleans says so first and looks for others then; who begins a backup says so first and waits for who
//!   cleans: of two that meet, one sees the other.
//! - When a manifest cannot be read, blobs stay: it may name any.

use std::collections::{HashMap, HashSet};
use std::thread;
use std::time::{Duration, Instant};

use uuid::Uuid;

use super::error::BackupError;
use super::lines;
use super::manifest::Manifest;
use super::name::{BLOBS, CLEANING, MARK, Name, blob_of};
use crate::blob::{Item, Shelf};
use crate::task::BlobName;

/// A backup that is broken off is removed when it showed no sign of life for so long.
const BROKEN_OFF: Duration = Duration::from_secs(24 * 3600);

/// A backup shows signs of life much more often than this; with none for so long it does not count on any blob.
const SILENT: Duration = Duration::from_secs(3600);

/// Who cleans up is done within this, or was killed.
const CLEANING_TAKES: Duration = Duration::from_secs(1800);

/// How often to look whether somebody still cleans up.
const LOOK: Duration = Duration::from_millis(500);

/// So many blobs are removed at a time.
const AT_ONCE: usize = 100;

/// About so many names of blobs are in memory at once.
const NAMES: u64 = 200_000;

/// What the mark says.
const TOLD: &str = "Backups of gristmill, a folder each; `blobs` has the copies that all of them share.\n";

/// What a cleaning came to.
#[derive(Debug, Default)]
pub(super) struct Cleaned {
    /// The names of backups that went.
    pub(super) gone: Vec<String>,
    /// What stayed, and somebody should know of.
    pub(super) remarks: Vec<String>,
}

/// Marks the place as one of backups. Refused where blobs lie that no backup can have put there: whoever cleans up would take
/// them for copies that nobody needs.
pub(super) fn claim(shelf: &Shelf) -> Result<(), BackupError> {
    if shelf.read(MARK)?.is_some() {
        return Ok(());
    }
    if names(shelf)?.is_empty() && shelf.list(BLOBS)?.iter().any(|item| blob_of(&item.name).is_some()) {
        return Err(BackupError::NotABackupPlace(shelf.to_string()));
    }
    Ok(shelf.put_bytes(TOLD.as_bytes(), MARK)?)
}

/// The names of all that was begun there, the oldest first.
pub(super) fn names(shelf: &Shelf) -> Result<Vec<Name>, BackupError> {
    let mut names: Vec<Name> = shelf.folders()?.iter().filter_map(|name| name.parse().ok()).collect();
    names.sort();
    Ok(names)
}

/// The manifests of all that is whole, the oldest first.
pub(super) fn manifests(shelf: &Shelf) -> Result<Vec<Result<Manifest, BackupError>>, BackupError> {
    Ok(names(shelf)?.iter().filter_map(|name| Manifest::read(shelf, name).transpose()).collect())
}

/// The newest that is whole.
pub(super) fn newest(shelf: &Shelf) -> Result<Option<Manifest>, BackupError> {
    for name in names(shelf)?.iter().rev() {
        match Manifest::read(shelf, name) {
            Ok(Some(manifest)) => return Ok(Some(manifest)),
            Ok(None) => {}
            // The one before it may be sound.
            Err(error @ BackupError::Damaged { .. }) => tracing::warn!(%error, "a backup is passed over"),
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

/// The newest that is whole, or what is wrong with a newer one.
fn newest_or_damaged(shelf: &Shelf) -> Result<Option<Result<Manifest, BackupError>>, BackupError> {
    for name in names(shelf)?.iter().rev() {
        match Manifest::read(shelf, name) {
            Ok(Some(manifest)) => return Ok(Some(Ok(manifest))),
            Ok(None) => {}
            Err(error @ BackupError::Damaged { .. }) => return Ok(Some(Err(error))),
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

/// The backup of that name, or the newest. An older one is never taken in silence for a newer that is damaged.
pub(super) fn find(shelf: &Shelf, name: Option<&Name>) -> Result<Manifest, BackupError> {
    let found = match name {
        Some(name) => Manifest::read(shelf, name)?,
        None => match newest_or_damaged(shelf)? {
            Some(Ok(manifest)) => Some(manifest),
            Some(Err(error)) => {
                let whole = newest(shelf)?.map_or_else(
                    || "no other is whole".to_owned(),
                    |manifest| {
                        format!("to use an older one, name it: {} is the newest that is whole", manifest.name)
                    },
                );
                return Err(BackupError::NewestDamaged { problem: error.to_string(), whole });
            }
            None => None,
        },
    };
    found.ok_or_else(|| BackupError::NoBackup {
        place: shelf.to_string(),
        which: name.map_or_else(|| " that is whole".to_owned(), |name| format!(" of the name {name}, whole")),
    })
}

/// What kept a backup from being read that was there: no damage where it has been removed since. What goes first with a backup is
/// its manifest.
pub(super) fn removed_or(error: BackupError, shelf: &Shelf, name: &Name) -> BackupError {
    let may_be = error.is_damage() || matches!(error, BackupError::Io { .. });
    if may_be && matches!(Manifest::read(shelf, name), Ok(None)) {
        return BackupError::Removed { place: shelf.to_string(), backup: name.to_string() };
    }
    error
}

/// Waits until nobody cleans up the place. To be called after a sign of life was put there.
pub(super) fn wait_for_cleaners(shelf: &Shelf, is_over: impl Fn() -> bool) -> Result<(), BackupError> {
    wait_at_most(CLEANING_TAKES, shelf, is_over)
}

/// The same, where who cleans up is done within `takes`.
fn wait_at_most(takes: Duration, shelf: &Shelf, is_over: impl Fn() -> bool) -> Result<(), BackupError> {
    let (mut waited, look) = (Duration::ZERO, LOOK.min(takes));
    let mut seen: HashMap<String, Instant> = HashMap::new();
    loop {
        let there = shelf.list(CLEANING)?.into_iter().filter(|cleaner| cleaner.age < takes);
        // However a sign is dated, and be it in the future: who is seen for so long was killed.
        let is_dead = |sign: &String| seen.get(sign).is_some_and(|since| since.elapsed() >= takes);
        let (dead, alive): (Vec<String>, Vec<String>) = there.map(|cleaner| cleaner.name).partition(is_dead);
        shelf.remove(&dead)?;
        if alive.is_empty() {
            return Ok(());
        }
        if is_over() {
            return Err(BackupError::Stopped);
        }
        // Longer than any that was there at the beginning.
        if waited > takes * 2 {
            return Err(BackupError::Busy(shelf.to_string()));
        }
        for sign in alive {
            seen.entry(sign).or_insert_with(Instant::now);
        }
        thread::sleep(look);
        waited += look;
    }
}

/// Removes what is too much, after `made` was, which stays whatever the names of others say.
pub(super) fn clean(shelf: &Shelf, keep: usize, made: &Name) -> Result<Cleaned, BackupError> {
    let mut cleaned = Cleaned::default();
    let names = names(shelf)?;
    let (mut whole, mut unread, mut under_way) = (Vec::new(), false, false);
    for name in &names {
        match Manifest::read(shelf, name) {
            Ok(Some(manifest)) => whole.push((name, manifest)),
            Ok(None) if name == made => {}
            Ok(None) => {
                let files = shelf.list(name.as_str())?;
                if files.is_empty() {
                    remove_empty(shelf, name, made)?;
                } else if silence(&files) > BROKEN_OFF {
                    remove(shelf, name, &files)?;
                    tracing::info!(%name, "removed what was left of a backup that was broken off");
                } else {
                    under_way |= silence(&files) < SILENT;
                }
            }
            Err(error @ BackupError::Damaged { .. }) => {
                tracing::warn!(%error, "a backup is damaged, and stays; so do all copied blobs until it is removed");
                cleaned
                    .remarks
                    .push(format!("{error}; it stays, and so do all copied blobs until it is removed"));
                unread = true;
            }
            Err(error) => return Err(error),
        }
    }
    let sound = whole.iter().rposition(|(_, manifest)| manifest.lost == 0);
    let first = whole.len().saturating_sub(keep);
    let mut stay = Vec::new();
    for (place, (name, manifest)) in whole.into_iter().enumerate() {
        if place >= first || Some(place) == sound || name == made {
            stay.push((name, manifest));
            continue;
        }
        // The manifest first: half a backup must not look like a whole one.
        shelf.remove(&[name.manifest()])?;
        remove(shelf, name, &shelf.list(name.as_str())?)?;
        cleaned.gone.push(name.to_string());
    }
    // Nothing lost any backup: what could be removed was removed before, or waits for its next chance.
    if !unread && !under_way {
        clean_blobs(shelf, &stay, made)?;
    }
    Ok(cleaned)
}

/// Removes copied blobs that no manifest names, after a backup failed and was taken back; nothing where another is under way,
/// or a manifest cannot be read.
pub(super) fn clean_after_failure(shelf: &Shelf, failed: &Name) -> Result<(), BackupError> {
    let names = names(shelf)?;
    let mut stay = Vec::new();
    for name in names.iter().filter(|name| *name != failed) {
        match Manifest::read(shelf, name)? {
            Some(manifest) => stay.push((name, manifest)),
            None if silence(&shelf.list(name.as_str())?) < SILENT => return Ok(()),
            None => {}
        }
    }
    clean_blobs(shelf, &stay, failed)
}

/// How long a backup has been silent. One that has no file yet counts on nothing yet: its sign of life is its first, and it looks
/// for who cleans after that.
fn silence(files: &[Item]) -> Duration {
    files.iter().map(|file| file.age).min().unwrap_or(Duration::MAX)
}

/// Removes the folder that was left where one was killed between its making and the first file, or before it was removed. Told by
/// its name, since folders have no age here: where one was made a moment ago, its first file is on the way.
fn remove_empty(shelf: &Shelf, name: &Name, made: &Name) -> Result<(), BackupError> {
    let (Some(begun), Some(now)) = (name.begun_at(), made.begun_at()) else { return Ok(()) };
    if now.signed_duration_since(begun).to_std().is_ok_and(|ago| ago > BROKEN_OFF) {
        // A file that is not there, and the folder with it, as it is empty.
        shelf.remove(&[name.manifest()])?;
    }
    Ok(())
}

fn remove(shelf: &Shelf, name: &Name, files: &[Item]) -> Result<(), BackupError> {
    let ours = |item: &&Item| item.name.starts_with(&format!("{name}/"));
    let names: Vec<String> = files.iter().filter(ours).map(|item| item.name.clone()).collect();
    Ok(shelf.remove(&names)?)
}

/// Removes copied blobs that no manifest names.
fn clean_blobs(shelf: &Shelf, stay: &[(&Name, Manifest)], made: &Name) -> Result<(), BackupError> {
    let old: Vec<String> = shelf
        .list(CLEANING)?
        .into_iter()
        .filter(|cleaner| cleaner.age >= CLEANING_TAKES)
        .map(|cleaner| cleaner.name)
        .collect();
    shelf.remove(&old)?;
    let sign = format!("{CLEANING}/{}", Uuid::new_v4().simple());
    shelf.put_bytes(b"", &sign)?;
    let cleaned = clean_alone(shelf, stay, made);
    shelf.remove(&[sign])?;
    cleaned
}

fn clean_alone(shelf: &Shelf, stay: &[(&Name, Manifest)], made: &Name) -> Result<(), BackupError> {
    let begun = Instant::now();
    let known: HashSet<&Name> = stay.iter().map(|(name, _)| *name).collect();
    // After the sign: whoever began before is seen here, whoever begins later waits for us. What was finished since the
    // manifests were read names blobs that we do not know of.
    for name in names(shelf)?.iter().filter(|name| *name != made && !known.contains(name)) {
        let whole = Manifest::read(shelf, name)?.is_some();
        if whole || silence(&shelf.list(name.as_str())?) < SILENT {
            return Ok(());
        }
    }
    let mut removed = 0;
    // By the first two digits, as the blobs lie: memory holds a part of the names at a time.
    let with_blobs: Vec<&(&Name, Manifest)> =
        stay.iter().filter(|(_, manifest)| manifest.has_blobs()).collect();
    let all: u64 = with_blobs.iter().map(|(_, manifest)| manifest.blob_count).sum();
    let parts = usize::try_from(all / NAMES).unwrap_or(usize::MAX).clamp(1, 256);
    let firsts: Vec<String> = (0..=u8::MAX).map(|first| format!("{first:02x}")).collect();
    for firsts in firsts.chunks(firsts.len().div_ceil(parts)) {
        let mut named = HashSet::new();
        for (name, manifest) in &with_blobs {
            add_blobs_of(shelf, name, manifest, firsts, &mut named)?;
        }
        for first in firsts {
            let there = shelf.list(&format!("{BLOBS}/{first}"))?.into_iter();
            let spare = |item: Item| {
                Some(item.name).filter(|file| blob_of(file).is_some_and(|blob| !named.contains(&blob)))
            };
            let spare: Vec<String> = there.filter_map(spare).collect();
            for some in spare.chunks(AT_ONCE) {
                // Well before others take us for dead.
                if begun.elapsed() > CLEANING_TAKES / 2 {
                    tracing::info!("cleaning up backups takes long: the next one goes on");
                    return Ok(());
                }
                shelf.remove(some)?;
                removed += some.len();
            }
        }
    }
    if removed > 0 {
        tracing::info!(blobs = removed, "removed copied blobs that no backup names any more");
    }
    Ok(())
}

/// Adds the blobs that a backup names and that begin with one of those pairs of digits, which follow one another.
fn add_blobs_of(
    shelf: &Shelf,
    name: &Name,
    manifest: &Manifest,
    firsts: &[String],
    named: &mut HashSet<BlobName>,
) -> Result<(), BackupError> {
    let (Some(least), Some(most)) = (firsts.first(), firsts.last()) else { return Ok(()) };
    lines::read_list(shelf, name, manifest, |blob, _| {
        let first = blob.as_str().get(..2).unwrap_or_default();
        if (least.as_str()..=most.as_str()).contains(&first) {
            named.insert(blob);
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::time::SystemTime;

    use super::*;
    use crate::clock::Clock;
    use crate::config::{LoadOptions, Settings};

    fn shelf(folder: &std::path::Path) -> Shelf {
        let options = LoadOptions { directory: "no such folder".into(), ..LoadOptions::default() };
        let mut settings = Settings::load(options).unwrap().settings.blobs;
        settings.url = format!("file:{}", folder.display()).parse().unwrap();
        Shelf::open(&settings, folder, Clock::system()).unwrap()
    }

    #[test]
    fn a_cleaner_that_was_killed_is_outwaited_however_its_sign_is_dated() {
        let folder = tempfile::tempdir().unwrap();
        let sign = folder.path().join(CLEANING).join("killed");
        fs::create_dir(folder.path().join(CLEANING)).unwrap();
        let ahead = SystemTime::now() + Duration::from_secs(1_000_000);
        File::create(&sign).unwrap().set_modified(ahead).unwrap();
        let shelf = shelf(folder.path());
        assert!(matches!(wait_at_most(CLEANING_TAKES, &shelf, || true), Err(BackupError::Stopped)));
        assert!(sign.exists(), "it may be alive");
        wait_at_most(Duration::from_millis(20), &shelf, || false).unwrap();
        assert!(!sign.exists());
    }
}
