//! The client that a public generator makes of `/openapi.json`: made here, and sent on a whole round trip.

use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::Daemon;

/// The folder of tools that `scripts/with-tools` fills.
fn tool(name: &str) -> PathBuf {
    let folder = std::env::var("GRISTMILL_TEST_TOOLS").unwrap_or_else(|_| {
        panic!("these tests need tools of their own: run them with ./test, or under scripts/with-tools")
    });
    Path::new(&folder).join(name)
}

/// What a program said, which must have ended well.
fn said(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let said =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {said}");
    said
}

/// A daemon, and its document in a file.
async fn world() -> (TempDir, Daemon, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let daemon = Daemon::start(folder.path());
    let document = reqwest::get(format!("http://{}/openapi.json", daemon.address)).await.unwrap();
    let file = folder.path().join("openapi.json");
    std::fs::write(&file, document.bytes().await.unwrap()).unwrap();
    (folder, daemon, file)
}

#[tokio::test]
async fn the_document_is_valid_and_so_is_every_example_in_it() {
    let (_folder, _daemon, document) = world().await;
    said(Command::new(tool("python/bin/openapi-spec-validator")).arg(&document));
    let checks = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/readme/check_examples.py");
    let told = said(Command::new(tool("python/bin/python")).arg("-B").arg(checks).arg(&document));
    let checked: usize = told.trim().parse().unwrap_or_else(|_| panic!("{told}"));
    assert!(checked > 60, "{checked} examples were found");
}

#[tokio::test]
async fn a_client_that_a_public_generator_makes_goes_the_whole_way() {
    let (folder, daemon, document) = world().await;
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/readme");
    let made = folder.path().join("gristmill_client");
    let told = said(
        Command::new(tool("python/bin/openapi-python-client"))
            .args(["generate", "--meta", "none", "--path"])
            .arg(&document)
            .arg("--output-path")
            .arg(&made)
            .arg("--config")
            .arg(here.join("generator.yml")),
    );
    // It says of each operation, body or answer that it leaves out why.
    let left_out: Vec<&str> = told.lines().filter(|line| line.starts_with("WARNING parsing")).collect();
    assert_eq!(left_out, ["WARNING parsing POST /upload within images."], "{told}");
    assert!(
        told.contains("Unsupported content type image/*"),
        "a range of media types alone is too much: {told}"
    );
    let picture = folder.path().join("picture.png");
    image::RgbImage::from_fn(640, 480, |x, y| image::Rgb([x.to_le_bytes()[0], y.to_le_bytes()[0], 90]))
        .save(&picture)
        .unwrap();
    let told = said(
        Command::new(tool("python/bin/python"))
            .arg("-B")
            .arg(here.join("generated_client.py"))
            .arg(format!("http://{}", daemon.address))
            .arg(&picture)
            .env("PYTHONPATH", folder.path()),
    );
    assert_eq!(told.trim(), "done");
}
