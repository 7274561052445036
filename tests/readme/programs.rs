//! The programs of `examples/`, started and ended, and what they need: a corner of the broker, a daemon, a line to it.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::Value;
use tempfile::TempDir;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::Daemon;
use crate::common::eventually;

/// The interpreter that the package python3-pika is for.
pub(crate) const PYTHON: &str = "/usr/bin/python3";

/// A file of `examples/`.
pub(crate) fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(name)
}

/// A virtual host of a test's own on the node that `./test` provides: nobody else's queues are there.
pub(crate) fn corner() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let told = |name| {
        std::env::var(name).unwrap_or_else(|_| {
            panic!("these tests need a RabbitMQ: run them with ./test, or under scripts/with-rabbitmq")
        })
    };
    let (url, ctl) = (told("GRISTMILL_TEST_RABBITMQ"), told("GRISTMILL_TEST_RABBITMQ_CTL"));
    let name = format!("examples-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
    for arguments in [&["add_vhost", &name][..], &["set_permissions", "-p", &name, "guest", ".*", ".*", ".*"]]
    {
        let output = Command::new(&ctl).args(arguments).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {output:?}");
    }
    format!("{url}/{name}")
}

/// A daemon in a folder of its own, and what is asked of it.
pub(crate) struct World {
    pub(crate) daemon: Daemon,
    pub(crate) folder: TempDir,
    pub(crate) broker: Option<String>,
    client: reqwest::Client,
}

impl World {
    /// With a corner of the broker.
    pub(crate) fn with_broker(settings: &[(&str, &str)]) -> Self {
        Self::at(Some(corner()), settings)
    }

    /// With this broker, or none. It leaves `resize` and `ocr` to programs outside, and looks often for lost leases.
    pub(crate) fn at(broker: Option<String>, settings: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut all =
            vec![("GRISTMILL__KINDS__OUTSIDE", "resize, ocr"), ("GRISTMILL__TASKS__RESCUE_S", "0.2")];
        all.extend(broker.as_deref().map(|url| ("GRISTMILL__BROKER__URL", url)));
        all.extend(settings);
        let daemon = Daemon::start_with(folder.path(), &all);
        Self { daemon, folder, broker, client: reqwest::Client::new() }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.daemon.address)
    }

    /// Posts JSON, and reads the JSON that comes back.
    pub(crate) async fn post(&self, path: &str, body: &Value) -> Value {
        let request = self.client.post(format!("{}{path}", self.url())).body(body.to_string());
        let answer = request.header("content-type", "application/json").send().await.unwrap();
        let (status, text) = (answer.status(), answer.text().await.unwrap());
        assert!(status.is_success(), "{path}: {status} {text}");
        serde_json::from_str(&text).unwrap()
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        let answer = self.client.get(format!("{}{path}", self.url())).send().await.unwrap();
        answer.json().await.unwrap()
    }

    /// Makes a task; its number.
    pub(crate) async fn make(&self, task: Value) -> i64 {
        self.post("/tasks", &task).await["id"].as_i64().unwrap()
    }

    /// The task, once `look` likes it.
    pub(crate) async fn task(&self, id: i64, what: &str, look: impl Fn(&Value) -> bool) -> Value {
        eventually(what, || async {
            let task = self.get(&format!("/tasks/{id}")).await;
            look(&task).then_some(task)
        })
        .await
    }

    /// The task, once it has that status.
    pub(crate) async fn once(&self, id: i64, status: &str) -> Value {
        self.task(id, &format!("task {id} is {status}"), |task| task["status"] == status).await
    }

    /// A program of `examples/python`, with the arguments that tell it where daemon and broker are.
    pub(crate) fn python(&self, name: &str, arguments: &[&str]) -> Program {
        let mut command = Command::new(PYTHON);
        command.arg("-B").arg(example("python").join(name)).args(arguments);
        if let Some(broker) = &self.broker {
            command.env("GRISTMILL_BROKER", broker);
        }
        Program::start(command)
    }

    /// `worker.py` of that name.
    pub(crate) fn worker(&self, name: &str, arguments: &[&str]) -> Program {
        let url = self.url();
        self.python("worker.py", &[&["--url", &url, "--name", name][..], arguments].concat())
    }
}

/// A program that runs, and dies with this at the latest.
pub(crate) struct Program {
    child: Child,
    lines: Arc<Mutex<Vec<String>>>,
    complaints: Arc<Mutex<Vec<String>>>,
}

impl Program {
    pub(crate) fn start(mut command: Command) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let lines = gather(child.stdout.take().unwrap());
        let complaints = gather(child.stderr.take().unwrap());
        Self { child, lines, complaints }
    }

    /// A command of `PYTHON -c`.
    pub(crate) fn script(text: &str, arguments: &[impl AsRef<OsStr>]) -> Self {
        let mut command = Command::new(PYTHON);
        command.arg("-B").arg("-c").arg(text).args(arguments);
        Self::start(command)
    }

    /// What it printed so far.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap().clone()
    }

    /// The same, each line as JSON.
    pub(crate) fn json(&self) -> Vec<Value> {
        self.lines().iter().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// What it complained of so far.
    pub(crate) fn complaints(&self) -> String {
        self.complaints.lock().unwrap().join("\n")
    }

    /// Waits until a complaint holds this.
    pub(crate) async fn says(&self, what: &str) -> String {
        eventually(what, || async {
            self.complaints.lock().unwrap().iter().find(|line| line.contains(what)).cloned()
        })
        .await
    }

    /// Waits until there are so many lines.
    pub(crate) async fn printed(&self, count: usize) -> Vec<Value> {
        eventually("a line", || async { (self.lines().len() >= count).then_some(()) }).await;
        self.json()
    }

    pub(crate) fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args([&format!("-{name}"), &pid]).status().unwrap().success());
    }

    /// Waits until it ends by itself.
    pub(crate) async fn ended(&mut self) -> ExitStatus {
        let child = Mutex::new(&mut self.child);
        eventually("the program ends", || async { child.lock().unwrap().try_wait().unwrap() }).await
    }

    /// Ends it as a crash would.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Program {
    #[expect(clippy::print_stderr, reason = "what a test that failed has to show")]
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("a program printed {:#?} and complained of\n{}", self.lines(), self.complaints());
        }
        // It may be dead already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn gather(from: impl std::io::Read + Send + 'static) -> Arc<Mutex<Vec<String>>> {
    let lines = Arc::<Mutex<Vec<String>>>::default();
    let gathered = Arc::clone(&lines);
    std::thread::spawn(move || {
        for line in BufReader::new(from).lines().map_while(Result::ok) {
            gathered.lock().unwrap().push(line);
        }
    });
    lines
}

/// A line to the daemon that can be cut.
pub(crate) struct Line {
    pub(crate) address: String,
    cut: watch::Sender<u32>,
}

impl Line {
    pub(crate) async fn to(upstream: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (cut, cuts) = watch::channel(0);
        tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                let (upstream, mut cuts) = (upstream.clone(), cuts.clone());
                cuts.mark_unchanged();
                tokio::spawn(async move {
                    let Ok(mut server) = TcpStream::connect(&upstream).await else { return };
                    tokio::select! {
                        _ = tokio::io::copy_bidirectional(&mut client, &mut server) => {}
                        _ = cuts.changed() => {}
                    }
                });
            }
        });
        Self { address, cut }
    }

    /// Cuts all connections that are open.
    pub(crate) fn cut(&self) {
        self.cut.send_modify(|cuts| *cuts += 1);
    }
}
