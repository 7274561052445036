//! A service that speaks as jservice.io did: `GET /api/random?count=N` gives a list of clues of a television quiz,
//! without an end and with repetitions.
//!
//! True here: the service's own data have holes and rests of the pages that they were taken from, so every field may be
//! missing, and a clue is used only when somebody could answer it.

use async_trait::async_trait;
use serde_json::Value;
use serde_json::value::RawValue;
use url::Url;

use super::source::{Haul, Stop, Trouble, unusable};
use super::text;
use super::upstream::{Gate, Site};
use crate::task::{NewQuestion, QuestionSource};
use crate::telemetry::metrics::QuizItem;

/// The service.
pub(super) struct Jservice {
    url: Url,
}

/// The most clues that it gives at once.
const MOST: u32 = 100;

impl Jservice {
    pub(super) fn new(url: Url) -> Self {
        Self { url }
    }

    /// Its address, with so many clues asked for.
    fn asking_for(&self, count: u32) -> Url {
        let others = self.url.query_pairs().filter(|(name, _)| name != "count");
        let others: Vec<(String, String)> =
            others.map(|(name, value)| (name.into_owned(), value.into_owned())).collect();
        let mut url = self.url.clone();
        url.query_pairs_mut().clear().extend_pairs(others).append_pair("count", &count.to_string());
        url
    }
}

#[async_trait]
impl Site for Jservice {
    fn name(&self) -> QuestionSource {
        QuestionSource::Jservice
    }

    async fn fetch(&self, wanted: u32, gate: &mut Gate<'_>) -> Result<Haul, Stop> {
        gate.call(&self.asking_for(wanted.clamp(1, MOST)), read).await
    }
}

fn read(body: &[u8]) -> Result<Haul, Trouble> {
    let clues: Vec<&RawValue> = serde_json::from_slice(body)
        .map_err(|error| Trouble::misshapen("its answer is no list of clues", &error))?;
    let mut haul = Haul::default();
    // Each by itself: one that is no JSON that we read spoils no other.
    for clue in clues {
        let clue = serde_json::from_str(clue.get()).map_err(|_| QuizItem::Malformed);
        haul.take(clue.and_then(|clue| question(&clue)));
    }
    Ok(haul)
}

fn question(clue: &Value) -> Result<NewQuestion, QuizItem> {
    let Value::Object(fields) = clue else { return Err(QuizItem::Malformed) };
    let field = |name: &str| fields.get(name).unwrap_or(&Value::Null);
    if field("invalid_count").as_f64().is_some_and(|reports| reports > 0.0) {
        return Err(QuizItem::Invalid);
    }
    let asked = plain(field("question"))?;
    if needs_media(&asked) {
        return Err(QuizItem::Media);
    }
    let answer = plain(field("answer"))?;
    let mut question = NewQuestion::new(QuestionSource::Jservice, &asked, &answer).map_err(unusable)?;
    question.upstream_id = match field("id") {
        Value::Number(number) => Some(number.to_string()),
        Value::String(text) => word(text),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    };
    question.category = field("category").get("title").and_then(Value::as_str).and_then(word);
    question.value = field("value").as_i64();
    question.upstream_created_at = field("created_at").as_str().and_then(|text| text.parse().ok());
    Ok(question)
}

/// A text of a clue; one that is missing is as one that is empty.
fn plain(field: &Value) -> Result<String, QuizItem> {
    match field {
        Value::String(html) => Ok(text::of_html(&text::without_backslashes(html))),
        Value::Null => Ok(String::new()),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => Err(QuizItem::Malformed),
    }
}

fn word(html: &str) -> Option<String> {
    let plain = text::of_html(&text::without_backslashes(html));
    let word = text::cut(&plain, NewQuestion::MAX_WORD_BYTES);
    text::is_plain(word).then(|| word.to_owned())
}

/// What clues say that come with a picture, a sound or a film, which the service does not give.
const MEDIA: [&str; 12] = [
    "[video",
    "[audio",
    "[photo",
    "[picture",
    "[image",
    "video clue",
    "audio clue",
    "seen here",
    "shown here",
    "heard here",
    "pictured here",
    "seen on the monitor",
];

/// Whether a picture, a sound or a film is missing. A lone `=` stands where only that was.
fn needs_media(question: &str) -> bool {
    let question = question.to_lowercase();
    question == "=" || MEDIA.iter().any(|sign| question.contains(sign))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_documented_answer_is_read() {
        let body = json!([{
            "id": 72574,
            "answer": "the cheeseburger",
            "question": "Kaelin's Restaurant claims to have invented this all-American meat-&-dairy item",
            "value": 200,
            "airdate": "2006-03-08T12:00:00.000Z",
            "created_at": "2014-02-11T23:33:16.409Z",
            "updated_at": "2014-02-11T23:33:16.409Z",
            "category_id": 9478,
            "game_id": null,
            "invalid_count": null,
            "category": {"id": 9478, "title": "going down to louisville", "clues_count": 5},
        }]);
        let haul = read(body.to_string().as_bytes()).unwrap();
        let [question] = haul.questions.try_into().unwrap();
        assert_eq!(question.source(), QuestionSource::Jservice);
        assert_eq!(question.answer(), "the cheeseburger");
        assert_eq!(question.upstream_id.as_deref(), Some("72574"));
        assert_eq!(question.category.as_deref(), Some("going down to louisville"));
        assert_eq!(question.value, Some(200));
        let created = question.upstream_created_at.unwrap().to_string();
        assert_eq!(created, "2014-02-11T23:33:16.409000Z");
    }

    #[test]
    fn a_clue_without_anything_but_its_texts_is_a_question() {
        let bare = question(&json!({"question": "q", "answer": "a"})).unwrap();
        let nulls = question(&json!({
            "id": null, "question": "q", "answer": "a", "value": null, "airdate": null, "created_at": null,
            "category": null, "invalid_count": 0
        }));
        assert_eq!(nulls.unwrap(), bare);
        let odd = json!({
            "id": [], "question": "q", "answer": "a", "value": "$200", "created_at": "long ago",
            "category": "history", "invalid_count": "none"
        });
        assert_eq!(question(&odd).unwrap(), bare);
    }

    #[test]
    fn an_item_that_cannot_be_read_spoils_no_other() {
        let body = br#"[{"question":"lone \ud800","answer":"a"},{"id":1e400,"question":"q","answer":"a"},
            {"question":"What?","answer":"That"}]"#;
        let haul = read(body).unwrap();
        assert_eq!(haul.questions.iter().map(NewQuestion::question).collect::<Vec<_>>(), ["What?"]);
    }

    #[test]
    fn a_word_with_signs_that_no_text_has_is_left_out_and_the_question_stays() {
        let clue = json!({"id": "1\u{0}2", "question": "q", "answer": "a", "category": {"title": "a\u{0}b"}});
        let question = question(&clue).unwrap();
        assert_eq!((question.upstream_id, question.category), (None, None));
    }

    #[test]
    fn rests_of_the_page_are_taken_off() {
        let question = question(&json!({
            "question": "It\\'s \\\"so\\\" &amp; so", "answer": "<i>deus ex machina</i>",
            "category": {"title": "é".repeat(NewQuestion::MAX_WORD_BYTES)}
        }));
        let question = question.unwrap();
        assert_eq!(question.question(), "It's \"so\" & so");
        assert_eq!(question.answer(), "deus ex machina");
        assert_eq!(question.category.unwrap().len(), NewQuestion::MAX_WORD_BYTES);
    }

    #[test]
    fn each_useless_clue_is_rejected_for_its_reason_and_spoils_no_other() {
        let long = "a".repeat(NewQuestion::MAX_BYTES + 1);
        let clues = [
            (json!(null), QuizItem::Malformed),
            (json!("q"), QuizItem::Malformed),
            (json!({"question": ["q"], "answer": "a"}), QuizItem::Malformed),
            (json!({"question": "q", "answer": 7}), QuizItem::Malformed),
            (json!({"question": "", "answer": "a"}), QuizItem::Empty),
            (json!({"question": "q", "answer": null}), QuizItem::Empty),
            (json!({"question": "<br />", "answer": "a"}), QuizItem::Empty),
            (json!({}), QuizItem::Empty),
            (json!({"question": "q", "answer": "a", "invalid_count": 1}), QuizItem::Invalid),
            (json!({"question": "=", "answer": "a"}), QuizItem::Media),
            (json!({"question": "[Video Clue]", "answer": "a"}), QuizItem::Media),
            (json!({"question": "The bird <a href=\"x\">seen here</a>", "answer": "a"}), QuizItem::Media),
            (json!({"question": long, "answer": "a"}), QuizItem::TooLong),
            (json!({"question": "q", "answer": "a\u{7}b"}), QuizItem::NoText),
        ];
        for (clue, reason) in &clues {
            assert_eq!(question(clue), Err(*reason), "{clue}");
        }
        let mut all: Vec<Value> = clues.into_iter().map(|(clue, _)| clue).collect();
        all.insert(3, json!({"question": "q", "answer": "a"}));
        let haul = read(Value::Array(all).to_string().as_bytes()).unwrap();
        assert_eq!(haul.questions.len(), 1);
        assert_eq!(haul.tally.rejected()["empty"], 4);
        assert_eq!(haul.tally.rejected()["malformed"], 4);
        assert_eq!(haul.tally.rejected()["media"], 3);
    }

    #[test]
    fn an_answer_of_another_shape_is_trouble() {
        for body in ["", "{}", "null", "[{\"question\":", "<html>", "{\"error\":\"gone\"}", "\u{feff}[]"] {
            let trouble = read(body.as_bytes()).unwrap_err();
            assert!(matches!(trouble, Trouble::Wrong(_)), "{body}: {trouble}");
        }
    }

    #[test]
    fn the_count_is_put_into_whatever_address_is_configured() {
        for (url, asked) in [
            ("https://q.example/api/random?count=1", "https://q.example/api/random?count=7"),
            ("https://q.example/api/random", "https://q.example/api/random?count=7"),
            ("https://q.example/r?key=a%26b&count=1&x=y", "https://q.example/r?key=a%26b&x=y&count=7"),
        ] {
            let site = Jservice::new(url.parse().unwrap());
            assert_eq!(site.asking_for(7).as_str(), asked);
        }
    }
}
