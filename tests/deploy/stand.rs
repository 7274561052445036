//! What stands in these tests: daemons, nginx and Prometheus as processes, and the project's files as they are read.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;

use serde_json::Value;
use tempfile::TempDir;

use crate::common::{eventually, fresh_postgres_database};

/// Reads YAML strictly, as Docker and Prometheus do: a key that stands twice is an error.
const READ_YAML: &str = "
import json, sys, yaml

class Strict(yaml.SafeLoader):
    def construct_mapping(self, node, deep=False):
        keys = [key.value for key, _ in node.value]
        twice = {key for key in keys if keys.count(key) > 1}
        if twice:
            sys.exit(f'{sorted(twice)} twice, {node.start_mark}')
        return super().construct_mapping(node, deep)

json.dump(yaml.load(sys.stdin, Strict), sys.stdout)
";

/// A file of the project.
pub(crate) fn project(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Its text.
pub(crate) fn text(path: &str) -> String {
    fs::read_to_string(project(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// What it says, when it is YAML.
pub(crate) fn yaml(path: &str) -> Value {
    // The interpreter that the package python3-yaml is for.
    let mut reader = Command::new("/usr/bin/python3");
    reader.args(["-c", READ_YAML]).stdin(File::open(project(path)).unwrap());
    let output = reader.output().unwrap();
    assert!(output.status.success(), "{path}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Text with one place of it changed; there must be exactly one.
pub(crate) fn changed(text: &str, from: &str, to: &str) -> String {
    assert_eq!(text.matches(from).count(), 1, "`{from}` stands once in\n{text}");
    text.replace(from, to)
}

/// Runs a program to its end, which must be a good one; what it printed.
pub(crate) fn run(program: &str, arguments: &[&str], folder: &Path) -> String {
    let output = Command::new(program).args(arguments).current_dir(folder).output();
    let output = output.unwrap_or_else(|error| panic!("{program}: {error}"));
    let told =
        [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    assert!(output.status.success(), "{program} {arguments:?}: {}\n{told}", output.status);
    told
}

/// A process that dies with this at the latest.
pub(crate) struct Process {
    child: Mutex<Child>,
    log: PathBuf,
}

impl Process {
    fn start(command: &mut Command, log: PathBuf) -> Self {
        let file = File::create(&log).unwrap();
        Self::start_saying_to(command, log, file.into())
    }

    fn start_saying_to(command: &mut Command, log: PathBuf, stderr: Stdio) -> Self {
        command.stdin(Stdio::null()).stderr(stderr);
        let child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        Self { child: Mutex::new(child), log }
    }

    fn runs(&self) -> bool {
        self.child.lock().unwrap().try_wait().unwrap().is_none()
    }

    fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.lock().unwrap().id()
    }

    pub(crate) fn signal(&self, name: &str) {
        run("kill", &[&format!("-{name}"), &self.id().to_string()], Path::new("/"));
    }

    /// Has it drain, and waits until it has.
    pub(crate) fn end_well(&self) {
        self.signal("TERM");
        let status = self.child.lock().unwrap().wait().unwrap();
        assert!(status.success(), "{status}\n{}", self.log());
    }

    /// Ends it as a power cut would.
    pub(crate) fn kill(&self) {
        let mut child = self.child.lock().unwrap();
        // It may be dead already.
        let _ = child.kill();
        child.wait().unwrap();
    }

    /// Waits until the address answers 200, or leads elsewhere; false when the process ends instead.
    async fn answers(&self, url: &str) -> bool {
        let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        eventually(url, || async {
            let answer = client.get(url).send().await;
            match answer.is_ok_and(|answer| [200, 308].contains(&answer.status().as_u16())) {
                true => Some(true),
                false => (!self.runs()).then_some(false),
            }
        })
        .await
    }
}

impl Drop for Process {
    #[expect(clippy::print_stderr, reason = "what a test that failed has to show")]
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}:\n{}", self.log.display(), self.log());
        }
        // nginx ends its workers when it is told to, and not when it is killed.
        let mut child = self.child.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let pid = child.id().to_string();
        if child.try_wait().is_ok_and(|ended| ended.is_none()) {
            let _ = Command::new("kill").args(["-TERM", &pid]).status();
            let _ = child.wait();
        }
    }
}

/// A daemon.
pub(crate) struct Node {
    pub(crate) process: Process,
    /// Where it listens.
    pub(crate) address: String,
}

impl Node {
    /// In a folder of its own below `place`, with settings as in the environment, and ready.
    pub(crate) async fn start(place: &Path, name: &str, settings: &[(&str, String)]) -> Self {
        let log = File::create(place.join(format!("{name}.log"))).unwrap();
        Self::start_saying_to(place, name, settings, log.into()).await
    }

    /// The same, with that as its standard error.
    pub(crate) async fn start_saying_to(
        place: &Path,
        name: &str,
        settings: &[(&str, String)],
        stderr: Stdio,
    ) -> Self {
        let folder = place.join(name);
        fs::create_dir(&folder).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_gristmill"));
        command
            .current_dir(&folder)
            .env_clear()
            .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
            .env("GRISTMILL__HTTP__BIND", "127.0.0.1:0")
            .env("GRISTMILL__DATA_DIR", folder.join("data"))
            .env("GRISTMILL__SHUTDOWN__GRACE_S", "1")
            .envs(settings.iter().map(|(key, value)| (format!("GRISTMILL__{key}"), value)))
            .stdout(Stdio::piped());
        let process = Process::start_saying_to(&mut command, place.join(format!("{name}.log")), stderr);
        let stdout = process.child.lock().unwrap().stdout.take().unwrap();
        let mut lines = BufReader::new(stdout).lines().map_while(Result::ok);
        let address =
            lines.find_map(|line| line.split_once("listens on http://").map(|(_, at)| at.to_owned()));
        let address = address.unwrap_or_else(|| panic!("the daemon did not start:\n{}", process.log()));
        // To the end, so that it never finds its standard output closed or full.
        std::thread::spawn(move || lines.for_each(drop));
        assert!(process.answers(&format!("http://{address}/health/ready")).await, "{}", process.log());
        Self { process, address }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// What it wrote to standard error.
    pub(crate) fn log(&self) -> String {
        self.process.log()
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.rsplit_once(':').unwrap().1.parse().unwrap()
    }
}

/// A port that nobody has right now.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Starts a server on a free port, and on another one should somebody have been quicker.
async fn on_a_free_port(health: &str, start: impl Fn(u16) -> Process) -> (Process, u16) {
    for _ in 0..5 {
        let port = free_port();
        let process = start(port);
        if process.answers(&format!("http://127.0.0.1:{port}{health}")).await {
            return (process, port);
        }
        assert!(process.log().to_lowercase().contains("address already in use"), "{}", process.log());
    }
    panic!("five ports were taken, one after the other");
}

/// nginx with the project's configuration, in front of daemons.
pub(crate) struct Front {
    pub(crate) nodes: Vec<Node>,
    port: u16,
    folder: TempDir,
    process: Process,
}

impl Front {
    /// In front of one daemon.
    pub(crate) async fn of_one(settings: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let node = Node::start(folder.path(), "one", &believing_nginx(settings)).await;
        Self::of(folder, vec![node]).await
    }

    /// In front of two that share a database and a folder of blobs, as docker-compose.yml has them.
    pub(crate) async fn of_two() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let blobs = format!("file:{}", folder.path().join("blobs").display());
        let database = fresh_postgres_database().await;
        let settings = believing_nginx(&[("DATABASE__URL", &database), ("BLOBS__URL", &blobs)]);
        let one = Node::start(folder.path(), "one", &settings).await;
        let two = Node::start(folder.path(), "two", &settings).await;
        Self::of(folder, vec![one, two]).await
    }

    /// In front of one daemon, with TLS by a certificate of an authority of its own; and where that certificate is.
    pub(crate) async fn with_tls() -> (Self, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let (key, certificate) = (folder.path().join("key.pem"), folder.path().join("certificate.pem"));
        let new = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost \
                   -addext subjectAltName=DNS:localhost -keyout key.pem -out certificate.pem";
        run("openssl", &new.split_whitespace().collect::<Vec<_>>(), folder.path());
        let tls = text("config/nginx/tls.conf");
        let tls = changed(&tls, "/etc/gristmill/tls/fullchain.pem", &certificate.display().to_string());
        let tls = changed(&tls, "/etc/gristmill/tls/privkey.pem", &key.display().to_string());
        let node = Node::start(folder.path(), "one", &believing_nginx(&[])).await;
        let front = Self::listening(folder, vec![node], |port| {
            let tls = changed(&tls, "listen 8443 ssl", &format!("listen 127.0.0.2:{port} ssl"));
            changed(&tls, "listen 8080;", &format!("listen 127.0.0.1:{port};"))
        });
        (front.await, certificate)
    }

    async fn of(folder: TempDir, nodes: Vec<Node>) -> Self {
        let listen = text("config/nginx/listen.conf");
        Self::listening(folder, nodes, |port| {
            changed(&listen, "listen 8080;", &format!("listen 127.0.0.1:{port};"))
        })
        .await
    }

    async fn listening(folder: TempDir, nodes: Vec<Node>, listen: impl Fn(u16) -> String) -> Self {
        let place = folder.path().to_owned();
        let (run, config) = (place.join("run"), place.join("config"));
        fs::create_dir(&run).unwrap();
        fs::create_dir(&config).unwrap();
        let servers: Vec<String> = nodes
            .iter()
            .map(|node| format!("server {} max_fails=2 fail_timeout=5s;", node.address))
            .collect();
        let upstream = text("config/nginx/upstream.conf");
        let upstream = changed(
            &upstream,
            "server gristmill:5000 resolve max_fails=2 fail_timeout=5s;",
            &servers.join("\n"),
        );
        fs::write(config.join("upstream.conf"), upstream).unwrap();
        let whole =
            changed(&text("config/nginx/nginx.conf"), "access_log /dev/stdout", "access_log access.log");
        let (process, port) = on_a_free_port("/health/live", |port| {
            fs::write(config.join("listen.conf"), listen(port)).unwrap();
            let config = config.join("nginx.conf");
            fs::write(&config, &whole).unwrap();
            let mut nginx = Command::new("nginx");
            // Who runs tests as root has folders that nobody else may enter.
            nginx.arg("-p").arg(&run).arg("-c").arg(&config).args(["-g", "daemon off; user root;"]);
            Process::start(nginx.stdout(Stdio::null()), place.join("nginx.log"))
        })
        .await;
        Self { nodes, port, folder, process }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// The port that nginx listens on.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// What nginx wrote of the requests that ended.
    pub(crate) fn told(&self) -> String {
        fs::read_to_string(self.folder.path().join("run/access.log")).unwrap_or_default()
    }

    /// What nginx complained of.
    pub(crate) fn complaints(&self) -> String {
        self.process.log()
    }
}

/// Settings of a daemon that believes what nginx says of callers: it comes from 127.0.0.1, callers from elsewhere.
fn believing_nginx<'a>(settings: &[(&'a str, &str)]) -> Vec<(&'a str, String)> {
    let mut all = vec![("HTTP__TRUSTED_PROXIES", "127.0.0.1/32".to_owned())];
    all.extend(settings.iter().map(|(key, value)| (*key, (*value).to_owned())));
    all
}

/// Prometheus with the project's rules, which asks these daemons.
pub(crate) struct Watcher {
    port: u16,
    _process: Process,
}

impl Watcher {
    pub(crate) async fn start(place: &Path, config: &Value) -> Self {
        let file = place.join("prometheus.yml");
        // JSON is YAML.
        fs::write(&file, config.to_string()).unwrap();
        let data = format!("--storage.tsdb.path={}", place.join("prometheus").display());
        let (process, port) = on_a_free_port("/-/ready", |port| {
            let mut prometheus = Command::new("prometheus");
            prometheus
                .arg(format!("--config.file={}", file.display()))
                .args([data.as_str(), "--log.level=warn"])
                .arg(format!("--web.listen-address=127.0.0.1:{port}"));
            Process::start(prometheus.stdout(Stdio::null()), place.join("prometheus.log"))
        })
        .await;
        Self { port, _process: process }
    }

    /// What its API answers.
    pub(crate) async fn ask(&self, path: &str, parameters: &[(&str, &str)]) -> Value {
        let base = format!("http://127.0.0.1:{}/api/v1/{path}", self.port);
        let url = url::Url::parse_with_params(&base, parameters).unwrap();
        let answer: Value = reqwest::get(url).await.unwrap().json().await.unwrap();
        assert_eq!(answer["status"], "success", "{path} {parameters:?}: {answer}");
        answer["data"].clone()
    }
}
