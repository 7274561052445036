//! What must hold over any history, written once and evaluated everywhere.
//!
//! [`step`] judges one change; the store asserts it on every change in debug builds. [`History`] judges a whole
//! life by its events alone: the property tests, the model check and the history checker of the crash tests
//! feed it, so that the three cannot disagree on what "right" means.

use super::{Attempt, Event, EventName, Fact, Life, POISON_CRASHES, State, Status};

/// A rule that was broken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{rule}: {story}")]
pub struct Violation {
    /// The rule.
    pub rule: &'static str,
    /// What was seen.
    pub story: String,
}

fn broken(rule: &'static str, story: impl Into<String>) -> Result<(), Violation> {
    Err(Violation { rule, story: story.into() })
}

/// Judges one change of a life and the event that tells of it.
///
/// # Errors
/// The first rule that the change breaks.
pub fn step(before: &Life, after: &Life, event: &Event) -> Result<(), Violation> {
    if after.id != before.id || event.task != before.id {
        return broken("a change concerns one task", format!("{} became {}", before.id, after.id));
    }
    if after.attempt < before.attempt {
        return broken("the attempt never falls", format!("{} after {}", after.attempt, before.attempt));
    }
    let starts = event.fact.name() == EventName::Started;
    if (after.attempt > before.attempt) != starts {
        return broken(
            "an attempt begins with `started` and with nothing else",
            format!("{:?} took attempt {} to {}", event.fact, before.attempt, after.attempt),
        );
    }
    if before.status() == Status::Completed {
        return broken("what completed stays completed", format!("{:?}", event.fact));
    }
    if status_after(&event.fact, before.status()) != after.status() {
        return broken(
            "every change has its event",
            format!("{:?} told of a change to {}", event.fact, after.status()),
        );
    }
    whole(after)
}

/// Judges a life by itself.
///
/// # Errors
/// The first rule that it breaks.
pub fn whole(life: &Life) -> Result<(), Violation> {
    let began = life.attempt > Attempt::NONE;
    match &life.state {
        State::InProgress { .. } | State::Completed { .. } if !began => {
            broken("only what was started runs or completes", format!("{life:?}"))
        }
        State::Failed { .. } if life.error.is_none() => {
            broken("what failed says why", format!("{life:?}"))
        }
        State::New { .. } if life.crashes >= POISON_CRASHES => {
            broken("poison is not tried again", format!("{life:?}"))
        }
        State::New { .. } | State::InProgress { .. } if life.failures >= life.max_attempts => {
            broken("no more tries than allowed", format!("{life:?}"))
        }
        State::New { .. }
        | State::InProgress { .. }
        | State::Completed { .. }
        | State::Failed { .. }
        | State::Cancelled { .. } => Ok(()),
    }
}

/// Where a task stands after `fact`, given where it stood.
fn status_after(fact: &Fact, before: Status) -> Status {
    match fact {
        Fact::Created | Fact::Retrying { .. } => Status::New,
        Fact::Started { .. } => Status::InProgress,
        Fact::Progress(_) | Fact::Deleted => before,
        Fact::Completed => Status::Completed,
        Fact::Failed(_) => Status::Failed,
        Fact::Cancelled => Status::Cancelled,
    }
}

/// The life of one task as its events tell it, judged as it goes on.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct History {
    status: Option<Status>,
    attempt: Attempt,
    deleted: bool,
    outcomes: u32,
}

impl History {
    /// Where the events leave the task; `None` before the first one and after the last.
    #[must_use]
    pub fn status(&self) -> Option<Status> {
        if self.deleted { None } else { self.status }
    }

    /// Takes the next event, by name and attempt, in the public order.
    ///
    /// # Errors
    /// The rule that the event breaks.
    pub fn tell(&mut self, name: EventName, attempt: Attempt) -> Result<(), Violation> {
        let seen = self.clone();
        let story = || format!("`{}` of attempt {attempt} after {seen:?}", name.as_str());
        if self.deleted {
            return broken("nothing happens to what was deleted", story());
        }
        let running = self.status == Some(Status::InProgress);
        let next = match name {
            EventName::Created => {
                if self.status.is_some() || attempt != Attempt::NONE {
                    return broken("a task is created once, before any attempt", story());
                }
                Status::New
            }
            EventName::Started => {
                if self.status != Some(Status::New) {
                    return broken("only a waiting task starts", story());
                }
                if attempt != self.attempt.next() {
                    return broken("each start is the next attempt", story());
                }
                self.attempt = attempt;
                self.outcomes = 0;
                Status::InProgress
            }
            EventName::Progress | EventName::Completed | EventName::Failed => {
                if !running || attempt != self.attempt {
                    return broken("only the current attempt in progress has a say", story());
                }
                match name {
                    EventName::Completed => Status::Completed,
                    EventName::Failed => Status::Failed,
                    EventName::Created
                    | EventName::Started
                    | EventName::Progress
                    | EventName::Retrying
                    | EventName::Cancelled
                    | EventName::Deleted => Status::InProgress,
                }
            }
            EventName::Retrying => match self.status {
                Some(Status::InProgress | Status::Failed | Status::Cancelled) => Status::New,
                Some(Status::New | Status::Completed) | None => {
                    return broken("only a running or ended task is tried again, a completed one never", story());
                }
            },
            EventName::Cancelled => match self.status {
                Some(Status::New | Status::InProgress) => Status::Cancelled,
                Some(Status::Completed | Status::Failed | Status::Cancelled) | None => {
                    return broken("only what has not ended is cancelled", story());
                }
            },
            EventName::Deleted => match self.status {
                Some(status) => {
                    self.deleted = true;
                    status
                }
                None => return broken("only what was created is deleted", story()),
            },
        };
        if running && next != Status::InProgress {
            self.outcomes += 1;
            if self.outcomes > 1 {
                return broken("an attempt has one outcome", story());
            }
        }
        self.status = Some(next);
        Ok(())
    }
}
