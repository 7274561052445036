//! What is true of every page, looked at on the page that a browser shows.

use std::path::Path;

use serde_json::{Value, json};

use crate::browser::{Browser, Heard};
use crate::world::World;

/// Finds what people cannot use who see, hear or move otherwise (WCAG 2.2 AA, and what is good practice).
const AXE: &str = "const told = await axe.run(document, { resultTypes: ['violations'], preload: false });
    return told.violations.map((found) => ({
        rule: found.id, why: found.help,
        where: found.nodes.map((node) => `${node.target.join(' ')}: ${node.failureSummary}`).slice(0, 5),
    }));";

/// The widest element that sticks out of the window, if any.
const SIDEWAYS: &str = "const wide = document.documentElement;
    if (wide.scrollWidth <= wide.clientWidth) return null;
    const out = [...document.querySelectorAll('body *')].filter((e) => e.getBoundingClientRect().right > wide.clientWidth + 1);
    return `${wide.scrollWidth} > ${wide.clientWidth}: ` + out.slice(0, 5).map((e) => e.outerHTML.slice(0, 120)).join(' | ');";

fn axe() -> String {
    let folder = std::env::var("GRISTMILL_TEST_TOOLS").unwrap_or_else(|_| {
        panic!("these tests need axe-core: run them with ./test, or under scripts/with-tools")
    });
    std::fs::read_to_string(Path::new(&folder).join("axe.js")).unwrap()
}

/// What axe-core finds wrong, in words.
pub(crate) async fn violations(browser: &Browser) -> Vec<String> {
    thread_local!(static SOURCE: String = axe());
    let there = browser.run("return typeof axe === 'object'", json!([])).await == true;
    if !there {
        let source = SOURCE.with(Clone::clone);
        browser.devtools("Runtime.evaluate", json!({"expression": source})).await;
    }
    let found = browser.wait_for(AXE, json!([])).await;
    found.as_array().unwrap().iter().map(Value::to_string).collect()
}

/// What has to be scrolled to sideways in a window as narrow as a small phone.
pub(crate) async fn sideways(browser: &Browser) -> Option<String> {
    browser.size((360, 740)).await;
    browser.run(SIDEWAYS, json!([])).await.as_str().map(str::to_owned)
}

/// What is wrong with what was heard: complaints of the console, and requests to anybody else.
pub(crate) fn trouble(heard: Heard, world: &World) -> Vec<String> {
    let mut wrong = heard.complaints;
    let others = heard.requests.into_iter().filter(|url| {
        let own = url.strip_prefix(&world.url).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        !own && !url.starts_with("data:") && !url.starts_with("blob:") && !url.starts_with("chrome")
    });
    wrong.extend(others.map(|url| format!("it asked for {url}")));
    wrong
}
