//! The fields of a task that reach beyond it: tasks for people, unique keys, callbacks, traces.

use futures_util::future::join_all;
use gristmill::http::Code;
use serde_json::{Value, json};

use crate::harness::{Daemon, Wishes, start};

async fn daemon() -> Daemon {
    start(Wishes { idle: true, ..Wishes::default() }).await
}

async fn make(daemon: &Daemon, body: &Value) -> Value {
    daemon.post("/tasks", &body.to_string()).await.json(201)
}

#[tokio::test]
async fn meta_alone_makes_a_task_for_people_and_comes_back_as_it_was_given() {
    let daemon = daemon().await;
    let meta = r#"{"b": 1.50,  "a":[null,"\u0436"]}"#;
    for body in [format!(r#"{{"meta":{meta}}}"#), format!(r#"{{"kind":"manual","meta":{meta}}}"#)] {
        let made = daemon.post("/tasks", &body).await;
        assert_eq!(made.json(201)["kind"], "manual");
        assert!(made.json(201).get("payload").is_none(), "{}", made.text());
        assert!(made.text().contains(&format!(r#""meta":{meta}"#)), "{}", made.text());
        let read = daemon.get(&format!("/tasks/{}", made.json(201)["id"])).await;
        assert_eq!(read.json(200), made.json(201));
    }
    // As large as a payload, and no larger.
    make(&daemon, &json!({"meta": "x".repeat((256 << 10) - 2)})).await;
    // Without it, a manual task has a payload like any other; what is null is not there.
    let plain = make(&daemon, &json!({"kind": "manual", "payload": {"meta": 1, "more": 2}})).await;
    assert_eq!((plain.get("meta"), &plain["payload"]), (None, &json!({"meta": 1, "more": 2})));
    assert_eq!(make(&daemon, &json!({"meta": null})).await["kind"], "noop");
    assert_eq!(make(&daemon, &json!({"meta": false})).await["meta"], false);
    // In a list, too.
    let list = daemon.get("/tasks?kind=manual").await.json(200);
    assert_eq!(list[0]["meta"]["a"], json!([null, "ж"]));
}

#[tokio::test]
async fn while_a_task_with_the_unique_key_lives_it_is_the_answer() {
    let daemon = daemon().await;
    let body = json!({"kind": "noop", "unique_key": "nightly ж", "priority": 5});
    let first = make(&daemon, &body).await;
    assert_eq!(first["unique_key"], "nightly ж");
    let other = json!({"kind": "noop", "unique_key": "nightly ж"}).to_string();
    let met = daemon.post("/tasks", &other).await;
    assert_eq!(met.json(200), first, "the living one, as it stands");
    assert_eq!(met.header("location"), format!("/tasks/{}", first["id"]));
    // Another kind or owner has keys of its own.
    make(&daemon, &json!({"kind": "manual", "unique_key": "nightly ж"})).await;
    let ann = daemon.someone("Ann").await;
    let hers = daemon.ask("POST", "/tasks", |request| request.bearer_auth(&ann.token).json(&body)).await;
    hers.json(201);
    // Once it has ended, the next is made.
    daemon.post(&format!("/tasks/{}/cancel", first["id"]), "").await.json(200);
    assert_ne!(make(&daemon, &body).await["id"], first["id"]);
}

#[tokio::test]
async fn twenty_at_once_with_one_unique_key_make_one_task() {
    let daemon = daemon().await;
    let answers = join_all((0..20).map(|_| daemon.post("/tasks", r#"{"unique_key":"k"}"#))).await;
    let made: Vec<_> = answers.iter().filter(|answer| answer.status == 201).collect();
    assert_eq!(made.len(), 1);
    let made = made[0].json(201);
    for answer in &answers {
        assert_eq!(serde_json::from_slice::<Value>(&answer.body).unwrap(), made);
    }
    assert_eq!(daemon.rows().await, 1);
}

#[tokio::test]
async fn a_batch_says_whether_anything_was_made() {
    let daemon = daemon().await;
    let twice = json!([{"unique_key": "a"}, {"unique_key": "a"}, {"unique_key": "b"}]).to_string();
    let made = daemon.post("/tasks/batch", &twice).await.json(201);
    assert_eq!(made[0]["id"], made[1]["id"]);
    assert_eq!(daemon.rows().await, 2);
    let again = daemon.post("/tasks/batch", &twice).await.json(200);
    assert_eq!(again, made);
    let more = json!([{"unique_key": "a"}, {}]).to_string();
    assert_eq!(daemon.post("/tasks/batch", &more).await.json(201)[0]["id"], made[0]["id"]);
}

#[tokio::test]
async fn who_waits_for_a_task_that_lives_already_sees_it_end() {
    let daemon = daemon().await;
    let body = r#"{"unique_key":"k"}"#;
    daemon.post("/tasks", body).await.json(201);
    let wish = |wish: &'static str| {
        daemon.ask("POST", "/tasks", move |request| {
            request.header("prefer", wish).header("content-type", "application/json").body(body)
        })
    };
    wish("respond-async").await.json(202);
    wish("wait=0").await.json(202);
    let (ended, ()) = tokio::join!(wish("wait=30"), async { daemon.work() });
    assert_eq!(ended.json(200)["status"], "Completed");
    // It may have ended before the second request came: then that one made another.
}

#[tokio::test]
async fn a_callback_is_shown_with_how_far_it_is_where_one_task_is_asked_for() {
    let daemon = daemon().await;
    let task = make(&daemon, &json!({"callback_url": "https://example.com/hook?key=1"})).await;
    assert_eq!(task["callback_url"], "https://example.com/hook?key=1");
    assert!(task.get("callback").is_none(), "{task}");
    let read = daemon.get(&format!("/tasks/{}", task["id"])).await.json(200);
    assert_eq!((&read["callback"]["tries"], &read["callback"]["given_up"]), (&json!(0), &json!(0)));
    assert!(read["callback"]["pending"].is_boolean(), "{read}");
    assert!(daemon.get("/tasks").await.json(200)[0].get("callback").is_none());
    let batch = json!([{}, {"callback_url": "http://10.0.0.1/"}]).to_string();
    let problem = daemon.post("/tasks/batch", &batch).await.problem(Code::InvalidBody);
    assert_eq!(problem["errors"][0]["pointer"], "/1/callback_url");
}

#[tokio::test]
async fn a_task_belongs_to_the_trace_of_its_request_and_what_is_no_trace_is_ignored() {
    let daemon = daemon().await;
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let begins_here = |text: &str| {
        let made = text.split("\"traceparent\":\"").nth(1).unwrap_or_else(|| panic!("no trace in {text}"));
        let made = made.split('"').next().unwrap();
        assert!(made.starts_with("00-") && made.ends_with("-00"), "nobody records it: {made}");
        assert!(
            !made.contains("4bf92f3577b34da6a3ce929d0e0e4736") && !made.contains("f067aa0ba902b7"),
            "{made}"
        );
    };
    for (path, body) in [("/tasks", "{}"), ("/tasks/batch", "[{},{}]")] {
        let ask = |trace: &'static str| {
            daemon.ask("POST", path, move |request| {
                request.header("traceparent", trace).header("content-type", "application/json").body(body)
            })
        };
        let told = ask(trace).await.json(201);
        let told = told.as_array().cloned().unwrap_or_else(|| vec![told]);
        assert!(told.iter().all(|task| task["traceparent"] == trace), "{told:?}");
        for bad in ["", "nonsense", "00-00000000000000000000000000000000-00f067aa0ba902b7-01"] {
            begins_here(&ask(bad).await.text());
        }
    }
    let twice =
        |request: reqwest::RequestBuilder| request.header("traceparent", trace).header("traceparent", trace);
    begins_here(&daemon.ask("POST", "/tasks", twice).await.text());
}
