//! Rounds against services that misbehave: here a service by script, in time that passes as the tests want it.
//! `rounds.rs` asks one that speaks as jservice did, `trivia.rs` one that keeps the rules of the Open Trivia Database,
//! `together.rs` has many rounds at once, and in `wire.rs` the service is a server on this machine.

mod rounds;
mod together;
mod trivia;
mod virtual_time;
mod wire;

use std::collections::{BTreeMap, HashSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use serde_json::{Value, json};
use tokio::time::Instant;
use url::Url;

use self::virtual_time::{Virtual, now, sleep, within};
use super::source::Trouble;
use super::*;
use crate::config::{LoadOptions, Settings};
use crate::outbound::{HeaderMap, Response};

const SECOND: Duration = Duration::from_secs(1);

type Answer = dyn Fn(&Url, usize) -> Result<Response, Trouble> + Send + Sync;

/// A service that answers by script, after some time, and remembers who asked what when.
struct Script {
    answer: Box<Answer>,
    takes: Duration,
    heard: Mutex<Vec<(Instant, Url)>>,
    under_way: AtomicUsize,
}

impl Script {
    /// The script gets the address and how many asked before.
    fn new(answer: impl Fn(&Url, usize) -> Result<Response, Trouble> + Send + Sync + 'static) -> Arc<Self> {
        Self::slow(Duration::from_millis(20), answer)
    }

    fn slow(
        takes: Duration,
        answer: impl Fn(&Url, usize) -> Result<Response, Trouble> + Send + Sync + 'static,
    ) -> Arc<Self> {
        let answer = Box::new(answer);
        Arc::new(Self { answer, takes, heard: Mutex::default(), under_way: AtomicUsize::new(0) })
    }

    fn requests(&self) -> usize {
        self.heard.lock().unwrap().len()
    }

    fn urls(&self) -> Vec<String> {
        self.heard.lock().unwrap().iter().map(|(_, url)| url.to_string()).collect()
    }

    /// The times between one request and the next.
    fn gaps(&self) -> Vec<Duration> {
        self.heard.lock().unwrap().windows(2).map(|pair| pair[1].0 - pair[0].0).collect()
    }
}

struct Leaves<'a>(&'a AtomicUsize);

impl Drop for Leaves<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

#[async_trait]
impl Web for Script {
    async fn get(&self, url: &Url) -> Result<Response, Trouble> {
        let place = {
            let mut heard = self.heard.lock().unwrap();
            heard.push((now(), url.clone()));
            heard.len() - 1
        };
        assert_eq!(self.under_way.fetch_add(1, Ordering::SeqCst), 0, "two requests at once");
        let _leaves = Leaves(&self.under_way);
        sleep(self.takes).await;
        (self.answer)(url, place)
    }
}

fn settings(keys: &[(&str, &str)]) -> QuizSettings {
    let env = keys
        .iter()
        .map(|(key, value)| (format!("GRISTMILL__QUIZ__{}", key.to_uppercase()).into(), (*value).into()));
    let env: BTreeMap<_, _> = env.collect();
    let options = LoadOptions { files: Vec::new(), directory: "/nonexistent".into(), env };
    Settings::load(options).unwrap().settings.quiz
}

fn quiz(script: &Arc<Script>, keys: &[(&str, &str)]) -> Quiz {
    let web: Arc<dyn Web> = Arc::<Script>::clone(script);
    let timer: Arc<dyn Timer> = Arc::new(Virtual);
    Quiz::over(&settings(keys), (&Clock::system(), &timer), web)
}

/// An answer with that status, and perhaps a wish to be left alone.
fn status(status: u16, retry_after: Option<&str>) -> Result<Response, Trouble> {
    let mut headers = HeaderMap::new();
    if let Some(value) = retry_after {
        headers.insert("retry-after", value.parse().unwrap());
    }
    Ok(Response { status, headers, body: Bytes::from_static(b"Busy."), cut: false })
}

fn json_answer(value: &Value) -> Result<Response, Trouble> {
    let mut headers = HeaderMap::new();
    headers.insert("content-type", "application/json".parse().unwrap());
    Ok(Response { status: 200, headers, body: Bytes::from(value.to_string()), cut: false })
}

/// Clues with these numbers.
fn clues(numbers: impl IntoIterator<Item = usize>) -> Result<Response, Trouble> {
    let clue = |number| json!({"id": number, "question": format!("Question {number}?"), "answer": "yes"});
    json_answer(&Value::Array(numbers.into_iter().map(clue).collect()))
}

/// How many clues an address asks for.
fn count_of(url: &Url) -> usize {
    url.query_pairs().find(|(name, _)| name == "count").unwrap().1.parse().unwrap()
}

/// What is saved, as the database would.
type Saved = Mutex<HashSet<String>>;

/// Draws and saves until there are `wanted` new questions, as the kind does; how many there are in the end.
async fn gather(round: &mut Round, wanted: u32, saved: &Saved) -> Result<u32, (u32, Ended)> {
    let mut mine = 0;
    while mine < wanted {
        let questions = round.draw(wanted - mine).await.map_err(|ended| (mine, ended))?;
        assert!(!questions.is_empty());
        let (mut new, mut known) = (0, 0);
        for question in questions {
            if mine + new == wanted {
                break;
            }
            if saved.lock().unwrap().insert(question.content()) { new += 1 } else { known += 1 }
        }
        round.kept(new, known);
        mine += new;
    }
    Ok(mine)
}
