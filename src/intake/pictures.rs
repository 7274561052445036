//! Pictures that come with a task: checked, rid of what is not the picture, and kept, before the task is made.

use std::sync::Arc;

use bytes::Bytes;

use super::{Intake, IntakeError};
use crate::blob::{Blobs, Kept};
use crate::config::ByteSize;
use crate::imaging::{Imaging, ImagingError};
use crate::kinds::manual;
use crate::media::CancelOnDrop;
use crate::media::image::{Facts, ImageError};
use crate::store::{NewPicture, NewTask, Quota};
use crate::task::{Attachment, Role};

/// What pictures are checked and kept with. Cheap to clone.
#[derive(Clone)]
pub struct Pictures {
    /// Where they are looked at.
    pub imaging: Imaging,
    /// Where they are kept.
    pub blobs: Blobs,
    /// The largest file.
    pub max_bytes: ByteSize,
    /// How much their owner may have here.
    pub quota: Quota,
}

impl Intake {
    /// Checks and keeps the picture of the task at `index`, and gives it to the task, which must be made while the blob
    /// is pinned.
    pub(super) async fn picture(
        &self,
        index: usize,
        task: &mut NewTask,
        bytes: Bytes,
    ) -> Result<Kept, IntakeError> {
        let Pictures { imaging, blobs, max_bytes, quota } = self.pictures.clone();
        let refused = |error: ImagingError| IntakeError::Image { index, error };
        if bytes.len() as u64 > max_bytes.bytes() {
            let what = format!("has {} bytes", bytes.len());
            return Err(refused(ImageError::TooLarge { what, most: max_bytes.to_string() }.into()));
        }
        // Whoever hangs up drops this, and with it the wish.
        let wanted = CancelOnDrop::default();
        let (stripped, developed) = imaging.develop(bytes, wanted.flag(), |_| {}).await.map_err(refused)?;
        match tokio::task::spawn_blocking(move || blobs.keep_bytes(&stripped.bytes)).await {
            Ok(kept) => {
                let kept = kept.map_err(|error| IntakeError::Blob(Arc::new(error)))?;
                let Facts { format, width, height, .. } = developed.facts;
                let format = format.as_str().to_owned();
                let picture = manual::Picture { format, width, height, bytes: kept.bytes };
                task.payload = manual::with_picture(&task.payload, picture);
                let blob = kept.name.clone();
                task.picture = Some(NewPicture { bytes: kept.bytes, quota });
                task.attachments.push(Attachment { role: Role::Input, blob, bytes: kept.bytes });
                Ok(kept)
            }
            Err(_) => Err(refused(ImagingError::Stopping)),
        }
    }
}
