//! Daemons that die while they take messages and tell of events.

use std::os::unix::process::ExitStatusExt as _;
use std::time::Duration;

use gristmill::failpoint::Failpoint;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

use super::field::{Field, Form};
use crate::common::Engine;
use crate::rounds::asked_for;

const SIGKILL: i32 = 9;

/// Deaths at random and at the two instants that there are with a broker only, under a flood of messages and requests.
async fn deaths(engine: Engine) {
    let seed = asked_for("GRISTMILL_CRASH_SEED", rand::random::<u64>);
    println!("{engine:?}, ingress: GRISTMILL_CRASH_SEED={seed}");
    let mut rng = StdRng::seed_from_u64(seed);
    let mut field = Field::shared(engine, Form::Durable).await;
    let (flood, load) = (field.producer.start(300), field.world.clients.start_some(seed, 1..4));
    for point in Failpoint::WITH_A_BROKER {
        for nth in [1, 4] {
            let failpoint = format!("{}:{nth}", point.name());
            let start = field.plain();
            let mut daemon =
                field.world.spawn(&crate::daemon::Start { failpoint: Some(failpoint.clone()), ..start });
            let status = daemon.ended(&format!("{failpoint} was never reached")).await;
            assert_eq!(status.signal(), Some(SIGKILL), "{failpoint}: {status}");
            field.world.deaths += 1;
        }
    }
    for _ in 0..asked_for("GRISTMILL_CRASH_ROUNDS", || 4) {
        let start = field.plain();
        let mut daemon = field.world.spawn(&start);
        daemon.ready().await;
        // The instant is the test's, not a wait for anything.
        tokio::time::sleep(Duration::from_micros(rng.random_range(0..600_000))).await;
        daemon.kill();
        field.world.deaths += 1;
        field.world.place.age_blobs();
    }
    flood.stop().await;
    load.stop().await;
    let start = field.plain();
    let daemon = field.world.start(&start).await;
    let judged = field.end(&mut [daemon]).await;
    assert!(judged.tally.messages > 100, "{}", judged.tally);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_message_is_lost_or_done_twice_when_the_daemon_dies_on_sqlite() {
    deaths(Engine::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_message_is_lost_or_done_twice_when_the_daemon_dies_on_postgres() {
    deaths(Engine::Postgres).await;
}
