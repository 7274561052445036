//! The image server as its page documents it: sending, listing and removing images, with real bytes in and out.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use gristmill::http::Code;
use serde_json::{Value, json};

use crate::client::Answer;
use crate::harness::{Daemon, Wishes, start};
use crate::photos::{chunk, gif, jpeg, located, photos, pixels, png, rotten_png, with_chunks};
use crate::wav::path_of;

fn with(settings: &[(&'static str, &'static str)]) -> Wishes {
    Wishes { settings: settings.to_vec(), ..Wishes::default() }
}

#[tokio::test]
async fn an_image_is_sent_and_its_link_gives_the_pixels_and_nothing_else_that_was_in_the_file() {
    let daemon = start(Wishes::default()).await;
    let secrets = with_chunks(&png(40, 30), &chunk(b"tEXt", b"Comment\0SECRET"));
    for (name, file, format, extension, removed) in [
        ("cat.jpg", located(&jpeg(400, 300)), "jpeg", "jpg", vec!["exif", "gps", "comment"]),
        ("dog.png", secrets, "png", "png", vec!["text"]),
        ("fox.gif", gif(40, 30), "gif", "gif", vec![]),
    ] {
        let made = daemon.send_photos(&[(name, file.clone())], None).await;
        let image = made.json(201);
        let filename = image["filename"].as_str().unwrap();
        assert!(filename.len() == 26 && filename.ends_with(&format!(".{extension}")), "{image}");
        let url = format!("http://{}/images/{filename}", daemon.address);
        assert_eq!(image["url"], url);
        assert_eq!(made.header("location"), url);
        assert_eq!(made.header("cache-control"), "no-store");
        assert_eq!(image["original_name"], name);
        assert_eq!((&image["format"], &image["frames"]), (&json!(format), &json!(1)));
        let seen = pixels(&file);
        assert_eq!((&image["width"], &image["height"]), (&json!(seen.width()), &json!(seen.height())));
        assert_eq!(image["removed"], json!(removed), "{name}");
        assert_eq!(
            (&image["task"]["kind"], &image["task"]["status"]),
            (&json!("image"), &json!("Completed"))
        );
        assert!(!STANDARD.decode(image["thumbhash"].as_str().unwrap()).unwrap().is_empty());
        assert!(image["uploaded_at"].as_str().unwrap().ends_with('Z') && image["id"].is_string(), "{image}");

        let stored = daemon.served(&image).await;
        assert_eq!(image["size"], stored.len());
        assert!(pixels(&stored) == seen, "{name}: every pixel is the one that was sent");
        assert!(!String::from_utf8_lossy(&stored).contains("SECRET"), "{name}");
        let thumbnail = image["thumbnail_url"].as_str().unwrap();
        assert_eq!(thumbnail, format!("{url}?w=320&h=320"));
        let thumbnail = daemon.get(&path_of(thumbnail)).await;
        assert_eq!(thumbnail.status, 200, "{}", thumbnail.text());
        assert_eq!(pixels(&thumbnail.body).width(), seen.width().min(320));
    }
    let lines = daemon.action_lines();
    for name in ["cat.jpg", "dog.png", "fox.gif"] {
        assert!(lines.contains(&format!("Success: image {name} uploaded.")), "{lines}");
    }
    assert_eq!(daemon.blobs.drafts().unwrap(), 0);
}

#[tokio::test]
async fn what_is_no_image_is_refused_by_its_bytes_in_the_words_of_the_log() {
    let daemon = start(Wishes { idle: true, ..Wishes::default() }).await;
    let long_text = b"no image, ".repeat(100_000);
    for bytes in [
        b"plain text".to_vec(),
        long_text,
        Vec::new(),
        b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>".to_vec(),
        b"<html>".to_vec(),
        b"BM\x46\0\0\0\0\0\0\0".to_vec(),
        b"RIFF\x24\0\0\0WEBPVP8 \x18\0\0\0".to_vec(),
    ] {
        let told = daemon.send_photos(&[("user_file.txt", bytes.clone())], None).await;
        let told = told.problem(Code::UnsupportedImage);
        let detail = told["detail"].as_str().unwrap();
        assert!(detail.starts_with("`user_file.txt`: ") && detail.contains("jpeg, png or gif"), "{told}");
        let raw = daemon.send_raw("/upload?filename=user_file.txt", "image/png", bytes.clone()).await;
        raw.problem(Code::UnsupportedImage);
        let body = json!({"image": STANDARD.encode(&bytes), "filename": "user_file.txt"});
        daemon.post("/upload", &body.to_string()).await.problem(Code::UnsupportedImage);
    }
    daemon.nothing_is_kept().await;
    let lines = daemon.action_lines();
    assert_eq!(lines.matches("Error: unsupported file format (user_file.txt).").count(), 21, "{lines}");

    let daemon = start(with(&[("log.language", "ru")])).await;
    daemon.photo("img1.jpg", None).await;
    daemon.send_photos(&[("user_file.txt", b"x".to_vec())], None).await.problem(Code::UnsupportedImage);
    let lines = daemon.action_lines();
    assert!(lines.contains("] Успех: изображение img1.jpg загружено.\n"), "{lines}");
    assert!(lines.contains("] Ошибка: неподдерживаемый формат файла (user_file.txt).\n"), "{lines}");
}

#[tokio::test]
async fn a_form_a_file_and_json_are_the_same_image_and_one_blob() {
    let daemon = start(Wishes::default()).await;
    let file = png(60, 40);
    let text = STANDARD.encode(&file);
    let lines: Vec<&str> =
        text.as_bytes().chunks(76).map(|line| std::str::from_utf8(line).unwrap()).collect();
    let mut images = vec![daemon.send_photos(&[("a.png", file.clone())], None).await.json(201)];
    for media_type in ["image/png", "image/jpeg", "application/octet-stream", "Image/X; a=b"] {
        images.push(daemon.send_raw("/upload?filename=a.png", media_type, file.clone()).await.json(201));
    }
    for (field, text) in [
        ("image", text.clone()),
        ("file", format!("data:image/png;base64,{text}")),
        ("data", URL_SAFE_NO_PAD.encode(&file)),
        ("image", STANDARD_NO_PAD.encode(&file)),
        ("image", lines.join("\r\n")),
    ] {
        let body = json!({ field: text, "filename": "a.png" }).to_string();
        images.push(daemon.post("/upload", &body).await.json(201));
        // As some programs write it.
        images.push(daemon.post("/upload", &body.replace('/', "\\/")).await.json(201));
    }
    let mut names: Vec<&str> = images.iter().map(|image| image["filename"].as_str().unwrap()).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), images.len(), "each has a name of its own");
    for image in &images {
        assert_eq!(image["original_name"], "a.png", "{image}");
        assert_eq!(daemon.served(image).await, daemon.served(&images[0]).await);
    }
    // Nothing was taken out, so that what came in is what is kept.
    assert_eq!(daemon.left().await, (images.len(), 1));
    // And it stays while one image has it.
    for image in &images[1..] {
        daemon.ask("DELETE", &removal(image), |request| request).await;
    }
    assert_eq!(daemon.left().await, (1, 1));
    daemon.served(&images[0]).await;
    daemon.ask("DELETE", &removal(&images[0]), |request| request).await;
    assert_eq!(daemon.left().await, (0, 0));
}

/// The path that removes an image by its token.
fn removal(image: &Value) -> String {
    let (name, token) = (image["filename"].as_str().unwrap(), image["delete_token"].as_str().unwrap());
    format!("/images/{name}?token={token}")
}

#[tokio::test]
async fn json_that_holds_no_file_says_why() {
    let daemon = start(Wishes { idle: true, ..Wishes::default() }).await;
    let file = STANDARD.encode(png(4, 4));
    for (body, field, told) in [
        (json!({}), "image", "missing"),
        (json!({"filename": "a.png"}), "image", "missing"),
        (json!({"image": 5}), "image", "expected text"),
        (json!({"image": file, "data": file}), "data", "two files"),
        (json!({"picture": file}), "picture", "no such field"),
        (json!({"image": file, "filename": 7}), "filename", "expected text"),
        (json!({"image": format!("{}*", &file[..8])}), "image", "'*' at character 8"),
        (json!({"image": &file[..9]}), "image", "cut off"),
        (json!({"image": "data:image/png,abc"}), "image", "data URL"),
        (json!({"file": "QQ==QQ=="}), "file", "after the padding"),
    ] {
        let problem = daemon.post("/upload", &body.to_string()).await.problem(Code::InvalidBody);
        let first = &problem["errors"][0];
        assert_eq!(first["field"], field, "{problem}");
        assert!(first["problem"].as_str().unwrap().contains(told), "{problem}");
    }
    daemon.post("/upload", "{").await.problem(Code::InvalidJson);
    daemon.post("/upload", "[]").await.problem(Code::InvalidBody);
    for media_type in ["text/plain", "application/x-www-form-urlencoded", "multipart/mixed; boundary=b"] {
        daemon.send_raw("/upload", media_type, png(4, 4)).await.problem(Code::UnsupportedMediaType);
    }
    let packed = daemon.ask("POST", "/upload", |request| {
        request.header("content-encoding", "gzip").header("content-type", "image/png").body(png(4, 4))
    });
    packed.await.problem(Code::UnsupportedMediaType);
    daemon.nothing_is_kept().await;
}

#[tokio::test]
async fn several_files_are_taken_all_or_none() {
    let daemon = start(Wishes::default()).await;
    let several = [("a.png", png(10, 10)), ("b.jpg", jpeg(10, 10)), ("c.gif", gif(10, 10))];
    let made = daemon.send_photos(&several, None).await.json(201);
    let names: Vec<&Value> = made.as_array().unwrap().iter().map(|image| &image["original_name"]).collect();
    assert_eq!(names, ["a.png", "b.jpg", "c.gif"]);
    for image in made.as_array().unwrap() {
        assert_eq!(image["task"]["status"], "Completed");
        daemon.served(image).await;
    }
    let (tasks, blobs) = daemon.left().await;
    assert_eq!((tasks, blobs), (3, 3));
    for (bad, code, named) in [
        (("bad.txt", b"text".to_vec()), Code::UnsupportedImage, "`bad.txt`"),
        (("cut.png", png(30, 30)[..80].to_vec()), Code::DamagedImage, "`cut.png`"),
        // Seen by who decodes it.
        (("rot.png", rotten_png(30, 30)), Code::DamagedImage, "`rot.png`"),
    ] {
        let files = [("good.png", png(11, 11)), bad, ("other.png", png(12, 12))];
        let problem = daemon.send_photos(&files, None).await.problem(code);
        assert!(problem["detail"].as_str().unwrap().contains(named), "{problem}");
        assert_eq!(daemon.left().await, (tasks, blobs), "{named}");
    }
    let lines = daemon.action_lines();
    assert!(lines.contains("Error: damaged file (rot.png).") && !lines.contains("good.png"), "{lines}");

    let daemon = start(with(&[("images.max_files", "2")])).await;
    let two = daemon.send_photos(&several[..2], None).await.json(201);
    assert_eq!(two.as_array().unwrap().len(), 2);
    let problem = daemon.send_photos(&several, None).await.problem(Code::InvalidForm);
    assert!(problem["detail"].as_str().unwrap().contains("more than 2 files"), "{problem}");
    assert_eq!(daemon.left().await, (2, 2));
}

#[tokio::test]
async fn of_what_turns_out_to_be_damaged_nothing_is_left() {
    let daemon = start(Wishes::default()).await;
    for path in ["/upload", "/upload?filename=a.png"] {
        let problem =
            daemon.send_raw(path, "image/png", rotten_png(20, 20)).await.problem(Code::DamagedImage);
        assert!(problem["detail"].as_str().unwrap().contains("damaged"), "{problem}");
    }
    assert_eq!(daemon.left().await, (0, 0));
    assert_eq!(daemon.get("/images/").await.json(200), json!([]));
    // With a key the failed task tells the same to who asks again.
    let ask = || {
        daemon.ask("POST", "/upload", |request| {
            let request = request.header("idempotency-key", "k").header("content-type", "image/png");
            request.body(rotten_png(20, 20))
        })
    };
    let (first, again) = (ask().await, ask().await);
    assert_eq!(first.problem(Code::DamagedImage)["detail"], again.problem(Code::DamagedImage)["detail"]);
    assert_eq!(daemon.left().await, (1, 0));
    // Who does not wait finds the task.
    let later = daemon.ask("POST", "/upload", |request| {
        let request = request.header("prefer", "respond-async").header("content-type", "image/png");
        request.body(rotten_png(20, 20))
    });
    let image = later.await.json(202);
    let failed = daemon.until(image["task"]["id"].as_i64().unwrap(), "Failed").await;
    assert_eq!(failed["error"]["reason"], "invalid_input", "{failed}");
    assert_eq!(daemon.left().await, (2, 0));
    assert_eq!(daemon.get("/images/").await.json(200), json!([]));
}

#[tokio::test]
async fn who_does_not_wait_gets_the_link_before_the_image_is_there() {
    let daemon = start(Wishes { idle: true, ..Wishes::default() }).await;
    for wish in ["respond-async", "wait=0", "wait=1"] {
        let later = daemon.upload("/upload", photos(&[("a.png", png(30, 20))]), wish).await;
        let image = later.json(202);
        assert_eq!(later.header("location"), format!("/tasks/{}", image["task"]["id"]));
        assert!(later.header("preference-applied").starts_with(wish.split('=').next().unwrap()));
        assert_eq!((&image["width"], &image["height"]), (&json!(30), &json!(20)), "by its headers");
        assert!(image["delete_token"].is_string() && image["thumbhash"].is_null(), "{image}");
    }
    assert_eq!(daemon.get("/images/").await.json(200), json!([]), "nothing is ready");
    daemon.work();
    let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(20);
    while daemon.get("/images/").await.json(200).as_array().unwrap().len() < 3 {
        assert!(tokio::time::Instant::now() < deadline);
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    assert_eq!(daemon.action_lines().matches("Success: image a.png uploaded.").count(), 3);
}

fn keyed(request: reqwest::RequestBuilder, key: &str) -> reqwest::RequestBuilder {
    request.header("idempotency-key", key)
}

#[tokio::test]
async fn an_upload_with_a_key_counts_once_and_its_token_is_told_once() {
    let daemon = start(Wishes::default()).await;
    let one = || photos(&[("a.png", png(30, 20))]);
    let ask = |key: &'static str, form| {
        daemon.ask("POST", "/upload", |request| keyed(request, key).multipart(form))
    };
    let first = ask("k", one()).await.json(201);
    let again = ask("k", one()).await;
    assert_eq!(again.header("idempotent-replayed"), "true");
    let mut expected = first.clone();
    expected.as_object_mut().unwrap().remove("delete_token");
    assert_eq!(again.json(201), expected);
    assert_eq!(daemon.left().await.0, 1);
    ask("k", photos(&[("b.png", png(30, 20))])).await.problem(Code::KeyReused);
    ask("k", photos(&[("a.png", png(31, 20))])).await.problem(Code::KeyReused);
    // Also several, and after they are gone.
    let two = || photos(&[("a.png", png(30, 20)), ("b.png", png(20, 20))]);
    let first = ask("two", two()).await.json(201);
    let again = ask("two", two()).await.json(201);
    assert_eq!(again.as_array().unwrap().len(), 2);
    assert_eq!(again[1]["filename"], first[1]["filename"]);
    daemon.ask("DELETE", &removal(&first[0]), |request| request).await;
    let gone = ask("two", two()).await;
    assert_eq!((gone.status, gone.header("idempotent-replayed")), (202, "true"));
    assert!(!gone.text().contains("delete_token"), "{}", gone.text());
    assert_eq!(daemon.left().await.0, 2);
}

#[tokio::test]
async fn an_image_is_removed_by_its_token_its_owner_or_an_admin_and_by_nobody_else() {
    let daemon = start(Wishes::default()).await;
    let [ann, bob, eve] =
        [daemon.someone("Ann").await, daemon.someone("Bob").await, daemon.someone("Eve").await];
    daemon.make_admin(&eve).await;
    let path = |image: &Value| format!("/images/{}", image["filename"].as_str().unwrap());
    let delete = async |image: &Value, token: Option<&str>, header: Option<&str>| -> Answer {
        daemon
            .ask("DELETE", &path(image), |mut request| {
                if let Some(token) = token {
                    request = request.bearer_auth(token);
                }
                match header {
                    Some(header) => request.header("x-delete-token", header),
                    None => request,
                }
            })
            .await
    };
    let hers = daemon.photo("hers.png", Some(&ann)).await;
    assert_eq!(hers["owner"], ann.id);
    let nobodys = daemon.photo("nobodys.png", None).await;
    let foreign = nobodys["delete_token"].as_str().unwrap().to_owned();
    delete(&hers, None, None).await.problem(Code::Unauthenticated);
    delete(&hers, Some(&bob.token), None).await.problem(Code::Forbidden);
    for wrong in [foreign.as_str(), "", "x", "00000000-0000-4000-8000-000000000000", &ann.token] {
        delete(&hers, None, Some(wrong)).await.problem(Code::Forbidden);
    }
    delete(&nobodys, None, None).await.problem(Code::Unauthenticated);
    delete(&nobodys, Some(&bob.token), None).await.problem(Code::Forbidden);
    daemon.served(&hers).await;
    daemon.served(&nobodys).await;

    assert_eq!(delete(&hers, Some(&ann.token), None).await.status, 204);
    delete(&hers, Some(&ann.token), None).await.problem(Code::ImageNotFound);
    daemon.get(&path(&hers)).await.problem(Code::ImageNotFound);
    assert_eq!(delete(&nobodys, None, Some(&foreign)).await.status, 204);
    for (image, by) in [
        (daemon.photo("a.png", Some(&ann)).await, Some(&eve)),
        (daemon.photo("b.png", None).await, Some(&eve)),
        // A token that proves the right, from whoever it comes.
        (daemon.photo("c.png", Some(&ann)).await, Some(&bob)),
        (daemon.photo("d.png", Some(&ann)).await, None),
    ] {
        let by_role = by.is_some_and(|by| by.id == eve.id);
        let path = if by_role { path(&image) } else { removal(&image) };
        let gone = daemon.ask("DELETE", &path, |request| match by {
            Some(by) => request.bearer_auth(&by.token),
            None => request,
        });
        assert_eq!(gone.await.status, 204, "{image}");
    }
    for name in ["nothing", "AAAAAAAAAAAAAAAAAAAAAA.png", "..%2f..%2fetc%2fpasswd", "a%00b"] {
        let answer = daemon.ask("DELETE", &format!("/images/{name}"), |request| request).await;
        answer.problem(Code::ImageNotFound);
    }
    assert_eq!(daemon.left().await, (0, 0));
    let lines = daemon.action_lines();
    assert!(lines.contains("Success: image hers.png deleted."), "{lines}");
}

#[tokio::test]
async fn a_removal_with_a_key_is_answered_again_when_the_image_is_gone() {
    let daemon = start(Wishes::default()).await;
    let image = daemon.photo("a.png", None).await;
    let path = removal(&image);
    let ask = |key: &'static str| daemon.ask("DELETE", &path, |request| keyed(request, key));
    assert_eq!(ask("k").await.status, 204);
    let again = ask("k").await;
    assert_eq!((again.status, again.header("idempotent-replayed")), (204, "true"));
    ask("another").await.problem(Code::ImageNotFound);
    assert_eq!(daemon.action_lines().matches("deleted").count(), 1);
}

#[tokio::test]
async fn the_token_works_where_callers_without_an_identity_are_not_let_in() {
    let daemon = start(with(&[("auth.anonymous", "false")])).await;
    let ann = daemon.someone("Ann").await;
    let image = daemon.photo("a.png", Some(&ann)).await;
    daemon.send_photos(&[("a.png", png(4, 4))], None).await.problem(Code::Unauthenticated);
    daemon.send_raw("/upload", "image/png", png(4, 4)).await.problem(Code::Unauthenticated);
    daemon.post("/upload", r#"{"image":"AAAA"}"#).await.problem(Code::Unauthenticated);
    daemon.get("/images/").await.problem(Code::Unauthenticated);
    assert_eq!(daemon.left().await, (1, 1));
    // The fields of the form prove who it is, in any order.
    let fields = |form: reqwest::multipart::Form| {
        form.text("user", ann.id.to_string()).text("token", ann.token.clone())
    };
    for form in [
        fields(photos(&[("b.png", png(4, 4))])),
        fields(reqwest::multipart::Form::new()).part("image", crate::photos::part("b.png", png(4, 4))),
    ] {
        assert_eq!(daemon.upload("/upload", form, "").await.json(201)["owner"], ann.id);
    }
    let wrong = photos(&[("b.png", png(4, 4))]).text("token", "00000000-0000-4000-8000-000000000000");
    daemon.upload("/upload", wrong, "").await.problem(Code::InvalidToken);
    let named = photos(&[("b.png", png(4, 4))]).text("user", ann.id.to_string());
    daemon.upload("/upload", named, "").await.problem(Code::Unauthenticated);
    assert_eq!(daemon.ask("DELETE", &removal(&image), |request| request).await.status, 204);
}

#[tokio::test]
async fn the_gallery_shows_each_their_own_page_by_page_the_newest_first() {
    let daemon = start(Wishes::default()).await;
    let [ann, bob, eve] =
        [daemon.someone("Ann").await, daemon.someone("Bob").await, daemon.someone("Eve").await];
    daemon.make_admin(&eve).await;
    for n in 0..5 {
        daemon.photo(&format!("ann{n}.png"), Some(&ann)).await;
    }
    daemon.photo("bob.png", Some(&bob)).await;
    daemon.photo("nobody.png", None).await;
    let names = async |path: &str, token: Option<&str>| -> (Vec<String>, String) {
        let answer = daemon
            .ask("GET", path, |request| match token {
                Some(token) => request.bearer_auth(token),
                None => request,
            })
            .await;
        let link = answer.header("link").to_owned();
        let names = answer.json(200);
        let name = |image: &Value| image["original_name"].as_str().unwrap().to_owned();
        (names.as_array().unwrap().iter().map(name).collect(), link)
    };
    for path in ["/images/", "/images"] {
        let (all, link) = names(path, Some(&ann.token)).await;
        assert_eq!(all, ["ann4.png", "ann3.png", "ann2.png", "ann1.png", "ann0.png"]);
        assert_eq!(link, "");
        assert_eq!(names(path, Some(&bob.token)).await.0, ["bob.png"]);
        assert_eq!(names(path, None).await.0, ["nobody.png"]);
        assert_eq!(names(path, Some(&eve.token)).await.0.len(), 7);
        let (mut seen, mut next) = (Vec::new(), format!("{path}?limit=2"));
        loop {
            let (page, link) = names(&next, Some(&ann.token)).await;
            assert!(page.len() <= 2);
            seen.extend(page);
            let Some(rest) = link.strip_prefix('<') else { break };
            next = rest.split('>').next().unwrap().to_owned();
        }
        assert_eq!(seen, all);
        daemon.get(&format!("{path}?limit=0")).await.problem(Code::InvalidParameter);
        daemon.get(&format!("{path}?offset=1")).await.problem(Code::InvalidParameter);
        daemon.get(&format!("{path}?user_id={}", ann.id)).await.problem(Code::Unauthenticated);
        let other = format!("{path}?user_id={}", bob.id);
        let other = daemon.ask("GET", &other, |request| request.bearer_auth(&ann.token));
        other.await.problem(Code::OtherUser);
    }
    let shown = daemon.get("/images/").await.json(200);
    let image = &shown[0];
    for field in ["id", "url", "filename", "size", "format", "width", "height", "uploaded_at", "thumbhash"] {
        assert!(!image[field].is_null(), "{field}: {image}");
    }
    assert!(image["delete_token"].is_null() && image["task"].is_null(), "{image}");
}

#[tokio::test]
async fn links_are_by_tls_where_callers_come_by_it() {
    for (settings, forwarded, base) in [
        (vec![], Some("https"), "http://mill.example/"),
        (vec![("http.trusted_proxies", "127.0.0.0/8")], Some("https"), "https://mill.example/"),
        (vec![("http.trusted_proxies", "127.0.0.0/8")], None, "http://mill.example/"),
        (vec![("http.public_url", "https://front.example/mill/")], None, "https://front.example/mill/"),
    ] {
        let named = [&settings[..], &[("http.hosts", "mill.example")]].concat();
        let daemon = start(with(&named)).await;
        let sent = daemon.ask("POST", "/upload", |request| {
            let request =
                request.header("host", "mill.example").header("content-type", "image/png").body(png(4, 4));
            forwarded.into_iter().fold(request, |request, it| request.header("x-forwarded-proto", it))
        });
        let image = sent.await.json(201);
        for link in ["url", "thumbnail_url"] {
            assert!(image[link].as_str().unwrap().starts_with(base), "{settings:?} {forwarded:?}: {image}");
        }
        assert_eq!(daemon.get("/images/").await.header("cache-control"), "no-store", "links are by the host");
    }
}

#[tokio::test]
async fn quotas_end_with_429_and_begin_again_when_something_is_removed() {
    let daemon = start(with(&[("images.max_per_user", "2")])).await;
    let ann = daemon.someone("Ann").await;
    let first = daemon.photo("a.png", Some(&ann)).await;
    daemon.photo("b.png", Some(&ann)).await;
    let over = daemon.send_photos(&[("c.png", png(20, 10))], Some(&ann)).await;
    let problem = over.problem(Code::QuotaExceeded);
    assert_eq!(over.header("retry-after"), problem["retry_after_s"].to_string());
    assert!(problem["detail"].as_str().unwrap().contains("2 images"), "{problem}");
    // Who is nobody is another, and all who are nobody are one.
    daemon.photo("d.png", None).await;
    daemon
        .send_photos(&[("e.png", png(4, 4)), ("f.png", png(5, 5))], None)
        .await
        .problem(Code::QuotaExceeded);
    daemon.photo("g.png", None).await;
    daemon.ask("DELETE", &removal(&first), |request| request).await;
    daemon.photo("h.png", Some(&ann)).await;
    assert!(daemon.action_lines().contains("Error: no room for more (c.png)."));
    assert_eq!(daemon.left().await.0, 4);

    let daemon = start(with(&[("images.max_bytes_per_user", "2 KiB")])).await;
    let ann = daemon.someone("Ann").await;
    let file = crate::photos::png_of_size(1500);
    daemon.send_photos(&[("a.png", file.clone())], Some(&ann)).await.json(201);
    // What is kept counts, and that is less than what came.
    daemon.send_photos(&[("b.png", file)], Some(&ann)).await.json(201);
    let large = crate::photos::png_of_size(2049);
    daemon.send_photos(&[("c.png", large)], Some(&ann)).await.problem(Code::QuotaExceeded);
}

#[tokio::test]
async fn pictures_with_tasks_count_among_the_images_of_a_user() {
    let daemon = start(with(&[("images.max_per_user", "2")])).await;
    let ann = daemon.someone("Ann").await;
    let task = |side: u32| json!({"kind": "manual", "image": STANDARD.encode(png(side, side))});
    let made = daemon.by(&ann, "POST", "/tasks", task(4)).await.json(201);
    let batch = json!([task(5), task(6)]);
    daemon.by(&ann, "POST", "/tasks/batch", batch).await.problem(Code::QuotaExceeded);
    daemon.photo("a.png", Some(&ann)).await;
    daemon.send_photos(&[("b.png", png(7, 7))], Some(&ann)).await.problem(Code::QuotaExceeded);
    let over = daemon.by(&ann, "POST", "/tasks", task(8)).await;
    let problem = over.problem(Code::QuotaExceeded);
    assert_eq!(over.header("retry-after"), problem["retry_after_s"].to_string());
    // Their own picture, and tasks without one, are not counted; and who is nobody is another.
    let face = json!({"avatar": STANDARD.encode(png(9, 9))});
    daemon.by(&ann, "PATCH", &format!("/users/{}", ann.id), face).await.json(200);
    daemon.by(&ann, "POST", "/tasks", json!({"kind": "manual"})).await.json(201);
    daemon.post("/tasks", &task(4).to_string()).await.json(201);
    daemon.by(&ann, "DELETE", &format!("/tasks/{}", made["id"]), json!(null)).await;
    daemon.by(&ann, "POST", "/tasks", task(8)).await.json(201);
}

#[tokio::test]
async fn uploads_are_counted_by_user_and_else_by_address() {
    let daemon = start(with(&[("images.uploads_per_minute", "3")])).await;
    let [ann, bob] = [daemon.someone("Ann").await, daemon.someone("Bob").await];
    for _ in 0..3 {
        daemon.photo("a.png", Some(&ann)).await;
    }
    let over = daemon.send_photos(&[("a.png", png(4, 4))], Some(&ann)).await;
    let problem = over.problem(Code::RateLimited);
    let wait: u64 = over.header("retry-after").parse().unwrap();
    assert!((1..=20).contains(&wait), "a third of a minute at the most: {wait}");
    assert_eq!(problem["retry_after_s"], wait);
    daemon.photo("a.png", Some(&bob)).await;
    // Each file of a form counts, whatever becomes of it.
    daemon.send_photos(&[("a.png", png(4, 4)), ("b.png", png(4, 4))], None).await.json(201);
    daemon.send_photos(&[("a.txt", b"x".to_vec())], None).await.problem(Code::UnsupportedImage);
    daemon.send_raw("/upload", "image/png", png(4, 4)).await.problem(Code::RateLimited);
    assert!(daemon.action_lines().contains("Error: too many uploads (a.png)."));
}

#[tokio::test]
async fn names_of_files_are_shown_and_never_obeyed() {
    let daemon = start(Wishes { idle: true, ..Wishes::default() }).await;
    let (long, cut) = ("ж".repeat(150), "ж".repeat(127));
    for (header, name) in [
        ("filename=\"../../etc/passwd\"", "passwd"),
        ("filename=\"C:\\\\temp\\\\evil.png\"", "evil.png"),
        ("filename=\"<script>alert(1)<\\script>.png\"", "<script>alert(1)<script>.png"),
        ("filename=\"a\\\"b.png\"", "a\"b.png"),
        ("filename=\"\"", "image.png"),
        ("filename=\"...\"", "image.png"),
        ("filename=\"котик.png\"", "котик.png"),
        ("filename=\"a\tb.png\"", "ab.png"),
        ("filename*=UTF-8''a%0d%0aSet-Cookie%3a%20x.png", "aSet-Cookie: x.png"),
        ("filename*=UTF-8''%00%1b%5b2J.png", "[2J.png"),
        ("filename*=UTF-8''gnp%e2%80%ae.exe", "gnp.exe"),
        (&format!("filename=\"{long}\""), &*cut),
    ] {
        let mut body =
            format!("--b\r\nContent-Disposition: form-data; name=\"file\"; {header}\r\n\r\n").into_bytes();
        body.extend(png(4, 4));
        body.extend(b"\r\n--b--\r\n");
        let asked = daemon.ask("POST", "/upload", |request| {
            let request = request.header("content-type", "multipart/form-data; boundary=b");
            request.header("prefer", "respond-async").body(body)
        });
        let image = asked.await.json(202);
        assert_eq!(image["original_name"], name, "{header}");
        let ours = image["filename"].as_str().unwrap();
        assert!(ours.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'.'), "{ours}");
    }
    for (name, value, shown) in [
        ("x-filename", "a/b/c.png", "c.png"),
        ("x-filename", "%D0%BA%D0%BE%D1%82.png", "кот.png"),
        ("content-disposition", "attachment; filename=\"d.png\"", "d.png"),
        ("content-disposition", "nonsense;;;", "image.png"),
        ("x-other", "x", "image.png"),
    ] {
        let asked = daemon.ask("POST", "/upload", |request| {
            let request = request.header("content-type", "image/png").header(name, value);
            request.header("prefer", "respond-async").body(png(4, 4))
        });
        assert_eq!(asked.await.json(202)["original_name"], shown, "{name}: {value}");
    }
    let twice = daemon.send_raw("/upload?filename=a.png&filename=b.png", "image/png", png(4, 4)).await;
    twice.problem(Code::InvalidParameter);
}

#[tokio::test]
async fn a_form_that_is_not_the_documented_one_is_refused_by_field() {
    let daemon = start(Wishes { idle: true, ..Wishes::default() }).await;
    let file = || photos(&[("a.png", png(4, 4))]);
    for (form, field) in [
        (reqwest::multipart::Form::new().text("user", "1"), "file"),
        (reqwest::multipart::Form::new().text("colour", "red"), "colour"),
        (file().text("title", "x"), "title"),
        (file().text("user", "x"), "user"),
        (file().text("token", "x".repeat(300)), "token"),
    ] {
        let problem = daemon.upload("/upload", form, "").await.problem(Code::InvalidForm);
        assert_eq!(problem["field"], field, "{problem}");
    }
    let field = |n| format!("--b\r\nContent-Disposition: form-data; name=\"f{n}\"\r\n\r\nx\r\n");
    let many: String = (0..10_000).map(field).collect();
    let many = format!("{many}--b--\r\n").into_bytes();
    daemon.send_raw("/upload", "multipart/form-data; boundary=b", many).await.problem(Code::InvalidForm);
    daemon.nothing_is_kept().await;
}

impl Daemon {
    /// Makes somebody an admin, as the operator does.
    pub(crate) async fn make_admin(&self, who: &crate::client::Someone) {
        use gristmill::account::{Caller, Role, UserChange};
        use gristmill::store::{Command, Reply, Store};
        let promotion = Command::ChangeUser {
            user: gristmill::task::UserId(who.id),
            caller: Caller::Admin(None),
            change: UserChange { role: Some(Role::Admin), ..UserChange::default() },
            session: None,
        };
        let promoted = self.store.commit(&[promotion]).await.unwrap().replies.remove(0).unwrap();
        assert!(matches!(promoted, Reply::UserChanged(Ok(_))), "{promoted:?}");
    }
}
