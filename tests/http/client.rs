//! Asking the daemon, and judging its answers: through a proper client, and through a bare socket.

use std::time::Duration;

use gristmill::http::{Code, PROBLEM_MEDIA_TYPE, table};
use reqwest::header::HeaderMap;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::harness::Daemon;

/// An answer, read to its end.
pub(crate) struct Answer {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

/// A user who was made for a test.
#[derive(Clone)]
pub(crate) struct Someone {
    pub(crate) id: i64,
    pub(crate) token: String,
}

impl Someone {
    /// Out of the answer that made them.
    pub(crate) fn of(user: &Value) -> Self {
        Self { id: user["id"].as_i64().unwrap(), token: user["token"].as_str().unwrap().to_owned() }
    }
}

impl Daemon {
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Asks, with whatever `build` adds.
    pub(crate) async fn ask(
        &self,
        method: &str,
        path: &str,
        build: impl FnOnce(reqwest::RequestBuilder) -> reqwest::RequestBuilder,
    ) -> Answer {
        let request = self.client.request(method.parse().unwrap(), self.url(path));
        let response = build(request).send().await.unwrap();
        Answer {
            method: method.to_owned(),
            path: path.split('?').next().unwrap().to_owned(),
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            body: response.bytes().await.unwrap().to_vec(),
        }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, |request| request).await
    }

    /// Sends text as JSON.
    pub(crate) async fn post(&self, path: &str, body: &str) -> Answer {
        let body = body.to_owned();
        self.ask("POST", path, |request| request.header("content-type", "application/json").body(body)).await
    }

    pub(crate) async fn someone(&self, name: &str) -> Someone {
        let made = self.post("/users", &serde_json::json!({ "name": name }).to_string()).await;
        Someone::of(&made.json(201))
    }

    /// Logs in, and gives the cookie as it is sent from then on.
    pub(crate) async fn log_in(&self, who: &Value) -> String {
        let answer = self.post("/login", &who.to_string()).await;
        answer.json(200);
        answer.cookie()
    }

    /// Asks with a session cookie, and a body where there is one.
    pub(crate) async fn with_cookie(&self, cookie: &str, method: &str, path: &str, body: Value) -> Answer {
        self.ask(method, path, |request| {
            let request = request.header("cookie", cookie);
            if body.is_null() { request } else { request.json(&body) }
        })
        .await
    }

    /// Asks with a token, and a body where there is one.
    pub(crate) async fn by(&self, who: &Someone, method: &str, path: &str, body: Value) -> Answer {
        self.ask(method, path, |request| {
            let request = request.bearer_auth(&who.token);
            if body.is_null() { request } else { request.json(&body) }
        })
        .await
    }

    /// Looks until the task has that status; a test that waits for what never comes fails by its own time limit.
    pub(crate) async fn until(&self, task: i64, status: &str) -> Value {
        let deadline = tokio::time::Instant::now() + Duration::from_secs(30);
        loop {
            let task = self.get(&format!("/tasks/{task}")).await.json(200);
            if task["status"] == status {
                return task;
            }
            assert!(tokio::time::Instant::now() < deadline, "still {task}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Sends bytes as they are and reads the answer until the daemon closes or the answer is complete. With `shut`, the
    /// sending side is closed first.
    pub(crate) async fn raw(&self, bytes: &[u8], shut: bool) -> Answer {
        let mut socket = TcpStream::connect(self.address).await.unwrap();
        socket.write_all(bytes).await.unwrap();
        if shut {
            socket.shutdown().await.unwrap();
        }
        read_answer(&mut socket).await
    }

    /// Tasks in the database, whoever owns them.
    pub(crate) async fn rows(&self) -> usize {
        use gristmill::store::Store;
        let events = self.store.events_after(gristmill::task::EventSeq(0), 10_000).await.unwrap();
        events.iter().filter(|(_, event)| event.fact.name() == gristmill::task::EventName::Created).count()
    }
}

/// Reads one answer from a socket.
pub(crate) async fn read_answer(socket: &mut (impl AsyncRead + Unpin)) -> Answer {
    let mut bytes = Vec::new();
    let mut piece = [0; 4096];
    let deadline = tokio::time::Instant::now() + Duration::from_secs(30);
    loop {
        if let Some(answer) = complete(&bytes) {
            return answer;
        }
        let read = tokio::time::timeout_at(deadline, socket.read(&mut piece)).await;
        match read.expect("an answer within half a minute") {
            Ok(0) | Err(_) => panic!("the connection ended in {:?}", String::from_utf8_lossy(&bytes)),
            Ok(n) => bytes.extend_from_slice(&piece[..n]),
        }
    }
}

fn complete(bytes: &[u8]) -> Option<Answer> {
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    let head = std::str::from_utf8(&bytes[..end]).unwrap();
    let mut lines = head.split("\r\n");
    let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    let mut headers = HeaderMap::new();
    for line in lines.take_while(|line| !line.is_empty()) {
        let (name, value) = line.split_once(':').unwrap();
        let name: reqwest::header::HeaderName = name.parse().unwrap();
        headers.append(name, value.trim().parse().unwrap());
    }
    let length: usize =
        headers.get("content-length").map_or(0, |length| length.to_str().unwrap().parse().unwrap());
    let body = bytes.get(end..end + length)?.to_vec();
    Some(Answer { method: String::new(), path: String::new(), status, headers, body })
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The cookie that it sets, as a client sends it back.
    #[track_caller]
    pub(crate) fn cookie(&self) -> String {
        self.header("set-cookie").split(';').next().unwrap().to_owned()
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// Its JSON, where the status is this one.
    #[track_caller]
    pub(crate) fn json(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{} {}: {}", self.method, self.path, self.text());
        assert_eq!(self.header("content-type"), "application/json");
        serde_json::from_slice(&self.body).unwrap()
    }

    /// The problem that it is, which must be this one, whole, and declared for the route.
    #[track_caller]
    pub(crate) fn problem(&self, code: Code) -> Value {
        let told = self.text();
        assert_eq!(self.status, code.status().as_u16(), "{} {}: {told}", self.method, self.path);
        assert_eq!(self.header("content-type"), PROBLEM_MEDIA_TYPE, "{told}");
        let problem: Value = serde_json::from_slice(&self.body).unwrap();
        assert_eq!(problem["code"], code.as_str(), "{told}");
        assert_eq!(problem["status"], self.status, "{told}");
        assert_eq!(problem["title"], code.title(), "{told}");
        assert_eq!(problem["type"], code.type_uri(), "{told}");
        assert!(problem["detail"].as_str().is_some_and(|detail| !detail.is_empty()), "{told}");
        let request = self.header("x-request-id");
        assert!(!request.is_empty(), "{told}");
        assert_eq!(problem["instance"], format!("urn:request:{request}"), "{told}");
        match self.status {
            503 => assert_eq!(self.header("retry-after"), problem["retry_after_s"].to_string(), "{told}"),
            429 if code == Code::RateLimited => {
                assert_eq!(self.header("retry-after"), problem["retry_after_s"].to_string(), "{told}");
            }
            401 => assert!(self.header("www-authenticate").starts_with("Bearer"), "{told}"),
            405 => assert!(!self.header("allow").is_empty(), "{told}"),
            _ => {}
        }
        if !matches!(code, Code::NotFound | Code::MethodNotAllowed) && !self.method.is_empty() {
            let route =
                table().into_iter().find(|route| route.method == self.method && fits(route.path, &self.path));
            let route = route.unwrap_or_else(|| panic!("{} {} is no route", self.method, self.path));
            assert!(route.problems.contains(&code), "{route:?} does not declare {code:?}");
        }
        problem
    }
}

fn fits(pattern: &str, path: &str) -> bool {
    let (pattern, path): (Vec<&str>, Vec<&str>) = (pattern.split('/').collect(), path.split('/').collect());
    pattern.len() == path.len()
        && pattern.iter().zip(path).all(|(p, s)| (p.starts_with('{') && !s.is_empty()) || *p == s)
}
