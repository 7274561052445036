//! Whoever is not a node of ours: what they take, and what counts of what they say.

use std::time::Duration;

use super::{InHand, Planner, expired};
use crate::account::Caller;
use crate::store::command::{Refused, Take, Taken, Wanted, Word};
use crate::task::{Attempt, Backoff, Kind, Lease, Status, Task, TaskId, Timestamp, Verb};

impl Planner<'_> {
    /// Gives a task to somebody outside.
    pub(super) fn take(&mut self, take: &Take) -> Result<Taken, Refused> {
        let id = match &take.wanted {
            Wanted::Id(id) => *id,
            Wanted::Kinds(kinds) => {
                let found = self.taken.next().flatten();
                match found.or_else(|| self.left_over(kinds, take.caller)) {
                    Some(id) => id,
                    None => return Ok(Taken::Nothing),
                }
            }
        };
        let by_id = matches!(take.wanted, Wanted::Id(_));
        let task = &self.known(id)?.task;
        if !take.caller.may_take(task.life.owner) {
            return Err(Refused::NotFound(id));
        }
        if !self.outside.contains(&task.life.kind) {
            return Err(Refused::NotOutside { task: id, kind: task.life.kind.clone() });
        }
        if task.life.status() == Status::New && self.is_held_back(&task.life.kind) {
            return Ok(Taken::Nothing);
        }
        let (now, timeout) = (self.now, task.timeout);
        if let Some(expires_at) = expired(task, now) {
            self.change(id, |life| life.expire(expires_at, now))?;
            return match self.in_hand.get(&id).filter(|_| by_id) {
                Some(in_hand) => Err(in_hand.task.life.forbidden(Verb::Start).into()),
                None => Ok(Taken::Expired),
            };
        }
        let lease = lease(take.lease, timeout.map(|timeout| now.after(timeout)), now);
        let (holder, assignee) = (take.holder.clone(), take.caller.user());
        match self.change(id, |life| life.hand_over(holder, assignee, lease, now)) {
            Ok(task) => Ok(Taken::Task(Box::new(task.clone()))),
            Err(refused) if by_id => Err(refused),
            // An earlier command of this very group took or ended it.
            Err(_) => Ok(Taken::Expired),
        }
    }

    /// What somebody outside says of a task in their hands.
    pub(super) fn word(
        &mut self,
        id: TaskId,
        attempt: Option<Attempt>,
        caller: Caller,
        word: &Word,
        backoff: &Backoff,
    ) -> Result<Box<Task>, Refused> {
        let in_hand = self.known(id)?;
        let (life, timeout) = (&in_hand.task.life, in_hand.task.timeout);
        if !caller.may_see(life.owner, life.assignee) && !caller.may_take(life.owner) {
            return Err(Refused::NotFound(id));
        }
        let outside = life.holder().is_none_or(|holder| holder.node().is_none());
        // Among callers without an identity only the attempt tells one from another.
        let named = attempt.is_some() || caller.user().is_some();
        let held = life.status() == Status::InProgress;
        if held && !(outside && named && caller.may_speak(life.assignee)) {
            return Err(Refused::NotHeld(id));
        }
        let now = self.now;
        let attempt = attempt.unwrap_or(life.attempt);
        let deadline = life.started_at.zip(timeout).map(|(started, timeout)| started.after(timeout));
        let span = life.lease().and_then(|lease| lease.span);
        match word {
            Word::Complete(result) => self.change(id, |life| life.complete(attempt, result.clone(), now))?,
            Word::Fail(failure) => {
                self.change(id, |life| life.fail(attempt, failure.clone(), backoff, now))?
            }
            Word::Release => self.change(id, |life| life.release(attempt, now))?,
            Word::Progress(percent) => {
                self.prolong(id, attempt, lease(span, deadline, now))?;
                self.change(id, |life| life.progress(attempt, *percent, now))?
            }
            Word::Heartbeat(asked) => {
                self.prolong(id, attempt, lease(asked.or(span), deadline, now))?;
                return self
                    .in_hand
                    .get(&id)
                    .map(|it| Box::new(it.task.clone()))
                    .ok_or(Refused::NotFound(id));
            }
        };
        self.in_hand.get(&id).map(|it| Box::new(it.task.clone())).ok_or(Refused::NotFound(id))
    }

    /// A task that somebody outside may have heard of: not one that this very group makes.
    fn known(&self, id: TaskId) -> Result<&InHand, Refused> {
        let in_hand = self.in_hand.get(&id).filter(|in_hand| !in_hand.deleted && in_hand.row.is_some());
        in_hand.ok_or(Refused::NotFound(id))
    }

    fn prolong(&mut self, id: TaskId, attempt: Attempt, lease: Option<Lease>) -> Result<(), Refused> {
        let in_hand = self.in_hand.get_mut(&id).ok_or(Refused::NotFound(id))?;
        in_hand.task.life = in_hand.task.life.heartbeat(attempt, lease)?;
        in_hand.changed = true;
        Ok(())
    }

    /// A task that was found for somebody who does not want it, and that this taker may have.
    fn left_over(&mut self, kinds: &[Kind], caller: Caller) -> Option<TaskId> {
        let fits = |task: &Task| {
            let kind = &task.life.kind;
            kinds.contains(kind) && !self.is_held_back(kind) && caller.may_take(task.life.owner)
        };
        let at = self.passed_over.iter().position(|id| self.known(*id).is_ok_and(|it| fits(&it.task)))?;
        Some(self.passed_over.remove(at))
    }
}

/// The lease of somebody outside: for `span` from now, but never past the time that the task allows.
fn lease(span: Option<Duration>, deadline: Option<Timestamp>, now: Timestamp) -> Option<Lease> {
    let until = match (span.map(|span| now.after(span)), deadline) {
        (Some(end), Some(deadline)) => end.min(deadline),
        (Some(end), None) => end,
        (None, Some(deadline)) => deadline,
        (None, None) => return None,
    };
    Some(Lease { span, until })
}
