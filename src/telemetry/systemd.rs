//! What systemd is told of this process, and what it asks of it, by the protocol of `sd_notify`.
//!
//! Told by `gristmill serve` and by the attendant of the composition root. True here: where nobody listens (no
//! `NOTIFY_SOCKET`) all of this does nothing; what cannot be told is said in the log, once, and hurts nobody: a thread of its
//! own speaks, so whoever does not listen holds up no reload and no drain. Processes that the daemon starts get an environment
//! of their own, so none of them speaks in its name.

use std::io;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{LazyLock, Once};
use std::thread;
use std::time::Duration;

use sd_notify::NotifyState;

/// The longest status that is told, in characters: `systemctl status` shows it on one line.
const LONGEST_STATUS: usize = 250;

/// The start is over: the daemon is ready.
pub fn ready() {
    tell(&[NotifyState::Ready]);
}

/// What it is doing, for people.
pub fn status(line: &str) {
    tell(&[NotifyState::Status(&one_line(line))]);
}

/// It lives, and does what it is for.
pub fn alive() {
    tell(&[NotifyState::Watchdog]);
}

/// It begins to read its settings and to open its logs anew; over with the next [`ready`].
pub fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(error) => unheard(&error),
    }
}

/// It has begun to end, and will take no longer than this.
pub fn stopping(patience: Duration) {
    tell(&[NotifyState::Stopping, extension(patience)]);
}

/// The start, or the end, takes this much longer from now on.
pub fn extend(by: Duration) {
    tell(&[extension(by)]);
}

/// How long systemd waits for [`alive`] before it takes this process for dead; `None` when it does not.
#[must_use]
pub fn watchdog() -> Option<Duration> {
    sd_notify::watchdog_enabled().filter(|period| !period.is_zero())
}

fn extension(by: Duration) -> NotifyState<'static> {
    NotifyState::ExtendTimeoutUsec(u32::try_from(by.as_micros()).unwrap_or(u32::MAX))
}

/// As many messages wait for whoever listens; more are not told.
const WAITING: usize = 16;

/// The way to the thread that speaks; none where nobody listens, or no thread is to be had.
static VOICE: LazyLock<Option<SyncSender<Vec<String>>>> = LazyLock::new(|| {
    std::env::var_os("NOTIFY_SOCKET")?;
    let (voice, words) = sync_channel(WAITING);
    match thread::Builder::new().name("sd-notify".to_owned()).spawn(move || speak(&words)) {
        Ok(_) => Some(voice),
        Err(error) => {
            unheard(&error);
            None
        }
    }
});

/// Sends what is to be told, in its order, for as long as the process lives. It may take as long as whoever listens.
fn speak(words: &Receiver<Vec<String>>) {
    for lines in words {
        let states: Vec<NotifyState<'_>> = lines.iter().map(|line| NotifyState::Custom(line)).collect();
        if let Err(error) = sd_notify::notify(&states) {
            unheard(&error);
        }
    }
}

fn tell(states: &[NotifyState<'_>]) {
    let Some(voice) = &*VOICE else { return };
    if voice.try_send(states.iter().map(ToString::to_string).collect()).is_err() {
        unheard(&io::Error::from(io::ErrorKind::WouldBlock));
    }
}

fn unheard(error: &io::Error) {
    static SAID: Once = Once::new();
    SAID.call_once(|| {
        tracing::warn!(%error, "systemd cannot be told how this process is (NOTIFY_SOCKET); this is said once");
    });
}

/// The text as one line: a line break would begin a word of the protocol.
fn one_line(text: &str) -> String {
    let line = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    line.take(LONGEST_STATUS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_one_line_of_bounded_length() {
        assert_eq!(one_line("ready\nREADY=1\u{1b}[0m"), "ready READY=1 [0m");
        assert_eq!(one_line(&"ж".repeat(1_000)).chars().count(), LONGEST_STATUS);
    }

    #[test]
    fn a_time_that_the_protocol_cannot_say_is_the_longest_that_it_can() {
        assert_eq!(extension(Duration::from_secs(2)).to_string(), "EXTEND_TIMEOUT_USEC=2000000");
        assert_eq!(extension(Duration::from_secs(10_000)).to_string(), "EXTEND_TIMEOUT_USEC=4294967295");
    }
}
