//! What keeps a sweep from its work, and where it goes on.

use std::fs::{self, File};
use std::path::Path;
use std::time::SystemTime;

use uuid::Uuid;

use super::*;
use crate::clock::Clock;
use crate::store::{Archive as _, NewTask, SqliteArchive, SqliteStore};

const HOUR: Duration = Duration::from_secs(3600);

/// A store that has or never had a task, beside an empty folder of blobs.
async fn tidy(home: &Path, clock: &Clock, named_once: bool) -> Tidy {
    let store = SqliteStore::open(&file(home), 2, Duration::from_secs(30), clock.clone()).await.unwrap();
    if named_once {
        let task = NewTask::plain("noop".parse().unwrap(), None);
        store.commit(&[Command::Create(vec![task])]).await.unwrap();
    }
    Tidy {
        store: Arc::new(store),
        blobs: Blobs::open(&home.join("blobs"), "seat").unwrap(),
        hand: Hand::Store,
        retention: Arc::default(),
        grace: HOUR,
        watch: clock.watch(),
        place: Place::default(),
    }
}

fn file(home: &Path) -> std::path::PathBuf {
    home.join("gristmill.db")
}

/// A blob of that number that nothing names, older than the grace.
fn loose(home: &Path, number: usize) {
    let folder = home.join("blobs/00");
    fs::create_dir_all(&folder).unwrap();
    let file = File::create(folder.join(format!("{number:062x}"))).unwrap();
    file.set_modified(SystemTime::now() - 2 * HOUR).unwrap();
}

/// A sweep is held, and a look says so beforehand.
async fn is_held(tidy: &Tidy, held: Held) {
    assert_eq!(tidy.look(0, None).await.unwrap().held, Some(held));
    for until in [None, Some(Instant::now())] {
        assert_eq!(tidy.sweep(until).await.unwrap(), Cleared { held: Some(held), ..Cleared::default() });
    }
}

async fn swept(tidy: &Tidy, until: Option<Instant>) -> (u64, bool) {
    assert_eq!(tidy.look(0, until).await.unwrap().held, None);
    let cleared = tidy.sweep(until).await.unwrap();
    assert_eq!(cleared.held, None);
    (cleared.swept.blobs, cleared.more)
}

#[tokio::test]
async fn by_a_database_that_never_had_a_task_no_blob_is_swept() {
    let home = tempfile::tempdir().unwrap();
    let tidy = tidy(home.path(), &Clock::system(), false).await;
    assert_eq!(swept(&tidy, None).await, (0, false), "there is nothing");
    loose(home.path(), 1);
    is_held(&tidy, Held::EmptyDatabase).await;
    let task = NewTask::plain("noop".parse().unwrap(), None);
    tidy.store.commit(&[Command::Create(vec![task])]).await.unwrap();
    assert_eq!(swept(&tidy, None).await, (1, false));
}

#[tokio::test]
async fn a_hold_of_another_process_keeps_the_sweep_after_the_clock_was_set_back_too() {
    let (home, clock) = (tempfile::tempdir().unwrap(), Clock::system());
    let tidy = tidy(home.path(), &clock, true).await;
    loose(home.path(), 1);
    // This process makes up for the step; one that starts after it knows no other time.
    let _told = clock.now();
    clock.set_back(HOUR);
    let other = Clock::system();
    other.set_back(HOUR);
    let (archive, hold) = (SqliteArchive::new(&file(home.path()), other), Uuid::new_v4());
    archive.hold(hold, Duration::from_secs(60)).await.unwrap();
    is_held(&tidy, Held::Backup).await;
    archive.let_go(hold).await.unwrap();
    assert_eq!(swept(&tidy, None).await, (1, false));
}

#[tokio::test]
async fn by_a_database_whose_rows_were_moved_away_no_blob_is_swept() {
    let (home, clock) = (tempfile::tempdir().unwrap(), Clock::system());
    let tidy = tidy(home.path(), &clock, true).await;
    loose(home.path(), 1);
    let archive = SqliteArchive::new(&file(home.path()), clock.clone());
    for _ in 0..2 {
        archive.leave().await.unwrap();
        is_held(&tidy, Held::MovedAway).await;
    }
    assert!(tidy.store.moved_away().await.unwrap().is_some());
}

#[tokio::test]
async fn after_a_step_forward_nobody_sweeps() {
    let (home, clock) = (tempfile::tempdir().unwrap(), Clock::system());
    let tidy = tidy(home.path(), &clock, true).await;
    loose(home.path(), 1);
    clock.advance(HOUR);
    is_held(&tidy, Held::Clock).await;
    is_held(&tidy.clone(), Held::Clock).await;
}

#[tokio::test]
async fn a_sweep_whose_time_is_over_says_so_and_the_next_goes_on_there() {
    let home = tempfile::tempdir().unwrap();
    let tidy = tidy(home.path(), &Clock::system(), true).await;
    (1..=Tidy::BLOBS + 2).for_each(|number| loose(home.path(), number));
    let over = Some(Instant::now());
    let found = tidy.look(3, over).await.unwrap();
    assert_eq!((found.blobs, found.names.len(), found.more), (Tidy::BLOBS as u64, 3, true));
    assert_eq!(tidy.look(0, None).await.unwrap().blobs, Tidy::BLOBS as u64 + 2);

    assert_eq!(swept(&tidy, over).await, (Tidy::BLOBS as u64, true));
    loose(home.path(), 0);
    assert_eq!(swept(&tidy, over).await, (2, false), "it began after those that it had looked at");
    assert_eq!(swept(&tidy, over).await, (1, false), "and the next at the beginning");
}
