//! One connection, kept up for as long as the daemon runs.
//!
//! A task per connection connects, watches, and connects again, with pauses that grow to `broker.retry_cap_s` and are
//! drawn at random; it never gives up. lapin's own recovery is off: under it publishes wait without an end, and it
//! stops trying after a while. Publisher and consumers look at [`Link::now`], and wait at [`Link::up`]. True here:
//! - What is given up ([`Open::give_up`]) is ended at once, without a word to the other side, which may be gone.
//! - The board tells `up` only while all connections stand and none is blocked.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use futures_util::StreamExt;
use lapin::{Connection, Event};
use rand::Rng;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::endpoint::{Endpoint, Socket};
use crate::clock::Clock;
use crate::telemetry::health::Health;
use crate::telemetry::metrics::{BrokerConnection, BrokerMetrics};

/// The shortest pause between two attempts.
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// How often a connection is looked at that tells nothing by itself.
const LOOK: Duration = Duration::from_millis(500);

/// How long the broker may take to say goodbye.
const GOODBYE: Duration = Duration::from_secs(1);

/// A connection that stands.
pub(super) struct Open {
    pub(super) connection: Connection,
    /// Counts the connections of the link.
    pub(super) generation: u64,
    /// Why the broker takes no messages, while it does not.
    pub(super) blocked: watch::Receiver<Option<String>>,
    /// Set once it has ended.
    pub(super) ended: CancellationToken,
    socket: Socket,
    given_up: CancellationToken,
    reason: OnceLock<String>,
}

impl Open {
    /// Ends it: the other side does not answer.
    pub(super) fn give_up(&self, reason: &str) {
        // The first to complain is told.
        let _ = self.reason.set(reason.to_owned());
        self.given_up.cancel();
        self.socket.shut();
    }

    /// Ends it unless the broker still answers on it, within `patience`; gives whether it does. Then only what was asked
    /// has no answer: a quorum queue that lost its leader, say, which is no reason to take all else down.
    pub(super) async fn doubt(&self, reason: &str, patience: Duration) -> bool {
        let answers = matches!(timeout(patience, self.connection.create_channel()).await, Ok(Ok(_)));
        if !answers {
            self.give_up(reason);
        }
        answers
    }
}

#[derive(Clone)]
enum State {
    Down(Arc<str>),
    Up(Arc<Open>),
}

/// The handle to a connection that comes and goes. Clones share it.
#[derive(Clone)]
pub(super) struct Link {
    inner: Arc<Inner>,
}

struct Inner {
    which: BrokerConnection,
    endpoint: Arc<Endpoint>,
    retry_cap: Duration,
    board: Board,
    metrics: BrokerMetrics,
    state: watch::Sender<State>,
    closing: CancellationToken,
    done: CancellationToken,
}

impl Link {
    /// Starts to keep it up, on the current runtime.
    pub(super) fn start(
        which: BrokerConnection,
        endpoint: Arc<Endpoint>,
        retry_cap: Duration,
        board: Board,
        metrics: BrokerMetrics,
        closing: CancellationToken,
    ) -> Self {
        board.expect(which.as_str());
        metrics.set_connected(which, false);
        let state = watch::Sender::new(State::Down(endpoint.in_place("not connected yet").into()));
        let inner = Arc::new(Inner {
            which,
            endpoint,
            retry_cap,
            board,
            metrics,
            state,
            closing,
            done: CancellationToken::new(),
        });
        let link = Self { inner };
        tokio::spawn(link.clone().keep());
        link
    }

    /// Another connection to the same place, kept up alike.
    pub(super) fn another(&self, which: BrokerConnection) -> Self {
        let Inner { endpoint, retry_cap, board, metrics, closing, .. } = &*self.inner;
        Self::start(which, Arc::clone(endpoint), *retry_cap, board.clone(), metrics.clone(), closing.clone())
    }

    /// The connection, or why there is none.
    pub(super) fn now(&self) -> Result<Arc<Open>, Arc<str>> {
        match &*self.inner.state.borrow() {
            State::Up(open) => Ok(Arc::clone(open)),
            State::Down(reason) => Err(Arc::clone(reason)),
        }
    }

    /// The connection, as soon as it stands. Pending for ever once the broker is closed.
    pub(super) async fn up(&self) -> Arc<Open> {
        let mut state = self.inner.state.subscribe();
        loop {
            if let State::Up(open) = &*state.borrow_and_update()
                && !open.ended.is_cancelled()
            {
                return Arc::clone(open);
            }
            if state.changed().await.is_err() {
                return std::future::pending().await;
            }
        }
    }

    /// Resolves once the link is closed for good, after [`Inner::closing`] was set.
    pub(super) async fn ended(&self) {
        self.inner.done.cancelled().await;
    }

    /// Where the broker is, and how its errors are told.
    pub(super) fn endpoint(&self) -> &Endpoint {
        &self.inner.endpoint
    }

    /// Restarts the loop should it panic: the daemon must not stay without a broker for a fault of ours.
    async fn keep(self) {
        // Also when this task is dropped with its runtime.
        let _done = self.inner.done.clone().drop_guard();
        while let Err(error) = tokio::spawn(self.clone().run()).await {
            if !error.is_panic() || self.inner.closing.is_cancelled() {
                return;
            }
            tracing::error!(
                connection = self.inner.which.as_str(),
                "the keeper of a broker connection panicked"
            );
            self.down("its keeper panicked");
            sleep(self.inner.retry_cap).await;
        }
    }

    async fn run(self) {
        let mut failures = 0;
        let mut generation = 0;
        while !self.inner.closing.is_cancelled() {
            let name = self.inner.which.as_str();
            let attempt = tokio::select! {
                attempt = self.inner.endpoint.connect(name) => attempt,
                () = self.inner.closing.cancelled() => return,
            };
            let reason = match attempt {
                Ok((connection, socket)) => {
                    if generation > 0 {
                        self.inner.metrics.reconnected(self.inner.which);
                    }
                    generation += 1;
                    let since = Instant::now();
                    let reason = self.serve(connection, socket, generation).await;
                    // One that stood for a while is no failure; one that is made and lost in a loop is.
                    failures = if since.elapsed() > self.inner.retry_cap { 0 } else { failures + 1 };
                    reason
                }
                Err(reason) => {
                    failures += 1;
                    reason
                }
            };
            if self.inner.closing.is_cancelled() {
                return;
            }
            self.down(&reason);
            let pause = pause(failures, self.inner.retry_cap);
            tracing::debug!(connection = name, failures, ?pause, "pausing before the next attempt");
            tokio::select! {
                () = sleep(pause) => {}
                () = self.inner.closing.cancelled() => {}
            }
        }
    }

    /// Watches a connection until it ends, and gives the reason.
    async fn serve(&self, connection: Connection, socket: Socket, generation: u64) -> String {
        let inner = &*self.inner;
        let (blocked, is_blocked) = watch::channel(None);
        let mut events = std::pin::pin!(connection.events_listener());
        let open = Arc::new(Open {
            connection,
            generation,
            blocked: is_blocked,
            ended: CancellationToken::new(),
            socket,
            given_up: CancellationToken::new(),
            reason: OnceLock::new(),
        });
        tracing::info!(
            connection = inner.which.as_str(),
            broker = inner.endpoint.shown(),
            "connected to the broker"
        );
        inner.metrics.set_connected(inner.which, true);
        inner.board.well(inner.which.as_str());
        inner.state.send_replace(State::Up(Arc::clone(&open)));

        let mut last_error = None;
        loop {
            tokio::select! {
                () = inner.closing.cancelled() => break,
                () = open.given_up.cancelled() => break,
                event = events.next() => match event {
                    Some(event) => self.hear(event, &blocked, &mut last_error),
                    None => break,
                },
                () = sleep(LOOK) => {}
            }
            if !open.connection.status().connected() {
                break;
            }
        }
        if inner.closing.is_cancelled() {
            let goodbye = open.connection.close(200, "OK".into());
            if !matches!(timeout(GOODBYE, goodbye).await, Ok(Ok(()))) {
                tracing::debug!(connection = inner.which.as_str(), "the broker did not say goodbye");
            }
        }
        open.ended.cancel();
        open.socket.shut();
        inner.metrics.set_connected(inner.which, false);
        let given_up = open.reason.get().map(|reason| inner.endpoint.in_place(reason));
        given_up.or(last_error).unwrap_or_else(|| inner.endpoint.in_place("the connection ended"))
    }

    fn hear(&self, event: Event, blocked: &watch::Sender<Option<String>>, last_error: &mut Option<String>) {
        let inner = &*self.inner;
        if let Event::ConnectionBlocked(reason) = event {
            let told = format!("the broker has blocked publishing: {reason}");
            tracing::warn!(broker = inner.endpoint.shown(), reason, "the broker has blocked publishing");
            inner.board.trouble(inner.which.as_str(), &told);
            blocked.send_replace(Some(told));
        } else if let Event::ConnectionUnblocked = event {
            tracing::info!(broker = inner.endpoint.shown(), "the broker takes messages again");
            blocked.send_replace(None);
            inner.board.well(inner.which.as_str());
        } else if let Event::Error(error) = event {
            *last_error = Some(inner.endpoint.told(&error));
        }
    }

    fn down(&self, reason: &str) {
        let inner = &*self.inner;
        // Told once a spell and reason, not at each attempt.
        if inner.board.trouble(inner.which.as_str(), reason) {
            tracing::warn!(connection = inner.which.as_str(), reason, "no connection to the broker");
        }
        inner.state.send_replace(State::Down(reason.into()));
    }
}

/// How long to wait before the next attempt: anything up to a bound that doubles.
fn pause(failures: u32, cap: Duration) -> Duration {
    let bound = FIRST_PAUSE.saturating_mul(1 << failures.min(20)).min(cap);
    bound.mul_f64(rand::rng().random::<f64>()).max(FIRST_PAUSE.min(cap))
}

/// The broker's line on the health board: up while nobody has trouble.
#[derive(Clone)]
pub(super) struct Board {
    health: Health,
    clock: Clock,
    component: &'static str,
    /// `Unknown` until the first word.
    words: Arc<Mutex<BTreeMap<String, Word>>>,
    closing: CancellationToken,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Word {
    Unknown,
    Well,
    Trouble(String),
}

impl Board {
    pub(super) fn new(
        health: Health,
        clock: Clock,
        component: &'static str,
        closing: CancellationToken,
    ) -> Self {
        Self { health, clock, component, words: Arc::default(), closing }
    }

    /// Somebody will have a word.
    fn expect(&self, who: &str) {
        self.set(who, Word::Unknown);
    }

    /// Somebody is well.
    pub(super) fn well(&self, who: &str) {
        self.set(who, Word::Well);
    }

    /// Somebody has trouble; gives whether that is news.
    pub(super) fn trouble(&self, who: &str, reason: &str) -> bool {
        self.set(who, Word::Trouble(reason.to_owned()))
    }

    /// Somebody is gone.
    pub(super) fn forget(&self, who: &str) {
        let mut words = self.words.lock().unwrap_or_else(PoisonError::into_inner);
        words.remove(who);
        self.tell(&words);
    }

    fn set(&self, who: &str, word: Word) -> bool {
        let mut words = self.words.lock().unwrap_or_else(PoisonError::into_inner);
        let news = words.get(who) != Some(&word);
        words.insert(who.to_owned(), word);
        self.tell(&words);
        news
    }

    fn tell(&self, words: &BTreeMap<String, Word>) {
        if self.closing.is_cancelled() {
            return;
        }
        let mut troubles: Vec<&str> = words
            .values()
            .filter_map(|word| match word {
                Word::Trouble(reason) => Some(reason.as_str()),
                Word::Unknown | Word::Well => None,
            })
            .collect();
        // Both connections mostly have the same one.
        troubles.sort_unstable();
        troubles.dedup();
        if !troubles.is_empty() {
            self.health.down(self.component, self.clock.utc(), troubles.join("; "));
        } else if words.values().all(|word| *word == Word::Well) {
            self.health.up(self.component);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_the_cap_and_differ() {
        let cap = Duration::from_secs(10);
        for failures in 0..64 {
            let longest = (0..200).map(|_| pause(failures, cap)).max().unwrap();
            let shortest = (0..200).map(|_| pause(failures, cap)).min().unwrap();
            assert!(shortest >= FIRST_PAUSE && longest <= cap, "{failures}: {shortest:?} {longest:?}");
            if failures >= 7 {
                assert!(longest > cap / 2, "{failures}: {longest:?}");
            }
            assert!(failures == 0 || shortest < longest, "{failures}: no jitter");
        }
        assert_eq!(pause(5, Duration::from_millis(20)), Duration::from_millis(20));
    }
}
