//! The command line as people and scripts use it: the real program against a real daemon, and on a real terminal.
//!
//! What is compared word for word is in `sessions/`; `UPDATE=1` writes it anew. Where a daemon must do what no Gristmill does
//! (hold still, answer nonsense), there is one of the test's own (`fake.rs`).
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod acts;
mod errors;
mod fake;
mod files;
mod gc;
mod profiles;
mod pty;
mod shown;
mod terminal;
mod waiting;
mod world;

/// Compares a session with the one that was recorded, after numbers that differ from run to run were masked.
fn compare(name: &str, session: &str) {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cli/sessions").join(name);
    let session = masked(session);
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, &session).unwrap();
    }
    let recorded = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        session == recorded,
        "{name} differs (UPDATE=1 records it anew):\n--- recorded\n{recorded}\n--- now\n{session}"
    );
}

/// The same with times and ports without their digits, which stay as many.
fn masked(session: &str) -> String {
    let units = ["s", "min", "h", "d"];
    let lines = session.lines().map(|line| {
        let mut line = line.trim_end().to_owned();
        let words: Vec<(usize, &str)> = words(&line);
        let mut spots = Vec::new();
        for pair in words.windows(2) {
            let [(at, number), (_, unit)] = pair else { continue };
            let unit = unit.trim_end_matches([',', ')', ';', ':']);
            if units.contains(&unit) && number.chars().all(|c| c.is_ascii_digit() || c == '.') {
                spots.push((*at, number.len()));
            }
        }
        for (at, length) in spots {
            let hidden: String = line[at..at + length].replace(|c: char| c.is_ascii_digit(), "#");
            line.replace_range(at..at + length, &hidden);
        }
        line
    });
    lines.map(|line| line + "\n").collect()
}

fn words(line: &str) -> Vec<(usize, &str)> {
    line.split(' ')
        .scan(0, |at, word| {
            let here = *at;
            *at += word.len() + 1;
            Some((here, word))
        })
        .filter(|(_, word)| !word.is_empty())
        .collect()
}
