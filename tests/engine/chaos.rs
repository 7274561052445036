//! A kind that does whatever its payload says, and no good.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use gristmill::kinds::{Done, Run, RunError, Work};
use gristmill::task::Json;
use serde::Deserialize;

#[derive(Clone, Default)]
pub(crate) struct Chaos {
    pub(crate) state: Arc<State>,
}

/// What the tests see of the runs, and how they let go of them.
#[derive(Default)]
pub(crate) struct State {
    pub(crate) started: AtomicU32,
    /// Runs of `wait` that saw that they were asked to stop.
    pub(crate) stopped: AtomicU32,
    pub(crate) most_at_once: AtomicU32,
    at_once: AtomicU32,
    release: AtomicBool,
    attempts: Mutex<Vec<u32>>,
}

impl State {
    /// Ends every run of `spin` and `wait`.
    pub(crate) fn release(&self) {
        self.release.store(true, Ordering::SeqCst);
    }

    pub(crate) fn attempts(&self) -> Vec<u32> {
        self.attempts.lock().unwrap().clone()
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Payload {
    Ok,
    Panic,
    PanicComputing,
    /// Never resolves.
    Hang,
    /// Computes, deaf to everything but the test's release.
    Spin,
    /// Computes until asked to stop, or released.
    Wait,
    Fail,
    Invalid,
    FailOnce,
}

impl Work for Chaos {
    const NAME: &'static str = "chaos";
    type Payload = Payload;

    async fn run(&self, payload: Payload, run: Run) -> Result<Done, RunError> {
        let state = Arc::clone(&self.state);
        state.started.fetch_add(1, Ordering::SeqCst);
        state.attempts.lock().unwrap().push(run.attempt.0);
        let _counted = Counted::new(Arc::clone(&state));
        match payload {
            Payload::Ok => Ok(done()),
            Payload::Panic => panic!("chaos panics"),
            Payload::PanicComputing => run.compute(|_| panic!("chaos panics computing")).await,
            Payload::Hang => std::future::pending().await,
            Payload::Fail => Err(RunError::Error("chaos fails".into())),
            Payload::Invalid => Err(RunError::InvalidInput("chaos will not have it".into())),
            Payload::FailOnce if run.attempt.0 == 1 => Err(RunError::Error("chaos fails once".into())),
            Payload::FailOnce => Ok(done()),
            Payload::Spin => {
                run.compute(move |_| {
                    let _counted = Counted::new(Arc::clone(&state));
                    while !state.release.load(Ordering::SeqCst) {
                        std::thread::sleep(Duration::from_millis(1));
                    }
                    Ok(done())
                })
                .await
            }
            Payload::Wait => {
                run.compute(move |run| {
                    while !state.release.load(Ordering::SeqCst) {
                        if run.cancel.is_cancelled() {
                            state.stopped.fetch_add(1, Ordering::SeqCst);
                            return Err(RunError::Cancelled);
                        }
                        std::thread::sleep(Duration::from_millis(1));
                    }
                    Ok(done())
                })
                .await
            }
        }
    }
}

fn done() -> Done {
    Done { result: Json::trusted("\"done\""), output: None, drop_input: false, image: None }
}

struct Counted(Arc<State>);

impl Counted {
    fn new(state: Arc<State>) -> Self {
        let now = state.at_once.fetch_add(1, Ordering::SeqCst) + 1;
        state.most_at_once.fetch_max(now, Ordering::SeqCst);
        Self(state)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.at_once.fetch_sub(1, Ordering::SeqCst);
    }
}
