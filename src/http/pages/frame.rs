//! What stands around every page: its title, the navigation, who is logged in, language and colours, and the headers of
//! the answer.
//!
//! Called by every page: it fills in a [`Frame`], puts it into its template as the field `frame`, and answers with
//! [`Frame::answer`]. True here: a page runs no script and loads no style, picture or sound but the daemon's own, and
//! nobody puts it into a frame; no cache keeps it, since it is made for whoever asks.

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder};
use askama::Template;

use super::assets::Asset;
use super::preferences::{Look, Theme};
use super::words::filled;
use super::words::frame::FrameWords;
use crate::account::Caller;
use crate::http::session::{self, Held};
use crate::http::{Problem, State};
use crate::media::report::Language;
use crate::task::UserId;

/// What a page may load and do.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; media-src 'self' blob:; \
     connect-src 'self'; worker-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
);

/// Of what a browser has, a page of ours uses the microphone alone.
const PERMISSIONS: HeaderValue =
    HeaderValue::from_static("microphone=(self), camera=(), geolocation=(), payment=(), usb=()");

/// Under which entry of the navigation a page stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::http) enum Section {
    /// None of them.
    None,
    /// `/`.
    Home,
    /// `/upload`.
    Upload,
    /// `/images/`.
    Images,
    /// `/records`.
    Records,
    /// `/quiz`.
    Quiz,
    /// `/tasks`.
    Tasks,
    /// `/admin`.
    Admin,
    /// `/profile`.
    Profile,
    /// `/login`.
    Login,
    /// `/sign-up`.
    SignUp,
}

/// Who looks at the page, as far as the navigation cares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::http) enum Visitor {
    /// Nobody who proved who they are.
    Nobody,
    /// A user.
    User {
        /// Their number.
        id: UserId,
        /// What to call them.
        name: String,
        /// Whether they run the daemon.
        admin: bool,
    },
    /// Whoever can read the daemon's data folder.
    Operator,
    /// Somebody with a session that was not looked up: on the page of a problem, which must not need the database.
    Unknown,
}

impl Visitor {
    /// The visitor who is this caller.
    pub(in crate::http) async fn of(state: &State, caller: Caller) -> Result<Self, Problem> {
        let Some(id) = caller.user() else {
            return Ok(if caller.is_admin() { Self::Operator } else { Self::Nobody });
        };
        let name = state.store.user(id).await?.and_then(|user| user.name);
        let name = name.map_or_else(|| format!("#{id}"), |name| name.to_string());
        Ok(Self::User { id, name, admin: caller.is_admin() })
    }

    /// As far as the request itself tells.
    pub(in crate::http) fn unknown(request: &HttpRequest) -> Self {
        match session::of(request) {
            Held::None => Self::Nobody,
            Held::Session(_) | Held::Nonsense => Self::Unknown,
        }
    }

    /// Whether they run the daemon.
    pub(in crate::http) fn is_admin(&self) -> bool {
        match self {
            Self::User { admin, .. } => *admin,
            Self::Operator => true,
            Self::Nobody | Self::Unknown => false,
        }
    }
}

/// An entry of the navigation.
pub(in crate::http) struct Entry {
    /// Where it leads.
    pub(in crate::http) href: &'static str,
    /// What it is called.
    pub(in crate::http) text: &'static str,
    /// Whether the page stands under it.
    pub(in crate::http) here: bool,
}

/// What stands around a page.
pub(in crate::http) struct Frame {
    /// Language and colours.
    pub(in crate::http) look: Look,
    /// The words of the frame itself.
    pub(in crate::http) w: &'static FrameWords,
    /// What the page is called.
    pub(in crate::http) title: String,
    /// Who looks at it.
    pub(in crate::http) visitor: Visitor,
    /// The page's own address, to come back to.
    pub(in crate::http) here: String,
    /// Where `live.js` hears that something changed.
    pub(in crate::http) live_source: Option<String>,
    /// After how many seconds `live.js` looks again, where nothing tells it.
    pub(in crate::http) live_every: Option<u32>,
    /// After how many seconds a browser without scripts looks again.
    pub(in crate::http) refresh: Option<u32>,
    section: Section,
}

impl Frame {
    /// The frame of a page that is called `title`.
    pub(in crate::http) fn new(
        request: &HttpRequest,
        visitor: Visitor,
        section: Section,
        title: impl Into<String>,
    ) -> Self {
        let look = Look::of(request);
        // A form that was refused stands at an address that only takes forms: there is no coming back to that.
        let here = if request.method().is_safe() { request.uri().to_string() } else { "/".to_owned() };
        Self {
            look,
            w: FrameWords::of(look.language),
            title: title.into(),
            visitor,
            here,
            live_source: None,
            live_every: None,
            refresh: None,
            section,
        }
    }

    /// The same, kept up to date by the events of `source`; without scripts by loading it again every `seconds`.
    pub(in crate::http) fn live(mut self, source: impl Into<String>, seconds: Option<u32>) -> Self {
        self.live_source = Some(source.into());
        self.refresh = seconds;
        self
    }

    /// The same, kept up to date by looking every `seconds`, where no stream of events is for this visitor.
    pub(in crate::http) fn polled(mut self, seconds: u32) -> Self {
        self.live_every = Some(seconds);
        self.refresh = Some(seconds);
        self
    }

    /// The language.
    pub(in crate::http) fn language(&self) -> Language {
        self.look.language
    }

    /// The address of an asset.
    pub(in crate::http) fn asset(&self, asset: Asset) -> String {
        asset.href()
    }

    /// The colours that were chosen.
    pub(in crate::http) fn theme(&self) -> Option<&'static str> {
        self.look.theme.map(Theme::as_str)
    }

    /// The tag of the other language.
    pub(in crate::http) fn other_language(&self) -> &'static str {
        match self.look.language {
            Language::En => Language::Ru.tag(),
            Language::Ru => Language::En.tag(),
        }
    }

    /// The entries of the navigation that this visitor has a use for.
    pub(in crate::http) fn entries(&self) -> Vec<Entry> {
        let w = self.w;
        let mut entries = vec![
            (Section::Upload, "/upload", w.upload),
            (Section::Images, "/images/", w.images),
            (Section::Records, "/records", w.records),
            (Section::Quiz, "/quiz", w.quiz),
            (Section::Tasks, "/tasks", w.tasks),
        ];
        if self.visitor.is_admin() {
            entries.push((Section::Admin, "/admin", w.admin));
        }
        self.shown(entries)
    }

    /// The entries of whoever is, or is not, logged in.
    pub(in crate::http) fn account(&self) -> Vec<Entry> {
        let w = self.w;
        self.shown(match self.visitor {
            Visitor::Nobody => {
                vec![(Section::Login, "/login", w.log_in), (Section::SignUp, "/sign-up", w.sign_up)]
            }
            Visitor::User { .. } | Visitor::Unknown => vec![(Section::Profile, "/profile", w.profile)],
            Visitor::Operator => Vec::new(),
        })
    }

    fn shown(&self, entries: Vec<(Section, &'static str, &'static str)>) -> Vec<Entry> {
        let shown = |(section, href, text)| Entry { href, text, here: section == self.section };
        entries.into_iter().map(shown).collect()
    }

    /// What the visitor is called; `None` for who is nobody.
    pub(in crate::http) fn visitor_name(&self) -> Option<String> {
        match &self.visitor {
            Visitor::Nobody => None,
            Visitor::User { name, .. } => Some(name.clone()),
            Visitor::Operator => Some(self.w.operator.to_owned()),
            Visitor::Unknown => Some(String::new()),
        }
    }

    /// Whether there is a session to end.
    pub(in crate::http) fn may_log_out(&self) -> bool {
        match self.visitor {
            Visitor::User { .. } | Visitor::Unknown => true,
            Visitor::Nobody | Visitor::Operator => false,
        }
    }

    /// What to call a user who may have no name.
    pub(in crate::http) fn user(&self, id: UserId) -> String {
        filled(self.w.user, &[&id.to_string()])
    }

    /// Answers with the page.
    pub(in crate::http) fn answer(page: &impl Template, status: StatusCode) -> Result<HttpResponse, Problem> {
        let text = page.render().map_err(|error| Problem::internal(format!("a page: {error}")))?;
        Ok(dressed(HttpResponseBuilder::new(status), text))
    }
}

/// A page with the headers of every page.
pub(super) fn dressed(mut answer: HttpResponseBuilder, page: String) -> HttpResponse {
    answer
        .insert_header((header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8")))
        .insert_header((header::CONTENT_SECURITY_POLICY, POLICY))
        .insert_header((header::CACHE_CONTROL, HeaderValue::from_static("no-store")))
        .insert_header((header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")))
        // Other sites learn nothing of addresses that are secret; our own forms still say where they come from.
        .insert_header((header::REFERRER_POLICY, HeaderValue::from_static("same-origin")))
        .insert_header((HeaderName::from_static("permissions-policy"), PERMISSIONS))
        .insert_header((header::VARY, HeaderValue::from_static("accept, accept-language, cookie")))
        .body(page)
}
