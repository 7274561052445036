//! Files: images that go to the daemon, recordings that come back as MP3, reports; and questions.

use std::sync::mpsc;

use serde_json::json;

use crate::fake::serve;
use crate::world::{World, bare, png};

/// A WAV that comes with the sources.
fn wav() -> Vec<u8> {
    std::fs::read(std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/hello.wav")).unwrap()
}

#[test]
fn images_are_sent_several_at_a_time_and_their_links_printed_in_order() {
    let world = World::new();
    let names: Vec<String> = (0..9).map(|n| format!("{n} \"кот\" [x].png")).collect();
    for name in &names {
        world.file(name, &png());
    }
    let words: Vec<&str> = names.iter().map(String::as_str).collect();
    let sent = world.run(&[&["upload", "--json", "--jobs", "3"], &words[..]].concat());
    let told: Vec<String> =
        sent.json().iter().map(|image| image["original_name"].as_str().unwrap().to_owned()).collect();
    assert_eq!(told, names, "{sent:?}");
    assert!(sent.json().iter().all(|image| image["delete_token"].is_string()));

    let links = world.run(&["upload", words[0], words[1]]).done();
    assert_eq!(links.lines().count(), 2);
    for (option, begins, ends) in [
        ("--markdown", "![0 \"кот\" \\[x\\].png](<http://", ".png>)\n"),
        ("--html", "<img src=\"http://", " alt=\"0 &quot;кот&quot; [x].png\">\n"),
        ("--bbcode", "[img]http://", ".png[/img]\n"),
        ("--quiet", "http://", ".png\n"),
    ] {
        let link = world.run(&["upload", words[0], option]).done();
        assert!(link.starts_with(begins) && link.ends_with(ends), "{option}: {link}");
    }
    assert_eq!(world.run(&["upload", words[0], "--html", "--bbcode"]).code, Some(2));
}

#[test]
fn a_large_file_is_sent_as_it_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let size = 300 << 20;
    std::fs::File::create(folder.path().join("large.png")).unwrap().set_len(size).unwrap();
    let (told, most) = mpsc::channel();
    let told = std::sync::Mutex::new(told);
    let (url, heard) = serve(move |mut asked| {
        assert_eq!(asked.length(), size);
        asked.swallow(size - 1);
        // The program waits for its last byte to be taken: now is when it has had everything in hand.
        let port = asked.body.get_ref().peer_addr().unwrap().port();
        told.lock().unwrap().send(port).unwrap();
        asked.swallow(1);
        asked.answer(201, "", r#"{"url":"http://h/images/x.png","original_name":"large.png"}"#);
    });
    let mut sending = bare(folder.path(), &["upload", "large.png", "--url", &url]);
    let sending = sending.stdout(std::process::Stdio::piped()).spawn().unwrap();
    most.recv().unwrap();
    let status = std::fs::read_to_string(format!("/proc/{}/status", sending.id()));
    let output = sending.wait_with_output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "http://h/images/x.png\n", "{output:?}");
    // It may have ended by then, and have left nothing to read.
    if let Some(line) =
        status.ok().and_then(|status| Some(status.lines().find(|line| line.starts_with("VmHWM"))?.to_owned()))
    {
        let kib: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
        assert!(kib < 150 << 10, "{line}");
    }
    let heard = heard.lock().unwrap().join("\n");
    assert!(
        heard.contains("content-type: application/octet-stream") && heard.contains("x-filename: large%2epng"),
        "{heard}"
    );
}

#[test]
fn a_recording_goes_to_the_daemon_and_comes_back_as_mp3() {
    let world = World::new();
    let (_, token) = world.user(&[]);
    world.file("hello.wav", &wav());
    let told = world.run_as(&token, &["transcode", "--remote", "hello.wav"]);
    assert!(told.err.contains(&format!("its link is {}/record?id=", world.url())), "{told:?}");
    assert_eq!(told.done(), "hello.mp3\n");
    let mp3 = std::fs::read(world.folder.path().join("hello.mp3")).unwrap();
    assert_eq!(mp3[..2], [0xff, 0xf3]);
    world.run_as(&token, &["transcode", "--remote", "hello.wav"]).failed(1, &["is there already: --force"]);
    let told = world.run_as(&token, &["transcode", "--remote", "hello.wav", "other.mp3", "--json"]);
    assert_eq!((&told.json()[0]["file"], &told.json()[0]["bytes"]), (&json!("other.mp3"), &json!(mp3.len())));
    let link = world.run_as(&token, &["transcode", "--remote", "--link", "hello.wav"]).done();
    assert!(link.starts_with(&format!("{}/record?id=", world.url())), "{link}");
    let here = world.run(&["transcode", "hello.wav", "here.mp3", "--json"]);
    assert_eq!(
        here.json()[0]["bytes"],
        json!(std::fs::metadata(world.folder.path().join("here.mp3")).unwrap().len())
    );
    let names = std::fs::read_dir(world.folder.path()).unwrap();
    let left =
        names.filter(|name| name.as_ref().unwrap().file_name().to_string_lossy().contains(".part")).count();
    assert_eq!(left, 0, "half a file stayed");
}

#[test]
fn a_report_is_waited_for_and_fetched() {
    let world = World::new();
    let (ann, token) = world.user(&[]);
    let user = ann.to_string();
    let told = world.run_as(
        &token,
        &[
            "report",
            &user,
            "-o",
            "ann.pdf",
            "--language",
            "ru",
            "--time-zone",
            "Europe/Moscow",
            "--days",
            "7",
        ],
    );
    assert_eq!(told.done(), "ann.pdf\n");
    assert!(std::fs::read(world.folder.path().join("ann.pdf")).unwrap().starts_with(b"%PDF-"));
    world
        .run_as(&token, &["report", &user, "-o", "ann.pdf"])
        .failed(1, &["ann.pdf is there already: --force"]);
    let told = world.run_as(&token, &["report", &user, "-o", "ann.pdf", "--force", "--json"]);
    assert_eq!(told.json()[0]["file"], "ann.pdf", "{told:?}");
    let link = world.run_as(&token, &["report", &user, "--link"]).done();
    assert!(link.starts_with(&format!("{}/reports/", world.url())), "{link}");
    world.run_as(&token, &["report", &user, "-o", "."]).failed(2, &[". is a folder"]);
    world
        .run_as(&token, &["report", &user, "--time-zone", "Mars"])
        .failed(1, &["time_zone", "(invalid_body)"]);
}

#[test]
fn questions_are_fetched_and_shown() {
    let world = World::new();
    let first = world.run(&["quiz", "3", "--json"]);
    let ids: Vec<i64> = first.json().iter().map(|question| question["id"].as_i64().unwrap()).collect();
    assert_eq!(ids, [1, 2, 3], "{first:?}");
    let second = world.run(&["quiz", "2"]).done();
    assert!(second.starts_with("4. ") && second.contains("\n5. ") && second.lines().count() == 4, "{second}");
    let saved = world.run(&["quiz", "2", "--saved", "--no-answers"]).done();
    assert!(saved.starts_with("4. ") && saved.lines().count() == 2, "{saved}");
    assert_eq!(world.run(&["tasks", "--kind", "quiz", "--json"]).json().len(), 2);
}
