//! Three daemons on one PostgreSQL, with data folders of their own and one blob folder: killed, frozen past their lease,
//! drained, with a broker and without.

use std::time::{Duration, Instant};

use gristmill::task::{Attempt, Status};
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

use super::field::{Field, Form};
use crate::common::{Engine, eventually};
use crate::daemon::{Daemon, Start};
use crate::history::Wav;
use crate::load::{Clients, Load};
use crate::rounds::asked_for;
use crate::special::only;
use crate::world::World;

const SEATS: [&str; 3] = ["a", "b", "c"];

/// A daemon, and the clients that come to its door.
struct Node {
    start: Start,
    daemon: Daemon,
    door: Clients,
}

impl Node {
    /// With few permits, so that it leaves some work to others.
    async fn join(world: &World, seat: &'static str, furnish: &impl Fn(Start) -> Start) -> Self {
        let start = Start { seat, ..Start::plain() };
        let start =
            furnish(start.with("KINDS__NOOP__CONCURRENCY", 2).with("KINDS__TRANSCODE__CONCURRENCY", 1));
        let (daemon, door) = (world.place.spawn(&start), world.clients.at_another_door());
        let mut node = Self { start, daemon, door };
        node.open().await;
        node
    }

    async fn open(&mut self) {
        self.daemon.ready().await;
        self.door.turn_to(self.daemon.address()).await;
    }

    async fn again(&mut self, world: &World) {
        self.daemon = world.place.spawn(&self.start);
        self.open().await;
    }

    /// Whether it holds a lease, by the database's word.
    async fn holds_a_lease(&self, world: &World) -> bool {
        let text =
            "SELECT name FROM nodes WHERE lease_until > extract(epoch FROM clock_timestamp()) * 1000000";
        let names: Vec<(String,)> = world.postgres_rows(text).await;
        names.iter().any(|(name,)| self.is(name))
    }

    /// Whether that is its name in the table of nodes.
    fn is(&self, name: &str) -> bool {
        name.ends_with(&format!(":{}", self.daemon.pid()))
    }

    /// Frozen until its lease is over, and until it has another.
    async fn freeze(&self, world: &World) {
        self.daemon.signal("STOP");
        eventually("the lease to run out", async || (!self.holds_a_lease(world).await).then_some(())).await;
        self.daemon.signal("CONT");
        eventually("another lease", async || self.holds_a_lease(world).await.then_some(())).await;
    }
}

async fn three(world: &World, furnish: impl Fn(Start) -> Start) -> Vec<Node> {
    let mut nodes = Vec::new();
    for seat in SEATS {
        nodes.push(Node::join(world, seat, &furnish).await);
    }
    nodes
}

/// Work that comes in at one door is done by all.
async fn is_shared(nodes: &[Node]) {
    eventually("each node to do some of it", async || {
        nodes[0].door.batch(100).await;
        for node in nodes {
            let done = r#"gristmill_task_events_total{kind="noop",event="completed"}"#;
            Field::metric(&node.door, done).await.filter(|done| *done > 0.0)?;
        }
        Some(())
    })
    .await;
}

/// Deaths, freezes and drains, one after the other, at random instants. Those who died are started again.
async fn rounds(world: &mut World, nodes: &mut [Node], seed: u64) {
    let mut rng = StdRng::seed_from_u64(seed);
    for round in 0..asked_for("GRISTMILL_CRASH_ROUNDS", || 20) {
        // The instant is the test's, not a wait for anything.
        tokio::time::sleep(Duration::from_micros(rng.random_range(0..200_000))).await;
        let node = &mut nodes[rng.random_range(0..SEATS.len())];
        match round % 10 {
            4 => {
                node.freeze(world).await;
                world.deaths += 1;
            }
            7 => {
                node.daemon.drain().await;
                node.again(world).await;
            }
            _ => {
                node.daemon.kill();
                world.deaths += 1;
                node.again(world).await;
            }
        }
    }
}

async fn stop(loads: Vec<Load>) {
    for load in loads {
        load.stop().await;
    }
}

fn load(nodes: &[Node], seed: u64) -> Vec<Load> {
    nodes.iter().zip(seed..).map(|(node, seed)| node.door.start_some(seed, 1..3)).collect()
}

fn seed(story: &str) -> u64 {
    let seed = asked_for("GRISTMILL_CRASH_SEED", || rand::random::<u32>().into());
    println!("{story}: GRISTMILL_CRASH_SEED={seed}");
    seed
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_nodes_with_a_broker_share_the_work_and_lose_none_when_they_die_freeze_and_drain() {
    let seed = seed("three nodes with a broker");
    let mut field = Field::shared(Engine::Postgres, Form::Durable).await;
    let url = field.url.clone();
    let mut nodes = three(&field.world, |start| Field::furnish(start, &url)).await;
    is_shared(&nodes).await;
    let (loads, flood) = (load(&nodes, seed), field.producer.start(100));
    rounds(&mut field.world, &mut nodes, seed).await;
    stop(loads).await;
    flood.stop().await;
    let mut daemons: Vec<Daemon> = nodes.into_iter().map(|node| node.daemon).collect();
    field.end(&mut daemons).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_nodes_without_a_broker_share_the_work_and_lose_none_when_they_die_freeze_and_drain() {
    let seed = seed("three nodes without a broker");
    let mut world = World::begin(Engine::Postgres).await;
    let mut nodes = three(&world, |start| start).await;
    is_shared(&nodes).await;
    let loads = load(&nodes, seed);
    rounds(&mut world, &mut nodes, seed).await;
    stop(loads).await;
    world.idle().await;
    for mut node in nodes {
        node.daemon.drain().await;
    }
    let judged = world.judge().await;
    println!("{}", judged.tally);
    assert!(judged.tally.completed > 0 && judged.tally.recordings > 0, "nothing was done: {}", judged.tally);
}

/// Long enough to be caught in the middle.
const LONG: Wav = Wav { millis: 120_000, hertz: 1_000 };

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_cancelled_at_one_node_stops_at_another_and_what_the_cleaner_ran_is_freed_by_the_next() {
    let mut world = World::begin(Engine::Postgres).await;
    let one = Node::join(&world, SEATS[0], &|start| start).await;
    let task = only(&one.door.upload(LONG, "respond-async").await);
    world.clients.turn_to(one.daemon.address()).await;
    world.see(task, true, "it runs", |seen| seen.status == Status::InProgress).await;
    let other = Node::join(&world, SEATS[1], &|start| start).await;
    other.door.cancel(task, true).await;
    let begun = Instant::now();
    eventually("the run to stop", async || {
        let runs = Field::metric(&one.door, r#"gristmill_runs_in_progress{kind="transcode"}"#).await?;
        (runs == 0.0).then_some(())
    })
    .await;
    println!("a run that was cancelled at another node stopped after {:?}", begun.elapsed());

    let third = Node::join(&world, SEATS[2], &|start| start).await;
    let mut nodes = vec![one, other, third];
    let cleaner = eventually("somebody to clean up", async || {
        let text = "SELECT nodes.name FROM duties JOIN nodes ON nodes.id = duties.node WHERE duties.name = 'janitor' \
                    AND lease_until > extract(epoch FROM clock_timestamp()) * 1000000";
        let rows: Vec<(String,)> = world.postgres_rows(text).await;
        nodes.iter().position(|node| rows.first().is_some_and(|(name,)| node.is(name)))
    })
    .await;
    // Where it comes in it runs, as there is a free permit.
    let held = only(&nodes[cleaner].door.upload(LONG, "respond-async").await);
    world.clients.turn_to(nodes[cleaner].daemon.address()).await;
    world.see(held, true, "it runs", |seen| seen.status == Status::InProgress).await;
    let mut dead = nodes.swap_remove(cleaner);
    dead.daemon.kill();
    world.deaths += 1;
    let begun = Instant::now();
    world.clients.turn_to(nodes[0].daemon.address()).await;
    eventually("another to clean up", async || {
        let rows: Vec<(i64,)> = world.rows("SELECT id FROM tasks WHERE crashes = 1").await;
        (rows == [(held.0,)]).then_some(())
    })
    .await;
    println!("the task of a dead node was free after {:?}", begun.elapsed());
    world.see(held, true, "it runs elsewhere", |seen| seen.attempt == Attempt(2)).await;
    println!("it ran elsewhere after {:?}", begun.elapsed());
    world.idle().await;
    for node in &mut nodes {
        node.daemon.drain().await;
    }
    // Its drafts go when it comes back.
    dead.again(&world).await;
    dead.daemon.drain().await;
    let judged = world.judge().await;
    assert_eq!((judged.tally.completed, judged.tally.cancelled), (1, 1), "{}", judged.tally);
    assert_eq!(judged.tally.lost_workers, 1, "{}", judged.tally);
}
