//! Who is calling, and what each may see and change.

use gristmill::http::Code;
use serde_json::json;

use crate::client::{Answer, Someone};
use crate::harness::{Daemon, Wishes, start};

fn wishes(settings: &[(&'static str, &'static str)]) -> Wishes {
    Wishes { idle: true, settings: settings.to_vec(), ..Wishes::default() }
}

async fn by(daemon: &Daemon, method: &str, path: &str, who: &Someone) -> Answer {
    daemon.ask(method, path, |request| request.bearer_auth(&who.token)).await
}

/// Every route that finds out who is calling, on a task.
const CALLED: [(&str, &str); 16] = [
    ("POST", "/tasks/claim"),
    ("POST", "/tasks/1/heartbeat"),
    ("POST", "/tasks/1/progress"),
    ("POST", "/tasks/1/complete"),
    ("POST", "/tasks/1/fail"),
    ("POST", "/tasks/1/release"),
    ("GET", "/take_free_task"),
    ("GET", "/total_tasks_created"),
    ("POST", "/tasks"),
    ("POST", "/tasks/batch"),
    ("GET", "/tasks"),
    ("GET", "/tasks/1"),
    ("DELETE", "/tasks/1"),
    ("POST", "/tasks/1/cancel"),
    ("POST", "/tasks/1/retry"),
    ("POST", "/records"),
];

#[tokio::test]
async fn a_token_that_does_not_hold_is_refused_and_never_taken_for_none() {
    let daemon = start(wishes(&[])).await;
    let ann = daemon.someone("Ann").await;
    for (method, path) in CALLED {
        for header in [
            "Bearer nonsense",
            "Bearer 00000000-0000-4000-8000-000000000000",
            "Bearer",
            "Bearer ",
            "Basic YTpi",
            &ann.token,
            "",
        ] {
            let asked = daemon.ask(method, path, |request| request.header("authorization", header)).await;
            asked.problem(Code::InvalidToken);
            assert!(asked.header("www-authenticate").contains("invalid_token"));
        }
        let twice =
            daemon.ask(method, path, |request| request.bearer_auth(&ann.token).bearer_auth(&ann.token));
        twice.await.problem(Code::InvalidToken);
    }
}

#[tokio::test]
async fn what_a_user_owns_nobody_else_sees_or_changes() {
    let daemon = start(wishes(&[])).await;
    let (ann, bob) = (daemon.someone("Ann").await, daemon.someone("Bob").await);
    let task = by(&daemon, "POST", "/tasks", &ann).await.json(201);
    assert_eq!(task["owner"], ann.id);
    let path = format!("/tasks/{}", task["id"]);
    for (method, path) in [
        ("GET", path.clone()),
        ("DELETE", path.clone()),
        ("POST", format!("{path}/cancel")),
        ("POST", format!("{path}/retry")),
    ] {
        by(&daemon, method, &path, &bob).await.problem(Code::TaskNotFound);
        daemon.ask(method, &path, |request| request).await.problem(Code::TaskNotFound);
    }
    daemon.post("/tasks", "").await.json(201);
    let ids = |list: &serde_json::Value| {
        list.as_array().unwrap().iter().map(|t| t["id"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(ids(&by(&daemon, "GET", "/tasks", &ann).await.json(200)), [json!(1)]);
    assert!(ids(&by(&daemon, "GET", "/tasks", &bob).await.json(200)).is_empty());
    assert_eq!(
        ids(&daemon.get("/tasks").await.json(200)),
        [json!(2)],
        "what nobody owns is anonymous callers'"
    );
    by(&daemon, "GET", "/tasks/2", &ann).await.problem(Code::TaskNotFound);
    assert_eq!(by(&daemon, "DELETE", &path, &ann).await.status, 204);
}

#[tokio::test]
async fn a_user_who_is_only_named_is_not_proven() {
    let daemon = start(wishes(&[])).await;
    let (ann, bob) = (daemon.someone("Ann").await, daemon.someone("Bob").await);
    for (method, path) in CALLED {
        let named = format!("{path}?user_id={}", ann.id);
        daemon.ask(method, &named, |request| request).await.problem(Code::Unauthenticated);
        let problem = by(&daemon, method, &named, &bob).await.problem(Code::OtherUser);
        assert_eq!(problem["field"], "user_id");
        for bad in ["0", "-1", "x", ""] {
            let bad = format!("{path}?user_id={bad}");
            daemon.ask(method, &bad, |request| request).await.problem(Code::InvalidParameter);
        }
        let twice = format!("{path}?user_id={0}&user_id={0}", ann.id);
        by(&daemon, method, &twice, &ann).await.problem(Code::InvalidParameter);
    }
    let path = format!("/tasks?user_id={}", ann.id);
    assert_eq!(by(&daemon, "POST", &path, &ann).await.json(201)["owner"], ann.id);
}

#[tokio::test]
async fn where_naming_is_trusted_a_named_user_is_the_caller() {
    let daemon = start(wishes(&[("auth.trust_user_id", "true")])).await;
    let (ann, bob) = (daemon.someone("Ann").await, daemon.someone("Bob").await);
    let path = format!("/tasks?user_id={}", ann.id);
    let task = daemon.post(&path, "").await.json(201);
    assert_eq!(task["owner"], ann.id);
    assert_eq!(daemon.get(&path).await.json(200).as_array().unwrap().len(), 1);
    assert_eq!(daemon.get(&format!("/tasks/1?user_id={}", ann.id)).await.json(200)["id"], 1);
    daemon.get(&format!("/tasks/1?user_id={}", bob.id)).await.problem(Code::TaskNotFound);
    daemon.get("/tasks?user_id=99").await.problem(Code::Unauthenticated);
    // A proof still counts for more than a name.
    by(&daemon, "GET", &path, &bob).await.problem(Code::OtherUser);
}

#[tokio::test]
async fn where_anonymous_callers_are_not_let_in_they_neither_read_nor_write() {
    let daemon = start(wishes(&[("auth.anonymous", "false")])).await;
    for (method, path) in CALLED {
        let body = match path {
            "/records" => continue,
            "/tasks/batch" => "[{}]",
            "/tasks/claim" => r#"{"kinds":["manual"]}"#,
            "/tasks/1/progress" => r#"{"attempt":1,"percent":1}"#,
            "/tasks/1/fail" => r#"{"attempt":1,"message":"x"}"#,
            "/tasks/1/heartbeat" | "/tasks/1/complete" | "/tasks/1/release" => r#"{"attempt":1}"#,
            _ => "",
        };
        let asked =
            daemon.ask(method, path, |request| request.header("content-type", "application/json").body(body));
        asked.await.problem(Code::Unauthenticated);
    }
    let ann = daemon.someone("Ann").await;
    by(&daemon, "POST", "/tasks", &ann).await.json(201);
    by(&daemon, "GET", "/tasks", &ann).await.json(200);
}
