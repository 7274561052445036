//! What the door looks at before it takes anything new: the room on the disks, and how many tasks wait already.
//!
//! Asked by the rest of the intake before every creation, and by the routes that take files before a byte of them comes.
//! Told by the tracker what its commits made and started, and by the janitor, every few seconds, how many really wait.
//!
//! How many wait is not counted in the database for each request: it is what was counted last, and what this node did
//! since. So the bound is kept exactly by one node alone, as far as nobody removes or stops waiting tasks (of which it
//! learns with the next count); and several nodes together may pass it by what the others took since each counted last.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Intake, IntakeError};
use crate::config::TaskSettings;
use crate::store::{KindDepth, NewTask, WriteError};
use crate::task::{Event, EventName, Kind, TaskId};
use crate::telemetry::metrics::{DiskMetrics, QueueMetrics};
use crate::telemetry::space::{Promise, Scarce, Space};

/// Both. Cheap to clone; the default limits nothing.
#[derive(Debug, Clone, Default)]
pub struct Limits {
    /// The room on the disks.
    pub space: Space,
    /// How many tasks wait.
    pub waiting: Waiting,
}

/// As many tasks wait as may.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{} wait already, and {most} may: try again when some of them are done", what(.kind.as_ref(), *.waiting))]
pub struct QueueFull {
    /// Of which kind; `None` is of all together.
    pub kind: Option<Kind>,
    /// How many wait, those that are just being taken among them.
    pub waiting: u64,
    /// How many may.
    pub most: u64,
}

fn what(kind: Option<&Kind>, waiting: u64) -> String {
    match kind {
        Some(kind) => format!("{waiting} tasks of kind `{kind}`"),
        None => format!("{waiting} tasks"),
    }
}

/// How many tasks may wait.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Most {
    /// All together; `None` is any number.
    pub all: Option<u64>,
    /// Of these kinds.
    pub kinds: BTreeMap<Kind, u64>,
}

impl Most {
    /// As the settings say, where 0 is any number.
    #[must_use]
    pub fn of(settings: &TaskSettings) -> Self {
        let kinds = settings.max_waiting_kinds.iter().filter(|(_, most)| **most > 0);
        Self {
            all: Some(settings.max_waiting).filter(|most| *most > 0),
            kinds: kinds.map(|(kind, most)| (kind.clone(), *most)).collect(),
        }
    }
}

/// About how many tasks wait. Clones share it; the default has no bound.
#[derive(Debug, Clone, Default)]
pub struct Waiting {
    inner: Arc<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    most: Most,
    /// By kind; under none what is of a kind that is not known beforehand.
    counts: Mutex<Counts>,
}

type Counts = BTreeMap<Option<Kind>, Count>;

#[derive(Debug, Clone, Copy, Default)]
struct Count {
    /// As counted last.
    counted: u64,
    /// More, or fewer, by what this node did since.
    since: i64,
    /// Being taken.
    coming: u64,
}

impl Count {
    fn waiting(self) -> u64 {
        self.counted.saturating_add_signed(self.since).saturating_add(self.coming)
    }
}

/// What this node had done when a count began: what it does meanwhile is in the next.
pub struct Mark(BTreeMap<Option<Kind>, i64>);

/// Tasks that are being taken, until they are there or refused.
#[derive(Debug, Default)]
pub struct Turn {
    waiting: Waiting,
    coming: BTreeMap<Option<Kind>, u64>,
}

impl Drop for Turn {
    fn drop(&mut self) {
        if self.coming.is_empty() {
            return;
        }
        let mut counts = self.waiting.counts();
        for (kind, tasks) in &self.coming {
            if let Some(count) = counts.get_mut(kind) {
                count.coming = count.coming.saturating_sub(*tasks);
            }
        }
    }
}

impl Waiting {
    /// With these bounds.
    #[must_use]
    pub fn new(most: Most) -> Self {
        Self { inner: Arc::new(Inner { most, counts: Mutex::default() }) }
    }

    /// How many may wait.
    #[must_use]
    pub fn most(&self) -> &Most {
        &self.inner.most
    }

    fn is_bounded(&self) -> bool {
        self.inner.most.all.is_some() || !self.inner.most.kinds.is_empty()
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.inner.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets so many tasks in, all or none; they are counted until the turn is dropped, and by the tracker from then on.
    ///
    /// # Errors
    /// [`QueueFull`].
    pub fn enter(&self, tasks: BTreeMap<Option<Kind>, u64>) -> Result<Turn, QueueFull> {
        if !self.is_bounded() || tasks.is_empty() {
            return Ok(Turn::default());
        }
        let most = &self.inner.most;
        let mut counts = self.counts();
        for (kind, new) in &tasks {
            let Some((named, most)) = kind.as_ref().and_then(|kind| most.kinds.get_key_value(kind)) else {
                continue;
            };
            let waiting = counts.get(kind).map_or(0, |count| count.waiting());
            if waiting.saturating_add(*new) > *most {
                return Err(QueueFull { kind: Some(named.clone()), waiting, most: *most });
            }
        }
        if let Some(most) = most.all {
            let waiting: u64 = counts.values().map(|count| count.waiting()).sum();
            if waiting.saturating_add(tasks.values().sum()) > most {
                return Err(QueueFull { kind: None, waiting, most });
            }
        }
        for (kind, new) in &tasks {
            counts.entry(kind.clone()).or_default().coming += new;
        }
        drop(counts);
        Ok(Turn { waiting: self.clone(), coming: tasks })
    }

    /// Tells of what this node committed.
    pub fn tell(&self, events: &[Event]) {
        if !self.is_bounded() {
            return;
        }
        let mut counts = self.counts();
        for event in events {
            let change = match event.fact.name() {
                EventName::Created | EventName::Retrying => 1,
                EventName::Started => -1,
                // Whether it waited before is not in the event: the next count knows.
                EventName::Cancelled
                | EventName::Deleted
                | EventName::Progress
                | EventName::Completed
                | EventName::Failed => continue,
            };
            counts.entry(Some(event.kind.clone())).or_default().since += change;
        }
    }

    /// A count begins.
    #[must_use]
    pub fn mark(&self) -> Mark {
        Mark(self.counts().iter().map(|(kind, count)| (kind.clone(), count.since)).collect())
    }

    /// A count that began at `mark` has come to this.
    pub fn counted(&self, Mark(mark): Mark, depths: &[KindDepth]) {
        if !self.is_bounded() {
            return;
        }
        let mut counts = self.counts();
        for (kind, count) in counts.iter_mut() {
            count.counted = 0;
            count.since -= mark.get(kind).copied().unwrap_or(0);
        }
        for depth in depths {
            counts.entry(Some(depth.kind.clone())).or_default().counted = depth.ready;
        }
    }
}

impl Limits {
    /// Whether there is room for these, which are being taken until the turn is dropped.
    pub(super) fn let_in(&self, tasks: &[NewTask]) -> Result<Turn, IntakeError> {
        self.room_for_rows()?;
        let mut kinds = BTreeMap::new();
        for task in tasks {
            *kinds.entry(Some(task.kind.clone())).or_default() += 1;
        }
        self.enter(kinds)
    }

    /// Whether so many may wait again.
    pub(super) fn enter(&self, tasks: BTreeMap<Option<Kind>, u64>) -> Result<Turn, IntakeError> {
        self.waiting.enter(tasks).map_err(|full| {
            QueueMetrics::new().full();
            IntakeError::QueueFull(full)
        })
    }

    /// Whether rows may be added.
    pub(super) fn room_for_rows(&self) -> Result<(), IntakeError> {
        self.space.for_rows().map_err(scarce)
    }
}

fn scarce(scarce: Scarce) -> IntakeError {
    DiskMetrics::new().refused();
    IntakeError::Scarce(scarce)
}

impl Intake {
    /// Whether a file for a task of `kind` would be taken, before it comes: the promise is its room on the disk, of so many
    /// bytes where that is known. `None` is a file for no task.
    ///
    /// # Errors
    /// [`IntakeError::Scarce`], [`IntakeError::QueueFull`].
    pub fn expect_file(&self, kind: Option<Kind>, bytes: Option<u64>) -> Result<Promise, IntakeError> {
        if let Some(kind) = kind {
            drop(self.limits.enter(BTreeMap::from([(Some(kind), 1)]))?);
        }
        self.limits.space.for_file(bytes).map_err(scarce)
    }

    /// Whether this task may wait once more, whoever asks for that.
    pub(super) async fn may_wait_again(&self, task: TaskId) -> Result<Turn, IntakeError> {
        if !self.limits.waiting.is_bounded() {
            return Ok(Turn::default());
        }
        let row = self.store.task(task).await.map_err(|error| WriteError::Store(Arc::new(error)))?;
        match row {
            Some(row) if row.life.status().is_terminal() => {
                self.limits.enter(BTreeMap::from([(Some(row.life.kind), 1)]))
            }
            // The plan says what is wrong with it.
            Some(_) | None => Ok(Turn::default()),
        }
    }

    /// Whether so many more may wait, of whatever kind that is not said.
    pub(super) fn may_wait(&self, kind: Option<&Kind>, tasks: u64) -> Result<Turn, IntakeError> {
        self.limits.enter(BTreeMap::from([(kind.cloned(), tasks)]))
    }

    /// More of a file has come than was promised; see [`Promise::wrote`].
    ///
    /// # Errors
    /// [`IntakeError::Scarce`].
    pub fn wrote(&self, promise: &mut Promise, bytes: u64) -> Result<(), IntakeError> {
        promise.wrote(bytes).map_err(scarce)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::{Attempt, Fact, Timestamp};

    fn kind(name: &str) -> Kind {
        name.parse().unwrap()
    }

    fn waiting(all: u64, kinds: &[(&str, u64)]) -> Waiting {
        let kinds = kinds.iter().map(|(name, most)| (kind(name), *most)).collect();
        Waiting::new(Most { all: (all > 0).then_some(all), kinds })
    }

    fn some(name: &str, tasks: u64) -> BTreeMap<Option<Kind>, u64> {
        BTreeMap::from([(Some(kind(name)), tasks)])
    }

    fn event(name: &str, fact: Fact) -> Event {
        Event {
            task: TaskId(1),
            kind: kind(name),
            owner: None,
            attempt: Attempt(0),
            at: Timestamp::from_micros(0),
            fact,
        }
    }

    #[test]
    fn as_many_may_wait_as_the_whole_and_the_kind_allow() {
        let queue = waiting(10, &[("a", 4)]);
        let a = queue.enter(some("a", 4)).unwrap();
        let full = queue.enter(some("a", 1)).unwrap_err();
        assert_eq!(full, QueueFull { kind: Some(kind("a")), waiting: 4, most: 4 });
        let b = queue.enter(some("b", 6)).unwrap();
        let full = queue.enter(some("b", 1)).unwrap_err();
        assert_eq!(full, QueueFull { kind: None, waiting: 10, most: 10 });
        drop(a);
        let both = BTreeMap::from([(Some(kind("a")), 4), (Some(kind("b")), 1)]);
        assert!(queue.enter(both).is_err(), "all or none");
        assert!(queue.enter(some("a", 4)).is_ok());
        drop(b);
        assert!(waiting(0, &[]).enter(some("a", u64::MAX)).is_ok());
    }

    #[test]
    fn what_starts_makes_way_and_what_was_made_before_a_count_is_not_counted_twice() {
        let queue = waiting(3, &[]);
        let created = || event("a", Fact::Created);
        queue.tell(&[created(), created(), created()]);
        assert!(queue.enter(some("a", 1)).is_err());
        let started = Fact::Started { holder: crate::task::Holder::Person, assignee: None };
        queue.tell(&[event("a", started)]);
        assert!(queue.enter(some("a", 1)).is_ok());
        let mark = queue.mark();
        queue.tell(&[created()]);
        queue.counted(mark, &[KindDepth { kind: kind("a"), ready: 2, oldest: None }]);
        assert_eq!(queue.enter(some("a", 1)).unwrap_err().waiting, 3, "two were counted, and one came since");
        queue.counted(queue.mark(), &[]);
        assert!(queue.enter(some("a", 3)).is_ok(), "somebody removed them all");
    }
}
