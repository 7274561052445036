//! What a group speaks of: loaded and locked, in the order that the page of `group` gives.

use std::collections::{BTreeMap, HashMap, HashSet};

use sqlx::AssertSqlSafe;

use super::group::{Tx, numbers};
use super::{NOW, PostgresStore, outside};
use crate::account::{Counters, User};
use crate::store::library::reports as figures;
use crate::store::overview::rows;
use crate::store::plan::{Found, Gone, Loaded, Lost, Needs, UniqueKey};
use crate::store::row::{RememberedRow, TASK_COLUMNS, TaskRow, USER_COLUMNS, UserRow, micros};
use crate::store::{Claim, MISSED, Pause, RememberedAnswer, StoreError, Usage};
use crate::task::{Kind, NodeId, Task, TaskId, Timestamp, UserId};

impl PostgresStore {
    pub(super) async fn load(&self, tx: &mut Tx<'_>, mut needs: Needs) -> Result<Loaded, StoreError> {
        let doing = StoreError::of;
        let text = format!(
            "SELECT {NOW}, \
             ARRAY(SELECT nextval('tasks_id_seq') FROM generate_series(1, $2)), \
             ARRAY(SELECT nextval('users_id_seq') FROM generate_series(1, $3)), \
             (SELECT json_agg(json_build_array(kind, paused_at, paused_by))::text FROM paused_kinds WHERE kind > '')"
        );
        let (now, task_ids, user_ids, paused): (i64, Vec<i64>, Vec<i64>, Option<String>) =
            sqlx::query_as(AssertSqlSafe(text))
                .bind(self.clock.shift())
                .bind(i64::try_from(needs.new_tasks).unwrap_or(i64::MAX))
                .bind(i64::try_from(needs.new_users).unwrap_or(i64::MAX))
                .fetch_one(&mut **tx)
                .await
                .map_err(doing("ask the time, new numbers, and which kinds are paused"))?;
        let pauses = pauses(paused)?;
        needs.hold_back(&pauses);
        let now = Timestamp::from_micros(now);
        // Users first, then tasks: in one order everywhere.
        let users = lock_users(tx, &needs.users).await?;
        let counters = counters(tx, &needs.counters).await?;
        let usage = usage(tx, &needs.usage).await?;
        let purged = match needs.purge {
            Some(limit) => purged(tx, limit).await?,
            None => Vec::new(),
        };
        let mut named: Vec<TaskId> =
            needs.tasks.iter().copied().chain(purged.iter().map(|(task, _)| *task)).collect();
        named.sort_unstable();
        named.dedup();
        let mut tasks = lock_tasks(tx, &named).await?;
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
            users,
            counters,
            usage,
            purged,
            found,
            taken,
            unique,
            answered: answered(tx, &needs.requests).await?,
            lost,
            pauses,
        })
    }
}

/// The kinds that are paused, of the JSON that they come as; `None` where there are none.
fn pauses(json: Option<String>) -> Result<BTreeMap<Kind, Pause>, StoreError> {
    let Some(json) = json else { return Ok(BTreeMap::new()) };
    let found = serde_json::from_str(&json).map_err(|error| StoreError::Corrupt {
        table: "paused_kinds",
        row: json.clone(),
        problem: error.to_string(),
    })?;
    rows::pauses(found)
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

async fn lock_users(tx: &mut Tx<'_>, ids: &[UserId]) -> Result<Vec<User>, StoreError> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let text = format!(
        "SELECT {USER_COLUMNS} FROM users WHERE users.id = ANY($1) AND users.deleted_at IS NULL \
         ORDER BY users.id FOR UPDATE"
    );
    let rows: Vec<UserRow> = sqlx::query_as(AssertSqlSafe(text))
        .bind(ids.iter().map(|user| user.0).collect::<Vec<_>>())
        .fetch_all(&mut **tx)
        .await
        .map_err(StoreError::of("lock users"))?;
    rows.into_iter().map(UserRow::into_user).collect()
}

/// What these have here. Two nodes count one after the other, so that they cannot both let the last image in.
async fn usage(
    tx: &mut Tx<'_>,
    owners: &[Option<UserId>],
) -> Result<HashMap<Option<UserId>, Usage>, StoreError> {
    let mut usage = HashMap::new();
    for owner in owners {
        let number = owner.map_or(0, |owner| owner.0);
        sqlx::query("SELECT pg_advisory_xact_lock(hashtextextended('images of ' || $1::text, 0))")
            .bind(number)
            .execute(&mut **tx)
            .await
            .map_err(StoreError::of("lock the images of a user"))?;
        let (images, bytes): (i64, i64) = sqlx::query_as(
            "SELECT count(*), CAST(coalesce(sum(bytes), 0) AS BIGINT) FROM ( \
             SELECT bytes FROM images WHERE coalesce(owner, 0) = $1 AND bytes > 0 \
             UNION ALL SELECT bytes FROM pictures WHERE coalesce(owner, 0) = $1) AS had",
        )
        .bind(number)
        .fetch_one(&mut **tx)
        .await
        .map_err(StoreError::of("count images"))?;
        usage.insert(*owner, Usage { images: images.unsigned_abs(), bytes: bytes.unsigned_abs() });
    }
    Ok(usage)
}

/// Tasks of users who are gone, or in their hands.
async fn purged(tx: &mut Tx<'_>, limit: u32) -> Result<Vec<(TaskId, Gone)>, StoreError> {
    let doing = || StoreError::of("look for what users left who are gone");
    // By itself and first: hardly ever is anybody gone, and then no table of tasks is looked at.
    let gone: Vec<i64> = sqlx::query_scalar("SELECT id FROM users WHERE deleted_at IS NOT NULL")
        .fetch_all(&mut **tx)
        .await
        .map_err(doing())?;
    if gone.is_empty() {
        return Ok(Vec::new());
    }
    let owned: Vec<i64> = sqlx::query_scalar("SELECT id FROM tasks WHERE owner = ANY($1) LIMIT $2")
        .bind(&gone)
        .bind(i64::from(limit))
        .fetch_all(&mut **tx)
        .await
        .map_err(doing())?;
    let left = i64::from(limit) - i64::try_from(owned.len()).unwrap_or(i64::MAX);
    let held: Vec<(i64, i64)> = sqlx::query_as(
        "SELECT id, assignee FROM tasks WHERE status = 'In Progress' AND assignee = ANY($1) \
         AND (owner IS NULL OR owner <> ALL($1)) LIMIT $2",
    )
    .bind(&gone)
    .bind(left.max(0))
    .fetch_all(&mut **tx)
    .await
    .map_err(doing())?;
    let owned = owned.into_iter().map(|task| (TaskId(task), Gone::Owner));
    let held = held.into_iter().map(|(task, user)| (TaskId(task), Gone::Assignee(UserId(user))));
    Ok(owned.chain(held).collect())
}

/// The counters of these users, whom the group has locked.
async fn counters(tx: &mut Tx<'_>, users: &[UserId]) -> Result<HashMap<UserId, Counters>, StoreError> {
    let mut counters = HashMap::new();
    for user in users {
        let rows: Vec<(String, i64, i64)> =
            sqlx::query_as("SELECT name, value, updated_at FROM counters WHERE owner = $1")
                .bind(user.0)
                .fetch_all(&mut **tx)
                .await
                .map_err(StoreError::of("load counters"))?;
        counters.insert(*user, figures::counters(*user, rows)?.counters);
    }
    Ok(counters)
}
