//! The judge, judged: it finds nothing in a good history, and each fault in one that has it.

use std::collections::BTreeMap;

use gristmill::task::{
    Attempt, Event, EventSeq, Fact, Failure, FailureReason, Json, Kind, Life, NodeId, Priority, RecordingId,
    RetryCause, Role, State, Status, Task, TaskId, Timestamp,
};
use uuid::Uuid;

use crate::history::{Answer, Ask, BlobRow, Download, End, Entry, RecordingRow, Seen, Wav, digest, judge};

const WAV: Wav = Wav { millis: 20, hertz: 440 };
const SINGLE: TaskId = TaskId(1);
const BATCH: [TaskId; 3] = [TaskId(2), TaskId(3), TaskId(4)];
const CANCELLED: TaskId = TaskId(5);
const DELETED: TaskId = TaskId(6);
const RECORDING: TaskId = TaskId(7);
const POISON: TaskId = TaskId(8);
const MESSAGE: TaskId = TaskId(10);

/// What a WAV becomes here.
fn mp3(wav: Wav) -> Vec<u8> {
    format!("the MP3 of {wav:?}").into_bytes()
}

/// A history in which everything went well that could, and what it left.
struct Case {
    history: Vec<Entry>,
    end: End,
    clock: i64,
}

impl Case {
    fn good() -> Self {
        let mut case = Self { history: Vec::new(), end: End { deaths: 3, ..End::default() }, clock: 0 };
        case.accepted("r1", &[SINGLE]);
        case.runs(SINGLE);
        case.completes(SINGLE);
        case.accepted("r2", &BATCH);
        for task in BATCH {
            case.runs(task);
            case.completes(task);
        }
        case.accepted("r3", &[CANCELLED]);
        case.tell(CANCELLED, Fact::Cancelled);
        let cancelled = case.seen(CANCELLED);
        case.hear(Ask::Cancel(CANCELLED), done(vec![cancelled]));
        case.accepted("r4", &[DELETED]);
        case.tell(DELETED, Fact::Deleted);
        case.end.tasks.retain(|task| task.life.id != DELETED);
        case.hear(Ask::Delete(DELETED), done(Vec::new()));
        case.hear(Ask::Look(DELETED), Answer::Refused(404));
        case.recorded();
        case.accepted("r6", &[POISON]);
        for _ in 0..2 {
            case.runs(POISON);
            case.loses(POISON);
        }
        case.runs(POISON);
        case.poisoned(POISON);
        case.hear(Ask::Tasks { tag: "r7".into(), count: 5 }, Answer::NotSent);
        case.hear(Ask::Tasks { tag: "r8".into(), count: 5 }, Answer::Unknown);
        case.hear(Ask::Message { tag: "m1".into() }, done(Vec::new()));
        case.create(MESSAGE, &["m1"]);
        case.runs(MESSAGE);
        case.completes(MESSAGE);
        case.hear(Ask::Message { tag: "m2".into() }, Answer::Unknown);
        case.end.listed = case.end.tasks.iter().map(Seen::of).collect();
        case
    }

    fn hear(&mut self, ask: Ask, answer: Answer) {
        self.history.push(Entry { ask, answer });
    }

    /// A request for tasks that was answered with them.
    fn accepted(&mut self, tag: &str, tasks: &[TaskId]) {
        let seen = tasks.iter().map(|task| self.create(*task, &[tag])).collect();
        self.hear(Ask::Tasks { tag: tag.into(), count: tasks.len() }, done(seen));
    }

    fn create(&mut self, id: TaskId, tags: &[&str]) -> Seen {
        let now = self.now();
        let kind: Kind = "noop".parse().unwrap();
        let (life, event) = Life::create(id, kind, None, Priority::default(), 3, now, now);
        self.end.tasks.push(Task {
            life,
            payload: Json::null(),
            tags: tags.iter().map(ToString::to_string).collect(),
            timeout: None,
            created_at: now,
            unique_key: None,
            callback: None,
            traceparent: None,
            expires_at: None,
        });
        self.end.events.push((EventSeq(self.clock), event));
        self.seen(id)
    }

    fn recorded(&mut self) {
        let id = RecordingId(Uuid::from_u128(7));
        let seen = self.create(RECORDING, &[]);
        let ask = Ask::Recording { filename: "r5.wav".into(), wav: WAV };
        self.hear(ask, Answer::Done { tasks: vec![seen], recording: Some(id) });
        self.runs(RECORDING);
        self.completes(RECORDING);
        self.end.recordings.push(RecordingRow { id, task: RECORDING, filename: "r5.wav".into() });
        let made = mp3(WAV);
        for (role, blob) in [(Role::Input, digest(&WAV.bytes())), (Role::Output, digest(&made))] {
            self.end.named.push(BlobRow { task: RECORDING, role, blob: blob.clone() });
            self.end.files.insert(blob.clone(), blob);
        }
        let download = Download { status: 200, etag: format!("\"{}\"", digest(&made)), bytes: made };
        self.end.downloads = BTreeMap::from([(id, download)]);
    }

    fn now(&mut self) -> Timestamp {
        self.clock += 1;
        Timestamp::from_micros(self.clock)
    }

    fn task(&mut self, id: TaskId) -> &mut Task {
        self.end.tasks.iter_mut().find(|task| task.life.id == id).unwrap()
    }

    fn seen(&mut self, id: TaskId) -> Seen {
        Seen::of(self.task(id))
    }

    /// An event of a task, and what it does to the row.
    fn tell(&mut self, id: TaskId, fact: Fact) {
        let now = self.now();
        let life = &mut self.task(id).life;
        life.updated_at = now;
        match &fact {
            Fact::Started { holder, .. } => {
                life.attempt = life.attempt.next();
                life.state = State::InProgress { holder: holder.clone(), lease: None };
            }
            Fact::Completed => life.state = State::Completed { finished_at: now, result: Json::null() },
            Fact::Cancelled => life.state = State::Cancelled { finished_at: now },
            Fact::Failed(failure) => {
                life.state = State::Failed { finished_at: now };
                life.error = Some(failure.clone());
            }
            Fact::Retrying { .. } => life.state = State::New { run_at: now },
            Fact::Created | Fact::Progress(_) | Fact::Deleted => {}
        }
        let (kind, owner, attempt) = (life.kind.clone(), life.owner, life.attempt);
        let event = Event { task: id, kind, owner, attempt, at: now, fact };
        self.end.events.push((EventSeq(self.clock), event));
    }

    fn runs(&mut self, id: TaskId) {
        let node = NodeId(Uuid::from_u128(self.clock.unsigned_abs().into()));
        self.tell(id, Fact::Started { holder: node.into(), assignee: None });
    }

    fn completes(&mut self, id: TaskId) {
        self.tell(id, Fact::Completed);
    }

    fn loses(&mut self, id: TaskId) {
        self.task(id).life.crashes += 1;
        let run_at = Timestamp::from_micros(self.clock + 1);
        self.tell(id, Fact::Retrying { cause: RetryCause::WorkerLost, run_at });
    }

    fn poisoned(&mut self, id: TaskId) {
        self.task(id).life.crashes += 1;
        self.tell(id, Fact::Failed(Failure::new(FailureReason::Poison, "it kills")));
    }

    /// Removes a task as if it had never been written.
    fn lose_row(&mut self, id: TaskId) {
        self.end.tasks.retain(|task| task.life.id != id);
        self.end.events.retain(|(_, event)| event.task != id);
        self.end.listed.retain(|seen| seen.id != id);
    }

    fn relist(&mut self) {
        self.end.listed = self.end.tasks.iter().map(Seen::of).collect();
    }

    fn wrong(&self) -> Vec<String> {
        judge(&self.history, &self.end, &mp3).0
    }
}

fn done(tasks: Vec<Seen>) -> Answer {
    Answer::Done { tasks, recording: None }
}

#[test]
fn a_good_history_passes_and_is_counted() {
    let case = Case::good();
    let (wrong, tally) = judge(&case.history, &case.end, &mp3);
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert_eq!((tally.accepted, tally.completed, tally.recordings), (9, 6, 1));
    assert_eq!((tally.cancelled, tally.deleted, tally.poison), (1, 1, 1));
    assert_eq!((tally.requests, tally.not_sent, tally.unknown, tally.lost_workers), (13, 1, 2, 3));
}

/// A fault, what it does to a good history, and words of what the judge must say.
type Fault = (&'static str, fn(&mut Case), &'static str);

#[test]
fn each_fault_is_found_in_a_history_that_has_it() {
    let faults: &[Fault] = &[
        ("a lost task", |case| case.lose_row(SINGLE), "accepted and is lost"),
        ("a lost task of a batch", |case| case.lose_row(BATCH[1]), "accepted and is lost"),
        (
            "a lost recording",
            |case| {
                case.lose_row(RECORDING);
                case.end.recordings.clear();
                case.end.named.clear();
                case.end.files.clear();
            },
            "r5.wav was accepted and is lost",
        ),
        ("a lost message", |case| case.lose_row(MESSAGE), "message m1 was confirmed and is lost"),
        (
            "a message done twice",
            |case| {
                case.create(TaskId(9), &["m2"]);
                case.create(TaskId(11), &["m2"]);
                for task in [TaskId(9), TaskId(11)] {
                    case.runs(task);
                    case.completes(task);
                }
                case.relist();
            },
            "message m2 (Unknown) was done more than once",
        ),
        ("a completion told twice", |case| case.completes(SINGLE), "an attempt has one outcome"),
        (
            "a completed task that ran again",
            |case| {
                case.loses(SINGLE);
                case.runs(SINGLE);
                case.completes(SINGLE);
                case.relist();
            },
            "completed 2 times",
        ),
        (
            "the outcome of an older attempt",
            |case| {
                case.accepted("r9", &[TaskId(9)]);
                case.runs(TaskId(9));
                case.loses(TaskId(9));
                case.runs(TaskId(9));
                case.task(TaskId(9)).life.attempt = Attempt(1);
                case.completes(TaskId(9));
                case.relist();
            },
            "only the newest attempt is spoken of",
        ),
        (
            "half a batch of unknown fate",
            |case| {
                case.create(TaskId(9), &["r8"]);
                case.runs(TaskId(9));
                case.completes(TaskId(9));
                case.relist();
            },
            "of r8 only 1 of 5 tasks are there",
        ),
        (
            "a task of a request that never arrived",
            |case| {
                case.create(TaskId(9), &["r7"]);
                case.runs(TaskId(9));
                case.completes(TaskId(9));
                case.relist();
            },
            "r7 was not accepted, and left",
        ),
        (
            "a request done twice",
            |case| {
                case.create(TaskId(9), &["r1"]);
                case.runs(TaskId(9));
                case.completes(TaskId(9));
                case.relist();
            },
            "r1 was done more than once",
        ),
        (
            "a task out of nowhere",
            |case| {
                case.create(TaskId(9), &["elsewhere"]);
                case.runs(TaskId(9));
                case.completes(TaskId(9));
                case.relist();
            },
            "nobody asked for elsewhere",
        ),
        (
            "one number promised to two",
            |case| {
                let seen = case.seen(SINGLE);
                case.hear(Ask::Tasks { tag: "r9".into(), count: 1 }, done(vec![seen]));
            },
            "promised to r1 and to r9",
        ),
        (
            "an answer that shows what never was",
            |case| {
                let mut seen = case.seen(SINGLE);
                seen.attempt = seen.attempt.next();
                case.hear(Ask::Look(SINGLE), done(vec![seen]));
            },
            "which never was",
        ),
        (
            "a task denied",
            |case| case.hear(Ask::Look(SINGLE), Answer::Refused(404)),
            "denied a task that it has",
        ),
        (
            "a stuck task",
            |case| {
                case.accepted("r9", &[TaskId(9)]);
                case.runs(TaskId(9));
                case.relist();
            },
            "task 9 is stuck: In Progress",
        ),
        (
            "a task that waits for ever",
            |case| {
                case.accepted("r9", &[TaskId(9)]);
                case.relist();
            },
            "task 9 is stuck: New",
        ),
        ("a ready row too many", |case| case.end.ready = 1, "wait to be claimed"),
        (
            "a cancel out of nowhere",
            |case| case.history.retain(|entry| !matches!(entry.ask, Ask::Cancel(_))),
            "is Cancelled, and nobody asked",
        ),
        (
            "a cancel without effect",
            |case| {
                let seen = case.seen(SINGLE);
                case.hear(Ask::Cancel(SINGLE), done(vec![seen]));
            },
            "was cancelled, and knows nothing",
        ),
        (
            "a delete out of nowhere",
            |case| case.history.retain(|entry| !matches!(entry.ask, Ask::Delete(_) | Ask::Look(_))),
            "nobody asked for that",
        ),
        (
            "a delete without effect",
            |case| case.hear(Ask::Delete(SINGLE), done(Vec::new())),
            "was deleted, and is not",
        ),
        (
            "a failure that is no poison",
            |case| {
                let failure = Failure::new(FailureReason::Error, "bad luck");
                case.task(POISON).life.error = Some(failure);
            },
            "is Failed with",
        ),
        (
            "poison after two deaths",
            |case| {
                case.accepted("r9", &[TaskId(9)]);
                case.runs(TaskId(9));
                case.loses(TaskId(9));
                case.runs(TaskId(9));
                case.poisoned(TaskId(9));
                case.relist();
            },
            "after 2 lost workers",
        ),
        (
            "a row that its events do not tell of",
            |case| {
                case.end.events.pop();
            },
            "its events leave it Some(InProgress)",
        ),
        (
            "events out of order",
            |case| {
                let last = case.end.events.len() - 1;
                case.end.events[last].0 = EventSeq(1);
            },
            "event 1 comes after",
        ),
        (
            "a list that differs from the database",
            |case| case.end.listed[0].status = Status::New,
            "the daemon lists",
        ),
        ("more dead workers than deaths", |case| case.end.deaths = 2, "3 incarnations are said"),
        (
            "a blob without an owner",
            |case| {
                let blob = digest(b"nobody's");
                case.end.files.insert(blob.clone(), blob);
            },
            "no row names blob",
        ),
        ("the same, by the store", |case| case.end.unreferenced.push(digest(b"x")), "nobody names"),
        ("an owner without a blob", |case| drop(case.end.files.pop_first()), "which is gone"),
        (
            "a torn blob",
            |case| *case.end.files.values_mut().next().unwrap() = digest(b"torn"),
            "has the bytes of",
        ),
        ("a draft left behind", |case| case.end.drafts = 1, "half written"),
        (
            "wrong bytes",
            |case| case.end.downloads.values_mut().next().unwrap().bytes[3] ^= 1,
            "is not the MP3 of its WAV",
        ),
        (
            "a wrong ETag",
            |case| case.end.downloads.values_mut().next().unwrap().etag = "\"x\"".into(),
            "is not the name of its bytes",
        ),
        ("a recording that cannot be fetched", |case| case.end.downloads.clear(), "cannot be fetched"),
        (
            "an original that is another",
            |case| case.end.named[0].blob = digest(b"another"),
            "is not kept as it was sent",
        ),
    ];
    for (fault, commit, words) in faults {
        let mut case = Case::good();
        commit(&mut case);
        let wrong = case.wrong();
        assert!(wrong.iter().any(|wrong| wrong.contains(words)), "{fault}: `{words}` is not in {wrong:#?}");
    }
}
