//! `manual`: work for a person, or for a program outside that people run.
//!
//! The daemon does none of it: a task of this kind waits until somebody takes it (`GET /take_free_task`, or
//! `POST /tasks/claim`) and is done when they say so. Its payload is whatever was given; nothing here reads it.

use crate::task::Kind;

/// The kind's name.
#[must_use]
pub fn kind() -> Kind {
    super::name("manual")
}
