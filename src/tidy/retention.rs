//! What is kept for how long, by kind and by how a task ended: the settings as one table.
//!
//! Made once at the start. True here: what users keep under a link of its own (an image, a recording, a report) is its task's,
//! so a task that completed one is only removed where the settings name its kind.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::config::TaskSettings;
use crate::kinds::{Registry, image, report, transcode};
use crate::task::{Kind, Status};

/// How long tasks of a kind are kept that ended in one way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Term {
    /// Of which kind.
    pub kind: Kind,
    /// How they ended.
    pub status: Status,
    /// From their end.
    pub keep: Duration,
}

/// All terms; what has none is kept for ever.
#[derive(Debug, Clone, Default)]
pub struct Retention {
    terms: Vec<Term>,
    events: Option<Duration>,
}

impl Retention {
    /// As the settings say, for the kinds of the registry and those that the settings name. Tasks of a kind that neither
    /// knows are left alone.
    #[must_use]
    pub fn of(settings: &TaskSettings, kinds: &Registry) -> Self {
        let own = kinds.iter().map(|(kind, _)| kind).chain(kinds.outside());
        let named = settings.keep_kinds.keys().map(|(kind, _)| kind);
        let all: BTreeSet<&Kind> = own.chain(named).collect();
        let general = BTreeMap::from([
            (Status::Completed, settings.keep_completed),
            (Status::Failed, settings.keep_failed),
            (Status::Cancelled, settings.keep_cancelled),
        ]);
        let keepsakes = [transcode::kind(), image::kind(), report::kind()];
        let mut terms = Vec::new();
        for kind in all {
            for (status, keep) in &general {
                let own = settings.keep_kinds.get(&(kind.clone(), *status));
                let kept = *status == Status::Completed && keepsakes.contains(kind);
                let keep = own.or(Some(keep).filter(|_| !kept)).filter(|keep| !keep.is_zero());
                terms.extend(keep.map(|keep| Term { kind: kind.clone(), status: *status, keep: *keep }));
            }
        }
        Self { terms, events: Some(settings.keep_events).filter(|keep| !keep.is_zero()) }
    }

    /// The terms, by kind.
    pub fn terms(&self) -> impl Iterator<Item = &Term> {
        self.terms.iter()
    }

    /// How long events of tasks that are gone are kept; `None` is for ever.
    #[must_use]
    pub fn events(&self) -> Option<Duration> {
        self.events
    }
}
