//! The action log: a file with one line for each thing that a user did, in English or Russian.
//!
//! Written to by the routes and kinds that finish a user's action; flushed by the drain, reopened at SIGHUP.
//! True here:
//! - One action is one line, whatever its names hold: control characters are escaped, so nobody forges a
//!   line.
//! - Writing never blocks the caller. Lines go through a bounded channel to one thread; when it is full, or
//!   the disk refuses, the line is dropped and counted (`gristmill_action_log_dropped_total`).

mod action;
#[cfg(test)]
mod tests;

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, SyncSender, TrySendError};
use std::thread;
use std::time::Duration;

use chrono::NaiveDateTime;

pub use self::action::{Action, RefusalReason};
use super::metrics::ActionLogMetrics;
use crate::config::{Language, LogSettings};

/// Lines that may wait for the disk. At a line a request this is seconds of work; more would only hide a dead
/// disk.
const CHANNEL: usize = 4096;

/// Lines that one write may gather.
const BATCH: usize = 256;

/// Why the action log could not be opened.
#[derive(Debug, thiserror::Error)]
#[error("the action log {path} cannot be opened: {source}; see the key log.file", path = path.display())]
pub struct ActionLogError {
    path: PathBuf,
    source: io::Error,
}

/// Gives the time that stands on a line.
type Now = Box<dyn Fn() -> NaiveDateTime + Send + Sync>;

/// The action log. Clones share one file; when the last is gone the thread writes what waits and ends.
#[derive(Clone)]
pub struct ActionLog {
    inner: Option<Arc<Inner>>,
}

struct Inner {
    /// Whether it is Russian.
    russian: AtomicBool,
    now: Now,
    sender: SyncSender<Order>,
    reopen: Arc<AtomicBool>,
    metrics: ActionLogMetrics,
}

enum Order {
    Line(String),
    /// Answer once everything before it is written.
    Flush(SyncSender<()>),
    /// Look at the flags.
    Wake,
}

impl ActionLog {
    /// Opens the log that the settings name, stamping lines with local time, as the other logs of a machine
    /// are.
    pub fn open(settings: &LogSettings) -> Result<Self, ActionLogError> {
        match &settings.file {
            Some(path) => {
                Self::open_at(path, settings.language, Box::new(|| chrono::Local::now().naive_local()))
            }
            None => Ok(Self::disabled()),
        }
    }

    /// A log that writes nothing.
    pub fn disabled() -> Self {
        Self { inner: None }
    }

    fn open_at(path: &Path, language: Language, now: Now) -> Result<Self, ActionLogError> {
        let failed = |source| ActionLogError { path: path.to_owned(), source };
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(failed)?;
        }
        let file = open_append(path).map_err(failed)?;
        let (sender, orders) = mpsc::sync_channel(CHANNEL);
        let reopen = Arc::new(AtomicBool::new(false));
        let metrics = ActionLogMetrics::new();
        let writer = Writer {
            path: path.to_owned(),
            file,
            broken_line: false,
            complained: false,
            reopen: Arc::clone(&reopen),
            metrics: metrics.clone(),
        };
        thread::Builder::new()
            .name("action-log".to_owned())
            .spawn(move || writer.run(&orders))
            .map_err(failed)?;
        Ok(Self { inner: Some(Arc::new(Inner { russian: russian(language), now, sender, reopen, metrics })) })
    }

    /// Writes a line about an action, soon and without waiting.
    pub fn record(&self, action: &Action) {
        let Some(inner) = &self.inner else { return };
        let time = (inner.now)().format("%Y-%m-%d %H:%M:%S");
        let language = if inner.russian.load(Ordering::Relaxed) { Language::Ru } else { Language::En };
        let line = format!("[{time}] {}\n", action.text(language));
        match inner.sender.try_send(Order::Line(line)) {
            Ok(()) => {}
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => inner.metrics.dropped(1),
        }
    }

    /// From now on lines are in this language.
    pub fn set_language(&self, language: Language) {
        if let Some(inner) = &self.inner {
            inner.russian.store(language == Language::Ru, Ordering::Relaxed);
        }
    }

    /// Opens the file again under its name, after a rotation has moved the old one away. Does not wait.
    pub fn reopen(&self) {
        let Some(inner) = &self.inner else { return };
        inner.reopen.store(true, Ordering::Release);
        // Wakes an idle writer. A full channel needs no waking: the flag is seen before its next write.
        let _ = inner.sender.try_send(Order::Wake);
    }

    /// Waits until everything recorded so far is written, but no longer than this; tells whether it was.
    /// Blocks: for the drain, not for requests.
    pub fn flush(&self, patience: Duration) -> bool {
        let Some(inner) = &self.inner else { return true };
        let (sender, done) = mpsc::sync_channel(1);
        let start = std::time::Instant::now();
        let mut order = Order::Flush(sender);
        // `send` would wait for ever on a writer that hangs in a dead disk.
        while let Err(error) = inner.sender.try_send(order) {
            match error {
                TrySendError::Full(back) if start.elapsed() < patience => order = back,
                TrySendError::Full(_) | TrySendError::Disconnected(_) => return false,
            }
            thread::sleep(Duration::from_millis(5));
        }
        done.recv_timeout(patience.saturating_sub(start.elapsed())).is_ok()
    }
}

fn russian(language: Language) -> AtomicBool {
    AtomicBool::new(language == Language::Ru)
}

/// For appending: whoever else writes to the file, lines stay whole. Readable by the group, as logs are; not
/// by all.
fn open_append(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::FileTypeExt as _;
    // Opening one would wait for whoever reads it.
    if std::fs::metadata(path).is_ok_and(|there| there.file_type().is_fifo()) {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is a FIFO: give a file"));
    }
    let mut options = OpenOptions::new();
    options.create(true).append(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o640);
    }
    options.open(path)
}

/// The thread that owns the file.
struct Writer {
    path: PathBuf,
    file: File,
    /// Whether the last write stopped in the middle of a line.
    broken_line: bool,
    /// Whether the present trouble has been logged already.
    complained: bool,
    reopen: Arc<AtomicBool>,
    metrics: ActionLogMetrics,
}

impl Writer {
    /// Ends when every sender is gone and the channel is empty.
    fn run(mut self, orders: &Receiver<Order>) {
        while let Ok(first) = orders.recv() {
            let mut text = String::new();
            let mut lines = 0;
            let mut flushed = Vec::new();
            let mut next = Some(first);
            while let Some(order) = next {
                match order {
                    Order::Line(line) => {
                        text.push_str(&line);
                        lines += 1;
                    }
                    Order::Flush(done) => flushed.push(done),
                    Order::Wake => {}
                }
                next = if lines < BATCH { orders.try_recv().ok() } else { None };
            }
            if self.reopen.swap(false, Ordering::AcqRel) {
                self.open_again();
            }
            self.write(&text, lines);
            for done in flushed {
                // Whoever asked may have lost patience.
                let _ = done.try_send(());
            }
        }
    }

    fn open_again(&mut self) {
        match open_append(&self.path) {
            Ok(file) => {
                self.file = file;
                self.broken_line = false;
            }
            Err(error) => {
                tracing::warn!(path = %self.path.display(), %error, "action log cannot be reopened; writing on in the old file");
            }
        }
    }

    fn write(&mut self, text: &str, lines: usize) {
        if lines == 0 {
            return;
        }
        // A half line from a full disk must not swallow the first whole one after it.
        let result = if self.broken_line { self.file.write_all(b"\n") } else { Ok(()) }.and_then(|()| {
            self.broken_line = true;
            self.file.write_all(text.as_bytes())
        });
        match result {
            Ok(()) => {
                self.broken_line = false;
                self.complained = false;
            }
            Err(error) => {
                self.metrics.dropped(lines as u64);
                // Once for each spell of trouble: a full disk would otherwise fill the other log too.
                if !self.complained {
                    self.complained = true;
                    tracing::warn!(path = %self.path.display(), %error, "action log cannot be written; lines are dropped");
                }
            }
        }
    }
}
