//! A systemd that is played: it starts the daemon as a service, and hears what it says.

use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::common::eventually;

/// What was said, and when.
pub(crate) type Words = Vec<(Instant, String)>;

/// A daemon as a service.
pub(crate) struct Service {
    child: Child,
    heard: Arc<Mutex<Words>>,
    folder: TempDir,
}

impl Service {
    /// Starts it with a watchdog of so long, and settings as in the environment.
    pub(crate) fn start(watchdog: Duration, settings: &[(&str, String)]) -> Self {
        Self::heard_by(watchdog, settings, true)
    }

    /// The same of one whose systemd hears nothing, and lets it wait.
    pub(crate) fn unheard(watchdog: Duration) -> Self {
        Self::heard_by(watchdog, &[], false)
    }

    fn heard_by(watchdog: Duration, settings: &[(&str, String)], listens: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let ear = UnixDatagram::bind(folder.path().join("notify")).unwrap();
        let heard = Arc::<Mutex<Words>>::default();
        let notes = Arc::clone(&heard);
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            if !listens {
                // It keeps the socket, and nothing else.
                loop {
                    std::thread::park();
                }
            }
            while let Ok(read) = ear.recv(&mut bytes) {
                let text = String::from_utf8_lossy(&bytes[..read]);
                let lines = text.lines().map(|line| (Instant::now(), line.to_owned()));
                notes.lock().unwrap().extend(lines);
            }
        });
        let mut command = Command::new(env!("CARGO_BIN_EXE_gristmill"));
        command
            .arg("serve")
            .current_dir(folder.path())
            .env_clear()
            .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
            .env("NOTIFY_SOCKET", folder.path().join("notify"))
            .env("WATCHDOG_USEC", watchdog.as_micros().to_string())
            .env("STATE_DIRECTORY", folder.path().join("state"))
            .env("GRISTMILL__HTTP__BIND", "127.0.0.1:0")
            .env("GRISTMILL__SHUTDOWN__GRACE_S", "2")
            .envs(settings.iter().map(|(key, value)| (key.to_string(), value)))
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(folder.path().join("log")).unwrap());
        Self { child: command.spawn().unwrap(), heard, folder }
    }

    /// All that it said so far.
    pub(crate) fn heard(&self) -> Words {
        self.heard.lock().unwrap().clone()
    }

    /// Waits until it says a line that begins so, and gives it.
    pub(crate) async fn says(&self, beginning: &str) -> String {
        self.says_again(beginning, 1).await
    }

    /// Waits until it has said so for the `nth` time.
    pub(crate) async fn says_again(&self, beginning: &str, nth: usize) -> String {
        let what = format!("`{beginning}`, {nth} times");
        eventually(&what, async || {
            let heard = self.heard();
            heard.into_iter().map(|(_, line)| line).filter(|line| line.starts_with(beginning)).nth(nth - 1)
        })
        .await
    }

    /// When it said a line, each time.
    pub(crate) fn times_of(&self, line: &str) -> Vec<Instant> {
        self.heard().into_iter().filter(|(_, said)| said == line).map(|(at, _)| at).collect()
    }

    pub(crate) fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([name, &self.child.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }

    /// Its end.
    pub(crate) async fn ends(&mut self) -> ExitStatus {
        let child = Mutex::new(&mut self.child);
        eventually("the daemon to end", async || child.lock().unwrap().try_wait().unwrap()).await
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// What is in its log.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap()
    }
}

impl Drop for Service {
    #[expect(clippy::print_stderr, reason = "what a test that failed has to show")]
    fn drop(&mut self) {
        // It may be over already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("{}\n{:#?}", self.log(), self.heard());
        }
    }
}
