//! Making users.

use gristmill::http::Code;
use serde_json::json;

use crate::harness::{Wishes, start};

#[tokio::test]
async fn a_user_has_an_id_and_a_token_that_opens_what_is_theirs() {
    let daemon = start(Wishes { settings: vec![("auth.anonymous", "false")], ..Wishes::default() }).await;
    for (path, body) in [
        ("/users", json!({"name": "Жанна"})),
        ("/user", json!({"name": "Жанна"})),
        ("/users", json!({"email": "Ann@Example.com"})),
        ("/user", json!({"name": "Ann", "email": "ann2@example.com"})),
    ] {
        let made = daemon.post(path, &body.to_string()).await;
        let user = made.json(201);
        assert_eq!(made.header("cache-control"), "no-store");
        assert!(user["id"].as_i64().is_some_and(|id| id > 0) && user["created_at"].is_string(), "{user}");
        assert_eq!(user.get("name"), body.get("name"));
        let token = user["token"].as_str().unwrap().to_owned();
        assert_eq!(token.len(), 36);
        let task = daemon.ask("POST", "/tasks", |request| request.bearer_auth(&token)).await.json(201);
        assert_eq!(task["owner"], user["id"]);
    }
    let lines = daemon.action_lines();
    assert!(lines.contains("Success: user Жанна created."), "{lines}");
    assert!(
        lines.contains("Success: user #3 created.") && !lines.contains('@'),
        "an e-mail is private: {lines}"
    );
}

#[tokio::test]
async fn an_email_belongs_to_one_user_however_it_is_written() {
    let daemon = start(Wishes::default()).await;
    daemon.post("/users", r#"{"email":"ann@example.com"}"#).await.json(201);
    for path in ["/users", "/user"] {
        daemon.post(path, r#"{"email":"ANN@example.com","name":"x"}"#).await.problem(Code::EmailTaken);
    }
    // Names are not unique.
    daemon.post("/users", r#"{"name":"Ann"}"#).await.json(201);
    daemon.post("/users", r#"{"name":"Ann"}"#).await.json(201);
}

#[tokio::test]
async fn a_user_who_cannot_be_is_refused_by_field() {
    let daemon = start(Wishes::default()).await;
    for (body, field) in [
        (json!({}), "name"),
        (json!({"name": null, "email": null}), "name"),
        (json!({"name": ""}), "name"),
        (json!({"name": " "}), "name"),
        (json!({"name": "x".repeat(101)}), "name"),
        (json!({"name": "a\nb"}), "name"),
        (json!({"name": "a\u{0}b"}), "name"),
        (json!({"name": 5}), "name"),
        (json!({"name": ["a"]}), "name"),
        (json!({"email": "nobody"}), "email"),
        (json!({"email": "a@b@c"}), "email"),
        (json!({"email": {"a": 1}}), "email"),
        (json!({"name": "Ann", "id": 1}), "id"),
        (json!({"name": "Ann", "token": "x"}), "token"),
    ] {
        for path in ["/users", "/user"] {
            let problem = daemon.post(path, &body.to_string()).await.problem(Code::InvalidBody);
            assert_eq!(problem["field"], field, "{body}: {problem}");
        }
    }
    daemon.post("/users", "").await.problem(Code::InvalidBody);
}
