//! What is true of every page: all general rules, tried on each page of the table.

use serde_json::json;

use crate::browser::{Browser, DESKTOP};
use crate::look;
use crate::sights::{Names, Page, Sights, Viewer};

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
