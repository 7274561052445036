//! Real requests to a server on this machine that behaves as badly as those of the world.

use std::net::Ipv4Addr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::quiz::web::BODY_BYTES;

/// What the server does with a connection once it has heard a request.
#[derive(Clone)]
enum Act {
    /// Writes this, whole, and closes.
    Say(Vec<u8>),
    /// Writes this, then a byte from time to time for ever.
    Drip(Vec<u8>),
    /// Writes this, then nothing, and keeps the connection.
    Hang(Vec<u8>),
    /// Closes without a word.
    Close,
}

/// The server: the port, and how many connections came and how many bytes went out.
struct Server {
    port: u16,
    connections: Arc<AtomicUsize>,
    written: Arc<AtomicUsize>,
}

impl Server {
    async fn new(act: Act) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (connections, written) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
        let (came, went) = (Arc::clone(&connections), Arc::clone(&written));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                came.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(serve(stream, act.clone(), Arc::clone(&went)));
            }
        });
        Self { port, connections, written }
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}/api/random?count=1", self.port)
    }

    fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

/// Whoever asked may have heard enough, so nothing that goes wrong here is a fault.
async fn serve(mut stream: TcpStream, act: Act, written: Arc<AtomicUsize>) {
    let mut heard = Vec::new();
    while !heard.windows(4).any(|end| end == b"\r\n\r\n") {
        if stream.read_buf(&mut heard).await.unwrap_or(0) == 0 {
            return;
        }
    }
    match act {
        Act::Close => {}
        Act::Say(bytes) => {
            for piece in bytes.chunks(16 << 10) {
                if stream.write_all(piece).await.is_err() {
                    return;
                }
                written.fetch_add(piece.len(), Ordering::SeqCst);
            }
            let _ = stream.shutdown().await;
            // Until the other side has read it: a close with unread input would cut it off.
            let _ = stream.read(&mut [0; 16]).await;
        }
        Act::Drip(bytes) => {
            let _ = stream.write_all(&bytes).await;
            while stream.write_all(b" ").await.is_ok() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
        Act::Hang(bytes) => {
            let _ = stream.write_all(&bytes).await;
            let _ = stream.read(&mut [0; 16]).await;
        }
    }
}

fn http(status: &str, headers: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\n{headers}content-length: {length}\r\n\r\n{body}").into_bytes()
}

fn ok(body: &str) -> Vec<u8> {
    http("200 OK", "content-type: application/json\r\n", body)
}

const CLUE: &str = r#"[{"id": 1, "question": "What &amp; why?", "answer": "<i>so</i>", "value": null}]"#;

/// Long enough for anything that happens at all.
const PATIENT: &str = "30";
/// Short, for what never happens.
const SHORT: &str = "0.3";

/// A round with a server in its only source, where the first failure is the last.
fn over(url: &str, timeout: &str) -> Quiz {
    Quiz::new(&settings(&[
        ("provider", "jservice"),
        ("url", url),
        ("allow", "127.0.0.1"),
        ("timeout_s", timeout),
        ("jservice_pause_s", "0"),
        ("breaker_failures", "1"),
    ]))
}

/// The story of a round that gets nothing from a server that acts so, and the server.
async fn story(act: Act, timeout: &str) -> (Ended, Server) {
    let server = Server::new(act).await;
    let ended = over(&server.url(), timeout).round().draw(1).await.unwrap_err();
    (ended, server)
}

#[tokio::test]
async fn a_good_answer_over_the_wire_is_a_question() {
    let server = Server::new(Act::Say(ok(CLUE))).await;
    let questions = over(&server.url(), PATIENT).round().draw(1).await.unwrap();
    assert_eq!((questions[0].question(), questions[0].answer()), ("What & why?", "so"));
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn what_comes_and_is_no_answer_is_trouble_with_its_reason() {
    let html = http("200 OK", "content-type: text/html\r\n", "<html>This domain is for sale</html>");
    let unlabelled = http("200 OK", "", "<html>This domain is for sale</html>");
    let cut = ok(&CLUE[..CLUE.len() / 2]);
    let shape = ok(r#"{"clues": []}"#);
    let gone = http("410 Gone", "", "");
    let failing = http("502 Bad Gateway", "", "");
    for (bytes, told) in [
        (html, "its answer is \"text/html\", not JSON"),
        (unlabelled, "its answer is no list of clues"),
        (cut, "its answer is no list of clues (EOF"),
        (shape, "its answer is no list of clues (invalid type: map"),
        (gone, "answered with status 410"),
        (failing, "failed with status 502"),
        (b"SSH-2.0-OpenSSH_9.6\r\n\r\n".to_vec(), "no proper answer"),
    ] {
        let (ended, server) = story(Act::Say(bytes), PATIENT).await;
        assert!(ended.story.contains(told) && !ended.late, "{told}: {}", ended.story);
        assert_eq!(server.connections(), 1, "{told}");
    }
}

#[tokio::test]
async fn a_connection_that_closes_at_once_or_in_the_middle_is_trouble() {
    let half = ok(CLUE);
    let half = half[..half.len() - 20].to_vec();
    for act in [Act::Close, Act::Say(half), Act::Say(b"HTTP/1.1 200 O".to_vec())] {
        let (ended, _) = story(act, PATIENT).await;
        assert!(ended.story.contains("could not be reached") && !ended.late, "{}", ended.story);
    }
    // Nobody listens there any more.
    let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap().local_addr().unwrap().port();
    let ended = over(&format!("http://127.0.0.1:{port}/"), PATIENT).round().draw(1).await.unwrap_err();
    assert!(ended.story.contains("could not be reached: cannot connect"), "{}", ended.story);
}

#[tokio::test]
async fn an_answer_without_end_is_read_no_further_than_it_may() {
    let body = format!("[{}null]", "null,".repeat(2 << 20));
    assert!(body.len() > 10_000_000);
    let (ended, server) = story(Act::Say(ok(&body)), PATIENT).await;
    assert!(ended.story.contains("its answer is longer than 1048576 bytes"), "{}", ended.story);
    // What the system holds on the way comes on top.
    let written = server.written.load(Ordering::SeqCst);
    assert!(written < BODY_BYTES + (8 << 20), "{written}");
}

#[tokio::test]
async fn an_answer_that_takes_its_time_ends_in_time() {
    let drip =
        b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 1000000\r\n\r\n[".to_vec();
    for act in [
        Act::Drip(drip.clone()),
        Act::Hang(drip),
        Act::Hang(Vec::new()),
        Act::Drip(b"HTTP/1.1 200 OK\r\nx-a: ".to_vec()),
    ] {
        let began = Instant::now();
        let (ended, _) = story(act, SHORT).await;
        assert!(ended.late && ended.story.contains("gave no answer in time"), "{}", ended.story);
        assert!(began.elapsed() < SECOND * 20, "{:?}", began.elapsed());
    }
}

#[tokio::test]
async fn no_redirect_is_followed_wherever_it_leads() {
    let other = Server::new(Act::Say(ok(CLUE))).await;
    for to in [
        other.url(),
        "http://169.254.169.254/latest/meta-data/".to_owned(),
        "https://example.com/".to_owned(),
    ] {
        for status in ["301 Moved Permanently", "302 Found", "307 Temporary Redirect"] {
            let answer = http(status, &format!("location: {to}\r\n"), CLUE);
            let (ended, _) = story(Act::Say(answer), PATIENT).await;
            assert!(ended.story.contains("a redirect, and none is followed"), "{}", ended.story);
        }
    }
    assert_eq!(other.connections(), 0);
}

#[tokio::test]
async fn what_the_settings_do_not_allow_is_not_called() {
    let server = Server::new(Act::Say(ok(CLUE))).await;
    let http = server.url();
    let https = http.replace("http:", "https:");
    for (url, allow, told) in [
        (http.as_str(), "", "leads to an address that is not allowed, which is loopback (plain http is for"),
        (https.as_str(), "", "leads to an address that is not allowed, which is loopback (see quiz.allow)"),
        (http.as_str(), "10.0.0.0/8", "which is loopback"),
        // Plain http to an address that everybody on the way can answer for.
        ("http://1.1.1.1/", "10.0.0.0/8", "which is public (plain http is for networks of quiz.allow)"),
        ("http://169.254.169.254/", "127.0.0.1", "which is link-local"),
    ] {
        let settings = settings(&[("provider", "jservice"), ("url", url), ("allow", allow)]);
        let ended = Quiz::new(&settings).round().draw(1).await.unwrap_err();
        assert!(
            ended.story.contains("it may not be called") && ended.story.contains(told),
            "{}",
            ended.story
        );
    }
    assert_eq!(server.connections(), 0);
}
