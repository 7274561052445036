//! Workers that are not ours: claims, leases, and what is said of tasks in hand.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::future::join_all;
use gristmill::http::Code;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use crate::client::{Answer, Someone};
use crate::harness::{Daemon, Wishes, start};

/// Nobody works but those outside, who do `resize` as well.
fn wishes() -> Wishes {
    Wishes { idle: true, settings: vec![("kinds.outside", "resize, ocr")], ..Wishes::default() }
}

async fn make(daemon: &Daemon, kind: &str) -> i64 {
    let body = json!({"kind": kind, "payload": {"of": kind}}).to_string();
    daemon.post("/tasks", &body).await.json(201)["id"].as_i64().unwrap()
}

async fn claim(daemon: &Daemon, body: Value) -> Answer {
    daemon.post("/tasks/claim", &body.to_string()).await
}

async fn say(daemon: &Daemon, task: i64, word: &str, body: Value) -> Answer {
    daemon.post(&format!("/tasks/{task}/{word}"), &body.to_string()).await
}

async fn by(daemon: &Daemon, who: &Someone, method: &str, path: &str, body: Value) -> Answer {
    let text = body.to_string();
    daemon
        .ask(method, path, |request| {
            let request = request.bearer_auth(&who.token);
            if method == "GET" {
                request
            } else {
                request.header("content-type", "application/json").body(text)
            }
        })
        .await
}

/// Tries until it is so.
pub(crate) async fn eventually<T>(mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(Instant::now() < deadline, "it never came");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_worker_claims_a_task_tells_how_far_it_is_and_completes_it() {
    let daemon = start(wishes()).await;
    let id = make(&daemon, "resize").await;
    let claimed =
        claim(&daemon, json!({"kinds": ["ocr", "resize"], "lease_s": 60, "worker": "w-1"})).await.json(200);
    assert_eq!(
        (&claimed["id"], &claimed["status"], &claimed["attempt"], &claimed["worker"]),
        (&json!(id), &json!("In Progress"), &json!(1), &json!("w-1"))
    );
    assert_eq!(claimed["payload"], json!({"of": "resize"}));
    assert!(claimed.get("assignee").is_none() && claimed["lease_until"].is_string(), "{claimed}");
    assert_eq!(daemon.get(&format!("/tasks/{id}")).await.json(200), claimed);
    assert_eq!(claim(&daemon, json!({"kinds": ["resize"]})).await.status, 204, "it is given once");

    let beaten = say(&daemon, id, "heartbeat", json!({"attempt": 1, "lease_s": 3600})).await.json(200);
    assert!(beaten["lease_until"].as_str() > claimed["lease_until"].as_str(), "{beaten}");
    let further = say(&daemon, id, "progress", json!({"attempt": 1, "percent": 40})).await.json(200);
    assert_eq!(further["progress"], 40);
    let done = say(&daemon, id, "complete", json!({"attempt": 1, "result": {"w": 1.50}})).await;
    assert!(done.text().contains(r#""result":{"w":1.5}"#), "{}", done.text());
    let done = done.json(200);
    assert_eq!((&done["status"], &done["progress"]), (&json!("Completed"), &json!(100)));
    assert!(done.get("worker").is_none() && done.get("lease_until").is_none(), "{done}");
    say(&daemon, id, "complete", json!({"attempt": 1})).await.problem(Code::StaleAttempt);
}

#[tokio::test]
async fn the_most_urgent_of_the_kinds_comes_first_and_then_the_oldest() {
    let daemon = start(wishes()).await;
    let body = json!([
        {"kind": "resize"}, {"kind": "ocr", "priority": 5}, {"kind": "ocr"}, {"kind": "resize", "priority": 5},
        {"kind": "manual", "priority": 100}, {"kind": "resize", "priority": 9, "run_at": "2999-01-01T00:00:00Z"}
    ]);
    daemon.post("/tasks/batch", &body.to_string()).await.json(201);
    let mut seen = Vec::new();
    loop {
        let answer = claim(&daemon, json!({"kinds": ["resize", "ocr"]})).await;
        if answer.status == 204 {
            break;
        }
        let task = answer.json(200);
        assert_eq!(task["worker"], "anonymous");
        seen.push(task["id"].as_i64().unwrap());
    }
    assert_eq!(seen, [2, 4, 1, 3]);
}

#[tokio::test]
async fn a_task_is_claimed_by_its_number_where_it_is_free_and_not_ours() {
    let daemon = start(wishes()).await;
    let (first, second) = (make(&daemon, "resize").await, make(&daemon, "resize").await);
    let noop = make(&daemon, "noop").await;
    assert_eq!(claim(&daemon, json!({"id": second})).await.json(200)["id"], second);
    claim(&daemon, json!({"id": second})).await.problem(Code::StatusForbids);
    claim(&daemon, json!({"id": noop})).await.problem(Code::NotForWorkers);
    claim(&daemon, json!({"id": 99})).await.problem(Code::TaskNotFound);
    daemon.post("/tasks", r#"{"kind":"ocr","run_at":"2999-01-01T00:00:00Z"}"#).await.json(201);
    claim(&daemon, json!({"id": 4})).await.problem(Code::StatusForbids);
    daemon.post(&format!("/tasks/{first}/cancel"), "").await.json(200);
    claim(&daemon, json!({"id": first})).await.problem(Code::StatusForbids);
}

#[tokio::test]
async fn kinds_that_there_are_not_or_that_are_ours_are_refused_with_those_that_can_be_claimed() {
    let daemon = start(wishes()).await;
    for (kinds, at) in [(json!(["noop"]), 0), (json!(["resize", "transcode"]), 1), (json!(["nope"]), 0)] {
        let problem = claim(&daemon, json!({ "kinds": kinds })).await.problem(Code::KindNotClaimable);
        assert_eq!(problem["allowed"], json!(["manual", "ocr", "resize"]), "{problem}");
        assert_eq!(problem["errors"][0]["pointer"], format!("/kinds/{at}"));
    }
}

#[tokio::test]
async fn each_bad_field_of_what_workers_send_is_named() {
    let daemon = start(wishes()).await;
    let many: Vec<String> = (0..33).map(|n| format!("k{n}")).collect();
    for (body, field) in [
        (json!({}), "kinds"),
        (json!({"kinds": []}), "kinds"),
        (json!({"kinds": "resize"}), "kinds"),
        (json!({"kinds": ["No Such"]}), "kinds"),
        (json!({"kinds": ["ocr", "ocr"]}), "kinds"),
        (json!({ "kinds": many }), "kinds"),
        (json!({"kinds": ["ocr"], "id": 1}), "id"),
        (json!({"id": 0}), "id"),
        (json!({"id": "1"}), "id"),
        (json!({"id": 1, "wait_s": 1}), "wait_s"),
        (json!({"kinds": ["ocr"], "lease_s": 0.5}), "lease_s"),
        (json!({"kinds": ["ocr"], "lease_s": 3601}), "lease_s"),
        (json!({"kinds": ["ocr"], "wait_s": 61}), "wait_s"),
        (json!({"kinds": ["ocr"], "wait_s": -1}), "wait_s"),
        (json!({"kinds": ["ocr"], "worker": ""}), "worker"),
        (json!({"kinds": ["ocr"], "worker": "two words"}), "worker"),
        (json!({"kinds": ["ocr"], "worker": "w".repeat(65)}), "worker"),
    ] {
        let problem = claim(&daemon, body.clone()).await.problem(Code::InvalidBody);
        assert_eq!(problem["field"], field, "{body}: {problem}");
    }
    for (word, body, field) in [
        ("heartbeat", json!({}), "attempt"),
        ("heartbeat", json!({"attempt": 0}), "attempt"),
        ("heartbeat", json!({"attempt": 4_294_967_296_u64}), "attempt"),
        ("heartbeat", json!({"attempt": 1, "lease_s": 0}), "lease_s"),
        ("progress", json!({"attempt": 1}), "percent"),
        ("progress", json!({"attempt": 1, "percent": 101}), "percent"),
        ("complete", json!({"result": 1}), "attempt"),
        ("complete", json!({"attempt": 1, "result": "x".repeat(256 << 10)}), "result"),
        ("fail", json!({"attempt": 1}), "message"),
        ("fail", json!({"attempt": 1, "message": ""}), "message"),
        ("fail", json!({"attempt": 1, "message": "ж".repeat(2001)}), "message"),
        ("fail", json!({"attempt": 1, "message": "x", "retry": "no"}), "retry"),
        ("release", json!({}), "attempt"),
    ] {
        let problem = say(&daemon, 1, word, body.clone()).await.problem(Code::InvalidBody);
        assert_eq!(problem["field"], field, "{word} {body}: {problem}");
    }
}

#[tokio::test]
async fn a_failed_try_is_tried_again_unless_the_worker_says_that_none_will_help() {
    let daemon = start(wishes()).await;
    let (again, never) = (make(&daemon, "ocr").await, make(&daemon, "ocr").await);
    for id in [again, never] {
        claim(&daemon, json!({"id": id})).await.json(200);
    }
    let story = "ж".repeat(2000);
    let failed = say(&daemon, again, "fail", json!({"attempt": 1, "message": story})).await.json(200);
    assert_eq!((&failed["status"], &failed["failures"]), (&json!("New"), &json!(1)));
    assert_eq!(failed["error"], json!({"reason": "error", "message": story}));
    assert!(failed["run_at"].as_str() > failed["updated_at"].as_str(), "{failed}");
    let body = json!({"attempt": 1, "message": "no text\nin it", "retry": false});
    let failed = say(&daemon, never, "fail", body).await.json(200);
    assert_eq!(failed["status"], "Failed");
    assert_eq!(failed["error"], json!({"reason": "invalid_input", "message": "no text\nin it"}));
}

#[tokio::test]
async fn a_task_that_is_given_back_is_free_at_once_under_the_next_attempt() {
    let daemon = start(wishes()).await;
    let id = make(&daemon, "ocr").await;
    claim(&daemon, json!({"id": id})).await.json(200);
    let freed = say(&daemon, id, "release", json!({"attempt": 1})).await.json(200);
    assert_eq!(
        (&freed["status"], &freed["failures"], &freed["crashes"]),
        (&json!("New"), &json!(0), &json!(0))
    );
    assert_eq!(claim(&daemon, json!({"kinds": ["ocr"]})).await.json(200)["attempt"], 2);
    for (word, body) in [
        ("heartbeat", json!({"attempt": 1})),
        ("progress", json!({"attempt": 1, "percent": 1})),
        ("complete", json!({"attempt": 1})),
        ("fail", json!({"attempt": 1, "message": "x"})),
        ("release", json!({"attempt": 1})),
        ("complete", json!({"attempt": 3})),
    ] {
        say(&daemon, id, word, body).await.problem(Code::StaleAttempt);
    }
    say(&daemon, id, "complete", json!({"attempt": 2})).await.json(200);
}

#[tokio::test]
async fn a_worker_learns_from_its_next_word_that_its_task_was_cancelled_or_deleted() {
    let daemon = start(wishes()).await;
    let (cancelled, deleted) = (make(&daemon, "ocr").await, make(&daemon, "ocr").await);
    for id in [cancelled, deleted] {
        claim(&daemon, json!({"id": id})).await.json(200);
    }
    daemon.post(&format!("/tasks/{cancelled}/cancel"), "").await.json(200);
    let told = say(&daemon, cancelled, "heartbeat", json!({"attempt": 1})).await.problem(Code::StaleAttempt);
    assert!(told["detail"].as_str().unwrap().contains("Cancelled"), "{told}");
    daemon.ask("DELETE", &format!("/tasks/{deleted}"), |request| request).await;
    say(&daemon, deleted, "progress", json!({"attempt": 1, "percent": 1})).await.problem(Code::TaskNotFound);
}

#[tokio::test]
async fn a_task_whose_lease_ran_out_is_free_again_and_its_late_worker_has_no_say() {
    let daemon = start(wishes()).await;
    let id = make(&daemon, "ocr").await;
    claim(&daemon, json!({"kinds": ["ocr"], "lease_s": 1})).await.json(200);
    let again = eventually(async || {
        daemon.rescue().await;
        let answer = claim(&daemon, json!({"kinds": ["ocr"], "lease_s": 3600})).await;
        (answer.status == 200).then(|| answer.json(200))
    })
    .await;
    assert_eq!((&again["id"], &again["attempt"], &again["crashes"]), (&json!(id), &json!(2), &json!(1)));
    say(&daemon, id, "complete", json!({"attempt": 1})).await.problem(Code::StaleAttempt);
    daemon.rescue().await;
    say(&daemon, id, "complete", json!({"attempt": 2})).await.json(200);
}

#[tokio::test]
async fn a_claim_that_waits_is_answered_as_soon_as_a_task_comes() {
    let daemon = start(wishes()).await;
    let started = Instant::now();
    let (claimed, id) = tokio::join!(claim(&daemon, json!({"kinds": ["ocr"], "wait_s": 60})), async {
        waiting(&daemon, 1).await;
        make(&daemon, "ocr").await
    });
    assert_eq!(claimed.json(200)["id"], id);
    assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
    // And when none comes, the wait ends.
    assert_eq!(claim(&daemon, json!({"kinds": ["ocr"], "wait_s": 0.1})).await.status, 204);
    let (claimed, _) = tokio::join!(claim(&daemon, json!({"kinds": ["resize"], "wait_s": 1})), async {
        make(&daemon, "ocr").await
    });
    assert_eq!(claimed.status, 204, "not for another kind");
}

/// Waits until so many claims were looked for in vain: each has then been written once.
async fn waiting(daemon: &Daemon, claims: usize) {
    eventually(async || (daemon.openings.waiting() >= claims).then_some(())).await;
}

#[tokio::test]
async fn fifty_who_wait_and_fifty_tasks_meet_one_to_one() {
    let daemon = start(wishes()).await;
    let all = join_all((0..50).map(|_| claim(&daemon, json!({"kinds": ["resize", "ocr"], "wait_s": 60}))));
    let batch: Vec<Value> =
        (0..50).map(|n| json!({"kind": if n % 2 == 0 { "ocr" } else { "resize" }})).collect();
    let (claimed, ()) = tokio::join!(timeout(Duration::from_secs(30), all), async {
        waiting(&daemon, 50).await;
        daemon.post("/tasks/batch", &json!(batch).to_string()).await.json(201);
    });
    let ids: BTreeSet<i64> =
        claimed.unwrap().iter().map(|answer| answer.json(200)["id"].as_i64().unwrap()).collect();
    assert_eq!(ids.len(), 50);
}

#[tokio::test]
async fn a_drain_ends_the_waiting_and_gives_out_nothing_more() {
    let daemon = start(wishes()).await;
    let started = Instant::now();
    let (claimed, ()) = tokio::join!(claim(&daemon, json!({"kinds": ["ocr"], "wait_s": 60})), async {
        waiting(&daemon, 1).await;
        daemon.draining.cancel();
    });
    assert_eq!((claimed.status, claimed.body.len()), (204, 0));
    assert!(started.elapsed() < Duration::from_secs(30), "{:?}", started.elapsed());
    let id = make(&daemon, "ocr").await;
    assert_eq!(claim(&daemon, json!({"kinds": ["ocr"], "wait_s": 60})).await.status, 204);
    assert_eq!(daemon.get(&format!("/tasks/{id}")).await.json(200)["status"], "New");
}

#[tokio::test]
async fn who_hangs_up_while_waiting_is_given_nothing() {
    let daemon = start(wishes()).await;
    let body = r#"{"kinds":["ocr"],"wait_s":60}"#;
    let head = format!(
        "POST /tasks/claim HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut socket = TcpStream::connect(daemon.address).await.unwrap();
    socket.write_all(head.as_bytes()).await.unwrap();
    waiting(&daemon, 1).await;
    drop(socket);
    eventually(async || (daemon.openings.waiting() == 0).then_some(())).await;
    let id = make(&daemon, "ocr").await;
    let claimed = claim(&daemon, json!({"kinds": ["ocr"]})).await.json(200);
    assert_eq!((&claimed["id"], &claimed["attempt"]), (&json!(id), &json!(1)));
}

#[tokio::test]
async fn only_so_many_claims_may_wait() {
    let daemon =
        start(Wishes { settings: vec![("http.max_waiting", "1")], idle: true, ..Wishes::default() }).await;
    let body = json!({"kinds": ["manual"], "wait_s": 60});
    let (first, ()) = tokio::join!(claim(&daemon, body.clone()), async {
        waiting(&daemon, 1).await;
        let problem = claim(&daemon, body.clone()).await.problem(Code::Overloaded);
        assert!(problem["detail"].as_str().unwrap().contains("http.max_waiting"), "{problem}");
        assert_eq!(
            claim(&daemon, json!({"kinds": ["manual"]})).await.status,
            204,
            "who does not wait needs no place"
        );
        make(&daemon, "manual").await;
    });
    first.json(200);
    // The place is free again.
    assert_eq!(claim(&daemon, json!({"kinds": ["manual"], "wait_s": 0.1})).await.status, 204);
}

#[tokio::test]
async fn a_user_is_given_what_is_theirs_or_nobodys_and_alone_speaks_for_it() {
    let daemon = start(wishes()).await;
    let (ann, bob) = (daemon.someone("Ann").await, daemon.someone("Bob").await);
    let hook = "https://example.com/hook?secret=1";
    let body = json!({"kind": "ocr", "callback_url": hook});
    let hers = by(&daemon, &ann, "POST", "/tasks", body.clone()).await.json(201)["id"].as_i64().unwrap();
    let kinds = json!({"kinds": ["ocr"]});
    assert_eq!(by(&daemon, &bob, "POST", "/tasks/claim", kinds.clone()).await.status, 204);
    assert_eq!(claim(&daemon, kinds.clone()).await.status, 204);
    by(&daemon, &bob, "POST", "/tasks/claim", json!({"id": hers})).await.problem(Code::TaskNotFound);
    let taken = by(&daemon, &ann, "POST", "/tasks/claim", kinds.clone()).await.json(200);
    assert_eq!(taken["worker"], format!("user-{}", ann.id));
    assert_eq!((&taken["assignee"], &taken["callback_url"]), (&json!(ann.id), &json!(hook)));
    let path = format!("/tasks/{hers}");
    let done = json!({"attempt": 1});
    by(&daemon, &bob, "POST", &format!("{path}/complete"), done.clone()).await.problem(Code::TaskNotFound);
    daemon.post(&format!("{path}/complete"), &done.to_string()).await.problem(Code::TaskNotFound);
    by(&daemon, &bob, "GET", &path, json!(null)).await.problem(Code::TaskNotFound);

    // What nobody owns is anybody's to take, and then seen by who took it; where it calls back is not.
    let nobodys = daemon.post("/tasks", &body.to_string()).await.json(201)["id"].as_i64().unwrap();
    let path = format!("/tasks/{nobodys}");
    by(&daemon, &bob, "GET", &path, json!(null)).await.problem(Code::TaskNotFound);
    let taken = by(&daemon, &bob, "POST", "/tasks/claim", kinds).await.json(200);
    assert_eq!((&taken["id"], &taken["assignee"]), (&json!(nobodys), &json!(bob.id)));
    let seen = by(&daemon, &bob, "GET", &path, json!(null)).await;
    assert!(
        seen.json(200).get("callback_url").is_none() && !seen.text().contains("secret"),
        "{}",
        seen.text()
    );
    assert_eq!(daemon.get(&path).await.json(200)["callback"]["given_up"], 0);
    by(&daemon, &ann, "POST", &format!("{path}/complete"), done.clone()).await.problem(Code::NotHeld);
    daemon.post(&format!("{path}/complete"), &done.to_string()).await.problem(Code::NotHeld);
    by(&daemon, &bob, "POST", &format!("{path}/complete"), done).await.json(200);
    assert_eq!(by(&daemon, &bob, "GET", &path, json!(null)).await.json(200)["status"], "Completed");
}

#[tokio::test]
async fn twenty_who_ask_for_a_free_task_at_once_never_get_the_same() {
    let daemon = start(wishes()).await;
    let batch: Vec<Value> = (0..15).map(|n| json!({ "meta": n })).collect();
    daemon.post("/tasks/batch", &json!(batch).to_string()).await.json(201);
    let answers = join_all((0..20).map(|_| daemon.get("/take_free_task"))).await;
    let mut ids = BTreeSet::new();
    for answer in &answers {
        assert_eq!(answer.header("cache-control"), "no-store");
        if answer.status == 404 {
            answer.problem(Code::NoFreeTask);
            continue;
        }
        let task = answer.json(200);
        assert_eq!((&task["status"], &task["kind"]), (&json!("In Progress"), &json!("manual")));
        assert!(task.get("lease_until").is_none() && task["meta"].is_i64(), "{task}");
        assert!(ids.insert(task["id"].as_i64().unwrap()), "{task} was given twice");
    }
    assert_eq!(ids.len(), 15);
}

#[tokio::test]
async fn a_person_takes_the_oldest_free_task_and_gives_it_back_without_naming_the_attempt() {
    let daemon = start(wishes()).await;
    let (ann, bob) = (daemon.someone("Ann").await, daemon.someone("Bob").await);
    let nobodys = make(&daemon, "manual").await;
    make(&daemon, "ocr").await;
    by(&daemon, &bob, "POST", "/tasks", json!({"meta": "his"})).await.json(201);
    for method in ["HEAD", "POST"] {
        let answer = daemon.ask(method, "/take_free_task", |request| request).await;
        assert_eq!((answer.status, answer.header("allow")), (405, "GET"), "{method}");
    }
    assert_eq!(daemon.get(&format!("/tasks/{nobodys}")).await.json(200)["status"], "New");
    let taken = by(&daemon, &ann, "GET", "/take_free_task", json!(null)).await.json(200);
    assert_eq!((&taken["id"], &taken["assignee"]), (&json!(nobodys), &json!(ann.id)));
    assert!(taken.get("worker").is_none(), "{taken}");
    by(&daemon, &ann, "GET", "/take_free_task", json!(null)).await.problem(Code::NoFreeTask);
    let release = format!("/tasks/{nobodys}/release");
    by(&daemon, &bob, "POST", &release, json!({})).await.problem(Code::NotHeld);
    let freed = by(&daemon, &ann, "POST", &release, json!({})).await.json(200);
    assert!(freed["status"] == "New" && freed.get("assignee").is_none(), "{freed}");
    by(&daemon, &ann, "POST", &release, json!({})).await.problem(Code::StaleAttempt);
    assert_eq!(daemon.get("/take_free_task").await.json(200)["attempt"], 2);
}

#[tokio::test]
async fn a_person_has_a_lease_only_where_one_is_configured() {
    let settings = vec![("tasks.manual_lease_s", "3600")];
    let daemon = start(Wishes { settings, idle: true, ..Wishes::default() }).await;
    make(&daemon, "manual").await;
    assert!(daemon.get("/take_free_task").await.json(200)["lease_until"].is_string());
}

#[tokio::test]
async fn deletion_does_not_lower_how_many_tasks_were_created() {
    let daemon = start(wishes()).await;
    let ann = daemon.someone("Ann").await;
    assert_eq!(daemon.get("/total_tasks_created").await.json(200), json!({"total_tasks_created": 0}));
    for _ in 0..3 {
        make(&daemon, "noop").await;
    }
    by(&daemon, &ann, "POST", "/tasks", json!({})).await.json(201);
    assert_eq!(daemon.ask("DELETE", "/tasks/1", |request| request).await.status, 204);
    assert_eq!(daemon.get("/total_tasks_created").await.json(200), json!({"total_tasks_created": 4}));
    let hers = by(&daemon, &ann, "GET", "/total_tasks_created", json!(null)).await.json(200);
    assert_eq!(hers, json!({"total_tasks_created": 4, "by_user": 1}));
}
