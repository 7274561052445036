//! Writing users and images, once for both databases: these come one at a time, and the statements are the same
//! (SQLite takes `$1` too).

/// The function `write_people` of an adapter whose transaction is `Tx`.
macro_rules! people {
    () => {
        /// Users made, changed and removed; images made and known.
        async fn write_people(tx: &mut Tx<'_>, changes: &Changes) -> Result<(), StoreError> {
            make_users(tx, changes).await?;
            for changed in &changes.users_changed {
                change_user(tx, changed).await?;
            }
            for (user, at) in &changes.users_deleted {
                delete_user(tx, *user, *at).await?;
            }
            if let Some(before) = changes.forget_users {
                sqlx::query(
                    "DELETE FROM users WHERE deleted_at < $1 \
                     AND NOT EXISTS (SELECT 1 FROM tasks WHERE tasks.owner = users.id)",
                )
                .bind(before.as_micros())
                .execute(&mut **tx)
                .await
                .map_err(StoreError::of("forget users who are gone"))?;
            }
            write_counters(tx, changes).await?;
            write_images(tx, changes).await?;
            write_reports(tx, changes).await
        }

        async fn make_users(tx: &mut Tx<'_>, changes: &Changes) -> Result<(), StoreError> {
            for (user, new) in &changes.users {
                sqlx::query(
                    "INSERT INTO users (id, name, email, gender, avatar, avatar_bytes, role, password, token_hash, \
                     created_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
                )
                .bind(user.id.0)
                .bind(user.name.as_ref().map(|name| name.as_str()))
                .bind(user.email.as_ref().map(|email| email.as_str()))
                .bind(user.gender.as_ref().map(|gender| gender.as_str()))
                .bind(user.avatar.as_ref().map(|avatar| avatar.blob.as_str()))
                .bind(user.avatar.as_ref().map(|avatar| i64::try_from(avatar.bytes).unwrap_or(i64::MAX)))
                .bind(user.role.as_str())
                .bind(new.password.as_ref().map(|password| password.as_str()))
                .bind(new.token.as_str())
                .bind(user.created_at.as_micros())
                .execute(&mut **tx)
                .await
                .map_err(StoreError::of("make a user"))?;
            }
            Ok(())
        }

        async fn change_user(tx: &mut Tx<'_>, changed: &ChangedUser) -> Result<(), StoreError> {
            let ChangedUser { user, change, end_sessions } = changed;
            let (sets_password, password) = match &change.password {
                Change::Keep => (false, None),
                Change::Set(password) => (true, Some(password.as_str())),
                Change::Clear => (true, None),
            };
            sqlx::query(
                "UPDATE users SET name = $2, email = $3, gender = $4, avatar = $5, avatar_bytes = $6, role = $7, \
                 password = CASE WHEN $8 THEN $9 ELSE password END, token_hash = coalesce($10, token_hash) \
                 WHERE id = $1",
            )
            .bind(user.id.0)
            .bind(user.name.as_ref().map(|name| name.as_str()))
            .bind(user.email.as_ref().map(|email| email.as_str()))
            .bind(user.gender.as_ref().map(|gender| gender.as_str()))
            .bind(user.avatar.as_ref().map(|avatar| avatar.blob.as_str()))
            .bind(user.avatar.as_ref().map(|avatar| i64::try_from(avatar.bytes).unwrap_or(i64::MAX)))
            .bind(user.role.as_str())
            .bind(sets_password)
            .bind(password)
            .bind(change.token.as_ref().map(|token| token.as_str()))
            .execute(&mut **tx)
            .await
            .map_err(StoreError::of("change a user"))?;
            if let Some(except) = end_sessions {
                sqlx::query("DELETE FROM sessions WHERE owner = $1 AND token_hash <> $2")
                    .bind(user.id.0)
                    .bind(except.as_ref().map_or("", |session| session.as_str()))
                    .execute(&mut **tx)
                    .await
                    .map_err(StoreError::of("end sessions"))?;
            }
            Ok(())
        }

        /// What is left of them is a number, with nothing by which anybody could be them or know them.
        async fn delete_user(tx: &mut Tx<'_>, user: UserId, at: Timestamp) -> Result<(), StoreError> {
            let doing = StoreError::of;
            sqlx::query(
                "UPDATE users SET name = '', email = NULL, gender = NULL, avatar = NULL, avatar_bytes = NULL, \
                 role = 'user', password = NULL, token_hash = $2, deleted_at = $3 WHERE id = $1",
            )
            .bind(user.0)
            .bind(format!("gone {user}"))
            .bind(at.as_micros())
            .execute(&mut **tx)
            .await
            .map_err(doing("remove a user"))?;
            sqlx::query("DELETE FROM sessions WHERE owner = $1")
                .bind(user.0)
                .execute(&mut **tx)
                .await
                .map_err(doing("end sessions"))?;
            sqlx::query("DELETE FROM counters WHERE owner = $1")
                .bind(user.0)
                .execute(&mut **tx)
                .await
                .map_err(doing("remove counters"))?;
            sqlx::query("DELETE FROM counter_days WHERE owner = $1")
                .bind(user.0)
                .execute(&mut **tx)
                .await
                .map_err(doing("remove the days of counters"))?;
            sqlx::query("DELETE FROM remembered WHERE scope = $1")
                .bind(format!("user {user}"))
                .execute(&mut **tx)
                .await
                .map(drop)
                .map_err(doing("forget what a user was answered"))
        }

        /// A counter that goes takes its history along; of one that changes, the day knows what it was last.
        async fn write_counters(tx: &mut Tx<'_>, changes: &Changes) -> Result<(), StoreError> {
            let doing = StoreError::of;
            for (user, ChangedCounters { at, gone, set }) in &changes.counters {
                for name in gone {
                    for text in [
                        "DELETE FROM counters WHERE owner = $1 AND name = $2",
                        "DELETE FROM counter_days WHERE owner = $1 AND name = $2",
                    ] {
                        sqlx::query(text)
                            .bind(user.0)
                            .bind(name.as_str())
                            .execute(&mut **tx)
                            .await
                            .map_err(doing("remove a counter"))?;
                    }
                }
                for (name, value) in set {
                    sqlx::query(
                        "INSERT INTO counters (owner, name, value, updated_at) VALUES ($1, $2, $3, $4) \
                         ON CONFLICT (owner, name) DO UPDATE SET value = excluded.value, \
                         updated_at = excluded.updated_at",
                    )
                    .bind(user.0)
                    .bind(name.as_str())
                    .bind(value)
                    .bind(at.as_micros())
                    .execute(&mut **tx)
                    .await
                    .map_err(doing("write a counter"))?;
                    sqlx::query(
                        "INSERT INTO counter_days (owner, name, day, value) VALUES ($1, $2, $3, $4) \
                         ON CONFLICT (owner, name, day) DO UPDATE SET value = excluded.value",
                    )
                    .bind(user.0)
                    .bind(name.as_str())
                    .bind(Day::of(*at).0)
                    .bind(value)
                    .execute(&mut **tx)
                    .await
                    .map_err(doing("write the day of a counter"))?;
                }
                // More than a report ever shows need not be kept; of each counter its last change before that is what it
                // was on the first day that is.
                sqlx::query(
                    "DELETE FROM counter_days WHERE owner = $1 AND day < (SELECT max(kept.day) \
                     FROM counter_days AS kept WHERE kept.owner = $1 AND kept.name = counter_days.name \
                     AND kept.day <= $2)",
                )
                    .bind(user.0)
                    .bind(Day::of(*at).0 - Day::KEPT)
                    .execute(&mut **tx)
                    .await
                    .map_err(doing("forget old days of counters"))?;
            }
            Ok(())
        }

        async fn write_reports(tx: &mut Tx<'_>, changes: &Changes) -> Result<(), StoreError> {
            for (report, task, owner, at) in &changes.reports {
                sqlx::query(
                    "INSERT INTO reports (id, task, owner, created_at, expires_at) VALUES ($1, $2, $3, $4, $5)",
                )
                .bind(report.id.to_string())
                .bind(task.0)
                .bind(owner.0)
                .bind(at.as_micros())
                .bind(at.after(report.keep).as_micros())
                .execute(&mut **tx)
                .await
                .map_err(StoreError::of("note a report"))?;
            }
            Ok(())
        }

        async fn write_images(tx: &mut Tx<'_>, changes: &Changes) -> Result<(), StoreError> {
            let doing = StoreError::of;
            for (image, task, owner, at) in &changes.images {
                sqlx::query(
                    "INSERT INTO images (id, name, task, owner, filename, format, bytes, width, height, frames, \
                     delete_token, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
                )
                .bind(image.id.to_string())
                .bind(image.name.as_str())
                .bind(task.0)
                .bind(owner.map(|owner| owner.0))
                .bind(&image.filename)
                .bind(image.format.as_str())
                .bind(i64::try_from(image.bytes).unwrap_or(i64::MAX))
                .bind(i64::from(image.width))
                .bind(i64::from(image.height))
                .bind(i64::from(image.frames))
                .bind(image.delete_token.as_str())
                .bind(at.as_micros())
                .execute(&mut **tx)
                .await
                .map_err(doing("keep an image"))?;
            }
            for (task, owner, bytes) in &changes.pictures {
                sqlx::query("INSERT INTO pictures (task, owner, bytes) VALUES ($1, $2, $3)")
                    .bind(task.0)
                    .bind(owner.map(|owner| owner.0))
                    .bind(i64::try_from(*bytes).unwrap_or(i64::MAX))
                    .execute(&mut **tx)
                    .await
                    .map_err(StoreError::of("write the picture of a task"))?;
            }
            for (task, facts, bytes) in &changes.images_ready {
                sqlx::query(
                    "UPDATE images SET bytes = $2, width = $3, height = $4, frames = $5, thumbhash = $6, \
                     ready_at = (SELECT finished_at FROM tasks WHERE tasks.id = $1) WHERE task = $1",
                )
                .bind(task.0)
                .bind(i64::try_from(*bytes).unwrap_or(i64::MAX))
                .bind(i64::from(facts.width))
                .bind(i64::from(facts.height))
                .bind(i64::from(facts.frames))
                .bind(hex(&facts.thumbhash))
                .execute(&mut **tx)
                .await
                .map_err(doing("know an image"))?;
            }
            for task in &changes.images_refused {
                let refused = sqlx::query("UPDATE images SET bytes = 0 WHERE task = $1")
                    .bind(task.0)
                    .execute(&mut **tx)
                    .await
                    .map_err(doing("refuse an image"))?;
                if refused.rows_affected() > 0 {
                    sqlx::query("DELETE FROM task_blobs WHERE task = $1")
                        .bind(task.0)
                        .execute(&mut **tx)
                        .await
                        .map_err(doing("drop what is no image"))?;
                }
            }
            Ok(())
        }
    };
}

pub(super) use people;
