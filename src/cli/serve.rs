//! `gristmill serve`: the daemon, from its first line to its last.

use std::io::Write as _;

use actix_rt::System;
use tokio::signal::unix::{SignalKind, signal};

use super::Exit;
use crate::app::{App, Attendant, Handed, Starting};
use crate::config::{DatabaseUrl, Roles, Settings};
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
pub(super) fn run(arguments: Arguments, mut settings: Settings, handed: Option<Handed>) -> Exit {
    if let Some(roles) = arguments.roles {
        settings.general.roles = roles;
    }
    if let Err(error) = logging::init(&settings.log) {
        eprintln!("the log cannot be started: {error}");
        return Exit::Failed;
    }
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
            eprintln!("the runtime cannot be started: {error}");
            return Exit::Failed;
        }
    }
    let system = System::with_tokio_rt(|| match runtime() {
        Ok(runtime) => runtime,
        Err(error) => unreachable!("a runtime could be built a moment ago: {error}"),
    });
    let exit = system.block_on(serve(settings, handed));
    // All is drained. Dropping the runtime would wait for threads that compute on for an abandoned run, for ever if
    // need be; the end of the process does not.
    std::mem::forget(system);
    exit
}

async fn serve(settings: Settings, handed: Option<Handed>) -> Exit {
    let story = Story::of(&settings);
    let starting = Starting::begin();
    if let Some(handed) = &handed {
        tracing::info!(at = %handed.address(), "listening on the socket that was handed over, and not on `http.bind`");
    }
    let app = match App::start_handed(settings, Registry::configured, handed).await {
        Ok(app) => app,
        Err(error) => {
            tracing::error!(%error, "the daemon did not start");
            eprintln!("gristmill: {error}");
            return Exit::Failed;
        }
    };
    story.tell(&app);
    let (exit, attendant) = until_told(&app, starting).await;
    hurry_at_the_next_signal(&app);
    if let Some(attendant) = &attendant {
        attendant.leaves();
    }
    app.drain().await;
    exit
}

/// Waits for the end: SIGTERM or SIGINT for a good one. SIGHUP opens the logs anew.
async fn until_told(app: &App, starting: Starting) -> (Exit, Option<Attendant>) {
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
            _ = hangup.recv() => attendant.reload(|| app.reopen_logs()),
            reason = app.gave_up() => {
                tracing::error!(reason, "giving up");
                eprintln!("gristmill: {reason}");
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
