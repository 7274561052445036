//! The real program, started and stopped.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use gristmill::app::Operator;
use sqlx::{AssertSqlSafe, Connection, PgConnection};

use crate::client::{Client, request};

pub struct Daemon {
    child: Child,
    pub address: SocketAddr,
    pub ready_after: Duration,
    /// Kept open: what else the daemon says goes nowhere.
    _said: BufReader<std::process::ChildStdout>,
    folder: tempfile::TempDir,
}

/// How a daemon is set up: as it is by default, on SQLite, but for these settings.
#[derive(Clone, Default)]
pub struct Setup(Vec<(String, String)>);

impl Setup {
    /// On a database of its own on the given server, else on SQLite.
    pub async fn own(postgres: Option<&str>) -> Self {
        match postgres {
            Some(server) => Self::on(&fresh(server).await),
            None => Self::default(),
        }
    }

    /// On this database, which it may share.
    pub fn on(database: &str) -> Self {
        Self::default().with("DATABASE__URL", database)
    }

    /// With one more setting, by the end of its variable's name.
    pub fn with(mut self, key: &str, value: &str) -> Self {
        self.0.push((format!("GRISTMILL__{key}"), value.to_owned()));
        self
    }
}

impl Daemon {
    /// Starts it in a folder of its own.
    pub async fn start(setup: &Setup) -> Self {
        // Beside the build, on a real disk: the system's temporary folder may be memory.
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_gristmill"));
        command
            .arg("serve")
            .current_dir(folder.path())
            .env("GRISTMILL__HTTP__BIND", "127.0.0.1:0")
            .env("GRISTMILL__LOG__LEVEL", "warn")
            .envs(setup.0.iter().map(|(key, value)| (key, value)))
            .stdout(Stdio::piped());
        let begun = Instant::now();
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        let mut said = BufReader::new(child.stdout.take().unwrap());
        said.read_line(&mut line).unwrap();
        let address: SocketAddr = line.trim().rsplit("http://").next().unwrap().parse().unwrap();
        loop {
            let ready = request("GET", "/health/ready", "", "");
            if let Ok(mut client) = Client::connect(address).await
                && let Ok((200, _)) = client.send(&ready).await
            {
                break;
            }
            assert!(begun.elapsed() < Duration::from_secs(60), "the daemon does not become ready");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        Self { child, address, ready_after: begun.elapsed(), _said: said, folder }
    }

    /// The token of who operates it.
    pub fn operator(&self) -> String {
        Operator::read(&self.folder.path().join("data")).unwrap().token.reveal().to_owned()
    }

    pub fn rss_mb(&self) -> f64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() / 1024.0
    }

    /// User and system time so far, at the kernel's 10 ms.
    pub fn cpu(&self) -> Duration {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap();
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
        let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
        Duration::from_millis(ticks * 10)
    }

    /// How many tasks of kind noop have had this event.
    pub async fn events(&self, event: &str) -> u64 {
        let mut client = Client::connect(self.address).await.unwrap();
        let (_, body) = client.send(&request("GET", "/metrics", "", "")).await.unwrap();
        let series = format!("gristmill_task_events_total{{kind=\"noop\",event=\"{event}\"}} ");
        let text = String::from_utf8(body).unwrap();
        text.lines().find_map(|line| line.strip_prefix(&series)).unwrap().parse().unwrap()
    }

    /// Sends it a signal, which it has when this returns.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([format!("-{name}"), self.child.id().to_string()]).status();
        assert!(sent.unwrap().success());
    }

    pub async fn stop(mut self) {
        self.signal("TERM");
        self.child.wait().unwrap();
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A database of one's own on the server: its address.
pub async fn fresh(server: &str) -> String {
    let name = format!("bench_{}", uuid::Uuid::new_v4().simple());
    let mut connection = PgConnection::connect(server).await.unwrap();
    sqlx::query(AssertSqlSafe(format!("CREATE DATABASE {name}"))).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    let (base, _) = server.rsplit_once('/').unwrap();
    format!("{base}/{name}")
}
