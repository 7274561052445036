//! The composition root: builds everything, downstream first, and takes it down in order.
//!
//! Start: the seat (a lock on the data folder), the database and its migrations, the blob store, the listener;
//! then the actors; then the lease; ready once the node holds it and every actor is up.
//!
//! Drain: not ready any more; nothing new is claimed; waiting callers are answered, each answer closes its connection; runs
//! finish, or after the grace are stopped and given back; their outcomes are written down; the HTTP server accepts no more,
//! and shuts once nobody asks; the lease is given back; the pools are closed. A crash leaves the same states behind, only later.

mod attendant;
mod error;
mod handed;
mod open;
mod operator;
mod pulse;
mod reload;
mod seat;
mod wiring;

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use actix::Actor;
use actix_rt::Arbiter;
use tokio::sync::watch;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

pub use self::attendant::{Attendant, Starting};
pub use self::error::StartError;
pub use self::handed::{Handed, HandedError};
pub use self::open::{open_archive, open_backups, open_blobs, open_imaging, open_store, schema_of};
pub use self::operator::Operator;
use self::pulse::Pulse;
pub use self::reload::{Reload, Reloaded};
pub use self::seat::Seat;
use self::wiring::Wiring;
use crate::account::Token;
use crate::actors::demand::Demand;
use crate::actors::exporter::Exporter;
use crate::actors::ingress::{Ingress, Refrain, Shut};
use crate::actors::janitor::Rescue;
use crate::actors::keeper::{self, Keep, Keeper, Lease};
use crate::actors::runs::{Runs, Stop};
use crate::actors::supervisor::{Drain, Link, Patience, Supervisor};
use crate::actors::tally::Tally;
use crate::actors::{hints, janitor, relay, tracker, warden};
use crate::blob::Blobs;
use crate::broker::Broker;
use crate::clock::Clock;
use crate::config::{Role, Settings};
use crate::failpoint::{self, Failpoint};
use crate::http;
use crate::imaging::Imaging;
use crate::intake::{Arrivals, Most, Openings, Waiting};
use crate::kinds::Registry;
use crate::store::{self, Store, StoreError};
use crate::telemetry::ActionLog;
use crate::telemetry::health::{Health, Importance, Phase};
use crate::telemetry::metrics::{self, DiskMetrics};
use crate::telemetry::traces::Traces;
use crate::telling::{Bell, Feed};

/// The running daemon.
pub struct App {
    address: SocketAddr,
    health: Health,
    demand: Demand,
    runs: Runs,
    draining: CancellationToken,
    closing: CancellationToken,
    /// Cancelled once the inbox has carried out what it held; `None` where there is no inbox.
    inbox: Option<CancellationToken>,
    doors: http::Closing,
    supervisor: actix::Addr<Supervisor>,
    ingress: Link<Ingress>,
    keeper: Keeper,
    store: Arc<dyn Store>,
    broker: Option<Broker>,
    feed: Feed,
    tally: Tally,
    actions: ActionLog,
    exporter: Option<Exporter>,
    grace: Duration,
    gave_up: watch::Receiver<Option<String>>,
    pulse: Pulse,
    engine: Arbiter,
    /// Goes before the seat: the next process writes its own.
    _operator: Option<operator::Written>,
    _seat: Seat,
}

/// How long the start waits to hear from the blob store. What comes later, the janitor sees: a daemon starts without
/// its bucket, and is ready once that answers.
const BLOB_PATIENCE: Duration = Duration::from_secs(2);

/// Puts on the board how the blob store is.
async fn look_at_blobs(blobs: &Blobs, health: &Health, clock: &Clock) {
    health.register(janitor::BLOBS, Importance::Required);
    let blobs = blobs.clone();
    let probe = tokio::task::spawn_blocking(move || blobs.probe());
    let why = match timeout(BLOB_PATIENCE, probe).await {
        Ok(Ok(Ok(()))) => return health.up(janitor::BLOBS),
        Ok(Ok(Err(error))) => error.to_string(),
        Ok(Err(error)) => format!("the probe ended early: {error}"),
        Err(_) => "no answer yet".to_owned(),
    };
    tracing::warn!(error = why, "the blob store cannot be used");
    health.down(janitor::BLOBS, clock.utc(), why);
}

/// How long the start waits for a database that another process has, as `gristmill gc` or `user` do for a moment.
const LOCK_PATIENCE: Duration = Duration::from_secs(5);

/// Opens the database, once whoever has it for a moment has let it go.
async fn open_freed(
    settings: &Settings,
    kinds: &Registry,
    clock: &Clock,
) -> Result<Arc<dyn Store>, StoreError> {
    let begun = Instant::now();
    loop {
        match open_store(settings, kinds.outside(), clock.clone()).await {
            Err(StoreError::InUse { .. }) if begun.elapsed() < LOCK_PATIENCE => {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            opened => return opened,
        }
    }
}

/// Says that this is not where the rows are, if they were moved: what is done from now on is done in the wrong place, unless
/// somebody means to go back.
async fn warn_of_a_move(store: &dyn Store) -> Result<(), StoreError> {
    if let Some(at) = store.moved_away().await? {
        tracing::warn!(
            %at,
            "the rows of this database were moved to another by gristmill migrate --to, and what happens here from now on, that \
             one does not know: set database.url to the other. No blobs are removed meanwhile; docs/backups.md has the way back"
        );
    }
    Ok(())
}

/// How the grace of a drain is divided: runs finish; those that did not are given back; callers get their answers.
const RUNS_SHARE: f64 = 0.7;
const RETURN_SHARE: f64 = 0.1;
const HTTP_SHARE: f64 = 0.2;

/// The least that giving back has, however short the grace.
const RETURN_LEAST: Duration = Duration::from_secs(2);

/// How long the pools may take to close at the end of a drain: everything is written down by then.
const CLOSE_PATIENCE: Duration = Duration::from_secs(1);

impl App {
    /// Starts the daemon with the kinds that `kinds` gives, which work on images in the room that they are shown; it is
    /// ready when this returns. To be called on an actix system whose runtime has threads of its own for the runs.
    ///
    /// # Errors
    /// [`StartError`], as [`App::start_on`].
    pub async fn start(
        settings: Settings,
        kinds: impl FnOnce(&Settings, &Imaging) -> Registry,
    ) -> Result<Self, StartError> {
        Self::start_handed(settings, kinds, None).await
    }

    /// As [`App::start`], listening on the socket that was handed over, if one was. `http.bind` is to say where that is.
    ///
    /// # Errors
    /// As [`App::start`].
    pub async fn start_handed(
        settings: Settings,
        kinds: impl FnOnce(&Settings, &Imaging) -> Registry,
        handed: Option<Handed>,
    ) -> Result<Self, StartError> {
        // Taken before anything is opened: whoever comes second has changed nothing.
        let seat = Seat::take(settings.data_dir())?;
        let clock = Clock::system();
        let imaging = open_imaging(&settings)?;
        let kinds = kinds(&settings, &imaging);
        let store = open_freed(&settings, &kinds, &clock).await?;
        warn_of_a_move(&*store).await?;
        Self::start_with(settings, (kinds, imaging), store, clock, seat, handed).await
    }

    /// Starts the daemon on a store that is open already.
    ///
    /// # Errors
    /// [`StartError`]. When it is [`StartError::Thread`] the actors are running already, and only the end of the
    /// process ends them; otherwise nothing is left running.
    pub async fn start_on(
        settings: Settings,
        kinds: (Registry, Imaging),
        store: Arc<dyn Store>,
        clock: Clock,
        seat: Seat,
    ) -> Result<Self, StartError> {
        Self::start_with(settings, kinds, store, clock, seat, None).await
    }

    async fn start_with(
        settings: Settings,
        (kinds, imaging): (Registry, Imaging),
        store: Arc<dyn Store>,
        clock: Clock,
        seat: Seat,
        handed: Option<Handed>,
    ) -> Result<Self, StartError> {
        let recorder = metrics::install()?;
        let health = Health::new();
        let blobs = open_blobs(&settings, seat.name(), clock.clone())?;
        let actions = ActionLog::open(&settings.log)?;
        let listener = match handed {
            Some(handed) => handed.listener,
            None => listen(settings.http.bind)?,
        };
        let address = listener.local_addr().map_err(|source| bind_error(settings.http.bind, source))?;

        let token = Token::fresh();
        // Without it, who runs the daemon has no way to it past logins; on a full disk, say. The daemon has its work all the same.
        let written = operator::Written::new(settings.data_dir(), address, &token)
            .inspect_err(|error| tracing::warn!(%error, "the operator's token cannot be written"))
            .ok();

        let roles = &settings.general.roles;
        let kinds = Arc::new(if roles.has(Role::Worker) { kinds } else { kinds.without_permits() });
        if settings.broker.url.is_some() {
            // Before anything happens here: the first events of a new installation are told too.
            store.begin_relay(relay::DUTY).await?;
        }
        let broker = Broker::start(&settings.broker, health.clone(), clock.clone())?;
        look_at_blobs(&blobs, &health, &clock).await;
        let (traces, ended) = Traces::new(&settings.tracing, &node_name());
        let exporter = match ended {
            Some(ended) => Exporter::new(&settings.tracing, ended).map_err(StartError::Collector)?,
            None => None,
        };
        let (draining, closing) = (CancellationToken::new(), CancellationToken::new());
        let feed = Feed::new(Arc::clone(&store));
        let (lease, runs, arrivals) = (Lease::default(), Runs::default(), Arrivals::default());
        let demand = Demand::new(&kinds, lease.clone());
        // An outcome lane with room for every permit: no run waits to say how it ended.
        let permits = kinds.iter().map(|(_, total)| total as usize).sum::<usize>();
        // One more for the probe of the watchdog.
        let (writer, lanes) = store::channel(settings.tasks.queue, permits.max(64) + 1);
        let wiring = Wiring {
            waiting: Waiting::new(Most::of(&settings.tasks)),
            metrics: tracker::Metrics::new(&kinds),
            hints: hints::Hints::new(Arc::clone(&kinds)),
            kinds,
            broker: broker.clone(),
            feed: feed.clone(),
            bell: Bell::default(),
            draining: draining.clone(),
            closing: closing.clone(),
            clock: clock.clone(),
            health: health.clone(),
            store: Arc::clone(&store),
            backups: open_backups(&settings, blobs.clone(), clock.clone(), None)?,
            blobs,
            imaging,
            writer,
            demand: demand.clone(),
            lease: lease.clone(),
            runs: runs.clone(),
            arrivals,
            openings: Openings::default(),
            doors: http::Closing::default(),
            operator: http::Operator::new(&token, address),
            recorder,
            settings,
            tally: Tally::default(),
            traces,
            exporter: exporter.clone(),
        };
        // Before anybody is let in; from then on the warden looks.
        let space = wiring.imaging.space();
        space.look(warden::free_inside(space, &*wiring.store).await, &DiskMetrics::new());
        health.register(warden::COMPONENT, Importance::Optional);
        health.up(warden::COMPONENT);
        health.register(tracker::DATABASE, Importance::Required);
        health.register(keeper::COMPONENT, Importance::Required);

        let engine = Arbiter::new();
        let (ingress, janitor) = (Link::default(), Link::default());
        let intake = wiring.intake();
        let make_server = wiring.server(listener, &intake, &actions);
        let mut family = wiring.family(lanes, &engine, ingress.clone(), janitor.clone(), make_server);
        let inbox = wiring.tellers(&mut family, &engine, &intake)?;
        let patience = Patience {
            max_restarts: wiring.settings.supervisor.max_restarts as usize,
            window: wiring.settings.supervisor.window,
        };
        let (gave_up_in, gave_up) = watch::channel(None);
        let supervisor =
            Supervisor::new(family, patience, health.clone(), clock.clone(), gave_up_in.clone()).start();

        let (held_in, mut held) = watch::channel(false);
        let on_hold = {
            let demand = demand.clone();
            Box::new(move || {
                demand.look_everywhere();
                // What the former holder of our seat ran is free from now on. A janitor that is not there yet
                // looks when it comes.
                janitor.tell(Rescue);
                held_in.send_replace(true);
            })
        };
        let keeper = Keeper::start(Keep {
            store: Arc::clone(&store),
            lease,
            runs: runs.clone(),
            seat: seat.name().to_owned(),
            name: node_name(),
            duration: wiring.settings.tasks.lease,
            health: health.clone(),
            clock,
            on_hold,
            on_end: Box::new(move || {
                gave_up_in.send_replace(Some("the keeper of the lease panicked".to_owned()));
            }),
        })
        .map_err(StartError::Thread)?;
        // The keeper tries for as long as it takes; the sender lives as long as it does.
        if held.wait_for(|held| *held).await.is_err() {
            return Err(StartError::Thread(std::io::Error::other("the keeper of the lease ended")));
        }
        health.up(tracker::DATABASE);
        health.set_phase(Phase::Ready);
        let pulse = Pulse {
            supervisor: supervisor.clone(),
            writer: wiring.writer.clone(),
            store: Arc::clone(&store),
            settings: Arc::new(wiring.settings.clone()),
        };
        Ok(Self {
            address,
            health,
            demand,
            runs,
            draining,
            closing,
            inbox,
            doors: wiring.doors.clone(),
            supervisor,
            ingress,
            keeper,
            store,
            broker,
            feed,
            tally: wiring.tally.clone(),
            actions,
            exporter,
            grace: wiring.settings.shutdown.grace,
            gave_up,
            pulse,
            engine,
            _operator: written,
            _seat: seat,
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The health board.
    #[must_use]
    pub fn health(&self) -> &Health {
        &self.health
    }

    /// Resolves when an actor was given up, with the reason: the daemon should drain and end with an error.
    pub async fn gave_up(&self) -> String {
        let mut gave_up = self.gave_up.clone();
        match gave_up.wait_for(Option::is_some).await.map(|reason| reason.clone()) {
            Ok(Some(reason)) => reason,
            Ok(None) | Err(_) => "the supervisor itself ended".to_owned(),
        }
    }

    /// Who does not answer, of the actors and the database, in words; asked for about this long, and at most twice as long.
    /// `None` when all do, or when a new process would not change it.
    pub async fn silence(&self, patience: Duration) -> Option<String> {
        self.pulse.look(patience).await.err().map(|silence| silence.to_string())
    }

    /// Opens the action log anew, after somebody moved its file away.
    pub fn reopen_logs(&self) {
        self.actions.reopen();
    }

    /// What makes a drain that is under way give back at once what still runs.
    pub fn hurry(&self) -> impl Fn() + Send + 'static {
        let runs = self.runs.clone();
        move || runs.stop_all(Stop::Interrupted)
    }

    /// Takes the daemon down in order.
    pub async fn drain(self) {
        tracing::info!(runs = self.runs.count(), grace = ?self.grace, "draining");
        self.health.set_phase(Phase::Draining);
        self.demand.close();
        failpoint::hit(Failpoint::DrainBegun);
        self.draining.cancel();
        self.doors.begin();
        self.feed.close();
        if !self.runs_end_within(self.grace.mul_f64(RUNS_SHARE)).await {
            tracing::warn!(runs = self.runs.count(), "time is up: what still runs is given back");
            self.runs.stop_all(Stop::Interrupted);
            // A run has a moment to stop by itself; its outcome must still be written down.
            self.runs_end_within(self.grace.mul_f64(RETURN_SHARE).max(RETURN_LEAST)).await;
        }
        if let Some(inbox) = &self.inbox
            && timeout(self.grace.mul_f64(HTTP_SHARE).max(RETURN_LEAST), inbox.cancelled()).await.is_err()
        {
            tracing::warn!(
                "messages that were taken from the broker could not be carried out: they come again"
            );
        }
        // From here on actors end as they should; until here one that dies is started again, the tracker above all.
        self.supervisor.do_send(Drain);
        // Connections that come now wait for the next process; those that are here get to ask.
        self.ingress.ask(Refrain).await;
        self.doors.quiet(self.grace.mul_f64(HTTP_SHARE)).await;
        if self.ingress.ask(Shut).await.is_none() {
            tracing::warn!("the HTTP server had ended already");
        }
        if let Some(broker) = &self.broker {
            broker.close().await;
        }
        // What could not be given back by itself is, with the lease.
        self.keeper.retire().await;
        self.closing.cancel();
        // What was counted since the scribe wrote last; a statistic, for which nobody waits long.
        if !matches!(timeout(CLOSE_PATIENCE, self.tally.write(&*self.store)).await, Ok(Ok(()))) {
            tracing::warn!("the last counts for charts could not be written");
        }
        if let Some(exporter) = &self.exporter {
            exporter.flush(CLOSE_PATIENCE * 2).await;
        }
        match timeout(CLOSE_PATIENCE, self.store.close()).await {
            Ok(()) => {
                self.engine.stop();
            }
            // A read is still under way on the engine's thread, and sqlx panics when it is dropped with its runtime:
            // both end with the process.
            Err(_) => {
                tracing::warn!("the database did not let go in time; its connections end with the process")
            }
        }
        self.actions.flush(Duration::from_secs(1));
        tracing::info!("drained");
    }

    async fn runs_end_within(&self, grace: Duration) -> bool {
        let deadline = Instant::now() + grace;
        while self.runs.count() > 0 {
            if Instant::now() >= deadline {
                return false;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        true
    }
}

fn listen(bind: SocketAddr) -> Result<TcpListener, StartError> {
    TcpListener::bind(bind).map_err(|source| bind_error(bind, source))
}

fn bind_error(bind: SocketAddr, source: std::io::Error) -> StartError {
    StartError::Bind { bind, source }
}

/// The name of this machine.
fn host_name() -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let host = host.trim();
    if host.is_empty() { "host".to_owned() } else { host.to_owned() }
}

/// Host and process, for people who look at the table of nodes.
fn node_name() -> String {
    format!("{}:{}", host_name(), std::process::id())
}
