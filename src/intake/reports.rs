//! The door for reports, for the counters that they draw, and for questions.
//!
//! Called by the routes of these.

use std::sync::Arc;
use std::time::Duration;

use chrono_tz::Tz;

use super::{Done, Intake, IntakeError, done};
use crate::account::{Caller, Counters, CountersChange};
use crate::kinds::quiz::{self, QuestionsNum};
use crate::kinds::report;
use crate::media::report::Language;
use crate::store::{NewReport, NewTask, Remember, WriteError};
use crate::task::{Json, Kind, ReportId, Task, UserId};

/// How a report is to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReportTerms {
    /// In which language.
    pub language: Language,
    /// In which time zone.
    pub time_zone: Tz,
    /// Over how many days the work is shown.
    pub days: u16,
    /// Whether the user's e-mail is on it.
    pub contact: bool,
    /// How long it is kept.
    pub keep: Duration,
}

impl Intake {
    /// Accepts a report about `user`, to be known by `id`; whoever may change the user may have one. The task is the
    /// user's.
    ///
    /// # Errors
    /// [`IntakeError`].
    pub async fn report(
        &self,
        caller: Caller,
        user: UserId,
        (id, terms): (ReportId, ReportTerms),
        remember: Option<Remember>,
    ) -> Result<Done<Task>, IntakeError> {
        if !caller.may_change(user) {
            return Err(crate::store::UserRefused::NotTheirs(user).into());
        }
        let now = self.store.now().await.map_err(|error| WriteError::Store(Arc::new(error)))?;
        let payload = report::Payload {
            report: id,
            user,
            language: terms.language.tag().to_owned(),
            time_zone: terms.time_zone.name().to_owned(),
            days: terms.days,
            contact: terms.contact,
            asked_at: now,
        };
        let kind = report::kind();
        let task = NewTask {
            payload: payload_of(&kind, &payload)?,
            max_attempts: self.policy.max_attempts,
            report: Some(NewReport { id, keep: terms.keep }),
            ..NewTask::plain(kind, Some(user))
        };
        self.one(task, remember).await
    }

    /// Accepts a call for so many new questions. Which question was saved last is looked up here, before anything that
    /// the call saves itself.
    ///
    /// # Errors
    /// [`IntakeError`].
    pub async fn quiz(
        &self,
        caller: Caller,
        wanted: QuestionsNum,
        remember: Option<Remember>,
    ) -> Result<Done<Task>, IntakeError> {
        self.admit(caller)?;
        let previous = self.store.newest_question().await;
        let previous = previous.map_err(|error| WriteError::Store(Arc::new(error)))?;
        let kind = quiz::kind();
        let payload = quiz::Payload { questions_num: wanted, previous };
        // One try: within it sources are asked again and again, as far as its budget goes.
        let task = NewTask { payload: payload_of(&kind, &payload)?, ..NewTask::plain(kind, caller.user()) };
        self.one(task, remember).await
    }

    /// Changes a user's counters.
    ///
    /// # Errors
    /// [`IntakeError::UserRefused`].
    pub async fn change_counters(
        &self,
        caller: Caller,
        user: UserId,
        change: CountersChange,
        remember: Option<Remember>,
    ) -> Result<Done<Counters>, IntakeError> {
        Ok(match done(self.writer.change_counters(user, caller, change, remember).await?)? {
            Done::Now(changed) => Done::Now(changed?),
            Done::Before(answer) => Done::Before(answer),
        })
    }

    /// Accepts one task.
    async fn one(&self, task: NewTask, remember: Option<Remember>) -> Result<Done<Task>, IntakeError> {
        let _turn = self.limits.let_in(std::slice::from_ref(&task))?;
        let created = done(self.writer.create(vec![task], remember).await?)?;
        Ok(created.map(|mut tasks| match tasks.pop() {
            Some(made) => made.task,
            None => unreachable!("one task was asked for"),
        }))
    }
}

fn payload_of<T: serde::Serialize>(kind: &Kind, payload: &T) -> Result<Json, IntakeError> {
    Json::of(payload).map_err(|error| IntakeError::Payload {
        index: 0,
        kind: kind.clone(),
        problem: error.to_string(),
    })
}
