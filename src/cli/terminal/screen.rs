//! The whole screen, for a command that draws itself anew: the alternate screen, keys one by one, and all of it given back.
//!
//! Called by `tasks --watch`. True here: however the command ends, by a key, an error or a signal that it waits for, the
//! screen, the cursor and the line discipline are as they were when the [`Screen`] is dropped.

use std::io::{self, IsTerminal, Write};
use std::os::fd::AsFd;

use rustix::termios::{
    LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcgetwinsize, tcsetattr,
};
use tokio::sync::mpsc;

use crate::cli::problem::Problem;

/// Begin and end: the alternate screen, no cursor, no wrapping.
const ENTER: &str = "\u{1b}[?1049h\u{1b}[?25l\u{1b}[?7l";
const LEAVE: &str = "\u{1b}[?7h\u{1b}[?25h\u{1b}[?1049l";

/// Keys, as a terminal sends them.
const INTERRUPT: u8 = 3;
const END_OF_INPUT: u8 = 4;
const BACKSPACE: u8 = 8;
const DELETE: u8 = 127;

/// The screen while it is ours.
pub(in crate::cli) struct Screen {
    before: Termios,
    /// What was pressed. It ends when standard input does.
    pub(in crate::cli) keys: mpsc::Receiver<u8>,
}

impl Screen {
    /// Takes the screen.
    pub(in crate::cli) fn take() -> Result<Self, Problem> {
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        if dumb || !io::stdin().is_terminal() || !io::stdout().is_terminal() {
            return Err(Problem::usage("--watch draws on a whole terminal, and this is none")
                .hint("leave it out for a list, or listen with `gristmill watch ID --events --json`"));
        }
        let failed = |what: &str, error: &dyn std::fmt::Display| {
            Problem::failed(format!("the terminal cannot be {what}: {error}"))
        };
        let before = tcgetattr(io::stdin().as_fd()).map_err(|error| failed("asked how it is set", &error))?;
        let mut raw = before.clone();
        // Signals stay on, so Ctrl-C is still the way out of everything.
        raw.local_modes -= LocalModes::ICANON | LocalModes::ECHO | LocalModes::IEXTEN;
        raw.special_codes[SpecialCodeIndex::VMIN] = 1;
        raw.special_codes[SpecialCodeIndex::VTIME] = 0;
        // Stopped by Ctrl-Z it would leave its screen behind.
        raw.special_codes[SpecialCodeIndex::VSUSP] = 0;
        tcsetattr(io::stdin().as_fd(), OptionalActions::Flush, &raw)
            .map_err(|error| failed("set", &error))?;
        let screen = Self { before, keys: keys() };
        put(ENTER).map_err(|error| failed("written to", &error))?;
        Ok(screen)
    }

    /// Columns and rows.
    pub(in crate::cli) fn size(&self) -> (usize, usize) {
        let size = tcgetwinsize(io::stdout().as_fd()).ok();
        let told = size.map(|size| (usize::from(size.ws_col), usize::from(size.ws_row)));
        told.filter(|(columns, rows)| *columns > 0 && *rows > 0).unwrap_or((80, 24))
    }

    /// Draws these lines from the top; what stood there is gone. More lines than there are rows are not drawn.
    pub(in crate::cli) fn draw(&self, lines: &[String]) -> Result<(), Problem> {
        let (_, rows) = self.size();
        let mut frame = String::from("\u{1b}[H");
        for (at, line) in lines.iter().take(rows).enumerate() {
            if at > 0 {
                frame.push_str("\r\n");
            }
            frame.push_str(line);
            // Only what is behind the line is wiped, so that nothing flickers.
            frame.push_str("\u{1b}[K");
        }
        frame.push_str("\u{1b}[J");
        put(&frame).map_err(|error| Problem::failed(format!("the terminal cannot be written to: {error}")))
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // A terminal that is gone needs nothing back.
        let _ = put(LEAVE);
        let _ = tcsetattr(io::stdin().as_fd(), OptionalActions::Flush, &self.before);
    }
}

fn put(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

/// The keys, by a thread that waits for them: it ends with the process, which waits for nobody.
fn keys() -> mpsc::Receiver<u8> {
    let (tell, keys) = mpsc::channel(16);
    std::thread::spawn(move || {
        let mut bytes = [0; 16];
        while let Ok(read @ 1..) = rustix::io::read(io::stdin().as_fd(), &mut bytes) {
            for byte in bytes.iter().take(read) {
                if tell.blocking_send(*byte).is_err() {
                    return;
                }
            }
        }
    });
    keys
}

/// A line typed by somebody, which is not shown: a token. Key by key, so that Ctrl-C gives the terminal back as well.
pub(in crate::cli) fn ask_in_secret(question: &str) -> Result<String, Problem> {
    struct Echo(Termios);
    impl Drop for Echo {
        fn drop(&mut self) {
            let _ = tcsetattr(io::stdin().as_fd(), OptionalActions::Now, &self.0);
            eprintln!();
        }
    }
    let failed = |error: rustix::io::Errno| Problem::failed(format!("the terminal cannot be asked: {error}"));
    let before = tcgetattr(io::stdin().as_fd()).map_err(failed)?;
    let mut silent = before.clone();
    silent.local_modes -= LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG;
    silent.special_codes[SpecialCodeIndex::VMIN] = 1;
    silent.special_codes[SpecialCodeIndex::VTIME] = 0;
    let _echo = Echo(before);
    tcsetattr(io::stdin().as_fd(), OptionalActions::Flush, &silent).map_err(failed)?;
    eprint!("{question}: ");
    let (mut line, mut key) = (Vec::new(), [0]);
    while rustix::io::read(io::stdin().as_fd(), &mut key).map_err(failed)? > 0 {
        match key[0] {
            b'\r' | b'\n' | END_OF_INPUT => break,
            INTERRUPT => return Err(Problem::interrupted()),
            BACKSPACE | DELETE => drop(line.pop()),
            byte => line.push(byte),
        }
    }
    String::from_utf8(line).map_err(|_| Problem::usage("what was typed is no text"))
}
