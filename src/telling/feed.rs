//! The live stream of events on this node, and its listeners.
//!
//! One actor reads new events from the store and gives them here, once for all listeners ([`Feed::publish`]); each
//! [`Listener`] filters what it may hear. A listener that comes with an older number, or was too slow for the live
//! stream, reads what it missed from the store and then goes on live. True here: a listener hears every event that it
//! may, once, in ascending order, whatever it missed: each live batch says after which event it begins, so a gap is
//! seen.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, watch};
use tokio::time::{sleep, timeout};

use super::{Bell, Ears, message};
use crate::account::Caller;
use crate::store::{Store, StoreError};
use crate::task::{Event, EventName, EventSeq, TaskId, UserId};

/// Batches that a listener may lag behind before it reads from the store again.
const LAG: usize = 256;

/// Events that are read from the store at a time.
const PAGE: u32 = 500;

/// The stream. Cheap to clone.
#[derive(Clone)]
pub struct Feed {
    live: broadcast::Sender<Arc<Batch>>,
    store: Arc<dyn Store>,
    came: Bell,
    /// The newest event that is known of, and a sign that something else changed.
    pulse: Arc<watch::Sender<EventSeq>>,
    closed: Arc<watch::Sender<bool>>,
}

/// What was read at a time.
#[derive(Debug)]
struct Batch {
    /// The event before the first of these.
    after: EventSeq,
    /// The last of these, or `after` when there are none.
    until: EventSeq,
    events: Vec<Heard>,
    /// The frames of all of them: made once, for all who may hear all.
    frames: Bytes,
}

/// An event, ready to be sent to whoever may hear it.
#[derive(Debug)]
struct Heard {
    seq: EventSeq,
    task: TaskId,
    owner: Option<UserId>,
    /// Whether it is the last of its task.
    last: bool,
    frame: Bytes,
}

/// Which events a listener hears.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Audience {
    /// Those of one task; whether the listener may is judged before.
    Of(TaskId),
    /// Those of all tasks that the caller may see.
    All(Caller),
}

impl Audience {
    fn hears(self, task: TaskId, owner: Option<UserId>) -> bool {
        match self {
            Self::Of(one) => one == task,
            Self::All(caller) => caller.may_touch(owner),
        }
    }

    fn is_one(self) -> bool {
        matches!(self, Self::Of(_))
    }
}

fn is_last(event: &Event) -> bool {
    event.fact.name() == EventName::Deleted
}

impl Feed {
    /// A stream without listeners.
    #[must_use]
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self {
            live: broadcast::Sender::new(LAG),
            store,
            came: Bell::default(),
            pulse: Arc::new(watch::Sender::new(EventSeq(0))),
            closed: Arc::new(watch::Sender::new(false)),
        }
    }

    /// A listener that hears what comes after `after`.
    #[must_use]
    pub fn listen(&self, audience: Audience, after: EventSeq) -> Listener {
        // Before anything is read, so that what comes meanwhile waits here.
        let live = self.live.subscribe();
        self.came.ring();
        Listener {
            audience,
            store: Arc::clone(&self.store),
            live,
            position: after,
            caught_up: false,
            over: false,
            closed: self.closed.subscribe(),
        }
    }

    /// How many listen.
    #[must_use]
    pub fn listeners(&self) -> usize {
        self.live.receiver_count()
    }

    /// Somebody who hears that there are new events, and not what they are.
    #[must_use]
    pub fn feel(&self) -> Pulse {
        let felt = self.pulse.subscribe();
        self.came.ring();
        Pulse { felt, closed: self.closed.subscribe() }
    }

    /// How many feel the pulse.
    #[must_use]
    pub fn pulses(&self) -> usize {
        self.pulse.receiver_count()
    }

    /// Tells those who feel the pulse of the newest event.
    pub fn beat(&self, newest: EventSeq) {
        self.pulse.send_if_modified(|known| {
            let news = newest > *known;
            *known = newest.max(*known);
            news
        });
    }

    /// Tells them that something changed of which there is no event.
    pub fn nudge(&self) {
        self.pulse.send_modify(|_| ());
    }

    /// What hears of each new listener.
    #[must_use]
    pub fn arrivals(&self) -> Ears {
        self.came.ears()
    }

    /// Gives the listeners what was read after `after`, up to `until`.
    pub fn publish(&self, after: EventSeq, until: EventSeq, events: &[(EventSeq, Event)]) {
        let mut frames = BytesMut::new();
        let mut ends = Vec::with_capacity(events.len());
        for (seq, event) in events {
            frames.extend_from_slice(&message::frame(*seq, event));
            ends.push(frames.len());
        }
        let frames = frames.freeze();
        let mut begin = 0;
        let heard = |((seq, event), end): (&(EventSeq, Event), usize)| {
            let frame = frames.slice(begin..end);
            begin = end;
            Heard { seq: *seq, task: event.task, owner: event.owner, last: is_last(event), frame }
        };
        let events = events.iter().zip(ends).map(heard).collect();
        self.beat(until);
        // Nobody may be listening any more.
        let _ = self.live.send(Arc::new(Batch { after, until, events, frames }));
    }

    /// Ends all listening: the daemon drains.
    pub fn close(&self) {
        self.closed.send_replace(true);
    }
}

/// One who hears that something happened, and not what.
#[derive(Debug)]
pub struct Pulse {
    felt: watch::Receiver<EventSeq>,
    closed: watch::Receiver<bool>,
}

impl Pulse {
    /// Resolves after `least` at the earliest, when something happened since this last resolved, and after `most` at the
    /// latest; `None` once the daemon drains.
    pub async fn wait(&mut self, least: Duration, most: Duration) -> Option<()> {
        let felt = &mut self.felt;
        let due = async {
            sleep(least).await;
            // However it ends: it is time.
            let _ = timeout(most.saturating_sub(least), felt.changed()).await;
        };
        tokio::select! {
            () = due => Some(()),
            // Who would say so may be gone: that is the end too.
            _ = self.closed.wait_for(|closed| *closed) => None,
        }
    }
}

/// One who listens.
pub struct Listener {
    audience: Audience,
    store: Arc<dyn Store>,
    live: broadcast::Receiver<Arc<Batch>>,
    /// Everything up to here was heard, or was not for this listener.
    position: EventSeq,
    caught_up: bool,
    /// Nothing more will happen to what it listens to.
    over: bool,
    closed: watch::Receiver<bool>,
}

impl Listener {
    /// The next events as frames, one or more; `None` once the daemon drains, or the task that it listens to is deleted.
    /// May be dropped while it waits.
    ///
    /// # Errors
    /// When the store cannot be read; the listener may try again.
    pub async fn next(&mut self) -> Result<Option<Bytes>, StoreError> {
        loop {
            if self.over || *self.closed.borrow() {
                return Ok(None);
            }
            if !self.caught_up {
                let missed = self.catch_up().await?;
                if missed.is_empty() {
                    continue;
                }
                return Ok(Some(missed));
            }
            let batch = tokio::select! {
                batch = self.live.recv() => batch,
                _ = self.closed.changed() => return Ok(None),
            };
            match batch {
                Ok(batch) if batch.after > self.position => self.caught_up = false,
                Ok(batch) => {
                    let heard = self.hear(&batch);
                    if !heard.is_empty() {
                        return Ok(Some(heard));
                    }
                }
                Err(RecvError::Lagged(_)) => self.caught_up = false,
                Err(RecvError::Closed) => return Ok(None),
            }
        }
    }

    fn hear(&mut self, batch: &Batch) -> Bytes {
        let new = batch.events.iter().filter(|heard| heard.seq > self.position);
        let mine: Vec<&Heard> = new.filter(|heard| self.audience.hears(heard.task, heard.owner)).collect();
        self.position = self.position.max(batch.until);
        self.over |= self.audience.is_one() && mine.iter().any(|heard| heard.last);
        if mine.len() == batch.events.len() {
            return batch.frames.clone();
        }
        let mut frames = BytesMut::new();
        for heard in mine {
            frames.extend_from_slice(&heard.frame);
        }
        frames.freeze()
    }

    /// Reads the next page of what was missed.
    async fn catch_up(&mut self) -> Result<Bytes, StoreError> {
        let page = match self.audience {
            Audience::All(_) => self.store.events_after(self.position, PAGE).await?,
            Audience::Of(task) => {
                // All of the task's events up to this one are there to be read.
                let newest = self.store.newest_event().await?;
                let page = self.store.events_of(task, self.position, PAGE).await?;
                if page.len() < PAGE as usize {
                    self.position = self.position.max(newest);
                }
                page
            }
        };
        self.caught_up = page.len() < PAGE as usize;
        let mut frames = BytesMut::new();
        for (seq, event) in &page {
            if self.audience.hears(event.task, event.owner) {
                frames.extend_from_slice(&message::frame(*seq, event));
                self.over |= self.audience.is_one() && is_last(event);
            }
            self.position = self.position.max(*seq);
        }
        Ok(frames.freeze())
    }
}
