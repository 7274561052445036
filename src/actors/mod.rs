//! The moving parts. They coordinate and hold no rules: what a command does is the store's plan, what a task does
//! is its kind's.
//!
//! | actor | owns | hears | tells |
//! | --- | --- | --- | --- |
//! | [`supervisor`] | the other actors' lives | their ends | the health board; gives up loudly |
//! | [`tracker`] | every write of this node | commands in two bounded lanes; `Demand` | the dispatcher what was claimed; waiters what happened; runs that they were cancelled |
//! | [`dispatcher`] | when to look for work, and whether what the rows say is what runs | claimed tasks; its own tick | the runners; `Demand` |
//! | [`runner`], one a kind | the runs of its kind | tasks with their permits | the tracker each outcome |
//! | [`janitor`] | rescue of dead leases, sweep of unnamed blobs and of their variants, gauges | its own ticks | the tracker |
//! | [`scribe`] | what this node counts and says of itself, in the database | its own tick | |
//! | [`warden`] | what is known of the disks | its own tick | the health board |
//! | [`ingress`] | the HTTP server | its end | |
//! | [`inbox`] | the broker's queue of tasks | batches of messages | the intake; the broker, once their tasks are on disk |
//! | [`hints`], a teller and a hearer | what nodes tell each other | the tracker's notes; announcements, run queues | other nodes; `Demand`, runs, waiting workers |
//! | [`notifier`] | the live stream of events | the bell of commits | the feed |
//! | [`relay`] | telling the broker of events and endings, on one node for all | the bell of commits | the exchange, producers |
//! | [`callbacks`] | telling the addresses that tasks name | its own tick | receivers of webhooks |
//! | [`exporter`] | the spans that were recorded, where a collector is set | their queue | the collector |
//!
//! The lease has a thread of its own ([`keeper`]), which no work can starve.
//!
//! What bounds each queue: the lanes are bounded channels; a task reaches dispatcher and runner only with a permit
//! in its hand ([`demand`]), so their mailboxes hold no more than there are permits; ticks are sent by each actor
//! to itself after the last one was handled, so they cannot pile up.
//!
//! Nothing precious is in a mailbox. When an actor dies, what was on its way is lost and found again: commands are
//! answered with "interrupted", claimed tasks that nobody runs are noticed by the dispatcher and released, a dead
//! node's are freed by a janitor.

use std::future::Future;

use actix::{Actor, ActorContext, ActorFutureExt as _, AsyncContext, Context};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

pub mod callbacks;
pub mod demand;
pub mod desk;
pub mod dispatcher;
pub mod exporter;
pub mod hints;
pub mod inbox;
pub mod ingress;
pub mod janitor;
pub mod keeper;
pub mod notifier;
mod receivers;
pub mod relay;
pub mod runner;
pub mod runs;
pub mod scribe;
pub mod supervisor;
pub mod tally;
pub mod tracker;
pub mod warden;

/// Where an actor that is one long piece of work does it, and until when. Cheap to clone.
#[derive(Clone)]
pub struct Bench {
    /// The runtime that has threads of its own: the engine's thread is for coordinating.
    pub runtime: Handle,
    /// Cancelled at the end of a drain, before the database is closed.
    pub closing: CancellationToken,
}

impl Bench {
    /// Does `work` as the work of the actor whose context that is: its end, or its panic, is the actor's end. At the end
    /// of a drain it is dropped where it stands.
    pub(crate) fn work<A, F>(&self, ctx: &mut Context<A>, work: F)
    where
        A: Actor<Context = Context<A>>,
        F: Future<Output = ()> + Send + 'static,
    {
        let closing = self.closing.clone();
        let task = self.runtime.spawn(async move {
            tokio::select! {
                () = work => false,
                () = closing.cancelled() => true,
            }
        });
        // With the actor the work ends too.
        let task = AbortOnDropHandle::new(task);
        let ended = actix::fut::wrap_future::<_, A>(task);
        ctx.spawn(ended.map(|ended, _, ctx| match ended {
            Ok(true) => {}
            Ok(false) => ctx.stop(),
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(_) => ctx.stop(),
            },
        }));
    }
}

/// What a task that did not return said when it ended.
pub(crate) fn panic_text(error: tokio::task::JoinError) -> String {
    match error.try_into_panic() {
        Ok(panic) => panic
            .downcast_ref::<&str>()
            .map(|text| (*text).to_owned())
            .or_else(|| panic.downcast_ref::<String>().cloned())
            .unwrap_or_else(|| "without a word".to_owned()),
        Err(error) => error.to_string(),
    }
}
