//! Tells the addresses that tasks asked to be told at, signed as the Standard Webhooks specify
//! (<https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>).
//!
//! A row for each task with a callback says how far it was told; taking the row for telling keeps other nodes away
//! for a while, and the next event of a task is told only after the one before: so they come in order, at least once,
//! and a node that dies half way costs a repetition. Receivers tell repetitions by `webhook-id`. What fails is tried
//! again with growing pauses; what failed for too long is passed over, and the task shows it. A receiver that hangs has
//! a share of the places: what is beyond that stays taken, and so comes again when the hold ends.

use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, Context};
use tokio::sync::Semaphore;
use tokio::time::sleep;

use super::Bench;
use super::receivers::{Leave, Receivers};
use crate::config::WebhookSettings;
use crate::outbound::{Client, Request, Target, webhook};
use crate::store::{Callback, Store, StoreError, Told};
use crate::task::{Event, EventName, EventSeq};
use crate::telemetry::metrics::{CallbackResult, TellingMetrics};
use crate::telemetry::traces::{Part, Traces};
use crate::telling::callback_body;

/// What the actor works with; shared by its incarnations.
#[derive(Clone)]
pub struct Parts {
    /// Where and until when it works.
    pub bench: Bench,
    /// Whom to tell what.
    pub store: Arc<dyn Store>,
    /// The way out.
    pub client: Client,
    /// What to sign with.
    pub secret: Arc<webhook::Secret>,
    /// How patient to be.
    pub settings: WebhookSettings,
    /// The metrics.
    pub metrics: TellingMetrics,
    /// Where calls are traced.
    pub traces: Traces,
}

/// The actor.
pub struct Callbacks {
    parts: Parts,
}

impl Callbacks {
    /// An actor.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        Self { parts }
    }
}

impl Actor for Callbacks {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        let parts = self.parts.clone();
        self.parts.bench.work(ctx, parts.run());
    }
}

/// Behind every event that there will ever be: nothing more is told.
const NO_MORE: EventSeq = EventSeq(i64::MAX);

/// How one try went.
enum Try {
    /// The receiver has it.
    Taken,
    /// It does not, and this is why.
    Failed(String),
    /// The receiver wants nothing of this task any more.
    Unwanted(String),
}

impl Parts {
    /// How often to look for something to tell.
    const POLL: Duration = Duration::from_millis(250);
    /// The pause after a look that failed.
    const PAUSE: Duration = Duration::from_secs(2);
    /// Events of one task that are told in a row, before others have their turn.
    const IN_A_ROW: usize = 16;

    async fn run(self) {
        let places = Arc::new(Semaphore::new(self.settings.concurrency));
        let receivers = Receivers::new(self.settings.concurrency, self.settings.timeout);
        loop {
            let free = u32::try_from(places.available_permits()).unwrap_or(u32::MAX);
            let due = match free {
                0 => Vec::new(),
                // Long enough for all that is told in a row; should it not be, somebody tells it twice.
                free => match self.store.due_callbacks(free, self.hold()).await {
                    Ok(due) => due,
                    Err(error) => {
                        tracing::warn!(%error, "what is to be told could not be looked up");
                        sleep(Self::PAUSE).await;
                        continue;
                    }
                },
            };
            let full = due.len() == free as usize;
            for callback in due {
                let Some(leave) = receivers.leave(&callback.url) else { continue };
                let (parts, places) = (self.clone(), Arc::clone(&places));
                self.bench.runtime.spawn(async move {
                    // As many were asked for as there are places.
                    let _place = places.acquire_owned().await;
                    let task = callback.task;
                    if let Err(error) = parts.tell(callback, &leave).await {
                        tracing::warn!(task_id = task.0, %error, "how telling went is not written down; it is told again");
                    }
                });
            }
            sleep(if full && free > 0 { Duration::from_millis(10) } else { Self::POLL }).await;
        }
    }

    fn hold(&self) -> Duration {
        self.settings.timeout * 2 + Duration::from_secs(30)
    }

    /// Tells a task's next events, one after the other, until there is none or one fails. It is ours until then.
    async fn tell(&self, mut callback: Callback, leave: &Leave) -> Result<(), StoreError> {
        let began = tokio::time::Instant::now();
        for _ in 0..Self::IN_A_ROW {
            let Some((seq, event)) = self.next(&callback).await? else { break };
            let called = tokio::time::Instant::now();
            let tried = self.call(&callback, seq, &event).await;
            leave.took(called.elapsed());
            let told = self.judge(&callback, seq, tried).await?;
            if !self.store.told(callback.task, &told).await? {
                return Ok(());
            }
            match told {
                Told::Event(seq) | Told::GivenUp { event: seq, .. } => {
                    callback = Callback { told: seq, tries: 0, since: None, ..callback };
                }
                Told::Failed { .. } | Told::Nothing => return Ok(()),
            }
            // One more could take longer than we may have it.
            if began.elapsed() >= self.settings.timeout {
                break;
            }
        }
        self.store.told(callback.task, &Told::Nothing).await.map(drop)
    }

    /// The next event to tell: progress is not.
    async fn next(&self, callback: &Callback) -> Result<Option<(EventSeq, Event)>, StoreError> {
        let mut after = callback.told;
        loop {
            let page = self.store.events_of(callback.task, after, 100).await?;
            let Some((last, _)) = page.last() else { return Ok(None) };
            after = *last;
            if let Some(next) = page.into_iter().find(|(_, event)| event.fact.name() != EventName::Progress) {
                return Ok(Some(next));
            }
        }
    }

    /// One try.
    async fn call(&self, callback: &Callback, seq: EventSeq, event: &Event) -> Try {
        let target = match Target::parse(&callback.url, self.client.policy()) {
            Ok(target) => target,
            Err(error) => return Try::Failed(format!("callback_url {error}")),
        };
        let task = match event.fact.name() {
            EventName::Completed => match self.store.task(event.task).await {
                Ok(task) => task,
                Err(error) => return Try::Failed(error.to_string()),
            },
            EventName::Created
            | EventName::Started
            | EventName::Progress
            | EventName::Failed
            | EventName::Retrying
            | EventName::Cancelled
            | EventName::Deleted => None,
        };
        let now = match self.store.now().await {
            Ok(now) => now.as_micros() / 1_000_000,
            Err(error) => return Try::Failed(error.to_string()),
        };
        let body = callback_body(seq, event, task.as_ref());
        let id = format!("evt_{seq}");
        let signature = webhook::sign(&self.secret, &id, now, body.as_bytes());
        let request = Request::post(target, body)
            .header("content-type", "application/json")
            .and_then(|request| {
                request.header("user-agent", concat!("gristmill/", env!("CARGO_PKG_VERSION")))
            })
            .and_then(|request| request.header(webhook::ID, &id))
            .and_then(|request| request.header(webhook::TIMESTAMP, &now.to_string()))
            .and_then(|request| request.header(webhook::SIGNATURE, &signature));
        let trace =
            callback.traceparent.map(|from| self.traces.open(Part::Inside, Some(from), || "callback".into()));
        let request = match &trace {
            Some(trace) => request.and_then(|request| request.header("traceparent", &trace.at().to_string())),
            None => request,
        };
        let request = match request {
            Ok(request) => request,
            Err(error) => return Try::Failed(error.to_string()),
        };
        let sent = match &trace {
            Some(trace) => trace.during(self.client.send(request)).await,
            None => self.client.send(request).await,
        };
        match sent {
            Ok(response) if response.is_success() => Try::Taken,
            // The receiver is gone for good, as the specification has it.
            Ok(response) if response.status == 410 => Try::Unwanted("the receiver answers 410 Gone".into()),
            Ok(response) => Try::Failed(format!("the receiver answers {}", response.status)),
            Err(error) => Try::Failed(error.to_string()),
        }
    }

    /// What follows from a try.
    async fn judge(&self, callback: &Callback, seq: EventSeq, tried: Try) -> Result<Told, StoreError> {
        Ok(match tried {
            Try::Taken => {
                self.metrics.callback(CallbackResult::Taken);
                Told::Event(seq)
            }
            Try::Unwanted(error) => {
                self.metrics.callback(CallbackResult::GivenUp);
                tracing::warn!(task_id = callback.task.0, error, "a callback is given up for good");
                Told::GivenUp { event: NO_MORE, error }
            }
            Try::Failed(error) => {
                let now = self.store.now().await?;
                let since = callback.since.unwrap_or(now);
                if now.since(since) >= self.settings.give_up {
                    self.metrics.callback(CallbackResult::GivenUp);
                    tracing::warn!(
                        task_id = callback.task.0,
                        error,
                        "a callback is given up: it failed for too long"
                    );
                    Told::GivenUp { event: seq, error }
                } else {
                    self.metrics.callback(CallbackResult::Failed);
                    tracing::debug!(task_id = callback.task.0, error, "a callback failed");
                    Told::Failed { error, again_in: self.pause(callback.tries) }
                }
            }
        })
    }

    /// The wait after a failure that `tries` others went before: between half and all of a time that doubles.
    fn pause(&self, tries: u32) -> Duration {
        let full = self.settings.retry_base.saturating_mul(1 << tries.min(20)).min(self.settings.retry_cap);
        full.mul_f64(rand::random_range(0.5..=1.0))
    }
}
