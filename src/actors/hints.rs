//! Hints between nodes: "kind K has work", "stop what you run of task T", "there are events". All of them may be lost,
//! late or doubled: behind each stands a poll or a comparison with the rows.
//!
//! - The tracker notes what a commit left to be known ([`Hints::note`]); a lone hint goes out at once, and what gathers
//!   within a few milliseconds after it goes out together.
//! - **Work** goes to the run queue of its kind on the broker, `gristmill.run.<kind>`: for kinds of ours one message
//!   for many tasks, which one node with a free permit takes; for kinds done outside a message with each task's id,
//!   which a worker takes and claims. Without the broker it is announced through the database instead.
//! - **Stops and events** are announced through the database, to every node.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use actix::{Actor, Context};
use futures_util::future::join_all;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::Bench;
use super::demand::Demand;
use super::runs::{Runs, Stop};
use crate::broker::{Broker, DeadLetters, Declare, OwnQueue, Publish, PublishError, Subscription};
use crate::config::BrokerSettings;
use crate::intake::Openings;
use crate::kinds::Registry;
use crate::store::{Listener, Store, StoreError};
use crate::task::{Event, Fact, Kind, TaskId};
use crate::telling::Bell;

/// What gathers until it is sent. Cheap to clone.
#[derive(Clone)]
pub struct Hints {
    pending: Arc<Mutex<Pending>>,
    bell: Bell,
    kinds: Arc<Registry>,
}

#[derive(Debug, Default)]
struct Pending {
    /// Kinds of ours with work that this node does not take, each with one task of it.
    work: BTreeMap<Kind, TaskId>,
    /// Tasks for workers outside.
    outside: VecDeque<(Kind, TaskId)>,
    /// Tasks that nobody should run any more.
    stops: BTreeSet<TaskId>,
    events: bool,
    /// Kinds that were paused and go on, for every node.
    resumed: BTreeSet<Kind>,
}

impl Hints {
    /// The most tasks of each sort that gather. Beyond that hints are lost, which costs no more than a poll's wait.
    const MOST: usize = 10_000;

    /// Nothing to tell yet.
    #[must_use]
    pub fn new(kinds: Arc<Registry>) -> Self {
        Self { pending: Arc::default(), bell: Bell::default(), kinds }
    }

    /// Notes what a commit left: `given` are the tasks that this node took in the same transaction, `more` the kinds of
    /// which it left some for others.
    pub fn note(&self, events: &[Event], given: impl Fn(TaskId) -> bool, more: &[Kind]) {
        if events.is_empty() && more.is_empty() {
            return;
        }
        let mut pending = self.pending();
        pending.events |= !events.is_empty();
        for event in events {
            match &event.fact {
                Fact::Created if !given(event.task) => self.work(&mut pending, event),
                Fact::Retrying { run_at, .. } if *run_at <= event.at && !given(event.task) => {
                    self.work(&mut pending, event);
                }
                Fact::Cancelled | Fact::Deleted => {
                    let started = event.attempt > crate::task::Attempt::NONE;
                    if started && pending.stops.len() < Self::MOST {
                        pending.stops.insert(event.task);
                    }
                }
                Fact::Created
                | Fact::Retrying { .. }
                | Fact::Started { .. }
                | Fact::Progress(_)
                | Fact::Completed
                | Fact::Failed(_) => {}
            }
        }
        for kind in more {
            pending.work.entry(kind.clone()).or_insert(TaskId(0));
        }
        drop(pending);
        self.bell.ring();
    }

    /// Tells workers outside of tasks that have waited for them.
    pub fn remind(&self, kind: &Kind, tasks: &[TaskId]) {
        let mut pending = self.pending();
        let room = Self::MOST.saturating_sub(pending.outside.len());
        pending.outside.extend(tasks.iter().take(room).map(|task| (kind.clone(), *task)));
        drop(pending);
        self.bell.ring();
    }

    /// Tells every node that a kind goes on which was paused.
    pub fn resumed(&self, kind: &Kind) {
        self.pending().resumed.insert(kind.clone());
        self.bell.ring();
    }

    fn work(&self, pending: &mut Pending, event: &Event) {
        if !self.kinds.outside().contains(&event.kind) {
            pending.work.entry(event.kind.clone()).or_insert(event.task);
        } else if pending.outside.len() < Self::MOST {
            pending.outside.push_back((event.kind.clone(), event.task));
        }
    }

    fn pending(&self) -> MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The name of a kind's run queue.
#[must_use]
pub fn run_queue(kind: &Kind) -> String {
    format!("gristmill.run.{kind}")
}

/// Where hints go that were delivered too often: of interest to people only.
const DEAD_HINTS: &str = "gristmill.run.dead";

/// What a run queue is.
#[must_use]
pub fn run_queue_form(settings: &BrokerSettings) -> Declare {
    Declare::Ours(OwnQueue {
        delivery_limit: Some(settings.delivery_limit),
        max_length: Some(settings.run_queue_length),
        dead_letters: Some(DeadLetters { exchange: String::new(), routing_key: DEAD_HINTS.to_owned() }),
    })
}

/// What is announced through the database: who says it, and what.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Word {
    Work(Vec<Kind>),
    Stop(Vec<TaskId>),
    Events,
}

impl Word {
    /// The longest that PostgreSQL carries is 8,000 bytes.
    const MOST: usize = 150;

    fn text(&self, from: &str) -> String {
        let join = |words: Vec<String>| words.join(" ");
        match self {
            Self::Work(kinds) => format!("{from} work {}", join(kinds.iter().map(Kind::to_string).collect())),
            Self::Stop(tasks) => {
                format!("{from} stop {}", join(tasks.iter().map(TaskId::to_string).collect()))
            }
            Self::Events => format!("{from} events"),
        }
    }

    /// What `text` says; `None` when it is `own`, or nothing that we know (a newer node's).
    fn parse(text: &str, own: &str) -> Option<Self> {
        let mut words = text.split(' ');
        let from = words.next()?;
        if from == own {
            return None;
        }
        match words.next()? {
            "work" => Some(Self::Work(words.filter_map(|word| word.parse().ok()).collect())),
            "stop" => Some(Self::Stop(words.filter_map(|word| word.parse().ok()).collect())),
            "events" => Some(Self::Events),
            _ => None,
        }
    }
}

/// What the actors here work with; shared by their incarnations.
#[derive(Clone)]
pub struct Parts {
    /// Where and until when it works.
    pub bench: Bench,
    /// What is to be sent.
    pub hints: Hints,
    /// The way through the database.
    pub store: Arc<dyn Store>,
    /// The way through the broker.
    pub broker: Option<(Broker, BrokerSettings)>,
    /// The kinds.
    pub kinds: Arc<Registry>,
    /// What this node is ready to take.
    pub demand: Demand,
    /// What it runs.
    pub runs: Runs,
    /// Who waits here for work outside.
    pub openings: Openings,
    /// Rung when there are events of other nodes.
    pub bell: Bell,
    /// Cancelled when the daemon drains.
    pub draining: CancellationToken,
    /// What this process signs its words with.
    pub own: Arc<str>,
}

/// The actor that sends hints.
pub struct Teller {
    parts: Parts,
}

impl Teller {
    /// A teller.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        Self { parts }
    }
}

impl Actor for Teller {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        let parts = self.parts.clone();
        self.parts.bench.work(ctx, parts.send_all());
    }
}

/// The actor that hears the other nodes' announcements, and takes hints from the run queues.
pub struct Hearer {
    parts: Parts,
}

impl Hearer {
    /// A hearer.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        Self { parts }
    }
}

impl Actor for Hearer {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        let parts = self.parts.clone();
        self.parts.bench.work(ctx, async move {
            tokio::join!(parts.hear(), parts.take_from_queues());
            // Where there is nobody to hear there is nothing to do, and no reason to end.
            std::future::pending::<()>().await;
        });
    }
}

impl Parts {
    /// How long hints gather after some went out, before they go out together.
    const GATHER: Duration = Duration::from_millis(5);
    /// The pause after saying that there are events.
    const REST: Duration = Duration::from_millis(25);
    /// The pause after trouble.
    const PAUSE: Duration = Duration::from_secs(1);
    /// How long the broker may take with hints: later than that, those who poll have found the work.
    const QUEUED: Duration = Duration::from_secs(2);
    /// After so long in silence this node speaks to itself. What it does not hear then, it would not hear from others.
    const SILENCE: Duration = Duration::from_secs(10);
    /// Hints taken from a run queue at a time.
    const HINTS: u16 = 16;

    async fn send_all(self) {
        let mut rung = self.hints.bell.ears();
        loop {
            rung.hear().await;
            let pending = std::mem::take(&mut *self.hints.pending());
            let urgent = !(pending.work.is_empty()
                && pending.outside.is_empty()
                && pending.stops.is_empty()
                && pending.resumed.is_empty());
            self.send(pending).await;
            // That there are events is said after nearly every commit, and those who follow along can wait a little.
            sleep(if urgent { Self::GATHER } else { Self::REST }).await;
        }
    }

    async fn send(&self, pending: Pending) {
        let Pending { work, outside, stops, events, resumed } = pending;
        let mut words = Vec::new();
        if events {
            words.push(Word::Events);
        }
        // However it stands with the run queues: any node may have permits for it.
        let resumed: Vec<Kind> = resumed.into_iter().collect();
        words.extend(resumed.chunks(Word::MOST).map(|kinds| Word::Work(kinds.to_vec())));
        let stops: Vec<TaskId> = stops.into_iter().collect();
        words.extend(stops.chunks(Word::MOST).map(|stops| Word::Stop(stops.to_vec())));
        let announced = work.keys().cloned().chain(outside.iter().map(|(kind, _)| kind.clone()));
        let announced: Vec<Kind> = announced.collect::<BTreeSet<_>>().into_iter().collect();
        // A queue that does not answer must not keep back what others are told through the database.
        let queued = async { timeout(Self::QUEUED, self.queue(work, outside)).await.unwrap_or(false) };
        if !announced.is_empty() && !queued.await {
            words.extend(announced.chunks(Word::MOST).map(|kinds| Word::Work(kinds.to_vec())));
        } else {
            // Those who wait over HTTP on other nodes have no queue to look into.
            let theirs: Vec<Kind> =
                announced.into_iter().filter(|kind| self.kinds.outside().contains(kind)).collect();
            words.extend(theirs.chunks(Word::MOST).map(|kinds| Word::Work(kinds.to_vec())));
        }
        for word in words {
            if let Err(error) = self.store.announce(&word.text(&self.own)).await {
                tracing::debug!(%error, "other nodes were not told; they look by themselves");
                return;
            }
        }
    }

    /// Puts hints into the run queues; `false` when that was not possible.
    async fn queue(&self, work: BTreeMap<Kind, TaskId>, outside: VecDeque<(Kind, TaskId)>) -> bool {
        let Some((broker, settings)) = &self.broker else { return false };
        if broker.can_publish().is_err() {
            return false;
        }
        let mut left: Vec<(Kind, TaskId)> = work.into_iter().chain(outside).collect();
        // Once more after the queues were made that were not there.
        for _ in 0..2 {
            let messages = left.iter().map(|(kind, task)| hint(kind, *task)).collect();
            let published = broker.publish(messages).await;
            let mut homeless = Vec::new();
            let mut failed = false;
            for (hint, published) in left.into_iter().zip(published) {
                match published {
                    Ok(()) => {}
                    Err(PublishError::Unroutable { .. }) => homeless.push(hint),
                    Err(error) => {
                        tracing::debug!(%error, kind = hint.0.as_str(), "a hint was not taken by the broker");
                        failed = true;
                    }
                }
            }
            if homeless.is_empty() {
                return !failed;
            }
            let kinds: BTreeSet<&Kind> = homeless.iter().map(|(kind, _)| kind).collect();
            for kind in kinds {
                if let Err(error) = broker.ensure_queue(&run_queue(kind), &run_queue_form(settings)).await {
                    tracing::warn!(%error, kind = kind.as_str(), "the run queue cannot be had");
                    return false;
                }
            }
            left = homeless;
        }
        false
    }

    /// Hears what other nodes announce, for as long as the database can tell.
    async fn hear(&self) {
        loop {
            match self.listen().await {
                // Where there is but one node there is nothing to hear.
                Ok(()) => return,
                Err(error) => tracing::warn!(%error, "other nodes are not heard; this one looks by itself"),
            }
            sleep(Self::PAUSE.mul_f64(rand::random_range(0.5..1.5))).await;
        }
    }

    async fn listen(&self) -> Result<(), StoreError> {
        let Some(mut listener) = self.store.listen().await? else { return Ok(()) };
        // What was said before is lost.
        self.demand.look_everywhere();
        self.bell.ring();
        loop {
            match Word::parse(&self.next_word(&mut *listener).await?, &self.own) {
                Some(Word::Events) => self.bell.ring(),
                Some(Word::Stop(tasks)) => {
                    for task in tasks {
                        self.runs.stop(task, Stop::Cancelled);
                    }
                }
                Some(Word::Work(kinds)) => {
                    for kind in &kinds {
                        self.demand.look_for(kind);
                        self.openings.hint(kind);
                    }
                }
                None => {}
            }
        }
    }

    /// The next word, on a connection that is known to carry words: one that the network swallowed says nothing either.
    async fn next_word(&self, listener: &mut dyn Listener) -> Result<String, StoreError> {
        if let Ok(word) = timeout(Self::SILENCE, listener.hear()).await {
            return word;
        }
        self.store.announce(&format!("{} here", self.own)).await?;
        match timeout(Self::SILENCE, listener.hear()).await {
            Ok(word) => word,
            Err(_) => {
                Err(StoreError::Unavailable { doing: "hear itself", source: sqlx::Error::PoolTimedOut })
            }
        }
    }

    /// Takes hints from the run queues of the kinds that this node runs.
    async fn take_from_queues(&self) {
        let Some((broker, settings)) = &self.broker else { return };
        let ours = self.kinds.iter().filter(|(_, permits)| *permits > 0).map(|(kind, _)| kind);
        join_all(ours.map(|kind| self.take_from(broker, settings, kind))).await;
    }

    /// Takes hints of a kind while there is a permit for one: else another node is better placed to have them.
    async fn take_from(&self, broker: &Broker, settings: &BrokerSettings, kind: &Kind) {
        let form = run_queue_form(settings);
        let subscription = Subscription::new(&run_queue(kind), form, Self::HINTS, "gristmill");
        let mut consumer = broker.consume(subscription);
        loop {
            if !self.demand.has_free(kind) {
                consumer.pause().await;
                self.demand.until_free(kind).await;
                consumer.resume();
            }
            let batch = tokio::select! {
                batch = consumer.batch(usize::from(Self::HINTS)) => batch,
                () = self.draining.cancelled() => break,
            };
            self.demand.look_for(kind);
            if let Err(lost) = consumer.ack(&batch).await {
                tracing::debug!(%lost, "hints come again");
            }
        }
        consumer.pause().await;
    }
}

/// The message of a hint.
fn hint(kind: &Kind, task: TaskId) -> Publish {
    Publish::to_queue(&run_queue(kind), format!(r#"{{"id":{task},"kind":"{kind}"}}"#))
        .content_type("application/json")
        .message_id(&task.to_string())
        .kind("gristmill.run")
        .persistent(true)
        .mandatory(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_read_back_as_themselves_except_ones_own() {
        let words = [
            Word::Work(vec!["noop".parse().unwrap(), "ocr".parse().unwrap()]),
            Word::Stop(vec![TaskId(7), TaskId(8)]),
            Word::Events,
        ];
        for word in words {
            assert_eq!(Word::parse(&word.text("me"), "you"), Some(word.clone()));
            assert_eq!(Word::parse(&word.text("me"), "me"), None);
        }
        for strange in ["", "me", "me dance", "me stop x"] {
            let parsed = Word::parse(strange, "you");
            assert!(matches!(parsed, None | Some(Word::Stop(_))), "{strange}: {parsed:?}");
        }
    }

    #[test]
    fn the_longest_words_fit_what_postgresql_carries() {
        let tasks = vec![TaskId(i64::MAX); Word::MOST];
        assert!(Word::Stop(tasks).text(&"f".repeat(36)).len() < 8_000);
        let kinds = vec!["k".repeat(32).parse().unwrap(); Word::MOST];
        assert!(Word::Work(kinds).text(&"f".repeat(36)).len() < 8_000);
    }
}
