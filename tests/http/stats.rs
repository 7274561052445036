//! A user's counters over HTTP.

use std::collections::BTreeMap;

use futures_util::future::join_all;
use gristmill::http::Code;
use serde_json::{Value, json};

use crate::harness::{Wishes, start};

#[tokio::test]
async fn counters_are_set_added_to_and_read_with_their_days() {
    let daemon = start(Wishes::default()).await;
    let ann = daemon.someone("Ann").await;
    let path = format!("/users/{}/stats", ann.id);
    let none = daemon.by(&ann, "GET", &path, Value::Null).await.json(200);
    assert_eq!(none, json!({"counters": {}}));

    let set = json!({"sessions": 11, "wins": 7, "losses": 4, "time_played_s": 36_000});
    let told = daemon.by(&ann, "PUT", &path, set.clone()).await.json(200);
    assert_eq!(told["counters"], set);
    let told = daemon.by(&ann, "PATCH", &path, json!({"wins": 1, "losses": -1, "draws": 2})).await.json(200);
    let now = json!({"sessions": 11, "wins": 8, "losses": 3, "time_played_s": 36_000, "draws": 2});
    assert_eq!(told["counters"], now);

    let told = daemon.by(&ann, "GET", &format!("{path}?days=30"), Value::Null).await.json(200);
    assert_eq!(told["counters"], now);
    let updated = told["updated_at"].as_str().unwrap();
    let history: BTreeMap<String, Vec<Value>> = serde_json::from_value(told["history"].clone()).unwrap();
    assert_eq!(history.len(), 5);
    let last = history["wins"].last().unwrap();
    assert_eq!((&last["date"], &last["value"]), (&json!(updated[..10]), &json!(8)));

    let told = daemon.by(&ann, "PUT", &path, json!({})).await.json(200);
    assert_eq!(told["counters"], json!({}));
    assert!(daemon.action_lines().contains("Success: statistics of user Ann changed."));
}

#[tokio::test]
async fn amounts_that_come_at_the_same_time_are_all_added() {
    let daemon = start(Wishes::default()).await;
    let ann = daemon.someone("Ann").await;
    let path = format!("/users/{}/stats", ann.id);
    let adds = (0..50).map(|_| daemon.by(&ann, "PATCH", &path, json!({"wins": 1})));
    for add in join_all(adds).await {
        add.json(200);
    }
    let told = daemon.by(&ann, "GET", &path, Value::Null).await.json(200);
    assert_eq!(told["counters"], json!({"wins": 50}));
}

#[tokio::test]
async fn what_is_no_counter_is_named_and_changes_nothing() {
    let daemon = start(Wishes::default()).await;
    let ann = daemon.someone("Ann").await;
    let path = format!("/users/{}/stats", ann.id);
    daemon.by(&ann, "PUT", &path, json!({"wins": 9_007_199_254_740_991_i64})).await.json(200);
    let many: BTreeMap<String, i64> = (0..65).map(|number| (format!("c{number}"), 0)).collect();
    for (method, body, field) in [
        ("PUT", json!({"Wins": 1}), "Wins"),
        ("PUT", json!({"wins": "1"}), "wins"),
        ("PUT", json!({"wins": 1.5}), "wins"),
        ("PUT", json!({"wins": null}), "wins"),
        ("PUT", json!({"wins": 9_007_199_254_740_992_i64}), "wins"),
        ("PATCH", json!({"losses": 1, "wins": 1}), "wins"),
        ("PUT", json!(many), "body"),
        ("PUT", json!([1]), "body"),
    ] {
        let problem = daemon.by(&ann, method, &path, body.clone()).await.problem(Code::InvalidBody);
        assert_eq!(problem["field"], field, "{body}: {problem}");
    }
    let twice = daemon.ask("PUT", &path, |request| {
        let request = request.bearer_auth(&ann.token).header("content-type", "application/json");
        request.body(r#"{"wins":1,"wins":2}"#)
    });
    assert_eq!(twice.await.problem(Code::InvalidBody)["field"], "wins");
    let told = daemon.by(&ann, "GET", &path, Value::Null).await.json(200);
    assert_eq!(told["counters"], json!({"wins": 9_007_199_254_740_991_i64}));
    for days in ["0", "1101", "x"] {
        let asked = daemon.by(&ann, "GET", &format!("{path}?days={days}"), Value::Null).await;
        assert_eq!(asked.problem(Code::InvalidParameter)["field"], "days");
    }
}
