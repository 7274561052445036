//! Tasks of this kind over a desk in memory.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;

use super::*;
use crate::account::Portfolio;
use crate::backup::{BackupError, Summary, Watcher};
use crate::config::{LoadOptions, QuizSettings, Settings};
use crate::task::UserId;

/// What is saved, by content; and when the desk is to refuse.
#[derive(Default)]
struct Shelf {
    known: Mutex<HashSet<String>>,
    /// What this task saved before, by attempts that are over.
    of_task: Mutex<u32>,
    calls: Mutex<u32>,
    refusal: Option<(u32, DeskError)>,
}

#[async_trait]
impl Desk for Shelf {
    async fn save_questions(
        &self,
        _task: TaskId,
        _attempt: Attempt,
        goal: u32,
        questions: Vec<NewQuestion>,
    ) -> Result<Shelved, DeskError> {
        let mut calls = self.calls.lock().unwrap();
        *calls += 1;
        if let Some((call, error)) = &self.refusal
            && *calls == *call
        {
            return Err(error.clone());
        }
        let mut of_task = self.of_task.lock().unwrap();
        let (mut new, mut known) = (0, 0);
        for question in questions {
            if *of_task >= goal {
                break;
            }
            if self.known.lock().unwrap().insert(question.content()) {
                new += 1;
                *of_task += 1;
            } else {
                known += 1;
            }
        }
        Ok(Shelved { new, known, of_task: *of_task })
    }

    async fn question(&self, _id: QuestionId) -> Result<Option<Question>, DeskError> {
        Ok(None)
    }

    async fn portfolio(
        &self,
        _user: UserId,
        _since: Timestamp,
        _recent: u32,
    ) -> Result<Option<Portfolio>, DeskError> {
        Err(DeskError::Unavailable("nobody asks for it here".to_owned()))
    }

    async fn back_up(&self, _watcher: Arc<dyn Watcher>) -> Result<Summary, BackupError> {
        Err(BackupError::NoDatabase)
    }
}

fn settings(env: &[(&str, &str)]) -> QuizSettings {
    let env: BTreeMap<_, _> = env.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
    let options = LoadOptions { files: Vec::new(), directory: "/nonexistent".into(), env };
    Settings::load(options).unwrap().settings.quiz
}

async fn fill(
    settings: &QuizSettings,
    shelf: &Shelf,
    asked: u32,
    cancel: &Cancel,
) -> (Result<(u32, Vec<SourceReport>), RunError>, Vec<u8>) {
    let told = Mutex::new(Vec::new());
    let filling =
        Filling { task: TaskId(1), attempt: Attempt(1), cancel: cancel.clone(), asked, desk: shelf };
    let done = filling.run(&Sources::new(settings), |percent| told.lock().unwrap().push(percent.get())).await;
    (done, told.into_inner().unwrap())
}

#[tokio::test]
async fn exactly_so_many_questions_are_saved_as_were_asked_for() {
    let shelf = Shelf::default();
    let (done, told) = fill(&settings(&[]), &shelf, 7, &Cancel::new()).await;
    let (saved, sources) = done.unwrap();
    assert_eq!((saved, shelf.known.lock().unwrap().len()), (7, 7));
    assert_eq!((sources[0].source, sources[0].new), (QuestionSource::Bank, 7));
    assert_eq!(told, [0]);
}

#[tokio::test]
async fn what_is_known_is_passed_over_until_the_rest_is_found() {
    let shelf = Shelf::default();
    fill(&settings(&[]), &shelf, 5, &Cancel::new()).await.0.unwrap();
    *shelf.of_task.lock().unwrap() = 0;
    let (done, told) = fill(&settings(&[]), &shelf, 6, &Cancel::new()).await;
    assert_eq!(done.unwrap().0, 6);
    assert_eq!(shelf.known.lock().unwrap().len(), 11);
    assert!(told.is_sorted(), "{told:?}");
}

#[tokio::test]
async fn another_attempt_goes_on_where_the_one_before_stopped() {
    let shelf = Shelf { of_task: Mutex::new(3), ..Shelf::default() };
    let (done, told) = fill(&settings(&[]), &shelf, 4, &Cancel::new()).await;
    assert_eq!(done.unwrap().0, 4);
    assert_eq!(shelf.known.lock().unwrap().len(), 1);
    assert_eq!(told, [75]);
    // Nothing is left to do: no source is asked.
    let nowhere = settings(&[("GRISTMILL__QUIZ__PROVIDER", "jservice")]);
    assert_eq!(fill(&nowhere, &shelf, 4, &Cancel::new()).await.0.unwrap().1[0].requests, 0);
}

#[tokio::test]
async fn sources_that_have_no_more_are_told_of_with_what_was_saved() {
    let shelf = Shelf::default();
    let local = settings(&[
        ("GRISTMILL__QUIZ__PROVIDER", "jservice, bank"),
        ("GRISTMILL__QUIZ__URL", "http://127.0.0.1:9/"),
    ]);
    // More than the bank has, in as many tasks as that takes.
    let error = loop {
        *shelf.of_task.lock().unwrap() = 0;
        if let Err(error) = fill(&local, &shelf, QuestionsNum::MOST, &Cancel::new()).await.0 {
            break error;
        }
    };
    let RunError::Upstream { late: false, story } = error else { panic!("{error:?}") };
    let saved = *shelf.of_task.lock().unwrap();
    assert!(
        story.starts_with(&format!("saved {saved} of 100 questions. jservice: it may not be called")),
        "{story}"
    );
    assert!(story.contains("quiz.allow"), "{story}");
    assert!(story.contains("bank: it has no more"), "{story}");
}

#[tokio::test]
async fn a_desk_that_refuses_ends_the_run_with_its_reason() {
    for refused in [1, 2] {
        let error = DeskError::Lost(TaskId(1), Attempt(1));
        let shelf = Shelf { refusal: Some((refused, error.clone())), ..Shelf::default() };
        let (done, _) = fill(&settings(&[]), &shelf, 2, &Cancel::new()).await;
        assert_eq!(done.unwrap_err(), RunError::Error(error.to_string()));
        assert!(shelf.known.lock().unwrap().is_empty());
    }
}

#[tokio::test]
async fn a_run_that_should_stop_draws_no_more() {
    let (shelf, cancel) = (Shelf::default(), Cancel::new());
    cancel.cancel();
    assert_eq!(fill(&settings(&[]), &shelf, 2, &cancel).await.0, Err(RunError::Cancelled));
    assert!(shelf.known.lock().unwrap().is_empty());
}

#[test]
fn a_payload_asks_for_one_to_a_hundred_questions() {
    let read = |text: &str| serde_json::from_str::<Payload>(text);
    let payload = read(r#"{"questions_num": 100, "previous": 7}"#).unwrap();
    assert_eq!((payload.questions_num.get(), payload.previous), (100, Some(QuestionId(7))));
    assert_eq!(serde_json::to_string(&payload).unwrap(), r#"{"questions_num":100,"previous":7}"#);
    assert_eq!(read(r#"{"questions_num": 1}"#).unwrap().previous, None);
    for (text, told) in [
        (r#"{"questions_num": 0}"#, "must be 1 to 100"),
        (r#"{"questions_num": 101}"#, "must be 1 to 100"),
        (r#"{"questions_num": 4294967297}"#, "must be 1 to 100"),
        (r#"{"questions_num": -1}"#, "invalid value"),
        (r#"{"questions_num": 1.5}"#, "floating point"),
        (r#"{"questions_num": "5"}"#, "string"),
        (r#"{"questions_num": 5, "source": "bank"}"#, "unknown field `source`"),
        ("{}", "missing field `questions_num`"),
    ] {
        let error = read(text).unwrap_err().to_string();
        assert!(error.contains(told), "{text}: {error}");
    }
}
