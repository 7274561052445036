//! What `gristmill config print` and the two documents show, against the declarations.

use super::*;

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
