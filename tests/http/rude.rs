//! Clients that are slow, break off, lie about lengths or send what is no HTTP.

use gristmill::http::Code;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::client::read_answer;
use crate::harness::{Daemon, Wishes, start};
use crate::wav::tone;

async fn impatient() -> Daemon {
    let settings = vec![("http.request_timeout_s", "1")];
    start(Wishes { idle: true, settings, ..Wishes::default() }).await
}

fn head(path: &str, media_type: &str, length: usize) -> String {
    format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {media_type}\r\nContent-Length: {length}\r\n\r\n"
    )
}

const FORM: &str = "multipart/form-data; boundary=b";

fn begun_form(daemon_user: &crate::client::Someone, wav: &[u8]) -> Vec<u8> {
    let mut body = format!(
        "--b\r\nContent-Disposition: form-data; name=\"user\"\r\n\r\n{}\r\n--b\r\nContent-Disposition: form-data; \
         name=\"token\"\r\n\r\n{}\r\n--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"t.wav\"\r\n\r\n",
        daemon_user.id, daemon_user.token
    )
    .into_bytes();
    body.extend(wav);
    body
}

#[tokio::test]
async fn a_body_that_stands_still_is_given_up_with_an_answer() {
    let daemon = impatient().await;
    let ann = daemon.someone("Ann").await;
    let upload = [head("/records", FORM, 1 << 20).into_bytes(), begun_form(&ann, &tone(1))].concat();
    let half_header = [head("/records", FORM, 1 << 20).as_bytes(), b"--b\r\nContent-Dispo"].concat();
    for bytes in [
        head("/tasks", "application/json", 100).into_bytes(),
        [head("/tasks", "application/json", 100).as_bytes(), b"{\"kind\":"].concat(),
        [head("/users", "application/json", 100).as_bytes(), b"{"].concat(),
        [head("/tasks/batch", "application/json", 100).as_bytes(), b"["].concat(),
        upload,
        half_header,
    ] {
        let answer = daemon.raw(&bytes, false).await;
        answer.problem(Code::RequestTimeout);
        assert_eq!(answer.header("connection"), "close");
    }
    daemon.nothing_is_kept().await;
    assert!(daemon.action_lines().contains("Error: incomplete upload (t.wav)."));
}

#[tokio::test]
async fn a_body_that_comes_slowly_but_steadily_is_taken() {
    let daemon = impatient().await;
    let body = format!("{{\"payload\": \"{}\", \"priority\": 5}}", "x".repeat(30_000));
    let mut socket = TcpStream::connect(daemon.address).await.unwrap();
    socket.set_nodelay(true).unwrap();
    socket.write_all(head("/tasks", "application/json", body.len()).as_bytes()).await.unwrap();
    for piece in body.as_bytes().chunks(2_000) {
        // Slow in all, though no two pieces are a second apart.
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        socket.write_all(piece).await.unwrap();
    }
    assert_eq!(read_answer(&mut socket).await.json(201)["priority"], 5);
}

#[tokio::test]
async fn a_byte_now_and_then_holds_no_connection_for_ever() {
    let daemon = impatient().await;
    let mut socket = TcpStream::connect(daemon.address).await.unwrap();
    socket.set_nodelay(true).unwrap();
    socket.write_all(head("/tasks", "application/json", 1_000).as_bytes()).await.unwrap();
    let (mut read, mut write) = socket.into_split();
    let trickle = tokio::spawn(async move {
        // Until the daemon has had enough: no pause is ever as long as its patience.
        while write.write_all(b" ").await.is_ok() {
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
    });
    let mut answer = Vec::new();
    // The answer, and after it the end of the connection, however that comes.
    let _ = tokio::io::AsyncReadExt::read_to_end(&mut read, &mut answer).await;
    let answer = String::from_utf8(answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 408 ") && answer.contains("request_timeout"), "{answer}");
    trickle.abort();
    daemon.nothing_is_kept().await;
}

#[tokio::test]
async fn a_body_in_pieces_that_was_refused_holds_no_connection_while_its_client_sends_on() {
    let daemon = impatient().await;
    let piece = [b"ea60\r\n".as_slice(), &[b'a'; 60_000], b"\r\n"].concat();
    for (path, media_type, start, status) in [
        // Too large, nothing that is taken, and no way there: the answer comes before the end.
        ("/tasks", "application/json", "c\r\n{\"payload\":\"\r\n", 413),
        ("/upload", "application/json", "a\r\n{\"image\":\"\r\n", 413),
        ("/tasks", "text/plain", "", 415),
        ("/nothing", "text/plain", "", 404),
    ] {
        let mut socket = TcpStream::connect(daemon.address).await.unwrap();
        socket.set_nodelay(true).unwrap();
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {media_type}\r\nTransfer-Encoding: chunked\r\n\r\n{start}"
        );
        socket.write_all(head.as_bytes()).await.unwrap();
        let (mut read, mut write) = socket.into_split();
        let piece = piece.clone();
        // Until the daemon has had enough; it is never silent, and never at its end.
        let sending = tokio::spawn(async move { while write.write_all(&piece).await.is_ok() {} });
        let answer = read_answer(&mut read).await;
        assert_eq!((answer.status, answer.header("connection")), (status, "close"), "{path} {media_type}");
        tokio::time::timeout(std::time::Duration::from_secs(60), sending).await.unwrap().unwrap();
    }
    // One that was read to its end is another matter.
    let mut socket = TcpStream::connect(daemon.address).await.unwrap();
    let whole = "POST /tasks HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
                 Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n";
    for _ in 0..2 {
        socket.write_all(whole.as_bytes()).await.unwrap();
        let answer = read_answer(&mut socket).await;
        assert_eq!((answer.status, answer.header("connection")), (201, ""));
    }
}

#[tokio::test]
async fn slow_headers_are_given_up() {
    let daemon = impatient().await;
    let answer = daemon.raw(b"POST /tasks HTTP/1.1\r\nHost: localhost\r\nX-Slow: ", false).await;
    assert_eq!(answer.status, 408);
}

#[tokio::test]
async fn a_body_that_ends_too_early_leaves_nothing_behind() {
    let daemon = start(Wishes { idle: true, ..Wishes::default() }).await;
    let ann = daemon.someone("Ann").await;
    let upload = [head("/records", FORM, 1 << 20).into_bytes(), begun_form(&ann, &tone(1))].concat();
    let task = [head("/tasks", "application/json", 100).as_bytes(), b"{}"].concat();
    daemon.raw(&task, true).await.problem(Code::IncompleteBody);
    // Gone without a word, in the middle of the file and in the middle of a header.
    for bytes in [&upload[..], &upload[..upload.len() / 2], &upload[..150]] {
        let mut socket = TcpStream::connect(daemon.address).await.unwrap();
        socket.write_all(bytes).await.unwrap();
        drop(socket);
    }
    daemon.nothing_is_kept().await;
}

#[tokio::test]
async fn an_aborted_upload_removes_its_draft_while_the_daemon_goes_on() {
    let daemon = start(Wishes { idle: true, ..Wishes::default() }).await;
    let ann = daemon.someone("Ann").await;
    let mut socket = TcpStream::connect(daemon.address).await.unwrap();
    socket.write_all(head("/records", FORM, 1 << 30).as_bytes()).await.unwrap();
    socket.write_all(&begun_form(&ann, &tone(60))).await.unwrap();
    while daemon.blobs.drafts().unwrap() == 0 {
        tokio::task::yield_now().await;
    }
    drop(socket);
    daemon.nothing_is_kept().await;
    // Written by what is dropped last.
    let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(20);
    while !daemon.action_lines().contains("Error: incomplete upload (t.wav).") {
        assert!(tokio::time::Instant::now() < deadline, "{}", daemon.action_lines());
        tokio::task::yield_now().await;
    }
    daemon.post("/tasks", "").await.json(201);
}

#[tokio::test]
async fn a_form_without_its_end_is_incomplete() {
    let daemon = start(Wishes { idle: true, ..Wishes::default() }).await;
    let ann = daemon.someone("Ann").await;
    let body = begun_form(&ann, &tone(1));
    let bytes = [head("/records", FORM, body.len()).into_bytes(), body].concat();
    let answer = daemon.raw(&bytes, false).await;
    answer.problem(Code::InvalidForm);
    daemon.nothing_is_kept().await;
}

#[tokio::test]
async fn what_is_no_http_is_answered_and_hurts_nobody() {
    let daemon = start(Wishes { idle: true, ..Wishes::default() }).await;
    let long = format!("GET /{} HTTP/1.1\r\nHost: localhost\r\n\r\n", "a".repeat(200_000));
    for bytes in [
        &b"nonsense\r\n\r\n"[..],
        b"GET / HTTP/9.9\r\n\r\n",
        b"POST /tasks HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
        b"POST /tasks HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
        b"POST /tasks HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n{}",
        b"GET /tasks HTTP/1.1\r\nHost: localhost\r\nX: a\x00b\r\n\r\n",
        long.as_bytes(),
    ] {
        let mut socket = TcpStream::connect(daemon.address).await.unwrap();
        // The daemon may close before it has read all of it.
        let _ = socket.write_all(bytes).await;
        use tokio::io::AsyncReadExt;
        let mut answer = vec![0; 12];
        if socket.read_exact(&mut answer).await.is_ok() {
            assert!(answer.starts_with(b"HTTP/1.1 4"), "{:?}", String::from_utf8_lossy(&answer));
        }
    }
    assert_eq!(daemon.rows().await, 0);
    daemon.post("/tasks", "").await.json(201);
}

#[tokio::test]
async fn requests_that_share_a_connection_do_not_mix() {
    let daemon = start(Wishes { idle: true, ..Wishes::default() }).await;
    let mut socket = TcpStream::connect(daemon.address).await.unwrap();
    for round in 1..=3 {
        let body = format!("{{\"priority\":{round}}}");
        let bytes = head("/tasks", "application/json", body.len()) + &body;
        socket.write_all(bytes.as_bytes()).await.unwrap();
        assert_eq!(read_answer(&mut socket).await.json(201)["priority"], round);
        // Refused, but read to its end: the connection goes on.
        let bad = head("/tasks", "application/json", 5) + "{\"a\":";
        socket.write_all(bad.as_bytes()).await.unwrap();
        read_answer(&mut socket).await.problem(Code::InvalidJson);
    }
}

#[tokio::test]
async fn strangers_hold_only_so_many_drafts_at_once_and_users_are_not_in_their_way() {
    let daemon = start(Wishes { idle: true, ..Wishes::default() }).await;
    let ann = daemon.someone("Ann").await;
    let begun = [
        head("/records", FORM, 1 << 20).as_bytes(),
        b"--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"t.wav\"\r\n\r\n",
        &tone(1),
    ]
    .concat();
    let mut strangers = Vec::new();
    for _ in 0..8 {
        let mut socket = TcpStream::connect(daemon.address).await.unwrap();
        socket.write_all(&begun).await.unwrap();
        strangers.push(socket);
    }
    let drafts = async |count: usize| {
        let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(20);
        while daemon.blobs.drafts().unwrap() != count {
            assert!(tokio::time::Instant::now() < deadline, "{:?}", daemon.blobs.drafts());
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    };
    drafts(8).await;
    let problem = daemon.raw(&begun, false).await.problem(Code::Overloaded);
    assert!(problem["detail"].as_str().unwrap().contains("before the file"), "{problem}");
    daemon.upload("/records", crate::wav::form(&ann, tone(1)), "respond-async").await.json(202);
    // A stranger who leaves makes room for another.
    drop(strangers.pop());
    drafts(7).await;
    let token = reqwest::multipart::Part::bytes(tone(1)).file_name("t.wav");
    let late = reqwest::multipart::Form::new().part("file", token).text("token", ann.token.clone());
    daemon.upload("/records", late, "respond-async").await.json(202);
}
