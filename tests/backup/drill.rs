//! The drill: a backup under load, everything wiped, restored, compared; and the daemon goes on.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use crate::bucket::{ACCESS_KEY, BUCKET, SECRET_KEY, Store};
use crate::common::{Engine, eventually};
use crate::place::{Daemon, Place, sums};

/// Clients that make tasks, send pictures and recordings, and delete some of them, until they are told to stop.
struct Load {
    over: Arc<AtomicBool>,
    clients: Vec<tokio::task::JoinHandle<()>>,
    /// Rounds that were done.
    rounds: Arc<AtomicU32>,
}

impl Load {
    fn on(daemon: &Arc<Daemon>, user: &(i64, String)) -> Self {
        let (over, rounds) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU32::new(0)));
        let clients = (0..3_u32).map(|client| {
            let (daemon, user) = (Arc::clone(daemon), user.clone());
            let (over, rounds) = (Arc::clone(&over), Arc::clone(&rounds));
            tokio::spawn(async move {
                for round in 0.. {
                    if over.load(Ordering::SeqCst) {
                        return;
                    }
                    let (status, made) = daemon.post("/tasks", json!({"tags": ["load"]})).await;
                    assert_eq!(status, 201, "{made}");
                    let number = 1_000_000 + client * 100_000 + round;
                    let picture = daemon.picture(number).await;
                    let recording = daemon.record(&user, f64::from(number) / 700.0).await;
                    if round % 2 == 0 {
                        let task =
                            recording["task"]["id"].as_i64().or(recording["task_id"].as_i64()).unwrap();
                        let (status, gone) = daemon.delete_as(&user.1, &format!("/tasks/{task}")).await;
                        assert!(status < 300, "{gone}");
                        let name = picture["filename"].as_str().unwrap();
                        let token = picture["delete_token"].as_str().unwrap();
                        let (status, gone) = daemon.delete(&format!("/images/{name}?token={token}")).await;
                        assert!(status < 300, "{gone}");
                    }
                    rounds.fetch_add(1, Ordering::SeqCst);
                }
            })
        });
        let clients = clients.collect();
        Self { over, clients, rounds }
    }

    async fn did(&self, rounds: u32) {
        let until = self.rounds.load(Ordering::SeqCst) + rounds;
        eventually("the load goes on", || async {
            assert!(!self.clients.iter().any(tokio::task::JoinHandle::is_finished), "a client ended");
            (self.rounds.load(Ordering::SeqCst) >= until).then_some(())
        })
        .await;
    }

    async fn end(self) {
        self.over.store(true, Ordering::SeqCst);
        for client in self.clients {
            client.await.unwrap();
        }
    }
}

async fn drill(place: Place) {
    let daemon = Arc::new(place.daemon().await);
    let user = daemon.user("ann").await;
    let cookie = daemon.login("ann").await;
    let kept_picture = daemon.picture(1).await;
    let kept_recording = daemon.record(&user, 440.0).await;
    let link = kept_picture["url"].as_str().unwrap().to_owned();
    let link = link[link.find("/images").unwrap()..].to_owned();
    let (status, picture) = daemon.bytes(&link).await;
    assert_eq!(status, 200);
    let (_, waiting) = daemon.post("/tasks", json!({"run_at": "2099-01-01T00:00:00Z"})).await;

    let load = Load::on(&daemon, &user);
    load.did(3).await;
    // What is acknowledged before it begins is in it.
    let (_, before) = daemon.post("/tasks", json!({"tags": ["before"]})).await;
    let backing = {
        let mut command = place.command(&["backup", "--json"]);
        tokio::task::spawn_blocking(move || command.output().unwrap())
    };
    // The sweep has much to do, all the while.
    while !backing.is_finished() {
        place.age_blobs();
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let output = backing.await.unwrap();
    assert!(output.status.success(), "{}", crate::place::said(&output));
    let made: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(made["lost"], 0, "{made}");
    load.did(3).await;
    load.end().await;
    Arc::into_inner(daemon).unwrap().drain().await;
    let name = made["name"].as_str().unwrap().to_owned();
    let manifest = place.manifest(&name);
    assert!(manifest.rows() > 20 && manifest.blob_count >= 3, "{made}");

    let new = place.beside(if place.database_url().starts_with("sqlite") {
        Engine::Sqlite
    } else {
        Engine::Postgres
    });
    let new = new.await;
    place.wipe();
    let restored = new.json(&["restore", &place.shelf.join(&name).display().to_string()]);
    assert_eq!(restored["rows"], manifest.rows());
    assert_eq!(restored["blobs"], manifest.blob_count);
    assert_eq!(new.sound_blobs() as u64, manifest.blob_count);

    // A backup of what was restored has the same rows, table by table, and the same numbers to go on from.
    let again = new.json(&["backup"]);
    assert_eq!(again["copied"], 0, "every blob lies there already: {again}");
    let again = new.manifest(again["name"].as_str().unwrap());
    assert_eq!(sums(&again), sums(&manifest));
    assert_eq!(again.blob_list.rows_sha256, manifest.blob_list.rows_sha256);

    goes_on(&new, &user, &cookie, (&link, &picture), &kept_recording, (&before, &waiting), &manifest).await;
}

/// A daemon on what was restored: all that was there is, and what was running runs again.
async fn goes_on(
    place: &Place,
    user: &(i64, String),
    cookie: &str,
    (link, picture): (&str, &[u8]),
    recording: &Value,
    (before, waiting): (&Value, &Value),
    manifest: &gristmill::backup::Manifest,
) {
    let daemon = place.daemon().await;
    assert_eq!(daemon.get_as(&user.1, &format!("/users/{}", user.0)).await.0, 200, "the token works");
    assert_eq!(daemon.get_with_cookie(cookie, &format!("/users/{}", user.0)).await.0, 200, "the session too");
    daemon.login("ann").await;
    let (status, bytes) = daemon.bytes(link).await;
    assert_eq!((status, bytes.as_slice()), (200, picture), "the link answers");
    let url = recording["url"].as_str().unwrap();
    let (status, mp3) = daemon.bytes(&url[url.find("/record").unwrap()..]).await;
    assert!(status == 200 && mp3.len() > 500, "{status}");
    let id = |task: &Value| task["id"].as_i64().unwrap();
    assert_eq!(daemon.get(&format!("/tasks/{}", id(before))).await.0, 200);
    assert_eq!(daemon.get(&format!("/tasks/{}", id(waiting))).await.1["status"], "New");
    let (_, next) = daemon.post("/tasks", json!({})).await;
    let tasks = manifest.tables.iter().find(|table| table.table == "tasks").unwrap();
    assert!(id(&next) > tasks.last_number.unwrap(), "numbers are never used twice");
    eventually("what ran when the backup was made runs again", || async {
        let (_, open) = daemon.get("/tasks?status=In%20Progress&limit=100").await;
        let (_, new) = daemon.get("/tasks?status=New&limit=100").await;
        (open.as_array().unwrap().is_empty() && new.as_array().unwrap().len() == 1).then_some(())
    })
    .await;
    let (_, failed) = daemon.get("/tasks?status=Failed&limit=100").await;
    assert_eq!(failed, json!([]), "being restored costs no try");
    daemon.drain().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_installation_on_sqlite_comes_back_as_it_was() {
    drill(Place::new(Engine::Sqlite).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_installation_on_postgres_comes_back_as_it_was() {
    drill(Place::new(Engine::Postgres).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bucket_takes_backups_and_gives_them_back() {
    let store = Store::start();
    let place = Place::new(Engine::Sqlite)
        .await
        .with("BACKUP__TO", format!("s3://{BUCKET}/backups/of/mill"))
        .with("BACKUP__S3_ENDPOINT", store.endpoint())
        .with("BACKUP__S3_ACCESS_KEY", ACCESS_KEY)
        .with("BACKUP__S3_SECRET_KEY", SECRET_KEY);
    let daemon = place.daemon().await;
    let user = daemon.user("ann").await;
    daemon.record(&user, 300.0).await;
    for number in 0..4 {
        daemon.picture(number).await;
    }
    let first = place.json(&["backup"]);
    assert_eq!((first["lost"].as_u64(), first["copied"].as_u64()), (Some(0), first["blobs"].as_u64()));
    daemon.picture(99).await;
    let second = place.json(&["backup", "--keep", "1"]);
    assert_eq!(second["copied"], 1, "{second}");
    assert_eq!(second["removed"], json!([first["name"]]));
    daemon.drain().await;
    let listed = place.json(&["backup", "--list"]);
    assert_eq!(listed["name"], second["name"]);
    let checked = place.json(&["backup", "--check"]);
    assert_eq!((&checked["name"], &checked["blobs"]), (&second["name"], &second["blobs"]));

    let new = place.beside(Engine::Sqlite).await;
    let from = format!("s3://{BUCKET}/backups/of/mill");
    let restored = new.json(&["restore", &from]);
    assert_eq!(restored["blobs"], second["blobs"]);
    let again = new.json(&["backup"]);
    let sums_of = |name: &Value| sums(&new.manifest(name.as_str().unwrap()));
    assert_eq!(sums_of(&again["name"]), sums_of(&second["name"]));
    assert_eq!(new.sound_blobs() as u64, second["blobs"].as_u64().unwrap());

    // What is wrong with the bucket is told, and leaves nothing that looks like a backup.
    store.die();
    let hurried = new.with("BLOBS__S3_TIMEOUT_S", "0.2");
    let problem = hurried.fails(&["backup"], 1);
    assert!(problem.contains("cannot"), "{problem}");
    store.revive();
    assert_eq!(hurried.list().len(), 2);
}
