//! `/sign-up`, `/login`, `/logout`: the ways in and out.
//!
//! True here: an account is made, and a session begun, by the functions of the API, with its limits; a token is shown this
//! once; whoever logs in is led on to a place of ours and nowhere else.

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;
use serde_json::json;

use super::assets::Asset;
use super::form::Form;
use super::frame::{Frame, Section, Visitor};
use super::preferences::Look;
use super::told::{self, Told};
use super::words::filled;
use super::words::people::EntryWords;
use super::{local, see_other};
use crate::account::{Caller, LoginName, Token, User};
use crate::http::catalogue::Code;
use crate::http::passwords::Passwords;
use crate::http::{Problem, State, auth, login, session, user_form, users};
use crate::intake::Done;
use crate::task::UserId;

#[derive(Template)]
#[template(path = "sign_up.html")]
struct SignUpPage {
    frame: Frame,
    w: &'static EntryWords,
    told: Option<Told>,
    name: String,
    email: String,
}

#[derive(Template)]
#[template(path = "token.html")]
struct TokenPage {
    frame: Frame,
    w: &'static EntryWords,
    lead: String,
    token: String,
}

#[derive(Template)]
#[template(path = "login.html")]
struct LoginPage {
    frame: Frame,
    w: &'static EntryWords,
    told: Option<Told>,
    who: String,
    next: String,
}

fn words(request: &HttpRequest) -> &'static EntryWords {
    EntryWords::of(Look::of(request).language)
}

/// The form to sign up by.
pub(super) async fn sign_up_form(state: Data<State>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let visitor = Visitor::of(&state, auth::caller(&state, &request, None).await?).await?;
    let w = words(&request);
    let frame = Frame::new(&request, visitor, Section::SignUp, w.sign_up);
    let page = SignUpPage { frame, w, told: None, name: String::new(), email: String::new() };
    Frame::answer(&page, StatusCode::OK)
}

/// Makes the account, and shows its token.
pub(super) async fn sign_up(
    state: Data<State>,
    passwords: Data<Passwords>,
    request: HttpRequest,
    body: Payload,
) -> Result<HttpResponse, Problem> {
    let form = Form::read(&state, &request, body, &["name", "email", "password"]).await?;
    match make(&state, &passwords, &request, &form).await {
        Ok((user, token, cookie)) => {
            let mut answer = token_page(&request, &user, &token, Fresh::Account)?;
            set_cookie(&mut answer, &cookie)?;
            Ok(answer)
        }
        Err(problem) => Err(told::shown_on(&request, problem, |told| {
            let w = words(&request);
            let typed = |name: &str| form.text(name).unwrap_or_default().to_owned();
            let frame = Frame::new(&request, Visitor::unknown(&request), Section::SignUp, w.sign_up);
            SignUpPage { frame, w, told: Some(told), name: typed("name"), email: typed("email") }
        })),
    }
}

/// The user, their token, and the cookie of their first session.
async fn make(
    state: &State,
    passwords: &Passwords,
    request: &HttpRequest,
    form: &Form,
) -> Result<(User, Token, String), Problem> {
    form.finish()?;
    let Some(password) = form.text("password") else {
        // Without one there is no logging in with a browser, and nothing else on these pages.
        return Err(Problem::of_field(Code::InvalidForm, "password", "the field is missing"));
    };
    let body = json!({"name": form.text("name"), "email": form.text("email"), "password": password});
    let new = user_form::new(body.to_string().as_bytes(), state.images.max_bytes)?;
    let Done::Now((user, token)) = users::make(state, passwords, request, new, None).await? else {
        return Err(Problem::internal("a user without a key was made before"));
    };
    let (user, cookie) = login::enter(state, passwords, request, &LoginName::Id(user.id), password).await?;
    Ok((user, token, cookie))
}

/// For what a token is new.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fresh {
    /// The account is.
    Account,
    /// The token alone is.
    Token,
}

/// The page with a token, which is shown this once.
pub(super) fn token_page(
    request: &HttpRequest,
    user: &User,
    token: &Token,
    fresh: Fresh,
) -> Result<HttpResponse, Problem> {
    let w = words(request);
    let name = user.name.as_ref().map_or_else(|| format!("#{}", user.id), ToString::to_string);
    let visitor = Visitor::User { id: user.id, name, admin: user.role == crate::account::Role::Admin };
    let (title, section, lead) = match fresh {
        Fresh::Account => (w.made, Section::SignUp, filled(w.made_lead, &[&user.id.to_string()])),
        Fresh::Token => (w.token, Section::Profile, String::new()),
    };
    let frame = Frame::new(request, visitor, section, title);
    Frame::answer(&TokenPage { frame, w, lead, token: token.reveal() }, StatusCode::OK)
}

/// The form to log in by.
pub(super) async fn login_form(state: Data<State>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let visitor = Visitor::of(&state, auth::caller(&state, &request, None).await?).await?;
    let query = url::form_urlencoded::parse(request.query_string().as_bytes());
    let next = query.into_iter().find_map(|(name, value)| (name == "next").then(|| local(&value)).flatten());
    let w = words(&request);
    let frame = Frame::new(&request, visitor, Section::Login, w.log_in);
    let page = LoginPage { frame, w, told: None, who: String::new(), next: next.unwrap_or_default() };
    Frame::answer(&page, StatusCode::OK)
}

/// Begins a session, and leads on.
pub(super) async fn log_in(
    state: Data<State>,
    passwords: Data<Passwords>,
    request: HttpRequest,
    body: Payload,
) -> Result<HttpResponse, Problem> {
    let form = Form::read(&state, &request, body, &["who", "password", "next"]).await?;
    let next = form.text("next").and_then(local);
    match enter(&state, &passwords, &request, &form).await {
        Ok(cookie) => {
            let mut answer = see_other(next.as_deref().unwrap_or("/"))?;
            set_cookie(&mut answer, &cookie)?;
            Ok(answer)
        }
        Err(problem) => Err(told::shown_on(&request, problem, |told| {
            let w = words(&request);
            let frame = Frame::new(&request, Visitor::unknown(&request), Section::Login, w.log_in);
            let who = form.text("who").unwrap_or_default().to_owned();
            LoginPage { frame, w, told: Some(told), who, next: next.unwrap_or_default() }
        })),
    }
}

async fn enter(
    state: &State,
    passwords: &Passwords,
    request: &HttpRequest,
    form: &Form,
) -> Result<String, Problem> {
    form.finish()?;
    let missing = |name| Problem::of_field(Code::InvalidForm, name, "the field is missing");
    let who = form.text("who").map(str::trim).ok_or_else(|| missing("who"))?;
    let password = form.text("password").ok_or_else(|| missing("password"))?;
    // What can be none of the three is nobody's, which is told no differently.
    let unknown = || Problem::new(Code::LoginFailed, "there is no such user, or not with this password");
    let login = known_as(who).ok_or_else(unknown)?;
    login::enter(state, passwords, request, &login, password).await.map(|(_, cookie)| cookie)
}

/// By what somebody says to be known. A name of digits alone is taken for a number: who has one uses the e-mail.
fn known_as(who: &str) -> Option<LoginName> {
    if who.contains('@') {
        return who.parse().ok().map(LoginName::Email);
    }
    match who.trim_start_matches('#').parse::<i64>() {
        Ok(id) if id > 0 => Some(LoginName::Id(UserId(id))),
        Ok(_) | Err(_) => who.parse().ok().map(LoginName::Name),
    }
}

/// Ends the session.
pub(super) async fn log_out(state: Data<State>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    login::leave(&state, &request).await?;
    let mut answer = see_other("/")?;
    set_cookie(&mut answer, &session::taken_away())?;
    Ok(answer)
}

/// Adds a cookie to the answer.
pub(super) fn set_cookie(answer: &mut HttpResponse, cookie: &str) -> Result<(), Problem> {
    let cookie = HeaderValue::from_str(cookie).map_err(|error| Problem::internal(error.to_string()))?;
    answer.headers_mut().append(header::SET_COOKIE, cookie);
    Ok(())
}

/// Who proved to be a user; whoever did not is led to the login by the answer to the problem.
pub(super) fn user_of(caller: Caller) -> Result<UserId, Problem> {
    let nobody =
        || Problem::new(Code::Unauthenticated, "this page is about whoever is logged in, and nobody is");
    caller.user().ok_or_else(nobody)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_logs_in_is_known_by_an_e_mail_a_number_or_a_name() {
        assert!(matches!(known_as("ann@example.com"), Some(LoginName::Email(_))));
        assert!(matches!(known_as("7"), Some(LoginName::Id(UserId(7)))));
        assert!(matches!(known_as("#7"), Some(LoginName::Id(UserId(7)))));
        assert!(matches!(known_as("Ann"), Some(LoginName::Name(_))));
        assert!(matches!(known_as("-7"), Some(LoginName::Name(_))));
        assert!(known_as("").is_none() && known_as("a@").is_none());
    }
}
