//! Images by their links: what is answered to which conditions and ranges, with which headers, and what to bytes that
//! are not what they should be.

use gristmill::http::Code;
use gristmill::media::image::Format;
use gristmill::store::Store;
use reqwest::header::HeaderMap;

use crate::client::Answer;
use crate::harness::{Daemon, Wishes, start};
use crate::planted::{Planted, Stage};

const POLICY: &str = "default-src 'none'; sandbox";

/// Bytes that are no image: what is served is what was stored.
fn noise(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at * 31 + at / 256) as u8).collect()
}

/// A daemon with an image that is kept in memory, and one that is too large for that.
async fn with_two() -> (Daemon, [Planted; 2]) {
    let daemon = start(Wishes::default()).await;
    let small = daemon.plant(Format::Jpeg, "cat.png", noise(100_000)).await;
    let large = daemon.plant(Format::Jpeg, "cat.png", noise((1 << 20) + 1)).await;
    (daemon, [small, large])
}

async fn with(daemon: &Daemon, method: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
    daemon
        .ask(method, path, |request| headers.iter().fold(request, |r, (name, value)| r.header(*name, *value)))
        .await
}

/// A path, the headers of the request, and the status that is due.
type Case<'a> = (&'a str, &'a [(&'a str, &'a str)], u16);

/// The headers but for those that differ from request to request.
fn lasting(answer: &Answer) -> HeaderMap {
    let mut headers = answer.headers.clone();
    for name in ["date", "x-request-id"] {
        headers.remove(name);
    }
    headers
}

#[tokio::test]
async fn the_link_gives_the_bytes_for_ever_and_nothing_in_them_can_run() {
    let (daemon, planted) = with_two().await;
    for image in &planted {
        // The first comes from the disk, the second, where it fits, from memory.
        for round in 1..=2 {
            let got = daemon.get(&image.path).await;
            assert_eq!((got.status, got.header("content-type")), (200, "image/jpeg"), "{round}");
            assert!(got.body == image.bytes, "{round}");
            assert_eq!(got.header("content-length"), image.bytes.len().to_string());
            assert_eq!(got.header("cache-control"), "public, max-age=31536000, immutable");
            assert_eq!(got.header("x-content-type-options"), "nosniff");
            assert_eq!(got.header("content-security-policy"), POLICY);
            assert_eq!(got.header("accept-ranges"), "bytes");
            let name = "inline; filename=\"cat.jpg\"; filename*=UTF-8''cat.jpg";
            assert_eq!(got.header("content-disposition"), name, "{round}");
            assert!(!got.header("x-request-id").is_empty());
            let row = daemon.store.image(&image.name).await.unwrap().unwrap();
            assert_eq!(got.header("etag"), format!("\"{}\"", row.blob.unwrap()));
        }
    }
}

#[tokio::test]
async fn conditions_are_taken_in_their_order() {
    let (daemon, planted) = with_two().await;
    for image in &planted {
        let etag = daemon.get(&image.path).await.header("etag").to_owned();
        let (weak, list) = (format!("W/{etag}"), format!("\"a\", \"b\" , {etag}"));
        let cases: &[(&[(&str, &str)], u16)] = &[
            (&[("if-none-match", &etag)], 304),
            (&[("if-none-match", &weak)], 304),
            (&[("if-none-match", &list)], 304),
            (&[("if-none-match", "*")], 304),
            (&[("if-none-match", "\"other\"")], 200),
            (&[("if-none-match", etag.trim_matches('"'))], 200),
            (&[("if-none-match", "")], 200),
            (&[("if-none-match", &etag), ("range", "bytes=0-0")], 304),
            (&[("if-none-match", "\"other\""), ("range", "bytes=0-0")], 206),
            (&[("if-match", &etag)], 200),
            (&[("if-match", "*")], 200),
            (&[("if-match", &list)], 200),
            (&[("if-match", &weak)], 412),
            (&[("if-match", "\"other\"")], 412),
            (&[("if-match", "\"other\""), ("if-none-match", &etag)], 412),
            (&[("if-match", &etag), ("if-none-match", &etag)], 304),
            (&[("if-match", "\"other\""), ("range", "bytes=99999999-")], 412),
            (&[("if-range", &etag), ("range", "bytes=1-2")], 206),
            (&[("if-range", &weak), ("range", "bytes=1-2")], 200),
            (&[("if-range", "\"other\""), ("range", "bytes=1-2")], 200),
            (&[("if-range", "\"other\""), ("range", "bytes=99999999-")], 200),
            (&[("if-range", "Wed, 21 Oct 2015 07:28:00 GMT"), ("range", "bytes=1-2")], 200),
            (&[("if-modified-since", "Wed, 21 Oct 2099 07:28:00 GMT")], 200),
        ];
        for (headers, status) in cases {
            let got = with(&daemon, "GET", &image.path, headers).await;
            assert_eq!(got.status, *status, "{headers:?}");
            match status {
                200 => assert!(got.body == image.bytes, "{headers:?}"),
                304 => {
                    assert_eq!((got.body.len(), got.header("etag")), (0, &*etag));
                    assert_eq!(got.header("cache-control"), "public, max-age=31536000, immutable");
                }
                412 => drop(got.problem(Code::PreconditionFailed)),
                _ => {}
            }
        }
    }
}

#[tokio::test]
async fn one_range_gives_that_part_and_hostile_ones_give_the_whole_or_nothing() {
    let (daemon, planted) = with_two().await;
    for image in &planted {
        let length = image.bytes.len();
        let last = length - 1;
        for (range, part) in [
            ("bytes=0-".to_owned(), 0..=last),
            ("bytes=0-0".to_owned(), 0..=0),
            (format!("bytes={last}-{last}"), last..=last),
            (format!("bytes={last}-"), last..=last),
            ("bytes=70000-70999".to_owned(), 70_000..=70_999),
            ("bytes=-1".to_owned(), last..=last),
            (format!("bytes=-{length}"), 0..=last),
            (format!("bytes=-{}", length * 2), 0..=last),
            ("bytes=-18446744073709551616".to_owned(), 0..=last),
            ("bytes=1-18446744073709551615".to_owned(), 1..=last),
            ("bytes=1-99999999999999999999999999".to_owned(), 1..=last),
        ] {
            let got = with(&daemon, "GET", &image.path, &[("range", &range)]).await;
            assert_eq!(got.status, 206, "{range}");
            let told = format!("bytes {}-{}/{length}", part.start(), part.end());
            assert_eq!(got.header("content-range"), told, "{range}");
            assert!(got.body == image.bytes[part], "{range}");
        }
        for range in [
            format!("bytes={length}-"),
            format!("bytes={length}-{}", length * 2),
            "bytes=-0".to_owned(),
            "bytes=18446744073709551615-".to_owned(),
            "bytes=99999999999999999999999999-".to_owned(),
            "bytes=99999999999999999999999998-99999999999999999999999999".to_owned(),
        ] {
            let got = with(&daemon, "GET", &image.path, &[("range", &range)]).await;
            got.problem(Code::RangeNotSatisfiable);
            assert_eq!(got.header("content-range"), format!("bytes */{length}"), "{range}");
        }
        let many = format!("bytes={}", "0-0,".repeat(2000));
        for range in
            ["bytes=0-0,5-9", "bytes=5-1", "bytes=--1", "bytes=0x1-2", "octets=0-1", "bytes 0-1", &many]
        {
            let got = with(&daemon, "GET", &image.path, &[("range", range)]).await;
            assert_eq!(got.status, 200, "{range}");
            assert!(got.body == image.bytes && got.header("content-range").is_empty(), "{range}");
        }
        let twice =
            with(&daemon, "GET", &image.path, &[("range", "bytes=0-0"), ("range", "bytes=5-5")]).await;
        assert_eq!(twice.status, 200, "two ranges are more than one");
    }
}

#[tokio::test]
async fn head_is_get_without_the_body_whatever_is_asked() {
    let (daemon, planted) = with_two().await;
    let etag = daemon.get(&planted[0].path).await.header("etag").to_owned();
    let queries = ["", "?w=64", "?w=63"];
    let headers: &[&[(&str, &str)]] = &[
        &[],
        &[("range", "bytes=5-9")],
        &[("range", "bytes=99999999-")],
        &[("if-none-match", &etag)],
        &[("if-none-match", "*")],
        &[("if-match", "\"other\"")],
    ];
    let mut paths: Vec<String> = planted.iter().map(|image| image.path.clone()).collect();
    paths.extend(["/images/none.jpg".to_owned(), format!("/images/{}.png", "a".repeat(22))]);
    for path in paths.iter().flat_map(|path| queries.map(|query| format!("{path}{query}"))) {
        for headers in headers {
            let (get, head) =
                (with(&daemon, "GET", &path, headers).await, with(&daemon, "HEAD", &path, headers).await);
            assert_eq!((head.status, head.body.len()), (get.status, 0), "{path} {headers:?}");
            let (mut of_get, mut of_head) = (lasting(&get), lasting(&head));
            if get.status >= 400 {
                // A problem names its request.
                of_get.remove("content-length");
                of_head.remove("content-length");
            }
            assert_eq!(of_head, of_get, "{path} {headers:?}");
        }
    }
}

#[tokio::test]
async fn no_answer_is_sniffed_and_no_error_is_kept() {
    let daemon = start(Wishes { idle: true, ..Wishes::default() }).await;
    let image = daemon.plant(Format::Png, "a.png", noise(1000)).await;
    let refused = daemon.plant_at(Stage::Refused, Format::Png, "a.png", noise(10)).await;
    let waiting = daemon.plant_at(Stage::Waiting, Format::Png, "a.png", noise(10)).await;
    let gone = format!("/images/{}.jpg", "Z".repeat(22));
    let cases: &[Case<'_>] = &[
        (&image.path, &[], 200),
        (&image.path, &[("range", "bytes=0-1")], 206),
        (&image.path, &[("if-none-match", "*")], 304),
        (&image.path, &[("if-match", "\"x\"")], 412),
        (&image.path, &[("range", "bytes=1000-")], 416),
        (&waiting.path, &[], 202),
        (&refused.path, &[], 409),
        (&gone, &[], 404),
        ("/images/x", &[], 404),
        ("/images/x", &[("accept", "text/html")], 404),
    ];
    for (path, headers, status) in cases {
        let got = with(&daemon, "GET", path, headers).await;
        assert_eq!(got.status, *status, "{path} {headers:?}");
        assert_eq!(got.header("x-content-type-options"), "nosniff", "{path} {headers:?}");
        assert!(
            got.header("content-security-policy").starts_with("default-src 'none'"),
            "{path} {headers:?}"
        );
        let kept = got.header("cache-control");
        match status {
            200 | 206 | 304 => assert!(kept.contains("immutable"), "{path} {headers:?}: {kept}"),
            _ => assert_eq!(kept, "no-store", "{path} {headers:?}"),
        }
    }
}

#[tokio::test]
async fn an_image_that_is_not_there_yet_shows_its_task_and_one_that_was_refused_the_reason() {
    let daemon = start(Wishes { idle: true, ..Wishes::default() }).await;
    let waiting = daemon.plant_at(Stage::Waiting, Format::Png, "a.png", noise(10)).await;
    let answer = daemon.get(&waiting.path).await;
    assert_eq!(answer.json(202)["id"], waiting.task.0);
    assert_eq!(answer.header("retry-after"), "1");
    assert_eq!(answer.header("location"), format!("/tasks/{}", waiting.task));

    let refused = daemon.plant_at(Stage::Refused, Format::Png, "a.png", noise(10)).await;
    let problem = daemon.get(&refused.path).await.problem(Code::ImageFailed);
    assert!(problem["detail"].as_str().unwrap().contains("the image is damaged"), "{problem}");
    assert_eq!(problem["task"], refused.task.0);

    let admin = daemon.someone("Ada").await;
    daemon.promote(admin.id).await;
    let cancel = format!("/tasks/{}/cancel", waiting.task);
    daemon.by(&admin, "POST", &cancel, serde_json::json!({})).await.json(200);
    let problem = daemon.get(&waiting.path).await.problem(Code::ImageFailed);
    assert!(problem["detail"].as_str().unwrap().contains("cancelled"), "{problem}");
}

#[tokio::test]
async fn a_name_that_is_none_is_told_apart_without_the_database() {
    let daemon = start(Wishes::default()).await;
    daemon.store.set(crate::store::Fault::Panic);
    let long = "a".repeat(5000);
    for name in [
        "x",
        "..%2f..%2fetc%2fpasswd",
        "aaaaaaaaaaaaaaaaaaaaaa.JPG",
        "aaaaaaaaaaaaaaaaaaaaaa.jpg%00",
        "aaaaaaaaaaaaaaaaaaaaa%C3%A9.jpg",
        &long,
    ] {
        daemon.get(&format!("/images/{name}")).await.problem(Code::ImageNotFound);
    }
    daemon.store.set(crate::store::Fault::None);
    daemon.get(&format!("/images/{}.jpg", "a".repeat(22))).await.problem(Code::ImageNotFound);
}

#[tokio::test]
async fn a_polyglot_is_an_image_and_nothing_else() {
    let daemon = start(Wishes::default()).await;
    let bytes = b"GIF89a/*\0\0\0\0\0*/=1;<script>alert(1)</script><?php system('id'); ?>".to_vec();
    let image = daemon.plant(Format::Gif, "x.html\r\nSet-Cookie: a=1", bytes).await;
    for query in ["", "?"] {
        let got = daemon.get(&format!("{}{query}", image.path)).await;
        assert_eq!((got.status, got.header("content-type")), (200, "image/gif"));
        assert_eq!(got.header("x-content-type-options"), "nosniff");
        assert_eq!(got.header("content-security-policy"), POLICY);
        assert!(got.header("content-disposition").starts_with("inline; filename=\"x"), "{:?}", got.headers);
        assert!(got.headers.get("set-cookie").is_none());
    }
}

#[tokio::test]
async fn bytes_that_are_not_those_that_were_stored_are_never_given_out() {
    let daemon = start(Wishes::default()).await;
    let image = daemon.plant(Format::Png, "a.png", noise(5000)).await;
    // By the row, since whoever asks for it has it in memory afterwards.
    let row = daemon.store.image(&image.name).await.unwrap().unwrap();
    let file = daemon.file_of(row.blob.unwrap().as_str());
    let mut garbage = image.bytes.clone();
    garbage[2500] ^= 1;
    for damage in [Some(&garbage[..]), Some(&image.bytes[..4999]), Some(&[]), None] {
        std::fs::remove_file(&file).unwrap();
        if let Some(bytes) = damage {
            std::fs::write(&file, bytes).unwrap();
        }
        for path in [image.path.clone(), format!("{}?w=64", image.path)] {
            let problem = daemon.get(&path).await.problem(Code::BlobDamaged).to_string();
            assert!(!problem.contains(daemon.folder.path().to_str().unwrap()), "{problem}");
            assert_eq!(with(&daemon, "HEAD", &path, &[("range", "bytes=0-3")]).await.status, 500);
        }
        std::fs::write(&file, &image.bytes).unwrap();
    }
    assert!(daemon.get(&image.path).await.body == image.bytes, "healed");
}

#[tokio::test]
async fn a_large_image_that_is_damaged_breaks_off_before_its_end() {
    let daemon = start(Wishes::default()).await;
    let image = daemon.plant(Format::Png, "a.png", noise(2 << 20)).await;
    let fetch = async || daemon.client.get(daemon.url(&image.path)).send().await.unwrap();
    let etag = fetch().await.headers()["etag"].to_str().unwrap().to_owned();
    assert!(fetch().await.bytes().await.unwrap() == image.bytes);
    let mut garbage = image.bytes.clone();
    garbage[1000] ^= 1;
    std::fs::write(daemon.file_of(&etag), garbage).unwrap();
    assert!(fetch().await.bytes().await.is_err());
}
