//! Calls against real servers on this machine: here what goes out, where it goes and how it ends; in `flow.rs` the
//! same for streams; in `tls.rs` what makes it safe.

mod flow;
mod tls;

use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::poll;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use super::*;
use crate::config::{LoadOptions, Settings, WebhookSettings};

const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// Long enough for anything that happens at all.
const PATIENCE: Duration = Duration::from_secs(30);

/// A resolver that gives its answers in turn, the last for ever, and counts the questions.
struct Script {
    answers: Mutex<Vec<Vec<IpAddr>>>,
    asked: AtomicUsize,
}

impl Script {
    fn new(answers: &[&[&str]]) -> Arc<Self> {
        let parse = |answer: &&[&str]| answer.iter().map(|address| address.parse().unwrap()).collect();
        let answers = answers.iter().rev().map(parse).collect();
        Arc::new(Self { answers: Mutex::new(answers), asked: AtomicUsize::new(0) })
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

#[async_trait]
impl Resolver for Script {
    async fn addresses(&self, _name: &str) -> io::Result<Vec<IpAddr>> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let mut answers = self.answers.lock().unwrap();
        Ok(if answers.len() > 1 { answers.pop().unwrap() } else { answers[0].clone() })
    }
}

/// A server that answers every connection with the same bytes once it has read a request's head, and closes.
struct Server {
    port: u16,
    /// The requests, as they came.
    heard: mpsc::UnboundedReceiver<String>,
    connections: Arc<AtomicUsize>,
}

impl Server {
    async fn answering(answer: impl Into<Vec<u8>>) -> Self {
        let listener = TcpListener::bind((LOOPBACK, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let connections = Arc::new(AtomicUsize::new(0));
        let (tell, heard) = mpsc::unbounded_channel();
        let (answer, counter) = (Bytes::from(answer.into()), Arc::clone(&connections));
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                counter.fetch_add(1, Ordering::SeqCst);
                let (tell, answer) = (tell.clone(), answer.clone());
                tokio::spawn(async move {
                    let request = hear(&mut stream).await;
                    // Nobody may listen, and the client may have heard enough.
                    let _ = tell.send(request);
                    let _ = stream.write_all(&answer).await;
                });
            }
        });
        Self { port, heard, connections }
    }

    fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    fn url(&self, host: &str) -> String {
        format!("http://{host}:{}/path?token=hush", self.port)
    }

    fn target(&self, host: &str) -> Target {
        target(&self.url(host))
    }
}

/// A request up to the end of the body that it announces.
async fn hear(stream: &mut (impl AsyncReadExt + Unpin)) -> String {
    let mut heard = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&heard).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            if body.len() >= length.map_or(0, |length| length.parse().unwrap()) {
                return text;
            }
        }
        if stream.read_buf(&mut heard).await.unwrap_or(0) == 0 {
            return text;
        }
    }
}

fn target(url: &str) -> Target {
    Target::parse(url, &Policy::public().with_private()).unwrap()
}

fn limits() -> Limits {
    Limits { resolve: PATIENCE, connect: PATIENCE, total: PATIENCE, body_bytes: 1000, concurrency: 16 }
}

/// A client that may call this machine.
fn client(resolver: Arc<dyn Resolver>) -> Client {
    Client::with(Policy::public().with_private(), limits(), resolver)
}

async fn get(target: Target) -> Result<Response, OutboundError> {
    client(Script::new(&[&["127.0.0.1"]])).send(Request::get(target)).await
}

async fn get_from(answer: impl Into<Vec<u8>>) -> Result<Response, OutboundError> {
    let server = Server::answering(answer).await;
    get(server.target("hooks.test")).await
}

#[test]
fn the_settings_say_what_may_be_called_and_how_long_it_may_take() {
    let env = [
        ("GRISTMILL__WEBHOOKS__ALLOW", "10.1.0.0/16"),
        ("GRISTMILL__WEBHOOKS__TIMEOUT_S", "3"),
        ("GRISTMILL__WEBHOOKS__CONCURRENCY", "7"),
    ];
    let folder = tempfile::tempdir().unwrap();
    let options = LoadOptions {
        directory: folder.path().to_owned(),
        env: env.iter().map(|(name, value)| (name.into(), value.into())).collect(),
        ..LoadOptions::default()
    };
    let settings = Settings::load(options).unwrap().settings.webhooks;
    let policy = Policy::from(&settings);
    for (address, allowed) in
        [("10.1.2.3", true), ("10.2.0.0", false), ("127.0.0.1", false), ("8.8.8.8", true)]
    {
        assert_eq!(policy.check(address.parse().unwrap()).is_ok(), allowed, "{address}");
    }
    let open = Policy::from(&WebhookSettings { allow_private: true, ..settings.clone() });
    assert!(open.check(LOOPBACK).is_ok());

    let limits = Limits::from(&settings);
    let (three, usual) = (Duration::from_secs(3), Limits::default());
    assert_eq!(limits, Limits { resolve: three, connect: three, total: three, concurrency: 7, ..usual });
}

#[tokio::test]
async fn a_request_arrives_as_it_was_written() {
    let mut server =
        Server::answering("HTTP/1.1 202 Accepted\r\nretry-after: 7\r\ncontent-length: 5\r\n\r\nhello").await;
    let request =
        Request::post(server.target("hooks.test"), r#"{"a":1}"#).header("webhook-id", "msg_1").unwrap();
    let response = client(Script::new(&[&["127.0.0.1"]])).send(request).await.unwrap();
    assert_eq!((response.status, response.is_success(), response.cut), (202, true, false));
    assert_eq!((response.header("retry-after"), &response.body[..]), (Some("7"), &b"hello"[..]));

    let heard = server.heard.recv().await.unwrap();
    let (head, body) = heard.split_once("\r\n\r\n").unwrap();
    let mut lines: Vec<&str> = head.lines().collect();
    assert_eq!(lines.remove(0), "POST /path?token=hush HTTP/1.1");
    lines.sort_unstable();
    let agent = format!("user-agent: gristmill/{}", env!("CARGO_PKG_VERSION"));
    let host = format!("host: hooks.test:{}", server.port);
    assert_eq!(lines, ["connection: close", "content-length: 7", &host, &agent, "webhook-id: msg_1"]);
    assert_eq!(body, r#"{"a":1}"#);
}

#[tokio::test]
async fn a_redirect_is_a_status_and_is_not_followed() {
    let elsewhere = Server::answering("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    for status in [301, 302, 303, 307, 308] {
        let location = elsewhere.url("127.0.0.1");
        let answer = format!("HTTP/1.1 {status} Moved\r\nlocation: {location}\r\ncontent-length: 0\r\n\r\n");
        let response = get_from(answer).await.unwrap();
        assert_eq!((response.status, response.header("location")), (status, Some(location.as_str())));
    }
    assert_eq!(elsewhere.connections(), 0, "the redirect was followed");
}

#[tokio::test]
async fn a_body_is_read_to_the_limit_and_cut_there() {
    let of =
        |bytes: usize| format!("HTTP/1.1 200 OK\r\ncontent-length: {bytes}\r\n\r\n{}", "x".repeat(bytes));
    for (bytes, kept, cut) in
        [(999, 999, false), (1000, 1000, false), (1001, 1000, true), (5 << 20, 1000, true)]
    {
        let response = get_from(of(bytes)).await.unwrap();
        assert_eq!((response.body.len(), response.cut), (kept, cut), "{bytes} bytes");
    }
    // Without a length, to the end of the connection.
    let response = get_from(format!("HTTP/1.1 200 OK\r\n\r\n{}", "x".repeat(5000))).await.unwrap();
    assert_eq!((response.body.len(), response.cut), (1000, true));
    // Compressed, it stays so.
    let response = get_from("HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\n\r\n\x1f\u{8b}").await.unwrap();
    assert_eq!(&response.body[..], "\x1f\u{8b}".as_bytes());
}

#[tokio::test]
async fn what_is_no_proper_answer_is_told() {
    let many: String = (0..101).map(|number| format!("h{number}: v\r\n")).collect();
    for (what, answer) in [
        ("nothing", String::new()),
        ("no HTTP", "SSH-2.0-OpenSSH_9.2\r\n".to_owned()),
        ("a head beyond bounds", format!("HTTP/1.1 200 OK\r\nx: {}\r\n\r\n", "x".repeat(100 << 10))),
        ("too many headers", format!("HTTP/1.1 200 OK\r\n{many}\r\n")),
        ("half a head", "HTTP/1.1 200 OK\r\ncontent-".to_owned()),
        ("half a body", "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf".to_owned()),
        ("a chunk that is none", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n".to_owned()),
    ] {
        let error = get_from(answer).await.expect_err(what);
        assert!(matches!(error, OutboundError::Protocol { .. }), "{what}: {error:?}");
        let told = error.to_string();
        assert!(told.starts_with("http://hooks.test:") && !told.contains("hush"), "{what}: {told}");
    }
    // As many as fit are taken.
    let fit = many.replace("h100: v\r\n", "");
    assert_eq!(get_from(format!("HTTP/1.1 204 No Content\r\n{fit}\r\n")).await.unwrap().headers.len(), 100);
}

/// A server that accepts, reads, says `first`, and then `again` for ever; it tells when the client has gone.
async fn tiresome(first: &'static str, again: &'static str) -> (u16, mpsc::UnboundedReceiver<()>) {
    let listener = TcpListener::bind((LOOPBACK, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (tell, gone) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        hear(&mut stream).await;
        let mut said = stream.write_all(first.as_bytes()).await;
        while said.is_ok() {
            // Its pace: what matters is that it never ends.
            let wait = tokio::time::timeout(Duration::from_millis(10), stream.read_u8());
            said = match wait.await {
                Ok(read) => read.map(|_| ()),
                Err(_) => stream.write_all(again.as_bytes()).await,
            };
        }
        let _ = tell.send(());
    });
    (port, gone)
}

#[tokio::test]
async fn a_server_that_never_comes_to_an_end_is_given_up_in_time() {
    for (first, again) in [
        ("", ""),
        ("HTTP/1.1 200 OK\r\n", "x: y\r\n"),
        ("", "HTTP/1.1 100 Continue\r\n\r\n"),
        ("HTTP/1.1 200 OK\r\ncontent-length: 900\r\n\r\n", ""),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", "1\r\nx\r\n"),
    ] {
        let (port, mut gone) = tiresome(first, again).await;
        let short = Limits { total: Duration::from_millis(200), ..limits() };
        let client = Client::with(Policy::public().with_private(), short, Script::new(&[&["127.0.0.1"]]));
        let request = Request::get(target(&format!("http://hooks.test:{port}/path?token=hush")));
        let error = client.send(request).await.expect_err("no end");
        let OutboundError::Timeout { phase: Phase::Answering, .. } = error else {
            panic!("{first:?} {again:?}: {error:?}")
        };
        assert_eq!(error.to_string(), format!("http://hooks.test:{port} took more than 0.2 s to answer"));
        gone.recv().await.expect("the connection is closed when the call is given up");
    }
}

#[tokio::test]
async fn a_name_that_leads_to_this_machine_is_refused() {
    let server = Server::answering("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    // By the system's resolver, for a target that another policy let pass.
    let error =
        Client::new(Policy::public()).send(Request::get(server.target("localhost"))).await.unwrap_err();
    let OutboundError::Forbidden { host, address, .. } = &error else { panic!("{error:?}") };
    assert!(host == "localhost" && address.is_loopback(), "{error:?}");
    let told = error.to_string();
    assert!(told.starts_with("localhost leads to ") && told.ends_with("that address is loopback"), "{told}");

    let error =
        Client::new(Policy::public()).send(Request::get(server.target("127.0.0.1"))).await.unwrap_err();
    assert!(matches!(error, OutboundError::Forbidden { .. }), "{error:?}");
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn one_forbidden_address_among_many_refuses_the_call() {
    let server = Server::answering("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    for (answer, forbidden) in [
        (["127.0.0.1", "169.254.169.254"], "169.254.169.254"),
        (["169.254.169.254", "127.0.0.1"], "169.254.169.254"),
        (["127.0.0.1", "::ffff:127.0.0.1"], "::ffff:127.0.0.1"),
    ] {
        let client = client(Script::new(&[&answer]));
        let error = client.send(Request::get(server.target("hooks.test"))).await.unwrap_err();
        let OutboundError::Forbidden { address, .. } = error else { panic!("{error:?}") };
        assert_eq!(address, forbidden.parse::<IpAddr>().unwrap());
    }
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn a_call_goes_to_the_address_that_was_checked_and_asks_once() {
    let server = Server::answering("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    // What an attacker's name server does: a harmless address for the check, another for the connection.
    let resolver = Script::new(&[&["127.0.0.1"], &["169.254.169.254"]]);
    let client = client(Arc::clone(&resolver) as Arc<dyn Resolver>);
    let response = client.send(Request::get(server.target("hooks.test"))).await.unwrap();
    assert_eq!((response.status, resolver.asked(), server.connections()), (200, 1, 1));
    // The next call is a new question and gets the new answer; no open connection saves it.
    let error = client.send(Request::get(server.target("hooks.test"))).await.unwrap_err();
    assert!(matches!(error, OutboundError::Forbidden { .. }), "{error:?}");
    assert_eq!((resolver.asked(), server.connections()), (2, 1));
}

#[tokio::test]
async fn no_connection_is_used_twice() {
    let server =
        Server::answering("HTTP/1.1 200 OK\r\nconnection: keep-alive\r\ncontent-length: 0\r\n\r\n").await;
    let client = client(Script::new(&[&["127.0.0.1"]]));
    for calls in 1..=3 {
        assert_eq!(client.send(Request::get(server.target("hooks.test"))).await.unwrap().status, 200);
        assert_eq!(server.connections(), calls);
    }
}

#[tokio::test]
async fn the_next_address_is_tried_when_one_does_not_answer() {
    let server = Server::answering("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    let client = client(Script::new(&[&["127.0.0.2", "127.0.0.3", "127.0.0.1"]]));
    assert_eq!(client.send(Request::get(server.target("hooks.test"))).await.unwrap().status, 200);
}

#[tokio::test]
async fn nobody_there_is_told_with_the_address() {
    let listener = TcpListener::bind((LOOPBACK, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let url = format!("http://hooks.test:{}/path?token=hush", address.port());
    let error = get(target(&url)).await.unwrap_err();
    assert!(matches!(error, OutboundError::Connect { .. }), "{error:?}");
    let told = error.to_string();
    let begin = format!("cannot connect to http://hooks.test:{} at {address}: ", address.port());
    assert!(told.starts_with(&begin) && !told.contains("hush"), "{told}");
}

/// A resolver that finds nothing, or never answers.
enum Unhelpful {
    Finds(Vec<IpAddr>),
    Fails,
    Hangs,
}

#[async_trait]
impl Resolver for Unhelpful {
    async fn addresses(&self, _name: &str) -> io::Result<Vec<IpAddr>> {
        match self {
            Self::Finds(addresses) => Ok(addresses.clone()),
            Self::Fails => Err(io::Error::other("no such name")),
            Self::Hangs => std::future::pending().await,
        }
    }
}

#[tokio::test]
async fn a_name_without_addresses_is_told() {
    let quick = Limits { resolve: Duration::from_millis(50), ..limits() };
    for (resolver, told) in [
        (Unhelpful::Finds(vec![]), "the address of hooks.test cannot be found: the name has no addresses"),
        (Unhelpful::Fails, "the address of hooks.test cannot be found: no such name"),
        (Unhelpful::Hangs, "http://hooks.test took more than 0.05 s to be found"),
    ] {
        let client = Client::with(Policy::public(), quick, Arc::new(resolver));
        let error = client.send(Request::get(target("http://hooks.test/path?token=hush"))).await.unwrap_err();
        assert_eq!(error.to_string(), told);
    }
}

#[tokio::test]
async fn no_more_calls_are_under_way_than_are_allowed() {
    let server = Server::answering("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    let resolver = Script::new(&[&["127.0.0.1"]]);
    let one = Limits { concurrency: 1, ..limits() };
    let client =
        Client::with(Policy::public().with_private(), one, Arc::clone(&resolver) as Arc<dyn Resolver>);
    let mut first = Box::pin(client.send(Request::get(server.target("hooks.test"))));
    let mut second = Box::pin(client.send(Request::get(server.target("hooks.test"))));
    assert!(poll!(&mut first).is_pending() && poll!(&mut second).is_pending());
    assert_eq!(resolver.asked(), 1, "the second has begun");
    // A call that is dropped makes room too.
    drop(first);
    assert_eq!(second.await.unwrap().status, 200);
    assert_eq!(resolver.asked(), 2);
}
