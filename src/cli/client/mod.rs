//! The daemon as the commands see it: asked by HTTP, wherever it is.
//!
//! Made by every command that speaks to one, out of a [`Place`]. What is true:
//! - A token is in no argument, no output and no message; it goes to the place that it was given for and to no other
//!   ([`place`]).
//! - A refusal is told in the daemon's own words, with what to do about it; whatever else can be wrong with a call has its
//!   own sentence, with the address in it.
//! - Files are sent as they are read, and events heard as they come: memory does not grow with either.

pub(super) mod events;
pub(super) mod form;
pub(super) mod place;
pub(super) mod profiles;
mod refusal;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde::de::DeserializeOwned;

use self::form::Parcel;
use self::place::{Connection, Place};
use super::problem::Problem;
use super::terminal::{Console, Manners};
use super::{Exit, interruptible};
use crate::config::{Network, Settings};
use crate::outbound::{Client, Flow, Limits, Method, Policy, Request, Source, SystemResolver, Target};

/// How long nothing may move, beyond what the daemon was asked to wait.
const IDLE: Duration = Duration::from_secs(60);

/// The longest answer that is taken into memory, in bytes.
const MOST: usize = 256 << 20;

/// Calls at once: each task that is watched is one.
const CALLS: usize = 256;

/// What every command takes that speaks to a daemon.
#[derive(Debug, Default, clap::Args)]
pub(super) struct Way {
    #[command(flatten)]
    connection: Connection,
    #[command(flatten)]
    pub(super) manners: Manners,
}

/// Does something with the daemon; what goes wrong is said here.
pub(super) fn with_daemon(
    way: &Way,
    config: Vec<PathBuf>,
    work: impl AsyncFnOnce(&Daemon, &Console) -> Result<Exit, Problem>,
) -> Exit {
    let console = Console::new(&way.manners);
    let done = way.connection.place(config).and_then(|place| {
        let daemon = Daemon::new(place)?;
        interruptible(work(&daemon, &console))
    });
    done.unwrap_or_else(|problem| problem.say())
}

/// The same with the daemon that has the data folder of these settings, as its operator.
pub(super) fn with_operator(
    settings: &Settings,
    console: &Console,
    work: impl AsyncFnOnce(&Daemon, &Console) -> Result<Exit, Problem>,
) -> Exit {
    let done = Place::of_operator(settings).and_then(|place| {
        let daemon = Daemon::new(place)?;
        interruptible(work(&daemon, console))
    });
    done.unwrap_or_else(|problem| problem.say())
}

/// A daemon. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Daemon {
    client: Client,
    place: Arc<Place>,
}

/// What is asked of it.
pub(super) struct Call {
    method: Method,
    path: String,
    headers: Vec<(&'static str, String)>,
    body: Bytes,
    /// How long the daemon may take of its own accord.
    patience: Duration,
}

impl Call {
    pub(super) fn new(method: Method, path: impl Into<String>) -> Self {
        let (path, patience) = (path.into(), Duration::ZERO);
        Self { method, path, headers: Vec::new(), body: Bytes::new(), patience }
    }

    pub(super) fn get(path: impl Into<String>) -> Self {
        Self::new(Method::GET, path)
    }

    pub(super) fn post(path: impl Into<String>) -> Self {
        Self::new(Method::POST, path)
    }

    pub(super) fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub(super) fn json(mut self, body: String) -> Self {
        self.body = body.into();
        self.header("content-type", "application/json")
    }

    /// Asks the daemon to wait so long for the end of what the call begins.
    pub(super) fn wait(mut self, patience: Duration) -> Self {
        self.patience = patience;
        let wish = match patience.as_secs() {
            0 => "respond-async".to_owned(),
            seconds => format!("wait={seconds}"),
        };
        self.header("prefer", wish)
    }
}

/// What it answered.
#[derive(Debug)]
pub(super) struct Answer {
    /// Whether there is more of what was listed.
    pub(super) more: bool,
    pub(super) body: Bytes,
}

impl Daemon {
    fn new(place: Place) -> Result<Self, Problem> {
        // Where to go is said by whoever sits at this machine, and may go wherever it can.
        let everywhere = ["0.0.0.0/0", "::/0"].map(str::parse::<Network>);
        let everywhere: Result<Vec<Network>, String> = everywhere.into_iter().collect();
        let policy = Policy::public().with_private().with(everywhere.map_err(Problem::failed)?);
        let limits = Limits { concurrency: CALLS, ..Limits::default() };
        let client = Client::with(policy, limits, Arc::new(SystemResolver::default()));
        let daemon = Self { client, place: Arc::new(place) };
        daemon.target("/")?;
        Ok(daemon)
    }

    pub(super) fn place(&self) -> &Place {
        &self.place
    }

    /// Asks, and takes the whole answer; one that is a refusal is a problem.
    pub(super) async fn ask(&self, call: Call) -> Result<Answer, Problem> {
        let (mut flow, _) = self.open(call).await?;
        let told = |error| refusal::of_call(&self.place, &error);
        let (body, cut) = flow.rest(MOST).await.map_err(told)?;
        if cut {
            let told = format!("{} gave an answer of more than {} MiB", self.place.url, MOST >> 20);
            return Err(Problem::failed(told).hint("ask for less at a time"));
        }
        let more = flow.header("link").is_some_and(|link| link.contains("rel=\"next\""));
        Ok(Answer { more, body })
    }

    /// Asks, and reads the answer as JSON.
    pub(super) async fn read<T: DeserializeOwned>(&self, call: Call) -> Result<T, Problem> {
        let answer = self.ask(call).await?;
        self.parse(&answer)
    }

    /// An answer as JSON.
    pub(super) fn parse<T: DeserializeOwned>(&self, answer: &Answer) -> Result<T, Problem> {
        serde_json::from_slice(&answer.body).map_err(|error| {
            Problem::failed(format!("{} answered what no Gristmill does: {error}", self.place.url))
                .hint("is it one, and not much older or newer than this program?")
        })
    }

    /// Asks, and gives the answer as it comes; one that is a refusal is a problem.
    pub(super) async fn open(&self, call: Call) -> Result<(Flow, Target), Problem> {
        let (idle, body) = (IDLE + call.patience, call.body.clone());
        self.send(call, Source::of(body), idle).await
    }

    /// The next piece of an answer.
    pub(super) async fn piece(&self, flow: &mut Flow) -> Result<Option<Bytes>, Problem> {
        flow.piece().await.map_err(|error| refusal::of_call(&self.place, &error))
    }

    /// Sends what is in files, and takes the answer.
    pub(super) async fn post(&self, call: Call, parcel: Parcel) -> Result<Answer, Problem> {
        let (idle, unread) = (IDLE + call.patience, parcel.unread.clone());
        let sent = self.send(call, parcel.source, idle).await;
        // That the file could not be read on is what is wrong, whatever it looks like from the other end.
        if let Some(problem) = unread.lock().ok().and_then(|mut unread| unread.take()) {
            return Err(problem);
        }
        let (mut flow, _) = sent?;
        let (body, _) = flow.rest(MOST).await.map_err(|error| refusal::of_call(&self.place, &error))?;
        Ok(Answer { more: false, body })
    }

    async fn send(&self, call: Call, source: Source, idle: Duration) -> Result<(Flow, Target), Problem> {
        let target = self.target(&call.path)?;
        let mut request = Request::new(call.method, target.clone(), Bytes::new());
        let mut headers = call.headers;
        if headers.iter().all(|(name, _)| *name != "accept") {
            headers.push(("accept", "application/json".to_owned()));
        }
        if let Some(token) = &self.place.token {
            headers.push(("authorization", format!("Bearer {}", token.reveal())));
        }
        for (name, value) in headers {
            request = request.header(name, &value).map_err(|error| Problem::usage(error.to_string()))?;
        }
        let opened = self.client.open(request, source, idle).await;
        let mut flow = opened.map_err(|error| refusal::of_call(&self.place, &error))?;
        if flow.is_success() || flow.status == 204 {
            return Ok((flow, target));
        }
        let (body, _) = flow.rest(1 << 20).await.unwrap_or_default();
        Err(refusal::of_answer(&self.place, flow.status, flow.header("location"), &body))
    }

    fn target(&self, path: &str) -> Result<Target, Problem> {
        let url = format!("{}{path}", self.place.url);
        Target::parse(&url, self.client.policy()).map_err(|error| {
            Problem::usage(format!("{} ({}): the URL {error}", self.place.url, self.place.url_from))
        })
    }

    /// A path of this daemon out of a link that it gave, which may name it by another address.
    pub(super) fn path_of(&self, link: &str) -> Result<String, Problem> {
        let odd = || Problem::failed(format!("{} gave the link {link}, which is none", self.place.url));
        if link.starts_with('/') {
            return Ok(link.to_owned());
        }
        let url = url::Url::parse(link).map_err(|_| odd())?;
        Ok(url.query().map_or_else(|| url.path().to_owned(), |query| format!("{}?{query}", url.path())))
    }
}

/// A value as a query has it.
pub(super) fn encoded(value: &str) -> String {
    percent_encoding::utf8_percent_encode(value, percent_encoding::NON_ALPHANUMERIC).to_string()
}
