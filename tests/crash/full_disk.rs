//! The real daemon on a small file system of its own: nearly full, really full, and with room again.
//!
//! The file system is a tmpfs in a mount namespace of the daemon alone, which goes with it; the test writes to it by the
//! daemon's own view. Where such a thing cannot be made (no user namespaces), the test says so and fails: a disk that fills
//! is nothing that can be left out.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use reqwest::{Client, Response, StatusCode};
use serde_json::{Value, json};

use crate::common::{Engine, eventually};
use crate::daemon::{Daemon, Place, Start};
use crate::images::picture;

/// The size of the disk.
const DISK: u64 = 48 << 20;
/// What must stay free of it.
const LEAST: u64 = 8 << 20;

/// A daemon with all that is its own on the small disk.
struct Stand {
    _place: Place,
    daemon: Daemon,
    address: SocketAddr,
    client: Client,
    disk: PathBuf,
}

impl Stand {
    async fn new() -> Self {
        let place = Place::new(Engine::Sqlite).await;
        let folder = place.path().join("disk");
        fs::create_dir(&folder).unwrap();
        let at = folder.to_str().unwrap();
        let mount = format!("mount -t tmpfs -o size={DISK} none {at} && exec \"$@\"");
        let under = ["unshare", "--map-root-user", "--mount", "sh", "-c", &mount, "sh"];
        let mut start = Start::plain()
            .with("STORAGE__MIN_FREE_BYTES", LEAST)
            .with("DATA_DIR", format!("{at}/data"))
            .with("DATABASE__URL", format!("sqlite:{at}/data/gristmill.db"))
            .with("BLOBS__URL", format!("file:{at}/data/blobs"))
            .with("IMAGES__CACHE_DIR", format!("{at}/data/variants"))
            .with("IMAGES__MAX_BYTES", "64 MiB")
            .with("IMAGES__MEMORY", "512 MiB")
            .with("LOG__FILE", format!("{at}/data/app.log"));
        start.under = under.map(str::to_owned).to_vec();
        let mut daemon = place.spawn(&start);
        let address = daemon.ready().await;
        // As the daemon sees it.
        let disk = PathBuf::from(format!("/proc/{}/root{at}", daemon.pid()));
        assert!(disk.join("data/gristmill.db").exists(), "no disk of its own:\n{}", daemon.log());
        let client = Client::builder().timeout(Duration::from_secs(20)).build().unwrap();
        Self { _place: place, daemon, address, client, disk }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    async fn get(&self, path: &str) -> Response {
        self.client.get(self.url(path)).send().await.unwrap()
    }

    async fn post(&self, path: &str, body: &Value) -> Response {
        self.client.post(self.url(path)).json(body).send().await.unwrap()
    }

    /// Makes a task for somebody outside.
    async fn task(&self) -> Response {
        self.post("/tasks", &json!({ "kind": "manual" })).await
    }

    async fn upload(&self, number: u32) -> Response {
        let sent = self.client.post(self.url(&format!("/upload?filename={number}.png")));
        sent.header("content-type", "image/png").body(picture(number).1).send().await.unwrap()
    }

    /// Fills the disk until no more than that is free; 0 is to the last byte.
    fn fill(&self, free: u64) {
        let filler = self.disk.join("filler");
        let room = gristmill::telemetry::disk::room_at(&self.disk).unwrap().free;
        let bytes = usize::try_from(room.saturating_sub(free)).unwrap();
        match fs::write(&filler, vec![7; bytes]) {
            Ok(()) => {}
            Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::StorageFull, "{error}"),
        }
        if free == 0 {
            let mut more = fs::File::options().append(true).open(&filler).unwrap();
            while std::io::Write::write_all(&mut more, &[7; 512]).is_ok() {}
        }
    }

    fn free(&self) {
        fs::remove_file(self.disk.join("filler")).unwrap();
    }

    /// Until creating is answered like this.
    async fn until_created_with(&self, status: StatusCode) -> Value {
        eventually(&format!("a task to be answered {status}"), async || {
            let answer = self.task().await;
            (answer.status() == status).then_some(answer)
        })
        .await
        .json()
        .await
        .unwrap()
    }

    async fn health(&self) -> (StatusCode, Value) {
        let answer = self.get("/health/ready").await;
        (answer.status(), answer.json().await.unwrap())
    }
}

async fn code(answer: Response) -> String {
    let status = answer.status();
    let text = answer.text().await.unwrap();
    let body: Value = serde_json::from_str(&text).unwrap_or_default();
    body["code"].as_str().unwrap_or_else(|| panic!("{status}: {text}")).to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_is_nearly_full_takes_nothing_new_and_all_else_goes_on() {
    let stand = Stand::new().await;
    let id = stand.task().await.json::<Value>().await.unwrap()["id"].as_i64().unwrap();
    let other = stand.task().await.json::<Value>().await.unwrap()["id"].as_i64().unwrap();
    let image: Value = stand.upload(3).await.json().await.unwrap();
    let name = image["filename"].as_str().unwrap();
    let ann = stand.post("/users", &json!({ "name": "Ann", "password": "correct horse" })).await;
    assert_eq!(ann.status(), 201);

    // What would leave too little is refused by its length, before it comes.
    let much = vec![0; usize::try_from(DISK - LEAST).unwrap()];
    let upload = stand.client.post(stand.url("/upload")).header("content-type", "image/png").body(much);
    let refused = upload.send().await.unwrap();
    assert_eq!(refused.status(), 507);
    assert_eq!(stand.task().await.status(), 201, "the disk itself has room");

    stand.fill(LEAST - (1 << 20));
    let refused = stand.until_created_with(StatusCode::INSUFFICIENT_STORAGE).await;
    assert_eq!(refused["code"], "storage_full", "{refused}");
    let answer = stand.task().await;
    assert!(answer.headers().contains_key("retry-after"));
    for answer in [
        stand.post("/tasks/batch", &json!([{ "kind": "noop" }])).await,
        stand.upload(4).await,
        stand.post("/users", &json!({ "name": "Bob" })).await,
        stand.post("/quiz", &json!({ "questions_num": 1 })).await,
    ] {
        assert_eq!(code(answer).await, "storage_full");
    }
    let (status, health) = stand.health().await;
    assert_eq!(status, 200, "{health}");
    assert_eq!(health["components"]["storage"]["state"], "down", "{health}");

    // Reading, work that is under way, logins and removing go on; a variant is made, and not kept.
    assert_eq!(stand.get(&format!("/tasks/{id}")).await.status(), 200);
    assert_eq!(stand.get(&format!("/images/{name}")).await.status(), 200);
    assert_eq!(stand.get(&format!("/images/{name}?w=128")).await.status(), 200);
    let login = stand.post("/login", &json!({ "name": "Ann", "password": "correct horse" })).await;
    assert_eq!(login.status(), 200);
    let claimed: Value =
        stand.post("/tasks/claim", &json!({ "id": id, "worker": "w" })).await.json().await.unwrap();
    let attempt = claimed["attempt"].as_i64().unwrap_or_else(|| panic!("{claimed}"));
    let beat = stand.post(&format!("/tasks/{id}/heartbeat"), &json!({ "attempt": attempt })).await;
    assert_eq!(beat.status(), 200);
    let done =
        stand.post(&format!("/tasks/{id}/complete"), &json!({ "attempt": attempt, "result": 1 })).await;
    assert_eq!(done.status(), 200);
    let gone = stand.client.delete(stand.url(&format!("/tasks/{other}"))).send().await.unwrap();
    assert_eq!(gone.status(), 204);

    stand.free();
    stand.until_created_with(StatusCode::CREATED).await;
    assert_eq!(stand.upload(5).await.status(), 201);
    eventually("the health board to be well", async || {
        let (_, health) = stand.health().await;
        (health["components"]["storage"]["state"] == "up").then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_is_really_full_harms_nothing_and_all_goes_on_once_there_is_room() {
    let mut stand = Stand::new().await;
    let id = stand.task().await.json::<Value>().await.unwrap()["id"].as_i64().unwrap();
    let image: Value = stand.upload(3).await.json().await.unwrap();
    let name = image["filename"].as_str().unwrap().to_owned();
    for round in 0..3 {
        // The warden may see it only after the first writes have failed by themselves.
        stand.fill(0);
        for number in 0..5 {
            let answers = [
                stand.task().await,
                stand.upload(10 + number).await,
                stand.post("/users", &json!({ "name": "Bob" })).await,
                stand.post(&format!("/tasks/{id}/cancel"), &json!({})).await,
            ];
            for answer in answers {
                let status = answer.status().as_u16();
                // What fits into the pages that the log has already is done all the same.
                assert!(
                    [200, 201, 202, 409, 503, 507].contains(&status),
                    "{status}: {:?}",
                    answer.text().await
                );
            }
            assert_eq!(stand.get(&format!("/tasks/{id}")).await.status(), 200);
            assert_eq!(stand.get(&format!("/images/{name}")).await.status(), 200);
            assert_eq!(stand.get("/tasks?limit=5").await.status(), 200);
        }
        let refused = stand.until_created_with(StatusCode::INSUFFICIENT_STORAGE).await;
        assert_eq!(refused["code"], "storage_full");

        stand.free();
        stand.until_created_with(StatusCode::CREATED).await;
        let taken = stand.upload(100 + round).await;
        assert_eq!(taken.status(), 201, "{:?}", taken.text().await);
        eventually("no draft to be left", async || {
            let drafts = fs::read_dir(stand.disk.join("data/blobs/tmp")).unwrap().count();
            (drafts == 0).then_some(())
        })
        .await;
        eventually("the node to be ready", async || (stand.health().await.0 == 200).then_some(())).await;
    }
    let log = stand.daemon.log();
    assert!(!log.contains("panicked at"), "{log}");
    stand.daemon.drain().await;
}
