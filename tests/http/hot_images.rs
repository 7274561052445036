//! Images that are asked for often, and variants: what is made once, kept, and given up when its image is deleted.

use std::collections::HashSet;

use futures_util::future::join_all;
use gristmill::http::Code;
use gristmill::media::image::Format;

use crate::harness::{Daemon, Wishes, start};
use crate::outside::eventually;
use crate::store::Fault;

const HITS: &str = "gristmill_hot_images_total{result=\"hit\"}";
const MADE: &str = "gristmill_image_variants_total{result=\"made\"}";

/// A real picture of so many pixels, as PNG.
fn picture(width: u32, height: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, width, height);
    encoder.set_color(png::ColorType::Rgb);
    let pixel = |at: u32| [at as u8, (at / 7) as u8, (at / 255) as u8];
    let pixels: Vec<u8> = (0..width * height).flat_map(pixel).collect();
    encoder.write_header().unwrap().write_image_data(&pixels).unwrap();
    bytes
}

/// Two frames of that size.
fn animation(width: u16, height: u16) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = gif::Encoder::new(&mut bytes, width, height, &[0, 0, 0, 255, 0, 0]).unwrap();
    for shade in [0, 1] {
        let pixels = vec![shade; usize::from(width) * usize::from(height)];
        encoder.write_frame(&gif::Frame::from_indexed_pixels(width, height, pixels, None)).unwrap();
    }
    drop(encoder);
    bytes
}

fn pixels_of(bytes: &[u8]) -> (u32, u32) {
    let picture = image::load_from_memory(bytes).unwrap();
    (picture.width(), picture.height())
}

/// Waits until what is asked for is answered so.
async fn until_status(daemon: &Daemon, path: &str, status: u16) {
    eventually(async || (daemon.get(path).await.status == status).then_some(())).await;
}

#[tokio::test]
async fn a_hit_asks_neither_the_disk_nor_the_database() {
    let daemon = start(Wishes::default()).await;
    let image = daemon.plant(Format::Png, "a.png", picture(100, 50)).await;
    let small = format!("{}?w=64", image.path);
    let first = (daemon.get(&image.path).await, daemon.get(&small).await);
    let before = daemon.metric(HITS).await;
    std::fs::remove_dir_all(daemon.folder.path().join("blobs")).unwrap();
    std::fs::remove_dir_all(daemon.folder.path().join("variants")).unwrap();
    daemon.store.set(Fault::Panic);
    let again = (daemon.get(&image.path).await, daemon.get(&small).await);
    assert_eq!((again.0.status, again.1.status), (200, 200));
    assert!(again.0.body == first.0.body && again.1.body == first.1.body);
    assert!(daemon.metric(HITS).await >= before + 2.0);
}

#[tokio::test]
async fn a_deletion_is_seen_at_once_and_one_by_another_node_soon() {
    let daemon = start(Wishes::default()).await;
    let image = daemon.plant(Format::Png, "a.png", picture(100, 50)).await;
    let small = format!("{}?h=64&fit=cover", image.path);
    for path in [&image.path, &small] {
        assert_eq!(daemon.get(path).await.status, 200);
    }
    let admin = daemon.someone("Ada").await;
    daemon.promote(admin.id).await;
    let task = format!("/tasks/{}", image.task);
    assert_eq!(daemon.by(&admin, "DELETE", &task, serde_json::Value::Null).await.status, 204);
    for path in [&image.path, &small] {
        daemon.get(path).await.problem(Code::ImageNotFound);
    }

    let image = daemon.plant(Format::Png, "a.png", picture(100, 50)).await;
    let small = format!("{}?h=64&fit=cover", image.path);
    for path in [&image.path, &small] {
        assert_eq!(daemon.get(path).await.status, 200);
    }
    daemon.removed_elsewhere(image.task).await;
    for path in [&image.path, &small] {
        until_status(&daemon, path, 404).await;
    }
}

#[tokio::test]
async fn what_is_kept_is_looked_up_again_and_a_database_that_is_away_is_told() {
    let daemon = start(Wishes::default()).await;
    let image = daemon.plant(Format::Png, "a.png", picture(10, 10)).await;
    assert_eq!(daemon.get(&image.path).await.status, 200);
    daemon.store.set(Fault::Unavailable);
    until_status(&daemon, &image.path, 503).await;
    daemon.get(&image.path).await.problem(Code::DatabaseUnavailable);
    daemon.store.set(Fault::None);
    assert_eq!(daemon.get(&image.path).await.status, 200);
}

#[tokio::test]
async fn a_variant_is_of_the_size_that_is_asked_for_and_has_a_tag_of_its_own() {
    let daemon = start(Wishes::default()).await;
    let image = daemon.plant(Format::Png, "кот.gif", picture(400, 200)).await;
    let mut tags = HashSet::from([daemon.get(&image.path).await.header("etag").to_owned()]);
    for (query, size, media_type) in [
        ("w=64", (64, 32), ""),
        ("h=64", (128, 64), ""),
        ("w=128&h=128&fit=cover&format=png", (128, 128), "image/png"),
        ("w=320&format=jpg", (320, 160), "image/jpeg"),
        ("w=1920&format=png", (400, 200), "image/png"),
    ] {
        let path = format!("{}?{query}", image.path);
        let got = daemon.get(&path).await;
        assert_eq!(got.status, 200, "{query}: {}", got.text());
        assert_eq!(pixels_of(&got.body), size, "{query}");
        assert!(got.header("content-type").contains(media_type), "{query}");
        let ending = got.header("content-type").replace("image/", "").replace("jpeg", "jpg");
        assert!(got.header("content-disposition").ends_with(&format!("%D0%BA%D0%BE%D1%82.{ending}")));
        assert!(got.header("cache-control").contains("immutable"));
        let etag = got.header("etag").to_owned();
        let same = daemon.ask("GET", &path, |request| request.header("if-none-match", etag.clone())).await;
        assert_eq!((same.status, same.body.len()), (304, 0), "{query}");
        let part = daemon.ask("GET", &path, |request| request.header("range", "bytes=1-3")).await;
        assert_eq!((part.status, &part.body[..]), (206, &got.body[1..=3]), "{query}");
        assert!(tags.insert(etag), "{query}");
    }
}

#[tokio::test]
async fn sizes_that_are_not_allowed_are_refused_with_those_that_are() {
    let wishes = Wishes { settings: vec![("images.sizes", "64, 320")], ..Wishes::default() };
    let daemon = start(wishes).await;
    let image = daemon.plant(Format::Png, "a.png", picture(10, 10)).await;
    for (query, field) in [
        ("w=65", "w"),
        ("h=0", "h"),
        ("w=64&h=128", "h"),
        ("w=+64", "w"),
        ("w=", "w"),
        ("w=99999999999999999999", "w"),
        ("fit=cover", "w"),
        ("format=png", "w"),
    ] {
        let problem = daemon.get(&format!("{}?{query}", image.path)).await.problem(Code::InvalidParameter);
        assert_eq!(problem["field"], field, "{query}: {problem}");
        assert_eq!(problem["allowed"], serde_json::json!(["64", "320"]), "{query}");
    }
    for query in ["w=64&fit=fill", "w=64&format=webp", "w=64&w=64", "x=1", "W=64"] {
        daemon.get(&format!("{}?{query}", image.path)).await.problem(Code::InvalidParameter);
    }
    assert_eq!(daemon.get(&format!("{}?w=64", image.path)).await.status, 200);
}

#[tokio::test]
async fn a_hundred_who_ask_for_a_variant_at_once_have_it_made_once() {
    let daemon = start(Wishes::default()).await;
    let image = daemon.plant(Format::Png, "a.png", picture(1000, 1000)).await;
    let path = format!("{}?w=320&h=320&fit=cover", image.path);
    let before = daemon.metric(MADE).await;
    let all = join_all((0..100).map(|_| daemon.get(&path))).await;
    let bodies: HashSet<&[u8]> = all.iter().map(|answer| &answer.body[..]).collect();
    assert!(all.iter().all(|answer| answer.status == 200) && bodies.len() == 1);
    // The metrics are those of the process, in which other tests make a few variants of their own meanwhile.
    let made = daemon.metric(MADE).await - before;
    assert!((1.0..50.0).contains(&made), "{made}");
}

#[tokio::test]
async fn an_animation_keeps_its_bytes_and_its_variants_are_still() {
    let daemon = start(Wishes::default()).await;
    let image = daemon.plant(Format::Gif, "a.gif", animation(100, 100)).await;
    let got = daemon.get(&image.path).await;
    assert!(got.body == image.bytes && got.header("content-type") == "image/gif");
    let still = daemon.get(&format!("{}?w=64", image.path)).await;
    assert_ne!(still.header("content-type"), "image/gif");
    assert_eq!(pixels_of(&still.body), (64, 64));
}
