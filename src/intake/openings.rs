//! Which workers outside wait for work of which kinds, in this process.
//!
//! The tracker tells of what became free; as many waiters are woken as there are tasks, the longest waiting first. Only
//! a hint, as the board of arrivals: whoever waits also looks now and then.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::oneshot;

use crate::task::{Event, EventName, Kind};

/// The board. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Openings {
    waiting: Arc<Mutex<Waiting>>,
}

#[derive(Debug, Default)]
struct Waiting {
    next: u64,
    /// For each kind who waits, in the order of their coming; those who are gone are met and passed over.
    queues: HashMap<Kind, VecDeque<u64>>,
    waiters: HashMap<u64, oneshot::Sender<()>>,
}

impl Openings {
    /// Resolves when a task of one of `kinds` may be free.
    #[must_use]
    pub fn of(&self, kinds: &[Kind]) -> oneshot::Receiver<()> {
        let (tell, told) = oneshot::channel();
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let Waiting { next, queues, waiters } = &mut *waiting;
        // Those that gave up waiting leave when somebody else comes.
        waiters.retain(|_, waiter| !waiter.is_closed());
        let number = *next;
        *next += 1;
        waiters.insert(number, tell);
        for kind in kinds {
            let queue = queues.entry(kind.clone()).or_default();
            queue.retain(|waiter| waiters.contains_key(waiter));
            queue.push_back(number);
        }
        told
    }

    /// How many wait now.
    #[must_use]
    pub fn waiting(&self) -> usize {
        let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.waiters.values().filter(|waiter| !waiter.is_closed()).count()
    }

    /// Somebody else may have made a task of `kind`.
    pub fn hint(&self, kind: &Kind) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.wake(kind);
    }

    /// Tells of what was committed.
    pub fn tell(&self, events: &[Event]) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.waiters.is_empty() {
            return;
        }
        for event in events {
            match event.fact.name() {
                EventName::Created | EventName::Retrying => waiting.wake(&event.kind),
                EventName::Started
                | EventName::Progress
                | EventName::Completed
                | EventName::Failed
                | EventName::Cancelled
                | EventName::Deleted => {}
            }
        }
    }
}

impl Waiting {
    /// Wakes one who waits for `kind` and is still there.
    fn wake(&mut self, kind: &Kind) {
        let Some(queue) = self.queues.get_mut(kind) else { return };
        while let Some(number) = queue.pop_front() {
            if let Some(waiter) = self.waiters.remove(&number)
                && waiter.send(()).is_ok()
            {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_are_woken_as_there_are_tasks_the_longest_waiting_first() {
        let openings = Openings::default();
        let (resize, ocr): (Kind, Kind) = ("resize".parse().unwrap(), "ocr".parse().unwrap());
        let mut first = openings.of(&[resize.clone(), ocr.clone()]);
        drop(openings.of(std::slice::from_ref(&resize)));
        let mut second = openings.of(std::slice::from_ref(&resize));
        openings.hint(&resize);
        assert!(first.try_recv().is_ok());
        assert!(second.try_recv().is_err());
        openings.hint(&ocr);
        openings.hint(&resize);
        assert!(second.try_recv().is_ok(), "who is gone is passed over");
        openings.hint(&resize);
    }
}
