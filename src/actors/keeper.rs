//! The keeper of the lease: a thread with its own runtime, and on PostgreSQL its own connection (on SQLite, where only
//! one can write, its turn after the group that is being written), so that no work can keep it from renewing.
//!
//! The lease is measured by this process's own monotonic clock from before each renewal is sent, so this node's
//! idea of its lease ends no later than the database's. After two thirds of it without a renewal the node stops
//! claiming; at its end the node fences itself: it stops its runs, says nothing more of them, and registers as a
//! new incarnation as soon as the database answers. That this process itself lives on is said there, so its tasks
//! go back without a crash held against them.

use std::sync::{Arc, PoisonError, RwLock};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use super::runs::{Runs, Stop};
use crate::clock::Clock;
use crate::failpoint::{self, Failpoint};
use crate::store::{Registration, Store};
use crate::task::NodeId;
use crate::telemetry::health::Health;
use crate::telemetry::metrics::{LeaseMetrics, LeaseRenewal};

/// The node's lease, as everybody on the node may look at it. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Lease {
    held: Arc<RwLock<Option<Held>>>,
    newest: Arc<RwLock<Option<NodeId>>>,
}

#[derive(Debug, Clone, Copy)]
struct Held {
    node: NodeId,
    claim_until: Instant,
    until: Instant,
}

impl Lease {
    /// The incarnation for which work may be claimed now.
    #[must_use]
    pub fn claimer(&self) -> Option<NodeId> {
        self.look().filter(|held| Instant::now() < held.claim_until).map(|held| held.node)
    }

    /// The incarnation that holds the lease now.
    #[must_use]
    pub fn holder(&self) -> Option<NodeId> {
        self.look().filter(|held| Instant::now() < held.until).map(|held| held.node)
    }

    /// The newest incarnation of this process, whether or not it still holds its lease.
    #[must_use]
    pub fn incarnation(&self) -> Option<NodeId> {
        *self.newest.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn look(&self) -> Option<Held> {
        *self.held.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn hold(&self, node: NodeId, sent: Instant, lease: Duration) {
        let held = Held { node, claim_until: sent + lease * 2 / 3, until: sent + lease };
        *self.newest.write().unwrap_or_else(PoisonError::into_inner) = Some(node);
        *self.held.write().unwrap_or_else(PoisonError::into_inner) = Some(held);
    }

    fn lose(&self) {
        *self.held.write().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

/// What the keeper needs to know.
pub struct Keep {
    /// Where leases are written.
    pub store: Arc<dyn Store>,
    /// Where everybody sees it.
    pub lease: Lease,
    /// What to stop when it is lost.
    pub runs: Runs,
    /// The place that only one process at a time has.
    pub seat: String,
    /// Host and process, for people.
    pub name: String,
    /// How long a lease holds.
    pub duration: Duration,
    /// Where to tell how it goes.
    pub health: Health,
    /// For the health board.
    pub clock: Clock,
    /// Told when the first lease is held, and whenever a new one is.
    pub on_hold: Box<dyn Fn() + Send>,
    /// Told when the thread ends without having been asked to: the daemon cannot go on.
    pub on_end: Box<dyn Fn() + Send>,
}

/// How often a living process shows that it is one: several times within [`crate::store::MISSED`].
const PRESENT: Duration = Duration::from_millis(400);

/// How long showing it may take, a new connection included: with the pause before it, still within that time.
const PRESENT_PATIENCE: Duration = Duration::from_secs(1);

/// The name on the health board.
pub const COMPONENT: &str = "lease";

/// Tells the thread to end, and where to say that it has.
type StopSignal = mpsc::Receiver<oneshot::Sender<()>>;

/// The running thread.
pub struct Keeper {
    stop: mpsc::Sender<oneshot::Sender<()>>,
    thread: JoinHandle<()>,
}

impl Keeper {
    /// Starts the thread.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(keep: Keep) -> std::io::Result<Self> {
        let (stop, stopped) = mpsc::channel(1);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let thread = std::thread::Builder::new().name("lease".into()).spawn(move || {
            let run = std::panic::AssertUnwindSafe(|| runtime.block_on(keep.run(stopped)));
            if std::panic::catch_unwind(run).is_err() {
                keep.on_end.as_ref()();
            }
        })?;
        Ok(Self { stop, thread })
    }

    /// Gives the lease back and ends the thread.
    pub async fn retire(self) {
        let (tell, told) = oneshot::channel();
        // Either the thread answers, or it is gone already.
        if self.stop.send(tell).await.is_ok() {
            let _ = told.await;
        }
        let _ = tokio::task::spawn_blocking(move || self.thread.join()).await;
    }
}

impl Keep {
    async fn run(&self, mut stopped: StopSignal) {
        let metrics = LeaseMetrics::new();
        let mut former = None;
        loop {
            let Some((node, sent)) = self.register(former, &mut stopped).await else { return };
            former = Some(node);
            match self.hold(node, sent, &metrics, &mut stopped).await {
                Some(tell) => {
                    self.lease.lose();
                    match timeout(self.duration / 3, self.store.retire(node)).await {
                        Ok(Ok(())) => {}
                        Ok(Err(error)) => {
                            tracing::warn!(%error, "the lease could not be given back; it runs out by itself");
                        }
                        Err(_) => {
                            tracing::warn!("the lease could not be given back in time; it runs out by itself")
                        }
                    }
                    let _ = tell.send(());
                    return;
                }
                None => self.fence(node, &metrics),
            }
        }
    }

    /// Registers a new incarnation, for as long as it takes. `None` when told to stop meanwhile.
    async fn register(
        &self,
        predecessor: Option<NodeId>,
        stopped: &mut StopSignal,
    ) -> Option<(NodeId, Instant)> {
        loop {
            // A fresh one each time: whether an attempt that failed took effect is unknown.
            let registration = Registration {
                node: NodeId::fresh(),
                seat: self.seat.clone(),
                name: self.name.clone(),
                lease: self.duration,
                predecessor,
            };
            let sent = Instant::now();
            let register = timeout(self.duration, self.store.register(&registration));
            let registered = tokio::select! {
                // Nothing is held: there is nothing to give back.
                Some(tell) = stopped.recv() => {
                    let _ = tell.send(());
                    return None;
                }
                registered = register => registered,
            };
            match registered {
                Ok(Ok(())) => {
                    self.lease.hold(registration.node, sent, self.duration);
                    self.health.up(COMPONENT);
                    tracing::debug!(node = %registration.node, "the node holds its lease");
                    (self.on_hold)();
                    return Some((registration.node, sent));
                }
                Ok(Err(error)) => self.in_trouble(&error.to_string()),
                Err(_) => self.in_trouble("the database did not answer in time"),
            }
            if let Some(tell) = pause_for(self.duration / 10, stopped).await {
                let _ = tell.send(());
                return None;
            }
        }
    }

    /// Renews until told to stop (`Some`) or the lease is lost (`None`).
    async fn hold(
        &self,
        node: NodeId,
        registered: Instant,
        metrics: &LeaseMetrics,
        stopped: &mut StopSignal,
    ) -> Option<oneshot::Sender<()>> {
        let mut until = registered + self.duration;
        let mut pause = (self.duration / 3).saturating_sub(registered.elapsed());
        loop {
            if let Some(tell) = self.pause_present(node, pause, stopped).await {
                return Some(tell);
            }
            let sent = Instant::now();
            let left = until.saturating_duration_since(sent);
            if left.is_zero() {
                return None;
            }
            match timeout(left, self.store.renew(node, self.duration)).await {
                Ok(Ok(true)) => {
                    metrics.renewal(LeaseRenewal::Ok);
                    self.lease.hold(node, sent, self.duration);
                    until = sent + self.duration;
                    pause = self.duration / 3;
                    self.health.up(COMPONENT);
                    failpoint::hit(Failpoint::LeaseRenewed);
                }
                Ok(Ok(false)) => return None,
                Ok(Err(error)) => {
                    metrics.renewal(LeaseRenewal::Failed);
                    self.in_trouble(&error.to_string());
                    pause = self.duration / 20;
                }
                Err(_) => return None,
            }
        }
    }

    /// Waits for the next renewal, showing meanwhile that this process lives; or hears the stop signal.
    async fn pause_present(
        &self,
        node: NodeId,
        pause: Duration,
        stopped: &mut StopSignal,
    ) -> Option<oneshot::Sender<()>> {
        let wake = Instant::now() + pause;
        loop {
            let left = wake.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return None;
            }
            if let Some(tell) = pause_for(left.min(PRESENT), stopped).await {
                return Some(tell);
            }
            // When it cannot be shown, the renewal has the last word.
            if !matches!(timeout(PRESENT_PATIENCE, self.store.present(node)).await, Ok(Ok(()))) {
                tracing::debug!("the database was not shown that this node lives");
            }
        }
    }

    fn fence(&self, node: NodeId, metrics: &LeaseMetrics) {
        self.lease.lose();
        self.runs.stop_all(Stop::Fenced);
        metrics.renewal(LeaseRenewal::Fenced);
        self.in_trouble("the lease was lost");
        tracing::error!(%node, "the lease was lost: what this node ran is stopped and runs again");
    }

    fn in_trouble(&self, reason: &str) {
        tracing::warn!(reason, "the lease is in trouble");
        self.health.down(COMPONENT, self.clock.utc(), reason);
    }
}

/// Waits, or hears the stop signal.
async fn pause_for(pause: Duration, stopped: &mut StopSignal) -> Option<oneshot::Sender<()>> {
    tokio::select! {
        Some(tell) = stopped.recv() => Some(tell),
        () = tokio::time::sleep(pause) => None,
    }
}
