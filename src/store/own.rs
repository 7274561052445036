//! A connection of one's own, for whoever writes.
//!
//! It is kept while all goes well. After anything else (an error, a commit that timed out, a caller that was dropped
//! half way) it is thrown away with whatever state it was in, and the next use makes a new one: so neither a
//! transaction that could not be rolled back, nor a network that swallows packets, outlives the group it struck.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use sqlx::Connection;
use tokio::time::timeout;

use super::StoreError;

/// The connection, or how to make it.
pub(super) struct Own<C: Connection> {
    options: C::Options,
    patience: Duration,
    idle: Mutex<Option<C>>,
}

impl<C: Connection> Own<C> {
    /// One that is made at its first use, on the runtime of whoever uses it.
    pub(super) fn new(options: C::Options, patience: Duration) -> Self {
        Self { options, patience, idle: Mutex::new(None) }
    }

    /// The connection. To be given [back](Own::keep) only when all went well with it.
    pub(super) async fn take(&self) -> Result<C, StoreError> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).take();
        match idle {
            Some(connection) => Ok(connection),
            None => match timeout(self.patience, C::connect_with(&self.options)).await {
                Ok(connected) => connected.map_err(StoreError::of("connect")),
                Err(_) => {
                    Err(StoreError::Unavailable { doing: "connect", source: sqlx::Error::PoolTimedOut })
                }
            },
        }
    }

    /// Keeps it for the next use.
    pub(super) fn keep(&self, connection: C) {
        *self.idle.lock().unwrap_or_else(PoisonError::into_inner) = Some(connection);
    }

    /// Closes it, as far as it can be closed properly.
    pub(super) async fn close(&self) {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(connection) = idle {
            // Whatever it says: it is not used any more.
            let _ = timeout(self.patience, connection.close()).await;
        }
    }
}
