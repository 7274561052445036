//! A round: what one try to get questions asks of the sources.
//!
//! Made by [`Quiz::round`](super::Quiz::round), held by whoever saves the questions, who tells it after each draw how
//! many of them were new. True here: every draw ends, and so many draws in a row that bring nothing new end the source.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::report::{Ended, SourceReport};
use super::source::{Draws, Ledger, Source, Stop, Tally, Trouble};
use crate::config::QuizSettings;
use crate::task::{NewQuestion, QuestionSource};

/// A round.
pub struct Round {
    legs: Vec<Leg>,
    /// The leg that is drawn from.
    at: usize,
}

/// One source in the round.
struct Leg {
    source: QuestionSource,
    is_endless: bool,
    draws: Box<dyn Draws>,
    ledger: Ledger,
    most_empty: u32,
    /// The pause that the service wants between two requests.
    pace: Duration,
    /// What was drawn last, until somebody says how much of it was new.
    last: Vec<NewQuestion>,
    drawn: u32,
    new: u32,
    known: u32,
    /// Draws in a row that brought nothing new.
    empty: u32,
    /// Requests in a row that failed.
    failed: u32,
    /// What last went wrong, though it was asked again.
    trouble: Option<Trouble>,
    /// Why it is asked no more.
    end: Option<Stop>,
}

/// The most questions that are drawn at once.
const MOST: u32 = 100;

/// Where there is another source to go to, one that failed so often in a row is left for it.
const TRIES: u32 = 2;

impl Round {
    pub(super) fn new(settings: &QuizSettings, sources: &[Arc<dyn Source>], now: Instant) -> Self {
        let deadline = now + settings.time;
        let leg = |(place, source): (usize, &Arc<dyn Source>)| Leg {
            source: source.name(),
            is_endless: source.is_endless(),
            draws: source.open(),
            ledger: Ledger {
                deadline,
                time: settings.time,
                most_requests: settings.requests,
                has_next: place + 1 < sources.len(),
                requests: 0,
                tally: Tally::default(),
            },
            most_empty: settings.empty_draws,
            pace: match source.name() {
                QuestionSource::Jservice => settings.jservice_pause,
                QuestionSource::Opentdb => settings.opentdb_pause,
                QuestionSource::Bank => Duration::ZERO,
            },
            last: Vec::new(),
            drawn: 0,
            new: 0,
            known: 0,
            empty: 0,
            failed: 0,
            trouble: None,
            end: None,
        };
        Self { legs: sources.iter().enumerate().map(leg).collect(), at: 0 }
    }

    /// The next questions, of which `wanted` more are needed: at least one, all of one source, more than wanted where
    /// many were known before. May be dropped at any time.
    ///
    /// # Errors
    /// [`Ended`] when no source gives any more.
    pub async fn draw(&mut self, wanted: u32) -> Result<Vec<NewQuestion>, Ended> {
        while let Some(leg) = self.legs.get_mut(self.at) {
            match leg.draw(wanted.max(1)).await {
                Ok(questions) => return Ok(questions),
                Err(stop) => leg.end = Some(stop),
            }
            self.at += 1;
        }
        Err(self.ended())
    }

    /// Of the questions that were drawn last, in their order, so many were new and so many known. The rest was not
    /// needed, and is there for others.
    pub fn kept(&mut self, new: u32, known: u32) {
        if let Some(leg) = self.legs.get_mut(self.at) {
            leg.kept(new, known);
        }
    }

    /// What each source did that was asked by now.
    #[must_use]
    pub fn report(&self) -> Vec<SourceReport> {
        self.legs.iter().take(self.at + 1).map(Leg::report).collect()
    }

    fn ended(&self) -> Ended {
        let late = self.legs.iter().any(Leg::was_late);
        let story: Vec<String> = self.report().iter().map(ToString::to_string).collect();
        Ended { late, story: story.join(". ") }
    }
}

impl Leg {
    /// At least one question, or why there will be none.
    async fn draw(&mut self, wanted: u32) -> Result<Vec<NewQuestion>, Stop> {
        loop {
            if self.is_endless && self.empty >= self.most_empty {
                return Err(Stop::Dry(self.empty));
            }
            match self.draws.draw(self.ask(wanted), &mut self.ledger).await {
                Ok(questions) if questions.is_empty() => self.empty += 1,
                Ok(mut questions) => {
                    // In one order everywhere: those who save the same ones at once wait for each other one way only.
                    questions.sort_by_cached_key(NewQuestion::content);
                    self.failed = 0;
                    self.drawn += count(&questions);
                    self.last.clone_from(&questions);
                    return Ok(questions);
                }
                Err(Stop::Trouble(trouble)) if trouble.passes() && self.tries_again() => {
                    self.trouble = Some(trouble);
                }
                Err(stop) => return Err(stop),
            }
        }
    }

    /// Counts a failure.
    fn tries_again(&mut self) -> bool {
        self.failed += 1;
        !self.ledger.has_next || self.failed < TRIES
    }

    /// How many to draw, for `wanted` new ones: by what share of those before was new, and after a draw without any as
    /// many as there may be.
    fn ask(&self, wanted: u32) -> u32 {
        let ask = match (self.empty, self.new) {
            (0, 0) => wanted,
            (0, new) => wanted.saturating_mul(self.drawn).div_ceil(new),
            (_, _) => MOST,
        };
        ask.min(MOST)
    }

    fn kept(&mut self, new: u32, known: u32) {
        self.new += new;
        self.known += known;
        self.empty = if new > 0 { 0 } else { self.empty + 1 };
        if new > 0 {
            // What brings something new costs nothing of the budget: a service that gives one question at a time gives as
            // many as are wanted. There are no more such draws than questions wanted.
            self.ledger.most_requests = self.ledger.most_requests.saturating_add(1);
            self.ledger.deadline += self.pace;
        }
        let judged = self.last.len().min((new + known) as usize);
        let rest = self.last.split_off(judged);
        self.last.clear();
        if !rest.is_empty() {
            self.drawn -= count(&rest);
            self.draws.give_back(rest);
        }
    }

    /// Whether it was for want of time that there is no more: at the end, or in the failures before it.
    fn was_late(&self) -> bool {
        let failed_late = self.failed > 0 && self.trouble.as_ref().is_some_and(Trouble::is_late);
        self.end.as_ref().is_some_and(Stop::is_late) || failed_late
    }

    /// Why it is asked no more, and what went wrong before, where the end does not say it.
    fn told(&self) -> Option<String> {
        match (&self.end, &self.trouble) {
            (Some(end @ (Stop::Trouble(_) | Stop::Broken { .. } | Stop::Pausing { .. })), _) => {
                Some(end.to_string())
            }
            (Some(end), Some(trouble)) => Some(format!("{end}; last it {trouble}")),
            (Some(end), None) => Some(end.to_string()),
            (None, trouble) => trouble.as_ref().map(ToString::to_string),
        }
    }

    fn report(&self) -> SourceReport {
        let rejected = self.ledger.tally.rejected();
        SourceReport {
            source: self.source,
            requests: self.ledger.requests,
            drawn: self.drawn,
            new: self.new,
            known: self.known,
            rejected: rejected.into_iter().map(|(reason, count)| (reason.to_owned(), count)).collect(),
            trouble: self.told(),
        }
    }
}

fn count(questions: &[NewQuestion]) -> u32 {
    u32::try_from(questions.len()).unwrap_or(u32::MAX)
}
