//! `docker-compose.yml` and `.env.example`, read strictly: what runs, what keeps its data, what is pinned, what is secret,
//! and that the daemon understands each setting.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;

use gristmill::config::{LoadOptions, Settings};
use serde_json::Value;

use crate::stand::{project, text, yaml};

/// What a service here may say. A word that Docker does not know would be one that says nothing.
const WORDS: [&str; 25] = [
    "build",
    "cap_drop",
    "command",
    "depends_on",
    "deploy",
    "environment",
    "healthcheck",
    "hostname",
    "image",
    "init",
    "logging",
    "networks",
    "pid",
    "ports",
    "read_only",
    "restart",
    "security_opt",
    "shm_size",
    "stop_grace_period",
    "tmpfs",
    "ulimits",
    "volumes",
    "user",
    "working_dir",
    "entrypoint",
];

/// Variables of the environment, as `.env` would give them.
const FILLED: [(&str, &str); 4] = [
    ("GRISTMILL_PUBLIC_URL", "https://mill.example"),
    ("POSTGRES_PASSWORD", "aaaaaaaaaaaaaaaa"),
    ("RABBITMQ_PASSWORD", "bbbbbbbbbbbbbbbb"),
    ("WEBHOOKS_SECRET", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"),
];

fn compose() -> Value {
    yaml("docker-compose.yml")
}

fn services(compose: &Value) -> BTreeMap<String, Value> {
    object(&compose["services"])
}

fn object(value: &Value) -> BTreeMap<String, Value> {
    let entries = value.as_object().into_iter().flatten();
    entries.map(|(key, value)| (key.clone(), value.clone())).collect()
}

fn list(value: &Value) -> Vec<String> {
    let items = value.as_array().into_iter().flatten();
    items.map(|item| item.as_str().unwrap_or_else(|| panic!("{item} is no text")).to_owned()).collect()
}

fn keys(value: &Value) -> BTreeSet<String> {
    object(value).into_keys().collect()
}

/// A `${NAME...}` of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Variable {
    /// Without it, or when it is empty, nothing starts.
    Required,
    /// What it is when nobody says.
    Default(String),
}

/// Text with its variables filled in as Docker would, and which they were.
fn filled(text: &str) -> (String, Vec<(String, Variable)>) {
    let (mut out, mut variables, mut rest) = (String::new(), Vec::new(), text);
    while let Some((before, after)) = rest.split_once("${") {
        let (inside, after) = after.split_once('}').unwrap();
        let (name, variable) = match inside.split_once(":?") {
            Some((name, message)) => {
                assert!(message.contains(".env"), "{text}: what to do?");
                (name, Variable::Required)
            }
            None => {
                let (name, default) =
                    inside.split_once(":-").unwrap_or_else(|| panic!("{text}: unset is empty"));
                (name, Variable::Default(default.to_owned()))
            }
        };
        let given = FILLED.iter().find(|(given, _)| *given == name).map(|(_, value)| *value);
        let value = match &variable {
            Variable::Required => given.unwrap_or_else(|| panic!("{name} is required, and not known here")),
            Variable::Default(default) => default,
        };
        out.extend([before, value]);
        variables.push((name.to_owned(), variable));
        rest = after;
    }
    assert!(!rest.contains('$'), "{text}: a variable without braces");
    out.push_str(rest);
    (out, variables)
}

#[test]
fn each_service_is_pinned_checked_and_started_again_and_keeps_its_data_in_a_volume() {
    let compose = compose();
    let services = services(&compose);
    let expected = ["gristmill", "nginx", "node-exporter", "postgres", "prometheus", "rabbitmq"];
    assert_eq!(services.keys().map(String::as_str).collect::<Vec<_>>(), expected);
    let (mut volumes, mut networks) = (BTreeSet::new(), BTreeSet::new());
    for (name, service) in &services {
        let unknown: Vec<String> =
            keys(service).into_iter().filter(|key| !WORDS.contains(&key.as_str())).collect();
        assert_eq!(unknown, Vec::<String>::new(), "{name}");

        let image = service["image"].as_str().unwrap();
        let (repository, tag) = image.split_once(':').unwrap_or_else(|| panic!("{name}: {image} has no tag"));
        if name == "gristmill" {
            assert_eq!((image, &service["build"]), ("gristmill:local", &".".into()));
        } else {
            let numbers: Vec<&str> = tag.trim_start_matches('v').split('.').collect();
            let pinned = numbers.len() >= 2 && numbers.iter().all(|number| number.parse::<u32>().is_ok());
            assert!(pinned && !repository.contains('$'), "{name}: {image} is not one version");
        }
        assert_eq!(service["restart"], "unless-stopped", "{name}");
        assert_eq!(list(&service["security_opt"]), ["no-new-privileges:true"], "{name}");
        assert_eq!(
            keys(&service["logging"]["options"]),
            ["max-file", "max-size"].map(str::to_owned).into(),
            "{name}"
        );

        let check = &service["healthcheck"];
        let words = ["interval", "retries", "start_period", "test", "timeout"].map(str::to_owned);
        assert_eq!(keys(check), words.into(), "{name}");
        assert_eq!(check["test"][0], "CMD", "{name}: without a shell");

        for (other, condition) in object(&service["depends_on"]) {
            assert!(services.contains_key(&other), "{name} waits for {other}");
            let condition = condition["condition"].as_str().unwrap();
            assert!(["service_healthy", "service_started"].contains(&condition), "{name}: {condition}");
        }
        for volume in list(&service["volumes"]) {
            match volume.split_once(':') {
                // Docker names it.
                None => assert_eq!(volume, "/var/lib/gristmill", "{name}"),
                Some((folder, place)) if folder.starts_with("./") => {
                    assert!(project(folder).exists() && place.ends_with(":ro"), "{name}: {volume}");
                }
                Some(("/", place)) => assert_eq!((name.as_str(), place), ("node-exporter", "/host:ro")),
                Some((volume, _)) => {
                    volumes.insert(volume.to_owned());
                }
            }
        }
        // By name, or with an address in them.
        networks.extend(keys(&service["networks"]).into_iter().chain(list(&service["networks"])));
    }
    assert_eq!(
        volumes,
        keys(&compose["volumes"]),
        "each volume that is there is used, and the other way round"
    );
    assert_eq!(networks, keys(&compose["networks"]));
    for (service, place) in [
        ("postgres", "postgres:/var/lib/postgresql/data"),
        ("rabbitmq", "rabbitmq:/var/lib/rabbitmq"),
        ("gristmill", "blobs:/var/lib/gristmill-blobs"),
        ("gristmill", "backups:/var/lib/gristmill-backups"),
        ("gristmill", "logs:/var/log/gristmill"),
        ("nginx", "images:/var/cache/nginx"),
        ("prometheus", "prometheus:/prometheus"),
    ] {
        assert!(list(&services[service]["volumes"]).contains(&place.to_owned()), "{service} keeps {place}");
    }
    for (service, after, condition) in [
        ("gristmill", "postgres", "service_healthy"),
        ("gristmill", "rabbitmq", "service_healthy"),
        ("nginx", "gristmill", "service_healthy"),
    ] {
        assert_eq!(services[service]["depends_on"][after]["condition"], condition, "{service} after {after}");
    }
}

#[test]
fn only_nginx_and_prometheus_are_reached_from_outside_and_only_from_this_machine_unless_somebody_says_otherwise()
 {
    let compose = compose();
    for (name, service) in services(&compose) {
        for port in list(&service["ports"]) {
            assert!(
                ["nginx", "prometheus"].contains(&name.as_str()),
                "{name} is reached from outside: {port}"
            );
            let (port, variables) = filled(&port);
            assert!(port.starts_with("127.0.0.1:") && variables.len() == 1, "{name}: {port}");
        }
    }
    assert_eq!(compose["networks"]["inside"]["internal"], true);
    for (name, service) in services(&compose) {
        let inside = ["postgres", "rabbitmq"].contains(&name.as_str());
        assert_eq!(list(&service["networks"]) == ["inside"], inside, "{name}");
    }
}

#[test]
fn the_nodes_believe_nginx_alone_and_two_of_them_run() {
    let compose = compose();
    let services = services(&compose);
    let address = services["nginx"]["networks"]["front"]["ipv4_address"].as_str().unwrap();
    let trusted = services["gristmill"]["environment"]["GRISTMILL__HTTP__TRUSTED_PROXIES"].as_str().unwrap();
    assert_eq!(trusted, format!("{address}/32"));
    let network = &compose["networks"]["front"]["ipam"]["config"][0];
    let (subnet, pool) =
        (filled(network["subnet"].as_str().unwrap()).0, filled(network["ip_range"].as_str().unwrap()).0);
    let base = subnet.strip_suffix(".0/24").unwrap();
    assert_eq!(filled(address).0, format!("{base}.10"));
    assert_eq!(pool, format!("{base}.128/25"), "nobody else gets that address");
    let replicas = services["gristmill"]["deploy"]["replicas"].as_str().unwrap();
    assert_eq!(filled(replicas).0, "2");
    // What the nodes listen on is what nginx, Prometheus and the image speak of.
    let port = services["gristmill"]["environment"]["GRISTMILL__HTTP__BIND"].as_str().unwrap();
    let port = port.strip_prefix("0.0.0.0:").unwrap();
    assert!(text("config/nginx/upstream.conf").contains(&format!("server gristmill:{port} ")));
    let scraped = &yaml("prometheus.yml")["scrape_configs"][0]["dns_sd_configs"][0];
    assert_eq!((&scraped["names"][0], scraped["port"].to_string().as_str()), (&"gristmill".into(), port));
}

/// The settings that compose gives the daemon.
fn settings(compose: &Value) -> BTreeMap<OsString, OsString> {
    let environment = object(&services(compose)["gristmill"]["environment"]);
    let fill = |(key, value): (String, Value)| {
        let value = filled(value.as_str().unwrap_or_else(|| panic!("{key}: {value} is no text"))).0;
        (key.into(), value.into())
    };
    environment.into_iter().map(fill).collect()
}

#[test]
fn the_daemon_takes_every_setting_that_compose_gives_it() {
    let compose = compose();
    let env = settings(&compose);
    assert!(env.keys().all(|key| key.to_str().unwrap().starts_with("GRISTMILL__")), "{env:?}");
    let options = LoadOptions { files: Vec::new(), directory: "no such folder".into(), env };
    let settings = Settings::load(options).unwrap_or_else(|error| panic!("{error}")).settings;
    assert!(!settings.auth.anonymous, "beyond loopback callers prove who they are");
    // Docker kills a node only after its drain.
    let grace = services(&compose)["gristmill"]["stop_grace_period"].as_str().unwrap().to_owned();
    let grace: u64 = grace.trim_end_matches('s').parse().unwrap();
    assert!(grace >= settings.shutdown.grace.as_secs() + 10, "{grace}");
}

#[test]
fn no_password_stands_in_the_files_and_nothing_starts_without_one() {
    let compose = compose();
    let mut required = BTreeSet::new();
    let mut defaults = BTreeMap::new();
    let mut look = |text: &str| {
        for (name, variable) in filled(text).1 {
            match variable {
                Variable::Required => drop(required.insert(name)),
                Variable::Default(default) => {
                    let before = defaults.insert(name.clone(), default.clone());
                    assert!(before.is_none_or(|before| before == default), "{name} has two defaults");
                }
            }
        }
    };
    every_text(&compose, &mut look);
    let expected: BTreeSet<String> = FILLED.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(required, expected);

    for (service, body) in services(&compose) {
        for (key, value) in object(&body["environment"]) {
            let value = value.as_str().unwrap();
            let secret = ["PASS", "SECRET", "TOKEN", "COOKIE"].iter().any(|word| key.contains(word));
            let (_, variables) = filled(value);
            if secret {
                let whole = value.starts_with("${") && value.find('}') == Some(value.len() - 1);
                assert!(whole && variables[0].1 == Variable::Required, "{service}: {key} is written down");
            }
            if let Some((_, at)) = value.split_once("://gristmill:") {
                assert!(at.starts_with("${") && variables[0].1 == Variable::Required, "{service}: {key}");
            } else {
                assert!(!value.contains('@'), "{service}: {key} has somebody's name in it");
            }
        }
    }

    // What is to be filled in is empty; what need not be shows its default.
    let example = text(".env.example");
    let line = |line: &str| {
        let (name, value) = line.split_once('=')?;
        name.bytes()
            .all(|byte| byte.is_ascii_uppercase() || byte == b'_')
            .then(|| (name.to_owned(), value.to_owned()))
    };
    let open: BTreeMap<String, String> = example.lines().filter_map(line).collect();
    assert_eq!(open, required.iter().map(|name| (name.clone(), String::new())).collect());
    let closed: BTreeMap<String, String> =
        example.lines().filter_map(|text| text.strip_prefix('#').and_then(line)).collect();
    assert_eq!(closed, defaults);
    assert!(text(".gitignore").lines().any(|line| line == ".env"), "a filled one is not committed");
}

fn every_text(value: &Value, look: &mut impl FnMut(&str)) {
    match value {
        Value::String(text) => look(text),
        Value::Array(items) => items.iter().for_each(|item| every_text(item, look)),
        Value::Object(entries) => entries.values().for_each(|value| every_text(value, look)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}
