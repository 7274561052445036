//! The package and its units, installed, run, reloaded, drained, killed, upgraded and removed in a Debian of its own.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Runs a script of the project to its end, which must be a good one; what it printed.
fn script(name: &str, arguments: &[&Path]) -> String {
    let project = Path::new(env!("CARGO_MANIFEST_DIR"));
    let output = Command::new(project.join(name)).args(arguments).current_dir(project).output();
    let output = output.unwrap_or_else(|error| panic!("{name}: {error}"));
    let (told, complained) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{name}: {}\n{told}\n{complained}", output.status);
    told.into_owned()
}

/// The package with the program of this build; with another number, when one is given.
fn package(out: &Path, version: Option<&str>) -> PathBuf {
    let program = Path::new(env!("CARGO_BIN_EXE_gristmill"));
    let mut arguments = vec![Path::new("--binary"), program, Path::new("--out"), out];
    arguments.extend(version.iter().flat_map(|version| [Path::new("--version"), Path::new(version)]));
    let told = script("scripts/package", &arguments);
    PathBuf::from(told.trim())
}

#[test]
fn the_package_does_what_it_says_under_a_real_systemd() {
    let folder = tempfile::tempdir().unwrap();
    let packages = [package(folder.path(), None), package(folder.path(), Some("9.9.9"))];
    let mut lintian = Command::new("lintian");
    lintian.args(["--allow-root", "--fail-on", "error"]).arg(&packages[0]);
    let judged = lintian.output().unwrap_or_else(|error| panic!("lintian: {error}; apt install lintian"));
    assert!(judged.status.success(), "{}", String::from_utf8_lossy(&judged.stdout));

    let told = script("tests/systemd/try", &[&packages[0], &packages[1]]);
    println!("{told}");
    assert_eq!(told.lines().filter(|line| line.starts_with("ok: ")).count(), 14, "{told}");
}

#[test]
fn the_readme_installs_as_the_container_does() {
    let readme = include_str!("../../README.md");
    let (_, block) = readme.split_once("```package\n").unwrap();
    let (block, _) = block.split_once("```").unwrap();
    let commands: Vec<&str> = block.lines().map(|line| line.split('#').next().unwrap().trim()).collect();
    assert_eq!(
        commands,
        [
            "sudo apt install ./$(scripts/package)",
            "sudo systemctl enable --now gristmill",
            "systemctl status gristmill"
        ]
    );
    let tried = include_str!("inside.py");
    assert!(tried.contains(r#"ctl("enable", "--now", "gristmill")"#), "the container does something else");
}
