//! `gristmill tasks --watch`: the tasks on the whole terminal, drawn anew when something happens to them.
//!
//! The daemon's events say when to look, the list says what there is: so an event that is lost costs a moment, and ten
//! thousand events a second cost one look in [`CALM`].

use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};

use super::filter::Filter;
use super::row::{Task, table};
use super::{page, tasks};
use crate::cli::Exit;
use crate::cli::client::events::Events;
use crate::cli::client::{Call, Daemon};
use crate::cli::problem::Problem;
use crate::cli::terminal::screen::Screen;
use crate::cli::terminal::text::{cut, harmless};
use crate::cli::terminal::{Colour, Console};
use crate::clock::Clock;

/// Not more often than that.
const CALM: Duration = Duration::from_millis(250);
/// Not more seldom: ages grow, and an event may be lost.
const LOOK: Duration = Duration::from_secs(2);

/// Lines that are no tasks: two above, the titles, one below.
const FRAME: usize = 4;

const ESCAPE: u8 = 0x1b;

/// What is on the screen.
struct View {
    filter: Filter,
    url: String,
    coloured: bool,
    tasks: Vec<Task>,
    more: bool,
    /// Why the newest look failed.
    trouble: Option<String>,
    clock: Clock,
}

/// A look under way: the tasks, and whether there are more.
type Look = JoinHandle<Result<(Vec<Task>, bool), Problem>>;

/// Draws until q, Escape or the end of standard input.
pub(super) async fn run(
    filter: &Filter,
    oldest_first: bool,
    daemon: &Daemon,
    console: &Console,
) -> Result<Exit, Problem> {
    // What is wrong from the start is said on the screen that stays.
    let mut happens = listen(Events::open(daemon, "/events".to_owned()).await?);
    let failed = |error: std::io::Error| Problem::failed(format!("signals cannot be received: {error}"));
    let mut resized = signal(SignalKind::window_change()).map_err(failed)?;
    let mut terminated = signal(SignalKind::terminate()).map_err(failed)?;
    let mut screen = Screen::take()?;
    let mut view = View {
        filter: filter.clone(),
        url: daemon.place().url.clone(),
        coloured: console.is_coloured(),
        tasks: Vec::new(),
        more: false,
        trouble: None,
        clock: Clock::system(),
    };
    let mut due = Instant::now();
    let mut looked = due;
    // Beside the rest, so that q quits even where the daemon keeps us waiting.
    let mut looking: Option<Look> = None;
    loop {
        tokio::select! {
            key = screen.keys.recv() => match key {
                None | Some(b'q' | b'Q' | ESCAPE) => return Ok(Exit::Done),
                Some(_) => due = Instant::now(),
            },
            Some(()) = happens.recv() => due = due.min(looked + CALM),
            _ = resized.recv() => {
                screen.draw(&view.lines(screen.size()))?;
                due = Instant::now();
            }
            _ = terminated.recv() => return Ok(Exit::Interrupted),
            () = sleep_until(due), if looking.is_none() => {
                looked = Instant::now();
                due = looked + LOOK;
                looking = Some(look(daemon, filter, oldest_first, screen.size().1));
            }
            Some(seen) = ended(&mut looking) => {
                looking = None;
                view.take(seen);
                screen.draw(&view.lines(screen.size()))?;
            }
        }
    }
}

/// Hears events for as long as somebody wants to know of them; each is a hint to look, and so is each failure to hear.
fn listen(mut events: Events) -> mpsc::Receiver<()> {
    let (tell, happens) = mpsc::channel(1);
    tokio::spawn(async move {
        loop {
            // What is wrong the look will tell; a pause is in the next try to hear.
            let _ = events.next().await;
            if let Err(mpsc::error::TrySendError::Closed(())) = tell.try_send(()) {
                return;
            }
        }
    });
    happens
}

/// Fetches what there is room for.
fn look(daemon: &Daemon, filter: &Filter, oldest_first: bool, rows: usize) -> Look {
    let limit = u32::try_from(rows.saturating_sub(FRAME).clamp(1, 500)).unwrap_or(1);
    let (daemon, path) = (daemon.clone(), page(filter, oldest_first, limit, None));
    tokio::spawn(async move {
        let answer = daemon.ask(Call::get(path?)).await?;
        let tasks = tasks(&daemon, &answer)?.into_iter().map(|told| told.task).collect();
        Ok((tasks, answer.more))
    })
}

/// What a look saw, once it is over; `None` where none is under way.
async fn ended(looking: &mut Option<Look>) -> Option<Result<(Vec<Task>, bool), Problem>> {
    let seen = looking.as_mut()?.await;
    Some(seen.unwrap_or_else(|error| Err(Problem::failed(error.to_string()))))
}

impl View {
    fn take(&mut self, seen: Result<(Vec<Task>, bool), Problem>) {
        match seen {
            Ok((tasks, more)) => (self.tasks, self.more, self.trouble) = (tasks, more, None),
            Err(problem) => self.trouble = Some(problem.message()),
        }
    }

    fn lines(&self, (columns, rows): (usize, usize)) -> Vec<String> {
        let now = self.clock.utc();
        let paint = |colour: Colour, text: &str| {
            if self.coloured { colour.paint(text) } else { text.to_owned() }
        };
        let words = self.filter.words(now);
        let which = if words.is_empty() { String::new() } else { format!("  {words}") };
        let head = format!("{}{which}", self.url);
        let mut lines = vec![cut(&harmless(&head), columns)];
        lines.push(match &self.trouble {
            Some(trouble) => paint(Colour::Red, &cut(&harmless(trouble), columns)),
            None => paint(Colour::Dim, &cut(&self.sum(), columns)),
        });
        let mut list = table(&self.tasks, now).lines(Some(columns), self.coloured);
        list.truncate(rows.saturating_sub(FRAME - 1));
        lines.extend(list);
        let more = if self.more { "; there are more" } else { "" };
        lines.push(paint(Colour::Dim, &cut(&format!("q quits{more}"), columns)));
        lines
    }

    /// How many of those on the screen stand where.
    fn sum(&self) -> String {
        let words = ["In Progress", "New", "Completed", "Failed", "Cancelled"];
        let count = |word: &str| self.tasks.iter().filter(|task| task.status == word).count();
        let counted: Vec<String> = words
            .iter()
            .map(|word| (count(word), word))
            .filter(|(count, _)| *count > 0)
            .map(|(count, word)| format!("{count} {word}"))
            .collect();
        if counted.is_empty() { "no tasks".to_owned() } else { counted.join(", ") }
    }
}
