//! Sums and lines, in SQL that both databases take.

use std::collections::BTreeMap;

use super::{ReportLine, Storage, UserLine};
use crate::account::{Holding, User};
use crate::store::StoreError;
use crate::task::{Status, TaskId, Timestamp, UserId};

/// A sum, of its row: what it is of, how many, how many bytes.
pub(in crate::store) type SumRow = (String, i64, i64);

/// One statement, a line a sum. The sum of integers is wider than one on PostgreSQL. Of images the index by owners has all
/// that is asked; one that was refused has no bytes.
pub(in crate::store) const SUMS: &str = "\
     SELECT 'images' AS of, sum(CASE WHEN bytes > 0 THEN 1 ELSE 0 END) AS many, sum(bytes) AS bytes FROM images \
     UNION ALL SELECT 'recordings ' || task_blobs.role, count(*), sum(task_blobs.bytes) \
     FROM recordings JOIN task_blobs ON task_blobs.task = recordings.task GROUP BY task_blobs.role \
     UNION ALL SELECT 'reports', count(*), sum(task_blobs.bytes) \
     FROM reports JOIN task_blobs ON task_blobs.task = reports.task \
     UNION ALL SELECT 'pictures', count(*), sum(bytes) FROM pictures \
     UNION ALL SELECT 'avatars', count(*), sum(avatar_bytes) FROM users WHERE avatar IS NOT NULL \
     UNION ALL SELECT 'named', count(*), sum(bytes) FROM task_blobs \
     UNION ALL SELECT 'blobs of tasks', count(*), sum(bytes) \
     FROM (SELECT max(bytes) AS bytes FROM task_blobs GROUP BY blob) AS blobs \
     UNION ALL SELECT 'blobs of users', count(*), sum(bytes) \
     FROM (SELECT max(avatar_bytes) AS bytes FROM users WHERE avatar IS NOT NULL \
     AND NOT EXISTS (SELECT 1 FROM task_blobs WHERE task_blobs.blob = users.avatar) GROUP BY avatar) AS pictures";

/// The sums, of their rows.
pub(in crate::store) fn storage(rows: Vec<SumRow>, database: i64) -> Storage {
    let sums: BTreeMap<String, Holding> = rows
        .into_iter()
        .map(|(of, count, bytes)| (of, Holding { count: count.unsigned_abs(), bytes: bytes.unsigned_abs() }))
        .collect();
    let of = |what: &str| sums.get(what).copied().unwrap_or_default();
    let known =
        [of("images"), of("recordings input"), of("recordings output"), of("reports"), of("pictures")];
    let named = of("named");
    Storage {
        images: known[0],
        originals: known[1],
        mp3s: known[2],
        reports: known[3],
        pictures: known[4],
        avatars: of("avatars"),
        others: Holding {
            count: named.count.saturating_sub(known.iter().map(|holding| holding.count).sum()),
            bytes: named.bytes.saturating_sub(known.iter().map(|holding| holding.bytes).sum()),
        },
        blobs: Holding {
            count: of("blobs of tasks").count + of("blobs of users").count,
            bytes: of("blobs of tasks").bytes + of("blobs of users").bytes,
        },
        database: database.unsigned_abs(),
    }
}

/// A row of `reports` with its task and its PDF: id, task, owner, created_at, expires_at, status, bytes.
pub(in crate::store) type ReportLineRow = (String, i64, i64, i64, i64, String, Option<i64>);

/// A report, of its row.
pub(in crate::store) fn report_line(row: ReportLineRow) -> Result<ReportLine, StoreError> {
    let (id, task, owner, created_at, expires_at, status, bytes) = row;
    let corrupt = |problem: String| StoreError::Corrupt { table: "reports", row: id.clone(), problem };
    Ok(ReportLine {
        id: id.parse().map_err(|error| corrupt(format!("id: {error}")))?,
        task: TaskId(task),
        owner: UserId(owner),
        status: Status::parse(&status).ok_or_else(|| corrupt(format!("`{status}` is no status")))?,
        bytes: bytes.map(i64::unsigned_abs),
        created_at: Timestamp::from_micros(created_at),
        expires_at: Timestamp::from_micros(expires_at),
    })
}

/// What users have, of rows: whose, how many, how many bytes.
pub(in crate::store) fn by_owner(rows: Vec<(i64, i64, i64)>) -> BTreeMap<UserId, Holding> {
    let holding = |(owner, count, bytes): (i64, i64, i64)| {
        (UserId(owner), Holding { count: count.unsigned_abs(), bytes: bytes.unsigned_abs() })
    };
    rows.into_iter().map(holding).collect()
}

/// Users, each with what they have.
pub(in crate::store) fn user_lines(
    users: Vec<User>,
    tasks: &BTreeMap<UserId, Holding>,
    images: &BTreeMap<UserId, Holding>,
    recordings: &BTreeMap<UserId, Holding>,
) -> Vec<UserLine> {
    let of = |sums: &BTreeMap<UserId, Holding>, user: UserId| sums.get(&user).copied().unwrap_or_default();
    let line = |user: User| UserLine {
        tasks: of(tasks, user.id).count,
        images: of(images, user.id),
        recordings: of(recordings, user.id).count,
        user,
    };
    users.into_iter().map(line).collect()
}

/// [`Holdings`](super::Holdings) of an adapter that tells its database's size with `$size`.
macro_rules! holdings {
    ($store:ty, $db:ty, $size:literal) => {
        impl $store {
            async fn read_storage(&self) -> Result<Storage, StoreError> {
                let doing = || StoreError::of("sum up what is kept");
                let text = format!(
                    "SELECT of, CAST(coalesce(many, 0) AS BIGINT), CAST(coalesce(bytes, 0) AS BIGINT) FROM ({}) AS sums",
                    rows::SUMS
                );
                let sums: Vec<rows::SumRow> = sqlx::query_as(sqlx::AssertSqlSafe(text))
                    .fetch_all(&self.readers)
                    .await
                    .map_err(doing())?;
                let size: i64 = sqlx::query_scalar($size).fetch_one(&self.readers).await.map_err(doing())?;
                Ok(rows::storage(sums, size))
            }

            async fn read_report_lines(
                &self,
                before: Option<TaskId>,
                limit: u32,
            ) -> Result<Vec<ReportLine>, StoreError> {
                let found: Vec<rows::ReportLineRow> = sqlx::query_as(
                    "SELECT reports.id, reports.task, reports.owner, reports.created_at, reports.expires_at, \
                     tasks.status, task_blobs.bytes FROM reports JOIN tasks ON tasks.id = reports.task \
                     LEFT JOIN task_blobs ON task_blobs.task = reports.task AND task_blobs.role = 'output' \
                     WHERE reports.task < $1 ORDER BY reports.task DESC LIMIT $2",
                )
                .bind(before.map_or(i64::MAX, |before| before.0))
                .bind(i64::from(limit))
                .fetch_all(&self.readers)
                .await
                .map_err(StoreError::of("list reports"))?;
                found.into_iter().map(rows::report_line).collect()
            }

            async fn read_user_lines(
                &self,
                search: &UserSearch,
                before: Option<UserId>,
                limit: u32,
            ) -> Result<Vec<UserLine>, StoreError> {
                let mut text = sqlx::QueryBuilder::<$db>::new(format!(
                    "SELECT {USER_COLUMNS} FROM users WHERE users.deleted_at IS NULL AND users.id < "
                ));
                text.push_bind(before.map_or(i64::MAX, |before| before.0));
                match search {
                    UserSearch::All => {}
                    UserSearch::Number(user) => drop(text.push(" AND users.id = ").push_bind(user.0)),
                    UserSearch::Text(words) => {
                        // Letter by letter on both databases, which `LIKE` is not.
                        text.push(" AND (users.email = ").push_bind(words.clone());
                        text.push(" OR replace(users.name, ").push_bind(words.clone());
                        text.push(", '') <> users.name)");
                    }
                }
                text.push(" ORDER BY users.id DESC LIMIT ").push_bind(i64::from(limit));
                let found: Vec<UserRow> =
                    text.build_query_as().fetch_all(&self.readers).await.map_err(StoreError::of("list users"))?;
                let users: Vec<User> = found.into_iter().map(UserRow::into_user).collect::<Result<_, _>>()?;
                let of = |select: &'static str| self.sums_of(select, &users);
                let tasks = of("SELECT owner, CAST(sum(created) AS BIGINT), CAST(0 AS BIGINT) FROM created_counts \
                                WHERE owner IN (")
                .await?;
                let images = of("SELECT coalesce(owner, 0), count(*), CAST(sum(bytes) AS BIGINT) FROM images \
                                 WHERE coalesce(owner, 0) IN (")
                .await?;
                let recordings =
                    of("SELECT owner, count(*), CAST(0 AS BIGINT) FROM recordings WHERE owner IN (").await?;
                Ok(rows::user_lines(users, &tasks, &images, &recordings))
            }

            async fn read_count_selected(&self, selection: &Selection, most: u32) -> Result<u64, StoreError> {
                let mut text = sqlx::QueryBuilder::<$db>::new("SELECT count(*) FROM (");
                crate::store::query::select_tasks(&mut text, selection, None, most);
                text.push(") AS selected");
                let count: i64 = text
                    .build_query_scalar()
                    .fetch_one(&self.readers)
                    .await
                    .map_err(StoreError::of("count tasks"))?;
                Ok(count.unsigned_abs())
            }

            /// A sum for each of these users, by a statement that ends where their numbers come.
            async fn sums_of(
                &self,
                select: &'static str,
                users: &[User],
            ) -> Result<BTreeMap<UserId, Holding>, StoreError> {
                if users.is_empty() {
                    return Ok(BTreeMap::new());
                }
                let mut text = sqlx::QueryBuilder::<$db>::new(select);
                let mut list = text.separated(", ");
                for user in users {
                    list.push_bind(user.id.0);
                }
                text.push(") GROUP BY 1");
                let sums = text.build_query_as().fetch_all(&self.readers).await;
                Ok(rows::by_owner(sums.map_err(StoreError::of("sum up what users have"))?))
            }
        }

        #[async_trait]
        impl Holdings for $store {
            async fn storage(&self) -> Result<Storage, StoreError> {
                self.limited(self.read_storage()).await
            }

            async fn report_lines(&self, before: Option<TaskId>, limit: u32) -> Result<Vec<ReportLine>, StoreError> {
                self.limited(self.read_report_lines(before, limit)).await
            }

            async fn user_lines(
                &self,
                search: &UserSearch,
                before: Option<UserId>,
                limit: u32,
            ) -> Result<Vec<UserLine>, StoreError> {
                self.limited(self.read_user_lines(search, before, limit)).await
            }

            async fn count_selected(&self, selection: &Selection, most: u32) -> Result<u64, StoreError> {
                self.limited(self.read_count_selected(selection, most)).await
            }
        }
    };
}

pub(in crate::store) use holdings;
