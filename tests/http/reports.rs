//! Reports over HTTP: ordered, waited for, fetched.

use gristmill::http::Code;
use gristmill::store::Store;
use serde_json::{Value, json};

use crate::client::Someone;
use crate::harness::{Daemon, Wishes, start};
use crate::photos::png;

async fn ordered(daemon: &Daemon, who: &Someone, body: Value) -> (String, Value) {
    let path = format!("/users/{}/report", who.id);
    let answer = daemon
        .ask("POST", &path, |request| request.bearer_auth(&who.token).header("prefer", "wait=60").json(&body))
        .await;
    let told = answer.json(201);
    let link = told["url"].as_str().unwrap().to_owned();
    assert_eq!(answer.header("location"), link);
    (link, told)
}

#[tokio::test]
async fn a_report_is_ordered_at_once_and_fetched_by_its_link() {
    let daemon = start(Wishes { idle: true, ..Wishes::default() }).await;
    let ann = daemon.someone("Ann").await;
    let order = daemon.by(&ann, "POST", &format!("/users/{}/report", ann.id), Value::Null).await;
    let told = order.json(202);
    let link = told["url"].as_str().unwrap();
    assert_eq!(link, format!("/reports/{}", told["id"].as_str().unwrap()));
    assert_eq!((order.header("location"), &told["task"]["kind"]), (link, &json!("report")));

    let early = daemon.get(link).await;
    assert_eq!(early.json(202)["id"], told["task"]["id"]);
    assert_eq!(early.header("retry-after"), "1");
    daemon.work();
    let mut pdf = daemon.get(link).await;
    while pdf.status == 202 {
        pdf = daemon.get(link).await;
    }
    assert_eq!(pdf.status, 200);
    assert_eq!(pdf.header("content-type"), "application/pdf");
    assert_eq!(pdf.header("x-content-type-options"), "nosniff");
    assert!(pdf.header("content-disposition").starts_with("inline;"), "{:?}", pdf.headers);
    assert!(pdf.body.starts_with(b"%PDF-"), "{:?}", &pdf.body[..20]);
    let head = daemon.ask("HEAD", link, |request| request).await;
    assert_eq!((head.status, head.header("content-length")), (200, pdf.body.len().to_string().as_str()));
    let part = daemon.ask("GET", link, |request| request.header("range", "bytes=0-4")).await;
    assert_eq!((part.status, &part.body[..]), (206, &b"%PDF-"[..]));
    let etag = pdf.header("etag").to_owned();
    let same = daemon.ask("GET", link, |request| request.header("if-none-match", &etag)).await;
    assert_eq!(same.status, 304);
    assert!(daemon.action_lines().contains("Success: report about user Ann ordered."));
}

#[tokio::test]
async fn a_report_tells_what_the_user_has() {
    let daemon = start(Wishes::default()).await;
    let ann = daemon.someone("Ann").await;
    daemon.by(&ann, "PUT", &format!("/users/{}/stats", ann.id), json!({"wins": 7})).await.json(200);
    daemon.send_photos(&[("a.png", png(4, 4))], Some(&ann)).await.json(201);
    daemon
        .by(&ann, "PATCH", &format!("/users/{}", ann.id), json!({"email": "ann@example.org"}))
        .await
        .json(200);
    let (link, told) = ordered(&daemon, &ann, json!({"language": "ru", "time_zone": "Europe/Moscow"})).await;
    let pdf = daemon.get(&link).await;
    assert_eq!(told["task"]["result"], json!({"url": link, "bytes": pdf.body.len()}));
    // The same order, once more, is another report.
    let (other, _) = ordered(&daemon, &ann, json!({"contact": true})).await;
    assert_ne!(link, other);
}

#[tokio::test]
async fn how_a_report_is_to_be_is_checked_and_only_its_user_shows_their_e_mail() {
    let daemon = start(Wishes::default()).await;
    let (ann, eve) = (daemon.someone("Ann").await, daemon.someone("Eve").await);
    daemon.promote(eve.id).await;
    let path = format!("/users/{}/report", ann.id);
    for (body, field) in [
        (json!({"language": "de"}), "language"),
        (json!({"time_zone": "Mars/Olympus"}), "time_zone"),
        (json!({"days": 6}), "days"),
        (json!({"days": 91}), "days"),
        (json!({"contact": "yes"}), "contact"),
        (json!({"colour": 1}), "colour"),
    ] {
        let problem = daemon.by(&ann, "POST", &path, body.clone()).await.problem(Code::InvalidBody);
        assert_eq!(problem["field"], field, "{body}");
    }
    daemon.by(&eve, "POST", &path, json!({"contact": true})).await.problem(Code::Forbidden);
    daemon.by(&eve, "POST", &path, json!({})).await.json(202);
    daemon.by(&eve, "POST", "/users/99/report", json!({})).await.problem(Code::UserNotFound);
    // There is no other door to it.
    let direct = json!({"kind": "report", "payload": {}});
    daemon.by(&ann, "POST", "/tasks", direct).await.problem(Code::KindNotDirect);
}

#[tokio::test]
async fn a_link_that_leads_nowhere_says_so() {
    let daemon = start(Wishes { idle: true, ..Wishes::default() }).await;
    let ann = daemon.someone("Ann").await;
    for link in ["/reports/x", "/reports/00000000-0000-4000-8000-000000000000"] {
        daemon.get(link).await.problem(Code::ReportNotFound);
    }
    let order = || daemon.by(&ann, "POST", "/users/1/report", Value::Null);
    let told = order().await.json(202);
    let link = told["url"].as_str().unwrap();
    let task = told["task"]["id"].as_i64().unwrap();
    daemon.by(&ann, "POST", &format!("/tasks/{task}/cancel"), Value::Null).await.json(200);
    assert_eq!(daemon.get(link).await.problem(Code::ReportFailed)["task"], task);
    daemon.by(&ann, "DELETE", &format!("/tasks/{task}"), Value::Null).await;
    daemon.get(link).await.problem(Code::ReportNotFound);
}

#[tokio::test]
async fn orders_are_counted_by_whom_they_are_about() {
    let settings = vec![("reports.per_minute", "2")];
    let daemon = start(Wishes { idle: true, settings, ..Wishes::default() }).await;
    let (ann, bob) = (daemon.someone("Ann").await, daemon.someone("Bob").await);
    let order = |who: &Someone| {
        let who = who.clone();
        let daemon = &daemon;
        async move { daemon.by(&who, "POST", &format!("/users/{}/report", who.id), Value::Null).await }
    };
    order(&ann).await.json(202);
    order(&ann).await.json(202);
    let refused = order(&ann).await;
    refused.problem(Code::RateLimited);
    assert!(refused.header("retry-after").parse::<u64>().unwrap() <= 60);
    order(&bob).await.json(202);
}

#[tokio::test]
async fn an_order_that_is_sent_again_costs_nothing() {
    let settings = vec![("reports.per_minute", "1")];
    let daemon = start(Wishes { idle: true, settings, ..Wishes::default() }).await;
    let ann = daemon.someone("Ann").await;
    let order = || {
        let keyed =
            |request: reqwest::RequestBuilder| request.bearer_auth(&ann.token).header("idempotency-key", "k");
        daemon.ask("POST", "/users/1/report", keyed)
    };
    let first = order().await.json(202);
    assert_eq!(order().await.json(202), first);
    daemon.by(&ann, "POST", "/users/1/report", Value::Null).await.problem(Code::RateLimited);
}

#[tokio::test]
async fn a_report_goes_with_its_user() {
    let daemon = start(Wishes::default()).await;
    let ann = daemon.someone("Ann").await;
    let (link, told) = ordered(&daemon, &ann, json!({})).await;
    let task = gristmill::task::TaskId(told["task"]["id"].as_i64().unwrap());
    let gone = daemon.by(&ann, "DELETE", &format!("/users/{}", ann.id), Value::Null).await;
    assert_eq!(gone.status, 204);
    daemon.get(&link).await.problem(Code::ReportNotFound);
    assert!(daemon.store.task(task).await.unwrap().is_none());
}
