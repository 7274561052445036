//! What runs on this node at this moment, and the way to stop it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use crate::task::{Attempt, TaskId};

/// Why a run is stopped from outside. Later reasons do not replace the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// Somebody cancelled or deleted the task: whatever the run says is stale already.
    Cancelled,
    /// The daemon drains: the task goes back, no try used.
    Interrupted,
    /// The node lost its lease: the task is, or will be, somebody else's. Nothing may be said of it.
    Fenced,
}

/// Each run with the way to stop it.
type Running = HashMap<(TaskId, Attempt), watch::Sender<Option<Stop>>>;

/// The runs of this node. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Runs {
    running: Arc<Mutex<Running>>,
    /// Whether the daemon gives back what runs: whatever begins now is stopped at once.
    closing: Arc<AtomicBool>,
}

/// A run's place on the list; left by dropping it.
#[derive(Debug)]
pub struct Listed {
    runs: Runs,
    key: (TaskId, Attempt),
    stop: watch::Receiver<Option<Stop>>,
}

impl Runs {
    /// Puts a run on the list.
    #[must_use]
    pub fn list(&self, task: TaskId, attempt: Attempt) -> Listed {
        let mut running = self.lock();
        let closing = self.closing.load(Ordering::SeqCst).then_some(Stop::Interrupted);
        let (sender, stop) = watch::channel(closing);
        running.insert((task, attempt), sender);
        drop(running);
        Listed { runs: self.clone(), key: (task, attempt), stop }
    }

    /// Stops whatever runs of `task`.
    pub fn stop(&self, task: TaskId, reason: Stop) {
        for ((listed, _), sender) in self.lock().iter() {
            if *listed == task {
                set(sender, reason);
            }
        }
    }

    /// Stops one attempt of a task.
    pub fn stop_attempt(&self, task: TaskId, attempt: Attempt, reason: Stop) {
        if let Some(sender) = self.lock().get(&(task, attempt)) {
            set(sender, reason);
        }
    }

    /// Stops everything; for a drain ([`Stop::Interrupted`]) whatever begins afterwards, too.
    pub fn stop_all(&self, reason: Stop) {
        let running = self.lock();
        if reason == Stop::Interrupted {
            self.closing.store(true, Ordering::SeqCst);
        }
        for sender in running.values() {
            set(sender, reason);
        }
    }

    /// What runs.
    #[must_use]
    pub fn running(&self) -> Vec<(TaskId, Attempt)> {
        self.lock().keys().copied().collect()
    }

    /// How many run.
    #[must_use]
    pub fn count(&self) -> usize {
        self.lock().len()
    }

    fn lock(&self) -> MutexGuard<'_, Running> {
        // The map is whole at every instant.
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn set(sender: &watch::Sender<Option<Stop>>, reason: Stop) {
    sender.send_if_modified(|stop| {
        let first = stop.is_none();
        stop.get_or_insert(reason);
        first
    });
}

impl Listed {
    /// Resolves when the run should stop.
    pub async fn stopped(&mut self) -> Stop {
        match self.stop.wait_for(Option::is_some).await.map(|stop| *stop) {
            Ok(Some(stop)) => stop,
            // The sender lives as long as we are listed.
            Ok(None) | Err(_) => std::future::pending().await,
        }
    }
}

impl Drop for Listed {
    fn drop(&mut self) {
        self.runs.lock().remove(&self.key);
    }
}
