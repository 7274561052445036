//! The log on standard error, for people or for programs.
//!
//! Called once at start ([`init`]), at a reload ([`LogHandle::set_level`]), and by whoever opens a span for a
//! request or a run. True here: a line written while a request is served or a task runs carries its id,
//! whatever the level; and no level makes the broker's client write the password down.

use tracing::subscriber::Subscriber;
use tracing::{Level, Metadata, Span};
use tracing_subscriber::filter::FilterFn;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry, fmt, reload};

use crate::config::{LogFilter, LogFormat, LogSettings};

/// Why logging could not start or be changed.
#[derive(Debug, thiserror::Error)]
pub enum LoggingError {
    /// Something else in this process has taken the log already.
    #[error("the log is already being written by another part of this process")]
    AlreadyStarted,
    /// The level cannot be changed any more, since the log has ended.
    #[error("the log level cannot be changed: {0}")]
    Reload(#[from] reload::Error),
}

/// Starts the log on standard error.
pub fn init(settings: &LogSettings) -> Result<LogHandle, LoggingError> {
    use std::io::IsTerminal;
    let colours = std::io::stderr().is_terminal();
    let (subscriber, handle) = subscriber(settings, std::io::stderr, colours);
    subscriber.try_init().map_err(|_| LoggingError::AlreadyStarted)?;
    Ok(handle)
}

/// Changes the log while it runs.
#[derive(Debug, Clone)]
pub struct LogHandle {
    filter: reload::Handle<EnvFilter, Registry>,
}

impl LogHandle {
    /// From now on writes what this filter lets through.
    pub fn set_level(&self, level: &LogFilter) -> Result<(), LoggingError> {
        Ok(self.filter.reload(level.to_env_filter())?)
    }
}

/// The span of a request. At the level `error`, so that the id stands on every line that is written at all.
pub fn request_span(request_id: &str, method: &str, route: &str) -> Span {
    tracing::error_span!("request", request_id, method, route)
}

/// The span of one run of a task; at the level `error` for the same reason.
pub fn task_span(task_id: i64, kind: &str, attempt: i64) -> Span {
    tracing::error_span!("task", task_id, kind, attempt)
}

fn subscriber<W>(
    settings: &LogSettings,
    writer: W,
    colours: bool,
) -> (impl Subscriber + Send + Sync, LogHandle)
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let (filter, handle) = reload::Layer::new(settings.level.to_env_filter());
    let lines = fmt::layer().with_writer(writer);
    let lines: Box<dyn Layer<_> + Send + Sync> = match settings.format {
        LogFormat::Human => Box::new(lines.with_ansi(colours)),
        LogFormat::Json => Box::new(
            // The list of spans holds the current one too: naming it twice would double every line.
            lines.json().flatten_event(true).with_current_span(false).with_span_list(true),
        ),
    };
    let lines = lines.with_filter(FilterFn::new(tells_no_secret));
    (tracing_subscriber::registry().with(filter).with(lines), LogHandle { filter: handle })
}

/// Whatever the level: at `trace` the broker's client writes the frames it sends, and the first of them is the login.
fn tells_no_secret(metadata: &Metadata<'_>) -> bool {
    !(metadata.target().starts_with("lapin") && *metadata.level() == Level::TRACE)
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::config::{LoadOptions, Settings};

    #[derive(Clone, Default)]
    struct Paper(Arc<Mutex<Vec<u8>>>);

    impl Write for Paper {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    impl Paper {
        fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }
    }

    fn settings(level: &str, format: LogFormat) -> LogSettings {
        let options = LoadOptions { directory: "no such folder".into(), ..LoadOptions::default() };
        let mut settings = Settings::load(options).unwrap().settings.log;
        settings.level = level.parse().unwrap();
        settings.format = format;
        settings
    }

    fn write_with(settings: &LogSettings, speak: impl FnOnce(&LogHandle)) -> String {
        let paper = Paper::default();
        let pen = paper.clone();
        let (subscriber, handle) = subscriber(settings, move || pen.clone(), false);
        tracing::subscriber::with_default(subscriber, || speak(&handle));
        paper.text()
    }

    #[test]
    fn json_lines_carry_the_ids_of_request_and_task() {
        let text = write_with(&settings("warn", LogFormat::Json), |_| {
            let _request = request_span("r-1", "POST", "/tasks").entered();
            let _task = task_span(7, "noop", 2).entered();
            tracing::warn!(queue = 3, "queue is long");
        });
        let line: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(line["message"], "queue is long");
        assert_eq!(line["level"], "WARN");
        assert_eq!(line["queue"], 3);
        assert_eq!(line["spans"][0]["request_id"], "r-1");
        assert_eq!(line["spans"][0]["route"], "/tasks");
        assert_eq!(line["spans"][1]["task_id"], 7);
        assert_eq!(line["spans"][1]["attempt"], 2);
    }

    #[test]
    fn human_lines_carry_them_too_and_no_colours_off_a_terminal() {
        let text = write_with(&settings("info", LogFormat::Human), |_| {
            let _task = task_span(7, "noop", 1).entered();
            tracing::info!("done");
        });
        assert!(text.contains("INFO task{task_id=7 kind=\"noop\" attempt=1}"), "{text}");
        assert!(text.trim_end().ends_with("done") && !text.contains('\u{1b}'), "{text:?}");
    }

    #[test]
    fn a_head_that_cannot_be_read_is_no_error_of_ours_unless_the_level_asks_for_it() {
        let standard =
            Settings::load(LoadOptions { directory: "no such folder".into(), ..LoadOptions::default() });
        let standard = standard.unwrap().settings.log;
        let text = write_with(&standard, |_| {
            tracing::error!(target: "actix_http::h1::dispatcher", "stream error: request parse error");
            tracing::error!("ours");
        });
        assert!(!text.contains("parse error") && text.contains("ours"), "{text}");
    }

    #[test]
    fn no_level_lets_the_frames_of_the_brokers_client_through() {
        for level in ["trace", "lapin=trace", "lapin::io_loop=trace"] {
            let text = write_with(&settings(level, LogFormat::Human), |_| {
                tracing::trace!(target: "lapin::io_loop", "the login");
                tracing::debug!(target: "lapin::io_loop", "a pause");
            });
            assert!(!text.contains("the login") && text.contains("a pause"), "{level}: {text}");
        }
    }

    #[test]
    fn the_level_decides_and_may_be_changed() {
        let text = write_with(&settings("warn", LogFormat::Human), |handle| {
            tracing::info!("first");
            handle.set_level(&"info".parse().unwrap()).unwrap();
            tracing::info!("second");
            handle.set_level(&"off".parse().unwrap()).unwrap();
            tracing::error!("third");
        });
        assert!(!text.contains("first") && text.contains("second") && !text.contains("third"), "{text}");
    }
}
