//! `docs/command-line.md`: the page on the command line, compared with what clap says; `UPDATE=1` rewrites it.

use std::path::Path;

use clap::Command;

use super::command;

/// What stands before the commands. The rest is made.
const HEAD: &str = include_str!("document.md");

/// The page.
fn page() -> String {
    let mut page = format!(
        "{}\n\n## The commands\n\nThose that speak to a daemon also take:\n\n```text\n{}\n```\n",
        HEAD.trim_end(),
        common().trim_end()
    );
    // So wide that it fits a page, whatever terminal the tests run on.
    add(&mut command().term_width(100), "gristmill", &mut page);
    page
}

fn add(command: &mut Command, path: &str, page: &mut String) {
    page.push_str(&format!("\n### `{path}`\n\n```text\n{}\n```\n", help(command, path)));
    for sub in command.get_subcommands_mut() {
        if !sub.is_hide_set() && sub.get_name() != "help" {
            let path = format!("{path} {}", sub.get_name());
            add(sub, &path, page);
        }
    }
}

/// The help of a command, without what stands in the help of all: that is told once.
fn help(command: &Command, path: &str) -> String {
    let help = command.clone().bin_name(path).term_width(100).render_help().to_string();
    let help: Vec<&str> = help.lines().map(str::trim_end).collect();
    let help = help.join("\n");
    let parts = help.trim_end().split("\n\n");
    let parts: Vec<&str> = parts.filter(|part| !COMMON.iter().any(|title| part.starts_with(title))).collect();
    parts.join("\n\n")
}

/// What every command says that speaks to a daemon.
const COMMON: &[&str] = &["Daemon:\n", "Output:\n"];

/// The options of [`COMMON`], once.
fn common() -> String {
    let submit = command().find_subcommand_mut("submit").map(|submit| submit.clone().term_width(100));
    let help = submit.map(|mut submit| submit.render_help().to_string()).unwrap_or_default();
    let parts: Vec<&str> =
        help.split("\n\n").filter(|part| COMMON.iter().any(|title| part.starts_with(title))).collect();
    assert_eq!(parts.len(), COMMON.len(), "the help of `submit` has other parts");
    parts.join("\n\n")
}

#[test]
fn the_page_on_the_command_line_says_what_its_help_says() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/command-line.md");
    let fresh = page();
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, &fresh).unwrap();
    }
    let stands = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(stands == fresh, "docs/command-line.md differs: run `UPDATE=1 cargo test --lib command_line`");
}
