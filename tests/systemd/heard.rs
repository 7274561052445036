//! What the daemon says of itself.

use std::time::Duration;

use crate::common::proxy::Proxy;
use crate::common::{eventually, fresh_postgres_database};
use crate::manager::Service;

/// Long enough that a machine under load is not taken for a daemon that hangs.
const WATCHDOG: Duration = Duration::from_secs(8);

#[tokio::test]
async fn ready_is_said_once_with_a_status_before_it_and_the_end_is_said_too() {
    let mut service = Service::start(WATCHDOG, &[]);
    service.says("READY=1").await;
    let said: Vec<String> = service.heard().into_iter().map(|(_, line)| line).collect();
    let at = |line: &str| said.iter().position(|said| said == line);
    assert!(at("STATUS=starting: opening the database") < at("STATUS=ready, no task running"), "{said:?}");
    assert!(at("STATUS=ready, no task running") < at("READY=1"), "{said:?}");
    assert!(said.iter().any(|line| line.starts_with("EXTEND_TIMEOUT_USEC=")), "the start may take its time");
    assert!(
        service.folder().join("state/gristmill.db").is_file(),
        "what systemd made for it is its data folder"
    );

    service.says_again("WATCHDOG=1", 4).await;
    let fed = service.times_of("WATCHDOG=1");
    let longest = fed.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap();
    assert!(longest < WATCHDOG / 2, "{longest:?}");

    service.signal("-HUP");
    service.says("RELOADING=1").await;
    let since: u64 =
        service.says("MONOTONIC_USEC=").await.trim_start_matches("MONOTONIC_USEC=").parse().unwrap();
    assert!(since > 0);
    service.says_again("READY=1", 2).await;

    service.signal("-TERM");
    assert!(service.ends().await.success());
    let said: Vec<String> = service.heard().into_iter().map(|(_, line)| line).collect();
    let stopping = said.iter().position(|line| line == "STOPPING=1").unwrap();
    assert_eq!(said[stopping + 1], "EXTEND_TIMEOUT_USEC=17000000", "the grace, and a moment: {said:?}");
    assert!(!said[stopping..].contains(&"READY=1".to_owned()), "{said:?}");
}

#[tokio::test]
async fn a_systemd_that_hears_nothing_holds_up_no_reload_and_no_drain() {
    let mut service = Service::unheard(Duration::from_millis(20));
    let reloads = || service.log().matches("the settings were read again").count();
    eventually("it is ready", async || service.log().contains("\"message\":\"ready\"").then_some(())).await;
    // More than any queue between the two holds.
    for nth in 1..=60 {
        service.signal("-HUP");
        eventually("the settings are read again", async || (reloads() >= nth).then_some(())).await;
    }
    service.signal("-TERM");
    assert!(service.ends().await.success());
}

#[tokio::test]
async fn who_lacks_what_is_required_is_not_ready_and_says_what() {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let settings = [
        ("GRISTMILL__BLOBS__URL", "s3://mill".to_owned()),
        ("GRISTMILL__BLOBS__S3_ENDPOINT", format!("http://{nobody}")),
        ("GRISTMILL__BLOBS__S3_ACCESS_KEY", "miller".to_owned()),
        ("GRISTMILL__BLOBS__S3_SECRET_KEY", "hunter2".to_owned()),
    ];
    let service = Service::start(WATCHDOG, &settings);
    let status = service.says("STATUS=not ready").await;
    assert!(status.contains("blobs is down: "), "{status}");
    // It lives, and a new process would find the bucket no better.
    service.says_again("WATCHDOG=1", 3).await;
    assert!(service.times_of("READY=1").is_empty(), "{:?}", service.heard());
}

#[tokio::test]
async fn a_server_that_is_away_is_no_reason_to_be_killed() {
    let url = fresh_postgres_database().await;
    let (before, rest) = url.split_once('@').unwrap();
    let (host, path) = rest.split_once('/').unwrap();
    let proxy = Proxy::before(host.to_owned()).await;
    let settings = [
        ("GRISTMILL__DATABASE__URL", format!("{before}@{}/{path}", proxy.address)),
        ("GRISTMILL__DATABASE__STATEMENT_TIMEOUT_S", "4".to_owned()),
        ("GRISTMILL__TASKS__LEASE_S", "3".to_owned()),
    ];
    let service = Service::start(WATCHDOG, &settings);
    service.says("READY=1").await;
    proxy.set_silent(true);
    proxy.swallow_what_is_open();
    service.says("STATUS=not ready").await;
    let fed = service.times_of("WATCHDOG=1").len();
    // For twice as long as systemd would have waited.
    service.says_again("WATCHDOG=1", fed + 8).await;
    let fed = service.times_of("WATCHDOG=1");
    let longest = fed.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap();
    assert!(longest < WATCHDOG, "{longest:?}");
    proxy.set_silent(false);
    let readies = service.heard().iter().filter(|(_, line)| line.starts_with("STATUS=ready")).count();
    service.says_again("STATUS=ready", readies + 1).await;
}

#[tokio::test]
async fn who_waits_for_a_database_in_this_process_for_ever_is_fed_no_more() {
    let hang = ("GRISTMILL_FAILPOINT", "commit_before:40=HANG".to_owned());
    let service = Service::start(Duration::from_secs(2), &[hang]);
    service.says("READY=1").await;
    // The probes of the watchdog are writes themselves, and come to the fortieth.
    eventually("the log to tell", async || service.log().contains("the watchdog is not fed").then_some(()))
        .await;
    let fed = service.times_of("WATCHDOG=1").len();
    eventually("the log to tell again", async || {
        (service.log().matches("the watchdog is not fed").count() > 2).then_some(())
    })
    .await;
    assert_eq!(service.times_of("WATCHDOG=1").len(), fed);
}
