//! What goes wrong is told: what failed, for which input, and what to do.

use std::net::TcpListener;

use crate::fake::{always, serve};
use crate::world::{World, bare, png, said};

#[test]
fn a_daemon_that_is_away_is_told_by_its_address_and_who_named_it() {
    let folder = tempfile::tempdir().unwrap();
    // A port on which nobody listens: taken, and given back.
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let url = format!("http://{address}");
    std::fs::write(folder.path().join("a.png"), png()).unwrap();
    std::fs::write(folder.path().join("a.wav"), b"RIFF").unwrap();
    for command in [
        &["submit"][..],
        &["tasks"],
        &["tasks", "show", "1"],
        &["tasks", "cancel", "1"],
        &["tasks", "retry", "--all-matching", "--status", "failed"],
        &["watch", "1"],
        &["upload", "a.png"],
        &["transcode", "--remote", "a.wav"],
        &["quiz"],
        &["report", "1"],
        &["kinds", "list"],
        &["kinds", "pause", "noop"],
    ] {
        let by_flag = [command, &["--url", &url]].concat();
        let told = format!("nothing listens at {url} (from --url)");
        said(&mut bare(folder.path(), &by_flag)).failed(1, &[&told, "does it run there?"]);
    }
    said(bare(folder.path(), &["tasks"]).env("GRISTMILL_URL", &url)).failed(1, &["(from GRISTMILL_URL)"]);
    said(bare(folder.path(), &["tasks"]).env("GRISTMILL__HTTP__BIND", address.to_string()))
        .failed(1, &["from http.bind of this machine's settings", "start the daemon with `gristmill serve`"]);
    said(bare(folder.path(), &["tasks"]).env("GRISTMILL__HTTP__BIND", "127.0.0.1:0"))
        .failed(1, &["no daemon runs in", "gristmill serve"]);
    said(bare(folder.path(), &["tasks"]).env("GRISTMILL__HTTP__BIDN", "127.0.0.1:0"))
        .failed(2, &["http.bidn", "--url"]);
    assert!(!folder.path().join("a.mp3").exists() && !folder.path().join("report-1.pdf").exists());
}

#[test]
fn an_address_that_is_none_is_a_wrong_command_line() {
    let folder = tempfile::tempdir().unwrap();
    for (url, told) in [
        ("jobs.example.com", "is not a URL"),
        ("ftp://jobs.example.com", "neither http nor https"),
        ("http://ann:secret@127.0.0.1:1", "a user or a password"),
    ] {
        said(&mut bare(folder.path(), &["tasks", "--url", url])).failed(2, &[told, "from --url"]);
    }
    said(&mut bare(folder.path(), &["tasks", "--url", "http://nowhere.invalid"]))
        .failed(1, &["nowhere.invalid"]);
}

#[test]
fn a_wrong_token_is_told_without_being_shown_and_none_at_all_likewise() {
    let world = World::with(&[("GRISTMILL__AUTH__ANONYMOUS", "false")]);
    let stranger = "3b1d3c5e-0c4f-4d39-9a51-7e1f6f0f2f7a";
    world
        .run_as(stranger, &["tasks"])
        .failed(1, &["(invalid_token)", "from GRISTMILL_TOKEN", "gristmill user token"]);
    world.run(&["tasks"]).failed(1, &["(unauthenticated)", "GRISTMILL_TOKEN", "gristmill profile add"]);
    world
        .run_as("not-a-token", &["tasks"])
        .failed(2, &["GRISTMILL_TOKEN: what stands there is no token", "a UUID"]);

    world.file("token", format!("{stranger}\n").as_bytes());
    let by_file = world.run(&["tasks", "--token-file", "token"]);
    assert!(!format!("{by_file:?}").contains(stranger));
    by_file.failed(1, &["(invalid_token)", "from --token-file"]);
    world.run(&["tasks", "--token-file", "none"]).failed(2, &["--token-file none: No such file"]);
    world.run(&["tasks", "--token", stranger]).failed_by_clap("--token");
}

impl crate::world::Said {
    #[track_caller]
    fn failed_by_clap(self, told: &str) {
        assert_eq!(self.code, Some(2), "{self:?}");
        assert!(self.err.contains(told) && self.err.contains("--help"), "{self:?}");
    }
}

#[test]
fn what_the_daemon_refuses_is_told_in_its_words_with_the_code() {
    let world = World::new();
    let (ann, token) = world.user(&[]);
    world.run(&["tasks", "show", "99"]).failed(1, &["there is no task 99", "(task_not_found)"]);
    world.run(&["watch", "99"]).failed(1, &["task 99: there is no task 99", "(task_not_found)"]);
    world.run(&["submit", "nope"]).failed(1, &["there is no kind `nope`", "(unknown_kind)"]);
    world.run(&["submit", "--priority", "1000"]).failed(1, &["`priority`", "(invalid_body)"]);
    // Each fault on a line of its own.
    world
        .run(&["submit", "--priority", "1000", "--max-attempts", "0"])
        .failed(1, &["\n  priority: ", "\n  max_attempts: "]);
    world.run(&["submit", "--payload", "{"]).failed(2, &["--payload: --payload holds no JSON", "@FILE"]);
    world.run(&["submit", "--payload", "@none.json"]).failed(2, &["--payload: none.json: No such file"]);
    world.run(&["kinds", "list"]).failed(1, &["(unauthenticated)"]);
    world.run_as(&token, &["kinds", "list"]).failed(1, &["(forbidden)"]);
    world.run_as(&token, &["report", &(ann + 1).to_string()]).failed(1, &["(forbidden)"]);
    world.run(&["report"]).failed(2, &["about which user?", "gristmill report 7"]);
    world.run(&["tasks", "delete", "--all-matching", "--kind", "noop"]).failed(2, &["--yes", "kind noop"]);
    world.run(&["tasks", "cancel", "--all-matching"]).failed(2, &["cancel all tasks? Say --yes"]);
    world.run(&["tasks", "cancel", "7", "--kind", "noop"]).failed(2, &["--all-matching"]);
    world.run(&["tasks", "--watch"]).failed(2, &["--watch draws on a whole terminal"]);
    world.run(&["tasks", "--status", "gone"]).failed_by_clap("in-progress");
    world.run(&["quiz", "101"]).failed_by_clap("101");
    world.run(&["tasks", "list", "--since", "soon"]).failed_by_clap("a span like 30s");
}

#[test]
fn files_that_cannot_be_sent_are_told_by_name_and_the_others_are_sent() {
    let world = World::new();
    world.file("cat.png", &png());
    world.file("notes.txt", b"no picture");
    world.file("large.png", &[7; 6 << 20]);
    std::fs::create_dir(world.folder.path().join("album")).unwrap();
    let sent = world.run(&["upload", "none.png", "album", "notes.txt", "large.png", "cat.png"]);
    assert_eq!(sent.out.lines().count(), 1, "{sent:?}");
    assert!(sent.out.starts_with(&format!("{}/images/", world.url())), "{sent:?}");
    sent.failed(
        1,
        &[
            "none.png: No such file or directory",
            "album is a folder",
            "notes.txt: ",
            "(unsupported_image)",
            "large.png: the file is larger than 5 MiB (image_too_large)",
            "1 of 5 images were taken",
        ],
    );
    let sent = world.run(&["upload", "--json", "-q", "notes.txt", "cat.png"]);
    let [refused, taken] = &sent.json()[..] else { panic!("{sent:?}") };
    assert_eq!(refused["error"]["code"], "unsupported_image");
    assert_eq!((&taken["original_name"], &taken["format"]), (&"cat.png".into(), &"png".into()));
    world.run(&["transcode", "--remote", "album"]).failed(1, &["album is a folder"]);
    let (_, token) = world.user(&[]);
    world
        .run_as(&token, &["transcode", "--remote", "notes.txt"])
        .failed(1, &["notes.txt: ", "(unsupported_audio)"]);
    assert!(!world.folder.path().join("notes.mp3").exists());
    let wav = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/hello.wav");
    std::fs::copy(wav, world.folder.path().join("hello.wav")).unwrap();
    world.run(&["transcode", "--remote", "hello.wav"]).failed(1, &["(unauthenticated)"]);
}

#[test]
fn what_is_no_daemon_is_told_to_be_none() {
    let folder = tempfile::tempdir().unwrap();
    let ask = |url: &str| said(&mut bare(folder.path(), &["tasks", "--url", url]));
    ask(&always(200, "content-type: text/html\r\n", "<html>"))
        .failed(1, &["answered what no Gristmill does"]);
    ask(&always(502, "", "<html>\u{1b}[2J")).failed(1, &["answered as no Gristmill does, with status 502"]);
    ask(&always(301, "location: https://elsewhere/tasks\r\n", ""))
        .failed(1, &["sends on to https://elsewhere/tasks", "the token above all"]);
    let (url, _) = serve(drop);
    ask(&url).failed(1, &["gave no proper answer", "or it is none"]);
    let secure = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    ask(&format!("https://{secure}")).failed(1, &["nothing listens at https://"]);
}

#[test]
fn what_a_hostile_daemon_writes_moves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    // Some as JSON escapes it, some as it may stand there raw.
    let evil = "\\u001b[2J\u{9b}31m\u{202e}evil\\r\\n";
    let task = format!(
        r#"{{"id":1,"kind":"{evil}","status":"Failed","created_at":"2026-01-01T00:00:00Z","tags":["{evil}"],
        "unique_key":"{evil}","worker":"{evil}","payload":{{"a":"{evil}"}},
        "error":{{"reason":"{evil}","message":"{evil}"}}}}"#
    );
    let (list, one) = (format!("[{task}]"), task);
    let refusal = format!(r#"{{"detail":"{evil}","code":"{evil}","allowed":["{evil}"]}}"#);
    let (url, _) = serve(move |asked| {
        let line = asked.line.clone();
        match line.split(' ').nth(1).unwrap() {
            path if path.starts_with("/tasks?") => asked.answer(200, "", &list),
            path if path.starts_with("/tasks/1") => asked.answer(200, "", &one),
            _ => asked.answer(418, "", &refusal),
        }
    });
    for arguments in [
        &["tasks"][..],
        &["tasks", "--json"],
        &["tasks", "show", "1"],
        &["tasks", "show", "1", "--json"],
        &["watch", "1"],
        &["tasks", "cancel", "2"],
        &["quiz"],
    ] {
        let told = said(bare(folder.path(), arguments).env("GRISTMILL_URL", &url));
        let all = told.out.clone() + &told.err;
        let acts = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
        assert!(!all.contains(acts) && all.contains("evil"), "{arguments:?}: {told:?}");
        if arguments.contains(&"--json") {
            assert_eq!(told.json()[0]["kind"], "\u{1b}[2J\u{9b}31m\u{202e}evil\r\n", "the meaning stays");
        }
    }
}
