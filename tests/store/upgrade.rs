//! A database of an older program, full of tasks, opened by this one.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use gristmill::account::{Caller, Change, LoginName, PasswordHash, Token, User, UserChange};
use gristmill::clock::Clock;
use gristmill::store::{
    Claim, Command, NewTask, PostgresStore, Purged, Registration, Reply, Rescued, SqliteStore, Store, Taken,
};
use gristmill::task::{BlobName, EventSeq, NodeId, RecordingId, Status, TaskId, Timestamp, UserId};
use sqlx::migrate::Migrator;
use sqlx::{AssertSqlSafe, Connection, PgConnection, SqliteConnection};

use crate::bench::{claim, new_task, take};
use crate::common::{Engine, STATEMENT_TIMEOUT, fresh_postgres_database, postgres_options};

/// What the first program left: tasks in every state, ready rows in every lane, the events of a task that is gone.
/// `{node}` is dead.
const LEFT: &str = "
    INSERT INTO tasks (id, kind, owner, status, priority, max_attempts, attempt, failures, crashes, run_at, node,
        result, error, started_at, finished_at, created_at, updated_at, payload, tags) VALUES
    (1001, 'noop', NULL, 'New', 5, 3, 0, 0, 0, 10, NULL, NULL, NULL, NULL, NULL, 10, 10, 'null', '[\"red\"]'),
    (1002, 'noop', 7, 'New', 0, 3, 1, 1, 0, 4000000000000000, NULL, NULL, NULL, 10, NULL, 10, 10, 'null', '[]'),
    (1003, 'noop', NULL, 'New', 0, 3, 2, 0, 2, 10, NULL, NULL, NULL, 10, NULL, 10, 10, 'null', '[]'),
    (1004, 'noop', 7, 'In Progress', 0, 3, 1, 0, 0, NULL, '{node}', NULL, NULL, 10, NULL, 10, 10, 'null', '[]'),
    (1005, 'noop', 7, 'Completed', 0, 3, 1, 0, 0, NULL, NULL, '7', NULL, 10, 20, 10, 20, 'null', '[]'),
    (1006, 'noop', NULL, 'Failed', 0, 3, 1, 1, 0, NULL, NULL, NULL,
        '{\"reason\":\"error\",\"message\":\"no luck\"}', 10, 20, 10, 20, 'null', '[]'),
    (1007, 'noop', NULL, 'Cancelled', 0, 3, 0, 0, 0, NULL, NULL, NULL, NULL, NULL, 20, 10, 20, 'null', '[]'),
    (1008, 'manual', 7, 'New', 0, 3, 0, 0, 0, 10, NULL, NULL, NULL, NULL, NULL, 10, 10, 'null', '[]'),
    (1009, 'manual', NULL, 'New', 0, 3, 2, 0, 2, 10, NULL, NULL, NULL, 10, NULL, 10, 10, 'null', '[]');
    INSERT INTO ready (task, kind, lane, suspect, rank, run_at) VALUES
    (1001, 'noop', 0, FALSE, -5, 10), (1002, 'noop', 1, FALSE, 0, 4000000000000000), (1003, 'noop', 2, TRUE, 0, 10),
    (1008, 'manual', 0, FALSE, 0, 10), (1009, 'manual', 2, TRUE, 0, 10);
    INSERT INTO nodes (id, seat, name, started_at, lease_until) VALUES ('{node}', 'seat', 'old', 1, 2);
    INSERT INTO events (id, task, kind, event, attempt, at, data) VALUES
    (1, 1001, 'noop', 'created', 0, 10, NULL), (2, 1004, 'noop', 'created', 0, 10, NULL),
    (3, 1004, 'noop', 'started', 1, 10, '{\"node\":\"{node}\"}'), (4, 900, 'noop', 'created', 0, 10, NULL),
    (5, 900, 'noop', 'deleted', 0, 10, NULL)";

/// What the second program left: a user with work of theirs and in their hands, a recording, a remembered answer.
const LEFT_BY_SECOND: &str = "
    INSERT INTO users (id, name, email, token_hash, created_at) VALUES
    (7, 'Ann', 'ann@example.com', '{token}', 10), (8, 'Bob', NULL, 'b', 20);
    INSERT INTO tasks (id, kind, owner, status, priority, max_attempts, attempt, failures, crashes, run_at, holder,
        assignee, result, started_at, finished_at, created_at, updated_at, payload, tags) VALUES
    (1, 'transcode', 7, 'Completed', 0, 3, 1, 0, 0, NULL, NULL, NULL, '7', 10, 20, 10, 20, 'null', '[]'),
    (2, 'manual', NULL, 'In Progress', 0, 3, 1, 0, 0, NULL, 'person:', 7, NULL, 10, NULL, 10, 10, 'null', '[]');
    INSERT INTO task_blobs (task, role, blob, bytes) VALUES (1, 'output', '{blob}', 5);
    INSERT INTO recordings (id, task, owner, filename, created_at) VALUES ('{recording}', 1, 7, 'a.wav', 10);
    INSERT INTO remembered (scope, key, request, status, body, forget_at) VALUES
    ('user 7', 'k', 'r', 201, '1', 4000000000000000)";

/// The first migrations, so many of them.
async fn first(folder: &str, count: usize) -> Migrator {
    let some = tempfile::tempdir().unwrap();
    let all = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations").join(folder);
    let names = std::fs::read_dir(&all).unwrap().map(|file| file.unwrap().file_name());
    let mut names: Vec<_> = names.collect();
    names.sort();
    for name in &names[..count] {
        std::fs::copy(all.join(name), some.path().join(name)).unwrap();
    }
    Migrator::new(some.path()).await.unwrap()
}

fn left(node: NodeId) -> Vec<String> {
    statements(&LEFT.replace("{node}", &node.to_string()))
}

fn statements(text: &str) -> Vec<String> {
    text.split(";\n").map(str::to_owned).collect()
}

/// A database that the program of the first `count` migrations left so, opened by this one.
async fn upgraded(
    engine: Engine,
    count: usize,
    left: Vec<String>,
) -> (Arc<dyn Store>, Option<tempfile::TempDir>) {
    let outside = || ["manual".parse().unwrap()];
    match engine {
        Engine::Sqlite => {
            let folder = tempfile::tempdir().unwrap();
            let file = folder.path().join("gristmill.db");
            let url = format!("sqlite:{}?mode=rwc", file.display());
            let mut connection = SqliteConnection::connect(&url).await.unwrap();
            first("sqlite", count).await.run(&mut connection).await.unwrap();
            for text in left {
                sqlx::query(AssertSqlSafe(text)).execute(&mut connection).await.unwrap();
            }
            connection.close().await.unwrap();
            let store = SqliteStore::open(&file, 2, STATEMENT_TIMEOUT, Clock::system()).await.unwrap();
            (Arc::new(store.with_outside(outside()).await.unwrap()), Some(folder))
        }
        Engine::Postgres => {
            let url = fresh_postgres_database().await;
            let mut connection = PgConnection::connect(&url).await.unwrap();
            first("postgres", count).await.run(&mut connection).await.unwrap();
            for text in left {
                sqlx::query(AssertSqlSafe(text)).execute(&mut connection).await.unwrap();
            }
            connection.close().await.unwrap();
            let store = PostgresStore::open(&postgres_options(url), Clock::system()).await.unwrap();
            (Arc::new(store.with_outside(outside()).await.unwrap()), None)
        }
    }
}

#[tokio::test]
async fn what_an_older_program_left_goes_on() {
    for engine in Engine::ALL {
        goes_on(engine).await;
    }
}

async fn goes_on(engine: Engine) {
    let old = NodeId::fresh();
    let (store, _folder) = upgraded(engine, 1, left(old)).await;
    let one = async |command: Command| store.commit(&[command]).await.unwrap().replies.remove(0).unwrap();
    let task = async |id| store.task(TaskId(id)).await.unwrap().unwrap();
    let running = task(1004).await;
    assert_eq!(running.life.holder(), Some(&old.into()));
    assert_eq!((running.life.assignee, running.life.lease(), running.unique_key), (None, None, None));

    let events = store.events_after(EventSeq(0), 100).await.unwrap();
    let owners: BTreeMap<i64, Option<UserId>> =
        events.iter().map(|(_, event)| (event.task.0, event.owner)).collect();
    let expected = [(900, Some(UserId(-1))), (1001, None), (1004, Some(UserId(7)))];
    assert_eq!(owners, BTreeMap::from(expected), "a deleted task's are nobody's to hear of");
    let ann = store.created_total(Some(UserId(7))).await.unwrap();
    assert_eq!((ann.total, ann.by_user), (9, 4));

    let node = NodeId::fresh();
    let (seat, name, lease) = ("seat".to_owned(), "new".to_owned(), Duration::from_secs(60));
    store.register(&Registration { node, seat, name, lease, predecessor: None }).await.unwrap();
    let rescue = one(Command::Rescue { limit: 9, except: None, backoff: crate::bench::backoff() }).await;
    assert!(matches!(rescue, Reply::Rescued(Rescued { tasks: 1, .. })), "{rescue:?}");
    assert_eq!(task(1004).await.life.crashes, 1);
    let mut claimed = HashSet::new();
    for suspect in [false, true] {
        let reply = one(Command::Claim(Claim { suspect, ..claim(node, 9) })).await;
        let Reply::Claimed(got) = reply else { panic!("{reply:?}") };
        assert_eq!(got.suspect_waits, !suspect || !got.tasks.is_empty());
        claimed.extend(got.tasks.iter().map(|task| task.life.id.0));
    }
    assert_eq!(claimed, HashSet::from([1001, 1004, 1003]), "not what is parked, nor what is done outside");
    let mut taken = HashSet::new();
    while let Reply::Taken(Ok(Taken::Task(task))) =
        one(Command::Take(take(Caller::User(UserId(7)), 60))).await
    {
        taken.insert(task.life.id.0);
    }
    assert_eq!(taken, HashSet::from([1008, 1009]));
    for id in [1006, 1007] {
        let retry = Command::Retry { task: TaskId(id), caller: Caller::Anonymous };
        assert!(matches!(one(retry).await, Reply::Changed(Ok(_))));
    }
    let deleted = one(Command::Delete { task: TaskId(1005), caller: Caller::User(UserId(7)) }).await;
    assert!(matches!(deleted, Reply::Changed(Ok(_))), "{deleted:?}");
    assert_eq!(task(1002).await.life.status(), Status::New);
    let keyed = NewTask { unique_key: Some("a".into()), ..new_task() };
    assert!(matches!(one(Command::Create(vec![keyed])).await, Reply::Created(_)));
    store.close().await;
}

#[tokio::test]
async fn the_users_of_an_older_program_go_on() {
    for engine in Engine::ALL {
        users_go_on(engine).await;
    }
}

async fn users_go_on(engine: Engine) {
    let (token, recording) = (Token::fresh().hash(), RecordingId::fresh());
    let blob = BlobName::of_digest(&[5; 32]);
    let left = LEFT_BY_SECOND
        .replace("{token}", token.as_str())
        .replace("{blob}", blob.as_str())
        .replace("{recording}", &recording.to_string());
    let (store, _folder) = upgraded(engine, 2, statements(&left)).await;
    let one = async |command: Command| store.commit(&[command]).await.unwrap().replies.remove(0).unwrap();
    let ann = store.user_by_token(&token).await.unwrap().unwrap();
    let expected = User {
        name: Some("Ann".parse().unwrap()),
        email: Some("ann@example.com".parse().unwrap()),
        ..User::plain(UserId(7), Timestamp::from_micros(10))
    };
    assert_eq!(ann, expected);
    let me = Caller::User(ann.id);
    assert_eq!(store.credentials(&LoginName::Id(ann.id)).await.unwrap(), None);
    assert_eq!(store.images(Caller::Admin(None), None, 9).await.unwrap(), []);
    let password = PasswordHash::trusted("p".into());
    let change = UserChange { password: Change::Set(password.clone()), ..UserChange::default() };
    let changed = one(Command::ChangeUser { user: ann.id, caller: me, change, session: None }).await;
    assert!(matches!(changed, Reply::UserChanged(Ok(_))), "{changed:?}");
    assert_eq!(store.credentials(&LoginName::Id(ann.id)).await.unwrap(), Some((ann.id, password)));
    assert!(store.recording(recording).await.unwrap().is_some());

    assert!(matches!(one(Command::DeleteUser { user: ann.id, caller: me }).await, Reply::UserChanged(Ok(_))));
    let purged = one(Command::Purge { limit: 10 }).await;
    assert!(matches!(purged, Reply::Purged(Purged { tasks: 2, more: false })), "{purged:?}");
    assert_eq!(store.recording(recording).await.unwrap(), None);
    assert_eq!(store.unreferenced(std::slice::from_ref(&blob)).await.unwrap(), [blob]);
    let free = store.task(TaskId(2)).await.unwrap().unwrap();
    assert_eq!((free.life.status(), free.life.assignee), (Status::New, None));
    let left: Vec<UserId> = store.users(None, 9).await.unwrap().iter().map(|user| user.id).collect();
    assert_eq!(left, [UserId(8)]);
    store.close().await;
}
