//! `manual`: work for a person, or for a program outside that people run.
//!
//! The daemon does none of it: a task of this kind waits until somebody takes it (`GET /take_free_task`, or
//! `POST /tasks/claim`) and is done when they say so. Its payload is whatever was given; where it was made of `meta` or
//! of a picture, it is a [`Payload`].

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::task::{Json, Kind};

/// What a task of this kind is made of, where it is made of `meta` or of a picture.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Payload<'a> {
    /// What the person is to know.
    #[serde(borrow)]
    pub meta: &'a RawValue,
    /// The picture that is attached to the task.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<Picture>,
}

/// What is told of the picture of a task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Picture {
    /// The word of its format.
    pub format: String,
    /// Columns of pixels, as they are seen, upright.
    pub width: u32,
    /// Rows, likewise.
    pub height: u32,
    /// The size of the file.
    pub bytes: u64,
}

/// The kind's name.
#[must_use]
pub fn kind() -> Kind {
    super::name("manual")
}

/// The payload with that picture: its `meta`, where it has one, stays what it is.
#[must_use]
pub fn with_picture(payload: &Json, picture: Picture) -> Json {
    let meta = read(payload).map_or(RawValue::NULL, |payload| payload.meta);
    let payload = Payload { meta, image: Some(picture) };
    match Json::of(&payload) {
        Ok(payload) => payload,
        Err(error) => unreachable!("texts and numbers always have a JSON form: {error}"),
    }
}

/// What a task was made of, where it was made of `meta` or of a picture.
#[must_use]
pub fn read(payload: &Json) -> Option<Payload<'_>> {
    // An array would do for a struct as well, its items being the fields in their order.
    let is_object = payload.as_str().trim_start().starts_with('{');
    is_object.then(|| serde_json::from_str(payload.as_str()).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_joins_what_was_said_and_any_other_payload_is_none_of_ours() {
        let picture = Picture { format: "png".to_owned(), width: 1, height: 2, bytes: 3 };
        let joined = with_picture(&Json::trusted("{\"meta\": {\"a\" : 1e2}}"), picture.clone());
        let read_back = read(&joined).unwrap();
        assert_eq!((read_back.meta.get(), read_back.image), ("{\"a\" : 1e2}", Some(picture.clone())));
        let alone = with_picture(&Json::null(), picture);
        assert_eq!(read(&alone).unwrap().meta.get(), "null");
        assert!(read(&Json::trusted("{\"meta\":1,\"other\":2}")).is_none());
        assert!(read(&Json::trusted("[1]")).is_none());
    }
}
