//! Why bytes could not be written or read.
//!
//! Made by all of this room; shown to callers by the rooms that serve them. True here: a message says what was being
//! done, to what, and why it failed; none holds a key.

use std::io;
use std::path::Path;

use crate::task::BlobName;

/// Why the bytes could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum BlobError {
    /// No such blob.
    #[error("there is no blob {0}")]
    Missing(BlobName),
    /// No room.
    #[error("the disk that holds {path} is full: make room, then try again")]
    Full {
        /// Which file.
        path: String,
    },
    /// The bucket cannot be reached, refuses, or did not do in time what it was asked. What was being kept is not
    /// kept; to be tried again.
    #[error("{doing} {what}: {reason}")]
    Unavailable {
        /// What was being done.
        doing: &'static str,
        /// To what.
        what: String,
        /// What the store or the network said.
        reason: String,
    },
    /// The settings of the bucket cannot be used: the daemon does not start.
    #[error("{key}: {reason}")]
    Settings {
        /// Which key.
        key: &'static str,
        /// Why, and what to do.
        reason: String,
    },
    /// Anything else.
    #[error("{doing} {path}: {source}")]
    Io {
        /// What was being done.
        doing: &'static str,
        /// To which file.
        path: String,
        /// The system's word.
        source: io::Error,
    },
}

impl BlobError {
    pub(super) fn of<'a>(doing: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> Self + 'a {
        move |source| {
            let path = path.display().to_string();
            if matches!(source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) {
                Self::Full { path }
            } else {
                Self::Io { doing, path, source }
            }
        }
    }
}
