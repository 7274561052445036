//! The metric catalogue: every metric declared once, and the handles through which the rooms move them.
//!
//! [`install`] is called once at start, before any handle is made; each owner then makes its own handle
//! struct and keeps it (moving a kept handle is many times cheaper than looking one up by name). `/metrics`
//! renders. The labels' closed sets are in `labels`, the handles in `handles`. True here:
//! - No other file names a metric. A room can only call the methods here, so that names and labels cannot be
//!   misspelt.
//! - Labels come from closed sets: enums, kinds of the registry, patterns of the route table (with a cap
//!   besides).
//! - A series shows 0 from the moment its handle is made, so that an alert sees it before its first event.

mod handles;
mod labels;

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use metrics::{Counter, Gauge, Histogram, Label, Unit};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};

use crate::task::QuestionSource;

pub use self::handles::{
    ActionLogMetrics, ActorMetrics, BackupMetrics, BrokerMetrics, CommitMetrics, DiskMetrics, Held,
    HotMetrics, HttpMetrics, ImagingMetrics, InboxMetrics, JanitorMetrics, KindMetrics, LeaseMetrics,
    LogMetrics, OneRouteMetrics, QueueMetrics, QuizMetrics, TellingMetrics, TraceMetrics,
};
pub use self::labels::{
    Actor, BrokerConnection, CallbackResult, Disk, HotResult, InboxResult, LeaseRenewal, Method,
    PublishResult, QuizBreaker, QuizCall, QuizItem, SpanResult, StatusClass, TaskEvent, VariantResult,
};

/// How often [`MetricsHandle::run_upkeep`] wants to be called.
pub const UPKEEP_PERIOD: Duration = Duration::from_secs(5);

/// The type of a metric.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum MetricType {
    /// Only rises.
    Counter,
    /// Rises and falls.
    Gauge,
    /// Counts observations by size, within these upper bounds.
    Histogram(&'static [f64]),
}

/// One metric of the catalogue.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Metric {
    /// The name on the wire.
    pub name: &'static str,
    /// What it tells, in a sentence.
    pub help: &'static str,
    /// Its type.
    pub metric_type: MetricType,
    /// What it counts in; `None` for plain counts.
    pub unit: Option<Unit>,
    /// The names of its labels.
    pub labels: &'static [&'static str],
}

/// Requests and their answers: from a memory hit to the longest wait.
const REQUEST_SECONDS: &[f64] =
    &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];

/// One transaction: from a memory-backed disk to a stuck one.
const COMMIT_SECONDS: &[f64] =
    &[0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 30.0];

/// Runs, and waiting for them: from a task that does nothing to one that takes an hour.
pub const RUN_SECONDS: &[f64] =
    &[0.001, 0.01, 0.05, 0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 900.0, 3600.0];

/// Commands in one commit.
const GROUP_COMMANDS: &[f64] =
    &[1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0, 2000.0, 5000.0, 10_000.0];

/// Declares the catalogue: the documentation is the help text.
macro_rules! catalogue {
    ($(
        $(#[doc = $help:literal])+
        $ident:ident = $name:literal, $metric_type:expr, $unit:expr, [$($label:literal),*];
    )+) => {
        $(
            $(#[doc = $help])+
            const $ident: Metric = Metric {
                name: concat!("gristmill_", $name),
                help: concat!($($help),+).trim_ascii(),
                metric_type: $metric_type,
                unit: $unit,
                labels: &[$($label),*],
            };
        )+

        /// Every metric that exists.
        pub const CATALOGUE: &[Metric] = &[$($ident),+];
    };
}

catalogue! {
    /// The version that runs; always 1.
    BUILD_INFO = "build_info", MetricType::Gauge, None, ["version"];
    /// Requests answered, by route pattern, method and class of the status.
    HTTP_REQUESTS = "http_requests_total", MetricType::Counter, None, ["route", "method", "status"];
    /// Time from a request's head to the end of its answer's head, waits that the caller asked for included.
    HTTP_DURATION = "http_request_duration_seconds", MetricType::Histogram(REQUEST_SECONDS), Some(Unit::Seconds),
        ["route", "method"];
    /// Facts of tasks' lives that this node committed.
    TASK_EVENTS = "task_events_total", MetricType::Counter, None, ["kind", "event"];
    /// Tasks ready to run now, over all nodes, as last polled.
    READY_TASKS = "ready_tasks", MetricType::Gauge, None, ["kind"];
    /// How long the first task of a kind that could be claimed has been waiting, as seen in the database; 0 where none waits, or all are for later.
    OLDEST_READY = "oldest_ready_age_seconds", MetricType::Gauge, Some(Unit::Seconds), ["kind"];
    /// Whether nothing of the kind starts, on any node, since an admin paused it (1), or it goes on (0), as last polled.
    KIND_PAUSED = "kind_paused", MetricType::Gauge, None, ["kind"];
    /// Runs going on on this node.
    RUNS_IN_PROGRESS = "runs_in_progress", MetricType::Gauge, None, ["kind"];
    /// How long runs took on this node, however they ended.
    RUN_DURATION = "run_duration_seconds", MetricType::Histogram(RUN_SECONDS), Some(Unit::Seconds), ["kind"];
    /// How long tasks that this node's commits started had waited since they could have, those that workers outside took among
    /// them.
    TASK_WAIT = "task_wait_seconds", MetricType::Histogram(RUN_SECONDS), Some(Unit::Seconds), ["kind"];
    /// Tasks that this node removed since they had ended long ago (`tasks.keep_completed_s` and its like).
    TASKS_EXPIRED = "tasks_expired_total", MetricType::Counter, None, ["kind"];
    /// Runs that were given up at their deadline but have not stopped: each holds a thread until it does.
    RUNS_ABANDONED = "runs_abandoned", MetricType::Gauge, None, ["kind"];
    /// Commands that one commit gathered.
    COMMIT_GROUP = "commit_group_commands", MetricType::Histogram(GROUP_COMMANDS), Some(Unit::Count), [];
    /// How long commits took.
    COMMIT_DURATION = "commit_duration_seconds", MetricType::Histogram(COMMIT_SECONDS), Some(Unit::Seconds), [];
    /// Commits that failed as a whole.
    COMMIT_FAILURES = "commit_failures_total", MetricType::Counter, None, [];
    /// Commands that wait for the next commit.
    QUEUE_DEPTH = "command_queue_depth", MetricType::Gauge, None, [];
    /// Commands refused because the queue was full; each was a 503 to somebody.
    QUEUE_REFUSED = "command_queue_refused_total", MetricType::Counter, None, [];
    /// Requests and messages refused because as many tasks wait as may (`tasks.max_waiting`); a message is tried again.
    QUEUE_FULL = "queue_full_total", MetricType::Counter, None, [];
    /// Messages from the broker's queue, by what became of them.
    INBOX_MESSAGES = "inbox_messages_total", MetricType::Counter, None, ["result"];
    /// Connections that listen to the stream of events on this node.
    EVENT_LISTENERS = "event_listeners", MetricType::Gauge, None, [];
    /// Tries to tell callbacks.
    CALLBACKS = "callbacks_total", MetricType::Counter, None, ["result"];
    /// Events that this node told the broker.
    EVENTS_RELAYED = "events_relayed_total", MetricType::Counter, None, [];
    /// Restarts of failed actors.
    ACTOR_RESTARTS = "actor_restarts_total", MetricType::Counter, None, ["actor"];
    /// Renewals of this node's lease: `ok`, `failed` (to be tried again), or `fenced` (too late, the node
    /// gave its work up).
    LEASE_RENEWALS = "lease_renewals_total", MetricType::Counter, None, ["result"];
    /// Tasks that this node took from dead workers and put back.
    RESCUED_TASKS = "rescued_tasks_total", MetricType::Counter, None, [];
    /// Blobs removed because no row named them.
    BLOBS_SWEPT = "blobs_swept_total", MetricType::Counter, None, [];
    /// The instant that the newest whole backup shows, in seconds since 1970; 0 while none is known. The node that cleans up
    /// looks every five minutes, also for backups that the command line made.
    BACKUP_NEWEST = "backup_newest_timestamp_seconds", MetricType::Gauge, Some(Unit::Seconds), [];
    /// How long the newest whole backup took.
    BACKUP_DURATION = "backup_newest_duration_seconds", MetricType::Gauge, Some(Unit::Seconds), [];
    /// The size of the newest whole backup, with all blobs that its rows name.
    BACKUP_BYTES = "backup_newest_bytes", MetricType::Gauge, Some(Unit::Bytes), [];
    /// How often a backup is to be made; 0 for never.
    BACKUP_INTERVAL = "backup_interval_seconds", MetricType::Gauge, Some(Unit::Seconds), [];
    /// Backups that this node could not make, each try counted.
    BACKUP_FAILURES = "backup_failures_total", MetricType::Counter, None, [];
    /// Whether this node's connection to the broker stands (1) or not (0).
    BROKER_CONNECTED = "broker_connected", MetricType::Gauge, None, ["connection"];
    /// Connections to the broker that were lost and made again.
    BROKER_RECONNECTS = "broker_reconnects_total", MetricType::Counter, None, ["connection"];
    /// Messages handed to the broker, by what became of them.
    BROKER_PUBLISHED = "broker_published_total", MetricType::Counter, None, ["result"];
    /// Time from sending a message to the broker's confirm.
    BROKER_CONFIRM = "broker_confirm_duration_seconds", MetricType::Histogram(COMMIT_SECONDS), Some(Unit::Seconds), [];
    /// Messages that the broker delivered to this node.
    BROKER_DELIVERED = "broker_delivered_total", MetricType::Counter, None, [];
    /// Messages that this node acknowledged.
    BROKER_ACKED = "broker_acked_total", MetricType::Counter, None, [];
    /// Variants of images that were asked for, by where they came from.
    IMAGE_VARIANTS = "image_variants_total", MetricType::Counter, None, ["result"];
    /// What the folder of variants holds, in bytes.
    IMAGE_CACHE_BYTES = "image_cache_bytes", MetricType::Gauge, Some(Unit::Bytes), [];
    /// Memory that is set aside for images being worked on, in bytes.
    IMAGE_MEMORY_BYTES = "image_memory_bytes", MetricType::Gauge, Some(Unit::Bytes), [];
    /// Images that were sent away because too many waited for memory; each was a 503 to somebody.
    IMAGE_OVERLOADED = "image_overloaded_total", MetricType::Counter, None, [];
    /// Files of images and their variants that were asked for, by whether they were in memory.
    HOT_IMAGES = "hot_images_total", MetricType::Counter, None, ["result"];
    /// What is kept in memory of images that are asked for often, in bytes.
    HOT_IMAGE_BYTES = "hot_image_bytes", MetricType::Gauge, Some(Unit::Bytes), [];
    /// Requests to sources of questions, by how they ended.
    QUIZ_CALLS = "quiz_calls_total", MetricType::Counter, None, ["source", "result"];
    /// How long requests to a source of questions waited for its pace, or for a pause that it asked for or that followed a failure.
    QUIZ_WAIT = "quiz_wait_duration_seconds", MetricType::Histogram(REQUEST_SECONDS), Some(Unit::Seconds), ["source"];
    /// Whether a source of questions is asked: 0 it is, 1 one request finds out, 2 it is not for a while.
    QUIZ_BREAKER = "quiz_breaker_state", MetricType::Gauge, None, ["source"];
    /// What sources of questions gave, item by item: `usable`, or why it was rejected.
    QUIZ_ITEMS = "quiz_items_total", MetricType::Counter, None, ["source", "result"];
    /// Questions that were fetched and not used yet, kept for whoever asks next.
    QUIZ_SPARE = "quiz_spare_questions", MetricType::Gauge, None, ["source"];
    /// Lines of the action log that were dropped because the disk was too slow or refused them.
    ACTION_LOG_DROPPED = "action_log_dropped_total", MetricType::Counter, None, [];
    /// Lines of the log on standard error or in the journal that were dropped because nobody read them fast enough, or they could not be written.
    LOG_DROPPED = "log_lines_dropped_total", MetricType::Counter, None, [];
    /// Recorded spans by what became of them: `exported`, `dropped` since too many waited, `failed` since the collector did not take them.
    TRACE_SPANS = "trace_spans_total", MetricType::Counter, None, ["result"];
    /// What this process may still fill of a disk, in bytes, as looked at every second.
    DISK_FREE = "disk_free_bytes", MetricType::Gauge, Some(Unit::Bytes), ["disk"];
    /// The size of a disk, in bytes.
    DISK_TOTAL = "disk_total_bytes", MetricType::Gauge, Some(Unit::Bytes), ["disk"];
    /// Whether less is free of a disk than must be (1), so that nothing new is taken, or not (0). See `storage.min_free_bytes`.
    DISK_LOW = "disk_low", MetricType::Gauge, None, ["disk"];
    /// Tasks, uploads and users that were refused since a disk is too full; each was a 507 to somebody, or a message that waits.
    DISK_REFUSED = "disk_refused_total", MetricType::Counter, None, [];
}

/// Renders the metrics and keeps them small.
#[derive(Clone)]
pub struct MetricsHandle {
    exposition: PrometheusHandle,
}

impl MetricsHandle {
    /// All metrics in Prometheus' text format.
    pub fn render(&self) -> String {
        self.exposition.render()
    }

    /// Folds waiting observations into their histograms: without it each takes memory until the next scrape.
    /// To be called every [`UPKEEP_PERIOD`].
    pub fn run_upkeep(&self) {
        self.exposition.run_upkeep();
    }
}

/// Starts to collect metrics; later calls give the same handle.
pub fn install() -> Result<MetricsHandle, BuildError> {
    static INSTALLED: Mutex<Option<MetricsHandle>> = Mutex::new(None);
    let mut installed = INSTALLED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(handle) = &*installed {
        return Ok(handle.clone());
    }
    let handle = MetricsHandle { exposition: builder().install_recorder()? };
    describe();
    touch();
    *installed = Some(handle.clone());
    Ok(handle)
}

/// The recorder's builder, with the buckets of every histogram: without them it would give summaries.
pub(super) fn builder() -> PrometheusBuilder {
    CATALOGUE.iter().fold(PrometheusBuilder::new(), |builder, metric| match metric.metric_type {
        MetricType::Histogram(buckets) => builder
            .set_buckets_for_metric(Matcher::Full(metric.name.to_owned()), buckets)
            .expect("the catalogue declares buckets for every histogram"),
        MetricType::Counter | MetricType::Gauge => builder,
    })
}

/// Gives the recorder the help texts.
fn describe() {
    for metric in CATALOGUE {
        // The macros without a unit are separate arms, hence `Count`, which the text format does not show.
        let unit = metric.unit.unwrap_or(Unit::Count);
        match metric.metric_type {
            MetricType::Counter => metrics::describe_counter!(metric.name, unit, metric.help),
            MetricType::Gauge => metrics::describe_gauge!(metric.name, unit, metric.help),
            MetricType::Histogram(_) => metrics::describe_histogram!(metric.name, unit, metric.help),
        }
    }
}

/// Makes every series whose labels are known here, so that it shows 0 before its first event.
fn touch() {
    gauge(&BUILD_INFO, &[env!("CARGO_PKG_VERSION")]).set(1.0);
    CommitMetrics::new();
    QueueMetrics::new();
    ActorMetrics::new();
    LeaseMetrics::new();
    JanitorMetrics::new();
    BackupMetrics::new();
    ActionLogMetrics::new();
    LogMetrics::new();
    TraceMetrics::new();
    DiskMetrics::new();
    BrokerMetrics::new();
    InboxMetrics::new();
    TellingMetrics::new();
    ImagingMetrics::new();
    HotMetrics::new();
    for source in QuestionSource::ALL {
        QuizMetrics::new(source);
    }
}

fn labels(metric: &Metric, values: &[&str]) -> Vec<Label> {
    debug_assert_eq!(metric.labels.len(), values.len(), "{}", metric.name);
    metric.labels.iter().zip(values).map(|(name, value)| Label::new(*name, (*value).to_owned())).collect()
}

fn counter(metric: &Metric, values: &[&str]) -> Counter {
    debug_assert_eq!(metric.metric_type, MetricType::Counter, "{}", metric.name);
    metrics::counter!(metric.name, labels(metric, values))
}

fn gauge(metric: &Metric, values: &[&str]) -> Gauge {
    debug_assert_eq!(metric.metric_type, MetricType::Gauge, "{}", metric.name);
    metrics::gauge!(metric.name, labels(metric, values))
}

fn histogram(metric: &Metric, values: &[&str]) -> Histogram {
    debug_assert!(matches!(metric.metric_type, MetricType::Histogram(_)), "{}", metric.name);
    metrics::histogram!(metric.name, labels(metric, values))
}

/// The catalogue as a page; a test compares it with `docs/metrics.md`.
pub fn reference_markdown() -> String {
    let mut out = String::from(
        "# Metrics\n\n\
         <!-- Made from the catalogue in src/telemetry/metrics.rs (UPDATE=1 cargo test --lib metrics): do not edit. -->\n\n\
         Served at `/metrics` in Prometheus' text format. Every node tells its own share unless said otherwise; series show 0 \
         before their first event.\n\n\
         | metric | type | labels | tells |\n| --- | --- | --- | --- |\n",
    );
    for metric in CATALOGUE {
        let metric_type = match metric.metric_type {
            MetricType::Counter => "counter",
            MetricType::Gauge => "gauge",
            MetricType::Histogram(_) => "histogram",
        };
        let labels: Vec<String> = metric.labels.iter().map(|label| format!("`{label}`")).collect();
        out.push_str(&format!(
            "| `{}` | {metric_type} | {} | {} |\n",
            metric.name,
            labels.join(", "),
            metric.help
        ));
    }
    out
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::handles::ROUTES;
    use super::*;

    /// What is rendered after these calls, by a recorder of this test's own.
    fn rendered(calls: impl FnOnce()) -> String {
        let recorder = builder().build_recorder();
        let exposition = recorder.handle();
        metrics::with_local_recorder(&recorder, || {
            describe();
            touch();
            calls();
        });
        exposition.run_upkeep();
        exposition.render()
    }

    fn has(text: &str, line: &str) {
        assert!(text.lines().any(|known| known == line), "{line} is missing from:\n{text}");
    }

    #[test]
    fn every_metric_of_the_catalogue_appears_with_help_and_type() {
        let text = rendered(|| {
            KindMetrics::new("noop");
            DiskMetrics::new().seen(Disk::Data, 1, 2, false);
            HttpMetrics::new().of_route(Some("/tasks")).answered(Method::Get, 200, Duration::from_millis(3));
        });
        for metric in CATALOGUE {
            assert!(metric.help.ends_with('.'), "{}", metric.name);
            has(&text, &format!("# HELP {} {}", metric.name, metric.help));
            let metric_type = match metric.metric_type {
                MetricType::Counter => "counter",
                MetricType::Gauge => "gauge",
                MetricType::Histogram(_) => "histogram",
            };
            has(&text, &format!("# TYPE {} {metric_type}", metric.name));
        }
        let described = text.lines().filter(|line| line.starts_with("# TYPE")).count();
        assert_eq!(described, CATALOGUE.len(), "something is rendered that the catalogue does not declare");
    }

    #[test]
    fn names_are_unique_and_follow_the_conventions() {
        let names: BTreeSet<&str> = CATALOGUE.iter().map(|metric| metric.name).collect();
        assert_eq!(names.len(), CATALOGUE.len());
        for metric in CATALOGUE {
            assert!(metric.name.starts_with("gristmill_"), "{}", metric.name);
            let counts = metric.metric_type == MetricType::Counter;
            assert_eq!(metric.name.ends_with("_total"), counts, "{}", metric.name);
            assert_eq!(
                metric.name.ends_with("_seconds"),
                metric.unit == Some(Unit::Seconds),
                "{}",
                metric.name
            );
            if let MetricType::Histogram(buckets) = metric.metric_type {
                assert!(buckets.is_sorted() && !buckets.is_empty(), "{}", metric.name);
            }
        }
    }

    #[test]
    fn series_show_zero_before_their_first_event() {
        let text = rendered(|| {
            KindMetrics::new("noop");
        });
        for line in [
            "gristmill_commit_failures_total 0",
            "gristmill_command_queue_refused_total 0",
            "gristmill_command_queue_depth 0",
            "gristmill_rescued_tasks_total 0",
            "gristmill_blobs_swept_total 0",
            "gristmill_action_log_dropped_total 0",
            "gristmill_broker_connected{connection=\"publishing\"} 0",
            "gristmill_broker_reconnects_total{connection=\"consuming\"} 0",
            "gristmill_broker_published_total{result=\"timed_out\"} 0",
            "gristmill_broker_delivered_total 0",
            "gristmill_broker_acked_total 0",
            "gristmill_actor_restarts_total{actor=\"tracker\"} 0",
            "gristmill_lease_renewals_total{result=\"fenced\"} 0",
            "gristmill_task_events_total{kind=\"noop\",event=\"failed\"} 0",
            "gristmill_runs_in_progress{kind=\"noop\"} 0",
            "gristmill_runs_abandoned{kind=\"noop\"} 0",
            "gristmill_commit_duration_seconds_count 0",
            &format!("gristmill_build_info{{version=\"{}\"}} 1", env!("CARGO_PKG_VERSION")),
        ] {
            has(&text, line);
        }
    }

    #[test]
    fn each_handle_moves_the_series_that_it_names() {
        let text = rendered(|| {
            let kind = KindMetrics::new("noop");
            for (count, event) in TaskEvent::ALL.iter().enumerate() {
                kind.event(*event, count as u64);
            }
            kind.set_ready(9, Duration::from_secs(60));
            kind.set_paused(true);
            kind.run_took(Duration::from_millis(20));
            kind.waited(Duration::from_millis(20));
            let run = kind.run_begins();
            std::mem::forget(kind.run_begins());
            drop(run);
            std::mem::forget(kind.run_abandoned());
            CommitMetrics::new().committed(3, Duration::from_millis(4));
            CommitMetrics::new().failed();
            QueueMetrics::new().set_depth(5);
            QueueMetrics::new().refused();
            JanitorMetrics::new().rescued(6);
            JanitorMetrics::new().swept(7);
            ActionLogMetrics::new().dropped(8);
            LogMetrics::new().dropped(16);
            TraceMetrics::new().spans(SpanResult::Exported, 17);
            ActorMetrics::new().restarted(Actor::Janitor);
            LeaseMetrics::new().renewal(LeaseRenewal::Failed);
            let broker = BrokerMetrics::new();
            broker.set_connected(BrokerConnection::Consuming, true);
            broker.reconnected(BrokerConnection::Publishing);
            broker.published(PublishResult::Unroutable, 2);
            broker.confirmed_after(Duration::from_millis(4));
            broker.delivered(3);
            broker.acked(2);
            let imaging = ImagingMetrics::new();
            imaging.variant(VariantResult::Made);
            imaging.set_cache_bytes(11);
            imaging.memory_taken(12);
            imaging.memory_given_back(2);
            imaging.overloaded();
            let hot = HotMetrics::new();
            hot.hit();
            hot.miss();
            hot.set_bytes(13);
            let quiz = QuizMetrics::new(QuestionSource::Opentdb);
            quiz.called(QuizCall::Busy);
            quiz.waited(Duration::from_millis(7));
            quiz.set_breaker(QuizBreaker::Open);
            quiz.items(QuizItem::Media, 14);
            quiz.set_spare(15);
        });
        for (count, event) in TaskEvent::ALL.iter().enumerate() {
            let event = event.as_str();
            has(&text, &format!("gristmill_task_events_total{{kind=\"noop\",event=\"{event}\"}} {count}"));
        }
        for line in [
            "gristmill_ready_tasks{kind=\"noop\"} 9",
            "gristmill_oldest_ready_age_seconds{kind=\"noop\"} 60",
            "gristmill_kind_paused{kind=\"noop\"} 1",
            "gristmill_run_duration_seconds_bucket{kind=\"noop\",le=\"0.01\"} 0",
            "gristmill_run_duration_seconds_bucket{kind=\"noop\",le=\"0.05\"} 1",
            "gristmill_task_wait_seconds_bucket{kind=\"noop\",le=\"0.01\"} 0",
            "gristmill_task_wait_seconds_bucket{kind=\"noop\",le=\"0.05\"} 1",
            "gristmill_runs_in_progress{kind=\"noop\"} 1",
            "gristmill_runs_abandoned{kind=\"noop\"} 1",
            "gristmill_commit_group_commands_bucket{le=\"2\"} 0",
            "gristmill_commit_group_commands_bucket{le=\"5\"} 1",
            "gristmill_commit_duration_seconds_bucket{le=\"0.005\"} 1",
            "gristmill_commit_failures_total 1",
            "gristmill_command_queue_depth 5",
            "gristmill_command_queue_refused_total 1",
            "gristmill_rescued_tasks_total 6",
            "gristmill_blobs_swept_total 7",
            "gristmill_action_log_dropped_total 8",
            "gristmill_log_lines_dropped_total 16",
            "gristmill_trace_spans_total{result=\"exported\"} 17",
            "gristmill_actor_restarts_total{actor=\"janitor\"} 1",
            "gristmill_lease_renewals_total{result=\"failed\"} 1",
            "gristmill_lease_renewals_total{result=\"ok\"} 0",
            "gristmill_broker_connected{connection=\"publishing\"} 0",
            "gristmill_broker_connected{connection=\"consuming\"} 1",
            "gristmill_broker_reconnects_total{connection=\"publishing\"} 1",
            "gristmill_broker_published_total{result=\"unroutable\"} 2",
            "gristmill_broker_confirm_duration_seconds_bucket{le=\"0.005\"} 1",
            "gristmill_broker_delivered_total 3",
            "gristmill_broker_acked_total 2",
            "gristmill_image_variants_total{result=\"made\"} 1",
            "gristmill_image_variants_total{result=\"cached\"} 0",
            "gristmill_image_cache_bytes 11",
            "gristmill_image_memory_bytes 10",
            "gristmill_image_overloaded_total 1",
            "gristmill_quiz_calls_total{source=\"opentdb\",result=\"busy\"} 1",
            "gristmill_quiz_calls_total{source=\"jservice\",result=\"busy\"} 0",
            "gristmill_quiz_wait_duration_seconds_bucket{source=\"opentdb\",le=\"0.005\"} 0",
            "gristmill_quiz_wait_duration_seconds_bucket{source=\"opentdb\",le=\"0.01\"} 1",
            "gristmill_quiz_breaker_state{source=\"opentdb\"} 2",
            "gristmill_quiz_items_total{source=\"opentdb\",result=\"media\"} 14",
            "gristmill_quiz_spare_questions{source=\"opentdb\"} 15",
        ] {
            has(&text, line);
        }
    }

    #[test]
    fn requests_are_counted_by_route_method_and_class() {
        let text = rendered(|| {
            let http = HttpMetrics::new();
            let took = Duration::from_millis(7);
            http.of_route(Some("/tasks/{id}")).answered(Method::of("GET"), 200, took);
            http.clone().of_route(Some("/tasks/{id}")).answered(Method::Get, 204, took);
            http.of_route(Some("/tasks/{id}")).answered(Method::Delete, 503, took);
            http.of_route(None).answered(Method::of("BREW"), 404, took);
        });
        for line in [
            "gristmill_http_requests_total{route=\"/tasks/{id}\",method=\"GET\",status=\"2xx\"} 2",
            "gristmill_http_requests_total{route=\"/tasks/{id}\",method=\"DELETE\",status=\"5xx\"} 1",
            "gristmill_http_requests_total{route=\"unmatched\",method=\"other\",status=\"4xx\"} 1",
            "gristmill_http_request_duration_seconds_bucket{route=\"/tasks/{id}\",method=\"GET\",le=\"0.005\"} 0",
            "gristmill_http_request_duration_seconds_bucket{route=\"/tasks/{id}\",method=\"GET\",le=\"0.01\"} 2",
        ] {
            has(&text, line);
        }
    }

    #[test]
    fn paths_passed_by_mistake_cannot_make_series_without_bound() {
        let text = rendered(|| {
            let http = HttpMetrics::new();
            for id in 0..2 * ROUTES {
                http.of_route(Some(&format!("/tasks/{id}"))).answered(Method::Get, 200, Duration::ZERO);
            }
        });
        let series = text.lines().filter(|line| line.starts_with("gristmill_http_requests_total")).count();
        assert_eq!(series, ROUTES + 1);
        let rest = format!(
            "gristmill_http_requests_total{{route=\"other\",method=\"GET\",status=\"2xx\"}} {ROUTES}"
        );
        has(&text, &rest);
    }

    #[test]
    fn a_run_that_panics_is_no_longer_in_progress() {
        let text = rendered(|| {
            let kind = KindMetrics::new("noop");
            let run = std::panic::AssertUnwindSafe(|| {
                let _run = kind.run_begins();
                std::panic::resume_unwind(Box::new("run failed"));
            });
            assert!(std::panic::catch_unwind(run).is_err());
        });
        has(&text, "gristmill_runs_in_progress{kind=\"noop\"} 0");
    }

    #[test]
    fn installing_twice_gives_the_same_metrics() {
        let first = install().unwrap();
        let second = install().unwrap();
        // A kind of this test's own: other tests of the program move the same global metrics.
        KindMetrics::new("installed_twice").event(TaskEvent::Created, 41);
        first.run_upkeep();
        has(&second.render(), "gristmill_task_events_total{kind=\"installed_twice\",event=\"created\"} 41");
    }

    #[test]
    fn the_page_on_metrics_says_what_is_declared() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/metrics.md");
        let fresh = reference_markdown();
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(&path, &fresh).unwrap();
        }
        let stands = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(stands == fresh, "docs/metrics.md differs: run `UPDATE=1 cargo test --lib metrics`");
    }
}
