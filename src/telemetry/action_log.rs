//! The action log: a file with one line for each thing that a user did, in English or Russian.
//!
//! Written to by the routes and kinds that finish a user's action; flushed by the drain, reopened at SIGHUP.
//! True here:
//! - One action is one line, whatever its names hold: control characters are escaped, so nobody forges a
//!   line.
//! - Writing never blocks the caller. Lines go through a bounded channel to one thread; when it is full, or
//!   the disk refuses, the line is dropped and counted (`gristmill_action_log_dropped_total`).

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, SyncSender, TrySendError};
use std::thread;
use std::time::Duration;

use chrono::NaiveDateTime;

use super::metrics::ActionLogMetrics;
use crate::config::{Language, LogSettings};

/// Lines that may wait for the disk. At a line a request this is seconds of work; more would only hide a dead
/// disk.
const CHANNEL: usize = 4096;

/// Lines that one write may gather.
const BATCH: usize = 256;

/// Characters of a name that are written; the rest becomes an ellipsis, so that a line stays readable.
const NAME: usize = 255;

/// What a user did, or tried to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// A user was created.
    UserCreated {
        /// The user's name.
        name: String,
    },
    /// A user was changed, or got another token.
    UserChanged {
        /// The user's name.
        name: String,
    },
    /// A user was removed.
    UserDeleted {
        /// The user's name.
        name: String,
    },
    /// A user logged in.
    LoggedIn {
        /// The user's name.
        name: String,
    },
    /// A user ended a session.
    LoggedOut {
        /// The user's name.
        name: String,
    },
    /// Somebody tried to log in and could not.
    LoginFailed {
        /// As whom, where there is such a user.
        name: Option<String>,
        /// From where.
        address: IpAddr,
    },
    /// A recording was taken; its conversion is still to come.
    RecordingAccepted {
        /// The name of the file as it was sent.
        filename: String,
    },
    /// A recording was converted and kept.
    RecordingSaved {
        /// The name of the file as it was sent.
        filename: String,
    },
    /// A file was not taken.
    FileRefused {
        /// The name of the file as it was sent.
        filename: String,
        /// Why not.
        reason: RefusalReason,
    },
    /// A recording was taken but could not be converted.
    RecordingFailed {
        /// The name of the file as it was sent.
        filename: String,
    },
    /// An image was taken.
    ImageUploaded {
        /// The name of the file as it was sent.
        filename: String,
    },
    /// An image was taken but could not be made ready to be shown.
    ImageFailed {
        /// The name of the file as it was sent.
        filename: String,
    },
    /// A user's counters were changed.
    StatsChanged {
        /// The user's name.
        name: String,
    },
    /// A report about a user was ordered.
    ReportOrdered {
        /// The user's name.
        name: String,
    },
    /// As many questions were saved as were asked for.
    QuestionsSaved {
        /// So many.
        count: u32,
    },
    /// Fewer questions were saved than were asked for.
    QuestionsShort {
        /// So many were.
        saved: u32,
        /// So many should have been.
        asked: u32,
    },
    /// A recording was removed.
    RecordingDeleted {
        /// The name of the file as it was sent.
        filename: String,
    },
    /// An image was removed.
    ImageDeleted {
        /// The name of the file as it was sent.
        filename: String,
    },
    /// An admin let no task of a kind start any more.
    KindPaused {
        /// The kind's name.
        kind: String,
    },
    /// An admin let them start again.
    KindResumed {
        /// The kind's name.
        kind: String,
    },
    /// An admin cancelled tasks.
    TasksCancelled {
        /// So many.
        count: u64,
        /// The admin's number; `None` is the operator.
        admin: Option<i64>,
    },
    /// An admin made tasks ready again.
    TasksRetried {
        /// So many.
        count: u64,
        /// The admin's number; `None` is the operator.
        admin: Option<i64>,
    },
    /// An admin removed tasks.
    TasksDeleted {
        /// So many.
        count: u64,
        /// The admin's number; `None` is the operator.
        admin: Option<i64>,
    },
    /// An admin sent dead messages back to their queue.
    MessagesSentBack {
        /// So many.
        count: u64,
        /// The admin's number; `None` is the operator.
        admin: Option<i64>,
    },
    /// An admin removed dead messages.
    MessagesDeleted {
        /// So many.
        count: u64,
        /// The admin's number; `None` is the operator.
        admin: Option<i64>,
    },
}

/// Why an upload was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefusalReason {
    /// Its bytes are of a format that is not taken.
    UnsupportedFormat,
    /// It is larger than allowed.
    TooLarge,
    /// Its bytes claim the format but do not follow it.
    Damaged,
    /// It ended before its end.
    Incomplete,
    /// The caller may not do this.
    AccessDenied,
    /// The caller has sent as many as they may, for now.
    TooMany,
    /// The caller has as much here as they may.
    OverQuota,
}

impl Action {
    /// The line without its time, as `Success: recording talk.wav saved.`
    pub fn text(&self, language: Language) -> String {
        match (self, language) {
            (Self::UserCreated { name }, Language::En) => format!("Success: user {} created.", safe(name)),
            (Self::UserCreated { name }, Language::Ru) => {
                format!("Успех: пользователь {} создан.", safe(name))
            }
            (Self::UserChanged { name }, Language::En) => format!("Success: user {} changed.", safe(name)),
            (Self::UserChanged { name }, Language::Ru) => {
                format!("Успех: пользователь {} изменён.", safe(name))
            }
            (Self::UserDeleted { name }, Language::En) => format!("Success: user {} deleted.", safe(name)),
            (Self::UserDeleted { name }, Language::Ru) => {
                format!("Успех: пользователь {} удалён.", safe(name))
            }
            (Self::LoggedIn { name }, Language::En) => format!("Success: user {} logged in.", safe(name)),
            (Self::LoggedIn { name }, Language::Ru) => {
                format!("Успех: пользователь {} вошёл в систему.", safe(name))
            }
            (Self::LoggedOut { name }, Language::En) => format!("Success: user {} logged out.", safe(name)),
            (Self::LoggedOut { name }, Language::Ru) => {
                format!("Успех: пользователь {} вышел из системы.", safe(name))
            }
            (Self::LoginFailed { name, address }, Language::En) => {
                let name = name.as_deref().map_or("unknown user".to_owned(), safe);
                format!("Error: login failed ({name} from {address}).")
            }
            (Self::LoginFailed { name, address }, Language::Ru) => {
                let name = name.as_deref().map_or("неизвестный пользователь".to_owned(), safe);
                format!("Ошибка: вход не удался ({name}, адрес {address}).")
            }
            (Self::RecordingAccepted { filename }, Language::En) => {
                format!("Success: recording {} accepted.", safe(filename))
            }
            (Self::RecordingAccepted { filename }, Language::Ru) => {
                format!("Успех: запись {} принята.", safe(filename))
            }
            (Self::RecordingSaved { filename }, Language::En) => {
                format!("Success: recording {} saved.", safe(filename))
            }
            (Self::RecordingSaved { filename }, Language::Ru) => {
                format!("Успех: запись {} сохранена.", safe(filename))
            }
            (Self::FileRefused { filename, reason }, Language::En) => {
                format!("Error: {} ({}).", reason.text(language), safe(filename))
            }
            (Self::FileRefused { filename, reason }, Language::Ru) => {
                format!("Ошибка: {} ({}).", reason.text(language), safe(filename))
            }
            (Self::RecordingFailed { filename }, Language::En) => {
                format!("Error: recording {} could not be converted.", safe(filename))
            }
            (Self::RecordingFailed { filename }, Language::Ru) => {
                format!("Ошибка: запись {} не удалось преобразовать.", safe(filename))
            }
            (Self::StatsChanged { name }, Language::En) => {
                format!("Success: statistics of user {} changed.", safe(name))
            }
            (Self::StatsChanged { name }, Language::Ru) => {
                format!("Успех: статистика пользователя {} изменена.", safe(name))
            }
            (Self::ReportOrdered { name }, Language::En) => {
                format!("Success: report about user {} ordered.", safe(name))
            }
            (Self::ReportOrdered { name }, Language::Ru) => {
                format!("Успех: отчёт о пользователе {} заказан.", safe(name))
            }
            (Self::QuestionsSaved { count }, Language::En) => {
                format!("Success: quiz questions saved ({count}).")
            }
            (Self::QuestionsSaved { count }, Language::Ru) => {
                format!("Успех: вопросы викторины сохранены ({count}).")
            }
            (Self::QuestionsShort { saved, asked }, Language::En) => {
                format!("Error: not all quiz questions saved ({saved} of {asked}).")
            }
            (Self::QuestionsShort { saved, asked }, Language::Ru) => {
                format!("Ошибка: сохранены не все вопросы викторины ({saved} из {asked}).")
            }
            (Self::ImageUploaded { filename }, Language::En) => {
                format!("Success: image {} uploaded.", safe(filename))
            }
            (Self::ImageUploaded { filename }, Language::Ru) => {
                format!("Успех: изображение {} загружено.", safe(filename))
            }
            (Self::ImageFailed { filename }, Language::En) => {
                format!("Error: image {} could not be processed.", safe(filename))
            }
            (Self::ImageFailed { filename }, Language::Ru) => {
                format!("Ошибка: изображение {} не удалось обработать.", safe(filename))
            }
            (Self::RecordingDeleted { filename }, Language::En) => {
                format!("Success: recording {} deleted.", safe(filename))
            }
            (Self::RecordingDeleted { filename }, Language::Ru) => {
                format!("Успех: запись {} удалена.", safe(filename))
            }
            (Self::ImageDeleted { filename }, Language::En) => {
                format!("Success: image {} deleted.", safe(filename))
            }
            (Self::ImageDeleted { filename }, Language::Ru) => {
                format!("Успех: изображение {} удалено.", safe(filename))
            }
            (Self::KindPaused { kind }, Language::En) => format!("Success: tasks {} paused.", safe(kind)),
            (Self::KindPaused { kind }, Language::Ru) => {
                format!("Успех: задачи {} приостановлены.", safe(kind))
            }
            (Self::KindResumed { kind }, Language::En) => format!("Success: tasks {} resumed.", safe(kind)),
            (Self::KindResumed { kind }, Language::Ru) => {
                format!("Успех: задачи {} возобновлены.", safe(kind))
            }
            (Self::TasksCancelled { count, admin }, Language::En) => {
                format!("Success: tasks cancelled ({count}, by {}).", who(*admin, language))
            }
            (Self::TasksCancelled { count, admin }, Language::Ru) => {
                format!("Успех: задачи отменены ({count}, {}).", who(*admin, language))
            }
            (Self::TasksRetried { count, admin }, Language::En) => {
                format!("Success: tasks retried ({count}, by {}).", who(*admin, language))
            }
            (Self::TasksRetried { count, admin }, Language::Ru) => {
                format!("Успех: задачи поставлены на повтор ({count}, {}).", who(*admin, language))
            }
            (Self::TasksDeleted { count, admin }, Language::En) => {
                format!("Success: tasks deleted ({count}, by {}).", who(*admin, language))
            }
            (Self::TasksDeleted { count, admin }, Language::Ru) => {
                format!("Успех: задачи удалены ({count}, {}).", who(*admin, language))
            }
            (Self::MessagesSentBack { count, admin }, Language::En) => {
                format!("Success: dead letters sent back ({count}, by {}).", who(*admin, language))
            }
            (Self::MessagesSentBack { count, admin }, Language::Ru) => {
                format!(
                    "Успех: недоставленные сообщения отправлены обратно ({count}, {}).",
                    who(*admin, language)
                )
            }
            (Self::MessagesDeleted { count, admin }, Language::En) => {
                format!("Success: dead letters deleted ({count}, by {}).", who(*admin, language))
            }
            (Self::MessagesDeleted { count, admin }, Language::Ru) => {
                format!("Успех: недоставленные сообщения удалены ({count}, {}).", who(*admin, language))
            }
        }
    }
}

impl RefusalReason {
    fn text(self, language: Language) -> &'static str {
        match (self, language) {
            (Self::UnsupportedFormat, Language::En) => "unsupported file format",
            (Self::UnsupportedFormat, Language::Ru) => "неподдерживаемый формат файла",
            (Self::TooLarge, Language::En) => "file too large",
            (Self::TooLarge, Language::Ru) => "слишком большой файл",
            (Self::Damaged, Language::En) => "damaged file",
            (Self::Damaged, Language::Ru) => "повреждённый файл",
            (Self::Incomplete, Language::En) => "incomplete upload",
            (Self::Incomplete, Language::Ru) => "загрузка прервана",
            (Self::AccessDenied, Language::En) => "access denied",
            (Self::AccessDenied, Language::Ru) => "доступ запрещён",
            (Self::TooMany, Language::En) => "too many uploads",
            (Self::TooMany, Language::Ru) => "слишком много загрузок",
            (Self::OverQuota, Language::En) => "no room for more",
            (Self::OverQuota, Language::Ru) => "исчерпана квота",
        }
    }
}

/// Which admin.
fn who(admin: Option<i64>, language: Language) -> String {
    match (admin, language) {
        (Some(admin), Language::En) => format!("admin #{admin}"),
        (Some(admin), Language::Ru) => format!("администратор #{admin}"),
        (None, Language::En) => "the operator".to_owned(),
        (None, Language::Ru) => "оператор".to_owned(),
    }
}

/// A name as it may stand in a line: nothing in it ends the line, moves the cursor or turns the text around,
/// and what is escaped cannot be mistaken for what is not.
fn safe(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    for (index, c) in name.chars().enumerate() {
        if index == NAME {
            out.push('…');
            break;
        }
        match c {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c.is_control() || breaks_lines_or_direction(c) => out.extend(c.escape_unicode()),
            c => out.push(c),
        }
    }
    out
}

/// Unicode's line and paragraph separators, direction marks, overrides and isolates, and the byte order mark.
fn breaks_lines_or_direction(c: char) -> bool {
    matches!(
        c,
        '\u{2028}'
            | '\u{2029}'
            | '\u{061c}'
            | '\u{200e}'
            | '\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2066}'..='\u{2069}'
            | '\u{feff}'
    )
}

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
    language: Language,
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
        Ok(Self { inner: Some(Arc::new(Inner { language, now, sender, reopen, metrics })) })
    }

    /// Writes a line about an action, soon and without waiting.
    pub fn record(&self, action: &Action) {
        let Some(inner) = &self.inner else { return };
        let time = (inner.now)().format("%Y-%m-%d %H:%M:%S");
        let line = format!("[{time}] {}\n", action.text(inner.language));
        match inner.sender.try_send(Order::Line(line)) {
            Ok(()) => {}
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => inner.metrics.dropped(1),
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

/// For appending: whoever else writes to the file, lines stay whole. Readable by the group, as logs are; not
/// by all.
fn open_append(path: &Path) -> io::Result<File> {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn noon() -> Now {
        let time = "2024-05-06T07:08:09".parse().unwrap();
        Box::new(move || time)
    }

    fn patience() -> Duration {
        Duration::from_secs(20)
    }

    fn saved(filename: &str) -> Action {
        Action::RecordingSaved { filename: filename.to_owned() }
    }

    fn refused(filename: &str, reason: RefusalReason) -> Action {
        Action::FileRefused { filename: filename.to_owned(), reason }
    }

    fn lines_of(actions: &[Action], language: Language) -> String {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("logs/app.log");
        let log = ActionLog::open_at(&path, language, noon()).unwrap();
        for action in actions {
            log.record(action);
        }
        assert!(log.flush(patience()));
        std::fs::read_to_string(path).unwrap()
    }

    fn one_of_each() -> Vec<Action> {
        vec![
            Action::UserCreated { name: "Анна".to_owned() },
            Action::UserChanged { name: "Анна".to_owned() },
            Action::UserDeleted { name: "Анна".to_owned() },
            Action::LoggedIn { name: "Анна".to_owned() },
            Action::LoggedOut { name: "Анна".to_owned() },
            Action::LoginFailed { name: Some("#3".to_owned()), address: [192, 0, 2, 7].into() },
            Action::LoginFailed { name: None, address: [192, 0, 2, 7].into() },
            Action::RecordingAccepted { filename: "talk.wav".to_owned() },
            saved("talk.wav"),
            refused("user_file.txt", RefusalReason::UnsupportedFormat),
            refused("a.wav", RefusalReason::TooLarge),
            refused("b.wav", RefusalReason::Damaged),
            refused("c.wav", RefusalReason::Incomplete),
            refused("d.wav", RefusalReason::AccessDenied),
            Action::RecordingFailed { filename: "talk.wav".to_owned() },
            Action::StatsChanged { name: "Анна".to_owned() },
            Action::ReportOrdered { name: "Анна".to_owned() },
            Action::QuestionsSaved { count: 5 },
            Action::QuestionsShort { saved: 3, asked: 5 },
            Action::ImageUploaded { filename: "img1.jpg".to_owned() },
            Action::ImageFailed { filename: "img1.jpg".to_owned() },
            Action::RecordingDeleted { filename: "talk.wav".to_owned() },
            Action::ImageDeleted { filename: "img1.jpg".to_owned() },
            Action::KindPaused { kind: "noop".to_owned() },
            Action::KindResumed { kind: "noop".to_owned() },
            Action::TasksCancelled { count: 5, admin: Some(3) },
            Action::TasksRetried { count: 1, admin: None },
            Action::TasksDeleted { count: 7, admin: Some(3) },
            Action::MessagesSentBack { count: 2, admin: Some(3) },
            Action::MessagesDeleted { count: 3, admin: None },
            refused("e.png", RefusalReason::TooMany),
            refused("f.png", RefusalReason::OverQuota),
        ]
    }

    #[test]
    fn english_lines_are_exactly_these() {
        let expected = "\
[2024-05-06 07:08:09] Success: user Анна created.
[2024-05-06 07:08:09] Success: user Анна changed.
[2024-05-06 07:08:09] Success: user Анна deleted.
[2024-05-06 07:08:09] Success: user Анна logged in.
[2024-05-06 07:08:09] Success: user Анна logged out.
[2024-05-06 07:08:09] Error: login failed (#3 from 192.0.2.7).
[2024-05-06 07:08:09] Error: login failed (unknown user from 192.0.2.7).
[2024-05-06 07:08:09] Success: recording talk.wav accepted.
[2024-05-06 07:08:09] Success: recording talk.wav saved.
[2024-05-06 07:08:09] Error: unsupported file format (user_file.txt).
[2024-05-06 07:08:09] Error: file too large (a.wav).
[2024-05-06 07:08:09] Error: damaged file (b.wav).
[2024-05-06 07:08:09] Error: incomplete upload (c.wav).
[2024-05-06 07:08:09] Error: access denied (d.wav).
[2024-05-06 07:08:09] Error: recording talk.wav could not be converted.
[2024-05-06 07:08:09] Success: statistics of user Анна changed.
[2024-05-06 07:08:09] Success: report about user Анна ordered.
[2024-05-06 07:08:09] Success: quiz questions saved (5).
[2024-05-06 07:08:09] Error: not all quiz questions saved (3 of 5).
[2024-05-06 07:08:09] Success: image img1.jpg uploaded.
[2024-05-06 07:08:09] Error: image img1.jpg could not be processed.
[2024-05-06 07:08:09] Success: recording talk.wav deleted.
[2024-05-06 07:08:09] Success: image img1.jpg deleted.
[2024-05-06 07:08:09] Success: tasks noop paused.
[2024-05-06 07:08:09] Success: tasks noop resumed.
[2024-05-06 07:08:09] Success: tasks cancelled (5, by admin #3).
[2024-05-06 07:08:09] Success: tasks retried (1, by the operator).
[2024-05-06 07:08:09] Success: tasks deleted (7, by admin #3).
[2024-05-06 07:08:09] Success: dead letters sent back (2, by admin #3).
[2024-05-06 07:08:09] Success: dead letters deleted (3, by the operator).
[2024-05-06 07:08:09] Error: too many uploads (e.png).
[2024-05-06 07:08:09] Error: no room for more (f.png).
";
        assert_eq!(lines_of(&one_of_each(), Language::En), expected);
    }

    #[test]
    fn russian_lines_are_exactly_these() {
        let expected = "\
[2024-05-06 07:08:09] Успех: пользователь Анна создан.
[2024-05-06 07:08:09] Успех: пользователь Анна изменён.
[2024-05-06 07:08:09] Успех: пользователь Анна удалён.
[2024-05-06 07:08:09] Успех: пользователь Анна вошёл в систему.
[2024-05-06 07:08:09] Успех: пользователь Анна вышел из системы.
[2024-05-06 07:08:09] Ошибка: вход не удался (#3, адрес 192.0.2.7).
[2024-05-06 07:08:09] Ошибка: вход не удался (неизвестный пользователь, адрес 192.0.2.7).
[2024-05-06 07:08:09] Успех: запись talk.wav принята.
[2024-05-06 07:08:09] Успех: запись talk.wav сохранена.
[2024-05-06 07:08:09] Ошибка: неподдерживаемый формат файла (user_file.txt).
[2024-05-06 07:08:09] Ошибка: слишком большой файл (a.wav).
[2024-05-06 07:08:09] Ошибка: повреждённый файл (b.wav).
[2024-05-06 07:08:09] Ошибка: загрузка прервана (c.wav).
[2024-05-06 07:08:09] Ошибка: доступ запрещён (d.wav).
[2024-05-06 07:08:09] Ошибка: запись talk.wav не удалось преобразовать.
[2024-05-06 07:08:09] Успех: статистика пользователя Анна изменена.
[2024-05-06 07:08:09] Успех: отчёт о пользователе Анна заказан.
[2024-05-06 07:08:09] Успех: вопросы викторины сохранены (5).
[2024-05-06 07:08:09] Ошибка: сохранены не все вопросы викторины (3 из 5).
[2024-05-06 07:08:09] Успех: изображение img1.jpg загружено.
[2024-05-06 07:08:09] Ошибка: изображение img1.jpg не удалось обработать.
[2024-05-06 07:08:09] Успех: запись talk.wav удалена.
[2024-05-06 07:08:09] Успех: изображение img1.jpg удалено.
[2024-05-06 07:08:09] Успех: задачи noop приостановлены.
[2024-05-06 07:08:09] Успех: задачи noop возобновлены.
[2024-05-06 07:08:09] Успех: задачи отменены (5, администратор #3).
[2024-05-06 07:08:09] Успех: задачи поставлены на повтор (1, оператор).
[2024-05-06 07:08:09] Успех: задачи удалены (7, администратор #3).
[2024-05-06 07:08:09] Успех: недоставленные сообщения отправлены обратно (2, администратор #3).
[2024-05-06 07:08:09] Успех: недоставленные сообщения удалены (3, оператор).
[2024-05-06 07:08:09] Ошибка: слишком много загрузок (e.png).
[2024-05-06 07:08:09] Ошибка: исчерпана квота (f.png).
";
        assert_eq!(lines_of(&one_of_each(), Language::Ru), expected);
    }

    #[test]
    fn a_name_cannot_forge_a_line() {
        let forged = "x.wav saved.\r\n[2024-01-01 00:00:00] Success: user root created.";
        let text = lines_of(&[saved(forged)], Language::En);
        assert_eq!(text.lines().count(), 1);
        assert_eq!(
            text,
            "[2024-05-06 07:08:09] Success: recording x.wav saved.\\r\\n[2024-01-01 00:00:00] Success: user root \
             created. saved.\n"
        );

        let nasty = "a\u{0}b\u{1b}[2Jc\u{85}d\u{2028}e\u{202e}f\u{7f}g\\nh\ti";
        let text = lines_of(&[saved(nasty)], Language::Ru);
        assert!(
            text.contains(
                "запись a\\u{0}b\\u{1b}[2Jc\\u{85}d\\u{2028}e\\u{202e}f\\u{7f}g\\\\nh\\ti сохранена"
            ),
            "{text}"
        );
        let long = "я".repeat(1000);
        assert_eq!(safe(&long).chars().count(), NAME + 1);
    }

    #[test]
    fn lines_are_appended_to_what_stands() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("app.log");
        for name in ["a", "b"] {
            let log = ActionLog::open_at(&path, Language::En, noon()).unwrap();
            log.record(&saved(name));
            assert!(log.flush(patience()));
        }
        let text = std::fs::read_to_string(path).unwrap();
        assert_eq!(text.lines().count(), 2);
        assert!(text.contains("recording a") && text.contains("recording b"));
    }

    #[test]
    fn after_a_rotation_and_reopen_lines_go_to_the_new_file() {
        let folder = tempfile::tempdir().unwrap();
        let (path, old) = (folder.path().join("app.log"), folder.path().join("app.log.1"));
        let log = ActionLog::open_at(&path, Language::En, noon()).unwrap();
        log.record(&saved("before"));
        assert!(log.flush(patience()));
        std::fs::rename(&path, &old).unwrap();
        log.record(&saved("between"));
        assert!(log.flush(patience()));
        log.reopen();
        log.record(&saved("after"));
        assert!(log.flush(patience()));

        let old = std::fs::read_to_string(old).unwrap();
        assert!(old.contains("before") && old.contains("between") && !old.contains("after"), "{old}");
        let new = std::fs::read_to_string(path).unwrap();
        assert_eq!(new, "[2024-05-06 07:08:09] Success: recording after saved.\n");
    }

    #[test]
    fn a_full_channel_drops_and_counts_instead_of_blocking() {
        let recorder = super::super::metrics::builder().build_recorder();
        let exposition = recorder.handle();
        ::metrics::with_local_recorder(&recorder, || {
            // A writer that never takes anything.
            let (sender, orders) = mpsc::sync_channel(2);
            let metrics = ActionLogMetrics::new();
            let inner =
                Inner { language: Language::En, now: noon(), sender, reopen: Arc::default(), metrics };
            let log = ActionLog { inner: Some(Arc::new(inner)) };
            for _ in 0..5 {
                log.record(&saved("x"));
            }
            log.reopen();
            assert!(!log.flush(Duration::from_millis(20)), "a stuck writer flushes nothing");
            assert_eq!(orders.try_iter().count(), 2);
        });
        let text = exposition.render();
        assert!(text.contains("gristmill_action_log_dropped_total 3"), "{text}");
    }

    #[test]
    fn a_log_without_a_file_takes_everything_and_writes_nothing() {
        let log = ActionLog::disabled();
        log.record(&saved("x"));
        log.reopen();
        assert!(log.flush(patience()));
    }

    #[test]
    fn a_log_that_cannot_be_opened_says_which_key_to_look_at() {
        let folder = tempfile::tempdir().unwrap();
        let error = match ActionLog::open_at(folder.path(), Language::En, noon()) {
            Err(error) => error.to_string(),
            Ok(_) => panic!("a folder was opened as a file"),
        };
        assert!(error.contains("cannot be opened") && error.contains("log.file"), "{error}");
    }
}
