//! The door for images: each becomes a task of kind `image`, and lives with it.
//!
//! Called by the route that takes uploads, and by the one that removes images. The bytes were kept, and their headers
//! read, before anything comes here.

use std::sync::Arc;

use super::{Done, Intake, IntakeError, done};
use crate::account::Caller;
use crate::blob::Kept;
use crate::kinds::image;
use crate::store::{NewImage, NewTask, Remember, WriteError};
use crate::task::{Attachment, Json, Role, Task, TaskId};

/// An image that came in.
#[derive(Debug)]
pub struct ImageUpload {
    /// What is known of it.
    pub image: NewImage,
    /// Its bytes.
    pub bytes: Kept,
}

impl Intake {
    /// Accepts images of the caller's, all or none; each upload's blob belongs to its task from then on. The tasks come in
    /// the order of the images.
    ///
    /// # Errors
    /// [`IntakeError`]; [`IntakeError::OverQuota`] where they are more than their owner may have.
    pub async fn take_images(
        &self,
        caller: Caller,
        uploads: &[ImageUpload],
        remember: Option<Remember>,
    ) -> Result<Done<Vec<Task>>, IntakeError> {
        self.admit(caller)?;
        let tasks = uploads.iter().enumerate().map(|(index, upload)| self.image_task(caller, index, upload));
        let tasks = tasks.collect::<Result<Vec<_>, _>>()?;
        let _turn = self.limits.let_in(&tasks)?;
        let created = done(self.writer.create(tasks, remember).await?)?;
        Ok(created.map(|made| made.into_iter().map(|made| made.task).collect()))
    }

    fn image_task(&self, caller: Caller, index: usize, upload: &ImageUpload) -> Result<NewTask, IntakeError> {
        let kind = image::kind();
        let Kept { name, bytes, .. } = &upload.bytes;
        let payload = Json::of(&image::Payload { input: name.clone() }).map_err(|error| {
            IntakeError::Payload { index, kind: kind.clone(), problem: error.to_string() }
        })?;
        Ok(NewTask {
            payload,
            max_attempts: self.policy.max_attempts,
            attachments: vec![Attachment { role: Role::Input, blob: name.clone(), bytes: *bytes }],
            image: Some(upload.image.clone()),
            ..NewTask::plain(kind, caller.user())
        })
    }

    /// Refuses callers without an identity what would take an image away that another such caller sent: of these only the
    /// token that the upload gave tells one from another.
    pub(super) async fn wants_no_token(&self, caller: Caller, task: TaskId) -> Result<(), IntakeError> {
        match caller {
            Caller::User(_) | Caller::Admin(_) => return Ok(()),
            Caller::Anonymous => {}
        }
        let row = self.store.task(task).await.map_err(|error| WriteError::Store(Arc::new(error)))?;
        match row {
            Some(row) if row.life.kind == image::kind() && row.life.owner.is_none() => {
                Err(IntakeError::WantsToken(task))
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Removes the image or recording that this task makes with the task, for whoever has shown that they may; `None` is
    /// one that is gone already, of which only the memory of the request's key can tell.
    ///
    /// # Errors
    /// [`IntakeError::Refused`] where it is not theirs, or gone.
    pub async fn delete_made(
        &self,
        caller: Caller,
        task: Option<TaskId>,
        remember: Option<Remember>,
    ) -> Result<Done<Task>, IntakeError> {
        // No task has the number 0.
        let task = task.unwrap_or(TaskId(0));
        done(self.writer.delete(task, caller, remember).await?)?.transpose()
    }
}
