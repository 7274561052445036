//! Takes tasks from the broker's queue: a batch of deliveries is checked, committed, answered and acknowledged, in that
//! order, so that a message is gone from the broker only when its task is on disk. No delivery is held while a task
//! runs.
//!
//! - The same `message_id` makes one task, however often it is delivered. Without one, each delivery makes a task, and
//!   a redelivery after a crash between commit and acknowledgement makes a second.
//! - What is no task goes to the dead queue whole, with the reason, and is acknowledged once the broker has it there.
//! - A drain carries out what was delivered already: a restart in good order gives nothing back, so it spends none of
//!   the deliveries that a queue may allow a message.
//! - While the database does not answer, the batch in hand is kept and nothing more is taken; nothing is given back to
//!   be delivered again and again. What of it is dealt with is acknowledged meanwhile; what the broker has taken back
//!   with its connection is dropped, since it comes again.

use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, Context};
use futures_util::FutureExt as _;
use futures_util::future::join_all;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::Bench;
use crate::broker::{
    Batch, Broker, Burial, Consumer, Declare, Delivery, Publish, PublishError, Subscription,
};
use crate::clock::Clock;
use crate::config::BrokerSettings;
use crate::failpoint::{self, Failpoint};
use crate::intake::{Done, Intake, IntakeError, Submission};
use crate::store::{Remember, RememberedAnswer, Reply, ReplyTo, WriteError};
use crate::task::Priority;
use crate::telemetry::health::Health;
use crate::telemetry::metrics::{InboxMetrics, InboxResult};
use crate::telemetry::traces::{Part, Traces};

/// Its name on the health board.
pub const COMPONENT: &str = "broker tasks";

/// Reads the body of a message; the error says what is wrong with it.
pub type ReadBody = Arc<dyn Fn(&[u8]) -> Result<Submission, String> + Send + Sync>;

/// What the inbox works with; shared by its incarnations.
#[derive(Clone)]
pub struct Parts {
    /// Where and until when it works.
    pub bench: Bench,
    /// Where messages come from.
    pub broker: Broker,
    /// Which queue, and how.
    pub settings: BrokerSettings,
    /// The door.
    pub intake: Intake,
    /// The form of a task, which is the same as over HTTP.
    pub read: ReadBody,
    /// Cancelled when the daemon drains.
    pub draining: CancellationToken,
    /// Cancelled once the inbox holds nothing any more that it could still carry out, after the drain has begun.
    pub finished: CancellationToken,
    /// Where to say that messages wait.
    pub health: Health,
    /// For the health board.
    pub clock: Clock,
    /// The metrics.
    pub metrics: InboxMetrics,
    /// Where messages are traced.
    pub traces: Traces,
}

/// The actor.
pub struct Inbox {
    parts: Parts,
}

impl Inbox {
    /// An inbox.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        Self { parts }
    }
}

impl Actor for Inbox {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        let parts = self.parts.clone();
        self.parts.bench.work(ctx, parts.run());
    }
}

/// What became of a delivery.
enum Fate {
    /// Its task is on disk: this one, and this is what its producer is told.
    Committed(String),
    /// It is no task.
    Dead(String),
    /// The daemon cannot write now.
    Waits(String),
}

impl Parts {
    /// For how long a `message_id` is remembered.
    const REMEMBER: Duration = Duration::from_secs(7 * 24 * 3600);
    /// After so long without a message there is none on its way.
    const QUIET: Duration = Duration::from_millis(100);
    /// The pause before the same is tried again.
    const PAUSE: Duration = Duration::from_millis(500);

    async fn run(self) {
        let subscription = Subscription::new(
            &self.settings.queue,
            Declare::AttachOrCreate(self.settings.declare),
            self.settings.prefetch,
            "gristmill",
        );
        let mut consumer = self.broker.consume(subscription);
        // While one half is committed the other is on its way here.
        let most = usize::from(self.settings.prefetch.div_ceil(2));
        loop {
            let batch = tokio::select! {
                batch = consumer.batch(most) => batch,
                () = self.draining.cancelled() => break,
            };
            if !self.carry_out(&mut consumer, &batch).await {
                break;
            }
        }
        // What was sent to us already is carried out too: given back, it would have spent one of its deliveries.
        consumer.pause_in_good_order(Self::QUIET).await;
        while let Some(batch) = consumer.batch(most).now_or_never() {
            if !self.carry_out(&mut consumer, &batch).await {
                break;
            }
        }
        self.finished.cancel();
        // Nothing more is taken; the actor stays until the daemon ends.
        std::future::pending::<()>().await;
    }

    /// Carries out a batch and acknowledges it; `false` when the daemon drains before that could be done.
    async fn carry_out(&self, consumer: &mut Consumer, batch: &Batch) -> bool {
        if !self.handle(consumer, &batch.deliveries).await {
            return false;
        }
        failpoint::hit(Failpoint::InboxBeforeAck);
        match consumer.ack(batch).await {
            Ok(()) => {}
            // The connection went; all of these come again and meet their tasks by their `message_id`.
            Err(lost) => tracing::info!(%lost, "messages whose tasks are committed come again"),
        }
        true
    }

    /// Carries out all deliveries of a batch; `false` when the daemon drains before that could be done.
    async fn handle(&self, consumer: &mut Consumer, deliveries: &[Delivery]) -> bool {
        let mut left: Vec<&Delivery> = deliveries.iter().collect();
        loop {
            let fates = join_all(left.iter().map(|delivery| self.commit(delivery))).await;
            let (mut again, mut dead, mut replies) = (Vec::new(), Vec::new(), Vec::new());
            let (mut done, mut trouble) = (Vec::new(), None);
            for (delivery, fate) in left.iter().copied().zip(fates) {
                match fate {
                    Fate::Committed(answer) => {
                        replies.extend(reply(delivery, &answer));
                        done.push(delivery);
                    }
                    Fate::Dead(reason) => dead.push((delivery, reason)),
                    Fate::Waits(why) => {
                        trouble = Some(why);
                        again.push(delivery);
                    }
                }
            }
            self.metrics.count(InboxResult::Committed, done.len());
            again.extend(self.bury(&dead, &mut done, &mut trouble).await);
            self.answer(replies).await;
            left = again;
            if !left.is_empty() {
                // The others may have to wait for long, and these must not come again for that.
                self.let_go(consumer, &done).await;
                left.retain(|delivery| consumer.holds(delivery));
            }
            if left.is_empty() {
                if consumer.is_paused() && !self.draining.is_cancelled() {
                    tracing::info!("messages are taken again");
                    self.health.up(COMPONENT);
                    consumer.resume();
                }
                return true;
            }
            if !consumer.is_paused() {
                consumer.pause().await;
                let reason = trouble.unwrap_or_default();
                self.health.down(COMPONENT, self.clock.utc(), reason.clone());
                tracing::warn!(
                    waiting = left.len(),
                    reason,
                    "no more messages are taken until these are dealt with"
                );
            }
            tokio::select! {
                () = sleep(Self::PAUSE) => {}
                () = self.draining.cancelled() => return false,
            }
            let waited = left.len();
            left.retain(|delivery| consumer.holds(delivery));
            if left.len() < waited {
                tracing::info!(
                    messages = waited - left.len(),
                    "the connection went: what waited comes again"
                );
            }
        }
    }

    /// Acknowledges those that are dealt with, before the rest of their batch.
    async fn let_go(&self, consumer: &mut Consumer, done: &[&Delivery]) {
        if let Err(lost) = consumer.ack_each(done).await {
            tracing::info!(%lost, "messages whose tasks are committed come again");
        }
    }

    /// Makes the task of a delivery.
    async fn commit(&self, delivery: &Delivery) -> Fate {
        let from = delivery.header("traceparent").and_then(|text| text.parse().ok());
        let mut trace = self.traces.open(Part::Consumer, from, || "receive task".into());
        if trace.is_recorded() {
            trace.set("messaging.system", "rabbitmq");
            trace.set("messaging.operation.type", "process");
            trace.set("messaging.destination.name", self.settings.queue.clone());
        }
        let fate = trace.during(self.commit_traced(delivery)).await;
        match &fate {
            Fate::Committed(_) => {}
            Fate::Dead(_) => trace.fail("no_task"),
            Fate::Waits(_) => trace.fail("not_written"),
        }
        fate
    }

    async fn commit_traced(&self, delivery: &Delivery) -> Fate {
        let submission = match self.submission(delivery) {
            Ok(submission) => submission,
            Err(reason) => return Fate::Dead(reason),
        };
        let remember = delivery.message_id().filter(|id| !id.is_empty()).map(|id| self.remember(id));
        match self.intake.submit_from_broker(submission, remember).await {
            Ok(Done::Now(made)) => match made.first() {
                Some(made) => Fate::Committed(answer(made.task.life.id.0)),
                None => unreachable!("one task was asked for"),
            },
            Ok(Done::Before(before)) => Fate::Committed(before.body),
            Err(IntakeError::Write(WriteError::Store(error))) if error.is_refusal() => {
                Fate::Dead(format!("the database refuses it: {error}"))
            }
            Err(error) if error.passes() => Fate::Waits(error.to_string()),
            Err(IntakeError::Callback { problem, .. }) => Fate::Dead(format!("callback_url: {problem}")),
            Err(error) => Fate::Dead(error.to_string()),
        }
    }

    /// The task that a message asks for: what its body says, and what its properties say where the body does not.
    fn submission(&self, delivery: &Delivery) -> Result<Submission, String> {
        let mut submission = (self.read)(&delivery.body)?;
        if submission.priority == Priority::default()
            && let Some(priority) = delivery.priority()
        {
            let (_, highest) = Priority::BOUNDS;
            submission.priority = Priority::new(i64::from(priority).min(highest)).unwrap_or_default();
        }
        // A message that expires at once was to be had only by whoever was there when it came: we were.
        submission.expires_in = delivery.expiration().map(|span| span.max(Duration::from_millis(1)));
        if delivery.header("reply-on").is_some_and(|on| on == "completed")
            && let Some(queue) = delivery.reply_to()
        {
            submission.reply_to = Some(ReplyTo {
                queue: queue.to_owned(),
                correlation_id: delivery.correlation_id().map(str::to_owned),
            });
        }
        Ok(submission)
    }

    fn remember(&self, message_id: &str) -> Remember {
        Remember {
            scope: format!("queue {}", self.settings.queue),
            key: message_id.to_owned(),
            // The id alone says what it is.
            request: String::new(),
            keep: Self::REMEMBER,
            answer: Arc::new(|reply| match reply {
                Reply::Created(made) => made.first().map(|made| RememberedAnswer {
                    status: 201,
                    location: None,
                    body: answer(made.task.life.id.0),
                }),
                Reply::Claimed(_)
                | Reply::Settled(_)
                | Reply::Changed(_)
                | Reply::Rescued(_)
                | Reply::UserCreated(_)
                | Reply::UserChanged(_)
                | Reply::CountersChanged(_)
                | Reply::Purged(_)
                | Reply::OverQuota(..)
                | Reply::Taken(_)
                | Reply::Before(_)
                | Reply::Bulk(_)
                | Reply::PauseSet { .. }
                | Reply::KeyReused => None,
            }),
        }
    }

    /// Puts what is no task into the dead queue, which makes it `done`; gives back what the broker did not take.
    async fn bury<'a>(
        &self,
        dead: &[(&'a Delivery, String)],
        done: &mut Vec<&'a Delivery>,
        trouble: &mut Option<String>,
    ) -> Vec<&'a Delivery> {
        if dead.is_empty() {
            return Vec::new();
        }
        let burials: Vec<Burial<'_>> =
            dead.iter().map(|(delivery, reason)| Burial { delivery, reason }).collect();
        let buried = self.broker.bury(&self.settings.queue, &burials).await;
        let mut left = Vec::new();
        let mut first = None;
        for ((delivery, reason), buried) in dead.iter().zip(buried) {
            match buried {
                Ok(()) => {
                    done.push(*delivery);
                    first.get_or_insert(reason);
                }
                Err(error) => {
                    *trouble = Some(format!("the dead queue: {error}"));
                    left.push(*delivery);
                }
            }
        }
        let messages = dead.len() - left.len();
        if let Some(reason) = first {
            // A line for all of them: who sends many must not fill the log. Each has its own reason with it.
            tracing::warn!(
                queue = self.settings.queue,
                messages,
                reason,
                "what is no task is in the dead queue; this is the reason of the first"
            );
        }
        self.metrics.count(InboxResult::Dead, messages);
        left
    }

    /// Tells producers the ids of their tasks. Those who are not there any more miss it.
    async fn answer(&self, replies: Vec<Publish>) {
        if replies.is_empty() {
            return;
        }
        for published in self.broker.publish(replies).await {
            match published {
                Ok(()) => {}
                Err(error @ PublishError::Unroutable { .. }) => {
                    tracing::info!(%error, "nobody waits for the id of a task any more");
                }
                Err(error) => tracing::warn!(%error, "a producer was not told the id of its task"),
            }
        }
    }
}

/// What a producer is told of its task at once.
fn answer(task: i64) -> String {
    format!(r#"{{"id":{task}}}"#)
}

/// The message to the producer of `delivery`, if it wants one.
fn reply(delivery: &Delivery, answer: &str) -> Option<Publish> {
    let queue = delivery.reply_to().filter(|queue| !queue.is_empty())?;
    let message = Publish::to_queue(queue, answer.to_owned())
        .content_type("application/json")
        .kind("gristmill.accepted")
        .persistent(true)
        .mandatory(true);
    Some(match delivery.correlation_id() {
        Some(id) => message.correlation_id(id),
        None => message,
    })
}
