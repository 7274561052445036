//! What a backup must not be stopped by, and a restore must be.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};

use crate::common::{Engine, eventually};
use crate::place::{Place, files_below, said, signal, sums};

/// What lies in the hands of a backup stays until it has it.
async fn held(engine: Engine) {
    let place = Place::new(engine).await;
    let daemon = place.daemon().await;
    let picture = daemon.picture(5).await;
    let mut backup = place
        .command(&["backup", "--json"])
        .env("GRISTMILL_FAILPOINT", "backup_rows_put=STOP")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    eventually("the backup has read all rows", || async {
        let stat = fs::read_to_string(format!("/proc/{}/stat", backup.id())).unwrap();
        stat.rsplit_once(") ").unwrap().1.starts_with('T').then_some(())
    })
    .await;
    // Its row goes, the sweep comes by, and would remove the blob.
    let (name, token) = (picture["filename"].as_str().unwrap(), picture["delete_token"].as_str().unwrap());
    let (status, gone) = daemon.delete(&format!("/images/{name}?token={token}")).await;
    assert!(status < 300, "{gone}");
    assert_eq!(place.sound_blobs(), 1);
    let before = daemon.log().matches("blobs are swept after it").count();
    place.age_blobs();
    eventually("the sweep waits", || async {
        (daemon.log().matches("blobs are swept after it").count() > before + 1).then_some(())
    })
    .await;
    assert_eq!(place.sound_blobs(), 1);
    signal(backup.id(), "CONT");
    let output = tokio::task::spawn_blocking(move || {
        let status = backup.wait().unwrap();
        let mut text = String::new();
        std::io::Read::read_to_string(&mut backup.stdout.take().unwrap(), &mut text).unwrap();
        assert!(status.success(), "{text}");
        text
    });
    let made: Value = serde_json::from_str(&output.await.unwrap()).unwrap();
    assert_eq!((&made["lost"], &made["copied"]), (&json!(0), &json!(1)));
    eventually("the sweep goes on after it", || async { (place.sound_blobs() == 0).then_some(()) }).await;
    daemon.drain().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_deleted_while_a_backup_runs_is_in_it_on_sqlite() {
    held(Engine::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_deleted_while_a_backup_runs_is_in_it_on_postgres() {
    held(Engine::Postgres).await;
}

async fn refuses(engine: Engine) {
    let place = Place::new(engine).await;
    let daemon = place.daemon().await;
    daemon.picture(7).await;
    place.json(&["backup"]);
    let shelf = place.shelf.display().to_string();
    let running = place.fails(&["restore", &shelf], 1);
    assert!(running.contains("is the data folder of another gristmill process"), "{running}");
    daemon.drain().await;
    let rows = place.fails(&["restore", &shelf], 1);
    assert!(rows.contains("is not empty") && rows.contains("has rows"), "{rows}");

    // Rows are gone, a foreign blob is there.
    let other = place.beside(engine).await;
    let blob = other.blob_folder().join("ab").join("0".repeat(62));
    fs::create_dir_all(blob.parent().unwrap()).unwrap();
    fs::write(&blob, "somebody's").unwrap();
    let blobs = other.fails(&["restore", &shelf], 1);
    assert!(blobs.contains("the blob store is not empty") && blobs.contains("ab0000"), "{blobs}");
    let (found, _) = other.archive().schema().await.unwrap();
    if engine == Engine::Sqlite {
        assert_eq!(found, None, "no database was made");
    }
    fs::remove_file(&blob).unwrap();
    other.json(&["restore", &shelf]);
    let nothing = other.fails(&["restore", "/nonexistent"], 1);
    assert!(nothing.contains("no such folder"), "{nothing}");
    let empty = tempfile::tempdir().unwrap();
    let none = place.beside(engine).await.fails(&["restore", empty.path().to_str().unwrap()], 1);
    assert!(none.contains("has no backup"), "{none}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_an_empty_installation_on_sqlite_is_filled() {
    refuses(Engine::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_an_empty_installation_on_postgres_is_filled() {
    refuses(Engine::Postgres).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_blob_that_is_lost_or_damaged_does_not_keep_the_rest_from_being_saved() {
    let place = Place::new(Engine::Sqlite).await;
    let daemon = place.daemon().await;
    for number in 0..3 {
        daemon.picture(number).await;
    }
    daemon.drain().await;
    let sound = place.json(&["backup", "--keep", "1"]);
    // A new shelf: what was copied before is not looked for.
    let elsewhere = place.path().join("elsewhere").display().to_string();
    let blobs = files_below(&place.blob_folder());
    fs::remove_file(&blobs[0]).unwrap();
    fs::write(&blobs[1], "something else").unwrap();
    let output = place.run(&["backup", "--to", &elsewhere, "--json"]);
    assert_eq!(output.status.code(), Some(3), "{}", said(&output));
    let made: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&made["lost"], &made["copied"]), (&json!(2), &json!(1)));
    assert!(String::from_utf8_lossy(&output.stderr).contains("2 blobs are not to be found, or damaged"));
    // In the old place there are copies of them.
    let next = place.json(&["backup", "--keep", "1"]);
    assert_eq!((&next["lost"], &next["removed"]), (&json!(0), &json!([sound["name"]])));

    // One that lacks blobs pushes out none that has them.
    fs::remove_dir_all(place.shelf.join("blobs")).unwrap();
    let output = place.run(&["backup", "--keep", "1", "--json"]);
    let lacking: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&lacking["lost"], &lacking["removed"]), (&json!(2), &json!([])));

    // It is restored all the same, and says what is missing.
    let other = place.beside(Engine::Sqlite).await;
    let output = other.run(&["restore", &elsewhere, "--json"]);
    assert_eq!(output.status.code(), Some(3), "{}", said(&output));
    let restored: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&restored["lost"], &restored["blobs"]), (&json!(2), &json!(1)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_that_refers_to_blobs_brings_rows_back_beside_them() {
    let place = Place::new(Engine::Sqlite).await.with("BACKUP__BLOBS", "reference");
    let daemon = place.daemon().await;
    daemon.picture(1).await;
    let made = place.json(&["backup"]);
    assert_eq!((&made["blobs"], &made["copied"]), (&json!(1), &json!(0)));
    assert!(!place.shelf.join("blobs").exists());
    // Later blobs are in nobody's way.
    daemon.picture(2).await;
    daemon.drain().await;
    fs::remove_file(place.path().join("gristmill.db")).unwrap();
    for end in ["-wal", "-shm"] {
        let _ = fs::remove_file(place.path().join(format!("gristmill.db{end}")));
    }
    let shelf = place.shelf.display().to_string();
    let restored = place.json(&["restore", &shelf]);
    assert_eq!(restored["blobs"], 1);

    // Without the blobs it is none, and that is said before anything is written.
    let other = place.beside(Engine::Sqlite).await;
    let problem = other.fails(&["restore", &shelf], 1);
    assert!(problem.contains("is missing, and the backup has no copy"), "{problem}");
    assert_eq!(other.archive().schema().await.unwrap().0, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_is_for_its_owners_eyes_and_needs_no_daemon() {
    let place = Place::new(Engine::Sqlite).await;
    let none = place.fails(&["backup"], 1);
    assert!(none.contains("there is no database yet"), "{none}");
    let daemon = place.daemon().await;
    daemon.user("ann").await;
    daemon.kill();
    // A crash left a log beside the database: it is read as well.
    let made = place.json(&["backup"]);
    let users = place.manifest(made["name"].as_str().unwrap());
    assert_eq!(sums(&users)[0].1, 1, "the user is in it");
    for file in files_below(&place.shelf) {
        let mode = fs::metadata(&file).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{}", file.display());
        let folder = fs::metadata(file.parent().unwrap()).unwrap().permissions().mode() & 0o777;
        assert_eq!(folder, 0o700, "{}", file.display());
    }
    let restored = place.beside(Engine::Sqlite).await;
    restored.json(&["restore", &place.shelf.display().to_string()]);
    let mode = fs::metadata(restored.path().join("gristmill.db")).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o600);
    // A daemon finds nothing to wait for.
    tokio::time::timeout(Duration::from_secs(30), restored.daemon()).await.unwrap().drain().await;
}
