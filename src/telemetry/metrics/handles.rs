//! The handles through which the rooms move the metrics: each owner makes its own and keeps it.

mod backups;
mod images;
mod quiz;

use std::collections::HashMap;
use std::sync::{Arc, OnceLock, PoisonError, RwLock};
use std::time::Duration;

use metrics::{Counter, Gauge, Histogram};

use super::labels::{
    Actor, BrokerConnection, CallbackResult, Disk, InboxResult, LeaseRenewal, Method, PublishResult,
    SpanResult, StatusClass, TaskEvent,
};
use super::{
    ACTION_LOG_DROPPED, ACTOR_RESTARTS, BLOBS_SWEPT, BROKER_ACKED, BROKER_CONFIRM, BROKER_CONNECTED,
    BROKER_DELIVERED, BROKER_PUBLISHED, BROKER_RECONNECTS, CALLBACKS, COMMIT_DURATION, COMMIT_FAILURES,
    COMMIT_GROUP, DISK_FREE, DISK_LOW, DISK_REFUSED, DISK_TOTAL, EVENT_LISTENERS, EVENTS_RELAYED,
    HTTP_DURATION, HTTP_REQUESTS, INBOX_MESSAGES, KIND_PAUSED, LEASE_RENEWALS, LOG_DROPPED, OLDEST_READY,
    QUEUE_DEPTH, QUEUE_FULL, QUEUE_REFUSED, READY_TASKS, RESCUED_TASKS, RUN_DURATION, RUNS_ABANDONED,
    RUNS_IN_PROGRESS, TASK_EVENTS, TASK_WAIT, TASKS_EXPIRED, TRACE_SPANS, counter, gauge, histogram,
};

pub use self::backups::BackupMetrics;
pub use self::images::{HotMetrics, ImagingMetrics};
pub use self::quiz::QuizMetrics;

/// The routes' metrics. Clones share their handles.
#[derive(Clone, Default)]
pub struct HttpMetrics {
    routes: Arc<RwLock<HashMap<String, Arc<RouteMetrics>>>>,
}

/// The metrics of one route. Clones share their handles.
#[derive(Clone)]
pub struct OneRouteMetrics {
    name: Arc<str>,
    handles: Arc<RouteMetrics>,
}

#[derive(Default)]
struct RouteMetrics {
    durations: [OnceLock<Histogram>; Method::ALL.len()],
    requests: [[OnceLock<Counter>; StatusClass::ALL.len()]; Method::ALL.len()],
}

/// Routes that get series of their own. The route table is far smaller; this holds even if a caller passes
/// paths.
pub(super) const ROUTES: usize = 256;

impl HttpMetrics {
    /// Handles for whatever routes come.
    pub fn new() -> Self {
        Self::default()
    }

    /// Those of a route, to be kept. `route` is its pattern (`/tasks/{id}`), never a path; `None` where no route
    /// matched.
    #[must_use]
    pub fn of_route(&self, route: Option<&str>) -> OneRouteMetrics {
        let (name, handles) = self.route(route.unwrap_or("unmatched"));
        OneRouteMetrics { name: name.into(), handles }
    }

    fn route<'a>(&self, name: &'a str) -> (&'a str, Arc<RouteMetrics>) {
        if let Some(route) = self.routes.read().unwrap_or_else(PoisonError::into_inner).get(name) {
            return (name, Arc::clone(route));
        }
        let mut routes = self.routes.write().unwrap_or_else(PoisonError::into_inner);
        let name = if routes.len() < ROUTES || routes.contains_key(name) { name } else { "other" };
        let route = routes.entry(name.to_owned()).or_default();
        (name, Arc::clone(route))
    }
}

impl OneRouteMetrics {
    /// Notes an answered request.
    pub fn answered(&self, method: Method, status: u16, elapsed: Duration) {
        let (name, route) = (&*self.name, &self.handles);
        let class = StatusClass::of(status);
        route.durations[method as usize]
            .get_or_init(|| histogram(&HTTP_DURATION, &[name, method.as_str()]))
            .record(elapsed);
        route.requests[method as usize][class as usize]
            .get_or_init(|| counter(&HTTP_REQUESTS, &[name, method.as_str(), class.as_str()]))
            .increment(1);
    }
}

/// The metrics of one kind of task. Clones share their handles.
#[derive(Clone)]
pub struct KindMetrics {
    events: Arc<[Counter]>,
    ready: Gauge,
    oldest: Gauge,
    paused: Gauge,
    in_progress: Gauge,
    abandoned: Gauge,
    duration: Histogram,
    wait: Histogram,
    expired: Counter,
}

impl KindMetrics {
    /// Handles for a kind of the registry; its series show 0 from now on.
    pub fn new(kind: &str) -> Self {
        Self {
            events: TaskEvent::ALL
                .iter()
                .map(|event| counter(&TASK_EVENTS, &[kind, event.as_str()]))
                .collect(),
            ready: gauge(&READY_TASKS, &[kind]),
            oldest: gauge(&OLDEST_READY, &[kind]),
            paused: gauge(&KIND_PAUSED, &[kind]),
            in_progress: gauge(&RUNS_IN_PROGRESS, &[kind]),
            abandoned: gauge(&RUNS_ABANDONED, &[kind]),
            duration: histogram(&RUN_DURATION, &[kind]),
            wait: histogram(&TASK_WAIT, &[kind]),
            expired: counter(&TASKS_EXPIRED, &[kind]),
        }
    }

    /// So many tasks got this event, and it is committed.
    pub fn event(&self, event: TaskEvent, tasks: u64) {
        // `new` makes one for each event, in their order.
        if let Some(counter) = self.events.get(event as usize) {
            counter.increment(tasks);
        }
    }

    /// So many tasks are ready now, of which the first could have been claimed for this long.
    pub fn set_ready(&self, tasks: u64, oldest: Duration) {
        self.ready.set(tasks as f64);
        self.oldest.set(oldest.as_secs_f64());
    }

    /// Whether nothing of it starts.
    pub fn set_paused(&self, paused: bool) {
        self.paused.set(f64::from(u8::from(paused)));
    }

    /// A run begins; it is in progress until the guard is dropped.
    #[must_use]
    pub fn run_begins(&self) -> Held {
        Held::new(&self.in_progress)
    }

    /// A task has started that could have for this long.
    pub fn waited(&self, wait: Duration) {
        self.wait.record(wait);
    }

    /// So many were removed since they had ended long ago.
    pub fn expired(&self, tasks: u64) {
        self.expired.increment(tasks);
    }

    /// A run has ended after this time.
    pub fn run_took(&self, elapsed: Duration) {
        self.duration.record(elapsed);
    }

    /// A run was given up at its deadline; it counts as abandoned until the guard, held by the run itself, is
    /// dropped.
    #[must_use]
    pub fn run_abandoned(&self) -> Held {
        Held::new(&self.abandoned)
    }
}

/// Keeps a gauge one higher while it lives, through panics too.
pub struct Held {
    gauge: Gauge,
}

impl Held {
    fn new(gauge: &Gauge) -> Self {
        gauge.increment(1.0);
        Self { gauge: gauge.clone() }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.gauge.decrement(1.0);
    }
}

/// Declares a struct of handles without labels, made with its series at 0.
macro_rules! handles {
    ($(#[$doc:meta])+ $name:ident { $($field:ident: $make:ident($metric:ident) -> $type:ty,)+ }) => {
        $(#[$doc])+
        #[derive(Clone)]
        pub struct $name {
            $($field: $type,)+
        }

        impl $name {
            /// The handles; their series show 0 from now on.
            #[expect(clippy::new_without_default, reason = "making handles registers series, which a default should not")]
            pub fn new() -> Self {
                Self { $($field: $make(&$metric, &[]),)+ }
            }
        }
    };
}

handles! {
    /// The commits of the tracker.
    CommitMetrics {
        group: histogram(COMMIT_GROUP) -> Histogram,
        duration: histogram(COMMIT_DURATION) -> Histogram,
        failures: counter(COMMIT_FAILURES) -> Counter,
    }
}

impl CommitMetrics {
    /// A commit of so many commands took this long.
    pub fn committed(&self, commands: usize, elapsed: Duration) {
        self.group.record(commands as f64);
        self.duration.record(elapsed);
    }

    /// A commit failed as a whole.
    pub fn failed(&self) {
        self.failures.increment(1);
    }
}

handles! {
    /// The queue of commands before the tracker.
    QueueMetrics {
        depth: gauge(QUEUE_DEPTH) -> Gauge,
        refused: counter(QUEUE_REFUSED) -> Counter,
        full: counter(QUEUE_FULL) -> Counter,
    }
}

impl QueueMetrics {
    /// So many commands wait.
    pub fn set_depth(&self, commands: usize) {
        self.depth.set(commands as f64);
    }

    /// Tasks were refused because as many wait as may.
    pub fn full(&self) {
        self.full.increment(1);
    }

    /// A command was refused because the queue was full.
    pub fn refused(&self) {
        self.refused.increment(1);
    }
}

handles! {
    /// The janitor's finds.
    JanitorMetrics {
        rescued: counter(RESCUED_TASKS) -> Counter,
        swept: counter(BLOBS_SWEPT) -> Counter,
    }
}

impl JanitorMetrics {
    /// So many tasks were taken from dead workers and put back.
    pub fn rescued(&self, tasks: u64) {
        self.rescued.increment(tasks);
    }

    /// So many blobs were removed because no row named them.
    pub fn swept(&self, blobs: u64) {
        self.swept.increment(blobs);
    }
}

handles! {
    /// The action log's losses.
    ActionLogMetrics {
        dropped: counter(ACTION_LOG_DROPPED) -> Counter,
    }
}

impl ActionLogMetrics {
    /// So many lines were dropped.
    pub fn dropped(&self, lines: u64) {
        self.dropped.increment(lines);
    }
}

handles! {
    /// The log's losses.
    LogMetrics {
        dropped: counter(LOG_DROPPED) -> Counter,
    }
}

impl LogMetrics {
    /// So many lines were dropped.
    pub fn dropped(&self, lines: u64) {
        self.dropped.increment(lines);
    }
}

/// The spans of traces. Clones share their handles.
#[derive(Debug, Clone)]
pub struct TraceMetrics {
    spans: Arc<[Counter]>,
}

impl TraceMetrics {
    /// The handles; their series show 0 from now on.
    #[expect(
        clippy::new_without_default,
        reason = "making handles registers series, which a default should not"
    )]
    pub fn new() -> Self {
        let results = SpanResult::ALL.iter();
        Self { spans: results.map(|result| counter(&TRACE_SPANS, &[result.as_str()])).collect() }
    }

    /// So many spans ended so.
    pub fn spans(&self, result: SpanResult, spans: usize) {
        if let Some(counter) = self.spans.get(result as usize) {
            counter.increment(spans as u64);
        }
    }
}

handles! {
    /// What is known of the disks.
    DiskMetrics {
        refused: counter(DISK_REFUSED) -> Counter,
    }
}

impl DiskMetrics {
    /// A disk was looked at: so many bytes are free, of so many, and whether that is too few.
    pub fn seen(&self, disk: Disk, free: u64, total: u64, low: bool) {
        gauge(&DISK_FREE, &[disk.as_str()]).set(free as f64);
        gauge(&DISK_TOTAL, &[disk.as_str()]).set(total as f64);
        gauge(&DISK_LOW, &[disk.as_str()]).set(f64::from(u8::from(low)));
    }

    /// Something new was refused, since a disk is too full.
    pub fn refused(&self) {
        self.refused.increment(1);
    }
}

/// The supervisor's restarts. Clones share their handles.
#[derive(Clone)]
pub struct ActorMetrics {
    restarts: Arc<[Counter]>,
}

impl ActorMetrics {
    /// The handles; their series show 0 from now on.
    #[expect(
        clippy::new_without_default,
        reason = "making handles registers series, which a default should not"
    )]
    pub fn new() -> Self {
        Self {
            restarts: Actor::ALL.iter().map(|actor| counter(&ACTOR_RESTARTS, &[actor.as_str()])).collect(),
        }
    }

    /// An actor failed and is being restarted.
    pub fn restarted(&self, actor: Actor) {
        if let Some(counter) = self.restarts.get(actor as usize) {
            counter.increment(1);
        }
    }
}

/// The renewals of the node's lease. Clones share their handles.
#[derive(Clone)]
pub struct LeaseMetrics {
    renewals: Arc<[Counter]>,
}

impl LeaseMetrics {
    /// The handles; their series show 0 from now on.
    #[expect(
        clippy::new_without_default,
        reason = "making handles registers series, which a default should not"
    )]
    pub fn new() -> Self {
        Self {
            renewals: LeaseRenewal::ALL
                .iter()
                .map(|result| counter(&LEASE_RENEWALS, &[result.as_str()]))
                .collect(),
        }
    }

    /// A renewal ended so.
    pub fn renewal(&self, result: LeaseRenewal) {
        if let Some(counter) = self.renewals.get(result as usize) {
            counter.increment(1);
        }
    }
}

/// What goes to the broker and comes from it. Clones share their handles.
#[derive(Clone)]
pub struct BrokerMetrics {
    connected: Arc<[Gauge]>,
    reconnects: Arc<[Counter]>,
    published: Arc<[Counter]>,
    confirm: Histogram,
    delivered: Counter,
    acked: Counter,
}

impl BrokerMetrics {
    /// The handles; their series show 0 from now on.
    #[expect(
        clippy::new_without_default,
        reason = "making handles registers series, which a default should not"
    )]
    pub fn new() -> Self {
        let connections = || BrokerConnection::ALL.iter().map(|connection| connection.as_str());
        Self {
            connected: connections().map(|name| gauge(&BROKER_CONNECTED, &[name])).collect(),
            reconnects: connections().map(|name| counter(&BROKER_RECONNECTS, &[name])).collect(),
            published: PublishResult::ALL
                .iter()
                .map(|result| counter(&BROKER_PUBLISHED, &[result.as_str()]))
                .collect(),
            confirm: histogram(&BROKER_CONFIRM, &[]),
            delivered: counter(&BROKER_DELIVERED, &[]),
            acked: counter(&BROKER_ACKED, &[]),
        }
    }

    /// Whether a connection stands.
    pub fn set_connected(&self, connection: BrokerConnection, stands: bool) {
        if let Some(gauge) = self.connected.get(connection as usize) {
            gauge.set(if stands { 1.0 } else { 0.0 });
        }
    }

    /// A connection that was lost stands again.
    pub fn reconnected(&self, connection: BrokerConnection) {
        if let Some(counter) = self.reconnects.get(connection as usize) {
            counter.increment(1);
        }
    }

    /// So many messages ended so.
    pub fn published(&self, result: PublishResult, messages: u64) {
        if let Some(counter) = self.published.get(result as usize) {
            counter.increment(messages);
        }
    }

    /// A confirm took this long.
    pub fn confirmed_after(&self, elapsed: Duration) {
        self.confirm.record(elapsed);
    }

    /// So many messages were delivered.
    pub fn delivered(&self, messages: u64) {
        self.delivered.increment(messages);
    }

    /// So many messages were acknowledged.
    pub fn acked(&self, messages: u64) {
        self.acked.increment(messages);
    }
}

/// What comes from the broker's queue. Clones share their handles.
#[derive(Clone)]
pub struct InboxMetrics {
    messages: Arc<[Counter]>,
}

impl InboxMetrics {
    /// The handles; their series show 0 from now on.
    #[expect(
        clippy::new_without_default,
        reason = "making handles registers series, which a default should not"
    )]
    pub fn new() -> Self {
        let results = InboxResult::ALL.iter();
        Self { messages: results.map(|result| counter(&INBOX_MESSAGES, &[result.as_str()])).collect() }
    }

    /// So many messages ended so.
    pub fn count(&self, result: InboxResult, messages: usize) {
        if let Some(counter) = self.messages.get(result as usize) {
            counter.increment(messages as u64);
        }
    }
}

/// Telling others what happened. Clones share their handles.
#[derive(Clone)]
pub struct TellingMetrics {
    listeners: Gauge,
    callbacks: Arc<[Counter]>,
    relayed: Counter,
}

impl TellingMetrics {
    /// The handles; their series show 0 from now on.
    #[expect(
        clippy::new_without_default,
        reason = "making handles registers series, which a default should not"
    )]
    pub fn new() -> Self {
        let results = CallbackResult::ALL.iter();
        Self {
            listeners: gauge(&EVENT_LISTENERS, &[]),
            callbacks: results.map(|result| counter(&CALLBACKS, &[result.as_str()])).collect(),
            relayed: counter(&EVENTS_RELAYED, &[]),
        }
    }

    /// So many listen to the stream of events.
    pub fn set_listeners(&self, listeners: usize) {
        #[expect(clippy::cast_precision_loss, reason = "there are never so many connections")]
        self.listeners.set(listeners as f64);
    }

    /// A try to tell a callback ended so.
    pub fn callback(&self, result: CallbackResult) {
        if let Some(counter) = self.callbacks.get(result as usize) {
            counter.increment(1);
        }
    }

    /// The broker has so many events more.
    pub fn relayed(&self, events: usize) {
        self.relayed.increment(events as u64);
    }
}
