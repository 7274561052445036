//! `noop`: does nothing, well. It proves the whole path, from acceptance to outcome, and measures it.

use serde::de::IgnoredAny;

use super::{Done, Run, RunError, Work, name};
use crate::task::{Json, Kind};

/// The kind. Takes any payload.
#[derive(Debug, Clone, Copy)]
pub struct Noop;

/// Its name.
#[must_use]
pub fn kind() -> Kind {
    name(Noop::NAME)
}

impl Work for Noop {
    const NAME: &'static str = "noop";
    type Payload = IgnoredAny;

    async fn run(&self, _payload: IgnoredAny, _run: Run) -> Result<Done, RunError> {
        Ok(Done { result: Json::null(), output: None, drop_input: false, image: None })
    }
}
