//! `quiz`: so many questions that were not in the database before, drawn from the sources and saved.
//!
//! How many are new, only the database can say, and it counts by task: another attempt goes on where the one before
//! stopped, and what was saved stays saved, whatever becomes of the task.

use serde::{Deserialize, Serialize};

use super::desk::{Desk, DeskError, Shelved};
use super::{Done, Run, RunError, Work, name};
use crate::media::Cancel;
use crate::quiz::{Quiz as Sources, SourceReport};
use crate::task::{
    Attempt, Json, Kind, NewQuestion, Percent, Question, QuestionId, QuestionSource, TaskId, Timestamp,
};

/// The kind.
#[derive(Debug, Clone)]
pub struct Quiz {
    sources: Sources,
}

/// What is wanted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Payload {
    /// How many questions.
    pub questions_num: QuestionsNum,
    /// The question that was the last one saved when they were asked for, to be told in the result.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<QuestionId>,
}

/// How many questions one task saves: from 1 to 100.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u64", into = "u64")]
pub struct QuestionsNum(u32);

/// Not a number of questions that one task saves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0} questions cannot be asked for: it must be 1 to {most}", most = QuestionsNum::MOST)]
pub struct BadQuestionsNum(u64);

impl QuestionsNum {
    /// The most.
    pub const MOST: u32 = 100;

    /// The number.
    #[must_use]
    pub fn get(self) -> u32 {
        self.0
    }
}

impl TryFrom<u64> for QuestionsNum {
    type Error = BadQuestionsNum;

    fn try_from(number: u64) -> Result<Self, BadQuestionsNum> {
        match u32::try_from(number) {
            Ok(count @ 1..=Self::MOST) => Ok(Self(count)),
            Ok(_) | Err(_) => Err(BadQuestionsNum(number)),
        }
    }
}

impl From<QuestionsNum> for u64 {
    fn from(number: QuestionsNum) -> Self {
        Self::from(number.0)
    }
}

/// What became of it: the result of the task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Filled {
    /// How many questions were wanted.
    pub asked: u32,
    /// How many were saved, by all attempts together.
    pub saved: u32,
    /// The question that was the last one saved before, where there was one and it is still there.
    pub previous: Option<ToldQuestion>,
    /// What each source did in the last attempt.
    pub sources: Vec<SourceReport>,
}

/// A saved question, as everybody outside sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToldQuestion {
    /// Its number here.
    pub id: QuestionId,
    /// What is asked.
    pub question: String,
    /// What is right.
    pub answer: String,
    /// What it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub category: Option<String>,
    /// What it is worth.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<i64>,
    /// How hard it is, in the source's word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub difficulty: Option<String>,
    /// Answers that are wrong, where there is a choice.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub wrong_answers: Vec<String>,
    /// Where it comes from.
    pub source: QuestionSource,
    /// The licence under which it is used, as an SPDX expression, where the source names one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub licence: Option<String>,
    /// What the source calls it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upstream_id: Option<String>,
    /// When the source made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upstream_created_at: Option<Timestamp>,
    /// When it was saved.
    pub saved_at: Timestamp,
}

impl From<Question> for ToldQuestion {
    fn from(question: Question) -> Self {
        let Question { id, new, saved_at, task: _ } = question;
        Self {
            id,
            question: new.question().to_owned(),
            answer: new.answer().to_owned(),
            source: new.source(),
            licence: new.source().licence().map(str::to_owned),
            category: new.category,
            value: new.value,
            difficulty: new.difficulty,
            wrong_answers: new.wrong_answers,
            upstream_id: new.upstream_id,
            upstream_created_at: new.upstream_created_at,
            saved_at,
        }
    }
}

/// Its name.
#[must_use]
pub fn kind() -> Kind {
    name(Quiz::NAME)
}

impl Quiz {
    /// The kind, which draws from these sources.
    #[must_use]
    pub fn new(sources: Sources) -> Self {
        Self { sources }
    }
}

impl Work for Quiz {
    const NAME: &'static str = "quiz";
    type Payload = Payload;

    async fn run(&self, payload: Payload, run: Run) -> Result<Done, RunError> {
        let filling = Filling {
            task: run.task,
            attempt: run.attempt,
            cancel: run.cancel.clone(),
            asked: payload.questions_num.get(),
            desk: &*run.desk,
        };
        let (saved, sources) = filling.run(&self.sources, |percent| run.progress(percent)).await?;
        let previous = match payload.previous {
            Some(id) => run.desk.question(id).await.map_err(desk_error)?,
            None => None,
        };
        let filled = Filled {
            asked: payload.questions_num.get(),
            saved,
            previous: previous.map(ToldQuestion::from),
            sources,
        };
        let result = Json::of(&filled).map_err(|error| RunError::Error(error.to_string()))?;
        Ok(Done { result, output: None, drop_input: false, image: None })
    }
}

/// A task on its way to its goal.
struct Filling<'a> {
    task: TaskId,
    attempt: Attempt,
    cancel: Cancel,
    asked: u32,
    desk: &'a dyn Desk,
}

impl Filling<'_> {
    /// Draws and saves until the task has as many as were asked for. Every draw is saved before the next one, so that
    /// what was fetched is kept, whatever comes then.
    async fn run(
        &self,
        sources: &Sources,
        progress: impl Fn(Percent),
    ) -> Result<(u32, Vec<SourceReport>), RunError> {
        let mut round = sources.round();
        let mut saved = self.save(Vec::new()).await?.of_task;
        while saved < self.asked {
            if self.cancel.is_cancelled() {
                return Err(RunError::Cancelled);
            }
            progress(self.percent(saved));
            let drawn = round.draw(self.asked - saved).await;
            let questions = drawn.map_err(|ended| RunError::Upstream {
                late: ended.late,
                story: format!("saved {saved} of {} questions. {}", self.asked, ended.story),
            })?;
            let shelved = self.save(questions).await?;
            round.kept(shelved.new, shelved.known);
            saved = shelved.of_task;
        }
        Ok((saved, round.report()))
    }

    async fn save(&self, questions: Vec<NewQuestion>) -> Result<Shelved, RunError> {
        let shelved = self.desk.save_questions(self.task, self.attempt, self.asked, questions).await;
        shelved.map_err(desk_error)
    }

    fn percent(&self, saved: u32) -> Percent {
        Percent::new(u8::try_from(saved.saturating_mul(100) / self.asked).unwrap_or(100))
    }
}

/// Also where the task is somebody else's by now: what is said of it here does not count then.
fn desk_error(error: DeskError) -> RunError {
    RunError::Error(error.to_string())
}

#[cfg(test)]
mod tests;
