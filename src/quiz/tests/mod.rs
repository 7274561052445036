//! Rounds against services that misbehave.
