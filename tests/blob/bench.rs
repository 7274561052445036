//! A store of a test's own, and hands to use it with.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{Read, Write};
use std::time::Duration;

use gristmill::blob::{BlobError, Blobs, Draft};
use gristmill::clock::Clock;
use gristmill::config::{LoadOptions, Settings};
use gristmill::task::BlobName;
use tempfile::TempDir;

use crate::bucket::{Store, make_old};

/// How long an attempt may take where the store fails, in seconds.
pub(crate) const TIMEOUT_S: f64 = 0.5;

/// The same where it does not: also a busy machine answers within it.
const UNHURRIED_S: f64 = 30.0;

/// No call may take longer: four times as long, and something for a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(8);

pub(crate) struct Bench {
    folder: TempDir,
    /// The bucket, when it is one.
    pub(crate) store: Option<Store>,
    pub(crate) blobs: Blobs,
    timeout_s: f64,
}

impl Bench {
    pub(crate) fn folder() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let blobs = Blobs::open(&folder.path().join("blobs"), "seat").unwrap();
        Self { folder, store: None, blobs, timeout_s: UNHURRIED_S }
    }

    pub(crate) fn bucket() -> Self {
        Self::bucket_within(UNHURRIED_S)
    }

    /// A bucket whose users do not wait long.
    pub(crate) fn hasty_bucket() -> Self {
        Self::bucket_within(TIMEOUT_S)
    }

    fn bucket_within(timeout_s: f64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::start();
        let blobs = open(&folder, &store.settings(timeout_s), "seat").unwrap();
        Self { folder, store: Some(store), blobs, timeout_s }
    }

    pub(crate) fn store(&self) -> &Store {
        self.store.as_ref().unwrap()
    }

    /// The same store, opened once more: by another node, or by the same after its death.
    pub(crate) fn open(&self, seat: &str) -> Blobs {
        match &self.store {
            None => Blobs::open(&self.folder.path().join("blobs"), seat).unwrap(),
            Some(store) => self.with(&store.settings(self.timeout_s), seat).unwrap(),
        }
    }

    /// A bucket with other settings.
    pub(crate) fn with(&self, settings: &[(&str, String)], seat: &str) -> Result<Blobs, BlobError> {
        open(&self.folder, settings, seat)
    }

    pub(crate) fn draft_folder(&self) -> std::path::PathBuf {
        let name = if self.store.is_some() { "data/drafts" } else { "blobs/tmp" };
        self.folder.path().join(name)
    }

    /// Makes all blobs two days old.
    pub(crate) fn age(&self) {
        match &self.store {
            Some(store) => store.age(),
            None => {
                for folder in std::fs::read_dir(self.folder.path().join("blobs")).unwrap() {
                    let folder = folder.unwrap();
                    if folder.file_name().len() == 2 {
                        std::fs::read_dir(folder.path())
                            .unwrap()
                            .for_each(|file| make_old(&file.unwrap().path()));
                    }
                }
            }
        }
    }

    /// Puts something there that is no blob.
    pub(crate) fn put_foreign(&self, key: &str) -> std::path::PathBuf {
        let path = match &self.store {
            Some(store) => store.place(key),
            None => self.folder.path().join("blobs").join(key),
        };
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, "somebody else's").unwrap();
        make_old(&path);
        path
    }
}

fn open(folder: &TempDir, settings: &[(&str, String)], seat: &str) -> Result<Blobs, BlobError> {
    let env: BTreeMap<OsString, OsString> =
        settings.iter().map(|(key, value)| (format!("GRISTMILL__{key}").into(), value.into())).collect();
    let options = LoadOptions { files: Vec::new(), directory: "no such folder".into(), env };
    let settings = Settings::load(options).unwrap_or_else(|error| panic!("{error}")).settings;
    Blobs::configured(&settings.blobs, &folder.path().join("data"), seat, Clock::system())
}

pub(crate) fn draft_of(blobs: &Blobs, bytes: &[u8]) -> Draft {
    let mut draft = blobs.draft().unwrap();
    draft.write_all(bytes).unwrap();
    draft
}

/// Keeps bytes, and lets them go.
pub(crate) fn keep(blobs: &Blobs, bytes: &[u8]) -> BlobName {
    blobs.keep(draft_of(blobs, bytes)).unwrap().name.clone()
}

pub(crate) fn content(blobs: &Blobs, name: &BlobName) -> Vec<u8> {
    let mut bytes = Vec::new();
    blobs.read(name).unwrap().read_to_end(&mut bytes).unwrap();
    bytes
}

/// So many bytes in which no two places look alike.
pub(crate) fn noise(bytes: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut noise = Vec::with_capacity(bytes + 8);
    while noise.len() < bytes {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        noise.extend_from_slice(&state.to_le_bytes());
    }
    noise.truncate(bytes);
    noise
}
