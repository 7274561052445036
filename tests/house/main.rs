//! The rules of the house, checked on the source itself: which room may use which, where `unsafe` and the
//! system's clock may stand, and that each file says what it is.
//!
//! The rules are the tables of this file; `source.rs` reads Rust just well enough to find paths in it. A rule
//! that is in the way is changed here, with its reason, and in ARCHITECTURE.md.

mod source;

use std::fs;
use std::path::{Path, PathBuf};

use source::Source;

/// A room: a module at the top of the crate.
struct Room {
    name: &'static str,
    /// Rooms above it that it must not use all the same.
    except: &'static [&'static str],
    /// When not empty: the only rooms that it may use.
    only: &'static [&'static str],
    /// Whether it is pure: no runtime, no database, no HTTP.
    pure: bool,
}

const fn room(name: &'static str) -> Room {
    Room { name, except: &[], only: &[], pure: false }
}

/// In dependency order: a room may use those above it.
const ROOMS: &[Room] = &[
    Room { pure: true, ..room("task") },
    Room { pure: true, only: &["task"], ..room("account") },
    // Computation on bytes, of which it need not know to whom they belong.
    Room { pure: true, except: &["task", "account"], ..room("media") },
    room("clock"),
    room("config"),
    room("failpoint"),
    room("memory"),
    room("telemetry"),
    // It carries bytes out, and need not know about what.
    Room { only: &["clock", "config", "telemetry"], ..room("outbound") },
    room("store"),
    // Bytes by name; above all not the database.
    Room { only: &["task", "failpoint", "config", "telemetry", "clock"], ..room("blob") },
    // Rows and blobs, whatever they mean.
    Room { only: &["task", "failpoint", "config", "telemetry", "clock", "store", "blob"], ..room("backup") },
    // Messages, whatever they say.
    Room { only: &["config", "telemetry", "clock"], ..room("broker") },
    // Bytes of images, and the names of those they were made of.
    Room { only: &["task", "media", "config", "telemetry"], ..room("imaging") },
    // Questions from outside; what becomes of them is for others to say.
    Room { only: &["task", "clock", "config", "telemetry", "outbound"], ..room("quiz") },
    // A kind gets bytes and gives bytes, whoever runs it.
    Room { except: &["store", "broker"], ..room("kinds") },
    room("telling"),
    room("intake"),
    room("tidy"),
    room("actors"),
    // It gets the intake and a reader, and would work the same with other actors or none.
    Room { except: &["actors"], ..room("http") },
    room("app"),
    room("cli"),
];

/// The program itself.
const MAIN_MAY_USE: &[&str] = &["cli", "app"];

/// What a pure room must do without.
const IMPURE: &[&str] = &["tokio", "sqlx", "actix", "actix_rt", "actix_web", "reqwest", "tracing", "metrics"];

/// Files that may use a room which the rest of their own must not, and why.
const MAY_USE_ALL_THE_SAME: &[(&str, &[&str], &str)] =
    &[("media/report/", &["task", "account"], "it draws tasks and users, in the words of the vocabulary")];

const MAY_BE_UNSAFE: &[&str] = &["media/lame.rs", "memory.rs"];

/// Who may ask the system for the time, and why. Everybody else asks `clock`.
const MAY_ASK_THE_TIME: &[(&str, &str)] = &[
    ("clock.rs", "it is the clock"),
    ("telemetry/logging/line.rs", "a line is dated when it is said, whatever time it is to the daemon"),
    ("telemetry/action_log.rs", "a line for people, in the local time of the machine"),
    ("blob/folder.rs", "the age of a file is measured against the clock that dated it"),
    ("blob/shelf.rs", "likewise"),
];

/// What is wrong with a file, in words.
fn complaints(path: &str, text: &str) -> Vec<String> {
    let source = Source::read(path, text);
    let mut wrong = Vec::new();
    if !text.starts_with("//!") {
        wrong.push("does not say what it is: the first line is no `//!`".to_owned());
    }
    if source.has_word("unsafe") && !MAY_BE_UNSAFE.contains(&path) {
        wrong.push(format!("is unsafe; only {MAY_BE_UNSAFE:?} may be"));
    }
    let asks = ["Utc", "Local", "SystemTime"].into_iter().find(|clock| source.calls(clock, "now"));
    if let Some(clock) = asks
        && !MAY_ASK_THE_TIME.iter().any(|(allowed, _)| *allowed == path)
    {
        wrong.push(format!("asks the system for the time ({clock}::now): ask the `Clock`"));
    }
    wrong.extend(misuse(path, &source));
    wrong
}

/// The rooms and crates that a file uses and may not.
fn misuse(path: &str, source: &Source) -> Vec<String> {
    let used = source.rooms();
    let own = source::room_of(path);
    if own == "lib" {
        return Vec::new();
    }
    let unknown = used.iter().filter(|name| !ROOMS.iter().any(|room| room.name == **name));
    let mut wrong: Vec<String> =
        unknown.map(|name| format!("uses `{name}`, which is not in the table of rooms")).collect();
    let mut may_not = |name: &str, why: &str| wrong.push(format!("may not use `{name}`: {why}"));
    if own == "main" {
        for name in used.iter().filter(|name| !MAIN_MAY_USE.contains(&name.as_str())) {
            may_not(name, "the program itself only starts things");
        }
        return wrong;
    }
    let Some(place) = ROOMS.iter().position(|room| room.name == own) else {
        return vec![format!("`{own}` is not in the table of rooms")];
    };
    let room = &ROOMS[place];
    for name in used.iter().filter(|name| **name != own) {
        if ROOMS[place..].iter().any(|below| below.name == *name) {
            may_not(name, "it comes later in the house");
        } else if MAY_USE_ALL_THE_SAME
            .iter()
            .any(|(below, rooms, _)| path.starts_with(below) && rooms.contains(&name.as_str()))
        {
            continue;
        } else if room.except.contains(&name.as_str()) {
            may_not(name, "the table of rooms excepts it");
        } else if !room.only.is_empty() && !room.only.contains(&name.as_str()) {
            may_not(name, "the table of rooms names those it may");
        }
    }
    for name in IMPURE.iter().filter(|name| room.pure && source.uses_crate(name)) {
        may_not(name, "the room is pure");
    }
    wrong
}

fn root() -> PathBuf {
    PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").expect("run by cargo"))
}

/// Every Rust file below `folder`, by its path from there.
fn files(folder: &Path) -> Vec<(String, String)> {
    let (mut open, mut found) = (vec![folder.to_owned()], Vec::new());
    while let Some(path) = open.pop() {
        if path.is_dir() {
            open.extend(fs::read_dir(&path).expect("a folder").map(|entry| entry.expect("an entry").path()));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let name = path.strip_prefix(folder).expect("below it").to_string_lossy().replace('\\', "/");
            found.push((name, fs::read_to_string(&path).expect("a text")));
        }
    }
    found.sort();
    found
}

#[test]
fn every_file_keeps_the_rules_of_the_house() {
    let files = files(&root().join("src"));
    assert!(files.len() > 30, "these are not the sources: {} files", files.len());
    let wrong: Vec<String> = files
        .iter()
        .flat_map(|(path, text)| {
            complaints(path, text).into_iter().map(move |complaint| format!("src/{path} {complaint}"))
        })
        .collect();
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn every_exception_is_still_needed() {
    let files = files(&root().join("src"));
    let text = |path: &str| {
        let file = files.iter().find(|(name, _)| name == path);
        file.map_or_else(|| panic!("src/{path} is excepted from a rule, and is gone"), |(_, text)| text)
    };
    for path in MAY_BE_UNSAFE {
        assert!(Source::read(path, text(path)).has_word("unsafe"), "src/{path} is not unsafe any more");
    }
    for (below, rooms, why) in MAY_USE_ALL_THE_SAME {
        for room in *rooms {
            let mut those = files.iter().filter(|(path, _)| path.starts_with(below));
            let used =
                those.any(|(path, text)| Source::read(path, text).rooms().iter().any(|used| used == room));
            assert!(used, "src/{below} does not use `{room}` any more, though {why}");
        }
    }
    for (path, why) in MAY_ASK_THE_TIME {
        let source = Source::read(path, text(path));
        let asks = ["Utc", "Local", "SystemTime"].into_iter().any(|clock| source.calls(clock, "now"));
        assert!(asks, "src/{path} does not ask the time any more, though {why}");
    }
}

#[test]
fn the_library_lists_its_rooms_in_dependency_order() {
    let library = fs::read_to_string(root().join("src/lib.rs")).unwrap();
    let listed: Vec<&str> =
        library.lines().filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';')).collect();
    let known: Vec<&str> = ROOMS.iter().map(|room| room.name).filter(|name| listed.contains(name)).collect();
    assert_eq!(listed, known, "as listed, and as the table of rooms has them");
}

/// Checked from the day that the page exists.
#[test]
fn the_page_of_the_architecture_names_every_room() {
    let Ok(page) = fs::read_to_string(root().join("ARCHITECTURE.md")) else { return };
    let library = fs::read_to_string(root().join("src/lib.rs")).unwrap();
    for room in ROOMS.iter().filter(|room| library.contains(&format!("pub mod {};", room.name))) {
        let named = ["`{}`", "`{}/`", "`{}.rs`", "`src/{}/`", "`src/{}.rs`"]
            .iter()
            .any(|form| page.contains(&form.replace("{}", room.name)));
        assert!(named, "ARCHITECTURE.md does not name `{}`", room.name);
    }
}

/// The rules can fail: each file here breaks one.
#[test]
fn a_file_that_breaks_a_rule_is_told_which() {
    for (path, text, complaint) in [
        ("task/mod.rs", "use crate::store::Store;", "may not use `store`: it comes later"),
        (
            "task/mod.rs",
            "use crate::{\n    task::Kind,\n    store::{Page, Store},\n};",
            "may not use `store`",
        ),
        ("task/mod.rs", "fn f() { let _ = crate::config::load(); }", "may not use `config`"),
        ("task/mod.rs", "use super::store::Store;", "may not use `store`"),
        ("task/life.rs", "mod inner { use super::super::super::{store}; }", "may not use `store`"),
        ("task/mod.rs", "use tokio::sync::mpsc;", "may not use `tokio`: the room is pure"),
        ("account/user.rs", "type T = sqlx::Error;", "may not use `sqlx`"),
        ("media/mod.rs", "use crate::task::Percent;", "may not use `task`"),
        ("media/report/mod.rs", "use crate::clock::Clock;", "may not use `clock`"),
        ("blob/mod.rs", "use crate::store::Store;", "may not use `store`"),
        ("blob/mod.rs", "use crate::account::Caller;", "may not use `account`"),
        ("broker/mod.rs", "use crate::store::Store;", "may not use `store`"),
        ("broker/mod.rs", "use crate::task::Kind;", "may not use `task`"),
        ("kinds/noop.rs", "use crate::store::Store;", "may not use `store`"),
        ("kinds/noop.rs", "use crate::actors::Runner;", "may not use `actors`"),
        ("http/tasks.rs", "use crate::actors::Tracker;", "may not use `actors`"),
        ("store/mod.rs", "use crate::blob::Blobs;", "may not use `blob`"),
        ("store/mod.rs", "use crate::pantry::Bread;", "not in the table of rooms"),
        ("pantry.rs", "", "`pantry` is not in the table of rooms"),
        ("main.rs", "use gristmill::store::Store;", "may not use `store`"),
        ("media/wav/mod.rs", "fn f() { unsafe { g() } }", "is unsafe"),
        ("store/mod.rs", "fn f() { chrono::Utc::now(); }", "asks the system for the time"),
        ("store/mod.rs", "fn f() { std::time::SystemTime::now(); }", "asks the system for the time"),
    ] {
        let told = complaints(path, &format!("//! A file.\n{text}\n"));
        assert!(told.len() == 1 && told[0].contains(complaint), "{path}: {text}\nwas told {told:?}");
    }
    assert_eq!(complaints("task/mod.rs", "use std::fmt;\n").len(), 1, "no word of what it is");
}

#[test]
fn a_file_that_keeps_the_rules_is_left_in_peace() {
    for (path, text) in [
        ("task/mod.rs", "mod kind;\npub use kind::Kind;\nuse crate::task::kind::KindError;"),
        ("task/mod.rs", "/// As [`crate::store`] does, unsafe or not, at Utc::now().\nfn f() {}"),
        ("task/mod.rs", "fn f() -> &'static str { \"use crate::store::Store; unsafe \\\" Utc::now()\" }"),
        (
            "task/mod.rs",
            "const A: &str = r#\"crate::store \"quoted\" unsafe\"#; /* crate::http /* nested */ */",
        ),
        ("task/life.rs", "use super::Kind;\nmod tests { use super::*; use super::super::Event; }"),
        ("task/mod.rs", "fn f<'a>(quote: char) -> bool { quote == '\"' || quote == '\\'' }"),
        ("store/mod.rs", "use std::time::Instant;\nfn f() { Instant::now(); }"),
        ("store/mod.rs", "mod tests { fn f() { chrono::Utc::now(); } }"),
        ("store/plan/tests.rs", "fn f() { std::time::SystemTime::now(); }"),
        ("http/mod.rs", "use crate::{intake::Intake, store::{Page, Store}, task};"),
        ("main.rs", "use gristmill::cli;"),
        ("lib.rs", "pub mod task;"),
        ("media/lame.rs", "unsafe fn f() {}"),
        ("media/report/data.rs", "use crate::{account::Name, task::Kind};"),
    ] {
        assert_eq!(
            complaints(path, &format!("//! A file.\n{text}\n")),
            Vec::<String>::new(),
            "{path}: {text}"
        );
    }
}
