//! `/admin`: what those who run the daemon see of all that is on it, and do to it.
//!
//! True here: every page and every form is for admins alone ([`enter`] is the one door; whoever is nobody is led to the
//! login, other users get a page that says so); what is done is done by the same functions as over the API, with its rights
//! checked once more there; lists are read by keyset, so they cost the same with a hundred tasks and a million; everything
//! works without a script, and what is removed is asked about on a page of its own first ([`confirm`]).
//!
//! - `overview` is the first page; `tasks` the list of tasks, `bulk` what is done to many of them, in steps; `kinds`, `nodes`,
//!   `users`, `images`, `recordings`, `questions`, `reports`, `dead`, `storage`: a file a page.
//! - `notice` is how a page says what was done on the one before; `paging` leads through lists.

mod bulk;
mod confirm;
mod dead;
mod images;
mod kinds;
mod lately;
mod nodes;
mod notice;
mod overview;
mod paging;
mod questions;
mod recordings;
mod reports;
mod storage;
mod tasks;
mod users;

use actix_web::HttpRequest;
use actix_web::web;

use self::notice::Notice;
use super::frame::{Entry, Frame, Section, Visitor};
use super::words::admin::AdminWords;
use super::{Page, When, sent, shown};
use crate::account::Caller;
use crate::http::{Problem, State, auth};

/// The pages.
pub(super) const PAGES: &[Page] = &[
    shown("/admin", When::Always, || web::to(overview::get)),
    shown("/admin/kinds", When::Always, || web::to(kinds::get)),
    sent("/admin/kinds/{kind}/pause", When::Always, || web::to(kinds::pause)),
    sent("/admin/kinds/{kind}/resume", When::Always, || web::to(kinds::resume)),
    shown("/admin/tasks", When::Always, || web::to(tasks::get)),
    sent("/admin/tasks/act", When::Always, || web::to(bulk::act)),
    shown("/admin/nodes", When::Always, || web::to(nodes::get)),
    shown("/admin/users", When::Always, || web::to(users::get)),
    sent("/admin/users/{id}/role", When::Always, || web::to(users::set_role)),
    sent("/admin/users/{id}/token", When::Always, || web::to(users::renew_token)),
    sent("/admin/users/{id}/delete", When::Always, || web::to(users::delete)),
    shown("/admin/images", When::Always, || web::to(images::get)),
    shown("/admin/recordings", When::Always, || web::to(recordings::get)),
    shown("/admin/questions", When::Always, || web::to(questions::get)),
    shown("/admin/reports", When::Always, || web::to(reports::get)),
    shown("/admin/dead", When::Always, || web::to(dead::get)),
    sent("/admin/dead/act", When::Always, || web::to(dead::act)),
    shown("/admin/dead/{key}", When::Always, || web::to(dead::one)),
    shown("/admin/storage", When::Always, || web::to(storage::get)),
];

/// Where live pages hear that something changed.
const LIVE: &str = "/admin/live";

/// After how many seconds a browser without scripts loads a live page again: one in which nothing is ticked or filled in,
/// since that would be lost.
const REFRESH: u32 = 15;

/// The same page, kept up to date. What it shows is found out now and then only, for all who look: so it looks again though
/// nothing more happened.
fn kept_up(frame: Frame) -> Frame {
    frame.live(LIVE, None).polled(REFRESH)
}

/// The pages of the administration, as its navigation has them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tab {
    Overview,
    Tasks,
    Kinds,
    Nodes,
    Users,
    Images,
    Recordings,
    Questions,
    Reports,
    Dead,
    Storage,
}

impl Tab {
    const ALL: [Self; 11] = [
        Self::Overview,
        Self::Tasks,
        Self::Kinds,
        Self::Nodes,
        Self::Users,
        Self::Images,
        Self::Recordings,
        Self::Questions,
        Self::Reports,
        Self::Dead,
        Self::Storage,
    ];

    fn href(self) -> &'static str {
        match self {
            Self::Overview => "/admin",
            Self::Tasks => "/admin/tasks",
            Self::Kinds => "/admin/kinds",
            Self::Nodes => "/admin/nodes",
            Self::Users => "/admin/users",
            Self::Images => "/admin/images",
            Self::Recordings => "/admin/recordings",
            Self::Questions => "/admin/questions",
            Self::Reports => "/admin/reports",
            Self::Dead => "/admin/dead",
            Self::Storage => "/admin/storage",
        }
    }

    fn text(self, w: &AdminWords) -> &'static str {
        match self {
            Self::Overview => w.overview,
            Self::Tasks => w.tasks,
            Self::Kinds => w.kinds,
            Self::Nodes => w.nodes,
            Self::Users => w.users,
            Self::Images => w.images,
            Self::Recordings => w.recordings,
            Self::Questions => w.questions,
            Self::Reports => w.reports,
            Self::Dead => w.dead,
            Self::Storage => w.storage,
        }
    }
}

/// What all pages of the administration have besides the frame.
struct Chrome {
    w: &'static AdminWords,
    tabs: Vec<Entry>,
    notice: Option<Notice>,
    /// A page of a list after the first leads back there.
    first: Option<String>,
    /// What is behind this page of a list.
    next: Option<String>,
}

/// Lets admins in: who it is, with what stands around the page under that tab.
async fn enter(state: &State, request: &HttpRequest, tab: Tab) -> Result<(Caller, Frame, Chrome), Problem> {
    let caller = auth::admin(state, request, None).await?;
    let visitor = Visitor::of(state, caller).await?;
    let mut frame = Frame::new(request, visitor, Section::Admin, "");
    let w = AdminWords::of(frame.language());
    frame.title = format!("{} · {}", tab.text(w), frame.w.admin);
    let entry = |one: Tab| Entry { href: one.href(), text: one.text(w), here: one == tab };
    let chrome = Chrome {
        w,
        tabs: Tab::ALL.into_iter().map(entry).collect(),
        notice: Notice::of(request, w, frame.language()),
        first: None,
        next: None,
    };
    Ok((caller, frame, chrome))
}

/// Where a form came from: the page of ours that it names, else `other`.
fn back_to(back: Option<&str>, other: &str) -> String {
    back.and_then(super::local).unwrap_or_else(|| other.to_owned())
}
