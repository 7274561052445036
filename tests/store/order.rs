//! The one public order of events, under writers that race.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use gristmill::store::{Command, PostgresStore, Store};
use gristmill::task::{EventSeq, TaskId};

use crate::bench::new_task;
use crate::common::{fresh_postgres_database, postgres_options};

/// Several nodes on one PostgreSQL write at once while a reader follows by the last number it saw. Were numbers
/// given in any other order than that of the commits, the reader would pass over some.
#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_follows_the_numbers_misses_nothing_while_four_nodes_write() {
    const NODES: usize = 4;
    const GROUPS: usize = 150;
    let url = fresh_postgres_database().await;
    let open = async || {
        PostgresStore::open(&postgres_options(url.clone()), gristmill::clock::Clock::system()).await.unwrap()
    };
    let finished = Arc::new(AtomicUsize::new(0));
    let mut writers = tokio::task::JoinSet::new();
    for node in 0..NODES {
        let (store, finished) = (open().await, finished.clone());
        writers.spawn(async move {
            for group in 0..GROUPS {
                let size = 1 + (node * 7 + group * 3) % 5;
                store.commit(&[Command::Create(vec![new_task(); size])]).await.unwrap();
            }
            finished.fetch_add(1, Ordering::SeqCst);
        });
    }
    let reader = open().await;
    let (mut seen, mut last) = (HashSet::<TaskId>::new(), EventSeq(0));
    loop {
        let over = finished.load(Ordering::SeqCst) == NODES;
        let events = reader.events_after(last, 7).await.unwrap();
        if events.is_empty() && over {
            break;
        }
        for (seq, event) in events {
            assert!(seq > last);
            last = seq;
            assert!(seen.insert(event.task), "told twice");
        }
    }
    writers.join_all().await;
    let mut all = HashSet::new();
    let mut after = EventSeq(0);
    loop {
        let events = reader.events_after(after, 1000).await.unwrap();
        let Some((seq, _)) = events.last() else { break };
        after = *seq;
        all.extend(events.iter().map(|(_, event)| event.task));
    }
    assert_eq!(seen, all, "the follower and the later look agree");
}
