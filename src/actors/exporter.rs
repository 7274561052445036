//! Ships recorded spans to the collector, by OTLP over HTTP.
//!
//! Work never waits for it: spans come out of a bounded queue, and one batch after the other goes out, each try within
//! `tracing.timeout_s`. What the collector cannot take just now is tried again with growing pauses, and then thrown away
//! and counted. That the collector is away is said once, and once that it is back.

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, Context};
use tokio::sync::Mutex;
use tokio::time::{sleep, timeout};

use super::Bench;
use crate::config::{Network, TracingSettings};
use crate::outbound::{BadTarget, Client, Limits, Policy, Request, Response, SystemResolver, Target};
use crate::telemetry::metrics::{SpanResult, TraceMetrics};
use crate::telemetry::traces::{Batch, Ended};

/// Ships spans. Clones share the queue.
#[derive(Clone)]
pub struct Exporter {
    client: Client,
    request: Request,
    metrics: TraceMetrics,
    /// The first pause between two tries; each is twice the one before.
    pause: Duration,
    state: Arc<Mutex<State>>,
}

struct State {
    ended: Ended,
    /// What is on its way: it stays here until it is settled, whoever ships it.
    held: Option<Batch>,
    /// Spans thrown away since the collector went away.
    lost: usize,
    /// Whether it is known to be away.
    away: bool,
}

/// How a try went.
enum Try {
    Taken(Response),
    /// Another try may go better, after that pause if the collector named one.
    Later(String, Option<Duration>),
    /// No try of this batch will.
    Refused(String),
}

impl Exporter {
    /// Tries of one batch.
    const TRIES: u32 = 5;
    /// The usual first pause between two.
    const PAUSE: Duration = Duration::from_secs(1);
    /// The longest pause that a collector may ask for.
    const LONGEST: Duration = Duration::from_secs(30);

    /// An exporter to the collector that the settings name; `None` where they name none.
    ///
    /// # Errors
    /// [`BadTarget`] for an address that cannot be called.
    pub fn new(settings: &TracingSettings, ended: Ended) -> Result<Option<Self>, BadTarget> {
        let Some(url) = &settings.otlp_url else { return Ok(None) };
        // Where to go is said by whoever runs the daemon, and is mostly this very machine.
        let everywhere = ["0.0.0.0/0", "::/0"].into_iter().filter_map(|text| text.parse::<Network>().ok());
        let policy = Policy::public().with_private().with(everywhere);
        let usual = Limits::default();
        let limits = Limits {
            resolve: usual.resolve.min(settings.timeout),
            connect: usual.connect.min(settings.timeout),
            total: settings.timeout,
            concurrency: 1,
            ..usual
        };
        let client = Client::with(policy, limits, Arc::new(SystemResolver::default()));
        let mut url = url.clone();
        if !url.path().ends_with("/v1/traces") {
            url.set_path(&format!("{}/v1/traces", url.path().trim_end_matches('/')));
        }
        let target = Target::parse(url.as_str(), client.policy())?;
        let mut request = Request::post(target, Vec::new());
        let own = [("content-type", "application/x-protobuf")];
        for (name, value) in own.into_iter().chain(settings.otlp_headers.reveal()) {
            request = match request.header(name, value) {
                Ok(request) => request,
                Err(error) => unreachable!("the settings let only good headers in: {error}"),
            };
        }
        let state = Arc::new(Mutex::new(State { ended, held: None, lost: 0, away: false }));
        Ok(Some(Self { client, request, metrics: TraceMetrics::new(), pause: Self::PAUSE, state }))
    }

    /// Ships what comes, for ever.
    async fn run(self) {
        let mut state = self.state.lock().await;
        loop {
            if state.held.is_none() {
                state.held = Some(state.ended.next().await);
            }
            self.ship(&mut state, Self::TRIES).await;
        }
    }

    /// Ships what is left, one try each, for no longer than this; what is left then is lost.
    pub async fn flush(&self, patience: Duration) {
        let shipped = timeout(patience, async {
            let mut state = self.state.lock().await;
            loop {
                if state.held.is_none() {
                    state.held = state.ended.left();
                }
                if state.held.is_none() || state.away {
                    return;
                }
                self.ship(&mut state, 1).await;
            }
        });
        if shipped.await.is_err() {
            tracing::warn!("the last spans could not be shipped in time");
        }
    }

    /// Ships the batch in hand, or throws it away.
    async fn ship(&self, state: &mut State, tries: u32) {
        let Some(batch) = state.held.clone() else { return };
        let mut pause = self.pause;
        for left in (0..tries).rev() {
            let (why, wait) = match self.call(&batch).await {
                Try::Taken(response) => {
                    self.taken(state, &batch, &response);
                    state.held = None;
                    return;
                }
                Try::Later(why, wait) => (why, wait),
                Try::Refused(why) => {
                    self.complain(state, &why);
                    break;
                }
            };
            self.complain(state, &why);
            if left > 0 {
                let jitter = rand::random_range(0.8..1.2);
                sleep(wait.unwrap_or(pause.mul_f64(jitter)).min(Self::LONGEST)).await;
                pause *= 2;
            }
        }
        state.lost += batch.spans;
        self.metrics.spans(SpanResult::Failed, batch.spans);
        state.held = None;
    }

    async fn call(&self, batch: &Batch) -> Try {
        let response = match self.client.send(self.request.clone().with_body(batch.body.clone())).await {
            Ok(response) => response,
            Err(error) => return Try::Later(error.to_string(), None),
        };
        let said = format!("the collector answers {}", response.status);
        match response.status {
            200..=299 => Try::Taken(response),
            // Those that the specification of OTLP names.
            429 | 502 | 503 | 504 => {
                let seconds = response.header("retry-after").and_then(|text| text.parse().ok());
                Try::Later(said, seconds.map(Duration::from_secs))
            }
            _ => Try::Refused(said),
        }
    }

    fn taken(&self, state: &mut State, batch: &Batch, response: &Response) {
        let answer = batch.answered(&response.body);
        self.metrics.spans(SpanResult::Exported, batch.spans - answer.rejected);
        if answer.rejected > 0 {
            self.metrics.spans(SpanResult::Failed, answer.rejected);
            let (spans, said) = (answer.rejected, answer.message);
            tracing::warn!(spans, said, "the collector threw spans away");
        }
        if state.away {
            tracing::info!(lost = state.lost, "spans are shipped again");
            (state.away, state.lost) = (false, 0);
        }
    }

    /// Once for each time that the collector goes away.
    fn complain(&self, state: &mut State, why: &str) {
        if !state.away {
            state.away = true;
            let to = self.request.target().origin();
            tracing::warn!(to, why, "spans cannot be shipped; this is said once");
        }
    }
}

/// The actor.
pub struct Shipper {
    bench: Bench,
    exporter: Exporter,
}

impl Shipper {
    /// An actor.
    #[must_use]
    pub fn new(bench: Bench, exporter: Exporter) -> Self {
        Self { bench, exporter }
    }
}

impl Actor for Shipper {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        self.bench.work(ctx, self.exporter.clone().run());
    }
}
