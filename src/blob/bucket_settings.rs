//! From the settings of a bucket to a client of it.
//!
//! Called by `bucket.rs` at the start. True here: settings that cannot be used are told by their key, and no secret is
//! shown.

use std::fs;
use std::path::Path;
use std::time::Duration;

use object_store::aws::{AmazonS3, AmazonS3Builder, Checksum};
use object_store::{BackoffConfig, RetryConfig};

use super::BlobError;
use super::transport::Transport;
use crate::config::BlobSettings;

/// How often something is tried again.
const RETRIES: usize = 5;

/// The client, and the longest that a call of few bytes may take, all attempts together.
pub(super) fn store(settings: &BlobSettings, bucket: &str) -> Result<(AmazonS3, Duration), BlobError> {
    let limit = settings.s3_timeout;
    // One more attempt may begin just before the end of this, and last as long as any; then the pauses.
    let retry = RetryConfig {
        backoff: BackoffConfig {
            init_backoff: Duration::from_millis(100),
            max_backoff: limit.min(Duration::from_secs(5)),
            base: 2.,
        },
        max_retries: RETRIES,
        retry_timeout: limit * 2,
    };
    let plain = settings.s3_endpoint.as_ref().is_some_and(|endpoint| endpoint.scheme() == "http");
    let transport = Transport::new(limit, !plain, settings.s3_ca_file.as_deref())?;
    let mut builder = AmazonS3Builder::new()
        .with_bucket_name(bucket)
        .with_region(&settings.s3_region)
        .with_access_key_id(&settings.s3_access_key)
        .with_secret_access_key(secret(settings)?)
        // Besides the signature, which covers the bytes as well: the store keeps it, and compares what it stored.
        .with_checksum_algorithm(Checksum::SHA256)
        // Not all stores have the removal of many at once.
        .with_disable_bulk_delete(true)
        .with_retry(retry)
        .with_allow_http(plain)
        .with_http_connector(transport);
    builder = match &settings.s3_endpoint {
        // Few have a name for every bucket.
        Some(endpoint) => {
            let endpoint = endpoint.as_str().trim_end_matches('/');
            builder.with_endpoint(endpoint).with_virtual_hosted_style_request(false)
        }
        None => builder.with_virtual_hosted_style_request(true),
    };
    let unusable = |error| BlobError::Settings { key: "blobs.url", reason: super::bucket::told(&error) };
    Ok((builder.build().map_err(unusable)?, limit * 4))
}

fn secret(settings: &BlobSettings) -> Result<String, BlobError> {
    match (&settings.s3_secret_key, &settings.s3_secret_key_file) {
        (Some(secret), _) => Ok(secret.reveal().to_owned()),
        (None, Some(path)) => read_secret(path),
        // Those of the blobs were refused without one; a place for backups may have been named later.
        (None, None) => Err(BlobError::Settings {
            key: "backup.s3_access_key",
            reason: "is empty, and so is blobs.s3_access_key: a bucket needs a key and its secret".to_owned(),
        }),
    }
}

fn read_secret(path: &Path) -> Result<String, BlobError> {
    let unusable = |reason: String| BlobError::Settings {
        key: "blobs.s3_secret_key_file",
        reason: format!("{}: {reason}", path.display()),
    };
    let text = fs::read_to_string(path)
        .map_err(|error| unusable(format!("{error}: give a file that this user may read")))?;
    match text.trim_end_matches(['\r', '\n']) {
        "" => Err(unusable("is empty: write the key into it".to_owned())),
        secret => Ok(secret.to_owned()),
    }
}
