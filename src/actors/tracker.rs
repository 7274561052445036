//! The only writer of this node. Gathers whatever commands are there, adds the claim that the node's demand calls
//! for, commits them as one group, and then tells everyone: the callers their answers, the dispatcher what was
//! claimed, waiters what ended, runs that they were cancelled.
//!
//! Group commit with a leading edge: an idle tracker commits a lone command at once; what arrives during that commit
//! makes the next group. So latency is one commit when there is little to do, and the cost of a sync is shared when
//! there is much.
//!
//! The lanes outlive this actor: they wait behind a lock for its successor.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::{Actor, ActorContext, ActorFutureExt as _, AsyncContext, Context, WrapFuture};
use tokio::sync::Mutex;
use tokio::time::timeout;

use super::demand::Demand;
use super::dispatcher::{Assignment, Assignments, Dispatcher, DueAt};
use super::hints::Hints;
use super::runs::{Runs, Stop};
use super::supervisor::Link;
use super::tally::Tally;
use crate::clock::Clock;
use crate::failpoint::{self, Failpoint};
use crate::intake::{Arrivals, Openings, Waiting};
use crate::kinds::Registry;
use crate::store::{
    Answer, Claim, Claimed, Command, Committed, Inbound, Lanes, Reply, Span, Store, StoreError, Stretch,
    WriteError,
};
use crate::task::{Event, EventName, Kind, Task, Timestamp};
use crate::telemetry::health::Health;
use crate::telemetry::metrics::{CommitMetrics, KindMetrics, QueueMetrics, TaskEvent};
use crate::telling::Bell;

/// What the tracker works with; shared by its incarnations.
#[derive(Clone)]
pub struct Parts {
    /// Where it writes.
    pub store: Arc<dyn Store>,
    /// Where commands come from.
    pub lanes: Arc<Mutex<Lanes>>,
    /// What to claim.
    pub demand: Demand,
    /// Whom to tell that they were cancelled.
    pub runs: Runs,
    /// Whom to tell that something ended.
    pub arrivals: Arrivals,
    /// Whom to tell that something is free for workers outside.
    pub openings: Openings,
    /// Who lets tasks in as long as not too many wait.
    pub waiting: Waiting,
    /// What other nodes should know.
    pub hints: Hints,
    /// Rung after each commit that wrote events.
    pub bell: Bell,
    /// What is counted for charts.
    pub tally: Tally,
    /// Whom to tell what was claimed.
    pub dispatcher: Link<Dispatcher>,
    /// The most commands in a group.
    pub group_max: usize,
    /// How long a commit may take.
    pub patience: Duration,
    /// Where to say whether the database answers.
    pub health: Health,
    /// For the health board.
    pub clock: Clock,
    /// The metrics.
    pub metrics: Metrics,
}

/// The tracker's metrics.
#[derive(Clone)]
pub struct Metrics {
    commits: CommitMetrics,
    queue: QueueMetrics,
    kinds: Arc<BTreeMap<Kind, KindMetrics>>,
}

impl Metrics {
    /// Handles for the kinds of the registry, those that workers outside do among them.
    #[must_use]
    pub fn new(kinds: &Registry) -> Self {
        let all = kinds.iter().map(|(kind, _)| kind).chain(kinds.outside());
        let kinds = all.map(|kind| (kind.clone(), KindMetrics::new(kind.as_str()))).collect();
        Self { commits: CommitMetrics::new(), queue: QueueMetrics::new(), kinds: Arc::new(kinds) }
    }

    /// The handles of one kind.
    #[must_use]
    pub fn of(&self, kind: &Kind) -> Option<&KindMetrics> {
        self.kinds.get(kind)
    }
}

/// The name of the database on the health board.
pub const DATABASE: &str = "database";

/// The actor.
pub struct Tracker {
    parts: Parts,
}

impl Tracker {
    /// A tracker.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        Self { parts }
    }
}

impl Actor for Tracker {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        let parts = self.parts.clone();
        // On this actor's own context: a panic in it is this actor's end, which the supervisor sees.
        ctx.spawn(async move { parts.run().await }.into_actor(self).map(|(), _, ctx| ctx.stop()));
    }
}

impl Parts {
    /// How long to wait after a claim that the database refused.
    const PAUSE: Duration = Duration::from_millis(500);

    /// Writes groups until all callers are gone.
    async fn run(self) {
        let mut lanes = self.lanes.lock().await;
        let mut trouble = 0_u32;
        loop {
            let mut inbound = tokio::select! {
                biased;
                group = lanes.group(self.group_max) => match group {
                    Some(group) => group,
                    None => return,
                },
                () = self.demand.wanted() => Vec::new(),
            };
            lanes.fill(&mut inbound, self.group_max);
            self.metrics.queue.set_depth(lanes.waiting());
            let (mut commands, answers): (Vec<_>, Vec<_>) =
                inbound.into_iter().map(Inbound::into_parts).unzip();
            let claim = self.demand.draw(&commands);
            commands.extend(claim.clone().map(Command::Claim));
            if commands.is_empty() {
                continue;
            }
            let begun = Instant::now();
            let committed = match timeout(self.patience, self.store.commit(&commands)).await {
                Ok(committed) => committed,
                Err(_) => Err(StoreError::Unavailable {
                    doing: "commit a group in time",
                    source: sqlx::Error::PoolTimedOut,
                }),
            };
            match committed {
                Ok(committed) => {
                    trouble = 0;
                    self.metrics.commits.committed(commands.len(), begun.elapsed());
                    self.health.up(DATABASE);
                    if !self.tell(committed, claim.as_ref(), answers) {
                        // It would be refused again at once.
                        tokio::time::sleep(Self::PAUSE).await;
                    }
                }
                Err(error) => {
                    trouble = trouble.saturating_add(1);
                    self.metrics.commits.failed();
                    self.health.down(DATABASE, self.clock.utc(), error.to_string());
                    tracing::error!(%error, commands = commands.len(), "a group could not be committed");
                    let error = Arc::new(error);
                    for answer in answers {
                        answer.give(Err(WriteError::Store(Arc::clone(&error))));
                    }
                    if claim.is_some() {
                        self.demand.look_everywhere();
                    }
                    // A database that is away gets time to come back.
                    tokio::time::sleep(Duration::from_millis(20) * 2_u32.pow(trouble.min(6))).await;
                }
            }
        }
    }

    /// Tells everyone what a group did; `false` when its claim, and only that, was refused.
    fn tell(&self, committed: Committed, claim: Option<&Claim>, answers: Vec<Answer>) -> bool {
        let Committed { mut replies, events, spans } = committed;
        self.measure(&events, &spans);
        let (mut given, mut left, mut claimable) = (HashSet::new(), Vec::new(), true);
        if let (Some(claim), Some(reply)) = (claim, (replies.len() > answers.len()).then(|| replies.pop())) {
            match reply {
                Some(Ok(Reply::Claimed(claimed))) => {
                    given.extend(claimed.tasks.iter().map(|task| task.life.id));
                    left.clone_from(&claimed.more);
                    self.hand_out(claim, claimed);
                }
                Some(Ok(_)) | None => unreachable!("the last command was a claim"),
                Some(Err(error)) => {
                    tracing::error!(%error, "a claim was refused by the database");
                    self.demand.look_everywhere();
                    claimable = false;
                }
            }
        }
        self.spread(&events, &given);
        // What this node takes itself as soon as it is done with the claim need not be told to others.
        left.retain(|kind| !self.demand.has_free(kind));
        self.hints.note(&events, |task| given.contains(&task), &left);
        if !events.is_empty() {
            self.bell.ring();
        }
        for (answer, reply) in answers.into_iter().zip(replies) {
            if let Ok(reply) = &reply {
                if let Some(run_at) = next_run(reply) {
                    self.dispatcher.tell(DueAt(run_at));
                }
                self.heed_pause(reply);
            }
            answer.give(reply.map_err(|error| WriteError::Store(Arc::new(error))));
        }
        claimable
    }

    /// Gives claimed tasks to the dispatcher, each with its permit.
    fn hand_out(&self, claim: &Claim, claimed: Claimed) {
        self.demand.learn(claim, &claimed);
        if let Some(due) = claimed.next_due {
            self.dispatcher.tell(DueAt(due));
        }
        let assign = |task: Task| match self.demand.take(&task.life.kind) {
            Some(permit) => Some(Assignment { task, permit }),
            None => {
                // The dispatcher will find that nobody runs it, and give it back.
                tracing::error!(task_id = task.life.id.0, "claimed without a permit");
                None
            }
        };
        let assignments: Vec<Assignment> = claimed.tasks.into_iter().filter_map(assign).collect();
        if !assignments.is_empty() {
            failpoint::hit(Failpoint::ClaimedBeforeRun);
            // Lost only if the dispatcher is being restarted: its successor finds tasks that nobody runs.
            self.dispatcher.tell(Assignments(assignments));
        }
    }

    fn measure(&self, events: &[Event], spans: &[Span]) {
        self.tally.count(events, spans);
        for span in spans.iter().filter(|span| span.stretch == Stretch::Wait) {
            if let Some(metrics) = self.metrics.of(&span.kind) {
                metrics.waited(span.took);
            }
        }
    }

    /// Looks for work of a kind that goes on, and has the other nodes look; shows how it stands.
    fn heed_pause(&self, reply: &Reply) {
        let Reply::PauseSet { kind, pause } = reply else { return };
        if let Some(metrics) = self.metrics.of(kind) {
            metrics.set_paused(pause.is_some());
        }
        if pause.is_none() {
            self.demand.look_for(kind);
            self.openings.hint(kind);
            self.hints.resumed(kind);
        }
    }

    fn spread(&self, events: &[Event], given: &HashSet<crate::task::TaskId>) {
        let mut counts = BTreeMap::<(&Kind, EventName), u64>::new();
        for event in events {
            let name = event.fact.name();
            *counts.entry((&event.kind, name)).or_default() += 1;
            match name {
                EventName::Cancelled | EventName::Deleted => self.runs.stop(event.task, Stop::Cancelled),
                EventName::Created | EventName::Retrying if !given.contains(&event.task) => {
                    self.demand.look_for(&event.kind);
                }
                EventName::Created
                | EventName::Retrying
                | EventName::Started
                | EventName::Progress
                | EventName::Completed
                | EventName::Failed => {}
            }
        }
        for ((kind, name), count) in counts {
            if let Some(metrics) = self.metrics.of(kind) {
                metrics.event(label(name), count);
            }
        }
        self.arrivals.tell(events);
        self.openings.tell(events);
        self.waiting.tell(events);
    }
}

/// When what this reply tells of may run, if that is not at once.
fn next_run(reply: &Reply) -> Option<Timestamp> {
    match reply {
        Reply::Created(tasks) => tasks
            .iter()
            .filter_map(|made| made.task.life.run_at().filter(|run_at| *run_at > made.task.created_at))
            .min(),
        Reply::Settled(Ok(settled)) => settled.run_at,
        Reply::Settled(Err(_))
        | Reply::Changed(_)
        | Reply::Claimed(_)
        | Reply::Rescued(_)
        | Reply::Taken(_)
        | Reply::Before(_)
        | Reply::KeyReused
        | Reply::UserCreated(_)
        | Reply::UserChanged(_)
        | Reply::CountersChanged(_)
        | Reply::Purged(_)
        | Reply::Bulk(_)
        | Reply::PauseSet { .. }
        | Reply::OverQuota(..) => None,
    }
}

fn label(name: EventName) -> TaskEvent {
    match name {
        EventName::Created => TaskEvent::Created,
        EventName::Started => TaskEvent::Started,
        EventName::Progress => TaskEvent::Progress,
        EventName::Completed => TaskEvent::Completed,
        EventName::Failed => TaskEvent::Failed,
        EventName::Retrying => TaskEvent::Retrying,
        EventName::Cancelled => TaskEvent::Cancelled,
        EventName::Deleted => TaskEvent::Deleted,
    }
}
