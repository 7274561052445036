//! Settings seen from outside: layers in, settings or problems out; and the two documents against the
//! declarations.

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

#[test]
fn an_unknown_key_is_refused_with_its_line_the_nearest_and_all_that_exist() {
    contains_all(
        &refusal_of("# first\n\n[http]\nbind = \"127.0.0.1:1\"\nworker = 3\n"),
        &[
            "a.toml:5: there is no key `http.worker`; did you mean `http.workers`?",
            "allowed: http.bind, http.workers, http.public_url",
        ],
    );
    // The right name in the wrong place; part of a name; nothing like it.
    contains_all(&refusal_of("lease_s = 5"), &["a.toml:1", "`lease_s`; did you mean `tasks.lease_s`?"]);
    contains_all(
        &refusal_of("http.timeout_s = 5"),
        &["no key `http.timeout_s`; did you mean `http.request_timeout_s`?"],
    );
    contains_all(&refusal_of("http.request_timeout = 5"), &["did you mean `http.request_timeout_s`?"]);
    assert!(!refusal_of("http.zzz = 5").contains("did you mean"));
}

#[test]
fn an_unknown_section_is_refused_likewise() {
    contains_all(
        &refusal_of("[htpp]\nbind = \"127.0.0.1:1\"\n[tasks.deep.er]\nx = 1"),
        &[
            "2 problems",
            "a.toml:1: there is no section `htpp`; did you mean `http`?",
            "allowed: data_dir, roles, http, database",
            "a.toml:3: there is no section `tasks.deep`",
        ],
    );
    contains_all(&refusal_of("\n\"http.bind\" = 1"), &["a.toml:2: there is no key `\"http.bind\"`"]);
    contains_all(&refusal_of("HTTP.bind = 1"), &["there is no section `HTTP`"]);
}

#[test]
fn a_section_and_a_value_cannot_stand_for_each_other() {
    contains_all(
        &refusal_of("http = 3"),
        &["the settings have a problem:", "a.toml:1: `http` is a section, not a value", "http.bind"],
    );
    contains_all(&refusal_of("[[http]]\nbind = 1"), &["a.toml:1: `http` is a section, not a value"]);
    contains_all(
        &refusal_of("[http.bind]\nx = 1"),
        &["a.toml:1: `http.bind = (a table)` is a table", "allowed: an IP address and port"],
    );
    contains_all(&refusal_of("tasks.lease_s = [1, 2]"), &["`tasks.lease_s = (a list)` is a list"]);
}

#[test]
fn a_value_of_the_wrong_type_is_refused_not_converted() {
    for (text, part) in [
        ("http.workers = \"4\"", "`http.workers = \"4\"` is text"),
        ("http.workers = true", "is true or false"),
        ("http.workers = 2.7", "is not a whole number"),
        ("http.workers = -1", "is out of range"),
        ("auth.trust_user_id = 1", "`auth.trust_user_id = 1` is a number"),
        ("auth.trust_user_id = \"true\"", "is text"),
        ("http.bind = 5000", "is a number"),
        ("http.bind = \"localhost\"", "is not an address and port"),
        ("tasks.lease_s = \"10s\"", "is text"),
        ("log.format = \"xml\"", "`log.format = \"xml\"` is not one of the words"),
        ("data_dir = \"\"", "is empty"),
    ] {
        let refusal = refusal_of(text);
        contains_all(&refusal, &["a.toml:1: ", part, "allowed: "]);
    }
    contains_all(
        &refusal_of("log.format = \"xml\""),
        &["allowed: \"auto\" or \"human\" or \"json\" or \"journald\""],
    );
}

#[test]
fn a_word_that_is_no_format_of_images_is_refused_with_those_that_are() {
    contains_all(
        &refusal_of("[images]\nformats = \"jpeg, heic\"\n"),
        &[
            "images.formats",
            "`heic` is no image format: jpeg, png, gif, webp or avif",
            "at least one of jpeg, png, gif, webp and avif",
        ],
    );
}

#[test]
fn memory_in_which_no_image_could_be_worked_on_is_refused() {
    for (text, least) in [
        ("[images]\nmemory = \"64 MiB\"\n", "a variant of the largest of images.sizes, take"),
        ("[images]\nmax_bytes = \"64 MiB\"\n", "one of images.max_bytes (64 MiB)"),
    ] {
        contains_all(&refusal_of(text), &["images.memory", "no image could be worked on", least]);
    }
}

#[test]
fn bounds_hold_at_both_ends() {
    for (text, good) in [
        ("tasks.lease_s = 3", true),
        ("tasks.lease_s = 2.99", false),
        ("tasks.lease_s = 3600", true),
        ("tasks.lease_s = 3601", false),
        ("tasks.lease_s = nan", false),
        ("tasks.lease_s = inf", false),
        ("tasks.queue = 16", true),
        ("tasks.queue = 15", false),
        ("http.max_json_bytes = 65535", false),
        ("http.max_json_bytes = 65536", true),
        ("http.max_json_bytes = \"1 GiB\"", true),
        ("http.max_json_bytes = \"2 GiB\"", false),
        ("http.max_json_bytes = -1", false),
    ] {
        let loaded = Bench::new(&[("a.toml", text)]).load(&[]);
        assert_eq!(loaded.is_ok(), good, "{text}: {loaded:?}");
    }
    contains_all(
        &refusal_of("tasks.lease_s = 2"),
        &["a.toml:1: `tasks.lease_s = 2` is out of range", "allowed: seconds from 3 to 3600"],
    );
    contains_all(&refusal_of("records.max_bytes = 1"), &["from 1 KiB to 1 TiB"]);
}

#[test]
fn keys_are_held_against_each_other() {
    contains_all(
        &refusal_of("\nhttp.default_wait_s = 90"),
        &["a.toml:2: `http.default_wait_s` is 90 s, more than http.max_wait_s (60 s)"],
    );
    contains_all(&refusal_of("tasks.retry_cap_s = 1"), &["`tasks.retry_base_s` is 2 s, more than"]);
    contains_all(&refusal_of("quiz.time_s = 5"), &["`quiz.timeout_s` is 10 s, more than quiz.time_s (5 s)"]);
}

#[test]
fn a_bad_variable_is_named_as_the_variable_that_it_is() {
    contains_all(
        &refusal_of_env("GRISTMILL__TASKS__LEASE_S", "soon"),
        &["GRISTMILL__TASKS__LEASE_S: `tasks.lease_s = \"soon\"` is not a number", "allowed: seconds from 3"],
    );
    contains_all(
        &refusal_of_env("GRISTMILL__TASKS__LEASES", "5"),
        &[
            "no key `tasks.leases`; did you mean `GRISTMILL__TASKS__LEASE_S`?",
            "GRISTMILL__TASKS__MAX_ATTEMPTS",
        ],
    );
    contains_all(
        &refusal_of_env("GRISTMILL__TASKS", "5"),
        &["GRISTMILL__TASKS: `tasks` is a section, not a key", "GRISTMILL__TASKS__LEASE_S"],
    );
    contains_all(
        &refusal_of_env("GRISTMILL__ZZZ", "5"),
        &["GRISTMILL__DATA_DIR, GRISTMILL__ROLES, GRISTMILL__HTTP__..."],
    );
    contains_all(
        &refusal_of_env("GRISTMILL_HTTP_BIND", "127.0.0.1:1"),
        &["GRISTMILL_HTTP_BIND: sets nothing; did you mean `GRISTMILL__HTTP__BIND`?"],
    );
    contains_all(
        &refusal_of_env("gristmill__http__bind", "127.0.0.1:1"),
        &["must be written in capitals: `GRISTMILL__HTTP__BIND`"],
    );
    // Other programs' variables, and ours that are no settings, are left alone.
    Bench::new(&[]).good(&[("GRISTMILL_TOKEN", "x"), ("GRISTMILL", "x"), ("HTTP_BIND", "x")]);
}

#[test]
fn variables_may_spell_any_type() {
    let loaded = Bench::new(&[]).good(&[
        ("GRISTMILL__AUTH__TRUST_USER_ID", "true"),
        ("GRISTMILL__TASKS__POLL_S", "0.25"),
        ("GRISTMILL__RECORDS__MAX_BYTES", "5 MB"),
        ("GRISTMILL__LOG__LANGUAGE", "ru"),
        ("GRISTMILL__LOG__FILE", ""),
        ("GRISTMILL__DATA_DIR", "/srv/123"),
    ]);
    let settings = &loaded.settings;
    assert!(settings.auth.trust_user_id);
    assert_eq!(settings.tasks.poll, Duration::from_millis(250));
    assert_eq!(settings.records.max_bytes, ByteSize::new(5_000_000));
    assert_eq!(settings.log.language, Language::Ru);
    assert_eq!(settings.log.file, None);
    assert_eq!(settings.database.url, DatabaseUrl::Sqlite { path: PathBuf::from("/srv/123/gristmill.db") });
}

#[test]
fn all_problems_are_told_at_once() {
    let bench = Bench::new(&[
        ("a.toml", "[http]\nbnd = 1\nworkers = \"x\"\n"),
        ("b.toml", "this is not toml\n"),
        ("c.toml", "\ntasks.lease_s = 1\n"),
    ]);
    let refusal = bench.refusal(&[("GRISTMILL__LOG__LEVEL", "chatty"), ("GRISTMILL__NO__SUCH", "1")]);
    contains_all(
        &refusal,
        &[
            "6 problems",
            "a.toml:2: there is no key `http.bnd`; did you mean `http.bind`?",
            "a.toml:3: `http.workers",
            "b.toml:1: is not TOML",
            "c.toml:2: `tasks.lease_s = 1`",
            "GRISTMILL__LOG__LEVEL: `log.level = \"chatty\"` has \"chatty\", which is no level",
            "GRISTMILL__NO__SUCH",
        ],
    );
}

#[test]
fn defaults_follow_the_keys_that_they_are_made_from() {
    let loaded = Bench::new(&[("a.toml", "data_dir = '/var/d'\nhttp.bind = '0.0.0.0:80'")]).good(&[]);
    let settings = &loaded.settings;
    assert_eq!(settings.database.url.to_string(), "sqlite:/var/d/gristmill.db");
    assert_eq!(settings.blobs.url.to_string(), "file:/var/d/blobs");
    assert_eq!(settings.log.file, Some(PathBuf::from("/var/d/app.log")));
    assert!(!settings.auth.anonymous, "a public address closes the door by default");
    assert_eq!(origin(&loaded, "auth.anonymous"), "default");

    let text = "http.bind = '0.0.0.0:80'\n[auth]\nanonymous = true\ntrust_user_id = true\n[webhooks]\nallow_private = true";
    let loaded = Bench::new(&[("a.toml", text)]).good(&[]);
    assert!(loaded.settings.auth.anonymous);
    assert_eq!(loaded.warnings.len(), 3, "{:?}", loaded.warnings);
    contains_all(
        &loaded.summary(),
        &[
            "settings are good",
            "4 of them set",
            "warning: auth.trust_user_id is on",
            "warning: webhooks.allow_private is on",
        ],
    );
}

#[test]
fn the_secret_of_webhooks_is_read_and_never_shown() {
    let text = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    let loaded = Bench::new(&[]).good(&[("GRISTMILL__WEBHOOKS__SECRET", text)]);
    let secret = loaded.settings.webhooks.secret.as_ref().expect("it is set");
    assert_eq!(secret.reveal(), text);
    for shown in [loaded.table(), loaded.json().to_string(), format!("{:?}", loaded.settings)] {
        assert!(!shown.contains("MfKQ9r8G"), "{shown}");
    }
    let refusal = refusal_of("[webhooks]\nsecret = 'whsec_MfKQ9r8G'");
    contains_all(&refusal, &["a.toml:2", "`webhooks.secret`", "holds 6 bytes", "base64 of 24 to 64 bytes"]);
    assert!(!refusal.contains("MfKQ9r8G"), "{refusal}");
}

#[test]
fn networks_for_webhooks_are_read_from_text_alike_in_files_and_variables() {
    let networks = "10.1.0.0/16, fd00::/8";
    let file = Bench::new(&[("a.toml", &format!("webhooks.allow = '{networks}'"))]).good(&[]);
    let variable = Bench::new(&[]).good(&[("GRISTMILL__WEBHOOKS__ALLOW", networks)]);
    assert_eq!(file.settings.webhooks, variable.settings.webhooks);
    assert_eq!(file.settings.webhooks.allow.len(), 2);
    contains_all(
        &refusal_of("webhooks.allow = '10.0.0.1/8'"),
        &["`webhooks.allow = \"10.0.0.1/8\"` has", "IP networks separated by commas"],
    );
    contains_all(
        &refusal_of("[webhooks]\nretry_base_s = 60\nretry_cap_s = 10"),
        &["`webhooks.retry_base_s` is 60 s, more than webhooks.retry_cap_s (10 s)"],
    );
}

#[test]
fn systemd_names_the_data_folder_unless_somebody_else_does() {
    let loaded = Bench::new(&[]).good(&[("STATE_DIRECTORY", "/var/lib/gristmill:/var/lib/other")]);
    assert_eq!(loaded.settings.data_dir(), Path::new("/var/lib/gristmill"));
    assert_eq!(loaded.settings.database.url.to_string(), "sqlite:/var/lib/gristmill/gristmill.db");
    assert_eq!(origin(&loaded, "data_dir"), "STATE_DIRECTORY");

    let bench = Bench::new(&[("a.toml", "data_dir = 'here'")]);
    let loaded = bench.good(&[("STATE_DIRECTORY", "/var/lib/gristmill")]);
    assert_eq!(loaded.settings.data_dir(), Path::new("here"));
    assert_eq!(origin(&loaded, "data_dir"), "a.toml:1");
}

#[test]
fn passwords_are_shown_nowhere() {
    let url = "postgres://miller:hunter2@db.example/grist?sslmode=require&password=hunter2";
    let loaded = Bench::new(&[]).good(&[("GRISTMILL__DATABASE__URL", url)]);
    let DatabaseUrl::Postgres(secret) = &loaded.settings.database.url else { panic!("not PostgreSQL") };
    assert_eq!(secret.expose(), url);
    let shown = format!("{:?} {:?} {} {}", loaded, loaded.settings, loaded.table(), loaded.json());
    assert!(!shown.contains("hunter2"), "{shown}");
    contains_all(&loaded.table(), &["postgres://miller:***@db.example/grist?sslmode=require&password=***"]);

    let loaded = Bench::new(&[]).good(&[("GRISTMILL__BROKER__URL", "amqp://miller:hunter2@mq.example")]);
    let url = loaded.settings.broker.url.as_ref().unwrap();
    assert_eq!(url.password(), Some("hunter2"));
    let shown = format!("{url} {:?} {:?} {} {}", loaded, loaded.settings, loaded.table(), loaded.json());
    assert!(!shown.contains("hunter2"), "{shown}");

    // Nor in a refusal: a mistyped URL still holds its password, and so does a broken line.
    for text in [
        "database.url = 'mysql://miller:hunter2@db.example/grist'",
        "database.url = 'postgres//miller:hunter2@db.example/grist'",
        "database.url = 'postgres:hunter2@db'",
        "database.url = 'postgres://miller:hunter2@db:port/grist'",
        "database.url = 'hunter2:x'",
        "database.url = 'sqlite:a?hunter2'",
        "database.url = 'postgres://miller:hunter2@db' and more",
        "database.url = 'postgres://miller:hunter2@db",
        "blobs.url = 's3://key:hunter2@bucket'",
        "broker.url = 'http://miller:hunter2@mq.example'",
        "broker.url = 'amqp//miller:hunter2@mq.example'",
        "broker.url = 'amqp:hunter2'",
        "broker.url = 'amqp://miller:hunter2@mq:port'",
        "broker.url = 'amqp://miller:hunter2@mq?heartbeat=5'",
        "broker.url = 'amqp://miller:hunter2%ff@mq'",
        "http.public_url = 'https://miller:hunter2@mill.example/'",
    ] {
        let refusal = refusal_of(text);
        assert!(!refusal.contains("hunter2"), "{refusal}");
        assert!(refusal.contains("a.toml:1"), "{refusal}");
    }
    contains_all(
        &refusal_of("database.url = 'mysql://h/d'"),
        &["scheme mysql", "allowed: \"sqlite:<path>\""],
    );
}

#[test]
fn urls_are_parsed_into_what_they_mean() {
    let sqlite = |text: &str| match text.parse() {
        Ok(DatabaseUrl::Sqlite { path }) => path,
        other => panic!("{text}: {other:?}"),
    };
    assert_eq!(sqlite("sqlite:a/b.db"), Path::new("a/b.db"));
    assert_eq!(sqlite("sqlite://a/b.db"), Path::new("a/b.db"));
    assert_eq!(sqlite("sqlite:/a/b.db"), Path::new("/a/b.db"));
    assert_eq!(sqlite("sqlite:///a/b.db"), Path::new("/a/b.db"));
    assert!("sqlite:".parse::<DatabaseUrl>().is_err());
    assert!("sqlite::memory:".parse::<DatabaseUrl>().is_err());
    assert!(matches!("postgresql://h/d".parse(), Ok(DatabaseUrl::Postgres(_))));

    for (text, shown, host, port, user, password, vhost) in [
        ("amqp://mq", "amqp://guest@mq:5672/%2F", "mq", 5672, "guest", None, "/"),
        ("amqp://mq/", "amqp://guest@mq:5672/%2F", "mq", 5672, "guest", None, "/"),
        ("amqps://mq/%2f", "amqps://guest@mq:5671/%2F", "mq", 5671, "guest", None, "/"),
        ("amqp://a%40b:c%2Fd@mq:7/x%2Fy", "amqp://a%40b:***@mq:7/x%2Fy", "mq", 7, "a@b", Some("c/d"), "x/y"),
        ("amqp://u:@[::1]:8/v", "amqp://u@[::1]:8/v", "::1", 8, "u", None, "v"),
        ("amqp://127.0.0.1/v", "amqp://guest@127.0.0.1:5672/v", "127.0.0.1", 5672, "guest", None, "v"),
    ] {
        let url: BrokerUrl = text.parse().unwrap();
        assert_eq!(url.to_string(), shown);
        assert_eq!(
            (url.host(), url.port(), url.user(), url.password(), url.vhost()),
            (host, port, user, password, vhost)
        );
        assert_eq!(url.tls(), text.starts_with("amqps"));
    }
    let long = format!("amqp://mq/{}", "v".repeat(256));
    for bad in ["amqp://", "amqp:///v", "mq:5672", "amqp:mq", "http://mq", &long, "amqp://mq#f"] {
        assert!(bad.parse::<BrokerUrl>().is_err(), "{bad}");
    }
    let both = "[broker]\nurl = 'amqp://u:p@mq'\npassword_file = 'there'";
    contains_all(&refusal_of(both), &["broker.password_file", "a.toml:3", "keep one"]);
    assert_eq!(Bench::new(&[]).good(&[]).settings.broker.url, None);

    let bucket = |text: &str| match text.parse() {
        Ok(BlobUrl::Bucket { bucket, prefix }) => (bucket, prefix),
        other => panic!("{text}: {other:?}"),
    };
    assert_eq!(bucket("s3://mill"), ("mill".to_owned(), String::new()));
    assert_eq!(bucket("s3://my.mill-2/"), ("my.mill-2".to_owned(), String::new()));
    assert_eq!(bucket("s3://mill/some/where/"), ("mill".to_owned(), "some/where".to_owned()));
    let long = format!("s3://mill/{}", "x".repeat(901));
    for bad in [
        "s3:mill",
        "s3://",
        "s3://UP",
        "s3://ab",
        "s3://-mill",
        "s3://mill//x",
        "s3://mill/a b",
        "s3://mill/../x",
        &long,
    ] {
        assert!(bad.parse::<BlobUrl>().is_err(), "{bad}");
    }

    let loaded = Bench::new(&[("a.toml", "http.public_url = 'https://mill.example/x'")]).good(&[]);
    assert_eq!(loaded.settings.http.public_url.unwrap().as_str(), "https://mill.example/x");
    for bad in ["ftp://h/", "mill.example", "http://h/?q", "http://h/#f"] {
        assert!(Bench::new(&[("a.toml", &format!("http.public_url = '{bad}'"))]).load(&[]).is_err(), "{bad}");
    }
}

/// The keys that a bucket needs, one of them exchanged.
fn with_bucket(key: &str, line: &str) -> String {
    let lines = [
        ("url", "url = 's3://mill/some'"),
        ("s3_access_key", "s3_access_key = 'miller'"),
        ("s3_secret_key", "s3_secret_key = 'hunter2'"),
    ];
    let kept = lines.iter().filter(|(name, _)| *name != key).map(|(_, line)| *line);
    ["[blobs]", line].into_iter().chain(kept).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_bucket_needs_its_keys_and_shows_no_secret() {
    let loaded = Bench::new(&[("a.toml", &with_bucket("", ""))]).good(&[]);
    let blobs = &loaded.settings.blobs;
    assert_eq!(blobs.s3_secret_key.as_ref().unwrap().reveal(), "hunter2");
    assert_eq!((blobs.url.to_string(), blobs.url.folder()), ("s3://mill/some".to_owned(), None));
    let shown = format!("{:?} {:?} {} {}", loaded, loaded.settings, loaded.table(), loaded.json());
    assert!(!shown.contains("hunter2"), "{shown}");
    contains_all(&loaded.table(), &["s3://mill/some", "***"]);

    for (without, line, parts) in [
        ("s3_access_key", "", ["blobs.s3_access_key", "is empty"]),
        ("s3_secret_key", "", ["blobs.s3_secret_key", "is empty"]),
        ("", "s3_secret_key_file = 'there'", ["blobs.s3_secret_key_file", "keep one"]),
        ("", "sweep_grace_s = 600", ["blobs.sweep_grace_s", "less than 3600"]),
        ("s3_secret_key", "s3_secret_key = 'hunter2 hunter2'", ["blobs.s3_secret_key", "a space"]),
        ("", "s3_endpoint = 'ftp://minio'", ["blobs.s3_endpoint", "neither http nor https"]),
        ("", "s3_endpoint = 'http://a:hunter2@minio'", ["blobs.s3_endpoint", "a user or a password"]),
        ("url", "", ["blobs.s3_access_key", "names a folder"]),
        ("url", "url = 's3://miller:hunter2@mill'", ["blobs.url", "holds a user or a key"]),
    ] {
        let refusal = refusal_of(&with_bucket(without, line));
        contains_all(&refusal, &parts);
        assert!(!refusal.contains("hunter2"), "{refusal}");
    }
    // A line that is there is named.
    contains_all(&refusal_of(&with_bucket("", "sweep_grace_s = 600")), &["a.toml:2"]);
}

#[test]
fn sizes_are_read_with_and_without_units() {
    for (text, bytes) in [
        ("0", 0),
        ("1048576", 1 << 20),
        ("2 GiB", 2 << 30),
        ("2GiB", 2 << 30),
        ("2 gib", 2 << 30),
        (" 5 MB ", 5_000_000),
        ("7 kB", 7_000),
        ("9 B", 9),
    ] {
        assert_eq!(text.parse(), Ok(ByteSize::new(bytes)), "{text}");
    }
    for text in ["", "GiB", "-1", "1.5 GiB", "1 GiBs", "1 G", "99999999999 TiB", "1 2"] {
        assert!(text.parse::<ByteSize>().is_err(), "{text}");
    }
    for (bytes, text) in [
        (0, "0 B"),
        (1, "1 B"),
        (1 << 20, "1 MiB"),
        (5_000_000, "5 MB"),
        (1_500, "1500 B"),
        (3 << 30, "3 GiB"),
    ] {
        assert_eq!(ByteSize::new(bytes).to_string(), text);
        assert_eq!(text.parse(), Ok(ByteSize::new(bytes)));
    }
}

#[test]
fn log_filters_are_levels_by_part() {
    for good in ["info", "WARN", "off", "info,gristmill::store=debug", "gristmill=trace"] {
        assert!(good.parse::<LogFilter>().is_ok(), "{good}");
    }
    for bad in ["", "inof", "info,store", "gristmill=loud"] {
        assert!(bad.parse::<LogFilter>().is_err(), "{bad}");
    }
}

#[test]
fn print_shows_every_key_with_value_and_origin() {
    let bench = Bench::new(&[("a.toml", "[log]\nlevel = \"warn\"\n")]);
    let loaded = bench.good(&[("GRISTMILL__HTTP__BIND", "127.0.0.1:0")]);

    let keys: usize = Settings::sections().iter().map(|section| section.keys.len()).sum();
    assert_eq!(loaded.table().lines().count(), keys);
    let line = |key: &str| {
        let table = loaded.table();
        let line = table.lines().find(|line| line.starts_with(&format!("{key} "))).unwrap().to_owned();
        line.split_whitespace().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(line("http.bind"), ["http.bind", "\"127.0.0.1:0\"", "GRISTMILL__HTTP__BIND"]);
    assert_eq!(line("tasks.queue"), ["tasks.queue", "4096", "default"]);
    assert_eq!(line("log.level")[..2], ["log.level", "\"warn\""]);
    assert!(line("log.level")[2].ends_with("a.toml:2"));

    let json = loaded.json();
    assert_eq!(
        json["http.bind"]["origin"],
        serde_json::json!({"from": "env", "name": "GRISTMILL__HTTP__BIND"})
    );
    assert_eq!(json["tasks.queue"], serde_json::json!({"value": 4096, "origin": {"from": "default"}}));
    assert_eq!(json["log.level"]["origin"]["from"], "file");
    assert_eq!(json["log.level"]["origin"]["line"], 2);
    assert_eq!(json.as_object().unwrap().len(), keys);
}

#[test]
fn what_print_shows_may_be_pasted_into_a_file() {
    let loaded = Bench::new(&[]).good(&[("GRISTMILL__TASKS__POLL_S", "0.25")]);
    let lines = loaded.entries.iter().map(|entry| format!("{} = {}\n", entry.key, entry.value));
    let again = Bench::new(&[("a.toml", &lines.collect::<String>())]).good(&[]);
    assert_eq!(again.settings, loaded.settings);
}

/// Compares a document with what the declarations give; `UPDATE=1` rewrites it instead.
fn document_is_fresh(path: &str, fresh: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, fresh).unwrap();
    }
    let stands = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        stands == fresh,
        "{} differs from the declarations in src/config/: run `UPDATE=1 cargo test --lib config`",
        path.file_name().unwrap().display()
    );
}

#[test]
fn the_reference_file_says_what_is_declared() {
    document_is_fresh("config/gristmill.toml", &reference_toml());
}

#[test]
fn the_page_on_configuration_says_what_is_declared() {
    document_is_fresh("docs/configuration.md", &reference_markdown());
}

#[test]
fn the_reference_file_sets_nothing_and_each_of_its_keys_is_the_default() {
    let defaults = Bench::new(&[]).good(&[]);
    let bare = Bench::new(&[("gristmill.toml", &reference_toml())]).good(&[]);
    assert_eq!(bare.settings, defaults.settings);
    assert!(bare.entries.iter().all(|entry| entry.origin == Origin::Default));

    // Keys are `#key = value`, prose is `# text`.
    let uncommented: String = reference_toml()
        .lines()
        .map(|line| match line.strip_prefix('#') {
            Some(key) if !key.is_empty() && !key.starts_with(' ') => format!("{key}\n"),
            Some(_) | None => format!("{line}\n"),
        })
        .collect();
    let full = Bench::new(&[("gristmill.toml", &uncommented)]).good(&[]);
    assert_eq!(full.settings, defaults.settings);
    assert!(full.entries.iter().all(|entry| entry.origin != Origin::Default));
}

#[test]
fn every_key_is_documented_and_settable_through_its_variable() {
    for section in Settings::sections() {
        assert!(!section.doc.concat().trim().is_empty(), "[{}]", section.name);
        for key in section.keys {
            assert!(!key.doc.concat().trim().is_empty() && !key.allowed.is_empty(), "{}", key.path);
            let default = key.default.literal(&section::Base::default());
            let text = match &default {
                Literal::Text(text) => text.clone(),
                Literal::Flag(_) | Literal::Whole(_) | Literal::Fraction(_) => default.to_string(),
            };
            let loaded = Bench::new(&[]).good(&[(&key.env_name(), &text)]);
            assert_eq!(origin(&loaded, &key.path), key.env_name());
        }
    }
}
