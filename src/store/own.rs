//! A connection of one's own, for whoever writes.
//!
//! It is kept while all goes well. After anything else (an error, a commit that timed out, a caller that was dropped
//! half way) it is thrown away with whatever state it was in, and the next use makes a new one: so neither a
//! transaction that could not be rolled back, nor a network that swallows packets, outlives the group it struck.

use std::ops::{Deref, DerefMut};
use std::time::Duration;

use sqlx::Connection;
use tokio::sync::{Mutex, MutexGuard};
use tokio::time::timeout;

use super::StoreError;

/// The connection, or how to make it.
pub(super) struct Own<C: Connection> {
    options: C::Options,
    patience: Duration,
    idle: Mutex<Option<C>>,
}

/// The connection in use: nobody else has it. Dropping this throws it away; [`Borrowed::keep`] does not.
pub(super) struct Borrowed<'a, C> {
    place: MutexGuard<'a, Option<C>>,
    connection: C,
}

impl<C: Connection> Own<C> {
    /// One that is made at its first use, on the runtime of whoever uses it.
    pub(super) fn new(options: C::Options, patience: Duration) -> Self {
        Self { options, patience, idle: Mutex::new(None) }
    }

    /// One that is made already.
    pub(super) fn made(connection: C, options: C::Options, patience: Duration) -> Self {
        Self { options, patience, idle: Mutex::new(Some(connection)) }
    }

    /// Waits for its turn, and borrows the connection.
    pub(super) async fn borrow(&self) -> Result<Borrowed<'_, C>, StoreError> {
        let mut place = self.idle.lock().await;
        let connection = match place.take() {
            Some(connection) => connection,
            None => match timeout(self.patience, C::connect_with(&self.options)).await {
                Ok(connected) => connected.map_err(StoreError::of("connect"))?,
                Err(_) => {
                    return Err(StoreError::Unavailable {
                        doing: "connect",
                        source: sqlx::Error::PoolTimedOut,
                    });
                }
            },
        };
        Ok(Borrowed { place, connection })
    }

    /// Closes it, as far as it can be closed properly.
    pub(super) async fn close(&self) {
        if let Some(connection) = self.idle.lock().await.take() {
            // Whatever it says: it is not used any more.
            let _ = timeout(self.patience, connection.close()).await;
        }
    }
}

impl<C> Borrowed<'_, C> {
    /// Keeps it for the next use: all went well with it.
    pub(super) fn keep(self) {
        let Self { mut place, connection } = self;
        *place = Some(connection);
    }
}

impl<C> Deref for Borrowed<'_, C> {
    type Target = C;

    fn deref(&self) -> &C {
        &self.connection
    }
}

impl<C> DerefMut for Borrowed<'_, C> {
    fn deref_mut(&mut self) -> &mut C {
        &mut self.connection
    }
}
