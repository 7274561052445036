//! Bodies on their way to the disk, and what blocks in general: never on a thread that serves requests.
//!
//! Called by whatever takes large bodies (`upload`, `image_form`, `extract`) or reads files.

use std::io::{self, Read as _};

use actix_web::web::{self, Bytes};

use super::Problem;
use crate::blob::{BlobError, Draft};

/// Appends to the draft, on a blocking thread.
pub(super) async fn appended(mut draft: Draft, bytes: Bytes) -> Result<Draft, Problem> {
    let draft = blocking(move || {
        draft.append(&bytes)?;
        Ok::<_, BlobError>(draft)
    })
    .await??;
    Ok(draft)
}

/// All bytes of a draft; blocks.
pub(super) fn whole(draft: &Draft) -> Result<Vec<u8>, Problem> {
    let mut bytes = Vec::with_capacity(usize::try_from(draft.len()).unwrap_or(0));
    let read = draft.reader()?.read_to_end(&mut bytes);
    read.map_err(|error| Problem::internal(format!("a draft cannot be read: {error}")))?;
    Ok(bytes)
}

/// Why a draft could not be written.
pub(super) fn not_written(source: io::Error) -> BlobError {
    let path = "a draft".to_owned();
    if matches!(source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) {
        BlobError::Full { path }
    } else {
        BlobError::Io { doing: "cannot write", path, source }
    }
}

/// Runs what blocks where that hurts nobody.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Problem> {
    web::block(work)
        .await
        .map_err(|error| Problem::internal(format!("a blocking thread ended early: {error}")))
}
