//! `/admin/dead`: messages of the broker that were no tasks: looking, sending back, removing.
//!
//! True here: what is chosen is named by what it says, not by its place, so nobody removes what they did not see; what
//! cannot be reached is said on the page, not instead of it; much goes in steps.

use std::sync::Arc;
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;

use super::confirm::{self, Ask, CONFIRMED};
use super::notice::{Deed, NAME as TOLD, Notice};
use super::{Chrome, Tab, back_to, enter};
use crate::broker::{Bounds, Choice, DeadQueueError, Letter, Removal, Removed, Which};
use crate::http::backstage::{LetterLine, Letters, SEARCHED};
use crate::http::catalogue::Code;
use crate::http::extract::Query;
use crate::http::pages::assets::Asset;
use crate::http::pages::form::Form;
use crate::http::pages::frame::Frame;
use crate::http::pages::see_other;
use crate::http::pages::tasks::Moment;
use crate::http::pages::words::admin::DeadWords;
use crate::http::pages::words::filled;
use crate::http::pages::words::written::{number, plural, size};
use crate::http::{Problem, State};
use crate::task::Timestamp;
use crate::telemetry::action_log::Action;

const HERE: &str = "/admin/dead";

/// What one step of sending back or removing all does at most.
const STEP: Bounds = Bounds { messages: 1_000, bytes: u64::MAX, time: Duration::from_secs(5) };

/// How much of a body the page of one message shows, in characters.
const SHOWN: usize = 64 * 1024;

/// The most messages that a form chooses.
const MOST: usize = 100;

/// What a list shows.
enum Looked {
    /// No broker is set.
    NoBroker,
    /// It cannot be looked at now.
    Away(String),
    /// The oldest messages.
    There(Arc<Letters>),
}

/// That something was not done to its end.
struct Failed {
    /// How far it came.
    so_far: String,
    /// What stopped it.
    why: String,
}

impl Failed {
    fn before_anything(w: &DeadWords, error: &DeadQueueError) -> Self {
        Self { so_far: w.failed.to_owned(), why: error.to_string() }
    }
}

#[derive(Template)]
#[template(path = "admin/dead.html")]
struct DeadPage {
    frame: Frame,
    chrome: Chrome,
    w: &'static DeadWords,
    queue: String,
    looked: Looked,
    /// What went wrong with what was to be done.
    failed: Option<Failed>,
}

impl DeadPage {
    fn size(&self, bytes: &u64) -> String {
        size(self.frame.language(), *bytes)
    }

    fn since(&self, line: &LetterLine) -> Option<Moment> {
        line.since.map(|since| Moment::of(self.frame.language(), since))
    }

    fn which(&self, line: &LetterLine) -> String {
        let id = line.id.as_deref().unwrap_or(self.w.nameless);
        filled(self.w.choose, &[&line.position.to_string(), id])
    }

    fn behind(&self, letters: &Letters) -> Option<String> {
        let behind = number(self.frame.language(), u64::from(letters.behind));
        (letters.behind > 0).then(|| filled(self.w.behind, &[&behind]))
    }
}

#[derive(Template)]
#[template(path = "admin/letter.html")]
struct LetterPage {
    frame: Frame,
    chrome: Chrome,
    w: &'static DeadWords,
    key: String,
    since: Option<Moment>,
    facts: Vec<(&'static str, String)>,
    headers: Vec<(String, String)>,
    body: String,
    cut: bool,
}

async fn page(
    state: &State,
    frame: Frame,
    chrome: Chrome,
    failed: Option<Failed>,
    status: StatusCode,
) -> Result<HttpResponse, Problem> {
    let looked = match state.backstage.letters().await {
        None => Looked::NoBroker,
        Some(Err(error)) => Looked::Away(error.to_string()),
        Some(Ok(letters)) => Looked::There(letters),
    };
    let queue = state.backstage.dead().map(|dead| dead.name()).unwrap_or_default();
    let w = DeadWords::of(frame.language());
    Frame::answer(&DeadPage { frame, chrome, w, queue, looked, failed }, status)
}

/// The oldest of them.
pub(super) async fn get(state: Data<State>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let (_, frame, chrome) = enter(&state, &request, Tab::Dead).await?;
    Query::of(&request, &[TOLD]).finish()?;
    // Looked at once, and not again by itself: whoever looks hides them meanwhile.
    page(&state, frame, chrome, None, StatusCode::OK).await
}

/// One of them, whole.
pub(super) async fn one(state: Data<State>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let (_, frame, chrome) = enter(&state, &request, Tab::Dead).await?;
    Query::of(&request, &[]).finish()?;
    let key = request.match_info().get("key").unwrap_or_default().to_owned();
    let Some(dead) = state.backstage.dead() else {
        return page(&state, frame, chrome, None, StatusCode::OK).await;
    };
    match dead.find(SEARCHED, &Which::Key(key)).await {
        Ok(letter) => Frame::answer(&letter_page(frame, chrome, &letter), StatusCode::OK),
        Err(DeadQueueError::Unmet { .. }) => {
            let detail = "this message is not in the dead queue any more, or far behind in it";
            Err(Problem::new(Code::NotFound, detail))
        }
        Err(error) => refused(&state, frame, chrome, &error).await,
    }
}

/// The page, with why nothing was done.
async fn refused(
    state: &State,
    frame: Frame,
    chrome: Chrome,
    error: &DeadQueueError,
) -> Result<HttpResponse, Problem> {
    let failed = Failed::before_anything(DeadWords::of(frame.language()), error);
    page(state, frame, chrome, Some(failed), status_of(error)).await
}

fn letter_page(frame: Frame, chrome: Chrome, letter: &Letter) -> LetterPage {
    let w = DeadWords::of(frame.language());
    let delivery = &letter.delivery;
    let facts = [
        (w.reason, letter.reason()),
        (w.id, delivery.message_id().map(str::to_owned)),
        (w.correlation, delivery.correlation_id().map(str::to_owned)),
        (w.reply_to, delivery.reply_to().map(str::to_owned)),
        (w.content_type, delivery.content_type().map(str::to_owned)),
        (w.bytes, Some(size(frame.language(), delivery.body.len() as u64))),
    ];
    let (body, whole) = letter.beginning(SHOWN);
    LetterPage {
        key: letter.key.clone(),
        since: letter
            .since()
            .map(|at| Moment::of(frame.language(), Timestamp::from_micros(at.timestamp_micros()))),
        facts: facts.into_iter().filter_map(|(name, value)| Some((name, value?))).collect(),
        headers: delivery.headers(),
        body,
        cut: !whole,
        frame,
        chrome,
        w,
    }
}

/// Sends back or removes: those that are ticked, one, or all. Removing is asked about first.
pub(super) async fn act(
    state: Data<State>,
    request: HttpRequest,
    body: Payload,
) -> Result<HttpResponse, Problem> {
    let (caller, frame, chrome) = enter(&state, &request, Tab::Dead).await?;
    let mut form = Form::with_lists(&state, &request, body, &["act", CONFIRMED, "back"], &["key"]).await?;
    let (how, all) = match form.text("act") {
        Some("redrive") => (Removal::Redrive, false),
        Some("purge") => (Removal::Purge, false),
        Some("redrive_all") => (Removal::Redrive, true),
        Some("purge_all") => (Removal::Purge, true),
        Some(_) | None => {
            form.fault("act", "expected `redrive`, `purge`, `redrive_all` or `purge_all`");
            (Removal::Redrive, false)
        }
    };
    let back = back_to(form.text("back"), HERE);
    let keys: Vec<String> = form.all("key").map(str::to_owned).collect();
    if keys.len() > MOST {
        form.fault("key", format!("expected at most {MOST}"));
    }
    form.finish()?;
    let Some(dead) = state.backstage.dead() else {
        return page(&state, frame, chrome, None, StatusCode::OK).await;
    };
    if !all && keys.is_empty() {
        return see_other(&Notice::at(&back, Deed::NothingChosen, [0; 3]));
    }
    let confirmed = form.text(CONFIRMED).is_some();
    if !confirmed && (all || how == Removal::Purge) {
        let many = match all {
            false => Ok(keys.len() as u64),
            true => dead.count().await.map(u64::from),
        };
        return match many {
            Ok(many) => confirm::page(frame, chrome, ask(&request, how, all, &keys, many)),
            Err(error) => refused(&state, frame, chrome, &error).await,
        };
    }
    let (bounds, choice) = match all {
        true => (STEP, Choice::All),
        false => (SEARCHED, Choice::These(keys.into_iter().map(Which::Key).collect())),
    };
    let done = dead.remove(bounds, &choice, how).await;
    state.backstage.letters_changed().await;
    let Removed { count, left, stopped } = match done {
        Ok(removed) => removed,
        Err(error) => return refused(&state, frame, chrome, &error).await,
    };
    let (deed, told) = match how {
        Removal::Redrive => (Deed::SentBack, chrome.w.told_sent_back),
        Removal::Purge => (Deed::Deleted, chrome.w.told_deleted),
    };
    if count > 0 {
        let (count, admin) = (u64::from(count), caller.user().map(|user| user.0));
        state.actions.record(&match how {
            Removal::Redrive => Action::MessagesSentBack { count, admin },
            Removal::Purge => Action::MessagesDeleted { count, admin },
        });
    }
    let Some(error) = stopped else {
        return see_other(&Notice::at(&back, deed, [u64::from(count), 0, u64::from(left)]));
    };
    let language = frame.language();
    let told = filled(told, &[&number(language, u64::from(count))]);
    let so_far = format!("{told} {}", DeadWords::of(language).stopped);
    let failed = Failed { so_far, why: error.to_string() };
    page(&state, frame, chrome, Some(failed), status_of(&error)).await
}

fn ask(request: &HttpRequest, how: Removal, all: bool, keys: &[String], many: u64) -> Ask {
    let language = crate::http::pages::preferences::Look::of(request).language;
    let w = DeadWords::of(language);
    let count = number(language, many);
    let (question, yes, act) = match how {
        Removal::Redrive => (w.ask_redrive, w.redrive, "redrive"),
        Removal::Purge => (w.ask_purge, w.purge, "purge"),
    };
    let messages = plural(language, many, [w.message_one, w.message_few, w.message_many]);
    let act = if all { format!("{act}_all") } else { act.to_owned() };
    let mut fields = vec![("act".to_owned(), act)];
    fields.extend(keys.iter().map(|key| ("key".to_owned(), key.clone())));
    Ask {
        question: filled(question, &[&count, messages]),
        warning: (how == Removal::Purge).then_some(w.purge_warning),
        yes,
        danger: how == Removal::Purge,
        action: "/admin/dead/act".to_owned(),
        fields,
        back: HERE.to_owned(),
    }
}

/// What a browser is told of the failure.
fn status_of(error: &DeadQueueError) -> StatusCode {
    match error {
        DeadQueueError::Unmet { .. } | DeadQueueError::Stays { .. } => StatusCode::CONFLICT,
        DeadQueueError::Topology(_) | DeadQueueError::TimedOut { .. } => StatusCode::SERVICE_UNAVAILABLE,
    }
}
