//! Which blobs were copied to the place before.
//!
//! Asked by `make.rs` for each blob that a row names. True here: memory holds a 256th part of the names at a time.

use std::collections::HashMap;

use super::error::BackupError;
use super::name::{BLOBS, blob_of};
use crate::blob::Shelf;
use crate::task::BlobName;

/// What lies in the place, of the blobs that begin with the same two digits: they come in order.
#[derive(Default)]
pub(super) struct Present {
    first: String,
    sizes: HashMap<BlobName, u64>,
}

impl Present {
    /// The size of a blob's copy; `None` where there is none.
    pub(super) fn of(&mut self, shelf: &Shelf, blob: &BlobName) -> Result<Option<u64>, BackupError> {
        let (first, _) = blob.as_str().split_at(2);
        if first != self.first {
            let there = shelf.list(&format!("{BLOBS}/{first}"))?;
            self.sizes =
                there.into_iter().filter_map(|item| Some((blob_of(&item.name)?, item.bytes))).collect();
            first.clone_into(&mut self.first);
        }
        Ok(self.sizes.get(blob).copied())
    }
}
