//! The HTTP interface: routes by resource, errors, the API's own description.
//!
//! Started by the composition root with [`server`]. It writes through the [`Intake`] and reads through the store; of
//! actors it knows nothing.
//!
//! - `routes` is the one table of routes; `observe` is what happens around each of them.
//! - `tasks`, `outside`, `kinds`, `nodes`, `gc`, `live`, `events`, `users`, `avatar`, `stats`, `login`, `records`, `recordings`, `download`,
//!   `reports`, `questions`, `health`: a file a resource. `task_form` and `task_view` are a task as it comes and as it is
//!   shown; `task_list` is a page of many, `task_filter` which of them a query means, `bulk` what is done to all of these; `upload` is a recording on
//!   its way to the disk; `outside` is
//!   for workers that are not ours, `outside_form` what they send.
//! - `image_upload` takes images: `image_form` is how they come, `image_desk` the memory that this takes, `image_limits` how
//!   many; `images` is the gallery and removing them, `image_view` their one form; `form_proof` is who a form comes from,
//!   `links` how callers reach what they are told of.
//! - `serving` gives images out, `hot` keeps those in memory that are asked for often; `file` is what all have in common
//!   that give out files.
//! - `idempotency` makes a request count once; `again` answers those that create when they come once more.
//! - `spool` takes large bodies to the disk, and keeps what blocks off the threads that serve; `unread` is what becomes of
//!   bodies that nobody read to their end.
//! - `extract`, `json`, `base64_text`, `auth`, `prefer`: bodies and parameters, strict JSON, bytes inside it, who is calling,
//!   who wants to wait; `session` is the cookie, `client` the address that calls, `origin` whether another site's page had
//!   it sent, `closing` how all ends, `hosts` whether it names the daemon by a name that may be; `operator` is whoever runs the daemon.
//! - `catalogue` is the closed list of errors, `problem` their form on the wire.
//! - `pages` is what browsers get, by `page`, which tells who wants one: of resources, and of errors.
//! - `openapi` is the document, made from the handlers, the table and the catalogue.
//!
//! What is true: every error that a handler gives is a [`Problem`] of the catalogue; input is read strictly and within
//! bounds of size and time; an answer that says "created" is given after the commit; whoever hangs up is not waited for
//! any longer.

mod again;
mod auth;
mod avatar;
mod backstage;
mod base64_text;
mod bulk;
mod catalogue;
mod client;
mod closing;
mod download;
mod events;
mod extract;
mod file;
mod filename;
mod form_proof;
mod gc;
mod health;
mod hosts;
mod hot;
mod idempotency;
mod image_desk;
mod image_form;
mod image_limits;
mod image_upload;
mod image_view;
mod images;
mod json;
mod kinds;
mod links;
mod listing;
mod live;
mod login;
mod nodes;
mod observe;
mod openapi;
mod operator;
mod origin;
mod outside;
mod outside_form;
mod page;
mod pages;
mod passwords;
mod prefer;
mod problem;
mod questions;
mod recordings;
mod records;
mod reports;
mod routes;
mod serving;
mod session;
mod spool;
mod stats;
mod task_filter;
mod task_form;
mod task_image;
mod task_list;
mod task_view;
mod tasks;
mod unread;
mod upload;
mod user_form;
mod user_view;
mod users;

use std::io;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use actix_web::dev::Server;
use actix_web::{App, HttpServer, web};
use tokio_util::sync::CancellationToken;

pub use backstage::Backstage;
pub use base64_text::{NotBase64, bytes as read_base64};
pub use catalogue::{Code, problems_markdown};
pub use closing::Closing;
pub use file::{Part, wanted};
pub use filename::{Shown, disposition, kept as kept_name, said as said_name};
pub use gc::{EndedView, GarbageView, HeldView, LooseView, collect};
pub use hot::HotImages;
pub use image_limits::image_quota;
pub use operator::Operator;
pub use problem::{Fault, MEDIA_TYPE as PROBLEM_MEDIA_TYPE, Problem};
pub use routes::{RouteInfo, page_table, table};
pub use task_form::read_message;

use crate::blob::Blobs;
use crate::config::{AuthSettings, HttpSettings, ImageSettings, RecordSettings, ReportSettings};
use crate::imaging::Imaging;
use crate::intake::Intake;
use crate::store::Store;
use crate::telemetry::metrics::HttpMetrics;
use crate::telemetry::traces::Traces;
use crate::telemetry::{ActionLog, Health, MetricsHandle};
use crate::telling::Feed;
use crate::tidy::Tidy;

/// How long an idle connection is kept for its next request. Longer than what proxies keep, so that it is the proxy
/// that closes.
const KEEP_ALIVE: Duration = Duration::from_secs(75);

/// How long what is left of a refused body is read and thrown away, so that the client gets to read the answer.
const LINGER: Duration = Duration::from_secs(5);

/// What the routes need. Cheap to clone.
#[derive(Clone)]
pub struct State {
    /// The live stream of events.
    pub feed: Feed,
    /// How many listen to it.
    pub listeners: Arc<AtomicUsize>,
    /// Whether this node answers /health and /metrics only: it has not the role of the doors.
    pub only_health: bool,
    /// The door for whatever changes something.
    pub intake: Intake,
    /// For reading only.
    pub store: Arc<dyn Store>,
    /// Uploads and results.
    pub blobs: Blobs,
    /// Where images are worked on.
    pub imaging: Imaging,
    /// The images that are asked for often.
    pub hot: HotImages,
    /// Which removes what need not be here, when asked to.
    pub tidy: Tidy,
    /// What only those see who run the daemon.
    pub backstage: Backstage,
    /// What `/health/ready` shows.
    pub health: Health,
    /// What `/metrics` shows.
    pub metrics: MetricsHandle,
    /// What requests are counted in.
    pub http_metrics: HttpMetrics,
    /// Where users' actions are written down.
    pub actions: ActionLog,
    /// Where requests are traced.
    pub traces: Traces,
    /// The settings of the server.
    pub http: HttpSettings,
    /// The settings of recordings.
    pub records: RecordSettings,
    /// The settings of images.
    pub images: ImageSettings,
    /// The settings of reports.
    pub reports: ReportSettings,
    /// Who is let in.
    pub auth: AuthSettings,
    /// By what whoever runs this daemon is known; `None` where nobody is.
    pub operator: Option<Operator>,
    /// Cancelled when the daemon drains: whoever waits for a result is answered at once.
    pub draining: CancellationToken,
    /// The end of the server.
    pub closing: Closing,
}

/// The server on `listener`, with so many worker threads. It ends by its handle alone, since signals are for the
/// composition root; requests that are under way then may take `patience_at_the_end` to finish.
///
/// # Errors
/// When the listener cannot be used.
pub fn server(
    state: State,
    listener: TcpListener,
    workers: usize,
    patience_at_the_end: Duration,
) -> io::Result<Server> {
    let patience = state.http.request_timeout;
    let state = web::Data::new(state);
    let unproven = web::Data::new(upload::Unproven::new());
    let passwords = passwords::Passwords::new(&state.auth)
        .map(web::Data::new)
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
    let desk = web::Data::new(image_desk::Desk::new());
    let waiting = web::Data::new(outside::Waiting::new(state.http.max_waiting));
    let closing = state.closing.clone();
    let server = HttpServer::new(move || {
        let state = state.clone();
        App::new()
            .app_data(state.clone())
            .app_data(unproven.clone())
            .app_data(desk.clone())
            .app_data(waiting.clone())
            .app_data(passwords.clone())
            .configure(move |app| routes::configure(app, &state))
    })
    .workers(workers.max(1))
    .on_connect(move |_, connection| {
        connection.insert(closing.opened());
    })
    // Head and body of an answer leave in two writes: without this the second waits for the first one's receipt.
    .tcp_nodelay(true)
    .keep_alive(KEEP_ALIVE)
    .client_request_timeout(patience)
    .client_disconnect_timeout(LINGER.min(patience))
    // Who closes their side of the connection is gone: nothing is waited for, or claimed, in their name.
    .h1_allow_half_closed(false)
    .disable_signals()
    // Whole seconds are all it takes; 0 would cut everybody off at once.
    .shutdown_timeout(patience_at_the_end.as_secs().max(1))
    .listen(listener)?
    .run();
    Ok(server)
}
