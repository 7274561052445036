//! The end of a daemon, and the next one's beginning.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;

use gristmill::app::{App, StartError, open_store};
use gristmill::clock::Clock;
use gristmill::kinds::Registry;
use gristmill::task::{EventName, EventSeq, Status, TaskId};
use serde_json::json;

use crate::harness::{Daemon, on_system, settings};

#[test]
fn a_drain_gives_back_what_does_not_finish_and_it_costs_no_try() {
    on_system(async || {
        let folder = tempfile::tempdir().unwrap();
        let daemon = Daemon::start(folder.path(), &[("SHUTDOWN__GRACE_S", "0.2")]).await;
        let waits = daemon.submit("wait", json!({})).await;
        daemon.until(waits, "In Progress").await;
        daemon.app.drain().await;
        assert_eq!(daemon.chaos.state.stopped.load(Ordering::SeqCst), 1, "it was asked to stop");

        let store =
            open_store(&settings(folder.path(), &[]), &BTreeSet::new(), Clock::system()).await.unwrap();
        let life = store.task(TaskId(waits)).await.unwrap().unwrap().life;
        assert_eq!((life.status(), life.failures, life.crashes, life.attempt.0), (Status::New, 0, 0, 1));
        store.close().await;
        drop(store);

        let daemon = Daemon::start(folder.path(), &[]).await;
        daemon.chaos.state.release();
        assert_eq!(daemon.until(waits, "Completed").await["attempt"], 2);
        daemon.app.drain().await;
    });
}

#[test]
fn a_drain_lets_runs_finish_within_the_grace() {
    on_system(async || {
        let folder = tempfile::tempdir().unwrap();
        let daemon = Daemon::start(folder.path(), &[("SHUTDOWN__GRACE_S", "30")]).await;
        let waits = daemon.submit("wait", json!({})).await;
        daemon.until(waits, "In Progress").await;
        let state = daemon.chaos.state.clone();
        tokio::spawn(async move {
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            state.release();
        });
        daemon.app.drain().await;

        let store =
            open_store(&settings(folder.path(), &[]), &BTreeSet::new(), Clock::system()).await.unwrap();
        assert_eq!(store.task(TaskId(waits)).await.unwrap().unwrap().life.status(), Status::Completed);
        let events = store.events_after(EventSeq(0), 100).await.unwrap();
        let names: Vec<EventName> = events.iter().map(|(_, event)| event.fact.name()).collect();
        assert_eq!(names, [EventName::Created, EventName::Started, EventName::Completed]);
        store.close().await;
    });
}

#[test]
fn one_data_folder_has_one_daemon() {
    on_system(async || {
        let folder = tempfile::tempdir().unwrap();
        let daemon = Daemon::start(folder.path(), &[]).await;
        let settings = settings(folder.path(), &[]);
        let second = App::start(settings, Registry::configured).await;
        assert!(matches!(second, Err(StartError::SeatTaken { .. })));
        daemon.still_works().await;
        daemon.app.drain().await;
    });
}
