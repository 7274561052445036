//! The lines, and the file that they go to.

use super::action::{NAME, safe};
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

/// `docs/logs.md` has every sentence, in both languages.
#[test]
fn the_documents_sentences_are_these() {
    let mut table = String::from("\n| English | Russian |\n| --- | --- |\n");
    for action in one_of_each() {
        let (english, russian) = (action.text(Language::En), action.text(Language::Ru));
        table.push_str(&format!("| `{english}` | `{russian}` |\n"));
    }
    table.push('\n');
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/logs.md");
    let text = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = text.split_once("between these two lines. -->\n").unwrap();
    let (written, after) = rest.split_once("<!-- end -->").unwrap();
    if std::env::var_os("UPDATE").is_some() {
        let text = format!("{before}between these two lines. -->\n{table}<!-- end -->{after}");
        std::fs::write(&path, text).unwrap();
        return;
    }
    assert_eq!(written, table, "run `UPDATE=1 cargo test --lib action_log`");
}

#[test]
fn the_two_lines_of_the_first_service_are_word_for_word_as_its_document_has_them() {
    let time = "2025-01-24T14:00:00".parse().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("app.log");
    let log = ActionLog::open_at(&path, Language::Ru, Box::new(move || time)).unwrap();
    log.record(&Action::ImageUploaded { filename: "img1.jpg".to_owned() });
    log.record(&refused("user_file.txt", RefusalReason::UnsupportedFormat));
    assert!(log.flush(patience()));
    let expected = "[2025-01-24 14:00:00] Успех: изображение img1.jpg загружено.\n\
                    [2025-01-24 14:00:00] Ошибка: неподдерживаемый формат файла (user_file.txt).\n";
    assert_eq!(std::fs::read_to_string(path).unwrap(), expected);
}

#[test]
fn nothing_that_nobody_sees_passes_and_what_people_write_does() {
    for unseen in
        ['\u{200b}', '\u{2060}', '\u{ad}', '\u{e0041}', '\u{9b}', '\u{202e}', '\u{2067}', '\u{fff9}']
    {
        let text = safe(&format!("a{unseen}b"));
        assert_eq!(text, format!("a\\u{{{:x}}}b", u32::from(unseen)));
    }
    for honest in
        ["Ёлка №1 (копия).png", "写真.jpg", "می\u{200c}خواهم.wav", "👩\u{200d}🚀.gif", "e\u{301}.mp3"]
    {
        assert_eq!(safe(honest), honest);
    }
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
        text.contains("запись a\\u{0}b\\u{1b}[2Jc\\u{85}d\\u{2028}e\\u{202e}f\\u{7f}g\\\\nh\\ti сохранена"),
        "{text}"
    );
    let long = "я".repeat(1000);
    assert_eq!(safe(&long).chars().count(), NAME + 1);
}

#[test]
fn the_language_may_be_changed_while_it_runs() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("app.log");
    let log = ActionLog::open_at(&path, Language::En, noon()).unwrap();
    log.record(&saved("a"));
    log.set_language(Language::Ru);
    log.record(&saved("b"));
    assert!(log.flush(patience()));
    let expected = "[2024-05-06 07:08:09] Success: recording a saved.\n[2024-05-06 07:08:09] Успех: запись b сохранена.\n";
    assert_eq!(std::fs::read_to_string(path).unwrap(), expected);
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
            Inner { russian: russian(Language::En), now: noon(), sender, reopen: Arc::default(), metrics };
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
