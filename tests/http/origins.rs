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
