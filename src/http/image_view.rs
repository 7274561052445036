//! An image as JSON: the one form in which all routes show it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::links::ImageLinks;
use super::task_view::TaskView;
use crate::kinds::image::Taken;
use crate::store::{Image, NewImage};
use crate::task::{State, Task, Timestamp};

/// An image.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[schema(as = Image, example = json!({
    "id": "2c1f4f6e-8a2e-4a68-9f58-0c1f5a1d7b11",
    "url": "http://localhost:5000/images/tZ3kQ0mB8yWc2HfLr5Xa1D.jpg", "filename": "tZ3kQ0mB8yWc2HfLr5Xa1D.jpg",
    "original_name": "cat.jpg", "size": 48213, "format": "jpeg", "width": 1280, "height": 960, "frames": 1,
    "uploaded_at": "2026-01-31T12:00:00.000000Z",
    "thumbnail_url": "http://localhost:5000/images/tZ3kQ0mB8yWc2HfLr5Xa1D.jpg?w=320&h=320",
    "thumbhash": "1QcSHQRnh493V4dIh4eXh1h4kJUI"
}))]
pub(super) struct ImageView {
    /// Its number.
    #[schema(format = Uuid)]
    id: String,
    /// Where it is, for anybody who has the link.
    url: String,
    /// What it is called here: the last part of the link.
    filename: String,
    /// What the file was called. Text, never a path; whatever shows it has to escape it.
    #[schema(max_length = 255)]
    original_name: String,
    /// The size of what is kept, in bytes; of what was sent until it is ready.
    size: u64,
    /// What it is by its bytes: `jpeg`, `png`, `gif`, `webp` or `avif`.
    format: String,
    /// Columns of pixels, as they are seen, upright.
    width: u32,
    /// Rows, likewise.
    height: u32,
    /// How many frames; 1 for a still picture.
    frames: u32,
    /// When it came.
    #[schema(format = DateTime)]
    uploaded_at: String,
    /// A small still picture of it.
    thumbnail_url: String,
    /// The picture in a few bytes, in base64, to show while it loads (ThumbHash); left out until it is ready.
    #[serde(skip_serializing_if = "Option::is_none")]
    thumbhash: Option<String>,
    /// Whose it is; left out where nobody owns it.
    #[serde(skip_serializing_if = "Option::is_none")]
    owner: Option<i64>,
    /// What was taken out of the file: `exif`, `gps`, `xmp`, `iptc`, `comment`, `text`, `time`, `thumbnail`,
    /// `application` or `trailer`. Only in the answer to an upload, once it is ready.
    #[serde(skip_serializing_if = "Option::is_none")]
    removed: Option<Vec<String>>,
    /// With it anybody may remove the image. Shown this once: an answer that is given again for an `Idempotency-Key` is
    /// without it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = Uuid)]
    delete_token: Option<String>,
}

/// An image that was sent, with the task that checks it, strips it and makes its thumbnail.
#[derive(Serialize, ToSchema)]
#[schema(as = UploadedImage, example = json!({
    "id": "2c1f4f6e-8a2e-4a68-9f58-0c1f5a1d7b11",
    "url": "http://localhost:5000/images/tZ3kQ0mB8yWc2HfLr5Xa1D.jpg", "filename": "tZ3kQ0mB8yWc2HfLr5Xa1D.jpg",
    "original_name": "cat.jpg", "size": 48213, "format": "jpeg", "width": 1280, "height": 960, "frames": 1,
    "uploaded_at": "2026-01-31T12:00:00.000000Z", "owner": 3, "removed": ["exif", "gps"],
    "thumbnail_url": "http://localhost:5000/images/tZ3kQ0mB8yWc2HfLr5Xa1D.jpg?w=320&h=320",
    "thumbhash": "1QcSHQRnh493V4dIh4eXh1h4kJUI", "delete_token": "5d3c2a8e-1f7b-4c55-8a53-0f6e2d9b7c10",
    "task": {"id": 7, "kind": "image", "status": "Completed", "priority": 0, "attempt": 1, "failures": 0, "crashes": 0,
        "max_attempts": 3, "owner": 3, "tags": [], "created_at": "2026-01-31T12:00:00.000000Z",
        "updated_at": "2026-01-31T12:00:00.020000Z"}
}))]
pub(super) struct UploadedView<'a> {
    #[serde(flatten)]
    pub(super) image: &'a ImageView,
    /// The task.
    pub(super) task: TaskView<'a>,
}

impl ImageView {
    /// An image that is there.
    pub(super) fn of(image: &Image, links: &ImageLinks) -> Self {
        let facts = &image.facts;
        Self {
            id: image.id.to_string(),
            url: links.image(&image.name),
            filename: image.name.to_string(),
            original_name: image.filename.clone(),
            size: image.bytes,
            format: facts.format.to_string(),
            width: facts.width,
            height: facts.height,
            frames: facts.frames,
            uploaded_at: image.created_at.to_string(),
            thumbnail_url: links.thumbnail(&image.name),
            thumbhash: Some(STANDARD.encode(&facts.thumbhash)).filter(|hash| !hash.is_empty()),
            owner: image.owner.map(|owner| owner.0),
            removed: None,
            delete_token: None,
        }
    }

    /// An image that was just accepted with that task, as far as its headers tell.
    pub(super) fn accepted(new: &NewImage, task: &Task, links: &ImageLinks) -> Self {
        Self {
            id: new.id.to_string(),
            url: links.image(&new.name),
            filename: new.name.to_string(),
            original_name: new.filename.clone(),
            size: new.bytes,
            format: new.format.to_string(),
            width: new.width,
            height: new.height,
            frames: new.frames,
            uploaded_at: Timestamp::to_string(&task.created_at),
            thumbnail_url: links.thumbnail(&new.name),
            thumbhash: None,
            owner: task.life.owner.map(|owner| owner.0),
            removed: None,
            delete_token: None,
        }
    }

    /// The same as its task has left it.
    pub(super) fn seen_with(mut self, task: &Task) -> Self {
        let result = match &task.life.state {
            State::Completed { result, .. } => serde_json::from_str::<Taken>(result.as_str()).ok(),
            State::New { .. } | State::InProgress { .. } | State::Failed { .. } | State::Cancelled { .. } => {
                None
            }
        };
        if let Some(Taken { format, width, height, frames, bytes, removed, thumbhash }) = result {
            self.size = bytes;
            (self.format, self.width, self.height, self.frames) = (format, width, height, frames);
            self.removed = Some(removed);
            self.thumbhash = Some(thumbhash);
        }
        self
    }

    /// The same with what may remove it.
    pub(super) fn with_token(self, token: String) -> Self {
        Self { delete_token: Some(token), ..self }
    }

    /// What it is called here.
    pub(super) fn filename(&self) -> &str {
        &self.filename
    }

    /// What may remove it, where it may be shown.
    pub(super) fn delete_token(&self) -> Option<&str> {
        self.delete_token.as_deref()
    }

    /// Where it is.
    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// What the file was called.
    pub(super) fn original_name(&self) -> &str {
        &self.original_name
    }
}
