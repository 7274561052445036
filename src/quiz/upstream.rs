//! A service outside, as all rounds of the process share it: its line, its pace, its pauses, its breaker, and what was
//! fetched and not used yet.
//!
//! One [`Upstream`] for each service, made by `mod.rs`; what is particular to a service is its [`Site`]. True here:
//! - Whoever wants questions stands in line. The first in line takes what is spare; only when there is nothing, it
//!   asks the service, once, for all that stand behind it too. What it does not take itself is spare.
//! - Between the end of one request and the next lies the pace of the service. After a failure lies a pause that grows
//!   with every further one, or the one that the service asked for; nobody waits for it in the line.
//! - A request of which nobody waits for the end any more counts as made.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::Instant;
use url::Url;

use super::breaker::Breaker;
use super::source::{Draws, Haul, Ledger, Source, Stop, Trouble};
use super::timer::{Timer, until};
use super::web::{self, Web};
use crate::clock::Clock;
use crate::config::QuizSettings;
use crate::task::{NewQuestion, QuestionSource};
use crate::telemetry::metrics::{QuizCall, QuizMetrics};

/// What is particular to a service.
#[async_trait]
pub(super) trait Site: Send + Sync {
    /// Which it is.
    fn name(&self) -> QuestionSource;

    /// Asks it for about `wanted` questions, by one request where all is well. [`Stop::Over`] when it says itself that
    /// it has none left.
    async fn fetch(&self, wanted: u32, gate: &mut Gate<'_>) -> Result<Haul, Stop>;
}

/// A service and what is known of it.
pub(super) struct Upstream {
    site: Box<dyn Site>,
    web: Arc<dyn Web>,
    timer: Arc<dyn Timer>,
    clock: Clock,
    pace: Duration,
    /// Whoever holds it may ask.
    line: tokio::sync::Mutex<()>,
    /// How many questions those want who stand in line.
    wanted: AtomicU32,
    state: Mutex<State>,
    metrics: QuizMetrics,
}

struct State {
    breaker: Breaker,
    /// When its pace lets the next request go out.
    ready: Instant,
    /// Until when nobody asks it after a failure.
    pause: Option<Instant>,
    spare: VecDeque<(Instant, NewQuestion)>,
}

/// The most questions that are kept.
const SPARE: usize = 200;
/// For how long: later, others may have saved them, and the service may have better ones.
const SPARE_AGE: Duration = Duration::from_secs(600);
/// The longest pause after failures that a service did not ask for.
const LONGEST_BACK_OFF: Duration = Duration::from_secs(60);
/// The longest that it may ask for; more is a mistake or malice.
const LONGEST_WAIT: Duration = Duration::from_secs(3600);
/// The shortest pause after a failure, however fast the pace is.
const SHORTEST_BACK_OFF: Duration = Duration::from_millis(100);
/// A round that has another source to go to does not wait for a longer pause than this.
const PATIENCE: Duration = Duration::from_secs(3);
/// The most questions that one request asks for.
const MOST: u32 = 100;

impl Upstream {
    pub(super) fn new(
        site: Box<dyn Site>,
        pace: Duration,
        settings: &QuizSettings,
        (clock, timer): (&Clock, &Arc<dyn Timer>),
        web: Arc<dyn Web>,
    ) -> Self {
        let state = State {
            breaker: Breaker::new(settings.breaker_failures, settings.breaker_pause),
            ready: timer.now(),
            pause: None,
            spare: VecDeque::new(),
        };
        let metrics = QuizMetrics::new(site.name());
        Self {
            site,
            web,
            timer: Arc::clone(timer),
            clock: clock.clone(),
            pace,
            line: tokio::sync::Mutex::new(()),
            wanted: AtomicU32::new(0),
            state: Mutex::new(state),
            metrics,
        }
    }

    async fn draw(&self, wanted: u32, ledger: &mut Ledger) -> Result<Vec<NewQuestion>, Stop> {
        let late = Stop::Time(ledger.time);
        let waiting = Waiting::new(&self.wanted, wanted);
        loop {
            if self.has_no_spare() {
                self.pause(ledger).await?;
            }
            let turn = until(&*self.timer, ledger.deadline, self.line.lock()).await;
            let _turn = turn.ok_or_else(|| late.clone())?;
            let spare = self.take_spare(wanted);
            if !spare.is_empty() {
                return Ok(spare);
            }
            // Whoever was before may have found out that it is better left alone.
            if self.shut(ledger)?.is_some() {
                continue;
            }
            self.keep_pace(ledger).await?;
            // Meanwhile somebody may have given some back.
            let spare = self.take_spare(wanted);
            if !spare.is_empty() {
                return Ok(spare);
            }
            drop(waiting);
            return self.fetch(wanted, ledger).await;
        }
    }

    /// One look at the service, for whoever has the line and all who stand in it.
    async fn fetch(&self, wanted: u32, ledger: &mut Ledger) -> Result<Vec<NewQuestion>, Stop> {
        // Some of them will be known or of no use.
        let more = wanted / 4 + 2;
        let all = wanted.saturating_add(more).saturating_add(self.wanted.load(Ordering::SeqCst));
        let mut haul = self.site.fetch(all.min(MOST), &mut Gate { upstream: self, ledger }).await?;
        ledger.tally.add(&haul.tally);
        haul.tally.iter().for_each(|(item, count)| self.metrics.items(item, u64::from(count)));
        let own = haul.questions.len().min(wanted as usize);
        self.keep(haul.questions.split_off(own));
        Ok(haul.questions)
    }

    /// Waits until a pause is over that follows a failure, or says why the round should not.
    async fn pause(&self, ledger: &Ledger) -> Result<(), Stop> {
        while let Some(until) = self.shut(ledger)? {
            self.metrics.waited(until.saturating_duration_since(self.timer.now()));
            self.timer.sleep_until(until).await;
        }
        Ok(())
    }

    /// Until when nobody may ask after a failure, where the round may wait for that.
    fn shut(&self, ledger: &Ledger) -> Result<Option<Instant>, Stop> {
        let (now, state) = (self.timer.now(), self.state());
        // Nobody keeps away from a service that has not failed.
        let Some(why) = state.breaker.last().cloned() else { return Ok(None) };
        if let Some(left) = state.breaker.shut(now) {
            return Err(Stop::Broken { left, why });
        }
        let Some(until) = state.pause.filter(|until| *until > now) else { return Ok(None) };
        let left = until - now;
        if until > ledger.deadline || (ledger.has_next && left > PATIENCE) {
            return Err(Stop::Pausing { left, why });
        }
        Ok(Some(until))
    }

    /// Waits until the pace of the service lets a request go out.
    async fn keep_pace(&self, ledger: &Ledger) -> Result<(), Stop> {
        let (ready, now) = (self.state().ready, self.timer.now());
        if ready.max(now) >= ledger.deadline {
            return Err(Stop::Time(ledger.time));
        }
        let left = ready.saturating_duration_since(now);
        if left.is_zero() {
            return Ok(());
        }
        self.metrics.waited(left);
        self.timer.sleep_until(ready).await;
        Ok(())
    }

    fn has_no_spare(&self) -> bool {
        self.state().spare.is_empty()
    }

    fn take_spare(&self, wanted: u32) -> Vec<NewQuestion> {
        let now = self.timer.now();
        let mut state = self.state();
        state.spare.retain(|(since, _)| now.duration_since(*since) < SPARE_AGE);
        let taken = state.spare.len().min(wanted as usize);
        let taken = state.spare.drain(..taken).map(|(_, question)| question).collect();
        self.metrics.set_spare(state.spare.len());
        taken
    }

    fn keep(&self, questions: Vec<NewQuestion>) {
        let now = self.timer.now();
        let mut state = self.state();
        let room = SPARE.saturating_sub(state.spare.len());
        state.spare.extend(questions.into_iter().take(room).map(|question| (now, question)));
        self.metrics.set_spare(state.spare.len());
    }

    fn asks(&self) {
        let mut state = self.state();
        state.breaker.asks();
        self.metrics.set_breaker(state.breaker.shown());
    }

    fn succeeded(&self) {
        let mut state = self.state();
        state.breaker.succeeded();
        state.pause = None;
        self.metrics.set_breaker(state.breaker.shown());
        self.metrics.called(QuizCall::Answered);
    }

    fn failed(&self, trouble: &Trouble) {
        let now = self.timer.now();
        let mut state = self.state();
        let failures = state.breaker.failed(now, trouble);
        let pause = trouble.wait().map_or_else(|| self.back_off(failures), |wait| wait.min(LONGEST_WAIT));
        state.pause = Some(now + pause);
        self.metrics.set_breaker(state.breaker.shown());
        self.metrics.called(trouble.call());
        drop(state);
        tracing::warn!(source = %self.site.name(), failures, pause_s = pause.as_secs_f64(), "the source of questions {trouble}");
    }

    /// Twice as long after every failure, and never as long as others who failed with us.
    fn back_off(&self, failures: u32) -> Duration {
        let base = self.pace.max(SHORTEST_BACK_OFF);
        let grown = base.saturating_mul(1 << failures.saturating_sub(1).min(16));
        grown.min(LONGEST_BACK_OFF).mul_f64(rand::random_range(1.0..1.5))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Somebody in line, who wants so many questions.
struct Waiting<'a> {
    all: &'a AtomicU32,
    own: u32,
}

impl<'a> Waiting<'a> {
    fn new(all: &'a AtomicU32, own: u32) -> Self {
        all.fetch_add(own, Ordering::SeqCst);
        Self { all, own }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.all.fetch_sub(self.own, Ordering::SeqCst);
    }
}

/// Where the requests of whoever has the line go out.
pub(super) struct Gate<'a> {
    upstream: &'a Upstream,
    ledger: &'a mut Ledger,
}

impl Gate<'_> {
    /// One request, when the pace lets it out and while the round may make one; `read` makes of the answer what was
    /// asked for. What that says counts as the service's own success or failure.
    pub(super) async fn call<T>(
        &mut self,
        url: &Url,
        read: impl FnOnce(&[u8]) -> Result<T, Trouble> + Send,
    ) -> Result<T, Stop> {
        let upstream = self.upstream;
        if self.ledger.requests >= self.ledger.most_requests {
            return Err(Stop::Requests(self.ledger.requests));
        }
        upstream.keep_pace(self.ledger).await?;
        upstream.asks();
        self.ledger.requests += 1;
        let under_way = UnderWay { upstream, judged: false };
        let answer = until(&*upstream.timer, self.ledger.deadline, upstream.web.get(url)).await;
        let Some(answer) = answer else { return Err(Stop::Time(self.ledger.time)) };
        let read =
            answer.and_then(|response| web::body(response, &upstream.clock)).and_then(|body| read(&body));
        under_way.over();
        match read {
            Ok(read) => {
                upstream.succeeded();
                Ok(read)
            }
            Err(trouble) => {
                upstream.failed(&trouble);
                Err(Stop::Trouble(trouble))
            }
        }
    }
}

/// A request that went out. The pace counts from its end, also when that is that nobody waits for it any more.
struct UnderWay<'a> {
    upstream: &'a Upstream,
    judged: bool,
}

impl UnderWay<'_> {
    fn over(mut self) {
        self.judged = true;
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.upstream.state().ready = self.upstream.timer.now() + self.upstream.pace;
        if !self.judged {
            self.upstream.metrics.called(QuizCall::Dropped);
        }
    }
}

/// A service as a source.
#[derive(Clone)]
pub(super) struct Shared(pub(super) Arc<Upstream>);

impl Source for Shared {
    fn name(&self) -> QuestionSource {
        self.0.site.name()
    }

    fn is_endless(&self) -> bool {
        true
    }

    fn open(&self) -> Box<dyn Draws> {
        Box::new(self.clone())
    }
}

#[async_trait]
impl Draws for Shared {
    async fn draw(&mut self, wanted: u32, ledger: &mut Ledger) -> Result<Vec<NewQuestion>, Stop> {
        self.0.draw(wanted, ledger).await
    }

    fn give_back(&mut self, questions: Vec<NewQuestion>) {
        self.0.keep(questions);
    }
}
