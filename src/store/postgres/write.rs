//! What a group changes: a set statement for each table, in the order that the page of `group` gives.

use super::group::{Tx, numbers};
use crate::account::{Change, Day};
use crate::store::overview::rows::write_pauses;
use crate::store::people::people;
use crate::store::plan::{ChangedCounters, ChangedUser, Changes};
use crate::store::row::{LifeColumns, event_data, hex, micros, to_json};
use crate::store::{REMEMBERED, StoreError};
use crate::task::{Attempt, Life, Status, TaskId, Timestamp, UserId};

/// The number of the lock under which events get their numbers: any constant that nothing else uses here.
const EVENT_ORDER: i64 = 0x6772_6973_746d; // "gristm"

pub(super) async fn write(tx: &mut Tx<'_>, changes: &Changes, part: i64) -> Result<(), StoreError> {
    // Before anything unique, for which others may wait while we wait for a ready row of theirs.
    write_ready(tx, changes).await?;
    // What gives a unique key up, then what takes one.
    delete_tasks(tx, changes).await?;
    update_tasks(tx, &changes.updated).await?;
    update_tasks(tx, &changes.revived).await?;
    insert_tasks(tx, changes).await?;
    write_people(tx, changes).await?;
    write_pauses(tx, changes).await?;
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
    .bind(tasks.iter().map(|task| task.traceparent.map(|trace| trace.to_string())).collect::<Vec<_>>())
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

people!();
write_pauses!();

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
        "DELETE FROM nodes WHERE lease_until <= $1 AND coalesce(said_at, 0) <= $2 AND NOT EXISTS (SELECT 1 FROM tasks \
         WHERE tasks.holder = nodes.id AND tasks.status = 'In Progress')",
    )
    .bind(now.as_micros())
    .bind(now.before(REMEMBERED).as_micros())
    .execute(&mut **tx)
    .await
    .map(drop)
    .map_err(StoreError::of("forget dead nodes"))
}
