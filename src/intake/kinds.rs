//! The door for what those who run the daemon do to kinds.

use super::{Done, Intake, IntakeError, done};
use crate::account::Caller;
use crate::kinds::Registry;
use crate::store::{Pause, Remember, WriteError};
use crate::task::Kind;

impl Intake {
    /// The kinds that this node knows.
    #[must_use]
    pub fn kinds(&self) -> &Registry {
        &self.kinds
    }

    /// Pauses a kind on every node, or lets it go on; gives its pause as it stands then. What runs goes on, and what comes
    /// is accepted. Doing it twice is doing it once: a pause stays that of whoever came first.
    ///
    /// # Errors
    /// [`IntakeError::AdminsOnly`]; [`IntakeError::UnknownKind`], unless a kind that is not there any more goes on.
    pub async fn set_paused(
        &self,
        caller: Caller,
        kind: Kind,
        paused: bool,
        remember: Option<Remember>,
    ) -> Result<Done<Option<Pause>>, IntakeError> {
        if !caller.is_admin() {
            return Err(IntakeError::AdminsOnly);
        }
        let known = self.kinds.get(&kind).is_some() || self.kinds.outside().contains(&kind);
        if !known && (paused || !self.is_paused(&kind).await?) {
            return Err(IntakeError::UnknownKind { index: 0, kind, known: self.kinds.names().join(", ") });
        }
        done(self.writer.set_paused(kind, paused, caller, remember).await?)
    }

    async fn is_paused(&self, kind: &Kind) -> Result<bool, IntakeError> {
        let pauses = self.store.pauses().await.map_err(|error| WriteError::Store(error.into()))?;
        Ok(pauses.iter().any(|pause| pause.kind == *kind))
    }
}
