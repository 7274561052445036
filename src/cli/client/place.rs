//! Where the daemon is, and who asks: the first that is said of the command line, the environment, a profile, and the
//! settings of this machine.
//!
//! What is true: a token goes only to where it belongs. One of a profile goes to that profile's URL, the operator's to the
//! daemon that wrote it; another URL gets neither. A token that is named by itself (`--token-file`, `GRISTMILL_TOKEN`) goes to
//! whatever URL there is, since whoever names it means it.

use std::fmt;
use std::io::Read;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;

use clap::Args;

use super::profiles::{Profile, Profiles};
use crate::account::Token;
use crate::app::Operator;
use crate::cli::problem::Problem;
use crate::config::{LoadOptions, Settings};

/// In the environment.
const URL: &str = "GRISTMILL_URL";
const TOKEN: &str = "GRISTMILL_TOKEN";
const PROFILE: &str = "GRISTMILL_PROFILE";

/// Which daemon, and as whom.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Daemon")]
pub(in crate::cli) struct Connection {
    /// Its URL, such as `https://jobs.example.com`. Else `GRISTMILL_URL`, a profile, or the daemon of this machine's
    /// settings.
    #[arg(long)]
    url: Option<String>,
    /// A file that holds the token, `-` for standard input. Else `GRISTMILL_TOKEN`, or that of the profile.
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// The profile to use: see `gristmill profile`. Else `GRISTMILL_PROFILE`, or the one in use.
    #[arg(long, value_name = "NAME", conflicts_with = "url")]
    profile: Option<String>,
}

/// Who said where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::cli) enum From {
    Flag,
    Environment,
    Profile(String),
    Operator,
    Settings,
}

impl fmt::Display for From {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag => f.write_str("from --url"),
            Self::Environment => write!(f, "from {URL}"),
            Self::Profile(name) => write!(f, "from the profile `{name}`"),
            Self::Operator => f.write_str("from the data folder of this machine's settings"),
            Self::Settings => f.write_str("from http.bind of this machine's settings"),
        }
    }
}

/// Where the daemon is, and who asks.
#[derive(Debug)]
pub(in crate::cli) struct Place {
    /// Without a slash at its end.
    pub(in crate::cli) url: String,
    pub(in crate::cli) url_from: From,
    pub(in crate::cli) token: Option<Token>,
    token_from: &'static str,
    /// The user's number, where a profile says it.
    pub(in crate::cli) user: Option<i64>,
}

impl Connection {
    /// Finds out. The settings of this machine are read only if nothing else says where.
    pub(in crate::cli) fn place(&self, config: Vec<PathBuf>) -> Result<Place, Problem> {
        let named = self.named_token()?;
        let mut place = self.without_named_token(config)?;
        if let Some((token, from)) = named {
            (place.token, place.token_from) = (Some(token), from);
        }
        place.url.truncate(place.url.trim_end_matches('/').len());
        // It is shown in whatever goes wrong, so it must hold nothing that is secret.
        let holds = url::Url::parse(&place.url);
        if holds.is_ok_and(|url| !url.username().is_empty() || url.password().is_some()) {
            let told = format!("the URL {} holds a user or a password, which are not sent", place.url_from);
            return Err(Problem::usage(told).hint("what counts is the token"));
        }
        Ok(place)
    }

    fn without_named_token(&self, config: Vec<PathBuf>) -> Result<Place, Problem> {
        let chosen = self.profile.clone().or_else(|| variable(PROFILE));
        if let Some(url) = &self.url {
            return Ok(Place::bare(url.clone(), From::Flag));
        }
        if self.profile.is_none()
            && let Some(url) = variable(URL)
        {
            return Ok(Place::bare(url, From::Environment));
        }
        let profiles = Profiles::read()?;
        match chosen {
            Some(name) => profiles.get(&name).map(|profile| Place::of_profile(name, profile)),
            None => match profiles.in_use()? {
                Some((name, profile)) => Ok(Place::of_profile(name, profile)),
                None => of_this_machine(config),
            },
        }
    }

    /// A token that is named by itself.
    fn named_token(&self) -> Result<Option<(Token, &'static str)>, Problem> {
        if let Some(path) = &self.token_file {
            let shown = path.display();
            let mut text = String::new();
            let read = if path.as_os_str() == "-" {
                std::io::stdin().lock().take(1 << 10).read_to_string(&mut text)
            } else {
                std::fs::File::open(path).and_then(|file| file.take(1 << 10).read_to_string(&mut text))
            };
            read.map_err(|error| Problem::usage(format!("--token-file {shown}: {error}")))?;
            let token =
                parse_token(&text).map_err(|problem| problem.about(&format!("--token-file {shown}")))?;
            return Ok(Some((token, "from --token-file")));
        }
        match variable(TOKEN) {
            Some(text) => {
                let token = parse_token(&text).map_err(|problem| problem.about(TOKEN))?;
                Ok(Some((token, "from GRISTMILL_TOKEN")))
            }
            None => Ok(None),
        }
    }
}

impl Place {
    /// The daemon that has the data folder of these settings.
    pub(in crate::cli) fn of_operator(settings: &Settings) -> Result<Self, Problem> {
        let Operator { url, token } = Operator::read(settings.data_dir()).map_err(|error| {
            Problem::failed(format!("a daemon has the database, and cannot be asked instead: {error}"))
                .hint("it may be starting or ending: try again in a moment, as the user that it runs as")
        })?;
        let place = Self::bare(url, From::Operator);
        Ok(Self { token: Some(token), token_from: "of the data folder", ..place })
    }

    fn bare(url: String, url_from: From) -> Self {
        Self { url, url_from, token: None, token_from: "", user: None }
    }

    fn of_profile(name: String, profile: Profile) -> Self {
        let Profile { url, token, user } = profile;
        Self { url, url_from: From::Profile(name), token, token_from: "of the profile", user }
    }

    /// What to do where nobody answers.
    pub(super) fn what_to_start(&self) -> String {
        match &self.url_from {
            From::Operator | From::Settings => {
                "start the daemon with `gristmill serve`, or name another by --url, GRISTMILL_URL or `gristmill profile`"
                    .to_owned()
            }
            From::Flag | From::Environment => "is that its address, and does it run there?".to_owned(),
            From::Profile(name) => {
                format!("does it run there? `gristmill profile add {name} --url URL` sets another address")
            }
        }
    }

    /// What to do where a user is wanted and none was named.
    pub(super) fn how_to_prove(&self) -> &'static str {
        match (&self.token, &self.url_from) {
            (None, From::Profile(_)) => {
                "the profile has no token: `gristmill profile add` with its name sets one"
            }
            (None, _) => {
                "give a token: GRISTMILL_TOKEN, --token-file, or `gristmill profile add`; `gristmill user add` makes a user"
            }
            (Some(_), From::Operator) => {
                "as the operator of this machine you are no user: give a token of one (`gristmill user add`)"
            }
            (Some(_), _) => "this wants a user, and the token is not one's",
        }
    }

    /// Which token was not good.
    pub(super) fn which_token(&self) -> String {
        format!(
            "the token is that {}; `gristmill user token ID` on the daemon's machine gives a user another",
            self.token_from
        )
    }
}

/// A token as it stands in a file or a variable. What it is is not in the message.
pub(in crate::cli) fn parse_token(text: &str) -> Result<Token, Problem> {
    let parsed = text.trim().parse();
    parsed.map_err(|_| {
        Problem::usage("what stands there is no token")
            .hint("a token is a UUID, as `gristmill user add` and `POST /users` give it")
    })
}

/// A variable of the environment that says something.
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// The daemon that runs by the settings which `gristmill serve` would use here.
fn of_this_machine(config: Vec<PathBuf>) -> Result<Place, Problem> {
    let loaded = Settings::load(LoadOptions::from_process(config)).map_err(|error| {
        Problem::usage(error.to_string())
            .hint("--url, GRISTMILL_URL or a profile name a daemon without these settings")
    })?;
    let settings = loaded.settings;
    // Not there, or not ours to read: then it may be another's daemon, of which we know the address.
    if let Ok(Operator { url, token }) = Operator::read(settings.data_dir()) {
        let place = Place::bare(url, From::Operator);
        return Ok(Place { token: Some(token), token_from: "of the data folder", ..place });
    }
    let mut bind = settings.http.bind;
    match bind.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => bind.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => bind.set_ip(Ipv6Addr::LOCALHOST.into()),
        IpAddr::V4(_) | IpAddr::V6(_) => {}
    }
    if bind.port() == 0 {
        let told =
            format!("no daemon runs in {}, and http.bind names no port", settings.data_dir().display());
        return Err(Problem::failed(told).hint(
            "start the daemon with `gristmill serve`, or name another by --url, GRISTMILL_URL or `gristmill profile`",
        ));
    }
    Ok(Place::bare(format!("http://{bind}"), From::Settings))
}
