//! Keys: of which one task lives at a time, and by which a request counts once.

use super::{Planner, UniqueKey, unique_key};
use crate::account::Caller;
use crate::store::command::{Command, NewTask, Refused, Remember, Reply, Take, Wanted};
use crate::task::{Task, TaskId};

impl Planner<'_> {
    /// Unless a request of this key was answered before: does what is asked, and remembers the answer.
    pub(super) fn once(&mut self, remember: &Remember, command: &Command) -> Option<Reply> {
        let name = (remember.scope.clone(), remember.key.clone());
        if let Some((request, answer)) = self.answered.get(&name).cloned() {
            self.pass_over(command);
            return Some(if request == remember.request { Reply::Before(answer) } else { Reply::KeyReused });
        }
        let reply = self.apply(command)?;
        if let Some(answer) = (remember.answer)(&reply) {
            self.answered.insert(name, (remember.request.clone(), answer.clone()));
            self.changes.answers.push((remember.clone(), answer, self.now.after(remember.keep)));
        }
        Some(reply)
    }

    /// Leaves a command undone, with what was loaded for it in its order.
    fn pass_over(&mut self, command: &Command) {
        if let Command::Take(Take { wanted: Wanted::Kinds(_), .. }) = command {
            // Its ready row is gone. Who comes later in this group may have it, or its end gives it a new one.
            self.passed_over.extend(self.taken.next().flatten());
        }
    }

    /// The task with the unique key of `new` that has not ended.
    pub(super) fn living(&self, new: &NewTask) -> Option<Task> {
        let key = (new.owner, new.kind.clone(), new.unique_key.clone()?);
        let in_hand = self.in_hand.get(self.unique.get(&key)?)?;
        (!in_hand.deleted && !in_hand.task.life.status().is_terminal()).then(|| in_hand.task.clone())
    }

    /// Whether a task that ended may be made ready again: not while another of its unique key lives. The key.
    pub(super) fn may_live_again(&self, id: TaskId, caller: Caller) -> Result<Option<UniqueKey>, Refused> {
        self.may_touch(id, caller)?;
        let Some(key) = self.in_hand.get(&id).and_then(|in_hand| unique_key(&in_hand.task)) else {
            return Ok(None);
        };
        match self.unique.get(&key).filter(|other| **other != id && self.lives(**other)) {
            Some(other) => Err(Refused::UniqueTaken { task: id, other: *other }),
            None => Ok(Some(key)),
        }
    }

    fn lives(&self, id: TaskId) -> bool {
        self.in_hand
            .get(&id)
            .is_some_and(|in_hand| !in_hand.deleted && !in_hand.task.life.status().is_terminal())
    }
}
