//! Accepted means on disk: the order of the system calls of the real binary, as strace saw them.
//!
//! A SIGKILL cannot show this, since what was written and not synced survives it; a power cut would.

use std::collections::HashMap;
use std::path::Path;
use std::process::Command;

use gristmill::task::BlobName;
use serde_json::json;

use crate::common::{Engine, eventually};
use crate::daemon::{Daemon, Start};
use crate::history::{Answer, Wav, digest};
use crate::world::{World, mp3_of};

/// The calls that say what went where, and whether it was synced.
const TRACED: &str = "trace=read,write,writev,recvfrom,sendto,sendmsg,recvmsg,pwrite64,pwritev,fsync,fdatasync,\
                      rename,renameat,renameat2";

/// A system call: between which lines of the trace it ran, and its text with arguments and result.
#[derive(Debug)]
struct Call {
    begun: usize,
    ended: usize,
    text: String,
}

/// The calls of a trace, in the order in which they began. Lines of threads that interrupt each other are put
/// together again.
fn calls(trace: &str) -> Vec<Call> {
    let mut calls = Vec::<Call>::new();
    let mut open = HashMap::<&str, usize>::new();
    for (number, line) in trace.lines().enumerate() {
        let Some((thread, text)) = line.split_once(' ') else { continue };
        let text = text.trim_start();
        if let Some(resumed) = text.strip_prefix("<... ") {
            let (Some(call), Some((_, rest))) = (open.remove(thread), resumed.split_once(" resumed>")) else {
                continue;
            };
            calls[call].text.push_str(rest);
            calls[call].ended = number;
        } else if let Some(text) = text.strip_suffix("<unfinished ...>") {
            open.insert(thread, calls.len());
            calls.push(Call { begun: number, ended: usize::MAX, text: text.trim_end().to_owned() });
        } else {
            calls.push(Call { begun: number, ended: number, text: text.to_owned() });
        }
    }
    calls
}

impl Call {
    fn is(&self, names: &[&str]) -> bool {
        names.iter().any(|name| self.text.starts_with(name) && self.text[name.len()..].starts_with('('))
    }

    /// A write of whatever sort.
    fn writes(&self) -> bool {
        self.is(&["write", "writev", "pwrite64", "pwritev", "sendto", "sendmsg"])
    }

    fn reads(&self) -> bool {
        self.is(&["read", "recvfrom", "recvmsg"])
    }

    /// Whether its first argument is a file of this path.
    fn on(&self, path: &str) -> bool {
        let Some((_, arguments)) = self.text.split_once('(') else { return false };
        arguments.split_once('<').is_some_and(|(fd, rest)| {
            fd.bytes().all(|byte| byte.is_ascii_digit()) && rest.starts_with(&format!("{path}>"))
        })
    }

    /// Whether it synced that file, and returned.
    fn syncs(&self, path: &str) -> bool {
        self.is(&["fsync", "fdatasync"]) && self.on(path) && self.text.ends_with("= 0")
    }
}

/// A trace, and the place that it is about.
struct Trace {
    calls: Vec<Call>,
    /// SQLite's log of writes; `None` where the database is another process.
    wal: Option<String>,
}

impl Trace {
    fn find(&self, what: &str, wanted: impl Fn(&Call) -> bool) -> Result<&Call, String> {
        self.calls.iter().find(|call| wanted(call)).ok_or_else(|| format!("there is no call that {what}"))
    }

    /// The answer with this status to the request that holds `mark`.
    fn answered(&self, mark: &str, status: &str) -> Result<(&Call, &Call), String> {
        let asked = self.find("reads the request", |call| call.reads() && call.text.contains(mark))?;
        let answer = format!("\"HTTP/1.1 {status} ");
        let answered = self.find("answers", |call| {
            call.begun > asked.ended && call.writes() && call.text.contains(&answer)
        })?;
        Ok((asked, answered))
    }

    /// That what holds `mark` was written to the database after `since`, and made to last before the answer.
    fn lasts(&self, mark: &str, since: usize, answered: &Call) -> Result<(), String> {
        let written = |call: &Call| {
            call.begun > since && call.ended < answered.begun && call.writes() && call.text.contains(mark)
        };
        match &self.wal {
            Some(wal) => {
                self.find(&format!("writes {mark} to {wal}"), |call| written(call) && call.on(wal))?;
                // Every page of the group, the last of which makes it count.
                let last = self
                    .calls
                    .iter()
                    .rfind(|call| call.begun < answered.begun && call.writes() && call.on(wal))
                    .ok_or("the log is not written")?;
                let synced =
                    |call: &Call| call.begun > last.ended && call.ended < answered.begun && call.syncs(wal);
                self.find("syncs the log between its last write and the answer", synced).map(drop)
            }
            None => {
                let sent = self.find(&format!("sends {mark} to the database"), written)?;
                let commit = self.find("sends COMMIT", |call| {
                    call.begun > sent.ended && call.writes() && call.text.contains("\\vCOMMIT\\0")
                })?;
                // CommandComplete of the commit, and that the server waits outside of any transaction.
                let told = |call: &Call| call.reads() && call.text.contains("COMMIT\\0Z\\0\\0\\0\\5I");
                self.find("hears of the commit before the answer", |call| {
                    call.ended > commit.begun && call.ended < answered.begun && told(call)
                })
                .map(drop)
            }
        }
    }

    /// That a blob was synced, moved and its folders synced, in this order. Gives the line at which all of it is
    /// done.
    fn kept(&self, folder: &Path, blob: &BlobName) -> Result<usize, String> {
        let (prefix, rest) = blob.as_str().split_at(2);
        let (root, shelf) = (folder.display().to_string(), folder.join(prefix).display().to_string());
        let place = format!("\"{shelf}/{rest}\"");
        let moved = self.find(&format!("moves a draft to {place}"), |call| {
            call.is(&["rename", "renameat", "renameat2"]) && call.text.contains(&place)
        })?;
        let draft = moved.text.split('"').nth(1).ok_or("a draft has a name")?;
        let last = self
            .calls
            .iter()
            .rfind(|call| call.begun < moved.begun && call.writes() && call.on(draft))
            .ok_or("the draft is not written")?;
        self.find("syncs the draft between its last write and the move", |call| {
            call.begun > last.ended && call.ended < moved.begun && call.syncs(draft)
        })?;
        let synced = |path: &str| {
            let what = format!("syncs {path} after the move");
            self.find(&what, |call| call.begun > moved.ended && call.syncs(path)).map(|call| call.ended)
        };
        Ok(synced(&shelf)?.max(synced(&root)?))
    }
}

/// A place with a daemon that is watched, and does nothing of its own accord.
async fn watched(engine: Engine) -> (World, Daemon) {
    if let Err(error) = Command::new("strace").arg("--version").output() {
        panic!("this test needs strace ({error}); on Debian or Ubuntu: apt install strace");
    }
    let mut world = World::begin(engine).await;
    let trace = world.place.path().join("trace").display().to_string();
    let strace =
        ["strace", "-D", "-f", "-y", "-q", "-s", "16384", "-e", "signal=none", "-e", TRACED, "-o", &trace];
    let under = strace.map(str::to_owned).to_vec();
    let quiet = Start { under, ..Start::plain() }.with("TASKS__LEASE_S", 3600).with("TASKS__RESCUE_S", 300);
    let daemon = world.start(&quiet).await;
    // What a start brings along is behind us once a first task is through.
    world.clients.submit(json!({}), "wait=2").await;
    (world, daemon)
}

/// What was seen, once all of it is written down.
async fn seen(world: &World, mut daemon: Daemon) -> Trace {
    let end = format!("{} +++ exited with 0 +++", daemon.pid());
    // Short numbers are padded.
    let is_end = |line: &str| line.split_whitespace().eq(end.split_whitespace());
    daemon.drain().await;
    let path = world.place.path().join("trace");
    let trace = eventually("strace writes to the end", async || {
        let trace = std::fs::read(&path).ok().map(|bytes| String::from_utf8_lossy(&bytes).into_owned())?;
        trace.lines().any(is_end).then_some(trace)
    })
    .await;
    let wal = match world.place.engine() {
        Engine::Sqlite => Some(world.place.path().join("gristmill.db-wal").display().to_string()),
        Engine::Postgres => None,
    };
    Trace { calls: calls(&trace), wal }
}

async fn a_task(engine: Engine) {
    let (world, daemon) = watched(engine).await;
    // For later, so that nothing is written for it but its acceptance.
    let mark = "the-mark-of-this-task";
    let later = json!({"payload": mark, "run_at": "2100-01-01T00:00:00Z"});
    let answer = world.clients.submit(later, "").await;
    assert!(matches!(answer, Answer::Done { .. }), "{answer:?}");
    let trace = seen(&world, daemon).await;
    let proof =
        trace.answered(mark, "201").and_then(|(asked, answered)| trace.lasts(mark, asked.ended, answered));
    assert_eq!(proof, Ok(()));
    if engine == Engine::Postgres {
        the_server_syncs(&world, &trace).await;
    }
}

/// The reply to a COMMIT means what it says: the server's settings are the safe ones, and no session changes them.
async fn the_server_syncs(world: &World, trace: &Trace) {
    let settings = "SELECT current_setting('fsync'), current_setting('synchronous_commit'), \
                    current_setting('full_page_writes')";
    let on = || "on".to_owned();
    let rows: Vec<(String, String, String)> = world.postgres_rows(settings).await;
    assert_eq!(rows, [(on(), on(), on())]);
    // But for words to other nodes, each in a transaction that holds nothing else.
    let meddles = |call: &&Call| {
        let text = &call.text;
        call.writes() && text.contains("synchronous_commit") && !text.contains("TRUE), pg_notify(")
    };
    assert_eq!(
        trace.calls.iter().find(meddles).map(|call| &call.text),
        None,
        "synchronous_commit is changed"
    );
}

async fn a_recording(engine: Engine) {
    let (world, daemon) = watched(engine).await;
    let wav = Wav { millis: 300, hertz: 440 };
    let answer = world.clients.upload(wav, "wait=3").await;
    let Answer::Done { recording: Some(_), .. } = &answer else { panic!("{answer:?}") };
    let trace = seen(&world, daemon).await;
    let folder = world.place.blob_folder();
    let proof = trace.answered("filename=", "201").and_then(|(_, answered)| {
        for blob in [digest(&wav.bytes()), digest(&mp3_of(wav))] {
            let kept = trace.kept(&folder, &blob)?;
            // A row names the blob only once it cannot be lost any more.
            trace.lasts(blob.as_str(), kept, answered)?;
        }
        Ok(())
    });
    assert_eq!(proof, Ok(()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_task_is_answered_for_only_once_it_is_synced_on_sqlite() {
    a_task(Engine::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_task_is_answered_for_only_once_it_is_synced_on_postgres() {
    a_task(Engine::Postgres).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_recording_is_answered_for_only_once_its_files_folders_and_rows_are_synced_on_sqlite() {
    a_recording(Engine::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_recording_is_answered_for_only_once_its_files_folders_and_rows_are_synced_on_postgres() {
    a_recording(Engine::Postgres).await;
}

/// A trace made by hand, and whether the task in it was synced before it was answered for.
fn proved(lines: &[&str]) -> Result<(), String> {
    let trace = Trace { calls: calls(&lines.join("\n")), wal: Some("/d/g.db-wal".into()) };
    let (asked, answered) = trace.answered("mark", "201")?;
    trace.lasts("mark", asked.ended, answered)
}

const ASKED: &str = r#"1 recvfrom(9<socket:[5]>, "POST /tasks ... mark", 99, 0, NULL, NULL) = 30"#;
const WRITTEN: &str = r#"2 pwrite64(7</d/g.db-wal>, "..mark..", 4096, 24) = 4096"#;
const SYNCED: &str = "2 fsync(7</d/g.db-wal>) = 0";
const ANSWERED: &str =
    r#"1 sendto(9<socket:[5]>, "HTTP/1.1 201 Created\r\n", 22, MSG_NOSIGNAL, NULL, 0) = 22"#;

#[test]
fn a_trace_in_the_right_order_proves_the_sync() {
    assert_eq!(proved(&[ASKED, WRITTEN, SYNCED, ANSWERED]), Ok(()));
    let interrupted = "2 fsync(7</d/g.db-wal> <unfinished ...>";
    let resumed = "2 <... fsync resumed>) = 0";
    let other = r#"1 write(3<anon_inode:[eventfd]>, "\1", 8) = 8"#;
    assert_eq!(proved(&[ASKED, WRITTEN, interrupted, other, resumed, ANSWERED]), Ok(()));
    assert!(proved(&[ASKED, WRITTEN, interrupted, ANSWERED, resumed]).is_err(), "answered while it syncs");
}

#[test]
fn a_trace_in_any_other_order_proves_nothing() {
    for (fault, lines) in [
        ("no sync", vec![ASKED, WRITTEN, ANSWERED]),
        ("a late sync", vec![ASKED, WRITTEN, ANSWERED, SYNCED]),
        ("an early sync", vec![ASKED, SYNCED, WRITTEN, ANSWERED]),
        ("a page after the sync", vec![ASKED, WRITTEN, SYNCED, WRITTEN, ANSWERED]),
        ("a failed sync", vec![ASKED, WRITTEN, "2 fsync(7</d/g.db-wal>) = -1 EIO (x)", ANSWERED]),
        ("another file", vec![ASKED, WRITTEN, "2 fsync(8</d/g.db>) = 0", ANSWERED]),
        ("another task", vec![ASKED, r#"2 pwrite64(7</d/g.db-wal>, "..", 2, 24) = 2"#, SYNCED, ANSWERED]),
        (
            "a sync of something earlier",
            vec![ASKED, r#"2 pwrite64(7</d/g.db-wal>, "..", 2, 24) = 2"#, SYNCED, ANSWERED, WRITTEN, SYNCED],
        ),
        ("no answer", vec![ASKED, WRITTEN, SYNCED]),
    ] {
        assert!(proved(&lines).is_err(), "{fault}");
    }
}
