//! A place with a database and blobs, the program in it, and a daemon.

use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use gristmill::app::{open_archive, open_backups, open_blobs};
use gristmill::backup::{Backups, Manifest, Name, Progress, Watcher};
use gristmill::clock::Clock;
use gristmill::config::{LoadOptions, Settings};
use gristmill::store::Archive;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::watch;

use crate::common::{Engine, fresh_postgres_database, wav};

pub(crate) const PASSWORD: &str = "a long enough password";

/// An installation.
pub(crate) struct Place {
    folder: TempDir,
    url: Option<String>,
    settings: Vec<(String, String)>,
    /// Where its backups go.
    pub(crate) shelf: PathBuf,
}

impl Place {
    /// An empty one, with a place of its own for backups.
    pub(crate) async fn new(engine: Engine) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let shelf = folder.path().join("backups");
        let url = match engine {
            Engine::Sqlite => None,
            Engine::Postgres => Some(fresh_postgres_database().await),
        };
        Self { folder, url, settings: Vec::new(), shelf }
    }

    /// Another, empty, of the same settings and with the same backups.
    pub(crate) async fn beside(&self, engine: Engine) -> Self {
        let other = Self::new(engine).await;
        Self { shelf: self.shelf.clone(), settings: self.settings.clone(), ..other }
    }

    pub(crate) fn with(mut self, key: &str, value: impl ToString) -> Self {
        self.settings.push((format!("GRISTMILL__{key}"), value.to_string()));
        self
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn database_url(&self) -> String {
        match &self.url {
            Some(url) => url.clone(),
            None => format!("sqlite:{}", self.path().join("gristmill.db").display()),
        }
    }

    pub(crate) fn blob_folder(&self) -> PathBuf {
        self.path().join("blobs")
    }

    fn env(&self) -> Vec<(String, String)> {
        let set = |key: &str, value: String| (format!("GRISTMILL__{key}"), value);
        let mut env = vec![
            set("HTTP__BIND", "127.0.0.1:0".to_owned()),
            set("HTTP__WORKERS", "2".to_owned()),
            set("DATA_DIR", self.path().join("data").display().to_string()),
            set("DATABASE__URL", self.database_url()),
            set("BLOBS__URL", format!("file:{}", self.blob_folder().display())),
            set("BACKUP__TO", format!("file:{}", self.shelf.display())),
            set("TASKS__SWEEP_S", "1".to_owned()),
            set("TASKS__LEASE_S", "3".to_owned()),
            set("LOG__LEVEL", "info,gristmill=debug".to_owned()),
        ];
        env.extend(self.settings.iter().cloned());
        env
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_gristmill"));
        command
            .args(arguments)
            .current_dir(self.path())
            .env_clear()
            .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
            .envs(self.env())
            .stdin(Stdio::null());
        command
    }

    /// What a command says and how it ends.
    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// What a command that ends well says, in JSON.
    pub(crate) fn json(&self, arguments: &[&str]) -> Value {
        let mut all = arguments.to_vec();
        all.push("--json");
        let output = self.run(&all);
        assert!(output.status.success(), "{arguments:?}: {}", said(&output));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// What a command that fails says.
    pub(crate) fn fails(&self, arguments: &[&str], code: i32) -> String {
        let output = self.run(arguments);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {}", said(&output));
        String::from_utf8(output.stderr).unwrap()
    }

    /// The settings, as the program reads them.
    pub(crate) fn settings(&self) -> Settings {
        let env = self.env().into_iter().map(|(key, value)| (key.into(), value.into())).collect();
        let options = LoadOptions { files: Vec::new(), directory: "/nonexistent".into(), env };
        Settings::load(options).unwrap().settings
    }

    /// The backups, in this process.
    pub(crate) fn backups(&self) -> Backups {
        self.backups_by(Clock::system())
    }

    /// The same, by another clock.
    pub(crate) fn backups_by(&self, clock: Clock) -> Backups {
        let settings = self.settings();
        let blobs = open_blobs(&settings, "test", clock.clone()).unwrap();
        open_backups(&settings, blobs, clock, None).unwrap()
    }

    pub(crate) fn archive(&self) -> Arc<dyn Archive> {
        let settings = self.settings();
        open_archive(&settings.database.url, &settings, Clock::system()).unwrap()
    }

    /// The backups that are there. On a thread of its own: a bucket is not asked on one that drives a runtime.
    pub(crate) fn list(&self) -> Vec<Manifest> {
        let list = || self.backups().list().unwrap();
        let all = std::thread::scope(|scope| scope.spawn(list).join().unwrap());
        all.into_iter().map(Result::unwrap).collect()
    }

    /// The manifest of a backup of this place.
    pub(crate) fn manifest(&self, name: &str) -> Manifest {
        self.list().into_iter().find(|manifest| manifest.name == name).unwrap()
    }

    /// Starts a daemon, and waits until it is ready.
    pub(crate) async fn daemon(&self) -> Daemon {
        let log = self.path().join("daemon.log");
        let file = OpenOptions::new().create(true).append(true).open(&log).unwrap();
        let mut child = self.command(&["serve"]).stdout(Stdio::piped()).stderr(file).spawn().unwrap();
        let (tell, mut told) = watch::channel(None);
        let stdout = child.stdout.take().unwrap();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if let Some((_, at)) = line.split_once("listens on http://") {
                    tell.send_replace(Some(at.parse::<SocketAddr>().unwrap()));
                }
            }
        });
        let address = tokio::time::timeout(Duration::from_secs(60), told.wait_for(Option::is_some)).await;
        let address = match address {
            Ok(Ok(address)) => address.unwrap(),
            Ok(Err(_)) | Err(_) => panic!("it does not start:\n{}", fs::read_to_string(&log).unwrap()),
        };
        let client = reqwest::Client::builder().timeout(Duration::from_secs(30)).build().unwrap();
        let daemon = Daemon { child, address, log, client };
        crate::common::eventually("the daemon is ready", || async {
            (daemon.get("/health/ready").await.0 == 200).then_some(())
        })
        .await;
        daemon
    }

    /// Makes every blob old enough for the sweep.
    pub(crate) fn age_blobs(&self) {
        for file in files_below(&self.blob_folder()) {
            // It may be swept meanwhile.
            let _ = make_old(&file);
        }
    }

    /// Takes away the database and the blobs, as a fire would.
    pub(crate) fn wipe(&self) {
        for end in ["", "-wal", "-shm"] {
            let _ = fs::remove_file(self.path().join(format!("gristmill.db{end}")));
        }
        let _ = fs::remove_dir_all(self.blob_folder());
        let _ = fs::remove_dir_all(self.path().join("data"));
    }

    /// How many blobs there are, each of which has the bytes of its name.
    pub(crate) fn sound_blobs(&self) -> usize {
        let mut count = 0;
        for file in files_below(&self.blob_folder()) {
            let below = file.strip_prefix(self.blob_folder()).unwrap().to_string_lossy().replace('/', "");
            if !below.starts_with("tmp") {
                assert_eq!(digest(&fs::read(&file).unwrap()), below, "{}", file.display());
                count += 1;
            }
        }
        count
    }
}

pub(crate) fn said(output: &Output) -> String {
    format!(
        "{}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

pub(crate) fn digest(bytes: &[u8]) -> String {
    use sha2::{Digest as _, Sha256};
    let mut text = String::new();
    for byte in Sha256::digest(bytes) {
        text.push_str(&format!("{byte:02x}"));
    }
    text
}

/// All files below a folder, in order.
pub(crate) fn files_below(folder: &Path) -> Vec<PathBuf> {
    let (mut open, mut found) = (vec![folder.to_owned()], Vec::new());
    while let Some(path) = open.pop() {
        let Ok(entries) = fs::read_dir(&path) else { continue };
        for entry in entries.map_while(Result::ok) {
            if entry.path().is_dir() { open.push(entry.path()) } else { found.push(entry.path()) }
        }
    }
    found.sort();
    found
}

/// Dates a file two days back.
pub(crate) fn make_old(file: &Path) -> std::io::Result<()> {
    let old = SystemTime::now() - Duration::from_secs(48 * 3600);
    File::options().write(true).open(file)?.set_modified(old)
}

/// The folders of backups in a shelf, whole or not.
pub(crate) fn begun(shelf: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(shelf) else { return Vec::new() };
    let names = entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned());
    let mut names: Vec<String> = names.filter(|name| name.parse::<Name>().is_ok()).collect();
    names.sort();
    names
}

/// A watcher that waits for the end.
pub(crate) struct Patient;

impl Watcher for Patient {
    fn progress(&self, progress: Progress) {
        assert!(progress.total > 0 || progress.done == 0, "{progress:?}");
    }

    fn is_over(&self) -> bool {
        false
    }
}

/// A daemon, which dies with this at the latest.
pub(crate) struct Daemon {
    child: Child,
    pub(crate) address: SocketAddr,
    log: PathBuf,
    client: reqwest::Client,
}

impl Daemon {
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    async fn sent(request: reqwest::RequestBuilder) -> (u16, Value) {
        let answer = request.send().await.unwrap();
        let status = answer.status().as_u16();
        let text = answer.text().await.unwrap();
        (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
    }

    pub(crate) async fn get(&self, path: &str) -> (u16, Value) {
        Self::sent(self.client.get(self.url(path))).await
    }

    pub(crate) async fn get_as(&self, token: &str, path: &str) -> (u16, Value) {
        Self::sent(self.client.get(self.url(path)).bearer_auth(token)).await
    }

    pub(crate) async fn get_with_cookie(&self, cookie: &str, path: &str) -> (u16, Value) {
        Self::sent(self.client.get(self.url(path)).header("cookie", cookie)).await
    }

    pub(crate) async fn bytes(&self, path: &str) -> (u16, Vec<u8>) {
        let answer = self.client.get(self.url(path)).send().await.unwrap();
        (answer.status().as_u16(), answer.bytes().await.unwrap().to_vec())
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> (u16, Value) {
        Self::sent(self.client.post(self.url(path)).json(&body)).await
    }

    pub(crate) async fn post_as(&self, token: &str, path: &str, body: Value) -> (u16, Value) {
        Self::sent(self.client.post(self.url(path)).bearer_auth(token).json(&body)).await
    }

    pub(crate) async fn delete(&self, path: &str) -> (u16, Value) {
        Self::sent(self.client.delete(self.url(path))).await
    }

    pub(crate) async fn delete_as(&self, token: &str, path: &str) -> (u16, Value) {
        Self::sent(self.client.delete(self.url(path)).bearer_auth(token)).await
    }

    /// A user with a password; number and token.
    pub(crate) async fn user(&self, name: &str) -> (i64, String) {
        let new = json!({"name": name, "email": format!("{name}@example.com"), "password": PASSWORD});
        let (status, user) = self.post("/users", new).await;
        assert_eq!(status, 201, "{user}");
        (user["id"].as_i64().unwrap(), user["token"].as_str().unwrap().to_owned())
    }

    /// Logs in; the cookie.
    pub(crate) async fn login(&self, name: &str) -> String {
        let login = json!({"email": format!("{name}@example.com"), "password": PASSWORD});
        let answer = self.client.post(self.url("/login")).json(&login).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        let set = answer.headers()["set-cookie"].to_str().unwrap();
        set.split(';').next().unwrap().to_owned()
    }

    /// The token of whoever can read the data folder.
    pub(crate) fn operator(&self, place: &Place) -> String {
        let text = fs::read_to_string(place.path().join("data/operator.token")).unwrap();
        text.trim().split_once(' ').unwrap().1.to_owned()
    }

    /// Sends a recording and waits until it is converted; the whole answer.
    pub(crate) async fn record(&self, user: &(i64, String), hertz: f64) -> Value {
        let part = reqwest::multipart::Part::bytes(wav::sine(0.05, hertz)).file_name("talk.wav");
        let form = reqwest::multipart::Form::new()
            .text("user", user.0.to_string())
            .text("token", user.1.clone())
            .part("file", part);
        let request = self.client.post(self.url("/records")).header("prefer", "wait=20").multipart(form);
        let (status, made) = Self::sent(request).await;
        assert_eq!(status, 201, "{made}");
        made
    }

    /// Sends a picture of nobody's, like no other, and waits until it is taken.
    pub(crate) async fn picture(&self, number: u32) -> Value {
        let shade = |at: u32| u8::try_from(at % 256).unwrap();
        let of = |x: u32, y: u32| image::Rgb([shade(x * 3 + number), shade(y + number / 256), shade(x * y)]);
        let pixels = image::RgbImage::from_fn(40, 30, of);
        let mut png = std::io::Cursor::new(Vec::new());
        pixels.write_to(&mut png, image::ImageFormat::Png).unwrap();
        let request = self.client.post(self.url(&format!("/upload?filename={number}.png")));
        let request =
            request.header("content-type", "image/png").header("prefer", "wait=20").body(png.into_inner());
        let (status, made) = Self::sent(request).await;
        assert!(status == 200 || status == 201, "{status} {made}");
        made
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Ends it well.
    pub(crate) async fn drain(mut self) {
        signal(self.pid(), "TERM");
        let begun = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                assert!(status.success(), "{status}: {}", self.log());
                assert!(!self.log().contains("panicked at"), "{}", self.log());
                return;
            }
            assert!(begun.elapsed() < Duration::from_secs(60), "it does not end: {}", self.log());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Ends it as a power cut would.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn signal(pid: u32, name: &str) {
    let sent = Command::new("kill").args([&format!("-{name}"), &pid.to_string()]).status().unwrap();
    assert!(sent.success());
}

/// The sums of all tables of a backup: equal for equal databases, whichever they are.
pub(crate) fn sums(manifest: &Manifest) -> Vec<(String, u64, String, Option<i64>)> {
    let of = |table: &gristmill::backup::TableEntry| {
        let rows = &table.rows;
        (table.table.clone(), rows.rows, rows.rows_sha256.to_string(), table.last_number)
    };
    manifest.tables.iter().map(of).collect()
}
