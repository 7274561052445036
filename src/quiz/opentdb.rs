//! The Open Trivia Database: `GET /api.php` gives questions, and with a token none twice.
//!
//! True here: a token is kept as long as the service knows it, and every code that the service documents is answered as
//! it asks. Texts are asked for in base64, which leaves no question what is text and what is encoding: they are decoded
//! once, and hold no HTML after that.

use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use url::Url;

use super::source::{Haul, Stop, Trouble, unusable};
use super::text;
use super::upstream::{Gate, Site};
use crate::task::{NewQuestion, QuestionSource};
use crate::telemetry::metrics::QuizItem;

/// The service.
pub(super) struct Opentdb {
    /// Without path.
    url: Url,
    state: Mutex<State>,
}

struct State {
    token: Option<String>,
    /// As many questions are asked for at once; less than [`MOST`] once the service had not that many left.
    most: u32,
}

/// The most questions that it gives at once.
const MOST: u32 = 50;
/// The longest token that is believed to be one.
const LONGEST_TOKEN: usize = 200;

/// What the service says to a request, in the words of its manual.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Code {
    Success,
    /// It has not so many questions.
    NoResults,
    /// It does not know the token (any more).
    TokenNotFound,
    /// The token has not so many questions left.
    TokenEmpty,
}

impl Code {
    fn of(code: i64) -> Result<Self, Trouble> {
        match code {
            0 => Ok(Self::Success),
            1 => Ok(Self::NoResults),
            2 => Err(Trouble::Wrong("it finds the request wrong (code 2)".to_owned())),
            3 => Ok(Self::TokenNotFound),
            4 => Ok(Self::TokenEmpty),
            5 => Err(Trouble::Busy { wait: None }),
            _ => Err(Trouble::Wrong(format!("its code {code} is none that it documents"))),
        }
    }
}

#[derive(Deserialize)]
struct Results {
    response_code: i64,
    #[serde(default)]
    results: Vec<Value>,
}

#[derive(Deserialize)]
struct Token {
    response_code: i64,
    token: Option<String>,
}

impl Opentdb {
    pub(super) fn new(url: Url) -> Self {
        Self { url, state: Mutex::new(State { token: None, most: MOST }) }
    }

    fn at(&self, path: &str, query: &[(&str, &str)]) -> Url {
        let mut url = self.url.clone();
        url.set_path(&format!("{}/{path}", self.url.path().trim_end_matches('/')));
        url.query_pairs_mut().extend_pairs(query);
        url
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The token that is held, or a new one.
    async fn token(&self, gate: &mut Gate<'_>) -> Result<String, Stop> {
        let held = self.state().token.clone();
        if let Some(token) = held {
            return Ok(token);
        }
        let url = self.at("api_token.php", &[("command", "request")]);
        let token = gate.call(&url, |body| read_token(body).and_then(granted)).await?;
        *self.state() = State { token: Some(token.clone()), most: MOST };
        Ok(token)
    }

    /// Makes the service forget what it gave for the token. Tells whether it knew the token.
    async fn reset(&self, token: &str, gate: &mut Gate<'_>) -> Result<bool, Stop> {
        let url = self.at("api_token.php", &[("command", "reset"), ("token", token)]);
        let code =
            gate.call(&url, |body| read_token(body).and_then(|token| Code::of(token.response_code))).await?;
        self.state().most = MOST;
        Ok(code == Code::Success)
    }

    /// One request for so many questions.
    async fn ask(&self, amount: u32, token: &str, gate: &mut Gate<'_>) -> Result<(Code, Haul), Stop> {
        let amount = amount.to_string();
        let url = self.at("api.php", &[("amount", &amount), ("encode", "base64"), ("token", token)]);
        gate.call(&url, read_results).await
    }
}

#[async_trait]
impl Site for Opentdb {
    fn name(&self) -> QuestionSource {
        QuestionSource::Opentdb
    }

    /// Where there are fewer than asked for, the service gives none: then half as many are asked for, down to one. When
    /// not even one is left for the token, it is reset, once.
    async fn fetch(&self, wanted: u32, gate: &mut Gate<'_>) -> Result<Haul, Stop> {
        let (mut renewed, mut reset) = (false, false);
        loop {
            let token = self.token(gate).await?;
            let amount = wanted.clamp(1, self.state().most);
            let (code, haul) = self.ask(amount, &token, gate).await?;
            match code {
                Code::Success => return Ok(haul),
                Code::TokenNotFound if !renewed => {
                    renewed = true;
                    self.state().token = None;
                }
                Code::TokenNotFound => {
                    self.state().token = None;
                    let told = "it does not know the token that it gave a moment ago (code 3)";
                    return Err(Stop::Trouble(Trouble::Wrong(told.to_owned())));
                }
                Code::NoResults | Code::TokenEmpty if amount > 1 => self.state().most = amount / 2,
                Code::TokenEmpty if !reset => {
                    reset = true;
                    if !self.reset(&token, gate).await? {
                        self.state().token = None;
                    }
                }
                Code::NoResults | Code::TokenEmpty => {
                    self.state().most = MOST;
                    return Err(Stop::Over);
                }
            }
        }
    }
}

fn parsed<T: DeserializeOwned>(body: &[u8]) -> Result<T, Trouble> {
    serde_json::from_slice(body)
        .map_err(|error| Trouble::misshapen("its answer has another shape than documented", &error))
}

fn read_token(body: &[u8]) -> Result<Token, Trouble> {
    parsed(body)
}

fn granted(token: Token) -> Result<String, Trouble> {
    let code = Code::of(token.response_code)?;
    let token = token.token.filter(|token| !token.is_empty() && token.len() <= LONGEST_TOKEN);
    match (code, token) {
        (Code::Success, Some(token)) => Ok(token),
        (code, _) => Err(Trouble::Wrong(format!("it gave no token ({code:?})"))),
    }
}

fn read_results(body: &[u8]) -> Result<(Code, Haul), Trouble> {
    let answer: Results = parsed(body)?;
    let code = Code::of(answer.response_code)?;
    let mut haul = Haul::default();
    answer.results.iter().for_each(|item| haul.take(question(item)));
    Ok((code, haul))
}

fn question(item: &Value) -> Result<NewQuestion, QuizItem> {
    let asked = decoded(item.get("question"))?;
    let answer = decoded(item.get("correct_answer"))?;
    let mut question = NewQuestion::new(QuestionSource::Opentdb, &asked, &answer).map_err(unusable)?;
    question.category = word(item.get("category"));
    question.difficulty = word(item.get("difficulty"));
    let wrong = item.get("incorrect_answers").and_then(Value::as_array);
    let wrong = wrong.into_iter().flatten().filter_map(|answer| word(Some(answer)));
    question.wrong_answers = wrong.take(NewQuestion::MAX_WRONG).collect();
    Ok(question)
}

/// A text out of its base64.
fn decoded(field: Option<&Value>) -> Result<String, QuizItem> {
    let Some(Value::String(text)) = field else { return Err(QuizItem::Malformed) };
    let bytes = STANDARD.decode(text).map_err(|_| QuizItem::NoText)?;
    let text = String::from_utf8(bytes).map_err(|_| QuizItem::NoText)?;
    Ok(text::line(&text))
}

/// A text that the question can do without.
fn word(field: Option<&Value>) -> Option<String> {
    let text = decoded(field).ok()?;
    let word = text::cut(&text, NewQuestion::MAX_WORD_BYTES);
    text::is_plain(word).then(|| word.to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn base64(text: &str) -> String {
        STANDARD.encode(text)
    }

    #[test]
    fn texts_are_decoded_once_and_hold_no_html_after_that() {
        let item = json!({
            "type": base64("multiple"), "difficulty": base64("hard"), "category": base64("Science: Computers"),
            "question": base64("What does &amp;amp; stand for in <b>HTML</b>?"), "correct_answer": base64("&amp;"),
            "incorrect_answers": [base64("&"), base64("and"), 7],
        });
        let question = question(&item).unwrap();
        assert_eq!(question.question(), "What does &amp;amp; stand for in <b>HTML</b>?");
        assert_eq!(question.answer(), "&amp;");
        assert_eq!(question.category.as_deref(), Some("Science: Computers"));
        assert_eq!(question.difficulty.as_deref(), Some("hard"));
        assert_eq!(question.wrong_answers, ["&", "and"]);
        assert_eq!(question.source(), QuestionSource::Opentdb);
    }

    #[test]
    fn what_is_no_base64_or_no_text_is_rejected() {
        for (asked, reason) in [
            (json!("What is it?"), QuizItem::NoText),
            (json!(STANDARD.encode([0xff, 0xfe])), QuizItem::NoText),
            (json!(base64("a\u{0}b")), QuizItem::NoText),
            (json!(null), QuizItem::Malformed),
            (json!(base64(" ")), QuizItem::Empty),
        ] {
            let item = json!({"question": asked, "correct_answer": base64("a")});
            assert_eq!(question(&item), Err(reason), "{item}");
        }
        assert_eq!(question(&json!([])), Err(QuizItem::Malformed));
    }

    #[test]
    fn a_word_with_signs_that_no_text_has_is_left_out_and_the_question_stays() {
        let item = json!({
            "question": base64("q"), "correct_answer": base64("a"), "category": base64("a\0b"),
            "incorrect_answers": [base64("c\u{1}"), base64("d")],
        });
        let question = question(&item).unwrap();
        assert_eq!((question.category, question.wrong_answers), (None, vec!["d".to_owned()]));
    }

    #[test]
    fn there_are_bounds_to_wrong_answers() {
        let long = base64(&"é".repeat(NewQuestion::MAX_WORD_BYTES));
        let item = json!({
            "question": base64("q"), "correct_answer": base64("a"), "incorrect_answers": vec![long; 99],
        });
        let wrong = question(&item).unwrap().wrong_answers;
        assert_eq!(wrong.len(), NewQuestion::MAX_WRONG);
        assert!(wrong.iter().all(|answer| answer.len() == NewQuestion::MAX_WORD_BYTES));
    }

    #[test]
    fn paths_are_put_behind_whatever_address_is_configured() {
        for (url, token) in [
            ("https://t.example", "https://t.example/api_token.php?command=request"),
            ("https://t.example/mirror/", "https://t.example/mirror/api_token.php?command=request"),
        ] {
            let site = Opentdb::new(url.parse().unwrap());
            assert_eq!(site.at("api_token.php", &[("command", "request")]).as_str(), token);
        }
    }
}
