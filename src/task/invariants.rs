//! What must hold over any history, written once and evaluated everywhere.
//!
//! [`step`] judges one change; the store asserts it on every change in debug builds. [`History`] judges a whole
//! life by its events alone: the property tests, the model check and the history checker of the crash tests
//! feed it, so that the three cannot disagree on what "right" means.

use super::{
    Attempt, Event, EventName, Fact, FailureReason, Life, POISON_CRASHES, RetryCause, State, Status,
};

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
    let mut history = History::at(before);
    history.hear(event)?;
    if history.attempt != after.attempt {
        return broken(
            "an attempt begins with `started` and with nothing else",
            format!("{:?} took attempt {} to {}", event.fact, before.attempt, after.attempt),
        );
    }
    if history.status() != Some(after.status()) {
        return broken(
            "every change has its event",
            format!("{:?} told of a change from {} to {}", event.fact, before.status(), after.status()),
        );
    }
    if event.at != after.updated_at {
        return broken(
            "a change is as old as its event",
            format!("changed at {}, told of at {}", after.updated_at, event.at),
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
        State::Failed { .. } if life.error.is_none() => broken("what failed says why", format!("{life:?}")),
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

/// The life of one task as its events tell it, judged as it goes on.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct History {
    status: Option<Status>,
    attempt: Attempt,
    deleted: bool,
}

impl History {
    /// The history that leads to `life`, as far as what comes next depends on it.
    #[must_use]
    pub fn at(life: &Life) -> Self {
        Self { status: Some(life.status()), attempt: life.attempt, deleted: false }
    }

    /// Where the events leave the task; `None` before the first one and after the last.
    #[must_use]
    pub fn status(&self) -> Option<Status> {
        if self.deleted { None } else { self.status }
    }

    /// Takes the next event, in the public order.
    ///
    /// # Errors
    /// The rule that the event breaks.
    pub fn hear(&mut self, event: &Event) -> Result<(), Violation> {
        if let Fact::Retrying { cause, .. } = &event.fact {
            let asked = matches!(cause, RetryCause::Asked);
            let ended = matches!(self.status, Some(Status::Failed | Status::Cancelled));
            if asked != ended {
                return broken(
                    "a running task is tried again for a cause of its own, an ended one when somebody asks",
                    format!("{cause:?} after {self:?}"),
                );
            }
        }
        if let Fact::Failed(failure) = &event.fact {
            let waited = self.status == Some(Status::New);
            if waited != (failure.reason == FailureReason::Expired) {
                return broken(
                    "only what waits expires, and it does nothing else",
                    format!("{failure:?} after {self:?}"),
                );
            }
        }
        self.tell(event.fact.name(), event.attempt)
    }

    /// Takes the next event by name and attempt, which is all that some listeners know of it.
    ///
    /// # Errors
    /// The rule that the event breaks.
    pub fn tell(&mut self, name: EventName, attempt: Attempt) -> Result<(), Violation> {
        let story = || format!("`{}` of attempt {attempt} after {self:?}", name.as_str());
        if self.deleted {
            return broken("nothing happens to what was deleted", story());
        }
        let running = self.status == Some(Status::InProgress);
        if name == EventName::Started {
            if self.status != Some(Status::New) {
                return broken("only a waiting task starts", story());
            }
            if attempt != self.attempt.next() {
                return broken("each start is the next attempt", story());
            }
        } else if attempt != self.attempt {
            return broken("only the newest attempt is spoken of", story());
        }
        let next = match name {
            EventName::Created => match self.status {
                None => Status::New,
                Some(_) => return broken("a task is created once", story()),
            },
            EventName::Started => Status::InProgress,
            EventName::Progress if running => Status::InProgress,
            EventName::Progress => return broken("only what runs has progress", story()),
            EventName::Completed if running => Status::Completed,
            // One that was never started has expired, which is all that this name alone can tell.
            EventName::Failed if running || self.status == Some(Status::New) && attempt == Attempt::NONE => {
                Status::Failed
            }
            EventName::Completed | EventName::Failed => {
                return broken("an attempt has one outcome", story());
            }
            EventName::Retrying => match self.status {
                Some(Status::InProgress | Status::Failed | Status::Cancelled) => Status::New,
                Some(Status::New | Status::Completed) | None => {
                    return broken(
                        "only a running or ended task is tried again, a completed one never",
                        story(),
                    );
                }
            },
            EventName::Cancelled => match self.status {
                Some(Status::New | Status::InProgress) => Status::Cancelled,
                Some(Status::Completed | Status::Failed | Status::Cancelled) | None => {
                    return broken("only what has not ended is cancelled", story());
                }
            },
            EventName::Deleted => match self.status {
                Some(status) => status,
                None => return broken("only what was created is deleted", story()),
            },
        };
        self.deleted = name == EventName::Deleted;
        self.status = Some(next);
        self.attempt = attempt;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
