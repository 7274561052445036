//! Deaths at every named instant, one place for each.

use std::os::unix::process::ExitStatusExt;

use gristmill::failpoint::Failpoint;

use crate::common::Engine;
use crate::daemon::Start;
use crate::world::World;

const SIGKILL: i32 = 9;

/// Which times of reaching the instant are deadly: the first, and one under full load.
fn times(point: Failpoint) -> &'static [u64] {
    match point {
        Failpoint::CommitBefore | Failpoint::CommitAfter => &[1, 60],
        Failpoint::ClaimedBeforeRun | Failpoint::RunDone => &[1, 40],
        Failpoint::BlobSynced | Failpoint::BlobMoved => &[1, 9],
        Failpoint::LeaseRenewed => &[1, 2],
        Failpoint::InboxBeforeAck | Failpoint::RelayBeforeNote => unreachable!("there is no broker here"),
        Failpoint::QuestionsSaved => unreachable!("nobody asks for questions here"),
        Failpoint::BackupRowsPut
        | Failpoint::BackupBlobCopied
        | Failpoint::BackupBeforeManifest
        | Failpoint::RestoreBlobsPut
        | Failpoint::RestoreRowsPut => unreachable!("nobody makes backups here"),
        // A daemon drains once.
        Failpoint::DrainBegun => &[1],
    }
}

async fn every_point(engine: Engine) {
    for point in Failpoint::ALL {
        for nth in times(point) {
            let failpoint = format!("{}:{nth}", point.name());
            let mut world = World::begin(engine).await;
            let mut daemon = world.spawn(&Start::dying_at(failpoint.clone()));
            let load = world.clients.start(*nth);
            if point == Failpoint::DrainBegun {
                world.clients.answered(40).await;
                daemon.signal("TERM");
            }
            let status = daemon.ended(&format!("{failpoint} was never reached")).await;
            assert_eq!(status.signal(), Some(SIGKILL), "{failpoint}: {status}");
            world.deaths += 1;
            load.stop().await;
            let judged = world.judge().await;
            println!("{engine:?}, {failpoint}: {}; {} blobs swept", judged.tally, judged.swept);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_accepted_task_is_lost_doubled_or_stuck_when_the_daemon_dies_at_a_failpoint_on_sqlite() {
    every_point(Engine::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_accepted_task_is_lost_doubled_or_stuck_when_the_daemon_dies_at_a_failpoint_on_postgres() {
    every_point(Engine::Postgres).await;
}
