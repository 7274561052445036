//! Runs the tasks of one kind, each in a task of its own behind a panic boundary, with a deadline and a way to be
//! stopped; and sees to it that each outcome is written down.
//!
//! A run that panics, hangs or is cancelled hurts itself alone. At its deadline (or its cancel) it is asked to stop
//! and given a moment; then it is given up: its asynchronous part is dropped, its word is taken as said (timed out),
//! and a thread that still computes for it keeps its permit until it ends, so that a node's threads stay bounded.

use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::{Actor, Context, Handler, Message};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tracing::Instrument;

use super::demand::Permit;
use super::runs::{Listed, Runs, Stop};
use crate::blob::Blobs;
use crate::failpoint::{self, Failpoint};
use crate::kinds::desk::Desk;
use crate::kinds::{AnyWork, Done, Run, RunError};
use crate::media::CancelOnDrop;
use crate::media::image::Facts;
use crate::store::{Refused, WriteError, Writer};
use crate::task::{
    Attachment, Attempt, Backoff, Failure, FailureReason, Outcome, Percent, Role, Task, TaskId,
};
use crate::telemetry::logging::task_span;
use crate::telemetry::metrics::KindMetrics;
use crate::telemetry::traces::{Open, Part, Traces};

/// A task to run, and the right to.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Start {
    /// The task, in progress.
    pub task: Task,
    /// The right.
    pub permit: Permit,
}

/// What a runner works with; shared by its incarnations.
#[derive(Clone)]
pub struct Parts {
    /// What it does.
    pub work: Arc<dyn AnyWork>,
    /// Where the runs are listed.
    pub runs: Runs,
    /// The way to the tracker.
    pub writer: Writer,
    /// The blobs.
    pub blobs: Blobs,
    /// What runs may ask of the database.
    pub desk: Arc<dyn Desk>,
    /// How long a run may take when its task does not say.
    pub timeout: Duration,
    /// When failed tries are tried again.
    pub backoff: Backoff,
    /// The runtime on which runs live, apart from the actors'.
    pub runtime: Handle,
    /// The kind's metrics.
    pub metrics: KindMetrics,
    /// Where runs are traced.
    pub traces: Traces,
}

/// The actor.
pub struct Runner {
    parts: Parts,
}

impl Runner {
    /// A runner.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        Self { parts }
    }
}

impl Actor for Runner {
    type Context = Context<Self>;
}

impl Handler<Start> for Runner {
    type Result = ();

    fn handle(&mut self, Start { task, permit }: Start, _: &mut Context<Self>) {
        let parts = self.parts.clone();
        // Listed before this handler returns: from here on the run can be stopped.
        let listed = parts.runs.list(task.life.id, task.life.attempt);
        let (id, kind, attempt) = (task.life.id.0, task.life.kind.as_str(), i64::from(task.life.attempt.0));
        let from = task.traceparent;
        let mut trace = parts.traces.open(Part::Consumer, from, || format!("run {kind}").into());
        if trace.is_recorded() {
            trace.set("gristmill.task.id", id);
            trace.set("gristmill.task.kind", kind.to_owned());
            trace.set("gristmill.task.attempt", attempt);
        }
        let span = task_span(id, kind, attempt, Some(trace.at()));
        let run = async move { parts.attempt(task, listed, permit, trace).await };
        self.parts.runtime.spawn(run.instrument(span));
    }
}

/// How a run is over.
enum Over {
    /// By itself: its result, or what its panic said.
    Itself(Result<Result<Done, RunError>, String>),
    /// Given up at its deadline.
    Deadline,
    /// Stopped from outside.
    Stopped(Stop),
}

impl Parts {
    /// How long a run that was asked to stop may take to do so.
    const MOMENT: Duration = Duration::from_millis(800);
    /// How often progress is written down.
    const PROGRESS: Duration = Duration::from_secs(1);

    async fn attempt(self, task: Task, mut listed: Listed, permit: Permit, mut trace: Open) {
        let (id, attempt) = (task.life.id, task.life.attempt);
        let limit = task.timeout.unwrap_or(self.timeout);
        // However this ends, also by the runtime's end: a thread that computes for it is asked to stop.
        let wanted = CancelOnDrop::default();
        let cancel = wanted.flag();
        let hold = Arc::new(permit);
        let (progress, newest) = watch::channel(None);
        let (blobs, desk) = (self.blobs.clone(), Arc::clone(&self.desk));
        let run = Run::new(id, attempt, cancel.clone(), blobs, desk, progress, hold.clone());
        let begun = Instant::now();
        let in_progress = self.metrics.run_begins();
        let work = Arc::clone(&self.work).run(task.payload, run);
        // What a run says and asks belongs to its task, too.
        let mut running = self.runtime.spawn(trace.during(work).in_current_span());
        let over = tokio::select! {
            over = &mut running => Over::Itself(over.map_err(super::panic_text)),
            () = tokio::time::sleep(limit) => Over::Deadline,
            stop = listed.stopped() => Over::Stopped(stop),
            () = self.follow(id, attempt, newest) => unreachable!("follows for ever"),
        };
        let over = match over {
            Over::Itself(_) => over,
            Over::Deadline | Over::Stopped(_) => {
                cancel.cancel();
                self.give_up((id, attempt), &mut running, Arc::clone(&hold), over).await
            }
        };
        self.metrics.run_took(begun.elapsed());
        drop(in_progress);
        failpoint::hit_for(Failpoint::RunDone, id);
        // The blob stays pinned until the row that names it is committed.
        let Some(Said { outcome, image, _output }) = said(over, limit) else {
            trace.set("gristmill.run.outcome", "stopped");
            return;
        };
        note(&mut trace, &outcome);
        drop(trace);
        self.write_down((id, attempt), outcome, image, listed, hold).await;
    }

    /// Lets a run that was asked to stop do so, for a moment. One that does finish just then has finished, unless
    /// nothing may be said of it any more.
    async fn give_up(
        &self,
        (id, attempt): (TaskId, Attempt),
        running: &mut JoinHandle<Result<Done, RunError>>,
        hold: Arc<Permit>,
        over: Over,
    ) -> Over {
        match tokio::time::timeout(Self::MOMENT, &mut *running).await {
            Ok(Ok(Ok(done))) => match over {
                Over::Stopped(Stop::Cancelled | Stop::Fenced) => over,
                Over::Itself(_) | Over::Deadline | Over::Stopped(Stop::Interrupted) => {
                    Over::Itself(Ok(Ok(done)))
                }
            },
            Ok(_) => over,
            Err(_) => {
                running.abort();
                tracing::warn!(task_id = id.0, attempt = attempt.0, "a run does not stop and is abandoned");
                let abandoned = self.metrics.run_abandoned();
                // A thread that computes on keeps its own hold on the permit: when ours is the only one left, it
                // is over.
                self.runtime.spawn(async move {
                    while Arc::strong_count(&hold) > 1 {
                        tokio::time::sleep(Duration::from_millis(200)).await;
                    }
                    drop(abandoned);
                });
                over
            }
        }
    }

    /// Writes progress down as it comes, at most once in a while. Never returns.
    async fn follow(&self, task: TaskId, attempt: Attempt, mut newest: watch::Receiver<Option<Percent>>) {
        loop {
            tokio::time::sleep(Self::PROGRESS).await;
            if newest.changed().await.is_err() {
                // The run is over; whoever polls us learns that from the run itself.
                return std::future::pending().await;
            }
            let percent = *newest.borrow_and_update();
            if let Some(percent) = percent
                && let Err(error) = self.writer.progress(task, attempt, percent).await
            {
                tracing::debug!(%error, "progress was not written down");
            }
        }
    }

    /// Keeps an outcome until it is written down, or is refused because the task is not ours any more.
    async fn write_down(
        &self,
        (id, attempt): (TaskId, Attempt),
        mut outcome: Outcome,
        image: Option<Facts>,
        mut listed: Listed,
        hold: Arc<Permit>,
    ) {
        let mut hold = Some(hold);
        let mut refused = false;
        let mut pause = Duration::from_millis(50);
        loop {
            let settle = self.writer.settle(id, attempt, outcome.clone(), self.backoff, image.clone());
            let answer = match settle.await {
                Ok(answer) => {
                    // On its way: the next claim may count on this permit, in the very same group.
                    drop(hold.take());
                    answer.await
                }
                Err(error) => Err(error),
            };
            match answer {
                Ok(Ok(settled)) => {
                    tracing::debug!(status = settled.status.as_str(), "the run is over");
                    return;
                }
                Ok(Err(
                    Refused::NotFound(_)
                    | Refused::Illegal(_)
                    | Refused::NotOutside { .. }
                    | Refused::NotHeld(_)
                    | Refused::UniqueTaken { .. },
                )) => {
                    tracing::info!("the outcome came too late and does not count");
                    return;
                }
                Err(WriteError::Store(error)) if error.is_refusal() => {
                    tracing::error!(%error, "the database refuses the outcome");
                    if refused {
                        return;
                    }
                    // Said once more, in words that it can hardly refuse: a failed try, which is counted.
                    refused = true;
                    let story = format!("the outcome could not be written down: {error}");
                    outcome = Outcome::Failed(Failure::new(FailureReason::Error, story));
                }
                Err(error @ (WriteError::Store(_) | WriteError::Interrupted | WriteError::Full)) => {
                    tracing::warn!(%error, "the outcome is not written down yet");
                }
            }
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                stop = listed.stopped() => match stop {
                    Stop::Fenced | Stop::Cancelled => return,
                    // A drain waits for outcomes; it ends them itself when its grace is over.
                    Stop::Interrupted => tokio::time::sleep(pause).await,
                },
            }
            pause = (pause * 2).min(Duration::from_secs(2));
        }
    }
}

/// Notes in the trace how a run went.
fn note(trace: &mut Open, outcome: &Outcome) {
    let word = match outcome {
        Outcome::Completed { .. } => "completed",
        Outcome::Interrupted => "interrupted",
        Outcome::Failed(failure) => {
            trace.fail(failure.reason.as_str());
            "failed"
        }
    };
    trace.set("gristmill.run.outcome", word);
}

/// What to write down of a run.
struct Said {
    outcome: Outcome,
    image: Option<Facts>,
    /// The blob that must stay pinned meanwhile.
    _output: Option<crate::blob::Kept>,
}

/// What to write down; `None` when nothing may be said.
fn said(over: Over, limit: Duration) -> Option<Said> {
    let failed = |reason, message: String| Outcome::Failed(Failure::new(reason, message));
    let outcome = match over {
        Over::Itself(Ok(Ok(Done { result, output, drop_input, image }))) => {
            let attachment = output.as_ref().map(|kept| Attachment {
                role: Role::Output,
                blob: kept.name.clone(),
                bytes: kept.bytes,
            });
            let outcome = Outcome::Completed { result, output: attachment, drop_input };
            return Some(Said { outcome, image, _output: output });
        }
        Over::Itself(Ok(Err(RunError::Error(message)))) => failed(FailureReason::Error, message),
        Over::Itself(Ok(Err(RunError::InvalidInput(message)))) => {
            failed(FailureReason::InvalidInput, message)
        }
        Over::Itself(Ok(Err(RunError::Upstream { late: false, story }))) => {
            failed(FailureReason::Upstream, story)
        }
        Over::Itself(Ok(Err(RunError::Upstream { late: true, story }))) => {
            failed(FailureReason::UpstreamTimeout, story)
        }
        // Nobody asked it to: that is a fault of the kind.
        Over::Itself(Ok(Err(RunError::Cancelled))) => {
            failed(FailureReason::Error, "it stopped without being asked to".into())
        }
        Over::Itself(Err(panic)) => failed(FailureReason::Panic, format!("it panicked: {panic}")),
        Over::Deadline => {
            let seconds = limit.as_secs_f64();
            failed(FailureReason::Timeout, format!("it was still running after {seconds} s and was stopped"))
        }
        Over::Stopped(Stop::Interrupted) => Outcome::Interrupted,
        Over::Stopped(Stop::Cancelled | Stop::Fenced) => return None,
    };
    Some(Said { outcome, image: None, _output: None })
}
