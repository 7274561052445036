//! The handles of what asks sources for questions.

use std::sync::Arc;
use std::time::Duration;

use metrics::{Counter, Gauge, Histogram};

use super::super::labels::{QuizBreaker, QuizCall, QuizItem};
use super::super::{QUIZ_BREAKER, QUIZ_CALLS, QUIZ_ITEMS, QUIZ_SPARE, QUIZ_WAIT, counter, gauge, histogram};
use crate::task::QuestionSource;

/// One source of questions. Clones share their handles.
#[derive(Clone)]
pub struct QuizMetrics {
    calls: Arc<[Counter]>,
    wait: Histogram,
    breaker: Gauge,
    items: Arc<[Counter]>,
    spare: Gauge,
}

impl QuizMetrics {
    /// The handles; their series show 0 from now on.
    pub fn new(source: QuestionSource) -> Self {
        let source = source.as_str();
        let calls = QuizCall::ALL.iter();
        let items = QuizItem::ALL.iter();
        Self {
            calls: calls.map(|result| counter(&QUIZ_CALLS, &[source, result.as_str()])).collect(),
            wait: histogram(&QUIZ_WAIT, &[source]),
            breaker: gauge(&QUIZ_BREAKER, &[source]),
            items: items.map(|result| counter(&QUIZ_ITEMS, &[source, result.as_str()])).collect(),
            spare: gauge(&QUIZ_SPARE, &[source]),
        }
    }

    /// A request ended so.
    pub fn called(&self, result: QuizCall) {
        if let Some(counter) = self.calls.get(result as usize) {
            counter.increment(1);
        }
    }

    /// A request waited so long for its turn.
    pub fn waited(&self, time: Duration) {
        self.wait.record(time);
    }

    /// The source is asked, or not.
    pub fn set_breaker(&self, state: QuizBreaker) {
        self.breaker.set(f64::from(state as u8));
    }

    /// The source gave so many items of which this is said.
    pub fn items(&self, result: QuizItem, count: u64) {
        if let Some(counter) = self.items.get(result as usize) {
            counter.increment(count);
        }
    }

    /// So many questions are kept for whoever asks next.
    pub fn set_spare(&self, questions: usize) {
        self.spare.set(questions as f64);
    }
}
