//! How long a backup of much takes, and what it costs the daemon beside it. Small in every run; `GRISTMILL_BACKUP_TASKS` and
//! `GRISTMILL_BACKUP_MB` make it as large as one likes.

use std::fs;
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::common::Engine;
use crate::place::{Daemon, Place, digest};

fn asked(name: &str, small: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(small)
}

/// How long single tasks take to be accepted, while `on` says so: the 99th of a hundred, and how many.
async fn p99(daemon: &Daemon, mut on: impl FnMut() -> bool) -> (Duration, usize) {
    let mut took = Vec::new();
    while on() {
        let begun = Instant::now();
        assert_eq!(daemon.post("/tasks", json!({})).await.0, 201);
        took.push(begun.elapsed());
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    took.sort();
    let at = (took.len() * 99 / 100).min(took.len().saturating_sub(1));
    (took.get(at).copied().unwrap_or_default(), took.len())
}

fn peak(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.map_or(0, |line| line.trim().trim_end_matches("kB").trim().parse().unwrap_or(0))
}

async fn measured(engine: Engine) {
    let (count, megabytes) = (asked("GRISTMILL_BACKUP_TASKS", 2_000), asked("GRISTMILL_BACKUP_MB", 20));
    let place = Place::new(engine).await.with("LOG__LEVEL", "warn");
    let daemon = place.daemon().await;
    for _ in 0..count / 1_000 {
        let batch: Vec<Value> =
            vec![json!({"payload": {"something": "that a task may have, of a usual size"}}); 1_000];
        let (status, made) = daemon.post("/tasks/batch", Value::from(batch)).await;
        assert!(status < 300, "{status} {made}");
    }
    crate::common::eventually("all is done", || async {
        let (_, open) = daemon.get("/tasks?status=New&limit=1").await;
        (open == json!([])).then_some(())
    })
    .await;
    daemon.drain().await;
    blobs(&place, megabytes).await;
    let daemon = place.daemon().await;
    let until = Instant::now() + Duration::from_secs(asked("GRISTMILL_BACKUP_QUIET_S", 1));
    let quiet = p99(&daemon, || Instant::now() < until).await;
    let begun = Instant::now();
    let mut backup = place.command(&["backup", "--json"]).stdout(Stdio::piped()).spawn().unwrap();
    let (pid, mut memory) = (backup.id(), 0);
    let busy = p99(&daemon, || {
        memory = memory.max(peak(pid));
        backup.try_wait().unwrap().is_none()
    })
    .await;
    let took = begun.elapsed();
    let output = backup.wait_with_output().unwrap();
    assert!(output.status.success());
    let made: Value = serde_json::from_slice(&output.stdout).unwrap();
    daemon.drain().await;
    let began = Instant::now();
    let new = place.beside(engine).await;
    let restored = new.json(&["restore", &place.shelf.display().to_string()]);
    println!(
        "{engine:?}: {count} tasks ({} rows, {} bytes packed), {megabytes} MB of blobs: backup {took:.2?}, {memory} kB at \
         most; a task was accepted in {:.2?} at the 99th of a hundred ({} tasks) without, {:.2?} ({}) beside it; restore {:.2?}",
        made["rows"],
        made["bytes"],
        quiet.0,
        quiet.1,
        busy.0,
        busy.1,
        began.elapsed()
    );
    assert_eq!(restored["rows"], made["rows"]);
    assert!(memory < 300_000, "memory does not grow with what is saved: {memory} kB");
}

/// Puts in blobs of a megabyte, each named by a row.
async fn blobs(place: &Place, megabytes: u64) {
    let mut rows = Vec::new();
    for number in 0..megabytes {
        let mut bytes = vec![0_u8; 1 << 20];
        for (at, byte) in bytes.iter_mut().enumerate() {
            *byte = u8::try_from((at as u64 * 31 + number * 7 + (at as u64 >> 9) * number) % 251).unwrap();
        }
        let name = digest(&bytes);
        let folder = place.blob_folder().join(&name[..2]);
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join(&name[2..]), bytes).unwrap();
        rows.push((i64::try_from(number + 1).unwrap(), name));
    }
    let url = place.database_url();
    for (task, blob) in rows {
        let text = format!(
            "INSERT INTO task_blobs (task, role, blob, bytes) VALUES ({task}, 'input', '{blob}', 1048576)"
        );
        execute(&url, &text).await;
    }
}

async fn execute(url: &str, text: &str) {
    use sqlx::{AssertSqlSafe, Connection as _};
    if url.starts_with("sqlite") {
        let mut connection = sqlx::SqliteConnection::connect(url).await.unwrap();
        sqlx::query(AssertSqlSafe(text.to_owned())).execute(&mut connection).await.unwrap();
    } else {
        let mut connection = sqlx::PgConnection::connect(url).await.unwrap();
        sqlx::query(AssertSqlSafe(text.to_owned())).execute(&mut connection).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_of_much_takes_little_memory_and_lets_the_daemon_work_on_sqlite() {
    measured(Engine::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_of_much_takes_little_memory_and_lets_the_daemon_work_on_postgres() {
    measured(Engine::Postgres).await;
}
