//! `[kinds]`: how many tasks of each kind run at once. Consumed by the registry and the dispatcher.

use std::num::NonZeroUsize;

use super::rule::{Raw, Refusal, Rule, cores_or};
use super::section::{Literal, section};
use crate::task::Kind;

section! {
    /// What this node does of each kind of task.
    KindSettings = "kinds" {
        /// Runs of `noop` at once. They do nothing but pass through, so many may.
        "noop.concurrency" => noop_concurrency: NonZeroUsize = 256, cores_or(65_536);

        /// Runs of `transcode` at once. Each keeps a core busy: more than there are cores make all of them
        /// slower.
        "transcode.concurrency" => transcode_concurrency: NonZeroUsize = 0, cores_or(1024);

        /// Runs of `image` at once. How much memory they take together, `images.memory` says.
        "image.concurrency" => image_concurrency: NonZeroUsize = 0, cores_or(1024);

        /// Runs of `quiz` at once. They wait for the sources of questions most of the time, and share their pace.
        "quiz.concurrency" => quiz_concurrency: NonZeroUsize = 16, cores_or(1024);

        /// Runs of `report` at once.
        "report.concurrency" => report_concurrency: NonZeroUsize = 0, cores_or(1024);

        /// Runs of `backup` at once. One has enough to do with the disk.
        "backup.concurrency" => backup_concurrency: NonZeroUsize = 1, cores_or(16);

        /// Kinds that programs outside do: the daemon accepts their tasks, keeps them, and hands them to whoever
        /// claims them. `manual`, which people do, is always there. Nodes that share a database must list the
        /// same.
        "outside" => outside: Vec<Kind> = "", kinds();
    }
}

/// Kinds, separated by commas; `""` for none. Text and not a list, so that a file and a variable write it the
/// same way.
fn kinds() -> Kinds {
    Kinds
}

struct Kinds;

impl Rule for Kinds {
    type Out = Vec<Kind>;

    fn parse(&self, raw: &Raw) -> Result<Vec<Kind>, Refusal> {
        let text = raw.text()?;
        if text.trim().is_empty() {
            return Ok(Vec::new());
        }
        let kind = |name: &str| match name.parse::<Kind>() {
            Ok(kind) if OURS.contains(&kind.as_str()) => {
                Err(format!("has {name:?}, which the daemon does itself"))
            }
            Ok(kind) => Ok(kind),
            Err(error) => Err(format!("has a word that is no kind: {error}")),
        };
        text.split(',').map(|name| kind(name.trim())).collect()
    }

    fn allowed(&self) -> String {
        "names of kinds separated by commas, as \"resize, ocr\", or \"\" for none".to_owned()
    }

    fn show(&self, value: &Vec<Kind>) -> Literal {
        Literal::Text(value.iter().map(Kind::as_str).collect::<Vec<_>>().join(", "))
    }
}

/// The kinds that have a setting here, since the daemon does them itself.
const OURS: [&str; 6] = ["noop", "transcode", "image", "quiz", "report", "backup"];

impl KindSettings {
    /// The kinds that the daemon does itself.
    pub fn own() -> impl Iterator<Item = &'static str> {
        OURS.into_iter()
    }

    /// How many tasks of this kind run at once, if the kind is one that this daemon runs itself.
    pub fn concurrency(&self, kind: &str) -> Option<NonZeroUsize> {
        match kind {
            "noop" => Some(self.noop_concurrency),
            "transcode" => Some(self.transcode_concurrency),
            "image" => Some(self.image_concurrency),
            "quiz" => Some(self.quiz_concurrency),
            "report" => Some(self.report_concurrency),
            "backup" => Some(self.backup_concurrency),
            _ => None,
        }
    }
}
