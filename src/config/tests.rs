//! Settings seen from outside: layers in, settings or problems out; and the two documents against the
//! declarations.

mod refused;
mod shown;
mod values;

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::*;

/// A folder of settings files, gone at the end of the test.
struct Bench {
    folder: tempfile::TempDir,
}

impl Bench {
    fn new(files: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        Self { folder }
    }

    fn load(&self, env: &[(&str, &str)]) -> Result<Loaded, ConfigError> {
        Settings::load(LoadOptions {
            directory: self.folder.path().to_owned(),
            env: env.iter().map(|(name, value)| (name.into(), value.into())).collect(),
            ..LoadOptions::default()
        })
    }

    fn good(&self, env: &[(&str, &str)]) -> Loaded {
        self.load(env).unwrap_or_else(|error| panic!("{error}"))
    }

    /// The text of the refusal, with the folder's own path taken out.
    fn refusal(&self, env: &[(&str, &str)]) -> String {
        let error = self.load(env).expect_err("these settings must be refused");
        error.to_string().replace(&format!("{}/", self.folder.path().display()), "")
    }
}

/// The refusal of one file `a.toml`.
fn refusal_of(text: &str) -> String {
    Bench::new(&[("a.toml", text)]).refusal(&[])
}

/// The refusal of one variable.
fn refusal_of_env(name: &str, value: &str) -> String {
    Bench::new(&[]).refusal(&[(name, value)])
}

fn contains_all(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part:?} is missing from:\n{text}");
    }
}

fn origin(loaded: &Loaded, key: &str) -> String {
    let entry = loaded.entries.iter().find(|entry| entry.key == key).unwrap();
    let origin = entry.origin.to_string();
    origin.rsplit('/').next().unwrap().to_owned()
}

#[test]
fn without_files_or_environment_the_defaults_hold() {
    let loaded = Bench::new(&[]).good(&[]);
    let settings = &loaded.settings;
    assert_eq!(settings.http.bind, "127.0.0.1:5000".parse().unwrap());
    assert_eq!(settings.data_dir(), Path::new("./data"));
    assert_eq!(settings.database.url, DatabaseUrl::Sqlite { path: PathBuf::from("./data/gristmill.db") });
    assert_eq!(settings.blobs.url.folder(), Some(Path::new("./data/blobs")));
    assert_eq!(settings.log.file, Some(PathBuf::from("./data/app.log")));
    assert_eq!(settings.tasks.lease, Duration::from_secs(10));
    assert_eq!(settings.http.max_json_bytes, ByteSize::new(16 << 20));
    assert!(settings.auth.anonymous && !settings.auth.trust_user_id);
    assert!(loaded.entries.iter().all(|entry| entry.origin == Origin::Default));
    assert!(loaded.warnings.is_empty());
}

#[test]
fn a_missing_folder_of_settings_is_no_problem_but_a_missing_named_file_is() {
    let options = LoadOptions { directory: PathBuf::from("/nowhere/at/all"), ..LoadOptions::default() };
    assert!(Settings::load(options).is_ok());

    let options = LoadOptions { files: vec![PathBuf::from("/nowhere/a.toml")], ..LoadOptions::default() };
    let refusal = Settings::load(options).unwrap_err().to_string();
    contains_all(&refusal, &["/nowhere/a.toml: the file cannot be read"]);
}

#[test]
fn each_layer_overrides_the_lower() {
    let bench = Bench::new(&[
        ("a.toml", "[tasks]\nlease_s = 20\nmax_attempts = 5\nqueue = 64\n"),
        ("b.toml", "tasks.max_attempts = 6\n[tasks.unused]\n"),
    ]);
    // `[tasks.unused]` is refused; written so first to see that the second file is read at all.
    assert!(bench.refusal(&[]).contains("b.toml:2"));

    let bench = Bench::new(&[
        ("b.toml", "tasks.max_attempts = 6\ntasks.queue = 65\n"),
        ("a.toml", "[tasks]\nlease_s = 20\nmax_attempts = 5\nqueue = 64\n"),
        (".hidden.toml", "tasks.queue = 99"),
        ("notes.txt", "tasks.queue = 98"),
    ]);
    let loaded = bench.good(&[("GRISTMILL__TASKS__QUEUE", "66"), ("PATH", "/bin")]);
    let tasks = &loaded.settings.tasks;
    assert_eq!(tasks.timeout, Duration::from_secs(3600));
    assert_eq!(tasks.lease, Duration::from_secs(20));
    assert_eq!(tasks.max_attempts, 6);
    assert_eq!(tasks.queue, 66);
    assert_eq!(origin(&loaded, "tasks.timeout_s"), "default");
    assert_eq!(origin(&loaded, "tasks.lease_s"), "a.toml:2");
    assert_eq!(origin(&loaded, "tasks.max_attempts"), "b.toml:1");
    assert_eq!(origin(&loaded, "tasks.queue"), "GRISTMILL__TASKS__QUEUE");
}

#[test]
fn named_files_replace_the_folder_and_the_later_wins() {
    let bench = Bench::new(&[
        ("first", "tasks.queue = 100"),
        ("second", "tasks.queue = 200"),
        ("c.toml", "tasks.queue = 300"),
    ]);
    let path = |name: &str| bench.folder.path().join(name);
    let load = |files: Vec<PathBuf>| {
        let options = LoadOptions { files, directory: bench.folder.path().to_owned(), ..Default::default() };
        Settings::load(options).unwrap().settings.tasks.queue
    };
    assert_eq!(load(vec![]), 300);
    assert_eq!(load(vec![path("first"), path("second")]), 200);
    assert_eq!(load(vec![path("second"), path("first")]), 100);
}

#[test]
fn every_way_to_write_a_section_is_understood() {
    for text in [
        "[kinds]\nnoop.concurrency = 7",
        "[kinds.noop]\nconcurrency = 7",
        "kinds = { noop = { concurrency = 7 } }",
        "kinds.noop.concurrency = 7",
    ] {
        let loaded = Bench::new(&[("a.toml", text)]).good(&[]);
        assert_eq!(loaded.settings.kinds.concurrency("noop").unwrap().get(), 7, "{text}");
    }
    let loaded = Bench::new(&[]).good(&[("GRISTMILL__KINDS__NOOP__CONCURRENCY", "8")]);
    assert_eq!(loaded.settings.kinds.noop_concurrency.get(), 8);
    assert_eq!(loaded.settings.kinds.concurrency("no such kind"), None);
}
