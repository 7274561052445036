//! Who waits for which task to end, in this process.
//!
//! The tracker tells of every committed event; a waiter is woken by the event that ends its task. Only a hint:
//! the task may end on another node, so whoever waits also looks at the row now and then.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use crate::task::{Event, EventName, TaskId};

/// The board. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Arrivals {
    waiting: Arc<Mutex<HashMap<TaskId, Vec<oneshot::Sender<()>>>>>,
}

impl Arrivals {
    /// Resolves when the task ends, or this board loses count of it.
    #[must_use]
    pub fn of(&self, task: TaskId) -> oneshot::Receiver<()> {
        let (tell, told) = oneshot::channel();
        let mut waiting = self.lock();
        let waiters = waiting.entry(task).or_default();
        // Those that gave up waiting leave when the next one comes.
        waiters.retain(|waiter| !waiter.is_closed());
        waiters.push(tell);
        told
    }

    /// Forgets the waiters of `task` that gave up.
    pub fn tidy(&self, task: TaskId) {
        let mut waiting = self.lock();
        if let Some(waiters) = waiting.get_mut(&task) {
            waiters.retain(|waiter| !waiter.is_closed());
            if waiters.is_empty() {
                waiting.remove(&task);
            }
        }
    }

    /// Tells of what was committed.
    pub fn tell(&self, events: &[Event]) {
        let mut waiting = self.lock();
        if waiting.is_empty() {
            return;
        }
        for event in events.iter().filter(|event| ends(event.fact.name())) {
            for waiter in waiting.remove(&event.task).into_iter().flatten() {
                // Nobody there any more: nothing to tell.
                let _ = waiter.send(());
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<TaskId, Vec<oneshot::Sender<()>>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn ends(name: EventName) -> bool {
    match name {
        EventName::Completed | EventName::Failed | EventName::Cancelled | EventName::Deleted => true,
        EventName::Created | EventName::Started | EventName::Progress | EventName::Retrying => false,
    }
}
