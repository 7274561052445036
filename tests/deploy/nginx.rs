//! nginx with the project's configuration, in front of daemons: images from its cache, streams, uploads, who callers are.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr};

use gristmill::config::{LoadOptions, Settings};
use reqwest::multipart::{Form, Part};
use reqwest::{Client, RequestBuilder, Response};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::common::eventually;
use crate::stand::{Front, run, text};

/// What is promised of an image, whoever gives it.
const OF_IMAGES: [&str; 6] = [
    "etag",
    "cache-control",
    "content-type",
    "content-disposition",
    "x-content-type-options",
    "content-security-policy",
];

/// A picture of so many pixels a side that no program makes smaller, as a PNG: three bytes a pixel.
fn noise(side: u32) -> Vec<u8> {
    let mut state = 1_u32;
    let picture = image::RgbImage::from_fn(side, side, |_, _| {
        image::Rgb([(); 3].map(|()| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            state.to_be_bytes()[0]
        }))
    });
    let mut png = std::io::Cursor::new(Vec::new());
    picture.write_to(&mut png, image::ImageFormat::Png).unwrap();
    png.into_inner()
}

fn form(file: Vec<u8>) -> Form {
    Form::new().part("file", Part::bytes(file).file_name("a.png"))
}

async fn uploaded(front: &Front, file: Vec<u8>) -> (String, String) {
    let answer = Client::new().post(front.url("/upload")).multipart(form(file)).send().await.unwrap();
    let (status, image) = (answer.status(), answer.json::<Value>().await.unwrap());
    assert_eq!(status, 201, "{image}");
    let path = url::Url::parse(image["url"].as_str().unwrap()).unwrap().path().to_owned();
    (path, image["delete_token"].as_str().unwrap().to_owned())
}

fn promised(answer: &Response) -> BTreeMap<&'static str, String> {
    let header = |name: &&'static str| {
        let values = answer.headers().get_all(*name).iter().map(|value| value.to_str().unwrap());
        (*name, values.collect::<Vec<_>>().join(" | "))
    };
    OF_IMAGES.iter().map(header).collect()
}

fn header(answer: &Response, name: &str) -> String {
    let values: Vec<&str> =
        answer.headers().get_all(name).iter().map(|value| value.to_str().unwrap()).collect();
    assert!(values.len() <= 1, "{name}: {values:?}");
    values.concat()
}

/// An answer that must be a problem with this code; its members.
async fn problem(answer: Response, status: u16, code: &str) -> Value {
    let (found, media_type) = (answer.status(), header(&answer, "content-type"));
    let request = header(&answer, "x-request-id");
    let text = answer.text().await.unwrap();
    assert_eq!((found.as_u16(), media_type.as_str()), (status, "application/problem+json"), "{text}");
    let problem: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((&problem["code"], &problem["status"]), (&code.into(), &status.into()), "{text}");
    assert_eq!(problem["instance"], format!("urn:request:{request}"), "{text}");
    problem
}

#[tokio::test]
async fn an_image_comes_from_nginx_as_the_daemon_gives_it_until_it_is_deleted_on_any_node() {
    let front = Front::of_two().await;
    let client = Client::new();
    let file = noise(700);
    assert!(file.len() > 1 << 20, "more than the daemon keeps in memory");
    let (path, token) = uploaded(&front, file.clone()).await;
    let get = |headers: &[(&'static str, String)]| {
        let request = client.get(front.url(&path));
        headers.iter().fold(request, |request, (name, value)| request.header(*name, value)).send()
    };

    let direct = client.get(front.nodes[0].url(&path)).send().await.unwrap();
    let promises = promised(&direct);
    let tag = promises["etag"].clone();
    assert!(promises["cache-control"].contains("immutable") && tag.starts_with('"'), "{promises:?}");
    let given = direct.bytes().await.unwrap();
    for _ in 0..2 {
        let answer = get(&[]).await.unwrap();
        assert_eq!((answer.status().as_u16(), promised(&answer)), (200, promises.clone()));
        assert_eq!(answer.bytes().await.unwrap(), given);
    }
    // The second one, or one soon after, comes from the disk of nginx.
    eventually("an answer from the cache", || async {
        get(&[]).await.unwrap().bytes().await.unwrap();
        front.told().contains("cache=HIT node=-").then_some(())
    })
    .await;
    // And when the second is over, the daemon is asked by the tag, and sends no byte of it.
    eventually("an answer that the daemon was asked about", || async {
        get(&[]).await.unwrap().bytes().await.unwrap();
        front.told().contains("cache=REVALIDATED").then_some(())
    })
    .await;

    let answer = get(&[("if-none-match", format!("\"x\", {tag}"))]).await.unwrap();
    assert_eq!((answer.status().as_u16(), header(&answer, "etag")), (304, tag.clone()));
    let answer = client.head(front.url(&path)).send().await.unwrap();
    assert_eq!((answer.status().as_u16(), header(&answer, "content-length")), (200, given.len().to_string()));
    let answer = get(&[("range", "bytes=10-19".into()), ("if-range", tag.clone())]).await.unwrap();
    assert_eq!(answer.status(), 206);
    assert_eq!(header(&answer, "content-range"), format!("bytes 10-19/{}", given.len()));
    assert_eq!(promised(&answer), promises);
    assert_eq!(answer.bytes().await.unwrap(), given.slice(10..20));
    let answer = get(&[("range", "bytes=10-19".into()), ("if-range", "\"x\"".into())]).await.unwrap();
    assert_eq!(answer.status(), 200, "a part of another file is of no use");
    let answer = get(&[("range", format!("bytes={}-", given.len()))]).await.unwrap();
    assert_eq!(header(&answer, "cache-control"), "no-store", "an error is kept by no cache");
    assert_eq!(header(&answer, "content-range"), format!("bytes */{}", given.len()));
    problem(answer, 416, "range_not_satisfiable").await;
    problem(get(&[("if-match", "\"x\"".into())]).await.unwrap(), 412, "precondition_failed").await;
    let variant = client.get(front.url(&format!("{path}?w=64&h=64"))).send().await.unwrap();
    assert_eq!(variant.status(), 200);
    assert_ne!(header(&variant, "etag"), tag);
    let answer = client.get(front.url(&format!("{path}?w=65"))).send().await.unwrap();
    problem(answer, 400, "invalid_parameter").await;

    // Deleted on a node that nginx may not even have asked.
    let deleted = client.delete(format!("{}?token={token}", front.nodes[1].url(&path))).send().await.unwrap();
    assert_eq!(deleted.status(), 204);
    for gone in [path.clone(), format!("{path}?w=64&h=64")] {
        eventually("the image is gone", || async {
            let answer = client.get(front.url(&gone)).send().await.unwrap();
            (answer.status() != 200).then_some(())
        })
        .await;
        let answer = client.get(front.url(&gone)).send().await.unwrap();
        assert_eq!(header(&answer, "cache-control"), "no-store");
        problem(answer, 404, "image_not_found").await;
    }
}

#[tokio::test]
async fn an_image_is_deleted_through_nginx() {
    let front = Front::of_one(&[]).await;
    let client = Client::new();
    let (path, token) = uploaded(&front, noise(32)).await;
    assert_eq!(client.get(front.url(&path)).send().await.unwrap().status(), 200);
    let answer = client.delete(front.url(&path)).send().await.unwrap();
    assert!(answer.status().is_client_error(), "without the token: {}", answer.status());
    let answer = client.delete(front.url(&format!("{path}?token={token}"))).send().await.unwrap();
    assert_eq!(answer.status(), 204);
    eventually("the image is gone", || async {
        (client.get(front.url(&path)).send().await.unwrap().status() == 404).then_some(())
    })
    .await;
    assert!(!front.told().contains(&token), "a token stands in the log:\n{}", front.told());
}

#[tokio::test]
async fn uploads_pass_up_to_the_daemons_limits_and_are_refused_beyond_in_its_words() {
    let front = Front::of_one(&[]).await;
    let client = Client::new();
    let large = noise(1_315);
    assert!((5_000_000..5 << 20).contains(&large.len()), "{}", large.len());
    uploaded(&front, large).await;

    let answer = client.post(front.url("/upload")).multipart(form(noise(1_400))).send().await.unwrap();
    let told = problem(answer, 413, "image_too_large").await;
    assert!(told["detail"].as_str().unwrap().contains("5 MiB"), "the daemon's own answer: {told}");

    // What nginx refuses by the length that is declared, before a byte of it comes.
    for (path, media_type, most, code) in [
        ("/upload", "image/png", 102_464_u64 << 10, "image_too_large"),
        ("/records", "multipart/form-data; boundary=x", 2_097_216 << 10, "recording_too_large"),
        ("/music-add", "multipart/form-data; boundary=x", 2_097_216 << 10, "recording_too_large"),
        ("/tasks", "application/json", 16 << 20, "body_too_large"),
    ] {
        let head = format!("POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: {media_type}\r\n");
        let (status, body) = raw(&front, &format!("{head}content-length: {}\r\n\r\n", most + 1), b"").await;
        let problem: Value = serde_json::from_str(&body).unwrap();
        assert_eq!((status, problem["code"].as_str().unwrap()), (413, code), "{path}: {body}");
        assert!(problem["detail"].as_str().unwrap().starts_with("the proxy"), "{path}: {body}");
    }
}

#[tokio::test]
async fn a_body_goes_on_while_it_comes_and_is_not_laid_down_twice() {
    let front = Front::of_one(&[]).await;
    // The daemon sees from the first bytes that this is no image, and says so while the client has most of it still.
    let head = "POST /upload HTTP/1.1\r\nhost: localhost\r\ncontent-type: image/png\r\ncontent-length: 4000000\r\n\r\n";
    let (status, body) = raw(&front, head, &[b'x'; 300_000]).await;
    assert_eq!(status, 415, "{body}");
    assert!(!front.complaints().contains("buffered to a temporary file"), "{}", front.complaints());
}

/// Sends this and no more, and reads what comes back.
async fn raw(front: &Front, head: &str, body: &[u8]) -> (u16, String) {
    let mut stream = TcpStream::connect(front.address()).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(body).await.unwrap();
    let mut answer = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&answer).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let head = head.to_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
            if body.len() >= length.parse::<usize>().unwrap() {
                return (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned());
            }
        }
        let mut piece = [0; 4096];
        let read = tokio::time::timeout(std::time::Duration::from_secs(60), stream.read(&mut piece)).await;
        let read = read.expect("an answer within a minute").unwrap();
        assert_ne!(read, 0, "the connection ended: {text}");
        answer.extend_from_slice(&piece[..read]);
    }
}

#[tokio::test]
async fn an_event_arrives_at_once() {
    let front = Front::of_one(&[]).await;
    let client = Client::new();
    let task = client.post(front.url("/tasks")).header("prefer", "respond-async").send().await.unwrap();
    let task = task.json::<Value>().await.unwrap()["id"].as_i64().unwrap();
    for path in ["/events?last_event_id=0".to_owned(), format!("/tasks/{task}/events")] {
        let mut stream = client.get(front.url(&path)).send().await.unwrap();
        assert_eq!(header(&stream, "content-type"), "text/event-stream");
        assert_eq!(header(&stream, "cache-control"), "no-store");
        // The stream goes on: each event comes by itself, as long as there is nothing after it.
        let mut heard = String::new();
        while !heard.contains("event: completed") {
            let piece = tokio::time::timeout(std::time::Duration::from_secs(60), stream.chunk()).await;
            let piece = piece.expect("an event within a minute").unwrap().expect("the stream goes on");
            heard.push_str(&String::from_utf8_lossy(&piece));
        }
    }
}

/// A client at this address of the machine.
fn client_at(last: u8) -> Client {
    Client::builder().local_address(IpAddr::V4(Ipv4Addr::new(127, 0, 0, last))).build().unwrap()
}

/// What clients write to be taken for somebody else.
fn forged(request: RequestBuilder) -> RequestBuilder {
    request
        .header("x-forwarded-for", "203.0.113.9")
        .header("x-real-ip", "203.0.113.9")
        .header("forwarded", "for=203.0.113.9;proto=https")
        .header("x-forwarded-proto", "https")
}

#[tokio::test]
async fn callers_are_told_apart_by_their_own_address_and_cannot_forge_another() {
    let front = Front::of_one(&[("IMAGES__UPLOADS_PER_MINUTE", "1")]).await;
    let send = |last: u8, url: String| forged(client_at(last).post(url)).multipart(form(noise(16))).send();
    assert_eq!(send(2, front.url("/upload")).await.unwrap().status(), 201);
    problem(send(2, front.url("/upload")).await.unwrap(), 429, "rate_limited").await;
    assert_eq!(send(3, front.url("/upload")).await.unwrap().status(), 201, "another caller");
    // What would be believed, if nginx passed it on.
    assert_eq!(send(1, front.nodes[0].url("/upload")).await.unwrap().status(), 201);
    problem(send(1, front.nodes[0].url("/upload")).await.unwrap(), 429, "rate_limited").await;

    let client = client_at(4);
    let user = r#"{"name": "ann", "password": "correct horse"}"#;
    let json =
        |request: RequestBuilder, body: String| request.header("content-type", "application/json").body(body);
    let user = json(client.post(front.url("/users")), user.into())
        .send()
        .await
        .unwrap()
        .json::<Value>()
        .await
        .unwrap();
    let login = format!(r#"{{"id": {}, "password": "correct horse"}}"#, user["id"]);
    let cookie = |answer: Response| header(&answer, "set-cookie");
    let through = forged(json(client.post(front.url("/login")), login.clone())).send().await.unwrap();
    let through = cookie(through);
    assert!(
        through.contains("HttpOnly") && !through.contains("Secure"),
        "the caller came over HTTP: {through}"
    );
    let direct = forged(json(client_at(1).post(front.nodes[0].url("/login")), login)).send().await.unwrap();
    assert!(cookie(direct).contains("Secure"), "what would be believed");
}

#[tokio::test]
async fn with_tls_the_cookie_is_for_tls_alone_and_who_comes_without_is_sent_on() {
    let (front, certificate) = Front::with_tls().await;
    let (port, authority) = (front.port(), certificate.display().to_string());
    let address = format!("localhost:{port}:127.0.0.2");
    let posted = |path: &str, body: String| {
        let url = format!("https://localhost:{port}{path}");
        let json = "content-type: application/json";
        let told = [
            "-sS",
            "-i",
            "--max-time",
            "20",
            "--cacert",
            &authority,
            "--resolve",
            &address,
            "-H",
            json,
            "-d",
            &body,
            &url,
        ];
        run("curl", &told, std::path::Path::new("."))
    };
    let user = posted("/users", r#"{"name": "ann", "password": "correct horse"}"#.to_owned());
    let user: Value = serde_json::from_str(user.lines().last().unwrap()).unwrap();
    let answer = posted("/login", format!(r#"{{"id": {}, "password": "correct horse"}}"#, user["id"]));
    let lines: Vec<String> = answer.lines().map(str::to_ascii_lowercase).collect();
    assert_eq!(lines[0].trim(), "http/2 200", "{answer}");
    assert!(
        lines.iter().any(|line| line.starts_with("set-cookie: ") && line.contains("; secure")),
        "{answer}"
    );
    assert!(lines.iter().any(|line| line == "strict-transport-security: max-age=31536000"), "{answer}");
    assert!(lines.iter().any(|line| line.starts_with("x-request-id: ")), "{answer}");

    let client = Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let plain = client.get(front.url("/images/?limit=1")).send().await.unwrap();
    assert_eq!(
        (plain.status().as_u16(), header(&plain, "location")),
        (308, "https://127.0.0.1/images/?limit=1".into())
    );
    assert_eq!(plain.headers().get("strict-transport-security"), None, "over HTTP it would mean nothing");
}

#[tokio::test]
async fn a_node_that_died_is_passed_over_and_without_any_the_answer_is_a_problem() {
    let front = Front::of_two().await;
    let client = Client::new();
    let answer = client.get(front.url("/tasks")).header("x-request-id", "mine-17").send().await.unwrap();
    assert_eq!((answer.status().as_u16(), header(&answer, "x-request-id")), (200, "mine-17".to_owned()));
    let answer = client.get(front.url("/tasks")).header("x-request-id", "two words").send().await.unwrap();
    assert_eq!((answer.status().as_u16(), header(&answer, "x-request-id").len()), (200, 32));
    problem(client.get(front.url("/metrics")).send().await.unwrap(), 404, "not_found").await;

    front.nodes[0].process.kill();
    for _ in 0..20 {
        assert_eq!(client.get(front.url("/tasks")).send().await.unwrap().status(), 200);
    }
    front.nodes[1].process.kill();
    let answer = client.get(front.url("/tasks")).send().await.unwrap();
    assert_eq!(header(&answer, "retry-after"), "1");
    problem(answer, 503, "interrupted").await;
}

#[test]
fn the_limits_in_the_configuration_are_those_of_the_daemon() {
    let options = LoadOptions { files: Vec::new(), directory: "no such folder".into(), env: BTreeMap::new() };
    let settings = Settings::load(options).unwrap().settings;
    let config = text("config/nginx/nginx.conf");
    let mut limits: Vec<u64> = Vec::new();
    for line in config.lines().filter_map(|line| line.trim().strip_prefix("client_max_body_size ")) {
        let line = line.trim_end_matches(';');
        let (number, unit) = line.split_at(line.len() - 1);
        limits.push(
            number.parse::<u64>().unwrap()
                << match unit {
                    "k" => 10,
                    "m" => 20,
                    other => panic!("{other}"),
                },
        );
    }
    // Besides the files, a form takes 64 KiB.
    let form = 64 << 10;
    let images = settings.images.max_bytes.bytes() * settings.images.max_files as u64 + form;
    assert_eq!(
        limits,
        [settings.http.max_json_bytes.bytes(), images, settings.records.max_bytes.bytes() + form]
    );
    let seconds = |name: &str| {
        let line = config.lines().find_map(|line| line.trim().strip_prefix(name)).unwrap();
        line.trim().trim_end_matches("s;").parse::<u64>().unwrap()
    };
    assert!(seconds("proxy_read_timeout ") > settings.http.max_wait.as_secs());
    assert_eq!(seconds("client_body_timeout "), settings.http.request_timeout.as_secs());
}

#[test]
fn what_nginx_answers_by_itself_is_in_the_catalogue_of_problems() {
    let (config, problems) = (text("config/nginx/nginx.conf"), text("docs/problems.md"));
    let mut seen = 0;
    for line in config.lines().filter_map(|line| line.trim().strip_prefix("return ")) {
        let (status, body) = line.trim_end_matches("';").split_once(" '").unwrap();
        let problem: Value = serde_json::from_str(body).unwrap();
        let mut row = String::new();
        let (code, title) = (problem["code"].as_str().unwrap(), problem["title"].as_str().unwrap());
        write!(row, "| {status} | `{code}` | **{title}.** ").unwrap();
        assert!(problems.contains(&row), "docs/problems.md has no `{row}`");
        assert_eq!(
            (problem["status"].to_string().as_str(), &problem["type"]),
            (status, &format!("/problems/{code}").into())
        );
        seen += 1;
    }
    assert_eq!(seen, 5);
}

#[tokio::test]
async fn every_route_that_streams_events_or_takes_files_has_its_place_in_the_configuration() {
    let front = Front::of_one(&[]).await;
    let document =
        Client::new().get(front.url("/openapi.json")).send().await.unwrap().json::<Value>().await.unwrap();
    let config = text("config/nginx/nginx.conf");
    let places = |holding: &str| -> Vec<String> {
        let blocks = config.split("location ").skip(1).filter(|block| block.contains(holding));
        let paths = blocks.map(|block| block.split_once(" {").unwrap().0);
        paths
            .flat_map(|path| match path.strip_prefix("~ ^/(").and_then(|path| path.strip_suffix(")$")) {
                Some(paths) => {
                    paths.split('|').map(|path| format!("/{}", path.replace("[0-9]+", "{id}"))).collect()
                }
                None => vec![path.trim_start_matches("= ").to_owned()],
            })
            .collect()
    };
    let (streams, uploads) = (places("proxy_buffering off;"), places("client_max_body_size "));
    let mut seen = (0, 0);
    for (path, methods) in document["paths"].as_object().unwrap() {
        for method in methods.as_object().unwrap().values() {
            let answers = method["responses"].as_object().into_iter().flatten();
            let streamed =
                answers.into_iter().any(|(_, answer)| answer["content"].get("text/event-stream").is_some());
            let taken = method["requestBody"]["content"].get("multipart/form-data").is_some();
            assert!(!streamed || streams.contains(path), "{path} streams events: {streams:?}");
            assert!(!taken || uploads.contains(path), "{path} takes files: {uploads:?}");
            seen = (seen.0 + usize::from(streamed), seen.1 + usize::from(taken));
        }
    }
    assert!(seen.0 >= 2 && seen.1 >= 3, "{seen:?}");
}
