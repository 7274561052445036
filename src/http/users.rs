//! `/users`: making users.

use actix_web::http::header;
use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use serde::Serialize;
use utoipa::ToSchema;

use super::extract::{self, Query};
use super::tasks::json_answer;
use super::{Problem, State, json};
use crate::account::{Email, Name, User};
use crate::intake::Done;
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
    /// The access token, shown this once.
    #[schema(format = Uuid)]
    token: String,
}

/// Creates a user. The token is shown this once.
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
    let body = extract::json_body(&state, &request, body).await?;
    let mut form = json::object(&body, FIELDS)?;
    let name = form.parsed("name", str::parse::<Name>);
    let email = form.parsed("email", str::parse::<Email>);
    json::refuse(form.faults())?;
    let Done::Now((user, token)) = state.intake.create_user(name, email, None).await? else {
        return Err(Problem::internal("no key was given"));
    };
    state.actions.record(&Action::UserCreated { name: called(&user) });
    let view = CreatedUser {
        id: user.id.0,
        name: user.name.as_ref().map(Name::as_str),
        email: user.email.as_ref().map(Email::as_str),
        created_at: user.created_at,
        token: token.reveal(),
    };
    let body = serde_json::to_vec(&view).map_err(|error| Problem::internal(error.to_string()))?;
    let mut answer = HttpResponse::Created();
    // It holds a secret.
    answer.insert_header((header::CACHE_CONTROL, "no-store"));
    Ok(json_answer(answer, body))
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
