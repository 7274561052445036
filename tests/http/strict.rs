//! Bad JSON, bad fields, bad numbers and bad parameters, on every route that could be given them.

use gristmill::http::{Code, table};
use serde_json::{Value, json};

use crate::harness::{Daemon, Wishes, start};

const JSON_ROUTES: [&str; 14] = [
    "/tasks",
    "/tasks/batch",
    "/tasks/1/cancel",
    "/tasks/1/retry",
    "/tasks/claim",
    "/tasks/1/heartbeat",
    "/tasks/1/progress",
    "/tasks/1/complete",
    "/tasks/1/fail",
    "/tasks/1/release",
    "/quiz",
    "/users",
    "/user",
    "/login",
];

async fn daemon() -> Daemon {
    let daemon = start(Wishes { idle: true, ..Wishes::default() }).await;
    daemon.post("/tasks", "").await.json(201);
    daemon
}

async fn send(daemon: &Daemon, path: &str, body: &[u8]) -> crate::client::Answer {
    let body = body.to_vec();
    daemon.ask("POST", path, |request| request.header("content-type", "application/json").body(body)).await
}

#[tokio::test]
async fn what_is_no_json_is_refused_on_every_route_that_takes_json() {
    let daemon = daemon().await;
    let bomb = "[".repeat(100_000);
    let nested = format!("{{\"payload\":{}1{}}}", "{\"a\":".repeat(200), "}".repeat(200));
    for path in JSON_ROUTES {
        for body in [
            &b"{"[..],
            b"{}x",
            b"{} {}",
            b"nul",
            b"{\"kind\":NaN}",
            b"{\"kind\":Infinity}",
            b"{'kind':1}",
            b"{kind:1}",
            b"[1,]",
            b"{\"kind\":\"noop\",}",
            b"// no\n{}",
            b"\xEF\xBB\xBF{}",
            b"{\"kind\":\"\xff\"}",
            b"\x00",
            b"  ",
            b"{\"a\":+1}",
            b"\xff\xfe{\x00}\x00",
            b"{\"a\":\"\n\"}",
            bomb.as_bytes(),
            nested.as_bytes(),
        ] {
            let shown = String::from_utf8_lossy(&body[..body.len().min(30)]).into_owned();
            let problem = send(&daemon, path, body).await.problem(Code::InvalidJson);
            assert!(problem["detail"].as_str().unwrap().len() > 15, "{path} {shown}: {problem}");
        }
    }
    assert_eq!(daemon.rows().await, 1, "nothing was created");
}

#[tokio::test]
async fn json_of_another_shape_is_refused_on_every_route_that_takes_json() {
    let daemon = daemon().await;
    for path in JSON_ROUTES {
        for body in
            ["1", "\"text\"", "true", "null", "{\"nonsense\":1}", "[[]]", "[null]", "[{\"nonsense\":1}]"]
        {
            send(&daemon, path, body.as_bytes()).await.problem(Code::InvalidBody);
        }
    }
    assert_eq!(daemon.rows().await, 1, "nothing was created");
}

#[tokio::test]
async fn each_bad_field_is_named_with_what_was_expected() {
    let daemon = daemon().await;
    let long = "x".repeat(65);
    let many: Vec<String> = (0..17).map(|n| n.to_string()).collect();
    let cases = [
        (json!({"kind": 5}), "kind", "expected text"),
        (json!({"kind": "No Such"}), "kind", "a small letter"),
        (json!({"priority": 101}), "priority", "from -100 to 100"),
        (json!({"priority": -101}), "priority", "from -100 to 100"),
        (json!({"priority": 1.5}), "priority", "a whole number"),
        (json!({"priority": "1"}), "priority", "a whole number"),
        (json!({"priority": [1]}), "priority", "a whole number"),
        (json!({"priority": true}), "priority", "a whole number"),
        (json!({"run_at": "tomorrow"}), "run_at", "RFC 3339"),
        (json!({"run_at": "2026-01-01 00:00:00"}), "run_at", "RFC 3339"),
        (json!({"run_at": 1_700_000_000}), "run_at", "expected text"),
        (json!({"run_at": "9999-12-31T23:59:59-00:01"}), "run_at", "RFC 3339"),
        (json!({"run_at": "0000-01-01T00:00:00+00:01"}), "run_at", "RFC 3339"),
        (json!({"max_attempts": 0}), "max_attempts", "from 1 to 100"),
        (json!({"max_attempts": 101}), "max_attempts", "from 1 to 100"),
        (json!({"max_attempts": -1}), "max_attempts", "from 1 to 100"),
        (json!({"timeout_s": 0}), "timeout_s", "from 0.001 to 604800"),
        (json!({"timeout_s": 604_801}), "timeout_s", "from 0.001 to 604800"),
        (json!({"timeout_s": "1"}), "timeout_s", "a number"),
        (json!({"tags": "a"}), "tags", "an array of texts"),
        (json!({"tags": [1]}), "tags", "an array of texts"),
        (json!({"tags": [""]}), "tags", "1 to 64 bytes"),
        (json!({"tags": [long]}), "tags", "1 to 64 bytes"),
        (json!({"tags": ["a\u{0}b"]}), "tags", "no control characters"),
        (json!({"tags": ["a", "a"]}), "tags", "given twice"),
        (json!({"tags": many}), "tags", "at most 16"),
        (json!({"unique_key": ""}), "unique_key", "1 to 200 bytes"),
        (json!({"unique_key": "x".repeat(201)}), "unique_key", "1 to 200 bytes"),
        (json!({"unique_key": "a\nb"}), "unique_key", "control characters"),
        (json!({"unique_key": 7}), "unique_key", "expected text"),
        (json!({"callback_url": 7}), "callback_url", "expected text"),
        (json!({"callback_url": "gopher://example.com/"}), "callback_url", "http"),
        (json!({"callback_url": "http://127.0.0.1/hook"}), "callback_url", ""),
        (json!({"callback_url": "http://[::1]/hook"}), "callback_url", ""),
        (json!({"callback_url": "https://u:p@example.com/"}), "callback_url", "user"),
        (
            json!({"callback_url": format!("https://example.com/{}", "x".repeat(2000))}),
            "callback_url",
            "2000",
        ),
        (json!({"meta": 1, "kind": "noop"}), "meta", "`manual`"),
        (json!({"meta": 1, "payload": 2}), "meta", "either"),
        (json!({"meta": "x".repeat(256 << 10)}), "meta", "256 KiB"),
        (json!({"Kind": "noop"}), "Kind", "there are: kind, payload"),
        (json!({"status": "Completed"}), "status", "no such field"),
        (json!({"id": 7}), "id", "no such field"),
        (json!({"owner": 7}), "owner", "no such field"),
    ];
    for (body, field, expected) in cases {
        let problem = daemon.post("/tasks", &body.to_string()).await.problem(Code::InvalidBody);
        assert_eq!(problem["field"], field, "{body}: {problem}");
        assert_eq!(problem["errors"][0]["pointer"], format!("/{field}"), "{body}: {problem}");
        let told = problem["errors"][0]["problem"].as_str().unwrap();
        assert!(told.contains(expected), "{body}: {told}");
        assert!(problem["detail"].as_str().unwrap().contains(told), "{problem}");
    }
    // These cannot be written by a serialiser.
    for (body, field) in [
        (r#"{"priority":1,"priority":2}"#, "priority"),
        (r#"{"priority":99999999999999999999999999}"#, "priority"),
        (r#"{"timeout_s":1e999}"#, "timeout_s"),
        (r#"{"kind":"\ud800"}"#, "kind"),
    ] {
        let problem = daemon.post("/tasks", body).await.problem(Code::InvalidBody);
        assert_eq!(problem["field"], field, "{body}: {problem}");
    }
    assert_eq!(daemon.rows().await, 1, "nothing was created");
}

#[tokio::test]
async fn all_faults_are_told_at_once_but_not_without_end() {
    let daemon = daemon().await;
    let body = json!({"priority": 1000, "tags": 5, "extra": 1}).to_string();
    let problem = daemon.post("/tasks", &body).await.problem(Code::InvalidBody);
    let fields: Vec<&Value> =
        problem["errors"].as_array().unwrap().iter().map(|error| &error["field"]).collect();
    assert_eq!(fields, ["extra", "priority", "tags"]);
    assert!(problem["detail"].as_str().unwrap().contains("2 more"), "{problem}");

    let many: serde_json::Map<String, Value> = (0..500).map(|n| (format!("x{n}"), json!(1))).collect();
    for (path, body) in [("/tasks", json!(many)), ("/tasks/batch", json!(vec![json!(many); 100]))] {
        let problem = daemon.post(path, &body.to_string()).await.problem(Code::InvalidBody);
        assert_eq!(problem["errors"].as_array().unwrap().len(), 20);
    }
}

#[tokio::test]
async fn what_is_sent_as_another_type_is_refused() {
    let daemon = daemon().await;
    for path in JSON_ROUTES {
        for media_type in [
            "text/plain",
            "application/x-www-form-urlencoded",
            "application/json; charset=utf-16",
            "multipart/form-data",
        ] {
            let ask =
                daemon.ask("POST", path, |request| request.header("content-type", media_type).body("{}"));
            let problem = ask.await.problem(Code::UnsupportedMediaType);
            assert!(problem["detail"].as_str().unwrap().contains(media_type), "{problem}");
        }
        daemon.ask("POST", path, |request| request.body("{}")).await.problem(Code::UnsupportedMediaType);
        let packed = |request: reqwest::RequestBuilder| {
            request.header("content-type", "application/json").header("content-encoding", "gzip").body("{}")
        };
        daemon.ask("POST", path, packed).await.problem(Code::UnsupportedMediaType);
    }
}

#[tokio::test]
async fn bad_numbers_in_paths_are_refused_by_what_they_are() {
    let daemon = daemon().await;
    for id in [
        "0",
        "-1",
        "abc",
        "1.0",
        "9223372036854775808",
        "99999999999999999999999",
        "+1",
        "%00",
        "1%20",
        "0x1",
    ] {
        for (method, path) in [
            ("GET", format!("/tasks/{id}")),
            ("DELETE", format!("/tasks/{id}")),
            ("POST", format!("/tasks/{id}/cancel")),
            ("POST", format!("/tasks/{id}/retry")),
        ] {
            let problem = daemon.ask(method, &path, |request| request).await.problem(Code::InvalidParameter);
            assert_eq!(problem["field"], "id", "{problem}");
            assert!(problem["detail"].as_str().unwrap().contains("9223372036854775807"), "{problem}");
        }
    }
    daemon.get("/tasks/9223372036854775807").await.problem(Code::TaskNotFound);
}

#[tokio::test]
async fn a_parameter_that_a_route_does_not_know_is_refused_by_name_on_every_route() {
    let daemon = daemon().await;
    for route in table() {
        let path = route.path.replace("{id}", "1").replace("{kind}", "noop");
        let path = path.replace("{name}", "AAAAAAAAAAAAAAAAAAAAAA.png");
        for query in ["bogus=1", "limit%00=1", "Limit=5", "bogus"] {
            let asked = daemon.ask(route.method, &format!("{path}?{query}"), |request| request).await;
            let problem = asked.problem(Code::InvalidParameter);
            let name = query.split('=').next().unwrap().replace("%00", "\0");
            let named = problem["errors"].as_array().unwrap().iter().any(|error| error["field"] == name);
            assert!(named, "{} {path}: {problem}", route.method);
        }
    }
}

#[tokio::test]
async fn a_huge_body_is_refused_and_the_client_gets_to_read_it() {
    let daemon =
        start(Wishes { settings: vec![("http.max_json_bytes", "65536")], ..Wishes::default() }).await;
    let fits = format!("{{\"payload\":\"{}\"}}", "x".repeat(65_536 - 14));
    assert_eq!(fits.len(), 65_536);
    for path in JSON_ROUTES {
        let path = path.replace("/1/", "/9/");
        let huge = "x".repeat(8 << 20);
        // With its length, and in pieces of unknown length.
        daemon.post(&path, &huge).await.problem(Code::BodyTooLarge);
        let pieces =
            futures_util::stream::iter((0..500).map(|_| Ok::<_, std::io::Error>("[".repeat(16_384))));
        let asked = daemon.ask("POST", &path, |request| {
            request.header("content-type", "application/json").body(reqwest::Body::wrap_stream(pieces))
        });
        asked.await.problem(Code::BodyTooLarge);
    }
    daemon.post("/tasks", &fits).await.json(201);
    daemon.post("/tasks", &format!("{fits} ")).await.problem(Code::BodyTooLarge);
}

#[tokio::test]
async fn a_list_of_tags_without_end_is_refused_by_its_length_at_once() {
    let daemon = daemon().await;
    let tags: Vec<String> = (0..90_000).map(|n| n.to_string()).collect();
    let task = json!({ "tags": tags });
    let started = std::time::Instant::now();
    for (path, body, pointer) in
        [("/tasks", task.clone(), "/tags"), ("/tasks/batch", json!([{}, task]), "/1/tags")]
    {
        let problem = daemon.post(path, &body.to_string()).await.problem(Code::InvalidBody);
        let errors = problem["errors"].as_array().unwrap();
        assert_eq!((errors.len(), &errors[0]["pointer"]), (1, &pointer.into()), "{problem}");
        assert_eq!(errors[0]["problem"], "expected at most 16 tags, got 90000");
    }
    // Comparing each with each takes a minute.
    assert!(started.elapsed() < std::time::Duration::from_secs(10), "{:?}", started.elapsed());
    // What is behind the bound is not looked at.
    let body = json!({"tags": vec![json!(5); 17]}).to_string();
    let problem = daemon.post("/tasks", &body).await.problem(Code::InvalidBody);
    assert!(problem["detail"].as_str().unwrap().contains("at most 16 tags, got 17"), "{problem}");
}

#[tokio::test]
async fn a_payload_has_a_bound_of_its_own() {
    let daemon = daemon().await;
    let payload = |bytes: usize| json!({"payload": "x".repeat(bytes - 2)});
    let most = 256 << 10;
    daemon.post("/tasks", &payload(most).to_string()).await.json(201);
    for (path, body, pointer) in [
        ("/tasks", payload(most + 1), "/payload"),
        ("/tasks/batch", json!([{}, payload(most + 1)]), "/1/payload"),
    ] {
        let problem = daemon.post(path, &body.to_string()).await.problem(Code::InvalidBody);
        assert_eq!(problem["errors"][0]["pointer"], pointer);
        let told = problem["errors"][0]["problem"].as_str().unwrap();
        assert!(told.contains("256 KiB") && told.contains("262145"), "{told}");
    }
    assert_eq!(daemon.rows().await, 2, "nothing else was created");
}

#[tokio::test]
async fn a_body_that_may_hold_nothing_says_so() {
    let daemon = daemon().await;
    let problem = daemon.post("/tasks/1/cancel", r#"{"a":1}"#).await.problem(Code::InvalidBody);
    assert!(problem["detail"].as_str().unwrap().ends_with("the object must be empty"), "{problem}");
}
