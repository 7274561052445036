//! Whether there is room for more: what is known of the disks, and what is promised to uploads under way.
//!
//! Filled by the warden, once a second; asked by the door, the routes that take files, and the folder of variants, which
//! cost no system call. True here: each disk is judged by itself; below what must stay free (`storage.*`) nothing new is
//! taken, and a disk that was too full is so until there is some room more than that, so that it does not come and go; a
//! disk of which nothing is known refuses nothing.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::disk::{Room, room_at};
use super::metrics::{Disk, DiskMetrics};
use crate::config::{BlobUrl, DatabaseUrl, Settings};

/// There is no room for what was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the disk of the {} is nearly full, and nothing new is taken: remove what is not needed, or have whoever runs \
         this daemon make room; what is here can be read and removed, and what runs goes on", .disk.as_str())]
pub struct Scarce {
    /// Which disk.
    pub disk: Disk,
}

/// What must stay free on a disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Floor {
    bytes: u64,
    percent: u64,
}

impl Floor {
    fn of(self, total: u64) -> u64 {
        self.bytes.max(total / 100 * self.percent)
    }
}

/// What is known of a disk.
#[derive(Debug, Clone, Copy, Default)]
struct State {
    /// Nothing before it was first looked at, and while it cannot be.
    room: Option<Room>,
    /// What is free inside the database's file, which it fills before it grows.
    inside: u64,
    /// Promised to uploads under way, and not written yet.
    promised: u64,
    low: bool,
}

impl State {
    /// Whether so much more would leave too little.
    fn refuses(&self, more: u64, floor: Floor) -> bool {
        let Some(room) = self.room else { return false };
        let wanted = self.promised.saturating_add(more);
        self.low || wanted > 0 && is_low(room, self.inside, floor.of(room.total).saturating_add(wanted))
    }

    fn judge(&mut self, floor: Floor) {
        let Some(room) = self.room else { return };
        let least = floor.of(room.total);
        let least = if self.low { least.saturating_add(least / 8) } else { least };
        self.low = least > 0 && is_low(room, self.inside, least);
    }
}

/// A quarter must be free outside of the file all the same: whatever is written goes through the database's log first.
fn is_low(room: Room, inside: u64, least: u64) -> bool {
    room.free.saturating_add(inside) < least || room.free < least / 4
}

#[derive(Debug)]
struct Watched {
    disk: Disk,
    path: PathBuf,
    state: Mutex<State>,
}

impl Watched {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A disk that is too full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Low {
    /// Which.
    pub disk: Disk,
    /// What is free, in bytes.
    pub free: u64,
    /// What must be.
    pub least: u64,
}

/// What is known of the disks. Clones share it; the default watches none, and refuses nothing.
#[derive(Debug, Clone, Default)]
pub struct Space {
    inner: Arc<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    watched: Vec<Watched>,
    floor: Option<Floor>,
}

/// Room that is promised to an upload, given back when this is dropped.
#[derive(Debug, Default)]
pub struct Promise {
    space: Space,
    /// Not written yet.
    left: u64,
}

impl Space {
    /// What the settings name on this machine, not looked at yet.
    #[must_use]
    pub fn of(settings: &Settings) -> Self {
        let data = settings.data_dir();
        let mut watched = vec![(Disk::Data, data.to_owned())];
        if let DatabaseUrl::Sqlite { path } = &settings.database.url {
            watched.push((Disk::Database, folder_of(path)));
        }
        watched.push((
            Disk::Files,
            match &settings.blobs.url {
                BlobUrl::File { folder } => folder.clone(),
                // What goes to a bucket is a draft here first.
                BlobUrl::Bucket { .. } => data.to_owned(),
            },
        ));
        watched.push((Disk::Variants, settings.images.cache_dir.clone()));
        if let Some(log) = &settings.log.file {
            watched.push((Disk::Log, folder_of(log)));
        }
        let storage = &settings.storage;
        let (bytes, percent) = (storage.min_free_bytes.bytes(), u64::from(storage.min_free_percent));
        Self::watching(watched, bytes, percent)
    }

    /// Those disks, by a folder on each, of which so many bytes and so much of a hundred must stay free.
    #[must_use]
    pub fn watching(disks: Vec<(Disk, PathBuf)>, bytes: u64, percent: u64) -> Self {
        let watch = |(disk, path)| Watched { disk, path, state: Mutex::default() };
        let watched = disks.into_iter().map(watch).collect();
        Self { inner: Arc::new(Inner { watched, floor: Some(Floor { bytes, percent }) }) }
    }

    /// Whether the database is a file on a disk of this machine.
    #[must_use]
    pub fn holds_database(&self) -> bool {
        self.inner.watched.iter().any(|watched| watched.disk == Disk::Database)
    }

    /// Looks at every disk; may wait for them. `inside` is what the database's file has free in it, in bytes; `None` where that
    /// is not known now, and then it is what it was last. Gives the disks that are too full.
    pub fn look(&self, inside: Option<u64>, metrics: &DiskMetrics) -> Vec<Low> {
        let Some(floor) = self.inner.floor else { return Vec::new() };
        let mut low = Vec::new();
        for watched in &self.inner.watched {
            let room = match room_at(&watched.path) {
                Ok(room) => Some(room),
                Err(error) => {
                    tracing::debug!(%error, path = %watched.path.display(), "a disk cannot be looked at");
                    None
                }
            };
            let mut state = watched.state();
            state.room = room;
            if let (Disk::Database, Some(inside)) = (watched.disk, inside) {
                state.inside = inside;
            }
            state.judge(floor);
            if let Some(room) = room {
                metrics.seen(watched.disk, room.free, room.total, state.low);
                if state.low {
                    low.push(Low { disk: watched.disk, free: room.free, least: floor.of(room.total) });
                }
            }
        }
        low
    }

    /// Whether rows may be added.
    ///
    /// # Errors
    /// [`Scarce`] where the database's disk is too full.
    pub fn for_rows(&self) -> Result<(), Scarce> {
        self.check(Disk::Database, 0)
    }

    /// Room for an upload, which adds rows as well: of so many bytes, as far as that is known beforehand.
    ///
    /// # Errors
    /// [`Scarce`] where one of the two disks is too full, or would be with it.
    pub fn for_file(&self, bytes: Option<u64>) -> Result<Promise, Scarce> {
        self.for_rows()?;
        let bytes = bytes.unwrap_or(0);
        let Some(files) = self.find(Disk::Files) else { return Ok(Promise::default()) };
        let mut state = files.state();
        if self.inner.floor.is_some_and(|floor| state.refuses(bytes, floor)) {
            return Err(Scarce { disk: Disk::Files });
        }
        state.promised = state.promised.saturating_add(bytes);
        drop(state);
        Ok(Promise { space: self.clone(), left: bytes })
    }

    /// Whether a variant of so many bytes may be kept.
    #[must_use]
    pub fn keeps_variants(&self, bytes: u64) -> bool {
        self.check(Disk::Variants, bytes).is_ok()
    }

    fn check(&self, disk: Disk, more: u64) -> Result<(), Scarce> {
        let refused = self.find(disk).zip(self.inner.floor);
        match refused.is_some_and(|(watched, floor)| watched.state().refuses(more, floor)) {
            true => Err(Scarce { disk }),
            false => Ok(()),
        }
    }

    fn find(&self, disk: Disk) -> Option<&Watched> {
        self.inner.watched.iter().find(|watched| watched.disk == disk)
    }
}

impl Promise {
    /// So many bytes of it are on the disk now. What says beforehand how long it is has its room; what does not is refused
    /// in the middle when it comes to that.
    ///
    /// # Errors
    /// [`Scarce`] when it is more than was promised, and there is no room for more.
    pub fn wrote(&mut self, bytes: u64) -> Result<(), Scarce> {
        let Some(files) = self.space.find(Disk::Files) else { return Ok(()) };
        let kept = bytes.min(self.left);
        self.left -= kept;
        let mut state = files.state();
        state.promised = state.promised.saturating_sub(kept);
        if let Some(room) = &mut state.room {
            // Until somebody looks again.
            room.free = room.free.saturating_sub(bytes);
        }
        let beyond = bytes > kept && self.space.inner.floor.is_some_and(|floor| state.refuses(1, floor));
        if beyond { Err(Scarce { disk: Disk::Files }) } else { Ok(()) }
    }
}

impl Drop for Promise {
    fn drop(&mut self) {
        if let Some(files) = self.space.find(Disk::Files) {
            let mut state = files.state();
            state.promised = state.promised.saturating_sub(self.left);
        }
    }
}

fn folder_of(file: &Path) -> PathBuf {
    match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
        Some(_) | None => PathBuf::from("."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A space whose disks have so many bytes, and so many of them free.
    fn space(total: u64, free: u64, floor: u64) -> Space {
        let disks = [Disk::Database, Disk::Files, Disk::Variants].map(|disk| (disk, PathBuf::new()));
        let space = Space::watching(disks.into(), floor, 0);
        set(&space, Room { total, free }, 0);
        space
    }

    /// As a look does.
    fn set(space: &Space, room: Room, inside: u64) {
        for watched in &space.inner.watched {
            let mut state = watched.state();
            (state.room, state.inside) = (Some(room), inside);
            state.judge(space.inner.floor.unwrap());
        }
    }

    #[test]
    fn below_the_floor_nothing_is_taken_and_above_it_only_with_some_room_more() {
        let space = space(1_000, 80, 80);
        assert!(space.for_rows().is_ok() && space.for_file(None).is_ok() && space.keeps_variants(0));
        for (free, taken) in [(79, false), (80, false), (89, false), (90, true), (80, true)] {
            set(&space, Room { total: 1_000, free }, 0);
            assert_eq!(space.for_rows().is_ok(), taken, "{free}");
            assert_eq!(space.for_file(None).is_ok(), taken, "{free}");
            assert_eq!(space.keeps_variants(0), taken, "{free}");
        }
    }

    #[test]
    fn an_upload_is_promised_its_room_once_and_gives_back_what_it_did_not_need() {
        let space = space(1_000, 300, 100);
        let mut one = space.for_file(Some(150)).unwrap();
        assert!(space.for_file(Some(51)).is_err(), "100 must stay free, and 150 are promised");
        let two = space.for_file(Some(50)).unwrap();
        assert!(space.for_file(Some(1)).is_err());
        one.wrote(100).unwrap();
        assert!(space.for_file(Some(1)).is_err(), "what was written is not counted twice, nor forgotten");
        drop((one, two));
        assert!(space.for_file(Some(100)).is_ok(), "200 are free");
        assert!(space.for_file(Some(101)).is_err());
    }

    #[test]
    fn what_does_not_say_its_length_is_refused_in_the_middle() {
        let space = space(1_000, 200, 100);
        let mut promise = space.for_file(None).unwrap();
        promise.wrote(60).unwrap();
        assert_eq!(promise.wrote(60), Err(Scarce { disk: Disk::Files }));
    }

    #[test]
    fn what_is_free_inside_the_database_counts_as_long_as_its_log_has_room() {
        let space = space(1_000, 30, 80);
        assert!(space.for_rows().is_err());
        for (free, inside, taken) in [(30, 40, false), (30, 60, true), (19, 500, false)] {
            set(&space, Room { total: 1_000, free }, inside);
            assert_eq!(space.for_rows().is_ok(), taken, "{free} {inside}");
        }
    }

    #[test]
    fn a_part_of_the_disk_may_be_what_must_stay_free_and_nothing_is_known_at_first() {
        let space = Space::watching(vec![(Disk::Files, PathBuf::new())], 10, 20);
        assert!(space.for_file(Some(u64::MAX)).is_ok(), "nothing is known yet");
        set(&space, Room { total: 1_000, free: 200 }, 0);
        assert!(space.for_file(None).is_ok());
        set(&space, Room { total: 1_000, free: 199 }, 0);
        assert!(space.for_file(None).is_err());
        let off = Space::watching(vec![(Disk::Files, PathBuf::new())], 0, 0);
        set(&off, Room { total: 1_000, free: 0 }, 0);
        assert!(off.for_file(None).is_ok(), "nothing must stay free");
    }

    #[test]
    fn a_look_sees_the_disk_and_shows_it() {
        let folder = tempfile::tempdir().unwrap();
        let disks = vec![(Disk::Data, folder.path().to_owned()), (Disk::Log, folder.path().join("none"))];
        let space = Space::watching(disks, u64::MAX / 2, 0);
        let low = space.look(None, &DiskMetrics::new());
        assert_eq!(low.len(), 1, "what cannot be looked at is not known: {low:?}");
        assert_eq!(low[0].disk, Disk::Data);
    }
}
