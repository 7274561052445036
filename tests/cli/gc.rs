//! `gristmill gc`: what it says would go is what goes, by itself, by the command here, or by the daemon that it asks.

use std::fs::File;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use gristmill::blob::Blobs;
use gristmill::task::BlobName;
use serde_json::{Value, json};

use crate::world::World;

/// A blob that no row names, of that age.
fn loose(home: &Path, bytes: &[u8], age: Duration) -> BlobName {
    let root = home.join("data/blobs");
    let name = Blobs::open(&root, "a seat of the test").unwrap().keep_bytes(bytes).unwrap().name.clone();
    let (prefix, rest) = name.as_str().split_at(2);
    let file = File::options().write(true).open(root.join(prefix).join(rest)).unwrap();
    file.set_modified(SystemTime::now() - age).unwrap();
    name
}

fn gc(world: &World, more: &[&str]) -> Value {
    let mut arguments = vec!["gc", "--json"];
    arguments.extend(more);
    let said = world.run_at_home(&arguments);
    let lines = said.json();
    assert_eq!((said.code, lines.len()), (Some(0), 1), "{said:?}");
    lines[0].clone()
}

fn settings(world: &World, sweep_s: u32) {
    let folder = world.home.path().join("config");
    std::fs::create_dir_all(&folder).unwrap();
    let text = format!("[tasks]\nkeep_completed_s = 0.001\nsweep_s = {sweep_s}\n");
    std::fs::write(folder.join("gristmill.toml"), text).unwrap();
}

const DAYS: Duration = Duration::from_secs(3 * 24 * 3600);

#[test]
fn what_would_go_is_what_goes_and_nothing_younger_than_the_grace() {
    let mut world = World::new();
    for _ in 0..5 {
        world.run(&["submit", "noop", "--wait", "-q"]).done();
    }
    let waits = world.waiting();
    world.stop();
    settings(&world, 1);
    let home = world.home.path().to_owned();
    let old = loose(&home, b"old and loose", DAYS);
    let young = loose(&home, b"young and loose", Duration::ZERO);

    // Without a daemon, and as often as one likes.
    for _ in 0..2 {
        let found = gc(&world, &["--dry-run"]);
        assert_eq!(found["tasks"], json!([{ "kind": "noop", "status": "Completed", "tasks": 5 }]));
        assert_eq!(found["blobs"], json!({ "count": 1, "bytes": 13, "names": [old.as_str()] }));
        assert_eq!(gc(&world, &["--dry-run", "--names", "0"])["blobs"], json!({ "count": 1, "bytes": 13 }));
    }
    let told = world.run_at_home(&["gc", "--dry-run"]).done();
    assert!(told.contains("would go: 5 tasks of kind noop (Completed)"), "{told}");

    // The janitor does just that.
    world.start_again();
    let begun = Instant::now();
    let nothing = loop {
        let found = gc(&world, &["--dry-run"]);
        if found["tasks"] == json!([]) && found["blobs"]["count"] == 0 {
            break found;
        }
        assert!(begun.elapsed() < Duration::from_secs(30), "{found}");
        std::thread::sleep(Duration::from_millis(50));
    };
    assert_eq!(nothing["more"], false);
    let metrics = fetched(&world, "/metrics");
    for line in ["gristmill_tasks_expired_total{kind=\"noop\"} 5", "gristmill_blobs_swept_total 1"] {
        assert!(metrics.lines().any(|told| told == line), "{line} is not in {metrics}");
    }
    assert!(world.run(&["tasks", "show", &waits.to_string()]).code == Some(0));

    // Asked to, the daemon does it at once; and so does the command where there is none.
    loose(&home, b"more of it", DAYS);
    gc(&world, &[]);
    assert_eq!(gc(&world, &["--dry-run"])["blobs"]["count"], 0);
    world.run(&["submit", "noop", "--wait", "-q"]).done();
    world.stop();
    let old = loose(&home, b"and more", DAYS);
    let (found, removed) = (gc(&world, &["--dry-run"]), gc(&world, &[]));
    assert_eq!((&found["tasks"], &found["blobs"]["bytes"]), (&removed["tasks"], &removed["blobs"]["bytes"]));
    assert_eq!((&removed["blobs"]["count"], &removed["more"]), (&json!(1), &json!(false)), "{removed}");
    let blobs = Blobs::open(&home.join("data/blobs"), "a seat of the test").unwrap();
    assert!(blobs.read(&old).is_err());
    assert!(blobs.read(&young).is_ok(), "somebody may just be about to name it");
}

#[test]
fn where_no_database_is_or_one_of_another_schema_nothing_is_made_and_nothing_removed() {
    let home = tempfile::tempdir().unwrap();
    let old = loose(home.path(), b"named elsewhere", DAYS);
    let kept = |folder: &Path| {
        let blobs = Blobs::open(&folder.join("data/blobs"), "a seat of the test").unwrap();
        blobs.read(&old).is_ok()
    };
    for arguments in [&["gc"][..], &["gc", "--dry-run"]] {
        let said = crate::world::said(&mut crate::world::bare(home.path(), arguments));
        said.failed(1, &["there is no database", "data/gristmill.db", "--config"]);
        let mut made: Vec<_> = std::fs::read_dir(home.path().join("data")).unwrap().collect();
        assert_eq!(made.pop().unwrap().unwrap().file_name(), "blobs");
        assert!(made.is_empty() && kept(home.path()), "{made:?}");
    }

    let mut world = World::new();
    world.stop();
    let home = world.home.path();
    loose(home, b"named elsewhere", DAYS);
    let schema = |statement| assert!(changed(home, statement) > 0);
    schema(
        "UPDATE _sqlx_migrations SET version = 9999 WHERE version = (SELECT max(version) FROM _sqlx_migrations)",
    );
    world.run_at_home(&["gc"]).failed(1, &["has schema 9999", "the version that the daemon has"]);
    schema("DELETE FROM _sqlx_migrations WHERE version > 5");
    world.run_at_home(&["gc", "--dry-run"]).failed(1, &["has schema 5", "gristmill migrate"]);
    assert!(kept(home));
}

#[test]
fn by_a_database_that_never_named_anything_nothing_is_removed_and_what_a_killed_one_moved_aside_comes_back() {
    let mut world = World::new();
    let home = world.home.path().to_owned();
    let old = loose(&home, b"to be restored", DAYS);
    let kept = || Blobs::open(&home.join("data/blobs"), "a seat of the test").unwrap().read(&old).is_ok();
    let looked = |world: &World| {
        assert_eq!(gc(world, &["--dry-run"])["held_by"], "empty_database");
        let told = world.run_at_home(&["gc", "--dry-run"]).done();
        assert!(told.contains("held back: 1 blobs") && told.contains("never had a task"), "{told}");
    };
    // The daemon that is asked, and the command where there is none.
    looked(&world);
    world.run_at_home(&["gc"]).failed(1, &["never had a task", "blobs.url"]);
    world.stop();
    looked(&world);
    let said = world.run_at_home(&["gc", "--json"]);
    assert_eq!((said.code, &said.json()[0]["held_by"]), (Some(1), &json!("empty_database")), "{said:?}");
    assert!(kept());

    let seat = std::fs::read_to_string(home.join("data/gc/seat")).unwrap();
    let tmp = home.join("data/blobs/tmp");
    let machine = std::fs::read_to_string("/etc/machine-id").unwrap_or_default();
    let aside = tmp.join(format!("{}@{}-swept-{}", seat.trim(), machine.trim(), old.as_str()));
    let (prefix, rest) = old.as_str().split_at(2);
    let place = home.join("data/blobs").join(prefix).join(rest);
    std::fs::rename(&place, &aside).unwrap();
    world.run_at_home(&["gc", "--dry-run"]).done();
    assert!(place.exists() && !aside.exists() && kept());

    let lock = File::open(home.join("data/gc/seat")).unwrap();
    lock.lock().unwrap();
    world.run_at_home(&["gc"]).failed(1, &["another gristmill gc"]);
}

/// Changes the database of a daemon that is stopped; how many rows.
fn changed(home: &Path, statement: &'static str) -> u64 {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        use sqlx::{ConnectOptions as _, Connection as _};
        let file = sqlx::sqlite::SqliteConnectOptions::new().filename(home.join("data/gristmill.db"));
        let mut connection = file.connect().await.unwrap();
        let changed = sqlx::query(statement).execute(&mut connection).await.unwrap().rows_affected();
        connection.close().await.unwrap();
        changed
    })
}

fn fetched(world: &World, path: &str) -> String {
    use std::io::{Read, Write};
    let mut stream = std::net::TcpStream::connect(&world.address).unwrap();
    let head = format!("GET {path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n\r\n", world.address);
    stream.write_all(head.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}
