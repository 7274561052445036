//! Creating, reading and changing tasks.

use gristmill::http::Code;
use serde_json::json;

use crate::harness::{Wishes, start};

const IDLE: fn() -> Wishes = || Wishes { idle: true, ..Wishes::default() };

#[tokio::test]
async fn an_empty_body_makes_a_noop_which_is_done() {
    let daemon = start(Wishes::default()).await;
    for body in ["", "{}", " { } "] {
        let made = daemon.post("/tasks", body).await;
        let task = made.json(201);
        let id = task["id"].as_i64().unwrap();
        assert_eq!(made.header("location"), format!("/tasks/{id}"));
        for field in ["kind", "status", "created_at", "updated_at"] {
            assert!(task[field].is_string(), "{task}");
        }
        assert_eq!(task["kind"], "noop");
        let done = daemon.until(id, "Completed").await;
        assert!(done["finished_at"].is_string() && done.get("error").is_none(), "{done}");
    }
    // Without a content type, and with another one: there is no content.
    let bare = daemon.ask("POST", "/tasks", |request| request).await;
    assert_eq!(bare.status, 201);
    let form = daemon.ask("POST", "/tasks", |request| request.header("content-type", "text/plain")).await;
    assert_eq!(form.status, 201);
}

#[tokio::test]
async fn every_field_comes_back_as_it_was_given() {
    let daemon = start(IDLE()).await;
    let payload = r#"{"b": 1.50,  "a":[null,true,"\u0436"], "big": 123456789012345678901234567890}"#;
    let body = format!(
        r#"{{"kind":"noop","payload":{payload},"priority":-100,"run_at":"2999-01-01T03:00:00+03:00","max_attempts":100,
            "timeout_s":0.5,"tags":["a","жук"]}}"#
    );
    let task = daemon.post("/tasks", &body).await.json(201);
    let read = daemon.get(&format!("/tasks/{}", task["id"])).await;
    let again = read.json(200);
    assert_eq!(task, again);
    assert_eq!(again["priority"], -100);
    assert_eq!(again["run_at"], "2999-01-01T00:00:00.000000Z");
    assert_eq!(again["max_attempts"], 100);
    assert_eq!(again["timeout_s"], 0.5);
    assert_eq!(again["tags"], json!(["a", "жук"]));
    assert!(read.text().contains(payload), "the payload is carried as text: {}", read.text());
    assert_eq!(again["status"], "New");
    for absent in ["owner", "progress", "started_at", "finished_at", "result", "error"] {
        assert!(again.get(absent).is_none(), "{absent} is left out where it has no value");
    }
}

#[tokio::test]
async fn null_is_the_same_as_leaving_a_field_out() {
    let daemon = start(IDLE()).await;
    let body = r#"{"kind":null,"payload":null,"priority":null,"run_at":null,"max_attempts":null,"timeout_s":null,"tags":null}"#;
    let task = daemon.post("/tasks", body).await.json(201);
    assert_eq!((&task["kind"], &task["priority"], &task["tags"]), (&json!("noop"), &json!(0), &json!([])));
    assert!(task.get("payload").is_none() && task.get("timeout_s").is_none(), "{task}");
}

#[tokio::test]
async fn who_prefers_not_to_wait_gets_202_and_who_waits_gets_the_ended_task() {
    let daemon = start(Wishes::default()).await;
    let prefer = |wish: &'static str| {
        let daemon = &daemon;
        async move { daemon.ask("POST", "/tasks", |request| request.header("prefer", wish)).await }
    };
    let later = prefer("respond-async").await;
    let id = later.json(202)["id"].as_i64().unwrap();
    assert_eq!(later.header("location"), format!("/tasks/{id}"));
    assert_eq!(later.header("preference-applied"), "respond-async");

    let ended = prefer("wait=30").await;
    assert_eq!(ended.json(201)["status"], "Completed");
    assert_eq!(ended.header("preference-applied"), "wait=30");
    assert_eq!(prefer("wait=100000").await.header("preference-applied"), "wait=60", "cut to http.max_wait_s");
    assert_eq!(prefer("wait=soon").await.header("preference-applied"), "");
}

#[tokio::test]
async fn when_the_wait_runs_out_or_the_daemon_drains_the_answer_is_202() {
    let daemon = start(IDLE()).await;
    let wait = |seconds: u32| {
        let daemon = &daemon;
        async move {
            daemon.ask("POST", "/tasks", |request| request.header("prefer", format!("wait={seconds}"))).await
        }
    };
    let out = wait(0).await;
    assert_eq!(out.json(202)["status"], "New");
    assert!(out.header("location").starts_with("/tasks/"));
    assert_eq!(wait(1).await.json(202)["status"], "New");

    let (answer, ()) = tokio::join!(wait(60), async {
        while daemon.rows().await < 3 {
            tokio::task::yield_now().await;
        }
        daemon.draining.cancel();
    });
    assert_eq!(answer.json(202)["status"], "New");
}

#[tokio::test]
async fn a_task_that_is_deleted_while_somebody_waits_is_not_found() {
    let daemon = start(IDLE()).await;
    let (answer, ()) =
        tokio::join!(daemon.ask("POST", "/tasks", |request| request.header("prefer", "wait=60")), async {
            while daemon.rows().await == 0 {
                tokio::task::yield_now().await;
            }
            assert_eq!(daemon.ask("DELETE", "/tasks/1", |request| request).await.status, 204);
        });
    answer.problem(Code::TaskNotFound);
}

#[tokio::test]
async fn a_failed_task_tells_why_and_can_be_retried_but_not_cancelled() {
    let daemon = start(Wishes::default()).await;
    let body = r#"{"kind":"failing","payload":{"because":"so \"it\" is"}}"#;
    let id = daemon.post("/tasks", body).await.json(201)["id"].as_i64().unwrap();
    let failed = daemon.until(id, "Failed").await;
    assert_eq!(failed["error"], json!({"reason": "invalid_input", "message": "so \"it\" is"}));
    assert_eq!(failed["failures"], 1);
    let refused = daemon.post(&format!("/tasks/{id}/cancel"), "").await.problem(Code::StatusForbids);
    assert!(refused["detail"].as_str().unwrap().contains("Failed"), "{refused}");
    daemon.tracker(crate::harness::Tracker::Writing);
    let again = daemon.post(&format!("/tasks/{id}/retry"), "{}").await.json(200);
    assert_eq!((&again["status"], &again["failures"]), (&json!("New"), &json!(0)));
    let cancelled = daemon.post(&format!("/tasks/{id}/cancel"), "").await.json(200);
    assert_eq!(cancelled["status"], "Cancelled");
}

#[tokio::test]
async fn a_deleted_task_is_gone() {
    let daemon = start(IDLE()).await;
    let id = &daemon.post("/tasks", "").await.json(201)["id"];
    let path = format!("/tasks/{id}");
    let gone = daemon.ask("DELETE", &path, |request| request).await;
    assert_eq!((gone.status, gone.body.len()), (204, 0));
    daemon.get(&path).await.problem(Code::TaskNotFound);
    daemon.ask("DELETE", &path, |request| request).await.problem(Code::TaskNotFound);
    daemon.post(&format!("{path}/cancel"), "").await.problem(Code::TaskNotFound);
    daemon.post(&format!("{path}/retry"), "").await.problem(Code::TaskNotFound);
}

#[tokio::test]
async fn a_batch_is_created_whole_and_in_order_or_not_at_all() {
    let daemon = start(IDLE()).await;
    let body = json!([{}, {"priority": 5}, {"kind": "failing", "payload": {"because": "x"}}]).to_string();
    let made = daemon.post("/tasks/batch", &body).await.json(201);
    let made = made.as_array().unwrap();
    assert_eq!(made.len(), 3);
    assert_eq!((&made[1]["priority"], &made[2]["kind"]), (&json!(5), &json!("failing")));
    assert!(made.windows(2).all(|pair| pair[0]["id"].as_i64() < pair[1]["id"].as_i64()), "{made:?}");

    for (body, code, field, pointer) in [
        (json!([{}, {}, {}, {"priority": 101}]), Code::InvalidBody, "[3].priority", "/3/priority"),
        (json!([{}, {"x": 1}]), Code::InvalidBody, "[1].x", "/1/x"),
        (json!([{}, 5]), Code::InvalidBody, "[1]", "/1"),
        (json!([{}, {"kind": "nope"}]), Code::UnknownKind, "[1].kind", "/1/kind"),
        (json!([{}, {}, {"kind": "transcode"}]), Code::KindNotDirect, "[2].kind", "/2/kind"),
        (json!([{"kind": "failing"}]), Code::InvalidPayload, "[0].payload", "/0/payload"),
        (json!([]), Code::InvalidBody, "body", ""),
        (json!({}), Code::InvalidBody, "body", ""),
    ] {
        let problem = daemon.post("/tasks/batch", &body.to_string()).await.problem(code);
        assert_eq!(
            (&problem["field"], &problem["errors"][0]["pointer"]),
            (&json!(field), &json!(pointer)),
            "{problem}"
        );
    }
    assert_eq!(daemon.rows().await, 3, "nothing of a refused batch is there");
}

#[tokio::test]
async fn a_batch_takes_ten_thousand_tasks_and_not_one_more() {
    let daemon = start(IDLE()).await;
    let most = vec![json!({}); 10_000];
    let made = daemon.post("/tasks/batch", &json!(most).to_string()).await.json(201);
    assert_eq!(made.as_array().unwrap().len(), 10_000);
    let more = vec![json!({}); 10_001];
    daemon.post("/tasks/batch", &json!(more).to_string()).await.problem(Code::InvalidBody);
}

#[tokio::test]
async fn a_batch_can_be_waited_for() {
    let daemon = start(Wishes::default()).await;
    let ask = |wish: &'static str| {
        let request = move |request: reqwest::RequestBuilder| {
            request.header("prefer", wish).header("content-type", "application/json").body("[{},{}]")
        };
        daemon.ask("POST", "/tasks/batch", request)
    };
    let ended = ask("wait=30").await.json(201);
    assert!(ended.as_array().unwrap().iter().all(|task| task["status"] == "Completed"), "{ended}");
    assert_eq!(ask("respond-async").await.status, 202);
}
