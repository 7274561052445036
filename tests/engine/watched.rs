//! What the watchdog is told: who does not answer, and what is an answer.

use std::time::Duration;

use crate::common::eventually;
use crate::common::faulty::Fault;
use crate::harness::{Daemon, on_system};

/// Less than the daemon waits for its database.
const PATIENCE: Duration = Duration::from_millis(500);

#[test]
fn a_database_that_never_answers_is_a_silence_and_one_that_complains_is_none() {
    on_system(async || {
        let folder = tempfile::tempdir().unwrap();
        let wishes = [("DATABASE__STATEMENT_TIMEOUT_S", "1")];
        let (daemon, store) = Daemon::start_faulty(folder.path(), &wishes).await;
        assert_eq!(daemon.app.silence(PATIENCE).await, None);

        store.set(Fault::Corrupt);
        assert_eq!(daemon.app.silence(PATIENCE).await, None, "that was an answer");
        store.set(Fault::None);

        store.set(Fault::Silent);
        let told = daemon.app.silence(PATIENCE).await;
        assert_eq!(told.as_deref(), Some("the database does not answer what is written"));
        store.set(Fault::None);
        eventually("the tracker to give up on it", async || {
            daemon.app.silence(PATIENCE).await.is_none().then_some(())
        })
        .await;
        daemon.still_works().await;
        daemon.app.drain().await;
    });
}

#[test]
fn that_we_found_no_way_to_a_database_in_this_process_is_a_silence_too() {
    on_system(async || {
        let folder = tempfile::tempdir().unwrap();
        let (daemon, store) = Daemon::start_faulty(folder.path(), &[]).await;
        store.set(Fault::Unavailable);
        assert!(daemon.app.silence(PATIENCE).await.is_some());
        store.set(Fault::None);
        daemon.app.drain().await;
    });
}
