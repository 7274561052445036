//! The real binary with its recordings in a bucket: nodes that share nothing else but the database.

use std::process::Command;
use std::time::{Duration, Instant};

use reqwest::multipart::{Form, Part};
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};

use crate::bucket::Store;
use crate::common::wav::sine;
use crate::common::{Engine, eventually};
use crate::daemon::{Daemon, Place, Start};
use crate::images::picture;

/// Two nodes, of which one only talks and the other only works, each with a folder of its own.
struct Field {
    store: Store,
    place: Place,
    front: Daemon,
    worker: Daemon,
    base: String,
    client: Client,
    user: Value,
}

fn start(store: &Store, seat: &'static str, roles: &'static str) -> Start {
    let mut start = Start { seat, roles, ..Start::plain() };
    start.settings = store.settings(1.0);
    start.with("TASKS__MAX_ATTEMPTS", 20)
}

impl Field {
    async fn begin() -> Self {
        let store = Store::start();
        let place = Place::new(Engine::Postgres).await;
        let mut front = place.spawn(&start(&store, "front", "http"));
        let base = format!("http://{}", front.ready().await);
        let mut worker = place.spawn(&start(&store, "worker", "worker,janitor"));
        worker.ready().await;
        let client = Client::new();
        let asked = client.post(format!("{base}/users")).json(&json!({"name": "ann"})).send();
        let user = asked.await.unwrap().json().await.unwrap();
        Self { store, place, front, worker, base, client, user }
    }

    async fn upload(&self, wav: Vec<u8>, prefer: &str) -> (StatusCode, Value) {
        let form = Form::new()
            .text("user", self.user["id"].to_string())
            .text("token", self.user["token"].as_str().unwrap().to_owned())
            .part("file", Part::bytes(wav).file_name("talk.wav"));
        let asked =
            self.client.post(format!("{}/records", self.base)).header("prefer", prefer).multipart(form);
        let answer = asked.send().await.unwrap();
        (answer.status(), answer.json().await.unwrap())
    }

    /// What the board of a node says of its blobs.
    async fn blobs_are(&self, state: &str) {
        eventually(&format!("the blobs to be {state}"), async || {
            let asked = self.client.get(format!("{}/health/ready", self.base)).send();
            let board: Value = asked.await.unwrap().json().await.unwrap();
            (board["components"]["blobs"]["state"] == state).then_some(())
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_comes_in_at_one_node_is_converted_on_another_and_fetched_from_the_bucket() {
    let field = Field::begin().await;
    let (status, made) = field.upload(sine(3.0, 440.0), "wait=30").await;
    assert_eq!(status, 201, "{made}");
    let link = made["url"].as_str().unwrap();
    let whole = field.client.get(link).send().await.unwrap();
    assert_eq!(whole.status(), 200);
    let whole = whole.bytes().await.unwrap();
    assert!(whole.len() > 10_000, "{} bytes", whole.len());
    let part = field.client.get(link).header("range", "bytes=5000-5999").send().await.unwrap();
    assert_eq!(part.status(), 206);
    assert_eq!(part.bytes().await.unwrap(), whole.slice(5000..6000));
    assert!(!field.store.objects().is_empty());
    assert!(field.place.files().is_empty(), "nothing lies in a folder");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bucket_that_is_away_is_told_and_the_work_goes_on_when_it_is_back() {
    let mut field = Field::begin().await;
    // Accepted and not yet done when the bucket goes: the worker is away meanwhile.
    field.worker.drain().await;
    let (status, task) = field.upload(sine(3.0, 440.0), "respond-async").await;
    assert_eq!(status, 202, "{task}");
    field.store.die();
    let (status, problem) = field.upload(sine(1.0, 500.0), "").await;
    assert_eq!((status.as_u16(), &problem["code"]), (503, &json!("blob_store_unavailable")), "{problem}");
    field.blobs_are("down").await;

    // A node starts without its bucket as well, and is ready when that is back.
    let mut worker = field.place.spawn(&start(&field.store, "worker", "worker,janitor"));
    let id = task["task"]["id"].as_i64().unwrap();
    let look = async || -> Value {
        let asked = field.client.get(format!("{}/tasks/{id}", field.base));
        let asked = asked.bearer_auth(field.user["token"].as_str().unwrap());
        asked.send().await.unwrap().json().await.unwrap()
    };
    eventually("a try without the bucket to fail", async || {
        let task = look().await;
        assert_ne!(task["status"], "Failed", "{task}");
        (task["failures"].as_i64().unwrap() > 0).then_some(())
    })
    .await;
    field.store.revive();
    worker.ready().await;
    field.blobs_are("up").await;
    eventually("the recording to be converted", async || {
        (look().await["status"] == "Completed").then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memory_does_not_grow_with_what_goes_into_the_bucket() {
    let mut field = Field::begin().await;
    field.worker.drain().await;
    let (status, _) = field.upload(sine(10.0, 440.0), "respond-async").await;
    assert_eq!(status, 202);
    let before = field.front.peak_memory();
    let wav = sine(900.0, 440.0);
    let bytes = wav.len() as u64;
    let (status, made) = field.upload(wav, "respond-async").await;
    assert_eq!(status, 202, "{made}");
    let grown = field.front.peak_memory() - before;
    assert!(bytes > 150_000_000 && grown < 64_000_000, "{bytes} bytes were uploaded and took {grown}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_doctor_tries_the_bucket() {
    let store = Store::start();
    let folder = tempfile::tempdir().unwrap();
    let doctor = async || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_gristmill"));
        command
            .arg("doctor")
            .current_dir(folder.path())
            .env_clear()
            .env("GRISTMILL__HTTP__BIND", "127.0.0.1:0");
        for (key, value) in store.settings(1.0) {
            command.env(format!("GRISTMILL__{key}"), value);
        }
        let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        (output.status.success(), String::from_utf8(output.stdout).unwrap())
    };
    let (well, said) = doctor().await;
    assert!(well && said.contains("s3://mill/some/where can be written, read, listed and cleaned"), "{said}");
    store.die();
    let (well, said) = tokio::time::timeout(Duration::from_secs(60), doctor()).await.unwrap();
    assert!(!well && said.contains("FAIL blob store: cannot write some/where/probe/"), "{said}");
    assert!(!said.contains("hunter2"), "{said}");
}

/// After so long an image that one node deleted is gone from all (docs/images.md).
const GONE_EVERYWHERE: Duration = Duration::from_secs(2);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_image_that_came_in_at_one_node_is_shown_and_shrunk_by_another_and_gone_from_both_once_deleted() {
    let store = Store::start();
    let place = Place::new(Engine::Postgres).await;
    let (mut one, mut other) =
        (place.spawn(&start(&store, "one", "")), place.spawn(&start(&store, "other", "http")));
    let (one, other) = (one.ready().await, other.ready().await);
    let client = Client::new();
    let (pixels, file) = picture(7);
    let sent = client.post(format!("http://{one}/upload?filename=a.png")).header("content-type", "image/png");
    let sent = sent.body(file.clone()).send().await.unwrap();
    assert_eq!(sent.status(), 201);
    let made: Value = sent.json().await.unwrap();
    let name = made["filename"].as_str().unwrap();
    let fetch = async |at: std::net::SocketAddr, query: &str| {
        let answer = client.get(format!("http://{at}/images/{name}{query}")).send().await.unwrap();
        (answer.status().as_u16(), answer.bytes().await.unwrap())
    };
    let queries = ["", "?w=64&h=64", "?w=64&h=64&fit=cover&format=jpeg"];
    // Twice: from the bucket, and from the memory that it is in from then on.
    for _ in 0..2 {
        let (status, whole) = fetch(other, "").await;
        assert_eq!(status, 200);
        assert!(whole.len() < file.len() && image::load_from_memory(&whole).unwrap().to_rgb8() == pixels);
        for (query, sides) in [(queries[1], (64, 43)), (queries[2], (60, 60))] {
            let (status, small) = fetch(other, query).await;
            assert_eq!(status, 200, "{}", String::from_utf8_lossy(&small));
            let small = image::load_from_memory(&small).unwrap();
            assert_eq!((small.width(), small.height()), sides, "{query}");
        }
    }
    let token = made["delete_token"].as_str().unwrap();
    let gone = client.delete(format!("http://{one}/images/{name}?token={token}")).send().await.unwrap();
    assert_eq!(gone.status(), 204);
    let deleted = Instant::now();
    for query in queries {
        assert_eq!(fetch(one, query).await.0, 404, "{query}");
    }
    eventually("the other node to know of it", async || {
        let mut all = true;
        for query in queries {
            all &= fetch(other, query).await.0 == 404;
        }
        all.then_some(())
    })
    .await;
    let took = deleted.elapsed();
    assert!(took < GONE_EVERYWHERE, "it took {took:?}");
}
