//! Profiles: who sees what of whom, who changes it, and what is left of somebody who goes.

use gristmill::http::Code;
use gristmill::store::Store;
use serde_json::{Value, json};

use crate::client::Someone;
use crate::harness::{Daemon, Wishes, start};

fn with(settings: &[(&'static str, &'static str)]) -> Wishes {
    Wishes { idle: true, settings: settings.to_vec(), ..Wishes::default() }
}

/// A picture of one colour, in base64.
fn picture(colour: u8, side: u32) -> String {
    let image = image::RgbImage::from_pixel(side, side / 2, image::Rgb([colour, 40, 90]));
    let mut png = std::io::Cursor::new(Vec::new());
    image.write_to(&mut png, image::ImageFormat::Png).unwrap();
    base64(png.get_ref())
}

fn base64(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

async fn made(daemon: &Daemon, body: Value) -> Someone {
    let user = daemon.post("/users", &body.to_string()).await.json(201);
    Someone { id: user["id"].as_i64().unwrap(), token: user["token"].as_str().unwrap().to_owned() }
}

#[tokio::test]
async fn the_first_task_services_users_work_as_it_documents_them() {
    let daemon = start(with(&[("auth.trust_user_id", "true")])).await;
    let user = daemon.post("/users", r#"{"email": "user@example.com"}"#).await.json(201);
    let id = user["id"].as_i64().unwrap();
    let by = format!("user_id={id}");
    let task = daemon.post(&format!("/tasks?{by}"), r#"{"meta":"x"}"#).await.json(201);
    assert_eq!(task["owner"], id);
    assert_eq!(daemon.get(&format!("/users/{id}?{by}")).await.json(200)["email"], "user@example.com");
    daemon.post("/users", r#"{"email": "other@example.com"}"#).await.json(201);
    let other = format!("/users/{id}?user_id=2");
    daemon.ask("DELETE", &other, |request| request).await.problem(Code::Forbidden);
    assert_eq!(daemon.ask("DELETE", &format!("/users/{id}?{by}"), |request| request).await.status, 204);
    daemon.get(&format!("/tasks?{by}")).await.problem(Code::Unauthenticated);
    daemon.get(&format!("/users/{id}")).await.problem(Code::UserNotFound);
    // Their e-mail is free again.
    daemon.post("/users", r#"{"email": "user@example.com"}"#).await.json(201);
}

#[tokio::test]
async fn naming_makes_nobody_an_admin() {
    let daemon = start(with(&[("auth.trust_user_id", "true")])).await;
    let (root, ann) = (daemon.someone("Root").await, daemon.someone("Ann").await);
    daemon.promote(root.id).await;
    let path = format!("/users/{}?user_id={}", ann.id, root.id);
    daemon.ask("DELETE", &path, |request| request).await.problem(Code::Forbidden);
    assert_eq!(daemon.by(&root, "DELETE", &format!("/users/{}", ann.id), json!(null)).await.status, 204);
}

#[tokio::test]
async fn anybody_reads_profiles_and_what_is_private_is_for_the_user_and_admins() {
    let daemon = start(with(&[("auth.anonymous", "false")])).await;
    let body = json!({"name": "Ann", "email": "ann@example.com", "gender": "f", "password": "correct horse",
        "avatar": picture(200, 64)});
    let ann = made(&daemon, body).await;
    let (bob, root) = (daemon.someone("Bob").await, daemon.someone("Root").await);
    daemon.promote(root.id).await;
    let path = format!("/users/{}", ann.id);
    let public = daemon.get(&path).await.json(200);
    assert_eq!(public["name"], "Ann");
    assert_eq!(public["gender"], "f");
    assert_eq!(public["avatar_url"], format!("{path}/avatar"));
    let fields: Vec<&String> = public.as_object().unwrap().keys().collect();
    assert_eq!(fields, ["avatar_url", "created_at", "gender", "id", "name"]);
    assert_eq!(daemon.by(&bob, "GET", &path, json!(null)).await.json(200), public);
    for who in [&ann, &root] {
        let whole = daemon.by(who, "GET", &path, json!(null)).await;
        assert_eq!(whole.header("cache-control"), "no-store");
        let whole = whole.json(200);
        assert_eq!((&whole["email"], &whole["role"]), (&json!("ann@example.com"), &json!("user")));
        assert_eq!(whole["has_password"], true);
        assert!(whole.get("token").is_none(), "{whole}");
    }
    for who in [None, Some(&bob)] {
        let list = match who {
            None => daemon.get("/users").await,
            Some(who) => daemon.by(who, "GET", "/users", json!(null)).await,
        };
        assert!(!list.text().contains("ann@example.com"), "{}", list.text());
        let list = list.json(200);
        assert_eq!(list.as_array().unwrap().len(), 3);
        assert_eq!(list[0], public);
        assert_eq!(list[1].get("role").is_some(), who.is_some(), "each sees their own");
    }
    assert_eq!(daemon.by(&root, "GET", "/users", json!(null)).await.json(200)[0]["email"], "ann@example.com");
}

#[tokio::test]
async fn users_are_listed_page_by_page() {
    let daemon = start(with(&[])).await;
    for n in 0..5 {
        daemon.someone(&format!("user {n}")).await;
    }
    let (mut path, mut seen) = ("/users?limit=2".to_owned(), Vec::new());
    loop {
        let page = daemon.get(&path).await;
        seen.extend(page.json(200).as_array().unwrap().iter().map(|user| user["id"].as_i64().unwrap()));
        match page.header("link").strip_prefix('<').and_then(|link| link.strip_suffix(">; rel=\"next\"")) {
            Some(next) => path = next.to_owned(),
            None => break,
        }
    }
    assert_eq!(seen, [1, 2, 3, 4, 5]);
    for bad in ["limit=0", "limit=1001", "limit=x", "after=0", "after=-1"] {
        daemon.get(&format!("/users?{bad}")).await.problem(Code::InvalidParameter);
    }
    assert_eq!(daemon.get("/users?after=99").await.json(200), json!([]));
}

#[tokio::test]
async fn a_user_changes_what_is_theirs_and_nobody_elses() {
    let daemon = start(with(&[])).await;
    let ann = made(&daemon, json!({"name": "Ann", "gender": "f"})).await;
    let bob = made(&daemon, json!({"name": "Bob", "email": "bob@example.com"})).await;
    let path = format!("/users/{}", ann.id);
    let changed = daemon.by(&ann, "PATCH", &path, json!({"name": "Жанна", "gender": null})).await.json(200);
    assert_eq!(changed["name"], "Жанна");
    assert!(changed.get("gender").is_none(), "{changed}");
    assert_eq!(
        daemon.by(&ann, "PATCH", &path, json!({})).await.json(200),
        changed,
        "nothing changes nothing"
    );
    let merge = daemon.ask("PATCH", &path, |request| {
        let request = request.bearer_auth(&ann.token).header("content-type", "application/merge-patch+json");
        request.body(r#"{"email":"ann@example.com"}"#)
    });
    assert_eq!(merge.await.json(200)["email"], "ann@example.com");
    for (method, path) in
        [("PATCH", path.clone()), ("DELETE", path.clone()), ("POST", format!("{path}/token"))]
    {
        daemon.by(&bob, method, &path, json!({})).await.problem(Code::Forbidden);
        daemon.ask(method, &path, |request| request.json(&json!({}))).await.problem(Code::Unauthenticated);
    }
    for (body, code) in [
        (json!({"email": "bob@example.com"}), Code::EmailTaken),
        (json!({"role": "admin"}), Code::Forbidden),
        (json!({"name": null, "email": null}), Code::InvalidBody),
        (json!({"name": "a\nb"}), Code::InvalidBody),
        (json!({"role": null}), Code::InvalidBody),
        (json!({"id": 5}), Code::InvalidBody),
        (json!({"token": "x"}), Code::InvalidBody),
        (json!({"password": "short"}), Code::InvalidBody),
        (json!({"avatar": "x"}), Code::InvalidBody),
    ] {
        daemon.by(&ann, "PATCH", &path, body.clone()).await.problem(code);
    }
    let now = daemon.get(&path).await.json(200);
    assert_eq!(now["name"], "Жанна", "what was refused changed nothing: {now}");
    daemon.by(&ann, "PATCH", "/users/99", json!({})).await.problem(Code::Forbidden);
    let lines = daemon.action_lines();
    assert!(lines.contains("Success: user Жанна changed."), "{lines}");
}

#[tokio::test]
async fn admins_make_admins_and_nobody_else_does() {
    let daemon = start(with(&[])).await;
    let (root, ann) = (daemon.someone("Root").await, daemon.someone("Ann").await);
    daemon.promote(root.id).await;
    let body = json!({"name": "Eve", "role": "admin"});
    daemon.post("/users", &body.to_string()).await.problem(Code::Unauthenticated);
    daemon.by(&ann, "POST", "/users", body.clone()).await.problem(Code::Forbidden);
    assert_eq!(daemon.by(&root, "POST", "/users", body).await.json(201)["role"], "admin");
    daemon.by(&ann, "POST", "/users", json!({"name": "x", "role": "root"})).await.problem(Code::InvalidBody);
    let path = format!("/users/{}", ann.id);
    assert_eq!(daemon.by(&root, "PATCH", &path, json!({"role": "admin"})).await.json(200)["role"], "admin");
    // An admin may do to others what those may, without their password.
    let change = json!({"password": "battery staple"});
    assert_eq!(daemon.by(&ann, "PATCH", "/users/1", change).await.json(200)["has_password"], true);
    daemon.by(&root, "GET", "/users/99", json!(null)).await.problem(Code::UserNotFound);
    for (method, path) in [("PATCH", "/users/99"), ("DELETE", "/users/99"), ("POST", "/users/99/token")] {
        daemon.by(&root, method, path, json!({})).await.problem(Code::UserNotFound);
    }
}

#[tokio::test]
async fn a_new_token_is_shown_once_and_the_old_one_is_nobodys() {
    let daemon = start(with(&[])).await;
    let ann = daemon.someone("Ann").await;
    let path = format!("/users/{}/token", ann.id);
    let renewed = daemon.ask("POST", &path, |request| request.bearer_auth(&ann.token)).await;
    assert_eq!(renewed.header("cache-control"), "no-store");
    let token = renewed.json(200)["token"].as_str().unwrap().to_owned();
    assert_ne!(token, ann.token);
    daemon.by(&ann, "GET", "/tasks", json!(null)).await.problem(Code::InvalidToken);
    let ann = Someone { id: ann.id, token };
    daemon.by(&ann, "GET", "/tasks", json!(null)).await.json(200);
}

#[tokio::test]
async fn a_picture_is_made_small_and_given_out_as_a_picture_and_nothing_else() {
    let daemon = start(with(&[])).await;
    let body = json!({"name": "Ann", "avatar": format!("data:image/png;base64,{}", picture(10, 600))});
    let ann = made(&daemon, body).await;
    let (path, avatar) = (format!("/users/{}", ann.id), format!("/users/{}/avatar", ann.id));
    let first = daemon.get(&avatar).await;
    assert_eq!(first.status, 200);
    let shown = image::load_from_memory(&first.body).unwrap();
    assert_eq!(shown.width(), shown.height(), "a square");
    assert!(shown.width() <= 256, "{}", shown.width());
    assert!(first.header("content-type").starts_with("image/"));
    assert_eq!(first.header("x-content-type-options"), "nosniff");
    assert!(first.header("content-security-policy").contains("sandbox"));
    let etag = first.header("etag").to_owned();
    let same = daemon.ask("GET", &avatar, |request| request.header("if-none-match", &etag)).await;
    assert_eq!((same.status, same.body.len()), (304, 0));
    let head = daemon.client.head(daemon.url(&avatar)).send().await.unwrap();
    assert_eq!((head.status().as_u16(), head.headers()["etag"].to_str().unwrap()), (200, &*etag));
    daemon.by(&ann, "PATCH", &path, json!({"avatar": picture(250, 40)})).await.json(200);
    let second = daemon.ask("GET", &avatar, |request| request.header("if-none-match", &etag)).await;
    assert_eq!(second.status, 200);
    assert_ne!(second.header("etag"), etag);
    let cleared = daemon.by(&ann, "PATCH", &path, json!({"avatar": null})).await.json(200);
    assert!(cleared.get("avatar_url").is_none(), "{cleared}");
    daemon.get(&avatar).await.problem(Code::AvatarNotFound);
    daemon.get("/users/99/avatar").await.problem(Code::UserNotFound);
    // What was taken away is nobody's: the sweep may have it.
    let blob: gristmill::task::BlobName = etag.trim_matches('"').parse().unwrap();
    assert_eq!(daemon.store.unreferenced(std::slice::from_ref(&blob)).await.unwrap(), [blob]);
}

#[tokio::test]
async fn what_is_no_picture_makes_no_user() {
    let daemon = start(with(&[("images.max_bytes", "20000")])).await;
    let large: Vec<u8> = (0..30_000_u32).map(|n| (n * 7919 % 251) as u8).collect();
    let mut cut = {
        use base64::Engine as _;
        base64::engine::general_purpose::STANDARD.decode(picture(1, 100)).unwrap()
    };
    cut.truncate(cut.len() / 2);
    for (avatar, code) in [
        (base64(b"<svg xmlns='http://www.w3.org/2000/svg'/>"), Code::UnsupportedImage),
        (base64(b"<script>alert(1)</script>"), Code::UnsupportedImage),
        (base64(&cut), Code::DamagedImage),
        (base64(&large), Code::InvalidBody),
        ("".to_owned(), Code::InvalidBody),
        ("not base64!".to_owned(), Code::InvalidBody),
        ("data:image/png,plain".to_owned(), Code::InvalidBody),
    ] {
        let body = json!({"name": "Ann", "avatar": avatar}).to_string();
        let problem = daemon.post("/users", &body).await.problem(code);
        assert_eq!(problem["field"], "avatar", "{problem}");
    }
    assert_eq!(daemon.get("/users").await.json(200), json!([]));
}

#[tokio::test]
async fn who_goes_leaves_nothing_that_opens_or_shows_anything() {
    let daemon = start(Wishes::default()).await;
    let body = json!({"name": "Ann", "email": "ann@example.com", "password": "correct horse",
        "avatar": picture(77, 50)});
    let ann = made(&daemon, body).await;
    let bob = daemon.someone("Bob").await;
    let cookie = daemon.log_in(&json!({"name": "Ann", "password": "correct horse"})).await;
    let task = daemon.by(&ann, "POST", "/tasks", json!({"meta": 1})).await.json(201)["id"].as_i64().unwrap();
    let form = crate::wav::form(&ann, crate::wav::tone(1));
    let record = daemon.upload("/records", form, "").await.json(201);
    let link = crate::wav::path_of(record["url"].as_str().unwrap());
    let mp3 = daemon.get(&link).await.header("etag").to_owned();
    let avatar = daemon.get(&format!("/users/{}/avatar", ann.id)).await.header("etag").to_owned();
    let blobs: Vec<gristmill::task::BlobName> =
        [mp3, avatar].iter().map(|etag| etag.trim_matches('"').parse().unwrap()).collect();
    assert!(daemon.store.unreferenced(&blobs).await.unwrap().is_empty());

    let gone = daemon.with_cookie(&cookie, "DELETE", &format!("/users/{}", ann.id), json!(null)).await;
    assert_eq!(gone.status, 204);
    assert!(gone.header("set-cookie").contains("Max-Age=0"));
    for path in ["/tasks".to_owned(), format!("/tasks/{task}")] {
        daemon.by(&ann, "GET", &path, json!(null)).await.problem(Code::InvalidToken);
        daemon.with_cookie(&cookie, "GET", &path, json!(null)).await.problem(Code::InvalidToken);
        daemon.ask("GET", &path, |request| request.bearer_auth(&bob.token)).await;
    }
    let login = json!({"email": "ann@example.com", "password": "correct horse"});
    daemon.post("/login", &login.to_string()).await.problem(Code::LoginFailed);
    daemon.get(&format!("/users/{}", ann.id)).await.problem(Code::UserNotFound);
    daemon.get(&format!("/users/{}/avatar", ann.id)).await.problem(Code::UserNotFound);
    daemon.get(&link).await.problem(Code::RecordingNotFound);
    assert!(daemon.store.task(gristmill::task::TaskId(task)).await.unwrap().is_none());
    assert_eq!(daemon.store.unreferenced(&blobs).await.unwrap().len(), blobs.len(), "for the sweep");
    let users = daemon.get("/users").await.json(200);
    assert_eq!(users.as_array().unwrap().len(), 1);
    daemon.by(&bob, "GET", "/tasks", json!(null)).await.json(200);
    assert!(daemon.action_lines().contains("Success: user Ann deleted."), "{}", daemon.action_lines());
}

#[tokio::test]
async fn a_key_makes_changes_count_once_and_knows_no_password() {
    let daemon = start(with(&[])).await;
    let root = daemon.someone("Root").await;
    daemon.promote(root.id).await;
    let keyed = |key: &'static str, method: &'static str, path: &'static str, body: Value| {
        let token = root.token.clone();
        daemon.ask(method, path, move |request| {
            request.bearer_auth(token).header("idempotency-key", key).json(&body)
        })
    };
    let create = |password: &str| json!({"name": "Ann", "password": password, "email": "ann@example.com"});
    let first = keyed("c", "POST", "/users", create("correct horse")).await.json(201);
    let again = keyed("c", "POST", "/users", create("correct horse")).await;
    assert_eq!(again.header("idempotent-replayed"), "true");
    assert_eq!(again.json(201)["id"], first["id"]);
    // By whether another password is another request one could guess at the first.
    assert_eq!(keyed("c", "POST", "/users", create("battery staple")).await.json(201)["id"], first["id"]);
    keyed("c", "POST", "/users", json!({"name": "Bob"})).await.problem(Code::KeyReused);

    let change = json!({"name": "Anna", "password": "battery staple"});
    let first = keyed("p", "PATCH", "/users/2", change.clone()).await.json(200);
    daemon.by(&root, "PATCH", "/users/2", json!({"name": "Jane"})).await.json(200);
    let again = keyed("p", "PATCH", "/users/2", change).await;
    assert_eq!(again.header("idempotent-replayed"), "true");
    assert_eq!(again.json(200), first);
    assert_eq!(daemon.get("/users/2").await.json(200)["name"], "Jane", "it happened once");
    keyed("p", "PATCH", "/users/2", json!({"name": null})).await.problem(Code::KeyReused);

    let token = keyed("t", "POST", "/users/2/token", json!({})).await.json(200)["token"].clone();
    let again = keyed("t", "POST", "/users/2/token", json!({})).await;
    assert_eq!(again.header("idempotent-replayed"), "true");
    assert!(again.json(200).get("token").is_none(), "shown once");
    let ann = Someone { id: 2, token: token.as_str().unwrap().to_owned() };
    daemon.by(&ann, "GET", "/tasks", json!(null)).await.json(200);

    for replayed in ["", "true"] {
        let gone = keyed("d", "DELETE", "/users/2", json!(null)).await;
        assert_eq!((gone.status, gone.header("idempotent-replayed")), (204, replayed));
    }
}

#[tokio::test]
async fn strange_names_are_told_as_they_are_and_forge_nothing() {
    let daemon = start(with(&[])).await;
    for name in [
        "'; DROP TABLE users; --",
        "<script>alert(1)</script>",
        "\u{202e}nimda",
        "👩‍👩‍👧‍👦",
        "مرحبا",
        "\u{feff}Ann",
        "a\u{2028}b",
        "..%2f..%2fetc",
        "${jndi:ldap://x}",
        "null",
    ] {
        let user = daemon.post("/users", &json!({"name": name}).to_string()).await.json(201);
        assert_eq!(user["name"].as_str().unwrap().trim(), name.trim(), "{name:?}");
    }
    for name in ["a\u{0}", "a\u{1b}[2J", "a\rb", "a\u{7f}", "a\u{85}b", &"x".repeat(10_000), "", "\u{a0}"] {
        let body = json!({"name": name}).to_string();
        daemon.post("/users", &body).await.problem(Code::InvalidBody);
    }
    let lines = daemon.action_lines();
    assert_eq!(lines.lines().count(), 10, "{lines}");
    assert!(!lines.contains('\u{202e}') && !lines.contains('\u{2028}'), "{lines}");
    let list = daemon.get("/users").await.json(200);
    assert_eq!(list.as_array().unwrap().len(), 10);
}

#[tokio::test]
async fn no_secret_is_in_the_database_or_a_log() {
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    #[derive(Clone, Default)]
    struct Paper(Arc<Mutex<Vec<u8>>>);
    impl Write for Paper {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    // Everything that anything in this program says: the other tests speak into it as well, which harms nobody.
    let paper = Paper::default();
    let pen = paper.clone();
    let log =
        tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(move || pen.clone());
    log.try_init().unwrap();

    let daemon = start(with(&[])).await;
    let (password, second) = ("zebra-password-one", "zebra-password-two");
    let body = json!({"name": "Ann", "email": "ann@example.com", "password": password});
    let ann = made(&daemon, body).await;
    let cookie = daemon.log_in(&json!({"name": "Ann", "password": password})).await;
    let path = format!("/users/{}", ann.id);
    let wrong = json!({"name": "Ann", "password": "zebra-wrong"});
    daemon.post("/login", &wrong.to_string()).await.problem(Code::LoginFailed);
    let typed_into_the_wrong_field = json!({"name": "zebra-typed", "password": "x"});
    daemon.post("/login", &typed_into_the_wrong_field.to_string()).await.problem(Code::LoginFailed);
    daemon.post("/login", r#"{"name":"Ann","password":["zebra-list"]}"#).await.problem(Code::InvalidBody);
    daemon.post("/users", r#"{"name":"x","password":"zebra-"}"#).await.problem(Code::InvalidBody);
    let keyed = daemon.ask("PATCH", &path, |request| {
        request
            .header("cookie", &cookie)
            .header("idempotency-key", "k")
            .json(&json!({"password": second, "current_password": password}))
    });
    keyed.await.json(200);
    let renewed = daemon.by(&ann, "POST", &format!("{path}/token"), json!(null)).await.json(200);
    let session = cookie.split('=').nth(1).unwrap();
    let secrets = ["zebra-", &ann.token, renewed["token"].as_str().unwrap(), session].map(str::to_owned);
    let lines = daemon.action_lines();
    let folder = daemon.stop().await;
    let mut files = 0;
    let check = |place: &str, bytes: &[u8]| {
        for secret in &secrets {
            for secret in [secret.clone(), secret.replace('-', "")] {
                let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
                assert!(!found, "{secret} stands in {place}");
            }
        }
    };
    for entry in std::fs::read_dir(folder.path()).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            check(&path.display().to_string(), &std::fs::read(&path).unwrap());
            files += 1;
        }
    }
    assert!(files >= 2, "the database and the action log");
    check("the action log", lines.as_bytes());
    let log = paper.0.lock().unwrap();
    assert!(log.windows(9).any(|window| window == b"gristmill"), "the log says something");
    check("the log", &log);
}
