//! What is shown: help, lists and details; as text without a terminal, and as JSON.

use serde_json::json;

use crate::compare;
use crate::world::{World, bare, said};

#[test]
fn tasks_are_listed_shown_and_given_as_json() {
    let world = World::new();
    assert_eq!(world.run(&["submit", "-q"]).done(), "1\n");
    world.run(&["watch", "1"]).done();
    world
        .run(&[
            "submit",
            "resize",
            "--payload",
            r#"{"width": 640, "name": "漢字"}"#,
            "--tag",
            "nightly",
            "-q",
        ])
        .done();
    world
        .run(&[
            "submit",
            "resize",
            "--priority",
            "-7",
            "--tag",
            "a",
            "--tag",
            "b",
            "-q",
            "--run-at",
            "2100-01-01T00:00:00Z",
        ])
        .done();
    compare("tasks-without-a-terminal.txt", &world.run(&["tasks"]).done());
    compare(
        "show.txt",
        &world
            .run(&["tasks", "show", "2"])
            .done()
            .lines()
            .filter(|line| !line.contains("created"))
            .map(|line| format!("{line}\n"))
            .collect::<String>(),
    );

    let ids = |arguments: &[&str]| -> Vec<i64> {
        let listed = world.run(&[&["tasks", "list", "--json"], arguments].concat());
        listed.json().iter().map(|task| task["id"].as_i64().unwrap()).collect()
    };
    assert_eq!(ids(&[]), [3, 2, 1]);
    assert_eq!(ids(&["--oldest-first", "-n", "2"]), [1, 2]);
    assert_eq!(ids(&["--kind", "resize", "--tag", "nightly"]), [2]);
    assert_eq!(ids(&["--status", "completed"]), [1]);
    assert_eq!(ids(&["--since", "1h", "--before", "2100-01-01T00:00:00Z"]), [3, 2, 1]);
    assert_eq!(ids(&["--since", "2100-01-01T00:00:00Z"]), Vec::<i64>::new());
    let cut = world.run(&["tasks", "-n", "1"]);
    assert_eq!(cut.err, "the first 1; there are more (--limit, --all)\n");
    assert_eq!(world.run(&["tasks", "--status", "failed"]).err, "no tasks with status Failed\n");

    let shown = world.run(&["tasks", "show", "2", "1", "--json"]);
    assert_eq!(shown.json()[0]["payload"], json!({"width": 640, "name": "漢字"}));
    assert_eq!(shown.json()[1]["status"], "Completed");
    let some = world.run(&["tasks", "show", "1", "77", "--json"]);
    assert_eq!((some.code, some.json().len()), (Some(1), 1), "{some:?}");
}

#[test]
fn more_tasks_than_a_page_are_all_listed() {
    let world = World::new();
    let tasks: Vec<_> = (0..2345).map(|_| json!({"kind": "resize"})).collect();
    world.post("/tasks/batch", &json!(tasks));
    let all = world.run(&["tasks", "--all", "--json"]).done();
    assert_eq!(all.lines().count(), 2345);
    let some = world.run(&["tasks", "--limit", "1500", "--oldest-first"]);
    assert_eq!(some.out.lines().count(), 1501, "with the titles");
    assert!(some.out.lines().last().unwrap().starts_with("1500  New"), "{:?}", some.out.lines().last());
}

#[test]
fn help_fits_and_has_examples_and_everything_can_be_completed_and_read_in_man() {
    let folder = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| said(&mut bare(folder.path(), arguments)).done();
    compare("help-submit.txt", &run(&["help", "submit"]));
    for command in ["tasks", "upload", "serve"] {
        assert!(run(&[command, "--help"]).contains("\nExamples:\n  # "), "{command}");
    }
    for (shell, told) in
        [("bash", "complete -F"), ("zsh", "#compdef gristmill"), ("fish", "complete -c gristmill")]
    {
        let script = run(&["completions", shell]);
        assert!(script.contains(told) && script.contains("all-matching"), "{shell}");
    }
    let bash = folder.path().join("gristmill.bash");
    std::fs::write(&bash, run(&["completions", "bash"])).unwrap();
    let asked = "source gristmill.bash; COMP_WORDS=(gristmill tasks ca); COMP_CWORD=2; \
                 _gristmill gristmill ca tasks; echo ${COMPREPLY[@]}";
    let told =
        std::process::Command::new("bash").args(["-c", asked]).current_dir(folder.path()).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&told.stdout), "cancel\n", "{told:?}");

    run(&["man", "--out", "pages/man1"]);
    let pages = folder.path().join("pages/man1");
    for page in ["gristmill.1", "gristmill-tasks-list.1", "gristmill-upload.1"] {
        let text = std::fs::read_to_string(pages.join(page)).unwrap();
        assert!(text.contains(".TH") && text.contains("Examples:"), "{page}");
    }
    assert!(run(&["man"]).contains(".TH gristmill"));
    let hidden = std::fs::read_dir(&pages)
        .unwrap()
        .any(|page| page.unwrap().path().to_string_lossy().contains("decode"));
    assert!(!hidden, "a command that nobody types has a page");
}

#[test]
fn a_reader_that_has_seen_enough_is_no_failure() {
    let world = World::new();
    let tasks: Vec<_> =
        (0..3000).map(|_| json!({"kind": "resize", "tags": ["a-tag-that-takes-some-room"]})).collect();
    world.post("/tasks/batch", &json!(tasks));
    for arguments in ["tasks --all --json", "tasks --all", "completions bash", "man"] {
        let line = format!("set -o pipefail; {} {arguments} | head -n 1 | wc -l", crate::world::PROGRAM);
        let mut shell = std::process::Command::new("bash");
        shell.args(["-c", &line]).current_dir(world.folder.path()).env("GRISTMILL_URL", world.url());
        let told = said(&mut shell);
        assert_eq!((told.code, told.out.trim(), told.err.as_str()), (Some(0), "1", ""), "{arguments}");
    }
}

#[test]
fn the_daemon_of_this_machine_is_found_by_its_settings_and_asked_as_its_operator() {
    let world = World::with(&[("GRISTMILL__AUTH__ANONYMOUS", "false")]);
    assert_eq!(world.run_at_home(&["submit", "-q", "--wait"]).code, Some(0));
    let listed = world.run_at_home(&["tasks", "--json"]);
    assert_eq!(listed.json()[0]["status"], "Completed", "{listed:?}");
    // Another address gets nothing of the operator's token.
    let (url, heard) = crate::fake::serve(|asked| asked.answer(200, "", "[]"));
    world.run_at_home(&["tasks", "--url", &url]).done();
    assert!(!heard.lock().unwrap()[0].contains("authorization"), "{heard:?}");
}
