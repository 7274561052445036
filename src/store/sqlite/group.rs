//! A group of commands as one transaction: load, plan, write.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::Ordering;

use serde::Serialize;
use sqlx::{AssertSqlSafe, Connection, Sqlite, Transaction};

use super::SqliteStore;
use crate::failpoint::{self, Failpoint};
use crate::store::plan::{Changes, Found, Loaded, Lost, Needs, UniqueKey, plan};
use crate::store::row::{LifeColumns, RememberedRow, TASK_COLUMNS, TaskRow, event_data, micros, to_json};
use crate::store::{Claim, Command, Grouping, RememberedAnswer, Reply, StoreError, Take, Wanted};
use crate::task::{Attempt, Event, Kind, Life, NodeId, Status, Task, TaskId, Timestamp, UserId};

type Tx<'a> = Transaction<'a, Sqlite>;

impl Grouping for SqliteStore {
    async fn group(&self, commands: &[Command]) -> Result<(Vec<Reply>, Vec<Event>), StoreError> {
        let mut connection = self.writer.borrow().await?;
        let begin = connection.begin_with("BEGIN IMMEDIATE");
        let mut tx = begin.await.map_err(StoreError::of("begin a group"))?;
        let loaded = self.load(&mut tx, Needs::of(commands)).await?;
        let (replies, changes) = plan(commands, loaded, &self.outside);
        write(&mut tx, &changes, self.part).await?;
        failpoint::hit(Failpoint::CommitBefore);
        tx.commit().await.map_err(StoreError::of("commit a group"))?;
        connection.keep();
        failpoint::hit(Failpoint::CommitAfter);
        Ok((replies, changes.events))
    }
}

impl SqliteStore {
    async fn load(&self, tx: &mut Tx<'_>, needs: Needs) -> Result<Loaded, StoreError> {
        let now = self.clock.now();
        let mut found = Vec::new();
        for claim in &needs.claims {
            found.push(take_ready(tx, claim, now).await?);
        }
        let lost = match needs.rescue {
            Some((limit, except)) => lost(tx, limit, except, now).await?,
            None => Vec::new(),
        };
        let mut taken = Vec::new();
        for take in &needs.takes {
            taken.push(take_outside(tx, take).await?);
        }
        let claimed = found.iter().flat_map(|found| found.taken.iter().copied());
        let lost_tasks = lost.iter().map(|(task, _)| *task);
        let named = needs.tasks.iter().copied();
        let wanted: HashSet<TaskId> =
            named.chain(claimed).chain(taken.iter().flatten().copied()).chain(lost_tasks).collect();
        let mut tasks = load_tasks(tx, &wanted).await?;
        let unique = living(tx, &needs.unique_keys(&tasks)).await?;
        let others: HashSet<TaskId> =
            unique.values().filter(|task| !wanted.contains(task)).copied().collect();
        tasks.extend(load_tasks(tx, &others).await?);
        Ok(Loaded {
            now,
            tasks,
            taken,
            unique,
            answered: answered(tx, &needs.requests).await?,
            task_ids: numbers(&self.next_task, needs.new_tasks).map(TaskId).collect(),
            user_ids: numbers(&self.next_user, needs.new_users).map(UserId).collect(),
            taken_emails: taken_emails(tx, &needs.emails).await?,
            found,
            lost,
        })
    }
}

/// The next `count` numbers. Those of a group that fails are never used: numbers may have gaps.
fn numbers(next: &std::sync::atomic::AtomicI64, count: usize) -> std::ops::Range<i64> {
    let count = i64::try_from(count).unwrap_or(i64::MAX);
    let first = next.fetch_add(count, Ordering::Relaxed);
    first..first + count
}

async fn load_tasks(tx: &mut Tx<'_>, ids: &HashSet<TaskId>) -> Result<Vec<Task>, StoreError> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let text = format!("SELECT {TASK_COLUMNS} FROM tasks WHERE id IN (SELECT value FROM json_each(?1))");
    let rows: Vec<TaskRow> = sqlx::query_as(AssertSqlSafe(text))
        .bind(to_json(ids))
        .fetch_all(&mut **tx)
        .await
        .map_err(StoreError::of("load tasks"))?;
    Ok(rows.into_iter().filter_map(TaskRow::into_task_or_report).collect())
}

async fn take_ready(tx: &mut Tx<'_>, claim: &Claim, now: Timestamp) -> Result<Found, StoreError> {
    let doing = StoreError::of;
    let lease = "SELECT EXISTS (SELECT 1 FROM nodes WHERE id = ?1 AND lease_until > ?2)";
    let lease_holds: bool = sqlx::query_scalar(lease)
        .bind(claim.node.to_string())
        .bind(now.as_micros())
        .fetch_one(&mut **tx)
        .await
        .map_err(doing("look at the lease"))?;
    let mut found = Found { lease_holds, ..Found::default() };
    if !lease_holds {
        return Ok(found);
    }
    if claim.promote {
        promote(tx, claim, now, &mut found).await?;
    }
    let open = "DELETE FROM ready WHERE task IN (SELECT task FROM ready WHERE lane = 0 AND kind = ?1 \
                ORDER BY kind, rank, run_at, task LIMIT ?2) RETURNING task, rank, run_at";
    let suspect = "DELETE FROM ready WHERE task IN (SELECT task FROM ready WHERE lane = 2 AND kind = ?1 \
                   ORDER BY run_at LIMIT ?2) RETURNING task, rank, run_at";
    if claim.look {
        for (kind, limit) in &claim.want {
            let (text, limit) = if claim.suspect { (suspect, 1) } else { (open, *limit) };
            let mut rows: Vec<(i64, i64, i64)> = sqlx::query_as(text)
                .bind(kind.as_str())
                .bind(limit)
                .fetch_all(&mut **tx)
                .await
                .map_err(doing("claim"))?;
            rows.sort_unstable_by_key(|(task, rank, run_at)| (*rank, *run_at, *task));
            found.taken.extend(rows.iter().map(|(task, ..)| TaskId(*task)));
            if claim.suspect && !found.taken.is_empty() {
                break;
            }
        }
    }
    Ok(found)
}

/// Moves what has come due out of the parked lane, and looks what else there is to know.
async fn promote(
    tx: &mut Tx<'_>,
    claim: &Claim,
    now: Timestamp,
    found: &mut Found,
) -> Result<(), StoreError> {
    let doing = StoreError::of;
    sqlx::query("UPDATE ready SET lane = home WHERE lane = 1 AND run_at <= ?1")
        .bind(now.as_micros())
        .execute(&mut **tx)
        .await
        .map_err(doing("wake what has come due"))?;
    let (next_due, suspect_waits): (Option<i64>, bool) = sqlx::query_as(
        "SELECT (SELECT min(run_at) FROM ready WHERE lane = 1), EXISTS (SELECT 1 FROM ready WHERE lane = 2 \
         AND kind IN (SELECT value FROM json_each(?1)))",
    )
    .bind(to_json(&claim.known.iter().map(Kind::as_str).collect::<Vec<_>>()))
    .fetch_one(&mut **tx)
    .await
    .map_err(doing("look what comes due"))?;
    found.next_due = next_due.map(Timestamp::from_micros);
    found.suspect_waits = suspect_waits;
    Ok(())
}

async fn lost(
    tx: &mut Tx<'_>,
    limit: u32,
    except: Option<NodeId>,
    now: Timestamp,
) -> Result<Vec<(TaskId, Lost)>, StoreError> {
    let doing = StoreError::of;
    let of_nodes: Vec<(i64, bool)> = sqlx::query_as(
        "SELECT tasks.id, coalesce(nodes.spared, 0) FROM tasks LEFT JOIN nodes ON nodes.id = tasks.holder \
         WHERE tasks.status = 'In Progress' AND tasks.holder NOT LIKE '%:%' \
         AND coalesce(nodes.lease_until, 0) <= ?1 AND tasks.holder IS NOT ?3 LIMIT ?2",
    )
    .bind(now.as_micros())
    .bind(limit)
    .bind(except.map(|node| node.to_string()))
    .fetch_all(&mut **tx)
    .await
    .map_err(doing("look for lost tasks"))?;
    let mut lost: Vec<(TaskId, Lost)> = of_nodes
        .into_iter()
        .map(|(task, spared)| (TaskId(task), if spared { Lost::Spared } else { Lost::Node }))
        .collect();
    let others: [(&'static str, Lost); 2] = [
        ("SELECT id FROM tasks WHERE lease_until IS NOT NULL AND lease_until <= ?1 LIMIT ?2", Lost::Outside),
        (
            "SELECT id FROM tasks WHERE status = 'New' AND attempt = 0 AND error IS NULL \
             AND expires_at IS NOT NULL AND expires_at <= ?1 LIMIT ?2",
            Lost::Waiting,
        ),
    ];
    for (text, how) in others {
        let left = i64::from(limit) - i64::try_from(lost.len()).unwrap_or(i64::MAX);
        let found: Vec<i64> = sqlx::query_scalar(text)
            .bind(now.as_micros())
            .bind(left.max(0))
            .fetch_all(&mut **tx)
            .await
            .map_err(doing("look for tasks whose time is over"))?;
        lost.extend(found.into_iter().map(|task| (TaskId(task), how)));
    }
    Ok(lost)
}

/// Takes the ready row of the most urgent, oldest task that the caller may have.
async fn take_outside(tx: &mut Tx<'_>, take: &Take) -> Result<Option<TaskId>, StoreError> {
    let Wanted::Kinds(kinds) = &take.wanted else { return Ok(None) };
    let pairs = crate::store::pairs(kinds, take.caller);
    // For each kind and owner the first by the index; of these the first of all.
    let found: Option<i64> = sqlx::query_scalar(
        "DELETE FROM ready WHERE task = (SELECT first.task FROM json_each(?1) AS pair JOIN ready AS first \
         ON first.task = (SELECT task FROM ready WHERE lane = 3 AND kind = pair.value ->> 0 \
         AND owner = pair.value ->> 1 ORDER BY kind, owner, rank, run_at, task LIMIT 1) \
         ORDER BY first.rank, first.run_at, first.task LIMIT 1) RETURNING task",
    )
    .bind(to_json(&pairs))
    .fetch_optional(&mut **tx)
    .await
    .map_err(StoreError::of("take a task"))?;
    Ok(found.map(TaskId))
}

/// Which tasks live with these unique keys.
async fn living(tx: &mut Tx<'_>, keys: &[UniqueKey]) -> Result<HashMap<UniqueKey, TaskId>, StoreError> {
    if keys.is_empty() {
        return Ok(HashMap::new());
    }
    let asked: Vec<(i64, &str, &str)> = keys
        .iter()
        .map(|(owner, kind, key)| (owner.map_or(0, |user| user.0), kind.as_str(), &**key))
        .collect();
    let rows: Vec<(i64, i64)> = sqlx::query_as(
        "SELECT asked.key, tasks.id FROM json_each(?1) AS asked JOIN tasks \
         ON coalesce(tasks.owner, 0) = asked.value ->> 0 AND tasks.kind = asked.value ->> 1 \
         AND tasks.unique_key = asked.value ->> 2 \
         WHERE tasks.unique_key IS NOT NULL AND tasks.status IN ('New', 'In Progress')",
    )
    .bind(to_json(&asked))
    .fetch_all(&mut **tx)
    .await
    .map_err(StoreError::of("look for unique keys"))?;
    Ok(rows
        .into_iter()
        .filter_map(|(at, task)| Some((keys.get(usize::try_from(at).ok()?)?.clone(), TaskId(task))))
        .collect())
}

/// What was answered to these requests before.
async fn answered(
    tx: &mut Tx<'_>,
    requests: &[(String, String)],
) -> Result<HashMap<(String, String), (String, RememberedAnswer)>, StoreError> {
    if requests.is_empty() {
        return Ok(HashMap::new());
    }
    let rows: Vec<RememberedRow> = sqlx::query_as(
        "SELECT scope, remembered.key AS key, request, status, location, body FROM json_each(?1) AS asked \
         JOIN remembered ON scope = asked.value ->> 0 AND remembered.key = asked.value ->> 1",
    )
    .bind(to_json(&requests))
    .fetch_all(&mut **tx)
    .await
    .map_err(StoreError::of("look for answered requests"))?;
    Ok(rows.into_iter().map(RememberedRow::into_answer).collect())
}

async fn taken_emails(tx: &mut Tx<'_>, emails: &[String]) -> Result<HashSet<String>, StoreError> {
    if emails.is_empty() {
        return Ok(HashSet::new());
    }
    let taken: Vec<String> =
        sqlx::query_scalar("SELECT email FROM users WHERE email IN (SELECT value FROM json_each(?1))")
            .bind(to_json(&emails))
            .fetch_all(&mut **tx)
            .await
            .map_err(StoreError::of("look for e-mails"))?;
    Ok(taken.into_iter().collect())
}

async fn write(tx: &mut Tx<'_>, changes: &Changes, part: i64) -> Result<(), StoreError> {
    // What gives a unique key up, then what takes one.
    delete_tasks(tx, changes).await?;
    update_tasks(tx, &changes.updated).await?;
    update_tasks(tx, &changes.revived).await?;
    insert_tasks(tx, changes).await?;
    let ready_removed = changes.ready_removed.iter().chain(&changes.deleted).collect::<Vec<_>>();
    run(
        tx,
        "leave ready",
        "DELETE FROM ready WHERE task IN (SELECT value FROM json_each(?1))",
        &ready_removed,
    )
    .await?;
    let ready = changes
        .ready_added
        .iter()
        .map(|row| {
            let owner = row.owner.map_or(0, |owner| owner.0);
            let (lane, home) = (row.lane as u8, row.home as u8);
            (row.task, row.kind.as_str(), owner, lane, home, row.rank, row.run_at.as_micros())
        })
        .collect::<Vec<_>>();
    run(
        tx,
        "make ready",
        "INSERT INTO ready (task, kind, owner, lane, home, rank, run_at) SELECT value ->> 0, value ->> 1, \
         value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6 FROM json_each(?1)",
        &ready,
    )
    .await?;
    insert_users(tx, changes).await?;
    write_attachments(tx, changes).await?;
    count_created(tx, changes, part).await?;
    write_callbacks(tx, changes).await?;
    remember_answers(tx, changes).await?;
    let events = changes
        .events
        .iter()
        .map(|event| {
            let name = event.fact.name().as_str();
            let kind = event.kind.as_str();
            (event.task, kind, event.owner, name, event.attempt, event.at.as_micros(), event_data(event))
        })
        .collect::<Vec<_>>();
    run(
        tx,
        "write events",
        "INSERT INTO events (task, kind, owner, event, attempt, at, data) SELECT value ->> 0, value ->> 1, \
         value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6 FROM json_each(?1)",
        &events,
    )
    .await?;
    if let Some(now) = changes.forget_nodes {
        forget_nodes(tx, now).await?;
    }
    Ok(())
}

/// Runs a statement that takes all its rows as one JSON array; not at all when there are none.
async fn run<T: Serialize>(
    tx: &mut Tx<'_>,
    doing: &'static str,
    text: &'static str,
    rows: &[T],
) -> Result<u64, StoreError> {
    if rows.is_empty() {
        return Ok(0);
    }
    let done = sqlx::query(text).bind(to_json(&rows)).execute(&mut **tx).await;
    Ok(done.map_err(StoreError::of(doing))?.rows_affected())
}

async fn insert_tasks(tx: &mut Tx<'_>, changes: &Changes) -> Result<(), StoreError> {
    // Wider than serde's tuples go, so each row is two of them.
    let rows = changes
        .created
        .iter()
        .map(|task| {
            let life = &task.life;
            let columns = LifeColumns::of(life);
            (
                (
                    life.id,
                    life.kind.as_str().to_owned(),
                    life.owner,
                    columns.status,
                    life.priority.get(),
                    life.max_attempts,
                    life.attempt,
                    columns.run_at,
                    columns.holder,
                    columns.started_at,
                ),
                (
                    columns.finished_at,
                    task.created_at.as_micros(),
                    life.updated_at.as_micros(),
                    task.timeout.map(micros),
                    task.payload.as_str().to_owned(),
                    to_json(&task.tags),
                    task.unique_key.clone(),
                    task.callback.clone(),
                    task.traceparent.as_ref().map(|trace| trace.as_str().to_owned()),
                    task.expires_at.map(Timestamp::as_micros),
                ),
            )
        })
        .collect::<Vec<_>>();
    run(
        tx,
        "accept tasks",
        "INSERT INTO tasks (id, kind, owner, status, priority, max_attempts, attempt, failures, crashes, \
         run_at, holder, started_at, finished_at, created_at, updated_at, timeout, payload, tags, unique_key, \
         callback, traceparent, expires_at) \
         SELECT value ->> '$[0][0]', value ->> '$[0][1]', value ->> '$[0][2]', value ->> '$[0][3]', \
         value ->> '$[0][4]', value ->> '$[0][5]', value ->> '$[0][6]', 0, 0, value ->> '$[0][7]', \
         value ->> '$[0][8]', value ->> '$[0][9]', value ->> '$[1][0]', value ->> '$[1][1]', \
         value ->> '$[1][2]', value ->> '$[1][3]', value ->> '$[1][4]', value ->> '$[1][5]', \
         value ->> '$[1][6]', value ->> '$[1][7]', value ->> '$[1][8]', value ->> '$[1][9]' \
         FROM json_each(?1)",
        &rows,
    )
    .await?;
    let tags = changes
        .created
        .iter()
        .flat_map(|task| task.tags.iter().map(|tag| (tag, task.life.id)))
        .collect::<Vec<_>>();
    run(
        tx,
        "tag tasks",
        "INSERT OR IGNORE INTO task_tags (tag, task) SELECT value ->> 0, value ->> 1 FROM json_each(?1)",
        &tags,
    )
    .await?;
    Ok(())
}

async fn update_tasks(tx: &mut Tx<'_>, rows: &[(Life, Status, Attempt)]) -> Result<(), StoreError> {
    let rows = rows
        .iter()
        .map(|(life, status, attempt)| {
            let columns = LifeColumns::of(life);
            let result = columns.result.as_ref().map(|result| result.as_str().to_owned());
            (
                (life.id, status.as_str(), *attempt),
                (columns.status, life.attempt, life.failures, life.crashes, columns.run_at, columns.holder),
                (columns.progress, result, columns.error, columns.started_at, columns.finished_at),
                (life.updated_at.as_micros(), columns.assignee, columns.lease, columns.lease_until),
            )
        })
        .collect::<Vec<_>>();
    let changed = run(
        tx,
        "change tasks",
        "UPDATE tasks SET status = new.status, attempt = new.attempt, failures = new.failures, \
         crashes = new.crashes, run_at = new.run_at, holder = new.holder, progress = new.progress, \
         result = new.result, error = new.error, started_at = new.started_at, \
         finished_at = new.finished_at, updated_at = new.updated_at, assignee = new.assignee, \
         lease = new.lease, lease_until = new.lease_until \
         FROM (SELECT value ->> '$[0][0]' AS id, value ->> '$[0][1]' AS old_status, \
         value ->> '$[0][2]' AS old_attempt, value ->> '$[1][0]' AS status, value ->> '$[1][1]' AS attempt, \
         value ->> '$[1][2]' AS failures, value ->> '$[1][3]' AS crashes, value ->> '$[1][4]' AS run_at, \
         value ->> '$[1][5]' AS holder, value ->> '$[2][0]' AS progress, value ->> '$[2][1]' AS result, \
         value ->> '$[2][2]' AS error, value ->> '$[2][3]' AS started_at, \
         value ->> '$[2][4]' AS finished_at, value ->> '$[3][0]' AS updated_at, \
         value ->> '$[3][1]' AS assignee, value ->> '$[3][2]' AS lease, value ->> '$[3][3]' AS lease_until \
         FROM json_each(?1)) AS new \
         WHERE tasks.id = new.id AND tasks.status = new.old_status AND tasks.attempt = new.old_attempt",
        &rows,
    )
    .await?;
    crate::store::all_changed(changed, rows.len())
}

async fn insert_users(tx: &mut Tx<'_>, changes: &Changes) -> Result<(), StoreError> {
    let users = changes
        .users
        .iter()
        .map(|(user, token)| {
            let name = user.name.as_ref().map(|name| name.as_str());
            let email = user.email.as_ref().map(|email| email.as_str());
            (user.id, name, email, token.as_str(), user.created_at.as_micros())
        })
        .collect::<Vec<_>>();
    run(
        tx,
        "make users",
        "INSERT INTO users (id, name, email, token_hash, created_at) SELECT value ->> 0, value ->> 1, \
         value ->> 2, value ->> 3, value ->> 4 FROM json_each(?1)",
        &users,
    )
    .await
    .map(drop)
}

async fn write_attachments(tx: &mut Tx<'_>, changes: &Changes) -> Result<(), StoreError> {
    let dropped = &changes.inputs_dropped;
    let text = "DELETE FROM task_blobs WHERE role = 'input' AND task IN (SELECT value FROM json_each(?1))";
    run(tx, "drop inputs", text, dropped).await?;
    let blobs = changes
        .attachments
        .iter()
        .map(|(task, attachment)| {
            (task, attachment.role.as_str(), attachment.blob.as_str(), attachment.bytes)
        })
        .collect::<Vec<_>>();
    run(
        tx,
        "attach blobs",
        "INSERT INTO task_blobs (task, role, blob, bytes) SELECT value ->> 0, value ->> 1, value ->> 2, \
         value ->> 3 FROM json_each(?1)",
        &blobs,
    )
    .await?;
    let recordings = changes
        .recordings
        .iter()
        .map(|(recording, task, owner, at)| (recording.id, task, owner, &recording.filename, at.as_micros()))
        .collect::<Vec<_>>();
    run(
        tx,
        "keep recordings",
        "INSERT INTO recordings (id, task, owner, filename, created_at) SELECT value ->> 0, value ->> 1, \
         value ->> 2, value ->> 3, value ->> 4 FROM json_each(?1)",
        &recordings,
    )
    .await
    .map(drop)
}

/// Counts what was made, in this store's own part.
async fn count_created(tx: &mut Tx<'_>, changes: &Changes, part: i64) -> Result<(), StoreError> {
    let rows = changes
        .counts
        .iter()
        .map(|(owner, created)| (owner.map_or(0, |owner| owner.0), part, created))
        .collect::<Vec<_>>();
    run(
        tx,
        "count tasks",
        "INSERT INTO created_counts (owner, part, created) SELECT value ->> 0, value ->> 1, value ->> 2 \
         FROM json_each(?1) WHERE TRUE \
         ON CONFLICT (owner, part) DO UPDATE SET created = created + excluded.created",
        &rows,
    )
    .await
    .map(drop)
}

async fn write_callbacks(tx: &mut Tx<'_>, changes: &Changes) -> Result<(), StoreError> {
    let now = changes.events.first().map_or(0, |event| event.at.as_micros());
    let callbacks = changes.callbacks.iter().map(|(task, url)| (task, url, now)).collect::<Vec<_>>();
    run(
        tx,
        "keep callbacks",
        "INSERT INTO callbacks (task, url, told, next_at, tries, given_up) \
         SELECT value ->> 0, value ->> 1, 0, value ->> 2, 0, 0 FROM json_each(?1)",
        &callbacks,
    )
    .await?;
    let to_tell = changes.to_tell.iter().map(|task| (task, now)).collect::<Vec<_>>();
    run(
        tx,
        "wake callbacks",
        "UPDATE callbacks SET next_at = new.value ->> 1 FROM json_each(?1) AS new \
         WHERE callbacks.task = new.value ->> 0 AND callbacks.next_at IS NULL",
        &to_tell,
    )
    .await?;
    let replies = changes
        .replies
        .iter()
        .map(|(task, reply)| (task, &reply.queue, &reply.correlation_id))
        .collect::<Vec<_>>();
    run(
        tx,
        "keep reply addresses",
        "INSERT INTO replies (task, reply_to, correlation_id) SELECT value ->> 0, value ->> 1, value ->> 2 \
         FROM json_each(?1)",
        &replies,
    )
    .await
    .map(drop)
}

async fn remember_answers(tx: &mut Tx<'_>, changes: &Changes) -> Result<(), StoreError> {
    let answers = changes
        .answers
        .iter()
        .map(|(remember, answer, until)| {
            let asked = (&remember.scope, &remember.key, &remember.request);
            (asked, answer.status, &answer.location, &answer.body, until.as_micros())
        })
        .collect::<Vec<_>>();
    run(
        tx,
        "remember answers",
        "INSERT INTO remembered (scope, key, request, status, location, body, forget_at) \
         SELECT value ->> '$[0][0]', value ->> '$[0][1]', value ->> '$[0][2]', value ->> 1, value ->> 2, \
         value ->> 3, value ->> 4 FROM json_each(?1)",
        &answers,
    )
    .await
    .map(drop)
}

async fn delete_tasks(tx: &mut Tx<'_>, changes: &Changes) -> Result<(), StoreError> {
    // The primary key of the tags begins with the tag: only what has tags is looked for there.
    let tagged = "DELETE FROM task_tags WHERE (tag, task) IN (SELECT tags.value, tasks.id FROM tasks, \
                  json_each(tasks.tags) AS tags WHERE tasks.id IN (SELECT value FROM json_each(?1)))";
    run(tx, "delete tags", tagged, &changes.deleted).await?;
    // Blobs and recordings go along: foreign keys.
    let tasks = "DELETE FROM tasks WHERE id IN (SELECT value FROM json_each(?1))";
    run(tx, "delete tasks", tasks, &changes.deleted).await.map(drop)
}

async fn forget_nodes(tx: &mut Tx<'_>, now: Timestamp) -> Result<(), StoreError> {
    sqlx::query(
        "DELETE FROM nodes WHERE lease_until <= ?1 AND NOT EXISTS (SELECT 1 FROM tasks \
         WHERE tasks.holder = nodes.id AND tasks.status = 'In Progress')",
    )
    .bind(now.as_micros())
    .execute(&mut **tx)
    .await
    .map(drop)
    .map_err(StoreError::of("forget dead nodes"))
}
