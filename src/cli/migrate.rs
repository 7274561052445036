//! `gristmill migrate`: brings the schema up to date without serving.

use super::{Exit, block_on};
use crate::app::open_store;
use crate::clock::Clock;
use crate::config::{DatabaseUrl, Settings};
use crate::kinds;

/// Opens the database, which is what brings it up to date, and says so.
pub(super) fn run(settings: &Settings) -> Exit {
    let migrated = block_on(async {
        let store = open_store(settings, &kinds::outside(&settings.kinds), Clock::system()).await?;
        let version = store.schema().await;
        store.close().await;
        version
    });
    let place = match &settings.database.url {
        DatabaseUrl::Sqlite { path } => path.display().to_string(),
        DatabaseUrl::Postgres(url) => url.to_string(),
    };
    match migrated {
        Ok(Ok(version)) => {
            say!("{place}: schema {version}, up to date");
            Exit::Done
        }
        Ok(Err(error)) => {
            eprintln!("{place}: {error}");
            Exit::Failed
        }
        Err(error) => {
            eprintln!("the runtime cannot be started: {error}");
            Exit::Failed
        }
    }
}
