//! The benchmarks: one command, a table for people and a JSON file for comparisons.
//!
//! `scripts/bench` runs them beside a PostgreSQL of their own; `GRISTMILL_BENCH_SECONDS` sets how long each load
//! lasts. The daemon is the real program, built for release, on a loopback port with durable commits; the load comes
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

mod client;
mod daemon;
mod load;
mod raw;
mod report;
mod transcode;

use std::time::Duration;

use daemon::Daemon;
use report::Report;

fn main() {
    // `cargo test --all-targets` runs this too, with --test: there is nothing to test here.
    if std::env::args().any(|argument| argument == "--test") || !std::env::args().any(|a| a == "--bench") {
        println!("benchmarks run under `cargo bench` only");
        return;
    }
    let seconds =
        std::env::var("GRISTMILL_BENCH_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(5);
    let span = Duration::from_secs(seconds);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut report = Report::default();
    runtime.block_on(async {
        raw::disk(&mut report);
        raw::sqlite(&mut report).await;
        engine(&mut report, "sqlite", None, span).await;
        match std::env::var("GRISTMILL_TEST_POSTGRES") {
            Ok(url) => {
                raw::postgres(&mut report, &url).await;
                engine(&mut report, "postgres", Some(url), span).await;
            }
            Err(_) => report.missing("postgres", "run it as scripts/bench: no PostgreSQL was given"),
        }
    });
    transcode::compare(&mut report);
    report.finish();
}

/// Everything about one database.
async fn engine(report: &mut Report, name: &str, database: Option<String>, span: Duration) {
    let mut starts: Vec<Duration> = Vec::new();
    for _ in 0..5 {
        let daemon = Daemon::start(database.as_deref()).await;
        starts.push(daemon.ready_after);
        daemon.stop().await;
    }
    starts.sort();
    report.row(format!("{name}: start to ready, median of 5"), millis(starts[2]), "ms");

    let daemon = Daemon::start(database.as_deref()).await;
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
