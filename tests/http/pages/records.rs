//! Recordings and questions for people.

use gristmill::http::Code;

use super::{in_both, led_to, look, page, problem_page, send, send_files, user};
use crate::harness::{Wishes, start};
use crate::wav::tone;

#[tokio::test]
async fn a_recording_is_sent_converted_played_and_deleted() {
    let daemon = start(Wishes { idle: true, ..Wishes::default() }).await;
    let (id, ann) = user(&daemon, "Ann").await;
    let (_, bob) = user(&daemon, "Bob").await;
    let text = in_both(&daemon, "/records", &ann, "Your recordings", "Ваши записи").await;
    assert!(text.contains("Up to 2\u{a0}GiB"), "{text}");
    let hostile = "<script>\u{202e}.wav";
    let place = led_to(&send_files(&daemon, "/records", &ann, &[(hostile, tone(1))]).await);
    let waits = page(&look(&daemon, &place, &[("cookie", &ann)]).await, 200);
    assert!(
        waits.contains("data-live-source=\"/tasks/1/events\"") && waits.contains("http-equiv=\"refresh\""),
        "{waits}"
    );
    assert!(!waits.contains("<audio") && !waits.contains("<script>"), "{waits}");
    daemon.work();
    let mut made = waits;
    while !made.contains("<audio") {
        made = page(&look(&daemon, &place, &[("cookie", &ann)]).await, 200);
    }
    let name = place.strip_prefix("/records/").unwrap();
    let mp3 = format!("/record?id={name}&user={id}");
    assert!(made.contains(&format!("src=\"{}\"", mp3.replace('&', "&#38;"))), "{made}");
    assert!(made.contains("data-wave") && made.contains("<path d=\"M0 "), "{made}");
    assert!(!made.contains("http-equiv=\"refresh\""), "{made}");
    assert!(daemon.get(&mp3).await.header("content-type") == "audio/mpeg");
    let list = page(&look(&daemon, "/records", &[("cookie", &ann)]).await, 200);
    assert!(list.contains(&format!("href=\"{place}\"")) && !list.contains("<script>"), "{list}");

    let delete = format!("{place}/delete");
    for stranger in [&bob, ""] {
        let seen = look(&daemon, &place, &[("cookie", stranger)]).await;
        assert!(seen.status == 404 || seen.status == 303, "{}", seen.status);
        assert!(send(&daemon, &delete, stranger, &[]).await.status >= 400);
    }
    let asked = page(&send(&daemon, &delete, &ann, &[]).await, 200);
    assert!(asked.contains("name=\"sure\" value=\"yes\"") && !asked.contains("<script>"), "{asked}");
    page(&look(&daemon, &place, &[("cookie", &ann)]).await, 200);
    assert_eq!(led_to(&send(&daemon, &delete, &ann, &[("sure", "yes")]).await), "/records?done=deleted");
    problem_page(&look(&daemon, &place, &[("cookie", &ann)]).await, Code::RecordingNotFound);
}

#[tokio::test]
async fn what_is_no_wav_is_told_beside_the_form() {
    let daemon = start(Wishes::default()).await;
    let (_, ann) = user(&daemon, "Ann").await;
    let refused =
        send_files(&daemon, "/records", &ann, &[("a.wav", b"OggS and so on, and on, and on".to_vec())]).await;
    let text = page(&refused, 415);
    assert!(text.contains("role=\"alert\"") && text.contains("data-send"), "{text}");
}

#[tokio::test]
async fn questions_are_fetched_and_asked_one_after_the_other() {
    let daemon = start(Wishes::default()).await;
    in_both(&daemon, "/quiz", "", "There are no questions yet", "Вопросов пока нет").await;
    assert_eq!(led_to(&send(&daemon, "/quiz", "", &[("questions_num", "3")]).await), "/quiz");
    let mut path = "/quiz".to_owned();
    let mut asked = Vec::new();
    loop {
        let text = page(&look(&daemon, &path, &[]).await, 200);
        asked.push(
            text.split("<p class=\"question\"><bdi>")
                .nth(1)
                .unwrap()
                .split("</bdi>")
                .next()
                .unwrap()
                .to_owned(),
        );
        assert!(text.contains("<details id=\"answer\"><summary>Show the answer</summary>"), "{text}");
        let Some(next) = text.split("rel=\"next\" href=\"").nth(1) else { break };
        path = next.split('"').next().unwrap().to_owned();
    }
    assert_eq!(asked.len(), 3);
    asked.dedup();
    assert_eq!(asked.len(), 3);
    for bad in ["0", "101", "x", ""] {
        assert!(
            page(&send(&daemon, "/quiz", "", &[("questions_num", bad)]).await, 400)
                .contains("role=\"alert\"")
        );
    }
}

#[tokio::test]
async fn a_closed_daemon_asks_nobody_without_an_identity() {
    let daemon = start(Wishes { settings: vec![("auth.anonymous", "false")], ..Wishes::default() }).await;
    for path in ["/quiz", "/upload", "/images/", "/tasks", "/tasks/1", "/records"] {
        let place = led_to(&look(&daemon, path, &[]).await);
        assert!(place.starts_with("/login?next="), "{path}: {place}");
    }
    problem_page(&send(&daemon, "/quiz", "", &[("questions_num", "3")]).await, Code::Unauthenticated);
    problem_page(
        &send_files(&daemon, "/upload", "", &[("a.png", crate::photos::png(9, 9))]).await,
        Code::Unauthenticated,
    );
    assert_eq!(daemon.rows().await, 0);
}
