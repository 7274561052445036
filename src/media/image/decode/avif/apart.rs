//! The side of the daemon: starts the process, gives it the file, takes its rows, and ends it.
//!
//! What is true: two threads move bytes, so that neither side waits for the other for ever; whatever happens, the process
//! is over when this is; it has a minute or two, and no longer.

use std::io::{Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use super::process::{DAMAGED, DecoderProcess, END, Head};
use super::{Header, ImageError, Rows, Source, Watch, agree, damaged};

/// How long one image may take: a hundred times what the largest takes on an idle machine.
const PATIENCE: Duration = Duration::from_secs(120);
/// How often somebody looks whether the image is still wanted.
const LOOK: Duration = Duration::from_millis(100);
/// Bytes that are moved at once, and how many such pieces may wait.
const PIECE: usize = 64 << 10;
const PIECES: usize = 4;
/// The exit code of a program in Rust that found a fault in itself. That is the image's doing, and would be again.
const PANICKED: i32 = 101;
/// The most bytes of a reason that are read.
const REASON: u64 = 1 << 10;

pub(in super::super) fn decode(
    bytes: &[u8],
    header: &Header,
    rows: &mut dyn Rows,
    watch: &mut Watch<'_>,
) -> Result<(), ImageError> {
    let mut process = Process::start()?;
    let (Some(input), Some(output), Some(errors)) = process.ends() else {
        return Err(unavailable("its decoder has no ends to speak to"));
    };
    thread::scope(|scope| {
        let (pieces, came) = sync_channel(PIECES);
        scope.spawn(move || give(input, bytes));
        scope.spawn(move || take(output, &pieces));
        let reason = scope.spawn(move || told(errors));
        let mut stream = Stream { came, piece: Vec::new(), at: 0, until: Instant::now() + PATIENCE };
        let shown = show(&mut stream, header, rows, watch);
        // Whoever waits at the other end of a pipe is let go by this, and the threads with it.
        drop(stream);
        if !matches!(shown, Ok(()) | Err(Ended::Early)) {
            process.kill();
        }
        let status = process.wait();
        let reason = reason.join().unwrap_or_default();
        match shown {
            Ok(()) => Ok(()),
            Err(Ended::Told(error)) => Err(error),
            Err(Ended::Early) => Err(why(status, &reason)),
        }
    })
}

/// Why there are no more rows.
enum Ended {
    /// The process ended before it had handed over all.
    Early,
    Told(ImageError),
}

impl From<ImageError> for Ended {
    fn from(error: ImageError) -> Self {
        Self::Told(error)
    }
}

fn show(
    stream: &mut Stream,
    header: &Header,
    rows: &mut dyn Rows,
    watch: &mut Watch<'_>,
) -> Result<(), Ended> {
    let mut head = [0; Head::BYTES];
    stream.fill(&mut head, watch)?;
    let head = Head::read(&head).ok_or_else(|| unavailable("what answered is not its decoder"))?;
    agree(header, head.width, head.height)?;
    let mut profile = vec![0; head.profile as usize];
    stream.fill(&mut profile, watch)?;
    let (width, height, layout) = (head.width, head.height, head.layout);
    let profile = Some(profile).filter(|profile| !profile.is_empty());
    rows.begin(Source { width, height, layout, reduced: 1, drawn: false, profile });
    let mut row = vec![0; width as usize * layout.channels()];
    for _ in 0..height {
        stream.fill(&mut row, watch)?;
        rows.row(&row)?;
        watch.row()?;
    }
    let mut end = [0];
    stream.fill(&mut end, watch)?;
    if end == [END] { Ok(()) } else { Err(damaged("its decoder lost its place").into()) }
}

/// What an end that comes too early says about the image.
fn why(status: Option<ExitStatus>, reason: &str) -> ImageError {
    let Some(status) = status else { return unavailable("its decoder was lost") };
    match (status.code(), status.signal()) {
        (Some(DAMAGED), _) => damaged(reason),
        // Killed, and not by us: the system had no memory for it.
        (_, Some(9 | 15)) => unavailable("its decoder was killed"),
        (Some(PANICKED), _) | (_, Some(_)) => damaged("it makes the decoder of AV1 fail"),
        (code, None) => unavailable(&format!("its decoder ended with {code:?}: {reason}")),
    }
}

fn unavailable(why: &str) -> ImageError {
    ImageError::Unavailable(why.chars().filter(|c| !c.is_control()).take(200).collect())
}

/// The rows, in the pieces that they come in.
struct Stream {
    came: Receiver<Vec<u8>>,
    piece: Vec<u8>,
    at: usize,
    until: Instant,
}

impl Stream {
    /// Fills the bytes with those that come next.
    fn fill(&mut self, mut bytes: &mut [u8], watch: &Watch<'_>) -> Result<(), Ended> {
        while !bytes.is_empty() {
            if self.at == self.piece.len() {
                self.piece = self.next_piece(watch)?;
                self.at = 0;
            }
            let count = bytes.len().min(self.piece.len() - self.at);
            let (now, later) = bytes.split_at_mut(count);
            now.copy_from_slice(&self.piece[self.at..self.at + count]);
            self.at += count;
            bytes = later;
        }
        Ok(())
    }

    fn next_piece(&self, watch: &Watch<'_>) -> Result<Vec<u8>, Ended> {
        loop {
            watch.go_on()?;
            // However well it is doing.
            if Instant::now() >= self.until {
                return Err(unavailable("it took longer than two minutes").into());
            }
            match self.came.recv_timeout(LOOK) {
                Ok(piece) => return Ok(piece),
                Err(RecvTimeoutError::Disconnected) => return Err(Ended::Early),
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
    }
}

/// Gives the file, and with its end the sign that this is all. Who ends before has said why elsewhere.
fn give(mut input: ChildStdin, bytes: &[u8]) {
    let _ = input.write_all(bytes);
}

/// Takes what comes, until it ends or nobody wants it.
fn take(mut output: ChildStdout, pieces: &SyncSender<Vec<u8>>) {
    loop {
        let mut piece = Vec::with_capacity(PIECE);
        match output.by_ref().take(PIECE as u64).read_to_end(&mut piece) {
            Ok(1..) if pieces.send(piece).is_ok() => {}
            _ => return,
        }
    }
}

/// What the process says it ended for, in its last line.
fn told(mut errors: ChildStderr) -> String {
    let mut text = Vec::new();
    // Without a reason the end is told by its number alone.
    let _ = errors.by_ref().take(REASON).read_to_end(&mut text);
    // It must not wait because nobody reads on.
    let _ = std::io::copy(&mut errors, &mut std::io::sink());
    String::from_utf8_lossy(&text).trim().to_owned()
}

/// The process, which does not outlive this.
struct Process(Child);

impl Process {
    fn start() -> Result<Self, ImageError> {
        let started = Command::new(DecoderProcess::program())
            .arg(DecoderProcess::COMMAND)
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        started.map(Self).map_err(|error| unavailable(&format!("its decoder cannot be started: {error}")))
    }

    fn ends(&mut self) -> (Option<ChildStdin>, Option<ChildStdout>, Option<ChildStderr>) {
        (self.0.stdin.take(), self.0.stdout.take(), self.0.stderr.take())
    }

    fn kill(&mut self) {
        // It may be over already.
        let _ = self.0.kill();
    }

    fn wait(&mut self) -> Option<ExitStatus> {
        self.0.wait().ok()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
        let _ = self.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::Cancel;

    #[test]
    fn who_always_has_another_piece_has_no_more_time_for_it() {
        let (pieces, came) = sync_channel(PIECES);
        let (cancel, mut untold) = (Cancel::default(), |_| {});
        let watch = Watch::new(&cancel, &mut untold, 0);
        let mut stream = Stream { came, piece: Vec::new(), at: 0, until: Instant::now() + PATIENCE };
        pieces.send(vec![1]).unwrap();
        assert!(matches!(stream.next_piece(&watch), Ok(piece) if piece == [1]));
        stream.until = Instant::now();
        pieces.send(vec![2]).unwrap();
        assert!(matches!(stream.next_piece(&watch), Err(Ended::Told(ImageError::Unavailable(_)))));
    }

    #[test]
    fn an_image_that_makes_the_decoder_panic_is_damaged_and_not_tried_again() {
        let ended = |status| why(Some(ExitStatus::from_raw(status)), "a reason");
        for (status, words) in [(4 << 8, "a reason"), (101 << 8, "AV1 fail"), (6, "AV1 fail")] {
            let told = ended(status);
            assert!(matches!(&told, ImageError::Damaged(why) if why.contains(words)), "{status}: {told:?}");
        }
        for status in [9, 15, 1 << 8] {
            assert!(matches!(ended(status), ImageError::Unavailable(_)), "{status}");
        }
    }
}
