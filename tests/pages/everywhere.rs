//! What is true of every page: one table of pages, and all general rules tried on each.

use serde_json::json;

use crate::browser::{Browser, DESKTOP};
use crate::look;
use crate::world::{Someone, World};

/// Who looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Viewer {
    Nobody,
    User,
    Admin,
}

/// A page, and who looks at it.
pub(crate) struct Page {
    /// What its picture is called.
    pub(crate) name: &'static str,
    pub(crate) viewer: Viewer,
    pub(crate) path: String,
    /// What its heading is, in English; nothing where it is somebody's name.
    pub(crate) status: u16,
}

/// A daemon in which there is something to see on every page.
pub(crate) struct Sights {
    pub(crate) world: World,
    pub(crate) user: Someone,
    pub(crate) admin: Someone,
    pub(crate) pages: Vec<Page>,
}

impl Sights {
    pub(crate) async fn prepare() -> Self {
        let world = World::start();
        let user = world.someone("Ann Hathaway").await;
        let admin = world.admin("Oscar").await;
        let page = |name, viewer, path: &str| Page { name, viewer, path: path.to_owned(), status: 200 };
        let pages = vec![
            page("home", Viewer::Nobody, "/"),
            page("api", Viewer::Nobody, "/swagger-ui"),
            Page { status: 404, ..page("not-found", Viewer::Nobody, "/no/such/page") },
        ];
        Self { world, user, admin, pages }
    }
}

#[tokio::test]
async fn every_page_is_for_everybody_in_either_colours_and_language() {
    let sights = Sights::prepare().await;
    let browser = Browser::start().await;
    let mut wrong = Vec::new();
    for page in &sights.pages {
        for (language, dark) in [("en", false), ("en", true), ("ru", false), ("ru", true)] {
            browser.size(DESKTOP).await;
            browser.language(language).await;
            browser.colours(dark).await;
            browser.open(&sights.world.at(&page.path)).await;
            let found = look::violations(&browser).await;
            wrong.extend(
                found.into_iter().map(|found| format!("{} {language} dark={dark}: {found}", page.name)),
            );
            let sideways = look::sideways(&browser).await;
            wrong.extend(sideways.map(|found| format!("{} {language}: {found}", page.name)));
            let spoken = browser.run("return document.documentElement.lang", json!([])).await;
            assert_eq!(spoken, language, "{}", page.name);
            let trouble = look::trouble(browser.heard().await, &sights.world);
            wrong.extend(trouble.into_iter().map(|found| format!("{}: {found}", page.name)));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
