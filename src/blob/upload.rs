//! A draft on its way into the bucket: in one request, or in parts.
//!
//! Called by `bucket.rs`. True here: the object appears whole or not at all; no more than a few parts are in memory,
//! however many uploads there are; every part and every whole carries the SHA-256 of its bytes, which the store
//! compares; an upload ends in time or is given up.

use std::io::{self, Read as _};
use std::time::Duration;

use bytes::Bytes;
use object_store::aws::AmazonS3;
use object_store::path::Path;
use object_store::{MultipartUpload, ObjectStoreExt as _, PutPayload};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout, timeout_at};

use super::bucket::told;
use super::draft::Draft;

/// What is larger goes in parts of this size, or of a larger one where there would be too many.
const PART: u64 = 8 << 20;

/// As many parts as S3 takes.
const PARTS: u64 = 10_000;

/// So many parts are in memory at once.
const AT_ONCE: usize = 8;

/// The longest upload, in parts or not. The age of an object counts from the beginning of its upload, so this must be
/// well below the least grace that settings may give a bucket.
const LONGEST: Duration = Duration::from_secs(1800);

/// Uploads, as many as ask, a few parts at a time.
#[derive(Debug)]
pub(super) struct Upload {
    parts: Semaphore,
    /// How long a small request may take, all attempts together.
    patience: Duration,
}

impl Upload {
    pub(super) fn new(patience: Duration) -> Self {
        Self { parts: Semaphore::new(AT_ONCE), patience }
    }

    /// Uploads the draft. To be awaited where reading a file may block. The error is what happened, in words.
    pub(super) async fn run(&self, store: &AmazonS3, place: &Path, draft: &Draft) -> Result<(), String> {
        let deadline = Instant::now() + LONGEST;
        let late = |_| format!("it took longer than {LONGEST:?}");
        if draft.len() <= PART {
            return timeout_at(deadline, self.whole(store, place, draft)).await.map_err(late)?;
        }
        let begun = timeout(self.patience, store.put_multipart(place)).await;
        let begun = begun.map_err(|_| format!("no answer in {:?}", self.patience))?;
        let mut upload = begun.map_err(|error| told(&error))?;
        let done =
            timeout_at(deadline, self.in_parts(store, place, upload.as_mut(), draft)).await.map_err(late);
        let Err(reason) = done.and_then(|done| done) else { return Ok(()) };
        // Parts that stay are paid for and cannot be seen.
        match timeout(self.patience, upload.abort()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::warn!(%place, error = told(&error), "parts of an upload were left behind")
            }
            Err(_) => tracing::warn!(%place, "parts of an upload may have been left behind: no answer"),
        }
        Err(reason)
    }

    async fn whole(&self, store: &AmazonS3, place: &Path, draft: &Draft) -> Result<(), String> {
        let Ok(_room) = self.parts.acquire().await else { unreachable!("nobody closes the semaphore") };
        let mut file = open(draft)?;
        let bytes = piece(&mut file, draft.len()).map_err(|error| unreadable(&error))?;
        store.put(place, PutPayload::from_bytes(bytes)).await.map_err(|error| told(&error))?;
        Ok(())
    }

    async fn in_parts(
        &self,
        store: &AmazonS3,
        place: &Path,
        upload: &mut dyn MultipartUpload,
        draft: &Draft,
    ) -> Result<(), String> {
        let mut file = open(draft)?;
        let (mut left, size) = (draft.len(), part_size(draft.len()));
        while left > 0 {
            let Ok(_room) = self.parts.acquire().await else { unreachable!("nobody closes the semaphore") };
            let bytes = piece(&mut file, left.min(size)).map_err(|error| unreadable(&error))?;
            left -= bytes.len() as u64;
            upload.put_part(PutPayload::from_bytes(bytes)).await.map_err(|error| told(&error))?;
        }
        let Err(error) = upload.complete().await else { return Ok(()) };
        // The answer may have been lost; then asking again is answered with an error, and the object is there. Whoever
        // writes this key writes these bytes.
        match store.head(place).await {
            Ok(object) if object.size == draft.len() => Ok(()),
            Ok(_) | Err(_) => Err(told(&error)),
        }
    }
}

/// In whole MiB.
fn part_size(bytes: u64) -> u64 {
    PART.max(bytes.div_ceil(PARTS).next_multiple_of(1 << 20))
}

fn open(draft: &Draft) -> Result<std::fs::File, String> {
    draft.reader().map_err(|error| error.to_string())
}

fn unreadable(error: &io::Error) -> String {
    format!("the draft cannot be read: {error}")
}

fn piece(file: &mut std::fs::File, bytes: u64) -> io::Result<Bytes> {
    let mut piece = Vec::with_capacity(usize::try_from(bytes).unwrap_or(usize::MAX));
    file.take(bytes).read_to_end(&mut piece)?;
    if (piece.len() as u64) < bytes {
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "it became shorter"));
    }
    Ok(Bytes::from(piece))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_few_enough_for_any_size() {
        for (bytes, size) in [
            (PART + 1, PART),
            (PART * PARTS, PART),
            (PART * PARTS + 1, PART + (1 << 20)),
            (5 << 40, 525 << 20),
        ] {
            assert_eq!(part_size(bytes), size, "{bytes}");
            assert!(bytes.div_ceil(size) <= PARTS, "{bytes}");
        }
    }
}
