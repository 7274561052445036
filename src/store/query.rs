//! What can be asked of the database to read.

use std::collections::{BTreeMap, HashMap, HashSet};

use sqlx::{Database, Encode, QueryBuilder, Type};

use super::StoreError;
use super::row::{OwnedBlobRow, RecordingRow, TaskRow};
use crate::account::{Caller, TokenHash};
use crate::media::image::Facts;
use crate::task::{
    Attachment, Attempt, BlobName, ImageId, ImageName, Kind, RecordingId, Role, Status, Task, TaskId,
    Timestamp, UserId,
};

/// Which tasks.
#[derive(Debug, Clone, PartialEq)]
pub struct TaskFilter {
    /// Those that this caller may see.
    pub caller: Caller,
    /// Of this status.
    pub status: Option<Status>,
    /// Of this kind.
    pub kind: Option<Kind>,
    /// With this tag.
    pub tag: Option<String>,
    /// Accepted at this instant or later.
    pub created_from: Option<Timestamp>,
    /// Accepted before this instant.
    pub created_before: Option<Timestamp>,
    /// The one of this number.
    pub id: Option<TaskId>,
    /// With this unique key, whether it has ended or not.
    pub unique_key: Option<String>,
}

impl TaskFilter {
    /// All that `caller` may see.
    #[must_use]
    pub fn of(caller: Caller) -> Self {
        Self {
            caller,
            status: None,
            kind: None,
            tag: None,
            created_from: None,
            created_before: None,
            id: None,
            unique_key: None,
        }
    }
}

/// Which tasks to do something to at once.
#[derive(Debug, Clone, PartialEq)]
pub struct Selection {
    /// Those that it lets through;
    pub filter: TaskFilter,
    /// of these alone, where they are named;
    pub ids: Option<Vec<TaskId>>,
    /// where the filter names no status: of one of these; empty is of any.
    pub statuses: &'static [Status],
    /// None of this kind.
    pub except: Option<Kind>,
}

impl Selection {
    /// The filters whose results together are meant, each of another status.
    fn parts(&self) -> Vec<TaskFilter> {
        if self.filter.status.is_some() || self.statuses.is_empty() {
            return vec![self.filter.clone()];
        }
        let of = |status: &Status| TaskFilter { status: Some(*status), ..self.filter.clone() };
        self.statuses.iter().map(of).collect()
    }
}

/// By which end of the ids to begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Order {
    /// The oldest first.
    #[default]
    Ascending,
    /// The newest first.
    Descending,
}

/// A part of a list, by keyset: what comes after a known id, never an offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page {
    /// Begin after this one, in the page's order.
    pub after: Option<TaskId>,
    /// From which end.
    pub order: Order,
    /// At most so many.
    pub limit: u32,
}

/// A recording with the task that converts it.
#[derive(Debug, Clone, PartialEq)]
pub struct Recording {
    /// Its public name.
    pub id: RecordingId,
    /// Whose it is.
    pub owner: Option<UserId>,
    /// What the uploaded file was called.
    pub filename: String,
    /// The conversion.
    pub task: Task,
    /// The blobs: the upload while it is kept, the MP3 once it is made.
    pub attachments: Vec<Attachment>,
}

impl Recording {
    /// The blob in that role.
    #[must_use]
    pub fn blob(&self, role: Role) -> Option<&Attachment> {
        self.attachments.iter().find(|attachment| attachment.role == role)
    }
}

/// An image with what is known of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Image {
    /// Its number.
    pub id: ImageId,
    /// The name under which it is served.
    pub name: ImageName,
    /// The task that it is made by, and lives with.
    pub task: TaskId,
    /// Whose it is.
    pub owner: Option<UserId>,
    /// What the uploaded file was called.
    pub filename: String,
    /// What it is; the thumbhash is empty until it is ready.
    pub facts: Facts,
    /// The size of what is stored; of the upload until it is ready.
    pub bytes: u64,
    /// The bytes, once it is ready.
    pub blob: Option<BlobName>,
    /// What is kept of the token with which anybody may remove it.
    pub delete_token: TokenHash,
    /// When it came.
    pub created_at: Timestamp,
}

/// How much of a kind waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KindDepth {
    /// Which kind.
    pub kind: Kind,
    /// Rows in the ready table: claimable now, parked for later, or suspect.
    pub ready: u64,
    /// Since when the first of them could have been claimed; none where all are parked.
    pub oldest: Option<Timestamp>,
}

/// Adds the conditions of `filter` to a statement that ends in `WHERE `. The same on both databases.
pub(super) fn filter_tasks<DB: Database>(text: &mut QueryBuilder<DB>, filter: &TaskFilter)
where
    for<'q> i64: Encode<'q, DB> + Type<DB>,
    for<'q> String: Encode<'q, DB> + Type<DB>,
{
    match filter.caller {
        Caller::User(user) => text.push("owner = ").push_bind(user.0),
        Caller::Anonymous => text.push("owner IS NULL"),
        Caller::Admin(_) => text.push("TRUE"),
    };
    if let Some(status) = filter.status {
        // Literal, so that the planner can see which partial index fits.
        text.push(format!(" AND status = '{}'", status.as_str()));
        // A tag is the way in where there is one: of two ways SQLite takes the one within the other, each with each.
        text.push(match status {
            Status::New | Status::InProgress if filter.tag.is_some() => "",
            // Every waiting task has a row there, and few tasks wait: that spares a walk over all that ever were.
            Status::New => " AND id IN (SELECT task FROM ready)",
            // Likewise few run, and there is an index of them, if not by number.
            Status::InProgress => {
                " AND id IN (SELECT held.id FROM tasks AS held WHERE held.status = 'In Progress')"
            }
            // In the words of the index, without which SQLite does not take it.
            Status::Failed | Status::Cancelled => " AND status IN ('Failed', 'Cancelled')",
            Status::Completed => "",
        });
    }
    if let Some(kind) = &filter.kind {
        // Of a status that few tasks have, that is the better way in: a planner without statistics is kept from the index
        // by kind.
        let few = filter.status.is_some_and(|status| status != Status::Completed);
        text.push(if few { " AND kind || '' = " } else { " AND kind = " })
            .push_bind(kind.as_str().to_owned());
    }
    if let Some(tag) = &filter.tag {
        text.push(" AND id IN (SELECT task FROM task_tags WHERE tag = ").push_bind(tag.clone()).push(")");
    }
    if let Some(from) = filter.created_from {
        text.push(" AND created_at >= ").push_bind(from.as_micros());
    }
    if let Some(before) = filter.created_before {
        text.push(" AND created_at < ").push_bind(before.as_micros());
    }
    if let Some(id) = filter.id {
        text.push(" AND id = ").push_bind(id.0);
    }
    if let Some(key) = &filter.unique_key {
        text.push(" AND unique_key = ").push_bind(key.clone());
    }
}

/// The statement that finds the numbers of selected tasks behind `after`, ascending. Status by status, since there are
/// indexes by which each is found in the order of the numbers.
pub(super) fn select_tasks<DB: Database>(
    text: &mut QueryBuilder<DB>,
    selection: &Selection,
    after: Option<TaskId>,
    limit: u32,
) where
    for<'q> i64: Encode<'q, DB> + Type<DB>,
    for<'q> String: Encode<'q, DB> + Type<DB>,
{
    for (place, filter) in selection.parts().iter().enumerate() {
        text.push(if place == 0 { "SELECT id FROM (" } else { " UNION ALL " });
        text.push("SELECT id FROM (SELECT id FROM tasks WHERE ");
        filter_tasks(text, filter);
        if let Some(kind) = &selection.except {
            text.push(" AND kind <> ").push_bind(kind.as_str().to_owned());
        }
        if let Some(ids) = &selection.ids {
            text.push(" AND id IN (");
            let mut list = text.separated(", ");
            for id in ids {
                list.push_bind(id.0);
            }
            text.push(")");
        }
        text.push(" AND id > ").push_bind(after.map_or(0, |after| after.0));
        text.push(" ORDER BY id LIMIT ").push_bind(i64::from(limit));
        text.push(format!(") AS part_{place}"));
    }
    text.push(") AS found ORDER BY id LIMIT ").push_bind(i64::from(limit));
}

pub(super) fn held(rows: Vec<(i64, i64)>) -> Vec<(TaskId, Attempt)> {
    rows.into_iter().map(|(id, attempt)| (TaskId(id), Attempt(u32::try_from(attempt).unwrap_or(0)))).collect()
}

/// Depths of what waits by kind and lane.
pub(super) fn depths(rows: Vec<(String, i64, i64, i64)>) -> Result<Vec<KindDepth>, StoreError> {
    /// The lane of what is parked.
    const PARKED: i64 = 1;
    let mut kinds = BTreeMap::<String, (i64, Option<i64>)>::new();
    for (kind, lane, tasks, first) in rows {
        let (ready, oldest) = kinds.entry(kind).or_default();
        *ready += tasks;
        if lane != PARKED {
            *oldest = Some(oldest.map_or(first, |oldest| oldest.min(first)));
        }
    }
    kinds
        .into_iter()
        .map(|(kind, (ready, oldest))| match kind.parse() {
            Ok(kind) => {
                let oldest = oldest.map(Timestamp::from_micros);
                Ok(KindDepth { kind, ready: ready.unsigned_abs(), oldest })
            }
            Err(error) => {
                Err(StoreError::Corrupt { table: "ready", row: kind.clone(), problem: format!("{error}") })
            }
        })
        .collect()
}

pub(super) fn recording(
    row: RecordingRow,
    task: Task,
    attachments: Vec<Attachment>,
) -> Result<Recording, StoreError> {
    let id = row.id.parse().map_err(|_| StoreError::Corrupt {
        table: "recordings",
        row: row.id.clone(),
        problem: "its id is no UUID".to_owned(),
    })?;
    Ok(Recording { id, owner: row.owner.map(UserId), filename: row.filename, task, attachments })
}

/// A page of recordings, from their rows, their tasks' and their blobs'. One whose task went meanwhile is gone as well.
pub(super) fn recordings(
    rows: Vec<RecordingRow>,
    tasks: Vec<TaskRow>,
    blobs: Vec<OwnedBlobRow>,
) -> Result<Vec<Recording>, StoreError> {
    let mut found = HashMap::new();
    for task in tasks {
        let task = task.into_task()?;
        found.insert(task.life.id, (task, Vec::new()));
    }
    for OwnedBlobRow { task, blob } in blobs {
        if let Some((_, attachments)) = found.get_mut(&TaskId(task)) {
            attachments.push(blob.into_attachment(TaskId(task))?);
        }
    }
    rows.into_iter()
        .filter_map(|row| found.remove(&TaskId(row.task)).map(|(task, blobs)| recording(row, task, blobs)))
        .collect()
}

/// Adds the numbers as `1, 2, 3`; `0`, which no row has, where there are none.
pub(super) fn push_numbers<DB: Database>(text: &mut QueryBuilder<DB>, numbers: impl Iterator<Item = i64>)
where
    for<'q> i64: Encode<'q, DB> + Type<DB>,
{
    text.push("0");
    for number in numbers {
        text.push(", ").push_bind(number);
    }
}

/// Those of `blobs` that are not `named`.
pub(super) fn without(blobs: &[BlobName], named: Vec<String>) -> Vec<BlobName> {
    let named: HashSet<String> = named.into_iter().collect();
    blobs.iter().filter(|blob| !named.contains(blob.as_str())).cloned().collect()
}
