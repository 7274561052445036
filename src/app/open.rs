//! What the settings name, opened: database, blobs, images, backups.
//!
//! Used by the start of the daemon, and by the commands that work without one.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::StartError;
use crate::backup::{self, Backups};
use crate::blob::{BlobError, Blobs};
use crate::clock::Clock;
use crate::config::{BlobUrl, DatabaseUrl, Settings};
use crate::imaging::Imaging;
use crate::store::{
    Archive, PostgresArchive, PostgresOptions, PostgresStore, SqliteArchive, SqliteStore, Store, StoreError,
};
use crate::task::Kind;
use crate::telemetry::metrics;
use crate::telemetry::space::Space;

/// Opens the configured database, bringing its schema up to date. `outside` are the kinds that workers outside do.
///
/// # Errors
/// [`StoreError`].
pub async fn open_store(
    settings: &Settings,
    outside: &BTreeSet<Kind>,
    clock: Clock,
) -> Result<Arc<dyn Store>, StoreError> {
    let readers = settings.database.readers;
    Ok(match &settings.database.url {
        DatabaseUrl::Sqlite { path } => {
            let store = SqliteStore::open(path, readers, settings.database.statement_timeout, clock).await?;
            let left = SqliteArchive::draft_of(path);
            if left.exists() {
                tracing::warn!(
                    left = %left.display(),
                    "a restore was broken off here: begin it again before anything new is taken, or remove what it left"
                );
            }
            Arc::new(store.with_outside(outside.iter().cloned()).await?)
        }
        DatabaseUrl::Postgres(url) => {
            let options = PostgresOptions {
                url: url.expose().to_owned(),
                readers,
                connect_timeout: settings.database.connect_timeout,
                statement_timeout: settings.database.statement_timeout,
            };
            let store = PostgresStore::open(&options, clock).await?;
            Arc::new(store.with_outside(outside.iter().cloned()).await?)
        }
    })
}

/// The schema of the configured database (`None` when it has none yet) and the one that this program knows. Changes
/// nothing.
///
/// # Errors
/// [`StoreError`].
pub async fn schema_of(settings: &Settings) -> Result<(Option<i64>, i64), StoreError> {
    match &settings.database.url {
        DatabaseUrl::Sqlite { path } => SqliteStore::schema_of(path).await,
        DatabaseUrl::Postgres(url) => {
            PostgresStore::schema_of(url.expose(), settings.database.connect_timeout).await
        }
    }
}

/// Opens the room in which images are worked on. Whoever opens it has the seat of its data folder.
///
/// # Errors
/// [`StartError::Imaging`], or [`StartError::Metrics`], since what it counts needs somewhere to be counted.
pub fn open_imaging(settings: &Settings) -> Result<Imaging, StartError> {
    metrics::install()?;
    Ok(Imaging::within(&settings.images, Space::of(settings))?)
}

/// Opens the configured blob store for a process in this seat. Asks a bucket nothing.
///
/// # Errors
/// [`BlobError`].
pub fn open_blobs(settings: &Settings, seat: &str, clock: Clock) -> Result<Blobs, BlobError> {
    Blobs::configured(&settings.blobs, settings.data_dir(), seat, clock)
}

/// The configured database as backups see it. Opens nothing.
///
/// # Errors
/// [`StoreError`] when its address cannot be read.
pub fn open_archive(
    url: &DatabaseUrl,
    settings: &Settings,
    clock: Clock,
) -> Result<Arc<dyn Archive>, StoreError> {
    Ok(match url {
        DatabaseUrl::Sqlite { path } => Arc::new(SqliteArchive::new(path, clock)),
        DatabaseUrl::Postgres(url) => {
            let options = PostgresOptions {
                url: url.expose().to_owned(),
                readers: 1,
                connect_timeout: settings.database.connect_timeout,
                statement_timeout: settings.database.statement_timeout,
            };
            Arc::new(PostgresArchive::new(&options, url.to_string(), clock)?)
        }
    })
}

/// The backups of this installation, in the configured place or in another. Opens nothing.
///
/// # Errors
/// As [`open_archive`].
pub fn open_backups(
    settings: &Settings,
    blobs: Blobs,
    clock: Clock,
    to: Option<BlobUrl>,
) -> Result<Backups, StoreError> {
    let parts = backup::Parts {
        archive: open_archive(&settings.database.url, settings, clock.clone())?,
        blobs,
        scratch: settings.data_dir().join("backup-drafts"),
        clock,
        storage: settings.storage.clone(),
    };
    let to = to.unwrap_or_else(|| settings.backup.to.clone());
    Ok(Backups::to(parts, &settings.backup, &settings.blobs, to))
}
