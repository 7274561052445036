//! The log on standard error or in the journal, for people or for programs.
//!
//! Called once at start ([`init`]), at a reload ([`LogHandle::set_level`]), at the end ([`LogHandle::flush`]), and by
//! whoever opens a span for a request or a run. True here: a line written while a request is served or a task runs
//! carries its ids, whatever the level; a line is one line, whatever is in it; saying something never waits for whoever
//! reads it; and no level makes the broker's client write the password down.
//!
//! An event becomes a `line`, the `pen` gives it its `form` and writes it.

mod form;
mod line;
mod pen;
#[cfg(test)]
mod tests;

use std::io::IsTerminal;
use std::path::PathBuf;
use std::time::Duration;

use tracing::subscriber::Subscriber;
use tracing::{Level, Metadata, Span};
use tracing_subscriber::filter::FilterFn;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry, reload};

use self::form::Form;
use self::line::Gather;
use self::pen::{Paper, Pen};
use crate::config::{LogFilter, LogFormat, LogSettings};
use crate::task::TraceParent;

/// Where systemd's journal listens.
const JOURNAL: &str = "/run/systemd/journal/socket";

/// How long a panic of the main thread waits for its line to be written.
const LAST_WORDS: Duration = Duration::from_millis(200);

/// Why logging could not start or be changed.
#[derive(Debug, thiserror::Error)]
pub enum LoggingError {
    /// Something else in this process has taken the log already.
    #[error("the log is already being written by another part of this process")]
    AlreadyStarted,
    /// The system gives no thread or no socket.
    #[error("nothing to write the log with: {0}")]
    System(#[from] std::io::Error),
    /// The level cannot be changed any more, since the log has ended.
    #[error("the log level cannot be changed: {0}")]
    Reload(#[from] reload::Error),
}

/// Starts the log, and has panics told in it.
///
/// # Errors
/// [`LoggingError`]; nothing was started then.
pub fn init(settings: &LogSettings) -> Result<LogHandle, LoggingError> {
    let paper = paper(settings.format, &Surroundings::look())?;
    let (subscriber, handle) = subscriber(&settings.level, paper)?;
    subscriber.try_init().map_err(|_| LoggingError::AlreadyStarted)?;
    let last = handle.clone();
    std::panic::set_hook(Box::new(move |panic| {
        tell_of_panic(panic);
        // What ends this thread ends the process, and the thread that writes with it.
        if std::thread::current().name() == Some("main") {
            last.flush(LAST_WORDS);
        }
    }));
    Ok(handle)
}

/// Changes the log while it runs.
#[derive(Debug, Clone)]
pub struct LogHandle {
    filter: reload::Handle<EnvFilter, Registry>,
    pen: Pen,
}

impl LogHandle {
    /// From now on writes what this filter lets through.
    ///
    /// # Errors
    /// [`LoggingError::Reload`].
    pub fn set_level(&self, level: &LogFilter) -> Result<(), LoggingError> {
        Ok(self.filter.reload(level.to_env_filter())?)
    }

    /// Of a log that nobody writes.
    #[cfg(test)]
    pub(crate) fn of_nothing() -> Self {
        let paper = Paper::Stream { form: Form::Json, out: Box::new(std::io::sink()) };
        let (subscriber, handle) = subscriber(&"off".parse().unwrap(), paper).unwrap();
        // Kept, since a handle can change only what is there.
        std::mem::forget(subscriber);
        handle
    }

    /// Waits until all that was said is written, but no longer than this; tells whether it was. Blocks: for the end of
    /// the process.
    pub fn flush(&self, patience: Duration) -> bool {
        self.pen.flush(patience)
    }
}

/// The span of a request. At the level `error`, so that the ids stand on every line that is written at all.
pub fn request_span(request_id: &str, method: &str, route: &str, trace: TraceParent) -> Span {
    tracing::error_span!("request", request_id, method, route, trace_id = %trace.trace_id())
}

/// The span of one run of a task, or of a message that asks for one; at the level `error` for the same reason.
pub fn task_span(task_id: i64, kind: &str, attempt: i64, trace: Option<TraceParent>) -> Span {
    let span = tracing::error_span!("task", task_id, kind, attempt, trace_id = tracing::field::Empty);
    if let Some(trace) = trace {
        span.record("trace_id", tracing::field::display(trace.trace_id()));
    }
    span
}

/// What decides the form where the settings leave that open.
struct Surroundings {
    terminal: bool,
    /// Whether standard error is the journal's.
    journal: bool,
    colours: bool,
}

impl Surroundings {
    fn look() -> Self {
        let stderr = std::io::stderr();
        let terminal = stderr.is_terminal();
        let plain = std::env::var_os("NO_COLOR").is_some_and(|text| !text.is_empty())
            || std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        let named = std::env::var("JOURNAL_STREAM").unwrap_or_default();
        let journal =
            rustix::fs::fstat(&stderr).is_ok_and(|stat| named == format!("{}:{}", stat.st_dev, stat.st_ino));
        Self { terminal, journal, colours: terminal && !plain }
    }
}

/// What the log is written on.
fn paper(format: LogFormat, around: &Surroundings) -> std::io::Result<Paper> {
    let stream = |form| Paper::Stream { form, out: Box::new(std::io::stderr()) };
    let human = || stream(Form::Human { colours: around.colours });
    let journal = || Paper::journal(PathBuf::from(JOURNAL), Box::new(std::io::stderr()));
    Ok(match format {
        LogFormat::Auto if around.terminal => human(),
        LogFormat::Auto if around.journal => journal()?,
        LogFormat::Auto | LogFormat::Json => stream(Form::Json),
        LogFormat::Human => human(),
        LogFormat::Journald => journal()?,
    })
}

fn subscriber(
    level: &LogFilter,
    paper: Paper,
) -> std::io::Result<(impl Subscriber + Send + Sync + use<>, LogHandle)> {
    let pen = Pen::start(paper)?;
    let (filter, handle) = reload::Layer::new(level.to_env_filter());
    let lines = Gather::new(pen.clone()).with_filter(FilterFn::new(tells_no_secret));
    Ok((tracing_subscriber::registry().with(filter).with(lines), LogHandle { filter: handle, pen }))
}

/// A line in place of what the standard library would print over several, which no program could read.
fn tell_of_panic(panic: &std::panic::PanicHookInfo<'_>) {
    let said = panic.payload_as_str().unwrap_or("no message");
    let place = panic.location().map(ToString::to_string).unwrap_or_default();
    let thread = std::thread::current();
    let trace = std::backtrace::Backtrace::capture();
    let trace =
        matches!(trace.status(), std::backtrace::BacktraceStatus::Captured).then(|| trace.to_string());
    tracing::error!(said, place, thread = thread.name().unwrap_or("unnamed"), trace, "a thread panicked");
}

/// Whatever the level: at `trace` the broker's client writes the frames it sends, and the first of them is the login.
fn tells_no_secret(metadata: &Metadata<'_>) -> bool {
    !(metadata.target().starts_with("lapin") && *metadata.level() == Level::TRACE)
}
