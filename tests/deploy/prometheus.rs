//! Prometheus with the project's configuration: what promtool says of it, and what a real one sees of a real daemon.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::catalogue::{alerts, asked, panels};
use crate::common::eventually;
use crate::stand::{Node, Watcher, project, run, yaml};

/// Each alert's cases in `tests/deploy/alerts.yml`: whether it fires.
fn cases() -> BTreeMap<String, BTreeSet<bool>> {
    let mut cases: BTreeMap<String, BTreeSet<bool>> = BTreeMap::new();
    for test in yaml("tests/deploy/alerts.yml")["tests"].as_array().unwrap() {
        for case in test["alert_rule_test"].as_array().unwrap() {
            let fires = !case["exp_alerts"].as_array().unwrap().is_empty();
            cases.entry(case["alertname"].as_str().unwrap().to_owned()).or_default().insert(fires);
        }
    }
    cases
}

#[test]
fn promtool_accepts_the_configuration_and_the_rules() {
    let folder = project("");
    let told = run("promtool", &["check", "config", "prometheus.yml"], &folder);
    assert!(told.contains("SUCCESS: 1 rule files found"), "{told}");
    run("promtool", &["check", "rules", "config/prometheus/alerts.yml"], &folder);
}

#[test]
fn every_alert_fires_on_what_it_is_for_and_on_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let mut rules = yaml("config/prometheus/alerts.yml");
    for group in rules["groups"].as_array_mut().unwrap() {
        for rule in group["rules"].as_array_mut().unwrap() {
            let annotations = rule["annotations"].as_object_mut().unwrap();
            let description = annotations.remove("description");
            assert!(description.is_some_and(|text| text.as_str().unwrap().len() > 40), "{rule}: what to do?");
            assert!(["page", "ticket"].contains(&rule["labels"]["severity"].as_str().unwrap()), "{rule}");
        }
    }
    fs::write(folder.path().join("alerts.yml"), rules.to_string()).unwrap();
    fs::copy(project("tests/deploy/alerts.yml"), folder.path().join("cases.yml")).unwrap();
    run("promtool", &["test", "rules", "cases.yml"], folder.path());
    let both: BTreeSet<bool> = [false, true].into();
    let cases = cases();
    for alert in alerts().into_keys() {
        assert_eq!(
            cases.get(&alert),
            Some(&both),
            "{alert} needs a case that it fires on, and one that it does not"
        );
    }
}

/// The configuration with these daemons in the places of those of docker-compose.yml, and quicker.
fn configuration(nodes: &[&Node]) -> Value {
    let mut config = yaml("prometheus.yml");
    config["global"] = json!({"scrape_interval": "1s", "evaluation_interval": "1s"});
    config["rule_files"] = json!([project("config/prometheus/alerts.yml")]);
    let job = &mut config["scrape_configs"][0];
    assert_eq!(job["job_name"], "gristmill");
    let found = job.as_object_mut().unwrap().remove("dns_sd_configs").unwrap();
    assert_eq!((&found[0]["names"], &found[0]["port"]), (&json!(["gristmill"]), &json!(5000)));
    let addresses: Vec<&str> = nodes.iter().map(|node| node.address.as_str()).collect();
    job["static_configs"] = json!([{ "targets": addresses }]);
    config
}

#[tokio::test]
async fn a_real_prometheus_scrapes_the_daemon_and_evaluates_every_rule_and_every_panel() {
    let folder = tempfile::tempdir().unwrap();
    let node = Node::start(folder.path(), "one", &[]).await;
    let watcher = Watcher::start(folder.path(), &configuration(&[&node])).await;

    // What Prometheus' own linter says of the names, types and helps.
    let client = reqwest::Client::new();
    let task = client.post(node.url("/tasks")).header("prefer", "wait=20").send().await.unwrap();
    assert_eq!(task.status(), 201);
    let page = client.get(node.url("/metrics")).send().await.unwrap().text().await.unwrap();
    let mut linter = Command::new("promtool");
    linter.args(["check", "metrics"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut linter = linter.spawn().unwrap();
    linter.stdin.take().unwrap().write_all(page.as_bytes()).unwrap();
    let said = linter.wait_with_output().unwrap();
    assert!(said.status.success() && said.stdout.is_empty() && said.stderr.is_empty(), "{said:?}");

    eventually("the target is up", || async {
        let targets = watcher.ask("targets", &[]).await;
        let mut gristmill = targets["activeTargets"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|target| target["labels"]["job"] == "gristmill");
        gristmill.all(|target| target["health"] == "up" && target["lastError"] == "").then_some(())
    })
    .await;
    let done = r#"gristmill_task_events_total{job="gristmill",kind="noop",event="completed"} == 1"#;
    eventually("the task is counted", || async {
        let found = watcher.ask("query", &[("query", done)]).await;
        (!found["result"].as_array().unwrap().is_empty()).then_some(())
    })
    .await;

    // Every label's value that somebody asks for is there: series show 0 before their first event.
    for (place, expr) in alerts().into_iter().chain(panels()) {
        watcher.ask("query", &[("query", &expr)]).await;
        for selector in asked(&expr).0.into_iter().filter(|selector| selector.name.starts_with("gristmill_"))
        {
            // A class of status is there with the first such answer.
            let of_status = selector.matchers.iter().any(|(label, ..)| label == "status");
            let found = watcher.ask("query", &[("query", &selector.text())]).await;
            let found = found["result"].as_array().unwrap();
            assert!(of_status || !found.is_empty(), "{place}: there is no {}", selector.text());
        }
    }

    // Each rule was evaluated, and none failed; nothing is wrong but what does not run here.
    eventually("all rules are evaluated", || async {
        let rules = watcher.ask("rules", &[]).await;
        let groups = rules["groups"].as_array().unwrap().clone();
        let rules: Vec<Value> =
            groups.iter().flat_map(|group| group["rules"].as_array().unwrap().clone()).collect();
        assert_eq!(rules.len(), alerts().len());
        for rule in &rules {
            assert_ne!(rule["health"], "err", "{rule}");
        }
        rules.iter().all(|rule| rule["health"] == "ok").then_some(())
    })
    .await;
    // Before the first answer there was no node for a moment.
    eventually("no alert", || async { pending(&watcher).await.is_empty().then_some(()) }).await;

    node.process.kill();
    eventually("the alerts on a node that died", || async {
        let expected = ["GristmillAllNodesDown", "GristmillNodeDown"].map(str::to_owned).into();
        (pending(&watcher).await == expected).then_some(())
    })
    .await;
}

/// The alerts that have begun.
async fn pending(watcher: &Watcher) -> BTreeSet<String> {
    let alerts = watcher.ask("alerts", &[]).await;
    let alerts = alerts["alerts"].as_array().unwrap().clone();
    alerts.iter().map(|alert| alert["labels"]["alertname"].as_str().unwrap().to_owned()).collect()
}
