//! `/login` and `/logout`: sessions begin and end.
//!
//! True here: a login that fails tells nothing but that, in words and in time: not whether there is such a user. What is
//! tried counts before it is looked at. A session begins only while the password that began it is the user's, so a
//! change of the password ends every session of the old one, also one that began in the same instant.

use actix_web::http::header;
use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use utoipa::ToSchema;

use super::catalogue::Code;
use super::extract::{self, Query};
use super::passwords::{self, Passwords};
use super::session::{self, Held};
use super::user_view::{self, UserView, called, private_answer};
use super::{Problem, State, client, json};
use crate::account::{LoginName, Token, User};
use crate::task::UserId;
use crate::telemetry::Action;

const FIELDS: &[&str] = &["email", "id", "name", "password"];

/// How often a login looks again whose user's password was changed, or hashed anew, under its hands.
const LOOKS: u32 = 3;

/// Who wants to log in: by e-mail, by number, or by name, which means the first who took it and has a password.
#[derive(ToSchema)]
#[schema(as = Login, example = json!({"email": "ann@example.com", "password": "correct horse"}))]
#[expect(dead_code, reason = "documents what `read` reads")]
pub(super) struct LoginSchema {
    /// The e-mail.
    #[schema(format = Email)]
    email: Option<String>,
    /// The number.
    #[schema(minimum = 1)]
    id: Option<i64>,
    /// The name.
    name: Option<String>,
    /// The password.
    #[schema(format = Password, write_only)]
    password: String,
}

/// Begins a session, and sets its cookie. Tries are limited, for each account and for each address.
#[utoipa::path(
    post, path = "/login", operation_id = "login", tag = "Users", 
    request_body(content = LoginSchema, description = "The password, and whose: one of `id`, `name` and `email`."),
    responses((status = 200, description = "Logged in: the user.", body = UserView<'_>,
        headers(("set-cookie" = String, description = "`gristmill_session=...; HttpOnly; SameSite=Lax`")))),
)]
pub(super) async fn login(
    state: Data<State>,
    passwords: Data<Passwords>,
    request: HttpRequest,
    body: Payload,
) -> Result<HttpResponse, Problem> {
    Query::of(&request, &[]).finish()?;
    let body = extract::json_body(&state, &request, body).await?;
    let (login, password) = read(&body)?;
    let (user, cookie) = enter(&state, &passwords, &request, &login, &password).await?;
    let mut answer = HttpResponse::Ok();
    answer.insert_header((header::SET_COOKIE, cookie));
    Ok(private_answer(answer, user_view::own(&user)))
}

/// Begins a session of whoever says to be that: the user, and the header that sets the cookie.
pub(super) async fn enter(
    state: &State,
    passwords: &Passwords,
    request: &HttpRequest,
    login: &LoginName,
    password: &str,
) -> Result<(User, String), Problem> {
    let address = passwords::spend_of_address(state, request).await?;
    let known = state.store.credentials(login).await?.map(|(user, _)| user);
    let account = passwords::counted_as(login, known);
    passwords::spend_of_account(state, &account).await?;
    let Some((user, token)) = begin(state, passwords, login, password).await? else {
        // Of nobody the name stays untold: it may be a password that was typed into the wrong field.
        let name = known.map(|user| format!("#{user}"));
        state.actions.record(&Action::LoginFailed { name, address });
        return Err(Problem::new(Code::LoginFailed, "there is no such user, or not with this password"));
    };
    state.store.forgive(&account).await?;
    if let Held::Session(before) = session::of(request) {
        // The browser forgets it for the new one.
        state.store.close_session(&before).await?;
    }
    state.actions.record(&Action::LoggedIn { name: called(&user) });
    let secure = client::is_secure(&state.http, request);
    let cookie = session::given(&token, state.auth.session, secure);
    Ok((user, cookie))
}

/// Reads who wants to log in, and by which password, which may be any text.
fn read(body: &[u8]) -> Result<(LoginName, String), Problem> {
    let mut form = json::object(body, FIELDS)?;
    let email = form.parsed("email", str::parse).map(LoginName::Email);
    let name = form.parsed("name", str::parse).map(LoginName::Name);
    let id = form.whole("id", (1, i64::MAX)).map(|id| LoginName::Id(UserId(id)));
    let password = form.text("password");
    if form.raw("password").is_none() {
        form.fault("password", "the field is missing");
    }
    let given = ["email", "id", "name"].iter().filter(|field| form.raw(field).is_some()).count();
    if given != 1 {
        form.fault("email", format!("expected one of `email`, `id` and `name`, got {given} of them"));
    }
    json::refuse(form.faults())?;
    match (email.or(name).or(id), password) {
        (Some(login), Some(password)) => Ok((login, password)),
        (Some(_) | None, Some(_) | None) => {
            Err(Problem::internal("a login without faults lacks what it needs"))
        }
    }
}

/// Begins a session of the user who is known by that, if it is their password.
async fn begin(
    state: &State,
    passwords: &Passwords,
    login: &LoginName,
    password: &str,
) -> Result<Option<(User, Token)>, Problem> {
    for _ in 0..LOOKS {
        let known = state.store.credentials(login).await?;
        if !passwords.verify(password, known.as_ref().map(|(_, kept)| kept)).await? {
            return Ok(None);
        }
        let Some((id, mut kept)) = known else { return Ok(None) };
        if let Some(renewed) = passwords.renewed(password, &kept).await? {
            if !state.store.renew_password(id, &kept, &renewed).await? {
                continue;
            }
            kept = renewed;
        }
        let token = Token::fresh();
        if state.store.open_session(&token.hash(), id, &kept, state.auth.session).await? {
            return Ok(state.store.user(id).await?.map(|user| (user, token)));
        }
    }
    Ok(None)
}

/// Ends the session, and takes its cookie away. Without one there is nothing to do.
#[utoipa::path(
    post, path = "/logout", operation_id = "logout", tag = "Users",
    responses((status = 204, description = "There is no session any more.",
        headers(("set-cookie" = String, description = "Takes the cookie away")))),
)]
pub(super) async fn logout(state: Data<State>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    Query::of(&request, &[]).finish()?;
    leave(&state, &request).await?;
    Ok(HttpResponse::NoContent().insert_header((header::SET_COOKIE, session::taken_away())).finish())
}

/// Ends the session that the request has.
pub(super) async fn leave(state: &State, request: &HttpRequest) -> Result<(), Problem> {
    if let Held::Session(session) = session::of(request) {
        let user = state.store.user_by_session(&session).await?;
        // Of two that end it at the same time one did.
        if state.store.close_session(&session).await?
            && let Some(user) = user
        {
            state.actions.record(&Action::LoggedOut { name: called(&user) });
        }
    }
    Ok(())
}
