//! The logs of a running daemon: rotated by the real logrotate, read again at SIGHUP, and with nobody who reads them.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use serde_json::{Value, json};

use crate::common::eventually;
use crate::stand::{Node, changed, run, text};

/// The project's file for logrotate, for a daemon of this test.
fn rotation(node: &Node, log: &Path) -> String {
    let text = changed(
        &text("systemd/logrotate/gristmill"),
        "/var/log/gristmill/app.log",
        &log.display().to_string(),
    );
    let owner = |field| run("id", &[field, "-n"], Path::new("/")).trim().to_owned();
    let (user, group) = (owner("-u"), owner("-g"));
    let text = changed(&text, "su gristmill gristmill", &format!("su {user} {group}"));
    let text = changed(&text, "create 0640 gristmill gristmill", &format!("create 0640 {user} {group}"));
    let text = changed(&text, "systemctl --quiet is-active gristmill.service", "true");
    changed(&text, "systemctl reload gristmill.service", &format!("kill -HUP {}", node.process.id()))
}

#[tokio::test(flavor = "multi_thread")]
async fn no_line_is_lost_or_doubled_while_logrotate_rotates() {
    let place = tempfile::tempdir().unwrap();
    let node = Arc::new(Node::start(place.path(), "node", &[]).await);
    let logs = place.path().join("node/data");
    let log = logs.join("app.log");
    let (config, state) = (place.path().join("rotate.conf"), place.path().join("rotate.state"));
    fs::write(&config, rotation(&node, &log)).unwrap();
    fs::set_permissions(&config, fs::Permissions::from_mode(0o644)).unwrap();

    let (stop, made) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let load: Vec<_> = (0..4)
        .map(|_| {
            let (node, stop, made) = (Arc::clone(&node), Arc::clone(&stop), Arc::clone(&made));
            tokio::spawn(async move {
                let client = reqwest::Client::new();
                while !stop.load(Ordering::Relaxed) {
                    let number = made.fetch_add(1, Ordering::Relaxed);
                    let body = json!({"name": format!("user-{number}-")});
                    let response = client.post(node.url("/users")).json(&body).send().await.unwrap();
                    assert_eq!(response.status(), 201);
                }
            })
        })
        .collect();
    let begun = || async { fs::metadata(&log).is_ok_and(|file| file.len() > 0).then_some(()) };
    eventually("a line in the first file", begun).await;
    for round in 1..=4 {
        let enough = || async { (made.load(Ordering::Relaxed) > round * 25).then_some(()) };
        eventually("load", enough).await;
        let config = config.display().to_string();
        run("logrotate", &["-f", "-s", &state.display().to_string(), &config], place.path());
        eventually("a line in the new file", begun).await;
    }
    stop.store(true, Ordering::Relaxed);
    for task in load {
        task.await.unwrap();
    }
    node.process.end_well();

    let mut lines = String::new();
    let mut files = Vec::new();
    for entry in fs::read_dir(&logs).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let argument = path.display().to_string();
        match name.as_str() {
            _ if !name.starts_with("app.log") => continue,
            _ if name.ends_with(".gz") => lines.push_str(&run("gzip", &["-dc", &argument], &logs)),
            _ => lines.push_str(&fs::read_to_string(&path).unwrap()),
        }
        files.push(name);
    }
    files.sort();
    assert_eq!(files, ["app.log", "app.log.1", "app.log.2.gz", "app.log.3.gz", "app.log.4.gz"]);
    let mode = fs::metadata(&log).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o640);
    let mut seen = BTreeMap::<usize, usize>::new();
    for line in lines.lines() {
        let number =
            line.split("user-").nth(1).and_then(|rest| rest.split('-').next()).and_then(|n| n.parse().ok());
        *seen.entry(number.unwrap_or_else(|| panic!("a line that is none: {line:?}"))).or_default() += 1;
    }
    let made = made.load(Ordering::Relaxed);
    assert!(made > 100, "there was load: {made}");
    assert_eq!(seen, (0..made).map(|number| (number, 1)).collect());
}

/// The lines of the log with that message.
fn said(node: &Node, message: &str) -> Vec<Value> {
    let log = node.log();
    let lines = log.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines.filter(|line| line["message"].as_str().unwrap().starts_with(message)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn at_sighup_the_settings_are_read_again_and_wrong_ones_change_nothing() {
    let place = tempfile::tempdir().unwrap();
    let node = Node::start(place.path(), "node", &[]).await;
    let config = place.path().join("node/config");
    fs::create_dir(&config).unwrap();
    let reloads = |count: usize, message: &'static str| {
        let node = &node;
        async move {
            node.process.signal("HUP");
            let come = || async { Some(said(node, message)).filter(|lines| lines.len() == count) };
            eventually(message, come).await.pop().unwrap()
        }
    };
    let add_user = async |name: &str| {
        let body = json!({"name": name});
        reqwest::Client::new().post(node.url("/users")).json(&body).send().await.unwrap();
        eventually("the user's line", || async {
            let log = fs::read_to_string(place.path().join("node/data/app.log")).unwrap();
            log.lines().find(|line| line.contains(name)).map(str::to_owned)
        })
        .await
    };
    assert!(add_user("ann").await.ends_with("] Success: user ann created."));

    fs::write(config.join("a.toml"), "[log]\nlevel = \"debug\"\nlanguage = \"ru\"\n[tasks]\nlease_s = 20")
        .unwrap();
    let told = reloads(1, "the settings were read again").await;
    assert_eq!((&told["level"], &told["applied"]), (&json!("WARN"), &json!("log.level, log.language")));
    assert_eq!(told["waiting"], "tasks.lease_s");
    assert!(add_user("boris").await.ends_with("] Успех: пользователь boris создан."));
    reqwest::Client::new().post(node.url("/tasks")).header("prefer", "wait=20").send().await.unwrap();
    eventually("a line at debug", || async { said(&node, "the run is over").pop() }).await;

    fs::write(config.join("a.toml"), "[log]\nlanguage = \"en\"\nlevel = \"loud\"").unwrap();
    let told = reloads(1, "the settings are wrong").await;
    assert!(told["problem"].as_str().unwrap().contains("a.toml:3: "), "{told}");
    assert_eq!(told["level"], "ERROR");
    assert!(add_user("clara").await.ends_with("] Успех: пользователь clara создан."), "nothing changed");

    fs::remove_file(config.join("a.toml")).unwrap();
    let told = reloads(2, "the settings were read again").await;
    assert_eq!((&told["level"], &told["waiting"]), (&json!("INFO"), &Value::Null));
    node.process.end_well();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_daemon_lives_on_when_nobody_reads_its_log() {
    let place = tempfile::tempdir().unwrap();
    let chatty = [("LOG__LEVEL", "trace".to_owned())];
    for (name, keep_open) in [("gone", false), ("asleep", true)] {
        let (reader, writer) = std::io::pipe().unwrap();
        let node = Node::start_saying_to(place.path(), name, &chatty, Stdio::from(writer)).await;
        // Either nobody is there any more, or somebody who never reads.
        let reader = keep_open.then_some(reader);
        let client = reqwest::Client::new();
        let dropped = eventually("lines that were dropped", || async {
            let made = client.post(node.url("/tasks")).header("prefer", "wait=20").send().await.unwrap();
            assert_eq!(made.status(), 201);
            let metrics = client.get(node.url("/metrics")).send().await.unwrap().text().await.unwrap();
            let line =
                metrics.lines().find_map(|line| line.strip_prefix("gristmill_log_lines_dropped_total "));
            line.unwrap().parse::<u64>().ok().filter(|lines| *lines > 0)
        })
        .await;
        assert!(dropped > 0);
        node.process.end_well();
        drop(reader);
    }
}

#[test]
fn the_real_journal_has_the_fields_that_people_search_by() {
    let place = tempfile::tempdir().unwrap();
    let script = crate::stand::project("tests/deploy/journal.sh").display().to_string();
    let arguments =
        ["--mount", &script, env!("CARGO_BIN_EXE_gristmill"), &place.path().display().to_string()];
    let told = run("unshare", &arguments, place.path());
    let lines: Vec<Value> = told.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let of = |message: &str| {
        let found =
            lines.iter().find(|line| line["MESSAGE"].as_str().is_some_and(|said| said.starts_with(message)));
        found.unwrap_or_else(|| panic!("`{message}` is not in {told}"))
    };
    let run = of("the run is over");
    assert_eq!(
        (&run["TASK_ID"], &run["KIND"], &run["ATTEMPT"], &run["PRIORITY"]),
        (&json!("1"), &json!("noop"), &json!("1"), &json!("7"))
    );
    assert_eq!((&run["SYSLOG_IDENTIFIER"], &run["_TRANSPORT"]), (&json!("gristmill"), &json!("journal")));
    assert_eq!(run["TRACE_ID"].as_str().unwrap().len(), 32);
    let refused = of("the request was refused");
    assert_eq!(
        (&refused["REQUEST_ID"], &refused["ROUTE"], &refused["METHOD"]),
        (&json!("r-18"), &json!("/tasks"), &json!("POST"))
    );
}
