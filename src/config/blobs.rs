//! `[blobs]`: where bytes are kept that do not belong into a row. Consumed by the blob store and its sweeper.

use std::time::Duration;

use super::rule::{blob_url, seconds};
use super::section::{Literal, derived, section};
use super::value::BlobUrl;

section! {
    /// The store of uploads and results.
    BlobSettings = "blobs" {
        /// Where it is: a local folder. The folder must be on one file system, since a blob is put in place
        /// by renaming.
        "url" => url: BlobUrl = derived(
            "blobs in data_dir",
            |base| Literal::Text(format!("file:{}", base.in_data_dir("blobs")))
        ), blob_url();

        /// How old a blob that no row names must be before it is swept, in seconds. It must exceed the
        /// longest time between writing a blob and committing the row that names it; a longer grace costs
        /// disk space.
        "sweep_grace_s" => sweep_grace: Duration = 3600, seconds(60.0..=2_592_000.0);
    }
}
