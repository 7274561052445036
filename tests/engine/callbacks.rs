//! Callbacks: signed, in order for each task, again until they are taken, and not to where they may not go.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use gristmill::outbound::webhook;
use serde_json::{Value, json};

use crate::common::eventually;
use crate::harness::{Daemon, on_system};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// What a receiver got: the id, and the body.
#[derive(Clone, Default)]
struct Receiver {
    got: Arc<Mutex<Vec<(String, Value)>>>,
    /// What it answers, the first of them first; 204 when there are none.
    answers: Arc<Mutex<Vec<u16>>>,
    /// How long it takes to answer.
    takes: Duration,
}

impl Receiver {
    async fn start(&self) -> SocketAddr {
        let receiver = self.clone();
        let server = HttpServer::new(move || {
            App::new().app_data(web::Data::new(receiver.clone())).default_service(web::to(receive))
        })
        .workers(1)
        .disable_signals()
        .bind("127.0.0.1:0")
        .unwrap();
        let address = server.addrs()[0];
        actix_rt::spawn(server.run());
        address
    }

    fn types(&self) -> Vec<String> {
        let got = self.got.lock().unwrap();
        got.iter().map(|(_, body)| body["type"].as_str().unwrap().to_owned()).collect()
    }
}

async fn receive(receiver: web::Data<Receiver>, request: HttpRequest, body: web::Bytes) -> HttpResponse {
    let header = |name: &str| request.headers().get(name).unwrap().to_str().unwrap().to_owned();
    let (id, timestamp) = (header("webhook-id"), header("webhook-timestamp").parse().unwrap());
    let secret = SECRET.parse().unwrap();
    assert!(
        webhook::verify(&secret, &id, timestamp, &body, &header("webhook-signature")),
        "a wrong signature"
    );
    receiver.got.lock().unwrap().push((id, serde_json::from_slice(&body).unwrap()));
    actix_rt::time::sleep(receiver.takes).await;
    let mut answers = receiver.answers.lock().unwrap();
    let status = if answers.is_empty() { 204 } else { answers.remove(0) };
    HttpResponse::build(actix_web::http::StatusCode::from_u16(status).unwrap()).finish()
}

const OPEN: &[(&str, &str)] =
    &[("WEBHOOKS__SECRET", SECRET), ("WEBHOOKS__ALLOW_PRIVATE", "true"), ("WEBHOOKS__RETRY_BASE_S", "0.1")];

#[test]
fn a_task_tells_its_events_in_order_and_again_until_they_are_taken() {
    on_system(async || {
        let receiver = Receiver::default();
        // `created` is refused twice, `started` once.
        *receiver.answers.lock().unwrap() = vec![500, 302, 204, 503];
        let address = receiver.start().await;
        let folder = tempfile::tempdir().unwrap();
        let daemon = Daemon::start(folder.path(), OPEN).await;
        let url = format!("http://{address}/hook");
        let task = daemon.submit("ok", json!({ "callback_url": url })).await;
        eventually("the last event to be told", async || {
            receiver.types().contains(&"task.completed".to_owned()).then_some(())
        })
        .await;
        assert_eq!(
            receiver.types(),
            [
                "task.created",
                "task.created",
                "task.created",
                "task.started",
                "task.started",
                "task.completed"
            ]
        );
        let got = receiver.got.lock().unwrap().clone();
        assert_eq!(got[0].0, got[2].0, "a repetition has the id of the first");
        assert_eq!(got[5].1["data"]["task"], task);
        assert!(got[5].1["data"].get("result").is_none_or(|result| !result.is_null()));

        daemon.delete(task).await;
        eventually("the deletion to be told", async || {
            (receiver.types().last().unwrap() == "task.deleted").then_some(())
        })
        .await;
        daemon.app.drain().await;
    });
}

#[test]
fn a_receiver_that_takes_its_time_is_told_each_event_once_and_in_order() {
    on_system(async || {
        // Longer than the pause between two looks for something to tell.
        let receiver = Receiver { takes: Duration::from_millis(600), ..Receiver::default() };
        let address = receiver.start().await;
        let folder = tempfile::tempdir().unwrap();
        let daemon = Daemon::start(folder.path(), OPEN).await;
        let task = daemon.submit("ok", json!({ "callback_url": format!("http://{address}/hook") })).await;
        daemon.until(task, "Completed").await;
        daemon.delete(task).await;
        eventually("all to be told", async || {
            receiver.types().contains(&"task.deleted".to_owned()).then_some(())
        })
        .await;
        assert_eq!(receiver.types(), ["task.created", "task.started", "task.completed", "task.deleted"]);
        daemon.app.drain().await;
    });
}

#[test]
fn what_fails_for_too_long_is_passed_over_and_the_task_shows_it() {
    on_system(async || {
        let receiver = Receiver::default();
        *receiver.answers.lock().unwrap() = vec![500, 500, 410];
        let address = receiver.start().await;
        let folder = tempfile::tempdir().unwrap();
        // `created` fails twice, the second time for too long; with `started` the receiver is gone for good.
        let more: Vec<_> = OPEN.iter().copied().chain([("WEBHOOKS__GIVE_UP_S", "0.01")]).collect();
        let daemon = Daemon::start(folder.path(), &more).await;
        let url = format!("http://{address}/hook");
        let task = daemon.submit("ok", json!({ "callback_url": url })).await;
        daemon.until(task, "Completed").await;
        let callback = eventually("the task to show it", async || {
            let callback = daemon.task(task).await["callback"].clone();
            (callback["given_up"] == 2 && callback["pending"] == false).then_some(callback)
        })
        .await;
        assert!(callback["last_error"].as_str().unwrap().contains("410"), "{callback}");
        assert_eq!(receiver.types(), ["task.created", "task.created", "task.started"]);
        daemon.app.drain().await;
    });
}

/// Somebody who takes calls and never answers; gives how many there were.
async fn hangs() -> (SocketAddr, Arc<Mutex<Vec<tokio::net::TcpStream>>>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let calls = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&calls);
    actix_rt::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            kept.lock().unwrap().push(stream);
        }
    });
    (address, calls)
}

#[test]
fn a_receiver_that_hangs_does_not_hold_up_the_others() {
    on_system(async || {
        let receiver = Receiver::default();
        let address = receiver.start().await;
        let (deaf, calls) = hangs().await;
        let folder = tempfile::tempdir().unwrap();
        let few = [("WEBHOOKS__CONCURRENCY", "4"), ("WEBHOOKS__TIMEOUT_S", "1")];
        let settings: Vec<_> = OPEN.iter().copied().chain(few).collect();
        let daemon = Daemon::start(folder.path(), &settings).await;
        for _ in 0..40 {
            daemon.submit("ok", json!({ "callback_url": format!("http://{deaf}/") })).await;
        }
        // All places are taken, and more of the same is due.
        eventually("four calls", async || (calls.lock().unwrap().len() >= 4).then_some(())).await;
        daemon.submit("ok", json!({ "callback_url": format!("http://{address}/hook") })).await;
        eventually("the task to be told of", async || {
            receiver.types().contains(&"task.completed".to_owned()).then_some(())
        })
        .await;
        let calls = calls.lock().unwrap().len();
        assert!(calls < 30, "{calls} calls had to fail before");
        daemon.app.drain().await;
    });
}

#[test]
fn nobody_is_called_where_calls_may_not_go() {
    on_system(async || {
        let receiver = Receiver::default();
        let address = receiver.start().await;
        let folder = tempfile::tempdir().unwrap();
        let daemon = Daemon::start(folder.path(), &[("WEBHOOKS__SECRET", SECRET)]).await;
        for url in [
            format!("http://{address}/hook"),
            format!("http://[::1]:{}/", address.port()),
            "http://169.254.169.254/latest/meta-data".to_owned(),
            "ftp://example.com/".to_owned(),
            "http://2130706433/".to_owned(),
            format!("http://localhost:{}/hook", address.port()),
        ] {
            let refused = daemon.post("/tasks", &json!({ "callback_url": url })).await;
            assert_eq!(refused["code"], "invalid_body", "{url}: {refused}");
            assert_eq!(refused["errors"][0]["field"], "callback_url", "{refused}");
        }
        assert!(receiver.got.lock().unwrap().is_empty());
        daemon.app.drain().await;
    });
}
