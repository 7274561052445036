//! Those who listen: every event once, in order, whatever happens to their connections and beside how many writers.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use sqlx::{Connection, PgConnection, SqliteConnection};

use crate::common::{Engine, eventually, fresh_postgres_database};
use crate::harness::{Daemon, on_system};

/// A client of server-sent events, as plain as can be.
struct Stream {
    response: reqwest::Response,
    left: String,
}

/// An event as it came: its number, its name, its data.
type Came = (i64, String, Value);

impl Stream {
    async fn open(daemon: &Daemon, path: &str, after: Option<i64>) -> Self {
        let request = reqwest::Client::new().get(daemon.url(path));
        let request = match after {
            Some(after) => request.header("last-event-id", after),
            None => request,
        };
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Self { response, left: String::new() }
    }

    /// The next event; `None` when the stream ended.
    async fn next(&mut self) -> Option<Came> {
        loop {
            if let Some((frame, rest)) = self.left.split_once("\n\n") {
                let came = read(frame);
                self.left = rest.to_owned();
                if came.is_some() {
                    return came;
                }
                continue;
            }
            let chunk = self.response.chunk().await.ok()??;
            self.left.push_str(std::str::from_utf8(&chunk).unwrap());
        }
    }
}

fn read(frame: &str) -> Option<Came> {
    let field = |name: &str| frame.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
    let data: Value = serde_json::from_str(field("data")?).unwrap();
    Some((field("id")?.parse().unwrap(), field("event")?.to_owned(), data))
}

/// Hears until it has `until`, with a new connection after every few events.
async fn hear(daemon: &Daemon, patience: usize, until: impl Fn() -> Option<i64>) -> Vec<i64> {
    let mut heard = vec![0];
    loop {
        let last = *heard.last().unwrap();
        if until().is_some_and(|until| last >= until) {
            return heard;
        }
        let mut stream = Stream::open(daemon, "/events", Some(last)).await;
        for _ in 0..patience {
            let wait = tokio::time::timeout(Duration::from_millis(500), stream.next());
            let Ok(came) = wait.await else { break };
            let (seq, ..) = came.expect("the stream goes on");
            heard.push(seq);
        }
    }
}

async fn no_gap_and_no_disorder(engine: Engine) {
    let folder = tempfile::tempdir().unwrap();
    let url = match engine {
        Engine::Sqlite => None,
        Engine::Postgres => Some(fresh_postgres_database().await),
    };
    let database: Vec<(&str, &str)> = url.iter().map(|url| ("DATABASE__URL", url.as_str())).collect();
    let daemon = Arc::new(Daemon::start(folder.path(), &database).await);
    let newest = Arc::new(std::sync::Mutex::new(None));
    let listeners: Vec<_> = [3, 17, 100, 100_000]
        .map(|patience| {
            let (daemon, newest) = (Arc::clone(&daemon), Arc::clone(&newest));
            tokio::spawn(async move { hear(&daemon, patience, || *newest.lock().unwrap()).await })
        })
        .into();
    let writers: Vec<_> = (0..100)
        .map(|_| {
            let daemon = Arc::clone(&daemon);
            tokio::spawn(async move {
                for _ in 0..5 {
                    let task = daemon.submit("ok", json!({})).await;
                    daemon.until(task, "Completed").await;
                }
            })
        })
        .collect();
    for writer in writers {
        writer.await.unwrap();
    }
    let rows = rows(url, folder.path()).await;
    assert_eq!(rows.len(), 1_500, "created, started, completed of 500 tasks");
    *newest.lock().unwrap() = rows.last().copied();
    for listener in listeners {
        let heard = listener.await.unwrap();
        assert_eq!(heard[1..], rows, "every event once, in the order of the rows");
    }
}

/// The numbers of all events, as the rows have them.
async fn rows(url: Option<String>, folder: &Path) -> Vec<i64> {
    let all = "SELECT id FROM events ORDER BY id";
    match url {
        Some(url) => {
            let mut connection = PgConnection::connect(&url).await.unwrap();
            sqlx::query_scalar(all).fetch_all(&mut connection).await.unwrap()
        }
        None => {
            let file = format!("sqlite:{}?mode=ro", folder.join("gristmill.db").display());
            let mut connection = SqliteConnection::connect(&file).await.unwrap();
            sqlx::query_scalar(all).fetch_all(&mut connection).await.unwrap()
        }
    }
}

#[test]
fn listeners_that_come_and_go_hear_every_event_once_and_in_order_on_sqlite() {
    on_system(async || no_gap_and_no_disorder(Engine::Sqlite).await);
}

#[test]
fn listeners_that_come_and_go_hear_every_event_once_and_in_order_on_postgres() {
    on_system(async || no_gap_and_no_disorder(Engine::Postgres).await);
}

#[test]
fn the_stream_of_a_task_begins_with_its_first_event_and_holds_no_others() {
    on_system(async || {
        let folder = tempfile::tempdir().unwrap();
        let daemon = Daemon::start(folder.path(), &[]).await;
        let waits = daemon.submit("wait", json!({})).await;
        daemon.until(waits, "In Progress").await;
        daemon.still_works().await;
        let mut stream = Stream::open(&daemon, &format!("/tasks/{waits}/events"), None).await;
        let mut heard = Vec::new();
        for _ in 0..2 {
            heard.push(stream.next().await.unwrap());
        }
        daemon.chaos.state.release();
        heard.push(stream.next().await.unwrap());
        let names: Vec<&str> = heard.iter().map(|(_, name, _)| name.as_str()).collect();
        assert_eq!(names, ["created", "started", "completed"]);
        assert!(
            heard.iter().all(|(seq, name, data)| data["id"] == *seq
                && data["event"] == **name
                && data["task"] == waits)
        );
        let numbers: BTreeSet<i64> = heard.iter().map(|(seq, ..)| *seq).collect();
        assert_eq!(numbers.len(), 3);

        let last = heard[1].0;
        let mut again = Stream::open(&daemon, &format!("/tasks/{waits}/events"), Some(last)).await;
        assert_eq!(again.next().await.unwrap().1, "completed", "resumed behind what it had");
        daemon.delete(waits).await;
        for stream in [&mut stream, &mut again] {
            assert_eq!(stream.next().await.unwrap().1, "deleted");
            assert!(stream.next().await.is_none(), "nothing more will ever happen to it");
        }
    });
}

#[test]
fn a_listener_without_a_number_hears_what_happens_from_then_on_and_the_end_of_the_daemon() {
    on_system(async || {
        let folder = tempfile::tempdir().unwrap();
        let daemon = Daemon::start(folder.path(), &[]).await;
        daemon.still_works().await;
        let mut stream = Stream::open(&daemon, "/events", None).await;
        let task = daemon.submit("ok", json!({})).await;
        let (_, name, data) = stream.next().await.unwrap();
        assert_eq!((name.as_str(), &data["task"]), ("created", &json!(task)));
        eventually("one listener in the metrics", async || {
            daemon.text("/metrics").await.contains("gristmill_event_listeners 1").then_some(())
        })
        .await;
        daemon.app.drain().await;
        while stream.next().await.is_some() {}
    });
}
