//! Uploads that are too large, too slow, cut off, or worse than they look.

use gristmill::http::Code;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::client::read_answer;
use crate::harness::{Daemon, Wishes, start};
use crate::photos::{chunk, gif, jpeg, photos, png, png_of_size, with_chunks};

/// The limit as it comes.
const MOST: usize = 5 << 20;

async fn quiet(settings: &[(&'static str, &'static str)]) -> Daemon {
    start(Wishes { idle: true, settings: settings.to_vec(), ..Wishes::default() }).await
}

#[tokio::test]
async fn five_mebibytes_are_taken_to_the_byte_and_one_more_is_not_in_any_form() {
    let daemon = start(Wishes::default()).await;
    let json = |bytes: &[u8]| {
        use base64::Engine as _;
        let text = base64::engine::general_purpose::STANDARD.encode(bytes);
        serde_json::json!({ "image": text }).to_string()
    };
    let most = png_of_size(MOST);
    let kept = daemon.send_photos(&[("a.png", most.clone())], None).await.json(201);
    assert!(kept["size"].as_u64().unwrap() < 1024, "what is no picture was taken out: {kept}");
    daemon.send_raw("/upload", "image/png", most.clone()).await.json(201);
    daemon.post("/upload", &json(&most)).await.json(201);
    let before = daemon.left().await;
    let more = png_of_size(MOST + 1);
    let problem = daemon.send_photos(&[("a.png", more.clone())], None).await.problem(Code::ImageTooLarge);
    assert_eq!(problem["detail"], "`a.png`: the file is larger than 5 MiB");
    daemon.send_raw("/upload", "image/png", more.clone()).await.problem(Code::ImageTooLarge);
    daemon.post("/upload", &json(&more)).await.problem(Code::ImageTooLarge);
    // The second file of a form, and one that is far too large.
    let form = [("a.png", png(4, 4)), ("b.png", more)];
    daemon.send_photos(&form, None).await.problem(Code::ImageTooLarge);
    daemon.send_photos(&[("a.png", png_of_size(40 << 20))], None).await.problem(Code::ImageTooLarge);
    assert_eq!(daemon.left().await, before);
    daemon.no_drafts().await;
    assert!(daemon.action_lines().contains("Error: file too large (a.png)."));
}

#[tokio::test]
async fn what_says_that_it_is_too_long_is_refused_before_it_comes() {
    let daemon = quiet(&[]).await;
    for (media_type, length) in [
        ("image/png", MOST + 1),
        ("application/json", 8 << 20),
        ("multipart/form-data; boundary=b", 101 << 20),
    ] {
        let head = format!(
            "POST /upload HTTP/1.1\r\nHost: localhost\r\nContent-Type: {media_type}\r\nContent-Length: {length}\r\n\r\n"
        );
        daemon.raw(head.as_bytes(), false).await.problem(Code::ImageTooLarge);
    }
    daemon.nothing_is_kept().await;
}

#[tokio::test]
async fn a_body_in_pieces_that_passes_the_limit_piece_by_piece_is_stopped_there() {
    let daemon = quiet(&[("images.max_bytes", "64 KiB")]).await;
    let mut socket = TcpStream::connect(daemon.address).await.unwrap();
    let head = "POST /upload HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\nTransfer-Encoding: chunked\r\n\r\n";
    socket.write_all(head.as_bytes()).await.unwrap();
    let (mut read, mut write) = socket.into_split();
    let sender = tokio::spawn(async move {
        let file = png_of_size(4 << 20);
        for piece in file.chunks(1000) {
            let piece = [format!("{:x}\r\n", piece.len()).as_bytes(), piece, b"\r\n"].concat();
            // Until the daemon has had enough.
            if write.write_all(&piece).await.is_err() {
                break;
            }
        }
    });
    let mut answer = vec![0; 12];
    tokio::io::AsyncReadExt::read_exact(&mut read, &mut answer).await.unwrap();
    assert_eq!(String::from_utf8_lossy(&answer), "HTTP/1.1 413");
    sender.abort();
    daemon.nothing_is_kept().await;
}

#[tokio::test]
async fn slow_and_broken_bodies_leave_nothing_behind() {
    let daemon = quiet(&[("http.request_timeout_s", "1")]).await;
    let file = png_of_size(200_000);
    let form = [
        b"--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"t.png\"\r\n\r\n".as_slice(),
        &file,
    ]
    .concat();
    let head = |media_type: &str| {
        format!(
            "POST /upload HTTP/1.1\r\nHost: localhost\r\nContent-Type: {media_type}\r\nContent-Length: 300000\r\n\r\n"
        )
        .into_bytes()
    };
    let begun = [
        [head("multipart/form-data; boundary=b"), form].concat(),
        [head("image/png"), file].concat(),
        [head("application/json"), b"{\"image\":\"iVBORw0KGgo".to_vec()].concat(),
    ];
    for bytes in &begun {
        daemon.raw(bytes, false).await.problem(Code::RequestTimeout);
    }
    daemon.nothing_is_kept().await;
    let daemon = quiet(&[]).await;
    for bytes in &begun {
        for end in [bytes.len(), bytes.len() / 2, 200.min(bytes.len())] {
            let mut socket = TcpStream::connect(daemon.address).await.unwrap();
            socket.write_all(&bytes[..end]).await.unwrap();
            drop(socket);
        }
    }
    daemon.nothing_is_kept().await;
    daemon.send_photos(&[("a.png", png(4, 4))], None).await;
    let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(20);
    while !daemon.action_lines().contains("Error: incomplete upload (t.png).") {
        assert!(tokio::time::Instant::now() < deadline, "{}", daemon.action_lines());
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn bombs_are_refused_from_their_headers_before_a_task_is_made() {
    let daemon = quiet(&[]).await;
    let wide = |width: u32, height: u32| {
        let mut header = width.to_be_bytes().to_vec();
        header.extend(height.to_be_bytes());
        header.extend([8, 6, 0, 0, 0]);
        let idat = chunk(b"IDAT", &[0x78, 0x9c, 0x03, 0, 0, 0, 0, 1]);
        [b"\x89PNG\r\n\x1a\n".to_vec(), chunk(b"IHDR", &header), idat, chunk(b"IEND", b"")].concat()
    };
    let mut huge_gif = gif(4, 4);
    huge_gif[6..10].copy_from_slice(&[0xff, 0xff, 0xff, 0xff]);
    for (name, file) in [
        ("16384.png", wide(16_384, 16_384)),
        ("2147483647.png", wide(2_147_483_647, 2_147_483_647)),
        ("65535.gif", huge_gif),
    ] {
        let answer = daemon.send_photos(&[(name, file)], None).await;
        assert!([413, 422].contains(&answer.status), "{name}: {}", answer.text());
    }
    let text = with_chunks(&png(4, 4), &chunk(b"zTXt", &[b"k\0\0".as_slice(), &[0; 64]].concat()));
    daemon.upload("/upload", photos(&[("text.png", text)]), "respond-async").await.json(202);
    for (name, file) in [("cut.png", &png(40, 40)[..100]), ("cut.jpg", &jpeg(40, 40)[..200])] {
        daemon.send_photos(&[(name, file.to_vec())], None).await.problem(Code::DamagedImage);
    }
    assert_eq!(daemon.rows().await, 1);
    daemon.no_drafts().await;
}

#[tokio::test]
async fn many_large_uploads_at_once_all_get_their_answer() {
    let daemon =
        start(Wishes { settings: vec![("images.uploads_per_minute", "0")], ..Wishes::default() }).await;
    let body = {
        use base64::Engine as _;
        let text = base64::engine::general_purpose::STANDARD.encode(png_of_size(1 << 20));
        bytes::Bytes::from(serde_json::json!({ "image": text }).to_string())
    };
    let ask = async || {
        let body = body.clone();
        daemon
            .ask("POST", "/upload", |request| request.header("content-type", "application/json").body(body))
            .await
            .json(201)
    };
    let asked: Vec<_> = (0..100).map(|_| ask()).collect();
    futures_util::future::join_all(asked).await;
    assert_eq!(daemon.left().await, (100, 1));
    daemon.no_drafts().await;
}

#[tokio::test]
async fn requests_behind_a_refused_upload_are_answered_on_the_same_connection() {
    let daemon = quiet(&[]).await;
    let mut socket = TcpStream::connect(daemon.address).await.unwrap();
    let text = b"no image at all".repeat(2000);
    let head = format!(
        "POST /upload HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\nContent-Length: {}\r\n\r\n",
        text.len()
    );
    socket.write_all(&[head.as_bytes(), &text].concat()).await.unwrap();
    read_answer(&mut socket).await.problem(Code::UnsupportedImage);
}
