//! Examples for the help of every subcommand: what to type, and what for.
//!
//! Put into what clap knows by [`with_examples`]. A test sees that each subcommand has some, and that clap takes each.

use clap::Command;

/// The words of a subcommand, and lines of a shell with what they do.
type Examples = (&'static str, &'static [(&'static str, &'static str)]);

const EXAMPLES: &[Examples] = &[
    (
        "",
        &[
            ("gristmill serve", "run the daemon on 127.0.0.1:5000, with ./data"),
            ("gristmill upload *.jpg", "send pictures, get links"),
            ("gristmill submit noop --wait", "make a task, and wait for its end"),
            ("gristmill tasks --watch", "what happens now, on the whole terminal"),
        ],
    ),
    (
        "serve",
        &[
            ("gristmill serve", "with config/*.toml and ./data"),
            (
                "gristmill serve --config /etc/gristmill.toml --roles http,janitor",
                "a node that runs no tasks",
            ),
        ],
    ),
    (
        "submit",
        &[
            ("gristmill submit", "a task that does nothing, to see that all works"),
            ("gristmill submit resize --payload '{\"width\": 640}' --tag nightly", "a task of another kind"),
            (
                "gristmill submit resize --payload @job.json --wait",
                "the payload from a file; the exit code says how it ended",
            ),
            (
                "gristmill submit --meta '{\"say\": \"hello\"}' --run-at 10m",
                "a task for people, in ten minutes",
            ),
            ("id=$(gristmill submit -q)", "only its number"),
        ],
    ),
    (
        "tasks",
        &[
            ("gristmill tasks", "the newest tasks"),
            ("gristmill tasks --watch", "like top; q quits"),
            ("gristmill tasks list --status failed --since 1d", "what failed since yesterday"),
            ("gristmill tasks retry --all-matching --status failed", "and all of it again"),
        ],
    ),
    (
        "tasks list",
        &[
            ("gristmill tasks list -n 10", "the ten newest"),
            ("gristmill tasks list --kind transcode --status in-progress --watch", "what is being converted"),
            ("gristmill tasks list --all --json", "every task, a line of JSON each"),
        ],
    ),
    (
        "tasks show",
        &[("gristmill tasks show 7 8", "all about two tasks"), ("gristmill tasks show 7 --json", "as JSON")],
    ),
    ("tasks watch", &[("gristmill tasks watch 7", "until it has ended")]),
    (
        "tasks cancel",
        &[
            ("gristmill tasks cancel 7 8", "two tasks"),
            (
                "gristmill tasks cancel --all-matching --kind resize --status new",
                "all that wait to be resized",
            ),
        ],
    ),
    (
        "tasks retry",
        &[
            ("gristmill tasks retry 7", "one task"),
            (
                "gristmill tasks retry --all-matching --status failed --since 2h",
                "what failed in the last two hours",
            ),
        ],
    ),
    (
        "tasks delete",
        &[
            ("gristmill tasks delete 7", "one task, and what it owns"),
            (
                "gristmill tasks delete --all-matching --status completed --before 30d --yes",
                "what is done and old",
            ),
        ],
    ),
    (
        "watch",
        &[
            ("gristmill watch 7", "a bar until it has ended; exit code 0 if it completed"),
            ("gristmill watch 7 8 9 --timeout 60", "three, for a minute"),
            ("gristmill watch 7 --events --json", "each event, then the task, as lines of JSON"),
        ],
    ),
    (
        "upload",
        &[
            ("gristmill upload cat.jpg", "one picture, its link"),
            ("gristmill upload *.png --markdown", "links to paste"),
            ("gristmill upload *.jpg --json", "with sizes, thumbnails and tokens to delete them by"),
        ],
    ),
    (
        "transcode",
        &[
            ("gristmill transcode talk.wav", "here, into talk.mp3"),
            ("gristmill transcode talk.wav small.mp3 --vbr 7", "smaller"),
            ("gristmill transcode talk.wav --remote", "by the daemon, which keeps it; and into talk.mp3"),
            ("gristmill transcode talk.wav --remote --link", "by the daemon; only the link"),
        ],
    ),
    (
        "quiz",
        &[
            ("gristmill quiz", "a question that was not here before"),
            ("gristmill quiz 5 --no-answers", "five, to think about"),
            ("gristmill quiz 3 --saved --json", "the last three that are saved"),
        ],
    ),
    (
        "report",
        &[
            ("gristmill report 7", "into report-7.pdf"),
            ("gristmill report 7 -o ann.pdf --language ru --time-zone Europe/Moscow", "in Russian"),
            ("gristmill report 7 --link", "order it, and print where it will be"),
        ],
    ),
    (
        "kinds",
        &[
            ("gristmill kinds list", "what waits and what runs"),
            ("gristmill kinds pause transcode", "hold it everywhere"),
        ],
    ),
    (
        "kinds list",
        &[("gristmill kinds list", "a table"), ("gristmill kinds list --json", "a line of JSON each")],
    ),
    ("kinds pause", &[("gristmill kinds pause transcode image", "what runs goes on, nothing new starts")]),
    ("kinds resume", &[("gristmill kinds resume transcode image", "go on")]),
    (
        "profile",
        &[
            ("gristmill profile add home --url http://127.0.0.1:5000", "asks for the token"),
            ("gristmill profile use home", "where none is named; `--profile home` names it once"),
        ],
    ),
    (
        "profile add",
        &[
            (
                "gristmill profile add home --url http://127.0.0.1:5000",
                "asks for the token, and does not show it",
            ),
            (
                "gristmill profile add work --url https://jobs.example.com --user 7 --use < token.txt",
                "from a file",
            ),
        ],
    ),
    ("profile list", &[("gristmill profile list", "names and addresses, never tokens")]),
    ("profile use", &[("gristmill profile use work", "where none is named")]),
    ("profile remove", &[("gristmill profile remove work", "its token goes with it")]),
    (
        "migrate",
        &[
            ("gristmill migrate", "before the daemon is started anew"),
            ("gristmill migrate --to - < address-of-the-database", "from SQLite to PostgreSQL"),
        ],
    ),
    (
        "backup",
        &[
            ("gristmill backup", "to where backup.to says, beside the daemon"),
            (
                "gristmill backup --to /mnt/disk/mill --keep 30",
                "to another disk; the thirty newest stay there",
            ),
            ("gristmill backup --list", "what there is"),
            ("gristmill backup --check", "whether the newest is sound"),
        ],
    ),
    (
        "restore",
        &[
            ("gristmill restore /mnt/disk/mill", "the newest that is there"),
            ("gristmill restore s3://bucket/mill --name 20260131T030000.000Z-1a2b3c4d", "a certain one"),
        ],
    ),
    (
        "config",
        &[
            ("gristmill config check", "is anything wrong?"),
            ("gristmill config print", "every value, and where it is from"),
        ],
    ),
    ("config check", &[("gristmill config check --config /etc/gristmill.toml", "before it is put to use")]),
    ("config print", &[("gristmill config print --json", "for programs")]),
    (
        "dead",
        &[
            ("gristmill dead list", "what came to the broker and was no task"),
            ("gristmill dead redrive --all", "send it back"),
        ],
    ),
    (
        "gc",
        &[
            ("gristmill gc --dry-run", "what would go, and nothing is removed"),
            ("gristmill gc --json", "remove it now, and say what that was"),
        ],
    ),
    ("dead list", &[("gristmill dead list --limit 10", "the ten oldest")]),
    ("dead show", &[("gristmill dead show 1", "the oldest, whole")]),
    (
        "dead redrive",
        &[
            ("gristmill dead redrive 1 2", "two of them"),
            ("gristmill dead redrive --all", "all that are there"),
        ],
    ),
    ("dead purge", &[("gristmill dead purge 1 --yes", "for good")]),
    (
        "user",
        &[
            ("gristmill user add --admin --name root", "the first admin"),
            ("gristmill user list", "everybody"),
        ],
    ),
    (
        "user add",
        &[
            ("gristmill user add --admin --name root", "prints the token this once"),
            (
                "gristmill user add --name Ann --email ann@example.com --password-stdin < password.txt",
                "who can log in",
            ),
        ],
    ),
    ("user list", &[("gristmill user list --json", "for programs")]),
    ("user token", &[("gristmill user token 7", "the old one is nobody's from then on")]),
    ("user delete", &[("gristmill user delete 7", "with all that is theirs")]),
    ("user role", &[("gristmill user role 7 admin", "who may do everything")]),
    ("doctor", &[("gristmill doctor", "before the first start, or when something is odd")]),
    (
        "completions",
        &[
            ("gristmill completions bash > ~/.local/share/bash-completion/completions/gristmill", "for bash"),
            ("gristmill completions zsh > ~/.zfunc/_gristmill", "for zsh"),
            ("gristmill completions fish > ~/.config/fish/completions/gristmill.fish", "for fish"),
        ],
    ),
    (
        "man",
        &[(
            "gristmill man --out ~/.local/share/man/man1",
            "then `man gristmill`, `man gristmill-tasks-list`",
        )],
    ),
];

/// The same commands, each with its examples at the end of its help.
pub(super) fn with_examples(command: Command) -> Command {
    add(command, "")
}

fn add(mut command: Command, path: &str) -> Command {
    if let Some((_, lines)) = EXAMPLES.iter().find(|(words, _)| *words == path) {
        let lines: Vec<String> = lines.iter().map(|(line, what)| format!("  # {what}\n  {line}")).collect();
        command = command.after_help(format!("Examples:\n{}", lines.join("\n")));
    }
    let names: Vec<String> = command.get_subcommands().map(|sub| sub.get_name().to_owned()).collect();
    for name in names {
        let path = if path.is_empty() { name.clone() } else { format!("{path} {name}") };
        command = command.mut_subcommand(name, |sub| add(sub, &path));
    }
    command
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::command;
    use super::*;

    /// The words of every subcommand that is shown.
    fn paths(command: &Command, path: &str, found: &mut BTreeSet<String>) {
        found.insert(path.to_owned());
        for sub in command.get_subcommands().filter(|sub| !sub.is_hide_set() && sub.get_name() != "help") {
            paths(sub, format!("{path} {}", sub.get_name()).trim(), found);
        }
    }

    #[test]
    fn every_subcommand_has_examples_and_every_example_a_subcommand() {
        let mut known = BTreeSet::new();
        paths(&command(), "", &mut known);
        let told: BTreeSet<String> = EXAMPLES.iter().map(|(path, _)| (*path).to_owned()).collect();
        assert_eq!(known, told);
    }

    #[test]
    fn clap_takes_every_example_as_it_stands() {
        for (path, lines) in EXAMPLES {
            for (line, _) in *lines {
                let words = words(line);
                let parsed = command().try_get_matches_from(&words);
                assert!(parsed.is_ok(), "{line}: {}", parsed.unwrap_err());
                let about = words[1..].join(" ");
                let first = path.split(' ').next().unwrap();
                assert!(about.starts_with(first), "{line} stands with `{path}`");
            }
        }
    }

    /// The words as a shell would give them: quotes are taken off, patterns stand for themselves, what is redirected or
    /// around the command is left out.
    fn words(line: &str) -> Vec<String> {
        let line = line.strip_prefix("id=$(").map_or(line, |line| line.trim_end_matches(')'));
        let (mut words, mut word, mut quoted) = (Vec::new(), String::new(), false);
        for c in line.chars() {
            match c {
                '\'' => quoted = !quoted,
                ' ' if !quoted => words.push(std::mem::take(&mut word)),
                '>' | '<' if !quoted => return words,
                c => word.push(c),
            }
        }
        words.push(word);
        words
    }
}
