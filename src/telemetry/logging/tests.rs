//! What a line says in each form, and what becomes of it when nobody reads.

use std::io::{self, Write};
use std::os::unix::net::UnixDatagram;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use super::*;
use crate::config::{LoadOptions, Settings};

/// Paper that can be read.
#[derive(Clone, Default)]
struct Sheet(Arc<Mutex<Vec<u8>>>);

impl Write for Sheet {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Sheet {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

const PATIENCE: Duration = Duration::from_secs(20);

fn trace() -> TraceParent {
    "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".parse().unwrap()
}

fn spoken(level: &str, form: Form, speak: impl FnOnce(&LogHandle)) -> String {
    let sheet = Sheet::default();
    let paper = Paper::Stream { form, out: Box::new(sheet.clone()) };
    let (subscriber, handle) = subscriber(&level.parse().unwrap(), paper).unwrap();
    tracing::subscriber::with_default(subscriber, || speak(&handle));
    assert!(handle.flush(PATIENCE));
    sheet.text()
}

const PLAIN: Form = Form::Human { colours: false };

#[test]
fn json_lines_carry_the_ids_of_request_and_task_at_the_top() {
    let text = spoken("warn", Form::Json, |_| {
        let _request = request_span("r-1", "POST", "/tasks", trace()).entered();
        let _task = task_span(7, "noop", 2, Some(trace())).entered();
        tracing::warn!(queue = 3, share = 0.5, full = true, message_ = "x", "queue is long");
    });
    let line: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(
        (&line["message"], &line["level"], &line["queue"], &line["share"], &line["full"]),
        (&"queue is long".into(), &"WARN".into(), &3.into(), &0.5.into(), &true.into())
    );
    assert_eq!((&line["request_id"], &line["route"]), (&"r-1".into(), &"/tasks".into()));
    assert_eq!((&line["task_id"], &line["kind"], &line["attempt"]), (&7.into(), &"noop".into(), &2.into()));
    assert_eq!(line["trace_id"], "4bf92f3577b34da6a3ce929d0e0e4736");
    assert_eq!(line["target"], module_path!());
    chrono::DateTime::parse_from_rfc3339(line["timestamp"].as_str().unwrap()).unwrap();
}

/// The names that `docs/logs.md` promises, as every form has them.
#[test]
fn the_document_has_the_names_of_the_fields() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/logs.md");
    let text = std::fs::read_to_string(path).unwrap();
    let promised: Vec<&str> = text
        .lines()
        .skip_while(|line| *line != "### Fields")
        .take_while(|line| !line.starts_with("```"))
        .filter(|line| line.starts_with("| `"))
        .flat_map(|line| line.split('|').nth(1).unwrap().split(','))
        .map(|name| name.trim().trim_matches('`'))
        .collect();
    let json = spoken("info", Form::Json, |_| {
        let _request = request_span("r-1", "POST", "/tasks", trace()).entered();
        let _task = task_span(7, "noop", 2, Some(trace())).entered();
        tracing::info!(error = "x", "y");
    });
    let line: serde_json::Value = serde_json::from_str(&json).unwrap();
    let mut known: Vec<&str> = line.as_object().unwrap().keys().map(String::as_str).collect();
    let mut promised = promised;
    known.sort_unstable();
    promised.sort_unstable();
    assert_eq!(promised, known);
}

#[test]
fn human_lines_carry_them_too_and_colours_only_where_they_are_wanted() {
    let say = |_: &LogHandle| {
        let _task = task_span(7, "noop", 1, None).entered();
        tracing::info!(why = "of \"it\"", n = 2, "done");
    };
    let text = spoken("info", PLAIN, say);
    let (_, rest) = text.split_once("Z ").unwrap();
    let expected =
        " INFO telemetry::logging::tests  done why=\"of \\\"it\\\"\" n=2  task_id=7 kind=noop attempt=1\n";
    assert_eq!(rest, expected);
    let colourful = spoken("info", Form::Human { colours: true }, say);
    assert!(colourful.contains("\u{1b}[32m INFO\u{1b}[0m"), "{colourful:?}");
}

#[test]
fn what_is_nearer_stands_instead_of_what_is_farther_and_nothing_twice() {
    let text = spoken("info", Form::Json, |_| {
        let _outer = task_span(7, "noop", 1, None).entered();
        let inner = task_span(8, "report", 1, None);
        inner.record("trace_id", "late");
        let _inner = inner.entered();
        tracing::info!(kind = "quiz", timestamp = "forged", "done");
    });
    assert_eq!(text.matches("\"kind\"").count(), 1, "{text}");
    let line: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(
        (&line["kind"], &line["task_id"], &line["trace_id"]),
        (&"quiz".into(), &8.into(), &"late".into())
    );
    assert_eq!(line["timestamp_"], "forged");
}

#[test]
fn nobody_forges_a_line_or_moves_the_cursor() {
    let nasty =
        "a\n2026-01-01T00:00:00.000Z ERROR x  forged\r\u{1b}[2J\u{9b}1m\u{85}\u{2028}\u{202e}\u{200b}b";
    for form in [PLAIN, Form::Json] {
        let text = spoken("info", form, |_| {
            tracing::info!(name = nasty, "{nasty}");
            tracing::info!(target: "evil\ntarget", "x");
        });
        assert_eq!(text.lines().count(), 2, "{text:?}");
        let treacherous = |c: char| c != '\n' && crate::telemetry::plain::is_treacherous(c);
        assert!(!text.contains(treacherous), "{text:?}");
        if form == Form::Json {
            let first: serde_json::Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
            assert_eq!(first["name"], nasty, "JSON says what it was all the same");
        }
    }
}

#[test]
fn a_very_long_value_is_cut() {
    let text = spoken("info", Form::Json, |_| {
        tracing::info!(name = "я".repeat(100_000), list = ?vec!["long"; 10_000], "x");
    });
    assert!(text.len() < 20_000 && text.contains('…'), "{}", text.len());
}

#[test]
fn a_head_that_cannot_be_read_is_no_error_of_ours_unless_the_level_asks_for_it() {
    let standard =
        Settings::load(LoadOptions { directory: "no such folder".into(), ..LoadOptions::default() });
    let standard = standard.unwrap().settings.log.level;
    let text = spoken(&standard.to_string(), PLAIN, |_| {
        tracing::error!(target: "actix_http::h1::dispatcher", "stream error: request parse error");
        tracing::error!("ours");
    });
    assert!(!text.contains("parse error") && text.contains("ours"), "{text}");
}

#[test]
fn no_level_lets_the_frames_of_the_brokers_client_through() {
    for level in ["trace", "lapin=trace", "lapin::io_loop=trace"] {
        let text = spoken(level, PLAIN, |_| {
            tracing::trace!(target: "lapin::io_loop", "the login");
            tracing::debug!(target: "lapin::io_loop", "a pause");
        });
        assert!(!text.contains("the login") && text.contains("a pause"), "{level}: {text}");
    }
}

#[test]
fn the_level_decides_and_may_be_changed() {
    let text = spoken("warn", PLAIN, |handle| {
        tracing::info!("first");
        handle.set_level(&"info".parse().unwrap()).unwrap();
        tracing::info!("second");
        handle.set_level(&"off".parse().unwrap()).unwrap();
        tracing::error!("third");
    });
    assert!(!text.contains("first") && text.contains("second") && !text.contains("third"), "{text}");
}

/// The fields of a datagram in the journal's native protocol.
fn fields(mut bytes: &[u8]) -> Vec<(String, String)> {
    let mut fields = Vec::new();
    while !bytes.is_empty() {
        let end = bytes.iter().position(|byte| *byte == b'\n').unwrap();
        let name = String::from_utf8(bytes[..end].to_vec()).unwrap();
        let length = u64::from_le_bytes(bytes[end + 1..end + 9].try_into().unwrap()) as usize;
        let value = String::from_utf8(bytes[end + 9..end + 9 + length].to_vec()).unwrap();
        assert_eq!(bytes[end + 9 + length], b'\n');
        bytes = &bytes[end + 10 + length..];
        fields.push((name, value));
    }
    fields
}

#[test]
fn the_journal_gets_fields_and_a_message_that_says_it_all() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let journal = UnixDatagram::bind(&path).unwrap();
    journal.set_read_timeout(Some(PATIENCE)).unwrap();
    let (subscriber, handle) =
        subscriber(&"info".parse().unwrap(), Paper::journal(path, Box::new(Sheet::default())).unwrap())
            .unwrap();
    tracing::subscriber::with_default(subscriber, || {
        let _request = request_span("r-1", "POST", "/tasks", trace()).entered();
        let _task = task_span(7, "noop", 2, Some(trace())).entered();
        tracing::warn!(error = "no\nUSER=root", priority = 0, "failed");
    });
    assert!(handle.flush(PATIENCE));
    let mut bytes = vec![0; 1 << 16];
    let length = journal.recv(&mut bytes).unwrap();
    let fields = fields(&bytes[..length]);
    let of = |name: &str| {
        let mut values = fields.iter().filter(|(known, _)| known == name).map(|(_, value)| value.as_str());
        let value = values.next().unwrap_or_else(|| panic!("{name} is missing from {fields:?}"));
        assert_eq!(values.next(), None, "{name} stands twice");
        value
    };
    assert_eq!(of("MESSAGE"), "failed error=\"no\\nUSER=root\" priority=0");
    assert_eq!(of("PRIORITY"), "4");
    assert_eq!(of("SYSLOG_IDENTIFIER"), "gristmill");
    assert_eq!(of("TARGET"), module_path!());
    assert_eq!((of("REQUEST_ID"), of("METHOD"), of("ROUTE")), ("r-1", "POST", "/tasks"));
    assert_eq!((of("TASK_ID"), of("KIND"), of("ATTEMPT")), ("7", "noop", "2"));
    assert_eq!(of("TRACE_ID"), "4bf92f3577b34da6a3ce929d0e0e4736");
    assert_eq!(of("ERROR"), "no\nUSER=root");
    assert_eq!(of("GRISTMILL_PRIORITY"), "0");
    assert!(of("CODE_FILE").ends_with("tests.rs") && of("CODE_LINE").parse::<u32>().is_ok());
    assert!(!fields.iter().any(|(name, _)| name == "USER"), "a value forged a field");
}

#[test]
fn without_the_journal_the_log_goes_to_the_stream_and_says_so_once() {
    let folder = tempfile::tempdir().unwrap();
    let (path, sheet) = (folder.path().join("socket"), Sheet::default());
    let paper = Paper::journal(path.clone(), Box::new(sheet.clone())).unwrap();
    let (subscriber, handle) = subscriber(&"info".parse().unwrap(), paper).unwrap();
    tracing::subscriber::with_default(subscriber, || {
        tracing::info!("first");
        tracing::info!("second");
        assert!(handle.flush(PATIENCE));
        let journal = UnixDatagram::bind(&path).unwrap();
        journal.set_read_timeout(Some(PATIENCE)).unwrap();
        tracing::info!("third");
        let mut bytes = [0; 4096];
        let length = journal.recv(&mut bytes).unwrap();
        assert_eq!(fields(&bytes[..length])[0], ("MESSAGE".to_owned(), "third".to_owned()));
    });
    let text = sheet.text();
    assert_eq!(text.lines().count(), 3, "{text}");
    assert!(
        text.contains("cannot be reached") && text.contains("first") && text.contains("second"),
        "{text}"
    );
}

/// A stream behind which nobody reads, until the gate is opened.
#[derive(Clone, Default)]
struct Stuck(Arc<(Mutex<bool>, Condvar)>, Sheet);

impl Write for Stuck {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let (open, opened) = &*self.0;
        drop(opened.wait_while(open.lock().unwrap(), |open| !*open).unwrap());
        self.1.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn nobody_waits_for_a_reader_that_hangs_and_what_was_dropped_is_told_afterwards() {
    let stuck = Stuck::default();
    let paper = Paper::Stream { form: PLAIN, out: Box::new(stuck.clone()) };
    let (subscriber, handle) = subscriber(&"info".parse().unwrap(), paper).unwrap();
    tracing::subscriber::with_default(subscriber, || {
        for number in 0..10_000 {
            tracing::info!(number, "line");
        }
        assert!(!handle.flush(Duration::from_millis(20)), "nothing was written");
        *stuck.0.0.lock().unwrap() = true;
        stuck.0.1.notify_all();
    });
    assert!(handle.flush(PATIENCE));
    let text = stuck.1.text();
    let written = text.lines().filter(|line| line.contains("  line number=")).count();
    let told = text.lines().find(|line| line.contains("lines of the log were dropped")).expect("it is told");
    assert!(told.contains(&format!("  {} lines", 10_000 - written)), "{written} written; {told}");
}

/// A stream that is full for a while, in the middle of a line.
struct Full {
    sheet: Sheet,
    room: Arc<Mutex<usize>>,
}

impl Write for Full {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut room = self.room.lock().unwrap();
        if *room == 0 {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let written = self.sheet.write(&bytes[..bytes.len().min(*room)])?;
        *room -= written;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn after_a_full_disk_lines_are_whole_again() {
    let (sheet, room) = (Sheet::default(), Arc::new(Mutex::new(10)));
    let out = Box::new(Full { sheet: sheet.clone(), room: Arc::clone(&room) });
    let (subscriber, handle) =
        subscriber(&"info".parse().unwrap(), Paper::Stream { form: Form::Json, out }).unwrap();
    tracing::subscriber::with_default(subscriber, || {
        for message in ["broken off", "nowhere"] {
            tracing::info!("{message}");
            assert!(handle.flush(PATIENCE));
        }
        *room.lock().unwrap() = usize::MAX;
        tracing::info!("whole");
    });
    assert!(handle.flush(PATIENCE));
    let text = sheet.text();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 3, "{text}");
    for (line, message) in lines[1..].iter().zip(["whole", "2 lines of the log were dropped"]) {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        assert!(line["message"].as_str().unwrap().starts_with(message), "{text}");
    }
}

#[test]
fn the_form_follows_from_where_the_log_goes() {
    let around = |terminal, journal| Surroundings { terminal, journal, colours: terminal };
    let form = |format, around| match paper(format, &around).unwrap() {
        Paper::Journal { .. } => "journal",
        Paper::Stream { form: Form::Json, .. } => "json",
        Paper::Stream { form: Form::Human { colours: true }, .. } => "colours",
        Paper::Stream { form: Form::Human { colours: false }, .. } => "human",
    };
    for (format, terminal, journal, expected) in [
        (LogFormat::Auto, true, false, "colours"),
        (LogFormat::Auto, false, true, "journal"),
        (LogFormat::Auto, false, false, "json"),
        (LogFormat::Human, false, true, "human"),
        (LogFormat::Json, true, true, "json"),
        (LogFormat::Journald, true, false, "journal"),
    ] {
        assert_eq!(form(format, around(terminal, journal)), expected, "{format:?}");
    }
}
