//! Random groups of commands: whatever meets in one, the tables are left whole.

use proptest::prelude::*;

use super::*;
use crate::task::WorkerName;

/// One command of a random group; tasks, nodes and keys by small numbers, so that commands meet.
#[derive(Debug, Clone)]
enum Act {
    Create(Make),
    Claim { node: u128, want: u32, look: bool, suspect: bool },
    Take { task: Option<i64>, owner: bool, lease: Option<u64> },
    Settle { task: i64, behind: u32, outcome: u8 },
    Word { task: i64, behind: u32, word: u8 },
    Progress { task: i64 },
    Cancel { task: i64 },
    Retry { task: i64 },
    Delete { task: i64 },
    Rescue { limit: u32 },
    Pause { manual: bool, paused: bool },
}

/// A task that a random group makes.
#[derive(Debug, Clone)]
struct Make {
    priority: i64,
    delay: i64,
    attached: bool,
    manual: bool,
    owned: bool,
    told: bool,
    unique: Option<u8>,
    expires: Option<u64>,
    timeout: Option<u64>,
}

fn make() -> impl Strategy<Value = Make> {
    let place = (-1..2_i64, -5..20_i64);
    let flags = (any::<bool>(), any::<bool>(), proptest::bool::weighted(0.3), any::<bool>());
    let limits = (
        proptest::option::weighted(0.4, 0..3_u8),
        proptest::option::weighted(0.3, 1..30_u64),
        proptest::option::weighted(0.3, 1..30_u64),
    );
    (place, flags, limits).prop_map(
        |((priority, delay), (attached, manual, owned, told), (unique, expires, timeout))| Make {
            priority,
            delay,
            attached,
            manual,
            owned,
            told,
            unique,
            expires,
            timeout,
        },
    )
}

fn act() -> impl Strategy<Value = Act> {
    let task = 1..14_i64;
    let behind = || prop_oneof![4 => Just(0_u32), 1 => 1..3_u32];
    prop_oneof![
        4 => make().prop_map(Act::Create),
        4 => (1..4_u128, 0..4_u32, any::<bool>(), proptest::bool::weighted(0.3))
            .prop_map(|(node, want, look, suspect)| Act::Claim { node, want, look, suspect }),
        4 => (proptest::option::weighted(0.3, task.clone()), any::<bool>(), proptest::option::of(0..20_u64))
            .prop_map(|(task, owner, lease)| Act::Take { task, owner, lease }),
        4 => (task.clone(), behind(), 0..4_u8)
            .prop_map(|(task, behind, outcome)| Act::Settle { task, behind, outcome }),
        4 => (task.clone(), behind(), 0..6_u8).prop_map(|(task, behind, word)| Act::Word { task, behind, word }),
        1 => task.clone().prop_map(|task| Act::Progress { task }),
        1 => task.clone().prop_map(|task| Act::Cancel { task }),
        2 => task.clone().prop_map(|task| Act::Retry { task }),
        1 => task.prop_map(|task| Act::Delete { task }),
        2 => (1..4_u32).prop_map(|limit| Act::Rescue { limit }),
        1 => (any::<bool>(), any::<bool>()).prop_map(|(manual, paused)| Act::Pause { manual, paused }),
    ]
}

impl Make {
    fn task(&self, now: Timestamp) -> NewTask {
        let micros = |span: Option<u64>| span.map(Duration::from_micros);
        NewTask {
            kind: kind(if self.manual { "manual" } else { "noop" }),
            owner: self.owned.then_some(UserId(1)),
            run_at: (self.delay > 0).then(|| Timestamp::from_micros(now.as_micros() + self.delay)),
            attachments: if self.attached { vec![attachment()] } else { Vec::new() },
            callback: self.told.then(|| "https://example.com/".to_owned()),
            unique_key: self.unique.map(|key| key.to_string()),
            expires_in: micros(self.expires),
            timeout: micros(self.timeout),
            ..urgent(self.priority)
        }
    }
}

impl Act {
    fn command(&self, tables: &Tables) -> Command {
        let attempt = |task: i64, behind: u32| {
            let newest = tables.tasks.get(&TaskId(task)).map_or(0, |task| task.life.attempt.0);
            newest.saturating_sub(behind)
        };
        let owner = |task: i64| tables.tasks.get(&TaskId(task)).and_then(|task| task.life.owner);
        let caller = |task: i64| owner(task).map_or(ANYBODY, Caller::User);
        let failed = |reason| Failure::new(reason, "no luck");
        match *self {
            Self::Create(ref make) => Command::Create(vec![make.task(tables.now)]),
            Self::Claim { node: number, want, look, suspect } => Command::Claim(Claim {
                node: node(number),
                want: vec![(kind("noop"), want)],
                known: Vec::new(),
                look,
                promote: look,
                suspect,
            }),
            Self::Take { task, owner, lease } => Command::Take(Take {
                wanted: task
                    .map_or_else(|| Wanted::Kinds(vec![kind("manual")]), |task| Wanted::Id(TaskId(task))),
                caller: if owner { Caller::User(UserId(1)) } else { ANYBODY },
                holder: lease.map_or(Holder::Person, |_| Holder::Worker("w".parse::<WorkerName>().unwrap())),
                lease: lease.map(Duration::from_micros),
            }),
            Self::Settle { task, behind, outcome } => {
                let outcome = match outcome {
                    0 => done(),
                    1 => Outcome::Failed(failed(FailureReason::Error)),
                    2 => Outcome::Failed(failed(FailureReason::InvalidInput)),
                    _ => Outcome::Interrupted,
                };
                settle(TaskId(task), attempt(task, behind), outcome)
            }
            Self::Word { task, behind, word } => Command::Word {
                task: TaskId(task),
                attempt: Some(Attempt(attempt(task, behind))),
                caller: tables
                    .tasks
                    .get(&TaskId(task))
                    .and_then(|task| task.life.assignee)
                    .map_or(ANYBODY, Caller::User),
                word: match word {
                    0 => Word::Heartbeat(Some(Duration::from_micros(9))),
                    1 => Word::Heartbeat(None),
                    2 => Word::Progress(Percent::new(7)),
                    3 => Word::Complete(Json::null()),
                    4 => Word::Fail(failed(FailureReason::Error)),
                    _ => Word::Release,
                },
                backoff: BACKOFF,
            },
            Self::Progress { task } => Command::Progress {
                task: TaskId(task),
                attempt: Attempt(attempt(task, 0)),
                percent: Percent::new(40),
            },
            Self::Cancel { task } => Command::Cancel { task: TaskId(task), caller: caller(task) },
            Self::Retry { task } => Command::Retry { task: TaskId(task), caller: caller(task) },
            Self::Delete { task } => Command::Delete { task: TaskId(task), caller: caller(task) },
            Self::Rescue { limit } => Command::Rescue { limit, except: None, backoff: BACKOFF },
            Self::Pause { manual, paused } => {
                let kind = kind(if manual { "manual" } else { "noop" });
                Command::SetPaused { kind, paused, caller: Caller::Admin(None) }
            }
        }
    }

    /// The command, by a key now and then.
    fn keyed(&self, key: Option<(u8, u8)>, tables: &Tables) -> Command {
        let command = self.command(tables);
        match (key, self) {
            (None, _) | (Some(_), Self::Claim { .. } | Self::Rescue { .. }) => command,
            (Some((key, request)), _) => once(&key.to_string(), &request.to_string(), command),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 800, failure_persistence: None, ..ProptestConfig::default() })]

    /// The checks are in [`Tables::commit`]. Between groups time passes, or stands still; leases run out, nodes come
    /// back, and callbacks are told.
    #[test]
    fn random_groups_leave_the_tables_whole(
        groups in proptest::collection::vec(
            (
                proptest::collection::vec((act(), proptest::option::weighted(0.15, (0..3_u8, 0..2_u8))), 1..8),
                0..12_i64,
                proptest::option::of((1..4_u128, any::<bool>())),
                any::<bool>(),
            ),
            1..25,
        )
    ) {
        let mut tables = Tables::new();
        for (acts, wait, over, told) in groups {
            tables.now = Timestamp::from_micros(tables.now.as_micros() + wait);
            tables.over.clear();
            if let Some((number, spared)) = over {
                tables.over.insert(node(number), spared);
            }
            if told {
                tables.tell();
            }
            let commands: Vec<Command> = acts.iter().map(|(act, key)| act.keyed(*key, &tables)).collect();
            tables.commit(&commands);
        }
    }
}
