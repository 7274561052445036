//! A place, its daemons and their clients; and the end, at which all of it is judged.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::io::Cursor;
use std::sync::{LazyLock, Mutex};
use std::time::{Duration, Instant};

use gristmill::account::Caller;
use gristmill::media::mp3::{self, Mp3Settings};
use gristmill::media::{Cancel, wav::WavReader};
use gristmill::store::{Order, Page, TaskFilter};
use gristmill::task::{BlobName, EventSeq, RecordingId, Role, TaskId, UserId};
use serde_json::Value;
use sqlx::{Connection, PgConnection, SqliteConnection};

use crate::common::{Engine, eventually};
use crate::daemon::{Daemon, PATIENCE, Place, Start};
use crate::history::{BlobRow, Download, End, RecordingRow, Seen, Tally, Wav, judge};
use crate::load::{Clients, seen};

/// A place with a history.
pub(crate) struct World {
    pub(crate) place: Place,
    pub(crate) clients: Clients,
    /// Processes that were killed, or frozen until they lost their lease.
    pub(crate) deaths: usize,
    /// Every blob that was ever seen in its place.
    blobs: HashSet<BlobName>,
}

/// What was found at the end.
#[derive(Debug)]
pub(crate) struct Judged {
    pub(crate) tally: Tally,
    /// Blobs that lay without an owner after a death, and were removed.
    pub(crate) swept: usize,
    pub(crate) end: End,
}

impl World {
    /// A new place whose database has a schema and a user, and no daemon.
    pub(crate) async fn begin(engine: Engine) -> Self {
        let place = Place::new(engine).await;
        let mut daemon = place.spawn(&Start::plain());
        let clients = Clients::begin(daemon.ready().await).await;
        daemon.drain().await;
        Self { place, clients, deaths: 0, blobs: HashSet::new() }
    }

    /// Starts a daemon, to which the clients turn once it listens.
    pub(crate) fn spawn(&mut self, start: &Start) -> Daemon {
        self.blobs.extend(self.place.files().into_iter().map(|(name, _)| name));
        let daemon = self.place.spawn(start);
        self.clients.follow(daemon.address());
        daemon
    }

    /// Starts a daemon and waits until it is ready and the clients have turned to it.
    pub(crate) async fn start(&mut self, start: &Start) -> Daemon {
        let mut daemon = self.spawn(start);
        daemon.ready().await;
        self.clients.turn_to(daemon.address()).await;
        daemon
    }

    /// Lets a daemon finish what is left (there must be no clients any more), sweep and drain; then judges all
    /// that happened here.
    ///
    /// # Panics
    /// With every promise that was broken.
    pub(crate) async fn judge(&mut self) -> Judged {
        let mut daemon = self.start(&Start::plain()).await;
        self.idle().await;
        let (listed, downloads) = (self.listed().await, self.downloads().await);
        daemon.drain().await;

        let before: HashSet<BlobName> = self.place.files().into_iter().map(|(name, _)| name).collect();
        self.place.age_blobs();
        let mut daemon = self.start(&Start::plain()).await;
        self.swept().await;
        daemon.drain().await;
        self.blobs.extend(before);

        let end = self.look(listed, downloads).await;
        let (wrong, tally) = judge(&self.clients.history(), &end, &mp3_of);
        let shown = wrong.iter().take(20).map(String::as_str).collect::<Vec<_>>().join("\n  ");
        assert!(wrong.is_empty(), "{} promises are broken:\n  {shown}\n{tally}", wrong.len());
        let swept = self.blobs.iter().filter(|blob| !end.files.contains_key(*blob)).count();
        Judged { tally, swept, end }
    }

    /// Waits until nothing waits and nothing runs, for as long as there is progress.
    pub(crate) async fn idle(&self) {
        // One statement: of several looks, each might just miss what goes from one status to another.
        let text = "SELECT count(*) FROM tasks WHERE status IN ('New', 'In Progress')";
        let mut progress = (Instant::now(), i64::MAX);
        loop {
            let rows: Vec<(i64,)> = self.rows(text).await;
            let left = rows[0].0;
            if left == 0 {
                return;
            }
            if left < progress.1 {
                progress = (Instant::now(), left);
            }
            assert!(progress.0.elapsed() < PATIENCE, "{left} tasks are stuck");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits for the sweep; should it never come, the judge will say what is left.
    async fn swept(&self) {
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(20) {
            let named: HashSet<BlobName> = self.named().await.into_iter().map(|row| row.blob).collect();
            if self.place.files().iter().all(|(name, _)| named.contains(name)) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn listed(&self) -> Vec<Seen> {
        let mut listed = Vec::new();
        for mine in [false, true] {
            let mut after = String::new();
            loop {
                let page = self.clients.get(&format!("/tasks?limit=1000{after}"), mine).send().await.unwrap();
                let page: Vec<Value> = page.error_for_status().unwrap().json().await.unwrap();
                let Some(last) = page.last() else { break };
                after = format!("&after={}", last["id"]);
                listed.extend(page.iter().map(seen));
            }
        }
        listed
    }

    async fn downloads(&self) -> BTreeMap<RecordingId, Download> {
        let mut downloads = BTreeMap::new();
        let user = self.clients.user().id;
        for RecordingRow { id, .. } in self.recordings().await {
            let answer =
                self.clients.get(&format!("/record?id={id}&user={user}"), false).send().await.unwrap();
            let status = answer.status().as_u16();
            let etag = answer.headers().get("etag").map_or("", |etag| etag.to_str().unwrap()).to_owned();
            let bytes = answer.bytes().await.unwrap().to_vec();
            downloads.insert(id, Download { status, etag, bytes });
        }
        downloads
    }

    /// What is there, now that no daemon is.
    async fn look(&self, listed: Vec<Seen>, downloads: BTreeMap<RecordingId, Download>) -> End {
        let store = self.place.store().await;
        let mut tasks = Vec::new();
        for caller in [Caller::Anonymous, Caller::User(UserId(self.clients.user().id))] {
            let mut after = None;
            loop {
                let page = Page { after, order: Order::Ascending, limit: 1000 };
                let found = store.tasks(&TaskFilter::of(caller), &page).await.unwrap();
                let Some(last) = found.last() else { break };
                after = Some(last.life.id);
                tasks.extend(found);
            }
        }
        let mut events = Vec::new();
        loop {
            let newest = events.last().map_or(EventSeq::default(), |(seq, _)| *seq);
            let more = store.events_after(newest, 10_000).await.unwrap();
            if more.is_empty() {
                break;
            }
            events.extend(more);
        }
        let files: BTreeMap<BlobName, BlobName> =
            self.place.files().into_iter().map(|(name, path)| (name, Place::digest_of(&path))).collect();
        let names: Vec<BlobName> = files.keys().cloned().collect();
        let unreferenced = store.unreferenced(&names).await.unwrap();
        let ready = store.depths().await.unwrap().iter().map(|depth| depth.ready).sum();
        store.close().await;
        End {
            listed,
            tasks,
            events,
            recordings: self.recordings().await,
            downloads,
            named: self.named().await,
            files,
            unreferenced,
            drafts: self.place.drafts(),
            ready,
            deaths: self.deaths,
        }
    }

    async fn recordings(&self) -> Vec<RecordingRow> {
        let text = "SELECT id, task, filename FROM recordings ORDER BY task";
        let rows: Vec<(String, i64, String)> = self.rows(text).await;
        rows.into_iter()
            .map(|(id, task, filename)| RecordingRow {
                id: id.parse().unwrap(),
                task: TaskId(task),
                filename,
            })
            .collect()
    }

    async fn named(&self) -> Vec<BlobRow> {
        let rows: Vec<(i64, String, String)> = self.rows("SELECT task, role, blob FROM task_blobs").await;
        rows.into_iter()
            .map(|(task, role, blob)| BlobRow {
                task: TaskId(task),
                role: Role::parse(&role).unwrap(),
                blob: blob.parse().unwrap(),
            })
            .collect()
    }

    /// The database's own rows, past the store, whether a daemon runs or not.
    pub(crate) async fn rows<T>(&self, text: &'static str) -> Vec<T>
    where
        T: Send + Unpin,
        T: for<'r> sqlx::FromRow<'r, sqlx::sqlite::SqliteRow>,
        T: for<'r> sqlx::FromRow<'r, sqlx::postgres::PgRow>,
    {
        let url = self.place.database_url();
        match self.place.engine() {
            Engine::Sqlite => {
                let mut connection = SqliteConnection::connect(&url).await.unwrap();
                let rows = sqlx::query_as(text).fetch_all(&mut connection).await.unwrap();
                connection.close().await.unwrap();
                rows
            }
            Engine::Postgres => self.postgres_rows(text).await,
        }
    }

    /// The same where only PostgreSQL understands the question.
    pub(crate) async fn postgres_rows<T>(&self, text: &'static str) -> Vec<T>
    where
        T: Send + Unpin + for<'r> sqlx::FromRow<'r, sqlx::postgres::PgRow>,
    {
        let mut connection = PgConnection::connect(&self.place.database_url()).await.unwrap();
        let rows = sqlx::query_as(text).fetch_all(&mut connection).await.unwrap();
        connection.close().await.unwrap();
        rows
    }

    /// Waits until the clients, looking at `task`, see what `wanted` wants.
    pub(crate) async fn see(
        &self,
        task: TaskId,
        mine: bool,
        what: &str,
        wanted: impl Fn(&Seen) -> bool,
    ) -> Seen {
        eventually(what, async || {
            let answer = self.clients.get(&format!("/tasks/{task}"), mine).send().await.ok()?;
            let task: Value = answer.error_for_status().ok()?.json().await.ok()?;
            Some(seen(&task)).filter(&wanted)
        })
        .await
    }
}

/// The MP3 of a WAV, as the library makes it.
pub(crate) fn mp3_of(wav: Wav) -> Vec<u8> {
    static MADE: LazyLock<Mutex<HashMap<Wav, Vec<u8>>>> = LazyLock::new(Mutex::default);
    if let Some(made) = MADE.lock().unwrap().get(&wav) {
        return made.clone();
    }
    let input = WavReader::open(Cursor::new(wav.bytes())).unwrap();
    let mut output = Cursor::new(Vec::new());
    mp3::transcode(input, &mut output, &Mp3Settings::default(), &Cancel::new(), &mut |_| {}).unwrap();
    let made = output.into_inner();
    MADE.lock().unwrap().insert(wav, made.clone());
    made
}
