//! `gristmill report`: a report about a user, made and fetched.

use std::path::PathBuf;

use clap::Args;
use serde::Deserialize;
use serde_json::json;

use super::Exit;
use super::client::{Call, Daemon, Way, with_daemon};
use super::follow::{End, follow};
use super::problem::Problem;
use super::saved;
use super::tasks::row::Stand;
use super::terminal::Console;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The user's number; that of the profile unless said.
    user: Option<i64>,
    /// Where the PDF goes; `report-<user>.pdf` unless said.
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Overwrite the file if it is there.
    #[arg(long)]
    force: bool,
    /// `en` or `ru`.
    #[arg(long, value_parser = ["en", "ru"])]
    language: Option<String>,
    /// In which zone times are written, such as `Europe/Moscow`.
    #[arg(long, value_name = "ZONE")]
    time_zone: Option<String>,
    /// Over how many days the work is shown, 7 to 90.
    #[arg(long)]
    days: Option<u32>,
    /// With the e-mail; only the user themselves may say so.
    #[arg(long)]
    contact: bool,
    /// Only the link, as soon as the report is ordered; nothing is fetched.
    #[arg(long, conflicts_with_all = ["output", "force"])]
    link: bool,
    #[command(flatten)]
    way: Way,
}

/// A report that was ordered.
#[derive(Debug, Deserialize)]
struct Ordered {
    url: String,
    task: Numbered,
}

#[derive(Debug, Deserialize)]
struct Numbered {
    id: i64,
}

/// Orders, waits, fetches.
pub(super) fn run(arguments: &Arguments, config: Vec<PathBuf>) -> Exit {
    with_daemon(&arguments.way, config, async |daemon, console| report(arguments, daemon, console).await)
}

async fn report(arguments: &Arguments, daemon: &Daemon, console: &Console) -> Result<Exit, Problem> {
    let user = arguments.user.or(daemon.place().user).ok_or_else(|| {
        Problem::usage("about which user?")
            .hint("name the number: `gristmill report 7`; or keep it in the profile: `gristmill profile add NAME --user 7`")
    })?;
    let file = arguments.output.clone().unwrap_or_else(|| format!("report-{user}.pdf").into());
    if !arguments.link {
        // Before it is made for nothing.
        saved::check(&file, arguments.force)?;
    }
    let mut terms = json!({});
    if let Some(language) = &arguments.language {
        terms["language"] = json!(language);
    }
    if let Some(zone) = &arguments.time_zone {
        terms["time_zone"] = json!(zone);
    }
    if let Some(days) = arguments.days {
        terms["days"] = json!(days);
    }
    if arguments.contact {
        terms["contact"] = json!(true);
    }
    let call = Call::post(format!("/users/{user}/report")).json(terms.to_string());
    let Ordered { url, task } = daemon.read(call.wait(std::time::Duration::ZERO)).await?;
    let link = if url.starts_with('/') { format!("{}{url}", daemon.place().url) } else { url.clone() };
    if arguments.link {
        let line = super::terminal::text::harmless(&link);
        if console.json {
            console.json_line(&json!({"url": link, "task": task.id}))?;
        } else {
            console.line(&line)?;
        }
        return Ok(Exit::Done);
    }
    let end = follow(daemon, task.id, None, &console.bars(), |_| Ok(())).await?;
    match &end {
        End::Ended(told) if told.task.stand() == Stand::Completed => {}
        End::Ended(told) | End::Open(told) => return Err(Problem::failed(told.task.story())),
        End::Deleted(id) => {
            return Err(Problem::failed(format!("task {id}, which made the report, was deleted")));
        }
    }
    let bytes = saved::save(daemon, daemon.path_of(&url)?, &file, arguments.force, console).await?;
    if console.json {
        let file = file.display().to_string();
        console.json_line(&json!({"file": file, "bytes": bytes, "url": link, "task": task.id}))?;
    } else {
        console.line(&file.display().to_string())?;
    }
    Ok(Exit::Done)
}
