//! `gristmill serve`: the daemon, from its first line to its last.

use std::io::Write as _;
use std::time::Duration;

use actix_rt::System;
use tokio::signal::unix::{SignalKind, signal};

use super::Exit;
use crate::app::{App, Attendant, Handed, Reload, Starting};
use crate::config::{DatabaseUrl, LoadOptions, Roles, Settings};
use crate::kinds::Registry;
use crate::telemetry::logging;

/// What `gristmill serve` takes.
#[derive(Debug, Default, clap::Args)]
pub(super) struct Arguments {
    /// What this node does: `http`, `worker`, `janitor`, or several of them with commas between. All of it unless said
    /// here or by the key `roles`.
    #[arg(long, value_name = "ROLES")]
    roles: Option<Roles>,
}

/// Runs until a signal, or until an actor cannot be kept alive.
pub(super) fn run(
    arguments: Arguments,
    mut settings: Settings,
    options: LoadOptions,
    handed: Option<Handed>,
) -> Exit {
    let roles = arguments.roles;
    if let Some(roles) = roles.clone() {
        settings.general.roles = roles;
    }
    let log = match logging::init(&settings.log) {
        Ok(log) => log,
        Err(error) => {
            complain(&format!("the log cannot be started: {error}"));
            return Exit::Failed;
        }
    };
    let reload = Reload::new(options, roles, settings.clone(), log.clone());
    let exit = run_on_a_runtime(settings, reload, handed);
    log.flush(LAST_LINES);
    exit
}

/// How long the end waits for whoever reads the log.
const LAST_LINES: Duration = Duration::from_secs(1);

/// Says something on standard error; whoever closed that does not want to hear it.
fn complain(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

fn run_on_a_runtime(settings: Settings, reload: Reload, handed: Option<Handed>) -> Exit {
    crate::memory::give_back_what_is_large();
    let runtime = || {
        tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .worker_threads(std::thread::available_parallelism().map_or(1, usize::from))
            .thread_name("gristmill")
            .build()
    };
    // Built once here only to say properly that it cannot be; actix wants to build its own.
    match runtime() {
        Ok(probe) => probe.shutdown_background(),
        Err(error) => {
            complain(&format!("the runtime cannot be started: {error}"));
            return Exit::Failed;
        }
    }
    let system = System::with_tokio_rt(|| match runtime() {
        Ok(runtime) => runtime,
        Err(error) => unreachable!("a runtime could be built a moment ago: {error}"),
    });
    let exit = system.block_on(serve(settings, reload, handed));
    // All is drained. Dropping the runtime would wait for threads that compute on for an abandoned run, for ever if
    // need be; the end of the process does not.
    std::mem::forget(system);
    exit
}

async fn serve(settings: Settings, mut reload: Reload, handed: Option<Handed>) -> Exit {
    let story = Story::of(&settings);
    let starting = Starting::begin();
    if let Some(handed) = &handed {
        tracing::info!(at = %handed.address(), "listening on the socket that was handed over, and not on `http.bind`");
    }
    let app = match App::start_handed(settings, Registry::configured, handed).await {
        Ok(app) => app,
        Err(error) => {
            tracing::error!(%error, "the daemon did not start");
            complain(&format!("gristmill: {error}"));
            return Exit::Failed;
        }
    };
    story.tell(&app);
    tracing::info!(version = env!("CARGO_PKG_VERSION"), address = %app.address(), "ready");
    let (exit, attendant) = until_told(&app, &mut reload, starting).await;
    hurry_at_the_next_signal(&app);
    if let Some(attendant) = &attendant {
        attendant.leaves();
    }
    app.drain().await;
    exit
}

/// Waits for the end: SIGTERM or SIGINT for a good one. SIGHUP opens the logs anew and reads the settings again.
async fn until_told(app: &App, reload: &mut Reload, starting: Starting) -> (Exit, Option<Attendant>) {
    let signals =
        (signal(SignalKind::terminate()), signal(SignalKind::interrupt()), signal(SignalKind::hangup()));
    let (Ok(mut terminate), Ok(mut interrupt), Ok(mut hangup)) = signals else {
        tracing::error!("signals cannot be received");
        return (Exit::Failed, None);
    };
    // Whoever hears that it is ready may send signals.
    let attendant = starting.attend(app);
    let exit = loop {
        tokio::select! {
            _ = terminate.recv() => break Exit::Done,
            _ = interrupt.recv() => break Exit::Done,
            _ = hangup.recv() => attendant.reload(|| {
                app.reopen_logs();
                reload.apply(app);
            }),
            reason = app.gave_up() => {
                tracing::error!(reason, "giving up");
                complain(&format!("gristmill: {reason}"));
                break Exit::Failed;
            }
        }
    };
    (exit, Some(attendant))
}

/// A second signal during the drain: what runs is given back at once.
fn hurry_at_the_next_signal(app: &App) {
    let hurry = app.hurry();
    let (Ok(mut terminate), Ok(mut interrupt)) =
        (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        return;
    };
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::warn!("a second signal: what still runs is given back now");
        hurry();
    });
}

/// The five lines that greet whoever started the daemon.
struct Story {
    database: String,
    blobs: String,
}

impl Story {
    fn of(settings: &Settings) -> Self {
        let database = match &settings.database.url {
            DatabaseUrl::Sqlite { path } => format!("SQLite in {}", path.display()),
            DatabaseUrl::Postgres(url) => format!("PostgreSQL at {url}"),
        };
        let blobs = match settings.blobs.url.folder() {
            Some(folder) => folder.display().to_string(),
            None => settings.blobs.url.to_string(),
        };
        Self { database, blobs }
    }

    /// Says it. Whoever closed our standard output does not want to hear it, which is no reason to end.
    fn tell(&self, app: &App) {
        let at = format!("http://{}", app.address());
        let user =
            format!("curl -X POST {at}/users -H 'content-type: application/json' -d '{{\"name\":\"ann\"}}'");
        let lines = [
            format!("gristmill {} listens on {at}", env!("CARGO_PKG_VERSION")),
            format!("  keeps tasks in {}, recordings in {}", self.database, self.blobs),
            format!("  a task:      curl -X POST {at}/tasks"),
            format!(
                "  a recording: curl -F user=1 -F token=<token> -F file=@talk.wav {at}/records   (first: {user})"
            ),
            format!(
                "  its health:  {at}/health/ready   its numbers: {at}/metrics   its API: {at}/openapi.json"
            ),
        ];
        let _ = writeln!(std::io::stdout().lock(), "{}", lines.join("\n"));
    }
}
