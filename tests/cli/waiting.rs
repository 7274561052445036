//! Waiting for tasks: how it ends, and that it survives the daemon's restart.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use serde_json::json;

use crate::world::{World, said};

#[test]
fn the_exit_code_says_how_a_task_ended() {
    let world = World::new();
    let done = world.run(&["submit", "noop", "--wait", "--json"]);
    assert_eq!((done.code, &done.json()[0]["status"]), (Some(0), &json!("Completed")), "{done:?}");
    let story = world.run(&["submit", "--wait=30"]);
    assert_eq!(story.code, Some(0));
    assert!(story.out.starts_with("task 2 (noop): Completed in "), "{story:?}");

    let id = world.waiting();
    let attempt = world.claim(id);
    let mut watching = world.command(&["watch", &id.to_string(), "--events", "--json"]);
    let mut watching = watching.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(watching.stdout.take().unwrap()).lines().map(Result::unwrap);
    let mut event = || -> serde_json::Value { serde_json::from_str(&lines.next().unwrap()).unwrap() };
    assert_eq!(event()["event"], "created");
    assert_eq!(event()["event"], "started");
    world.post(&format!("/tasks/{id}/progress"), &json!({"attempt": attempt, "percent": 40}));
    assert_eq!(event()["percent"], 40);
    world.post(
        &format!("/tasks/{id}/fail"),
        &json!({"attempt": attempt, "message": "no luck", "retry": false}),
    );
    assert_eq!(event()["event"], "failed");
    assert_eq!((&event()["status"], watching.wait().unwrap().code()), (&json!("Failed"), Some(3)));
    let told = world.run(&["watch", &id.to_string()]);
    assert_eq!(
        (told.code, told.out.as_str()),
        (Some(3), "task 3 (resize): Failed: no luck (invalid_input)\n")
    );

    let open = world.waiting();
    let told = world.run(&["watch", &open.to_string(), "--timeout", "1"]);
    assert_eq!(told.code, Some(3));
    assert!(told.out.contains("New, and has not ended in the time there was"), "{told:?}");
    let both = world.run(&["watch", "1", &open.to_string(), "--timeout", "1", "--json"]);
    assert_eq!((both.code, both.json().len()), (Some(3), 2), "{both:?}");
}

#[test]
fn a_task_that_is_removed_while_it_is_watched_ends_the_watching() {
    let world = World::new();
    let id = world.waiting().to_string();
    let mut watching = world.command(&["watch", &id, "--events"]);
    let mut watching = watching.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(watching.stdout.take().unwrap()).lines().map(Result::unwrap);
    assert!(lines.next().unwrap().contains("created"));
    assert_eq!(world.run(&["tasks", "delete", &id]).done(), format!("task {id}: deleted\n"));
    assert!(lines.any(|line| line == format!("task {id}: deleted")));
    assert_eq!(watching.wait().unwrap().code(), Some(3));
}

#[test]
fn watching_goes_on_where_it_was_when_the_daemon_was_restarted() {
    let mut world = World::new();
    let id = world.waiting();
    let mut watching = world.command(&["watch", &id.to_string(), "--events"]);
    let mut watching = watching.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(watching.stdout.take().unwrap()).lines().map(Result::unwrap);
    assert!(lines.next().unwrap().contains("created"));
    world.stop();
    world.start_again();
    let attempt = world.claim(id);
    world.post(&format!("/tasks/{id}/complete"), &json!({"attempt": attempt}));
    let rest: Vec<String> = lines.collect();
    assert!(rest[0].contains("\"started\"") && rest[1].contains("\"completed\""), "{rest:?}");
    assert!(rest[2].starts_with(&format!("task {id} (resize): Completed")) && rest.len() == 3, "{rest:?}");
    assert_eq!(watching.wait().unwrap().code(), Some(0));
}

#[test]
fn what_is_submitted_is_what_was_said() {
    let world = World::new();
    world.file("job.json", b" {\"b\": 1.10, \"a\": [\n 123456789012345678901234567890]}\n");
    let made = world.run(&[
        "submit",
        "resize",
        "--payload",
        "@job.json",
        "--json",
        "--unique-key",
        "k",
        "--max-attempts",
        "5",
        "--try-timeout",
        "2m",
    ]);
    assert!(made.out.contains("123456789012345678901234567890") && made.out.contains("1.10"), "{made:?}");
    let task = &made.json()[0];
    assert_eq!(
        (&task["unique_key"], &task["max_attempts"], &task["timeout_s"]),
        (&json!("k"), &json!(5), &json!(120))
    );
    assert_eq!(world.run(&["submit", "resize", "--unique-key", "k", "-q"]).done(), "1\n", "no second one");

    let mut piped = world.command(&["submit", "--meta", "-", "--json"]);
    let mut piped = piped.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    std::io::Write::write_all(&mut piped.stdin.take().unwrap(), b"{\"say\": \"hello\"}").unwrap();
    let told: crate::world::Said = piped.wait_with_output().unwrap().into();
    assert_eq!(
        (&told.json()[0]["kind"], &told.json()[0]["meta"]),
        (&json!("manual"), &json!({"say": "hello"}))
    );

    let again =
        |body: &str| world.run(&["submit", "resize", "--payload", body, "--idempotency-key", "once", "-q"]);
    assert_eq!((again("1").done(), again("1").done()), ("4\n".to_owned(), "4\n".to_owned()));
    again("2").failed(1, &["(key_reused)"]);
    let later = world.run(&["submit", "resize", "--run-at", "10m", "--json"]);
    assert!(later.json()[0]["run_at"].is_string(), "{later:?}");
}

#[test]
fn ctrl_c_ends_a_wait_with_130_and_leaves_the_task() {
    let world = World::new();
    let id = world.waiting();
    let mut watching = world.command(&["watch", &id.to_string(), "--events"]);
    let mut watching = watching.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(watching.stdout.take().unwrap()).lines().map(Result::unwrap);
    assert!(lines.next().unwrap().contains("created"));
    let mut kill = std::process::Command::new("kill");
    said(kill.args(["-INT", &watching.id().to_string()])).done();
    let told: crate::world::Said = watching.wait_with_output().unwrap().into();
    assert_eq!((told.code, told.err.as_str()), (Some(130), ""));
    assert_eq!(world.run(&["tasks", "show", &id.to_string(), "--json"]).json()[0]["status"], "New");
}
