//! What a source of questions is to a round, and the ways in which one disappoints it.
//!
//! Implemented by `bank.rs` and, for all services outside, by `upstream.rs`.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::Instant;

use super::text;
use crate::task::{NewQuestion, NoQuestion, QuestionSource};
use crate::telemetry::metrics::{QuizCall, QuizItem};

/// A source.
pub(super) trait Source: Send + Sync {
    /// Which.
    fn name(&self) -> QuestionSource;

    /// Whether it gives questions for ever, those that it gave before too: then only draws that bring nothing new tell
    /// that it has no more.
    fn is_endless(&self) -> bool;

    /// What one round draws from.
    fn open(&self) -> Box<dyn Draws>;
}

/// A source in the hands of one round.
#[async_trait]
pub(super) trait Draws: Send + Sync {
    /// Up to `wanted` questions; fewer, or none, do not mean that there are no more. Nothing is lost when the future is
    /// dropped but the answer to a request that is under way.
    async fn draw(&mut self, wanted: u32, ledger: &mut Ledger) -> Result<Vec<NewQuestion>, Stop>;

    /// Questions that were drawn and not needed.
    fn give_back(&mut self, questions: Vec<NewQuestion>);
}

/// What one round may still do at one source, and what it did there.
#[derive(Debug, Clone)]
pub(super) struct Ledger {
    /// When the round's time is over.
    pub(super) deadline: Instant,
    /// How long that time is.
    pub(super) time: Duration,
    /// How many requests it may make.
    pub(super) most_requests: u32,
    /// Whether there is another source to go to: then long pauses are not waited for.
    pub(super) has_next: bool,
    /// How many requests it made.
    pub(super) requests: u32,
    /// What its own requests brought.
    pub(super) tally: Tally,
}

/// Items of a source's answers, counted by what they were.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Tally([u32; QuizItem::ALL.len()]);

impl Tally {
    pub(super) fn count(&mut self, item: QuizItem) {
        self.0[item as usize] += 1;
    }

    pub(super) fn add(&mut self, other: &Self) {
        self.0.iter_mut().zip(other.0).for_each(|(sum, more)| *sum += more);
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (QuizItem, u32)> {
        QuizItem::ALL.iter().copied().zip(self.0)
    }

    /// What was rejected, by reason.
    pub(super) fn rejected(&self) -> BTreeMap<&'static str, u32> {
        let rejected = self.iter().filter(|(item, count)| *item != QuizItem::Usable && *count > 0);
        rejected.map(|(item, count)| (item.as_str(), count)).collect()
    }
}

/// What one look at a service brought.
#[derive(Debug, Default)]
pub(super) struct Haul {
    /// What is of use.
    pub(super) questions: Vec<NewQuestion>,
    /// What all of it was.
    pub(super) tally: Tally,
}

impl Haul {
    /// Judges one item.
    pub(super) fn take(&mut self, item: Result<NewQuestion, QuizItem>) {
        match item {
            Ok(question) => {
                self.tally.count(QuizItem::Usable);
                self.questions.push(question);
            }
            Err(reason) => self.tally.count(reason),
        }
    }
}

/// What an item is that makes no question.
pub(super) fn unusable(error: NoQuestion) -> QuizItem {
    match error {
        NoQuestion::NoText | NoQuestion::NoAnswer => QuizItem::Empty,
        NoQuestion::TooLong => QuizItem::TooLong,
        NoQuestion::Control => QuizItem::NoText,
    }
}

/// Why a request to a service came to nothing, as the end of a sentence about the service.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Trouble {
    /// It wants to be asked less often, and may say when again.
    #[error("wants to be asked less often{}", asked_for(*wait))]
    Busy { wait: Option<Duration> },
    /// It failed, and may say when to come again.
    #[error("failed with status {status}{}", asked_for(*wait))]
    Failed { status: u16, wait: Option<Duration> },
    /// Any other status.
    #[error("answered with status {status}{}", if (300..400).contains(status) { ", a redirect, and none is followed" } else { "" })]
    Refused { status: u16 },
    /// An answer of another type or shape.
    #[error("gave no questions: {0}")]
    Wrong(String),
    /// No answer in time.
    #[error("gave no answer in time: {0}")]
    Late(String),
    /// No connection, or one that broke off.
    #[error("could not be reached: {0}")]
    Unreachable(String),
    /// An address that may not be called, or no safe connection to it.
    #[error("may not be called: {0}")]
    Forbidden(String),
}

impl Trouble {
    /// An answer of another shape. What the parser says of it may hold a piece of the answer, as long as the service
    /// wants.
    pub(super) fn misshapen(what: &str, error: &serde_json::Error) -> Self {
        let error = error.to_string();
        Self::Wrong(format!("{what} ({})", text::cut(&error, 200)))
    }
}

fn asked_for(wait: Option<Duration>) -> String {
    wait.map_or_else(String::new, |wait| format!(", and to be left alone for {} s", wait.as_secs()))
}

impl Trouble {
    /// Whether no answer came in time.
    pub(super) fn is_late(&self) -> bool {
        matches!(self, Self::Late(_))
    }

    /// Whether it may have passed after a pause.
    pub(super) fn passes(&self) -> bool {
        match self {
            Self::Busy { .. } | Self::Failed { .. } | Self::Late(_) | Self::Unreachable(_) => true,
            Self::Refused { .. } | Self::Wrong(_) | Self::Forbidden(_) => false,
        }
    }

    /// The pause that the service asked for.
    pub(super) fn wait(&self) -> Option<Duration> {
        match self {
            Self::Busy { wait } | Self::Failed { wait, .. } => *wait,
            Self::Refused { .. }
            | Self::Wrong(_)
            | Self::Late(_)
            | Self::Unreachable(_)
            | Self::Forbidden(_) => None,
        }
    }

    /// As it is counted.
    pub(super) fn call(&self) -> QuizCall {
        match self {
            Self::Busy { .. } => QuizCall::Busy,
            Self::Failed { .. } => QuizCall::Failed,
            Self::Refused { .. } => QuizCall::Refused,
            Self::Wrong(_) => QuizCall::Wrong,
            Self::Late(_) => QuizCall::Late,
            Self::Unreachable(_) => QuizCall::Unreachable,
            Self::Forbidden(_) => QuizCall::Forbidden,
        }
    }
}

/// Why a round goes no further with a source, as the end of a sentence about the source.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Stop {
    /// A request came to nothing.
    #[error(transparent)]
    Trouble(#[from] Trouble),
    /// It failed too often of late, and is not asked.
    #[error("{why}, failed too often of late, and is left alone for {} s more", left.as_secs_f64().ceil())]
    Broken { left: Duration, why: Trouble },
    /// It may be asked again only after a pause for which the round does not wait.
    #[error("{why}, and is left alone for {} s more", left.as_secs_f64().ceil())]
    Pausing { left: Duration, why: Trouble },
    /// The round made as many requests as it may.
    #[error("was asked {0} times, which is the most for one try (quiz.requests)")]
    Requests(u32),
    /// The round's time is over.
    #[error("was too slow: the {} s for one try are over (quiz.time_s)", .0.as_secs_f64())]
    Time(Duration),
    /// It brought nothing new again and again.
    #[error("brought nothing new {0} times in a row, and seems to have no more")]
    Dry(u32),
    /// It has no more, by its own word.
    #[error("has no more")]
    Over,
}

impl Stop {
    /// Whether it was for want of time.
    pub(super) fn is_late(&self) -> bool {
        match self {
            Self::Trouble(why) | Self::Broken { why, .. } | Self::Pausing { why, .. } => why.is_late(),
            Self::Time(_) => true,
            Self::Requests(_) | Self::Dry(_) | Self::Over => false,
        }
    }
}
