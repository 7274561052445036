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

            pub(super) async fn read_selected(
                &self,
                selection: &Selection,
                after: Option<TaskId>,
                limit: u32,
            ) -> Result<Vec<TaskId>, StoreError> {
                let mut text = sqlx::QueryBuilder::<$db>::new("");
                query::select_tasks(&mut text, selection, after, limit);
                let ids: Vec<i64> = text
                    .build_query_scalar()
                    .fetch_all(&self.readers)
                    .await
                    .map_err(StoreError::of("select tasks"))?;
                Ok(ids.into_iter().map(TaskId).collect())
            }

            pub(super) async fn read_held_by(&self, node: NodeId) -> Result<Vec<(TaskId, Attempt)>, StoreError> {
                let rows: Vec<(i64, i64)> =
                    sqlx::query_as("SELECT id, attempt FROM tasks WHERE status = 'In Progress' AND holder = $1")
                        .bind(node.to_string())
                        .fetch_all(&self.readers)
                        .await
                        .map_err(StoreError::of("list what a node holds"))?;
                Ok(query::held(rows))
            }

            pub(super) async fn read_depths(&self) -> Result<Vec<KindDepth>, StoreError> {
                let rows: Vec<(String, i64, i64, i64)> = sqlx::query_as(crate::store::overview::rows::WAITING)
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
                    "SELECT id, task, kind, owner, event, attempt, at, data FROM events WHERE id > $1 \
                     ORDER BY id LIMIT $2",
                )
                .bind(after.0)
                .bind(i64::from(limit))
                .fetch_all(&self.readers)
                .await
                .map_err(StoreError::of("read events"))?;
                rows.into_iter().map(EventRow::into_event).collect()
            }

            pub(super) async fn read_events_of(
                &self,
                task: TaskId,
                after: EventSeq,
                limit: u32,
            ) -> Result<Vec<(EventSeq, Event)>, StoreError> {
                let rows: Vec<EventRow> = sqlx::query_as(
                    "SELECT id, task, kind, owner, event, attempt, at, data FROM events \
                     WHERE task = $1 AND id > $2 ORDER BY id LIMIT $3",
                )
                .bind(task.0)
                .bind(after.0)
                .bind(i64::from(limit))
                .fetch_all(&self.readers)
                .await
                .map_err(StoreError::of("read a task's events"))?;
                rows.into_iter().map(EventRow::into_event).collect()
            }

            pub(super) async fn read_newest_events_of(
                &self,
                task: TaskId,
                limit: u32,
            ) -> Result<Vec<(EventSeq, Event)>, StoreError> {
                let rows: Vec<EventRow> = sqlx::query_as(
                    "SELECT id, task, kind, owner, event, attempt, at, data FROM events \
                     WHERE task = $1 AND event <> 'progress' ORDER BY id DESC LIMIT $2",
                )
                .bind(task.0)
                .bind(i64::from(limit))
                .fetch_all(&self.readers)
                .await
                .map_err(StoreError::of("read a task's newest events"))?;
                rows.into_iter().rev().map(EventRow::into_event).collect()
            }

            pub(super) async fn read_newest_event(&self) -> Result<EventSeq, StoreError> {
                let newest: i64 = sqlx::query_scalar("SELECT coalesce(max(id), 0) FROM events")
                    .fetch_one(&self.readers)
                    .await
                    .map_err(StoreError::of("look for the newest event"))?;
                Ok(EventSeq(newest))
            }

            pub(super) async fn read_holds_blobs(&self) -> Result<bool, StoreError> {
                let now = self.holds_now().await?;
                sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM holds WHERE until > $1)")
                    .bind(now.as_micros())
                    .fetch_one(&self.readers)
                    .await
                    .map_err(StoreError::of("look whether blobs are held"))
            }

            pub(super) async fn read_any_free(&self, kinds: &[Kind], caller: Caller) -> Result<bool, StoreError> {
                for (kind, owner) in crate::store::pairs(kinds, caller) {
                    let free: bool = sqlx::query_scalar(
                        "SELECT EXISTS (SELECT 1 FROM ready WHERE lane = 3 AND kind = $1 AND owner = $2) \
                         AND NOT EXISTS (SELECT 1 FROM paused_kinds WHERE kind = $1)",
                    )
                    .bind(kind)
                    .bind(owner)
                    .fetch_one(&self.readers)
                    .await
                    .map_err(StoreError::of("look for free tasks"))?;
                    if free {
                        return Ok(true);
                    }
                }
                Ok(false)
            }

            pub(super) async fn read_free_for(
                &self,
                kind: &Kind,
                age: Duration,
                limit: u32,
            ) -> Result<Vec<TaskId>, StoreError> {
                let before = self.now().await?.as_micros() - micros(age);
                let rows: Vec<i64> = sqlx::query_scalar(
                    "SELECT task FROM ready WHERE lane = 3 AND kind = $1 AND run_at <= $2 \
                     AND NOT EXISTS (SELECT 1 FROM paused_kinds WHERE kind = $1) ORDER BY task LIMIT $3",
                )
                .bind(kind.as_str())
                .bind(before)
                .bind(i64::from(limit))
                .fetch_all(&self.readers)
                .await
                .map_err(StoreError::of("look what waits for workers outside"))?;
                Ok(rows.into_iter().map(TaskId).collect())
            }

            pub(super) async fn read_created_total(
                &self,
                owner: Option<UserId>,
            ) -> Result<CreatedTotal, StoreError> {
                // The sum of integers is wider than one on PostgreSQL.
                let (total, by_user): (i64, i64) = sqlx::query_as(
                    "SELECT CAST(coalesce(sum(created), 0) AS BIGINT), \
                     CAST(coalesce(sum(CASE WHEN owner = $1 THEN created END), 0) AS BIGINT) FROM created_counts",
                )
                .bind(owner.map(|owner| owner.0))
                .fetch_one(&self.readers)
                .await
                .map_err(StoreError::of("count what was created"))?;
                Ok(CreatedTotal { total: total.unsigned_abs(), by_user: by_user.unsigned_abs() })
            }

            pub(super) async fn read_is_answered(&self, scope: &str, key: &str) -> Result<bool, StoreError> {
                sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM remembered WHERE scope = $1 AND key = $2)")
                    .bind(scope)
                    .bind(key)
                    .fetch_one(&self.readers)
                    .await
                    .map_err(StoreError::of("look for an answered request"))
            }

            pub(super) async fn read_callback_of(&self, task: TaskId) -> Result<Option<CallbackState>, StoreError> {
                let row: Option<clerk::CallbackStateRow> =
                    sqlx::query_as("SELECT next_at, tries, given_up, last_error FROM callbacks WHERE task = $1")
                        .bind(task.0)
                        .fetch_optional(&self.readers)
                        .await
                        .map_err(StoreError::of("look at a callback"))?;
                Ok(row.map(clerk::callback_state))
            }

            pub(super) async fn read_replies_of(
                &self,
                tasks: &[TaskId],
            ) -> Result<Vec<(TaskId, ReplyTo)>, StoreError> {
                if tasks.is_empty() {
                    return Ok(Vec::new());
                }
                let mut text = sqlx::QueryBuilder::<$db>::new(
                    "SELECT task, reply_to, correlation_id FROM replies WHERE task IN (",
                );
                let mut list = text.separated(", ");
                for task in tasks {
                    list.push_bind(task.0);
                }
                text.push(")");
                let rows: Vec<(i64, String, Option<String>)> = text
                    .build_query_as()
                    .fetch_all(&self.readers)
                    .await
                    .map_err(StoreError::of("look for reply addresses"))?;
                let reply = |(task, queue, correlation_id)| (TaskId(task), ReplyTo { queue, correlation_id });
                Ok(rows.into_iter().map(reply).collect())
            }

            pub(super) async fn read_user(&self, id: UserId) -> Result<Option<User>, StoreError> {
                let text =
                    format!("SELECT {USER_COLUMNS} FROM users WHERE users.id = $1 AND users.deleted_at IS NULL");
                let row: Option<UserRow> = sqlx::query_as(sqlx::AssertSqlSafe(text))
                    .bind(id.0)
                    .fetch_optional(&self.readers)
                    .await
                    .map_err(StoreError::of("read a user"))?;
                row.map(UserRow::into_user).transpose()
            }

            pub(super) async fn read_users(
                &self,
                after: Option<UserId>,
                limit: u32,
            ) -> Result<Vec<User>, StoreError> {
                let text = format!(
                    "SELECT {USER_COLUMNS} FROM users WHERE users.id > $1 AND users.deleted_at IS NULL \
                     ORDER BY users.id LIMIT $2"
                );
                let rows: Vec<UserRow> = sqlx::query_as(sqlx::AssertSqlSafe(text))
                    .bind(after.map_or(0, |after| after.0))
                    .bind(i64::from(limit))
                    .fetch_all(&self.readers)
                    .await
                    .map_err(StoreError::of("list users"))?;
                rows.into_iter().map(UserRow::into_user).collect()
            }

            pub(super) async fn read_user_by_token(&self, token: &TokenHash) -> Result<Option<User>, StoreError> {
                let text = format!("SELECT {USER_COLUMNS} FROM users WHERE users.token_hash = $1");
                let row: Option<UserRow> = sqlx::query_as(sqlx::AssertSqlSafe(text))
                    .bind(token.as_str())
                    .fetch_optional(&self.readers)
                    .await
                    .map_err(StoreError::of("find a user by token"))?;
                row.map(UserRow::into_user).transpose()
            }

            pub(super) async fn read_user_by_session(
                &self,
                session: &TokenHash,
            ) -> Result<Option<User>, StoreError> {
                let text = format!(
                    "SELECT {USER_COLUMNS} FROM users JOIN sessions ON sessions.owner = users.id \
                     WHERE sessions.token_hash = $1 AND sessions.expires_at > $2 AND users.deleted_at IS NULL"
                );
                let row: Option<UserRow> = sqlx::query_as(sqlx::AssertSqlSafe(text))
                    .bind(session.as_str())
                    .bind(self.now().await?.as_micros())
                    .fetch_optional(&self.readers)
                    .await
                    .map_err(StoreError::of("find a user by session"))?;
                row.map(UserRow::into_user).transpose()
            }

            pub(super) async fn read_credentials(
                &self,
                login: &LoginName,
            ) -> Result<Option<(UserId, PasswordHash)>, StoreError> {
                let by = |column| {
                    format!(
                        "SELECT id, password FROM users WHERE {column} = $1 AND password IS NOT NULL \
                         AND deleted_at IS NULL ORDER BY id LIMIT 1"
                    )
                };
                let found: Result<Option<(i64, String)>, _> = match login {
                    LoginName::Id(id) => {
                        let text = sqlx::AssertSqlSafe(by("id"));
                        sqlx::query_as(text).bind(id.0).fetch_optional(&self.readers).await
                    }
                    LoginName::Email(email) => {
                        let text = sqlx::AssertSqlSafe(by("email"));
                        sqlx::query_as(text).bind(email.as_str()).fetch_optional(&self.readers).await
                    }
                    LoginName::Name(name) => {
                        let text = sqlx::AssertSqlSafe(by("name"));
                        sqlx::query_as(text).bind(name.as_str()).fetch_optional(&self.readers).await
                    }
                };
                let found = found.map_err(StoreError::of("look for who logs in"))?;
                Ok(found.map(|(id, password)| (UserId(id), PasswordHash::trusted(password))))
            }

            pub(super) async fn read_image(&self, name: &ImageName) -> Result<Option<Image>, StoreError> {
                let text = format!("SELECT {IMAGE_COLUMNS} WHERE images.name = $1");
                let row: Option<ImageRow> = sqlx::query_as(sqlx::AssertSqlSafe(text))
                    .bind(name.as_str())
                    .fetch_optional(&self.readers)
                    .await
                    .map_err(StoreError::of("read an image"))?;
                row.map(ImageRow::into_image).transpose()
            }

            pub(super) async fn read_images(
                &self,
                caller: Caller,
                before: Option<TaskId>,
                limit: u32,
            ) -> Result<Vec<Image>, StoreError> {
                let mut text = sqlx::QueryBuilder::<$db>::new(format!(
                    "SELECT {IMAGE_COLUMNS} WHERE images.ready_at IS NOT NULL AND images.task < "
                ));
                text.push_bind(before.map_or(i64::MAX, |before| before.0));
                match caller {
                    Caller::User(user) => text.push(" AND coalesce(images.owner, 0) = ").push_bind(user.0),
                    Caller::Anonymous => text.push(" AND coalesce(images.owner, 0) = 0"),
                    Caller::Admin(_) => text.push(""),
                };
                text.push(" ORDER BY images.task DESC LIMIT ").push_bind(i64::from(limit));
                let rows: Vec<ImageRow> =
                    text.build_query_as().fetch_all(&self.readers).await.map_err(StoreError::of("list images"))?;
                rows.into_iter().map(ImageRow::into_image).collect()
            }

            pub(super) async fn read_attachments_of(&self, task: TaskId) -> Result<Vec<Attachment>, StoreError> {
                let blobs: Vec<BlobRow> = sqlx::query_as("SELECT role, blob, bytes FROM task_blobs WHERE task = $1")
                    .bind(task.0)
                    .fetch_all(&self.readers)
                    .await
                    .map_err(StoreError::of("read a task's blobs"))?;
                blobs.into_iter().map(|blob| blob.into_attachment(task)).collect()
            }

            pub(super) async fn read_recording(&self, id: RecordingId) -> Result<Option<Recording>, StoreError> {
                let doing = StoreError::of;
                let row: Option<RecordingRow> =
                    sqlx::query_as("SELECT id, task, owner, filename FROM recordings WHERE id = $1")
                        .bind(id.to_string())
                        .fetch_optional(&self.readers)
                        .await
                        .map_err(doing("read a recording"))?;
                let Some(row) = row else { return Ok(None) };
                let Some(task) = self.read_task(TaskId(row.task)).await? else { return Ok(None) };
                let attachments = self.read_attachments_of(TaskId(row.task)).await?;
                query::recording(row, task, attachments).map(Some)
            }

            pub(super) async fn read_recordings(
                &self,
                caller: Caller,
                before: Option<TaskId>,
                limit: u32,
            ) -> Result<Vec<Recording>, StoreError> {
                let doing = StoreError::of;
                let mut text = sqlx::QueryBuilder::<$db>::new(
                    "SELECT id, task, owner, filename FROM recordings WHERE task < ",
                );
                text.push_bind(before.map_or(i64::MAX, |before| before.0));
                match caller {
                    Caller::User(user) => text.push(" AND owner = ").push_bind(user.0),
                    Caller::Anonymous => text.push(" AND owner IS NULL"),
                    Caller::Admin(_) => text.push(""),
                };
                text.push(" ORDER BY task DESC LIMIT ").push_bind(i64::from(limit));
                let rows: Vec<RecordingRow> =
                    text.build_query_as().fetch_all(&self.readers).await.map_err(doing("list recordings"))?;
                let ids = || rows.iter().map(|row| row.task);
                let mut text =
                    sqlx::QueryBuilder::<$db>::new(format!("SELECT {TASK_COLUMNS} FROM tasks WHERE id IN ("));
                query::push_numbers(&mut text, ids());
                text.push(")");
                let tasks: Vec<TaskRow> =
                    text.build_query_as().fetch_all(&self.readers).await.map_err(doing("read recordings' tasks"))?;
                let mut text =
                    sqlx::QueryBuilder::<$db>::new("SELECT task, role, blob, bytes FROM task_blobs WHERE task IN (");
                query::push_numbers(&mut text, ids());
                text.push(")");
                let blobs: Vec<OwnedBlobRow> =
                    text.build_query_as().fetch_all(&self.readers).await.map_err(doing("read recordings' blobs"))?;
                query::recordings(rows, tasks, blobs)
            }
        }
    };
}

pub(super) use readers;
