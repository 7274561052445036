//! RabbitMQ nodes: the one that `./test` provides, and nodes of a test's own, which it may kill, wipe and block.

#![allow(
    dead_code,
    unreachable_pub,
    clippy::allow_attributes,
    reason = "each test binary uses a part of this"
)]

use std::path::PathBuf;
use std::process::Command;

use gristmill::config::{BrokerSettings, LoadOptions, Settings};

/// The node that `./test` provides.
pub fn shared() -> String {
    std::env::var("GRISTMILL_TEST_RABBITMQ").unwrap_or_else(|_| {
        panic!("these tests need a RabbitMQ: run them with ./test, or under scripts/with-rabbitmq")
    })
}

/// `rabbitmqctl` on that node.
pub fn shared_ctl(arguments: &[&str]) {
    let ctl = std::env::var("GRISTMILL_TEST_RABBITMQ_CTL").expect("set together with the address");
    run(Command::new(ctl).args(arguments));
}

/// A node of a test's own; it ends with the test.
pub struct Node {
    folder: tempfile::TempDir,
}

impl Node {
    pub fn start() -> Self {
        Self::start_with("")
    }

    /// With more configuration; `FOLDER` in it stands for the node's folder.
    pub fn start_with(extra: &str) -> Self {
        let node = Self::prepare(|_| extra.to_owned());
        node.again();
        node
    }

    /// One whose configuration needs to know its folder; not started yet.
    pub fn prepare(extra: impl FnOnce(&std::path::Path) -> String) -> Self {
        let folder = tempfile::Builder::new().prefix("gristmill-node").tempdir().unwrap();
        let text = extra(folder.path());
        std::fs::write(folder.path().join("extra.conf"), text).unwrap();
        Self { folder }
    }

    pub fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }

    pub fn port(&self) -> u16 {
        let ports = std::fs::read_to_string(self.folder.path().join("ports")).unwrap();
        let port = ports.lines().find_map(|line| line.strip_prefix("port=")).unwrap();
        port.parse().unwrap()
    }

    pub fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port())
    }

    pub fn url(&self) -> String {
        format!("amqp://guest:guest@{}", self.host())
    }

    /// Starts it (again, on the same port).
    pub fn again(&self) {
        self.script("start", &[]);
    }

    pub fn kill(&self) {
        self.script("kill", &[]);
    }

    /// Ends it in good order.
    pub fn stop(&self) {
        self.script("stop", &[]);
    }

    pub fn wipe(&self) {
        self.script("wipe", &[]);
    }

    pub fn ctl(&self, arguments: &[&str]) {
        self.script("ctl", arguments);
    }

    fn script(&self, action: &str, arguments: &[&str]) {
        let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("scripts/rabbitmq-node");
        let mut command = Command::new(script);
        command.env("GRISTMILL_OWNER", std::process::id().to_string());
        run(command.arg(action).arg(self.folder.path()).args(arguments));
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The settings of a broker at this address, with these changes.
pub fn settings(url: &str, changes: &[(&str, &str)]) -> BrokerSettings {
    let mut env = vec![("URL", url), ("RETRY_CAP_S", "0.5"), ("CONNECT_TIMEOUT_S", "5")];
    env.extend(changes);
    let env = env.into_iter().map(|(key, value)| (format!("GRISTMILL__BROKER__{key}").into(), value.into()));
    let options =
        LoadOptions { env: env.collect(), directory: "no/such/folder".into(), ..Default::default() };
    Settings::load(options).unwrap_or_else(|error| panic!("{error}")).settings.broker
}

/// Runs it to a good end.
pub fn run(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {output:?}");
}
