//! The questions of quizzes, in SQL that both databases take.

use sqlx::FromRow;

use crate::store::StoreError;
use crate::task::{NewQuestion, Question, QuestionId, TaskId, Timestamp};

/// The columns of [`QuestionRow`].
pub(in crate::store) const COLUMNS: &str = "id, source, upstream_id, question, answer, category, value, \
     difficulty, wrong_answers, upstream_created_at, saved_at, task";

/// A row of `questions`.
#[derive(Debug, FromRow)]
pub(in crate::store) struct QuestionRow {
    id: i64,
    source: String,
    upstream_id: Option<String>,
    question: String,
    answer: String,
    category: Option<String>,
    value: Option<i64>,
    difficulty: Option<String>,
    wrong_answers: String,
    upstream_created_at: Option<i64>,
    saved_at: i64,
    task: i64,
}

impl QuestionRow {
    pub(in crate::store) fn into_question(self) -> Result<Question, StoreError> {
        let id = self.id;
        self.read().map_err(|problem| StoreError::Corrupt {
            table: "questions",
            row: id.to_string(),
            problem,
        })
    }

    fn read(self) -> Result<Question, String> {
        let source = self.source.parse().map_err(|error| format!("{error}"))?;
        let mut new =
            NewQuestion::new(source, &self.question, &self.answer).map_err(|error| error.to_string())?;
        new.wrong_answers =
            serde_json::from_str(&self.wrong_answers).map_err(|error| format!("wrong_answers: {error}"))?;
        new.upstream_id = self.upstream_id;
        new.category = self.category;
        new.value = self.value;
        new.difficulty = self.difficulty;
        new.upstream_created_at = self.upstream_created_at.map(Timestamp::from_micros);
        Ok(Question {
            id: QuestionId(self.id),
            new,
            saved_at: Timestamp::from_micros(self.saved_at),
            task: TaskId(self.task),
        })
    }
}

/// The pattern of texts that hold `word`.
pub(in crate::store) fn holding(word: &str) -> String {
    let mut pattern = String::with_capacity(word.len() + 2);
    pattern.push('%');
    for sign in word.chars() {
        if matches!(sign, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(sign);
    }
    pattern.push('%');
    pattern
}

/// [`Questions`](super::Questions) of an adapter: its connection for books is in `self.$connection`, `$lock` is what holds
/// a row until the end of a transaction, `self.limited` how long anything may take.
macro_rules! questions {
    ($store:ty, $db:ty, $connection:ident, $lock:literal) => {
        impl $store {
            async fn try_to_save(
                &self,
                (task, attempt): (TaskId, Attempt),
                goal: u32,
                questions: &[NewQuestion],
            ) -> Result<Option<SavedQuestions>, StoreError> {
                let doing = || StoreError::of("save questions");
                let now = self.now().await?.as_micros();
                let mut connection = self.$connection.borrow().await?;
                let mut tx = connection.begin().await.map_err(doing())?;
                // Whoever ends the attempt waits for this, or this sees that it has ended.
                let held: Option<i64> = sqlx::query_scalar(concat!(
                    "SELECT id FROM tasks WHERE id = $1 AND attempt = $2 AND status = 'In Progress' ",
                    $lock
                ))
                .bind(task.0)
                .bind(i64::from(attempt.0))
                .fetch_optional(&mut *tx)
                .await
                .map_err(doing())?;
                if held.is_none() {
                    tx.rollback().await.map_err(doing())?;
                    connection.keep();
                    return Ok(None);
                }
                let before: i64 = sqlx::query_scalar("SELECT count(*) FROM questions WHERE task = $1")
                    .bind(task.0)
                    .fetch_one(&mut *tx)
                    .await
                    .map_err(doing())?;
                let before = u32::try_from(before).unwrap_or(u32::MAX);
                let mut saved = SavedQuestions { new: 0, known: 0, of_task: before };
                for question in questions {
                    if saved.of_task >= goal {
                        break;
                    }
                    let inserted = sqlx::query(
                        "INSERT INTO questions (source, content, upstream_id, question, answer, category, value, \
                         difficulty, wrong_answers, upstream_created_at, searched, saved_at, task) \
                         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) \
                         ON CONFLICT (source, content) DO NOTHING",
                    )
                    .bind(question.source().as_str())
                    .bind(question.content())
                    .bind(&question.upstream_id)
                    .bind(question.question())
                    .bind(question.answer())
                    .bind(&question.category)
                    .bind(question.value)
                    .bind(&question.difficulty)
                    .bind(to_json(&question.wrong_answers))
                    .bind(question.upstream_created_at.map(Timestamp::as_micros))
                    .bind(question.searched())
                    .bind(now)
                    .bind(task.0)
                    .execute(&mut *tx)
                    .await
                    .map_err(doing())?;
                    let new = u32::from(inserted.rows_affected() > 0);
                    saved.new += new;
                    saved.known += 1 - new;
                    saved.of_task += new;
                }
                tx.commit().await.map_err(doing())?;
                connection.keep();
                Ok(Some(saved))
            }
        }

        impl $store {
            async fn write_save_questions(
                &self,
                task: TaskId,
                attempt: Attempt,
                goal: u32,
                questions: &[NewQuestion],
            ) -> Result<Option<SavedQuestions>, StoreError> {
                // Another node saves the same ones in another order: one of the two goes on.
                again(CONFLICTS, || self.try_to_save((task, attempt), goal, questions)).await
            }

            async fn read_questions_of(&self, task: TaskId) -> Result<u32, StoreError> {
                let count: i64 = sqlx::query_scalar("SELECT count(*) FROM questions WHERE task = $1")
                    .bind(task.0)
                    .fetch_one(&self.readers)
                    .await
                    .map_err(StoreError::of("count questions"))?;
                Ok(u32::try_from(count).unwrap_or(u32::MAX))
            }

            async fn read_question(&self, id: QuestionId) -> Result<Option<Question>, StoreError> {
                let text = format!("SELECT {} FROM questions WHERE id = $1", rows::COLUMNS);
                let row: Option<rows::QuestionRow> = sqlx::query_as(sqlx::AssertSqlSafe(text))
                    .bind(id.0)
                    .fetch_optional(&self.readers)
                    .await
                    .map_err(StoreError::of("read a question"))?;
                row.map(rows::QuestionRow::into_question).transpose()
            }

            async fn read_newest_question(&self) -> Result<Option<QuestionId>, StoreError> {
                let newest: Option<i64> = sqlx::query_scalar("SELECT max(id) FROM questions")
                    .fetch_one(&self.readers)
                    .await
                    .map_err(StoreError::of("look for the newest question"))?;
                Ok(newest.map(QuestionId))
            }

            async fn read_questions(
                &self,
                filter: &QuestionFilter,
                before: Option<QuestionId>,
                limit: u32,
            ) -> Result<Vec<Question>, StoreError> {
                let mut text = sqlx::QueryBuilder::<$db>::new(format!(
                    "SELECT {} FROM questions WHERE id < ",
                    rows::COLUMNS
                ));
                text.push_bind(before.map_or(i64::MAX, |before| before.0));
                for word in &filter.words {
                    text.push(" AND searched LIKE ").push_bind(rows::holding(word)).push(" ESCAPE '\\'");
                }
                if let Some(source) = filter.source {
                    text.push(" AND source = ").push_bind(source.as_str());
                }
                if let Some(category) = &filter.category {
                    text.push(" AND category = ").push_bind(category.clone());
                }
                text.push(" ORDER BY id DESC LIMIT ").push_bind(i64::from(limit));
                let rows: Vec<rows::QuestionRow> = text
                    .build_query_as()
                    .fetch_all(&self.readers)
                    .await
                    .map_err(StoreError::of("list questions"))?;
                rows.into_iter().map(rows::QuestionRow::into_question).collect()
            }
        }

        #[async_trait]
        impl Questions for $store {
            async fn save_questions(
                &self,
                task: TaskId,
                attempt: Attempt,
                goal: u32,
                questions: &[NewQuestion],
            ) -> Result<Option<SavedQuestions>, StoreError> {
                self.limited(self.write_save_questions(task, attempt, goal, questions)).await
            }

            async fn questions_of(&self, task: TaskId) -> Result<u32, StoreError> {
                self.limited(self.read_questions_of(task)).await
            }

            async fn question(&self, id: QuestionId) -> Result<Option<Question>, StoreError> {
                self.limited(self.read_question(id)).await
            }

            async fn newest_question(&self) -> Result<Option<QuestionId>, StoreError> {
                self.limited(self.read_newest_question()).await
            }

            async fn questions(
                &self,
                filter: &QuestionFilter,
                before: Option<QuestionId>,
                limit: u32,
            ) -> Result<Vec<Question>, StoreError> {
                self.limited(self.read_questions(filter, before, limit)).await
            }
        }
    };
}

pub(in crate::store) use questions;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_means_something_in_a_pattern_means_itself() {
        assert_eq!(holding("paris"), "%paris%");
        assert_eq!(holding("100%_\\"), "%100\\%\\_\\\\%");
    }
}
