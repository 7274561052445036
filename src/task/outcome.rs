//! What a run may say of itself.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Attachment;

/// A JSON text that was checked once, at the edge, and is carried as it is. Cheap to clone.
#[derive(Clone, PartialEq, Eq)]
pub struct Json(Arc<str>);

impl Json {
    /// The JSON `null`.
    #[must_use]
    pub fn null() -> Self {
        Self("null".into())
    }

    /// `text`, which the caller knows to be JSON: a raw value from serde, or a column that only we write.
    #[must_use]
    pub fn trusted(text: &str) -> Self {
        Self(text.into())
    }

    /// `value` as JSON.
    ///
    /// # Errors
    /// When the value cannot be written as JSON (a map whose keys are no strings).
    pub fn of<T: Serialize>(value: &T) -> Result<Self, serde_json::Error> {
        Ok(Self(serde_json::to_string(value)?.into()))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is the JSON `null`.
    #[must_use]
    pub fn is_null(&self) -> bool {
        &*self.0 == "null"
    }
}

impl fmt::Debug for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How far a run has come: 0 to 100.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Percent(u8);

impl Percent {
    /// `value`, cut to 100.
    #[must_use]
    pub fn new(value: u8) -> Self {
        Self(value.min(100))
    }

    /// The number.
    #[must_use]
    pub fn get(self) -> u8 {
        self.0
    }
}

/// Why a try failed, as a word that programs can rely on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureReason {
    /// The kind's own work went wrong; another try may go better.
    Error,
    /// The input can never succeed; no other try is made.
    InvalidInput,
    /// Somebody outside who was asked did not help; another try may go better.
    Upstream,
    /// Somebody outside who was asked did not answer in time; another try may go better.
    UpstreamTimeout,
    /// The run went on past its deadline and was stopped.
    Timeout,
    /// The run panicked.
    Panic,
    /// It was not started before it was too late to.
    Expired,
    /// The task took its worker down with it [`super::POISON_CRASHES`] times.
    Poison,
}

impl FailureReason {
    /// Every reason.
    pub const ALL: [Self; 8] = [
        Self::Error,
        Self::InvalidInput,
        Self::Upstream,
        Self::UpstreamTimeout,
        Self::Timeout,
        Self::Panic,
        Self::Expired,
        Self::Poison,
    ];

    /// The word on the wire and in the database.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::InvalidInput => "invalid_input",
            Self::Upstream => "upstream",
            Self::UpstreamTimeout => "upstream_timeout",
            Self::Timeout => "timeout",
            Self::Panic => "panic",
            Self::Expired => "expired",
            Self::Poison => "poison",
        }
    }

    /// Whether a further try is worth making.
    #[must_use]
    pub fn may_retry(self) -> bool {
        match self {
            Self::Error | Self::Upstream | Self::UpstreamTimeout | Self::Timeout | Self::Panic => true,
            Self::InvalidInput | Self::Expired | Self::Poison => false,
        }
    }
}

/// A failed try: the word and the story.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// The word.
    pub reason: FailureReason,
    /// What failed, for which input, and what to do, for a person.
    pub message: String,
}

impl Failure {
    /// A failure with its story, which is cut at 2,000 characters so that a row stays a row.
    #[must_use]
    pub fn new(reason: FailureReason, message: impl Into<String>) -> Self {
        let mut message = message.into();
        if let Some((end, _)) = message.char_indices().nth(2_000) {
            message.truncate(end);
        }
        Self { reason, message }
    }
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// The work is done; `result` is the kind's answer.
    Completed {
        /// JSON of the kind's own shape.
        result: Json,
        /// The blob that holds what was made; from now on the task owns it.
        output: Option<Attachment>,
        /// Whether the task gives up its input blob.
        drop_input: bool,
    },
    /// The try failed.
    Failed(Failure),
    /// It was given back undone, for reasons that are not the task's (a drain). Costs no try.
    Interrupted,
}
