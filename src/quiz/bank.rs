//! The questions that come with the program, in `bank.json`: no network, no pace, and an end.
//!
//! True here: a round sees each of them once, in an order of its own, so that not everybody begins with the same ones.

use std::sync::OnceLock;

use async_trait::async_trait;
use rand::seq::SliceRandom;
use serde::Deserialize;

use super::source::{Draws, Ledger, Source, Stop, Trouble};
use super::text;
use crate::task::{NewQuestion, QuestionSource};

/// The bank.
pub(super) struct Bank;

/// A question as the file has it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    category: String,
    question: String,
    answer: String,
    difficulty: Option<Difficulty>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Difficulty {
    Easy,
    Medium,
    Hard,
}

impl Difficulty {
    fn as_str(self) -> &'static str {
        match self {
            Self::Easy => "easy",
            Self::Medium => "medium",
            Self::Hard => "hard",
        }
    }
}

/// All of them, read once.
fn questions() -> Result<&'static [NewQuestion], &'static str> {
    static QUESTIONS: OnceLock<Result<Vec<NewQuestion>, String>> = OnceLock::new();
    let questions = QUESTIONS.get_or_init(|| read(include_str!("bank.json")));
    questions.as_deref().map_err(String::as_str)
}

fn read(file: &str) -> Result<Vec<NewQuestion>, String> {
    let entries: Vec<Entry> = serde_json::from_str(file).map_err(|error| error.to_string())?;
    entries.into_iter().map(question).collect()
}

fn question(entry: Entry) -> Result<NewQuestion, String> {
    let question = NewQuestion::new(QuestionSource::Bank, &entry.question, &entry.answer);
    let mut question = question.map_err(|error| format!("{:?}: {error}", entry.question))?;
    let category = text::cut(entry.category.trim(), NewQuestion::MAX_WORD_BYTES);
    question.category = (!category.is_empty()).then(|| category.to_owned());
    question.difficulty = entry.difficulty.map(|difficulty| difficulty.as_str().to_owned());
    Ok(question)
}

impl Source for Bank {
    fn name(&self) -> QuestionSource {
        QuestionSource::Bank
    }

    fn is_endless(&self) -> bool {
        false
    }

    fn open(&self) -> Box<dyn Draws> {
        Box::new(Walk { left: None })
    }
}

/// A walk through the bank: the places that it has not come to, in the order in which it will, backwards.
struct Walk {
    left: Option<Vec<usize>>,
}

#[async_trait]
impl Draws for Walk {
    async fn draw(&mut self, wanted: u32, _ledger: &mut Ledger) -> Result<Vec<NewQuestion>, Stop> {
        let questions = questions().map_err(|error| Trouble::Wrong(error.to_owned()))?;
        let left = self.left.get_or_insert_with(|| {
            let mut places: Vec<usize> = (0..questions.len()).collect();
            places.shuffle(&mut rand::rng());
            places
        });
        if left.is_empty() {
            return Err(Stop::Over);
        }
        let rest = left.len().saturating_sub(wanted as usize);
        Ok(left.split_off(rest).into_iter().filter_map(|place| questions.get(place).cloned()).collect())
    }

    /// They are in the bank still, for every other round.
    fn give_back(&mut self, _questions: Vec<NewQuestion>) {}
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::time::Duration;

    use tokio::time::Instant;

    use super::*;
    use crate::quiz::source::Tally;

    #[test]
    fn every_question_of_the_bank_is_one_and_no_two_are_the_same() {
        let questions = questions().unwrap();
        let distinct: HashSet<String> = questions.iter().map(NewQuestion::content).collect();
        assert_eq!(distinct.len(), questions.len());
        assert!(distinct.len() >= 500, "{} questions are too few", distinct.len());
        assert!(questions.iter().all(|question| question.category.is_some()));
    }

    #[test]
    fn a_file_that_is_no_bank_is_refused_with_the_question_that_is_none() {
        for (file, told) in [
            (r#"[{"category": "c", "question": "Why?", "answer": " "}]"#, "\"Why?\": the answer is empty"),
            (r#"[{"category": "c", "question": "q", "answer": "a", "difficulty": "odd"}]"#, "odd"),
            (r#"[{"category": "c", "question": "q", "answer": "a", "source": "me"}]"#, "source"),
            ("{}", "expected a sequence"),
        ] {
            let error = read(file).unwrap_err();
            assert!(error.contains(told), "{error}");
        }
    }

    #[tokio::test]
    async fn a_walk_meets_every_question_once_and_no_two_walks_go_the_same_way() {
        let mut ledger = Ledger {
            deadline: Instant::now(),
            time: Duration::ZERO,
            most_requests: 0,
            has_next: false,
            requests: 0,
            tally: Tally::default(),
        };
        let mut ways = HashSet::new();
        for _ in 0..8 {
            let (mut walk, mut met) = (Bank.open(), Vec::new());
            loop {
                match walk.draw(7, &mut ledger).await {
                    Ok(questions) => met.extend(questions.iter().map(NewQuestion::content)),
                    Err(stop) => break assert_eq!(stop, Stop::Over),
                }
            }
            assert_eq!(met.len(), questions().unwrap().len());
            assert_eq!(met.iter().collect::<HashSet<_>>().len(), met.len());
            ways.insert(met);
        }
        assert!(ways.len() > 1);
        assert_eq!(ledger.requests, 0);
    }
}
