//! What is kept for how long, by kind and by how a task ended: the settings as one table.
//!
//! Made once at the start. True here: what users keep under a link of its own (an image, a recording, a report) is its task's,
//! so a task that completed one is only removed where the settings name its kind.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::config::TaskSettings;
use crate::kinds::{image, report, transcode};
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
    /// As the settings say, for these kinds and those that the settings name. Tasks of any other are left alone.
    #[must_use]
    pub fn of<'a>(settings: &'a TaskSettings, kinds: impl IntoIterator<Item = &'a Kind>) -> Self {
        let named = settings.keep_kinds.keys().map(|(kind, _)| kind);
        let all: BTreeSet<&Kind> = kinds.into_iter().chain(named).collect();
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Keep;

    fn settings(completed: u64, failed: u64, keep: Keep) -> TaskSettings {
        let options = crate::config::LoadOptions {
            files: Vec::new(),
            directory: "/nonexistent".into(),
            env: BTreeMap::new(),
        };
        let tasks = crate::config::Settings::load(options).unwrap().settings.tasks;
        let (completed, failed) = (Duration::from_secs(completed), Duration::from_secs(failed));
        TaskSettings { keep_completed: completed, keep_failed: failed, keep_kinds: keep, ..tasks }
    }

    fn terms(settings: &TaskSettings) -> Vec<(String, Status, u64)> {
        let kinds: Vec<Kind> = ["noop", "image", "resize"].map(|name| name.parse().unwrap()).into();
        let retention = Retention::of(settings, &kinds);
        retention.terms().map(|term| (term.kind.to_string(), term.status, term.keep.as_secs())).collect()
    }

    #[test]
    fn without_settings_everything_is_kept() {
        assert_eq!(terms(&settings(0, 0, Keep::new())), []);
    }

    #[test]
    fn what_users_keep_goes_only_where_its_kind_is_named() {
        let line = |kind: &str, status, keep| (kind.to_owned(), status, keep);
        let general = terms(&settings(60, 70, Keep::new()));
        assert_eq!(
            general,
            [
                line("image", Status::Failed, 70),
                line("noop", Status::Completed, 60),
                line("noop", Status::Failed, 70),
                line("resize", Status::Completed, 60),
                line("resize", Status::Failed, 70),
            ]
        );
        let own = |kind: &str, status, keep| ((kind.parse().unwrap(), status), Duration::from_secs(keep));
        let keep = Keep::from([
            own("image", Status::Completed, 5),
            own("resize", Status::Completed, 0),
            own("other", Status::Cancelled, 6),
        ]);
        let own = terms(&settings(60, 0, keep));
        assert_eq!(
            own,
            [
                line("image", Status::Completed, 5),
                line("noop", Status::Completed, 60),
                line("other", Status::Completed, 60),
                line("other", Status::Cancelled, 6),
            ]
        );
    }
}
