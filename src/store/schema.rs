//! What a database says of itself: by which migrations it was made, which programs can use it, and whether its rows are
//! elsewhere.
//!
//! Asked by both adapters when they open one, and by [`Archive`](super::Archive).

use super::StoreError;

/// The newest migration of a database, and the least that a program must know to use it (`marks`, since schema 10).
pub(super) const NEWEST: &str = "SELECT max(version) FROM _sqlx_migrations";
pub(super) const LEAST: &str = "SELECT value FROM marks WHERE name = 'compatible_from'";

/// The mark of a database whose rows were moved to another: when. It is about that one database, and no copy of it has it.
pub(super) const MOVED_AWAY: &str = "moved_away";

/// The schema that these migrations make.
pub(super) fn newest_of(migrations: &sqlx::migrate::Migrator) -> i64 {
    migrations.iter().map(|migration| migration.version).max().unwrap_or(0)
}

/// Refuses a database that was made by a newer program and says that this one cannot use it, or does not say that it can. One
/// without the table of migrations is new.
pub(super) fn check_schema(
    newest: Result<Option<Option<i64>>, sqlx::Error>,
    least: Result<Option<i64>, sqlx::Error>,
    known: i64,
) -> Result<(), StoreError> {
    let doing = "look at the schema";
    let found = match newest {
        Ok(Some(Some(found))) if found > known => found,
        Ok(_) | Err(sqlx::Error::Database(_)) => return Ok(()),
        Err(source) => return Err(StoreError::Unavailable { doing, source }),
    };
    let least = match least {
        Ok(least) => least.unwrap_or(found),
        Err(sqlx::Error::Database(_)) => found,
        Err(source) => return Err(StoreError::Unavailable { doing, source }),
    };
    if least > known {
        return Err(StoreError::SchemaTooNew { found, known, least });
    }
    tracing::warn!(
        found,
        known,
        "the database was made by a newer program, which says that this one can use it"
    );
    Ok(())
}
