//! What stays in a place, what goes, and what is nobody's to remove.

use std::fs;
use std::time::Duration;

use gristmill::clock::Clock;
use serde_json::{Value, json};

use crate::common::Engine;
use crate::place::{Patient, Place, begun, files_below, make_old, said};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_newest_stay_with_their_blobs_and_nothing_else_of_ours() {
    let place = Place::new(Engine::Sqlite).await.with("BACKUP__KEEP", 2);
    let daemon = place.daemon().await;
    let strangers = ["notes.txt", "blobs/README", "20260131T030000.000Z-1a2b3c4d.tar", "photos/1.jpg"];
    for stranger in strangers {
        let path = place.shelf.join(stranger);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, "mine").unwrap();
        make_old(&path).unwrap();
    }
    let mut names = Vec::new();
    for number in 0..4 {
        let picture = daemon.picture(number).await;
        let made = place.json(&["backup"]);
        names.push(made["name"].as_str().unwrap().to_owned());
        let stay = names.len().saturating_sub(2);
        assert_eq!(begun(&place.shelf), names[stay..], "after {} backups", names.len());
        let gone: Vec<&String> = names[..stay].last().into_iter().collect();
        assert_eq!(made["removed"], json!(gone));
        // Only the backup that was just made knows this picture.
        let (name, token) =
            (picture["filename"].as_str().unwrap(), picture["delete_token"].as_str().unwrap());
        daemon.delete(&format!("/images/{name}?token={token}")).await;
    }
    daemon.drain().await;
    let copies = files_below(&place.shelf.join("blobs")).len() - 1;
    assert_eq!(copies, 2, "each backup that stays has its one blob");
    for name in &names[2..] {
        place.json(&["backup", "--check", name]);
    }
    for stranger in strangers {
        assert!(place.shelf.join(stranger).exists(), "{stranger} is not ours");
    }
    let output = place.run(&["backup", "--list"]);
    let listed = said(&output);
    assert!(names[2..].iter().all(|name| listed.contains(name)), "{listed}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn backups_at_once_to_one_place_do_not_take_each_others_blobs() {
    let place = Place::new(Engine::Sqlite).await.with("BACKUP__KEEP", 1);
    let daemon = place.daemon().await;
    for number in 0..6 {
        daemon.picture(number).await;
    }
    for _ in 0..2 {
        let running: Vec<_> = (0..4)
            .map(|_| {
                let mut command = place.command(&["backup", "--json"]);
                command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
                command.spawn().unwrap()
            })
            .collect();
        for child in running {
            let output = child.wait_with_output().unwrap();
            assert!(output.status.success(), "{}", said(&output));
            let made: Value = serde_json::from_slice(&output.stdout).unwrap();
            assert_eq!(made["lost"], 0, "{made}");
        }
        // Some were removed by those that ended after them; what is there is whole.
        for name in begun(&place.shelf) {
            place.json(&["backup", "--check", &name]);
        }
    }
    daemon.drain().await;
    let last = place.json(&["backup"]);
    assert_eq!(begun(&place.shelf), [last["name"].as_str().unwrap()]);
    assert_eq!(files_below(&place.shelf.join("blobs")).len(), 6);
    assert!(files_below(&place.shelf.join("cleaning")).is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn blobs_stay_while_a_backup_is_under_way_or_one_cannot_be_read() {
    let place = Place::new(Engine::Sqlite).await.with("BACKUP__KEEP", 1);
    let daemon = place.daemon().await;
    let picture = daemon.picture(1).await;
    let first = place.json(&["backup"]);
    let (name, token) = (picture["filename"].as_str().unwrap(), picture["delete_token"].as_str().unwrap());
    daemon.delete(&format!("/images/{name}?token={token}")).await;
    daemon.drain().await;
    // Somebody else's, begun a moment ago.
    let other = place.shelf.join("20200131T030000.000Z-1a2b3c4d");
    fs::create_dir(&other).unwrap();
    fs::write(other.join("running"), "").unwrap();
    let copies = || files_below(&place.shelf.join("blobs")).len();
    let second = place.json(&["backup"]);
    assert_eq!((&second["removed"], copies()), (&json!([first["name"]]), 1));
    // It is there now, and nobody can tell what it names.
    fs::write(other.join("manifest.json"), "{}").unwrap();
    place.json(&["backup"]);
    assert!(copies() == 1 && other.exists());
    assert_eq!(place.run(&["backup", "--list"]).status.code(), Some(3));
    fs::remove_dir_all(&other).unwrap();
    place.json(&["backup"]);
    assert_eq!(copies(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_time_with_the_clock_ahead_new_backups_are_the_newest_and_stay() {
    let place = Place::new(Engine::Sqlite).await.with("BACKUP__KEEP", 2);
    place.daemon().await.drain().await;
    let ahead = Clock::system();
    ahead.advance(Duration::from_secs(400 * 86_400));
    let backups = place.backups_by(ahead);
    let handle = tokio::runtime::Handle::current();
    let dated =
        tokio::task::spawn_blocking(move || [(); 2].map(|()| backups.make(&handle, &Patient).unwrap().name));
    let dated = dated.await.unwrap();
    assert_eq!(begun(&place.shelf), dated);

    let output = place.run(&["backup"]);
    assert!(output.status.success() && said(&output).contains("name of the future"), "{}", said(&output));
    let next = place.json(&["backup"]);
    let name = next["name"].as_str().unwrap();
    let there = begun(&place.shelf);
    assert_eq!((there.len(), there.last().unwrap().as_str()), (2, name), "{there:?} after {dated:?}");
    assert!(dated.iter().all(|dated| !there.contains(dated)), "the oldest went: {there:?}");
    assert_eq!(place.json(&["backup", "--check"])["name"], name);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_older_backup_is_never_taken_in_silence_for_a_damaged_one() {
    let place = Place::new(Engine::Sqlite).await;
    place.daemon().await.drain().await;
    let [older, newer] = [(); 2].map(|()| place.json(&["backup"])["name"].as_str().unwrap().to_owned());
    let manifest = place.shelf.join(&newer).join("manifest.json");
    fs::write(&manifest, fs::read_to_string(&manifest).unwrap().replacen("\"lost\":0", "\"lost\":1", 1))
        .unwrap();
    let new = place.beside(Engine::Sqlite).await;
    let shelf = place.shelf.display().to_string();
    for (code, problem) in
        [(1, new.fails(&["restore", &shelf], 1)), (3, place.fails(&["backup", "--check"], 3))]
    {
        assert!(problem.contains(&newer) && problem.contains(&older), "{code}: {problem}");
    }
    // Whoever makes the next one is told as well.
    let output = place.run(&["backup"]);
    assert!(output.status.success() && said(&output).contains(&newer), "{}", said(&output));
    new.json(&["restore", &shelf, "--name", &older]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_only_reads_makes_nothing() {
    use std::os::unix::fs::PermissionsExt as _;
    let place = Place::new(Engine::Sqlite).await;
    place.daemon().await.drain().await;
    let typo = place.path().join("typo");
    let text = typo.display().to_string();
    for arguments in [&["backup", "--list", "--to", &text][..], &["backup", "--check", "--to", &text]] {
        let problem = place.fails(arguments, 1);
        assert!(problem.contains("there is no such folder"), "{problem}");
    }
    assert!(!typo.exists());

    let name = place.json(&["backup"])["name"].clone();
    fs::remove_dir_all(place.shelf.join("tmp")).unwrap();
    let may = |mode| fs::set_permissions(&place.shelf, fs::Permissions::from_mode(mode)).unwrap();
    may(0o500);
    let new = place.beside(Engine::Sqlite).await;
    assert_eq!(place.json(&["backup", "--list"])["name"], name);
    place.json(&["backup", "--check"]);
    new.json(&["restore", &place.shelf.display().to_string()]);
    may(0o700);
    assert!(!place.shelf.join("tmp").exists(), "nothing was written there");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn backups_do_not_lie_among_the_blobs() {
    let place = Place::new(Engine::Sqlite).await;
    place.daemon().await.drain().await;
    let blobs = place.blob_folder();
    let same = blobs.join("..").join(blobs.file_name().unwrap()).display().to_string();
    let problem = place.fails(&["backup", "--to", &same], 1);
    assert!(problem.contains("is where the blobs are kept"), "{problem}");
    assert_eq!(begun(&blobs), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_data_folder_of_another_daemon_is_no_place_for_backups() {
    let (place, other) = (Place::new(Engine::Sqlite).await, Place::new(Engine::Sqlite).await);
    place.daemon().await.drain().await;
    let daemon = other.daemon().await;
    daemon.picture(1).await;
    daemon.drain().await;
    let there = files_below(&other.blob_folder());
    assert!(!there.is_empty());
    let problem = place.fails(&["backup", "--to", &other.path().display().to_string()], 1);
    assert!(problem.contains("looks like the data folder of a daemon"), "{problem}");
    assert_eq!(files_below(&other.blob_folder()), there);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_file_in_a_place_is_not_waited_for() {
    let place = Place::new(Engine::Sqlite).await;
    place.daemon().await.drain().await;
    place.json(&["backup"]);
    let name = place.shelf.join("20300101T000000.000Z-aaaaaaaa");
    fs::create_dir(&name).unwrap();
    let made = std::process::Command::new("mkfifo").arg(name.join("manifest.json")).status().unwrap();
    assert!(made.success());
    let problem = place.fails(&["backup", "--check"], 1);
    assert!(problem.contains("it is no file"), "{problem}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_leaves_the_room_that_must_stay_free_and_takes_its_copies_away_again() {
    let place = Place::new(Engine::Sqlite).await;
    let daemon = place.daemon().await;
    daemon.picture(1).await;
    daemon.drain().await;
    // As one leaves it that was killed: a copy that no manifest names.
    place.json(&["backup"]);
    for name in begun(&place.shelf) {
        fs::remove_dir_all(place.shelf.join(name)).unwrap();
    }
    assert_eq!(files_below(&place.shelf.join("blobs")).len(), 1);
    let full = place.with("STORAGE__MIN_FREE_BYTES", "1024 TiB");
    let problem = full.fails(&["backup"], 1);
    assert!(problem.contains("bytes free") && problem.contains("storage.min_free_bytes"), "{problem}");
    assert_eq!(files_below(&full.shelf), [full.shelf.join("gristmill-backups.txt")]);
}
