//! Who is calling: the credentials of a request become a [`Caller`] here.
//!
//! True here: credentials that do not hold are refused, never taken for none; and a user who is only named is not
//! proven, unless `auth.trust_user_id` says that naming is enough.

use actix_web::HttpRequest;
use actix_web::http::header;

use super::catalogue::Code;
use super::{Problem, State};
use crate::account::{Caller, Token};
use crate::task::UserId;

/// Who is calling; `named` is whom the query names.
pub(super) async fn caller(
    state: &State,
    request: &HttpRequest,
    named: Option<UserId>,
) -> Result<Caller, Problem> {
    match (bearer(state, request).await?, named) {
        (None, None) => Ok(Caller::Anonymous),
        (Some(proven), None) => Ok(Caller::User(proven)),
        (Some(proven), Some(named)) => same(proven, named, "user_id").map(Caller::User),
        (None, Some(named)) if state.auth.trust_user_id => match state.store.user(named).await? {
            Some(user) => Ok(Caller::User(user.id)),
            None => Err(Problem::new(Code::Unauthenticated, format!("there is no user {named}"))),
        },
        (None, Some(named)) => Err(unproven(named, "")),
    }
}

/// The same for a request whose body may hold the proof: who is calling as far as its head tells, and whom it names
/// without a proof so far.
pub(super) async fn caller_so_far(
    state: &State,
    request: &HttpRequest,
    named: Option<UserId>,
) -> Result<(Caller, Option<UserId>), Problem> {
    let proves = state.auth.trust_user_id || request.headers().contains_key(header::AUTHORIZATION);
    if named.is_some() && !proves {
        return Ok((Caller::Anonymous, named));
    }
    Ok((caller(state, request, named).await?, None))
}

/// A user who is named and not proven; `also` is what would have proven it besides a header.
pub(super) fn unproven(named: UserId, also: &str) -> Problem {
    let detail = format!(
        "`user_id={named}` names a user but proves nothing: send `Authorization: Bearer <token>`{also}"
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
        let detail = "callers without an identity see nothing here: send `Authorization: Bearer <token>`";
        return Err(Problem::new(Code::Unauthenticated, detail));
    }
    Ok(caller)
}

/// The user whom the `Authorization` header proves; `None` without one.
pub(super) async fn bearer(state: &State, request: &HttpRequest) -> Result<Option<UserId>, Problem> {
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
        Some(token) => owner_of(state, token).await.map(Some),
        None => Err(Problem::new(Code::InvalidToken, "expected `Authorization: Bearer <token>`")),
    }
}

/// The user with that token.
pub(super) async fn owner_of(state: &State, token: &str) -> Result<UserId, Problem> {
    let refused = || Problem::new(Code::InvalidToken, "the token is malformed, or nobody's");
    let token: Token = token.parse().map_err(|_| refused())?;
    state.store.user_by_token(&token.hash()).await?.map(|user| user.id).ok_or_else(refused)
}

/// Refuses to take one user for another.
pub(super) fn same(proven: UserId, named: UserId, field: &str) -> Result<UserId, Problem> {
    if proven == named {
        return Ok(proven);
    }
    let problem = format!("names user {named}, but the credentials are those of another");
    Err(Problem::of_field(Code::OtherUser, field, problem))
}
