//! Sending images: chosen, dropped, pasted; with their progress, their links, and what is said of those that are not taken.

use serde_json::{Value, json};

use crate::browser::Browser;
use crate::look;
use crate::world::{World, large_picture, picture};

/// Writes down each word about the progress, from now on.
const WATCH: &str = "window.told = [];
    new MutationObserver(() => {
        for (const state of document.querySelectorAll('[data-state]')) told.push(state.textContent);
    }).observe(document.querySelector('main'), { childList: true, subtree: true, characterData: true });";

async fn page() -> (World, Browser) {
    let (world, browser) = (World::start(), Browser::start().await);
    browser.open(&world.at("/upload")).await;
    (world, browser)
}

/// Waits until so many links are there; the addresses.
async fn links(browser: &Browser, count: usize) -> Vec<String> {
    let found = crate::common::eventually("the links are there", || async {
        let found = browser
            .run("return [...document.querySelectorAll('input[id^=url-]')].map((e) => e.value)", json!([]))
            .await;
        (found.as_array().unwrap().len() >= count).then_some(found)
    });
    found.await.as_array().unwrap().iter().map(|url| url.as_str().unwrap().to_owned()).collect()
}

/// Whether each address gives an image.
async fn shown(world: &World, links: &[String]) {
    for link in links {
        let answer = world.client.get(link).send().await.unwrap();
        assert_eq!(
            (answer.status().as_u16(), &answer.headers()["content-type"]),
            (200, &"image/png".parse().unwrap())
        );
    }
}

#[tokio::test]
async fn files_that_are_chosen_go_with_their_progress_and_come_back_as_links() {
    let (world, browser) = page().await;
    let slow = json!({"offline": false, "latency": 0, "downloadThroughput": -1, "uploadThroughput": 700_000});
    browser.devtools("Network.enable", json!({})).await;
    browser.devtools("Network.emulateNetworkConditions", slow).await;
    browser.run(WATCH, json!([])).await;
    let files = [world.file("large.png", &large_picture()), world.file("small.png", &picture(1))];
    browser.choose("#files", &[&files[0], &files[1]]).await;
    let links = links(&browser, 2).await;
    let told = browser.run("return told", json!([])).await;
    let percents: Vec<u32> = told
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|word| word.as_str().unwrap().strip_suffix('%')?.parse().ok())
        .collect();
    assert!(percents.iter().any(|percent| (1..100).contains(percent)), "{told}");
    shown(&world, &links).await;
    let link = browser.run("return document.querySelector('input[id^=md-]').value", json!([])).await;
    assert!(link.as_str().unwrap().starts_with("!["), "{link}");
    browser.click("button[data-copy^=url-]").await;
    browser.says("button[data-copy^=url-]", "Copied").await;
    let thumbnails = "return [...document.querySelectorAll('#uploaded-list img')].map((e) => e.naturalWidth)";
    crate::common::eventually("the thumbnails are shown", || async {
        let widths = browser.run(thumbnails, json!([])).await;
        widths.as_array().unwrap().iter().all(|width| width.as_u64() > Some(0)).then_some(())
    })
    .await;
    assert_eq!(look::trouble(browser.heard().await, &world), Vec::<String>::new());
}

#[tokio::test]
async fn files_that_are_dropped_anywhere_on_the_page_are_sent() {
    let (world, browser) = page().await;
    let file = world.file("dropped.png", &picture(2));
    let data = json!({"items": [], "files": [file.display().to_string()], "dragOperationsMask": 1});
    // What the system tells a browser when somebody drags a file over it, and lets go.
    let drag = async |kind: &str| {
        let event = json!({"type": kind, "x": 300, "y": 300, "data": data});
        browser.devtools("Input.dispatchDragEvent", event).await;
    };
    drag("dragEnter").await;
    crate::common::eventually("the page offers to take it", || async {
        drag("dragOver").await;
        (browser.all("body.dragging").await.len() == 1).then_some(())
    })
    .await;
    // Once more over what the page has shown now.
    drag("dragOver").await;
    drag("drop").await;
    shown(&world, &links(&browser, 1).await).await;
    browser.says("#uploaded", "dropped.png").await;
    assert_eq!(look::trouble(browser.heard().await, &world), Vec::<String>::new());
}

#[tokio::test]
async fn a_picture_that_is_pasted_is_sent() {
    let (world, browser) = page().await;
    let paste = "const bytes = Uint8Array.from(atob(arguments[0]), (c) => c.charCodeAt(0));
        const data = new DataTransfer();
        data.items.add(new File([bytes], 'pasted.png', { type: 'image/png' }));
        document.body.dispatchEvent(new ClipboardEvent('paste', { clipboardData: data, bubbles: true, cancelable: true }));";
    use base64::Engine as _;
    let bytes = base64::engine::general_purpose::STANDARD.encode(picture(3));
    browser.run(paste, json!([bytes])).await;
    shown(&world, &links(&browser, 1).await).await;
}

#[tokio::test]
async fn what_is_not_taken_is_told_beside_its_name_and_can_be_dismissed() {
    let (world, browser) = page().await;
    let none = world.file("notes.png", b"these are words");
    let huge = world.file("huge.png", &vec![0; 6 << 20]);
    browser.choose("#files", &[&none, &huge]).await;
    browser.says("#sending", "notes.png").await;
    crate::common::eventually("both are refused", || async {
        (browser.all("#sending-list > li.failed").await.len() == 2).then_some(())
    })
    .await;
    let told = browser.text("#sending").await;
    assert!(told.contains("5\u{a0}MiB") || told.contains("5 MiB"), "{told}");
    let said = browser.run("return document.getElementById('sending-status').textContent", json!([])).await;
    assert_ne!(said, Value::from(""), "who does not see it hears it");
    while let Some(_one) = browser.all("#sending-list [data-dismiss]:not([hidden])").await.first() {
        browser.click("#sending-list [data-dismiss]:not([hidden])").await;
    }
    assert!(browser.all("#sending-list > li").await.is_empty());
    assert_eq!(look::violations(&browser).await, Vec::<String>::new());
}

#[tokio::test]
async fn without_scripts_the_form_sends_several_files_and_leads_to_their_links() {
    let (world, browser) = (World::start(), Browser::start().await);
    browser.scripts(false).await;
    browser.open(&world.at("/upload")).await;
    let files = [world.file("one.png", &picture(1)), world.file("two.png", &picture(2))];
    browser.choose("#files", &[&files[0], &files[1]]).await;
    browser.click("#upload button").await;
    browser.one("#uploaded-list > li").await;
    assert!(browser.url().await.contains("/upload?done="), "{}", browser.url().await);
    assert_eq!(browser.all("#uploaded-list > li").await.len(), 2);
    // The link that removes it is among those that are given.
    browser.click("#uploaded-list a[href*='token']").await;
    browser.click("button.danger").await;
    browser.click("button[name=sure]").await;
    browser.open(&world.at("/images/")).await;
    assert_eq!(browser.all(".gallery > li").await.len(), 1);
}
