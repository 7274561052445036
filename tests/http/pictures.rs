//! Tasks with pictures, as the first task service documents them: every call of its page, with real bytes.

use std::io::Cursor;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use gristmill::http::Code;
use gristmill::store::Store;
use image::{ImageFormat, Rgb, RgbImage};
use serde_json::{Value, json};

use crate::client::{Answer, Someone};
use crate::harness::{Daemon, Wishes, start};

/// A picture of that size in that format.
fn picture(format: ImageFormat, width: u32, height: u32) -> Vec<u8> {
    let shade = |at: u32, of: u32| u8::try_from(at * 255 / of).unwrap();
    let pixels = RgbImage::from_fn(width, height, |x, y| Rgb([shade(x, width), shade(y, height), 60]));
    let mut file = Cursor::new(Vec::new());
    pixels.write_to(&mut file, format).unwrap();
    file.into_inner()
}

/// The same JPEG with the place in its Exif: what a phone would send.
fn with_place(jpeg: &[u8]) -> Vec<u8> {
    // One entry, the pointer to the place (tag 0x8825), and an empty directory of it with a telling comment behind.
    let mut tiff = b"II*\0\x08\0\0\0\x01\0\x25\x88\x04\0\x01\0\0\0\x1a\0\0\0\0\0\0\0".to_vec();
    tiff.extend_from_slice(b"\0\0\0\0\0\0 59 deg 56 min N, 30 deg 18 min E");
    let mut segment = b"Exif\0\0".to_vec();
    segment.extend_from_slice(&tiff);
    let mut file = jpeg[..2].to_vec();
    file.extend_from_slice(&[0xff, 0xe1]);
    file.extend_from_slice(&u16::try_from(segment.len() + 2).unwrap().to_be_bytes());
    file.extend_from_slice(&segment);
    file.extend_from_slice(&jpeg[2..]);
    file
}

fn pixels(file: &[u8]) -> RgbImage {
    image::load_from_memory(file).unwrap().to_rgb8()
}

async fn make(daemon: &Daemon, body: &Value) -> Answer {
    daemon.post("/tasks", &body.to_string()).await
}

#[tokio::test]
async fn every_call_of_the_first_task_service_works_as_its_page_has_it() {
    let daemon = start(Wishes { settings: vec![("auth.trust_user_id", "true")], ..Wishes::default() }).await;
    let user = daemon.post("/users", r#"{"email":"user@example.com"}"#).await.json(201);
    let me = format!("user_id={}", user["id"]);
    let jpeg = picture(ImageFormat::Jpeg, 40, 30);

    let body = json!({"meta": "Метаинформация о задании", "image": STANDARD.encode(&jpeg)}).to_string();
    let task = daemon.post(&format!("/tasks?{me}"), &body).await.json(201);
    assert_eq!(
        (&task["kind"], &task["status"], &task["owner"]),
        (&json!("manual"), &json!("New"), &user["id"])
    );
    assert_eq!(task["meta"], "Метаинформация о задании");
    let id = &task["id"];
    assert_eq!(
        task["image"],
        json!({"url": format!("/tasks/{id}/image"), "format": "jpeg", "width": 40, "height": 30, "size": jpeg.len()})
    );

    assert_eq!(daemon.get(&format!("/tasks?{me}")).await.json(200)[0]["id"], *id);
    assert_eq!(daemon.get(&format!("/tasks/{id}?{me}")).await.json(200)["image"], task["image"]);
    let shown = daemon.get(&format!("/tasks/{id}/image?{me}")).await;
    assert_eq!((shown.status, shown.header("content-type")), (200, "image/jpeg"));
    assert_eq!(shown.body, jpeg);

    let other = daemon.post("/users", r#"{"email":"other@example.com"}"#).await.json(201);
    let other = format!("user_id={}", other["id"]);
    daemon.get(&format!("/tasks/{id}/image?{other}")).await.problem(Code::TaskNotFound);
    let taken = daemon.get(&format!("/take_free_task?{me}")).await.json(200);
    assert_eq!(
        (&taken["id"], &taken["status"], &taken["assignee"]),
        (id, &json!("In Progress"), &user["id"])
    );
    daemon.get(&format!("/take_free_task?{me}")).await.problem(Code::NoFreeTask);
    let total = daemon.get(&format!("/total_tasks_created?{me}")).await.json(200);
    assert_eq!((&total["total_tasks_created"], &total["by_user"]), (&json!(1), &json!(1)));

    let gone = daemon.ask("DELETE", &format!("/tasks/{id}?{me}"), |request| request).await;
    assert_eq!(gone.status, 204);
    daemon.get(&format!("/tasks/{id}?{me}")).await.problem(Code::TaskNotFound);
    daemon.get(&format!("/tasks/{id}/image?{me}")).await.problem(Code::TaskNotFound);
    assert_eq!(daemon.get("/total_tasks_created").await.json(200)["total_tasks_created"], 1);
    let gone = daemon.ask("DELETE", &format!("/users/{}?{me}", user["id"]), |request| request).await;
    assert_eq!(gone.status, 204);
    daemon.get(&format!("/tasks?{me}")).await.problem(Code::Unauthenticated);
}

#[tokio::test]
async fn without_trust_the_same_calls_want_a_proof() {
    let daemon = start(Wishes::default()).await;
    let ann = daemon.someone("Ann").await;
    let body = json!({"meta": 1, "image": STANDARD.encode(picture(ImageFormat::Png, 2, 2))}).to_string();
    let named = format!("user_id={}", ann.id);
    daemon.post(&format!("/tasks?{named}"), &body).await.problem(Code::Unauthenticated);
    let proven = |method: &'static str, path: String, body: String| {
        let (daemon, token) = (&daemon, ann.token.clone());
        async move {
            let json = "application/json";
            daemon.ask(method, &path, |r| r.bearer_auth(token).header("content-type", json).body(body)).await
        }
    };
    let task = proven("POST", format!("/tasks?{named}"), body).await.json(201);
    let image = task["image"]["url"].as_str().unwrap().to_owned();
    daemon.get(&format!("{image}?{named}")).await.problem(Code::Unauthenticated);
    daemon.get(&image).await.problem(Code::TaskNotFound);
    assert_eq!(proven("GET", image, String::new()).await.status, 200);
}

#[tokio::test]
async fn whoever_has_the_task_in_hand_sees_its_picture_and_nobody_else_who_does_not_own_it() {
    let daemon = start(Wishes::default()).await;
    let (ann, bob) = (daemon.someone("Ann").await, daemon.someone("Bob").await);
    let png = picture(ImageFormat::Png, 3, 3);
    let task = make(&daemon, &json!({"image": STANDARD.encode(&png)})).await.json(201);
    let image = task["image"]["url"].as_str().unwrap().to_owned();
    let see = |who: &Someone| {
        let (daemon, token, image) = (&daemon, who.token.clone(), image.clone());
        async move { daemon.ask("GET", &image, |request| request.bearer_auth(token)).await }
    };
    see(&ann).await.problem(Code::TaskNotFound);
    daemon.ask("GET", "/take_free_task", |request| request.bearer_auth(&ann.token)).await.json(200);
    assert_eq!(see(&ann).await.body, png);
    see(&bob).await.problem(Code::TaskNotFound);
    assert_eq!(daemon.get(&image).await.body, png);
}

#[tokio::test]
async fn the_picture_stays_what_it_is_and_what_is_told_beside_it_goes() {
    let daemon = start(Wishes::default()).await;
    let jpeg = picture(ImageFormat::Jpeg, 64, 48);
    let phone = with_place(&jpeg);
    for text in [
        STANDARD.encode(&phone),
        URL_SAFE_NO_PAD.encode(&phone),
        format!("data:image/jpeg;base64,{}", STANDARD.encode(&phone)),
        // The type that is written there proves nothing.
        format!("data:image/png;base64,{}", STANDARD.encode(&phone)),
    ] {
        let task = make(&daemon, &json!({ "image": text })).await.json(201);
        assert_eq!(task.get("meta"), None);
        let shown = daemon.get(task["image"]["url"].as_str().unwrap()).await;
        assert_eq!(shown.header("content-type"), "image/jpeg");
        assert_eq!(pixels(&shown.body), pixels(&jpeg));
        let holds = |bytes: &[u8], what: &[u8]| bytes.windows(what.len()).any(|window| window == what);
        assert!(holds(&phone, b"59 deg") && !holds(&shown.body, b"59 deg") && !holds(&shown.body, b"Exif"));
        assert_eq!(shown.header("x-content-type-options"), "nosniff");
        assert!(shown.header("content-security-policy").contains("sandbox"));
    }
    // Four tasks of one picture keep it once.
    let kept = daemon.blobs.candidates(std::time::Duration::ZERO).unwrap();
    assert_eq!(kept.len(), 1);
    assert!(daemon.store.unreferenced(&kept).await.unwrap().is_empty());
}

#[tokio::test]
async fn what_is_no_picture_makes_no_task_and_leaves_nothing_behind() {
    let daemon = start(Wishes { settings: vec![("images.max_bytes", "4096")], ..Wishes::default() }).await;
    let png = picture(ImageFormat::Png, 8, 8);
    // More than can be told in so few bytes.
    let noise = |x: u32, y: u32| u8::try_from((x * 7919 + y * 104_729 + x * y * 31) % 251).unwrap();
    let mut large = Cursor::new(Vec::new());
    let pixels = RgbImage::from_fn(64, 64, |x, y| Rgb([noise(x, y), noise(y, x), noise(x + y, x)]));
    pixels.write_to(&mut large, ImageFormat::Png).unwrap();
    let large = large.into_inner();
    assert!(large.len() > 4096, "{}", large.len());
    for (image, code) in [
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>".to_vec(), Code::UnsupportedImage),
        (Vec::new(), Code::UnsupportedImage),
        (png[..png.len() - 20].to_vec(), Code::DamagedImage),
        (large, Code::ImageTooLarge),
    ] {
        let refused = make(&daemon, &json!({"meta": 1, "image": STANDARD.encode(&image)})).await;
        assert_eq!(refused.problem(code)["errors"][0]["pointer"], "/image");
    }
    let batch =
        json!([{"meta": 1}, {"image": STANDARD.encode(&png)}, {"image": STANDARD.encode(&png[..40])}]);
    let refused = daemon.post("/tasks/batch", &batch.to_string()).await;
    assert_eq!(refused.problem(Code::DamagedImage)["errors"][0]["pointer"], "/2/image");
    for body in [
        json!({"image": "*"}),
        json!({"image": 7}),
        json!({"kind": "noop", "image": STANDARD.encode(&png)}),
        json!({"kind": "manual", "payload": {"a": 1}, "image": STANDARD.encode(&png)}),
    ] {
        make(&daemon, &body).await.problem(Code::InvalidBody);
    }
    assert_eq!(daemon.rows().await, 0);
    assert_eq!(daemon.blobs.drafts().unwrap(), 0);
    // What the batch kept before it was refused belongs to nobody, and is swept.
    let left = daemon.blobs.candidates(std::time::Duration::ZERO).unwrap();
    assert_eq!(daemon.store.unreferenced(&left).await.unwrap(), left);
}

#[tokio::test]
async fn a_task_without_a_picture_has_none_to_show() {
    let daemon = start(Wishes::default()).await;
    let task = make(&daemon, &json!({"meta": 1})).await.json(201);
    daemon.get(&format!("/tasks/{}/image", task["id"])).await.problem(Code::ImageNotFound);
    daemon.get("/tasks/99/image").await.problem(Code::TaskNotFound);
}

#[tokio::test]
async fn an_image_that_nobody_owns_is_not_removed_by_the_number_of_its_task() {
    let daemon = start(Wishes::default()).await;
    let png = picture(ImageFormat::Png, 4, 4);
    let sent =
        daemon.ask("POST", "/upload", |r| r.header("content-type", "image/png").body(png)).await.json(201);
    let task = format!("/tasks/{}", sent["task"]["id"]);
    daemon.ask("DELETE", &task, |request| request).await.problem(Code::Forbidden);
    daemon.post(&format!("{task}/cancel"), "").await.problem(Code::Forbidden);
    let name = sent["filename"].as_str().unwrap();
    assert_eq!(daemon.get(&format!("/images/{name}")).await.status, 200);
    let token = sent["delete_token"].as_str().unwrap();
    let gone = daemon.ask("DELETE", &format!("/images/{name}?token={token}"), |request| request).await;
    assert_eq!(gone.status, 204);
    daemon.get(&task).await.problem(Code::TaskNotFound);
}

#[tokio::test]
async fn of_an_image_its_task_shows_what_is_stored_and_never_what_came() {
    let daemon = start(Wishes { idle: true, ..Wishes::default() }).await;
    let ann = daemon.someone("Ann").await;
    let file = with_place(&picture(ImageFormat::Jpeg, 40, 30));
    let send = async |who: Option<&Someone>| {
        let sent = daemon.ask("POST", "/upload", |request| {
            let request = request.header("content-type", "image/jpeg").body(file.clone());
            let request = request.header("prefer", "respond-async");
            who.into_iter().fold(request, |request, who| request.bearer_auth(&who.token))
        });
        sent.await
    };
    let waiting = send(None).await.json(202)["task"]["id"].as_i64().unwrap();
    let answer = daemon.get(&format!("/tasks/{waiting}/image")).await;
    assert_eq!(answer.json(202)["id"], waiting, "the place is still in what came");
    assert_eq!(answer.header("retry-after"), "1");
    let cancelled = format!("/tasks/{}", send(Some(&ann)).await.json(202)["task"]["id"]);
    daemon.by(&ann, "POST", &format!("{cancelled}/cancel"), json!({})).await.json(200);
    let refused = daemon.by(&ann, "GET", &format!("{cancelled}/image"), json!(null)).await;
    refused.problem(Code::ImageFailed);

    daemon.work();
    daemon.until(waiting, "Completed").await;
    let shown = daemon.get(&format!("/tasks/{waiting}/image")).await;
    assert_eq!(pixels(&shown.body), pixels(&file));
    assert!(!shown.body.windows(6).any(|bytes| bytes == b"59 deg"), "the place");
}

#[tokio::test]
async fn pictures_of_tasks_and_users_count_among_the_images_that_one_may_send() {
    let daemon =
        start(Wishes { settings: vec![("images.uploads_per_minute", "2")], ..Wishes::default() }).await;
    let image = STANDARD.encode(picture(ImageFormat::Png, 4, 4));
    make(&daemon, &json!({"image": image})).await.json(201);
    let two = json!([{"image": image}, {"meta": 1}, {"image": image}]).to_string();
    daemon.post("/tasks/batch", &two).await.problem(Code::RateLimited);
    let user = |name: &str| json!({"name": name, "avatar": image}).to_string();
    let ann = daemon.post("/users", &user("Ann")).await.json(201);
    let over = daemon.post("/users", &user("Bob")).await;
    over.problem(Code::RateLimited);
    assert!((1..=30).contains(&over.header("retry-after").parse::<u64>().unwrap()));
    make(&daemon, &json!({"image": image})).await.problem(Code::RateLimited);
    // Whoever is somebody has an allowance of their own; and what is no image costs nothing.
    let path = format!("/users/{}", ann["id"]);
    for expected in [Ok(200), Ok(200), Err(Code::RateLimited)] {
        let changed = daemon
            .ask("PATCH", &path, |request| {
                request.bearer_auth(ann["token"].as_str().unwrap()).json(&json!({"avatar": image}))
            })
            .await;
        match expected {
            Ok(status) => drop(changed.json(status)),
            Err(code) => drop(changed.problem(code)),
        }
    }
    make(&daemon, &json!({"meta": 1})).await.json(201);
    daemon.post("/users", r#"{"name": "Bob"}"#).await.json(201);
}
