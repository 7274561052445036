//! `gristmill user`: users made, listed, changed and removed by whoever runs the daemon; the first admin above all.
//!
//! Opens the database, so it works before the daemon was ever started. Where a daemon has its SQLite database to itself,
//! it asks that daemon instead, as its operator (`app::Operator`): whoever can read the data folder.

mod daemon;
mod direct;

use std::io::BufRead as _;
use std::sync::Arc;

use clap::{Args, Subcommand};
use serde::{Deserialize, Serialize};

use self::daemon::Daemon;
use super::{Exit, block_on};
use crate::account::{Email, Hasher, Name, NewUser, Password, Role, Token};
use crate::app::{Operator, open_store};
use crate::clock::Clock;
use crate::config::Settings;
use crate::kinds;
use crate::store::{Store, StoreError};
use crate::task::UserId;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Make a user. Their number and their token are printed, the token this once.
    Add(Add),
    /// The users, by number.
    List {
        /// As JSON, for scripts.
        #[arg(long)]
        json: bool,
    },
    /// Give a user another token, which is printed this once; the old one is nobody's from then on.
    Token {
        /// The user's number.
        id: i64,
        /// As JSON, for scripts.
        #[arg(long)]
        json: bool,
    },
    /// Remove a user with all that is theirs.
    Delete {
        /// The user's number.
        id: i64,
    },
    /// Say what a user may do.
    Role {
        /// The user's number.
        id: i64,
        /// `admin` or `user`.
        role: Role,
    },
}

/// A user to be made: with a name, an e-mail, or both.
#[derive(Debug, Args)]
pub(super) struct Add {
    /// Who may do everything.
    #[arg(long)]
    admin: bool,
    /// What they are called.
    #[arg(long, required_unless_present = "email")]
    name: Option<Name>,
    /// Where they are reached; of one user only.
    #[arg(long)]
    email: Option<Email>,
    /// Read a password to log in with from the first line of standard input.
    #[arg(long)]
    password_stdin: bool,
    /// As JSON, for scripts.
    #[arg(long)]
    json: bool,
}

/// A user as both ways know them, and as scripts get them.
#[derive(Debug, Serialize, Deserialize)]
struct Line {
    id: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<String>,
    role: String,
    created_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<String>,
}

/// Why it was not done.
#[derive(Debug)]
enum Problem {
    /// What was asked for cannot be.
    Usage(String),
    /// It failed.
    Failed(String),
}

/// A user to be made, the password still as it was typed.
struct Wanted<'a> {
    name: Option<&'a Name>,
    email: Option<&'a Email>,
    password: Option<String>,
    role: Role,
}

/// The way to the users.
enum Door {
    /// The database itself.
    Store(Arc<dyn Store>),
    /// The daemon that has it.
    Daemon(Daemon),
}

/// Does it.
pub(super) fn run(command: &Command, settings: &Settings) -> Exit {
    let problem = match block_on(act(command, settings)) {
        Ok(Ok(())) => return Exit::Done,
        Ok(Err(problem)) => problem,
        Err(error) => Problem::Failed(format!("the runtime cannot be started: {error}")),
    };
    let (told, exit) = match problem {
        Problem::Usage(told) => (told, Exit::Usage),
        Problem::Failed(told) => (told, Exit::Failed),
    };
    eprintln!("gristmill: {told}");
    exit
}

async fn act(command: &Command, settings: &Settings) -> Result<(), Problem> {
    // Before anything is opened.
    let password = match command {
        Command::Add(Add { password_stdin: true, .. }) => Some(read_password()?),
        Command::Add(_)
        | Command::List { .. }
        | Command::Token { .. }
        | Command::Delete { .. }
        | Command::Role { .. } => None,
    };
    let door = open(settings).await?;
    let done = match command {
        Command::Add(add) => door.add(add, password, settings).await,
        Command::List { json } => door.list(*json).await,
        Command::Token { id, json } => door.renew_token(UserId(*id), *json).await,
        Command::Delete { id } => door.delete(UserId(*id)).await,
        Command::Role { id, role } => door.set_role(UserId(*id), *role).await,
    };
    if let Door::Store(store) = door {
        store.close().await;
    }
    done
}

/// The first line of standard input, without its end.
fn read_password() -> Result<String, Problem> {
    let mut line = String::new();
    let limit = Password::MAX_BYTES as u64 + 2;
    let read = std::io::Read::take(std::io::stdin().lock(), limit).read_line(&mut line);
    read.map_err(|error| Problem::Usage(format!("the password cannot be read: {error}")))?;
    let password = line.trim_end_matches(['\r', '\n']);
    // Judged here, so that both ways say the same.
    let judged: Result<Password, _> = password.parse();
    judged.map_err(|error| Problem::Usage(error.to_string()))?;
    Ok(password.to_owned())
}

async fn open(settings: &Settings) -> Result<Door, Problem> {
    match open_store(settings, &kinds::outside(&settings.kinds), Clock::system()).await {
        Ok(store) => Ok(Door::Store(store)),
        Err(error @ StoreError::InUse { .. }) => match Operator::read(settings.data_dir()) {
            Ok(operator) => Daemon::new(&operator).map(Door::Daemon),
            Err(unread) => Err(Problem::Failed(format!(
                "{error}; and the daemon there cannot be asked instead: {unread}. It may be starting or ending: try again \
                 in a moment, as the user that it runs as"
            ))),
        },
        Err(error) => Err(Problem::Failed(error.to_string())),
    }
}

impl Door {
    async fn add(&self, add: &Add, password: Option<String>, settings: &Settings) -> Result<(), Problem> {
        let role = if add.admin { Role::Admin } else { Role::User };
        let wanted = Wanted { name: add.name.as_ref(), email: add.email.as_ref(), password, role };
        let line = match self {
            Self::Store(store) => {
                let token = Token::fresh();
                let user = new_user(wanted, &token, settings)?;
                direct::add(store.as_ref(), user, &token).await?
            }
            Self::Daemon(daemon) => daemon.add(&wanted).await?,
        };
        show_token(&line, add.json)
    }

    async fn list(&self, json: bool) -> Result<(), Problem> {
        let lines = match self {
            Self::Store(store) => direct::list(store.as_ref()).await?,
            Self::Daemon(daemon) => daemon.list().await?,
        };
        if json {
            return say_json(&lines);
        }
        say!("{:>8}  {:<5}  {:<27}  {:<24}  e-mail", "id", "role", "since", "name");
        for Line { id, name, email, role, created_at, token: _ } in &lines {
            let (name, email) = (name.as_deref().unwrap_or("-"), email.as_deref().unwrap_or("-"));
            say!("{id:>8}  {role:<5}  {created_at:<27}  {name:<24}  {email}");
        }
        Ok(())
    }

    async fn renew_token(&self, id: UserId, json: bool) -> Result<(), Problem> {
        let line = match self {
            Self::Store(store) => direct::renew_token(store.as_ref(), id).await?,
            Self::Daemon(daemon) => daemon.renew_token(id).await?,
        };
        show_token(&line, json)
    }

    async fn delete(&self, id: UserId) -> Result<(), Problem> {
        match self {
            Self::Store(store) => direct::delete(store.as_ref(), id).await?,
            Self::Daemon(daemon) => daemon.delete(id).await?,
        }
        say!("user {id} is gone, with all that was theirs");
        Ok(())
    }

    async fn set_role(&self, id: UserId, role: Role) -> Result<(), Problem> {
        match self {
            Self::Store(store) => direct::set_role(store.as_ref(), id, role).await?,
            Self::Daemon(daemon) => daemon.set_role(id, role).await?,
        }
        say!("user {id}: {}", role.as_str());
        Ok(())
    }
}

fn new_user(wanted: Wanted<'_>, token: &Token, settings: &Settings) -> Result<NewUser, Problem> {
    let usage = |told: String| Problem::Usage(told);
    let mut user = NewUser::new(wanted.name.cloned(), wanted.email.cloned(), token.hash())
        .map_err(|error| usage(error.to_string()))?;
    user.role = wanted.role;
    if let Some(password) = &wanted.password {
        let password: Password =
            password.parse().map_err(|error: crate::account::UserError| usage(error.to_string()))?;
        let hashed = Hasher::new(settings.auth.argon2_memory, settings.auth.argon2_passes)
            .and_then(|hasher| hasher.hash(&password))
            .map_err(|error| Problem::Failed(error.to_string()))?;
        user.password = Some(hashed);
    }
    Ok(user)
}

fn show_token(line: &Line, json: bool) -> Result<(), Problem> {
    if json {
        return say_json(line);
    }
    say!("id:    {}", line.id);
    say!("role:  {}", line.role);
    match &line.token {
        Some(token) => say!("token: {token}"),
        None => return Err(Problem::Failed("the daemon gave no token".to_owned())),
    }
    Ok(())
}

fn say_json<T: Serialize>(value: &T) -> Result<(), Problem> {
    let text = serde_json::to_string_pretty(value).map_err(|error| Problem::Failed(error.to_string()))?;
    say!("{text}");
    Ok(())
}
