//! Who is calling: the credentials of a request become a [`Caller`] here.
//!
//! A caller is proven by `Authorization: Bearer`, by the session cookie, or by the fields of a form (`upload`); whoever
//! runs the daemon by the `operator`'s token. True here:
//! credentials that do not hold are refused, never taken for none (a cookie whose session is over is taken away with the
//! refusal, so it happens once); two proofs must be of the same user; and a user who is only named is not proven, unless
//! `auth.trust_user_id` says that naming is enough. Even then naming makes nobody an admin.

use actix_web::HttpRequest;
use actix_web::http::header;

use super::catalogue::Code;
use super::session::{self, Held};
use super::{Problem, State};
use crate::account::{Caller, Role, Token, TokenHash, User};
use crate::task::UserId;

/// By what a caller is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Proof {
    /// By nothing: anonymous.
    None,
    /// By a token, whatever else.
    Token,
    /// By this session alone.
    Session(TokenHash),
    /// By the name alone, where naming is enough.
    Named,
}

/// Who is calling; `named` is whom the query names.
pub(super) async fn caller(
    state: &State,
    request: &HttpRequest,
    named: Option<UserId>,
) -> Result<Caller, Problem> {
    identify(state, request, named).await.map(|(caller, _)| caller)
}

/// The same, and by what they are known.
pub(super) async fn identify(
    state: &State,
    request: &HttpRequest,
    named: Option<UserId>,
) -> Result<(Caller, Proof), Problem> {
    let (user, proof) = match (bearer(state, request).await?, in_session(state, request).await?) {
        (Some(Bearer::Operator), None) => return operator(named),
        (Some(Bearer::User(user)), None) => (user, Proof::Token),
        (None, Some((user, session))) => (user, Proof::Session(session)),
        (Some(Bearer::User(user)), Some((other, _))) if user.id == other.id => (user, Proof::Token),
        (Some(Bearer::User(_) | Bearer::Operator), Some(_)) => {
            let detail = "the token and the session cookie are those of two users: send one of them";
            return Err(Problem::new(Code::OtherUser, detail));
        }
        (None, None) => return by_name(state, named).await,
    };
    if let Some(named) = named {
        same(user.id, named, "user_id")?;
    }
    Ok((caller_of(&user), proof))
}

/// Whoever runs the daemon, who is no user.
fn operator(named: Option<UserId>) -> Result<(Caller, Proof), Problem> {
    match named {
        None => Ok((Caller::Admin(None), Proof::Token)),
        Some(named) => {
            let problem = format!("names user {named}, but the operator's token is no user's");
            Err(Problem::of_field(Code::OtherUser, "user_id", problem))
        }
    }
}

/// What a user who is proven may do.
fn caller_of(user: &User) -> Caller {
    match user.role {
        Role::User => Caller::User(user.id),
        Role::Admin => Caller::Admin(Some(user.id)),
    }
}

/// Nobody who proved anything.
async fn by_name(state: &State, named: Option<UserId>) -> Result<(Caller, Proof), Problem> {
    let Some(named) = named else { return Ok((Caller::Anonymous, Proof::None)) };
    if !state.auth.trust_user_id {
        return Err(unproven(named, ""));
    }
    match state.store.user(named).await? {
        Some(user) => Ok((Caller::User(user.id), Proof::Named)),
        None => Err(Problem::new(Code::Unauthenticated, format!("there is no user {named}"))),
    }
}

/// The same for a request whose body may hold the proof: who is calling as far as its head tells, and whom it names
/// without a proof so far.
pub(super) async fn caller_so_far(
    state: &State,
    request: &HttpRequest,
    named: Option<UserId>,
) -> Result<(Caller, Option<UserId>), Problem> {
    let proves = state.auth.trust_user_id
        || request.headers().contains_key(header::AUTHORIZATION)
        || !matches!(session::of(request), Held::None);
    if named.is_some() && !proves {
        return Ok((Caller::Anonymous, named));
    }
    Ok((caller(state, request, named).await?, None))
}

/// A user who is named and not proven; `also` is what would have proven it besides a header.
pub(super) fn unproven(named: UserId, also: &str) -> Problem {
    let detail = format!(
        "`user_id={named}` names a user but proves nothing: send `Authorization: Bearer <token>`, or log in{also}"
    );
    Problem::new(Code::Unauthenticated, detail)
}

/// The same, for reading: anonymous callers may read where they may create.
pub(super) async fn reader(
    state: &State,
    request: &HttpRequest,
    named: Option<UserId>,
) -> Result<Caller, Problem> {
    let caller = caller(state, request, named).await?;
    if caller == Caller::Anonymous && !state.auth.anonymous {
        let detail =
            "callers without an identity see nothing here: send `Authorization: Bearer <token>`, or log in";
        return Err(Problem::new(Code::Unauthenticated, detail));
    }
    Ok(caller)
}

/// The same, where only those who run the daemon are let in.
pub(super) async fn admin(
    state: &State,
    request: &HttpRequest,
    named: Option<UserId>,
) -> Result<Caller, Problem> {
    match caller(state, request, named).await? {
        admin @ Caller::Admin(_) => Ok(admin),
        Caller::User(_) => Err(Problem::new(Code::Forbidden, "this is for admins")),
        Caller::Anonymous => {
            let detail = "this is for admins: send `Authorization: Bearer <token>`, or log in";
            Err(Problem::new(Code::Unauthenticated, detail))
        }
    }
}

/// Whom a token proves.
enum Bearer {
    User(User),
    /// Whoever can read the daemon's data folder.
    Operator,
}

/// Whom the `Authorization` header proves; `None` without one.
async fn bearer(state: &State, request: &HttpRequest) -> Result<Option<Bearer>, Problem> {
    let mut headers = request.headers().get_all(header::AUTHORIZATION);
    let Some(value) = headers.next() else { return Ok(None) };
    if headers.next().is_some() {
        return Err(Problem::new(Code::InvalidToken, "`Authorization` is given twice"));
    }
    let token = value.to_str().ok().and_then(|value| {
        let (scheme, token) = value.trim().split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
    });
    match token {
        Some(token) if is_operator(state, request, token) => Ok(Some(Bearer::Operator)),
        Some(token) => user_of(state, token).await.map(|user| Some(Bearer::User(user))),
        None => Err(Problem::new(Code::InvalidToken, "expected `Authorization: Bearer <token>`")),
    }
}

fn is_operator(state: &State, request: &HttpRequest, token: &str) -> bool {
    state.operator.as_ref().is_some_and(|operator| operator.admits(request, token))
}

/// The user whose session the cookie names, and the session; `None` without one.
async fn in_session(state: &State, request: &HttpRequest) -> Result<Option<(User, TokenHash)>, Problem> {
    let user = match session::of(request) {
        Held::None => return Ok(None),
        Held::Session(session) => state.store.user_by_session(&session).await?.map(|user| (user, session)),
        Held::Nonsense => None,
    };
    let over = || Problem::new(Code::InvalidToken, "the session is over: log in again").ending_session();
    user.map(Some).ok_or_else(over)
}

/// The number of the user with that token.
pub(super) async fn owner_of(state: &State, token: &str) -> Result<UserId, Problem> {
    user_of(state, token).await.map(|user| user.id)
}

async fn user_of(state: &State, token: &str) -> Result<User, Problem> {
    let refused = || Problem::new(Code::InvalidToken, "the token is malformed, or nobody's");
    let token: Token = token.parse().map_err(|_| refused())?;
    state.store.user_by_token(&token.hash()).await?.ok_or_else(refused)
}

/// Refuses to take one user for another.
pub(super) fn same(proven: UserId, named: UserId, field: &str) -> Result<UserId, Problem> {
    if proven == named {
        return Ok(proven);
    }
    let problem = format!("names user {named}, but the credentials are those of another");
    Err(Problem::of_field(Code::OtherUser, field, problem))
}
