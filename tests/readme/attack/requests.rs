//! Bodies that lie about their length, come in pieces or slowly, and forms and JSON that no program writes.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use serde_json::json;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::flood::padded;
use super::{Answer, Target, answer, make};

/// The limit as it comes.
const MOST: usize = 5 << 20;

/// Sends the bytes, and reads one answer. What is refused may be refused before all of it is sent.
pub(super) async fn raw(target: &Target, bytes: &[u8]) -> Answer {
    let mut socket = TcpStream::connect(&target.daemon.address).await.unwrap();
    let (mut reader, mut writer) = socket.split();
    let begun = String::from_utf8_lossy(&bytes[..bytes.len().min(300)]).into_owned();
    let (_, answer) = tokio::join!(writer.write_all(bytes), read_answer(&mut reader, &begun));
    answer
}

async fn read_answer(socket: &mut (impl AsyncRead + Unpin), to: &str) -> Answer {
    let mut text = Vec::new();
    loop {
        let mut piece = [0; 4096];
        let read = socket.read(&mut piece).await.unwrap_or(0);
        text.extend_from_slice(&piece[..read]);
        let told = String::from_utf8_lossy(&text).into_owned();
        let head = told.split_once("\r\n\r\n");
        let length = head.and_then(|(head, _)| {
            head.lines()
                .find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok())
        });
        if let Some((head, body)) = head
            && (read == 0 || length.is_some_and(|length: usize| body.len() >= length))
        {
            let status = head.split(' ').nth(1).unwrap().parse().unwrap();
            return Answer { status, body: serde_json::from_str(body).unwrap_or_default() };
        }
        assert!(read > 0, "{told:?} is no answer to {to}");
    }
}

fn head(path: &str, media_type: &str, length: usize) -> Vec<u8> {
    format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {media_type}\r\nContent-Length: {length}\r\n\r\n"
    )
    .into_bytes()
}

/// Uploads that begin, and then stand still: the connections, to be answered when patience has run out.
pub(super) async fn begin_slowly(target: &Target) -> Vec<TcpStream> {
    let mut sockets = Vec::new();
    for (path, media_type, body) in [
        ("/upload", "image/png", make::png(9, 7, false)),
        ("/upload", "multipart/form-data; boundary=b", b"--b\r\nContent-Dispo".to_vec()),
        ("/upload", "application/json", b"{\"image\":\"iVBOR".to_vec()),
        ("/tasks", "application/json", vec![b' '; 2 << 20]),
        ("/users", "application/json", b"{\"avatar\":\"iVBOR".to_vec()),
    ] {
        let mut socket = TcpStream::connect(&target.daemon.address).await.unwrap();
        socket.write_all(&[head(path, media_type, 4 << 20), body].concat()).await.unwrap();
        sockets.push(socket);
    }
    sockets
}

/// Each has its answer by now, or soon.
pub(super) async fn end_slowly(sockets: Vec<TcpStream>) {
    for mut socket in sockets {
        let answer = read_answer(&mut socket, "what came slowly").await;
        assert_eq!((answer.status, answer.code()), (408, "request_timeout"));
    }
}

/// All of them, each with its answer.
pub(super) async fn forms_and_bodies(target: &Target) {
    lengths(target).await;
    pieces(target).await;
    texts(target).await;
    nested(target).await;
    forms(target).await;
}

/// Lengths that are too long, too short, and none.
async fn lengths(target: &Target) {
    let file = make::png(9, 7, false);
    for media_type in ["image/png", "application/json", "multipart/form-data; boundary=b"] {
        let answer = raw(target, &head("/upload", media_type, 4 << 30)).await;
        assert_eq!((answer.status, answer.code()), (413, "image_too_large"), "{media_type}");
    }
    let answer = raw(target, &head("/tasks", "application/json", 4 << 30)).await;
    assert_eq!((answer.status, answer.code()), (413, "body_too_large"));
    // A shorter length: the image is cut off.
    let answer = raw(target, &[head("/upload", "image/png", 60), file[..60].to_vec()].concat()).await;
    assert_eq!((answer.status, answer.code()), (422, "damaged_image"));
    // What follows is no request: the connection ends, with an answer or without.
    let mut socket = TcpStream::connect(&target.daemon.address).await.unwrap();
    socket.write_all(&[head("/upload", "image/png", 60), file.clone()].concat()).await.unwrap();
    let mut told = Vec::new();
    let _ = socket.read_to_end(&mut told).await;
    assert!(!String::from_utf8_lossy(&told).contains(" 201 "));
    // A longer one, and then the end.
    let mut socket = TcpStream::connect(&target.daemon.address).await.unwrap();
    socket.write_all(&[head("/upload", "image/png", file.len() + 100), file.clone()].concat()).await.unwrap();
    drop(socket);
    for lengths in [
        "Content-Length: -1",
        "Content-Length: 1\r\nContent-Length: 2",
        "Content-Length: 18446744073709551616",
    ] {
        let head = format!(
            "POST /upload HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\n{lengths}\r\n\r\n"
        );
        assert_eq!(raw(target, head.as_bytes()).await.status, 400, "{lengths}");
    }
}

/// A body in chunks that passes the limit piece by piece, in each form.
async fn pieces(target: &Target) {
    let form = "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.png\"\r\n\r\n";
    let picture = padded(MOST + 1000);
    for (path, media_type, start, body, status) in [
        ("/upload", "image/png", "", picture.clone(), 413),
        ("/upload", "multipart/form-data; boundary=b", form, picture.clone(), 413),
        ("/upload", "application/json", "{\"image\":\"", STANDARD.encode(padded(2 * MOST)).into_bytes(), 413),
        ("/tasks", "application/json", "{\"payload\":\"", vec![b'a'; 17 << 20], 413),
    ] {
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {media_type}\r\nTransfer-Encoding: chunked\r\n\r\n"
        );
        let mut sent = head.into_bytes();
        for piece in [start.as_bytes(), &body].concat().chunks(60_000) {
            sent.extend(format!("{:x}\r\n", piece.len()).as_bytes());
            sent.extend(piece);
            sent.extend(b"\r\n");
        }
        assert_eq!(raw(target, &sent).await.status, status, "{path} {media_type}");
    }
}

/// Base64 as it may be, and as it may not; and as much of it as there may be.
async fn texts(target: &Target) {
    let eve = target.somebody(110);
    let file = make::png(40, 30, false);
    let lines = STANDARD.encode(&file).as_bytes().chunks(76).fold(String::new(), |mut text, line| {
        text.push_str(std::str::from_utf8(line).unwrap());
        text.push_str("\r\n");
        text
    });
    let plain = STANDARD.encode(&file);
    for (what, text, status) in [
        ("line breaks", lines, 201),
        ("no padding", STANDARD_NO_PAD.encode(&file), 201),
        ("the other alphabet", URL_SAFE_NO_PAD.encode(&file), 201),
        ("a data URL", format!("data:image/png;base64,{plain}"), 201),
        ("a lying data URL", format!("data:text/html;base64,{plain}"), 201),
        ("a data URL without base64", "data:image/png,abc".to_owned(), 422),
        ("both alphabets", format!("+A-A{plain}"), 422),
        ("padding within", format!("QQ=={plain}"), 422),
        ("too much padding", format!("{}====", STANDARD_NO_PAD.encode(&file)), 422),
        ("NUL", format!("{plain}\0"), 422),
        ("nothing", String::new(), 415),
        ("seven million characters", STANDARD.encode(padded(MOST - 1000)), 201),
        ("one byte too many", STANDARD.encode(padded(MOST + 1)), 413),
        ("blanks before", format!("{}{plain}", " ".repeat(1 << 20)), 201),
    ] {
        for (path, body) in [
            ("/upload", json!({ "image": text })),
            ("/tasks", json!({ "image": text })),
            ("/users", json!({ "name": "Eve", "avatar": text })),
        ] {
            let told = answer(eve.client.post(eve.at(path)).json(&body)).await;
            // Of a profile the field is at fault, whether there is no picture in it or too much of one.
            let status = if path == "/users" && [413, 415].contains(&status) { 422 } else { status };
            assert_eq!(told.status, status, "{what} to {path}: {told:?}");
        }
    }
}

/// JSON that is deep, wide, and says things twice.
async fn nested(target: &Target) {
    let eve = target.somebody(111);
    let deep = format!("{{\"image\":{}", "[".repeat(1_000_000));
    let objects = "{\"image\":".repeat(200_000);
    let wide = format!("{{{}\"image\":\"\"}}", "\"a\":1,".repeat(200_000));
    for (what, body, statuses) in [
        ("a million brackets", deep, [400, 422]),
        ("objects in objects", objects, [400, 422]),
        ("twice the same", "{\"image\":\"QQ==\",\"image\":\"QQ==\"}".to_owned(), [422, 422]),
        ("fields nobody knows", wide, [422, 422]),
        ("another type", "{\"image\":{\"a\":1e999}}".to_owned(), [400, 422]),
        ("no text", "{\"image\":\"\\ud800\"}".to_owned(), [400, 422]),
    ] {
        for path in ["/upload", "/tasks", "/users"] {
            let post = eve.client.post(eve.at(path)).header("content-type", "application/json");
            let told = answer(post.body(body.clone())).await;
            assert!(statuses.contains(&told.status), "{what} to {path}: {told:?}");
        }
    }
}

/// Forms with too much of everything, or without what makes one.
async fn forms(target: &Target) {
    let file = make::png(9, 7, false);
    let part = |headers: &str| [b"--b\r\n", headers.as_bytes(), b"\r\n\r\n", &file, b"\r\n"].concat();
    let named =
        |name: &str| part(&format!("Content-Disposition: form-data; name=\"{name}\"; filename=\"a.png\""));
    let field = |name: &str| {
        format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n1\r\n").into_bytes()
    };
    let end = b"--b--\r\n".to_vec();
    let inner = [b"--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.png\"\r\nContent-Type: multipart/mixed; \
        boundary=c\r\n\r\n--c\r\nContent-Disposition: file; filename=\"b.png\"\r\n\r\n".to_vec(), file.clone(), b"\r\n--c--\r\n".to_vec(), end.clone()];
    let long = "a".repeat(1 << 20);
    for (what, body, status, code) in [
        ("3000 files", [named("file").repeat(3000), end.clone()].concat(), 400, "invalid_form"),
        ("10,000 fields", [field("x").repeat(10_000), end.clone()].concat(), 400, "invalid_form"),
        ("10,000 users", [field("user").repeat(10_000), end.clone()].concat(), 400, "invalid_form"),
        ("a long name", [named(&long), end.clone()].concat(), 400, "invalid_form"),
        ("a long header", [part(&format!("X-Long: {long}")), end.clone()].concat(), 400, "invalid_form"),
        ("no name", [part("Content-Type: image/png"), end.clone()].concat(), 400, "invalid_form"),
        ("a form in a form", inner.concat(), 400, "invalid_form"),
        ("no end", named("file"), 400, "invalid_form"),
        ("nothing", Vec::new(), 400, "invalid_form"),
        ("only an end", end.clone(), 400, "invalid_form"),
        ("only lines", b"\r\n".repeat(100_000), 400, "invalid_form"),
        ("only dashes", b"-".repeat(1 << 20), 400, "invalid_form"),
    ] {
        let told =
            raw(target, &[head("/upload", "multipart/form-data; boundary=b", body.len()), body].concat())
                .await;
        assert_eq!((told.status, told.code()), (status, code), "{what}: {told:?}");
    }
    let body = [named("file"), end].concat();
    for (media_type, statuses) in [
        ("multipart/form-data", [400, 415]),
        ("multipart/form-data; boundary=", [400, 415]),
        ("multipart/form-data; boundary=\"", [400, 415]),
        ("multipart/form-data; boundary=other", [400, 400]),
        ("multipart/mixed; boundary=b", [415, 415]),
    ] {
        let told = raw(target, &[head("/upload", media_type, body.len()), body.clone()].concat()).await;
        assert!(statuses.contains(&told.status), "{media_type}: {told:?}");
    }
}
