//! `image`: the blob of an upload in, the blob that is served out.
//!
//! The upload was looked at before its task was made; here it is decoded to its end, and all is taken out that is not the
//! picture. What is kept are the pixels that came, byte for byte. The thumbnail that everybody asks for is put where
//! variants are found.

use std::io::Read;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use super::{Done, Run, RunError, Work, name};
use crate::blob::BlobError;
use crate::imaging::{Imaging, ImagingError};
use crate::media::image::{Facts, ImageError, Progress, Removed};
use crate::task::{BlobName, Json, Kind, Percent};

/// The kind.
#[derive(Clone)]
pub struct Image {
    imaging: Imaging,
}

/// What to take in.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Payload {
    /// The file as it was sent.
    pub input: BlobName,
}

/// What the image is now: the result of the task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Taken {
    /// What it is, in the word of [`Format`](crate::media::image::Format).
    pub format: String,
    /// Columns of pixels, as they are seen, upright.
    pub width: u32,
    /// Rows, likewise.
    pub height: u32,
    /// How many frames; 1 for a still picture.
    pub frames: u32,
    /// The size of what is kept.
    pub bytes: u64,
    /// What was taken out, in the words of [`Removed`].
    pub removed: Vec<String>,
    /// The ThumbHash, in base64.
    pub thumbhash: String,
}

/// Its name.
#[must_use]
pub fn kind() -> Kind {
    name(Image::NAME)
}

impl Image {
    /// The kind, whose work is done in that room.
    #[must_use]
    pub fn new(imaging: Imaging) -> Self {
        Self { imaging }
    }
}

impl Work for Image {
    const NAME: &'static str = "image";
    type Payload = Payload;

    /// A blob's name alone must not open it: whoever could create such a task could see what others sent.
    fn other_door(&self) -> Option<&'static str> {
        Some("send the file to POST /upload")
    }

    async fn run(&self, payload: Payload, run: Run) -> Result<Done, RunError> {
        let input = run.compute(move |run| read(run, &payload.input)).await?;
        // With it goes what may not be given back while a thread still decodes.
        let teller = run.clone();
        let progress = move |progress: Progress| {
            let percent = progress.done.saturating_mul(100) / progress.total.max(1);
            teller.progress(Percent::new(u8::try_from(percent).unwrap_or(100)));
        };
        let developed = self.imaging.develop(input, run.cancel.clone(), progress).await;
        let (stripped, developed) = developed.map_err(imaging_error)?;
        let bytes = stripped.bytes;
        let output = run.compute(move |run| run.blobs.keep_bytes(&bytes)).await.map_err(blob_error)?;
        let thumbnail = self.imaging.thumbnail();
        self.imaging.remember_thumbnail(&output.name, &thumbnail, developed.thumbnail).await;
        let result = told(&developed.facts, &stripped.removed, output.bytes)?;
        Ok(Done { result, output: Some(output), drop_input: true, image: Some(developed.facts) })
    }
}

fn told(facts: &Facts, removed: &[Removed], bytes: u64) -> Result<Json, RunError> {
    let taken = Taken {
        format: facts.format.as_str().to_owned(),
        width: facts.width,
        height: facts.height,
        frames: facts.frames,
        bytes,
        removed: removed.iter().map(|removed| removed.as_str().to_owned()).collect(),
        thumbhash: STANDARD.encode(&facts.thumbhash),
    };
    Json::of(&taken).map_err(|error| RunError::Error(error.to_string()))
}

fn read(run: &Run, input: &BlobName) -> Result<Vec<u8>, RunError> {
    let mut reader = run.blobs.read(input).map_err(blob_error)?;
    let mut bytes = Vec::with_capacity(usize::try_from(reader.len()).unwrap_or(0));
    reader
        .read_to_end(&mut bytes)
        .map_err(|error| RunError::Error(format!("cannot read the upload {input}: {error}")))?;
    Ok(bytes)
}

/// What is wrong with the picture stays wrong; for the rest there may be a better time.
fn imaging_error(error: ImagingError) -> RunError {
    match &error {
        ImagingError::Image(ImageError::Cancelled) => RunError::Cancelled,
        ImagingError::Image(
            ImageError::Unsupported { .. } | ImageError::TooLarge { .. } | ImageError::Damaged(_),
        ) => RunError::InvalidInput(error.to_string()),
        ImagingError::Image(ImageError::Unavailable(_))
        | ImagingError::Overloaded
        | ImagingError::Source(_)
        | ImagingError::Stopping => RunError::Error(error.to_string()),
    }
}

fn blob_error(error: BlobError) -> RunError {
    // Also a blob that is missing may come back: the folder was not mounted, or is not shared by this node.
    RunError::Error(error.to_string())
}
