//! The list of one's recordings, and removing one.

use gristmill::http::Code;
use serde_json::Value;

use crate::client::Someone;
use crate::harness::{Daemon, Wishes, start};
use crate::wav::{form, tone};

async fn list(daemon: &Daemon, query: &str, who: &Someone) -> Vec<Value> {
    let answer =
        daemon.ask("GET", &format!("/records{query}"), |request| request.bearer_auth(&who.token)).await;
    answer.json(200).as_array().unwrap().clone()
}

async fn record(daemon: &Daemon, who: &Someone) -> Value {
    daemon.upload("/records", form(who, tone(1)), "").await.json(201)
}

async fn remove(daemon: &Daemon, id: &str, who: Option<&Someone>, key: &str) -> crate::client::Answer {
    let path = format!("/records/{id}");
    let ask = daemon.ask("DELETE", &path, |request| {
        let request = if key.is_empty() { request } else { request.header("idempotency-key", key) };
        match who {
            Some(who) => request.bearer_auth(&who.token),
            None => request,
        }
    });
    ask.await
}

#[tokio::test]
async fn the_list_is_the_callers_the_newest_first_page_by_page() {
    let daemon = start(Wishes::default()).await;
    let [ann, bob, eve] =
        [daemon.someone("Ann").await, daemon.someone("Bob").await, daemon.someone("Eve").await];
    daemon.make_admin(&eve).await;
    let first = record(&daemon, &ann).await;
    let his = record(&daemon, &bob).await;
    let second = record(&daemon, &ann).await;
    // As it was answered, and with what a player draws.
    let hers = list(&daemon, "", &ann).await;
    assert_eq!(hers.len(), 2);
    for (listed, made) in hers.iter().zip([&second, &first]) {
        assert_eq!(listed, made);
        let peaks = listed["task"]["result"]["peaks"].as_array().unwrap();
        assert!(peaks.len() > 128 && peaks.iter().any(|peak| peak.as_u64() > Some(20)), "{listed}");
    }
    assert_eq!(list(&daemon, "", &bob).await, std::slice::from_ref(&his));
    assert_eq!(list(&daemon, "", &eve).await.len(), 3);
    let page = daemon.ask("GET", "/records?limit=1", |request| request.bearer_auth(&ann.token)).await;
    assert_eq!(page.json(200), Value::from(vec![second.clone()]));
    let next = page.header("link").split(['<', '>']).nth(1).unwrap().to_owned();
    let next = next.split_once("/records").unwrap().1.to_owned();
    assert_eq!(list(&daemon, &next, &ann).await, [first]);
    let last = daemon.ask("GET", &format!("/records{next}"), |request| request.bearer_auth(&ann.token)).await;
    assert_eq!(last.header("link"), "");
    daemon.get("/records").await.problem(Code::Unauthenticated);
}

#[tokio::test]
async fn a_recording_is_removed_with_its_files_by_its_owner_or_an_admin_and_by_nobody_else() {
    let daemon = start(Wishes::default()).await;
    let [ann, bob, eve] =
        [daemon.someone("Ann").await, daemon.someone("Bob").await, daemon.someone("Eve").await];
    daemon.make_admin(&eve).await;
    let (one, other) = (record(&daemon, &ann).await, record(&daemon, &ann).await);
    let id = |record: &Value| record["id"].as_str().unwrap().to_owned();
    remove(&daemon, &id(&one), None, "").await.problem(Code::Unauthenticated);
    remove(&daemon, &id(&one), Some(&bob), "").await.problem(Code::Forbidden);
    assert_eq!(list(&daemon, "", &ann).await.len(), 2);
    assert_eq!(remove(&daemon, &id(&one), Some(&ann), "k").await.status, 204);
    let again = remove(&daemon, &id(&one), Some(&ann), "k").await;
    assert_eq!((again.status, again.header("idempotent-replayed")), (204, "true"));
    remove(&daemon, &id(&one), Some(&ann), "").await.problem(Code::RecordingNotFound);
    let link = format!("/record?id={}&user={}", id(&one), ann.id);
    daemon.get(&link).await.problem(Code::RecordingNotFound);
    assert_eq!(list(&daemon, "", &ann).await, std::slice::from_ref(&other));
    assert_eq!(remove(&daemon, &id(&other), Some(&eve), "").await.status, 204);
    for none in ["7", "00000000-0000-4000-8000-000000000000", "a%00b"] {
        let answer = remove(&daemon, none, Some(&ann), "").await;
        assert_eq!(answer.status, 404, "{none}");
    }
    assert_eq!(daemon.left().await, (0, 0));
    assert_eq!(daemon.action_lines().matches("Success: recording talk.wav deleted.").count(), 2);
}
