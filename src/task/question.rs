//! Questions of a quiz: what one is, where it came from, and when two are the same.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use unicode_normalization::UnicodeNormalization;

use super::{TaskId, Timestamp};

/// The number of a saved question: the higher, the later it was saved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct QuestionId(pub i64);

impl fmt::Display for QuestionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Where questions come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum QuestionSource {
    /// A service that speaks as jservice.io did.
    Jservice,
    /// The Open Trivia Database.
    Opentdb,
    /// The questions that come with the program.
    Bank,
}

impl QuestionSource {
    /// Every source.
    pub const ALL: [Self; 3] = [Self::Jservice, Self::Opentdb, Self::Bank];

    /// The word in settings, in the database and in answers.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Jservice => "jservice",
            Self::Opentdb => "opentdb",
            Self::Bank => "bank",
        }
    }

    /// The licence of its questions, as an SPDX expression; `None` where the source names none.
    #[must_use]
    pub fn licence(self) -> Option<&'static str> {
        match self {
            Self::Jservice => None,
            Self::Opentdb => Some("CC-BY-SA-4.0"),
            Self::Bank => Some("CC0-1.0"),
        }
    }
}

impl fmt::Display for QuestionSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The word names no source.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no source of questions: they are jservice, opentdb and bank")]
pub struct UnknownSource(String);

impl FromStr for QuestionSource {
    type Err = UnknownSource;

    fn from_str(text: &str) -> Result<Self, UnknownSource> {
        Self::ALL
            .into_iter()
            .find(|source| source.as_str() == text)
            .ok_or_else(|| UnknownSource(text.to_owned()))
    }
}

/// A question as a source gave it, before it is saved. Its texts are plain: no HTML, no entities, no white space around.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewQuestion {
    source: QuestionSource,
    question: String,
    answer: String,
    /// What the source calls it.
    pub upstream_id: Option<String>,
    /// What it is about.
    pub category: Option<String>,
    /// What it is worth.
    pub value: Option<i64>,
    /// How hard it is, in the source's word.
    pub difficulty: Option<String>,
    /// Answers that are wrong, where there is a choice.
    pub wrong_answers: Vec<String>,
    /// When the source made it.
    pub upstream_created_at: Option<Timestamp>,
}

/// Why it is no question.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoQuestion {
    /// There is nothing to ask.
    #[error("the question is empty")]
    NoText,
    /// There is nothing to answer.
    #[error("the answer is empty")]
    NoAnswer,
    /// More text than a question has.
    #[error("the question or the answer is longer than {} bytes", NewQuestion::MAX_BYTES)]
    TooLong,
    /// Signs that no text has.
    #[error("the question or the answer has control characters")]
    Control,
}

impl NewQuestion {
    /// The longest question, and the longest answer.
    pub const MAX_BYTES: usize = 4096;
    /// The longest of the other texts; longer ones are cut by whoever sets them.
    pub const MAX_WORD_BYTES: usize = 200;
    /// The most wrong answers.
    pub const MAX_WRONG: usize = 16;

    /// A question and its answer.
    ///
    /// # Errors
    /// [`NoQuestion`].
    pub fn new(source: QuestionSource, question: &str, answer: &str) -> Result<Self, NoQuestion> {
        let (question, answer) = (question.trim(), answer.trim());
        if fold(question).is_empty() {
            return Err(NoQuestion::NoText);
        }
        if fold(answer).is_empty() {
            return Err(NoQuestion::NoAnswer);
        }
        if question.len().max(answer.len()) > Self::MAX_BYTES {
            return Err(NoQuestion::TooLong);
        }
        if question.chars().chain(answer.chars()).any(|sign| sign.is_control() && sign != '\n') {
            return Err(NoQuestion::Control);
        }
        Ok(Self {
            source,
            question: question.to_owned(),
            answer: answer.to_owned(),
            upstream_id: None,
            category: None,
            value: None,
            difficulty: None,
            wrong_answers: Vec::new(),
            upstream_created_at: None,
        })
    }

    /// Where it comes from.
    #[must_use]
    pub fn source(&self) -> QuestionSource {
        self.source
    }

    /// What is asked.
    #[must_use]
    pub fn question(&self) -> &str {
        &self.question
    }

    /// What is right.
    #[must_use]
    pub fn answer(&self) -> &str {
        &self.answer
    }

    /// What two questions of one source have in common when they are the same: the SHA-256 of the folded question and
    /// answer, in hexadecimal digits. The source's own number is no part of it: sources number the same question twice.
    #[must_use]
    pub fn content(&self) -> String {
        let mut hash = Sha256::new();
        hash.update(fold(&self.question));
        hash.update([0]);
        hash.update(fold(&self.answer));
        hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// What a search looks through.
    #[must_use]
    pub fn searched(&self) -> String {
        let category = self.category.as_deref().unwrap_or_default();
        fold(&format!("{} {} {category}", self.question, self.answer))
    }
}

/// Text as it is compared: composed the same way (NFKC), in small letters, only its letters and digits, with one space
/// between words. Signs alone are kept as they are, so that "+" and "-" are two answers.
#[must_use]
pub fn fold(text: &str) -> String {
    let plain: String = text.nfkc().flat_map(char::to_lowercase).nfc().collect();
    let words = plain.split(|sign: char| !sign.is_alphanumeric()).filter(|word| !word.is_empty());
    let words = words.collect::<Vec<_>>().join(" ");
    if words.is_empty() { plain.split_whitespace().collect::<Vec<_>>().join(" ") } else { words }
}

/// A question that is saved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// Its number.
    pub id: QuestionId,
    /// What was saved.
    pub new: NewQuestion,
    /// When.
    pub saved_at: Timestamp,
    /// By which task; the task itself may be gone.
    pub task: TaskId,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question(question: &str, answer: &str) -> NewQuestion {
        NewQuestion::new(QuestionSource::Bank, question, answer).unwrap()
    }

    #[test]
    fn the_same_words_are_the_same_question_however_they_are_written() {
        let one = question("What is the capital of  France?", "Paris");
        for (asked, answer) in [
            ("what is the capital of france", "PARIS"),
            ("What is the capital\nof \"France\"?", "paris."),
            ("What is the ｃapital of France?", "Paris"),
        ] {
            assert_eq!(question(asked, answer).content(), one.content(), "{asked}");
        }
        assert_ne!(question("What is the capital of France?", "Lyon").content(), one.content());
        // The border between question and answer counts.
        assert_ne!(question("What is the capital of", "France? Paris").content(), one.content());
        assert_eq!(question("Café?", "1").content(), question("Cafe\u{301}?", "1").content());
    }

    #[test]
    fn answers_of_signs_alone_are_told_apart() {
        assert_ne!(question("Which sign adds?", "+").content(), question("Which sign adds?", "-").content());
        assert_ne!(question("2 - 3?", "-1").content(), question("2 - 3?", "-2").content());
    }

    #[test]
    fn what_is_empty_endless_or_no_text_is_no_question() {
        let new = |question, answer| NewQuestion::new(QuestionSource::Bank, question, answer);
        let long = "a".repeat(NewQuestion::MAX_BYTES + 1);
        assert_eq!(new(" \n", "x"), Err(NoQuestion::NoText));
        assert_eq!(new("x", ""), Err(NoQuestion::NoAnswer));
        assert_eq!(new(&long, "x"), Err(NoQuestion::TooLong));
        assert_eq!(new("x", "a\0b"), Err(NoQuestion::Control));
    }
}
