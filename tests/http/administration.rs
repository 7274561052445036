//! What those do who run the daemon: pausing kinds, and seeing how each stands.

use gristmill::http::Code;
use serde_json::{Value, json};

use crate::client::Someone;
use crate::harness::{Daemon, Wishes, start};

/// Somebody who runs the daemon.
async fn admin(daemon: &Daemon) -> Someone {
    let eve = daemon.someone("Eve").await;
    daemon.promote(eve.id).await;
    eve
}

async fn post(daemon: &Daemon, who: &Someone, path: &str) -> Value {
    daemon.by(who, "POST", path, Value::Null).await.json(200)
}

/// How that kind stands.
async fn kind(daemon: &Daemon, who: &Someone, name: &str) -> Value {
    let kinds = daemon.by(who, "GET", "/kinds", Value::Null).await.json(200);
    let found = kinds.as_array().unwrap().iter().find(|kind| kind["kind"] == name);
    found.unwrap_or_else(|| panic!("no {name} in {kinds}")).clone()
}

#[tokio::test]
async fn a_kind_is_paused_until_it_is_told_to_go_on() {
    let daemon = start(Wishes::default()).await;
    let eve = admin(&daemon).await;
    let paused = post(&daemon, &eve, "/kinds/noop/pause").await;
    assert_eq!((&paused["kind"], &paused["paused"]), (&json!("noop"), &json!(true)));
    assert_eq!(paused["paused_by"], eve.id);
    assert_eq!(post(&daemon, &eve, "/kinds/noop/pause").await, paused, "once is as often as you like");
    let id = daemon.post("/tasks", "").await.json(201)["id"].as_i64().unwrap();
    let other = json!({"kind": "failing", "payload": {"because": "x"}}).to_string();
    let other = daemon.post("/tasks", &other).await.json(201)["id"].as_i64().unwrap();
    daemon.until(other, "Failed").await;
    assert_eq!(daemon.get(&format!("/tasks/{id}")).await.json(200)["status"], "New");
    let noop = kind(&daemon, &eve, "noop").await;
    assert_eq!((&noop["paused_at"], &noop["paused_by"]), (&paused["paused_at"], &paused["paused_by"]));
    assert_eq!(noop["depth"], json!({"open": 1, "parked": 0, "suspect": 0, "outside": 0}));
    assert!(noop["oldest_waiting_s"].as_f64().is_some_and(|age| age > 0.0), "{noop}");
    assert!(noop["concurrency"].as_u64().is_some_and(|permits| permits > 0), "{noop}");

    let resumed = post(&daemon, &eve, "/kinds/noop/resume").await;
    assert_eq!(resumed, json!({"kind": "noop", "paused": false}));
    assert_eq!(post(&daemon, &eve, "/kinds/noop/resume").await, resumed);
    daemon.until(id, "Completed").await;
    assert!(kind(&daemon, &eve, "noop").await.get("paused_at").is_none());
    let lines = daemon.action_lines();
    for line in ["Success: tasks noop paused.", "Success: tasks noop resumed."] {
        assert!(lines.contains(line), "{lines}");
    }
}

#[tokio::test]
async fn workers_outside_and_people_get_nothing_of_a_paused_kind() {
    let daemon = start(Wishes { idle: true, ..Wishes::default() }).await;
    let eve = admin(&daemon).await;
    let id = daemon.post("/tasks", r#"{"meta":1}"#).await.json(201)["id"].as_i64().unwrap();
    post(&daemon, &eve, "/kinds/manual/pause").await;
    daemon.get("/take_free_task").await.problem(Code::NoFreeTask);
    for claim in
        [json!({"kinds": ["manual"]}), json!({"kinds": ["manual"], "wait_s": 0.1}), json!({"id": id})]
    {
        assert_eq!(daemon.post("/tasks/claim", &claim.to_string()).await.status, 204, "{claim}");
    }
    let manual = kind(&daemon, &eve, "manual").await;
    assert_eq!((&manual["outside"], &manual["concurrency"]), (&json!(true), &Value::Null));
    assert_eq!((&manual["depth"]["outside"], &manual["running"]), (&json!(1), &json!(0)));
    post(&daemon, &eve, "/kinds/manual/resume").await;
    assert_eq!(daemon.post("/tasks/claim", &json!({"id": id}).to_string()).await.json(200)["id"], id);
    assert_eq!(kind(&daemon, &eve, "manual").await["running"], 1);
}

#[tokio::test]
async fn only_kinds_that_are_there_are_paused_and_a_key_counts_once() {
    let daemon = start(Wishes::default()).await;
    let eve = admin(&daemon).await;
    for act in ["pause", "resume"] {
        let path = format!("/kinds/nonsense/{act}");
        daemon.by(&eve, "POST", &path, Value::Null).await.problem(Code::UnknownKind);
        let path = format!("/kinds/No%20Kind/{act}");
        daemon.by(&eve, "POST", &path, Value::Null).await.problem(Code::InvalidParameter);
        let path = format!("/kinds/noop/{act}");
        daemon.by(&eve, "POST", &path, json!({"for": "ever"})).await.problem(Code::InvalidBody);
    }
    let keyed = async |path: &str| {
        daemon
            .ask("POST", path, |request| request.bearer_auth(&eve.token).header("idempotency-key", "k"))
            .await
    };
    let paused = keyed("/kinds/noop/pause").await.json(200);
    post(&daemon, &eve, "/kinds/noop/resume").await;
    let again = keyed("/kinds/noop/pause").await;
    assert_eq!((again.header("idempotent-replayed"), again.json(200)), ("true", paused));
    assert!(kind(&daemon, &eve, "noop").await.get("paused_at").is_none(), "it counted once");
    keyed("/kinds/noop/resume").await.problem(Code::KeyReused);
}
