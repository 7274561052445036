//! `/users`: who there is, and what each says of themselves.
//!
//! True here: a token is told in the one answer that makes it; anybody may look at a profile, and nobody but its user and
//! admins may change it. A password or a token that stands for its user is changed by whoever has the token, by an admin,
//! or, with a session cookie, by whoever also knows the password.

use actix_web::http::{StatusCode, header};
use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};

use super::auth::Proof;
use super::catalogue::Code;
use super::extract::{self, Query};
use super::idempotency::{Key, remembered, replayed};
use super::listing::{self, Cut, PageParams, Wanted};
use super::passwords::Passwords;
use super::tasks::{UserParam, json_answer, named};
use super::user_form::{self, ChangeForm, NewTokenSchema, NewUserForm, NewUserSchema, UserChangeSchema};
use super::user_view::{self, UserView, WithToken, called, private_answer};
use super::{Problem, State, auth, avatar, image_limits, session};
use crate::account::{Caller, Change, NewUser, Role, Token, TokenHash, User, UserChange};
use crate::blob::Kept;
use crate::intake::Done;
use crate::store::{RememberedAnswer, Reply};
use crate::task::UserId;
use crate::telemetry::Action;

/// Creates a user. The token is shown this once: who loses it, be it with an answer that did not arrive, logs in by the
/// password and makes another token, or makes another user.
#[utoipa::path(
    post, path = "/users", operation_id = "createUser", tag = "Users", 
    request_body(content = NewUserSchema, description = "A name or an e-mail, or both."),
    responses((status = 201, description = "Created.", body = WithToken<'_>,
        headers(("location" = String, description = "`/users/{id}`")))),
)]
pub(super) async fn create(
    state: Data<State>,
    passwords: Data<Passwords>,
    request: HttpRequest,
    body: Payload,
) -> Result<HttpResponse, Problem> {
    Query::of(&request, &[]).finish()?;
    let key = Key::of(&request)?;
    let body = extract::json_body(&state, &request, body).await?;
    let form = user_form::new(&body, state.images.max_bytes)?;
    match make(&state, &passwords, &request, form, key).await? {
        Done::Now((user, token)) => {
            let mut answer = HttpResponse::Created();
            answer.insert_header((header::LOCATION, place(user.id)));
            Ok(private_answer(answer, user_view::with_token(&user, Some(token.reveal()))))
        }
        Done::Before(answer) => replayed(answer),
    }
}

/// Makes a user of what was sent, with the token that is theirs.
pub(super) async fn make(
    state: &State,
    passwords: &Passwords,
    request: &HttpRequest,
    form: NewUserForm,
    key: Option<Key>,
) -> Result<Done<(User, Token)>, Problem> {
    let token = Token::fresh();
    let mut user = NewUser::new(form.name, form.email, token.hash())?;
    user.gender = form.gender;
    user.role = form.role.unwrap_or_default();
    if user.role != Role::default() {
        check_admin(auth::caller(state, request, None).await?)?;
    }
    if let Some(password) = form.password {
        user.password = Some(passwords.chosen(state, request, password).await?);
    }
    let mut pinned = None;
    if let Some(bytes) = form.avatar {
        image_limits::spend(state, request, None, 1).await?;
        let (picture, kept) = avatar::take(state, bytes).await?;
        user.avatar = Some(picture);
        pinned = Some(kept);
    }
    // Nobody needs to say who they are here: the keys are those of callers without an identity.
    let remember = key.map(|key| key.remember(request, Caller::Anonymous, &slices(&form.parts), created));
    let done = state.intake.create_user(user, remember).await?;
    // A row names it now, or nothing does.
    drop(pinned);
    Ok(match done {
        Done::Now(user) => {
            state.actions.record(&Action::UserCreated { name: called(&user) });
            Done::Now((user, token))
        }
        Done::Before(answer) => Done::Before(answer),
    })
}

/// What to remember of a user who was made: not the token.
fn created(reply: &Reply) -> Option<RememberedAnswer> {
    let Reply::UserCreated(Some(user)) = reply else { return None };
    Some(remembered(StatusCode::CREATED, Some(place(user.id)), user_view::with_token(user, None)))
}

fn place(user: UserId) -> String {
    format!("/users/{user}")
}

/// The same under the name that the audio service documents.
#[utoipa::path(
    post, path = "/user", operation_id = "createUserAlias", tag = "Users", 
    request_body(content = NewUserSchema, description = "A name or an e-mail, or both."),
    responses((status = 201, description = "Created.", body = WithToken<'_>,
        headers(("location" = String, description = "`/users/{id}`")))),
)]
pub(super) async fn create_alias(
    state: Data<State>,
    passwords: Data<Passwords>,
    request: HttpRequest,
    body: Payload,
) -> Result<HttpResponse, Problem> {
    create(state, passwords, request, body).await
}

/// The users, by number. A page may be followed by more: follow `Link` until there is none.
#[utoipa::path(
    get, path = "/users", operation_id = "listUsers", tag = "Users", params(PageParams, UserParam),
    responses((status = 200, description = "A page of users.", body = Vec<UserView<'_>>,
        headers(("link" = String, description = "`<...>; rel=\"next\"`, where there are more")))),
)]
pub(super) async fn list(state: Data<State>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let mut query = Query::of(&request, listing::PARAMETERS);
    let Wanted { limit, after, named } = Wanted::read(&mut query);
    query.finish()?;
    let caller = auth::caller(&state, &request, named).await?;
    let found = state.store.users(after.map(UserId), limit + 1).await?;
    let Cut { page: users, next } = listing::cut(found, limit, |user| user.id.0);
    Ok(json_answer(listing::answer(&request, next)?, user_view::many(&users, caller)))
}

/// A user.
#[utoipa::path(
    get, path = "/users/{id}", operation_id = "getUser", tag = "Users", params(UserPath, UserParam),
    responses((status = 200, description = "The user.", body = UserView<'_>)),
)]
pub(super) async fn get(state: Data<State>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let id = extract::user_id(&request)?;
    let caller = auth::caller(&state, &request, named(&request)?).await?;
    let user = state.store.user(id).await?.ok_or_else(|| Problem::no_user(id))?;
    Ok(private_answer(HttpResponse::Ok(), user_view::one(&user, caller)))
}

/// Changes a user, as a merge patch (RFC 7396): what is left out stays, `null` takes away. A new password ends the
/// sessions that the old one began, except the one that asks.
#[utoipa::path(
    patch, path = "/users/{id}", operation_id = "changeUser", tag = "Users", params(UserPath, UserParam),
    request_body(
        description = "What is to be other than it is.",
        content((UserChangeSchema = "application/json"), (UserChangeSchema = "application/merge-patch+json")),
    ),
    responses((status = 200, description = "The user as changed.", body = UserView<'_>)),
)]
pub(super) async fn change(
    state: Data<State>,
    passwords: Data<Passwords>,
    request: HttpRequest,
    body: Payload,
) -> Result<HttpResponse, Problem> {
    let id = extract::user_id(&request)?;
    let (caller, proof) = auth::identify(&state, &request, named(&request)?).await?;
    check_theirs(caller, id)?;
    let key = Key::of(&request)?;
    let body = extract::json_body(&state, &request, body).await?;
    let form = user_form::change(&body, state.images.max_bytes)?;
    match alter(&state, &passwords, &request, (caller, &proof), id, form, key).await? {
        Done::Now(user) => Ok(private_answer(HttpResponse::Ok(), user_view::own(&user))),
        Done::Before(answer) => replayed(answer),
    }
}

/// Changes a user as was sent, for a caller who may.
pub(super) async fn alter(
    state: &State,
    passwords: &Passwords,
    request: &HttpRequest,
    (caller, proof): (Caller, &Proof),
    id: UserId,
    form: ChangeForm,
    key: Option<Key>,
) -> Result<Done<User>, Problem> {
    check_theirs(caller, id)?;
    let sensitive = form.password != Change::Keep;
    confirm(state, passwords, (caller, proof), id, sensitive, form.current_password.as_deref()).await?;
    let password = match form.password {
        Change::Keep => Change::Keep,
        Change::Set(password) => {
            let hash = passwords.chosen(state, request, password).await?;
            Change::Set(hash)
        }
        Change::Clear => Change::Clear,
    };
    let (picture, pinned) = match form.avatar {
        Change::Keep => (Change::Keep, None),
        Change::Set(bytes) => {
            image_limits::spend(state, request, caller.user(), 1).await?;
            let (picture, kept) = avatar::take(state, bytes).await?;
            (Change::Set(picture), Some(kept))
        }
        Change::Clear => (Change::Clear, None),
    };
    let change = UserChange {
        name: form.name,
        email: form.email,
        gender: form.gender,
        avatar: picture,
        password,
        role: form.role,
        token: None,
    };
    let remember = key.map(|key| key.remember(request, caller, &slices(&form.parts), changed));
    apply(state, (caller, proof), id, change, pinned, remember).await
}

/// What to remember of a change.
fn changed(reply: &Reply) -> Option<RememberedAnswer> {
    let Reply::UserChanged(Ok(user)) = reply else { return None };
    Some(remembered(StatusCode::OK, None, user_view::own(user)))
}

/// Makes the user another token; the old one is nobody's from then on. It is shown this once.
#[utoipa::path(
    post, path = "/users/{id}/token", operation_id = "renewToken", tag = "Users", params(UserPath, UserParam),
    request_body(content = NewTokenSchema, description = "May be empty."),
    responses((status = 200, description = "The user with the new token.", body = WithToken<'_>)),
)]
pub(super) async fn renew_token(
    state: Data<State>,
    passwords: Data<Passwords>,
    request: HttpRequest,
    body: Payload,
) -> Result<HttpResponse, Problem> {
    let id = extract::user_id(&request)?;
    let (caller, proof) = auth::identify(&state, &request, named(&request)?).await?;
    check_theirs(caller, id)?;
    let key = Key::of(&request)?;
    let body = extract::json_body(&state, &request, body).await?;
    let current = user_form::token(&body)?;
    match renew(&state, &passwords, &request, (caller, &proof), id, current.as_deref(), key).await? {
        Done::Now((user, token)) => {
            let body = user_view::with_token(&user, Some(token.reveal()));
            Ok(private_answer(HttpResponse::Ok(), body))
        }
        Done::Before(answer) => replayed(answer),
    }
}

/// Makes the user another token, for a caller who may; `current` is the password as it is.
pub(super) async fn renew(
    state: &State,
    passwords: &Passwords,
    request: &HttpRequest,
    (caller, proof): (Caller, &Proof),
    id: UserId,
    current: Option<&str>,
    key: Option<Key>,
) -> Result<Done<(User, Token)>, Problem> {
    check_theirs(caller, id)?;
    confirm(state, passwords, (caller, proof), id, true, current).await?;
    let token = Token::fresh();
    let change = UserChange { token: Some(token.hash()), ..UserChange::default() };
    let remember = key.map(|key| key.remember(request, caller, &[], renewed));
    Ok(match apply(state, (caller, proof), id, change, None, remember).await? {
        Done::Now(user) => Done::Now((user, token)),
        Done::Before(answer) => Done::Before(answer),
    })
}

/// What to remember of a new token: not the token.
fn renewed(reply: &Reply) -> Option<RememberedAnswer> {
    let Reply::UserChanged(Ok(user)) = reply else { return None };
    Some(remembered(StatusCode::OK, None, user_view::with_token(user, None)))
}

/// Removes a user with all that is theirs: sessions, tasks, images, recordings, the picture. The token is nobody's at
/// once.
#[utoipa::path(
    delete, path = "/users/{id}", operation_id = "deleteUser", tag = "Users", params(UserPath, UserParam),
    responses((status = 204, description = "They are gone.")),
)]
pub(super) async fn delete(state: Data<State>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let id = extract::user_id(&request)?;
    let caller = auth::caller(&state, &request, named(&request)?).await?;
    check_theirs(caller, id)?;
    let remember = Key::of(&request)?.map(|key| key.remember(&request, caller, &[], gone));
    if let Done::Before(answer) = remove(&state, caller, id, remember).await? {
        return replayed(answer);
    }
    let mut answer = HttpResponse::NoContent();
    if caller.user() == Some(id) && !matches!(session::of(&request), session::Held::None) {
        answer.insert_header((header::SET_COOKIE, session::taken_away()));
    }
    Ok(answer.finish())
}

/// Removes a user, for a caller who may.
pub(super) async fn remove(
    state: &State,
    caller: Caller,
    id: UserId,
    remember: Option<crate::store::Remember>,
) -> Result<Done<User>, Problem> {
    check_theirs(caller, id)?;
    let done = state.intake.delete_user(caller, id, remember).await?;
    if let Done::Now(user) = &done {
        state.actions.record(&Action::UserDeleted { name: called(user) });
    }
    Ok(done)
}

fn gone(reply: &Reply) -> Option<RememberedAnswer> {
    let Reply::UserChanged(Ok(_)) = reply else { return None };
    Some(remembered(StatusCode::NO_CONTENT, None, Vec::new()))
}

/// Writes a change down. What the proof is a session of goes on; a picture stays pinned until its row names it.
pub(super) async fn apply(
    state: &State,
    (caller, proof): (Caller, &Proof),
    id: UserId,
    change: UserChange,
    pinned: Option<Kept>,
    remember: Option<crate::store::Remember>,
) -> Result<Done<User>, Problem> {
    let done = state.intake.change_user(caller, id, change, session_of(proof), remember).await?;
    drop(pinned);
    if let Done::Now(user) = &done {
        state.actions.record(&Action::UserChanged { name: called(user) });
    }
    Ok(done)
}

fn session_of(proof: &Proof) -> Option<TokenHash> {
    match proof {
        Proof::Session(session) => Some(session.clone()),
        Proof::None | Proof::Token | Proof::Named => None,
    }
}

/// Refuses what a session cookie, or a mere name, is not enough for: to change what stands for oneself one has to know
/// the password, where there is one. A current password that is given has to be right in any case.
async fn confirm(
    state: &State,
    passwords: &Passwords,
    (caller, proof): (Caller, &Proof),
    id: UserId,
    sensitive: bool,
    current: Option<&str>,
) -> Result<(), Problem> {
    let by_token = match proof {
        Proof::Token => true,
        Proof::None | Proof::Session(_) | Proof::Named => false,
    };
    let needed = sensitive && !by_token && caller.user() == Some(id);
    if !needed && current.is_none() {
        return Ok(());
    }
    let user = state.store.user(id).await?.ok_or_else(|| Problem::no_user(id))?;
    match current {
        Some(current) => passwords.confirm(state, &user, current).await,
        None if user.has_password => {
            let problem = "with a session, a change of the password or the token needs the password as it is";
            Err(Problem::of_field(Code::Forbidden, "current_password", problem))
        }
        None => Ok(()),
    }
}

/// Refuses who is neither that user nor an admin.
pub(super) fn check_theirs(caller: Caller, id: UserId) -> Result<(), Problem> {
    if caller.may_change(id) {
        return Ok(());
    }
    Err(match caller {
        Caller::Anonymous => {
            let detail = format!(
                "only user {id} and admins may do that: send `Authorization: Bearer <token>`, or log in"
            );
            Problem::new(Code::Unauthenticated, detail)
        }
        Caller::User(_) | Caller::Admin(_) => {
            Problem::new(Code::Forbidden, format!("only user {id} and admins may do that"))
        }
    })
}

/// Refuses who is no admin.
fn check_admin(caller: Caller) -> Result<(), Problem> {
    match caller {
        Caller::Admin(_) => Ok(()),
        Caller::User(_) => Err(Problem::of_field(Code::Forbidden, "role", "only an admin may make admins")),
        Caller::Anonymous => {
            let detail = "only an admin may make admins: send `Authorization: Bearer <token>`, or log in";
            Err(Problem::new(Code::Unauthenticated, detail))
        }
    }
}

fn slices(parts: &[Vec<u8>]) -> Vec<&[u8]> {
    parts.iter().map(Vec::as_slice).collect()
}

/// The user in the path.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Path)]
#[expect(dead_code, reason = "documents what `extract::user_id` reads")]
pub(super) struct UserPath {
    /// The user's number.
    #[param(minimum = 1)]
    id: i64,
}
