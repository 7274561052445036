//! `[blobs]`: where bytes are kept that do not belong into a row. Consumed by the blob store and its sweeper.

use std::path::PathBuf;
use std::time::Duration;

use url::Url;

use super::rule::{blob_url, optional_file, optional_web_url, seconds, text};
use super::secret::{SecretText, optional_secret};
use super::section::{Literal, derived, section};
use super::value::BlobUrl;

section! {
    /// The store of uploads and results.
    BlobSettings = "blobs" {
        /// Where it is: a local folder, or a bucket of a store that speaks S3. A folder must be on one file system,
        /// since a blob is put in place by renaming. Nodes that share a database share the folder or the bucket.
        "url" => url: BlobUrl = derived(
            "blobs in data_dir",
            |base| Literal::Text(format!("file:{}", base.in_data_dir("blobs")))
        ), blob_url();

        /// How old a blob that no row names must be before it is swept, in seconds. It must exceed the
        /// longest time between writing a blob and committing the row that names it; a longer grace costs
        /// disk space. At least 3600 with a bucket.
        "sweep_grace_s" => sweep_grace: Duration = 3600, seconds(60.0..=2_592_000.0);

        /// Where the store of the bucket is, as `http://minio:9000`; buckets are then named in the path. Empty: AWS.
        /// With `http`, what goes over the network can be read there.
        "s3_endpoint" => s3_endpoint: Option<Url> = "", optional_web_url();

        /// The region of the bucket.
        "s3_region" => s3_region: String = "us-east-1", text(1..=64);

        /// The name of the key. It must be allowed to write, read and remove objects below the prefix, and to list
        /// the bucket.
        "s3_access_key" => s3_access_key: String = "", text(0..=256);

        /// The secret of the key. It is never printed; to keep it out of files, set the environment variable or
        /// `s3_secret_key_file`.
        "s3_secret_key" => s3_secret_key: Option<SecretText> = "", optional_secret(256);

        /// A file that holds the secret; a line break at its end is not part of it.
        "s3_secret_key_file" => s3_secret_key_file: Option<PathBuf> = "", optional_file();

        /// A file of certificates (PEM) that `https` trusts besides those of the system.
        "s3_ca_file" => s3_ca_file: Option<PathBuf> = "", optional_file();

        /// How long one request to the store may take, in seconds, and one more for every 256 KiB that it carries. What
        /// fails is tried again up to five times; after at most four times this long the caller gets an error.
        "s3_timeout_s" => s3_timeout: Duration = 15, seconds(0.1..=300.0);

        check consistent;
    }
}

/// The age of an object counts from the beginning of its upload, which may take half an hour, and clocks may differ by
/// a quarter.
const LEAST_GRACE: Duration = Duration::from_secs(3600);

fn consistent(settings: &BlobSettings) -> Vec<(&'static str, String)> {
    let mut wrong = Vec::new();
    let mut refuse = |key, reason: &str| wrong.push((key, reason.to_owned()));
    let secret = settings.s3_secret_key.is_some();
    if secret && settings.s3_secret_key_file.is_some() {
        refuse("s3_secret_key_file", "gives a secret, and blobs.s3_secret_key has one too: keep one");
    }
    match &settings.url {
        BlobUrl::File { .. } => {
            let set = [
                ("s3_endpoint", settings.s3_endpoint.is_some()),
                ("s3_access_key", !settings.s3_access_key.is_empty()),
                ("s3_secret_key", secret),
            ];
            for (key, _) in set.into_iter().filter(|(_, set)| *set) {
                refuse(
                    key,
                    "is set, but blobs.url names a folder: give it a bucket (s3://<bucket>), or take this out",
                );
            }
        }
        BlobUrl::Bucket { .. } => {
            if settings.s3_access_key.is_empty() {
                refuse(
                    "s3_access_key",
                    "is empty, but blobs.url names a bucket: give the name of a key to it",
                );
            }
            if !secret && settings.s3_secret_key_file.is_none() {
                refuse(
                    "s3_secret_key",
                    "is empty, but blobs.url names a bucket: give the secret of the key, or blobs.s3_secret_key_file",
                );
            }
            if settings.sweep_grace < LEAST_GRACE {
                refuse("sweep_grace_s", "is less than 3600, the least with a bucket");
            }
        }
    }
    wrong
}
