//! Carries claimed tasks to the runners, decides when to look for more, and compares what the rows say this node
//! runs with what it does run.
//!
//! What wakes it: assignments from the tracker; a poll, which is the guarantee behind every hint; an alarm set for
//! the next parked task.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, ActorFutureExt as _, AsyncContext, Context, Handler, Message, SpawnHandle, WrapFuture};

use super::demand::{Demand, Permit};
use super::keeper::Lease;
use super::runner::{Runner, Start};
use super::runs::{Runs, Stop};
use super::supervisor::Link;
use crate::store::{Store, Writer};
use crate::task::{Attempt, Backoff, Kind, Outcome, Task, TaskId, Timestamp};

/// A claimed task and the right to run it.
pub struct Assignment {
    /// The task, in progress.
    pub task: Task,
    /// The right.
    pub permit: Permit,
}

/// What a group claimed.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Assignments(pub Vec<Assignment>);

/// A parked task comes due then.
#[derive(Message)]
#[rtype(result = "()")]
pub struct DueAt(pub Timestamp);

/// Time to look for work.
#[derive(Message)]
#[rtype(result = "()")]
struct Poll;

/// Time to compare.
#[derive(Message)]
#[rtype(result = "()")]
struct Compare;

/// What the dispatcher works with; shared by its incarnations.
#[derive(Clone)]
pub struct Parts {
    /// What the node is ready to take.
    pub demand: Demand,
    /// Under which incarnation.
    pub lease: Lease,
    /// What it runs.
    pub runs: Runs,
    /// The runner of each kind.
    pub runners: Arc<BTreeMap<Kind, Link<Runner>>>,
    /// What the rows say.
    pub store: Arc<dyn Store>,
    /// The way to give a task back.
    pub writer: Writer,
    /// How often to poll.
    pub poll: Duration,
}

/// The actor.
pub struct Dispatcher {
    parts: Parts,
    alarm: Option<(Timestamp, SpawnHandle)>,
    /// Held by this node according to the last comparison, and not running: orphans, if they still are next time.
    suspicious: HashSet<(TaskId, Attempt)>,
}

impl Dispatcher {
    /// How often what runs is compared with the rows. With the poll of another node's cancel this makes for the
    /// five seconds within which a run stops that was cancelled elsewhere.
    const COMPARE: Duration = Duration::from_secs(2);

    /// A dispatcher.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        Self { parts, alarm: None, suspicious: HashSet::new() }
    }
}

impl Actor for Dispatcher {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        ctx.notify(Poll);
        ctx.notify_later(Compare, Self::COMPARE);
    }
}

impl Handler<Assignments> for Dispatcher {
    type Result = ();

    fn handle(&mut self, Assignments(assignments): Assignments, _: &mut Context<Self>) {
        for Assignment { task, permit } in assignments {
            let runner = self.parts.runners.get(&task.life.kind);
            let (id, kind) = (task.life.id, task.life.kind.clone());
            // Lost only while its runner is being restarted; the next two comparisons give it back.
            if !runner.is_some_and(|runner| runner.tell(Start { task, permit })) {
                tracing::warn!(task_id = id.0, kind = kind.as_str(), "nobody is there to run a claimed task");
            }
        }
    }
}

impl Handler<Poll> for Dispatcher {
    type Result = ();

    fn handle(&mut self, _: Poll, ctx: &mut Context<Self>) {
        self.parts.demand.look_everywhere();
        // A little early or late each time, so that nodes do not poll in step.
        let jitter = rand::random_range(0.9..1.1);
        ctx.notify_later(Poll, self.parts.poll.mul_f64(jitter));
    }
}

impl Handler<DueAt> for Dispatcher {
    type Result = ();

    fn handle(&mut self, DueAt(due): DueAt, ctx: &mut Context<Self>) {
        match self.alarm.take() {
            Some((earlier, handle)) if earlier <= due => {
                self.alarm = Some((earlier, handle));
                return;
            }
            Some((_, later)) => {
                ctx.cancel_future(later);
            }
            None => {}
        }
        let store = Arc::clone(&self.parts.store);
        let wait = async move {
            // The store's clock decides what is due, so its clock is asked how long that is.
            match store.now().await {
                Ok(now) => tokio::time::sleep(due.since(now)).await,
                // The poll behind the alarm finds it a little later.
                Err(error) => tracing::warn!(%error, "the time of the next parked task is unknown"),
            }
        };
        let handle = ctx.spawn(wait.into_actor(self).map(|(), this, _| {
            this.alarm = None;
            this.parts.demand.look_everywhere();
        }));
        self.alarm = Some((due, handle));
    }
}

impl Handler<Compare> for Dispatcher {
    type Result = ();

    fn handle(&mut self, _: Compare, ctx: &mut Context<Self>) {
        let parts = self.parts.clone();
        let suspicious = std::mem::take(&mut self.suspicious);
        let compare = async move { parts.compare(suspicious).await };
        ctx.spawn(compare.into_actor(self).map(|suspicious, this, ctx| {
            this.suspicious = suspicious;
            ctx.notify_later(Compare, Self::COMPARE);
        }));
    }
}

impl Parts {
    /// Stops what this node runs and no longer holds, and gives back what it holds and has not been running for
    /// two comparisons. Returns what is to be looked at again.
    async fn compare(&self, suspicious: HashSet<(TaskId, Attempt)>) -> HashSet<(TaskId, Attempt)> {
        let Some(node) = self.lease.holder() else { return HashSet::new() };
        // Before the rows are read: a run that is listed now was committed before.
        let running = self.runs.running();
        let held: HashSet<_> = match self.store.held_by(node).await {
            Ok(held) => held.into_iter().collect(),
            Err(error) => {
                tracing::warn!(%error, "what this node holds could not be compared with what it runs");
                return suspicious;
            }
        };
        for (task, attempt) in running.iter().filter(|run| !held.contains(run)) {
            self.runs.stop_attempt(*task, *attempt, Stop::Cancelled);
        }
        let running: HashSet<_> = self.runs.running().into_iter().chain(running).collect();
        let (orphans, unseen): (HashSet<_>, HashSet<_>) =
            held.into_iter().filter(|run| !running.contains(run)).partition(|run| suspicious.contains(run));
        for (task, attempt) in orphans {
            tracing::warn!(task_id = task.0, attempt = attempt.0, "held and not run: given back");
            let given_back =
                self.writer.settle(task, attempt, Outcome::Interrupted, Backoff::default(), None).await;
            if let Ok(answer) = given_back
                && let Err(error) = answer.await
            {
                tracing::warn!(%error, task_id = task.0, "could not be given back; tried again later");
            }
        }
        unseen
    }
}
