//! What callers ask for, and why it may be refused: the words of the door.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::QueueFull;
use crate::account::UserError;
use crate::blob::BlobError;
use crate::imaging::ImagingError;
use crate::media::image::ImageError;
use crate::store::{Quota, Refused, ReplyTo, Usage, UserRefused, WriteError};
use crate::task::{Json, Kind, Priority, TaskId, Timestamp};
use crate::telemetry::space::Scarce;

/// A task as a caller asks for it, every field checked by itself; what fits together is checked here.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Submission {
    /// What to do; `None` makes a `noop`.
    pub kind: Option<Kind>,
    /// Its input; `None` is `null`.
    pub payload: Option<Json>,
    /// How urgent.
    pub priority: Priority,
    /// The earliest start; `None` is at once.
    pub run_at: Option<Timestamp>,
    /// Tries allowed; `None` is the configured number.
    pub max_attempts: Option<u32>,
    /// How long one run may take; `None` is the configured time.
    pub timeout: Option<Duration>,
    /// Words to find it by.
    pub tags: Vec<String>,
    /// While a task with this key lives, no other is made: the living one is the answer.
    pub unique_key: Option<String>,
    /// Where to tell of its events.
    pub callback_url: Option<String>,
    /// Without a start for so long, it is too late to start it.
    pub expires_in: Option<Duration>,
    /// Where on the broker to tell how it ended.
    pub reply_to: Option<ReplyTo>,
    /// A picture that belongs to it, as it came.
    pub image: Option<Bytes>,
}

/// Why something was not accepted.
#[derive(Debug, Clone, thiserror::Error)]
pub enum IntakeError {
    /// The caller must say who they are.
    #[error("callers without an identity may not do this here: send `Authorization: Bearer <token>`")]
    Anonymous,
    /// No such kind.
    #[error("there is no kind `{kind}`; there are: {known}")]
    UnknownKind {
        /// Which of the submissions, from 0.
        index: usize,
        /// What was asked for.
        kind: Kind,
        /// What there is.
        known: String,
    },
    /// The kind has a door of its own.
    #[error("tasks of kind `{kind}` are not created directly: {instead}")]
    NotDirect {
        /// Which of the submissions, from 0.
        index: usize,
        /// What was asked for.
        kind: Kind,
        /// What to do.
        instead: &'static str,
    },
    /// Workers outside do not take that kind.
    #[error("workers outside do not take tasks of kind `{kind}`; they take: {}", names(claimable))]
    NotClaimable {
        /// Which of the kinds asked for, from 0.
        index: usize,
        /// What was asked for.
        kind: Kind,
        /// What may be asked for.
        claimable: Vec<Kind>,
    },
    /// The payload is not one of that kind.
    #[error("the payload does not fit kind `{kind}`: {problem}")]
    Payload {
        /// Which of the submissions, from 0.
        index: usize,
        /// Of which kind.
        kind: Kind,
        /// What is wrong with it.
        problem: String,
    },
    /// Nobody may be told there.
    #[error("{problem}")]
    Callback {
        /// Which of the submissions, from 0.
        index: usize,
        /// What is wrong with the address.
        problem: String,
    },
    /// The picture is none that can be taken.
    #[error("the image cannot be taken: {error}")]
    Image {
        /// Which of the submissions, from 0.
        index: usize,
        /// What is wrong with it, or why it could not be looked at.
        error: ImagingError,
    },
    /// Only those who run the daemon do that.
    #[error("only admins do that")]
    AdminsOnly,
    /// An image that nobody owns goes by its own route.
    #[error(
        "task {0} makes an image that nobody owns: whoever sent it removes it with DELETE /images/<name> and its \
         `delete_token`"
    )]
    WantsToken(TaskId),
    /// The picture could not be kept.
    #[error(transparent)]
    Blob(Arc<BlobError>),
    /// The key was used for another request.
    #[error("this key was used for another request before: take a new key for a new request")]
    KeyReused,
    /// There is a user with that e-mail.
    #[error("a user with this e-mail exists already")]
    EmailTaken,
    /// The user cannot be made.
    #[error(transparent)]
    User(#[from] UserError),
    /// The user cannot be changed like that.
    #[error(transparent)]
    UserRefused(#[from] UserRefused),
    /// With this their owner would have more here than they may.
    #[error(
        "there is no room for this: of {} there are {} images with {} bytes already; delete some first",
        allowed(.0), .1.images, .1.bytes
    )]
    OverQuota(Quota, Usage),
    /// A disk is nearly full.
    #[error(transparent)]
    Scarce(Scarce),
    /// As many tasks wait as may.
    #[error(transparent)]
    QueueFull(QueueFull),
    /// The task cannot be changed like that.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// It could not be written.
    #[error(transparent)]
    Write(#[from] WriteError),
}

impl IntakeError {
    /// Whether the same may be accepted later, since nothing is wrong with what was asked: what comes over the broker then
    /// waits, and is not put aside.
    #[must_use]
    pub fn passes(&self) -> bool {
        match self {
            Self::Write(WriteError::Store(error)) => !error.is_refusal(),
            Self::Write(WriteError::Full | WriteError::Interrupted) | Self::Blob(_) => true,
            Self::Scarce(_) | Self::QueueFull(_) => true,
            Self::Image { error, .. } => match error {
                ImagingError::Overloaded | ImagingError::Source(_) | ImagingError::Stopping => true,
                ImagingError::Image(ImageError::Unavailable(_) | ImageError::Cancelled) => true,
                ImagingError::Image(
                    ImageError::Unsupported { .. } | ImageError::TooLarge { .. } | ImageError::Damaged(_),
                ) => false,
            },
            Self::Anonymous
            | Self::UnknownKind { .. }
            | Self::NotDirect { .. }
            | Self::NotClaimable { .. }
            | Self::Payload { .. }
            | Self::Callback { .. }
            | Self::WantsToken(_)
            | Self::AdminsOnly
            | Self::KeyReused
            | Self::EmailTaken
            | Self::User(_)
            | Self::UserRefused(_)
            | Self::OverQuota(..)
            | Self::Refused(_) => false,
        }
    }
}

fn allowed(quota: &Quota) -> String {
    match (quota.images, quota.bytes) {
        (Some(images), Some(bytes)) => format!("{images} images and {bytes} bytes that you may have here"),
        (Some(images), None) => format!("{images} images that you may have here"),
        (None, Some(bytes)) => format!("{bytes} bytes that you may have here"),
        (None, None) => "what you may have here".to_owned(),
    }
}

fn names(kinds: &[Kind]) -> String {
    kinds.iter().map(Kind::as_str).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_with_us_passes_and_what_is_wrong_with_the_picture_does_not() {
        let image = |error| IntakeError::Image { index: 0, error };
        let full = BlobError::Full { path: "a draft".to_owned() };
        for error in [
            image(ImagingError::Overloaded),
            image(ImagingError::Stopping),
            image(ImageError::Cancelled.into()),
            IntakeError::Blob(Arc::new(full)),
            IntakeError::Write(WriteError::Full),
            IntakeError::Scarce(Scarce { disk: crate::telemetry::metrics::Disk::Database }),
            IntakeError::QueueFull(QueueFull { kind: None, waiting: 1, most: 1 }),
        ] {
            assert!(error.passes(), "{error}");
        }
        for error in [image(ImageError::Damaged("x".to_owned()).into()), IntakeError::Anonymous] {
            assert!(!error.passes(), "{error}");
        }
    }
}
