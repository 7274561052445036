//! How the parts hang together: the door, the server's factory, and every actor with what it works with.
//!
//! Called once by the composition root. Nothing here runs by itself: what is made here is started by the supervisor.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use actix_rt::Arbiter;
use tokio::runtime::Handle;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{HTTP_SHARE, StartError};
use crate::actors::demand::Demand;
use crate::actors::desk::StoreDesk;
use crate::actors::exporter::{Exporter, Shipper};
use crate::actors::ingress::{Ingress, MakeServer};
use crate::actors::janitor::Janitor;
use crate::actors::keeper::Lease;
use crate::actors::runner::Runner;
use crate::actors::runs::Runs;
use crate::actors::supervisor::{Family, Link};
use crate::actors::tally::Tally;
use crate::actors::{
    Bench, callbacks, dispatcher, hints, inbox, janitor, notifier, relay, runner, scribe, tracker, warden,
};
use crate::backup::Backups;
use crate::blob::Blobs;
use crate::broker::{Broker, DeadQueue};
use crate::clock::Clock;
use crate::config::{Role, Settings};
use crate::http;
use crate::imaging::Imaging;
use crate::intake::{Arrivals, Intake, Limits, Openings, Pictures, Policy, Waiting};
use crate::kinds::Registry;
use crate::kinds::desk::Desk;
use crate::outbound;
use crate::store::{self, Store};
use crate::task::{Backoff, Kind};
use crate::telemetry::health::{Health, Importance};
use crate::telemetry::metrics::{
    self, BackupMetrics, DiskMetrics, HttpMetrics, InboxMetrics, TellingMetrics,
};
use crate::telemetry::traces::Traces;
use crate::telemetry::{ActionLog, MetricsHandle};
use crate::telling::{Bell, Feed};
use crate::tidy::{Hand, Place, Retention, Tidy};

/// What the parts share.
pub(super) struct Wiring {
    pub(super) settings: Settings,
    pub(super) kinds: Arc<Registry>,
    pub(super) clock: Clock,
    pub(super) health: Health,
    pub(super) store: Arc<dyn Store>,
    pub(super) blobs: Blobs,
    pub(super) backups: Backups,
    pub(super) imaging: Imaging,
    pub(super) writer: store::Writer,
    pub(super) demand: Demand,
    pub(super) lease: Lease,
    pub(super) runs: Runs,
    pub(super) arrivals: Arrivals,
    pub(super) openings: Openings,
    pub(super) broker: Option<Broker>,
    pub(super) feed: Feed,
    pub(super) bell: Bell,
    pub(super) hints: hints::Hints,
    pub(super) draining: CancellationToken,
    pub(super) closing: CancellationToken,
    pub(super) doors: http::Closing,
    pub(super) operator: http::Operator,
    pub(super) recorder: MetricsHandle,
    pub(super) metrics: tracker::Metrics,
    pub(super) tally: Tally,
    pub(super) traces: Traces,
    pub(super) exporter: Option<Exporter>,
    pub(super) waiting: Waiting,
}

impl Wiring {
    /// The door.
    pub(super) fn intake(&self) -> Intake {
        let tasks = &self.settings.tasks;
        let policy = Policy {
            anonymous: self.settings.auth.anonymous,
            max_attempts: tasks.max_attempts,
            keep_original: self.settings.records.keep_original,
            lease: tasks.lease,
            manual_lease: Some(tasks.manual_lease).filter(|lease| !lease.is_zero()),
            backoff: Backoff { base: tasks.retry_base, cap: tasks.retry_cap },
            callbacks: outbound::Policy::from(&self.settings.webhooks),
            limits: Limits { space: self.imaging.space().clone(), waiting: self.waiting.clone() },
        };
        Intake::new(
            self.writer.clone(),
            Arc::clone(&self.store),
            Arc::clone(&self.kinds),
            self.arrivals.clone(),
            self.openings.clone(),
            Pictures {
                imaging: self.imaging.clone(),
                blobs: self.blobs.clone(),
                max_bytes: self.settings.images.max_bytes,
                quota: http::image_quota(&self.settings.images),
            },
            policy,
        )
    }

    /// Who removes what need not be here.
    pub(super) fn tidy(&self) -> Tidy {
        Tidy {
            store: Arc::clone(&self.store),
            blobs: self.blobs.clone(),
            hand: Hand::Writer(self.writer.clone()),
            retention: Arc::new(Retention::of(
                &self.settings.tasks,
                self.kinds.iter().map(|(kind, _)| kind).chain(self.kinds.outside()),
            )),
            grace: self.settings.blobs.sweep_grace,
            watch: self.clock.watch(),
            place: Place::default(),
        }
    }

    /// The factory of the HTTP server.
    pub(super) fn server(&self, listener: TcpListener, intake: &Intake, actions: &ActionLog) -> MakeServer {
        let state = http::State {
            intake: intake.clone(),
            feed: self.feed.clone(),
            listeners: Arc::default(),
            only_health: !self.settings.general.roles.has(Role::Http),
            store: Arc::clone(&self.store),
            blobs: self.blobs.clone(),
            imaging: self.imaging.clone(),
            hot: http::HotImages::new(&self.settings.images),
            tidy: self.tidy(),
            backstage: http::Backstage::new(
                self.broker.clone().map(|broker| DeadQueue::new(broker, &self.settings.broker.queue)),
                self.settings.data_dir().to_owned(),
            ),
            health: self.health.clone(),
            metrics: self.recorder.clone(),
            http_metrics: HttpMetrics::new(),
            actions: actions.clone(),
            traces: self.traces.clone(),
            http: self.settings.http.clone(),
            records: self.settings.records.clone(),
            images: self.settings.images.clone(),
            reports: self.settings.reports.clone(),
            auth: self.settings.auth.clone(),
            operator: Some(self.operator.clone()),
            draining: self.draining.clone(),
            closing: self.doors.clone(),
        };
        let workers = self.settings.http.workers.get();
        let patience = self.settings.shutdown.grace.mul_f64(HTTP_SHARE);
        Arc::new(move || http::server(state.clone(), listener.try_clone()?, workers, patience))
    }

    /// The actors, downstream first. All of the engine shares one thread: it only coordinates.
    pub(super) fn family(
        &self,
        lanes: store::Lanes,
        engine: &Arbiter,
        ingress: Link<Ingress>,
        janitor: Link<Janitor>,
        make_server: MakeServer,
    ) -> Family {
        let mut family = Family::default();
        let settings = &self.settings.tasks;
        let mut runners = BTreeMap::<Kind, Link<Runner>>::new();
        let backup_metrics = BackupMetrics::new();
        let desk = StoreDesk::new(Arc::clone(&self.store));
        let desk: Arc<dyn Desk> = Arc::new(desk.with_backups(self.backups.clone(), backup_metrics.clone()));
        for (kind, _) in self.kinds.iter() {
            let (Some(work), Some(metrics)) = (self.kinds.get(kind), self.metrics.of(kind)) else { continue };
            let parts = runner::Parts {
                work: Arc::clone(work),
                runs: self.runs.clone(),
                writer: self.writer.clone(),
                blobs: self.blobs.clone(),
                desk: Arc::clone(&desk),
                timeout: settings.timeout,
                backoff: Backoff { base: settings.retry_base, cap: settings.retry_cap },
                runtime: Handle::current(),
                metrics: metrics.clone(),
                traces: self.traces.clone(),
            };
            let link = Link::default();
            let name = format!("runner {kind}");
            let make = move || Runner::new(parts.clone());
            family.add(name, metrics::Actor::Runner, engine.handle(), link.clone(), make);
            runners.insert(kind.clone(), link);
        }

        let parts = dispatcher::Parts {
            demand: self.demand.clone(),
            lease: self.lease.clone(),
            runs: self.runs.clone(),
            runners: Arc::new(runners),
            store: Arc::clone(&self.store),
            writer: self.writer.clone(),
            poll: settings.poll,
        };
        let dispatcher = Link::default();
        let make = move || dispatcher::Dispatcher::new(parts.clone());
        family.add("dispatcher", metrics::Actor::Dispatcher, engine.handle(), dispatcher.clone(), make);

        let parts = tracker::Parts {
            store: Arc::clone(&self.store),
            lanes: Arc::new(Mutex::new(lanes)),
            demand: self.demand.clone(),
            runs: self.runs.clone(),
            arrivals: self.arrivals.clone(),
            openings: self.openings.clone(),
            waiting: self.waiting.clone(),
            hints: self.hints.clone(),
            bell: self.bell.clone(),
            tally: self.tally.clone(),
            dispatcher,
            group_max: settings.group_max,
            patience: self.settings.database.statement_timeout * 2,
            health: self.health.clone(),
            clock: self.clock.clone(),
            metrics: self.metrics.clone(),
        };
        let make = move || tracker::Tracker::new(parts.clone());
        family.add("tracker", metrics::Actor::Tracker, engine.handle(), Link::default(), make);

        let parts = janitor::Parts {
            writer: self.writer.clone(),
            lease: self.lease.clone(),
            health: self.health.clone(),
            clock: self.clock.clone(),
            store: Arc::clone(&self.store),
            blobs: self.blobs.clone(),
            imaging: self.imaging.clone(),
            kinds: Arc::clone(&self.kinds),
            waiting: self.waiting.clone(),
            rescue: settings.rescue,
            backoff: Backoff { base: settings.retry_base, cap: settings.retry_cap },
            sweep: settings.sweep,
            tidy: self.tidy(),
            remind: self.broker.clone().map(|broker| (broker, self.hints.clone())),
            backup: janitor::BackupPlan {
                backups: self.backups.clone(),
                every: self.settings.backup.every(),
                at: Duration::from_secs(u64::from(self.settings.backup.at_h) * 3600),
                max_attempts: settings.max_attempts,
                metrics: backup_metrics,
            },
            on_duty: self.settings.general.roles.has(Role::Janitor),
            metrics: self.metrics.clone(),
            recorder: self.recorder.clone(),
        };
        let make = move || Janitor::new(parts.clone());
        family.add("janitor", metrics::Actor::Janitor, engine.handle(), janitor, make);

        let parts = warden::Parts {
            space: self.imaging.space().clone(),
            store: Arc::clone(&self.store),
            health: self.health.clone(),
            clock: self.clock.clone(),
            metrics: DiskMetrics::new(),
        };
        let make = move || warden::Warden::new(parts.clone());
        family.add("warden", metrics::Actor::Warden, engine.handle(), Link::default(), make);

        let parts = scribe::Parts {
            store: Arc::clone(&self.store),
            tally: self.tally.clone(),
            lease: self.lease.clone(),
            health: self.health.clone(),
            demand: self.demand.clone(),
            roles: self.settings.general.roles.words().map(str::to_owned).collect(),
            host: super::host_name(),
        };
        let make = move || scribe::Scribe::new(parts.clone());
        family.add("scribe", metrics::Actor::Scribe, engine.handle(), Link::default(), make);

        let make = move || Ingress::new(Arc::clone(&make_server));
        family.add("ingress", metrics::Actor::Ingress, Arbiter::current(), ingress, make);
        family
    }

    /// The actors between this node and the others, and the world outside.
    /// Gives what is cancelled when the inbox, should there be one, is done in a drain.
    pub(super) fn tellers(
        &self,
        family: &mut Family,
        engine: &Arbiter,
        intake: &Intake,
    ) -> Result<Option<CancellationToken>, StartError> {
        let roles = &self.settings.general.roles;
        let telling = TellingMetrics::new();
        let bench = Bench { runtime: Handle::current(), closing: self.closing.clone() };
        if let Some(exporter) = self.exporter.clone() {
            let (bench, link) = (bench.clone(), Link::default());
            let make = move || Shipper::new(bench.clone(), exporter.clone());
            family.add("exporter of spans", metrics::Actor::Exporter, engine.handle(), link, make);
        }
        let parts = hints::Parts {
            bench: bench.clone(),
            hints: self.hints.clone(),
            store: Arc::clone(&self.store),
            broker: self.broker.clone().map(|broker| (broker, self.settings.broker.clone())),
            kinds: Arc::clone(&self.kinds),
            demand: self.demand.clone(),
            runs: self.runs.clone(),
            openings: self.openings.clone(),
            bell: self.bell.clone(),
            draining: self.draining.clone(),
            own: Uuid::new_v4().simple().to_string().into(),
        };
        let teller = parts.clone();
        let make = move || hints::Teller::new(teller.clone());
        family.add("hint teller", metrics::Actor::Hints, engine.handle(), Link::default(), make);
        let make = move || hints::Hearer::new(parts.clone());
        family.add("hint hearer", metrics::Actor::Hints, engine.handle(), Link::default(), make);

        let parts = notifier::Parts {
            bench: bench.clone(),
            store: Arc::clone(&self.store),
            feed: self.feed.clone(),
            bell: self.bell.clone(),
            metrics: telling.clone(),
        };
        let make = move || notifier::Notifier::new(parts.clone());
        family.add("notifier", metrics::Actor::Notifier, engine.handle(), Link::default(), make);

        if roles.has(Role::Janitor) {
            let settings = self.settings.webhooks.clone();
            let secret = match &settings.secret {
                Some(secret) => secret.clone(),
                None => {
                    outbound::webhook::Secret::load_or_make(&self.settings.data_dir().join("webhook.secret"))?
                }
            };
            let client = outbound::Client::with(
                outbound::Policy::from(&settings),
                outbound::Limits::from(&settings),
                Arc::new(outbound::SystemResolver::default()),
            );
            let parts = callbacks::Parts {
                bench: bench.clone(),
                store: Arc::clone(&self.store),
                client,
                secret: Arc::new(secret),
                settings,
                metrics: telling.clone(),
                traces: self.traces.clone(),
            };
            let make = move || callbacks::Callbacks::new(parts.clone());
            family.add("callbacks", metrics::Actor::Callbacks, engine.handle(), Link::default(), make);
        }
        let Some(broker) = &self.broker else { return Ok(None) };
        if roles.has(Role::Janitor) {
            self.health.register(relay::COMPONENT, Importance::Optional);
            self.health.up(relay::COMPONENT);
            let parts = relay::Parts {
                health: self.health.clone(),
                clock: self.clock.clone(),
                bench: bench.clone(),
                store: Arc::clone(&self.store),
                broker: broker.clone(),
                lease: self.lease.clone(),
                bell: self.bell.clone(),
                draining: self.draining.clone(),
                metrics: telling,
            };
            let make = move || relay::Relay::new(parts.clone());
            family.add("relay", metrics::Actor::Relay, engine.handle(), Link::default(), make);
        }
        let inbox = roles.has(Role::Http).then(CancellationToken::new);
        if let Some(finished) = inbox.clone() {
            self.health.register(inbox::COMPONENT, Importance::Optional);
            self.health.up(inbox::COMPONENT);
            let parts = inbox::Parts {
                health: self.health.clone(),
                clock: self.clock.clone(),
                bench: bench.clone(),
                broker: broker.clone(),
                settings: self.settings.broker.clone(),
                intake: intake.clone(),
                read: Arc::new(http::read_message),
                draining: self.draining.clone(),
                finished,
                metrics: InboxMetrics::new(),
                traces: self.traces.clone(),
            };
            let make = move || inbox::Inbox::new(parts.clone());
            family.add("inbox", metrics::Actor::Inbox, engine.handle(), Link::default(), make);
        }
        Ok(inbox)
    }
}
