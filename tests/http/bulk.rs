//! The same for many tasks at once.

use gristmill::http::Code;
use serde_json::{Value, json};

use crate::client::Someone;
use crate::harness::{Daemon, Wishes, start};
use crate::photos::png;

async fn idle() -> Daemon {
    start(Wishes { idle: true, ..Wishes::default() }).await
}

async fn make(daemon: &Daemon, task: Value, count: usize) {
    daemon.post("/tasks/batch", &json!(vec![task; count]).to_string()).await.json(201);
}

async fn post(daemon: &Daemon, path: &str) -> Value {
    daemon.post(path, "").await.json(200)
}

fn bulk(matched: u64, changed: u64, next: Option<i64>) -> Value {
    json!({"matched": matched, "changed": changed, "refused": matched - changed, "next": next})
}

async fn count(daemon: &Daemon, query: &str) -> usize {
    let tasks = daemon.get(&format!("/tasks?limit=1000&{query}")).await.json(200);
    tasks.as_array().unwrap().len()
}

#[tokio::test]
async fn tasks_are_cancelled_retried_and_deleted_by_a_filter() {
    let daemon = idle().await;
    make(&daemon, json!({"tags": ["red"]}), 600).await;
    make(&daemon, json!({"tags": ["blue"]}), 3).await;
    assert_eq!(post(&daemon, "/tasks/cancel?tag=red").await, bulk(600, 600, None));
    assert_eq!(count(&daemon, "status=Cancelled").await, 600);
    assert_eq!(post(&daemon, "/tasks/cancel?tag=red").await, bulk(0, 0, None), "there are no more");
    assert_eq!(post(&daemon, "/tasks/cancel?tag=red&status=Cancelled").await, bulk(600, 0, None));
    assert_eq!(post(&daemon, "/tasks/retry?kind=noop&after=590").await, bulk(10, 10, None));
    assert_eq!(post(&daemon, "/tasks/retry?id=1,2,600,601,9999").await, bulk(4, 2, None));
    assert_eq!(post(&daemon, "/tasks/delete?status=Cancelled").await, bulk(588, 588, None));
    assert_eq!(post(&daemon, "/tasks/delete?all=true").await, bulk(15, 15, None));
    assert_eq!(count(&daemon, "").await, 0);
}

#[tokio::test]
async fn a_request_does_so_much_and_says_where_to_go_on() {
    let daemon = idle().await;
    for _ in 0..2 {
        make(&daemon, json!({}), 10_000).await;
    }
    make(&daemon, json!({}), 5).await;
    let first = post(&daemon, "/tasks/cancel?all=true").await;
    assert_eq!(first, bulk(10_000, 10_000, Some(10_000)));
    assert_eq!(post(&daemon, "/tasks/cancel?all=true&after=10000").await, bulk(10_000, 10_000, Some(20_000)));
    assert_eq!(post(&daemon, "/tasks/cancel?all=true&after=20000").await, bulk(5, 5, None));
}

#[tokio::test]
async fn a_query_that_does_not_say_which_is_refused() {
    let daemon = idle().await;
    make(&daemon, json!({}), 2).await;
    for act in ["cancel", "retry", "delete"] {
        for query in ["", "?after=1", "?all=false"] {
            let refused = daemon.post(&format!("/tasks/{act}{query}"), "").await;
            let problem = refused.problem(Code::InvalidParameter);
            assert!(problem["errors"][0]["problem"].as_str().unwrap().contains("all=true"), "{problem}");
        }
        for query in ["id=", "id=1,,2", "id=x", "all=yes", "status=Done", "limit=1", "id=1&id=2"] {
            let refused = daemon.post(&format!("/tasks/{act}?{query}"), "").await;
            refused.problem(Code::InvalidParameter);
        }
        let many: Vec<String> = (1..=1001).map(|id| id.to_string()).collect();
        let refused = daemon.post(&format!("/tasks/{act}?id={}", many.join(",")), "").await;
        refused.problem(Code::InvalidParameter);
        let body = daemon.post(&format!("/tasks/{act}?all=true"), r#"{"kind":"noop"}"#).await;
        body.problem(Code::InvalidBody);
    }
    assert_eq!(count(&daemon, "status=New").await, 2);
}

#[tokio::test]
async fn each_caller_changes_what_is_theirs() {
    let daemon = idle().await;
    let [ann, eve] = [daemon.someone("Ann").await, daemon.someone("Eve").await];
    daemon.promote(eve.id).await;
    daemon.by(&ann, "POST", "/tasks/batch", json!([{}, {}])).await.json(201);
    make(&daemon, json!({}), 3).await;
    let by = async |who: &Someone, path: &str| daemon.by(who, "POST", path, Value::Null).await.json(200);
    assert_eq!(by(&ann, "/tasks/cancel?all=true").await, bulk(2, 2, None));
    assert_eq!(by(&ann, "/tasks/delete?id=3,4,5").await, bulk(0, 0, None));
    assert_eq!(post(&daemon, "/tasks/delete?id=1,2").await, bulk(0, 0, None));
    assert_eq!(by(&eve, "/tasks/retry?all=true").await, bulk(2, 2, None));
    assert_eq!(by(&eve, "/tasks/delete?all=true").await, bulk(5, 5, None));
}

#[tokio::test]
async fn a_key_counts_once_for_the_whole_of_a_request() {
    let daemon = idle().await;
    make(&daemon, json!({}), 700).await;
    let keyed =
        async |path: &str| daemon.ask("POST", path, |request| request.header("idempotency-key", "k")).await;
    let first = keyed("/tasks/cancel?all=true").await.json(200);
    assert_eq!(first, bulk(700, 700, None));
    make(&daemon, json!({}), 1).await;
    let again = keyed("/tasks/cancel?all=true").await;
    assert_eq!((again.header("idempotent-replayed"), again.json(200)), ("true", first));
    assert_eq!(count(&daemon, "status=New").await, 1, "it counted once");
    keyed("/tasks/cancel?kind=noop").await.problem(Code::KeyReused);
    assert_eq!(count(&daemon, "status=New").await, 1);
}

#[tokio::test]
async fn images_that_nobody_owns_go_by_their_own_route() {
    let daemon = start(Wishes::default()).await;
    daemon.send_raw("/upload", "image/png", png(4, 4)).await.json(201);
    assert_eq!(post(&daemon, "/tasks/delete?all=true").await, bulk(0, 0, None));
    assert_eq!(count(&daemon, "kind=image").await, 1);
}
