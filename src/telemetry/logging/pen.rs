//! The pen: the thread that writes the log, so that nobody else waits for a terminal, a pipe or the journal.
//!
//! Lines go to it through a bounded channel. True here: whoever has something to say never waits and never fails; what
//! finds no room, or cannot be written, is dropped and counted (`gristmill_log_lines_dropped_total`), and once
//! something can be written again, a line says how much was dropped.

use std::io::{self, Write};
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, SyncSender, TrySendError};
use std::thread;
use std::time::{Duration, Instant};

use tracing::Level;

use super::form::{self, Form};
use super::line::Line;
use crate::telemetry::metrics::LogMetrics;

/// Lines that may wait to be written.
const CHANNEL: usize = 4096;

/// Lines that one write may gather.
const BATCH: usize = 128;

/// How long the pen waits for the journal, or for a stream that says it is full, before it gives a write up.
const PATIENCE: Duration = Duration::from_secs(1);

/// Where lines go.
pub(super) enum Paper {
    /// To a stream.
    Stream { form: Form, out: Box<dyn Write + Send> },
    /// To the journal; to the stream as JSON while that cannot be reached.
    Journal { socket: UnixDatagram, path: PathBuf, otherwise: Box<dyn Write + Send> },
}

impl Paper {
    /// The journal behind the socket at `path`.
    pub(super) fn journal(path: PathBuf, otherwise: Box<dyn Write + Send>) -> io::Result<Self> {
        let socket = UnixDatagram::unbound()?;
        socket.set_write_timeout(Some(PATIENCE))?;
        Ok(Self::Journal { socket, path, otherwise })
    }
}

/// Hands lines to the thread that writes. Clones write on the same paper; when the last is gone the thread ends.
#[derive(Debug, Clone)]
pub(super) struct Pen {
    sender: SyncSender<Order>,
    dropped: Arc<AtomicU64>,
}

#[derive(Debug)]
enum Order {
    Line(Box<Line>),
    /// Answer once everything before it is written.
    Flush(SyncSender<()>),
}

impl Pen {
    /// Starts the thread.
    pub(super) fn start(paper: Paper) -> io::Result<Self> {
        let (sender, orders) = mpsc::sync_channel(CHANNEL);
        let dropped = Arc::<AtomicU64>::default();
        let writer = Writer { paper, dropped: Arc::clone(&dropped), broken_line: false, away: false };
        thread::Builder::new().name("log".to_owned()).spawn(move || writer.run(&orders))?;
        Ok(Self { sender, dropped })
    }

    /// Has a line written, soon and without waiting.
    pub(super) fn write(&self, line: Line) {
        match self.sender.try_send(Order::Line(Box::new(line))) {
            Ok(()) => {}
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => drop_lines(&self.dropped, 1),
        }
    }

    /// Waits until all that was said before is written, but no longer than this; tells whether it was.
    pub(super) fn flush(&self, patience: Duration) -> bool {
        let start = Instant::now();
        let (sender, done) = mpsc::sync_channel(1);
        let mut order = Order::Flush(sender);
        while let Err(error) = self.sender.try_send(order) {
            match error {
                TrySendError::Full(back) if start.elapsed() < patience => order = back,
                TrySendError::Full(_) | TrySendError::Disconnected(_) => return false,
            }
            thread::sleep(Duration::from_millis(5));
        }
        done.recv_timeout(patience.saturating_sub(start.elapsed())).is_ok()
    }
}

/// The handle is looked up each time: the log is there before the metrics are.
fn drop_lines(dropped: &AtomicU64, lines: u64) {
    dropped.fetch_add(lines, Ordering::Relaxed);
    LogMetrics::new().dropped(lines);
}

/// The thread's side.
struct Writer {
    paper: Paper,
    /// Lines dropped of which nothing was said yet.
    dropped: Arc<AtomicU64>,
    /// Whether the last write on a stream stopped in the middle of a line.
    broken_line: bool,
    /// Whether the journal could not be reached the last time.
    away: bool,
}

impl Writer {
    /// Ends when every pen is gone and the channel is empty.
    fn run(mut self, orders: &Receiver<Order>) {
        while let Ok(first) = orders.recv() {
            let (mut lines, mut flushed) = (Vec::new(), Vec::new());
            let mut next = Some(first);
            while let Some(order) = next {
                match order {
                    Order::Line(line) => lines.push(line),
                    Order::Flush(done) => flushed.push(done),
                }
                next = if lines.len() < BATCH { orders.try_recv().ok() } else { None };
            }
            if !self.write(&lines) {
                drop_lines(&self.dropped, lines.len() as u64);
            }
            self.confess();
            for done in flushed {
                // Whoever asked may have lost patience.
                let _ = done.try_send(());
            }
        }
    }

    /// Writes lines; tells whether that could be done.
    fn write(&mut self, lines: &[Box<Line>]) -> bool {
        let written = match &mut self.paper {
            Paper::Stream { form, out } => {
                let text: String = lines.iter().map(|line| form.of(line)).collect();
                put(out, &mut self.broken_line, &text)
            }
            Paper::Journal { socket, path, otherwise } => {
                let mut text = String::new();
                for line in lines {
                    match socket.send_to(&form::journal(line), &*path) {
                        Ok(_) => self.away = false,
                        Err(error) => {
                            if !self.away {
                                self.away = true;
                                let path = path.display();
                                let told = format!(
                                    "the journal at {path} cannot be reached ({error}): the log goes to standard error"
                                );
                                text.push_str(&Form::Json.of(&Line::own(Level::WARN, told)));
                            }
                            text.push_str(&Form::Json.of(line));
                        }
                    }
                }
                put(otherwise, &mut self.broken_line, &text)
            }
        };
        written.is_ok()
    }

    /// Says how much was dropped, if something was and it can be said.
    fn confess(&mut self) {
        let lines = self.dropped.swap(0, Ordering::Relaxed);
        if lines == 0 {
            return;
        }
        let told = format!(
            "{lines} lines of the log were dropped: they could not be written fast enough, or at all"
        );
        if !self.write(&[Box::new(Line::own(Level::WARN, told))]) {
            self.dropped.fetch_add(lines, Ordering::Relaxed);
        }
    }
}

/// Writes whole lines, beginning a new one where the last was broken off.
fn put(out: &mut dyn Write, broken_line: &mut bool, text: &str) -> io::Result<()> {
    if text.is_empty() {
        return Ok(());
    }
    if *broken_line {
        patiently(out, b"\n")?;
    }
    *broken_line = true;
    patiently(out, text.as_bytes())?;
    *broken_line = false;
    out.flush()
}

/// `write_all` on a stream that somebody may have made non-blocking.
fn patiently(out: &mut dyn Write, mut bytes: &[u8]) -> io::Result<()> {
    let start = Instant::now();
    while !bytes.is_empty() {
        match out.write(bytes) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => bytes = &bytes[written..],
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock && start.elapsed() < PATIENCE => {
                thread::sleep(Duration::from_millis(5));
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
