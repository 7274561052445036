//! The README as a newcomer reads it: its commands, one after the other, against the real program; and the examples,
//! with a real broker; and producers and strangers that misbehave.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "../common/mod.rs"]
mod common;

mod accounts;
mod attack;
mod examples;
mod generated;
mod operations;
mod programs;
mod rude;

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};

const README: &str = include_str!("../../README.md");

/// The code blocks of that language, in order.
fn blocks(language: &str) -> Vec<String> {
    let opening = format!("```{language}");
    let (mut blocks, mut block) = (Vec::new(), None::<String>);
    for line in README.lines() {
        match &mut block {
            Some(_) if line == "```" => blocks.extend(block.take()),
            Some(text) => {
                text.push_str(line);
                text.push('\n');
            }
            None if line == opening => block = Some(String::new()),
            None => {}
        }
    }
    blocks
}

struct Daemon {
    child: Child,
    address: String,
    greeting: Vec<String>,
}

impl Daemon {
    fn start(folder: &Path) -> Self {
        Self::start_with(folder, &[])
    }

    /// With settings, as in the environment.
    fn start_with(folder: &Path, settings: &[(&str, &str)]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_gristmill"))
            .current_dir(folder)
            .env("GRISTMILL__HTTP__BIND", "127.0.0.1:0")
            .envs(settings.iter().copied())
            .stdout(Stdio::piped())
            .stderr(std::fs::File::create(folder.join("gristmill.log")).unwrap())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let greeting: Vec<String> = lines.take(5).map(Result::unwrap).collect();
        let address = greeting[0].rsplit("http://").next().unwrap().to_owned();
        Self { child, address, greeting }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn the_two_commands_of_the_set_up_are_the_ones_that_ci_runs() {
    assert_eq!(blocks("start"), ["cargo run --release\n"]);
    assert_eq!(blocks("tests"), ["./test\n"]);
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    assert!(root.join("test").exists());
    assert!(std::fs::read_to_string(root.join(".ci/run")).unwrap().contains("./test"));
}

#[test]
fn every_command_of_the_readme_works_and_ends_in_a_playable_mp3() {
    let folder = tempfile::tempdir().unwrap();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for name in ["docs", "examples"] {
        std::os::unix::fs::symlink(root.join(name), folder.path().join(name)).unwrap();
    }
    let daemon = Daemon::start(folder.path());
    assert_eq!(daemon.greeting.len(), 5, "five lines: {:?}", daemon.greeting);
    let program = Path::new(env!("CARGO_BIN_EXE_gristmill")).parent().unwrap();
    let path = format!("{}:{}", program.display(), std::env::var("PATH").unwrap());
    let mut script = String::from("set -euo pipefail\n");
    for block in blocks("sh") {
        // A curl that gets an error status fails the script.
        script.push_str(
            &block.replace("127.0.0.1:5000", &daemon.address).replace("curl -s", "curl -sS --fail-with-body"),
        );
    }
    assert!(script.contains("/records") && script.contains("hello.mp3"), "the README lost its recording");
    let mut shell = Command::new("bash")
        .current_dir(folder.path())
        .env("PATH", path)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    shell.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
    let output = shell.wait_with_output().unwrap();
    let (said, complained) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{said}\n{complained}");
    assert!(said.contains("\"Completed\"") && said.contains("\"ready\":true"), "{said}");

    for (name, begins) in [("copy.png", b"\x89PNG"), ("thumbnail.jpg", b"\xff\xd8\xff\xe0")] {
        let picture = std::fs::read(folder.path().join(name)).unwrap();
        assert!(picture.starts_with(begins), "{name}");
    }
    nobody_else_may_look(&folder.path().join("data"));
    for name in ["hello.mp3", "hello-again.mp3"] {
        let mp3 = std::fs::read(folder.path().join(name)).unwrap();
        assert!(mp3.len() > 1000, "{name} has {} bytes", mp3.len());
        assert_eq!(mp3[..2], [0xff, 0xf3], "{name} begins with a frame of MPEG-2 layer III");
        assert!(
            mp3.windows(4).take(200).any(|four| four == b"Xing" || four == b"Info"),
            "{name} has its tag"
        );
    }
}

/// What the daemon keeps is for the eyes of whoever runs it.
fn nobody_else_may_look(path: &Path) {
    use std::os::unix::fs::PermissionsExt;
    let mode = std::fs::metadata(path).unwrap().permissions().mode();
    let is_folder = path.is_dir();
    // Inside a folder that nobody else may enter, the group's bit of the log is of no use to anybody.
    assert_eq!(mode & 0o007, 0, "{} has mode {mode:o}", path.display());
    if is_folder {
        assert_eq!(mode & 0o077, 0, "{} has mode {mode:o}", path.display());
        for entry in std::fs::read_dir(path).unwrap() {
            nobody_else_may_look(&entry.unwrap().path());
        }
    }
}

fn gristmill(folder: &Path, arguments: &[&str]) -> (Option<i32>, String) {
    let output =
        Command::new(env!("CARGO_BIN_EXE_gristmill")).current_dir(folder).args(arguments).output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap();
    (output.status.code(), said)
}

#[test]
fn migrate_brings_the_schema_up_to_date_and_the_doctor_only_looks() {
    let folder = tempfile::tempdir().unwrap();
    let (code, said) = gristmill(folder.path(), &["doctor"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("is empty; the first start makes schema"), "{said}");
    assert!(!folder.path().join("data/gristmill.db").exists(), "the doctor made a database");

    let (code, said) = gristmill(folder.path(), &["migrate"]);
    assert!(code == Some(0) && said.contains("up to date"), "{said}");
    let (code, again) = gristmill(folder.path(), &["migrate"]);
    assert_eq!((code, &again), (Some(0), &said));
    assert!(gristmill(folder.path(), &["doctor"]).1.contains("answers, schema"));
}

#[test]
fn settings_are_printed_with_their_origin_and_a_wrong_one_stops_with_its_line() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("config")).unwrap();
    let file = folder.path().join("config/mine.toml");
    std::fs::write(&file, "[http]\nbind = \"127.0.0.1:6000\"\n").unwrap();
    let (code, said) = gristmill(folder.path(), &["config", "print", "--json"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("127.0.0.1:6000") && said.contains("mine.toml"), "{said}");

    std::fs::write(&file, "[http]\nbnid = \"127.0.0.1:6000\"\n").unwrap();
    let (code, said) = gristmill(folder.path(), &["config", "check"]);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("mine.toml:2") && said.contains("did you mean `http.bind`"), "{said}");
}

/// The pages, and the folder that their links start from.
fn pages() -> Vec<(std::path::PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files =
        vec![root.join("README.md"), root.join("ARCHITECTURE.md"), root.join("examples/python/README.md")];
    files.extend(std::fs::read_dir(root.join("docs")).unwrap().map(|entry| entry.unwrap().path()));
    files.retain(|file| file.extension().is_some_and(|end| end == "md"));
    files
        .into_iter()
        .map(|file| (file.parent().unwrap().to_owned(), std::fs::read_to_string(&file).unwrap()))
        .collect()
}

#[test]
fn every_link_of_the_pages_to_another_file_leads_to_one() {
    let mut seen = 0;
    for (folder, page) in pages() {
        for link in page.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(link, _)| link) {
            if link.contains("://") || link.starts_with('#') {
                continue;
            }
            seen += 1;
            let file = link.split('#').next().unwrap();
            assert!(folder.join(file).exists(), "a page in {} links to {link}", folder.display());
        }
    }
    assert!(seen > 20, "{seen} links were found");
}

#[test]
fn the_pages_name_the_queues_and_headers_and_words_that_the_code_has() {
    use gristmill::actors::{hints::run_queue, relay::EXCHANGE};
    use gristmill::broker::{DIED_HEADER, QUEUE_HEADER, REASON_HEADER, dead_queue};
    use gristmill::outbound::webhook::{ID, SIGNATURE, TIMESTAMP};
    use gristmill::task::EventName;
    let page = |name| {
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(name)).unwrap()
    };
    let broker = page("rabbitmq.md");
    let (dead, run) =
        (dead_queue("task_queue"), run_queue(&"resize".parse().unwrap()).replace("resize", "<kind>"));
    for name in [EXCHANGE, REASON_HEADER, QUEUE_HEADER, DIED_HEADER, &dead, &run] {
        assert!(broker.contains(&format!("`{name}`")), "docs/rabbitmq.md does not name `{name}`");
    }
    let events = page("events.md");
    for name in [ID, TIMESTAMP, SIGNATURE] {
        assert!(events.contains(&format!("\n{name}: ")), "docs/events.md does not show {name}");
    }
    for name in EventName::ALL {
        assert!(
            events.contains(&format!("\n| `{}` |", name.as_str())),
            "docs/events.md does not list {name:?}"
        );
    }
}
