//! What is true of every page: all general rules, tried on each page of the table.

use gristmill::broker::{Broker, Publish};
use gristmill::clock::Clock;
use gristmill::telemetry::Health;
use serde_json::json;

use crate::browser::{Browser, DESKTOP};
use crate::common::{eventually, rabbit};
use crate::look;
use crate::sights::{Names, Page, Sights, Viewer};
use crate::world::{World, picture};

/// Opens a page as a viewer who looks from there would see it.
async fn open(browser: &Browser, sights: &Sights, page: &Page) {
    browser.open(&sights.world.at(&page.path)).await;
    if page.name == "api" {
        browser.one(".opblock-tag").await;
    }
}

/// What is wrong with the pages of a viewer.
async fn wrong_for(viewer: Viewer, names: &Names) -> Vec<String> {
    let sights = Sights::prepare(names).await;
    let browser = Browser::start().await;
    sights.become_one(&browser, viewer).await;
    let mut wrong = Vec::new();
    for (language, dark) in [("en", false), ("ru", true), ("en", true), ("ru", false)] {
        browser.language(language).await;
        browser.colours(dark).await;
        for page in sights.of(viewer) {
            let name = format!("{} in {language}, dark: {dark}", page.name);
            browser.size(DESKTOP).await;
            open(&browser, &sights, page).await;
            let told = "const [entry] = performance.getEntriesByType('navigation');
                return [document.documentElement.lang, entry.responseStatus, document.title,
                        document.querySelectorAll('h1:not([hidden])').length, typeof hacked]";
            let told = browser.run(told, json!([])).await;
            assert_eq!((&told[0], &told[1]), (&json!(language), &json!(page.status)), "{name}: {told}");
            assert!(told[2].as_str().is_some_and(|title| title.ends_with(" · Gristmill")), "{name}: {told}");
            assert_eq!(told[4], "undefined", "{name}: somebody's name was run as a script");
            let mut found = look::violations(&browser).await;
            found.extend(look::sideways(&browser).await);
            let refused = format!("{} - Failed to load resource", sights.world.at(&page.path));
            let trouble = look::trouble(browser.heard().await, &sights.world).into_iter();
            found.extend(trouble.filter(|said| page.status < 300 || !said.starts_with(&refused)));
            wrong.extend(found.into_iter().map(|found| format!("{name}: {found}")));
        }
    }
    wrong
}

#[tokio::test]
async fn pages_for_nobody_are_for_everybody_in_either_colours_and_language() {
    let wrong = wrong_for(Viewer::Nobody, &Names::hostile()).await;
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn pages_for_users_are_for_everybody_in_either_colours_and_language() {
    let wrong = wrong_for(Viewer::User, &Names::hostile()).await;
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn pages_for_admins_are_for_everybody_in_either_colours_and_language() {
    let wrong = wrong_for(Viewer::Admin, &Names::hostile()).await;
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn every_page_says_what_it_has_to_say_without_scripts() {
    let sights = Sights::prepare(&Names::usual()).await;
    let browser = Browser::start().await;
    browser.scripts(false).await;
    for viewer in [Viewer::Nobody, Viewer::User, Viewer::Admin] {
        sights.become_one(&browser, viewer).await;
        for page in sights.of(viewer) {
            browser.open(&sights.world.at(&page.path)).await;
            assert!(!browser.text("main h1").await.is_empty(), "{}", page.name);
            let text = browser.text("main").await;
            assert!(text.len() > 60, "{}: {text}", page.name);
        }
    }
}

/// Nothing is wrong with what is shown now, in either colours, nor has it to be scrolled to sideways.
async fn is_sound(browser: &Browser, what: &str) {
    for dark in [false, true] {
        browser.colours(dark).await;
        let mut wrong = look::violations(browser).await;
        wrong.extend(look::sideways(browser).await);
        browser.size(DESKTOP).await;
        assert!(wrong.is_empty(), "{what}, dark: {dark}: {}", wrong.join("\n"));
    }
}

#[tokio::test]
async fn what_a_form_is_answered_with_is_for_everybody_too() {
    for language in ["en", "ru"] {
        let sights = Sights::prepare(&Names::hostile()).await;
        let (browser, world) = (Browser::start().await, &sights.world);
        browser.size(DESKTOP).await;
        browser.language(language).await;
        browser.open(&world.at("/login")).await;
        browser.type_into("#who", "<nobody>").await;
        browser.type_into("#password", "no horse of mine").await;
        browser.click("main form button").await;
        browser.one("[role=alert]").await;
        is_sound(&browser, "a login that was refused").await;
        browser.open(&world.at("/sign-up")).await;
        browser.type_into("#name", "Eve").await;
        browser.type_into("#password", "a horse of mine").await;
        browser.click("main form button").await;
        browser.one("#token").await;
        is_sound(&browser, "a token that is shown once").await;

        sights.become_one(&browser, Viewer::User).await;
        let failed = sights.of(Viewer::User).find(|page| page.name == "task-failed").unwrap();
        browser.open(&world.at(&failed.path)).await;
        browser.click("main form[action$='/delete'] button").await;
        browser.one("button[name=sure]").await;
        is_sound(&browser, "whether a task is to go").await;

        sights.become_one(&browser, Viewer::Admin).await;
        browser.open(&world.at("/admin/tasks")).await;
        browser.click("button[name=all][value=cancel]").await;
        browser.one("main form button[name=confirmed]").await;
        is_sound(&browser, "whether all tasks are to be cancelled").await;
    }
}

#[tokio::test]
async fn an_upload_that_is_refused_is_told_for_everybody() {
    for language in ["en", "ru"] {
        let (world, browser) = (World::start(), Browser::start().await);
        browser.size(DESKTOP).await;
        browser.language(language).await;
        // With scripts the files would go one by one.
        browser.scripts(false).await;
        browser.open(&world.at("/upload")).await;
        let files = [world.file("no picture.png", b"no picture"), world.file("one.png", &picture(1))];
        browser.choose("#files", &[&files[0], &files[1]]).await;
        browser.click("#upload button").await;
        browser.says("main", "no picture.png").await;
        browser.one("[role=alert]").await;
        browser.scripts(true).await;
        is_sound(&browser, "an upload that was refused").await;
    }
}

#[tokio::test]
async fn how_far_many_steps_are_is_told_for_everybody() {
    let (world, browser) = (World::start(), Browser::start().await);
    let admin = world.admin("Oscar").await;
    // More than one step does.
    let many = json!(vec![json!({"kind": "manual"}); 6_000]);
    world.post("/tasks/batch", &many, Some(&admin)).await;
    world.post("/tasks/batch", &many, Some(&admin)).await;
    world.let_in(&browser, &admin).await;
    browser.size(DESKTOP).await;
    browser.open(&world.at("/admin/tasks?kind=manual")).await;
    browser.click("button[name=all][value=cancel]").await;
    browser.one("main form button[name=confirmed]").await;
    // With scripts the page goes on by itself.
    browser.scripts(false).await;
    browser.click("main form button[name=confirmed]").await;
    browser.one("main progress[value='10000']").await;
    browser.scripts(true).await;
    is_sound(&browser, "how far many steps are").await;
}

#[tokio::test]
async fn a_dead_letter_is_told_for_everybody() {
    let queue = format!("test.seen.{}", std::process::id());
    let url = rabbit::shared();
    let world = World::start_with(&[("GRISTMILL__BROKER__URL", &url), ("GRISTMILL__BROKER__QUEUE", &queue)]);
    let browser = Browser::start().await;
    let broker =
        Broker::start(&rabbit::settings(&url, &[]), Health::new(), Clock::system()).unwrap().unwrap();
    eventually("the daemon has declared its queue", || async {
        let letter = Publish::to_queue(&queue, "{\"kind\": \"<b>no such kind</b>\"".to_owned());
        broker.publish_one(letter.message_id("m1")).await.ok()
    })
    .await;
    world.let_in(&browser, &world.admin("Oscar").await).await;
    browser.size(DESKTOP).await;
    for language in ["en", "ru"] {
        browser.language(language).await;
        eventually("the message is dead", || async {
            browser.open(&world.at("/admin/dead")).await;
            browser.all("main table a[href^='/admin/dead/']").await.into_iter().next()
        })
        .await;
        is_sound(&browser, "dead letters").await;
        browser.click("main table a[href^='/admin/dead/']").await;
        browser.says("main", "no such kind").await;
        is_sound(&browser, "a dead letter").await;
    }
}
