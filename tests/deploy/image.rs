//! `Dockerfile`, `.dockerignore` and `scripts/healthy`: what goes into the image is enough to build it and no more, it does
//! not run as root, and its health check tells a daemon that is ready from one that is not.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use gristmill::config::{LoadOptions, Settings};

use crate::stand::{Node, project, run, text};

/// The instructions of the file, each with its arguments, by stage.
fn stages() -> Vec<Vec<(String, String)>> {
    let text = text("Dockerfile").replace("\\\n", " ");
    let mut stages: Vec<Vec<(String, String)>> = Vec::new();
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let (instruction, arguments) = line.split_once(' ').unwrap();
        if instruction == "FROM" {
            stages.push(Vec::new());
        }
        stages.last_mut().unwrap().push((instruction.to_owned(), arguments.trim().to_owned()));
    }
    stages
}

fn of<'a>(stage: &'a [(String, String)], instruction: &str) -> Vec<&'a str> {
    stage.iter().filter(|(name, _)| name == instruction).map(|(_, arguments)| arguments.as_str()).collect()
}

#[test]
fn the_image_is_built_in_stages_from_pinned_ones_and_does_not_run_as_root() {
    let stages = stages();
    let [build, last] = stages.as_slice() else { panic!("{} stages", stages.len()) };
    let manifest = text("Cargo.toml");
    let least = manifest.lines().find_map(|line| line.strip_prefix("rust-version = \"")).unwrap();
    assert_eq!(of(build, "FROM"), [format!("rust:{}.0-bookworm AS build", least.trim_end_matches('"'))]);
    // Of the same release, whose C library is the one that was built against; and of one day.
    let base = of(last, "FROM")[0].strip_prefix("debian:bookworm-").unwrap();
    let day = base.strip_suffix("-slim").unwrap();
    assert!(day.len() == 8 && day.bytes().all(|byte| byte.is_ascii_digit()), "{base}");
    let user = of(last, "USER");
    assert_eq!(user, ["10001:10001"], "by number, so that others can see that it is not root");
    let after = last.iter().skip_while(|(name, _)| name != "USER");
    assert!(
        after.clone().all(|(name, _)| !["RUN", "COPY", "ADD"].contains(&name.as_str())),
        "nothing of its own changes"
    );
    assert_eq!(of(last, "HEALTHCHECK").len(), 1);
    assert_eq!((of(last, "ENTRYPOINT"), of(last, "CMD")), (vec!["[\"gristmill\"]"], vec!["[\"serve\"]"]));
    assert!(of(last, "COPY").iter().all(|copied| !copied.contains("--from=build /source")), "no sources");
    for stage in &stages {
        for (instruction, arguments) in stage {
            let words = arguments.to_uppercase();
            let secret = ["PASSWORD", "SECRET", "TOKEN"].iter().any(|word| words.contains(word));
            assert!(!secret && instruction != "ADD" && instruction != "ARG", "{instruction} {arguments}");
        }
    }
}

#[test]
fn the_settings_of_the_image_are_settings_of_the_daemon() {
    let stages = stages();
    let env = of(&stages[1], "ENV")[0].split_whitespace();
    let env: BTreeMap<_, _> =
        env.map(|one| one.split_once('=').unwrap()).map(|(key, value)| (key.into(), value.into())).collect();
    let options = LoadOptions { files: Vec::new(), directory: "no such folder".into(), env };
    let settings = Settings::load(options).unwrap_or_else(|error| panic!("{error}")).settings;
    assert_eq!(settings.http.bind.port().to_string(), of(&stages[1], "EXPOSE")[0]);
    assert_eq!(format!("[\"{}\"]", settings.data_dir().display()), of(&stages[1], "VOLUME")[0]);
}

/// What `.dockerignore` lets through.
fn context() -> Vec<String> {
    let text = text(".dockerignore");
    let mut lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    assert_eq!(lines.next(), Some("*"), "first nothing");
    lines.map(|line| line.strip_prefix('!').unwrap_or_else(|| panic!("{line}")).to_owned()).collect()
}

fn copy(from: &Path, to: &Path) {
    if from.is_dir() {
        fs::create_dir_all(to).unwrap();
        for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
            copy(&entry.path(), &to.join(entry.file_name()));
        }
    } else {
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::copy(from, to).unwrap();
    }
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries
        .flat_map(|path| if path.is_dir() { rust_files(&path) } else { vec![path] })
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        // What only tests read is not built there.
        .filter(|path| !path.iter().any(|part| part == "tests" || part == "tests.rs"))
        .collect()
}

#[test]
fn what_is_sent_to_docker_is_what_the_build_needs() {
    let folder = tempfile::tempdir().unwrap();
    for path in context() {
        copy(&project(&path), &folder.path().join(&path));
    }
    let told = run(
        "cargo",
        &["metadata", "--no-deps", "--offline", "--locked", "--format-version=1"],
        folder.path(),
    );
    assert!(told.contains("\"name\":\"gristmill\""), "{told}");
    // Files that the compiler reads besides.
    let mut read = 0;
    for file in rust_files(&folder.path().join("src")) {
        let source = fs::read_to_string(&file).unwrap();
        for (_, after) in ["include_str!(\"", "include_bytes!(\"", "migrate!(\""].iter().flat_map(|start| {
            source.match_indices(start).map(|(at, start)| source[at..].split_at(start.len()))
        }) {
            let path = after.split_once('"').unwrap().0;
            let from = if path.starts_with('.') || !path.contains("migrations") {
                file.parent().unwrap()
            } else {
                folder.path()
            };
            assert!(from.join(path).exists(), "{}: {path}", file.display());
            read += 1;
        }
    }
    assert!(read > 3, "{read}");
    for stage in stages() {
        for copied in of(&stage, "COPY").into_iter().filter(|copied| !copied.starts_with("--from")) {
            let from = copied.split_whitespace().next().unwrap();
            assert!(folder.path().join(from).exists(), "COPY {copied}");
        }
    }
}

fn healthy(bind: &str) -> bool {
    let mut check = Command::new(project("scripts/healthy"));
    check.env_clear().env("PATH", std::env::var_os("PATH").unwrap()).env("GRISTMILL__HTTP__BIND", bind);
    check.output().unwrap().status.success()
}

#[tokio::test]
async fn the_health_check_tells_whether_the_daemon_is_ready() {
    let folder = tempfile::tempdir().unwrap();
    let node = Node::start(folder.path(), "one", &[]).await;
    let bind = format!("0.0.0.0:{}", node.port());
    assert!(healthy(&bind));
    node.process.kill();
    assert!(!healthy(&bind), "nobody listens");
    // One that answers, and is not ready.
    let other = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let bind = other.local_addr().unwrap().to_string();
    let answering = std::thread::spawn(move || {
        use std::io::{Read, Write};
        let (mut stream, _) = other.accept().unwrap();
        let mut head = [0; 256];
        let read = stream.read(&mut head).unwrap();
        stream.write_all(b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n").unwrap();
        String::from_utf8_lossy(&head[..read]).into_owned()
    });
    assert!(!healthy(&bind), "503");
    assert!(answering.join().unwrap().starts_with("GET /health/ready "));
}
