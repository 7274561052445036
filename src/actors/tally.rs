//! What this process counts of what it commits: minute by minute and kind by kind, for charts.
//!
//! The tracker counts in memory after each commit; the scribe writes what changed every few seconds, past the tracker, each
//! time the whole count of a minute, under a name that only this process has. So writing twice does no harm, and a count
//! that is late is right with the next one. What a crash takes along is some seconds.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use uuid::Uuid;

use crate::store::{Minute, MinuteCounts, Span, Store, StoreError, Stretch, minute_of, start_of};
use crate::task::{Event, EventName, Kind};

/// The counts of this process. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Tally {
    /// Under which name they are written.
    counter: Arc<str>,
    minutes: Arc<Mutex<BTreeMap<(i64, Kind), Slot>>>,
}

#[derive(Debug, Default)]
struct Slot {
    counts: MinuteCounts,
    /// Whether something was counted since it was written.
    changed: bool,
}

impl Default for Tally {
    fn default() -> Self {
        Self { counter: Uuid::new_v4().simple().to_string().into(), minutes: Arc::default() }
    }
}

impl Tally {
    /// For so many minutes a count can still be late: longer than any commit takes.
    const OPEN: i64 = 5;

    /// Counts what a commit did.
    pub fn count(&self, events: &[Event], spans: &[Span]) {
        if events.is_empty() {
            return;
        }
        let mut minutes = self.minutes();
        for event in events {
            let name = event.fact.name();
            if matches!(name, EventName::Started | EventName::Progress | EventName::Deleted) {
                continue;
            }
            let slot = minutes.entry((minute_of(event.at), event.kind.clone())).or_default();
            slot.changed = true;
            let counts = &mut slot.counts;
            match name {
                EventName::Created => counts.created += 1,
                EventName::Completed => counts.completed += 1,
                EventName::Failed => counts.failed += 1,
                EventName::Cancelled => counts.cancelled += 1,
                EventName::Retrying => counts.retried += 1,
                EventName::Started | EventName::Progress | EventName::Deleted => {}
            }
        }
        for span in spans {
            let slot = minutes.entry((minute_of(span.at), span.kind.clone())).or_default();
            slot.changed = true;
            match span.stretch {
                Stretch::Wait => slot.counts.waits.add(span.took),
                Stretch::Run => slot.counts.runs.add(span.took),
            }
        }
    }

    /// Writes down what changed, and forgets what is over and written.
    ///
    /// # Errors
    /// When the database does not answer; then it is written with the next.
    pub async fn write(&self, store: &dyn Store) -> Result<(), StoreError> {
        let changed = self.take_changed();
        if changed.is_empty() {
            return Ok(());
        }
        let written = store.write_history(&self.counter, &changed).await;
        if written.is_err() {
            let mut minutes = self.minutes();
            for minute in changed {
                minutes.entry((minute_of(minute.from), minute.kind)).or_default().changed = true;
            }
        }
        written
    }

    fn take_changed(&self) -> Vec<Minute> {
        let mut minutes = self.minutes();
        let newest = minutes.keys().next_back().map_or(0, |(minute, _)| *minute);
        minutes.retain(|(minute, _), slot| slot.changed || *minute > newest - Self::OPEN);
        let minute = |((minute, kind), slot): (&(i64, Kind), &mut Slot)| {
            let changed = std::mem::take(&mut slot.changed);
            changed.then(|| Minute { kind: kind.clone(), from: start_of(*minute), counts: slot.counts })
        };
        minutes.iter_mut().filter_map(minute).collect()
    }

    fn minutes(&self) -> MutexGuard<'_, BTreeMap<(i64, Kind), Slot>> {
        // No code here panics while it holds this.
        self.minutes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::task::{Attempt, Fact, TaskId, Timestamp};

    fn event(minute: i64, fact: Fact) -> Event {
        let kind = "noop".parse().unwrap();
        let at = start_of(minute);
        Event { task: TaskId(1), kind, owner: None, attempt: Attempt(1), at, fact }
    }

    #[test]
    fn what_was_not_written_stays_and_what_is_over_and_written_goes() {
        let tally = Tally::default();
        let wait = |at: Timestamp| Span {
            kind: "noop".parse().unwrap(),
            stretch: Stretch::Wait,
            took: Duration::from_millis(5),
            at,
        };
        tally.count(&[event(100, Fact::Created), event(100, Fact::Completed)], &[wait(start_of(100))]);
        let first = tally.take_changed();
        assert_eq!((first.len(), first[0].from), (1, start_of(100)));
        assert_eq!((first[0].counts.created, first[0].counts.completed), (1, 1));
        assert_eq!(first[0].counts.waits.total(), 1);
        assert!(tally.take_changed().is_empty(), "nothing happened since");
        tally.count(&[event(100, Fact::Created), event(101, Fact::Cancelled)], &[]);
        let second = tally.take_changed();
        assert_eq!(second.len(), 2);
        assert_eq!((second[0].counts.created, second[0].counts.completed), (2, 1), "the whole minute, anew");
        tally.count(&[event(200, Fact::Deleted), event(200, Fact::Created)], &[]);
        assert_eq!(tally.take_changed().len(), 1);
        assert_eq!(tally.minutes().len(), 1, "the older are over");
    }
}
