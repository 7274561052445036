//! Messages with pictures while the store of the blobs cannot be used: they wait, and become one task each once it can.

use std::fs;
use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lapin::BasicProperties;
use serde_json::json;

use super::awkward::{STOPPED, become_tasks, channel, send, tasks};
use super::field::{Field, Form};
use super::producer::QUEUE;
use crate::common::{Engine, eventually};
use crate::daemon::Daemon;
use crate::images::picture;

/// The blobs' folder, with a file in its place: whoever runs as root can write anywhere, but in no file's folder.
struct Away {
    folder: PathBuf,
    aside: PathBuf,
}

impl Away {
    fn put(folder: PathBuf) -> Self {
        let aside = folder.with_extension("aside");
        fs::rename(&folder, &aside).unwrap();
        fs::write(&folder, "no folder").unwrap();
        Self { folder, aside }
    }

    fn back(self) {
        fs::remove_file(&self.folder).unwrap();
        fs::rename(&self.aside, &self.folder).unwrap();
    }
}

async fn stops(daemon: &Daemon, times: usize) {
    eventually("the daemon to stop consuming", async || {
        (daemon.log().matches(STOPPED).count() >= times).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_whose_picture_cannot_be_kept_waits_and_becomes_one_task_when_it_can() {
    let mut field = Field::shared(Engine::Sqlite, Form::Durable).await;
    let start = field.plain();
    let mut daemon = field.world.start(&start).await;
    let channel = channel(&field).await;
    let body =
        |number: u32| json!({"kind": "manual", "image": STANDARD.encode(picture(number).1)}).to_string();
    // No `message_id`: a delivery that comes twice would be two tasks.
    send(&channel, QUEUE, &body(1), BasicProperties::default()).await;
    become_tasks(&field, 1).await;

    let away = Away::put(field.world.place.blob_folder());
    send(&channel, QUEUE, &body(2), BasicProperties::default()).await;
    stops(&daemon, 1).await;
    let board = field.health().await;
    assert_eq!(board["components"]["broker tasks"]["state"], "down", "{board}");
    // It is still the broker's: a daemon that goes leaves it in the queue, and nothing else.
    daemon.drain().await;
    eventually("the message to be back", async || (field.queue().await.messages == 1).then_some(())).await;
    assert_eq!((tasks(&field).await, field.dead().await), (1, 0));
    away.back();
    daemon = field.world.start(&start).await;
    become_tasks(&field, 2).await;

    // And one that stays takes it as soon as it can.
    let stopped = daemon.log().matches(STOPPED).count();
    let away = Away::put(field.world.place.blob_folder());
    send(&channel, QUEUE, &body(3), BasicProperties::default()).await;
    stops(&daemon, stopped + 1).await;
    assert_eq!(tasks(&field).await, 2);
    away.back();
    become_tasks(&field, 3).await;
    eventually("the daemon to say that all is well", async || {
        (field.health().await["components"]["broker tasks"]["state"] == "up").then_some(())
    })
    .await;
    daemon.drain().await;
    assert_eq!((field.queue().await.messages, field.dead().await), (0, 0));
    assert_eq!(tasks(&field).await, 3);
    let rows: Vec<(i64,)> =
        field.world.rows("SELECT count(*) FROM tasks WHERE kind = 'manual' AND status = 'New'").await;
    assert_eq!(rows, [(3,)], "each picture has a task");
    assert_eq!(field.world.place.files().len(), 3, "and is kept");
}
