//! Many tasks at once, each judged by itself: what one of them forbids hinders no other.

use super::Planner;
use crate::account::Caller;
use crate::store::command::{Purged, Refused};
use crate::store::{Bulk, BulkAct};
use crate::task::{Status, Task, TaskId, Timestamp};

impl Planner<'_> {
    /// Does the same to all of them, and counts on from `so_far`.
    pub(super) fn bulk(&mut self, act: BulkAct, tasks: &[TaskId], caller: Caller, so_far: Bulk) -> Bulk {
        let mut bulk = so_far;
        for task in tasks {
            let done = match act {
                BulkAct::Cancel => self.cancel(*task, caller),
                BulkAct::Retry => self.retry(*task, caller),
                BulkAct::Delete => self.delete(*task, caller),
            };
            bulk.matched += 1;
            match done {
                Ok(_) => bulk.changed += 1,
                Err(_) => bulk.refused += 1,
            }
        }
        bulk
    }

    /// Removes those that ended like this before that instant: they were looked for before they were locked, and may live
    /// again, or be gone.
    pub(super) fn expire(&mut self, tasks: &[TaskId], status: Status, before: Timestamp) -> Purged {
        let mut removed = 0;
        for task in tasks {
            let life = self.in_hand.get(task).map(|in_hand| &in_hand.task.life);
            let over = life.is_some_and(|life| {
                life.status() == status && life.finished_at().is_some_and(|ended| ended < before)
            });
            removed += u32::from(over && self.delete(*task, Caller::Admin(None)).is_ok());
        }
        Purged { tasks: removed, more: false }
    }

    /// Stops a task.
    pub(super) fn cancel(&mut self, task: TaskId, caller: Caller) -> Result<Box<Task>, Refused> {
        let now = self.now;
        self.wish(task, caller, |life| life.cancel(now))
    }

    /// Makes an ended task ready again.
    pub(super) fn retry(&mut self, task: TaskId, caller: Caller) -> Result<Box<Task>, Refused> {
        let now = self.now;
        let key = self.may_live_again(task, caller)?;
        let retried = self.wish(task, caller, |life| life.retry(now))?;
        self.unique.extend(key.map(|key| (key, task)));
        Ok(retried)
    }
}
