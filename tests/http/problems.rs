//! Every problem of the catalogue, provoked: a code that nobody can provoke does not compile, or fails here.

use gristmill::blob::BlobError;
use gristmill::http::{Code, Problem};

use crate::client::Answer;
use crate::harness::{Tracker, Wishes, start};
use crate::photos::{png, png_of_size, rotten_png};
use crate::store::Fault;
use crate::wav::{form, path_of, tone, with_format};

fn idle() -> Wishes {
    Wishes { idle: true, ..Wishes::default() }
}

fn with(key: &'static str, value: &'static str) -> Wishes {
    Wishes { settings: vec![(key, value)], ..Wishes::default() }
}

/// A bucket behind a port on which nobody listens.
fn no_bucket() -> Vec<(&'static str, &'static str)> {
    vec![
        ("blobs.url", "s3://bucket"),
        ("blobs.s3_endpoint", "http://127.0.0.1:1"),
        ("blobs.s3_access_key", "key"),
        ("blobs.s3_secret_key", "secret"),
        ("blobs.s3_timeout_s", "0.2"),
    ]
}

/// Makes the daemon answer with that problem.
async fn provoke(code: Code) -> Answer {
    let mut wishes = Wishes::default();
    // Connections are taken, and nobody reads them.
    let mute = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    if code == Code::OriginalNotKept {
        wishes = with("records.keep_original", "false");
    } else if code == Code::RequestTimeout {
        wishes = with("http.request_timeout_s", "1");
    } else if code == Code::Unauthenticated {
        wishes = with("auth.anonymous", "false");
    } else if code == Code::RateLimited {
        wishes = with("auth.login_attempts", "1");
    } else if code == Code::QuotaExceeded {
        wishes = with("images.max_per_user", "1");
    } else if code == Code::UpstreamFailed {
        // Nobody listens there.
        wishes.settings = vec![
            ("quiz.provider", "jservice"),
            ("quiz.url", "http://127.0.0.1:1/"),
            ("quiz.allow", "127.0.0.1/32"),
            ("quiz.breaker_failures", "1"),
            ("quiz.timeout_s", "0.5"),
            ("quiz.time_s", "0.5"),
        ];
    } else if code == Code::UpstreamTimeout {
        let address = mute.local_addr().unwrap();
        wishes.settings = vec![
            ("quiz.provider", "jservice"),
            ("quiz.url", format!("http://{address}/").leak()),
            ("quiz.allow", "127.0.0.1/32"),
            ("quiz.timeout_s", "0.2"),
            ("quiz.time_s", "0.3"),
        ];
    } else if matches!(code, Code::ReportFailed | Code::QuizFailed | Code::ImageFailed) {
        wishes = idle();
    } else if code == Code::Overloaded {
        wishes = Wishes { lane: Some(1), ..idle() };
    } else if code == Code::QueueFull {
        wishes = Wishes { settings: vec![("tasks.max_waiting", "1")], ..idle() };
    } else if code == Code::BlobStoreUnavailable {
        wishes.settings = no_bucket();
    } else if matches!(code, Code::ConversionFailed | Code::RecordingFailed) {
        wishes.broken_transcode = true;
    }
    let daemon = start(wishes).await;
    let ann = daemon.someone("Ann").await;
    let recording = |wish: &'static str| daemon.upload("/records", form(&ann, tone(1)), wish);
    match code {
        Code::InvalidJson => daemon.post("/tasks", "{").await,
        Code::InvalidParameter => daemon.get("/tasks?limit=0").await,
        Code::InvalidForm => {
            daemon.upload("/records", reqwest::multipart::Form::new().text("x", "y"), "").await
        }
        Code::IncompleteBody => {
            let head = "POST /tasks HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{";
            daemon.raw(head.as_bytes(), true).await
        }
        Code::Unauthenticated => daemon.get("/tasks").await,
        Code::InvalidToken => daemon.ask("GET", "/tasks", |request| request.bearer_auth("x")).await,
        Code::OtherUser => {
            daemon.ask("GET", "/tasks?user_id=99", |request| request.bearer_auth(&ann.token)).await
        }
        Code::NotFound => daemon.get("/nothing").await,
        Code::LoginFailed => daemon.post("/login", r#"{"name":"Ann","password":"x"}"#).await,
        Code::Forbidden => daemon.by(&ann, "DELETE", "/users/99", serde_json::Value::Null).await,
        Code::CrossOrigin => {
            let evil = |request: reqwest::RequestBuilder| request.header("origin", "https://evil.example");
            daemon.ask("POST", "/tasks", evil).await
        }
        Code::ForeignHost => {
            daemon.ask("GET", "/tasks", |request| request.header("host", "evil.example")).await
        }
        Code::UserNotFound => daemon.get("/users/99").await,
        Code::AvatarNotFound => daemon.get(&format!("/users/{}/avatar", ann.id)).await,
        Code::RateLimited => {
            let ask = || daemon.post("/login", r#"{"name":"Ann","password":"x"}"#);
            ask().await.problem(Code::LoginFailed);
            ask().await
        }
        Code::ImageNotFound => daemon.ask("DELETE", "/images/none", |request| request).await,
        Code::ImageFailed => {
            // Cancelled while its sender waits.
            let photo = [("a.png", png(4, 4))];
            let ask = daemon.send_photos(&photo, Some(&ann));
            let cancel = async {
                let cancel = || daemon.by(&ann, "POST", "/tasks/1/cancel", serde_json::json!({}));
                while cancel().await.status == 404 {}
            };
            tokio::join!(ask, cancel).0
        }
        Code::ImageTooLarge => daemon.send_raw("/upload", "image/png", png_of_size((5 << 20) + 1)).await,
        Code::UnsupportedImage => daemon.send_raw("/upload", "image/png", b"text".to_vec()).await,
        Code::DamagedImage => daemon.send_raw("/upload", "image/png", rotten_png(4, 4)).await,
        Code::QuotaExceeded => daemon.send_photos(&[("a.png", png(4, 4)), ("b.png", png(5, 5))], None).await,
        Code::TaskNotFound => daemon.get("/tasks/99").await,
        Code::ReportNotFound => daemon.get("/reports/00000000-0000-4000-8000-000000000000").await,
        Code::ReportFailed => {
            let order = daemon.by(&ann, "POST", "/users/1/report", serde_json::Value::Null).await.json(202);
            let cancel = format!("/tasks/{}/cancel", order["task"]["id"]);
            daemon.by(&ann, "POST", &cancel, serde_json::Value::Null).await.json(200);
            daemon.get(order["url"].as_str().unwrap()).await
        }
        Code::UpstreamFailed | Code::UpstreamTimeout => daemon.post("/quiz", r#"{"questions_num":1}"#).await,
        Code::QuizFailed => {
            // Cancelled while its caller waits.
            let ask = daemon.post("/quiz", r#"{"questions_num":1}"#);
            let cancel = async {
                let cancel = || daemon.post("/tasks/1/cancel", "{}");
                while cancel().await.status == 404 {}
            };
            tokio::join!(ask, cancel).0
        }
        Code::RecordingNotFound => daemon.get("/record?user=1&id=00000000-0000-4000-8000-000000000000").await,
        Code::NoFreeTask => daemon.get("/take_free_task").await,
        Code::OriginalNotKept => {
            let link = path_of(recording("").await.json(201)["url"].as_str().unwrap());
            daemon.get(&format!("{link}&format=wav")).await
        }
        Code::MethodNotAllowed => daemon.ask("PUT", "/tasks", |request| request).await,
        Code::RequestTimeout => {
            let head = "POST /tasks HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{";
            daemon.raw(head.as_bytes(), false).await
        }
        Code::StatusForbids => {
            let done =
                daemon.ask("POST", "/tasks", |request| request.header("prefer", "wait=30")).await.json(201);
            daemon.post(&format!("/tasks/{}/retry", done["id"]), "").await
        }
        Code::StaleAttempt => {
            daemon.post("/tasks", r#"{"meta":1}"#).await.json(201);
            let task = daemon.get("/take_free_task").await.json(200);
            daemon.post(&format!("/tasks/{}/cancel", task["id"]), "").await.json(200);
            daemon.post(&format!("/tasks/{}/complete", task["id"]), r#"{"attempt":1}"#).await
        }
        Code::NotHeld => {
            daemon.post("/tasks", r#"{"meta":1}"#).await.json(201);
            let take = daemon.ask("GET", "/take_free_task", |request| request.bearer_auth(&ann.token));
            let task = take.await.json(200);
            daemon.post(&format!("/tasks/{}/complete", task["id"]), r#"{"attempt":1}"#).await
        }
        Code::NotForWorkers => {
            let noop = daemon.post("/tasks", "").await.json(201);
            daemon.post("/tasks/claim", &format!(r#"{{"id":{}}}"#, noop["id"])).await
        }
        Code::UniqueTaken => {
            let unique = r#"{"kind":"manual","unique_key":"k"}"#;
            let first = daemon.post("/tasks", unique).await.json(201);
            daemon.post(&format!("/tasks/{}/cancel", first["id"]), "").await.json(200);
            daemon.post("/tasks", unique).await.json(201);
            daemon.post(&format!("/tasks/{}/retry", first["id"]), "").await
        }
        Code::KeyReused => {
            let ask = |path: &'static str| {
                daemon.ask("POST", path, |request| request.header("idempotency-key", "k"))
            };
            ask("/tasks").await.json(201);
            ask("/tasks?user_id=1").await.problem(Code::Unauthenticated);
            ask("/tasks/1/cancel").await
        }
        Code::KindNotClaimable => daemon.post("/tasks/claim", r#"{"kinds":["noop"]}"#).await,
        Code::EmailTaken => {
            daemon.post("/users", r#"{"email":"a@b"}"#).await.json(201);
            daemon.post("/users", r#"{"email":"a@b"}"#).await
        }
        Code::RecordingFailed => {
            let link = path_of(recording("respond-async").await.json(202)["url"].as_str().unwrap());
            // It fails in its own time.
            let mut answer = daemon.get(&link).await;
            while answer.status == 202 {
                answer = daemon.get(&link).await;
            }
            answer
        }
        Code::BodyTooLarge => daemon.post("/tasks", &" ".repeat((16 << 20) + 1)).await,
        Code::RecordingTooLarge => {
            let daemon = start(with("records.max_bytes", "1024")).await;
            let ann = daemon.someone("Ann").await;
            daemon.upload("/records", form(&ann, tone(1)), "").await
        }
        Code::UnsupportedMediaType => daemon.ask("POST", "/tasks", |request| request.body("{}")).await,
        Code::UnsupportedAudio => {
            daemon.upload("/records", form(&ann, b"OggS, with a lot behind it".to_vec()), "").await
        }
        Code::RangeNotSatisfiable => {
            let link = path_of(recording("").await.json(201)["url"].as_str().unwrap());
            daemon.ask("GET", &link, |request| request.header("range", "bytes=99999999-")).await
        }
        Code::PreconditionFailed => {
            let link = path_of(recording("").await.json(201)["url"].as_str().unwrap());
            daemon.ask("GET", &link, |request| request.header("if-match", "\"other\"")).await
        }
        Code::BlobDamaged => {
            let link = path_of(recording("").await.json(201)["url"].as_str().unwrap());
            std::fs::remove_file(daemon.file_of(daemon.get(&link).await.header("etag"))).unwrap();
            daemon.get(&link).await
        }
        Code::InvalidBody => daemon.post("/tasks", r#"{"x":1}"#).await,
        Code::UnknownKind => daemon.post("/tasks", r#"{"kind":"x"}"#).await,
        Code::KindNotDirect => daemon.post("/tasks", r#"{"kind":"transcode"}"#).await,
        Code::InvalidPayload => daemon.post("/tasks", r#"{"kind":"failing","payload":5}"#).await,
        Code::DamagedAudio => daemon.upload("/records", form(&ann, with_format(1, Vec::new())), "").await,
        Code::ConversionFailed => recording("").await,
        Code::Internal => {
            daemon.store.set(Fault::Panic);
            daemon.get("/tasks/1").await
        }
        Code::Overloaded => {
            daemon.tracker(Tracker::Paused);
            // One fills the lane (or is taken out of it before the pause), one of the next finds no room.
            let ask = || daemon.post("/tasks", "");
            loop {
                tokio::select! {
                    answer = ask() => if answer.status != 201 { break answer },
                    answer = ask() => if answer.status != 201 { break answer },
                    answer = ask() => if answer.status != 201 { break answer },
                }
            }
        }
        Code::Interrupted => {
            daemon.tracker(Tracker::Ended);
            loop {
                let answer = daemon.post("/tasks", "").await;
                if answer.status != 201 {
                    break answer;
                }
            }
        }
        Code::DatabaseUnavailable => {
            daemon.store.set(Fault::Unavailable);
            daemon.get("/tasks/1").await
        }
        Code::BlobStoreUnavailable => recording("").await,
        // More than any disk has: nobody could sign up either.
        Code::StorageFull => start(with("storage.min_free_bytes", "1024 TiB")).await.post("/tasks", "").await,
        Code::QueueFull => {
            daemon.post("/tasks", "").await.json(201);
            daemon.post("/tasks", "").await
        }
    }
}

#[tokio::test]
async fn every_code_of_the_catalogue_can_be_provoked() {
    for code in Code::ALL {
        provoke(*code).await.problem(*code);
    }
    // When it is really full, the blob store says so.
    let full = Problem::from(BlobError::Full { path: "/secret/place".to_owned() });
    assert_eq!(full.code(), Code::StorageFull);
    assert!(!full.to_string().contains("/secret"), "{full}");
}

#[tokio::test]
async fn what_the_database_says_is_for_the_log_alone() {
    let daemon = start(idle()).await;
    daemon.post("/tasks", "").await.json(201);
    let ann = daemon.someone("Ann").await;
    for (fault, code) in [
        (Fault::Unavailable, Code::DatabaseUnavailable),
        (Fault::Corrupt, Code::Internal),
        (Fault::Panic, Code::Internal),
    ] {
        daemon.store.set(fault);
        for path in ["/tasks", "/tasks/1", "/record?user=1&id=00000000-0000-4000-8000-000000000000"] {
            let told = daemon.get(path).await.problem(code).to_string();
            assert!(!told.contains("secret") && !told.contains("bug of ours"), "{told}");
        }
        daemon.ask("GET", "/tasks", |request| request.bearer_auth(&ann.token)).await.problem(code);
    }
    // A write that the database fails.
    for (fault, code) in [(Fault::Unavailable, Code::DatabaseUnavailable), (Fault::Corrupt, Code::Internal)] {
        daemon.store.set(fault);
        for (path, body) in [("/tasks", ""), ("/tasks/1/cancel", ""), ("/users", r#"{"name":"x"}"#)] {
            daemon.post(path, body).await.problem(code);
        }
        let form = form(&ann, tone(1));
        daemon.upload("/records", form, "").await.problem(code);
    }
    daemon.store.set(Fault::None);
    daemon.post("/tasks", "").await.json(201);
}

#[tokio::test]
async fn what_was_accepted_is_not_answered_with_an_error_when_its_end_cannot_be_seen() {
    let daemon = start(idle()).await;
    let ask = daemon.ask("POST", "/tasks", |request| request.header("prefer", "wait=60"));
    let (answer, ()) = tokio::join!(ask, async {
        while daemon.rows().await == 0 {
            tokio::task::yield_now().await;
        }
        daemon.store.set(Fault::Unavailable);
    });
    assert_eq!(answer.json(202)["status"], "New");
}
