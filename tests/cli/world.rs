//! A daemon in a folder of its own, and the program run against it as people would.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_gristmill");

/// A daemon, and a folder for whoever uses it.
pub(crate) struct World {
    daemon: Child,
    pub(crate) address: String,
    /// Of the daemon.
    pub(crate) home: TempDir,
    /// Of its users.
    pub(crate) folder: TempDir,
}

/// What the program said, and how it ended.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Said {
    /// What it said, if all went well.
    #[track_caller]
    pub(crate) fn done(self) -> String {
        assert_eq!(self.code, Some(0), "{self:?}");
        self.out
    }

    /// Its lines of JSON, whatever the exit code.
    #[track_caller]
    pub(crate) fn json(&self) -> Vec<Value> {
        let read =
            |line| serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {line} of {self:?}"));
        self.out.lines().map(read).collect()
    }

    #[track_caller]
    pub(crate) fn failed(self, code: i32, told: &[&str]) {
        assert_eq!(self.code, Some(code), "{self:?}");
        assert!(self.err.starts_with("gristmill: "), "{self:?}");
        for told in told {
            assert!(self.err.contains(told), "{told:?} is not in {self:?}");
        }
        assert!(!self.err.contains('\u{1b}') && !self.err.contains("panicked"), "{self:?}");
    }
}

impl From<Output> for Said {
    fn from(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Self { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with(&[])
    }

    /// With settings, as in the environment.
    pub(crate) fn with(settings: &[(&str, &str)]) -> Self {
        let (home, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let mut daemon = Command::new(PROGRAM)
            .current_dir(home.path())
            .env("GRISTMILL__HTTP__BIND", "127.0.0.1:0")
            .env("GRISTMILL__KINDS__OUTSIDE", "resize")
            .envs(settings.iter().copied())
            .stdout(Stdio::piped())
            .stderr(std::fs::File::create(home.path().join("gristmill.log")).unwrap())
            .spawn()
            .unwrap();
        let greeting = BufReader::new(daemon.stdout.take().unwrap()).lines().next().unwrap().unwrap();
        let address = greeting.rsplit("http://").next().unwrap().to_owned();
        Self { daemon, address, home, folder }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The program, which finds the daemon by the environment.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = bare(self.folder.path(), arguments);
        command.env("GRISTMILL_URL", self.url());
        command
    }

    /// Runs it to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Said {
        said(&mut self.command(arguments))
    }

    /// Runs it as that user.
    pub(crate) fn run_as(&self, token: &str, arguments: &[&str]) -> Said {
        said(self.command(arguments).env("GRISTMILL_TOKEN", token))
    }

    /// Runs it beside the daemon, where its settings are.
    pub(crate) fn run_at_home(&self, arguments: &[&str]) -> Said {
        said(&mut bare(self.home.path(), arguments))
    }

    /// Makes a user; their number and token.
    pub(crate) fn user(&self, options: &[&str]) -> (i64, String) {
        let mut arguments = vec!["user", "add", "--name", "Ann", "--json"];
        arguments.extend(options);
        let made: Value = serde_json::from_str(&self.run_at_home(&arguments).done()).unwrap();
        (made["id"].as_i64().unwrap(), made["token"].as_str().unwrap().to_owned())
    }

    /// Writes a file into the users' folder.
    pub(crate) fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }

    /// A task that waits for a worker outside; its number.
    pub(crate) fn waiting(&self) -> i64 {
        self.run(&["submit", "resize", "-q"]).done().trim().parse().unwrap()
    }

    /// Takes a task in hand as a worker; its attempt.
    pub(crate) fn claim(&self, id: i64) -> i64 {
        let task = self.post("/tasks/claim", &serde_json::json!({"id": id, "worker": "w"}));
        task["attempt"].as_i64().unwrap()
    }

    /// Posts JSON, and reads the JSON that comes back.
    pub(crate) fn post(&self, path: &str, body: &Value) -> Value {
        let body = body.to_string();
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: {}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\
             connection: close\r\n\r\n",
            self.address,
            body.len()
        );
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.write_all((head + &body).as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 20"), "{path}: {answer}");
        if body.is_empty() { Value::Null } else { serde_json::from_str(body).unwrap() }
    }

    /// Ends the daemon as its operator would, and waits for that.
    pub(crate) fn stop(&mut self) {
        let pid = self.daemon.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        self.daemon.wait().unwrap();
    }

    /// Starts it again, at the address that it had.
    pub(crate) fn start_again(&mut self) {
        let mut daemon = Command::new(PROGRAM)
            .current_dir(self.home.path())
            .env("GRISTMILL__HTTP__BIND", &self.address)
            .env("GRISTMILL__KINDS__OUTSIDE", "resize")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        BufReader::new(daemon.stdout.take().unwrap()).lines().next().unwrap().unwrap();
        self.daemon = daemon;
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = self.daemon.kill();
        let _ = self.daemon.wait();
    }
}

/// The program in that folder, without anything that this machine's owner has in the environment.
pub(crate) fn bare(folder: &Path, arguments: &[impl AsRef<OsStr>]) -> Command {
    let mut command = Command::new(PROGRAM);
    command.args(arguments).current_dir(folder).env_clear();
    command.env("PATH", std::env::var_os("PATH").unwrap()).env("HOME", folder).env("TERM", "xterm-256color");
    command.stdin(Stdio::null());
    command
}

pub(crate) fn said(command: &mut Command) -> Said {
    command.output().unwrap().into()
}

/// A picture of 64 pixels.
pub(crate) fn png() -> Vec<u8> {
    png_in(90)
}

/// One of that grey.
pub(crate) fn png_in(grey: u8) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, 8, 8);
    encoder.set_color(png::ColorType::Rgb);
    let mut writer = encoder.write_header().unwrap();
    writer.write_image_data(&[grey; 8 * 8 * 3]).unwrap();
    writer.finish().unwrap();
    bytes
}
