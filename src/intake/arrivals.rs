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

    /// What tells from now on whether the task has ended since, or was deleted, as far as this node did that.
    #[must_use]
    pub fn watch(&self, task: TaskId) -> Watch {
        Watch { board: self.clone(), task, told: self.of(task) }
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

/// Tells whether a task has ended since, or was deleted. Costs a place on the board while it lives.
#[derive(Debug)]
pub struct Watch {
    board: Arrivals,
    task: TaskId,
    told: oneshot::Receiver<()>,
}

impl Watch {
    /// Whether it has; also when the board lost count of it.
    pub fn is_over(&mut self) -> bool {
        !matches!(self.told.try_recv(), Err(oneshot::error::TryRecvError::Empty))
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.told.close();
        self.board.tidy(self.task);
    }
}

fn ends(name: EventName) -> bool {
    match name {
        EventName::Completed | EventName::Failed | EventName::Cancelled | EventName::Deleted => true,
        EventName::Created | EventName::Started | EventName::Progress | EventName::Retrying => false,
    }
}
