//! Fifty restarts with the prefetch full: none of them may cost a message one of its deliveries.

use std::os::unix::process::ExitStatusExt as _;

use gristmill::failpoint::Failpoint;

use super::field::{Field, Form};
use crate::common::{Engine, eventually};
use crate::daemon::Start;

/// A drain gives nothing back that it has taken: a message that came back even once would be dead.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_five_drains_with_a_full_prefetch_give_no_message_back() {
    let mut field = Field::shared(Engine::Postgres, Form::Quorum { limit: 0 }).await;
    let flood = field.producer.start(200);
    for _ in 0..25 {
        eventually("more to wait than one may hold", async || {
            (field.queue().await.messages > 20).then_some(())
        })
        .await;
        let start = field.plain().with("BROKER__PREFETCH", 20);
        let taken = field.tasks_of_messages().await;
        let mut daemon = field.world.start(&start).await;
        field.messages_became_tasks(taken + 1).await;
        daemon.drain().await;
        assert_eq!(field.dead().await, 0, "messages were given back");
    }
    flood.stop().await;
    let start = field.plain();
    let daemon = field.world.start(&start).await;
    field.end(&mut [daemon]).await;
}

/// Deaths at the worst instant, each time with the same messages in hand: one delivery a death, and no more. With a
/// limit below the number of deaths the broker itself would bury them, though their tasks are long done.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_five_deaths_before_the_first_acknowledgement_leave_the_dead_queue_empty() {
    let mut field = Field::shared(Engine::Sqlite, Form::Quorum { limit: 25 }).await;
    field.producer.send(100).await;
    for _ in 0..25 {
        let start = field.plain().with("BROKER__PREFETCH", 20);
        let failpoint = Some(Failpoint::InboxBeforeAck.name().to_owned());
        let mut daemon = field.world.spawn(&Start { failpoint, ..start });
        let status = daemon.ended("no message was taken").await;
        assert_eq!(status.signal(), Some(9), "{status}");
        field.world.deaths += 1;
    }
    let start = field.plain();
    let daemon = field.world.start(&start).await;
    let judged = field.end(&mut [daemon]).await;
    assert_eq!(judged.end.tasks.len(), 100, "{}", judged.tally);
}
