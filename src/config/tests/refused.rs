//! What is refused, and in which words.

use super::*;

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

/// A reload would wait for ever for what nobody writes again.
#[test]
fn a_pipe_is_refused_and_not_waited_for() {
    let bench = Bench::new(&[]);
    let pipe = bench.folder.path().join("a.toml");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    contains_all(&bench.refusal(&[]), &["a.toml: the file cannot be read: it is a pipe", "give a file"]);
}
