//! Looking after the dead queue: what is in it, sending back, removing.
//!
//! For `gristmill dead` and for the pages of the admins. True here: looking changes nothing but the moment, in which what one
//! looks at is hidden from whoever else looks (so those who share a [`DeadQueue`] take turns); a message leaves the dead
//! queue only once the broker has confirmed it elsewhere, or because it was to be removed; memory holds one body at a time,
//! and what was chosen; and whoever sets [`Bounds`] is answered within them.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use sha2::{Digest, Sha256};
use tokio::sync::{Mutex, MutexGuard};
use tokio::time::{Instant, timeout_at};

use super::Broker;
use super::browse::Browser;
use super::dead::{REASON_HEADER, dead_queue, died_at};
use super::message::Delivery;
use super::publisher::PublishError;
use super::topology::TopologyError;

/// The dead queue of a queue. Clones share their turns.
#[derive(Clone)]
pub struct DeadQueue {
    broker: Broker,
    queue: String,
    turn: Arc<Mutex<()>>,
}

/// How much is looked at, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// At most so many messages, from the oldest on.
    pub messages: u32,
    /// No further message once so many bytes of bodies were looked at.
    pub bytes: u64,
    /// Begin nothing more after so long.
    pub time: Duration,
}

impl Bounds {
    /// As much as there is, for as long as it takes.
    pub const NONE: Self =
        Self { messages: u32::MAX, bytes: u64::MAX, time: Duration::from_secs(365 * 24 * 60 * 60) };
}

/// A dead message, with its place.
#[derive(Debug, Clone, PartialEq)]
pub struct Letter {
    /// Its place in the queue, counted from 1 at the oldest.
    pub position: u32,
    /// The message.
    pub delivery: Delivery,
    /// By what it is known wherever it stands: made of what it says and of what was said of it. Only messages that are the
    /// same in all share it.
    pub key: String,
}

impl Letter {
    fn new(position: u32, delivery: Delivery) -> Self {
        Self { position, key: key(&delivery), delivery }
    }

    /// Why it is no task.
    #[must_use]
    pub fn reason(&self) -> Option<String> {
        self.delivery.header(REASON_HEADER)
    }

    /// Since when it is dead; if it does not say, when it was made; if it does not say that either, nothing.
    #[must_use]
    pub fn since(&self) -> Option<DateTime<Utc>> {
        let made = || DateTime::from_timestamp(i64::try_from(self.delivery.timestamp()?).ok()?, 0);
        died_at(&self.delivery).or_else(made)
    }

    /// The beginning of its body as text, at most so many characters, and whether that is all of it. What would move a
    /// cursor or is no text is replaced; ends of lines and tabs stay.
    #[must_use]
    pub fn beginning(&self, characters: usize) -> (String, bool) {
        // Four bytes a character are the most, so no more than that need be looked at.
        let enough = self.delivery.body.len().min(characters.saturating_mul(4));
        let text = String::from_utf8_lossy(&self.delivery.body[..enough]);
        let kept = |c: char| if c.is_control() && !matches!(c, '\n' | '\t') { '\u{fffd}' } else { c };
        let shown: String = text.chars().take(characters).map(kept).collect();
        let whole = enough == self.delivery.body.len() && text.chars().nth(characters).is_none();
        (shown, whole)
    }
}

/// By what a message is chosen.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Which {
    /// Its place in the queue.
    Position(u32),
    /// The id that its publisher gave it: all that have it.
    Id(String),
    /// Its [`Letter::key`]: one message, should several share it.
    Key(String),
}

impl Which {
    /// Of a word: a number is a place, anything else an id.
    #[must_use]
    pub fn read(word: &str) -> Self {
        word.parse().map_or_else(|_| Self::Id(word.to_owned()), Self::Position)
    }

    fn means(&self, letter: &Letter) -> bool {
        match self {
            Self::Position(position) => *position == letter.position,
            Self::Id(id) => letter.delivery.message_id() == Some(id),
            Self::Key(key) => letter.key == *key,
        }
    }

    /// The word itself.
    #[must_use]
    pub fn word(&self) -> String {
        match self {
            Self::Position(position) => position.to_string(),
            Self::Id(id) => id.clone(),
            Self::Key(key) => key.clone(),
        }
    }
}

/// Whether a message is among those that are meant; notes in `met` which words were. A place and a key mean one message
/// each, however many words are alike.
fn is_meant(letter: &Letter, which: &[Which], met: &mut [bool]) -> bool {
    let (mut meant, mut spent) = (false, false);
    for (which, met) in which.iter().zip(met) {
        let free = match which {
            Which::Id(_) | Which::Position(_) => true,
            Which::Key(_) => !*met && !spent,
        };
        if free && which.means(letter) {
            (*met, meant) = (true, true);
            spent |= matches!(which, Which::Key(_));
        }
    }
    meant
}

/// Which messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Choice {
    /// All that are there now.
    All,
    /// These; all of them or none.
    These(Vec<Which>),
}

/// How messages leave the dead queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Removal {
    /// Back to the queue they came from.
    Redrive,
    /// For good.
    Purge,
}

/// What was looked at.
#[derive(Debug, Clone, PartialEq)]
pub struct Looked<T> {
    /// What was made of each message, the oldest first.
    pub lines: Vec<T>,
    /// How many more are behind them.
    pub behind: u32,
}

/// What was removed.
#[derive(Debug)]
pub struct Removed {
    /// How many messages left.
    pub count: u32,
    /// How many of the chosen did not, since the bounds were reached.
    pub left: u32,
    /// What kept a message, and all behind it, from leaving.
    pub stopped: Option<DeadQueueError>,
}

/// The dead queue cannot be looked after.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum DeadQueueError {
    /// The broker does not do it.
    #[error(transparent)]
    Topology(#[from] TopologyError),
    /// Nothing came in time; nothing is lost.
    #[error("{queue}: no answer within the time that there was: try again")]
    TimedOut {
        /// The dead queue.
        queue: String,
    },
    /// There is no such message; nothing was done.
    #[error("{queue} has no message {}", words(unmet))]
    Unmet {
        /// The dead queue.
        queue: String,
        /// Those that are not there.
        unmet: Vec<Which>,
    },
    /// It could not be sent back.
    #[error("message {position} stays, with those behind it: {source}")]
    Stays {
        /// Its place.
        position: u32,
        /// Why.
        source: PublishError,
    },
}

fn words(which: &[Which]) -> String {
    which.iter().map(Which::word).collect::<Vec<_>>().join(", ")
}

impl DeadQueue {
    /// Of the queue of that name.
    #[must_use]
    pub fn new(broker: Broker, queue: &str) -> Self {
        Self { broker, queue: queue.to_owned(), turn: Arc::default() }
    }

    /// What the dead queue is called.
    #[must_use]
    pub fn name(&self) -> String {
        dead_queue(&self.queue)
    }

    /// How many messages are in it; none when there is no such queue yet.
    ///
    /// # Errors
    /// [`DeadQueueError::Topology`].
    pub async fn count(&self) -> Result<u32, DeadQueueError> {
        let state = there(self.broker.queue(&self.name()).await)?;
        Ok(state.map_or(0, |state| state.messages))
    }

    /// Looks at the messages from the oldest on, and gives what `show` makes of each.
    ///
    /// # Errors
    /// [`DeadQueueError`].
    pub async fn look<T>(
        &self,
        bounds: Bounds,
        mut show: impl FnMut(&Letter) -> T,
    ) -> Result<Looked<T>, DeadQueueError> {
        let mut looked = Looked { lines: Vec::new(), behind: 0 };
        self.each(bounds, |letter, behind| {
            looked.lines.push(show(&letter));
            looked.behind = behind;
            false
        })
        .await?;
        Ok(looked)
    }

    /// The first message that is meant.
    ///
    /// # Errors
    /// [`DeadQueueError::Unmet`] when there is none within the bounds.
    pub async fn find(&self, bounds: Bounds, which: &Which) -> Result<Letter, DeadQueueError> {
        let mut found = None;
        self.each(bounds, |letter, _| {
            if which.means(&letter) {
                found = Some(letter);
            }
            found.is_some()
        })
        .await?;
        found.ok_or_else(|| self.unmet(vec![which.clone()]))
    }

    /// Sends back or removes what is chosen. Of messages that are chosen one by one all leave or, where one of them is not
    /// found within the bounds, none.
    ///
    /// # Errors
    /// [`DeadQueueError`] when nothing was done; what stopped it later is in [`Removed::stopped`].
    pub async fn remove(
        &self,
        bounds: Bounds,
        choice: &Choice,
        how: Removal,
    ) -> Result<Removed, DeadQueueError> {
        let until = Instant::now() + bounds.time;
        let _turn = self.turn(until).await?;
        let Some(mut browser) = self.browse().await? else {
            return match choice {
                Choice::All => Ok(Removed { count: 0, left: 0, stopped: None }),
                Choice::These(which) => Err(self.unmet(which.clone())),
            };
        };
        let done = match choice {
            Choice::All => self.remove_all(&mut browser, bounds, until, how).await,
            Choice::These(which) => self.remove_these(&mut browser, bounds, until, which, how).await,
        };
        // What was not removed goes back in any case; should the broker be away, it does that by itself.
        let closed = browser.close().await;
        let done = done?;
        closed?;
        Ok(done)
    }

    /// What is there now and no more, so that a message that dies again meanwhile is not taken in circles.
    async fn remove_all(
        &self,
        browser: &mut Browser,
        bounds: Bounds,
        until: Instant,
        how: Removal,
    ) -> Result<Removed, DeadQueueError> {
        let there = self.broker.queue(&self.name()).await?.messages;
        let mut removed = Removed { count: 0, left: 0, stopped: None };
        for position in 1..=there.min(bounds.messages) {
            if Instant::now() >= until {
                break;
            }
            let Some((delivery, _)) = browser.next().await? else { break };
            let letter = Letter::new(position, delivery);
            if let Err(error) = self.remove_one(browser, &letter, how).await {
                removed.stopped = Some(error);
                break;
            }
            removed.count += 1;
        }
        removed.left = there - removed.count;
        Ok(removed)
    }

    async fn remove_these(
        &self,
        browser: &mut Browser,
        bounds: Bounds,
        until: Instant,
        which: &[Which],
        how: Removal,
    ) -> Result<Removed, DeadQueueError> {
        let there = self.broker.queue(&self.name()).await?.messages;
        let mut met = vec![false; which.len()];
        let mut chosen = Vec::new();
        for position in 1..=there.min(bounds.messages) {
            if Instant::now() >= until {
                return Err(self.timed_out());
            }
            let Some((delivery, _)) = browser.next().await? else { break };
            let mut letter = Letter::new(position, delivery);
            if is_meant(&letter, which, &mut met) {
                if how == Removal::Purge {
                    letter.delivery.body.clear();
                }
                chosen.push(letter);
            }
        }
        let unmet: Vec<Which> =
            which.iter().zip(met).filter(|(_, met)| !met).map(|(which, _)| which.clone()).collect();
        if !unmet.is_empty() {
            return Err(self.unmet(unmet));
        }
        let mut removed = Removed { count: 0, left: 0, stopped: None };
        for letter in &chosen {
            if Instant::now() >= until {
                break;
            }
            if let Err(error) = self.remove_one(browser, letter, how).await {
                removed.stopped = Some(error);
                break;
            }
            removed.count += 1;
        }
        removed.left = u32::try_from(chosen.len()).unwrap_or(u32::MAX) - removed.count;
        Ok(removed)
    }

    async fn remove_one(
        &self,
        browser: &mut Browser,
        letter: &Letter,
        how: Removal,
    ) -> Result<(), DeadQueueError> {
        if how == Removal::Redrive {
            let sent = self.broker.redrive(&self.queue, &letter.delivery).await;
            sent.map_err(|source| DeadQueueError::Stays { position: letter.position, source })?;
        }
        Ok(browser.remove(&letter.delivery).await?)
    }

    /// Goes through the messages within the bounds, until `enough` says so, and puts them all back.
    async fn each(
        &self,
        bounds: Bounds,
        mut enough: impl FnMut(Letter, u32) -> bool,
    ) -> Result<(), DeadQueueError> {
        let until = Instant::now() + bounds.time;
        let _turn = self.turn(until).await?;
        let Some(mut browser) = self.browse().await? else { return Ok(()) };
        let (mut position, mut bytes) = (0, 0_u64);
        while position < bounds.messages && bytes < bounds.bytes {
            // A browser that is dropped puts back what it showed.
            let next = timeout_at(until, browser.next()).await.map_err(|_| self.timed_out())??;
            let Some((delivery, behind)) = next else { break };
            position += 1;
            bytes = bytes.saturating_add(delivery.body.len() as u64);
            if enough(Letter::new(position, delivery), behind) {
                break;
            }
        }
        Ok(browser.close().await?)
    }

    async fn turn(&self, until: Instant) -> Result<MutexGuard<'_, ()>, DeadQueueError> {
        timeout_at(until, self.turn.lock()).await.map_err(|_| self.timed_out())
    }

    /// A look into the dead queue; `None` when there is none, which is as good as empty.
    async fn browse(&self) -> Result<Option<Browser>, DeadQueueError> {
        there(self.broker.browse(&self.name()).await)
    }

    fn unmet(&self, unmet: Vec<Which>) -> DeadQueueError {
        DeadQueueError::Unmet { queue: self.name(), unmet }
    }

    fn timed_out(&self) -> DeadQueueError {
        DeadQueueError::TimedOut { queue: self.name() }
    }
}

/// What the broker gave; `None` where there is nothing of that name.
fn there<T>(given: Result<T, TopologyError>) -> Result<Option<T>, DeadQueueError> {
    match given {
        Ok(given) => Ok(Some(given)),
        Err(TopologyError::Missing { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Headers of the broker that tell how often a message was given out: looking at it changes them, and nothing else of it.
const COUNTED_BY_BROKER: [&str; 2] = ["x-delivery-count", "x-acquired-count"];

/// See [`Letter::key`].
fn key(delivery: &Delivery) -> String {
    let mut digest = Sha256::new();
    let mut part = |bytes: &[u8]| {
        digest.update((bytes.len() as u64).to_be_bytes());
        digest.update(bytes);
    };
    part(delivery.message_id().unwrap_or_default().as_bytes());
    for (name, value) in delivery.headers() {
        if COUNTED_BY_BROKER.contains(&&*name) {
            continue;
        }
        part(name.as_bytes());
        part(value.as_bytes());
    }
    part(&delivery.body);
    digest.finalize()[..16].iter().fold(String::new(), |mut text, byte| {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use lapin::types::{AMQPValue, FieldTable};

    use super::*;

    fn key_of(headers: &[(&str, AMQPValue)]) -> String {
        let mut table = FieldTable::default();
        for (name, value) in headers {
            table.insert((*name).into(), value.clone());
        }
        let properties = lapin::BasicProperties::default().with_headers(table);
        let (exchange, routing_key) = (String::new(), "q".to_owned());
        let body = bytes::Bytes::from_static(b"body");
        let (redelivered, tag, generation) = (false, 1, 1);
        key(&Delivery { body, exchange, routing_key, redelivered, properties, tag, generation })
    }

    #[test]
    fn a_message_is_known_by_the_same_key_however_often_it_was_looked_at() {
        let of = |looks: i64, shop: &str| {
            key_of(&[
                ("x-delivery-count", AMQPValue::LongLongInt(looks)),
                ("shop", AMQPValue::LongString(shop.into())),
            ])
        };
        assert_eq!(of(1, "north"), of(2, "north"));
        assert_eq!(of(1, "north"), key_of(&[("shop", AMQPValue::LongString("north".into()))]));
        assert_ne!(of(1, "north"), of(1, "south"));
    }
}
