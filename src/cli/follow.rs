//! A task followed to its end, by its events; one, or several at a time.
//!
//! Called by whatever waits for tasks: `watch`, `submit --wait`, `transcode --remote`, `report`. True here: that a task has
//! ended is taken from the task itself and not from an event, since one that had failed may have been tried again since.

use std::time::Duration;

use super::Exit;
use super::client::events::{Event, Events, patiently};
use super::client::{Call, Daemon};
use super::problem::Problem;
use super::tasks::row::{Stand, Told};
use super::terminal::Console;
use super::terminal::bars::{Bar, Bars};

/// How a task ended, or did not.
#[derive(Debug, Clone)]
pub(super) enum End {
    /// It is as it is now for good, unless somebody tries it again.
    Ended(Told),
    /// It was removed.
    Deleted(i64),
    /// It has not ended in the time there was.
    Open(Told),
}

impl End {
    /// How a command ends that waited for it.
    pub(super) fn exit(&self) -> Exit {
        match self {
            Self::Ended(told) if told.task.stand() == Stand::Completed => Exit::Done,
            Self::Ended(_) | Self::Deleted(_) | Self::Open(_) => Exit::CheckFailed,
        }
    }

    /// Says it: the task as JSON, or a line on it.
    pub(super) fn say(&self, console: &Console) -> Result<(), Problem> {
        match self {
            Self::Ended(told) | Self::Open(told) if console.json => console.json_line(&told.json),
            Self::Ended(told) => {
                let story = super::terminal::text::harmless(&told.task.story());
                console.line(&console.paint(told.task.colour(), &story))
            }
            Self::Open(told) => {
                let story = super::terminal::text::harmless(&told.task.story());
                console.line(&format!("{story}, and has not ended in the time there was"))
            }
            Self::Deleted(id) if console.json => {
                console.json_line(&serde_json::json!({"id": id, "status": "Deleted"}))
            }
            Self::Deleted(id) => console.line(&format!("task {id}: deleted")),
        }
    }
}

/// The task as it is now.
pub(super) async fn look(daemon: &Daemon, id: i64) -> Result<Told, Problem> {
    let answer = daemon.ask(Call::get(format!("/tasks/{id}"))).await?;
    Told::of(daemon, &answer)
}

/// Follows a task, for so long at the most; each event is told to `hear`.
pub(super) async fn follow(
    daemon: &Daemon,
    id: i64,
    patience: Option<Duration>,
    bars: &Bars,
    mut hear: impl FnMut(&Event) -> Result<(), Problem>,
) -> Result<End, Problem> {
    let mut told = look(daemon, id).await?;
    if told.task.stand() != Stand::Open {
        return Ok(End::Ended(told));
    }
    let bar = bars.percent(&format!("task {id} ({})", told.task.kind));
    show(&bar, &told);
    let end = until_end(daemon, id, &bar, &mut hear);
    let Some(patience) = patience else { return end.await };
    match tokio::time::timeout(patience, end).await {
        Ok(end) => end,
        Err(_) => {
            // It may have ended at the last moment.
            told = look(daemon, id).await?;
            Ok(if told.task.stand() == Stand::Open { End::Open(told) } else { End::Ended(told) })
        }
    }
}

async fn until_end(
    daemon: &Daemon,
    id: i64,
    bar: &Bar,
    hear: &mut impl FnMut(&Event) -> Result<(), Problem>,
) -> Result<End, Problem> {
    let mut events = match Events::open(daemon, format!("/tasks/{id}/events")).await {
        Err(problem) if problem.code() == Some("task_not_found") => return Ok(End::Deleted(id)),
        events => events?,
    };
    loop {
        let event = match events.next().await {
            Err(problem) if problem.code() == Some("task_not_found") => return Ok(End::Deleted(id)),
            event => event?,
        };
        hear(&event)?;
        match event.told.event.as_str() {
            "deleted" => return Ok(End::Deleted(id)),
            "completed" | "failed" | "cancelled" => match patiently(async || look(daemon, id).await).await {
                Ok(told) if told.task.stand() != Stand::Open => return Ok(End::Ended(told)),
                Ok(told) => show(bar, &told),
                Err(problem) if problem.code() == Some("task_not_found") => return Ok(End::Deleted(id)),
                Err(problem) => return Err(problem),
            },
            "progress" => bar.set(event.told.percent.unwrap_or(0).min(100)),
            "started" => bar.word("In Progress"),
            "retrying" => {
                bar.set(0);
                bar.word("New");
            }
            // What is new in a newer daemon.
            _ => {}
        }
    }
}

fn show(bar: &Bar, told: &Told) {
    bar.set(told.task.progress.unwrap_or(0).min(100));
    bar.word(&told.task.status);
}
