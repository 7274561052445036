//! Nodes: what they claim, and what is freed when a holder is gone.

use super::{Lost, Planner, expired};
use crate::store::command::{Claim, Claimed, Refused, Rescued};
use crate::task::{Backoff, Failure, FailureReason, Holder, Kind, NodeId, TaskId, Verb};

impl Planner<'_> {
    pub(super) fn claim(&mut self, claim: &Claim) -> Claimed {
        let found = self.found.next().unwrap_or_default();
        let mut claimed =
            Claimed { suspect_waits: found.suspect_waits, next_due: found.next_due, ..Claimed::default() };
        for id in &found.taken {
            self.start(*id, claim.node, &mut claimed);
        }
        if claim.suspect {
            return claimed;
        }
        for (kind, wanted) in &claim.want {
            let wanted = *wanted as usize;
            let got = claimed.tasks.iter().filter(|task| task.life.kind == *kind).count();
            if got >= wanted {
                claimed.more.push(kind.clone());
            } else if found.lease_holds {
                self.claim_fresh(kind, wanted - got, claim.node, &mut claimed);
            }
        }
        claimed
    }

    /// Nothing else of this kind waits: what the group itself created is next, and is started with its own
    /// insert, without ever passing through the ready table.
    fn claim_fresh(&mut self, kind: &Kind, wanted: usize, node: NodeId, claimed: &mut Claimed) {
        if self.is_held_back(kind) {
            return;
        }
        let Some(fresh) = self.fresh.get_mut(kind) else { return };
        let mut due: Vec<TaskId> = std::mem::take(fresh);
        let urgency = |id: &TaskId| self.in_hand.get(id).map(|in_hand| in_hand.task.life.priority);
        due.sort_by_key(|id| (std::cmp::Reverse(urgency(id)), *id));
        let mut started = 0;
        let mut due = due.into_iter();
        while started < wanted {
            let Some(id) = due.next() else { return };
            started += usize::from(self.start(id, node, claimed));
        }
        if !due.as_slice().is_empty() {
            claimed.more.push(kind.clone());
            // For the next claim of this group.
            self.fresh.insert(kind.clone(), due.collect());
        }
    }

    fn start(&mut self, id: TaskId, node: NodeId, claimed: &mut Claimed) -> bool {
        // Paused by this very group.
        if self.in_hand.get(&id).is_some_and(|in_hand| self.is_held_back(&in_hand.task.life.kind)) {
            return false;
        }
        let now = self.now;
        let late = self.in_hand.get(&id).and_then(|in_hand| expired(&in_hand.task, now));
        if let Some(expires_at) = late {
            // One that another command has ended meanwhile needs no end.
            let _ = self.change(id, |life| life.expire(expires_at, now));
            return false;
        }
        match self.change(id, |life| life.start(node, now)) {
            Ok(task) => {
                let task = task.clone();
                claimed.tasks.push(task);
                true
            }
            // Cancelled, deleted or parked by this same group.
            Err(_) => false,
        }
    }

    pub(super) fn rescue(&mut self, limit: u32, backoff: &Backoff) -> Rescued {
        let lost = std::mem::take(&mut self.lost);
        let more = lost.len() >= limit as usize;
        let mut tasks = 0;
        for (id, lost) in lost {
            // A command earlier in this very group may have ended it.
            tasks += u32::from(self.free(id, lost, backoff).is_ok());
        }
        self.changes.forget_nodes = Some(self.now);
        Rescued { tasks, more }
    }

    /// Frees a task whose holder is gone, or ends one that waited too long.
    fn free(&mut self, id: TaskId, lost: Lost, backoff: &Backoff) -> Result<(), Refused> {
        let now = self.now;
        let task = &self.in_hand.get(&id).ok_or(Refused::NotFound(id))?.task;
        let deadline =
            task.life.started_at.zip(task.timeout).map(|(started, timeout)| started.after(timeout));
        let expires_at = task.expires_at.unwrap_or(now);
        let a_person = task.life.holder() == Some(&Holder::Person);
        self.change(id, |life| match lost {
            Lost::Waiting => life.expire(expires_at, now),
            Lost::Spared => life.release(life.attempt, now),
            Lost::Node => life.lose(life.attempt, now),
            // An earlier word in this very group was a sign of life.
            Lost::Outside if life.lease().is_none_or(|lease| lease.until > now) => {
                Err(life.forbidden(Verb::Lose))
            }
            Lost::Outside if deadline.is_some_and(|deadline| deadline <= now) => {
                let story = "its worker outside took longer than the time that the task allows";
                life.fail(life.attempt, Failure::new(FailureReason::Timeout, story), backoff, now)
            }
            Lost::Outside if a_person => life.release(life.attempt, now),
            Lost::Outside => life.lose(life.attempt, now),
        })
        .map(drop)
    }
}
