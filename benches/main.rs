//! The benchmarks: one command, a table for people and a JSON file for comparisons.
//!
//! `scripts/bench` runs them beside a PostgreSQL and a RabbitMQ of their own; `GRISTMILL_BENCH_SECONDS` sets how long
//! each load lasts, and words on the command line choose parts. The daemon is the real program, built for release, on a loopback port with durable commits; the load comes
//! from this process, on the same cores. What the disk and the databases allow by themselves is measured in the same
//! run, since disks differ from minute to minute: compare rows of one run only.
#![allow(
    missing_docs,
    unreachable_pub,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "a program"
)]
#![allow(clippy::allow_attributes, reason = "benches are not the product")]

mod admin;
mod broker;
mod client;
mod daemon;
mod images;
mod ingress;
mod listeners;
mod load;
mod nodes;
mod outside;
mod raw;
mod report;
mod reports;
mod serve;
mod takeover;
mod transcode;

use std::time::Duration;

use daemon::{Daemon, Setup};
use report::Report;

/// What can be chosen on the command line.
#[derive(Clone, Copy)]
enum Part {
    Raw,
    Engine,
    Ingress,
    Nodes,
    Listeners,
    Takeover,
    Outside,
    Admin,
    Transcode,
    ImagesServe,
    ImagesUpload,
    Images,
    Reports,
}

const PARTS: [(&str, Part); 13] = [
    ("raw", Part::Raw),
    ("engine", Part::Engine),
    ("ingress", Part::Ingress),
    ("nodes", Part::Nodes),
    ("listeners", Part::Listeners),
    ("takeover", Part::Takeover),
    ("outside", Part::Outside),
    ("admin", Part::Admin),
    ("transcode", Part::Transcode),
    ("images-serve", Part::ImagesServe),
    ("images-upload", Part::ImagesUpload),
    ("images", Part::Images),
    ("reports", Part::Reports),
];

/// What the measurements run beside.
struct Servers {
    postgres: String,
    rabbitmq: String,
}

impl Servers {
    fn given() -> Option<Self> {
        let address = |name: &str| std::env::var(name).ok();
        Some(Self {
            postgres: address("GRISTMILL_TEST_POSTGRES")?,
            rabbitmq: address("GRISTMILL_TEST_RABBITMQ")?,
        })
    }
}

fn main() {
    // `cargo test --all-targets` runs this too, with --test: there is nothing to test here.
    if std::env::args().any(|argument| argument == "--test") || !std::env::args().any(|a| a == "--bench") {
        println!("benchmarks run under `cargo bench` only");
        return;
    }
    if let Ok(path) = std::env::var(images::ONLY) {
        return images::once(&path);
    }
    if std::env::var_os(reports::MANY).is_some() {
        return reports::many();
    }
    let seconds =
        std::env::var("GRISTMILL_BENCH_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(5);
    let span = Duration::from_secs(seconds);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let servers = Servers::given();
    let mut report = Report::default();
    for part in chosen() {
        runtime.block_on(async {
            alone(part, &mut report, span).await;
            if let Some(servers) = &servers {
                beside(servers, part, &mut report, span).await;
            }
        });
    }
    if servers.is_none() {
        report.missing("what needs PostgreSQL or RabbitMQ", "run it as scripts/bench: they were not given");
    }
    report.finish();
}

/// The parts that the command line names; all, when it names none.
fn chosen() -> Vec<Part> {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let part = |word: &String| PARTS.iter().find(|(name, _)| name == word);
    if let Some(word) = words.iter().find(|word| part(word).is_none()) {
        panic!("{word:?} is no part; there are {}", PARTS.map(|(name, _)| name).join(", "));
    }
    let chosen = PARTS.iter().filter(|(name, _)| words.is_empty() || words.iter().any(|word| word == name));
    chosen.map(|(_, part)| *part).collect()
}

/// What needs no server.
async fn alone(part: Part, report: &mut Report, span: Duration) {
    match part {
        Part::Raw => {
            raw::disk(report);
            raw::sqlite(report).await;
        }
        Part::Engine => engine(report, "sqlite", None, span).await,
        Part::Outside => outside::claim_and_complete(report, "sqlite", None, span).await,
        Part::Admin => admin::pages(report, "sqlite", None).await,
        Part::Transcode => transcode::compare(report),
        Part::ImagesServe => serve::compare(report, span).await,
        Part::ImagesUpload => serve::uploads(report, span).await,
        Part::Images => images::compare(report),
        Part::Reports => reports::compare(report),
        Part::Ingress | Part::Nodes | Part::Listeners | Part::Takeover => {}
    }
}

/// What needs one.
async fn beside(servers: &Servers, part: Part, report: &mut Report, span: Duration) {
    let Servers { postgres, rabbitmq } = servers;
    match part {
        Part::Raw => raw::postgres(report, postgres).await,
        Part::Engine => engine(report, "postgres", Some(postgres), span).await,
        Part::Ingress => {
            ingress::compare(report, "postgres", Some(postgres), rabbitmq).await;
            ingress::compare(report, "sqlite", None, rabbitmq).await;
        }
        Part::Nodes => {
            nodes::accept_to_start(report, postgres, Some(&broker::fresh(rabbitmq))).await;
            nodes::accept_to_start(report, postgres, None).await;
            nodes::end_to_end(report, postgres, &broker::fresh(rabbitmq), span).await;
        }
        Part::Listeners => {
            for rate in [50, 500] {
                listeners::listen(report, postgres, rate, span).await;
            }
        }
        Part::Takeover => takeover::compare(report, postgres, &broker::fresh(rabbitmq), 10, 3).await,
        Part::Outside => outside::claim_and_complete(report, "postgres", Some(postgres), span).await,
        Part::Admin => admin::pages(report, "postgres", Some(postgres)).await,
        Part::Transcode | Part::ImagesServe | Part::ImagesUpload | Part::Images | Part::Reports => {}
    }
}

/// Everything about one database.
async fn engine(report: &mut Report, name: &str, server: Option<&str>, span: Duration) {
    let mut starts: Vec<Duration> = Vec::new();
    for _ in 0..5 {
        let daemon = Daemon::start(&Setup::own(server).await).await;
        starts.push(daemon.ready_after);
        daemon.stop().await;
    }
    starts.sort();
    report.row(format!("{name}: start to ready, median of 5"), millis(starts[2]), "ms");

    let daemon = Daemon::start(&Setup::own(server).await).await;
    let idle = load::idle(&daemon, span).await;
    report.row(format!("{name}: idle memory (RSS)"), idle.rss_mb, "MB");
    report.row(format!("{name}: idle CPU"), idle.cpu_percent, "%");

    let latency = load::latency(&daemon, 300).await;
    report.row(format!("{name}: idle, POST to completed and told, p50"), millis(latency.p50), "ms");
    report.row(format!("{name}: idle, POST to completed and told, p99"), millis(latency.p99), "ms");

    for round in 1..=3 {
        let one = load::one_by_one(&daemon, 64, span).await;
        let row = |what: &str| format!("{name}: one by one, 64 connections, round {round}: {what}");
        report.row(row("accepted"), one.accepted, "tasks/s");
        report.row(row("accepted and completed"), one.completed, "tasks/s");
        report.row(row("POST p50"), millis(one.latency.p50), "ms");
        report.row(row("POST p99"), millis(one.latency.p99), "ms");
    }
    for round in 1..=3 {
        let batches = load::batches(&daemon, 4, 1000, span).await;
        let row = |what: &str| format!("{name}: batches of 1,000, 4 connections, round {round}: {what}");
        report.row(row("accepted"), batches.accepted, "tasks/s");
        report.row(row("batch in, all run"), batches.completed, "tasks/s");
    }
    report.row(format!("{name}: memory after the load (RSS)"), daemon.rss_mb(), "MB");
    daemon.stop().await;
}

fn millis(span: Duration) -> f64 {
    span.as_secs_f64() * 1e3
}
