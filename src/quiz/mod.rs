//! Questions of a quiz: from services outside, and from those that come with the program.
//!
//! Owned by the kind `quiz`, which draws questions here and saves them elsewhere: this room does not know which of
//! them are new, and is told.
//!
//! What is true:
//! - A [`Round`] asks the sources of the settings one after the other, and leaves one that is in trouble or has
//!   nothing new for the next. It has a budget (time, requests, draws that bring nothing) and so ends, whatever a
//!   source does; its report tells what each of them did.
//! - All rounds of the process share an `Upstream` for each service: one request at a time, at
//!   its pace, with growing pauses after failures or as long as it asks for, and none for a while once it fails again
//!   and again.
//! - Nobody asks for what somebody else has fetched already: a request is made for all who wait, and what is over is
//!   kept a while for whoever comes next.
//! - What a service sends is judged item by item, and rejected items are counted by reason. Texts are decoded once.
//! - Calls go where [`outbound`](crate::outbound) lets them, over plain http only to networks that the settings name.

mod bank;
mod breaker;
mod jservice;
mod opentdb;
mod report;
mod round;
mod source;
mod text;
mod timer;
mod upstream;
mod web;

#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

use crate::clock::Clock;
use crate::config::QuizSettings;
use crate::task::QuestionSource;

pub use self::report::{Ended, SourceReport};
pub use self::round::Round;
use self::source::Source;
use self::timer::{Runtime, Timer};
use self::upstream::{Shared, Site, Upstream};
use self::web::{Web, Wire};

/// The sources of questions, as the settings name them. Cheap to clone; clones share the services' paces and all
/// that is known of them.
#[derive(Clone)]
pub struct Quiz {
    inner: Arc<Inner>,
}

struct Inner {
    settings: QuizSettings,
    sources: Vec<Arc<dyn Source>>,
    timer: Arc<dyn Timer>,
}

impl Quiz {
    /// The sources of these settings. Nothing is called yet; a source whose address may not be called tells so when it
    /// is asked.
    #[must_use]
    pub fn new(settings: &QuizSettings) -> Self {
        let timer: Arc<dyn Timer> = Arc::new(Runtime);
        Self::over(settings, (&Clock::system(), &timer), Arc::new(Wire::new(settings)))
    }

    /// The same with other clocks, over another way out.
    fn over(settings: &QuizSettings, clocks: (&Clock, &Arc<dyn Timer>), web: Arc<dyn Web>) -> Self {
        let upstream = |site: Box<dyn Site>, pace| -> Arc<dyn Source> {
            let upstream = Upstream::new(site, pace, settings, clocks, Arc::clone(&web));
            Arc::new(Shared(Arc::new(upstream)))
        };
        let source = |source: &QuestionSource| match source {
            QuestionSource::Jservice => {
                let site = jservice::Jservice::new(settings.url.clone());
                upstream(Box::new(site), settings.jservice_pause)
            }
            QuestionSource::Opentdb => {
                let site = opentdb::Opentdb::new(settings.opentdb_url.clone());
                upstream(Box::new(site), settings.opentdb_pause)
            }
            QuestionSource::Bank => Arc::new(bank::Bank),
        };
        let sources = settings.provider.iter().map(source).collect();
        Self { inner: Arc::new(Inner { settings: settings.clone(), sources, timer: Arc::clone(clocks.1) }) }
    }

    /// A round, whose time runs from now on.
    #[must_use]
    pub fn round(&self) -> Round {
        Round::new(&self.inner.settings, &self.inner.sources, self.inner.timer.now())
    }
}

impl fmt::Debug for Quiz {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Quiz").field("provider", &self.inner.settings.provider).finish_non_exhaustive()
    }
}
