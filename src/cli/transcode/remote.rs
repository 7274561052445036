//! `gristmill transcode --remote`: the recording goes to the daemon, which keeps it; the MP3 comes back.

use std::path::PathBuf;

use serde::Deserialize;
use serde_json::json;

use super::Arguments;
use crate::cli::Exit;
use crate::cli::client::form::Opened;
use crate::cli::client::{Call, Daemon, with_daemon};
use crate::cli::follow::{End, follow};
use crate::cli::problem::Problem;
use crate::cli::saved;
use crate::cli::tasks::row::Stand;
use crate::cli::terminal::Console;
use crate::cli::terminal::text::harmless;

/// A recording that was taken.
#[derive(Debug, Deserialize)]
struct Taken {
    id: String,
    url: String,
    task: Numbered,
}

#[derive(Debug, Deserialize)]
struct Numbered {
    id: i64,
}

/// Sends, waits, fetches.
pub(super) fn run(arguments: &Arguments, config: Vec<PathBuf>) -> Exit {
    with_daemon(&arguments.way, config, async |daemon, console| remote(arguments, daemon, console).await)
}

async fn remote(arguments: &Arguments, daemon: &Daemon, console: &Console) -> Result<Exit, Problem> {
    let input = &arguments.input;
    let output = arguments.output.clone().unwrap_or_else(|| input.with_extension("mp3"));
    if !arguments.link {
        if output == *input {
            let told = format!("{} would be overwritten by its own conversion", output.display());
            return Err(Problem::usage(told).hint("name another output"));
        }
        // Before an hour of music is sent for nothing.
        saved::check(&output, arguments.force)?;
    }
    let file = Opened::open(input).await?;
    let bars = console.bars();
    let bar = bars.bytes(&file.name(), file.length);
    let (parcel, form) = file.in_form(Some(bar));
    // The daemon answers once it has it all; how the conversion goes is heard from its events.
    let call = Call::post("/records").header("content-type", form).wait(std::time::Duration::ZERO);
    let sent =
        daemon.post(call, parcel).await.map_err(|problem| problem.about(&input.display().to_string()))?;
    let Taken { id, url, task } = daemon.parse(&sent)?;
    let end = follow(daemon, task.id, None, &bars, |_| Ok(())).await?;
    match &end {
        End::Ended(told) if told.task.stand() == Stand::Completed => {}
        End::Ended(told) | End::Open(told) => {
            return Err(Problem::failed(told.task.story()).about(&input.display().to_string()));
        }
        End::Deleted(id) => {
            return Err(Problem::failed(format!("task {id}, which converted it, was deleted")));
        }
    }
    if arguments.link {
        if console.json {
            console.json_line(&json!({"id": id, "url": url, "task": task.id}))?;
        } else {
            console.line(&harmless(&url))?;
        }
        return Ok(Exit::Done);
    }
    let bytes = saved::save(daemon, daemon.path_of(&url)?, &output, arguments.force, console).await?;
    if console.json {
        let file = output.display().to_string();
        console.json_line(&json!({"file": file, "bytes": bytes, "id": id, "url": url, "task": task.id}))?;
    } else {
        console.line(&output.display().to_string())?;
        console.remark(&format!("its link is {url}"));
    }
    Ok(Exit::Done)
}
