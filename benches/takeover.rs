//! A node dies, or stands still, in the middle of its work: how soon another does it.

use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use serde_json::Value;
use sqlx::{Connection, PgConnection};

use crate::client::{Client, request};
use crate::daemon::{Daemon, Setup, fresh};
use crate::report::Report;
use crate::transcode;

/// Long enough to be at it when the node dies.
const MINUTES: u32 = 3;

/// What a node runs when it dies.
const TASKS: usize = 2;

const PATIENCE: Duration = Duration::from_secs(60);

struct Field {
    survivor: Daemon,
    setup: Setup,
    rows: PgConnection,
    user: i64,
    token: String,
    wav: bytes::Bytes,
}

/// The rows: so many rounds of a death (SIGKILL), and of standing still (SIGSTOP), which is what a dead host looks like
/// from outside.
pub async fn compare(report: &mut Report, server: &str, broker: &str, deaths: usize, stills: usize) {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let mut field = Field::new(folder.path(), server, broker).await;
    for (signal, rounds) in [("KILL", deaths), ("STOP", stills)] {
        let mut all = Vec::new();
        for _ in 0..rounds {
            all.push(field.round(signal).await.as_secs_f64());
        }
        all.sort_by(f64::total_cmp);
        let row = |what: &str| format!("takeover after SIG{signal}, {rounds} rounds: {what}");
        report.row(row("p50"), all[all.len() / 2], "s");
        report.row(row("longest"), all[all.len() - 1], "s");
    }
    field.survivor.stop().await;
}

impl Field {
    async fn new(folder: &Path, server: &str, broker: &str) -> Self {
        let wav = folder.join("long.wav");
        transcode::write_wav(&wav, MINUTES);
        let database = fresh(server).await;
        let blobs = format!("file:{}", folder.join("blobs").display());
        let setup = Setup::on(&database)
            .with("BROKER__URL", broker)
            .with("BLOBS__URL", &blobs)
            // The survivor has room while it gets rid of the last round's.
            .with("KINDS__TRANSCODE__CONCURRENCY", "8");
        let survivor = Daemon::start(&setup).await;
        let body = r#"{"name":"bench"}"#;
        let post = request("POST", "/users", "content-type: application/json\r\n", body);
        let mut client = Client::connect(survivor.address).await.unwrap();
        let (status, body) = client.send(&post).await.unwrap();
        assert_eq!(status, 201);
        let user: Value = serde_json::from_slice(&body).unwrap();
        Self {
            survivor,
            setup,
            rows: PgConnection::connect(&database).await.unwrap(),
            user: user["id"].as_i64().unwrap(),
            token: user["token"].as_str().unwrap().to_owned(),
            wav: std::fs::read(wav).unwrap().into(),
        }
    }

    /// From the signal until all that the node ran has started on the survivor, by the same machine's clock.
    async fn round(&mut self, signal: &str) -> Duration {
        let victim = Daemon::start(&self.setup).await;
        let newest: i64 = sqlx::query_scalar("SELECT coalesce(max(id), 0) FROM tasks")
            .fetch_one(&mut self.rows)
            .await
            .unwrap();
        for _ in 0..TASKS {
            self.upload(&victim).await;
        }
        let running = "SELECT id FROM tasks WHERE id > $1 AND status = 'In Progress'";
        let running: Vec<i64> =
            sqlx::query_scalar(running).bind(newest).fetch_all(&mut self.rows).await.unwrap();
        assert_eq!(running.len(), TASKS, "they run");
        victim.signal(signal);
        let signalled = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
        let taken = self.taken_over(&running).await;
        for task in &running {
            self.cancel(*task).await;
        }
        Duration::from_micros(taken.unsigned_abs()).saturating_sub(signalled)
    }

    /// When the last of the tasks was started the second time.
    async fn taken_over(&mut self, tasks: &[i64]) -> i64 {
        let begun = Instant::now();
        loop {
            let again = "SELECT at FROM events WHERE task = ANY($1) AND event = 'started' AND attempt = 2";
            let again: Vec<i64> =
                sqlx::query_scalar(again).bind(tasks).fetch_all(&mut self.rows).await.unwrap();
            if again.len() == tasks.len() {
                return again.into_iter().max().unwrap();
            }
            assert!(begun.elapsed() < PATIENCE, "nobody took over");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn upload(&self, node: &Daemon) {
        let part = reqwest::multipart::Part::stream(self.wav.clone()).file_name("long.wav");
        let form = reqwest::multipart::Form::new()
            .text("user", self.user.to_string())
            .text("token", self.token.clone())
            .part("file", part);
        let url = format!("http://{}/records", node.address);
        let post = reqwest::Client::new().post(url).header("prefer", "respond-async").multipart(form);
        assert_eq!(post.send().await.unwrap().status(), 202);
    }

    async fn cancel(&self, task: i64) {
        let mut client = Client::connect(self.survivor.address).await.unwrap();
        let who = format!("authorization: Bearer {}\r\n", self.token);
        let (status, _) =
            client.send(&request("POST", &format!("/tasks/{task}/cancel"), &who, "")).await.unwrap();
        assert_eq!(status, 200);
    }
}
