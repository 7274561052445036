//! `[backup]`: where backups go, how often, and how many stay. Consumed by the backups, the janitor and `gristmill backup`.

use std::path::PathBuf;
use std::time::Duration;

use url::Url;

use super::blobs::BlobSettings;
use super::rule::{Choice, blob_url, choice, optional_file, optional_web_url, text, whole};
use super::secret::{SecretText, optional_secret};
use super::section::{Literal, derived, section};
use super::value::BlobUrl;

/// What a backup does with blobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BlobCare {
    /// It has a copy of each.
    Copy,
    /// It has a list, and looks whether each is there.
    Reference,
}

impl BlobCare {
    /// The word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Copy => "copy",
            Self::Reference => "reference",
        }
    }
}

impl Choice for BlobCare {
    const ALL: &'static [(&'static str, Self)] = &[("copy", Self::Copy), ("reference", Self::Reference)];
}

section! {
    /// Backups of the database and the blobs. `docs/backups.md` says what is in one, and how to restore it.
    BackupSettings = "backup" {
        /// Where backups go: a local folder, or a bucket of a store that speaks S3, as `s3://<bucket>/<prefix>`. A folder
        /// on the disk of the data protects from mistakes, not from the loss of the disk. Nodes that share a database
        /// must find the same place under this name. One place is for one installation.
        "to" => to: BlobUrl = derived(
            "backups in data_dir",
            |base| Literal::Text(format!("file:{}", base.in_data_dir("backups")))
        ), blob_url();

        /// How often the daemon makes a backup by itself, in hours; 0 for never. One node does it for all.
        "every_h" => every_h: u32 = 0, whole(0..=8760);

        /// The hour of the day, in UTC, from which `every_h` is counted: every 24 hours is daily at this hour.
        "at_h" => at_h: u32 = 3, whole(0..=23);

        /// How many backups stay: after each new one the oldest beyond this number are removed.
        "keep" => keep: u32 = 7, whole(1..=100_000);

        /// Whether backups have a copy of each blob (each lies there once, for all backups together), or refer to the blobs
        /// where they are: then a blob that is swept or lost there is lost, and only the rows come back. For a bucket that
        /// keeps versions by itself.
        "blobs" => blobs: BlobCare = "copy", choice();

        /// Where the store of the bucket of `to` is. With an empty `s3_access_key` all of these are those of `[blobs]`.
        "s3_endpoint" => s3_endpoint: Option<Url> = "", optional_web_url();

        /// The region of that bucket.
        "s3_region" => s3_region: String = "us-east-1", text(1..=64);

        /// The name of the key. A key that the blobs do not use keeps backups from whoever gets at the blobs' key.
        "s3_access_key" => s3_access_key: String = "", text(0..=256);

        /// The secret of the key. It is never printed; to keep it out of files, set the environment variable or
        /// `s3_secret_key_file`.
        "s3_secret_key" => s3_secret_key: Option<SecretText> = "", optional_secret(256);

        /// A file that holds the secret; a line break at its end is not part of it.
        "s3_secret_key_file" => s3_secret_key_file: Option<PathBuf> = "", optional_file();

        check consistent;
    }
}

fn consistent(settings: &BackupSettings) -> Vec<(&'static str, String)> {
    let secrets =
        usize::from(settings.s3_secret_key.is_some()) + usize::from(settings.s3_secret_key_file.is_some());
    match (settings.s3_access_key.is_empty(), secrets) {
        (true, 0) | (false, 1) => Vec::new(),
        (false, 0) => {
            vec![("s3_secret_key", "is empty, but backup.s3_access_key is set: give its secret".to_owned())]
        }
        (true, _) => {
            vec![("s3_access_key", "is empty, but a secret is given: name the key that it is of".to_owned())]
        }
        (false, _) => {
            vec![("s3_secret_key_file", "gives a secret, and backup.s3_secret_key has one too".to_owned())]
        }
    }
}

impl BackupSettings {
    /// How often the daemon makes a backup; `None` for never.
    #[must_use]
    pub fn every(&self) -> Option<Duration> {
        Some(Duration::from_secs(u64::from(self.every_h) * 3600)).filter(|every| !every.is_zero())
    }

    /// How the place at `url` is reached. `blobs` are the settings of the blobs, whose key is used where there is none of the
    /// backups' own.
    #[must_use]
    pub fn place(&self, url: BlobUrl, blobs: &BlobSettings) -> BlobSettings {
        if self.s3_access_key.is_empty() {
            return BlobSettings { url, ..blobs.clone() };
        }
        BlobSettings {
            url,
            s3_endpoint: self.s3_endpoint.clone(),
            s3_region: self.s3_region.clone(),
            s3_access_key: self.s3_access_key.clone(),
            s3_secret_key: self.s3_secret_key.clone(),
            s3_secret_key_file: self.s3_secret_key_file.clone(),
            ..blobs.clone()
        }
    }
}
