//! Much at the same time: heavy bodies, bodies that break off, the same bytes.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::future::join_all;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::{Target, Way, files_in, make};

/// A PNG of about so many bytes, most of which are no picture.
pub(super) fn padded(bytes: usize) -> Vec<u8> {
    make::png_with(&make::png(9, 7, false), &[make::chunk(b"paDd", &vec![7; bytes])])
}

/// As many bytes of JSON as are taken, fifty times at once, in all forms that are read whole.
pub(super) async fn heavy_json_at_once(target: &Target) {
    let eve = target.somebody(100);
    let zeros = STANDARD.encode(vec![0_u8; (16 << 20) / 4 * 3 - 100]);
    let file = STANDARD.encode(padded((5 << 20) - 1000));
    let escaped = file.replace('/', "\\/");
    for (what, path, body, ends) in [
        ("zeros", "/tasks", format!("{{\"image\":\"{zeros}\"}}"), 413),
        ("a payload", "/tasks", format!("{{\"payload\":\"{zeros}\"}}"), 422),
        ("a picture", "/tasks", format!("{{\"image\":\"{file}\"}}"), 201),
        ("a picture with escapes", "/tasks", format!("{{\"image\":\"{escaped}\"}}"), 201),
        ("an avatar", "/users", format!("{{\"name\":\"Eve\",\"avatar\":\"{file}\"}}"), 201),
        ("an upload", "/upload", format!("{{\"image\":\"{file}\"}}"), 201),
        ("a login", "/login", format!("{{\"email\":\"{zeros}\"}}"), 422),
        ("a batch", "/tasks/batch", format!("[{}{{}}]", "{\"tags\":[\"a\"]},".repeat(9_999)), 201),
        ("a batch of blanks", "/tasks/batch", format!("[{}]", " ".repeat(16_000_000)), 422),
    ] {
        let body = bytes::Bytes::from(body);
        let times = match what {
            "zeros" => 50,
            "a batch" => 2,
            _ => 10,
        };
        let sent = (0..times).map(|_| {
            let post = eve.client.post(eve.at(path)).header("content-type", "application/json");
            post.body(body.clone()).send()
        });
        let mut good = 0;
        for told in join_all(sent).await.into_iter().flatten() {
            let status = told.status().as_u16();
            assert!(status == ends || status == 503, "{what}: {status}");
            good += usize::from(status != 503);
        }
        assert!(good > 0, "{what}: nobody had an answer");
        println!("{what}: {good} of {times} were looked at; at most {} MiB", target.memory("VmHWM") >> 10);
    }
}

/// Uploads that break off at all kinds of places, many at once.
pub(super) async fn aborted_at_once(target: &Target) {
    let file = padded(300_000);
    let form = [
        b"--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"t.png\"\r\n\r\n".as_slice(),
        &file,
    ];
    let json = [b"{\"image\":\"".as_slice(), STANDARD.encode(&file).as_bytes()].concat();
    let bodies = [
        ("/upload", "multipart/form-data; boundary=b", form.concat()),
        ("/upload", "image/png", file.clone()),
        ("/upload", "application/json", json.clone()),
        ("/tasks", "application/json", json.clone()),
        ("/users", "application/json", json),
    ];
    let cut = (0..32_usize).flat_map(|round| bodies.iter().map(move |body| (round, body)));
    join_all(cut.map(|(round, (path, media_type, body))| async move {
        let mut socket = TcpStream::connect(&target.daemon.address).await.unwrap();
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {media_type}\r\nContent-Length: 4000000\r\n\r\n"
        );
        socket.write_all(head.as_bytes()).await.unwrap();
        // It may be refused before it breaks off: all uploads count.
        let _ = socket.write_all(&body[..body.len() * (round + 1) / 33]).await;
    }))
    .await;
}

/// The same bytes at once are one blob; and it is served whole until it is deleted, and not after.
pub(super) async fn same_bytes_at_once(target: &Target) {
    let blobs = || files_in(&target.data().join("blobs")).len();
    let eve = target.somebody(101);
    let before = blobs();
    // A megabyte and more, so that it does not fit into the memory of what is asked for often.
    let file = {
        let mut file = Vec::new();
        let mut encoder = ::png::Encoder::new(&mut file, 1000, 800);
        encoder.set_color(::png::ColorType::Rgb);
        encoder.set_compression(::png::Compression::NoCompression);
        let mut writer = encoder.write_header().unwrap();
        writer.write_image_data(&make::rgb(1000, 800)).unwrap();
        writer.finish().unwrap();
        file
    };
    let made = join_all((0..20).map(|_| eve.send(Way::Form, "same.png", file.clone()))).await;
    for one in &made {
        assert_eq!(one.status, 201, "{one:?}");
    }
    assert_eq!(blobs(), before + 1);
    let size = usize::try_from(made[0].body["size"].as_u64().unwrap()).unwrap();
    let links: Vec<String> = made
        .iter()
        .map(|one| eve.at(&format!("/images/{}", one.body["filename"].as_str().unwrap())))
        .collect();
    let client = &eve.client;
    let removals = made.iter().zip(&links).take(19).map(|(one, link)| async move {
        let token = one.body["delete_token"].as_str().unwrap();
        let removal = client.delete(link).header("x-delete-token", token).send();
        let (removed, shown) = tokio::join!(removal, join_all((0..4).map(|_| fetched(client, link))));
        assert_eq!(removed.unwrap().status(), 204);
        for (status, length) in shown {
            assert!(status == 404 || (status, length) == (200, Some(size)), "{status}: {length:?} bytes");
        }
        assert_eq!(fetched(client, link).await.0, 404);
    });
    join_all(removals).await;
    assert_eq!(fetched(client, &links[19]).await, (200, Some(size)), "the last one stays");
}

/// The status, and how many bytes came, where they came whole.
async fn fetched(client: &reqwest::Client, link: &str) -> (u16, Option<usize>) {
    let got = client.get(link).send().await.unwrap();
    (got.status().as_u16(), got.bytes().await.ok().map(|bytes| bytes.len()))
}
