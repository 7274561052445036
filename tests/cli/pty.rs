//! A terminal: a pseudo-terminal with a program on it, and what its screen shows.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, OptionalActions, Termios, Winsize, tcgetattr, tcsetattr, tcsetwinsize};

/// What was written to the screen so far, and what it shows.
struct Seen {
    screen: vt100::Parser,
    bytes: Vec<u8>,
    ended: bool,
}

pub(crate) struct Terminal {
    child: Child,
    keyboard: File,
    /// The program's side, kept open so that what was written is there after its end.
    side: File,
    seen: Arc<(Mutex<Seen>, Condvar)>,
}

impl Terminal {
    /// Runs the program on a terminal of so many columns and rows, which is its controlling one.
    pub(crate) fn run(columns: u16, rows: u16, command: &Command) -> Self {
        let keyboard = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&keyboard).unwrap();
        unlockpt(&keyboard).unwrap();
        let name = ptsname(&keyboard, Vec::new()).unwrap();
        let path = Path::new(std::ffi::OsStr::from_bytes(name.as_bytes()));
        let side = OpenOptions::new().read(true).write(true).open(path).unwrap();
        tcsetwinsize(&side, size(columns, rows)).unwrap();
        // Else a Ctrl-C makes the system forget what was not read yet, even what the program writes in answer to it.
        let mut modes = tcgetattr(&side).unwrap();
        modes.local_modes |= LocalModes::NOFLSH;
        tcsetattr(&side, OptionalActions::Now, &modes).unwrap();
        // setsid makes it the leader of a session, whose terminal this becomes: so Ctrl-C gets to it.
        let mut leader = Command::new("setsid");
        leader.arg("--ctty").arg(command.get_program()).args(command.get_args());
        leader.env_clear().current_dir(command.get_current_dir().unwrap());
        leader.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        leader.stdin(side.try_clone().unwrap());
        leader.stdout(side.try_clone().unwrap()).stderr(side.try_clone().unwrap());
        let child = leader.spawn().unwrap();
        let keyboard = File::from(keyboard);
        let screen = vt100::Parser::new(rows, columns, 200);
        let seen = Seen { screen, bytes: Vec::new(), ended: false };
        let seen = Arc::new((Mutex::new(seen), Condvar::new()));
        watch(keyboard.try_clone().unwrap(), Arc::clone(&seen));
        Self { child, keyboard, side, seen }
    }

    /// Waits until the screen shows it.
    #[track_caller]
    pub(crate) fn until<T>(&self, what: &str, look: impl Fn(&vt100::Screen) -> Option<T>) -> T {
        let (seen, changed) = &*self.seen;
        let begun = Instant::now();
        let mut seen = seen.lock().unwrap();
        loop {
            if let Some(found) = look(seen.screen.screen()) {
                return found;
            }
            let shown = seen.screen.screen().contents();
            assert!(begun.elapsed() < Duration::from_secs(60), "waited for a minute: {what}\n{shown}");
            assert!(!seen.ended, "the terminal is gone: {what}\n{shown}");
            (seen, _) = changed.wait_timeout(seen, Duration::from_secs(1)).unwrap();
        }
    }

    /// Waits until those words are on the screen.
    #[track_caller]
    pub(crate) fn until_it_shows(&self, words: &str) {
        self.until(words, |screen| screen.contents().contains(words).then_some(()));
    }

    pub(crate) fn contents(&self) -> String {
        self.seen.0.lock().unwrap().screen.screen().contents()
    }

    pub(crate) fn press(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).unwrap();
    }

    pub(crate) fn resize(&self, columns: u16, rows: u16) {
        self.seen.0.lock().unwrap().screen.screen_mut().set_size(rows, columns);
        tcsetwinsize(&self.side, size(columns, rows)).unwrap();
    }

    /// How the line discipline is set.
    pub(crate) fn modes(&self) -> Termios {
        tcgetattr(self.side.as_fd()).unwrap()
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits for the end: the exit code (128 and the signal's number where a signal was it), and all that was written.
    pub(crate) fn ended(mut self) -> (i32, vt100::Screen, String) {
        let code = self.code();
        self.ended_with(code)
    }

    fn ended_with(self, code: i32) -> (i32, vt100::Screen, String) {
        // Once nobody has the program's side open, the reader comes to the end of what was written.
        drop(self.side);
        let (seen, changed) = &*self.seen;
        let seen = changed.wait_while(seen.lock().unwrap(), |seen| !seen.ended).unwrap();
        (code, seen.screen.screen().clone(), String::from_utf8_lossy(&seen.bytes).into_owned())
    }

    /// Waits for the end, and leaves the terminal to be looked at: the exit code, and how it is set.
    pub(crate) fn left(mut self) -> (i32, vt100::Screen, Termios) {
        let code = self.code();
        let modes = self.modes();
        let (_, screen, _) = self.ended_with(code);
        (code, screen, modes)
    }

    fn code(&mut self) -> i32 {
        let status = self.child.wait().unwrap();
        status.code().unwrap_or_else(|| 128 + status.signal().unwrap())
    }
}

fn watch(mut from: File, seen: Arc<(Mutex<Seen>, Condvar)>) {
    std::thread::spawn(move || {
        let mut bytes = [0; 4096];
        loop {
            let read = from.read(&mut bytes).unwrap_or(0);
            let (state, changed) = &*seen;
            let mut state = state.lock().unwrap();
            state.screen.process(&bytes[..read]);
            state.bytes.extend_from_slice(&bytes[..read]);
            state.ended = read == 0;
            changed.notify_all();
            if read == 0 {
                return;
            }
        }
    });
}

fn size(columns: u16, rows: u16) -> Winsize {
    Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 }
}
