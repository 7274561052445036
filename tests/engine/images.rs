//! Images, and what is left of them when they are gone.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::common::eventually;
use crate::harness::{Daemon, on_system};

fn picture() -> String {
    let mut file = std::io::Cursor::new(Vec::new());
    image::RgbImage::from_fn(40, 30, |x, y| image::Rgb([x as u8, y as u8, 60]))
        .write_to(&mut file, image::ImageFormat::Png)
        .unwrap();
    STANDARD.encode(file.into_inner())
}

/// The files below, that of drafts aside.
fn files(root: &Path) -> usize {
    let folders = std::fs::read_dir(root).unwrap().map(|folder| folder.unwrap());
    folders
        .filter(|folder| folder.file_name() != "tmp")
        .map(|folder| std::fs::read_dir(folder.path()).unwrap().count())
        .sum()
}

#[test]
fn who_goes_takes_their_images_along_and_what_was_made_of_them() {
    on_system(async || {
        let folder = tempfile::tempdir().unwrap();
        let daemon = Daemon::start(folder.path(), &[("TASKS__SWEEP_S", "1")]).await;
        let variants = folder.path().join("variants");
        let client = reqwest::Client::new();
        let at = |path: &str| daemon.url(path);
        let ann = daemon.post("/users", &json!({"name": "Ann"})).await;
        let sent = client.post(at("/upload")).bearer_auth(ann["token"].as_str().unwrap());
        let image: Value =
            sent.json(&json!({"image": picture()})).send().await.unwrap().json().await.unwrap();
        let link =
            at(&format!("/images/{}", image["filename"].as_str().unwrap_or_else(|| panic!("{image}"))));
        // Of the same bytes, and nobody's: what was made of those stays.
        let other: Value = daemon.post("/upload", &json!({"image": picture()})).await;
        assert_eq!(files(&variants), 1, "one thumbnail of the same bytes");

        let path = at(&format!("/users/{}", ann["id"]));
        let gone = client.delete(path).bearer_auth(ann["token"].as_str().unwrap()).send().await.unwrap();
        assert_eq!(gone.status(), 204);
        assert_eq!(client.get(&link).send().await.unwrap().status(), 404);
        let name = other["filename"].as_str().unwrap();
        assert_eq!(client.get(at(&format!("/images/{name}"))).send().await.unwrap().status(), 200);

        // By its task: a way that does not know of variants.
        let admin = daemon.post("/users", &json!({"name": "Bob"})).await;
        let sent = client.post(at("/upload")).bearer_auth(admin["token"].as_str().unwrap());
        let image: Value =
            sent.json(&json!({"image": picture()})).send().await.unwrap().json().await.unwrap();
        let token = other["delete_token"].as_str().unwrap();
        let removed = client.delete(at(&format!("/images/{name}?token={token}"))).send().await.unwrap();
        assert_eq!(removed.status(), 204);
        let thumbnail = image["thumbnail_url"].as_str().unwrap();
        assert_eq!(client.get(thumbnail).send().await.unwrap().status(), 200, "made again");
        assert_eq!(files(&variants), 1);
        let task = at(&format!("/tasks/{}", image["task"]["id"]));
        let gone = client.delete(task).bearer_auth(admin["token"].as_str().unwrap()).send().await.unwrap();
        assert_eq!(gone.status(), 204);
        eventually("the folder of variants is empty", async || (files(&variants) == 0).then_some(())).await;
        daemon.app.drain().await;
    });
}
