//! Two nodes on one PostgreSQL.

use std::time::{Duration, Instant};

use sqlx::{Connection, PgConnection};

use crate::client::{Client, request};
use crate::daemon::{Daemon, Setup, fresh};
use crate::load::{self, Latency};
use crate::millis;
use crate::report::{Report, median};

const COUNT: usize = 300;

/// From the instant at which one node accepts a task to that at which another starts it, both as the rows say, on the
/// database's clock. One task at a time, 20 a second, nothing else to do.
pub async fn accept_to_start(report: &mut Report, server: &str, broker: Option<&str>) {
    let database = fresh(server).await;
    let setup = match broker {
        Some(broker) => Setup::on(&database).with("BROKER__URL", broker),
        None => Setup::on(&database),
    };
    let doors = Daemon::start(&setup.clone().with("ROLES", "http,janitor")).await;
    let worker = Daemon::start(&setup.with("ROLES", "worker")).await;
    let mut rows = PgConnection::connect(&database).await.unwrap();
    // The first few make the queues, and the statements' plans.
    post(&doors, &mut rows, 20).await;
    let latency = post(&doors, &mut rows, COUNT).await;
    let by = if broker.is_some() { "by the broker" } else { "by the database's word" };
    report.row(
        format!("two nodes, idle: accept to start on the other, {by}, p50"),
        millis(latency.p50),
        "ms",
    );
    report.row(
        format!("two nodes, idle: accept to start on the other, {by}, p99"),
        millis(latency.p99),
        "ms",
    );
    rows.close().await.unwrap();
    worker.stop().await;
    doors.stop().await;
}

async fn post(doors: &Daemon, rows: &mut PgConnection, count: usize) -> Latency {
    let newest: i64 =
        sqlx::query_scalar("SELECT coalesce(max(id), 0) FROM tasks").fetch_one(&mut *rows).await.unwrap();
    let mut client = Client::connect(doors.address).await.unwrap();
    let post = request("POST", "/tasks", "", "");
    for _ in 0..count {
        let begun = Instant::now();
        let (status, _) = client.send(&post).await.unwrap();
        assert_eq!(status, 201);
        tokio::time::sleep(Duration::from_millis(50).saturating_sub(begun.elapsed())).await;
    }
    loop {
        let took: Vec<i64> = sqlx::query_scalar(
            "SELECT started_at - created_at FROM tasks WHERE id > $1 AND status = 'Completed'",
        )
        .bind(newest)
        .fetch_all(&mut *rows)
        .await
        .unwrap();
        if took.len() == count {
            return load::quantiles(
                took.into_iter().map(|micros| Duration::from_micros(micros.unsigned_abs())).collect(),
            );
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Tasks one by one over 64 connections, to one node and then to two that do everything, with the broker between them.
pub async fn end_to_end(report: &mut Report, server: &str, broker: &str, span: Duration) {
    let setup = Setup::on(&fresh(server).await).with("BROKER__URL", broker);
    let first = Daemon::start(&setup).await;
    let one = throughput(&[&first], span).await;
    let second = Daemon::start(&setup).await;
    let two = throughput(&[&first, &second], span).await;
    for (nodes, (accepted, completed)) in [("one node", one), ("two nodes", two)] {
        let row = |what: &str| format!("{nodes} with a broker, 64 connections, median of 3: {what}");
        report.row(row("accepted"), accepted, "tasks/s");
        report.row(row("accepted and completed"), completed, "tasks/s");
    }
    second.stop().await;
    first.stop().await;
}

async fn throughput(nodes: &[&Daemon], span: Duration) -> (f64, f64) {
    let (mut accepted, mut completed) = (Vec::new(), Vec::new());
    for _ in 0..3 {
        let round = load::over_nodes(nodes, 64, span).await;
        accepted.push(round.accepted);
        completed.push(round.completed);
    }
    (median(accepted), median(completed))
}
