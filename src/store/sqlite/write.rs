//! What a group changes: a set statement for each table.

use serde::Serialize;

use super::group::Tx;
use crate::account::{Change, Day};
use crate::store::overview::rows::write_pauses;
use crate::store::people::people;
use crate::store::plan::{ChangedCounters, ChangedUser, Changes};
use crate::store::row::{LifeColumns, event_data, hex, micros, to_json};
use crate::store::{REMEMBERED, StoreError};
use crate::task::{Attempt, Life, Status, Timestamp, UserId};

pub(super) async fn write(tx: &mut Tx<'_>, changes: &Changes, part: i64) -> Result<(), StoreError> {
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
    write_people(tx, changes).await?;
    write_pauses(tx, changes).await?;
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
                    task.traceparent.map(|trace| trace.to_string()),
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

people!();
write_pauses!();

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
        "DELETE FROM nodes WHERE lease_until <= ?1 AND coalesce(said_at, 0) <= ?2 AND NOT EXISTS (SELECT 1 FROM tasks \
         WHERE tasks.holder = nodes.id AND tasks.status = 'In Progress')",
    )
    .bind(now.as_micros())
    .bind(now.before(REMEMBERED).as_micros())
    .execute(&mut **tx)
    .await
    .map(drop)
    .map_err(StoreError::of("forget dead nodes"))
}
