//! Signing up, logging in and out, the profile, the report about oneself: with and without scripts, and by keyboard alone.

use serde_json::json;

use crate::browser::{Browser, ENTER, TAB};
use crate::common::eventually;
use crate::look;
use crate::world::{PASSWORD, World, picture};

#[tokio::test]
async fn somebody_signs_up_logs_out_and_in_again_with_and_without_scripts() {
    for scripts in [true, false] {
        let (world, browser) = (World::start(), Browser::start().await);
        browser.scripts(scripts).await;
        browser.open(&world.at("/records")).await;
        assert!(browser.url().await.ends_with("/login?next=%2Frecords"), "{}", browser.url().await);
        browser.click("main a[href^='/sign-up']").await;
        browser.type_into("#name", "Ann").await;
        browser.type_into("#password", PASSWORD).await;
        browser.click("main form button").await;
        browser.one("#token").await;
        assert!(browser.text(".who").await.contains("Ann"));
        browser.click("form[action='/logout'] button").await;
        browser.one("a[href='/login']").await;

        browser.open(&world.at("/records")).await;
        browser.type_into("#who", "Ann").await;
        browser.type_into("#password", "no horse of mine").await;
        browser.click("main form button").await;
        browser.one("[role=alert]").await;
        browser.type_into("#password", PASSWORD).await;
        browser.click("main form button").await;
        browser.arrives("/records").await;
        let heard = look::trouble(browser.heard().await, &world);
        let expected = heard.iter().all(|said| said.contains("status of 401"));
        assert!(expected, "{heard:?}");
    }
}

#[tokio::test]
async fn a_profile_is_changed_and_has_a_picture() {
    let (world, browser) = (World::start(), Browser::start().await);
    let ann = world.someone("Ann").await;
    world.let_in(&browser, &ann).await;
    browser.open(&world.at("/profile")).await;
    browser.fill("#name", "Anna").await;
    browser.click("form[action='/profile'] button").await;
    browser.says("[role=status]", "").await;
    browser.choose("form[action='/profile/avatar'] input", &[&world.file("me.png", &picture(4))]).await;
    browser.click("form[action='/profile/avatar'] button").await;
    browser.one("img.avatar").await;
    let me = world.get(&format!("/users/{}", ann.id), Some(&ann)).await;
    assert_eq!((&me["name"], me["avatar_url"].is_string()), (&json!("Anna"), true), "{me}");
}

#[tokio::test]
async fn a_report_is_ordered_shows_that_it_is_made_and_becomes_the_pdf() {
    let (mut world, browser) = (World::start(), Browser::start().await);
    let ann = world.someone("Ann").await;
    world.idle();
    world.let_in(&browser, &ann).await;
    browser.open(&world.at("/profile")).await;
    browser.click("form[action='/profile/report'] button").await;
    browser.one("progress").await;
    let link = browser.run("return document.getElementById('link').value", json!([])).await;
    let link = link.as_str().unwrap().to_owned();
    assert_eq!(link, browser.url().await);
    browser.run("window.stayed = true", json!([])).await;
    assert_eq!(look::trouble(browser.heard().await, &world), Vec::<String>::new());
    // Now somebody makes it; the page hears of it and becomes what it waited for.
    world.work();
    let made = eventually("the report is made", || async {
        let answer = world.client.get(&link).header("accept", "text/html").send().await.unwrap();
        (answer.headers()["content-type"] == "application/pdf").then_some(())
    });
    made.await;
    eventually("the page went over to the PDF", || async {
        (browser.run("return typeof stayed", json!([])).await == "undefined").then_some(())
    })
    .await;
}

/// What has the focus: its tag and name, and whether that is seen.
const FOCUS: &str = "const e = document.activeElement, style = getComputedStyle(e);
    return { what: `${e.tagName} ${e.id || e.getAttribute('href') || e.textContent.trim()}`,
             seen: style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2 };";

/// Goes on by the tabulator until the focus is on what is wanted; everything on the way must show that it has it.
async fn tab_to(browser: &Browser, what: &str) -> Vec<String> {
    let mut way = Vec::new();
    for _ in 0..40 {
        browser.press(TAB).await;
        let focus = browser.run(FOCUS, json!([])).await;
        let name = focus["what"].as_str().unwrap().to_owned();
        assert_eq!(focus["seen"], true, "nobody sees that {name} has the focus");
        way.push(name.clone());
        if name == what {
            return way;
        }
    }
    panic!("the tabulator does not lead to {what}: {way:?}");
}

#[tokio::test]
async fn with_the_keyboard_alone_somebody_logs_in_and_gets_to_the_files() {
    let (world, browser) = (World::start(), Browser::start().await);
    world.someone("Ann").await;
    browser.open(&world.at("/login?next=/upload")).await;
    let way = tab_to(&browser, "A #content").await;
    assert_eq!(way.len(), 1, "the first stop leads past the navigation: {way:?}");
    browser.press(ENTER).await;
    let way = tab_to(&browser, "INPUT who").await;
    assert_eq!(way.len(), 1, "{way:?}");
    for key in ["A", "n", "n"] {
        browser.press(key).await;
    }
    tab_to(&browser, "INPUT password").await;
    for key in PASSWORD.chars() {
        browser.press(&key.to_string()).await;
    }
    browser.press(ENTER).await;
    browser.arrives("/upload").await;
    tab_to(&browser, "INPUT files").await;
    browser.choose("#files", &[&world.file("a.png", &picture(1))]).await;
    browser.one("#uploaded-list > li").await;
    let way = tab_to(&browser, "A /swagger-ui").await;
    assert!(way.iter().any(|stop| stop.starts_with("BUTTON Copy")), "{way:?}");
}

#[tokio::test]
async fn language_and_colours_are_switched_and_stay() {
    for scripts in [true, false] {
        let (world, browser) = (World::start(), Browser::start().await);
        browser.scripts(scripts).await;
        browser.open(&world.at("/quiz")).await;
        browser.click("button[name=language][value=ru]").await;
        browser.one("html[lang=ru]").await;
        assert!(browser.url().await.ends_with("/quiz"));
        browser.click("button[name=theme][value=dark]").await;
        browser.one("html[lang=ru][data-theme=dark]").await;
        browser.open(&world.at("/")).await;
        browser.one("html[lang=ru][data-theme=dark]").await;
    }
}
