//! Attacks on the image host, against the real program as it comes: what nobody should send, by every way in, one at a
//! time and many at once. Each has its answer; and after all of them the program is well, and never took much memory.

#![expect(clippy::print_stdout, reason = "a run says what memory it saw")]

mod files;
mod flood;
mod limits;
#[path = "../../../src/media/image/tests/make.rs"]
#[expect(dead_code, reason = "the tests of the gate use more of it")]
mod make;
mod names;
mod requests;
mod rights;

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::StreamExt;
use reqwest::multipart::{Form, Part};
use reqwest::{Client, RequestBuilder};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::Daemon;
use crate::common::eventually;
use files::{Attack, attacks};

/// The most that the program may ever have taken, in KiB.
const MOST_KIB: u64 = 300 * 1024;

/// How many attack at the same time.
const AT_ONCE: usize = 32;

/// The ways by which an image comes in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Form,
    Raw,
    Json,
    Task,
    Avatar,
}

impl Way {
    const ALL: [Self; 5] = [Self::Form, Self::Raw, Self::Json, Self::Task, Self::Avatar];
}

/// A program to attack.
struct Target {
    daemon: Daemon,
    folder: TempDir,
}

/// What it answered.
#[derive(Debug)]
struct Answer {
    status: u16,
    body: Value,
}

impl Answer {
    fn code(&self) -> &str {
        self.body["code"].as_str().unwrap_or_default()
    }
}

impl Target {
    /// As it comes, but for WebP and these settings.
    fn start(settings: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let webp = ("GRISTMILL__IMAGES__FORMATS", "jpeg, png, gif, webp");
        let daemon = Daemon::start_with(folder.path(), &[&[webp], settings].concat());
        Self { daemon, folder }
    }

    /// Somebody who comes from an address of their own, by which limits count them.
    fn somebody(&self, number: u8) -> Somebody {
        let address = std::net::Ipv4Addr::new(127, 0, 7, number);
        let client = Client::builder().local_address(std::net::IpAddr::V4(address)).build().unwrap();
        Somebody { client, url: format!("http://{}", self.daemon.address) }
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn read(&self, file: &str) -> String {
        String::from_utf8_lossy(&std::fs::read(self.folder.path().join(file)).unwrap()).into_owned()
    }

    /// The memory that the system says it has taken, at most (`VmHWM`) or now (`VmRSS`), in KiB.
    fn memory(&self, word: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.daemon.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(word)?.strip_prefix(':')).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }

    /// Nothing lies about, nothing panicked, it is ready, and it never took more memory than it may.
    async fn is_well(&self, after: &str) {
        let somebody = self.somebody(250);
        let ready = eventually("it is ready", || async {
            let ready = somebody.client.get(somebody.at("/health/ready")).send().await.unwrap();
            (ready.status() == 200).then_some(())
        });
        ready.await;
        for folder in ["blobs/tmp", "variants/tmp"] {
            eventually(&format!("{folder} is empty after {after}"), || async {
                let left = std::fs::read_dir(self.data().join(folder)).map_or(0, Iterator::count);
                (left == 0).then_some(())
            })
            .await;
        }
        let log = self.read("gristmill.log");
        let bad: Vec<&str> = log.lines().filter(|line| line.contains("panic")).collect();
        assert!(bad.is_empty(), "after {after}: {bad:#?}");
        let (most, now) = (self.memory("VmHWM"), self.memory("VmRSS"));
        println!("after {after}: at most {} MiB, now {} MiB", most >> 10, now >> 10);
        assert!(most < MOST_KIB, "after {after} it took {most} KiB");
    }
}

/// One who sends.
struct Somebody {
    client: Client,
    url: String,
}

impl Somebody {
    fn at(&self, path: &str) -> String {
        format!("{}{path}", self.url)
    }

    /// Sends the file that way.
    async fn send(&self, way: Way, name: &'static str, file: Vec<u8>) -> Answer {
        let post = |path| self.client.post(self.at(path));
        let request = match way {
            Way::Form => {
                let part = Part::bytes(file).file_name(name).mime_str("image/png").unwrap();
                post("/upload").multipart(Form::new().part("file", part))
            }
            Way::Raw => post("/upload").header("content-type", "image/png").body(file),
            Way::Json => post("/upload").json(&json!({ "image": STANDARD.encode(file), "filename": name })),
            Way::Task => post("/tasks").json(&json!({ "image": STANDARD.encode(file) })),
            Way::Avatar => post("/users").json(&json!({ "name": "Eve", "avatar": STANDARD.encode(file) })),
        };
        answer(request).await
    }

    async fn upload(&self, file: Vec<u8>) -> Value {
        let answer = self.send(Way::Raw, "a.png", file).await;
        assert_eq!(answer.status, 201, "{answer:?}");
        answer.body
    }
}

async fn answer(request: RequestBuilder) -> Answer {
    let answer = request.send().await.unwrap();
    let status = answer.status().as_u16();
    let bytes = answer.bytes().await.unwrap();
    Answer { status, body: serde_json::from_slice(&bytes).unwrap_or(Value::Null) }
}

/// What is wrong with the answer to an attack.
async fn complaint(somebody: &Somebody, way: Way, attack: &Attack, busy: bool) -> Option<String> {
    let Attack { name, file, status, code } = attack;
    let answer = somebody.send(way, name, file.clone()).await;
    // A picture that is empty is none: the field is at fault.
    let empty = way == Way::Avatar && file.is_empty();
    let (status, code) = if empty { (422, "invalid_body") } else { (*status, *code) };
    let expected = answer.status == status && answer.code() == code;
    // Where others take all there is, it says so.
    let overloaded = busy && (answer.status, answer.code()) == (503, "overloaded");
    (!expected && !overloaded).then(|| format!("{name} by {way:?}: {} {}", answer.status, answer.body))
}

/// Every file in `folder`, at any depth.
fn files_in(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files_in(&path) } else { vec![path] }).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_is_sent_gets_its_answer_and_the_program_stays_well_and_small() {
    let target = &Target::start(&[]);
    println!("at the start: {} MiB", target.memory("VmRSS") >> 10);
    let slow = requests::begin_slowly(target).await;

    let attacks = &attacks();
    let mut complaints = Vec::new();
    for way in Way::ALL {
        let eve = target.somebody(1 + way as u8);
        for attack in attacks {
            complaints.extend(complaint(&eve, way, attack, false).await);
        }
    }
    assert!(complaints.is_empty(), "{complaints:#?}");
    target.is_well("each file by each way").await;

    requests::forms_and_bodies(target).await;
    names::every_name_by_every_way(target).await;
    target.is_well("names and forms").await;
    rights::tokens_and_strangers(target).await;
    rights::variants(target).await;
    flood::same_bytes_at_once(target).await;
    target.is_well("rights and variants").await;

    let many: Vec<(Way, &Attack)> =
        Way::ALL.into_iter().flat_map(|way| attacks.iter().map(move |attack| (way, attack))).collect();
    let sent = many.into_iter().map(|(way, attack)| async move {
        complaint(&target.somebody(20 + way as u8), way, attack, true).await
    });
    let complaints: Vec<String> = futures_util::stream::iter(sent)
        .buffer_unordered(AT_ONCE)
        .filter_map(|said| async { said })
        .collect()
        .await;
    assert!(complaints.is_empty(), "{complaints:#?}");
    target.is_well("all of them at once").await;

    flood::heavy_json_at_once(target).await;
    flood::aborted_at_once(target).await;
    requests::end_slowly(slow).await;
    target.is_well("heavy bodies at once").await;
    assert_eq!(target.somebody(251).send(Way::Form, "a.png", make::png(9, 7, false)).await.status, 201);
}
