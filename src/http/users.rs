//! `/users`: making users.

use actix_web::http::{StatusCode, header};
use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use serde::Serialize;
use utoipa::ToSchema;

use super::extract::{self, Query};
use super::idempotency::{Key, remembered, replayed};
use super::tasks::json_answer;
use super::{Problem, State, json};
use crate::account::{Caller, Email, Name, NewUser, Token, User};
use crate::intake::Done;
use crate::store::{RememberedAnswer, Reply};
use crate::task::Timestamp;
use crate::telemetry::Action;

const FIELDS: &[&str] = &["name", "email"];

/// A user to be made: a name, an e-mail, or both.
#[derive(ToSchema)]
#[schema(as = NewUser, example = json!({"name": "Ann", "email": "ann@example.com"}))]
#[expect(dead_code, reason = "documents what `create` reads")]
pub(super) struct NewUserSchema {
    /// 1 to 100 characters, not unique.
    name: Option<String>,
    /// Unique; only its shape is checked.
    #[schema(format = Email)]
    email: Option<String>,
}

/// A user who was just made.
#[derive(Serialize, ToSchema)]
#[schema(as = CreatedUser, example = json!({
    "id": 3, "name": "Ann", "created_at": "2026-01-31T12:00:00.000000Z",
    "token": "0b8b6a2e-6f0d-4f6c-9a6e-3f1a6f7f5b11"
}))]
pub(super) struct CreatedUser<'a> {
    /// The number.
    #[schema(minimum = 1)]
    id: i64,
    /// The name.
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    /// The e-mail.
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<&'a str>,
    /// Since when.
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    /// The access token, shown this once: the answer that is given again for an `Idempotency-Key` is without it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = Uuid)]
    token: Option<String>,
}

impl<'a> CreatedUser<'a> {
    /// The JSON text. Texts and numbers always have a JSON form.
    fn json(user: &'a User, token: Option<String>) -> Vec<u8> {
        let view = Self {
            id: user.id.0,
            name: user.name.as_ref().map(Name::as_str),
            email: user.email.as_ref().map(Email::as_str),
            created_at: user.created_at,
            token,
        };
        serde_json::to_vec(&view).unwrap_or_default()
    }
}

/// Creates a user. The token is shown this once: who loses it, be it with an answer that did not arrive, makes another
/// user.
#[utoipa::path(
    post, path = "/users", operation_id = "createUser", tag = "Users", request_body(content = NewUserSchema),
    responses((status = 201, description = "Created.", body = CreatedUser<'_>)),
)]
pub(super) async fn create(
    state: Data<State>,
    request: HttpRequest,
    body: Payload,
) -> Result<HttpResponse, Problem> {
    Query::of(&request, &[]).finish()?;
    let key = Key::of(&request)?;
    let body = extract::json_body(&state, &request, body).await?;
    let mut form = json::object(&body, FIELDS)?;
    let name = form.parsed("name", str::parse::<Name>);
    let email = form.parsed("email", str::parse::<Email>);
    json::refuse(form.faults())?;
    // Nobody needs to say who they are here: the keys are those of callers without an identity.
    let remember = key.map(|key| key.remember(&request, Caller::Anonymous, &[&body], created));
    let token = Token::fresh();
    let user = NewUser::new(name, email, token.hash())?;
    let user = match state.intake.create_user(user, remember).await? {
        Done::Now(made) => made,
        Done::Before(answer) => return replayed(answer),
    };
    state.actions.record(&Action::UserCreated { name: called(&user) });
    let body = CreatedUser::json(&user, Some(token.reveal()));
    let mut answer = HttpResponse::Created();
    // It holds a secret.
    answer.insert_header((header::CACHE_CONTROL, "no-store"));
    Ok(json_answer(answer, body))
}

/// What to remember of a user who was made: not the token.
fn created(reply: &Reply) -> Option<RememberedAnswer> {
    let Reply::UserCreated(Some(user)) = reply else { return None };
    Some(remembered(StatusCode::CREATED, None, CreatedUser::json(user, None)))
}

/// The same under the name that the audio service documents.
#[utoipa::path(
    post, path = "/user", operation_id = "createUserAlias", tag = "Users", request_body(content = NewUserSchema),
    responses((status = 201, description = "Created.", body = CreatedUser<'_>)),
)]
pub(super) async fn create_alias(
    state: Data<State>,
    request: HttpRequest,
    body: Payload,
) -> Result<HttpResponse, Problem> {
    create(state, request, body).await
}

/// What to call them in the action log: an e-mail is for the user's own eyes.
fn called(user: &User) -> String {
    match &user.name {
        Some(name) => name.to_string(),
        None => format!("#{}", user.id),
    }
}
