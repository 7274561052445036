//! The real program in a folder of its own, users in it, and files to send to it.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use image::{Rgb, RgbImage};
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, SET_COOKIE};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::browser::Browser;
use crate::common::wav;

pub(crate) const PASSWORD: &str = "correct horse battery";

/// A daemon, and a place for files.
pub(crate) struct World {
    child: Child,
    pub(crate) url: String,
    pub(crate) folder: TempDir,
    pub(crate) client: reqwest::Client,
}

/// A user.
#[derive(Debug, Clone)]
pub(crate) struct Someone {
    pub(crate) id: i64,
    pub(crate) name: String,
    pub(crate) token: String,
}

impl World {
    pub(crate) fn start() -> Self {
        Self::start_with(&[])
    }

    /// With settings, as in the environment.
    pub(crate) fn start_with(settings: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (child, url) = serve(folder.path(), "127.0.0.1:0", settings);
        // A connection is not kept: the daemon may be started again in between.
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .pool_max_idle_per_host(0)
            .build()
            .unwrap();
        Self { child, url, folder, client }
    }

    /// Has nobody do tasks any more: what is asked for from now on waits.
    pub(crate) fn idle(&mut self) {
        self.again(&[("GRISTMILL__ROLES", "http, janitor")]);
    }

    /// Has somebody do them again.
    pub(crate) fn work(&mut self) {
        self.again(&[]);
    }

    fn again(&mut self, settings: &[(&str, &str)]) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        let bind = self.url.trim_start_matches("http://").to_owned();
        (self.child, _) = serve(self.folder.path(), &bind, settings);
    }

    /// The address of a path.
    pub(crate) fn at(&self, path: &str) -> String {
        format!("{}{path}", self.url)
    }

    /// Posts JSON as somebody, or nobody; what came back.
    pub(crate) async fn post(&self, path: &str, body: &Value, who: Option<&Someone>) -> Value {
        self.send("POST", path, body, who).await
    }

    pub(crate) async fn send(&self, method: &str, path: &str, body: &Value, who: Option<&Someone>) -> Value {
        let mut request = self.client.request(method.parse().unwrap(), self.at(path));
        if let Some(who) = who {
            request = request.header(AUTHORIZATION, format!("Bearer {}", who.token));
        }
        let answer =
            request.header(CONTENT_TYPE, "application/json").body(body.to_string()).send().await.unwrap();
        let (status, text) = (answer.status(), answer.text().await.unwrap());
        assert!(status.is_success(), "{path}: {status} {text}");
        serde_json::from_str(&text).unwrap_or(Value::Null)
    }

    /// What JSON there is at a path, for somebody or nobody.
    pub(crate) async fn get(&self, path: &str, who: Option<&Someone>) -> Value {
        let mut request = self.client.get(self.at(path)).header(ACCEPT, "application/json");
        if let Some(who) = who {
            request = request.header(AUTHORIZATION, format!("Bearer {}", who.token));
        }
        let answer = request.send().await.unwrap();
        let (status, text) = (answer.status(), answer.text().await.unwrap());
        assert!(status.is_success(), "{path}: {status} {text}");
        serde_json::from_str(&text).unwrap()
    }

    /// A new user with the [`PASSWORD`].
    pub(crate) async fn someone(&self, name: &str) -> Someone {
        let made = self.post("/users", &json!({"name": name, "password": PASSWORD}), None).await;
        Someone {
            id: made["id"].as_i64().unwrap(),
            name: name.to_owned(),
            token: made["token"].as_str().unwrap().to_owned(),
        }
    }

    /// A new admin, made as whoever has the data folder makes one.
    pub(crate) async fn admin(&self, name: &str) -> Someone {
        let mut command = gristmill(self.folder.path());
        let mut child = command
            .args(["user", "add", "--admin", "--json", "--password-stdin", "--name", name])
            .env("GRISTMILL__HTTP__BIND", self.url.trim_start_matches("http://"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        writeln!(child.stdin.take().unwrap(), "{PASSWORD}").unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{output:?}");
        let made: Value = serde_json::from_slice(&output.stdout).unwrap();
        Someone {
            id: made["id"].as_i64().unwrap(),
            name: name.to_owned(),
            token: made["token"].as_str().unwrap().to_owned(),
        }
    }

    /// Logs a user in, in that browser, without its form.
    pub(crate) async fn let_in(&self, browser: &Browser, who: &Someone) {
        let form = json!({"name": who.name, "password": PASSWORD});
        let answer = self.client.post(self.at("/login")).json(&form).send().await.unwrap();
        let cookie = answer.headers()[SET_COOKIE].to_str().unwrap().split(';').next().unwrap().to_owned();
        let (name, value) = cookie.split_once('=').unwrap();
        // A cookie is set on the site where the browser is.
        browser.open(&self.at("/openapi.json")).await;
        browser.cookie(name, value).await;
    }

    /// Sends an image as somebody, and waits until it is ready.
    pub(crate) async fn image(&self, name: &str, seed: u8, who: Option<&Someone>) -> Value {
        let request = self.client.post(self.at("/upload")).header("x-filename", name);
        let request = request.header("prefer", "wait=30").header(CONTENT_TYPE, "image/png");
        let request = match who {
            Some(who) => request.header(AUTHORIZATION, format!("Bearer {}", who.token)),
            None => request,
        };
        let answer = request.body(picture(seed)).send().await.unwrap();
        assert_eq!(answer.status(), 201, "{name}");
        answer.json().await.unwrap()
    }

    /// Sends a recording as somebody, and waits as is preferred.
    pub(crate) async fn recording(&self, name: &str, who: &Someone, prefer: &str) -> Value {
        let part = reqwest::multipart::Part::bytes(wav::sine(3.0, 330.0)).file_name(name.to_owned());
        let form = reqwest::multipart::Form::new().part("file", part);
        let request = self.client.post(self.at("/records")).header("prefer", prefer);
        let answer = request.bearer_auth(&who.token).multipart(form).send().await.unwrap();
        assert!(answer.status().is_success(), "{name}: {}", answer.status());
        answer.json().await.unwrap()
    }

    /// Puts a file where the browser can choose it.
    pub(crate) fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }
}

impl Drop for World {
    #[expect(clippy::print_stderr, reason = "what a test that failed has to show")]
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            let log = std::fs::read_to_string(self.folder.path().join("gristmill.log")).unwrap_or_default();
            let from = log.len().saturating_sub(4_000);
            eprintln!(
                "the daemon's log ends with\n{}",
                log.get(log.ceil_char_boundary(from)..).unwrap_or_default()
            );
        }
    }
}

/// The daemon, and where it listens.
fn serve(folder: &Path, bind: &str, settings: &[(&str, &str)]) -> (Child, String) {
    let mut child = gristmill(folder)
        .arg("serve")
        .env("GRISTMILL__HTTP__BIND", bind)
        // As cheap as can be.
        .envs([("GRISTMILL__AUTH__ARGON2_MEMORY_KIB", "8"), ("GRISTMILL__AUTH__ARGON2_PASSES", "1")])
        .envs(settings.iter().copied())
        .stdout(Stdio::piped())
        .stderr(std::fs::File::create(folder.join("gristmill.log")).unwrap())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let first = lines.next().expect("the daemon ends at once").unwrap();
    let url = format!("http://{}", first.rsplit("http://").next().unwrap());
    std::thread::spawn(move || lines.map_while(Result::ok).for_each(drop));
    (child, url)
}

fn gristmill(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gristmill"));
    command.current_dir(folder);
    command
}

/// A picture that is so many bytes and more: noise, which does not compress.
pub(crate) fn large_picture() -> Vec<u8> {
    let mut state = 1_u32;
    let image = RgbImage::from_fn(700, 500, |_, _| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let [_, r, g, b] = state.to_le_bytes();
        Rgb([r, g, b])
    });
    let mut bytes = std::io::Cursor::new(Vec::new());
    image.write_to(&mut bytes, image::ImageFormat::Png).unwrap();
    bytes.into_inner()
}

/// A picture; another one for another seed.
pub(crate) fn picture(seed: u8) -> Vec<u8> {
    let image = RgbImage::from_fn(480, 320, |x, y| {
        let (x, y) = (x.to_le_bytes()[0], y.to_le_bytes()[0]);
        Rgb([x.wrapping_add(seed.wrapping_mul(40)), y, seed.wrapping_mul(70)])
    });
    let mut bytes = std::io::Cursor::new(Vec::new());
    image.write_to(&mut bytes, image::ImageFormat::Png).unwrap();
    bytes.into_inner()
}
