//! What happens beside a backup or a restore while it goes on: disks that fail, connections that hang, others that clean up.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use gristmill::backup::{BackupError, Phase, Progress, Restored, Summary, Watcher};
use serde_json::{Value, json};
use sqlx::{Connection as _, PgConnection};
use tokio::runtime::Handle;

use crate::bucket::{ACCESS_KEY, BUCKET, SECRET_KEY, Store};
use crate::common::{Engine, eventually};
use crate::place::{Patient, Place, begun, files_below, said};

/// One that has so many pictures, and no daemon.
async fn with_pictures(engine: Engine, count: u32) -> Place {
    let place = Place::new(engine).await;
    let daemon = place.daemon().await;
    for number in 0..count {
        daemon.picture(number).await;
    }
    daemon.drain().await;
    place
}

/// Does something once, when it is told of that phase for the first time.
struct Meddling {
    phase: Phase,
    meddle: Mutex<Option<Box<dyn FnOnce() + Send>>>,
}

impl Meddling {
    fn at(phase: Phase, meddle: impl FnOnce() + Send + 'static) -> Self {
        Self { phase, meddle: Mutex::new(Some(Box::new(meddle))) }
    }

    fn did(&self) -> bool {
        self.meddle.lock().unwrap().is_none()
    }
}

impl Watcher for Meddling {
    fn progress(&self, progress: Progress) {
        if progress.phase == self.phase
            && let Some(meddle) = self.meddle.lock().unwrap().take()
        {
            meddle();
        }
    }

    fn is_over(&self) -> bool {
        false
    }
}

/// Makes a backup in this process, after `first`.
async fn made(
    place: &Place,
    watcher: impl Watcher + 'static,
    first: impl FnOnce() + Send + 'static,
) -> Result<Summary, BackupError> {
    let (backups, handle) = (place.backups(), Handle::current());
    let making = tokio::task::spawn_blocking(move || {
        first();
        backups.make(&handle, &watcher)
    });
    making.await.unwrap()
}

async fn restored<W: Watcher + 'static>(place: &Place, watcher: W) -> (Result<Restored, BackupError>, W) {
    let (backups, handle) = (place.backups(), Handle::current());
    let restoring = tokio::task::spawn_blocking(move || (backups.restore(None, &handle, &watcher), watcher));
    restoring.await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn blobs_that_cannot_be_read_do_not_keep_the_rest_from_being_saved() {
    let place = with_pictures(Engine::Sqlite, 3).await;
    let blobs = files_below(&place.blob_folder());
    // One can be opened and not be read, the other not be opened: also by root.
    fs::remove_file(&blobs[0]).unwrap();
    fs::create_dir(&blobs[0]).unwrap();
    fs::remove_file(&blobs[1]).unwrap();
    symlink(&blobs[1], &blobs[1]).unwrap();
    let output = place.run(&["backup", "--json"]);
    assert_eq!(output.status.code(), Some(3), "{}", said(&output));
    let made: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&made["lost"], &made["copied"]), (&json!(2), &json!(1)), "{}", said(&output));
    let named =
        |file: &Path| file.strip_prefix(place.blob_folder()).unwrap().to_string_lossy().replace('/', "");
    assert_eq!(made["lost_blobs"], json!([named(&blobs[0]), named(&blobs[1])]));

    // What it has is sound, and comes back.
    let checked = place.run(&["backup", "--check", "--json"]);
    let checked: Value = serde_json::from_slice(&checked.stdout).unwrap();
    assert_eq!((&checked["blobs"], &checked["lost"]), (&json!(1), &json!(2)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_without_its_blob_store_fails() {
    let place = with_pictures(Engine::Sqlite, 2).await;
    let (blobs, away) = (place.blob_folder(), place.path().join("away"));
    let (from, to) = (blobs.clone(), away.clone());
    let gone = made(&place, Patient, move || fs::rename(from, to).unwrap()).await.unwrap_err();
    assert!(gone.to_string().contains(blobs.to_str().unwrap()), "{gone}");
    assert_eq!(begun(&place.shelf), Vec::<String>::new());
    let _ = fs::remove_dir_all(&blobs);
    fs::rename(away, blobs).unwrap();
    assert_eq!(place.json(&["backup"])["lost"], 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_empty_folder_of_a_backup_does_not_end_the_cleaning_up() {
    let place = Place::new(Engine::Sqlite).await.with("BACKUP__KEEP", 1);
    let daemon = place.daemon().await;
    let picture = daemon.picture(1).await;
    place.json(&["backup"]);
    let (name, token) = (picture["filename"].as_str().unwrap(), picture["delete_token"].as_str().unwrap());
    daemon.delete(&format!("/images/{name}?token={token}")).await;
    daemon.drain().await;
    assert_eq!(files_below(&place.shelf.join("blobs")).len(), 1);
    // As one leaves it that is killed between the folder and its first file.
    fs::create_dir(place.shelf.join("20200131T030000.000Z-1a2b3c4d")).unwrap();
    let last = place.json(&["backup"]);
    assert_eq!(files_below(&place.shelf.join("blobs")), Vec::<PathBuf>::new());
    assert_eq!(begun(&place.shelf), [last["name"].as_str().unwrap()]);
}

/// Over as soon as somebody says so.
struct Told(Arc<AtomicBool>);

impl Watcher for Told {
    fn progress(&self, _: Progress) {}

    fn is_over(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_does_not_answer_keeps_no_backup_from_being_stopped() {
    let place = with_pictures(Engine::Postgres, 1).await;
    let mut other = PgConnection::connect(&place.database_url()).await.unwrap();
    for text in ["BEGIN", "LOCK TABLE tasks IN ACCESS EXCLUSIVE MODE"] {
        sqlx::query(text).execute(&mut other).await.unwrap();
    }
    let over = Arc::new(AtomicBool::new(false));
    let (backups, handle, watcher) = (place.backups(), Handle::current(), Told(Arc::clone(&over)));
    let making = tokio::task::spawn_blocking(move || backups.make(&handle, &watcher));
    let mut looking = PgConnection::connect(&place.database_url()).await.unwrap();
    loop {
        let waiting = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'gristmill backup' \
             AND datname = current_database() AND wait_event_type = 'Lock'";
        let waiting: i64 = sqlx::query_scalar(waiting).fetch_one(&mut looking).await.unwrap();
        assert!(!making.is_finished());
        if waiting == 1 {
            break;
        }
        tokio::task::yield_now().await;
    }
    over.store(true, Ordering::SeqCst);
    let stopped = making.await.unwrap();
    assert!(matches!(stopped, Err(BackupError::Stopped)), "{stopped:?}");
    assert_eq!(begun(&place.shelf), Vec::<String>::new());
    let holds: i64 = sqlx::query_scalar("SELECT count(*) FROM holds").fetch_one(&mut looking).await.unwrap();
    assert_eq!(holds, 0, "the sweep goes on");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_restore_into_a_database_says_what_it_waited_for() {
    let place = Place::new(Engine::Postgres).await;
    let archive = place.archive();
    let (_, schema) = archive.schema().await.unwrap();
    let mut first = archive.fill(schema).await.unwrap();
    // The database's own limit is kept where it has one.
    let url = format!("{}?options=-c%20lock_timeout%3D50ms", place.database_url());
    let place = place.with("DATABASE__URL", url);
    let second = place.archive().fill(schema).await.err().unwrap().to_string();
    assert!(second.contains("another connection has its tables locked"), "{second}");
    first.stay().await.unwrap();
    drop(first);
    eventually("the first is over", || async { place.archive().fill(schema).await.ok().map(drop) }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_that_is_removed_while_it_is_read_is_not_damaged() {
    let place = with_pictures(Engine::Sqlite, 3).await;
    for restoring in [false, true] {
        let name = place.json(&["backup", "--keep", "1"])["name"].as_str().unwrap().to_owned();
        let (shelf, own) = (place.shelf.clone(), name.clone());
        // As retention does it: the manifest first, the blobs last.
        let watcher = Meddling::at(Phase::Checking, move || {
            fs::remove_file(shelf.join(&own).join("manifest.json")).unwrap();
            fs::remove_dir_all(shelf.join(&own)).unwrap();
            fs::remove_dir_all(shelf.join("blobs")).unwrap();
        });
        let error = if restoring {
            let new = place.beside(Engine::Sqlite).await;
            let (restored, _) = restored(&new, watcher).await;
            assert_eq!(new.archive().schema().await.unwrap().0, None);
            restored.unwrap_err()
        } else {
            let backups = place.backups();
            let checking = tokio::task::spawn_blocking(move || backups.check(None, &watcher));
            checking.await.unwrap().unwrap_err()
        };
        assert!(!error.is_damage(), "{error}");
        let told = error.to_string();
        assert!(told.contains(&name) && told.contains("was removed"), "{told}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_that_changes_while_it_is_restored_is_not_in_the_way_of_the_next_try() {
    let place = with_pictures(Engine::Sqlite, 3).await;
    place.json(&["backup"]);
    let last = files_below(&place.shelf.join("blobs")).pop().unwrap();
    let sound = fs::read(&last).unwrap();
    let new = place.beside(Engine::Sqlite).await;
    let file = last.clone();
    let watcher = Meddling::at(Phase::Blobs, move || fs::write(file, "something else").unwrap());
    let (damaged, watcher) = restored(&new, watcher).await;
    let damaged = damaged.unwrap_err();
    assert!(watcher.did() && damaged.is_damage(), "{damaged}");
    fs::write(&last, sound).unwrap();
    let (again, _) = restored(&new, Patient).await;
    assert_eq!((again.unwrap().blobs, new.sound_blobs()), (3, 3));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_to_a_bucket_leaves_room_where_its_drafts_lie() {
    let store = Store::start();
    let place = with_pictures(Engine::Sqlite, 1).await;
    let place = place
        .with("BACKUP__TO", format!("s3://{BUCKET}/backups/of/mill"))
        .with("BACKUP__S3_ENDPOINT", store.endpoint())
        .with("BACKUP__S3_ACCESS_KEY", ACCESS_KEY)
        .with("BACKUP__S3_SECRET_KEY", SECRET_KEY);
    place.json(&["backup"]);
    let full = place.with("STORAGE__MIN_FREE_BYTES", "1024 TiB");
    let problem = full.fails(&["backup"], 1);
    assert!(problem.contains("backup-drafts") && problem.contains("storage.min_free_bytes"), "{problem}");
}
