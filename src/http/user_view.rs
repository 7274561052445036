//! A user as callers see them.
//!
//! Everybody may see who there is; the e-mail, the role, and whether there is a password are for the user and admins.
//! The token is in the one answer that makes it, and the hash of a password in none.

use actix_web::http::header;
use actix_web::{HttpResponse, HttpResponseBuilder};
use serde::Serialize;
use utoipa::ToSchema;

use super::tasks::json_answer;
use crate::account::{Caller, Email, Gender, Name, Role, User};
use crate::task::Timestamp;

/// A user.
#[derive(Serialize, ToSchema)]
#[schema(as = User, example = json!({
    "id": 3, "name": "Ann", "gender": "f", "avatar_url": "/users/3/avatar", "created_at": "2026-01-31T12:00:00.000000Z"
}))]
pub(super) struct UserView<'a> {
    /// The number.
    #[schema(minimum = 1)]
    id: i64,
    /// The name.
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    /// What they say they are.
    #[serde(skip_serializing_if = "Option::is_none")]
    gender: Option<&'a str>,
    /// Where their picture is.
    #[serde(skip_serializing_if = "Option::is_none")]
    avatar_url: Option<String>,
    /// Since when.
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    /// The e-mail. For the user and admins alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<&'a str>,
    /// `user` or `admin`. For the user and admins alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<&'static str>,
    /// Whether they can log in by a password. For the user and admins alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    has_password: Option<bool>,
}

/// A user with a token that was just made.
#[derive(Serialize, ToSchema)]
#[schema(as = UserWithToken, example = json!({
    "id": 3, "name": "Ann", "created_at": "2026-01-31T12:00:00.000000Z", "role": "user", "has_password": false,
    "token": "0b8b6a2e-6f0d-4f6c-9a6e-3f1a6f7f5b11"
}))]
pub(super) struct WithToken<'a> {
    #[serde(flatten)]
    user: UserView<'a>,
    /// The access token, shown this once: the answer that is given again for an `Idempotency-Key` is without it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = Uuid)]
    token: Option<String>,
}

impl<'a> UserView<'a> {
    /// The user as `caller` may see them.
    pub(super) fn of(user: &'a User, caller: Caller) -> Self {
        let private = caller.may_change(user.id);
        Self {
            id: user.id.0,
            name: user.name.as_ref().map(Name::as_str),
            gender: user.gender.as_ref().map(Gender::as_str),
            avatar_url: user.avatar.as_ref().map(|_| format!("/users/{}/avatar", user.id)),
            created_at: user.created_at,
            email: user.email.as_ref().filter(|_| private).map(Email::as_str),
            role: private.then_some(user.role).map(Role::as_str),
            has_password: private.then_some(user.has_password),
        }
    }
}

/// The user as `caller` may see them, in JSON.
pub(super) fn one(user: &User, caller: Caller) -> Vec<u8> {
    json(&UserView::of(user, caller))
}

/// The user as they see themselves, in JSON.
pub(super) fn own(user: &User) -> Vec<u8> {
    json(&UserView::of(user, Caller::User(user.id)))
}

/// The same with their token, where it may be shown.
pub(super) fn with_token(user: &User, token: Option<String>) -> Vec<u8> {
    json(&WithToken { user: UserView::of(user, Caller::User(user.id)), token })
}

/// Users as `caller` may see them, in JSON.
pub(super) fn many(users: &[User], caller: Caller) -> Vec<u8> {
    let views: Vec<UserView<'_>> = users.iter().map(|user| UserView::of(user, caller)).collect();
    json(&views)
}

/// Answers with what is not for everybody: no cache may keep it.
pub(super) fn private_answer(mut answer: HttpResponseBuilder, body: Vec<u8>) -> HttpResponse {
    answer.insert_header((header::CACHE_CONTROL, "no-store"));
    json_answer(answer, body)
}

/// The JSON text. Texts and numbers always have a JSON form.
fn json<T: Serialize>(view: &T) -> Vec<u8> {
    serde_json::to_vec(view).unwrap_or_default()
}

/// What to call them in the action log: an e-mail is for the user's own eyes.
pub(super) fn called(user: &User) -> String {
    match &user.name {
        Some(name) => name.to_string(),
        None => format!("#{}", user.id),
    }
}
