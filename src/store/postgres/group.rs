//! A group of commands as one transaction: load, plan, write.
//!
//! Locks are taken in one order everywhere: named tasks by ascending id (waiting if need be), then ready rows
//! with their tasks and lost tasks (never waiting), then ready rows that go, then unique keys in their order, counts
//! and callbacks, and at last the order of events (the holder of which waits for nothing more). So nodes hardly ever
//! wait for each other in a circle; where they do (unique keys had again by a retry), the database ends it, and the
//! group is planned anew.

use std::collections::{HashMap, HashSet};

use sqlx::{AssertSqlSafe, Connection, Postgres, Transaction};

use super::{NOW, PostgresStore, outside};
use crate::failpoint::{self, Failpoint};
use crate::store::plan::{Changes, Found, Loaded, Lost, Needs, UniqueKey, plan};
use crate::store::row::{LifeColumns, RememberedRow, TASK_COLUMNS, TaskRow, event_data, micros, to_json};
use crate::store::{Claim, Command, Grouping, MISSED, RememberedAnswer, Reply, StoreError};
use crate::task::{Attempt, Event, Kind, Life, NodeId, Status, Task, TaskId, Timestamp, UserId};

pub(super) type Tx<'a> = Transaction<'a, Postgres>;

/// The number of the lock under which events get their numbers: any constant that nothing else uses here.
const EVENT_ORDER: i64 = 0x6772_6973_746d; // "gristm"

impl Grouping for PostgresStore {
    async fn group(&self, commands: &[Command]) -> Result<(Vec<Reply>, Vec<Event>), StoreError> {
        let mut connection = self.writer.borrow().await?;
        let mut tx = connection.begin().await.map_err(StoreError::of("begin a group"))?;
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

impl PostgresStore {
    async fn load(&self, tx: &mut Tx<'_>, needs: Needs) -> Result<Loaded, StoreError> {
        let doing = StoreError::of;
        let text = format!(
            "SELECT {NOW}, \
             ARRAY(SELECT nextval('tasks_id_seq') FROM generate_series(1, $2)), \
             ARRAY(SELECT nextval('users_id_seq') FROM generate_series(1, $3))"
        );
        let (now, task_ids, user_ids): (i64, Vec<i64>, Vec<i64>) = sqlx::query_as(AssertSqlSafe(text))
            .bind(self.clock.shift())
            .bind(i64::try_from(needs.new_tasks).unwrap_or(i64::MAX))
            .bind(i64::try_from(needs.new_users).unwrap_or(i64::MAX))
            .fetch_one(&mut **tx)
            .await
            .map_err(doing("ask the time and new numbers"))?;
        let now = Timestamp::from_micros(now);
        let mut tasks = lock_tasks(tx, &needs.tasks).await?;
        let mut held: HashSet<TaskId> = tasks.iter().map(|task| task.life.id).collect();
        let mut found = Vec::new();
        for claim in &needs.claims {
            found.push(take_ready(tx, claim, now).await?);
        }
        let lost = match needs.rescue {
            Some((limit, except)) => lost(tx, limit, except, now).await?,
            None => Vec::new(),
        };
        let taken = outside::take(tx, &needs.takes).await?;
        let claimed = found.iter().flat_map(|found| found.taken.iter().copied());
        let lost_tasks = lost.iter().map(|(task, _)| *task);
        let mut more: Vec<TaskId> = claimed
            .chain(taken.iter().flatten().copied())
            .chain(lost_tasks)
            .filter(|task| held.insert(*task))
            .collect();
        more.sort_unstable();
        // Locked already, with their ready rows or by the search for lost ones.
        tasks.extend(lock_tasks(tx, &more).await?);
        let unique = living(tx, &needs.unique_keys(&tasks)).await?;
        let others: Vec<TaskId> = unique.values().filter(|task| !held.contains(task)).copied().collect();
        // Not locked: they are only shown, and stand in the way of others.
        tasks.extend(look_at(tx, &others).await?);
        Ok(Loaded {
            now,
            tasks,
            task_ids: task_ids.into_iter().map(TaskId).collect(),
            user_ids: user_ids.into_iter().map(UserId).collect(),
            taken_emails: taken_emails(tx, &needs.emails).await?,
            found,
            taken,
            unique,
            answered: answered(tx, &needs.requests).await?,
            lost,
        })
    }
}

async fn lock_tasks(tx: &mut Tx<'_>, ids: &[TaskId]) -> Result<Vec<Task>, StoreError> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let text = format!("SELECT {TASK_COLUMNS} FROM tasks WHERE id = ANY($1) ORDER BY id FOR UPDATE");
    let rows: Vec<TaskRow> = sqlx::query_as(AssertSqlSafe(text))
        .bind(numbers(ids))
        .fetch_all(&mut **tx)
        .await
        .map_err(StoreError::of("lock tasks"))?;
    Ok(rows.into_iter().filter_map(TaskRow::into_task_or_report).collect())
}

async fn look_at(tx: &mut Tx<'_>, ids: &[TaskId]) -> Result<Vec<Task>, StoreError> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let rows: Vec<TaskRow> =
        sqlx::query_as(AssertSqlSafe(format!("SELECT {TASK_COLUMNS} FROM tasks WHERE id = ANY($1)")))
            .bind(numbers(ids))
            .fetch_all(&mut **tx)
            .await
            .map_err(StoreError::of("look at tasks"))?;
    Ok(rows.into_iter().filter_map(TaskRow::into_task_or_report).collect())
}

fn numbers(ids: &[TaskId]) -> Vec<i64> {
    ids.iter().map(|id| id.0).collect()
}

async fn take_ready(tx: &mut Tx<'_>, claim: &Claim, now: Timestamp) -> Result<Found, StoreError> {
    let doing = StoreError::of;
    let lease = "SELECT EXISTS (SELECT 1 FROM nodes WHERE id = $1 AND lease_until > $2)";
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
    // The task is locked along with its ready row, and both are passed over when either is locked: whoever
    // cancels the task at this moment holds the one and will want the other.
    let open = "WITH picked AS (SELECT due.task FROM unnest($1::text[], $2::bigint[]) AS want (kind, wanted) \
                CROSS JOIN LATERAL (SELECT ready.task FROM ready JOIN tasks ON tasks.id = ready.task \
                WHERE ready.lane = 0 AND ready.kind = want.kind \
                ORDER BY ready.kind, ready.rank, ready.run_at, ready.task \
                LIMIT want.wanted FOR UPDATE OF ready, tasks SKIP LOCKED) AS due) \
                DELETE FROM ready USING picked WHERE ready.task = picked.task \
                RETURNING ready.task, ready.rank, ready.run_at";
    let suspect = "WITH picked AS (SELECT ready.task FROM ready JOIN tasks ON tasks.id = ready.task \
                   WHERE ready.lane = 2 AND ready.kind = ANY($1) AND $2::bigint[] IS NOT NULL \
                   ORDER BY ready.run_at LIMIT 1 FOR UPDATE OF ready, tasks SKIP LOCKED) \
                   DELETE FROM ready USING picked WHERE ready.task = picked.task \
                   RETURNING ready.task, ready.rank, ready.run_at";
    if claim.look && !claim.want.is_empty() {
        let (kinds, wanted): (Vec<String>, Vec<i64>) =
            claim.want.iter().map(|(kind, wanted)| (kind.as_str().to_owned(), i64::from(*wanted))).unzip();
        let mut rows: Vec<(i64, i64, i64)> = sqlx::query_as(if claim.suspect { suspect } else { open })
            .bind(kinds)
            .bind(wanted)
            .fetch_all(&mut **tx)
            .await
            .map_err(doing("claim"))?;
        rows.sort_unstable_by_key(|(task, rank, run_at)| (*rank, *run_at, *task));
        found.taken = rows.iter().map(|(task, ..)| TaskId(*task)).collect();
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
    sqlx::query(
        "UPDATE ready SET lane = home WHERE task IN (SELECT task FROM ready \
         WHERE lane = 1 AND run_at <= $1 FOR UPDATE SKIP LOCKED)",
    )
    .bind(now.as_micros())
    .execute(&mut **tx)
    .await
    .map_err(doing("wake what has come due"))?;
    let (next_due, suspect_waits): (Option<i64>, bool) = sqlx::query_as(
        "SELECT (SELECT min(run_at) FROM ready WHERE lane = 1), EXISTS (SELECT 1 FROM ready WHERE lane = 2 \
         AND kind = ANY($1))",
    )
    .bind(claim.known.iter().map(Kind::as_str).collect::<Vec<_>>())
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
    miss_nodes(tx, except, now).await?;
    let of_nodes: Vec<(i64, bool)> = sqlx::query_as(
        "SELECT tasks.id, coalesce((SELECT spared FROM nodes WHERE nodes.id = tasks.holder), FALSE) FROM tasks \
         WHERE tasks.status = 'In Progress' AND tasks.holder NOT LIKE '%:%' AND NOT EXISTS \
         (SELECT 1 FROM nodes WHERE nodes.id = tasks.holder AND nodes.lease_until > $1) \
         AND tasks.holder IS DISTINCT FROM $3 LIMIT $2 FOR UPDATE OF tasks SKIP LOCKED",
    )
    .bind(now.as_micros())
    .bind(i64::from(limit))
    .bind(except.map(|node| node.to_string()))
    .fetch_all(&mut **tx)
    .await
    .map_err(doing("look for lost tasks"))?;
    let mut lost: Vec<(TaskId, Lost)> = of_nodes
        .into_iter()
        .map(|(task, spared)| (TaskId(task), if spared { Lost::Spared } else { Lost::Node }))
        .collect();
    let others: [(&'static str, Lost); 2] = [
        (
            "SELECT id FROM tasks WHERE lease_until IS NOT NULL AND lease_until <= $1 LIMIT $2 \
             FOR UPDATE SKIP LOCKED",
            Lost::Outside,
        ),
        (
            "SELECT id FROM tasks WHERE status = 'New' AND attempt = 0 AND error IS NULL \
             AND expires_at IS NOT NULL AND expires_at <= $1 LIMIT $2 FOR UPDATE SKIP LOCKED",
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

/// Looks which nodes the database does not see any more, and ends the leases of those that it has missed for long
/// enough.
async fn miss_nodes(tx: &mut Tx<'_>, except: Option<NodeId>, now: Timestamp) -> Result<(), StoreError> {
    sqlx::query(
        "UPDATE nodes SET missed_at = CASE WHEN looked.gone THEN coalesce(nodes.missed_at, $1) END, \
         lease_until = CASE WHEN looked.gone AND nodes.missed_at <= $1 - $2 THEN 0 ELSE nodes.lease_until END \
         FROM (SELECT id, NOT EXISTS (SELECT 1 FROM pg_stat_activity WHERE pid = nodes.session) AS gone \
         FROM nodes WHERE lease_until > $1 AND session IS NOT NULL AND id IS DISTINCT FROM $3) AS looked \
         WHERE nodes.id = looked.id AND (looked.gone OR nodes.missed_at IS NOT NULL)",
    )
    .bind(now.as_micros())
    .bind(micros(MISSED))
    .bind(except.map(|node| node.to_string()))
    .execute(&mut **tx)
    .await
    .map(drop)
    .map_err(StoreError::of("look for dead nodes"))
}

/// Which tasks live with these unique keys.
async fn living(tx: &mut Tx<'_>, keys: &[UniqueKey]) -> Result<HashMap<UniqueKey, TaskId>, StoreError> {
    if keys.is_empty() {
        return Ok(HashMap::new());
    }
    let rows: Vec<(i64, i64)> = sqlx::query_as(
        "SELECT asked.place, tasks.id FROM unnest($1::bigint[], $2::text[], $3::text[]) WITH ORDINALITY \
         AS asked (owner, kind, key, place) JOIN tasks ON coalesce(tasks.owner, 0) = asked.owner \
         AND tasks.kind = asked.kind AND tasks.unique_key = asked.key \
         WHERE tasks.unique_key IS NOT NULL AND tasks.status IN ('New', 'In Progress')",
    )
    .bind(keys.iter().map(|(owner, ..)| owner.map_or(0, |user| user.0)).collect::<Vec<_>>())
    .bind(keys.iter().map(|(_, kind, _)| kind.as_str()).collect::<Vec<_>>())
    .bind(keys.iter().map(|(.., key)| &**key).collect::<Vec<_>>())
    .fetch_all(&mut **tx)
    .await
    .map_err(StoreError::of("look for unique keys"))?;
    Ok(rows
        .into_iter()
        .filter_map(|(place, task)| Some((keys.get(usize::try_from(place - 1).ok()?)?.clone(), TaskId(task))))
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
    let (scopes, keys): (Vec<&str>, Vec<&str>) =
        requests.iter().map(|(scope, key)| (scope.as_str(), key.as_str())).unzip();
    let rows: Vec<RememberedRow> = sqlx::query_as(
        "SELECT scope, key, request, status, location, body FROM remembered \
         JOIN unnest($1::text[], $2::text[]) AS asked (asked_scope, asked_key) \
         ON scope = asked_scope AND key = asked_key",
    )
    .bind(scopes)
    .bind(keys)
    .fetch_all(&mut **tx)
    .await
    .map_err(StoreError::of("look for answered requests"))?;
    Ok(rows.into_iter().map(RememberedRow::into_answer).collect())
}

async fn taken_emails(tx: &mut Tx<'_>, emails: &[String]) -> Result<HashSet<String>, StoreError> {
    if emails.is_empty() {
        return Ok(HashSet::new());
    }
    let taken: Vec<String> = sqlx::query_scalar("SELECT email FROM users WHERE email = ANY($1)")
        .bind(emails)
        .fetch_all(&mut **tx)
        .await
        .map_err(StoreError::of("look for e-mails"))?;
    Ok(taken.into_iter().collect())
}

async fn write(tx: &mut Tx<'_>, changes: &Changes, part: i64) -> Result<(), StoreError> {
    // Before anything unique, for which others may wait while we wait for a ready row of theirs.
    write_ready(tx, changes).await?;
    // What gives a unique key up, then what takes one.
    delete_tasks(tx, changes).await?;
    update_tasks(tx, &changes.updated).await?;
    update_tasks(tx, &changes.revived).await?;
    insert_tasks(tx, changes).await?;
    insert_users(tx, changes).await?;
    write_attachments(tx, changes).await?;
    count_created(tx, changes, part).await?;
    write_callbacks(tx, changes).await?;
    remember_answers(tx, changes).await?;
    if let Some(now) = changes.forget_nodes {
        forget_nodes(tx, now).await?;
    }
    // Last, since from here to the commit the other nodes' events wait.
    insert_events(tx, changes).await
}

async fn insert_tasks(tx: &mut Tx<'_>, changes: &Changes) -> Result<(), StoreError> {
    if changes.created.is_empty() {
        return Ok(());
    }
    let tasks = &changes.created;
    let columns: Vec<LifeColumns> = tasks.iter().map(|task| LifeColumns::of(&task.life)).collect();
    sqlx::query(
        "INSERT INTO tasks (id, kind, owner, status, priority, max_attempts, attempt, failures, crashes, \
         run_at, holder, started_at, finished_at, created_at, updated_at, timeout, payload, tags, unique_key, \
         callback, traceparent, expires_at) \
         SELECT id, kind, owner, status, priority, max_attempts, attempt, 0, 0, run_at, holder, started_at, \
         finished_at, created_at, updated_at, timeout, payload, tags, unique_key, callback, traceparent, expires_at \
         FROM unnest($1::bigint[], $2::text[], $3::bigint[], $4::text[], $5::bigint[], $6::bigint[], \
         $7::bigint[], $8::bigint[], $9::text[], $10::bigint[], $11::bigint[], $12::bigint[], $13::bigint[], \
         $14::bigint[], $15::text[], $16::text[], $17::text[], $18::text[], $19::text[], $20::bigint[]) \
         AS new (id, kind, owner, status, priority, max_attempts, attempt, run_at, holder, started_at, \
         finished_at, created_at, updated_at, timeout, payload, tags, unique_key, callback, traceparent, \
         expires_at)",
    )
    .bind(tasks.iter().map(|task| task.life.id.0).collect::<Vec<_>>())
    .bind(tasks.iter().map(|task| task.life.kind.as_str()).collect::<Vec<_>>())
    .bind(tasks.iter().map(|task| task.life.owner.map(|owner| owner.0)).collect::<Vec<_>>())
    .bind(columns.iter().map(|columns| columns.status).collect::<Vec<_>>())
    .bind(tasks.iter().map(|task| task.life.priority.get()).collect::<Vec<_>>())
    .bind(tasks.iter().map(|task| i64::from(task.life.max_attempts)).collect::<Vec<_>>())
    .bind(tasks.iter().map(|task| i64::from(task.life.attempt.0)).collect::<Vec<_>>())
    .bind(columns.iter().map(|columns| columns.run_at).collect::<Vec<_>>())
    .bind(columns.iter().map(|columns| columns.holder.as_deref()).collect::<Vec<_>>())
    .bind(columns.iter().map(|columns| columns.started_at).collect::<Vec<_>>())
    .bind(columns.iter().map(|columns| columns.finished_at).collect::<Vec<_>>())
    .bind(tasks.iter().map(|task| task.created_at.as_micros()).collect::<Vec<_>>())
    .bind(tasks.iter().map(|task| task.life.updated_at.as_micros()).collect::<Vec<_>>())
    .bind(tasks.iter().map(|task| task.timeout.map(micros)).collect::<Vec<_>>())
    .bind(tasks.iter().map(|task| task.payload.as_str()).collect::<Vec<_>>())
    .bind(tasks.iter().map(|task| to_json(&task.tags)).collect::<Vec<_>>())
    .bind(tasks.iter().map(|task| task.unique_key.as_deref()).collect::<Vec<_>>())
    .bind(tasks.iter().map(|task| task.callback.as_deref()).collect::<Vec<_>>())
    .bind(tasks.iter().map(|task| task.traceparent.as_ref().map(|trace| trace.as_str())).collect::<Vec<_>>())
    .bind(tasks.iter().map(|task| task.expires_at.map(Timestamp::as_micros)).collect::<Vec<_>>())
    .execute(&mut **tx)
    .await
    .map_err(StoreError::of("accept tasks"))?;
    let tags: Vec<(&str, i64)> =
        tasks.iter().flat_map(|task| task.tags.iter().map(|tag| (tag.as_str(), task.life.id.0))).collect();
    if tags.is_empty() {
        return Ok(());
    }
    let (tags, tagged): (Vec<&str>, Vec<i64>) = tags.into_iter().unzip();
    sqlx::query(
        "INSERT INTO task_tags (tag, task) SELECT * FROM unnest($1::text[], $2::bigint[]) \
         ON CONFLICT DO NOTHING",
    )
    .bind(tags)
    .bind(tagged)
    .execute(&mut **tx)
    .await
    .map(drop)
    .map_err(StoreError::of("tag tasks"))
}

async fn update_tasks(tx: &mut Tx<'_>, rows: &[(Life, Status, Attempt)]) -> Result<(), StoreError> {
    if rows.is_empty() {
        return Ok(());
    }
    let columns: Vec<LifeColumns> = rows.iter().map(|(life, ..)| LifeColumns::of(life)).collect();
    let changed = sqlx::query(
        "UPDATE tasks SET status = new.status, attempt = new.attempt, failures = new.failures, \
         crashes = new.crashes, run_at = new.run_at, holder = new.holder, progress = new.progress, \
         result = new.result, error = new.error, started_at = new.started_at, \
         finished_at = new.finished_at, updated_at = new.updated_at, assignee = new.assignee, \
         lease = new.lease, lease_until = new.lease_until \
         FROM unnest($1::bigint[], $2::text[], $3::bigint[], $4::text[], $5::bigint[], $6::bigint[], \
         $7::bigint[], $8::bigint[], $9::text[], $10::bigint[], $11::text[], $12::text[], $13::bigint[], \
         $14::bigint[], $15::bigint[], $16::bigint[], $17::bigint[], $18::bigint[]) \
         AS new (id, old_status, old_attempt, status, attempt, failures, crashes, run_at, holder, progress, \
         result, error, started_at, finished_at, updated_at, assignee, lease, lease_until) \
         WHERE tasks.id = new.id AND tasks.status = new.old_status AND tasks.attempt = new.old_attempt",
    )
    .bind(rows.iter().map(|(life, ..)| life.id.0).collect::<Vec<_>>())
    .bind(rows.iter().map(|(_, status, _)| status.as_str()).collect::<Vec<_>>())
    .bind(rows.iter().map(|(.., attempt)| i64::from(attempt.0)).collect::<Vec<_>>())
    .bind(columns.iter().map(|columns| columns.status).collect::<Vec<_>>())
    .bind(rows.iter().map(|(life, ..)| i64::from(life.attempt.0)).collect::<Vec<_>>())
    .bind(rows.iter().map(|(life, ..)| i64::from(life.failures)).collect::<Vec<_>>())
    .bind(rows.iter().map(|(life, ..)| i64::from(life.crashes)).collect::<Vec<_>>())
    .bind(columns.iter().map(|columns| columns.run_at).collect::<Vec<_>>())
    .bind(columns.iter().map(|columns| columns.holder.as_deref()).collect::<Vec<_>>())
    .bind(columns.iter().map(|columns| columns.progress).collect::<Vec<_>>())
    .bind(columns.iter().map(|columns| columns.result.as_ref().map(|json| json.as_str())).collect::<Vec<_>>())
    .bind(columns.iter().map(|columns| columns.error.as_deref()).collect::<Vec<_>>())
    .bind(columns.iter().map(|columns| columns.started_at).collect::<Vec<_>>())
    .bind(columns.iter().map(|columns| columns.finished_at).collect::<Vec<_>>())
    .bind(rows.iter().map(|(life, ..)| life.updated_at.as_micros()).collect::<Vec<_>>())
    .bind(columns.iter().map(|columns| columns.assignee).collect::<Vec<_>>())
    .bind(columns.iter().map(|columns| columns.lease).collect::<Vec<_>>())
    .bind(columns.iter().map(|columns| columns.lease_until).collect::<Vec<_>>())
    .execute(&mut **tx)
    .await
    .map_err(StoreError::of("change tasks"))?;
    crate::store::all_changed(changed.rows_affected(), rows.len())
}

async fn write_ready(tx: &mut Tx<'_>, changes: &Changes) -> Result<(), StoreError> {
    let gone: Vec<TaskId> = changes.ready_removed.iter().chain(&changes.deleted).copied().collect();
    if !gone.is_empty() {
        sqlx::query("DELETE FROM ready WHERE task = ANY($1)")
            .bind(numbers(&gone))
            .execute(&mut **tx)
            .await
            .map_err(StoreError::of("leave ready"))?;
    }
    let rows = &changes.ready_added;
    if rows.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "INSERT INTO ready (task, kind, owner, lane, home, rank, run_at) SELECT * FROM unnest($1::bigint[], \
         $2::text[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[])",
    )
    .bind(rows.iter().map(|row| row.task.0).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.kind.as_str()).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.owner.map_or(0, |owner| owner.0)).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.lane as i64).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.home as i64).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.rank).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.run_at.as_micros()).collect::<Vec<_>>())
    .execute(&mut **tx)
    .await
    .map(drop)
    .map_err(StoreError::of("make ready"))
}

async fn insert_events(tx: &mut Tx<'_>, changes: &Changes) -> Result<(), StoreError> {
    let events = &changes.events;
    if events.is_empty() {
        return Ok(());
    }
    sqlx::query("SELECT pg_advisory_xact_lock($1)")
        .bind(EVENT_ORDER)
        .execute(&mut **tx)
        .await
        .map_err(StoreError::of("wait for the turn to number events"))?;
    sqlx::query(
        "INSERT INTO events (task, kind, owner, event, attempt, at, data) \
         SELECT task, kind, owner, event, attempt, at, data FROM unnest($1::bigint[], $2::text[], \
         $3::bigint[], $4::text[], $5::bigint[], $6::bigint[], $7::text[]) WITH ORDINALITY \
         AS new (task, kind, owner, event, attempt, at, data, place) ORDER BY place",
    )
    .bind(events.iter().map(|event| event.task.0).collect::<Vec<_>>())
    .bind(events.iter().map(|event| event.kind.as_str()).collect::<Vec<_>>())
    .bind(events.iter().map(|event| event.owner.map(|owner| owner.0)).collect::<Vec<_>>())
    .bind(events.iter().map(|event| event.fact.name().as_str()).collect::<Vec<_>>())
    .bind(events.iter().map(|event| i64::from(event.attempt.0)).collect::<Vec<_>>())
    .bind(events.iter().map(|event| event.at.as_micros()).collect::<Vec<_>>())
    .bind(events.iter().map(event_data).collect::<Vec<_>>())
    .execute(&mut **tx)
    .await
    .map(drop)
    .map_err(StoreError::of("write events"))
}

async fn insert_users(tx: &mut Tx<'_>, changes: &Changes) -> Result<(), StoreError> {
    for (user, token) in &changes.users {
        sqlx::query(
            "INSERT INTO users (id, name, email, token_hash, created_at) VALUES ($1, $2, $3, $4, $5)",
        )
        .bind(user.id.0)
        .bind(user.name.as_ref().map(|name| name.as_str()))
        .bind(user.email.as_ref().map(|email| email.as_str()))
        .bind(token.as_str())
        .bind(user.created_at.as_micros())
        .execute(&mut **tx)
        .await
        .map_err(StoreError::of("make a user"))?;
    }
    Ok(())
}

async fn write_attachments(tx: &mut Tx<'_>, changes: &Changes) -> Result<(), StoreError> {
    if !changes.inputs_dropped.is_empty() {
        sqlx::query("DELETE FROM task_blobs WHERE role = 'input' AND task = ANY($1)")
            .bind(numbers(&changes.inputs_dropped))
            .execute(&mut **tx)
            .await
            .map_err(StoreError::of("drop inputs"))?;
    }
    for (task, attachment) in &changes.attachments {
        sqlx::query("INSERT INTO task_blobs (task, role, blob, bytes) VALUES ($1, $2, $3, $4)")
            .bind(task.0)
            .bind(attachment.role.as_str())
            .bind(attachment.blob.as_str())
            .bind(i64::try_from(attachment.bytes).unwrap_or(i64::MAX))
            .execute(&mut **tx)
            .await
            .map_err(StoreError::of("attach a blob"))?;
    }
    for (recording, task, owner, at) in &changes.recordings {
        sqlx::query(
            "INSERT INTO recordings (id, task, owner, filename, created_at) VALUES ($1, $2, $3, $4, $5)",
        )
        .bind(recording.id.to_string())
        .bind(task.0)
        .bind(owner.map(|owner| owner.0))
        .bind(&recording.filename)
        .bind(at.as_micros())
        .execute(&mut **tx)
        .await
        .map_err(StoreError::of("keep a recording"))?;
    }
    Ok(())
}

/// Counts what was made, in this store's own part.
async fn count_created(tx: &mut Tx<'_>, changes: &Changes, part: i64) -> Result<(), StoreError> {
    let counts = &changes.counts;
    if counts.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "INSERT INTO created_counts (owner, part, created) SELECT owner, $2, created \
         FROM unnest($1::bigint[], $3::bigint[]) AS new (owner, created) \
         ON CONFLICT (owner, part) DO UPDATE SET created = created_counts.created + excluded.created",
    )
    .bind(counts.keys().map(|owner| owner.map_or(0, |owner| owner.0)).collect::<Vec<_>>())
    .bind(part)
    .bind(counts.values().copied().collect::<Vec<_>>())
    .execute(&mut **tx)
    .await
    .map(drop)
    .map_err(StoreError::of("count tasks"))
}

async fn write_callbacks(tx: &mut Tx<'_>, changes: &Changes) -> Result<(), StoreError> {
    let now = changes.events.first().map_or(0, |event| event.at.as_micros());
    for (task, url) in &changes.callbacks {
        sqlx::query(
            "INSERT INTO callbacks (task, url, told, next_at, tries, given_up) VALUES ($1, $2, 0, $3, 0, 0)",
        )
        .bind(task.0)
        .bind(url)
        .bind(now)
        .execute(&mut **tx)
        .await
        .map_err(StoreError::of("keep a callback"))?;
    }
    if !changes.to_tell.is_empty() {
        // Also where somebody is at it already: holding the row until the event can be seen, we make them see it.
        sqlx::query("UPDATE callbacks SET next_at = coalesce(next_at, $2) WHERE task = ANY($1)")
            .bind(changes.to_tell.iter().map(|task| task.0).collect::<Vec<_>>())
            .bind(now)
            .execute(&mut **tx)
            .await
            .map_err(StoreError::of("wake callbacks"))?;
    }
    let replies = &changes.replies;
    if replies.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "INSERT INTO replies (task, reply_to, correlation_id) \
         SELECT * FROM unnest($1::bigint[], $2::text[], $3::text[])",
    )
    .bind(replies.iter().map(|(task, _)| task.0).collect::<Vec<_>>())
    .bind(replies.iter().map(|(_, reply)| reply.queue.as_str()).collect::<Vec<_>>())
    .bind(replies.iter().map(|(_, reply)| reply.correlation_id.as_deref()).collect::<Vec<_>>())
    .execute(&mut **tx)
    .await
    .map(drop)
    .map_err(StoreError::of("keep reply addresses"))
}

async fn remember_answers(tx: &mut Tx<'_>, changes: &Changes) -> Result<(), StoreError> {
    let answers = &changes.answers;
    if answers.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "INSERT INTO remembered (scope, key, request, status, location, body, forget_at) SELECT * FROM \
         unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::text[], $6::text[], $7::bigint[])",
    )
    .bind(answers.iter().map(|(asked, ..)| asked.scope.as_str()).collect::<Vec<_>>())
    .bind(answers.iter().map(|(asked, ..)| asked.key.as_str()).collect::<Vec<_>>())
    .bind(answers.iter().map(|(asked, ..)| asked.request.as_str()).collect::<Vec<_>>())
    .bind(answers.iter().map(|(_, answer, _)| i64::from(answer.status)).collect::<Vec<_>>())
    .bind(answers.iter().map(|(_, answer, _)| answer.location.as_deref()).collect::<Vec<_>>())
    .bind(answers.iter().map(|(_, answer, _)| answer.body.as_str()).collect::<Vec<_>>())
    .bind(answers.iter().map(|(.., until)| until.as_micros()).collect::<Vec<_>>())
    .execute(&mut **tx)
    .await
    .map(drop)
    .map_err(StoreError::of("remember answers"))
}

async fn delete_tasks(tx: &mut Tx<'_>, changes: &Changes) -> Result<(), StoreError> {
    if changes.deleted.is_empty() {
        return Ok(());
    }
    // The primary key of the tags begins with the tag: only what has tags is looked for there.
    sqlx::query(
        "DELETE FROM task_tags USING tasks, jsonb_array_elements_text(tasks.tags::jsonb) AS tag \
         WHERE tasks.id = ANY($1) AND task_tags.tag = tag AND task_tags.task = tasks.id",
    )
    .bind(numbers(&changes.deleted))
    .execute(&mut **tx)
    .await
    .map_err(StoreError::of("delete tags"))?;
    // Blobs and recordings go along: foreign keys.
    sqlx::query("DELETE FROM tasks WHERE id = ANY($1)")
        .bind(numbers(&changes.deleted))
        .execute(&mut **tx)
        .await
        .map(drop)
        .map_err(StoreError::of("delete tasks"))
}

async fn forget_nodes(tx: &mut Tx<'_>, now: Timestamp) -> Result<(), StoreError> {
    sqlx::query(
        "DELETE FROM nodes WHERE lease_until <= $1 AND NOT EXISTS (SELECT 1 FROM tasks \
         WHERE tasks.holder = nodes.id AND tasks.status = 'In Progress')",
    )
    .bind(now.as_micros())
    .execute(&mut **tx)
    .await
    .map(drop)
    .map_err(StoreError::of("forget dead nodes"))
}
