//! The table of pages, with something to see on each: what the general rules and the pictures go through.

use serde_json::json;

use crate::browser::Browser;
use crate::world::{Someone, World};

/// What the pages of the table are called.
pub(crate) const NAMES: &[&str] = &[
    "home",
    "upload",
    "image",
    "quiz",
    "login",
    "sign-up",
    "user",
    "task-of-nobody",
    "api",
    "not-found",
    "gallery",
    "records",
    "record",
    "record-waiting",
    "profile",
    "tasks",
    "task-failed",
    "report-waiting",
    "admin",
    "admin-kinds",
    "admin-nodes",
    "admin-tasks",
    "admin-users",
    "admin-images",
    "admin-recordings",
    "admin-questions",
    "admin-reports",
    "admin-dead",
    "admin-storage",
];

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
    pub(crate) status: u16,
}

/// How the things on the pages are called.
pub(crate) struct Names {
    user: String,
    pictures: Vec<String>,
    recording: String,
    tag: String,
}

impl Names {
    /// As people call things.
    pub(crate) fn usual() -> Self {
        let pictures = ["sunset.png", "Ночь на реке.png", "cat.png", "draft 2 (final).png", "map.png"];
        Self {
            user: "Ann Hathaway".to_owned(),
            pictures: pictures.map(str::to_owned).to_vec(),
            recording: "Interview, part 1.wav".to_owned(),
            tag: "nightly".to_owned(),
        }
    }

    /// As those call things who want to break a page: markup, words without an end, other directions.
    pub(crate) fn hostile() -> Self {
        let markup = "<img src=x onerror=hacked=1>\"'</bdi></title><script>hacked=1</script>";
        let long = "W".repeat(140);
        Self {
            user: format!("<b>{}</b><script>hacked=1</script>", "Ы".repeat(60)),
            pictures: vec![format!("{markup}.png"), format!("{long}.png"), format!("مرحبا{long}.png")],
            recording: format!("{markup}{long}.wav"),
            tag: "<b>".to_owned() + &"w".repeat(36),
        }
    }
}

/// A daemon in which there is something to see on every page, and the pages.
pub(crate) struct Sights {
    pub(crate) world: World,
    pub(crate) user: Someone,
    pub(crate) admin: Someone,
    pub(crate) pages: Vec<Page>,
}

impl Sights {
    pub(crate) async fn prepare(names: &Names) -> Self {
        let mut world = World::start_with(&[("GRISTMILL__KINDS__OUTSIDE", "resize")]);
        let user = world.someone(&names.user).await;
        let admin = world.admin("Oscar").await;
        let mut shown = String::new();
        for (seed, name) in (0..).zip(&names.pictures) {
            world.image(name, seed, Some(&user)).await;
            shown = world.image(name, seed + 100, None).await["filename"].as_str().unwrap().to_owned();
        }
        let avatar = json!({"avatar": base64(&crate::world::picture(7)), "gender": names.tag});
        world.send("PATCH", &format!("/users/{}", user.id), &avatar, Some(&user)).await;
        let counters = json!({"sessions": 12, "wins": 7, "losses": 5, "time_played_s": 5400});
        world.send("PUT", &format!("/users/{}/stats", user.id), &counters, Some(&user)).await;
        let recording = world.recording(&names.recording, &user, "wait=30").await;
        world.post("/quiz", &json!({"questions_num": 12}), None).await;
        for _ in 0..3 {
            world.post("/tasks", &json!({"tags": [names.tag]}), Some(&user)).await;
        }
        let payload = json!({"kind": "resize", "payload": {"note": names.pictures[0]}, "tags": [names.tag]});
        let failed = world.post("/tasks", &payload, Some(&user)).await["id"].clone();
        let held = world.post("/tasks/claim", &json!({"id": failed, "worker": "w1"}), Some(&user)).await;
        let story = json!({"attempt": held["attempt"], "message": names.pictures[0], "retry": false});
        world.post(&format!("/tasks/{failed}/fail"), &story, Some(&user)).await;
        let done = world.post("/tasks", &json!({}), None).await["id"].clone();
        // What waits, so that there is a page of waiting.
        world.idle();
        let report = world.post(&format!("/users/{}/report", user.id), &json!({}), Some(&user)).await;
        let waiting = world.recording("waiting.wav", &user, "respond-async").await;
        world.post("/tasks", &json!({"tags": [names.tag]}), Some(&user)).await;
        let page = |name, viewer, path: &str| Page { name, viewer, path: path.to_owned(), status: 200 };
        use Viewer::{Admin, Nobody, User};
        let pages = vec![
            page("home", Nobody, "/"),
            page("upload", Nobody, "/upload"),
            page("image", Nobody, &format!("/images/{shown}/page")),
            page("quiz", Nobody, "/quiz"),
            page("login", Nobody, "/login"),
            page("sign-up", Nobody, "/sign-up"),
            page("user", Nobody, &format!("/users/{}", user.id)),
            page("task-of-nobody", Nobody, &format!("/tasks/{done}")),
            page("api", Nobody, "/swagger-ui"),
            Page { status: 404, ..page("not-found", Nobody, "/no/such/page") },
            page("gallery", User, "/images/"),
            page("records", User, "/records"),
            page("record", User, &format!("/records/{}", recording["id"].as_str().unwrap())),
            page("record-waiting", User, &format!("/records/{}", waiting["id"].as_str().unwrap())),
            page("profile", User, "/profile"),
            page("tasks", User, "/tasks"),
            page("task-failed", User, &format!("/tasks/{failed}")),
            Page { status: 202, ..page("report-waiting", User, report["url"].as_str().unwrap()) },
            page("admin", Admin, "/admin"),
            page("admin-kinds", Admin, "/admin/kinds"),
            page("admin-nodes", Admin, "/admin/nodes"),
            page("admin-tasks", Admin, "/admin/tasks"),
            page("admin-users", Admin, "/admin/users"),
            page("admin-images", Admin, "/admin/images"),
            page("admin-recordings", Admin, "/admin/recordings"),
            page("admin-questions", Admin, "/admin/questions"),
            page("admin-reports", Admin, "/admin/reports"),
            page("admin-dead", Admin, "/admin/dead"),
            page("admin-storage", Admin, "/admin/storage"),
        ];
        let names: Vec<&str> = pages.iter().map(|page| page.name).collect();
        assert_eq!(names, NAMES);
        Self { world, user, admin, pages }
    }

    /// Makes the browser somebody's.
    pub(crate) async fn become_one(&self, browser: &Browser, viewer: Viewer) {
        browser.open(&self.world.at("/health/live")).await;
        browser.forget().await;
        match viewer {
            Viewer::Nobody => {}
            Viewer::User => self.world.let_in(browser, &self.user).await,
            Viewer::Admin => self.world.let_in(browser, &self.admin).await,
        }
    }

    /// The pages of one viewer.
    pub(crate) fn of(&self, viewer: Viewer) -> impl Iterator<Item = &Page> {
        self.pages.iter().filter(move |page| page.viewer == viewer)
    }
}

fn base64(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}
