//! What a group speaks of, loaded. Nothing needs a lock: the transaction is the only one that writes.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::atomic::Ordering;

use sqlx::AssertSqlSafe;

use super::SqliteStore;
use super::group::Tx;
use crate::account::{Counters, User};
use crate::store::library::reports as figures;
use crate::store::overview::rows;
use crate::store::plan::{Found, Gone, Loaded, Lost, Needs, UniqueKey};
use crate::store::row::{RememberedRow, TASK_COLUMNS, TaskRow, USER_COLUMNS, UserRow, to_json};
use crate::store::{Claim, Pause, RememberedAnswer, StoreError, Take, Usage, Wanted};
use crate::task::{Kind, NodeId, Task, TaskId, Timestamp, UserId};

impl SqliteStore {
    pub(super) async fn load(&self, tx: &mut Tx<'_>, mut needs: Needs) -> Result<Loaded, StoreError> {
        let now = self.clock.now();
        let pauses = if needs.pauses { pauses(tx).await? } else { BTreeMap::new() };
        needs.hold_back(&pauses);
        let mut found = Vec::new();
        for claim in &needs.claims {
            found.push(take_ready(tx, claim, now).await?);
        }
        let lost = match needs.rescue {
            Some((limit, except)) => lost(tx, limit, except, now).await?,
            None => Vec::new(),
        };
        let purged = match needs.purge {
            Some(limit) => purged(tx, limit).await?,
            None => Vec::new(),
        };
        let mut taken = Vec::new();
        for take in &needs.takes {
            taken.push(take_outside(tx, take).await?);
        }
        let claimed = found.iter().flat_map(|found| found.taken.iter().copied());
        let lost_tasks = lost.iter().map(|(task, _)| *task);
        let named = needs.tasks.iter().copied().chain(purged.iter().map(|(task, _)| *task));
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
            users: load_users(tx, &needs.users).await?,
            counters: counters(tx, &needs.counters).await?,
            usage: usage(tx, &needs.usage).await?,
            purged,
            found,
            lost,
            pauses,
        })
    }
}

/// The kinds that are paused.
async fn pauses(tx: &mut Tx<'_>) -> Result<BTreeMap<Kind, Pause>, StoreError> {
    let found = sqlx::query_as("SELECT kind, paused_at, paused_by FROM paused_kinds")
        .fetch_all(&mut **tx)
        .await
        .map_err(StoreError::of("look which kinds are paused"))?;
    rows::pauses(found)
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

async fn load_users(tx: &mut Tx<'_>, ids: &[UserId]) -> Result<Vec<User>, StoreError> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let text = format!(
        "SELECT {USER_COLUMNS} FROM users WHERE users.id IN (SELECT value FROM json_each(?1)) \
         AND users.deleted_at IS NULL"
    );
    let rows: Vec<UserRow> = sqlx::query_as(AssertSqlSafe(text))
        .bind(to_json(&ids))
        .fetch_all(&mut **tx)
        .await
        .map_err(StoreError::of("load users"))?;
    rows.into_iter().map(UserRow::into_user).collect()
}

/// What these have here.
async fn usage(
    tx: &mut Tx<'_>,
    owners: &[Option<UserId>],
) -> Result<HashMap<Option<UserId>, Usage>, StoreError> {
    let mut usage = HashMap::new();
    for owner in owners {
        let (images, bytes): (i64, i64) = sqlx::query_as(
            "SELECT count(*), coalesce(sum(bytes), 0) FROM ( \
             SELECT bytes FROM images WHERE coalesce(owner, 0) = ?1 AND bytes > 0 \
             UNION ALL SELECT bytes FROM pictures WHERE coalesce(owner, 0) = ?1)",
        )
        .bind(owner.map_or(0, |owner| owner.0))
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
    let gone = to_json(&gone);
    let owned: Vec<i64> =
        sqlx::query_scalar("SELECT id FROM tasks WHERE owner IN (SELECT value FROM json_each(?1)) LIMIT ?2")
            .bind(&gone)
            .bind(i64::from(limit))
            .fetch_all(&mut **tx)
            .await
            .map_err(doing())?;
    let left = i64::from(limit) - i64::try_from(owned.len()).unwrap_or(i64::MAX);
    let held: Vec<(i64, i64)> = sqlx::query_as(
        "SELECT id, assignee FROM tasks WHERE status = 'In Progress' AND assignee IN (SELECT value FROM json_each(?1)) \
         AND (owner IS NULL OR owner NOT IN (SELECT value FROM json_each(?1))) LIMIT ?2",
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
