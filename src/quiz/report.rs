//! What a round tells of its sources.
//!
//! Made by `round.rs`; goes into the result of the task, or into the story of its failure.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::task::QuestionSource;

/// What one source did in a round.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceReport {
    /// Which.
    pub source: QuestionSource,
    /// Requests that the round made to it.
    pub requests: u32,
    /// Questions that it gave to the round, those that others had fetched included.
    pub drawn: u32,
    /// How many of them were new.
    pub new: u32,
    /// How many of them were known.
    pub known: u32,
    /// Items that were no use, by reason, of the requests that the round made itself.
    pub rejected: BTreeMap<String, u32>,
    /// What last went wrong with it, or why it was asked no more.
    pub trouble: Option<String>,
}

impl fmt::Display for SourceReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { source, requests, drawn, new, known, .. } = self;
        write!(f, "{source}: ")?;
        if let Some(trouble) = &self.trouble {
            write!(f, "it {trouble}; ")?;
        }
        write!(f, "{requests} requests, {drawn} questions, {new} of them new and {known} known")?;
        let rejected: Vec<String> =
            self.rejected.iter().map(|(reason, count)| format!("{count} {reason}")).collect();
        if !rejected.is_empty() {
            write!(f, ", rejected {}", rejected.join(", "))?;
        }
        Ok(())
    }
}

/// No source gives any more to the round.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{story}")]
pub struct Ended {
    /// Whether it was for want of time: a source that gave no answer in time, or the time of the round was over.
    pub late: bool,
    /// What each source did, and why it gives no more.
    pub story: String,
}
