//! The clock of the machine is set forward and back while work is under way: nothing waits for it, and nothing takes effect
//! twice.

use std::time::Duration;

use gristmill::clock::Clock;
use serde_json::{Value, json};

use crate::common::eventually;
use crate::harness::{Daemon, on_system};

const HOUR: Duration = Duration::from_secs(3600);

/// Settings with short pauses.
const QUICK: [(&str, &str); 4] = [
    ("TASKS__RETRY_BASE_S", "1"),
    // Long enough for a busy machine to renew it in time.
    ("TASKS__LEASE_S", "9"),
    ("TASKS__RESCUE_S", "0.2"),
    ("AUTH__LOGIN_ATTEMPTS", "3"),
];

async fn story(daemon: &Daemon, task: i64) -> Vec<String> {
    let mut stream = reqwest::get(daemon.url(&format!("/tasks/{task}/events"))).await.unwrap();
    let mut text = String::new();
    loop {
        text.push_str(std::str::from_utf8(&stream.chunk().await.unwrap().unwrap()).unwrap());
        let words: Vec<String> =
            text.lines().filter_map(|line| line.strip_prefix("event: ")).map(str::to_owned).collect();
        if words.last().is_some_and(|word| word == "completed") {
            return words;
        }
    }
}

/// A task for people, in the hands of a program.
async fn claim(daemon: &Daemon) -> Value {
    let terms = json!({ "kinds": ["manual"], "worker": "w", "lease_s": 2, "wait_s": 20 });
    daemon.post("/tasks/claim", &terms).await
}

/// How often the node has renewed its lease.
async fn renewals(daemon: &Daemon) -> u64 {
    let metrics = daemon.text("/metrics").await;
    let line =
        metrics.lines().find_map(|line| line.strip_prefix("gristmill_lease_renewals_total{result=\"ok\"} "));
    line.unwrap().parse().unwrap()
}

#[test]
fn when_the_clock_is_set_back_nothing_waits_for_it_and_no_lease_is_lost() {
    on_system(async || {
        let folder = tempfile::tempdir().unwrap();
        let clock = Clock::system();
        let (daemon, _) = Daemon::start_by(folder.path(), &QUICK, clock.clone()).await;
        let runs = daemon.submit("wait", json!({})).await;
        daemon.until(runs, "In Progress").await;
        let retried = daemon.submit("fail_once", json!({ "max_attempts": 2 })).await;
        eventually("the first try to have failed", async || {
            (daemon.task(retried).await["failures"] == 1).then_some(())
        })
        .await;
        let manual = daemon.submit("ok", json!({ "kind": "manual", "payload": null })).await;
        let claimed = claim(&daemon).await;
        assert_eq!(claimed["id"], manual, "{claimed}");
        let login = json!({ "name": "nobody", "password": "x" });
        while daemon.post("/login", &login).await["code"] != "rate_limited" {}

        clock.set_back(HOUR);
        daemon.until(retried, "Completed").await;
        let beat = daemon.post(&format!("/tasks/{manual}/heartbeat"), &json!({ "attempt": 1 })).await;
        assert_eq!(beat["id"], manual, "{beat}");
        daemon.still_works().await;
        // Who falls silent loses the task in time, not in an hour.
        eventually("the silent worker's task to be free", async || {
            (daemon.task(manual).await["status"] == "New").then_some(())
        })
        .await;
        // Longer than the lease, which is renewed every third of it.
        let before = renewals(&daemon).await;
        eventually("four renewals", async || (renewals(&daemon).await >= before + 4).then_some(())).await;
        daemon.chaos.state.release();
        let done = daemon.until(runs, "Completed").await;
        assert_eq!((&done["attempt"], &done["crashes"]), (&json!(1), &json!(0)), "{done}");
        assert_eq!(story(&daemon, retried).await, ["created", "started", "retrying", "started", "completed"]);
        daemon.app.drain().await;
    });
}

#[test]
fn when_the_clock_is_set_forward_what_is_due_runs_and_nothing_takes_effect_twice() {
    on_system(async || {
        let folder = tempfile::tempdir().unwrap();
        let clock = Clock::system();
        let (daemon, _) = Daemon::start_by(folder.path(), &QUICK, clock.clone()).await;
        let runs = daemon.submit("wait", json!({})).await;
        daemon.until(runs, "In Progress").await;
        let soon = chrono::Utc::now() + chrono::TimeDelta::minutes(30);
        let later = daemon.submit("ok", json!({ "run_at": soon.to_rfc3339() })).await;
        let manual = daemon.submit("ok", json!({ "kind": "manual", "payload": null })).await;
        let claimed = claim(&daemon).await;
        assert_eq!(claimed["id"], manual, "{claimed}");

        clock.advance(HOUR);
        daemon.until(later, "Completed").await;
        // The worker's lease is over: what it says is refused, and another gets the task.
        let again = claim(&daemon).await;
        assert_eq!(again["attempt"], 2, "{again}");
        let stale =
            daemon.post(&format!("/tasks/{manual}/complete"), &json!({ "attempt": 1, "result": 1 })).await;
        assert_eq!(stale["code"], "stale_attempt", "{stale}");
        let done =
            daemon.post(&format!("/tasks/{manual}/complete"), &json!({ "attempt": 2, "result": 2 })).await;
        assert_eq!(done["result"], 2, "{done}");
        // The node's own lease is over as well: it gives up what it ran, takes a new one, and runs it again.
        daemon.chaos.state.release();
        daemon.until(runs, "Completed").await;
        let told = story(&daemon, runs).await;
        assert_eq!(told.iter().filter(|word| *word == "completed").count(), 1, "{told:?}");
        assert_eq!(daemon.task(runs).await["crashes"], 0, "nothing is held against it");
        daemon.still_works().await;
        daemon.app.drain().await;
    });
}
