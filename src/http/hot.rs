//! The images that are asked for often, in memory: a hit asks neither the disk nor the database.
//!
//! [`HotImages`] is used by `serving` alone. True here: what is kept takes no more than `images.memory_cache`, and with
//! what is still on its way to clients no more than [`IN_FLIGHT`] on top; a file is given out only while the image is
//! there, which for deletions by this node is known at once, and for those by others after [`LOOK_AGAIN`], when somebody
//! who asks for it looks at the row. What has been asked for since it was last looked over stays, the rest goes first.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use actix_web::http::header::HeaderValue;
use actix_web::web::Bytes;

use crate::config::ImageSettings;
use crate::intake::Watch;
use crate::media::image::Spec;
use crate::telemetry::metrics::HotMetrics;

/// For how long the row counts as looked at.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// How many bytes of files may be in memory besides what is kept, while they are sent.
const IN_FLIGHT: u64 = 64 << 20;

/// What an entry takes besides the file, roughly.
const OVERHEAD: u64 = 512;

/// The images in memory. Cheap to clone.
#[derive(Clone)]
pub struct HotImages(Arc<Inner>);

struct Inner {
    most: u64,
    /// Bytes of all files that are in memory, kept or on their way.
    alive: Arc<AtomicU64>,
    shelf: Mutex<Shelf>,
    metrics: HotMetrics,
}

/// Which file: an image by its name, or a variant of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Key {
    /// With zeros behind it.
    name: [u8; Key::LONGEST],
    variant: Option<Spec>,
}

impl Key {
    /// The length of the longest name that there is.
    const LONGEST: usize = 27;

    /// The key of that name; `None` for what is too long to be one, or would look like another with zeros behind it.
    pub(super) fn new(name: &str, variant: Option<Spec>) -> Option<Self> {
        let mut padded = [0; Self::LONGEST];
        if name.as_bytes().contains(&0) {
            return None;
        }
        padded.get_mut(..name.len())?.copy_from_slice(name.as_bytes());
        Some(Self { name: padded, variant })
    }
}

/// The headers of a file that are its own.
#[derive(Debug, Clone)]
pub(super) struct Head {
    /// Strong, with its quotes.
    pub(super) etag: HeaderValue,
    /// What its bytes are.
    pub(super) media_type: HeaderValue,
    /// Under which name it may be saved.
    pub(super) disposition: HeaderValue,
}

/// A file in memory, ready to be sent.
#[derive(Debug)]
pub(super) struct Ready {
    pub(super) head: Head,
    pub(super) bytes: Bytes,
    _room: Room,
}

/// Bytes that are counted until this is dropped.
#[derive(Debug)]
pub(super) struct Room {
    alive: Arc<AtomicU64>,
    bytes: u64,
}

impl Drop for Room {
    fn drop(&mut self) {
        self.alive.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

impl Room {
    /// A file for which this was the room.
    pub(super) fn filled(self, head: Head, bytes: Bytes) -> Arc<Ready> {
        Arc::new(Ready { head, bytes, _room: self })
    }
}

/// What there is of a file.
pub(super) enum Found {
    /// The file.
    Here(Arc<Ready>),
    /// The file, and whoever got this is to look whether the image is still there; others are given it meanwhile.
    Unsure(Arc<Ready>),
    /// Nothing.
    Nothing,
}

impl HotImages {
    /// Nothing yet; at most as much as the settings say ever.
    #[must_use]
    pub fn new(settings: &ImageSettings) -> Self {
        let inner = Inner {
            most: settings.memory_cache.bytes(),
            alive: Arc::default(),
            shelf: Mutex::default(),
            metrics: HotMetrics::new(),
        };
        Self(Arc::new(inner))
    }

    /// A file that is here, where nobody need look at its row now.
    pub(super) fn fresh(&self, key: &Key) -> Option<Arc<Ready>> {
        let file = self.shelf().fresh(key, Instant::now())?;
        self.0.metrics.hit();
        Some(file)
    }

    /// Looks for a file.
    pub(super) fn get(&self, key: &Key) -> Found {
        let (found, gone) = self.shelf().get(key, Instant::now());
        if gone.is_some() {
            // Only now, without the lock: what goes off the board takes another.
            drop(gone);
            self.tell();
        }
        match found {
            Found::Here(_) | Found::Unsure(_) => self.0.metrics.hit(),
            Found::Nothing => self.0.metrics.miss(),
        }
        found
    }

    /// Room for a file of so many bytes; `None` while too much is on its way to clients already.
    pub(super) fn room(&self, bytes: u64) -> Option<Room> {
        let most = self.0.most + IN_FLIGHT;
        let fits = |alive: u64| alive.checked_add(bytes).filter(|sum| *sum <= most);
        let taken = self.0.alive.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits);
        taken.ok().map(|_| Room { alive: Arc::clone(&self.0.alive), bytes })
    }

    /// Keeps a file until the task of its image, of which `watch` tells, is deleted. The row was looked at just now.
    pub(super) fn keep(&self, key: Key, file: &Arc<Ready>, watch: Watch) {
        let bytes = file.bytes.len() as u64 + OVERHEAD;
        if bytes > self.0.most {
            return;
        }
        let entry =
            Entry { file: Arc::clone(file), bytes, watch, looked: Instant::now(), used: false, serial: 0 };
        let gone = self.shelf().put(key, entry, self.0.most);
        drop(gone);
        self.tell();
    }

    /// Keeps a file no longer.
    pub(super) fn forget(&self, key: &Key) {
        let gone = self.shelf().remove(key);
        drop(gone);
        self.tell();
    }

    fn tell(&self) {
        let bytes = self.shelf().bytes;
        self.0.metrics.set_bytes(bytes);
    }

    fn shelf(&self) -> MutexGuard<'_, Shelf> {
        self.0.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is kept.
#[derive(Default)]
struct Shelf {
    bytes: u64,
    entries: HashMap<Key, Entry>,
    /// In the order in which they are looked over when there is no room; with places of entries that are gone.
    order: VecDeque<(Key, u64)>,
    /// Counts entries.
    serial: u64,
}

struct Entry {
    file: Arc<Ready>,
    bytes: u64,
    watch: Watch,
    /// When the row was looked at, or somebody went to do so.
    looked: Instant,
    /// Whether it was asked for since it was looked over.
    used: bool,
    /// Which place in the order is its own.
    serial: u64,
}

impl Entry {
    fn is_fresh(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.looked) < LOOK_AGAIN
    }
}

impl Shelf {
    fn fresh(&mut self, key: &Key, now: Instant) -> Option<Arc<Ready>> {
        let entry = self.entries.get_mut(key)?;
        if entry.watch.is_over() || !entry.is_fresh(now) {
            return None;
        }
        entry.used = true;
        Some(Arc::clone(&entry.file))
    }

    /// Gives what had to go, too.
    fn get(&mut self, key: &Key, now: Instant) -> (Found, Option<Entry>) {
        let Some(entry) = self.entries.get_mut(key) else { return (Found::Nothing, None) };
        if entry.watch.is_over() {
            return (Found::Nothing, self.remove(key));
        }
        entry.used = true;
        let file = Arc::clone(&entry.file);
        if entry.is_fresh(now) {
            return (Found::Here(file), None);
        }
        entry.looked = now;
        (Found::Unsure(file), None)
    }

    fn remove(&mut self, key: &Key) -> Option<Entry> {
        let gone = self.entries.remove(key)?;
        self.bytes -= gone.bytes;
        Some(gone)
    }

    /// Gives what had to go.
    fn put(&mut self, key: Key, mut entry: Entry, most: u64) -> Vec<Entry> {
        self.serial += 1;
        entry.serial = self.serial;
        self.bytes += entry.bytes;
        self.order.push_back((key, self.serial));
        let mut gone: Vec<Entry> = self.entries.insert(key, entry).into_iter().collect();
        self.bytes -= gone.iter().map(|entry| entry.bytes).sum::<u64>();
        while self.bytes > most {
            let Some((key, serial)) = self.order.pop_front() else { break };
            let Some(entry) = self.entries.get_mut(&key).filter(|entry| entry.serial == serial) else {
                continue;
            };
            if std::mem::take(&mut entry.used) {
                self.order.push_back((key, serial));
            } else {
                gone.extend(self.remove(&key));
            }
        }
        if self.order.len() > 2 * self.entries.len() + 16 {
            let entries = &self.entries;
            self.order.retain(|(key, serial)| entries.get(key).is_some_and(|entry| entry.serial == *serial));
        }
        gone
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::config::{LoadOptions, Settings};
    use crate::intake::Arrivals;
    use crate::task::{Attempt, Event, Fact, Kind, TaskId, Timestamp};

    fn images(most: &str) -> HotImages {
        let env = BTreeMap::from([("GRISTMILL__IMAGES__MEMORY_CACHE".into(), most.into())]);
        let options = LoadOptions { files: Vec::new(), directory: "no such folder".into(), env };
        HotImages::new(&Settings::load(options).unwrap().settings.images)
    }

    fn key(number: u32) -> Key {
        Key::new(&format!("{number:022}.jpg"), None).unwrap()
    }

    fn put(images: &HotImages, board: &Arrivals, number: u32, bytes: usize) -> Arc<Ready> {
        let value = HeaderValue::from_static("x");
        let head = Head { etag: value.clone(), media_type: value.clone(), disposition: value };
        let file = images.room(bytes as u64).unwrap().filled(head, Bytes::from(vec![0; bytes]));
        images.keep(key(number), &file, board.watch(TaskId(i64::from(number))));
        file
    }

    fn is_here(images: &HotImages, number: u32) -> bool {
        images.fresh(&key(number)).is_some()
    }

    #[test]
    fn ten_thousand_files_take_no_more_than_is_allowed_and_those_in_use_stay() {
        let (images, board) = (images("1 MiB"), Arrivals::default());
        put(&images, &board, 0, 10_000);
        for number in 1..=10_000 {
            assert!(is_here(&images, 0), "{number}");
            put(&images, &board, number, 10_000);
            let shelf = images.shelf();
            assert!(shelf.bytes <= 1 << 20 && shelf.order.len() <= 2 * shelf.entries.len() + 17);
            let sum: u64 = shelf.entries.values().map(|entry| entry.bytes).sum();
            assert_eq!(shelf.bytes, sum);
        }
        assert!(is_here(&images, 10_000) && !is_here(&images, 1));
        assert!(Key::new(&format!("{:022}.jpg\0", 10_000), None).is_none(), "another name for the same");
        assert!(images.0.alive.load(Ordering::Relaxed) <= 1 << 20, "what is out is out of memory");
        put(&images, &board, 5, 2 << 20);
        assert!(!is_here(&images, 5) && is_here(&images, 0), "too large to be kept, and nothing went for it");
    }

    #[test]
    fn what_is_on_its_way_is_counted_and_bounded() {
        let (images, board) = (images("0 B"), Arrivals::default());
        let files: Vec<Arc<Ready>> = (0..64).map(|number| put(&images, &board, number, 1 << 20)).collect();
        assert!(images.room(1).is_none() && images.room(u64::MAX).is_none());
        drop(files);
        assert!(images.room(1).is_some());
        assert!(!is_here(&images, 0), "nothing is kept");
    }

    #[test]
    fn a_file_is_given_up_with_the_task_of_its_image_and_checked_by_one_asker_now_and_then() {
        let (images, board) = (images("1 MiB"), Arrivals::default());
        put(&images, &board, 1, 100);
        put(&images, &board, 2, 100);
        let later = Instant::now() + LOOK_AGAIN;
        assert!(images.shelf().fresh(&key(2), later).is_none());
        assert!(matches!(images.shelf().get(&key(2), later).0, Found::Unsure(_)));
        assert!(matches!(images.shelf().get(&key(2), later).0, Found::Here(_)));
        let event = Event {
            task: TaskId(1),
            kind: "image".parse::<Kind>().unwrap(),
            owner: None,
            attempt: Attempt(1),
            at: Timestamp::from_micros(0),
            fact: Fact::Deleted,
        };
        board.tell(&[event]);
        assert!(!is_here(&images, 1) && is_here(&images, 2));
        assert!(matches!(images.get(&key(1)), Found::Nothing));
        assert_eq!(images.shelf().entries.len(), 1, "and out of memory");
        images.forget(&key(2));
        assert_eq!((images.shelf().bytes, images.0.alive.load(Ordering::Relaxed)), (0, 0));
    }
}
