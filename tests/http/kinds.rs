//! Kinds that only tests have.

use gristmill::kinds::transcode::Payload;
use gristmill::kinds::{Done, Run, RunError, Work};
use serde::Deserialize;

/// Fails for the reason that its payload gives.
pub(crate) struct Failing;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Reason {
    because: String,
}

impl Work for Failing {
    const NAME: &'static str = "failing";
    type Payload = Reason;

    async fn run(&self, payload: Reason, _run: Run) -> Result<Done, RunError> {
        Err(RunError::InvalidInput(payload.because))
    }
}

/// A converter that cannot.
pub(crate) struct BrokenTranscode;

impl Work for BrokenTranscode {
    const NAME: &'static str = "transcode";
    type Payload = Payload;

    fn other_door(&self) -> Option<&'static str> {
        Some("send the WAV to POST /records")
    }

    async fn run(&self, _payload: Payload, _run: Run) -> Result<Done, RunError> {
        Err(RunError::InvalidInput("the samples are rotten".to_owned()))
    }
}
