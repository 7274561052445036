//! `[quiz]`: where questions come from, and how hard their sources may be asked. Consumed by the room `quiz`.

use std::time::Duration;

use url::Url;

use super::network::{Network, networks};
use super::rule::{Raw, Refusal, Rule, seconds, whole};
use super::section::{Literal, section};
use crate::task::QuestionSource;

section! {
    /// Questions of a quiz, fetched from the world outside or taken from those that come with the program.
    QuizSettings = "quiz" {
        /// The sources, in the order in which they are asked: the next one is asked when the one before is in
        /// trouble or has nothing new. `jservice` speaks as jservice.io did, `opentdb` is the Open Trivia
        /// Database, `bank` are the questions that come with the program and need no network.
        "provider" => provider: Vec<QuestionSource> = "bank", sources();

        /// Where `jservice` is asked. The number of questions is put into the query as `count`. Over plain http
        /// only addresses within quiz.allow are called.
        "url" => url: Url = "https://jservice.io/api/random?count=1", web_url();

        /// Where `opentdb` is asked, without the path. Over plain http only addresses within quiz.allow are
        /// called.
        "opentdb_url" => opentdb_url: Url = "https://opentdb.com", web_url();

        /// Networks that sources may be in although they are private or special. Of a name that has several
        /// addresses, each must be allowed.
        "allow" => allow: Vec<Network> = "", networks();

        /// How long one try to get the questions of a task may take, in seconds; what was saved by then stays.
        "time_s" => time: Duration = 60, seconds(0.1..=3600.0);

        /// How many requests one such try may make to one source.
        "requests" => requests: u32 = 30, whole(1..=1000);

        /// After so many draws in a row that brought nothing new, a source is taken to have no more.
        "empty_draws" => empty_draws: u32 = 5, whole(1..=100);

        /// How long one request may take, from finding the address to the end of the answer, in seconds.
        "timeout_s" => timeout: Duration = 10, seconds(0.1..=60.0);

        /// The pause between two requests to `jservice`, in seconds, whoever makes them on this node.
        "jservice_pause_s" => jservice_pause: Duration = 1, seconds(0.0..=3600.0);

        /// The same for `opentdb`, which answers an address once in five seconds.
        "opentdb_pause_s" => opentdb_pause: Duration = 5.1, seconds(0.0..=3600.0);

        /// After so many failed requests in a row, a source is asked no more for a while.
        "breaker_failures" => breaker_failures: u32 = 5, whole(1..=1000);

        /// How long that while is, in seconds; then one request finds out.
        "breaker_pause_s" => breaker_pause: Duration = 60, seconds(0.1..=86_400.0);

        check fits;
    }
}

/// A request that cannot take its time would always look as if the round had none left, and never as late.
fn fits(quiz: &QuizSettings) -> Vec<(&'static str, String)> {
    let mut problems = Vec::new();
    if quiz.timeout > quiz.time {
        let (timeout, time) = (quiz.timeout.as_secs_f64(), quiz.time.as_secs_f64());
        problems.push(("timeout_s", format!("is {timeout} s, more than quiz.time_s ({time} s)")));
    }
    problems
}

/// Sources of questions, separated by commas. Text and not a list, so that a file and a variable write it the
/// same way.
fn sources() -> Sources {
    Sources
}

struct Sources;

impl Rule for Sources {
    type Out = Vec<QuestionSource>;

    fn parse(&self, raw: &Raw) -> Result<Vec<QuestionSource>, Refusal> {
        let mut sources = Vec::new();
        for word in raw.text()?.split(',').map(str::trim) {
            let source: QuestionSource =
                word.parse().map_err(|error| format!("has a word that is none: {error}"))?;
            if sources.contains(&source) {
                return Err(format!("names {source} twice"));
            }
            sources.push(source);
        }
        Ok(sources)
    }

    fn allowed(&self) -> String {
        "at least one of jservice, opentdb and bank, separated by commas".to_owned()
    }

    fn show(&self, value: &Vec<QuestionSource>) -> Literal {
        Literal::Text(value.iter().map(|source| source.as_str()).collect::<Vec<_>>().join(", "))
    }
}

/// The address of a service.
fn web_url() -> WebUrl {
    WebUrl
}

struct WebUrl;

impl Rule for WebUrl {
    type Out = Url;

    fn parse(&self, raw: &Raw) -> Result<Url, Refusal> {
        let url = Url::parse(raw.text()?).map_err(|error| format!("is not a URL ({error})"))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err("is neither http nor https".to_owned());
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err("holds a user or a password, which are not sent".to_owned());
        }
        if url.fragment().is_some() {
            return Err("has a fragment (#), which is never sent".to_owned());
        }
        Ok(url)
    }

    fn allowed(&self) -> String {
        "an http or https URL without user or fragment".to_owned()
    }

    fn show(&self, value: &Url) -> Literal {
        Literal::Text(value.to_string())
    }

    // Somebody may have put a password in: the refusal must not print it.
    fn is_secret(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_are_asked_in_the_order_in_which_they_are_written() {
        let read = |text: &str| Sources.parse(&Raw::Text(text.to_owned()));
        let sources = read("opentdb,  bank").unwrap();
        assert_eq!(sources, [QuestionSource::Opentdb, QuestionSource::Bank]);
        assert_eq!(Sources.show(&sources), Literal::Text("opentdb, bank".to_owned()));
        for (text, reason) in [
            ("", "\"\" is no source of questions"),
            ("bank, jeopardy", "\"jeopardy\" is no source of questions"),
            ("bank, opentdb, bank", "names bank twice"),
        ] {
            let refusal = read(text).unwrap_err();
            assert!(refusal.contains(reason), "{text}: {refusal}");
        }
    }

    #[test]
    fn an_address_that_would_not_be_called_as_it_stands_is_refused() {
        let read = |text: &str| WebUrl.parse(&Raw::Text(text.to_owned()));
        assert_eq!(read("https://quiz.example/api?key=7&count=1").unwrap().query(), Some("key=7&count=1"));
        for (text, reason) in [
            ("quiz.example", "is not a URL"),
            ("ftp://quiz.example/", "is neither http nor https"),
            ("https://me:hush@quiz.example/", "holds a user or a password"),
            ("https://quiz.example/#top", "has a fragment"),
        ] {
            let refusal = read(text).unwrap_err();
            assert!(refusal.contains(reason) && !refusal.contains("hush"), "{text}: {refusal}");
        }
    }
}
