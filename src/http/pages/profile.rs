//! `/profile`: what a user says of themselves, their password and token, counters, and the order of a report.
//!
//! True here: it is about whoever is logged in, and changes by the functions of the API, so that what needs the password
//! as it is needs it here as well. Whoever is nobody is led to the login.

use actix_web::http::StatusCode;
use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;
use serde_json::{Map, Value, json};

use super::assets::Asset;
use super::entry::{Fresh, set_cookie, token_page, user_of};
use super::form::Form;
use super::frame::{Frame, Section, Visitor};
use super::preferences::Look;
use super::tasks::Moment;
use super::told::{self, Told};
use super::words::filled;
use super::words::people::ProfileWords;
use super::words::written::{signed, size, status, status_class};
use super::{formats, see_other};
use crate::account::{Caller, Change, User};
use crate::http::auth::{self, Proof};
use crate::http::catalogue::Code;
use crate::http::image_desk::Desk;
use crate::http::passwords::Passwords;
use crate::http::spool::{blocking, whole};
use crate::http::upload::Unproven;
use crate::http::{Problem, State, image_form, reports, session, user_form, users};
use crate::intake::Done;
use crate::kinds::report;
use crate::media::report::Language;
use crate::store::{Order, Page, TaskFilter};
use crate::task::{Task, UserId};

/// Over how many days a report may look.
const DAYS: [u32; 4] = [7, 14, 30, 90];

/// How many of the user's reports are listed.
const REPORTS: u32 = 5;

#[derive(Template)]
#[template(path = "profile.html")]
struct ProfilePage {
    frame: Frame,
    w: &'static ProfileWords,
    told: Option<Told>,
    saved: bool,
    user: User,
    alt: String,
    picture_hint: String,
    counters: Vec<(String, String)>,
    reports: Vec<Ordered>,
}

/// A report that was ordered.
struct Ordered {
    href: String,
    asked: Moment,
    status: &'static str,
    class: &'static str,
}

impl Ordered {
    /// The report that the task makes; `None` where its input is no order.
    fn of(language: Language, task: &Task) -> Option<Self> {
        let payload: report::Payload = serde_json::from_str(task.payload.as_str()).ok()?;
        Some(Self {
            href: reports::link(payload.report),
            asked: Moment::of(language, task.created_at),
            status: status(language, task.life.status()),
            class: status_class(task.life.status()),
        })
    }
}

/// The user's newest reports: each has gone with its task once it is no longer kept.
async fn ordered(state: &State, language: Language, user: UserId) -> Result<Vec<Ordered>, Problem> {
    let filter = TaskFilter { kind: Some(report::kind()), ..TaskFilter::of(Caller::User(user)) };
    let page = Page { after: None, order: Order::Descending, limit: REPORTS };
    let tasks = state.store.tasks(&filter, &page).await?;
    Ok(tasks.iter().filter_map(|task| Ordered::of(language, task)).collect())
}

impl ProfilePage {
    fn name(&self) -> &str {
        self.user.name.as_ref().map_or("", |name| name.as_str())
    }

    fn email(&self) -> &str {
        self.user.email.as_ref().map_or("", |email| email.as_str())
    }

    fn gender(&self) -> &str {
        self.user.gender.as_ref().map_or("", |gender| gender.as_str())
    }

    fn days(&self) -> [u32; 4] {
        DAYS
    }
}

/// Who is logged in, as the API knows them.
struct Own {
    id: UserId,
    caller: Caller,
    proof: Proof,
}

impl Own {
    async fn of(state: &State, request: &HttpRequest) -> Result<Self, Problem> {
        let (caller, proof) = auth::identify(state, request, None).await?;
        Ok(Self { id: user_of(caller)?, caller, proof })
    }

    fn known(&self) -> (Caller, &Proof) {
        (self.caller, &self.proof)
    }
}

async fn page(
    state: &State,
    request: &HttpRequest,
    own: &Own,
    told: Option<Told>,
    saved: bool,
) -> Result<ProfilePage, Problem> {
    let user = state.store.user(own.id).await?.ok_or_else(|| Problem::no_user(own.id))?;
    let counters = state.store.counters(own.id).await?.counters;
    let language = Look::of(request).language;
    let w = ProfileWords::of(language);
    let visitor = Visitor::of(state, own.caller).await?;
    let frame = Frame::new(request, visitor, Section::Profile, w.title);
    let called = user.name.as_ref().map_or_else(|| frame.user(user.id), ToString::to_string);
    let counters = counters.iter().map(|(name, value)| (name.to_string(), signed(language, value)));
    Ok(ProfilePage {
        alt: filled(w.picture_of, &[&called]),
        picture_hint: filled(
            w.picture_hint,
            &[&formats(state), &size(language, state.images.max_bytes.bytes())],
        ),
        counters: counters.collect(),
        reports: ordered(state, language, own.id).await?,
        frame,
        w,
        told,
        saved,
        user,
    })
}

/// The profile of whoever asks.
pub(super) async fn get(state: Data<State>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let own = Own::of(&state, &request).await?;
    let saved = request.query_string() == "done=saved";
    Frame::answer(&page(&state, &request, &own, None, saved).await?, StatusCode::OK)
}

/// What became of a form: back to the profile, or the profile with what is wrong.
async fn ended(
    state: &State,
    request: &HttpRequest,
    own: &Own,
    done: Result<(), Problem>,
) -> Result<HttpResponse, Problem> {
    let problem = match done {
        Ok(()) => return see_other("/profile?done=saved"),
        Err(problem) => problem,
    };
    let Some(told) = Told::of(request, &problem) else { return Err(problem) };
    let page = page(state, request, own, Some(told), false).await?;
    Err(told::rendered(problem, &page))
}

/// Changes name, e-mail and gender: what is left empty is taken away.
pub(super) async fn change(
    state: Data<State>,
    passwords: Data<Passwords>,
    request: HttpRequest,
    body: Payload,
) -> Result<HttpResponse, Problem> {
    let own = Own::of(&state, &request).await?;
    const FIELDS: [&str; 3] = ["name", "email", "gender"];
    let form = Form::read(&state, &request, body, &FIELDS).await?;
    let fields = FIELDS.iter().filter_map(|name| {
        let value = form.given(name)?;
        let value = if value.is_empty() { Value::Null } else { Value::from(value) };
        Some(((*name).to_owned(), value))
    });
    let body = Value::Object(fields.collect::<Map<String, Value>>());
    let done = alter(&state, &passwords, &request, &own, &form, &body).await;
    ended(&state, &request, &own, done).await
}

/// Changes the password.
pub(super) async fn change_password(
    state: Data<State>,
    passwords: Data<Passwords>,
    request: HttpRequest,
    body: Payload,
) -> Result<HttpResponse, Problem> {
    let own = Own::of(&state, &request).await?;
    let form = Form::read(&state, &request, body, &["current_password", "password"]).await?;
    let mut body = json!({"password": form.given("password").unwrap_or_default()});
    if let (Some(current), Some(fields)) = (form.text("current_password"), body.as_object_mut()) {
        fields.insert("current_password".to_owned(), Value::from(current));
    }
    let done = alter(&state, &passwords, &request, &own, &form, &body).await;
    ended(&state, &request, &own, done).await
}

/// Changes the user as a body of the API would.
async fn alter(
    state: &State,
    passwords: &Passwords,
    request: &HttpRequest,
    own: &Own,
    form: &Form,
    body: &Value,
) -> Result<(), Problem> {
    form.finish()?;
    let change = user_form::change(body.to_string().as_bytes(), state.images.max_bytes)?;
    users::alter(state, passwords, request, own.known(), own.id, change, None).await.map(drop)
}

/// Makes another token, and shows it.
pub(super) async fn renew_token(
    state: Data<State>,
    passwords: Data<Passwords>,
    request: HttpRequest,
    body: Payload,
) -> Result<HttpResponse, Problem> {
    let own = Own::of(&state, &request).await?;
    let form = Form::read(&state, &request, body, &["current_password"]).await?;
    form.finish()?;
    let current = form.text("current_password");
    match users::renew(&state, &passwords, &request, own.known(), own.id, current, None).await {
        Ok(Done::Now((user, token))) => token_page(&request, &user, &token, Fresh::Token),
        Ok(Done::Before(_)) => Err(Problem::internal("a token without a key was made before")),
        Err(problem) => ended(&state, &request, &own, Err(problem)).await,
    }
}

/// Sets the picture.
pub(super) async fn set_avatar(
    state: Data<State>,
    passwords: Data<Passwords>,
    desk: Data<Desk>,
    unproven: Data<Unproven>,
    request: HttpRequest,
    body: Payload,
) -> Result<HttpResponse, Problem> {
    let own = Own::of(&state, &request).await?;
    let parts = (&**desk, &**unproven);
    let read = image_form::read(&state, parts, &request, body, (own.caller, None)).await;
    let done = async {
        let files = read.map_err(|refusal| refusal.problem)?.files;
        let mut files = files.into_iter();
        let (Some(file), None) = (files.next(), files.next()) else {
            return Err(Problem::of_field(Code::InvalidForm, "file", "expected one file"));
        };
        let _share = desk.take(file.draft.len()).await?;
        let bytes = blocking(move || whole(&file.draft)).await??;
        change_avatar(&state, &passwords, &request, &own, Change::Set(bytes)).await
    };
    let done = done.await;
    ended(&state, &request, &own, done).await
}

/// Takes the picture away.
pub(super) async fn drop_avatar(
    state: Data<State>,
    passwords: Data<Passwords>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let own = Own::of(&state, &request).await?;
    let done = change_avatar(&state, &passwords, &request, &own, Change::Clear).await;
    ended(&state, &request, &own, done).await
}

async fn change_avatar(
    state: &State,
    passwords: &Passwords,
    request: &HttpRequest,
    own: &Own,
    avatar: Change<Vec<u8>>,
) -> Result<(), Problem> {
    let mut change = user_form::change(b"{}", state.images.max_bytes)?;
    change.avatar = avatar;
    users::alter(state, passwords, request, own.known(), own.id, change, None).await.map(drop)
}

/// Orders a report, and leads to where it will be.
pub(super) async fn report(
    state: Data<State>,
    request: HttpRequest,
    body: Payload,
) -> Result<HttpResponse, Problem> {
    let own = Own::of(&state, &request).await?;
    let form = Form::read(&state, &request, body, &["language", "days", "contact"]).await?;
    let ordered = async {
        form.finish()?;
        let language = form.text("language").unwrap_or_else(|| Look::of(&request).language.tag());
        let mut body = json!({"language": language, "contact": form.text("contact").is_some()});
        if let (Some(days), Some(fields)) = (form.text("days"), body.as_object_mut()) {
            // What is no number is refused as such by whoever reads the body.
            let days = days.parse::<u32>().map_or_else(|_| Value::from(days), Value::from);
            fields.insert("days".to_owned(), days);
        }
        let terms = reports::terms_of(&state, request.headers(), body.to_string().as_bytes())?;
        reports::order(&state, own.caller, own.id, terms).await
    };
    match ordered.await {
        Ok(id) => see_other(&reports::link(id)),
        Err(problem) => ended(&state, &request, &own, Err(problem)).await,
    }
}

/// Removes the user with all that is theirs.
pub(super) async fn delete(
    state: Data<State>,
    request: HttpRequest,
    body: Payload,
) -> Result<HttpResponse, Problem> {
    let own = Own::of(&state, &request).await?;
    let form = Form::read(&state, &request, body, &["sure"]).await?;
    form.finish()?;
    if form.text("sure").is_none() {
        let w = ProfileWords::of(Look::of(&request).language);
        let unsure = Problem::of_field(Code::InvalidForm, "sure", w.not_sure);
        return ended(&state, &request, &own, Err(unsure)).await;
    }
    users::remove(&state, own.caller, own.id, None).await?;
    let mut answer = see_other("/")?;
    set_cookie(&mut answer, &session::taken_away())?;
    Ok(answer)
}

#[derive(Template)]
#[template(path = "user.html")]
struct UserPage {
    frame: Frame,
    w: &'static ProfileWords,
    user: User,
    called: String,
    alt: String,
    role: &'static str,
    since: String,
    private: bool,
    own: bool,
    counters: Vec<(String, String)>,
}

/// The profile of a user, as whoever asks may see it.
pub(super) async fn of_user(state: Data<State>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let id = crate::http::extract::user_id(&request)?;
    let caller = auth::caller(&state, &request, crate::http::tasks::named(&request)?).await?;
    let user = state.store.user(id).await?.ok_or_else(|| Problem::no_user(id))?;
    let visitor = Visitor::of(&state, caller).await?;
    let language = Look::of(&request).language;
    let w = ProfileWords::of(language);
    let private = caller.may_change(id);
    let counters = if private { Some(state.store.counters(id).await?.counters) } else { None };
    let counters = counters.iter().flat_map(|counters| counters.iter());
    let counters = counters.map(|(name, value)| (name.to_string(), signed(language, value))).collect();
    let mut frame = Frame::new(&request, visitor, Section::None, "");
    let called = user.name.as_ref().map_or_else(|| frame.user(id), ToString::to_string);
    frame.title.clone_from(&called);
    let page = UserPage {
        alt: filled(w.picture_of, &[&called]),
        called,
        role: match user.role {
            crate::account::Role::User => w.role_user,
            crate::account::Role::Admin => w.role_admin,
        },
        since: super::words::written::instant(language, user.created_at),
        private,
        own: caller.user() == Some(id),
        counters,
        frame,
        w,
        user,
    };
    Frame::answer(&page, StatusCode::OK)
}
