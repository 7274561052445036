//! Finding tasks for workers outside, for all takes of a group.
//!
//! Called when a group is loaded. Takes of the same kinds by callers who may have the same are looked for by one
//! statement: many workers that claim at the same time cost hardly more than one. Each task found has its ready row
//! deleted and is locked; what another node is taking is passed over.

use std::collections::BTreeMap;

use super::group::Tx;
use crate::store::{StoreError, Take, Wanted, pairs};
use crate::task::TaskId;

/// Which kinds of which owners a take is for.
type Pairs<'a> = Vec<(&'a str, i64)>;

/// For each take, in their order, the task found for it: the most urgent, oldest that its caller may have.
pub(super) async fn take(tx: &mut Tx<'_>, takes: &[Take]) -> Result<Vec<Option<TaskId>>, StoreError> {
    let mut alike = BTreeMap::<Pairs<'_>, Vec<usize>>::new();
    for (place, take) in takes.iter().enumerate() {
        match &take.wanted {
            Wanted::Kinds(kinds) => alike.entry(pairs(kinds, take.caller)).or_default().push(place),
            Wanted::Id(_) => {}
        }
    }
    let mut taken = vec![None; takes.len()];
    for (pairs, places) in alike {
        let found = find(tx, &pairs, places.len()).await?;
        for (place, task) in places.into_iter().zip(found) {
            taken[place] = Some(task);
        }
    }
    Ok(taken)
}

/// Takes the ready rows of the first tasks of these pairs, at most `wanted`; gives them in their order.
async fn find(tx: &mut Tx<'_>, pairs: &Pairs<'_>, wanted: usize) -> Result<Vec<TaskId>, StoreError> {
    let mut found = first(tx, pairs, wanted).await?;
    // Others may be taking all of those.
    while found.len() < wanted {
        match behind(tx, pairs).await? {
            Some(task) => found.push(task),
            None => break,
        }
    }
    Ok(found)
}

/// For each kind and owner some of the first by the index; of these the first of all that nobody else is taking.
async fn first(tx: &mut Tx<'_>, pairs: &Pairs<'_>, wanted: usize) -> Result<Vec<TaskId>, StoreError> {
    let text = "WITH best AS (SELECT ready.task FROM unnest($1::text[], $2::bigint[]) AS pair (kind, owner) \
        CROSS JOIN LATERAL (SELECT task FROM ready WHERE lane = 3 AND kind = pair.kind AND owner = pair.owner \
        ORDER BY kind, owner, rank, run_at, task LIMIT 16 + $3) AS first JOIN ready ON ready.task = first.task \
        JOIN tasks ON tasks.id = ready.task WHERE ready.lane = 3 \
        ORDER BY ready.rank, ready.run_at, ready.task LIMIT $3 FOR UPDATE OF ready, tasks SKIP LOCKED) \
        DELETE FROM ready USING best WHERE ready.task = best.task \
        RETURNING ready.rank, ready.run_at, ready.task";
    let (kinds, owners): (Vec<&str>, Vec<i64>) = pairs.iter().copied().unzip();
    let mut rows: Vec<(i64, i64, i64)> = sqlx::query_as(text)
        .bind(kinds)
        .bind(owners)
        .bind(i64::try_from(wanted).unwrap_or(i64::MAX))
        .fetch_all(&mut **tx)
        .await
        .map_err(StoreError::of("take tasks"))?;
    rows.sort_unstable();
    Ok(rows.into_iter().map(|(.., task)| TaskId(task)).collect())
}

/// The first task behind what others are taking. One of each kind and owner is locked although one is taken, so for an
/// instant others may find less than there is.
async fn behind(tx: &mut Tx<'_>, pairs: &Pairs<'_>) -> Result<Option<TaskId>, StoreError> {
    let text = "WITH firsts AS (SELECT first.task, first.rank, first.run_at \
        FROM unnest($1::text[], $2::bigint[]) AS pair (kind, owner) CROSS JOIN LATERAL \
        (SELECT ready.task, ready.rank, ready.run_at FROM ready JOIN tasks ON tasks.id = ready.task \
        WHERE ready.lane = 3 AND ready.kind = pair.kind AND ready.owner = pair.owner \
        ORDER BY ready.kind, ready.owner, ready.rank, ready.run_at, ready.task \
        LIMIT 1 FOR UPDATE OF ready, tasks SKIP LOCKED) AS first) \
        DELETE FROM ready USING (SELECT task FROM firsts ORDER BY rank, run_at, task LIMIT 1) AS best \
        WHERE ready.task = best.task RETURNING ready.task";
    let (kinds, owners): (Vec<&str>, Vec<i64>) = pairs.iter().copied().unzip();
    let found: Option<i64> = sqlx::query_scalar(text)
        .bind(kinds)
        .bind(owners)
        .fetch_optional(&mut **tx)
        .await
        .map_err(StoreError::of("take a task"))?;
    Ok(found.map(TaskId))
}
