//! Deaths at random instants, one after the other, in one place that lives through them all.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

use crate::common::{Engine, eventually};
use crate::daemon::{Daemon, Start};
use crate::world::World;

/// How a daemon's turn ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// SIGKILL, so long after it was ready.
    Killed(Duration),
    /// SIGKILL, so long after it was started.
    KilledAtStart(Duration),
    /// SIGTERM, so long after it was ready.
    Drained(Duration),
    /// SIGSTOP, so long after it was ready, until it has lost its lease. Where several may share the database,
    /// another takes over meanwhile and is killed after it woke up.
    Frozen(Duration),
}

impl Fate {
    fn draw(rng: &mut StdRng, round: u64) -> Self {
        let mut within = |millis: u64| Duration::from_micros(rng.random_range(0..millis * 1000));
        let (soon, later) = (within(300), within(1_200));
        match rng.random_range(0..100) {
            _ if round % 15 == 7 => Self::Frozen(later),
            0..15 => Self::KilledAtStart(soon),
            15..25 => Self::Drained(later),
            _ => Self::Killed(later),
        }
    }
}

/// A number from the environment, or one of our own.
pub(crate) fn asked_for(name: &str, otherwise: impl FnOnce() -> u64) -> u64 {
    match std::env::var(name) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{name}={text}: expected a whole number")),
        Err(_) => otherwise(),
    }
}

async fn rounds(engine: Engine) {
    let kills = asked_for("GRISTMILL_CRASH_ROUNDS", || 20);
    let seed = asked_for("GRISTMILL_CRASH_SEED", rand::random::<u64>);
    println!("{engine:?}: {kills} kills, GRISTMILL_CRASH_SEED={seed}");
    let begun = std::time::Instant::now();
    let mut rng = StdRng::seed_from_u64(seed);
    let mut world = World::begin(engine).await;
    let load = world.clients.start(seed);
    let (mut killed, mut drained, mut frozen) = (0, 0, 0);
    for round in 0.. {
        if killed >= kills {
            break;
        }
        let fate = Fate::draw(&mut rng, round);
        let mut daemon = world.spawn(&Start::plain());
        match fate {
            Fate::KilledAtStart(after) => {
                tokio::time::sleep(after).await;
                daemon.kill();
                killed += 1;
                world.deaths += 1;
            }
            Fate::Killed(after) => {
                daemon.ready().await;
                tokio::time::sleep(after).await;
                daemon.kill();
                killed += 1;
                world.deaths += 1;
            }
            Fate::Drained(after) => {
                daemon.ready().await;
                tokio::time::sleep(after).await;
                daemon.drain().await;
                drained += 1;
            }
            Fate::Frozen(after) => {
                daemon.ready().await;
                tokio::time::sleep(after).await;
                killed += freeze(&mut world, &mut daemon).await;
                frozen += 1;
            }
        }
        // What lies without an owner now is old, so that the next sweep takes it.
        world.place.age_blobs();
    }
    load.stop().await;
    if engine == Engine::Postgres && frozen > 0 {
        // The other one's drafts go when it comes back.
        let mut other = world.place.spawn(&Start { seat: "other", ..Start::plain() });
        other.ready().await;
        other.drain().await;
    }
    let judged = world.judge().await;
    println!(
        "{engine:?}: {killed} kills, {drained} drains, {frozen} frozen past the lease; {}; {} blobs swept; {:?}",
        judged.tally,
        judged.swept,
        begun.elapsed()
    );
    assert!(judged.tally.completed > 0 && judged.tally.recordings > 0, "nothing was done: {}", judged.tally);
}

/// Freezes a daemon until its lease has run out, and another has taken over where that is possible; wakes it, and
/// kills first the other, then the one that woke. Says how many it killed.
async fn freeze(world: &mut World, daemon: &mut Daemon) -> u64 {
    daemon.signal("STOP");
    let mut other = None;
    if world.place.engine() == Engine::Postgres {
        let other = other.insert(world.spawn(&Start { seat: "other", ..Start::plain() }));
        other.ready().await;
        leases(world, 1).await;
    } else {
        leases(world, 0).await;
    }
    daemon.signal("CONT");
    let two = other.is_some();
    leases(world, 1 + i64::from(two)).await;
    if let Some(mut other) = other {
        other.kill();
        world.clients.follow(daemon.address());
        // Until what the other held may be freed.
        leases(world, 1).await;
    }
    daemon.ready().await;
    daemon.kill();
    // The frozen one's runs were lost with its lease, before it was killed.
    world.deaths += 2 + usize::from(two);
    1 + u64::from(two)
}

/// Waits until so many nodes hold a lease.
pub(crate) async fn leases(world: &World, count: i64) {
    eventually(&format!("{count} nodes hold a lease"), async || {
        let held: Vec<(i64,)> = match world.place.engine() {
            Engine::Sqlite => {
                world
                    .rows("SELECT count(*) FROM nodes WHERE lease_until > unixepoch('subsec') * 1000000")
                    .await
            }
            Engine::Postgres => {
                let now = "SELECT count(*) FROM nodes \
                           WHERE lease_until > extract(epoch FROM clock_timestamp()) * 1000000";
                world.rows(now).await
            }
        };
        (held == [(count,)]).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_accepted_task_is_lost_doubled_or_stuck_when_the_daemon_dies_at_random_on_sqlite() {
    rounds(Engine::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_accepted_task_is_lost_doubled_or_stuck_when_the_daemon_dies_at_random_on_postgres() {
    rounds(Engine::Postgres).await;
}
