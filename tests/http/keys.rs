//! `Idempotency-Key`: a request that counts once, however often it is sent.

use std::collections::BTreeSet;

use futures_util::future::join_all;
use gristmill::http::{Code, table};
use serde_json::{Value, json};

use crate::client::{Answer, Someone};
use crate::harness::{Daemon, Wishes, start};
use crate::wav::{form, path_of, tone};

async fn daemon() -> Daemon {
    let settings = vec![("kinds.outside", "ocr")];
    start(Wishes { idle: true, settings, ..Wishes::default() }).await
}

async fn keyed(daemon: &Daemon, key: &str, method: &str, path: &str, body: &str) -> Answer {
    let body = body.to_owned();
    let build = |request: reqwest::RequestBuilder| {
        let request = request.header("idempotency-key", key);
        if body.is_empty() { request } else { request.header("content-type", "application/json").body(body) }
    };
    daemon.ask(method, path, build).await
}

/// The same answer, and said to be the same.
#[track_caller]
fn replay(first: &Answer, again: &Answer) {
    assert_eq!(first.header("idempotent-replayed"), "", "{}", first.text());
    assert_eq!(again.header("idempotent-replayed"), "true", "{}", again.text());
    assert_eq!((again.status, again.text()), (first.status, first.text()));
    for header in ["location", "content-type"] {
        assert_eq!(again.header(header), first.header(header));
    }
}

#[tokio::test]
async fn every_write_counts_once_and_is_answered_as_before() {
    let daemon = daemon().await;
    for _ in 0..7 {
        daemon.post("/tasks", r#"{"kind":"ocr"}"#).await.json(201);
    }
    for id in 1..=5 {
        daemon.post("/tasks/claim", &json!({ "id": id }).to_string()).await.json(200);
    }
    daemon.post("/tasks", r#"{"meta":1}"#).await.json(201);
    let mut written = BTreeSet::new();
    for (method, path, body) in [
        ("POST", "/tasks", r#"{"priority":1}"#),
        ("POST", "/tasks/batch", "[{},{}]"),
        ("POST", "/tasks/1/heartbeat", r#"{"attempt":1}"#),
        ("POST", "/tasks/1/progress", r#"{"attempt":1,"percent":3}"#),
        ("POST", "/tasks/1/complete", r#"{"attempt":1,"result":{"a":1}}"#),
        ("POST", "/tasks/2/fail", r#"{"attempt":1,"message":"x"}"#),
        ("POST", "/tasks/3/release", r#"{"attempt":1}"#),
        ("POST", "/tasks/4/cancel", ""),
        ("POST", "/tasks/4/retry", "{}"),
        ("DELETE", "/tasks/5", ""),
        ("POST", "/tasks/claim", r#"{"id":6}"#),
        ("POST", "/tasks/claim", r#"{"kinds":["ocr"]}"#),
        ("GET", "/take_free_task", ""),
        ("POST", "/tasks/cancel?kind=noop", ""),
        ("POST", "/tasks/retry?kind=noop", "{}"),
        ("POST", "/tasks/delete?kind=noop", ""),
    ] {
        let key = format!("{path} {body}").replace(' ', "_");
        let first = keyed(&daemon, &key, method, path, body).await;
        assert!((200..300).contains(&first.status), "{method} {path}: {}", first.text());
        let events = events(&daemon).await;
        let again = keyed(&daemon, &key, method, path, body).await;
        replay(&first, &again);
        // The quoted form is the same key.
        replay(
            &first,
            &keyed(&daemon, &format!("\"{}\"", key.replace('"', "\\\"")), method, path, body).await,
        );
        assert_eq!(events, self::events(&daemon).await, "{method} {path} happened twice");
        let route = path.split('?').next().unwrap().replace(|c: char| c.is_ascii_digit(), "{id}");
        written.insert((method.to_owned(), route));
    }
    // Tests of their own.
    for path in [
        "/users",
        "/user",
        "/users/{id}/token",
        "/users/{id}/report",
        "/records",
        "/music-add",
        "/upload",
        "/quiz",
        "/kinds/{kind}/pause",
        "/kinds/{kind}/resume",
    ] {
        written.insert(("POST".to_owned(), path.to_owned()));
    }
    for method in ["PATCH", "DELETE"] {
        written.insert((method.to_owned(), "/users/{id}".to_owned()));
    }
    for method in ["PUT", "PATCH"] {
        written.insert((method.to_owned(), "/users/{id}/stats".to_owned()));
    }
    written.insert(("DELETE".to_owned(), "/images/{name}".to_owned()));
    written.insert(("DELETE".to_owned(), "/records/{id}".to_owned()));
    let writes: BTreeSet<(String, String)> = table()
        .into_iter()
        .filter(|route| route.problems.contains(&Code::KeyReused))
        .map(|route| (route.method.to_owned(), route.path.to_owned()))
        .collect();
    assert_eq!(written, writes);
}

async fn events(daemon: &Daemon) -> usize {
    use gristmill::store::Store;
    daemon.store.events_after(gristmill::task::EventSeq(0), 10_000).await.unwrap().len()
}

#[tokio::test]
async fn twenty_at_once_with_one_key_make_one_task_and_get_one_answer() {
    let daemon = daemon().await;
    let answers = join_all((0..20).map(|_| keyed(&daemon, "k", "POST", "/tasks", r#"{"payload":7}"#))).await;
    assert_eq!(daemon.rows().await, 1);
    let first = answers.iter().filter(|answer| answer.header("idempotent-replayed").is_empty());
    assert_eq!(first.count(), 1);
    let told: BTreeSet<(u16, String, String)> = answers
        .iter()
        .map(|answer| (answer.status, answer.header("location").to_owned(), answer.text()))
        .collect();
    assert_eq!(told.len(), 1, "{told:?}");
}

#[tokio::test]
async fn an_answer_is_remembered_after_its_task_is_gone() {
    let daemon = daemon().await;
    let first = keyed(&daemon, "k", "POST", "/tasks", "").await;
    let path = first.header("location").to_owned();
    assert_eq!(keyed(&daemon, "d", "DELETE", &path, "").await.status, 204);
    replay(&first, &keyed(&daemon, "k", "POST", "/tasks", "").await);
    let again = daemon
        .ask("POST", "/tasks", |request| request.header("idempotency-key", "k").header("prefer", "wait=60"))
        .await;
    replay(&first, &again);
    let again = keyed(&daemon, "d", "DELETE", &path, "").await;
    assert_eq!((again.status, again.header("idempotent-replayed")), (204, "true"));
    daemon.ask("DELETE", &path, |request| request).await.problem(Code::TaskNotFound);
    assert_eq!(daemon.rows().await, 1);
}

#[tokio::test]
async fn a_key_that_comes_with_another_request_is_refused() {
    let daemon = daemon().await;
    keyed(&daemon, "k", "POST", "/tasks", r#"{"priority":1}"#).await.json(201);
    for (method, path, body) in [
        ("POST", "/tasks", r#"{"priority":2}"#),
        ("POST", "/tasks", r#"{"priority": 1}"#),
        ("POST", "/tasks/batch", r#"[{"priority":1}]"#),
        ("POST", "/tasks/1/cancel", ""),
        ("DELETE", "/tasks/1", ""),
        ("POST", "/users", r#"{"name":"Ann"}"#),
        ("POST", "/tasks/claim", r#"{"kinds":["ocr"]}"#),
        ("GET", "/take_free_task", ""),
        ("POST", "/tasks/cancel?kind=noop", ""),
        ("POST", "/tasks/retry?kind=noop", "{}"),
        ("POST", "/tasks/delete?kind=noop", ""),
    ] {
        keyed(&daemon, "k", method, path, body).await.problem(Code::KeyReused);
    }
    assert_eq!(daemon.get("/tasks/1").await.json(200)["status"], "New");
    // A user has keys of their own.
    let (ann, bob) = (daemon.someone("Ann").await, daemon.someone("Bob").await);
    let by = |who: &Someone| {
        let token = who.token.clone();
        daemon.ask("POST", "/tasks", |request| request.header("idempotency-key", "k").bearer_auth(token))
    };
    assert_eq!(by(&ann).await.json(201)["owner"], ann.id);
    assert_eq!(by(&bob).await.json(201)["owner"], bob.id);
    assert_eq!(by(&ann).await.json(201)["owner"], ann.id);
    assert_eq!(daemon.rows().await, 3);
}

#[tokio::test]
async fn a_key_that_is_none_is_refused_by_name_before_anything_happens() {
    let daemon = daemon().await;
    let ann = daemon.someone("Ann").await;
    daemon.promote(ann.id).await;
    for route in table().into_iter().filter(|route| route.problems.contains(&Code::KeyReused)) {
        let path = route.path.replace("{id}", "1").replace("{kind}", "noop");
        let many = ["/tasks/cancel", "/tasks/retry", "/tasks/delete"].contains(&route.path);
        let path = if many { format!("{path}?all=true") } else { path };
        for bad in ["", "two words", "\"open", &"k".repeat(256)] {
            let ask = |request: reqwest::RequestBuilder| {
                request.header("idempotency-key", bad).bearer_auth(&ann.token)
            };
            let answer = daemon.ask(route.method, &path, ask).await;
            assert_eq!(answer.problem(Code::InvalidParameter)["field"], "Idempotency-Key");
        }
    }
    let twice = |request: reqwest::RequestBuilder| {
        request.header("idempotency-key", "a").header("idempotency-key", "a")
    };
    daemon.ask("POST", "/tasks", twice).await.problem(Code::InvalidParameter);
    assert_eq!(daemon.rows().await, 0);
}

#[tokio::test]
async fn what_was_refused_or_not_to_be_had_is_not_remembered() {
    let daemon = daemon().await;
    keyed(&daemon, "c", "POST", "/tasks/1/cancel", "").await.problem(Code::TaskNotFound);
    assert_eq!(keyed(&daemon, "k", "POST", "/tasks/claim", r#"{"kinds":["ocr"]}"#).await.status, 204);
    keyed(&daemon, "t", "GET", "/take_free_task", "").await.problem(Code::NoFreeTask);
    daemon.post("/tasks/batch", r#"[{"kind":"ocr"},{"meta":1}]"#).await.json(201);
    let claimed = keyed(&daemon, "k", "POST", "/tasks/claim", r#"{"kinds":["ocr"]}"#).await;
    assert_eq!(claimed.json(200)["id"], 1);
    replay(&claimed, &keyed(&daemon, "k", "POST", "/tasks/claim", r#"{"kinds":["ocr"]}"#).await);
    assert_eq!(keyed(&daemon, "t", "GET", "/take_free_task", "").await.json(200)["id"], 2);
    assert_eq!(keyed(&daemon, "c", "POST", "/tasks/1/cancel", "").await.json(200)["status"], "Cancelled");
}

#[tokio::test]
async fn who_sends_it_again_and_waits_sees_the_end() {
    let daemon = daemon().await;
    for (path, body) in [("/tasks", "{}"), ("/tasks/batch", "[{},{}]")] {
        let ask = |wish: &'static str| {
            daemon.ask("POST", path, move |request| {
                let request = request.header("idempotency-key", path).header("prefer", wish);
                request.header("content-type", "application/json").body(body)
            })
        };
        let status = |answer: &Answer, code| {
            let told = answer.json(code);
            told.get(0).unwrap_or(&told)["status"].as_str().unwrap().to_owned()
        };
        daemon.tracker(crate::harness::Tracker::Writing);
        assert_eq!(status(&ask("respond-async").await, 202), "New");
        let again = ask("respond-async").await;
        assert_eq!((status(&again, 202).as_str(), again.header("idempotent-replayed")), ("New", "true"));
        assert_eq!(status(&ask("wait=0").await, 202), "New");
        let (ended, ()) = tokio::join!(ask("wait=30"), async { daemon.work() });
        assert_eq!(status(&ended, 201), "Completed");
        assert_eq!(
            (ended.header("idempotent-replayed"), ended.header("preference-applied")),
            ("true", "wait=30")
        );
    }
    assert_eq!(daemon.rows().await, 3);
}

#[tokio::test]
async fn a_user_is_made_once_and_the_token_is_not_shown_again() {
    let daemon = daemon().await;
    for path in ["/users", "/user"] {
        let body =
            json!({"name": "Ann", "email": format!("ann@example.com{path}").replace('/', ".")}).to_string();
        let first = keyed(&daemon, path, "POST", path, &body).await.json(201);
        let again = keyed(&daemon, path, "POST", path, &body).await;
        assert_eq!(again.header("idempotent-replayed"), "true");
        let mut told: Value = first.clone();
        told.as_object_mut().unwrap().remove("token");
        assert_eq!(again.json(201), told, "all but the token");
    }
    // Nor is it anywhere in the database, or beside it.
    let token = keyed(&daemon, "t", "POST", "/users", r#"{"name":"x"}"#).await.json(201)["token"].clone();
    let token = token.as_str().unwrap().as_bytes().to_vec();
    for name in ["gristmill.db", "gristmill.db-wal"] {
        let bytes = std::fs::read(daemon.folder.path().join(name)).unwrap_or_default();
        assert!(!bytes.windows(token.len()).any(|window| window == token), "{name}");
    }
    // An e-mail that is taken is not remembered as an answer.
    let body = r#"{"email":"bob@example.com"}"#;
    daemon.post("/users", body).await.json(201);
    for _ in 0..2 {
        keyed(&daemon, "b", "POST", "/users", body).await.problem(Code::EmailTaken);
    }
    assert_eq!(daemon.action_lines().matches("created.").count(), 4, "{}", daemon.action_lines());
}

#[tokio::test]
async fn counters_are_added_to_once_and_a_report_is_ordered_once() {
    let daemon = daemon().await;
    let ann = daemon.someone("Ann").await;
    for (method, path) in [("PATCH", "stats"), ("PUT", "stats"), ("POST", "report")] {
        let ask = || {
            let keyed = |request: reqwest::RequestBuilder| {
                let request =
                    request.bearer_auth(&ann.token).header("idempotency-key", format!("{method}{path}"));
                if path == "stats" { request.json(&json!({"wins": 2})) } else { request }
            };
            daemon.ask(method, format!("/users/{}/{path}", ann.id).leak(), keyed)
        };
        let first = ask().await;
        replay(&first, &ask().await);
    }
    let told = daemon.by(&ann, "GET", &format!("/users/{}/stats", ann.id), Value::Null).await;
    assert_eq!(told.json(200)["counters"], json!({"wins": 2}));
    assert_eq!(daemon.rows().await, 1, "one report");
}

#[tokio::test]
async fn a_recording_that_is_sent_again_is_converted_once_and_shown_as_it_stands() {
    for path in ["/records", "/music-add"] {
        let daemon = start(Wishes::default()).await;
        let ann = daemon.someone("Ann").await;
        let send = |seconds: u32, wish: &'static str| {
            let form = form(&ann, tone(seconds));
            daemon.ask("POST", path, move |request| {
                request.header("idempotency-key", "k").header("prefer", wish).multipart(form)
            })
        };
        let first = send(1, "respond-async").await;
        let told = first.json(202);
        assert_eq!(first.header("idempotent-replayed"), "");
        let again = send(1, "wait=30").await;
        assert_eq!(again.header("idempotent-replayed"), "true");
        let made = again.json(201);
        assert_eq!(
            (&made["id"], &made["url"], &made["filename"]),
            (&told["id"], &told["url"], &told["filename"])
        );
        assert_eq!(
            (&made["task"]["id"], &made["task"]["status"]),
            (&told["task"]["id"], &json!("Completed"))
        );
        assert_eq!(again.header("location"), made["url"].as_str().unwrap());
        assert_eq!(daemon.get(&path_of(made["url"].as_str().unwrap())).await.status, 200);
        send(2, "").await.problem(Code::KeyReused);
        assert_eq!(daemon.rows().await, 1);
        // Deleted, it is answered as it was when it was taken.
        let task = format!("/tasks/{}", told["task"]["id"]);
        let deleted = daemon.ask("DELETE", &task, |request| request.bearer_auth(&ann.token)).await;
        assert_eq!(deleted.status, 204);
        let gone = send(1, "wait=30").await;
        assert_eq!((gone.header("idempotent-replayed"), gone.header("location")), ("true", task.as_str()));
        assert_eq!(gone.json(202)["id"], told["id"]);
        assert_eq!(daemon.rows().await, 1);
        let lines = daemon.action_lines();
        assert_eq!(lines.matches("accepted").count(), 1, "{lines}");
    }
}
