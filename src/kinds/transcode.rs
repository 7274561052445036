//! `transcode`: a WAV blob in, an MP3 blob out.

use std::io::BufReader;

use serde::{Deserialize, Serialize};

use super::{Done, Run, RunError, Work, name};
use crate::blob::BlobError;
pub use crate::media::mp3::Mp3Settings as Settings;
use crate::media::mp3::{self, TranscodeError};
use crate::media::wav::{WavError, WavErrorClass, WavReader};
use crate::task::{BlobName, Json, Kind, Percent};

/// The kind.
#[derive(Debug, Clone, Copy)]
pub struct Transcode;

/// What to convert, and how.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Payload {
    /// The WAV.
    pub input: BlobName,
    /// The MP3's settings.
    #[serde(default)]
    pub settings: Settings,
    /// Whether the WAV stays once the MP3 is made.
    pub keep_original: bool,
}

/// Its name.
#[must_use]
pub fn kind() -> Kind {
    name(Transcode::NAME)
}

impl Work for Transcode {
    const NAME: &'static str = "transcode";
    type Payload = Payload;

    /// A blob's name alone must not open it: whoever could create such a task could read others' recordings.
    fn other_door(&self) -> Option<&'static str> {
        Some("send the WAV to POST /records")
    }

    async fn run(&self, payload: Payload, run: Run) -> Result<Done, RunError> {
        run.compute(move |run| transcode(&payload, run)).await
    }
}

fn transcode(payload: &Payload, run: &Run) -> Result<Done, RunError> {
    let input = run.blobs.read(&payload.input).map_err(blob_error)?;
    let input = WavReader::open(BufReader::new(input)).map_err(wav_error)?;
    let mut output = run.blobs.draft().map_err(blob_error)?;
    let mut progress = |progress: mp3::Progress| {
        let percent = progress.done.saturating_mul(100) / progress.total.max(1);
        run.progress(Percent::new(u8::try_from(percent).unwrap_or(100)));
    };
    let made = mp3::transcode(input, &mut output, &payload.settings, &run.cancel, &mut progress);
    let made = made.map_err(|error| match error {
        TranscodeError::Cancelled { .. } => RunError::Cancelled,
        TranscodeError::Wav(error) => wav_error(error),
        TranscodeError::Output(_)
        | TranscodeError::Lame(_)
        | TranscodeError::Resample { .. }
        | TranscodeError::Length { .. } => RunError::Error(error.to_string()),
    })?;
    let output = run.blobs.keep(output).map_err(blob_error)?;
    let result = Json::of(&made).map_err(|error| RunError::Error(error.to_string()))?;
    Ok(Done { result, output: Some(output), drop_input: !payload.keep_original, image: None })
}

/// What the WAV lacks it will lack the next time; what the store did not give, it may.
fn wav_error(error: WavError) -> RunError {
    match error.class() {
        WavErrorClass::Io => RunError::Error(error.to_string()),
        WavErrorClass::UnsupportedType | WavErrorClass::Malformed => {
            RunError::InvalidInput(error.to_string())
        }
    }
}

fn blob_error(error: BlobError) -> RunError {
    // Also a blob that is missing may come back: the folder was not mounted, or is not shared by this node.
    RunError::Error(error.to_string())
}
