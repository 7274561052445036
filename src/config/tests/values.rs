//! What values mean, and which of them are shown to nobody.

use super::*;

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
