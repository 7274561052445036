//! Starts a daemon for a test: everything that the HTTP interface stands on, at its smallest.
//!
//! [`start`] is the one place that knows how the parts are put together; a test sees a [`Daemon`].

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::ServerHandle;
use gristmill::account::{self, Caller, UserChange};
use gristmill::actors::desk::StoreDesk;
use gristmill::blob::Blobs;
use gristmill::broker::DeadQueue;
use gristmill::clock::Clock;
use gristmill::config::{BlobUrl, LoadOptions, Settings};
use gristmill::http;
use gristmill::imaging::Imaging;
use gristmill::intake::{Arrivals, Intake, Limits, Most, Openings, Pictures, Policy, Waiting};
use gristmill::kinds::{Registry, RunError};
use gristmill::media::Cancel;
use gristmill::outbound;
use gristmill::store::{
    Claim, Command, Inbound, Lanes, Registration, Reply, SqliteStore, Store, WriteError, Writer, channel,
};
use gristmill::task::{Attachment, Backoff, Failure, FailureReason, NodeId, Outcome, Role, Task, UserId};
use gristmill::telemetry::metrics::{self, Disk, DiskMetrics, HttpMetrics};
use gristmill::telemetry::space::Space;
use gristmill::telemetry::{ActionLog, Health, Phase};
use gristmill::telling::Feed;
use gristmill::tidy::{Hand, Place, Retention, Tidy};
use tempfile::TempDir;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::kinds::{BrokenTranscode, Failing};
use crate::store::FaultyStore;

/// How long a statement may take.
const STATEMENT_TIMEOUT: Duration = Duration::from_secs(30);

/// How a test wants its daemon.
#[derive(Default)]
pub(crate) struct Wishes {
    /// Settings, as in the environment: `http.max_wait_s` and so on.
    pub(crate) settings: Vec<(&'static str, &'static str)>,
    /// Places in the lane of requests; many unless said.
    pub(crate) lane: Option<usize>,
    /// The converter fails.
    pub(crate) broken_transcode: bool,
    /// Nobody works on tasks until [`Daemon::work`] says so.
    pub(crate) idle: bool,
    /// The dead queue that its pages show; none unless said.
    pub(crate) dead: Option<DeadQueue>,
    /// Its board; one of its own unless said.
    pub(crate) health: Health,
    /// The token of whoever runs it; none unless said.
    pub(crate) operator: Option<http::Operator>,
    /// The folder of a daemon that was stopped; a new one unless said.
    pub(crate) folder: Option<Arc<TempDir>>,
}

/// What the in-test tracker does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tracker {
    /// Writes, and works on what is ready.
    Working,
    /// Writes only.
    Writing,
    /// Takes nothing out of its lane.
    Paused,
    /// Has ended.
    Ended,
}

/// A running daemon. Stops when dropped.
pub(crate) struct Daemon {
    pub(crate) address: SocketAddr,
    pub(crate) client: reqwest::Client,
    pub(crate) store: Arc<FaultyStore>,
    pub(crate) blobs: Blobs,
    pub(crate) health: Health,
    pub(crate) draining: CancellationToken,
    pub(crate) openings: Openings,
    pub(crate) actions: ActionLog,
    pub(crate) folder: Arc<TempDir>,
    tracker: watch::Sender<Tracker>,
    writer: Writer,
    server: ServerHandle,
}

/// Starts a daemon.
pub(crate) async fn start(wishes: Wishes) -> Daemon {
    // First, since whatever counts looks for it when it is made.
    let recorder = metrics::install().unwrap();
    let folder = wishes.folder.clone().unwrap_or_else(|| Arc::new(tempfile::tempdir().unwrap()));
    let settings = settings(&wishes, &folder);
    let blobs = match settings.blobs.url {
        BlobUrl::File { .. } => Blobs::open(&folder.path().join("blobs"), "seat"),
        BlobUrl::Bucket { .. } => Blobs::configured(&settings.blobs, folder.path(), "seat", Clock::system()),
    }
    .unwrap();
    let (writer, lanes) = channel(wishes.lane.unwrap_or(10_000), 100);
    let (arrivals, openings) = (Arrivals::default(), Openings::default());
    let imaging = Imaging::new(&settings.images).unwrap();
    let mut kinds = Registry::configured(&settings, &imaging).with(Failing);
    if wishes.broken_transcode {
        kinds = kinds.with(BrokenTranscode);
    }
    let kinds = Arc::new(kinds);
    let clock = Clock::system();
    let real =
        SqliteStore::open(&folder.path().join("gristmill.db"), 4, STATEMENT_TIMEOUT, clock).await.unwrap();
    let real = real.with_outside(kinds.outside().iter().cloned()).await.unwrap();
    let store = FaultyStore::new(real);
    let disks = [Disk::Database, Disk::Files].map(|disk| (disk, folder.path().to_owned()));
    let space = Space::watching(disks.into(), settings.storage.min_free_bytes.bytes(), 0);
    let waiting = Waiting::new(Most::of(&settings.tasks));
    space.look(None, &DiskMetrics::new());
    let policy = Policy {
        anonymous: settings.auth.anonymous,
        max_attempts: 3,
        keep_original: settings.records.keep_original,
        lease: settings.tasks.lease,
        manual_lease: Some(settings.tasks.manual_lease).filter(|lease| !lease.is_zero()),
        backoff: Backoff::default(),
        callbacks: outbound::Policy::public(),
        limits: Limits { space, waiting: waiting.clone() },
    };
    let max_bytes = settings.images.max_bytes;
    let quota = http::image_quota(&settings.images);
    let pictures = Pictures { imaging: imaging.clone(), blobs: blobs.clone(), max_bytes, quota };
    let (to, heard, free) = (writer.clone(), arrivals.clone(), openings.clone());
    let intake = Intake::new(to, store.clone(), kinds.clone(), heard, free, pictures, policy);
    let health = wishes.health.clone();
    health.set_phase(Phase::Ready);
    let actions = ActionLog::open(&settings.log).unwrap();
    let draining = CancellationToken::new();
    let state = http::State {
        feed: Feed::new(store.clone()),
        listeners: Arc::default(),
        only_health: false,
        intake,
        store: store.clone(),
        blobs: blobs.clone(),
        imaging,
        hot: http::HotImages::new(&settings.images),
        tidy: Tidy {
            store: store.clone(),
            blobs: blobs.clone(),
            hand: Hand::Writer(writer.clone()),
            retention: Arc::new(Retention::of(&settings.tasks, kinds.iter().map(|(kind, _)| kind))),
            grace: settings.blobs.sweep_grace,
            watch: Clock::system().watch(),
            place: Place::default(),
        },
        backstage: http::Backstage::new(wishes.dead.clone(), folder.path().to_owned()),
        health: health.clone(),
        metrics: recorder,
        http_metrics: HttpMetrics::new(),
        actions: actions.clone(),
        traces: gristmill::telemetry::traces::Traces::default(),
        http: settings.http.clone(),
        records: settings.records.clone(),
        images: settings.images.clone(),
        reports: settings.reports.clone(),
        auth: settings.auth.clone(),
        operator: wishes.operator.clone(),
        draining: draining.clone(),
        closing: http::Closing::default(),
    };

    let node = NodeId::fresh();
    let seat = "seat".to_owned();
    let registration = Registration {
        node,
        seat,
        name: "test".to_owned(),
        lease: Duration::from_secs(3600),
        predecessor: None,
    };
    store.register(&registration).await.unwrap();
    let (tracker, told) = watch::channel(if wishes.idle { Tracker::Writing } else { Tracker::Working });
    let engine = Engine {
        store: store.clone(),
        blobs: blobs.clone(),
        kinds,
        arrivals,
        openings: openings.clone(),
        waiting,
        writer: writer.clone(),
        node,
    };
    tokio::spawn(engine.run(lanes, told));

    let (address, server) = serve(state);
    let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    Daemon {
        address,
        client,
        store,
        blobs,
        health,
        draining,
        openings,
        actions,
        folder,
        tracker,
        writer,
        server,
    }
}

fn settings(wishes: &Wishes, folder: &TempDir) -> Settings {
    let mut env: BTreeMap<OsString, OsString> = BTreeMap::new();
    env.insert("GRISTMILL__LOG__FILE".into(), folder.path().join("app.log").into());
    env.insert("GRISTMILL__IMAGES__CACHE_DIR".into(), folder.path().join("variants").into());
    // As cheap as can be: a test that is about the price says so.
    env.insert("GRISTMILL__AUTH__ARGON2_MEMORY_KIB".into(), "8".into());
    env.insert("GRISTMILL__AUTH__ARGON2_PASSES".into(), "1".into());
    for (key, value) in &wishes.settings {
        let name = format!("GRISTMILL__{}", key.to_uppercase().replace('.', "__"));
        env.insert(name.into(), value.into());
    }
    let options = LoadOptions { files: Vec::new(), directory: "no such folder".into(), env };
    Settings::load(options).unwrap_or_else(|error| panic!("{error}")).settings
}

/// The server on a free port, on a thread of its own.
fn serve(state: http::State) -> (SocketAddr, ServerHandle) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (tell, told) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        actix_rt::System::new().block_on(async move {
            let server = http::server(state, listener, 2, Duration::from_secs(1)).unwrap();
            tell.send(server.handle()).unwrap();
            server.await.unwrap();
        });
    });
    (address, told.recv().unwrap())
}

impl Daemon {
    /// Tells the tracker what to do.
    pub(crate) fn tracker(&self, what: Tracker) {
        self.tracker.send_replace(what);
    }

    /// Lets tasks be worked on.
    pub(crate) fn work(&self) {
        self.tracker(Tracker::Working);
    }

    /// Stops the daemon for good; gives the folder, in which another may be started.
    pub(crate) async fn stop(self) -> Arc<TempDir> {
        self.tracker(Tracker::Ended);
        self.server.stop(true).await;
        self.store.close().await;
        Arc::clone(&self.folder)
    }

    /// Makes somebody an admin, as whoever can read the data folder may.
    pub(crate) async fn promote(&self, user: i64) {
        let change = UserChange { role: Some(account::Role::Admin), ..UserChange::default() };
        let made = self.writer.change_user(UserId(user), Caller::Admin(None), change, None, None).await;
        assert!(matches!(made, Ok(gristmill::store::Once::Now(Ok(_)))), "{made:?}");
    }

    /// Frees what was held for longer than its lease, as the janitor does.
    pub(crate) async fn rescue(&self) {
        self.writer.rescue(1000, None, Backoff::default()).await.unwrap();
    }

    /// The file whose bytes have that ETag.
    pub(crate) fn file_of(&self, etag: &str) -> PathBuf {
        let name = etag.trim_matches('"');
        self.folder.path().join("blobs").join(&name[..2]).join(&name[2..])
    }

    /// What the action log holds.
    pub(crate) fn action_lines(&self) -> String {
        assert!(self.actions.flush(Duration::from_secs(10)));
        std::fs::read_to_string(self.folder.path().join("app.log")).unwrap()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // The order is on its way when this returns; nobody waits for the end.
        drop(self.server.stop(false));
    }
}

/// The tracker and the runners in one: what `actors` does, as small as a test needs it.
struct Engine {
    store: Arc<FaultyStore>,
    blobs: Blobs,
    kinds: Arc<Registry>,
    arrivals: Arrivals,
    openings: Openings,
    waiting: Waiting,
    writer: Writer,
    node: NodeId,
}

impl Engine {
    async fn run(self, mut lanes: Lanes, mut told: watch::Receiver<Tracker>) {
        loop {
            let now = *told.borrow_and_update();
            match now {
                Tracker::Ended => return,
                Tracker::Paused => told.changed().await.unwrap(),
                Tracker::Working => {
                    self.claim().await;
                    tokio::select! {
                        Some(group) = lanes.group(1000) => self.commit(group).await,
                        Ok(()) = told.changed() => {}
                        else => return,
                    }
                }
                Tracker::Writing => tokio::select! {
                    Some(group) = lanes.group(1000) => self.commit(group).await,
                    Ok(()) = told.changed() => {}
                    else => return,
                },
            }
        }
    }

    async fn commit(&self, group: Vec<Inbound>) {
        let (commands, answers): (Vec<_>, Vec<_>) = group.into_iter().map(Inbound::into_parts).unzip();
        match self.store.commit(&commands).await {
            Ok(committed) => {
                self.arrivals.tell(&committed.events);
                self.openings.tell(&committed.events);
                self.waiting.tell(&committed.events);
                for (answer, reply) in answers.into_iter().zip(committed.replies) {
                    answer.give(reply.map_err(|error| WriteError::Store(Arc::new(error))));
                }
            }
            Err(error) => {
                let error = Arc::new(error);
                for answer in answers {
                    answer.give(Err(WriteError::Store(error.clone())));
                }
            }
        }
    }

    async fn claim(&self) {
        let want = self.kinds.iter().map(|(kind, _)| (kind.clone(), 10)).collect();
        let claim =
            Claim { node: self.node, want, known: Vec::new(), look: true, promote: true, suspect: false };
        let Ok(committed) = self.store.commit(&[Command::Claim(claim)]).await else { return };
        self.arrivals.tell(&committed.events);
        self.openings.tell(&committed.events);
        self.waiting.tell(&committed.events);
        for reply in committed.replies {
            if let Ok(Reply::Claimed(claimed)) = reply {
                for task in claimed.tasks {
                    tokio::spawn(self.work(task));
                }
            }
        }
    }

    fn work(&self, task: Task) -> impl Future<Output = ()> + use<> {
        let (id, attempt) = (task.life.id, task.life.attempt);
        let (progress, _) = watch::channel(None);
        let run = gristmill::kinds::Run::new(
            id,
            attempt,
            Cancel::new(),
            self.blobs.clone(),
            Arc::new(StoreDesk::new(self.store.clone())),
            progress,
            Arc::new(()),
        );
        let work = self.kinds.get(&task.life.kind).unwrap().clone();
        let writer = self.writer.clone();
        async move {
            let done = work.run(task.payload, run).await;
            // Held until the outcome is written down.
            let (outcome, image, _pin) = match done {
                Ok(done) => {
                    let output = done.output.as_ref().map(|kept| Attachment {
                        role: Role::Output,
                        blob: kept.name.clone(),
                        bytes: kept.bytes,
                    });
                    let (result, drop_input) = (done.result, done.drop_input);
                    (Outcome::Completed { result, output, drop_input }, done.image, done.output)
                }
                Err(RunError::Error(story)) => {
                    (Outcome::Failed(Failure::new(FailureReason::Error, story)), None, None)
                }
                Err(RunError::Upstream { late, story }) => {
                    let reason = if late { FailureReason::UpstreamTimeout } else { FailureReason::Upstream };
                    (Outcome::Failed(Failure::new(reason, story)), None, None)
                }
                Err(RunError::InvalidInput(story)) => {
                    (Outcome::Failed(Failure::new(FailureReason::InvalidInput, story)), None, None)
                }
                Err(RunError::Cancelled) => (Outcome::Interrupted, None, None),
            };
            // The daemon may be gone by now.
            let _ = writer.settle(id, attempt, outcome, Backoff::default(), image).await;
        }
    }
}
