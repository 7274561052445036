//! What the daemon does, seen while it does it: recordings, questions, tasks, the API tried out.

use serde_json::json;

use crate::browser::Browser;
use crate::common::{eventually, wav};
use crate::look;
use crate::world::World;

async fn calm(browser: &Browser, world: &World) {
    assert_eq!(look::trouble(browser.heard().await, world), Vec::<String>::new());
}

#[tokio::test]
async fn a_wav_is_sent_converted_and_played() {
    let (world, browser) = (World::start(), Browser::start().await);
    world.let_in(&browser, &world.someone("Ann").await).await;
    browser.open(&world.at("/records")).await;
    browser.choose("#file", &[&world.file("talk.wav", &wav::sine(4.0, 440.0))]).await;
    browser.click("form[data-send] button").await;
    browser.one("audio").await;
    let length = "const audio = document.querySelector('audio');
        if (audio.readyState < 1) await new Promise((resolve) => audio.addEventListener('loadedmetadata', resolve));
        await audio.play(); audio.pause();
        return audio.duration";
    let length = browser.wait_for(length, json!([])).await.as_f64().unwrap();
    assert!((3.5..4.5).contains(&length), "{length} s");
    assert!(browser.all(".wave path").await.len() == 2, "there is no outline of the sound");
    calm(&browser, &world).await;
}

#[tokio::test]
async fn what_the_microphone_hears_becomes_an_mp3() {
    let (world, browser) = (World::start(), Browser::start().await);
    world.let_in(&browser, &world.someone("Ann").await).await;
    browser.open(&world.at("/records")).await;
    browser.click("#recorder [data-start]").await;
    browser.says("#recorder [data-time]", "0:02").await;
    browser.click("#recorder [data-stop]").await;
    browser.one("audio").await;
    let place = browser.run("return document.querySelector('audio').src", json!([])).await;
    let mp3 = world.client.get(place.as_str().unwrap()).send().await.unwrap();
    assert_eq!(mp3.headers()["content-type"], "audio/mpeg");
    assert!(mp3.bytes().await.unwrap().len() > 4_000);
    calm(&browser, &world).await;
}

#[tokio::test]
async fn without_scripts_a_recording_is_sent_and_its_page_leads_to_the_mp3() {
    let (world, browser) = (World::start(), Browser::start().await);
    browser.scripts(false).await;
    world.let_in(&browser, &world.someone("Ann").await).await;
    browser.open(&world.at("/records")).await;
    browser.choose("#file", &[&world.file("talk.wav", &wav::sine(1.0, 440.0))]).await;
    browser.click("form[data-send] button").await;
    eventually("the recording is ready", || async {
        let there = !browser.all("audio").await.is_empty();
        if !there {
            browser.open(&browser.url().await).await;
        }
        there.then_some(())
    })
    .await;
}

#[tokio::test]
async fn questions_are_fetched_asked_and_answered_with_and_without_scripts() {
    for scripts in [true, false] {
        let (world, browser) = (World::start(), Browser::start().await);
        browser.scripts(scripts).await;
        browser.open(&world.at("/quiz")).await;
        browser.fill("#questions_num", "3").await;
        browser.click("form[action='/quiz'] button").await;
        let first = browser.text(".question").await;
        browser.click("summary").await;
        assert!(!browser.text(".answer").await.is_empty(), "the answer is shown");
        browser.click("a[rel=next]").await;
        assert_ne!(browser.text(".question").await, first);
    }
}

#[tokio::test]
async fn a_list_of_tasks_lives_without_being_loaded_again() {
    let (world, browser) = (World::start(), Browser::start().await);
    let ann = world.someone("Ann").await;
    world.let_in(&browser, &ann).await;
    browser.open(&world.at("/tasks")).await;
    browser.run("window.stayed = true", json!([])).await;
    let task = world.post("/tasks", &json!({"kind": "manual"}), Some(&ann)).await["id"].clone();
    browser.one(&format!("a[href='/tasks/{task}']")).await;
    world.post(&format!("/tasks/{task}/cancel"), &json!({}), Some(&ann)).await;
    browser.one(".status.cancelled").await;
    assert_eq!(browser.run("return stayed", json!([])).await, true, "the page was loaded again");
    // A button that is pressed leads back here.
    browser.click("form[action$='/retry'] button").await;
    browser.one(".status.new").await;
    assert!(browser.url().await.ends_with("/tasks"));
    calm(&browser, &world).await;
}

#[tokio::test]
async fn a_task_shows_its_progress_while_a_worker_speaks_of_it() {
    let world = World::start_with(&[("GRISTMILL__KINDS__OUTSIDE", "resize")]);
    let browser = Browser::start().await;
    let ann = world.someone("Ann").await;
    world.let_in(&browser, &ann).await;
    let task = world.post("/tasks", &json!({"kind": "resize"}), Some(&ann)).await["id"].clone();
    browser.open(&world.at(&format!("/tasks/{task}"))).await;
    browser.run("window.stayed = true", json!([])).await;
    let held = world.post("/tasks/claim", &json!({"id": task}), Some(&ann)).await;
    let word = json!({"attempt": held["attempt"], "percent": 42});
    world.post(&format!("/tasks/{task}/progress"), &word, Some(&ann)).await;
    browser.one("progress[value='42']").await;
    let done = json!({"attempt": held["attempt"], "result": {"width": 7}});
    world.post(&format!("/tasks/{task}/complete"), &done, Some(&ann)).await;
    browser.one(".status.completed").await;
    browser.says("#result-part", "width").await;
    assert_eq!(browser.run("return stayed", json!([])).await, true, "the page was loaded again");
    calm(&browser, &world).await;
}

/// Opens a route of the API's page, sends it, and waits for that status.
async fn try_out(browser: &Browser, operation: &str, status: &str) {
    let block = format!("#operations-{operation}");
    if browser.all(&format!("{block}.is-open")).await.is_empty() {
        browser.click(&format!("{block} .opblock-summary-control")).await;
        browser.click(&format!("{block} .try-out__btn")).await;
    }
    browser.click(&format!("{block} .execute")).await;
    browser.says(&format!("{block} .live-responses-table .response-col_status"), status).await;
}

#[tokio::test]
async fn the_api_is_tried_out_with_a_session_and_with_a_token() {
    let (world, browser) = (World::start(), Browser::start().await);
    let (ann, bob) = (world.someone("Ann").await, world.someone("Bob").await);
    world.let_in(&browser, &ann).await;
    browser.open(&world.at("/swagger-ui")).await;
    browser.click("#operations-tag-Tasks").await;
    try_out(&browser, "Tasks-createTask", "201").await;
    let newest = world.get("/tasks", Some(&ann)).await;
    assert_eq!(newest.as_array().unwrap().len(), 1, "made as whoever is logged in");

    browser.forget().await;
    browser.click(".btn.authorize").await;
    browser.type_into("#auth-bearer-value", &bob.token).await;
    let authorize = "document.querySelector('#auth-bearer-value').closest('.auth-container').querySelector('.authorize').click()";
    browser.run(authorize, json!([])).await;
    browser.click(".btn-done").await;
    try_out(&browser, "Tasks-createTask", "201").await;
    eventually("the task is made by the token", || async {
        (world.get("/tasks", Some(&bob)).await.as_array().unwrap().len() == 1).then_some(())
    })
    .await;
    let mut found = look::violations(&browser).await;
    // The line of a route is a button, in which Swagger UI has another one that copies the path.
    found.retain(|found| !found.contains("\"nested-interactive\""));
    assert_eq!(found, Vec::<String>::new());
    calm(&browser, &world).await;
}
