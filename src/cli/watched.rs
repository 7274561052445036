//! Work of this machine's own that takes its time: with bars on a terminal, and an end by Ctrl-C or SIGTERM that leaves nothing behind.
//!
//! Used by the commands about backups. The first of these asks the work to stop, which it does at the next row or piece of a blob;
//! the second ends the process, which leaves no more than a crash would.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::runtime::Handle;
use tokio::signal::unix::{SignalKind, signal};

use super::Exit;
use super::problem::Problem;
use super::terminal::Console;
use super::terminal::bars::{Bar, Bars};
use crate::backup::{BackupError, Phase, Progress, Watcher};
use crate::config::BlobUrl;

/// Does work that blocks, beside a runtime.
pub(super) fn watched<T>(
    console: &Console,
    work: impl FnOnce(&Handle, &dyn Watcher) -> Result<T, Problem>,
) -> Result<T, Problem> {
    let failed = |error: std::io::Error| Problem::failed(format!("the runtime cannot be started: {error}"));
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().map_err(failed)?;
    let shown = Shown { bars: console.bars(), bar: Mutex::default(), over: Arc::default() };
    let over = Arc::clone(&shown.over);
    let (mut interrupted, mut terminated) = {
        let _runtime = runtime.enter();
        let heard =
            |kind| signal(kind).map_err(|error| Problem::failed(format!("signals cannot be heard: {error}")));
        (heard(SignalKind::interrupt())?, heard(SignalKind::terminate())?)
    };
    runtime.spawn(async move {
        loop {
            let code = tokio::select! {
                heard = interrupted.recv() => heard.map(|()| 130),
                heard = terminated.recv() => heard.map(|()| 143),
            };
            let Some(code) = code else { return };
            if over.swap(true, Ordering::SeqCst) {
                std::process::exit(code);
            }
        }
    });
    let done = work(runtime.handle(), &shown);
    drop(shown);
    runtime.shutdown_background();
    done
}

/// Bars, a phase after the other.
struct Shown {
    bars: Bars,
    bar: Mutex<Option<(Phase, Bar)>>,
    over: Arc<AtomicBool>,
}

impl Watcher for Shown {
    fn progress(&self, Progress { phase, done, total }: Progress) {
        let mut shown = self.bar.lock().unwrap_or_else(PoisonError::into_inner);
        match &*shown {
            Some((of, bar)) if *of == phase => bar.set(done),
            Some(_) | None => {
                // The one before it is wiped first.
                *shown = None;
                let bar = match phase {
                    Phase::Rows => self.bars.count("rows", total),
                    Phase::Blobs => self.bars.bytes("blobs", total),
                    Phase::Checking => self.bars.bytes("checking", total),
                };
                bar.set(done);
                *shown = Some((phase, bar));
            }
        }
    }

    fn is_over(&self) -> bool {
        self.over.load(Ordering::SeqCst)
    }
}

/// What became of a backup, as a command says it.
pub(super) fn problem(error: &BackupError) -> Problem {
    if matches!(error, BackupError::Stopped) {
        return Problem::interrupted();
    }
    Problem::failed(error.to_string())
}

/// Where backups lie, as people name it: a folder, or a bucket.
pub(super) fn place(text: &str) -> Result<BlobUrl, Problem> {
    if text.starts_with("s3:") || text.starts_with("file:") {
        return text.parse().map_err(|problem| Problem::usage(format!("{text}: {problem}")));
    }
    if text.is_empty() {
        return Err(Problem::usage("names no place: give a folder, or s3://<bucket>/<prefix>"));
    }
    Ok(BlobUrl::File { folder: PathBuf::from(text) })
}

/// The same place and the last word of it, where that may be the name of a backup.
pub(super) fn above(place: &BlobUrl) -> Option<(BlobUrl, String)> {
    match place {
        BlobUrl::File { folder } => {
            let last = folder.file_name()?.to_string_lossy().into_owned();
            let above = folder.parent().filter(|above| !above.as_os_str().is_empty());
            Some((BlobUrl::File { folder: above.unwrap_or(Path::new(".")).to_owned() }, last))
        }
        BlobUrl::Bucket { bucket, prefix } => {
            let (above, last) = prefix.rsplit_once('/').unwrap_or(("", prefix));
            Some((BlobUrl::Bucket { bucket: bucket.clone(), prefix: above.to_owned() }, last.to_owned()))
        }
    }
}

/// Says how a command ended.
pub(super) fn said(done: Result<Exit, Problem>) -> Exit {
    done.unwrap_or_else(|problem| problem.say())
}

/// A number of bytes, for people.
pub(super) fn size(bytes: u64) -> String {
    indicatif::HumanBytes(bytes).to_string()
}
