//! The page for those who run the daemon: each of its commands is given, to what it is about.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use crate::Daemon;
use crate::common::fresh_postgres_database;
use crate::programs::{World, corner};

const PAGE: &str = include_str!("../../docs/operations.md");

/// The commands of the page by what they are about, which is the word behind the fence.
fn commands() -> BTreeMap<String, String> {
    let mut found = BTreeMap::<String, String>::new();
    let mut about = None;
    for line in PAGE.lines() {
        match (line.trim_start().strip_prefix("```"), &about) {
            (Some(""), Some(_)) => about = None,
            (Some(word), None) => about = Some(word.to_owned()),
            (Some(word), Some(_)) => panic!("a block within a block: {word}"),
            (None, Some(word)) => {
                let text = found.entry(word.clone()).or_default();
                text.push_str(line.trim_start());
                text.push('\n');
            }
            (None, None) => {}
        }
    }
    found
}

/// Gives the commands to a shell in that folder; what they printed. All must end well.
fn give(commands: &str, folder: &Path, settings: &[(&str, &str)]) -> String {
    let program = Path::new(env!("CARGO_BIN_EXE_gristmill")).parent().unwrap();
    let path = format!("{}:{}", program.display(), std::env::var("PATH").unwrap());
    let script = format!("set -euo pipefail\n{}", commands.replace("curl -s ", "curl -sS --fail-with-body "));
    let mut shell = Command::new("bash");
    shell.current_dir(folder).env("PATH", path).envs(settings.iter().copied()).args(["-c", &script]);
    let output = shell.output().unwrap();
    let (said, complained) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{commands}\n{said}\n{complained}");
    said.into_owned()
}

#[test]
fn every_command_is_about_something_that_is_tried() {
    let commands = commands();
    // `systemd` is for tests/systemd, which gives them to a Debian that is booted for it.
    let known = ["broker", "postgres", "sh", "systemd"];
    assert_eq!(commands.keys().map(String::as_str).collect::<Vec<_>>(), known);
}

#[test]
fn the_commands_for_a_daemon_on_this_machine_work_beside_it() {
    let folder = tempfile::tempdir().unwrap();
    let daemon = Daemon::start(folder.path());
    let commands = commands()["sh"].replace("127.0.0.1:5000", &daemon.address);
    let said = give(&commands, folder.path(), &[]);
    assert!(said.contains("\"ready\":true") && said.contains("gristmill_ready_tasks"), "{said}");
    assert!(folder.path().join("drill/data/gristmill.db").exists(), "nothing was restored:\n{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_commands_for_postgresql_work() {
    let (folder, database) = (tempfile::tempdir().unwrap(), fresh_postgres_database().await);
    give("gristmill user add --name ann", folder.path(), &[]);
    give(&commands()["postgres"], folder.path(), &[("DATABASE_URL", &database)]);
    let said = give("gristmill user list", folder.path(), &[("GRISTMILL__DATABASE__URL", &database)]);
    assert!(said.contains("ann"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_commands_for_a_broker_work() {
    let broker = corner();
    let world = World::at(Some(broker.clone()), &[]);
    world.once(world.make(serde_json::json!({})).await, "Completed").await;
    give(&commands()["broker"], world.folder.path(), &[("GRISTMILL__BROKER__URL", &broker)]);
}
