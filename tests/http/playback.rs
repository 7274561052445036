//! Fetching recordings.

use gristmill::http::Code;

use crate::harness::{Daemon, Wishes, start};
use crate::wav::{form, path_of, tone};

/// A daemon with one converted recording: the path of its link.
async fn with_recording(settings: &[(&'static str, &'static str)]) -> (Daemon, String) {
    let daemon = start(Wishes { settings: settings.to_vec(), ..Wishes::default() }).await;
    let ann = daemon.someone("Ann").await;
    let record = daemon.upload("/records", form(&ann, tone(3)), "").await.json(201);
    let link = path_of(record["url"].as_str().unwrap());
    (daemon, link)
}

#[tokio::test]
async fn the_link_gives_the_mp3_as_a_download_and_the_original_while_it_is_kept() {
    let (daemon, link) = with_recording(&[]).await;
    let mp3 = daemon.get(&link).await;
    assert_eq!((mp3.status, mp3.header("content-type")), (200, "audio/mpeg"));
    assert_eq!(
        mp3.header("content-disposition"),
        "attachment; filename=\"talk.mp3\"; filename*=UTF-8''talk.mp3"
    );
    assert_eq!(mp3.header("accept-ranges"), "bytes");
    assert_eq!(mp3.header("x-content-type-options"), "nosniff");
    assert_eq!(mp3.header("content-length"), mp3.body.len().to_string());
    assert!(mp3.body.starts_with(b"\xff") || mp3.body.starts_with(b"ID3"), "{:?}", &mp3.body[..4]);
    assert_eq!(daemon.get(&format!("{link}&format=mp3")).await.body, mp3.body);

    let wav = daemon.get(&format!("{link}&format=wav")).await;
    assert_eq!((wav.status, wav.header("content-type")), (200, "audio/wav"));
    assert_eq!(wav.body, tone(3), "the original, byte for byte");
    assert!(wav.header("content-disposition").contains("talk.wav"));

    let (daemon, link) = with_recording(&[("records.keep_original", "false")]).await;
    assert_eq!(daemon.get(&link).await.status, 200);
    daemon.get(&format!("{link}&format=wav")).await.problem(Code::OriginalNotKept);
}

#[tokio::test]
async fn head_is_get_without_the_body() {
    let (daemon, link) = with_recording(&[]).await;
    for path in [
        &link,
        &format!("{link}&format=wav"),
        "/tasks",
        "/tasks/9",
        "/health/live",
        "/openapi.json",
        "/record",
    ] {
        let (get, head) = (daemon.get(path).await, daemon.ask("HEAD", path, |request| request).await);
        assert_eq!((head.status, head.body.len()), (get.status, 0), "{path}");
        for name in ["content-type", "content-length", "etag", "content-disposition", "accept-ranges"] {
            if get.status < 400 || name != "content-length" {
                assert_eq!(head.header(name), get.header(name), "{path} {name}");
            }
        }
    }
}

#[tokio::test]
async fn one_range_gives_that_part_and_a_range_behind_the_end_is_refused() {
    let (daemon, link) = with_recording(&[]).await;
    let whole = daemon.get(&link).await.body;
    let length = whole.len();
    let asked = |range: String| daemon.ask("GET", &link, |request| request.header("range", range));
    for (range, first, last) in [
        ("bytes=0-0".to_owned(), 0, 0),
        ("bytes=10-19".to_owned(), 10, 19),
        (format!("bytes={}-", length - 5), length - 5, length - 1),
        ("bytes=-7".to_owned(), length - 7, length - 1),
        (format!("bytes=5-{}", length * 2), 5, length - 1),
        (format!("bytes=-{}", length * 2), 0, length - 1),
    ] {
        let part = asked(range.clone()).await;
        assert_eq!(part.status, 206, "{range}");
        assert_eq!(part.header("content-range"), format!("bytes {first}-{last}/{length}"), "{range}");
        assert_eq!(part.body, &whole[first..=last], "{range}");
    }
    for range in
        [format!("bytes={length}-"), "bytes=-0".to_owned(), format!("bytes={}-{}", length * 2, length * 3)]
    {
        let refused = asked(range).await;
        refused.problem(Code::RangeNotSatisfiable);
        assert_eq!(refused.header("content-range"), format!("bytes */{length}"));
    }
    for range in ["bytes=1-2,4-5", "lines=1-2", "bytes=5-2", "nonsense"] {
        let all = asked(range.to_owned()).await;
        assert_eq!((all.status, all.body.len()), (200, length), "{range}");
    }
}

#[tokio::test]
async fn who_has_the_file_already_is_told_so_and_a_stale_part_is_not_continued() {
    let (daemon, link) = with_recording(&[]).await;
    let etag = daemon.get(&link).await.header("etag").to_owned();
    assert!(etag.starts_with('"') && etag.len() == 66, "strong, and the name of the bytes: {etag}");
    let with = |name: &'static str, value: String| {
        daemon.ask("GET", &link, move |request| request.header(name, value).header("range", "bytes=0-3"))
    };
    for tag in [etag.clone(), format!("W/{etag}"), format!("\"x\", {etag}"), "*".to_owned()] {
        let same = with("if-none-match", tag).await;
        assert_eq!((same.status, same.body.len(), same.header("etag")), (304, 0, &*etag));
    }
    assert_eq!(with("if-none-match", "\"other\"".to_owned()).await.status, 206);
    assert_eq!(with("if-range", etag.clone()).await.status, 206);
    assert_eq!(with("if-range", "\"other\"".to_owned()).await.status, 200);
    let wav = daemon.get(&format!("{link}&format=wav")).await;
    assert_ne!(wav.header("etag"), etag);
}

#[tokio::test]
async fn a_link_opens_only_as_a_whole() {
    let (daemon, link) = with_recording(&[]).await;
    let id = link.split("id=").nth(1).unwrap().split('&').next().unwrap();
    let other = daemon.someone("Bob").await.id;
    for query in [
        format!("id={id}&user={other}"),
        format!("id={id}&user=99"),
        "id=00000000-0000-4000-8000-000000000000&user=1".to_owned(),
    ] {
        daemon.get(&format!("/record?{query}")).await.problem(Code::RecordingNotFound);
        daemon.get(&format!("/record?{query}&format=wav")).await.problem(Code::RecordingNotFound);
    }
    for (query, field) in [
        (String::new(), "id"),
        (format!("id={id}"), "user"),
        ("user=1".to_owned(), "id"),
        ("id=../../etc/passwd&user=1".to_owned(), "id"),
        (format!("id={id}&user=0"), "user"),
        (format!("id={id}&user=x"), "user"),
        (format!("id={id}&user=1&format=ogg"), "format"),
        (format!("id={id}&id={id}&user=1"), "id"),
    ] {
        let problem = daemon.get(&format!("/record?{query}")).await.problem(Code::InvalidParameter);
        assert_eq!(problem["field"], field, "{problem}");
    }
}

#[tokio::test]
async fn a_recording_whose_task_is_deleted_or_cancelled_is_no_more() {
    let daemon = start(Wishes { idle: true, ..Wishes::default() }).await;
    let ann = daemon.someone("Ann").await;
    let record = daemon.upload("/records", form(&ann, tone(1)), "respond-async").await.json(202);
    let (link, task) = (path_of(record["url"].as_str().unwrap()), record["task"]["id"].clone());
    let by_ann = |method: &'static str, path: String| {
        let token = ann.token.clone();
        let daemon = &daemon;
        async move { daemon.ask(method, &path, |request| request.bearer_auth(token)).await }
    };
    by_ann("POST", format!("/tasks/{task}/cancel")).await.json(200);
    let problem = daemon.get(&link).await.problem(Code::RecordingFailed);
    assert!(problem["detail"].as_str().unwrap().contains("cancelled"), "{problem}");
    assert_eq!(
        daemon.get(&format!("{link}&format=wav")).await.status,
        200,
        "the original is there all the same"
    );
    assert_eq!(by_ann("DELETE", format!("/tasks/{task}")).await.status, 204);
    daemon.get(&link).await.problem(Code::RecordingNotFound);
}

#[tokio::test]
async fn if_match_is_looked_at_before_any_other_condition() {
    let (daemon, link) = with_recording(&[]).await;
    let etag = daemon.get(&link).await.header("etag").to_owned();
    let with = |tag: String, more: &'static [(&'static str, &'static str)]| {
        daemon.ask("GET", &link, move |request| {
            let begun = request.header("if-match", tag);
            more.iter().fold(begun, |request, (name, value)| request.header(*name, *value))
        })
    };
    for tag in [etag.clone(), format!("\"x\", {etag}"), "*".to_owned()] {
        assert_eq!(with(tag.clone(), &[]).await.status, 200, "{tag}");
        assert_eq!(with(tag.clone(), &[("if-none-match", "*")]).await.status, 304, "{tag}");
        assert_eq!(with(tag.clone(), &[("range", "bytes=0-3")]).await.status, 206, "{tag}");
    }
    for tag in ["\"other\"".to_owned(), format!("W/{etag}"), etag.trim_matches('"').to_owned(), String::new()]
    {
        for more in [&[][..], &[("if-none-match", "*")], &[("range", "bytes=99999999-")]] {
            with(tag.clone(), more).await.problem(Code::PreconditionFailed);
        }
    }
}

#[tokio::test]
async fn a_file_that_is_lost_or_damaged_is_the_daemons_fault_and_never_not_found() {
    let (daemon, link) = with_recording(&[]).await;
    for link in [link.clone(), format!("{link}&format=wav")] {
        let file = daemon.file_of(daemon.get(&link).await.header("etag"));
        let whole = std::fs::read(&file).unwrap();
        for damage in [Some(&whole[..whole.len() - 1]), Some(&[]), None] {
            std::fs::remove_file(&file).unwrap();
            if let Some(bytes) = damage {
                std::fs::write(&file, bytes).unwrap();
            }
            for method in ["GET", "HEAD"] {
                assert_eq!(daemon.ask(method, &link, |request| request).await.status, 500);
            }
            let problem = daemon.get(&link).await.problem(Code::BlobDamaged).to_string();
            assert!(!problem.contains(daemon.folder.path().to_str().unwrap()), "{problem}");
            std::fs::write(&file, &whole).unwrap();
        }
        std::fs::write(&file, [&whole[..], b"x"].concat()).unwrap();
        daemon
            .ask("GET", &link, |request| request.header("range", "bytes=0-3"))
            .await
            .problem(Code::BlobDamaged);
    }
}
