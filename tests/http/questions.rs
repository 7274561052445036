//! Questions over HTTP: fetched, saved once, answered with the one before.

use std::net::SocketAddr;

use futures_util::future::join_all;
use gristmill::http::Code;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::harness::{Daemon, Wishes, start};

/// A service that answers every request with the same bytes. Ends with the test's runtime.
async fn upstream(answer: String) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (mut socket, _) = listener.accept().await.unwrap();
            let answer = answer.clone();
            tokio::spawn(async move {
                let mut head = Vec::new();
                while !head.windows(4).any(|end| end == b"\r\n\r\n") {
                    let mut piece = [0; 1024];
                    match socket.read(&mut piece).await {
                        Ok(length @ 1..) => head.extend_from_slice(&piece[..length]),
                        Ok(0) | Err(_) => return,
                    }
                }
                // Whoever asked may be gone.
                let _ = socket.write_all(answer.as_bytes()).await;
            });
        }
    });
    address
}

fn json_of(body: &Value) -> String {
    let body = body.to_string();
    let length = body.len();
    format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
    )
}

async fn with_upstream(answer: String) -> Daemon {
    let url: &'static str =
        Box::leak(format!("http://{}/api/random?count=1", upstream(answer).await).into_boxed_str());
    let settings = vec![
        ("quiz.provider", "jservice"),
        ("quiz.url", url),
        ("quiz.allow", "127.0.0.1/32"),
        ("quiz.jservice_pause_s", "0"),
        ("quiz.empty_draws", "2"),
        ("quiz.breaker_failures", "2"),
        ("quiz.time_s", "5"),
        ("quiz.timeout_s", "5"),
    ];
    start(Wishes { settings, ..Wishes::default() }).await
}

fn clue(id: i64) -> Value {
    json!({"id": id, "question": format!("Clue {id}"), "answer": format!("<i>Answer</i> {id}"), "value": 200,
        "created_at": "2014-02-11T23:33:16.409Z", "invalid_count": null, "game_id": null,
        "category": {"id": 1, "title": "numbers"}})
}

async fn saved(daemon: &Daemon) -> Vec<Value> {
    daemon.get("/quiz/questions?limit=1000").await.json(200).as_array().unwrap().clone()
}

#[tokio::test]
async fn a_call_saves_as_many_as_it_asks_for_and_answers_with_the_one_before() {
    let daemon = start(Wishes::default()).await;
    let first = daemon.post("/quiz", r#"{"questions_num":3}"#).await;
    assert_eq!((first.status, first.text().as_str()), (200, "{}"));
    let after_first = saved(&daemon).await;
    assert_eq!(after_first.len(), 3);
    let second = daemon.post("/quiz", r#"{"questions_num":100}"#).await.json(200);
    assert_eq!(second, after_first[0], "the newest of before");
    let all = saved(&daemon).await;
    assert_eq!(all.len(), 103);
    assert_eq!(daemon.post("/quiz", r#"{"questions_num":1}"#).await.json(200), all[0]);
    for question in &all {
        assert_eq!((&question["source"], &question["licence"]), (&json!("bank"), &json!("CC0-1.0")));
    }
    let lines = daemon.action_lines();
    assert!(lines.contains("Success: quiz questions saved (3)."), "{lines}");
}

#[tokio::test]
async fn calls_at_the_same_time_each_save_their_own() {
    let daemon = start(Wishes::default()).await;
    let calls = (0..10).map(|_| daemon.post("/quiz", r#"{"questions_num":20}"#));
    for call in join_all(calls).await {
        call.json(200);
    }
    let all = saved(&daemon).await;
    let texts: std::collections::BTreeSet<&str> =
        all.iter().map(|question| question["question"].as_str().unwrap()).collect();
    assert_eq!((all.len(), texts.len()), (200, 200));
}

#[tokio::test]
async fn who_does_not_wait_gets_the_task_and_its_result() {
    let daemon = start(Wishes::default()).await;
    daemon.post("/quiz", r#"{"questions_num":1}"#).await.json(200);
    let before = saved(&daemon).await.remove(0);
    let ask = |request: reqwest::RequestBuilder| {
        request.header("prefer", "respond-async").json(&json!({"questions_num": 2}))
    };
    let answer = daemon.ask("POST", "/quiz", ask).await;
    let task = answer.json(202);
    assert_eq!(answer.header("location"), format!("/tasks/{}", task["id"]));
    let done = daemon.until(task["id"].as_i64().unwrap(), "Completed").await;
    assert_eq!((&done["result"]["asked"], &done["result"]["saved"]), (&json!(2), &json!(2)));
    assert_eq!(done["result"]["previous"]["question"], before["question"]);
}

#[tokio::test]
async fn what_the_service_says_is_saved_in_plain_text() {
    let daemon = with_upstream(json_of(&json!([clue(7)]))).await;
    daemon.post("/quiz", r#"{"questions_num":1}"#).await.json(200);
    let question = saved(&daemon).await.remove(0);
    let saved_at = question["saved_at"].clone();
    let expected = json!({"id": 1, "question": "Clue 7", "answer": "Answer 7", "category": "numbers", "value": 200,
        "source": "jservice", "upstream_id": "7", "upstream_created_at": "2014-02-11T23:33:16.409000Z",
        "saved_at": saved_at});
    assert_eq!(question, expected);
}

#[tokio::test]
async fn a_service_that_has_no_more_ends_the_call_and_says_what_was_saved() {
    let daemon = with_upstream(json_of(&json!([clue(1), clue(2)]))).await;
    let answer = daemon.post("/quiz", r#"{"questions_num":5}"#).await;
    let problem = answer.problem(Code::UpstreamFailed);
    assert_eq!((&problem["saved"], &problem["asked"]), (&json!(2), &json!(5)), "{problem}");
    assert_eq!(saved(&daemon).await.len(), 2);
    assert_eq!(
        daemon.until(problem["task"].as_i64().unwrap(), "Failed").await["error"]["reason"],
        "upstream"
    );
    assert!(daemon.action_lines().contains("Error: not all quiz questions saved (2 of 5)."));
}

#[tokio::test]
async fn a_page_is_no_question() {
    let page = "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 13\r\n\r\n<html></html>";
    let daemon = with_upstream(page.to_owned()).await;
    let problem = daemon.post("/quiz", r#"{"questions_num":1}"#).await.problem(Code::UpstreamFailed);
    assert_eq!((&problem["saved"], &problem["asked"]), (&json!(0), &json!(1)));
}

#[tokio::test]
async fn a_service_that_says_nothing_is_late() {
    let daemon = with_upstream(String::new()).await;
    // The answer is empty and the connection closed: trouble, but no lateness.
    daemon.post("/quiz", r#"{"questions_num":1}"#).await.problem(Code::UpstreamFailed);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url: &'static str =
        Box::leak(format!("http://{}/api/random?count=1", listener.local_addr().unwrap()).into_boxed_str());
    let settings = vec![
        ("quiz.provider", "jservice"),
        ("quiz.url", url),
        ("quiz.allow", "127.0.0.1/32"),
        ("quiz.timeout_s", "0.2"),
        ("quiz.time_s", "0.5"),
    ];
    let daemon = start(Wishes { settings, ..Wishes::default() }).await;
    daemon.post("/quiz", r#"{"questions_num":1}"#).await.problem(Code::UpstreamTimeout);
    drop(listener);
}

#[tokio::test]
async fn questions_are_searched_and_read_by_pages() {
    let daemon = with_upstream(json_of(&json!((1..=5).map(clue).collect::<Vec<_>>()))).await;
    daemon.post("/quiz", r#"{"questions_num":5}"#).await.json(200);
    let texts = |found: Value| -> Vec<String> {
        let of = |question: &Value| question["question"].as_str().unwrap().to_owned();
        found.as_array().unwrap().iter().map(of).collect()
    };
    let first = daemon.get("/quiz/questions?limit=2").await;
    let link = first.header("link").to_owned();
    let next = link.trim_start_matches('<').split('>').next().unwrap().to_owned();
    let all = texts(daemon.get("/quiz/questions").await.json(200));
    assert_eq!(texts(first.json(200)), all[..2]);
    assert_eq!(texts(daemon.get(&next).await.json(200)), all[2..4]);
    assert_eq!(texts(daemon.get("/quiz/questions?q=CLUE%203!").await.json(200)), ["Clue 3"]);
    assert_eq!(
        texts(daemon.get("/quiz/questions?q=answer&category=numbers&source=jservice").await.json(200)),
        all
    );
    assert_eq!(texts(daemon.get("/quiz/questions?source=bank").await.json(200)), Vec::<String>::new());
    for (query, field) in [
        ("q=a%00", "q"),
        ("category=%00", "category"),
        ("source=x", "source"),
        ("q=", "q"),
        ("q=a+b+c+d+e+f+g+h+i+j+k", "q"),
        ("category=", "category"),
    ] {
        let refused = daemon.get(&format!("/quiz/questions?{query}")).await;
        assert_eq!(refused.problem(Code::InvalidParameter)["field"], field);
    }
}

#[tokio::test]
async fn how_many_is_a_number_from_1_to_100() {
    let daemon = start(Wishes::default()).await;
    for body in [
        "",
        "{}",
        r#"{"questions_num":0}"#,
        r#"{"questions_num":101}"#,
        r#"{"questions_num":"5"}"#,
        r#"{"questions_num":1.5}"#,
    ] {
        let problem = daemon.post("/quiz", body).await.problem(Code::InvalidBody);
        assert_eq!(problem["field"], "questions_num", "{body}");
    }
    assert_eq!(daemon.rows().await, 0);
}

#[tokio::test]
async fn a_call_with_a_key_counts_once() {
    let daemon = start(Wishes::default()).await;
    let ask = || {
        let keyed = |request: reqwest::RequestBuilder| {
            request.header("idempotency-key", "k").json(&json!({"questions_num": 4}))
        };
        daemon.ask("POST", "/quiz", keyed)
    };
    let first = ask().await;
    let again = ask().await;
    assert_eq!(
        (again.status, again.text(), again.header("idempotent-replayed")),
        (200, first.text(), "true")
    );
    assert_eq!(saved(&daemon).await.len(), 4);
}

#[tokio::test]
async fn a_service_that_gives_one_at_a_time_gives_as_many_as_are_wanted() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url: &'static str =
        Box::leak(format!("http://{}/api/random?count=1", listener.local_addr().unwrap()).into_boxed_str());
    tokio::spawn(async move {
        for id in 1.. {
            let (mut socket, _) = listener.accept().await.unwrap();
            let mut head = [0; 4096];
            if matches!(socket.read(&mut head).await, Ok(1..)) {
                let _ = socket.write_all(json_of(&json!([clue(id)])).as_bytes()).await;
            }
        }
    });
    let settings = vec![
        ("quiz.provider", "jservice"),
        ("quiz.url", url),
        ("quiz.allow", "127.0.0.1/32"),
        ("quiz.jservice_pause_s", "0"),
        ("quiz.requests", "3"),
    ];
    let daemon = start(Wishes { settings, ..Wishes::default() }).await;
    daemon.post("/quiz", r#"{"questions_num":20}"#).await.json(200);
    assert_eq!(saved(&daemon).await.len(), 20);
}
