//! Backups and restores that are cut off, and backups that are not what they were.

use std::fs;
use std::os::unix::process::ExitStatusExt as _;

use gristmill::backup::Name;
use gristmill::failpoint::Failpoint;
use serde_json::json;

use crate::common::Engine;
use crate::place::{Patient, Place, begun, files_below, make_old, said, sums};

async fn filled(engine: Engine) -> Place {
    let place = Place::new(engine).await;
    let daemon = place.daemon().await;
    let user = daemon.user("ann").await;
    daemon.record(&user, 500.0).await;
    daemon.picture(1).await;
    daemon.drain().await;
    place
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_that_is_killed_is_none_and_does_not_stay() {
    let place = filled(Engine::Sqlite).await;
    for point in Failpoint::IN_A_BACKUP {
        let _ = fs::remove_dir_all(&place.shelf);
        let killed = place.command(&["backup"]).env("GRISTMILL_FAILPOINT", point.name()).output().unwrap();
        assert_eq!(killed.status.signal(), Some(9), "{point:?} was not reached: {}", said(&killed));
        assert_eq!(begun(&place.shelf).len(), 1, "{point:?}: something was begun");
        assert!(place.list().is_empty(), "{point:?}: and passes for nothing");
        let problem = place.fails(&["restore", &place.shelf.display().to_string()], 1);
        assert!(problem.contains("not empty") || problem.contains("has no backup"), "{problem}");

        // The next one is not hindered by it, nor by its hold.
        let next = place.json(&["backup"]);
        assert_eq!(next["lost"], 0, "{point:?}");
        assert_eq!(begun(&place.shelf).len(), 2, "{point:?}: it may still be running, for all that is known");
        for file in files_below(&place.shelf.join(&begun(&place.shelf)[0])) {
            make_old(&file).unwrap();
        }
        for file in files_below(&place.shelf.join("tmp")) {
            make_old(&file).unwrap();
        }
        let last = place.json(&["backup"]);
        let names: Vec<String> =
            [&next, &last].iter().map(|made| made["name"].as_str().unwrap().to_owned()).collect();
        assert_eq!(begun(&place.shelf), names, "{point:?}: after a day it is gone");
        assert!(files_below(&place.shelf.join("tmp")).is_empty(), "{point:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restore_that_is_killed_is_begun_again() {
    for engine in Engine::ALL {
        let place = filled(engine).await;
        let made = place.json(&["backup"]);
        let shelf = place.shelf.display().to_string();
        let manifest = place.manifest(made["name"].as_str().unwrap());
        for point in Failpoint::IN_A_RESTORE {
            let new = place.beside(engine).await;
            let killed =
                new.command(&["restore", &shelf]).env("GRISTMILL_FAILPOINT", point.name()).output().unwrap();
            assert_eq!(killed.status.signal(), Some(9), "{point:?} was not reached: {}", said(&killed));
            if engine == Engine::Sqlite {
                assert_eq!(new.archive().schema().await.unwrap().0, None, "{point:?}: half a database");
            }
            new.json(&["restore", &shelf]);
            let again = new.json(&["backup"]);
            let again = new.manifest(again["name"].as_str().unwrap());
            assert_eq!(sums(&again), sums(&manifest), "{point:?}");
            assert_eq!(new.sound_blobs() as u64, manifest.blob_count, "{point:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_byte_that_is_another_is_found_wherever_it_is() {
    let place = filled(Engine::Sqlite).await;
    let made = place.json(&["backup"]);
    let name: Name = made["name"].as_str().unwrap().parse().unwrap();
    let backups = place.backups();
    let (checked, files) = tokio::task::spawn_blocking(move || {
        let mut checked = 0;
        let sound = || backups.check(Some(&name), &Patient);
        sound().unwrap();
        // That the place is one of backups is told by a file's being there: it belongs to none of them.
        let mut files = files_below(&place.shelf);
        files.retain(|file| *file != place.shelf.join("gristmill-backups.txt"));
        for file in &files {
            let bytes = fs::read(file).unwrap();
            let step = (bytes.len() / 7).max(1);
            for at in (0..bytes.len()).step_by(step).chain(bytes.len().checked_sub(1)) {
                let mut other = bytes.clone();
                other[at] ^= 1 << (at % 8);
                fs::write(file, &other).unwrap();
                assert!(sound().is_err(), "{}: byte {at} is another", file.display());
                checked += 1;
            }
            fs::write(file, &bytes[..bytes.len() - 1]).unwrap();
            assert!(sound().is_err(), "{}: the last byte is gone", file.display());
            fs::write(file, [&bytes[..], &b"\n"[..]].concat()).unwrap();
            assert!(sound().is_err(), "{}: there is a byte more", file.display());
            fs::remove_file(file).unwrap();
            assert!(sound().is_err(), "{} is gone", file.display());
            fs::write(file, &bytes).unwrap();
        }
        sound().unwrap();
        // The command says it by its exit code, and a restore is refused before it writes anything.
        let table = files.iter().find(|file| file.ends_with("tasks.jsonl.gz")).unwrap();
        let mut bytes = fs::read(table).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 0x10;
        fs::write(table, bytes).unwrap();
        let problem = place.fails(&["backup", "--check", name.as_str()], 3);
        assert!(problem.contains("tasks.jsonl.gz"), "{problem}");
        (checked, (files, place))
    })
    .await
    .unwrap();
    let (files, place) = files;
    assert!(checked > 100 && files.len() > 25, "{checked} bytes of {} files", files.len());
    let new = place.beside(Engine::Sqlite).await;
    let problem = new.fails(&["restore", &place.shelf.display().to_string()], 1);
    assert!(problem.contains("tasks.jsonl.gz"), "{problem}");
    assert_eq!((new.sound_blobs(), new.archive().schema().await.unwrap().0), (0, None));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ctrl_c_or_sigterm_ends_a_backup_and_leaves_nothing() {
    let place = filled(Engine::Sqlite).await;
    for name in ["INT", "TERM"] {
        let mut child =
            place.command(&["backup"]).env("GRISTMILL_FAILPOINT", "backup_rows_put=STOP").spawn().unwrap();
        crate::common::eventually("it has begun", || async {
            let stat = fs::read_to_string(format!("/proc/{}/stat", child.id())).unwrap();
            stat.rsplit_once(") ").unwrap().1.starts_with('T').then_some(())
        })
        .await;
        crate::place::signal(child.id(), name);
        crate::place::signal(child.id(), "CONT");
        let status = tokio::task::spawn_blocking(move || child.wait().unwrap()).await.unwrap();
        assert_eq!(status.code(), Some(130));
        assert_eq!(begun(&place.shelf), Vec::<String>::new());
    }
    assert_eq!(place.json(&["backup"])["removed"], json!([]));
}
