//! Sending recordings.

use gristmill::http::Code;
use reqwest::multipart::{Form, Part};
use serde_json::Value;

use crate::client::Someone;
use crate::harness::{Wishes, start};
use crate::wav::{form, path_of, tone, with_format};

fn part(wav: Vec<u8>) -> Part {
    Part::bytes(wav).file_name("talk.wav")
}

#[tokio::test]
async fn a_recording_is_taken_converted_and_linked_on_both_routes() {
    let daemon = start(Wishes::default()).await;
    let ann = daemon.someone("Ann").await;
    for path in ["/records", "/music-add"] {
        let made = daemon.upload(path, form(&ann, tone(1)), "").await;
        let record = made.json(201);
        let (id, url) = (record["id"].as_str().unwrap(), record["url"].as_str().unwrap());
        assert_eq!(url, format!("http://{}/record?id={id}&user={}", daemon.address, ann.id));
        assert_eq!(made.header("location"), url);
        assert_eq!(
            (&record["task"]["status"], &record["task"]["kind"]),
            (&"Completed".into(), &"transcode".into())
        );
        assert_eq!(record["task"]["owner"], ann.id);
        assert_eq!(record["filename"], "talk.wav");
        let mp3 = daemon.get(&path_of(url)).await;
        assert_eq!((mp3.status, mp3.header("content-type")), (200, "audio/mpeg"));
    }
    let lines = daemon.action_lines();
    assert!(lines.contains("Success: recording talk.wav saved."), "{lines}");
    assert_eq!(daemon.blobs.drafts().unwrap(), 0);
}

#[tokio::test]
async fn the_link_is_built_from_the_public_url_where_there_is_one_and_else_from_the_host() {
    let public = vec![("http.public_url", "https://grist.example/mill/")];
    let daemon = start(Wishes { settings: public, ..Wishes::default() }).await;
    let ann = daemon.someone("Ann").await;
    let record = daemon.upload("/records", form(&ann, tone(1)), "").await.json(201);
    assert!(record["url"].as_str().unwrap().starts_with("https://grist.example/mill/record?id="), "{record}");

    // Where everybody proves who they are any name does.
    let daemon = start(Wishes { settings: vec![("auth.anonymous", "false")], ..Wishes::default() }).await;
    let ann = daemon.someone("Ann").await;
    for (host, base) in [("mill.example:81", "http://mill.example:81/"), ("a\"b", "http://127.0.0.1:")] {
        let asked = daemon
            .ask("POST", "/records", |request| request.header("host", host).multipart(form(&ann, tone(1))));
        let record = asked.await.json(201);
        assert!(record["url"].as_str().unwrap().starts_with(base), "{host}: {record}");
    }
}

#[tokio::test]
async fn the_fields_come_in_any_order_and_a_bearer_token_does_as_well() {
    let daemon = start(Wishes::default()).await;
    let ann = daemon.someone("Ann").await;
    let (user, token) = (ann.id.to_string(), ann.token.clone());
    let forms = [
        Form::new().part("file", part(tone(1))).text("token", token.clone()).text("user", user.clone()),
        Form::new().text("token", token.clone()).part("anything", part(tone(1))).text("user", user.clone()),
        Form::new().text("user", user.clone()).part("file", part(tone(1))).text("token", token.clone()),
        Form::new().text("token", token.clone()).part("file", Part::bytes(tone(1))),
    ];
    for (at, form) in forms.into_iter().enumerate() {
        let record = daemon.upload("/records", form, "").await.json(201);
        assert_eq!(record["task"]["owner"], ann.id, "form {at}: {record}");
    }
    for form in [
        Form::new().part("file", part(tone(1))),
        Form::new().part("file", part(tone(1))).text("user", user.clone()),
        Form::new().text("token", token).part("file", part(tone(1))),
    ] {
        let asked = daemon.ask("POST", "/records", |request| request.bearer_auth(&ann.token).multipart(form));
        assert_eq!(asked.await.json(201)["task"]["owner"], ann.id);
    }
}

#[tokio::test]
async fn who_does_not_wait_gets_the_link_before_the_mp3_is_there() {
    let daemon = start(Wishes { idle: true, ..Wishes::default() }).await;
    let ann = daemon.someone("Ann").await;
    for wish in ["respond-async", "wait=0", "wait=1"] {
        let later = daemon.upload("/records", form(&ann, tone(1)), wish).await;
        let record = later.json(202);
        assert_eq!(later.header("location"), format!("/tasks/{}", record["task"]["id"]));
        let link = path_of(record["url"].as_str().unwrap());
        let not_yet = daemon.get(&link).await;
        assert_eq!(not_yet.json(202)["id"], record["task"]["id"]);
        assert_eq!(not_yet.header("retry-after"), "1");
    }
    let lines = daemon.action_lines();
    assert_eq!(lines.matches("Success: recording talk.wav accepted.").count(), 3, "{lines}");
    assert!(!lines.contains("saved"), "{lines}");
    daemon.work();
    let owned =
        daemon.ask("GET", "/tasks?limit=1", |request| request.bearer_auth(&ann.token)).await.json(200);
    assert_eq!(owned.as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_conversion_that_fails_is_told_to_who_waits_and_to_who_comes_later() {
    let daemon = start(Wishes { broken_transcode: true, ..Wishes::default() }).await;
    let ann = daemon.someone("Ann").await;
    let failed = daemon.upload("/records", form(&ann, tone(1)), "").await.problem(Code::ConversionFailed);
    assert!(failed["detail"].as_str().unwrap().contains("the samples are rotten"), "{failed}");
    let task = failed["task"].as_i64().unwrap();
    let shown = daemon
        .ask("GET", &format!("/tasks/{task}"), |request| request.bearer_auth(&ann.token))
        .await
        .json(200);
    assert_eq!(shown["status"], "Failed");
    let lines = daemon.action_lines();
    assert!(lines.contains("Error: recording talk.wav could not be converted."), "{lines}");

    let record = daemon.upload("/records", form(&ann, tone(1)), "respond-async").await.json(202);
    let link = path_of(record["url"].as_str().unwrap());
    let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(20);
    while daemon.get(&link).await.status == 202 {
        assert!(tokio::time::Instant::now() < deadline);
    }
    let failed = daemon.get(&link).await.problem(Code::RecordingFailed);
    assert!(failed["detail"].as_str().unwrap().contains("the samples are rotten"), "{failed}");
    assert_eq!(failed["task"], record["task"]["id"]);
}

#[tokio::test]
async fn what_is_no_wav_that_can_be_read_is_refused_by_what_was_found() {
    let daemon = start(Wishes { idle: true, ..Wishes::default() }).await;
    let ann = daemon.someone("Ann").await;
    let long_mp3 = [b"ID3\x04\0\0\0\0\0\0".as_slice(), &vec![0xff; 2 << 20]].concat();
    for (bytes, code, found) in [
        (b"\xff\xfb\x90\x64".repeat(100), Code::UnsupportedAudio, "MP3"),
        (long_mp3, Code::UnsupportedAudio, "MP3"),
        (b"OggS".repeat(100), Code::UnsupportedAudio, "Ogg"),
        (b"plain text, no audio at all".to_vec(), Code::UnsupportedAudio, "not a WAV"),
        (with_format(0x55, vec![0; 64]), Code::UnsupportedAudio, "0x0055"),
        (with_format(1, Vec::new()), Code::DamagedAudio, "no samples"),
        (tone(1)[..30].to_vec(), Code::DamagedAudio, "cut off"),
        (Vec::new(), Code::UnsupportedAudio, ""),
    ] {
        for path in ["/records", "/music-add"] {
            let answer = daemon.upload(path, form(&ann, bytes.clone()), "").await;
            if bytes.is_empty() {
                assert!([415, 422].contains(&answer.status), "{}", answer.text());
                continue;
            }
            let problem = answer.problem(code);
            assert!(problem["detail"].as_str().unwrap().contains(found), "{found}: {problem}");
        }
    }
    daemon.nothing_is_kept().await;
    let lines = daemon.action_lines();
    assert!(lines.contains("Error: unsupported file format (talk.wav)."), "{lines}");
    assert!(lines.contains("Error: damaged file (talk.wav)."), "{lines}");
}

#[tokio::test]
async fn nothing_is_kept_of_what_proves_to_be_nobodys_wherever_the_proof_stands() {
    let daemon = start(Wishes { idle: true, ..Wishes::default() }).await;
    let (ann, bob) = (daemon.someone("Ann").await, daemon.someone("Bob").await);
    let user = ann.id.to_string();
    let wrong = "00000000-0000-4000-8000-000000000000";
    for (form, code) in [
        (Form::new().part("file", part(tone(1))), Code::Unauthenticated),
        (Form::new().text("user", user.clone()).part("file", part(tone(1))), Code::Unauthenticated),
        (Form::new().part("file", part(tone(1))).text("token", wrong), Code::InvalidToken),
        (
            Form::new().text("user", user.clone()).text("token", wrong).part("file", part(tone(1))),
            Code::InvalidToken,
        ),
        (
            Form::new().part("file", part(tone(1))).text("user", user.clone()).text("token", wrong),
            Code::InvalidToken,
        ),
        (
            Form::new().part("file", part(tone(1))).text("token", "x").text("user", user.clone()),
            Code::InvalidToken,
        ),
        (
            Form::new()
                .part("file", part(tone(1)))
                .text("user", user.clone())
                .text("token", bob.token.clone()),
            Code::InvalidToken,
        ),
    ] {
        daemon.upload("/records", form, "").await.problem(code);
    }
    let as_bob = |form: Form| {
        daemon.ask("POST", "/records", |request| request.bearer_auth(&bob.token).multipart(form))
    };
    let form = Form::new().part("file", part(tone(1))).text("user", user.clone());
    as_bob(form).await.problem(Code::OtherUser);
    let form = Form::new().text("token", ann.token.clone()).part("file", part(tone(1)));
    as_bob(form).await.problem(Code::OtherUser);
    daemon.nothing_is_kept().await;
    let lines = daemon.action_lines();
    assert!(lines.contains("Error: access denied (talk.wav)."), "{lines}");
}

#[tokio::test]
async fn a_form_that_is_not_the_documented_one_is_refused_by_field() {
    let daemon = start(Wishes { idle: true, ..Wishes::default() }).await;
    let ann = daemon.someone("Ann").await;
    let base = |ann: &Someone| Form::new().text("user", ann.id.to_string()).text("token", ann.token.clone());
    for (form, field) in [
        (base(&ann), "file"),
        (base(&ann).text("user", "1").part("file", part(tone(1))), "user"),
        (base(&ann).text("token", "x").part("file", part(tone(1))), "token"),
        (base(&ann).text("color", "red").part("file", part(tone(1))), "color"),
        (base(&ann).part("file", part(tone(1))).part("second", part(tone(1))), "second"),
        (Form::new().text("user", "x"), "user"),
        (Form::new().text("user", "0"), "user"),
        (Form::new().text("user", "-5"), "user"),
        (Form::new().text("user", "9223372036854775808"), "user"),
        (Form::new().text("token", "x".repeat(300)), "token"),
        (Form::new().part("user", Part::bytes(vec![0xff, 0xfe])), "user"),
    ] {
        let problem = daemon.upload("/records", form, "").await.problem(Code::InvalidForm);
        assert_eq!(problem["field"], field, "{problem}");
    }
    for path in ["/records", "/music-add"] {
        for media_type in ["multipart/mixed; boundary=b", "multipart/form-datax; boundary=b", "text/plain"] {
            let asked = daemon.ask("POST", path, |request| {
                request.header("content-type", media_type).body("--b\r\n\r\n--b--\r\n")
            });
            asked.await.problem(Code::UnsupportedMediaType);
        }
        let packed = daemon.ask("POST", path, |request| {
            request.multipart(form(&ann, tone(1))).header("content-encoding", "gzip")
        });
        packed.await.problem(Code::UnsupportedMediaType);
        daemon.post(path, "{}").await.problem(Code::UnsupportedMediaType);
        daemon.ask("POST", path, |request| request.body("x")).await.problem(Code::UnsupportedMediaType);
        for (media_type, body) in [
            ("multipart/form-data", "x"),
            ("multipart/form-data; boundary=b", "no boundary in here"),
            ("multipart/form-data; boundary=b", "--b\r\nnonsense\r\n\r\nx\r\n--b--\r\n"),
            ("multipart/form-data; boundary=b", "--b\r\ncontent-type: text/plain\r\n\r\nx\r\n--b--\r\n"),
        ] {
            let asked =
                daemon.ask("POST", path, |request| request.header("content-type", media_type).body(body));
            asked.await.problem(Code::InvalidForm);
        }
    }
    daemon.nothing_is_kept().await;
}

#[tokio::test]
async fn a_recording_larger_than_allowed_is_refused_and_the_client_gets_to_read_it() {
    let daemon = start(Wishes { settings: vec![("records.max_bytes", "65536")], ..Wishes::default() }).await;
    let ann = daemon.someone("Ann").await;
    let most = with_format(1, vec![0; 65_536 - 44]);
    assert_eq!(most.len(), 65_536);
    daemon.upload("/records", form(&ann, most.clone()), "").await.json(201);
    let before = daemon.rows().await;
    for size in [65_537 - 44, 16 << 20] {
        let problem = daemon.upload("/records", form(&ann, with_format(1, vec![0; size])), "").await;
        let problem = problem.problem(Code::RecordingTooLarge);
        assert!(problem["detail"].as_str().unwrap().contains("64 KiB"), "{problem}");
    }
    assert_eq!((daemon.rows().await, daemon.blobs.drafts().unwrap()), (before, 0));
    let lines = daemon.action_lines();
    assert!(lines.contains("Error: file too large (talk.wav)."), "{lines}");
}

#[tokio::test]
async fn file_names_from_outside_are_shown_and_never_obeyed() {
    let daemon = start(Wishes { idle: true, ..Wishes::default() }).await;
    let ann = daemon.someone("Ann").await;
    let long = "ж".repeat(150);
    // As they stand in the part's header.
    let cut = "ж".repeat(127);
    for (header, name) in [
        ("filename=\"../../etc/passwd\"", "passwd"),
        ("filename=\"..\\\\..\\\\evil.wav\"", "evil.wav"),
        ("filename=\"a\\\"b.wav\"", "a\"b.wav"),
        ("filename=\"\"", "recording.wav"),
        ("filename=\"..\"", "recording.wav"),
        ("filename=\"голос.wav\"", "голос.wav"),
        ("filename=\"a\tb.wav\"", "ab.wav"),
        ("filename*=UTF-8''a%0d%0aSet-Cookie%3a%20x.wav", "aSet-Cookie: x.wav"),
        (&format!("filename=\"{long}\""), &*cut),
    ] {
        let mut body = Vec::new();
        for (field, value) in [("user", ann.id.to_string()), ("token", ann.token.clone())] {
            body.extend(
                format!("--b\r\nContent-Disposition: form-data; name=\"{field}\"\r\n\r\n{value}\r\n").bytes(),
            );
        }
        body.extend(
            format!("--b\r\nContent-Disposition: form-data; name=\"file\"; {header}\r\n\r\n").bytes(),
        );
        body.extend(tone(1));
        body.extend(b"\r\n--b--\r\n");
        let asked = daemon.ask("POST", "/records", |request| {
            let typed = request.header("content-type", "multipart/form-data; boundary=b");
            typed.header("prefer", "respond-async").body(body)
        });
        let record: Value = asked.await.json(202);
        assert_eq!(record["filename"], name, "{header}");
        let link = path_of(record["url"].as_str().unwrap());
        let wav = daemon.get(&format!("{link}&format=wav")).await;
        assert_eq!((wav.status, wav.header("set-cookie")), (200, ""));
        let disposition = wav.header("content-disposition");
        assert!(
            disposition.starts_with("attachment; filename=\"") && disposition.is_ascii(),
            "{disposition}"
        );
        assert_eq!(disposition.matches('"').count(), 2, "{disposition}");
    }
}

#[tokio::test]
async fn an_upload_that_declares_too_much_is_refused_before_it_comes() {
    let daemon = start(Wishes { settings: vec![("records.max_bytes", "65536")], ..Wishes::default() }).await;
    let head = |length: usize| {
        format!(
            "POST /records HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary=b\r\nContent-Length: \
             {length}\r\n\r\n"
        )
    };
    // Not a byte of the body is sent.
    let problem = daemon.raw(head(131_073).as_bytes(), false).await.problem(Code::RecordingTooLarge);
    assert!(problem["detail"].as_str().unwrap().contains("64 KiB"), "{problem}");
    daemon.raw(head(131_072).as_bytes(), true).await.problem(Code::IncompleteBody);
}

#[tokio::test]
async fn a_large_file_needs_its_proof_before_it() {
    let daemon = start(Wishes { idle: true, ..Wishes::default() }).await;
    let ann = daemon.someone("Ann").await;
    let large = || part(with_format(1, vec![0; 17 << 20]));
    let (user, token) = (ann.id.to_string(), ann.token.clone());
    let behind = Form::new().part("file", large()).text("user", user.clone()).text("token", token.clone());
    let problem = daemon.upload("/records", behind, "").await.problem(Code::Unauthenticated);
    assert!(problem["detail"].as_str().unwrap().contains("before the file"), "{problem}");
    daemon.nothing_is_kept().await;
    assert!(daemon.action_lines().contains("Error: access denied (talk.wav)."));
    for form in [
        Form::new().text("user", user).text("token", token.clone()).part("file", large()),
        Form::new().text("token", token).part("file", large()),
    ] {
        daemon.upload("/records", form, "respond-async").await.json(202);
    }
    let bearer = daemon.ask("POST", "/records", |request| {
        let form = Form::new().part("file", large());
        request.bearer_auth(&ann.token).header("prefer", "respond-async").multipart(form)
    });
    bearer.await.json(202);
}

#[tokio::test]
async fn a_user_who_is_named_in_the_query_may_be_proven_by_the_form() {
    let daemon = start(Wishes { idle: true, ..Wishes::default() }).await;
    let (ann, bob) = (daemon.someone("Ann").await, daemon.someone("Bob").await);
    let path = format!("/records?user_id={}", ann.id);
    for form in [
        form(&ann, tone(1)),
        Form::new().text("token", ann.token.clone()).part("file", part(tone(1))),
        Form::new().part("file", part(tone(1))).text("token", ann.token.clone()),
    ] {
        let record = daemon.upload(&path, form, "respond-async").await.json(202);
        assert_eq!(record["task"]["owner"], ann.id);
    }
    let problem = daemon.upload(&path, form(&bob, tone(1)), "").await.problem(Code::OtherUser);
    assert_eq!(problem["field"], "user_id");
    let nobody = Form::new().text("user", ann.id.to_string()).part("file", part(tone(1)));
    daemon.upload(&path, nobody, "").await.problem(Code::Unauthenticated);
}
