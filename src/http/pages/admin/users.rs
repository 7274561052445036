//! `/admin/users`: the users with what they have, the newest first; their roles and tokens; removing them.

use actix_web::http::StatusCode;
use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;

use super::confirm::{self, Ask, CONFIRMED};
use super::notice::{Deed, NAME as TOLD, Notice};
use super::paging::{self, LINES};
use super::{Chrome, Tab, back_to, enter};
use crate::account::{Caller, Role, User, UserChange};
use crate::http::extract::{self, Query};
use crate::http::pages::assets::Asset;
use crate::http::pages::form::Form;
use crate::http::pages::frame::Frame;
use crate::http::pages::see_other;
use crate::http::pages::tasks::Moment;
use crate::http::pages::words::admin::UserWords;
use crate::http::pages::words::filled;
use crate::http::pages::words::written::{number, size};
use crate::http::passwords::Passwords;
use crate::http::{Problem, State, users};
use crate::intake::Done;
use crate::store::{UserLine, UserSearch};
use crate::task::UserId;

const HERE: &str = "/admin/users";

/// A line of the list.
struct Line {
    id: UserId,
    name: String,
    email: String,
    admin: bool,
    /// Whether it is whoever looks at the list.
    own: bool,
    tasks: String,
    images: String,
    images_size: String,
    recordings: String,
    since: Moment,
}

#[derive(Template)]
#[template(path = "admin/users.html")]
struct UsersPage {
    frame: Frame,
    chrome: Chrome,
    w: &'static UserWords,
    lines: Vec<Line>,
    wanted: String,
    here: String,
}

#[derive(Template)]
#[template(path = "admin/token.html")]
struct TokenPage {
    frame: Frame,
    chrome: Chrome,
    w: &'static UserWords,
    lead: String,
    token: String,
    back: String,
}

/// A page of them.
pub(super) async fn get(state: Data<State>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let (caller, frame, mut chrome) = enter(&state, &request, Tab::Users).await?;
    let mut query = Query::of(&request, &["q", "after", TOLD]);
    let wanted = query.text("q").unwrap_or_default().trim().to_owned();
    let search = match wanted.as_str() {
        "" => UserSearch::All,
        text => match extract::number(text) {
            Ok(id) => UserSearch::Number(UserId(id)),
            Err(_) => UserSearch::Text(text.to_owned()),
        },
    };
    let after = paging::after(&mut query).map(UserId);
    query.finish()?;
    let mut found = state.store.user_lines(&search, after, LINES + 1).await?;
    let last = paging::cut(&mut found, |line| line.user.id.0);
    chrome.first = paging::first(&request);
    chrome.next = last.map(|last| paging::next(&request, last));
    let page = UsersPage {
        lines: found.iter().map(|one| line(&frame, caller, one)).collect(),
        here: frame.here.clone(),
        w: UserWords::of(frame.language()),
        frame,
        chrome,
        wanted,
    };
    Frame::answer(&page, StatusCode::OK)
}

fn line(frame: &Frame, caller: Caller, one: &UserLine) -> Line {
    let (language, user) = (frame.language(), &one.user);
    Line {
        id: user.id,
        name: user.name.as_ref().map_or_else(|| frame.user(user.id), ToString::to_string),
        email: user.email.as_ref().map(|email| email.as_str().to_owned()).unwrap_or_default(),
        admin: user.role == Role::Admin,
        own: caller.user() == Some(user.id),
        tasks: number(language, one.tasks),
        images: number(language, one.images.count),
        images_size: size(language, one.images.bytes),
        recordings: number(language, one.recordings),
        since: Moment::of(language, user.created_at),
    }
}

/// The user whom the path names, for an admin.
async fn named(state: &State, request: &HttpRequest) -> Result<User, Problem> {
    let id = extract::user_id(request)?;
    state.store.user(id).await?.ok_or_else(|| Problem::no_user(id))
}

/// What to call them.
fn called(frame: &Frame, user: &User) -> String {
    let number = frame.user(user.id);
    user.name.as_ref().map_or(number.clone(), |name| format!("{name} ({number})"))
}

/// Makes a user an admin, or an admin a user.
pub(super) async fn set_role(
    state: Data<State>,
    request: HttpRequest,
    body: Payload,
) -> Result<HttpResponse, Problem> {
    let (caller, _, _) = enter(&state, &request, Tab::Users).await?;
    let id = extract::user_id(&request)?;
    let mut form = Form::read(&state, &request, body, &["role", "back"]).await?;
    let role = form.text("role").and_then(|role| role.parse::<Role>().ok());
    if role.is_none() {
        form.fault("role", "expected `user` or `admin`");
    }
    form.finish()?;
    let change = UserChange { role, ..UserChange::default() };
    let (_, proof) = crate::http::auth::identify(&state, &request, None).await?;
    users::apply(&state, (caller, &proof), id, change, None, None).await?;
    see_other(&Notice::at(&back_to(form.text("back"), HERE), Deed::RoleSet, [1, 0, 0]))
}

/// Makes a user another token, and shows it this once. Asked about first: programs that have the old one are refused.
pub(super) async fn renew_token(
    state: Data<State>,
    passwords: Data<Passwords>,
    request: HttpRequest,
    body: Payload,
) -> Result<HttpResponse, Problem> {
    let (caller, frame, chrome) = enter(&state, &request, Tab::Users).await?;
    let user = named(&state, &request).await?;
    let form = Form::read(&state, &request, body, &["back", CONFIRMED]).await?;
    form.finish()?;
    let back = back_to(form.text("back"), HERE);
    let w = UserWords::of(frame.language());
    let name = called(&frame, &user);
    if form.text(CONFIRMED).is_none() {
        let ask = Ask {
            question: filled(w.ask_token, &[&name]),
            warning: Some(w.token_warning),
            yes: w.renew,
            danger: false,
            action: request.path().to_owned(),
            fields: Vec::new(),
            back,
        };
        return confirm::page(frame, chrome, ask);
    }
    let (_, proof) = crate::http::auth::identify(&state, &request, None).await?;
    match users::renew(&state, &passwords, &request, (caller, &proof), user.id, None, None).await? {
        Done::Now((_, token)) => {
            let (lead, token) = (filled(w.token_lead, &[&name]), token.reveal());
            Frame::answer(&TokenPage { frame, chrome, w, lead, token, back }, StatusCode::OK)
        }
        Done::Before(_) => Err(Problem::internal("an answer was remembered that nobody had asked to")),
    }
}

/// Removes a user with all that is theirs. Asked about first.
pub(super) async fn delete(
    state: Data<State>,
    request: HttpRequest,
    body: Payload,
) -> Result<HttpResponse, Problem> {
    let (caller, frame, chrome) = enter(&state, &request, Tab::Users).await?;
    let user = named(&state, &request).await?;
    let form = Form::read(&state, &request, body, &["back", CONFIRMED]).await?;
    form.finish()?;
    let back = back_to(form.text("back"), HERE);
    if form.text(CONFIRMED).is_none() {
        let w = UserWords::of(frame.language());
        let ask = Ask {
            question: filled(w.ask_delete, &[&called(&frame, &user)]),
            warning: Some(w.delete_warning),
            yes: w.delete,
            danger: true,
            action: request.path().to_owned(),
            fields: Vec::new(),
            back,
        };
        return confirm::page(frame, chrome, ask);
    }
    users::remove(&state, caller, user.id, None).await?;
    see_other(&Notice::at(&back, Deed::Deleted, [1, 0, 0]))
}
