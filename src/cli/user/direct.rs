//! Users through the database itself. Where daemons run on it as well (PostgreSQL), they see what changes at once.

use super::{Line, Problem};
use crate::account::{Caller, NewUser, Role, Token, User, UserChange};
use crate::store::{Command, Reply, Store};
use crate::task::UserId;

/// Whoever can open the database runs the daemon.
const OPERATOR: Caller = Caller::Admin(None);

/// So many users are read, and so many tasks removed, at a time.
const PAGE: u32 = 500;

pub(super) async fn add(store: &dyn Store, user: NewUser, token: &Token) -> Result<Line, Problem> {
    let Reply::UserCreated(made) = commit(store, Command::CreateUser(user)).await? else {
        return Err(mismatch());
    };
    made.map(|user| line(&user, Some(token))).ok_or_else(email_taken)
}

pub(super) async fn list(store: &dyn Store) -> Result<Vec<Line>, Problem> {
    let mut lines: Vec<Line> = Vec::new();
    loop {
        let after = lines.last().map(|line| UserId(line.id));
        let page = store.users(after, PAGE).await.map_err(failed)?;
        lines.extend(page.iter().map(|user| line(user, None)));
        if page.len() < PAGE as usize {
            return Ok(lines);
        }
    }
}

pub(super) async fn renew_token(store: &dyn Store, user: UserId) -> Result<Line, Problem> {
    let token = Token::fresh();
    let change = UserChange { token: Some(token.hash()), ..UserChange::default() };
    change_user(store, user, change).await.map(|user| line(&user, Some(&token)))
}

pub(super) async fn set_role(store: &dyn Store, user: UserId, role: Role) -> Result<(), Problem> {
    change_user(store, user, UserChange { role: Some(role), ..UserChange::default() }).await.map(drop)
}

/// Removes the user, and all that is theirs, which no daemon may be there to do.
pub(super) async fn delete(store: &dyn Store, user: UserId) -> Result<(), Problem> {
    changed(commit(store, Command::DeleteUser { user, caller: OPERATOR }).await?)?;
    loop {
        let Reply::Purged(purged) = commit(store, Command::Purge { limit: PAGE }).await? else {
            return Err(mismatch());
        };
        if !purged.more {
            return Ok(());
        }
    }
}

async fn change_user(store: &dyn Store, user: UserId, change: UserChange) -> Result<User, Problem> {
    changed(commit(store, Command::ChangeUser { user, caller: OPERATOR, change, session: None }).await?)
}

fn changed(reply: Reply) -> Result<User, Problem> {
    let Reply::UserChanged(changed) = reply else { return Err(mismatch()) };
    changed.map(|user| *user).map_err(|refused| Problem::Failed(refused.to_string()))
}

async fn commit(store: &dyn Store, command: Command) -> Result<Reply, Problem> {
    let mut committed = store.commit(&[command]).await.map_err(failed)?;
    match committed.replies.pop() {
        Some(Ok(reply)) => Ok(reply),
        Some(Err(error)) if error.is_unique_violation() => Err(email_taken()),
        Some(Err(error)) => Err(failed(error)),
        None => Err(Problem::Failed("the database gave no answer".to_owned())),
    }
}

fn line(user: &User, token: Option<&Token>) -> Line {
    Line {
        id: user.id.0,
        name: user.name.as_ref().map(|name| name.as_str().to_owned()),
        email: user.email.as_ref().map(|email| email.as_str().to_owned()),
        role: user.role.as_str().to_owned(),
        created_at: user.created_at.to_string(),
        token: token.map(Token::reveal),
    }
}

fn failed(error: crate::store::StoreError) -> Problem {
    Problem::Failed(error.to_string())
}

fn email_taken() -> Problem {
    Problem::Failed("a user with this e-mail exists already".to_owned())
}

fn mismatch() -> Problem {
    Problem::Failed("the database answered something else than was asked".to_owned())
}
