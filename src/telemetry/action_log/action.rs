//! What a user did, and the line that tells of it, in English or Russian.
//!
//! Made by the routes and kinds that finish a user's action. True here: an action is one line, whatever its names hold.

use std::net::IpAddr;

use crate::config::Language;
use crate::telemetry::plain;

/// Characters of a name that are written; the rest becomes an ellipsis, so that a line stays readable.
pub(super) const NAME: usize = 255;

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

/// A name as it may stand in a line.
pub(super) fn safe(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    plain::push(&mut out, name, NAME);
    out
}
