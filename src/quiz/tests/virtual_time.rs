//! Time that passes when nothing else happens, at once: for tests that would wait for hours.
//!
//! Each test has a thread and a runtime of its own, and so a time of its own. True here: time goes on only when every
//! task of the runtime waits for something.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::future::Future;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::quiz::timer::{Timer, until};

/// The timer of the test that asks.
pub(super) struct Virtual;

#[derive(Default)]
struct Time {
    /// How far it was moved.
    passed: Duration,
    began: Option<Instant>,
    /// Who waits until when, in the order in which they came.
    sleepers: BTreeMap<(Instant, u64), oneshot::Sender<()>>,
    came: u64,
    moves: bool,
}

thread_local! {
    static TIME: RefCell<Time> = RefCell::default();
}

impl Time {
    fn now(&mut self) -> Instant {
        *self.began.get_or_insert_with(Instant::now) + self.passed
    }
}

pub(super) fn now() -> Instant {
    TIME.with_borrow_mut(Time::now)
}

pub(super) async fn sleep(time: Duration) {
    Virtual.sleep_until(now() + time).await;
}

pub(super) async fn within<T>(time: Duration, future: impl Future<Output = T> + Send) -> Option<T> {
    until(&Virtual, now() + time, future).await
}

#[async_trait]
impl Timer for Virtual {
    fn now(&self) -> Instant {
        now()
    }

    async fn sleep_until(&self, then: Instant) {
        let woken = TIME.with_borrow_mut(|time| {
            if then <= time.now() {
                return None;
            }
            let (wake, woken) = oneshot::channel();
            time.came += 1;
            time.sleepers.insert((then, time.came), wake);
            if !std::mem::replace(&mut time.moves, true) {
                tokio::spawn(moving());
            }
            Some(woken)
        });
        if let Some(woken) = woken {
            woken.await.unwrap();
        }
    }
}

/// Moves time on to the next sleeper, again and again.
async fn moving() {
    loop {
        // Whoever can go on does so before this has had so many turns.
        for _ in 0..32 {
            tokio::task::yield_now().await;
        }
        TIME.with_borrow_mut(|time| {
            // Who went away is waited for no more.
            time.sleepers.retain(|_, wake| !wake.is_closed());
            if let Some(((then, _), wake)) = time.sleepers.pop_first() {
                let now = time.now();
                time.passed += then.saturating_duration_since(now);
                let _ = wake.send(());
            }
        });
    }
}
