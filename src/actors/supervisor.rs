//! Keeps the other actors alive.
//!
//! actix restarts an actor that stops, but not one that panics, and tells nobody of either. So each child runs as a
//! task of its own, whose end (return or panic) is this actor's message; the child is made anew by its factory on
//! the same arbiter, after a pause that doubles with each end in a row. Its address changes with that, so the others
//! reach it through a [`Link`]. A child that ends too often within the window is given up: the health board says so
//! and the daemon stops with an error, for systemd to start it afresh.

use std::collections::VecDeque;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use actix::dev::ToEnvelope;
use actix::{Actor, Addr, AsyncContext, Context, Handler, Message, ResponseFuture};
use actix_rt::ArbiterHandle;
use futures_util::future::join_all;
use tokio::sync::{oneshot, watch};
use tokio::time::timeout;

use crate::clock::Clock;
use crate::telemetry::health::{Health, Importance};
use crate::telemetry::metrics::{self, ActorMetrics};

/// Where an actor is reached, across its restarts. Cheap to clone.
pub struct Link<A: Actor> {
    addr: Arc<RwLock<Option<Addr<A>>>>,
}

impl<A: Actor> Clone for Link<A> {
    fn clone(&self) -> Self {
        Self { addr: Arc::clone(&self.addr) }
    }
}

impl<A: Actor> Default for Link<A> {
    fn default() -> Self {
        Self { addr: Arc::default() }
    }
}

impl<A: Actor> Link<A> {
    /// Sends without waiting for room or an answer. What is sent here may be lost with the actor, and the sender
    /// lives with that: the modules that send say how it is found again. `false` when nobody is there.
    pub fn tell<M>(&self, message: M) -> bool
    where
        M: Message + Send + 'static,
        M::Result: Send,
        A: Handler<M>,
        A::Context: ToEnvelope<A, M>,
    {
        let addr = self.addr.read().unwrap_or_else(PoisonError::into_inner);
        match &*addr {
            Some(addr) if addr.connected() => {
                addr.do_send(message);
                true
            }
            Some(_) | None => false,
        }
    }

    /// Sends and waits for the answer; `None` when the actor is gone, or goes before it answers.
    pub async fn ask<M>(&self, message: M) -> Option<M::Result>
    where
        M: Message + Send + 'static,
        M::Result: Send,
        A: Handler<M>,
        A::Context: ToEnvelope<A, M>,
    {
        let addr = self.addr.read().unwrap_or_else(PoisonError::into_inner).clone()?;
        addr.send(message).await.ok()
    }

    fn set(&self, addr: Addr<A>) {
        *self.addr.write().unwrap_or_else(PoisonError::into_inner) = Some(addr);
    }
}

/// How a child ended.
#[derive(Debug, Clone)]
enum End {
    Stopped,
    Panicked(String),
}

type Start = Box<dyn Fn(Addr<Supervisor>, usize)>;

struct Child {
    name: String,
    role: metrics::Actor,
    /// Where it lives: an actor that computes, or waits without giving way, holds up all who live there.
    arbiter: ArbiterHandle,
    start: Start,
    ends: VecDeque<Instant>,
    restarts: u32,
}

/// When to give up.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// So many ends of one child…
    pub max_restarts: usize,
    /// …within this time are too many.
    pub window: Duration,
}

/// The children to be, in the order in which they are started: downstream first.
#[derive(Default)]
pub struct Family {
    children: Vec<Child>,
}

impl Family {
    /// Adds a child, which lives on `arbiter` and is reached through `link`. `make` makes it, each time anew.
    pub fn add<A: Actor<Context = Context<A>>>(
        &mut self,
        name: impl Into<String>,
        role: metrics::Actor,
        arbiter: ArbiterHandle,
        link: Link<A>,
        make: impl Fn() -> A + Send + Clone + 'static,
    ) {
        let home = arbiter.clone();
        let start: Start = Box::new(move |supervisor, child| {
            let (make, link) = (make.clone(), link.clone());
            let spawned = home.spawn_fn(move || {
                let ctx = Context::new();
                link.set(ctx.address());
                let life = actix_rt::spawn(async move { ctx.into_future(make()).await });
                actix_rt::spawn(async move {
                    let end = match life.await {
                        Ok(()) => End::Stopped,
                        Err(error) => End::Panicked(crate::actors::panic_text(error)),
                    };
                    supervisor.do_send(Ended { child, end });
                });
            });
            if !spawned {
                tracing::error!("an actor could not be started: its thread is gone");
            }
        });
        let child = Child { name: name.into(), role, arbiter, start, ends: VecDeque::new(), restarts: 0 };
        self.children.push(child);
    }
}

/// The actor.
pub struct Supervisor {
    children: Vec<Child>,
    patience: Patience,
    health: Health,
    clock: Clock,
    metrics: ActorMetrics,
    draining: bool,
    gave_up: watch::Sender<Option<String>>,
}

impl Supervisor {
    /// The pause before the first restart in a row; it doubles with each further one.
    const PAUSE: Duration = Duration::from_millis(100);
    const LONGEST_PAUSE: Duration = Duration::from_secs(30);

    /// A supervisor of `family`; says in `gave_up` which child it gave up, if it comes to that.
    #[must_use]
    pub fn new(
        family: Family,
        patience: Patience,
        health: Health,
        clock: Clock,
        gave_up: watch::Sender<Option<String>>,
    ) -> Self {
        Self {
            children: family.children,
            patience,
            health,
            clock,
            metrics: ActorMetrics::new(),
            draining: false,
            gave_up,
        }
    }

    fn start(&mut self, index: usize, this: Addr<Self>) {
        if let Some(child) = self.children.get(index) {
            (child.start)(this, index);
            self.health.up(&child.name);
        }
    }
}

impl Actor for Supervisor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        for child in &self.children {
            self.health.register(&child.name, Importance::Required);
        }
        for index in 0..self.children.len() {
            self.start(index, ctx.address());
        }
    }
}

/// A child ended.
#[derive(Message)]
#[rtype(result = "()")]
struct Ended {
    child: usize,
    end: End,
}

impl Handler<Ended> for Supervisor {
    type Result = ();

    fn handle(&mut self, Ended { child: index, end }: Ended, ctx: &mut Context<Self>) {
        let Some(child) = self.children.get_mut(index) else { return };
        if self.draining {
            self.health.remove(&child.name);
            return;
        }
        let reason = match end {
            End::Stopped => "it ended by itself".to_owned(),
            End::Panicked(text) => format!("it panicked: {text}"),
        };
        let now = Instant::now();
        child.ends.retain(|end| now.duration_since(*end) < self.patience.window);
        if child.ends.is_empty() {
            child.restarts = 0;
        }
        child.ends.push_back(now);
        child.restarts += 1;
        let name = child.name.clone();
        if child.ends.len() > self.patience.max_restarts {
            tracing::error!(actor = name, reason, "an actor dies again and again: giving up");
            self.health.down(&name, self.clock.utc(), format!("given up: {reason}"));
            self.gave_up.send_replace(Some(format!("the actor `{name}` died too often; last: {reason}")));
            return;
        }
        let doublings = child.restarts.saturating_sub(1).min(16);
        let pause = (Self::PAUSE * (1 << doublings)).min(Self::LONGEST_PAUSE);
        tracing::error!(actor = name, reason, ?pause, "an actor died and is started again");
        self.health.count_restart(&name, self.clock.utc(), reason.clone());
        self.health.restarting(&name, self.clock.utc(), child.restarts, reason);
        self.metrics.restarted(child.role);
        ctx.run_later(pause, move |this, ctx| {
            if !this.draining {
                this.start(index, ctx.address());
            }
        });
    }
}

/// Who among the children does not answer within this time? One that died is not among them: it is being started again.
#[derive(Message)]
#[rtype(result = "Vec<String>")]
pub struct RollCall(pub Duration);

impl Handler<RollCall> for Supervisor {
    type Result = ResponseFuture<Vec<String>>;

    fn handle(&mut self, RollCall(patience): RollCall, _: &mut Context<Self>) -> ResponseFuture<Vec<String>> {
        let calls = self.children.iter().map(|child| {
            let (answer, answered) = oneshot::channel();
            // Where nobody can be asked nobody answers, and the sender is dropped unused.
            let asked = child.arbiter.spawn_fn(move || {
                // Whoever asked may have gone.
                let _ = answer.send(());
            });
            let name = child.name.clone();
            async move {
                let came = asked && matches!(timeout(patience, answered).await, Ok(Ok(())));
                (!came).then_some(name)
            }
        });
        let calls = join_all(calls);
        Box::pin(async move { calls.await.into_iter().flatten().collect() })
    }
}

/// From now on ends are expected.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Drain;

impl Handler<Drain> for Supervisor {
    type Result = ();

    fn handle(&mut self, _: Drain, _: &mut Context<Self>) {
        self.draining = true;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::mpsc::{Receiver, channel};

    use actix_rt::Arbiter;

    use super::*;

    /// One that waits where it may not, for as long as it is told to.
    struct Selfish {
        until: Arc<Mutex<Receiver<()>>>,
    }

    impl Actor for Selfish {
        type Context = Context<Self>;

        fn started(&mut self, _: &mut Context<Self>) {
            let _ = self.until.lock().unwrap().recv();
        }
    }

    #[actix_rt::test]
    async fn who_holds_up_a_thread_is_missed_at_the_roll_call_with_all_who_live_there() {
        metrics::install().unwrap();
        let (let_go, until) = channel();
        let until = Arc::new(Mutex::new(until));
        let (crowded, quiet) = (Arbiter::new(), Arbiter::new());
        let mut family = Family::default();
        for (name, arbiter) in [("held up", &crowded), ("selfish", &crowded), ("elsewhere", &quiet)] {
            let until = if name == "selfish" {
                Arc::clone(&until)
            } else {
                // Its sender is gone: it waits for nothing.
                Arc::new(Mutex::new(channel().1))
            };
            let make = move || Selfish { until: Arc::clone(&until) };
            family.add(name, metrics::Actor::Runner, arbiter.handle(), Link::default(), make);
        }
        let patience = Patience { max_restarts: 3, window: Duration::from_secs(60) };
        let (gave_up, _) = watch::channel(None);
        let supervisor = Supervisor::new(family, patience, Health::new(), Clock::system(), gave_up).start();
        let call = || supervisor.send(RollCall(Duration::from_millis(200)));
        // The first calls may come before the actor has begun to wait, and on a busy machine miss others for a moment.
        while call().await.unwrap() != ["held up", "selfish"] {}
        let_go.send(()).unwrap();
        while !call().await.unwrap().is_empty() {}
    }
}
