//! The real daemon in this process, spoken to over HTTP.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::future::Future;
use std::path::Path;
use std::sync::Arc;

use gristmill::app::{App, Seat, open_imaging};
use gristmill::clock::Clock;
use gristmill::config::{LoadOptions, Settings};
use gristmill::imaging::Imaging;
use gristmill::kinds::Registry;
use gristmill::store::SqliteStore;
use serde_json::{Value, json};

use crate::chaos::Chaos;
use crate::common::faulty::FaultyStore;
use crate::common::{STATEMENT_TIMEOUT, eventually};

/// Runs a test on an actix system over a runtime with threads of its own, as the program does.
pub(crate) fn on_system<F: Future<Output = ()>>(test: impl FnOnce() -> F) {
    let system = actix_rt::System::with_tokio_rt(|| {
        tokio::runtime::Builder::new_multi_thread().enable_all().worker_threads(2).build().unwrap()
    });
    system.block_on(test());
}

pub(crate) struct Daemon {
    pub(crate) app: App,
    pub(crate) chaos: Chaos,
    base: String,
    client: reqwest::Client,
}

pub(crate) fn settings(folder: &Path, more: &[(&str, &str)]) -> Settings {
    let data_dir = folder.to_str().unwrap();
    let mut env = BTreeMap::<OsString, OsString>::new();
    for (key, value) in
        [("DATA_DIR", data_dir), ("HTTP__BIND", "127.0.0.1:0"), ("TASKS__POLL_S", "0.2")].iter().chain(more)
    {
        env.insert(format!("GRISTMILL__{key}").into(), (*value).into());
    }
    let nowhere = folder.join("no-config");
    Settings::load(LoadOptions { files: Vec::new(), directory: nowhere, env }).unwrap().settings
}

impl Daemon {
    pub(crate) async fn start(folder: &Path, more: &[(&str, &str)]) -> Self {
        let settings = settings(folder, more);
        let chaos = Chaos::default();
        let kinds = |settings: &Settings, imaging: &Imaging| {
            Registry::configured(settings, imaging).with(chaos.clone())
        };
        let app = App::start(settings, kinds).await.unwrap();
        let base = format!("http://{}", app.address());
        Self { app, chaos, base, client: reqwest::Client::new() }
    }

    /// Starts on a store whose faults the test decides.
    pub(crate) async fn start_faulty(folder: &Path, more: &[(&str, &str)]) -> (Self, Arc<FaultyStore>) {
        Self::start_by(folder, more, Clock::system()).await
    }

    /// The same, by a clock that the test sets.
    pub(crate) async fn start_by(
        folder: &Path,
        more: &[(&str, &str)],
        clock: Clock,
    ) -> (Self, Arc<FaultyStore>) {
        let settings = settings(folder, more);
        let seat = Seat::take(folder).unwrap();
        let chaos = Chaos::default();
        let imaging = open_imaging(&settings).unwrap();
        let kinds = Registry::configured(&settings, &imaging).with(chaos.clone());
        let real = SqliteStore::open(&folder.join("gristmill.db"), 2, STATEMENT_TIMEOUT, clock.clone())
            .await
            .unwrap();
        let real = real.with_outside(kinds.outside().iter().cloned()).await.unwrap();
        let store = FaultyStore::new(real);
        let app = App::start_on(settings, (kinds, imaging), store.clone(), clock, seat).await.unwrap();
        let base = format!("http://{}", app.address());
        (Self { app, chaos, base, client: reqwest::Client::new() }, store)
    }

    pub(crate) async fn submit(&self, what: &str, more: Value) -> i64 {
        let mut body = json!({ "kind": "chaos", "payload": what });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let created = self.post("/tasks", &body).await;
        created["id"].as_i64().unwrap_or_else(|| panic!("{created}"))
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Value {
        let url = format!("{}{path}", self.base);
        self.client.post(url).json(body).send().await.unwrap().json().await.unwrap()
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        self.client.get(format!("{}{path}", self.base)).send().await.unwrap().json().await.unwrap()
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    pub(crate) async fn delete(&self, task: i64) {
        let deleted = self.client.delete(self.url(&format!("/tasks/{task}"))).send().await.unwrap();
        assert_eq!(deleted.status(), 204);
    }

    pub(crate) async fn text(&self, path: &str) -> String {
        self.client.get(format!("{}{path}", self.base)).send().await.unwrap().text().await.unwrap()
    }

    pub(crate) async fn task(&self, id: i64) -> Value {
        self.get(&format!("/tasks/{id}")).await
    }

    pub(crate) async fn until(&self, id: i64, status: &str) -> Value {
        eventually(&format!("task {id} to be {status}"), async || {
            let task = self.task(id).await;
            (task["status"] == status).then_some(task)
        })
        .await
    }

    /// That other work still gets done.
    pub(crate) async fn still_works(&self) {
        let id = self.submit("ok", json!({})).await;
        self.until(id, "Completed").await;
    }
}
