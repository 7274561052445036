//! `gristmill quiz`: questions that were not here before.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;

use super::Exit;
use super::client::{Call, Daemon, Way, with_daemon};
use super::follow::{End, follow};
use super::problem::Problem;
use super::tasks::row::{Stand, Told};
use super::terminal::text::harmless;
use super::terminal::{Colour, Console};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// How many, 1 to 100.
    #[arg(default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100))]
    count: u32,
    /// Without the answers.
    #[arg(long)]
    no_answers: bool,
    /// Those that were saved last; nothing is fetched.
    #[arg(long)]
    saved: bool,
    #[command(flatten)]
    way: Way,
}

/// A question, as far as it is shown.
#[derive(Debug, Deserialize)]
struct Question {
    id: i64,
    question: String,
    answer: String,
    #[serde(default)]
    category: Option<String>,
}

/// The payload of the task that fetched, as far as it is of use.
#[derive(Debug, Deserialize)]
struct Asked {
    /// The question that was the last before it.
    #[serde(default)]
    previous: Option<i64>,
}

/// Fetches and shows.
pub(super) fn run(arguments: &Arguments, config: Vec<PathBuf>) -> Exit {
    with_daemon(&arguments.way, config, async |daemon, console| quiz(arguments, daemon, console).await)
}

async fn quiz(arguments: &Arguments, daemon: &Daemon, console: &Console) -> Result<Exit, Problem> {
    let behind = if arguments.saved { 0 } else { fetch(arguments.count, daemon, console).await? };
    // The newest first, as the daemon gives them; others may have fetched meanwhile, so there may be more.
    let path = format!("/quiz/questions?limit={}", arguments.count);
    let mut questions: Vec<(Box<RawValue>, Question)> = Vec::new();
    for json in daemon.read::<Vec<Box<RawValue>>>(Call::get(path)).await? {
        let odd = |error| Problem::failed(format!("a question came that cannot be read: {error}"));
        let question: Question = serde_json::from_str(json.get()).map_err(odd)?;
        if question.id > behind {
            questions.push((json, question));
        }
    }
    questions.reverse();
    for (json, question) in &questions {
        if console.json {
            console.json_line(json)?;
            continue;
        }
        let about = question.category.as_ref().map(|category| format!("  ({})", harmless(category)));
        let about = console.paint(Some(Colour::Dim), &about.unwrap_or_default());
        console.line(&format!("{}. {}{about}", question.id, harmless(&question.question)))?;
        if !arguments.no_answers {
            console
                .line(&format!("   {}", console.paint(Some(Colour::Green), &harmless(&question.answer))))?;
        }
    }
    Ok(Exit::Done)
}

/// Has so many fetched; the number behind which they are.
async fn fetch(count: u32, daemon: &Daemon, console: &Console) -> Result<i64, Problem> {
    let call = Call::post("/quiz").json(json!({"questions_num": count}).to_string());
    let answer = daemon.ask(call.wait(Duration::ZERO)).await?;
    let task = Told::of(daemon, &answer)?.task;
    match follow(daemon, task.id, None, &console.bars(), |_| Ok(())).await? {
        End::Ended(told) if told.task.stand() == Stand::Completed => {}
        End::Ended(told) | End::Open(told) => {
            return Err(Problem::failed(told.task.story()).hint(format!(
                "what was saved until then stays; `gristmill tasks retry {}` goes on",
                told.task.id
            )));
        }
        End::Deleted(id) => return Err(Problem::failed(format!("task {id}, which fetched, was deleted"))),
    }
    let asked: Option<Asked> = task.payload_as();
    Ok(asked.and_then(|asked| asked.previous).unwrap_or(0))
}
