//! Reading, written once: the statements are the same on both databases (SQLite takes `$1` too), only the driver
//! differs. A macro, since generic code over two drivers would be mostly bounds.

/// The readers of an adapter that has a pool in `self.readers`.
macro_rules! readers {
    ($store:ty, $db:ty) => {
        impl $store {
            pub(super) async fn read_task(&self, id: TaskId) -> Result<Option<Task>, StoreError> {
                let text = format!("SELECT {TASK_COLUMNS} FROM tasks WHERE id = $1");
                let row: Option<TaskRow> = sqlx::query_as(sqlx::AssertSqlSafe(text))
                    .bind(id.0)
                    .fetch_optional(&self.readers)
                    .await
                    .map_err(StoreError::of("read a task"))?;
                row.map(TaskRow::into_task).transpose()
            }

            pub(super) async fn read_tasks(&self, filter: &TaskFilter, page: &Page) -> Result<Vec<Task>, StoreError> {
                let mut text = sqlx::QueryBuilder::<$db>::new(format!("SELECT {TASK_COLUMNS} FROM tasks WHERE "));
                query::filter_tasks(&mut text, filter);
                if let Some(after) = page.after {
                    text.push(match page.order {
                        Order::Ascending => " AND id > ",
                        Order::Descending => " AND id < ",
                    });
                    text.push_bind(after.0);
                }
                text.push(match page.order {
                    Order::Ascending => " ORDER BY id LIMIT ",
                    Order::Descending => " ORDER BY id DESC LIMIT ",
                });
                text.push_bind(i64::from(page.limit));
                let rows: Vec<TaskRow> =
                    text.build_query_as().fetch_all(&self.readers).await.map_err(StoreError::of("list tasks"))?;
                rows.into_iter().map(TaskRow::into_task).collect()
            }

            pub(super) async fn read_held_by(&self, node: NodeId) -> Result<Vec<(TaskId, Attempt)>, StoreError> {
                let rows: Vec<(i64, i64)> =
                    sqlx::query_as("SELECT id, attempt FROM tasks WHERE status = 'In Progress' AND node = $1")
                        .bind(node.to_string())
                        .fetch_all(&self.readers)
                        .await
                        .map_err(StoreError::of("list what a node holds"))?;
                Ok(query::held(rows))
            }

            pub(super) async fn read_depths(&self) -> Result<Vec<KindDepth>, StoreError> {
                let rows: Vec<(String, i64)> = sqlx::query_as("SELECT kind, count(*) FROM ready GROUP BY kind")
                    .fetch_all(&self.readers)
                    .await
                    .map_err(StoreError::of("count what is ready"))?;
                query::depths(rows)
            }

            pub(super) async fn read_events_after(
                &self,
                after: EventSeq,
                limit: u32,
            ) -> Result<Vec<(EventSeq, Event)>, StoreError> {
                let rows: Vec<EventRow> = sqlx::query_as(
                    "SELECT id, task, kind, event, attempt, at, data FROM events WHERE id > $1 ORDER BY id LIMIT $2",
                )
                .bind(after.0)
                .bind(i64::from(limit))
                .fetch_all(&self.readers)
                .await
                .map_err(StoreError::of("read events"))?;
                rows.into_iter().map(EventRow::into_event).collect()
            }

            pub(super) async fn read_user(&self, id: UserId) -> Result<Option<User>, StoreError> {
                let row: Option<UserRow> =
                    sqlx::query_as("SELECT id, name, email, created_at FROM users WHERE id = $1")
                        .bind(id.0)
                        .fetch_optional(&self.readers)
                        .await
                        .map_err(StoreError::of("read a user"))?;
                row.map(UserRow::into_user).transpose()
            }

            pub(super) async fn read_user_by_token(&self, token: &TokenHash) -> Result<Option<User>, StoreError> {
                let row: Option<UserRow> =
                    sqlx::query_as("SELECT id, name, email, created_at FROM users WHERE token_hash = $1")
                        .bind(token.as_str())
                        .fetch_optional(&self.readers)
                        .await
                        .map_err(StoreError::of("find a user by token"))?;
                row.map(UserRow::into_user).transpose()
            }

            pub(super) async fn read_recording(&self, id: RecordingId) -> Result<Option<Recording>, StoreError> {
                let doing = StoreError::of;
                let row: Option<RecordingRow> =
                    sqlx::query_as("SELECT task, owner, filename FROM recordings WHERE id = $1")
                        .bind(id.to_string())
                        .fetch_optional(&self.readers)
                        .await
                        .map_err(doing("read a recording"))?;
                let Some(row) = row else { return Ok(None) };
                let Some(task) = self.read_task(TaskId(row.task)).await? else { return Ok(None) };
                let blobs: Vec<BlobRow> = sqlx::query_as("SELECT role, blob, bytes FROM task_blobs WHERE task = $1")
                    .bind(row.task)
                    .fetch_all(&self.readers)
                    .await
                    .map_err(doing("read a recording's blobs"))?;
                query::recording(id, row, task, blobs).map(Some)
            }
        }
    };
}

pub(super) use readers;
