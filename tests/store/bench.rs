//! What the tests of the store stand on: a store of their own with a node registered, and short words for commands.

use std::sync::Arc;
use std::time::Duration;

use gristmill::account::{Caller, Email, NewUser, Token};
use gristmill::store::{
    Claim, Claimed, Command, NewTask, Order, Page, Refused, Registration, Remember, RememberedAnswer, Reply,
    Rescued, Settled, Store, Take, Taken, Wanted, Word,
};
use gristmill::task::{
    Attempt, Backoff, EventSeq, Failure, FailureReason, Holder, Json, Kind, NodeId, Outcome, Priority, Task,
    TaskId, UserId,
};

use crate::common::{Engine, TestStore};

/// The kinds that workers outside do, in these tests.
pub(crate) const OUTSIDE: [&str; 2] = ["manual", "resize"];

pub(crate) struct Bench {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) test: TestStore,
    pub(crate) node: NodeId,
}

impl Bench {
    pub(crate) async fn open(engine: Engine) -> Self {
        let test = TestStore::open_with(engine, &OUTSIDE).await;
        let bench = Self { store: test.store.clone(), test, node: NodeId::fresh() };
        bench.register(bench.node, "seat", None).await;
        bench
    }

    pub(crate) async fn register(&self, node: NodeId, seat: &str, predecessor: Option<NodeId>) {
        let (seat, name) = (seat.to_owned(), "test".to_owned());
        let lease = Duration::from_secs(10);
        self.store.register(&Registration { node, seat, name, lease, predecessor }).await.unwrap();
    }

    pub(crate) async fn one(&self, command: Command) -> Reply {
        let mut committed = self.store.commit(&[command]).await.unwrap();
        committed.replies.remove(0).unwrap()
    }

    pub(crate) async fn create(&self, tasks: Vec<NewTask>) -> Vec<Task> {
        match self.one(Command::Create(tasks)).await {
            Reply::Created(tasks) => tasks.into_iter().map(|accepted| accepted.task).collect(),
            other => panic!("{other:?}"),
        }
    }

    pub(crate) async fn claim_as(&self, node: NodeId, want: u32) -> Claimed {
        match self.one(Command::Claim(claim(node, want))).await {
            Reply::Claimed(claimed) => claimed,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) async fn claim(&self, want: u32) -> Vec<Task> {
        self.claim_as(self.node, want).await.tasks
    }

    pub(crate) async fn settle(
        &self,
        task: TaskId,
        attempt: Attempt,
        outcome: Outcome,
    ) -> Result<Settled, Refused> {
        match self.one(Command::Settle { task, attempt, outcome, backoff: backoff(), image: None }).await {
            Reply::Settled(settled) => settled,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) async fn change(&self, command: Command) -> Result<Task, Refused> {
        match self.one(command).await {
            Reply::Changed(changed) => changed.map(|task| *task),
            other => panic!("{other:?}"),
        }
    }

    pub(crate) async fn rescue(&self) -> Rescued {
        match self.one(Command::Rescue { limit: 100, except: None, backoff: backoff() }).await {
            Reply::Rescued(rescued) => rescued,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) async fn user(&self, email: &str) -> UserId {
        match self.one(Command::CreateUser(new_user(email))).await {
            Reply::UserCreated(Some(user)) => user.id,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) async fn task(&self, id: TaskId) -> Task {
        self.store.task(id).await.unwrap().unwrap()
    }

    /// The names of a task's events, in order.
    pub(crate) async fn story(&self, id: TaskId) -> Vec<&'static str> {
        let events = self.store.events_after(EventSeq(0), 100_000).await.unwrap();
        events
            .iter()
            .filter(|(_, event)| event.task == id)
            .map(|(_, event)| event.fact.name().as_str())
            .collect()
    }
}

pub(crate) fn kind() -> Kind {
    "noop".parse().unwrap()
}

pub(crate) fn claim(node: NodeId, want: u32) -> Claim {
    Claim { node, want: vec![(kind(), want)], known: vec![kind()], look: true, promote: true, suspect: false }
}

pub(crate) fn new_task() -> NewTask {
    NewTask { max_attempts: 3, ..NewTask::plain(kind(), None) }
}

pub(crate) fn new_user(email: &str) -> NewUser {
    let email: Email = email.parse().unwrap();
    NewUser::new(None, Some(email), Token::fresh().hash()).unwrap()
}

pub(crate) fn urgent(priority: i64) -> NewTask {
    NewTask { priority: Priority::new(priority).unwrap(), ..new_task() }
}

pub(crate) fn backoff() -> Backoff {
    Backoff { base: Duration::from_secs(100), cap: Duration::from_secs(1000) }
}

pub(crate) fn done() -> Outcome {
    Outcome::Completed { result: Json::trusted("{\"n\":1}"), output: None, drop_input: false }
}

pub(crate) fn failed() -> Outcome {
    Outcome::Failed(Failure::new(FailureReason::Error, "it broke"))
}

pub(crate) fn ids(tasks: &[Task]) -> Vec<TaskId> {
    tasks.iter().map(|task| task.life.id).collect()
}

pub(crate) fn page(limit: u32) -> Page {
    Page { after: None, order: Order::Ascending, limit }
}

pub(crate) fn manual() -> NewTask {
    NewTask { kind: "manual".parse().unwrap(), ..new_task() }
}

pub(crate) fn keyed(key: &str) -> NewTask {
    NewTask { unique_key: Some(key.into()), ..new_task() }
}

/// A take by a program, of any kind that is done outside.
pub(crate) fn take(caller: Caller, lease_s: u64) -> Take {
    Take {
        wanted: Wanted::Kinds(OUTSIDE.iter().map(|kind| kind.parse().unwrap()).collect()),
        caller,
        holder: Holder::Worker("tester".parse().unwrap()),
        lease: Some(Duration::from_secs(lease_s)),
    }
}

/// The command, to count once. Only what went well is remembered, by the number of the task.
pub(crate) fn once(key: &str, request: &str, command: Command) -> Command {
    let answer = |reply: &Reply| {
        let task = match reply {
            Reply::Created(tasks) => tasks.first().map(|accepted| &accepted.task)?,
            Reply::CountersChanged(Ok(_)) => {
                return Some(RememberedAnswer { status: 200, location: None, body: String::new() });
            }
            Reply::Bulk(bulk) => {
                return Some(RememberedAnswer {
                    status: 200,
                    location: None,
                    body: bulk.changed.to_string(),
                });
            }
            Reply::Taken(Ok(Taken::Task(task))) | Reply::Changed(Ok(task)) => task,
            _ => return None,
        };
        let location = Some(format!("/tasks/{}", task.life.id));
        Some(RememberedAnswer { status: 201, location, body: task.life.id.to_string() })
    };
    let remember = Remember {
        scope: "user 1".into(),
        key: key.into(),
        request: request.into(),
        keep: Duration::from_secs(60),
        answer: Arc::new(answer),
    };
    Command::Once { remember, command: Box::new(command) }
}

impl Bench {
    /// Another node's store, on the same database.
    pub(crate) async fn another(&self) -> Arc<dyn Store> {
        self.test.another().await
    }

    /// A second process on the same database, where there can be one.
    pub(crate) async fn another_if_there_can_be(&self) -> Option<Arc<dyn Store>> {
        if self.is_postgres() { Some(self.another().await) } else { None }
    }

    pub(crate) fn is_postgres(&self) -> bool {
        self.test.is_postgres()
    }

    /// The daemon started again on the same database, with other kinds done outside.
    pub(crate) async fn reopened(self, outside: &[&str]) -> Self {
        let test = self.test.reopened(outside).await;
        let bench = Self { store: test.store.clone(), test, node: NodeId::fresh() };
        bench.register(bench.node, "seat", None).await;
        bench
    }

    pub(crate) fn advance(&self, seconds: u64) {
        self.test.clock.advance(Duration::from_secs(seconds));
    }

    /// Moves what has come due out of the parked lane.
    pub(crate) async fn promote(&self) {
        let node = NodeId::fresh();
        self.register(node, &node.to_string(), None).await;
        self.claim_as(node, 0).await;
    }

    pub(crate) async fn take(&self, take: Take) -> Result<Option<Task>, Refused> {
        match self.one(Command::Take(take)).await {
            Reply::Taken(Ok(Taken::Task(task))) => Ok(Some(*task)),
            Reply::Taken(Ok(Taken::Nothing)) => Ok(None),
            Reply::Taken(Err(refused)) => Err(refused),
            other => panic!("{other:?}"),
        }
    }

    pub(crate) async fn take_id(&self, task: TaskId, caller: Caller) -> Result<Task, Refused> {
        self.take(Take { wanted: Wanted::Id(task), ..take(caller, 60) }).await.map(Option::unwrap)
    }

    pub(crate) async fn say(
        &self,
        task: TaskId,
        attempt: impl Into<Option<u32>>,
        caller: Caller,
        word: Word,
    ) -> Result<Task, Refused> {
        let attempt = attempt.into().map(Attempt);
        self.change(Command::Word { task, attempt, caller, word, backoff: backoff() }).await
    }

    /// The commands as one group.
    pub(crate) async fn group(&self, commands: &[Command]) -> Vec<Reply> {
        let committed = self.store.commit(commands).await.unwrap();
        committed.replies.into_iter().map(Result::unwrap).collect()
    }
}
