//! Clients that ask for everything at once, and write down what they asked and what came back.

use std::net::SocketAddr;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use gristmill::task::{Attempt, RecordingId, Status, TaskId};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{Rng as _, SeedableRng as _};
use reqwest::{Client, RequestBuilder, multipart};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::common::eventually;
use crate::daemon::PATIENCE;
use crate::history::{Answer, Ask, Entry, Seen, Wav};

/// Longer than any wait that the clients wish for, and short beside a frozen daemon.
const TIMEOUT: Duration = Duration::from_secs(4);

/// A user, who owns the recordings.
#[derive(Debug, Clone)]
pub(crate) struct User {
    pub(crate) id: i64,
    pub(crate) token: String,
}

/// The log of all clients, and where they find the daemon at present. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Clients {
    inner: Arc<Inner>,
    door: Arc<Door>,
}

/// Where clients find the daemon.
#[derive(Default)]
struct Door {
    /// How often the clients were told where to turn: the last word counts.
    turns: AtomicU64,
    target: watch::Sender<Option<SocketAddr>>,
}

struct Inner {
    http: Client,
    user: User,
    entries: Mutex<Vec<Entry>>,
    /// Newest last: tasks that were promised, and whether they are the user's.
    known: Mutex<Vec<(TaskId, bool)>>,
    marks: AtomicU64,
}

/// Clients at work.
pub(crate) struct Load {
    stop: watch::Sender<bool>,
    clients: JoinSet<()>,
}

impl Load {
    /// Lets every client finish its sentence.
    pub(crate) async fn stop(mut self) {
        self.stop.send_replace(true);
        while let Some(ended) = self.clients.join_next().await {
            ended.unwrap();
        }
    }
}

impl Clients {
    /// Clients of the daemon at `address`, and a user of theirs.
    pub(crate) async fn begin(address: SocketAddr) -> Self {
        let http = Client::builder().timeout(TIMEOUT).retry(reqwest::retry::never()).build().unwrap();
        let asked = http.post(format!("http://{address}/users")).json(&json!({"name": "ann"})).send();
        let user: Value = asked.await.unwrap().error_for_status().unwrap().json().await.unwrap();
        let user =
            User { id: user["id"].as_i64().unwrap(), token: user["token"].as_str().unwrap().to_owned() };
        let inner = Inner {
            http,
            user,
            entries: Mutex::default(),
            known: Mutex::default(),
            marks: AtomicU64::new(1),
        };
        let door = Door { turns: AtomicU64::new(0), target: watch::Sender::new(Some(address)) };
        Self { inner: Arc::new(inner), door: Arc::new(door) }
    }

    /// The same clients, before the door of another daemon: they share the user and the log.
    pub(crate) fn at_another_door(&self) -> Self {
        Self { inner: Arc::clone(&self.inner), door: Arc::default() }
    }

    pub(crate) fn user(&self) -> &User {
        &self.inner.user
    }

    /// Everything asked and answered so far.
    pub(crate) fn history(&self) -> Vec<Entry> {
        self.inner.entries.lock().unwrap().clone()
    }

    /// Waits until so many requests were answered with yes.
    pub(crate) async fn answered(&self, count: usize) {
        eventually(&format!("{count} requests are answered"), async || {
            let entries = self.inner.entries.lock().unwrap();
            let done = entries.iter().filter(|entry| matches!(entry.answer, Answer::Done { .. }));
            (done.count() >= count).then_some(())
        })
        .await;
    }

    /// From now on the daemon is found where `address` says, as soon as it says anything.
    pub(crate) fn follow(&self, address: watch::Receiver<Option<SocketAddr>>) {
        let clients = self.clone();
        let turn = self.next_turn();
        tokio::spawn(async move { clients.turn(turn, address).await });
    }

    /// The same, and waits until it says so.
    pub(crate) async fn turn_to(&self, address: watch::Receiver<Option<SocketAddr>>) {
        let turn = self.next_turn();
        self.turn(turn, address).await;
    }

    fn next_turn(&self) -> u64 {
        self.door.turns.fetch_add(1, Ordering::SeqCst) + 1
    }

    async fn turn(&self, turn: u64, mut address: watch::Receiver<Option<SocketAddr>>) {
        // A daemon that dies before it listens is never turned to.
        let Ok(address) = address.wait_for(Option::is_some).await.map(|address| *address) else { return };
        self.door.target.send_if_modified(|target| {
            let newest = self.door.turns.load(Ordering::SeqCst) == turn;
            if newest {
                *target = address;
            }
            newest
        });
    }

    /// Sets clients to work, some of which send recordings.
    pub(crate) fn start(&self, seed: u64) -> Load {
        self.start_some(seed, 0..6)
    }

    /// Sets these of the clients to work: 0 and 1 send recordings, those from 2 on do all else.
    pub(crate) fn start_some(&self, seed: u64, numbers: Range<u64>) -> Load {
        let stop = watch::Sender::new(false);
        let mut clients = JoinSet::new();
        for number in numbers {
            let (this, mut stopped) = (self.clone(), stop.subscribe());
            let mut rng = StdRng::seed_from_u64(seed.wrapping_add(number));
            clients.spawn(async move {
                while !*stopped.borrow_and_update() {
                    let answer =
                        if number < 2 { this.record(&mut rng).await } else { this.task(&mut rng).await };
                    if answer == Answer::NotSent {
                        // Nobody is there: look again when somebody is, or in a moment.
                        let mut target = this.door.target.subscribe();
                        let _ = tokio::time::timeout(Duration::from_millis(20), target.changed()).await;
                    }
                }
            });
        }
        Load { stop, clients }
    }

    /// Notes what somebody asked in another way than these clients do, and what came back.
    pub(crate) fn note(&self, entries: impl IntoIterator<Item = Entry>) {
        self.inner.entries.lock().unwrap().extend(entries);
    }

    /// A tag or file name that no other request has.
    pub(crate) fn mark(&self) -> String {
        format!("r{}", self.inner.marks.fetch_add(1, Ordering::Relaxed))
    }

    /// One wish about tasks, of any sort.
    async fn task(&self, rng: &mut StdRng) -> Answer {
        let known = {
            let known = self.inner.known.lock().unwrap();
            let newest = &known[known.len().saturating_sub(40)..];
            newest.choose(rng).copied()
        };
        match (rng.random_range(0..100), known) {
            (0..8, Some((task, mine))) => self.cancel(task, mine).await,
            (8..14, Some((task, mine))) => self.retry(task, mine).await,
            (14..18, Some((task, mine))) => self.delete(task, mine).await,
            (18..40, Some((task, mine))) => self.look(task, mine).await,
            (40..60, _) => {
                let count = rng.random_range(2..=30);
                self.batch(count).await
            }
            (wish, _) => {
                let mut body = json!({"priority": rng.random_range(-3..=3)});
                if wish % 3 == 0 {
                    let later = chrono::Utc::now() + Duration::from_millis(rng.random_range(0..600));
                    body["run_at"] = later.to_rfc3339().into();
                }
                let prefer = ["", "respond-async", "wait=1"].choose(rng).copied().unwrap_or_default();
                self.submit(body, prefer).await
            }
        }
    }

    /// One recording.
    async fn record(&self, rng: &mut StdRng) -> Answer {
        let millis = rng.random_range(200..2000);
        // Now and then bytes that were sent before: equal blobs are one file, which several tasks name.
        let wav = if rng.random_ratio(1, 5) {
            Wav { millis: 300, hertz: rng.random_range(1..4) * 100 }
        } else {
            Wav { millis, hertz: rng.random_range(1_000..20_000) }
        };
        let prefer = ["", "wait=1", "respond-async"].choose(rng).copied().unwrap_or_default();
        self.upload(wav, prefer).await
    }

    /// `POST /tasks` with this body and preference.
    pub(crate) async fn submit(&self, mut body: Value, prefer: &str) -> Answer {
        let tag = self.mark();
        body["tags"] = json!([tag]);
        let request = prefer_to(self.post("/tasks", false).json(&body), prefer);
        self.send(Ask::Tasks { tag, count: 1 }, false, request).await
    }

    /// `POST /tasks/batch` with so many tasks.
    pub(crate) async fn batch(&self, count: usize) -> Answer {
        let tag = self.mark();
        let body = vec![json!({"tags": [tag]}); count];
        let request = self.post("/tasks/batch", false).json(&body);
        self.send(Ask::Tasks { tag, count }, false, request).await
    }

    /// `POST /records`.
    pub(crate) async fn upload(&self, wav: Wav, prefer: &str) -> Answer {
        let filename = format!("{}.wav", self.mark());
        let part = multipart::Part::bytes(wav.bytes()).file_name(filename.clone());
        let user = self.user();
        let form = multipart::Form::new()
            .text("user", user.id.to_string())
            .text("token", user.token.clone())
            .part("file", part);
        // A long recording takes its time.
        let patience = TIMEOUT + Duration::from_millis(wav.millis.into());
        let request = prefer_to(self.post("/records", false).multipart(form).timeout(patience), prefer);
        self.send(Ask::Recording { filename, wav }, true, request).await
    }

    pub(crate) async fn cancel(&self, task: TaskId, mine: bool) -> Answer {
        self.send(Ask::Cancel(task), mine, self.post(&format!("/tasks/{task}/cancel"), mine)).await
    }

    async fn retry(&self, task: TaskId, mine: bool) -> Answer {
        self.send(Ask::Retry(task), mine, self.post(&format!("/tasks/{task}/retry"), mine)).await
    }

    async fn delete(&self, task: TaskId, mine: bool) -> Answer {
        let request = self.inner.http.delete(self.url(&format!("/tasks/{task}")));
        self.send(Ask::Delete(task), mine, self.signed(request, mine)).await
    }

    pub(crate) async fn look(&self, task: TaskId, mine: bool) -> Answer {
        let request = self.inner.http.get(self.url(&format!("/tasks/{task}")));
        self.send(Ask::Look(task), mine, self.signed(request, mine)).await
    }

    /// A GET, in the user's name or in nobody's, which is no part of the history and has time.
    pub(crate) fn get(&self, path: &str, mine: bool) -> RequestBuilder {
        self.signed(self.inner.http.get(self.url(path)), mine).timeout(PATIENCE)
    }

    fn post(&self, path: &str, mine: bool) -> RequestBuilder {
        self.signed(self.inner.http.post(self.url(path)), mine)
    }

    fn url(&self, path: &str) -> String {
        let target = *self.door.target.borrow();
        format!("http://{}{path}", target.expect("a daemon was started"))
    }

    fn signed(&self, request: RequestBuilder, mine: bool) -> RequestBuilder {
        if mine { request.bearer_auth(&self.inner.user.token) } else { request }
    }

    /// Sends, and writes down what was asked and what came back.
    async fn send(&self, ask: Ask, mine: bool, request: RequestBuilder) -> Answer {
        let answer = answer_to(&ask, request).await;
        if let Answer::Done { tasks, .. } = &answer
            && matches!(ask, Ask::Tasks { .. } | Ask::Recording { .. })
        {
            let mut known = self.inner.known.lock().unwrap();
            known.extend(tasks.iter().map(|task| (task.id, mine)));
        }
        self.inner.entries.lock().unwrap().push(Entry { ask, answer: answer.clone() });
        answer
    }
}

fn prefer_to(request: RequestBuilder, prefer: &str) -> RequestBuilder {
    if prefer.is_empty() { request } else { request.header("Prefer", prefer) }
}

/// Sends, and reads what came back for what it says of the request's effect, no more and no less.
async fn answer_to(ask: &Ask, request: RequestBuilder) -> Answer {
    let answer = match request.send().await {
        Ok(answer) => answer,
        // Refused at the door, so never heard.
        Err(error) if error.is_connect() => return Answer::NotSent,
        Err(_) => return Answer::Unknown,
    };
    let status = answer.status().as_u16();
    let Ok(body) = answer.bytes().await else { return Answer::Unknown };
    match (ask, status) {
        (Ask::Delete(_), 204) => Answer::Done { tasks: Vec::new(), recording: None },
        (Ask::Recording { .. }, 201 | 202) => {
            let body: Value = serde_json::from_slice(&body).unwrap();
            let recording: RecordingId = body["id"].as_str().unwrap().parse().unwrap();
            Answer::Done { tasks: vec![seen(&body["task"])], recording: Some(recording) }
        }
        (_, 200..=202) => {
            let body: Value = serde_json::from_slice(&body).unwrap();
            let tasks =
                body.as_array().map_or_else(|| vec![seen(&body)], |tasks| tasks.iter().map(seen).collect());
            Answer::Done { tasks, recording: None }
        }
        // What was accepted may end badly, or be removed, while its sender waits for the end; a daemon in trouble
        // says that it does not know.
        (Ask::Recording { .. } | Ask::Tasks { .. }, _) | (_, 500..) => Answer::Unknown,
        (_, status) => Answer::Refused(status),
    }
}

/// A task as JSON.
pub(crate) fn seen(task: &Value) -> Seen {
    let number = |name: &str| task[name].as_i64().unwrap_or_else(|| panic!("no {name} in {task}"));
    Seen {
        id: TaskId(number("id")),
        status: Status::parse(task["status"].as_str().unwrap()).unwrap(),
        attempt: Attempt(number("attempt").try_into().unwrap()),
        updated_at: task["updated_at"].as_str().unwrap().parse().unwrap(),
    }
}
