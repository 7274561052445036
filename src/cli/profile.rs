//! `gristmill profile`: daemons by name, so that no command line needs an address or a token.

use std::io::{IsTerminal, Read};

use clap::{Args, Subcommand};
use serde_json::json;

use super::Exit;
use super::client::place::parse_token;
use super::client::profiles::{Profile, Profiles};
use super::problem::Problem;
use super::terminal::screen::ask_in_secret;
use super::terminal::table::{Cell, Column, Table};
use super::terminal::{Console, Manners};
use crate::account::Token;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Keep a daemon's address and a token for it under a name, or set them anew. The token is asked for, or read from
    /// standard input; it is never an argument.
    Add(Add),
    /// The profiles; never their tokens.
    List(Only),
    /// Use a profile where none is named.
    Use(Named),
    /// Forget a profile, and its token.
    Remove(Named),
}

#[derive(Debug, Args)]
pub(super) struct Add {
    /// What to call it.
    #[arg(value_parser = name)]
    name: String,
    /// Where the daemon is.
    #[arg(long)]
    url: String,
    /// The user whose token it is; `gristmill report` uses the number.
    #[arg(long, value_name = "ID")]
    user: Option<i64>,
    /// Without a token.
    #[arg(long)]
    no_token: bool,
    /// Use it from now on where none is named; the first one is anyhow.
    #[arg(long = "use")]
    used: bool,
    #[command(flatten)]
    manners: Manners,
}

#[derive(Debug, Args)]
pub(super) struct Only {
    #[command(flatten)]
    manners: Manners,
}

#[derive(Debug, Args)]
pub(super) struct Named {
    /// Which.
    name: String,
    #[command(flatten)]
    manners: Manners,
}

/// Does it.
pub(super) fn run(command: &Command) -> Exit {
    let done = match command {
        Command::Add(arguments) => add(arguments, &Console::new(&arguments.manners)),
        Command::List(Only { manners }) => list(&Console::new(manners)),
        Command::Use(Named { name, manners }) => {
            change(name, &Console::new(manners), "in use", Profiles::make_used)
        }
        Command::Remove(Named { name, manners }) => {
            change(name, &Console::new(manners), "forgotten", Profiles::remove)
        }
    };
    done.map_or_else(|problem| problem.say(), |()| Exit::Done)
}

fn add(arguments: &Add, console: &Console) -> Result<(), Problem> {
    let Add { name, url, user, no_token, used, .. } = arguments;
    let parsed = url::Url::parse(url).map_err(|error| Problem::usage(format!("--url {url}: {error}")))?;
    if !matches!(parsed.scheme(), "http" | "https") || parsed.host_str().is_none() {
        return Err(Problem::usage(format!("--url {url}: a daemon is at http:// or https://")));
    }
    if !parsed.username().is_empty() || parsed.password().is_some() {
        return Err(Problem::usage(
            "--url holds a user or a password, which are not sent: what counts is the token",
        ));
    }
    // What is there and wrong is said before anything is asked.
    let mut profiles = Profiles::read()?;
    let token = if *no_token { None } else { Some(token()?) };
    let near = match parsed.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(ip)) => ip.is_loopback(),
        Some(url::Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    };
    if parsed.scheme() == "http" && !near && token.is_some() {
        console.warn(&format!("the token goes to {url} unencrypted: whoever is on the way can read it"));
    }
    profiles.set(name, &Profile { url: url.clone(), token, user: *user });
    if *used {
        profiles.make_used(name);
    }
    profiles.write()?;
    let in_use = profiles.used() == Some(name);
    if console.json {
        return console.json_line(&json!({"name": name, "url": url, "user": user, "use": in_use}));
    }
    let so = if in_use { ", and in use" } else { "" };
    console.line(&format!("the profile `{name}` is in {}{so}", profiles.path().display()))
}

/// The token: asked for at a terminal, read from anything else.
fn token() -> Result<Token, Problem> {
    let text = if std::io::stdin().is_terminal() {
        ask_in_secret("token")?
    } else {
        let mut text = String::new();
        let read = std::io::stdin().lock().take(1 << 10).read_to_string(&mut text);
        read.map_err(|error| Problem::usage(format!("standard input: {error}")))?;
        text
    };
    if text.trim().is_empty() {
        return Err(Problem::usage("no token came").hint("--no-token keeps an address alone"));
    }
    parse_token(&text)
}

fn list(console: &Console) -> Result<(), Problem> {
    let profiles = Profiles::read()?;
    let names = profiles.names();
    if names.is_empty() && !console.json {
        console.remark(&format!("no profiles in {}", profiles.path().display()));
        return Ok(());
    }
    let mut table = Table::new(&[
        Column::new("NAME").least(8),
        Column::new("IN USE"),
        Column::new("URL").least(20),
        Column::new("TOKEN"),
        Column::new("USER").right().optional(),
    ]);
    for name in names {
        let in_use = profiles.used() == Some(name.as_str());
        let Profile { url, token, user } = profiles.get(&name)?;
        if console.json {
            let token = token.is_some();
            console
                .json_line(&json!({"name": name, "url": url, "user": user, "token": token, "use": in_use}))?;
            continue;
        }
        table.row(vec![
            Cell::new(&name),
            Cell::new(if in_use { "yes" } else { "" }),
            Cell::new(url),
            Cell::new(if token.is_some() { "kept" } else { "none" }),
            Cell::new(user.map(|user| user.to_string()).unwrap_or_default()),
        ]);
    }
    if console.json { Ok(()) } else { console.table(&table) }
}

fn change(
    name: &str,
    console: &Console,
    so: &str,
    change: impl FnOnce(&mut Profiles, &str),
) -> Result<(), Problem> {
    let mut profiles = Profiles::read()?;
    // Whatever else is wrong with it, it can be forgotten; but it must be there.
    if !profiles.names().iter().any(|known| known == name) {
        return profiles.get(name).map(drop);
    }
    change(&mut profiles, name);
    profiles.write()?;
    if console.json {
        return console.json_line(&json!({"name": name, "use": profiles.used() == Some(name)}));
    }
    console.line(&format!("the profile `{name}` is {so}"))
}

/// A name that needs no quotes anywhere.
fn name(text: &str) -> Result<String, String> {
    let fits = (1..=64).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
    if fits {
        Ok(text.to_owned())
    } else {
        Err("expected up to 64 letters, digits, `-`, `_` and `.`".to_owned())
    }
}
