//! What another site's page has a browser send: refused where it does something, whatever proof the browser carries.

use gristmill::http::{Code, table};
use serde_json::json;

use crate::harness::{Wishes, start};

#[tokio::test]
async fn every_route_that_does_something_refuses_other_sites_pages() {
    let daemon = start(Wishes { idle: true, ..Wishes::default() }).await;
    let mut refused = 0;
    for route in table() {
        let path = route.path.replace("{id}", "1");
        for (name, value) in [
            ("origin", "https://evil.example"),
            ("origin", "null"),
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-site", "same-site"),
        ] {
            if route.problems.contains(&Code::CrossOrigin) {
                let answer = daemon.ask(route.method, &path, |request| request.header(name, value)).await;
                answer.problem(Code::CrossOrigin);
                refused += 1;
            } else {
                assert_eq!(route.method, "GET");
            }
        }
    }
    for path in ["/tasks", "/users", "/health/live", "/openapi.json"] {
        let answer =
            daemon.ask("GET", path, |request| request.header("origin", "https://evil.example")).await;
        assert_eq!(answer.status, 200, "reading is for every page: {path}");
    }
    assert!(refused > 50, "{refused}");
    assert_eq!(daemon.rows().await, 0, "nothing was done");
    let taking = table().into_iter().find(|route| route.path == "/take_free_task").unwrap();
    assert!(taking.problems.contains(&Code::CrossOrigin), "a GET that does something");
}

#[tokio::test]
async fn a_session_counts_on_pages_of_ours_alone_and_a_token_everywhere() {
    let daemon = start(Wishes { idle: true, ..Wishes::default() }).await;
    let ann = daemon.post("/users", r#"{"name":"Ann","password":"correct horse"}"#).await.json(201);
    let cookie = daemon.log_in(&json!({"name": "Ann", "password": "correct horse"})).await;
    let own = format!("http://{}", daemon.address);
    let send = |who: Option<(&'static str, String)>, origin: &str| {
        let origin = origin.to_owned();
        daemon.ask("POST", "/tasks", |request| {
            let request = request.header("origin", origin);
            match who {
                Some((name, value)) => request.header(name, value),
                None => request,
            }
        })
    };
    let session = || Some(("cookie", cookie.clone()));
    let token = || Some(("authorization", format!("Bearer {}", ann["token"].as_str().unwrap())));
    assert_eq!(send(session(), &own).await.json(201)["owner"], ann["id"]);
    assert_eq!(send(None, &own).await.json(201)["owner"], json!(null));
    assert_eq!(send(token(), &own).await.json(201)["owner"], ann["id"]);
    assert_eq!(send(token(), "https://evil.example").await.json(201)["owner"], ann["id"]);
    send(session(), "https://evil.example").await.problem(Code::CrossOrigin);
    send(None, "https://evil.example").await.problem(Code::CrossOrigin);
    // Without a word of a browser it is a program.
    daemon.with_cookie(&cookie, "POST", "/tasks", json!(null)).await.json(201);
}

#[tokio::test]
async fn behind_a_proxy_the_public_address_is_ours() {
    let settings = vec![("http.public_url", "https://mill.example/")];
    let daemon = start(Wishes { idle: true, settings, ..Wishes::default() }).await;
    let send =
        |origin: &'static str| daemon.ask("POST", "/tasks", move |request| request.header("origin", origin));
    send("https://mill.example").await.json(201);
    send("http://mill.example").await.problem(Code::CrossOrigin);
    send("https://mill.example.evil").await.problem(Code::CrossOrigin);
}

#[tokio::test]
async fn a_page_whose_name_was_made_to_lead_here_is_refused_on_every_route() {
    let settings = vec![("http.hosts", "mill.lan"), ("http.public_url", "https://mill.example/")];
    let daemon = start(Wishes { settings, ..Wishes::default() }).await;
    let sent = daemon.send_photos(&[("a.png", crate::photos::png(4, 4))], None).await.json(201);
    let image = format!("/images/{}", sent["filename"].as_str().unwrap());
    daemon.get(&image).await;
    let by = |method: &'static str, path: String, host: &'static str| {
        let daemon = &daemon;
        async move { daemon.ask(method, &path, |request| request.header("host", host)).await }
    };
    for route in table() {
        // As a page does that is of the same origin by its name.
        let path = route.path.replace("{id}", "1").replace("{name}", &image["/images/".len()..]);
        let answer = daemon
            .ask(route.method, &path, |request| {
                let request = request.header("host", "evil.example:5000");
                request.header("origin", "http://evil.example:5000").header("sec-fetch-site", "same-origin")
            })
            .await;
        answer.problem(Code::ForeignHost);
    }
    for host in ["localhost:5000", "127.0.0.1", "[::1]:80", "mill.lan", "MILL.example:443"] {
        assert_eq!(by("GET", image.clone(), host).await.status, 200, "{host}");
        assert_eq!(by("GET", "/tasks".into(), host).await.status, 200, "{host}");
    }
    let old = daemon.raw(format!("GET {image} HTTP/1.0\r\n\r\n").as_bytes(), false).await;
    assert_eq!(old.status, 200, "a program of old names no host");
    assert_eq!(daemon.get(&image).await.status, 200, "it is still there");
}

#[tokio::test]
async fn where_everybody_has_to_prove_who_they_are_any_name_does() {
    let settings = vec![("auth.anonymous", "false")];
    let daemon = start(Wishes { idle: true, settings, ..Wishes::default() }).await;
    let named = |request: reqwest::RequestBuilder| request.header("host", "mill.example");
    assert_eq!(daemon.ask("GET", "/users", named).await.status, 200);
    daemon.ask("GET", "/tasks", named).await.problem(Code::Unauthenticated);
}
