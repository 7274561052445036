//! The two programs behind a browser: ChromeDriver, and the Chromium that it starts. Both from the system's packages.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

/// Both, ended with this.
pub(crate) struct Chrome {
    driver: Child,
    port: u16,
    profile: TempDir,
    session: Option<String>,
    browser: Option<u64>,
}

impl Chrome {
    /// Starts the driver on a free port. The browser comes with the first session.
    pub(crate) fn start() -> Self {
        let mut driver = Command::new("chromedriver")
            .arg("--port=0")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("chromedriver: {error}; ./test installs it"));
        let mut lines = BufReader::new(driver.stdout.take().unwrap()).lines();
        let port = loop {
            let line = lines.next().expect("ChromeDriver ends before it says its port").unwrap();
            if let Some((_, port)) = line.split_once("started successfully on port ") {
                break port.trim_end_matches('.').parse().unwrap();
            }
        };
        // It goes on to say things; nobody else reads them, and its pipe must not fill.
        std::thread::spawn(move || lines.map_while(Result::ok).for_each(drop));
        Self { driver, port, profile: tempfile::tempdir().unwrap(), session: None, browser: None }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// What kind of browser is wanted: headless, with an empty profile, that calls nobody by itself, and hears a tone where
    /// others have a microphone.
    pub(crate) fn capabilities(&self) -> Value {
        let profile = format!("--user-data-dir={}", self.profile.path().display());
        let arguments = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--disable-dev-shm-usage",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--lang=en-US",
            "--use-fake-device-for-media-stream",
            "--use-fake-ui-for-media-stream",
            "--autoplay-policy=no-user-gesture-required",
            &profile,
        ];
        json!({"capabilities": {"alwaysMatch": {
            "browserName": "chrome",
            "goog:chromeOptions": {"binary": "/usr/bin/chromium", "args": arguments,
                "perfLoggingPrefs": {"enableNetwork": true, "enablePage": false}},
            "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"},
        }}})
    }

    /// Says what is to be ended.
    pub(crate) fn has(&mut self, session: &str, browser: Option<u64>) {
        self.session = Some(session.to_owned());
        self.browser = browser;
    }

    /// Asks the driver to end its browser, which it does before it answers.
    fn say_goodbye(&self) -> std::io::Result<()> {
        let Some(session) = &self.session else { return Ok(()) };
        let mut line = TcpStream::connect(("127.0.0.1", self.port))?;
        line.set_read_timeout(Some(Duration::from_secs(10)))?;
        write!(line, "DELETE /session/{session} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\n\r\n", self.port)?;
        line.read_exact(&mut [0; 12])
    }
}

impl Drop for Chrome {
    fn drop(&mut self) {
        let ended = self.say_goodbye();
        // It may be dead already.
        let _ = self.driver.kill();
        let _ = self.driver.wait();
        if ended.is_err()
            && let Some(browser) = self.browser
        {
            let _ = Command::new("kill").args(["-KILL", &browser.to_string()]).status();
        }
    }
}
