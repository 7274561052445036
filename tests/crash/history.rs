//! What the clients did and saw, what is there at the end, and the judge of both.
//!
//! The judge knows no mercy and no daemon: it gets two lists and says which promises they break. So it is tested
//! itself, on histories made by hand (`judged`).

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fmt;

use gristmill::task::{
    Attempt, BlobName, Event, EventSeq, Fact, FailureReason, NodeId, POISON_CRASHES, RecordingId, RetryCause,
    Role, State, Status, Task, TaskId, Timestamp, invariants,
};
use sha2::{Digest, Sha256};

use crate::common::wav;

/// A WAV, by its recipe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Wav {
    pub(crate) millis: u32,
    pub(crate) hertz: u32,
}

impl Wav {
    pub(crate) fn bytes(self) -> Vec<u8> {
        wav::sine(f64::from(self.millis) / 1000.0, f64::from(self.hertz))
    }
}

/// What a client asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ask {
    /// So many tasks at once, all with this tag, which no other request has.
    Tasks { tag: String, count: usize },
    /// A recording, under a file name that no other request has.
    Recording { filename: String, wav: Wav },
    /// A message to the broker's queue that asks for one task with this tag, which no other request has. The tag is its
    /// `message_id` as well; it may have been sent several times. The answer is the broker's: a confirm shows no task.
    Message { tag: String },
    /// The end of a task.
    Cancel(TaskId),
    /// Another try.
    Retry(TaskId),
    /// That a task be gone.
    Delete(TaskId),
    /// A look at a task.
    Look(TaskId),
}

/// A task as an answer showed it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) id: TaskId,
    pub(crate) status: Status,
    pub(crate) attempt: Attempt,
    pub(crate) updated_at: Timestamp,
}

impl Seen {
    pub(crate) fn of(task: &Task) -> Self {
        let life = &task.life;
        Self { id: life.id, status: life.status(), attempt: life.attempt, updated_at: life.updated_at }
    }
}

/// What came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Nobody was there to hear it.
    NotSent,
    /// The connection was cut, or the daemon said that it does not know.
    Unknown,
    /// No, with this status.
    Refused(u16),
    /// Yes; with the tasks that the answer showed, and the recording's name.
    Done { tasks: Vec<Seen>, recording: Option<RecordingId> },
}

/// A request and its answer.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) ask: Ask,
    pub(crate) answer: Answer,
}

/// A row of the table of recordings.
#[derive(Debug, Clone)]
pub(crate) struct RecordingRow {
    pub(crate) id: RecordingId,
    pub(crate) task: TaskId,
    pub(crate) filename: String,
}

/// A row of the table of blobs.
#[derive(Debug, Clone)]
pub(crate) struct BlobRow {
    pub(crate) task: TaskId,
    pub(crate) role: Role,
    pub(crate) blob: BlobName,
}

/// What `GET /record` gave.
#[derive(Debug, Clone)]
pub(crate) struct Download {
    pub(crate) status: u16,
    pub(crate) etag: String,
    pub(crate) bytes: Vec<u8>,
}

/// What is there after the load has stopped and the daemon was idle.
#[derive(Debug, Clone, Default)]
pub(crate) struct End {
    /// The tasks as the daemon lists them.
    pub(crate) listed: Vec<Seen>,
    /// The tasks as the database has them.
    pub(crate) tasks: Vec<Task>,
    /// Every event, in the public order.
    pub(crate) events: Vec<(EventSeq, Event)>,
    /// The recordings as the database has them.
    pub(crate) recordings: Vec<RecordingRow>,
    /// What the daemon gives for each recording.
    pub(crate) downloads: BTreeMap<RecordingId, Download>,
    /// The blobs that rows name.
    pub(crate) named: Vec<BlobRow>,
    /// The files in the blob folder, by place, each with the name that its bytes should have.
    pub(crate) files: BTreeMap<BlobName, BlobName>,
    /// Those of them that the store says no row names.
    pub(crate) unreferenced: Vec<BlobName>,
    /// Files half written.
    pub(crate) drafts: usize,
    /// Rows that wait to be claimed.
    pub(crate) ready: u64,
    /// How many processes were killed, or frozen until they lost their lease.
    pub(crate) deaths: usize,
}

/// What was counted on the way.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) requests: usize,
    pub(crate) not_sent: usize,
    pub(crate) unknown: usize,
    /// Of the requests, those that went through the broker.
    pub(crate) messages: usize,
    pub(crate) accepted: usize,
    pub(crate) completed: usize,
    pub(crate) cancelled: usize,
    pub(crate) deleted: usize,
    pub(crate) poison: usize,
    pub(crate) lost_workers: usize,
    pub(crate) recordings: usize,
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} requests ({} refused connections, {} of unknown effect, {} messages), {} tasks accepted: {} completed, {} \
             cancelled, {} deleted, {} poison; {} runs lost with their worker; {} recordings verified",
            self.requests,
            self.not_sent,
            self.unknown,
            self.messages,
            self.accepted,
            self.completed,
            self.cancelled,
            self.deleted,
            self.poison,
            self.lost_workers,
            self.recordings
        )
    }
}

/// The life of a task as its events tell it.
#[derive(Debug, Default)]
struct Life {
    rules: invariants::History,
    /// Where each event left the task, and when.
    steps: HashSet<(Timestamp, Option<Status>, Attempt)>,
    completed: Vec<Attempt>,
    attempt: Attempt,
    worker: Option<NodeId>,
    /// Workers that died under it since it was created or last asked to be tried again.
    lost: u32,
    cancelled: bool,
    asked_again: bool,
    deleted: bool,
}

/// What the clients asked of one task, in whatever order.
#[derive(Debug, Default, Clone, Copy)]
struct Wishes {
    cancel: Wish,
    retry: Wish,
    delete: Wish,
}

/// How far a wish came.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Wish {
    #[default]
    None,
    /// It may have been heard.
    Sent,
    /// It was answered with yes.
    Granted,
}

/// Judges a history by its end; `mp3` makes what a WAV should have become. The promises that are broken, and what
/// was counted.
pub(crate) fn judge(history: &[Entry], end: &End, mp3: &dyn Fn(Wav) -> Vec<u8>) -> (Vec<String>, Tally) {
    let mut judge = Judge {
        end,
        rows: end.tasks.iter().map(|task| (task.life.id, task)).collect(),
        lives: BTreeMap::new(),
        wishes: HashMap::new(),
        wrong: Vec::new(),
        tally: Tally::default(),
    };
    judge.hear_events();
    judge.gather_wishes(history);
    judge.requests(history);
    judge.tasks();
    judge.what_was_seen(history);
    judge.blobs();
    judge.recordings(history, mp3);
    (judge.wrong, judge.tally)
}

struct Judge<'a> {
    end: &'a End,
    rows: BTreeMap<TaskId, &'a Task>,
    lives: BTreeMap<TaskId, Life>,
    wishes: HashMap<TaskId, Wishes>,
    wrong: Vec<String>,
    tally: Tally,
}

impl Judge<'_> {
    fn broken(&mut self, what: impl Into<String>) {
        self.wrong.push(what.into());
    }

    fn demand(&mut self, kept: bool, otherwise: impl FnOnce() -> String) {
        if !kept {
            self.wrong.push(otherwise());
        }
    }

    fn wishes(&self, task: TaskId) -> Wishes {
        self.wishes.get(&task).copied().unwrap_or_default()
    }

    /// The rules of a life, for every task; and no more workers died than were killed.
    fn hear_events(&mut self) {
        let mut newest = EventSeq::default();
        let mut dead = BTreeSet::new();
        for (seq, event) in &self.end.events {
            if *seq <= newest {
                self.wrong.push(format!("event {seq} comes after event {newest}"));
            }
            newest = *seq;
            let life = self.lives.entry(event.task).or_default();
            if let Err(violation) = life.rules.hear(event) {
                self.wrong.push(format!("task {}, event {seq}: {violation}", event.task));
            }
            match &event.fact {
                Fact::Started { holder, .. } => {
                    life.attempt = event.attempt;
                    life.worker = holder.node();
                }
                Fact::Completed => life.completed.push(event.attempt),
                Fact::Cancelled => life.cancelled = true,
                Fact::Deleted => life.deleted = true,
                Fact::Retrying { cause: RetryCause::Asked, .. } => {
                    life.asked_again = true;
                    life.lost = 0;
                }
                Fact::Retrying { cause: RetryCause::WorkerLost, .. } => {
                    life.lost += 1;
                    self.tally.lost_workers += 1;
                    dead.extend(life.worker);
                }
                Fact::Failed(failure) if failure.reason == FailureReason::Poison => {
                    life.lost += 1;
                    self.tally.lost_workers += 1;
                    dead.extend(life.worker);
                }
                Fact::Created
                | Fact::Progress(_)
                | Fact::Failed(_)
                | Fact::Retrying { cause: RetryCause::Failed(_) | RetryCause::Interrupted, .. } => {}
            }
            life.steps.insert((event.at, life.rules.status(), event.attempt));
        }
        let (dead, deaths) = (dead.len(), self.end.deaths);
        self.demand(dead <= deaths, || {
            format!("{dead} incarnations are said to have died with their work, {deaths} did")
        });
    }

    fn gather_wishes(&mut self, history: &[Entry]) {
        for entry in history {
            let heard = match entry.answer {
                Answer::NotSent | Answer::Refused(_) => Wish::None,
                Answer::Unknown => Wish::Sent,
                Answer::Done { .. } => Wish::Granted,
            };
            let (task, pick): (_, fn(&mut Wishes) -> &mut Wish) = match entry.ask {
                Ask::Cancel(task) => (task, |wishes| &mut wishes.cancel),
                Ask::Retry(task) => (task, |wishes| &mut wishes.retry),
                Ask::Delete(task) => (task, |wishes| &mut wishes.delete),
                Ask::Tasks { .. } | Ask::Recording { .. } | Ask::Message { .. } | Ask::Look(_) => continue,
            };
            let wish = pick(self.wishes.entry(task).or_default());
            *wish = heard.max(*wish);
        }
    }

    /// Nothing accepted is lost, nothing comes from nowhere, a batch is there whole or not at all.
    fn requests(&mut self, history: &[Entry]) {
        // What each request left behind, by its tag or its file name.
        let recorded: HashMap<TaskId, &str> =
            self.end.recordings.iter().map(|row| (row.task, row.filename.as_str())).collect();
        let mut left = HashMap::<&str, Vec<TaskId>>::new();
        for task in &self.end.tasks {
            let mark = task.tags.first().map(String::as_str).or(recorded.get(&task.life.id).copied());
            match mark {
                Some(mark) => left.entry(mark).or_default().push(task.life.id),
                None => self.wrong.push(format!("task {} belongs to no request", task.life.id)),
            }
        }
        let mut owner = HashMap::<TaskId, &str>::new();
        for entry in history {
            self.tally.requests += 1;
            match entry.answer {
                Answer::NotSent => self.tally.not_sent += 1,
                Answer::Unknown => self.tally.unknown += 1,
                Answer::Refused(_) | Answer::Done { .. } => {}
            }
            let (mark, count) = match &entry.ask {
                Ask::Tasks { tag, count } => (tag.as_str(), *count),
                Ask::Recording { filename, .. } => (filename.as_str(), 1),
                Ask::Message { tag } => {
                    let there = left.remove(tag.as_str()).unwrap_or_default();
                    self.message(tag, &entry.answer, &there);
                    continue;
                }
                Ask::Cancel(_) | Ask::Retry(_) | Ask::Delete(_) | Ask::Look(_) => continue,
            };
            let there = left.remove(mark).unwrap_or_default();
            match &entry.answer {
                Answer::NotSent | Answer::Refused(_) => {
                    self.demand(there.is_empty(), || format!("{mark} was not accepted, and left {there:?}"));
                }
                Answer::Unknown => {
                    self.tally.accepted += there.len();
                    self.demand(there.is_empty() || there.len() == count, || {
                        format!("of {mark} only {} of {count} tasks are there", there.len())
                    });
                }
                Answer::Done { tasks, .. } => {
                    self.tally.accepted += tasks.len();
                    self.demand(tasks.len() == count, || {
                        format!("{mark} asked for {count} tasks and was answered with {}", tasks.len())
                    });
                    let there: HashSet<TaskId> = there.into_iter().collect();
                    for task in tasks {
                        if let Some(other) = owner.insert(task.id, mark) {
                            self.broken(format!("task {} was promised to {other} and to {mark}", task.id));
                        }
                        let gone = self.wishes(task.id).delete > Wish::None;
                        self.demand(there.contains(&task.id) || gone, || {
                            format!("task {} of {mark} was accepted and is lost", task.id)
                        });
                    }
                    self.demand(there.len() <= count, || {
                        format!("{mark} was done more than once: {there:?}")
                    });
                }
            }
        }
        for (mark, tasks) in left {
            self.broken(format!("nobody asked for {mark}: {tasks:?}"));
        }
    }

    /// A message that was confirmed became a task; and however often it was delivered, no more than one.
    fn message(&mut self, tag: &str, answer: &Answer, there: &[TaskId]) {
        self.tally.accepted += there.len();
        self.tally.messages += 1;
        let confirmed = matches!(answer, Answer::Done { .. });
        self.demand(!confirmed || !there.is_empty(), || format!("message {tag} was confirmed and is lost"));
        let sent = *answer != Answer::NotSent;
        self.demand(there.len() <= usize::from(sent), || {
            format!("message {tag} ({answer:?}) was done more than once, or unasked: {there:?}")
        });
    }

    /// Every task has ended, once, rightly, and as its events say.
    fn tasks(&mut self) {
        let end = self.end;
        let tasks: Vec<TaskId> = self.rows.keys().chain(self.lives.keys()).copied().collect();
        let tasks: BTreeSet<TaskId> = tasks.into_iter().collect();
        let none = Life::default();
        let lives = std::mem::take(&mut self.lives);
        for id in tasks {
            let life = lives.get(&id).unwrap_or(&none);
            let wishes = self.wishes(id);
            let row = self.rows.get(&id).copied();
            self.demand(life.rules.status() == row.map(|row| row.life.status()), || {
                format!(
                    "task {id} is {:?}, and its events leave it {:?}",
                    row.map(|row| row.life.status()),
                    life.rules.status()
                )
            });
            self.demand(life.deleted || wishes.delete < Wish::Granted, || {
                format!("task {id} was deleted, and is not")
            });
            self.demand(!life.deleted || wishes.delete > Wish::None, || {
                format!("task {id} was deleted, and nobody asked for that")
            });
            self.demand(life.cancelled || wishes.cancel < Wish::Granted, || {
                format!("task {id} was cancelled, and knows nothing of it")
            });
            self.demand(life.asked_again || wishes.retry < Wish::Granted, || {
                format!("task {id} was to be tried again, and knows nothing of it")
            });
            self.demand(!life.asked_again || wishes.retry > Wish::None, || {
                format!("task {id} was tried again, and nobody asked for that")
            });
            self.tally.deleted += usize::from(life.deleted);
            self.demand(life.completed.len() <= 1, || {
                format!(
                    "task {id} was completed {} times: attempts {:?}",
                    life.completed.len(),
                    life.completed
                )
            });
            if let Some(row) = row {
                self.row(row, life, wishes);
            }
        }
        self.lives = lives;
        let listed: BTreeMap<TaskId, &Seen> = end.listed.iter().map(|seen| (seen.id, seen)).collect();
        self.demand(listed.len() == end.listed.len(), || "a task is listed twice".to_owned());
        let rows: BTreeMap<TaskId, Seen> = self.rows.iter().map(|(id, row)| (*id, Seen::of(row))).collect();
        for id in listed.keys().chain(rows.keys()).collect::<BTreeSet<_>>() {
            let (listed, row) = (listed.get(id).copied(), rows.get(id));
            self.demand(listed == row, || format!("the daemon lists {listed:?}, the database has {row:?}"));
        }
        let ready = end.ready;
        self.demand(ready == 0, || format!("{ready} rows wait to be claimed, and nothing waits"));
    }

    fn row(&mut self, row: &Task, life: &Life, wishes: Wishes) {
        let id = row.life.id;
        self.demand(row.life.attempt == life.attempt, || {
            format!("task {id} is at attempt {}, and its newest start was {}", row.life.attempt, life.attempt)
        });
        self.demand(row.life.crashes == life.lost, || {
            format!("task {id} counts {} lost workers, its events {}", row.life.crashes, life.lost)
        });
        self.demand(row.life.failures == 0, || {
            format!("a try of task {id} failed: {:?}; no kind here fails", row.life.error)
        });
        match &row.life.state {
            State::New { .. } | State::InProgress { .. } => {
                self.broken(format!("task {id} is stuck: {}", row.life.status()));
            }
            State::Completed { .. } => {
                self.tally.completed += 1;
                self.demand(life.completed == [row.life.attempt], || {
                    format!("task {id} is Completed at {}, by {:?}", row.life.attempt, life.completed)
                });
            }
            State::Cancelled { .. } => {
                self.tally.cancelled += 1;
                self.demand(wishes.cancel > Wish::None, || {
                    format!("task {id} is Cancelled, and nobody asked for that")
                });
            }
            State::Failed { .. } => {
                self.tally.poison += 1;
                let reason = row.life.error.as_ref().map(|error| error.reason);
                let poison = reason == Some(FailureReason::Poison) && life.lost == POISON_CRASHES;
                self.demand(poison, || {
                    format!("task {id} is Failed with {:?} after {} lost workers", row.life.error, life.lost)
                });
            }
        }
    }

    /// Whatever an answer showed did happen; and what was accepted was never denied.
    fn what_was_seen(&mut self, history: &[Entry]) {
        for entry in history {
            match (&entry.ask, &entry.answer) {
                (_, Answer::Done { tasks, .. }) => {
                    for seen in tasks {
                        let step = (seen.updated_at, Some(seen.status), seen.attempt);
                        let happened =
                            self.lives.get(&seen.id).is_some_and(|life| life.steps.contains(&step));
                        self.demand(happened, || format!("{:?} showed {seen:?}, which never was", entry.ask));
                    }
                }
                (
                    Ask::Cancel(task) | Ask::Retry(task) | Ask::Delete(task) | Ask::Look(task),
                    Answer::Refused(404),
                ) => {
                    let gone = self.wishes(*task).delete > Wish::None;
                    self.demand(gone, || format!("{:?}: the daemon denied a task that it has", entry.ask));
                }
                (_, Answer::NotSent | Answer::Unknown | Answer::Refused(_)) => {}
            }
        }
    }

    /// No blob without an owner, no owner without a blob, each whole.
    fn blobs(&mut self) {
        let end = self.end;
        let named: BTreeSet<&BlobName> = end.named.iter().map(|row| &row.blob).collect();
        for (name, digest) in &end.files {
            self.demand(named.contains(name), || format!("no row names blob {name}, and it is there"));
            self.demand(name == digest, || format!("blob {name} has the bytes of {digest}"));
        }
        for row in &end.named {
            self.demand(end.files.contains_key(&row.blob), || {
                format!("task {} names blob {} ({:?}), which is gone", row.task, row.blob, row.role)
            });
            self.demand(self.rows.contains_key(&row.task), || {
                format!("blob {} belongs to task {}, which is gone", row.blob, row.task)
            });
        }
        self.demand(end.unreferenced.is_empty(), || {
            format!("the store says that nobody names {:?}", end.unreferenced)
        });
        self.demand(end.drafts == 0, || format!("{} files are half written", end.drafts));
    }

    /// Each completed recording is the MP3 of the WAV that was sent.
    fn recordings(&mut self, history: &[Entry], mp3: &dyn Fn(Wav) -> Vec<u8>) {
        let end = self.end;
        let mut rows: HashMap<&str, &RecordingRow> = HashMap::new();
        for row in &end.recordings {
            if rows.insert(row.filename.as_str(), row).is_some() {
                self.broken(format!("{} was recorded twice", row.filename));
            }
        }
        let named: HashMap<(TaskId, &str), &BlobName> =
            end.named.iter().map(|row| ((row.task, row.role.as_str()), &row.blob)).collect();
        for entry in history {
            let Ask::Recording { filename, wav } = &entry.ask else { continue };
            let Some(row) = rows.get(filename.as_str()) else { continue };
            if let Answer::Done { recording: Some(promised), .. } = &entry.answer {
                self.demand(*promised == row.id, || {
                    format!("{filename} was promised under {promised} and is under {}", row.id)
                });
            }
            let blob = |role: Role| named.get(&(row.task, role.as_str())).map(|blob| (*blob).clone());
            let status = self.rows.get(&row.task).map(|task| task.life.status());
            if status != Some(Status::Completed) {
                self.demand(blob(Role::Output).is_none(), || {
                    format!("{filename} is {status:?}, and has an MP3 all the same")
                });
                continue;
            }
            self.tally.recordings += 1;
            self.demand(blob(Role::Input) == Some(digest(&wav.bytes())), || {
                format!("{filename} is not kept as it was sent")
            });
            let Some(download) = end.downloads.get(&row.id) else {
                self.broken(format!("{filename} is completed, and cannot be fetched"));
                continue;
            };
            let made = mp3(*wav);
            let name = digest(&made);
            self.demand(download.status == 200 && download.bytes == made, || {
                format!(
                    "{filename}: the download (status {}, {} bytes) is not the MP3 of its WAV ({} bytes)",
                    download.status,
                    download.bytes.len(),
                    made.len()
                )
            });
            self.demand(download.etag == format!("\"{name}\"") && blob(Role::Output) == Some(name), || {
                format!("{filename}: its ETag {} is not the name of its bytes", download.etag)
            });
        }
    }
}

/// The name that these bytes have as a blob.
pub(crate) fn digest(bytes: &[u8]) -> BlobName {
    BlobName::of_digest(&Sha256::digest(bytes).into())
}
