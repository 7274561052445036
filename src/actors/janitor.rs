//! Cleans up, on one node for all (a duty, which another takes as soon as the lease of whoever has it is over): frees
//! the tasks of nodes and workers whose lease ran out, removes tasks that ended long ago and blobs that no row names, forgets
//! old answers, removes what users left who are gone, and reports whose time is over, has backups made when it is time
//! (`backups`), and reminds workers outside of what waits for them. On every node it keeps the gauges
//! that only a look at the database can tell, and removes from the folder of variants, which is this machine's own, what
//! was made of images that are gone.
//!
//! When this node has just taken a lease, which ends the leases of whoever had its seat before, it is told to look for
//! dead leases at once.

mod backups;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, ActorFutureExt as _, AsyncContext, Context, Handler, Message, SpawnHandle, WrapFuture};
use futures_util::future::join_all;

pub use self::backups::Plan as BackupPlan;
use super::hints::{Hints, run_queue};
use super::keeper::Lease;
use super::tracker::Metrics;
use crate::account::Caller;
use crate::blob::{Blobs, Swept};
use crate::broker::Broker;
use crate::clock::Clock;
use crate::imaging::{Imaging, ImagingError};
use crate::intake::Waiting;
use crate::kinds::Registry;
use crate::store::{Once, Rescued, Store, StoreError, Writer};
use crate::task::{Backoff, NodeId};
use crate::telemetry::health::Health;
use crate::telemetry::metrics::{JanitorMetrics, MetricsHandle};
use crate::tidy::{Cleared, Expired, Held, Tidy};

/// What the janitor works with; shared by its incarnations.
#[derive(Clone)]
pub struct Parts {
    /// The way to the tracker.
    pub writer: Writer,
    /// Under which incarnation this process goes: its own tasks are not for its janitor to judge.
    pub lease: Lease,
    /// What the rows say.
    pub store: Arc<dyn Store>,
    /// The blobs.
    pub blobs: Blobs,
    /// The variants that were made of them.
    pub imaging: Imaging,
    /// The kinds.
    pub kinds: Arc<Registry>,
    /// Who wants to know how many tasks wait.
    pub waiting: Waiting,
    /// How often to look for dead leases.
    pub rescue: Duration,
    /// When to try again what took too long outside.
    pub backoff: Backoff,
    /// How often to look for unnamed blobs.
    pub sweep: Duration,
    /// Which removes what need not be here.
    pub tidy: Tidy,
    /// The backups, and when one is made.
    pub backup: BackupPlan,
    /// The kinds' gauges.
    pub metrics: Metrics,
    /// The recorder, which wants upkeep.
    pub recorder: MetricsHandle,
    /// The way to remind workers outside: their run queues, where there is a broker.
    pub remind: Option<(Broker, Hints)>,
    /// Whether this node takes part in the duty.
    pub on_duty: bool,
    /// Where to say whether the blob store can be used.
    pub health: Health,
    /// For the health board.
    pub clock: Clock,
}

/// The name of the duty.
const DUTY: &str = "janitor";

/// Time to look for dead leases.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Rescue;

#[derive(Message)]
#[rtype(result = "()")]
struct Sweep;

/// Time to remove tasks that ended long ago.
#[derive(Message)]
#[rtype(result = "()")]
struct Expire;

#[derive(Message)]
#[rtype(result = "()")]
struct SweepVariants;

#[derive(Message)]
#[rtype(result = "()")]
struct Measure;

/// The actor.
pub struct Janitor {
    parts: Parts,
    /// The incarnation under which this node has the duty: for as long as its lease holds.
    duty: Option<NodeId>,
    metrics: JanitorMetrics,
    rescue: Looking,
    /// Whether a look at the blob store is under way: there is one at a time.
    probing: bool,
}

/// Where the look for dead leases stands: there is one at a time, whoever asks for it.
enum Looking {
    /// It is planned, if it ever was.
    Planned(Option<SpawnHandle>),
    /// It is under way, and to be done again if somebody asked meanwhile.
    UnderWay { again: bool },
}

impl Janitor {
    /// So many tasks are freed in one transaction.
    const RESCUE_LIMIT: u32 = 500;
    /// So many blobs are asked about in one query.
    const SWEEP_CHUNK: usize = 500;
    /// How often workers outside are reminded, and for how long a task must have waited for that.
    const REMIND: Duration = Duration::from_secs(10);
    /// Of so many tasks of a kind at a time.
    const REMIND_LIMIT: u32 = 500;
    /// So many tasks of users who are gone are removed in one transaction.
    const PURGE_LIMIT: u32 = 500;
    /// So many reports whose time is over are removed at once.
    const EXPIRE_LIMIT: u32 = 100;
    /// How often tasks are looked for that ended long ago, and the pause while there are more.
    const EXPIRE: Duration = Duration::from_secs(5);
    const BREATH: Duration = Duration::from_millis(20);
    /// So many answers are forgotten in one transaction.
    const FORGET_CHUNK: u32 = 1_000;
    /// For how long it is known what happened minute by minute.
    const HISTORY: Duration = Duration::from_secs(24 * 3600);
    /// How often the gauges are read.
    const MEASURE: Duration = Duration::from_secs(5);

    /// A janitor.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        Self {
            parts,
            duty: None,
            metrics: JanitorMetrics::new(),
            rescue: Looking::Planned(None),
            probing: false,
        }
    }
}

impl Actor for Janitor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        ctx.notify(Measure);
        ctx.notify_later(SweepVariants, self.parts.sweep.min(Duration::from_secs(5)));
        if self.parts.on_duty {
            ctx.notify(Rescue);
            ctx.notify_later(Sweep, self.parts.sweep.min(Duration::from_secs(5)));
            ctx.notify_later(Expire, Self::EXPIRE);
            ctx.notify_later(Remind, Self::REMIND);
            backups::begin(&self.parts.backup, ctx);
        }
    }
}

impl Handler<Rescue> for Janitor {
    type Result = ();

    fn handle(&mut self, _: Rescue, ctx: &mut Context<Self>) {
        if !self.parts.on_duty {
            return;
        }
        match &mut self.rescue {
            Looking::UnderWay { again } => {
                *again = true;
                return;
            }
            Looking::Planned(planned) => {
                if let Some(planned) = planned.take() {
                    ctx.cancel_future(planned);
                }
            }
        }
        self.rescue = Looking::UnderWay { again: false };
        let writer = self.parts.writer.clone();
        let except = self.parts.lease.incarnation();
        let backoff = self.parts.backoff;
        let take_duty = self.parts.clone().take_duty(self.duty);
        let rescue = async move {
            let duty = take_duty.await;
            let rescued = match duty {
                Some(_) => writer.rescue(Self::RESCUE_LIMIT, except, backoff).await,
                None => Ok(Rescued::default()),
            };
            (duty, rescued)
        };
        ctx.spawn(rescue.into_actor(self).map(|(duty, rescued), this, ctx| {
            this.duty = duty;
            let more = match rescued {
                Ok(rescued) => {
                    if rescued.tasks > 0 {
                        tracing::warn!(
                            tasks = rescued.tasks,
                            "freed tasks whose worker is gone, and ended those whose time is over"
                        );
                    }
                    this.metrics.rescued(u64::from(rescued.tasks));
                    rescued.more
                }
                Err(error) => {
                    tracing::warn!(%error, "could not look for tasks whose worker is gone");
                    false
                }
            };
            let jitter = rand::random_range(0.8..1.0);
            let at_once = more || matches!(this.rescue, Looking::UnderWay { again: true });
            let pause = if at_once { Duration::ZERO } else { this.parts.rescue.mul_f64(jitter) };
            this.rescue = Looking::Planned(Some(ctx.notify_later(Rescue, pause)));
        }));
    }
}

/// Why a sweep was cut short.
#[derive(Debug, thiserror::Error)]
enum SweepError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Variants(#[from] ImagingError),
}

impl Handler<Sweep> for Janitor {
    type Result = ();

    fn handle(&mut self, _: Sweep, ctx: &mut Context<Self>) {
        let parts = self.parts.clone();
        let duty = self.has_duty();
        let sweep = async move { if duty { parts.tidy.sweep(None).await } else { Ok(Cleared::default()) } };
        ctx.spawn(sweep.into_actor(self).map(|cleared, this, ctx| {
            match cleared {
                Ok(Cleared { swept, held, more: _ }) => this.tell_swept(swept, held),
                Err(error) => tracing::warn!(%error, "a sweep was cut short; the next one goes on"),
            }
            ctx.notify_later(Sweep, this.parts.sweep);
        }));
    }
}

impl Handler<Expire> for Janitor {
    type Result = ();

    fn handle(&mut self, _: Expire, ctx: &mut Context<Self>) {
        let tidy = self.parts.tidy.clone();
        let duty = self.has_duty();
        let expire = async move { if duty { tidy.expire().await } else { Ok(Expired::default()) } };
        ctx.spawn(expire.into_actor(self).map(|expired, this, ctx| {
            let more = match expired {
                Ok(expired) => {
                    this.tell_expired(&expired);
                    expired.more
                }
                Err(error) => {
                    tracing::warn!(%error, "tasks that ended long ago could not be removed; the next round does it");
                    false
                }
            };
            // A round is a command among others, and then it is others' turn.
            ctx.notify_later(Expire, if more { Self::BREATH } else { Self::EXPIRE });
        }));
    }
}

impl Handler<SweepVariants> for Janitor {
    type Result = ();

    fn handle(&mut self, _: SweepVariants, ctx: &mut Context<Self>) {
        let parts = self.parts.clone();
        let sweep = async move { parts.sweep_variants().await };
        ctx.spawn(sweep.into_actor(self).map(|swept, this, ctx| {
            if let Err(error) = swept {
                tracing::warn!(%error, "variants of images that are gone may be left; the next sweep goes on");
            }
            ctx.notify_later(SweepVariants, this.parts.sweep);
        }));
    }
}

#[derive(Message)]
#[rtype(result = "()")]
struct Remind;

impl Handler<Remind> for Janitor {
    type Result = ();

    fn handle(&mut self, _: Remind, ctx: &mut Context<Self>) {
        let parts = self.parts.clone();
        let duty = self.has_duty();
        let remind = async move {
            if duty {
                parts.remind().await;
                parts.forget().await;
                parts.forget_events().await;
                parts.purge().await;
                parts.expire_reports().await;
            }
        };
        ctx.spawn(remind.into_actor(self).map(|(), _, ctx| {
            ctx.notify_later(Remind, Self::REMIND);
        }));
    }
}

impl Janitor {
    fn tell_expired(&self, expired: &Expired) {
        for ((kind, status), tasks) in &expired.tasks {
            tracing::info!(
                kind = kind.as_str(),
                status = status.as_str(),
                tasks,
                "removed tasks that ended long ago"
            );
            if let Some(metrics) = self.parts.metrics.of(kind) {
                metrics.expired(*tasks);
            }
        }
    }

    fn tell_swept(&self, swept: Swept, held: Option<Held>) {
        if swept.blobs > 0 {
            tracing::info!(blobs = swept.blobs, bytes = swept.bytes, "removed blobs that no row names");
            self.metrics.swept(swept.blobs);
        }
        match held {
            None => {}
            // As often as there are backups, and as long as they take.
            Some(held @ Held::Backup) => tracing::debug!("{}", held.told()),
            Some(held @ (Held::Clock | Held::EmptyDatabase | Held::MovedAway)) => {
                tracing::warn!("{}", held.told());
            }
        }
    }

    fn has_duty(&self) -> bool {
        self.duty.is_some() && self.duty == self.parts.lease.holder()
    }
}

impl Parts {
    /// Takes the duty, or keeps it without asking while the lease under which it was taken holds.
    async fn take_duty(self, has: Option<NodeId>) -> Option<NodeId> {
        let node = self.lease.holder()?;
        if has == Some(node) {
            return has;
        }
        match self.store.hold_duty(DUTY, node).await {
            Ok(true) => {
                tracing::info!("this node cleans up for all");
                Some(node)
            }
            Ok(false) => None,
            Err(error) => {
                tracing::warn!(%error, "who cleans up could not be found out");
                None
            }
        }
    }

    /// Puts tasks that wait for workers outside into their run queues again, where those are empty: a hint may have
    /// been lost, or the time of the task came since.
    async fn remind(&self) {
        let Some((broker, hints)) = &self.remind else { return };
        for kind in self.kinds.outside() {
            let waits = match broker.queue(&run_queue(kind)).await {
                Ok(queue) => queue.messages == 0,
                Err(error) => {
                    tracing::debug!(%error, kind = kind.as_str(), "a run queue could not be looked at");
                    true
                }
            };
            if !waits {
                continue;
            }
            match self.store.free_for(kind, Janitor::REMIND, Janitor::REMIND_LIMIT).await {
                Ok(tasks) if tasks.is_empty() => {}
                Ok(tasks) => hints.remind(kind, &tasks),
                Err(error) => tracing::warn!(%error, "what waits for workers outside could not be read"),
            }
        }
    }

    /// Forgets answers that need not be remembered any more, sessions and allowances that are over, and minutes that no chart
    /// shows.
    async fn forget(&self) {
        if let Err(error) = self.store.forget_expired(Janitor::FORGET_CHUNK).await {
            tracing::warn!(%error, "what is over could not be forgotten; the next round goes on");
        }
        let history =
            async { self.store.forget_history(self.store.now().await?.before(Janitor::HISTORY)).await };
        if let Err(error) = history.await {
            tracing::warn!(%error, "old minutes could not be forgotten; the next round goes on");
        }
        loop {
            match self.store.forget_answers(Janitor::FORGET_CHUNK).await {
                Ok(gone) if gone == u64::from(Janitor::FORGET_CHUNK) => {}
                Ok(_) => return,
                Err(error) => {
                    tracing::warn!(%error, "old answers could not be forgotten; the next round goes on");
                    return;
                }
            }
        }
    }

    /// Removes what users left who are gone.
    async fn purge(&self) {
        loop {
            match self.writer.purge(Janitor::PURGE_LIMIT).await {
                Ok(purged) if purged.more => {}
                Ok(_) => return,
                Err(error) => {
                    tracing::warn!(%error, "what users left could not be removed; the next round goes on");
                    return;
                }
            }
        }
    }

    /// Removes the reports that are kept no longer, with their tasks.
    async fn expire_reports(&self) {
        loop {
            let removed = match self.store.expired_reports(Janitor::EXPIRE_LIMIT).await {
                Ok(over) => {
                    // Together, so that the tracker takes them as one group.
                    let deletes =
                        over.iter().map(|task| self.writer.delete(*task, Caller::Admin(None), None));
                    let deleted = join_all(deletes).await;
                    deleted.into_iter().filter(|deleted| matches!(deleted, Ok(Once::Now(Ok(_))))).count()
                }
                Err(error) => {
                    tracing::warn!(%error, "old reports could not be looked for; the next round does it");
                    return;
                }
            };
            // Fewer when that were the last, or when something is in the way, which the next round tries again.
            if removed < Janitor::EXPIRE_LIMIT as usize {
                return;
            }
        }
    }

    /// Forgets events of tasks that were removed long ago.
    async fn forget_events(&self) {
        loop {
            match self.tidy.forget_events(self.remind.is_some()).await {
                Ok(true) => {}
                Ok(false) => return,
                Err(error) => {
                    tracing::warn!(%error, "old events could not be forgotten; the next round goes on");
                    return;
                }
            }
        }
    }

    /// Whoever removes an image by its link removes its variants with it, on their node; this is for the other nodes, and
    /// for images that go with their task or their owner.
    async fn sweep_variants(&self) -> Result<(), SweepError> {
        for chunk in self.imaging.blobs().await?.chunks(Janitor::SWEEP_CHUNK) {
            let gone = self.store.unreferenced(chunk).await?;
            if !gone.is_empty() {
                self.imaging.forget(gone).await?;
            }
        }
        Ok(())
    }
}

/// The name of the blob store on the health board.
pub const BLOBS: &str = "blobs";

impl Janitor {
    fn probe_blobs(&mut self, ctx: &mut Context<Self>) {
        // A bucket that hangs takes longer than the pause between two looks.
        if std::mem::replace(&mut self.probing, true) {
            return;
        }
        let blobs = self.parts.blobs.clone();
        let probe = async move {
            match tokio::task::spawn_blocking(move || blobs.probe()).await {
                Ok(probed) => probed.map_err(|error| error.to_string()),
                Err(_) => Err("the probe panicked".to_owned()),
            }
        };
        ctx.spawn(probe.into_actor(self).map(|probed, this, _| {
            this.probing = false;
            match probed {
                Ok(()) => this.parts.health.up(BLOBS),
                Err(error) => this.parts.health.down(BLOBS, this.parts.clock.utc(), error),
            }
        }));
    }
}

impl Handler<Measure> for Janitor {
    type Result = ();

    fn handle(&mut self, _: Measure, ctx: &mut Context<Self>) {
        self.parts.recorder.run_upkeep();
        self.probe_blobs(ctx);
        let store = Arc::clone(&self.parts.store);
        let mark = self.parts.waiting.mark();
        let measured = async move { Ok::<_, StoreError>((store.depths().await?, store.pauses().await?)) };
        ctx.spawn(measured.into_actor(self).map(|measured, this, ctx| {
            match measured {
                Ok((depths, pauses)) => {
                    this.parts.waiting.counted(mark, &depths);
                    let now = this.parts.clock.now();
                    // A kind of which nothing waits has no row: its gauge falls to 0 all the same.
                    let kinds =
                        this.parts.kinds.iter().map(|(kind, _)| kind).chain(this.parts.kinds.outside());
                    let mut unseen: BTreeSet<_> = kinds.collect();
                    for kind in &unseen {
                        if let Some(metrics) = this.parts.metrics.of(kind) {
                            metrics.set_paused(pauses.iter().any(|pause| pause.kind == **kind));
                        }
                    }
                    for depth in &depths {
                        unseen.remove(&depth.kind);
                        if let Some(metrics) = this.parts.metrics.of(&depth.kind) {
                            let waits = depth.oldest.map(|oldest| now.since(oldest)).unwrap_or_default();
                            metrics.set_ready(depth.ready, waits);
                        }
                    }
                    for metrics in unseen.into_iter().filter_map(|kind| this.parts.metrics.of(kind)) {
                        metrics.set_ready(0, Duration::ZERO);
                    }
                }
                Err(error) => tracing::warn!(%error, "the depth of the queue could not be read"),
            }
            ctx.notify_later(Measure, Self::MEASURE);
        }));
    }
}
