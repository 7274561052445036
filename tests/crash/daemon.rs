//! The real binary: started, killed, frozen, and never left behind.

use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader, ErrorKind, Read as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use gristmill::blob::Blobs;
use gristmill::clock::Clock;
use gristmill::store::{PostgresStore, SqliteStore, Store};
use gristmill::task::BlobName;
use tempfile::TempDir;
use tokio::sync::watch;

use crate::common::{Engine, STATEMENT_TIMEOUT, fresh_postgres_database, postgres_options};
use crate::history::digest;

/// How long anything may take that does not take long. For a broken program only.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A folder and a database, which daemons come to and go from.
pub(crate) struct Place {
    folder: TempDir,
    engine: Engine,
    /// The PostgreSQL database.
    url: Option<String>,
}

/// How a daemon is started.
#[derive(Debug, Clone, Default)]
pub(crate) struct Start {
    /// Where to die: the value of `GRISTMILL_FAILPOINT`.
    pub(crate) failpoint: Option<String>,
    /// The data folder's name: daemons in the same one are each other's successors.
    pub(crate) seat: &'static str,
    /// More settings, as in the environment: `TASKS__LEASE_S`.
    pub(crate) settings: Vec<(&'static str, String)>,
    /// A program to run the daemon under.
    pub(crate) under: Vec<String>,
    /// The daemon's roles; all of them when empty.
    pub(crate) roles: &'static str,
}

impl Start {
    pub(crate) fn plain() -> Self {
        Self { seat: "one", ..Self::default() }
    }

    pub(crate) fn dying_at(failpoint: String) -> Self {
        Self { failpoint: Some(failpoint), ..Self::plain() }
    }

    pub(crate) fn with(mut self, key: &'static str, value: impl ToString) -> Self {
        self.settings.push((key, value.to_string()));
        self
    }
}

impl Place {
    pub(crate) async fn new(engine: Engine) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = match engine {
            Engine::Sqlite => None,
            Engine::Postgres => Some(fresh_postgres_database().await),
        };
        Self { folder, engine, url }
    }

    pub(crate) fn engine(&self) -> Engine {
        self.engine
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// The address of the database, as the daemon and sqlx read it.
    pub(crate) fn database_url(&self) -> String {
        match &self.url {
            Some(url) => url.clone(),
            None => format!("sqlite:{}", self.folder.path().join("gristmill.db").display()),
        }
    }

    pub(crate) fn blob_folder(&self) -> PathBuf {
        self.folder.path().join("blobs")
    }

    /// The store, for a look when no daemon has it open.
    pub(crate) async fn store(&self) -> Arc<dyn Store> {
        match &self.url {
            None => {
                let file = self.folder.path().join("gristmill.db");
                Arc::new(SqliteStore::open(&file, 1, STATEMENT_TIMEOUT, Clock::system()).await.unwrap())
            }
            Some(url) => {
                Arc::new(PostgresStore::open(&postgres_options(url.clone()), Clock::system()).await.unwrap())
            }
        }
    }

    /// Starts a daemon; does not wait for it.
    pub(crate) fn spawn(&self, start: &Start) -> Daemon {
        let binary = env!("CARGO_BIN_EXE_gristmill").to_owned();
        let mut line: Vec<String> = start.under.iter().cloned().chain([binary, "serve".into()]).collect();
        if !start.roles.is_empty() {
            line.extend(["--roles".to_owned(), start.roles.to_owned()]);
        }
        let log = self.folder.path().join(format!("{}.log", start.seat));
        let log_file = OpenOptions::new().create(true).append(true).open(&log).unwrap();
        let mut command = Command::new(&line[0]);
        command
            .args(&line[1..])
            .current_dir(self.folder.path())
            .env_clear()
            .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
            .env("GRISTMILL__HTTP__BIND", "127.0.0.1:0")
            .env("GRISTMILL__HTTP__WORKERS", "2")
            .env("GRISTMILL__HTTP__DEFAULT_WAIT_S", "2")
            .env("GRISTMILL__DATA_DIR", self.folder.path().join(start.seat))
            .env("GRISTMILL__DATABASE__URL", self.database_url())
            .env("GRISTMILL__BLOBS__URL", format!("file:{}", self.blob_folder().display()))
            .env("GRISTMILL__TASKS__LEASE_S", "3")
            .env("GRISTMILL__TASKS__RESCUE_S", "0.3")
            .env("GRISTMILL__TASKS__POLL_S", "0.2")
            .env("GRISTMILL__TASKS__SWEEP_S", "1")
            .env("GRISTMILL__SHUTDOWN__GRACE_S", GRACE.as_secs().to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log_file);
        for (key, value) in &start.settings {
            command.env(format!("GRISTMILL__{key}"), value);
        }
        if let Some(failpoint) = &start.failpoint {
            command.env("GRISTMILL_FAILPOINT", failpoint);
        }
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{}: {error}", line[0]));
        let (tell, address) = watch::channel(None);
        let stdout = child.stdout.take().unwrap();
        // Reads on to the end, so that the daemon never finds its standard output closed or full.
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if let Some((_, at)) = line.split_once("listens on http://") {
                    tell.send_replace(Some(at.parse::<SocketAddr>().unwrap()));
                }
            }
        });
        Daemon { child, address, log, ended: None }
    }

    /// Every blob by its place, with the name that its bytes should have.
    pub(crate) fn files(&self) -> Vec<(BlobName, PathBuf)> {
        let mut files = Vec::new();
        let Ok(folders) = fs::read_dir(self.blob_folder()) else { return files };
        for folder in folders.map(Result::unwrap).filter(|folder| folder.file_name().len() == 2) {
            // A folder or file may be swept while we look.
            let Ok(inside) = fs::read_dir(folder.path()) else { continue };
            for file in inside.map_while(Result::ok) {
                let name = format!("{}{}", folder.file_name().display(), file.file_name().display());
                files.push((name.parse().unwrap(), file.path()));
            }
        }
        files
    }

    /// The name that the bytes of a file should have.
    pub(crate) fn digest_of(path: &Path) -> BlobName {
        let mut bytes = Vec::new();
        File::open(path).and_then(|mut file| file.read_to_end(&mut bytes)).unwrap();
        digest(&bytes)
    }

    /// Makes every blob old enough for the sweep, as an hour's wait would.
    pub(crate) fn age_blobs(&self) {
        let old = SystemTime::now() - Duration::from_secs(48 * 3600);
        for (_, path) in self.files() {
            match File::options().write(true).open(path).and_then(|file| file.set_modified(old)) {
                // Swept while we looked.
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                aged => aged.unwrap(),
            }
        }
    }

    /// How many drafts lie in the blob folder.
    pub(crate) fn drafts(&self) -> usize {
        Blobs::open(&self.blob_folder(), "nobody's seat").unwrap().drafts().unwrap()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.folder.disable_cleanup(true);
            eprintln!("the daemon's folder and logs are kept in {}", self.folder.path().display());
        }
    }
}

/// What the daemons here are given to finish their runs in a drain.
pub(crate) const GRACE: Duration = Duration::from_secs(10);

/// A process, which dies with this at the latest.
pub(crate) struct Daemon {
    child: Child,
    address: watch::Receiver<Option<SocketAddr>>,
    log: PathBuf,
    ended: Option<ExitStatus>,
}

impl Daemon {
    /// Where it listens, once it does.
    pub(crate) fn address(&self) -> watch::Receiver<Option<SocketAddr>> {
        self.address.clone()
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits until it says itself that it is ready.
    pub(crate) async fn ready(&mut self) -> SocketAddr {
        let begun = Instant::now();
        let client = reqwest::Client::new();
        loop {
            if let Some(status) = self.poll() {
                panic!("the daemon ended with {status} instead of starting:\n{}", self.log_tail());
            }
            let address = *self.address.borrow();
            if let Some(address) = address {
                let answer = client.get(format!("http://{address}/health/ready")).send().await;
                if answer.is_ok_and(|answer| answer.status() == 200) {
                    return address;
                }
            }
            assert!(begun.elapsed() < PATIENCE, "the daemon does not become ready:\n{}", self.log_tail());
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    /// Sends a signal by name.
    pub(crate) fn signal(&self, name: &str) {
        let pid = self.pid().to_string();
        let sent = Command::new("kill").args([&format!("-{name}"), &pid]).status().unwrap();
        assert!(sent.success(), "kill -{name} {pid}: {sent}");
    }

    /// Whether it was stopped by a signal.
    pub(crate) fn is_frozen(&self) -> bool {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid())).unwrap_or_default();
        stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('T'))
    }

    /// Kills it, as a power cut would.
    pub(crate) fn kill(&mut self) {
        // It may be dead already.
        let _ = self.child.kill();
        self.ended = Some(self.child.wait().unwrap());
    }

    /// Waits for its end.
    pub(crate) async fn ended(&mut self, why: &str) -> ExitStatus {
        self.ended_within(PATIENCE, why).await
    }

    pub(crate) async fn ended_within(&mut self, patience: Duration, why: &str) -> ExitStatus {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.poll() {
                return status;
            }
            assert!(begun.elapsed() < patience, "{why}: the daemon still runs:\n{}", self.log_tail());
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    /// Tells it to drain, and waits until it has.
    pub(crate) async fn drain(&mut self) {
        self.signal("TERM");
        // The grace, a moment for what outlives it, and what a busy machine takes.
        let status = self.ended_within(GRACE * 2 + Duration::from_secs(10), "SIGTERM").await;
        assert_eq!(status.code(), Some(0), "a drain ends well:\n{}", self.log_tail());
        let log = self.log();
        assert!(
            !log.contains("panicked at") && !log.contains("a thread panicked"),
            "something panicked:\n{log}"
        );
    }

    /// The most memory that it ever had, in bytes.
    pub(crate) fn peak_memory(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        peak.trim().trim_end_matches("kB").trim().parse::<u64>().unwrap() * 1024
    }

    fn poll(&mut self) -> Option<ExitStatus> {
        if self.ended.is_none() {
            self.ended = self.child.try_wait().unwrap();
        }
        self.ended
    }

    /// What it logged.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    fn log_tail(&self) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(40)..].join("\n")
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
