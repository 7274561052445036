//! Every route, asked by each kind of caller: who is let in is what the table of access says.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use gristmill::account::{Access, Caller, Role, UserChange};
use gristmill::http::{RouteInfo, table};
use gristmill::store::{Command, Reply, Store};
use gristmill::task::UserId;
use reqwest::StatusCode;
use reqwest::multipart::{Form, Part};
use serde_json::{Value, json};

use crate::client::Someone;
use crate::harness::{Daemon, Wishes, start};
use crate::wav::{path_of, tone};

/// A daemon with somebody whose things are asked for, somebody else, and somebody who runs it.
struct Town {
    daemon: Daemon,
    owner: Someone,
    stranger: Someone,
    admin: Someone,
    /// Who has a picture and a password.
    pictured: Someone,
    guests: bool,
}

const PASSWORD: &str = "correct horse";

/// One pixel.
const PICTURE: &str =
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGP438AAAAQBAYDFKhhdAAAAAElFTkSuQmCC";

/// A request for a thing that was made for it.
struct Asked {
    path: String,
    body: Body,
    /// Who asks as the owner, where the thing is a user.
    owner: Option<Someone>,
}

enum Body {
    None,
    Json(Value),
    Recording,
    Picture,
}

#[tokio::test]
async fn every_route_lets_in_whom_the_table_of_access_names() {
    let town = Town::new(true).await;
    for route in table() {
        for (name, caller, who) in town.callers() {
            let asked = town.thing(&route, Some(&town.owner)).await;
            let owner = Some(UserId(town.owner.id));
            town.judge(&route, asked, (name, who), expected(&town, route.access, caller, owner)).await;
        }
    }
}

#[tokio::test]
async fn what_nobody_owns_is_that_of_callers_without_an_identity_and_of_admins() {
    let town = Town::new(true).await;
    for route in table().into_iter().filter(has_a_thing) {
        for (name, caller, who) in town.callers() {
            let asked = town.thing(&route, None).await;
            town.judge(&route, asked, (name, who), expected(&town, route.access, caller, None)).await;
        }
    }
}

#[tokio::test]
async fn where_guests_are_not_let_in_the_rest_is_as_ever() {
    let town = Town::new(false).await;
    for route in table() {
        for (name, caller, who) in town.callers() {
            let asked = town.thing(&route, Some(&town.owner)).await;
            let owner = Some(UserId(town.owner.id));
            town.judge(&route, asked, (name, who), expected(&town, route.access, caller, owner)).await;
        }
    }
}

#[tokio::test]
async fn who_runs_the_daemon_sees_the_tasks_of_all_and_hears_of_them() {
    let town = Town::new(true).await;
    let (theirs, nobodys) = (town.task(Some(&town.owner)).await, town.task(None).await);
    let list = town.send("GET", Asked::plain("/tasks"), Some(&town.admin)).await;
    let list: Value = list.json().await.unwrap();
    let seen: Vec<i64> = list.as_array().unwrap().iter().filter_map(|task| task["id"].as_i64()).collect();
    assert_eq!(seen, [theirs, nobodys]);
    for (who, hears) in [(&town.admin, vec![theirs, nobodys]), (&town.owner, vec![theirs])] {
        let mut stream = town.send("GET", Asked::plain("/events?last_event_id=0"), Some(who)).await;
        let mut told = String::new();
        while told.matches("\nevent: created").count() < hears.len() {
            let piece = tokio::time::timeout(std::time::Duration::from_secs(30), stream.chunk()).await;
            told.push_str(std::str::from_utf8(&piece.unwrap().unwrap().unwrap()).unwrap());
        }
        for task in [theirs, nobodys] {
            let about = format!("\"task\":{task},");
            assert_eq!(told.contains(&about), hears.contains(&task), "{told}");
        }
    }
}

/// Whether the route is about a thing that may be nobody's.
fn has_a_thing(route: &RouteInfo) -> bool {
    match route.access {
        Access::Owner | Access::OwnerOrAssignee | Access::Taker | Access::Holder | Access::TokenHolder => {
            // Whose a user is, is no question, and recordings are always somebody's.
            !route.path.starts_with("/users") && !route.path.starts_with("/records")
        }
        Access::Everybody | Access::Guests | Access::Users | Access::LinkHolder | Access::Admins => false,
    }
}

/// What the table says. Who has a thing in hand is who owns it, in these tests.
fn expected(town: &Town, access: Access, caller: Caller, owner: Option<UserId>) -> bool {
    let shut_out = caller == Caller::Anonymous && !town.guests && access.rule().admits;
    !shut_out && access.allows(caller, owner, owner)
}

impl Town {
    async fn new(guests: bool) -> Self {
        let anonymous = if guests { "true" } else { "false" };
        let settings = vec![
            ("auth.anonymous", anonymous),
            // Passwords are not what is tested.
            ("auth.argon2_memory_kib", "8"),
            ("auth.argon2_passes", "1"),
        ];
        let wishes = Wishes { settings, ..Wishes::default() };
        let daemon = start(wishes).await;
        let [owner, stranger, admin] =
            [daemon.someone("Ann").await, daemon.someone("Bob").await, daemon.someone("Eve").await];
        let promotion = Command::ChangeUser {
            user: UserId(admin.id),
            caller: Caller::Admin(None),
            change: UserChange { role: Some(Role::Admin), ..UserChange::default() },
            session: None,
        };
        let promoted = daemon.store.commit(&[promotion]).await.unwrap().replies.remove(0).unwrap();
        assert!(matches!(promoted, Reply::UserChanged(Ok(_))), "{promoted:?}");
        let pictured = json!({"name": "Zoe", "password": PASSWORD, "avatar": PICTURE});
        let pictured = Someone::of(&daemon.post("/users", &pictured.to_string()).await.json(201));
        Self { daemon, owner, stranger, admin, pictured, guests }
    }

    fn callers(&self) -> [(&'static str, Caller, Option<&Someone>); 4] {
        [
            ("nobody", Caller::Anonymous, None),
            ("the stranger", Caller::User(UserId(self.stranger.id)), Some(&self.stranger)),
            ("the admin", Caller::Admin(Some(UserId(self.admin.id))), Some(&self.admin)),
            ("the owner", Caller::User(UserId(self.owner.id)), Some(&self.owner)),
        ]
    }

    /// Makes what the route is about, new for each request, `whose` it is; and says how to ask. A route that is not here
    /// has nobody who looks after it.
    async fn thing(&self, route: &RouteInfo, whose: Option<&Someone>) -> Asked {
        let to = |id: i64| route.path.replace("{id}", &id.to_string());
        let attempt = json!({"attempt": 1});
        match (route.method, route.path) {
            ("POST", "/tasks") => Asked::json(route.path, json!({})),
            ("POST", "/tasks/batch") => Asked::json(route.path, json!([{}])),
            ("GET", "/tasks" | "/total_tasks_created" | "/events") => Asked::plain(route.path),
            ("GET", "/kinds" | "/nodes" | "/admin/live" | "/gc") | ("POST", "/gc") => {
                Asked::plain(route.path)
            }
            ("POST", "/kinds/{kind}/pause" | "/kinds/{kind}/resume") => {
                // A kind of which nothing is asked here.
                Asked::plain(route.path.replace("{kind}", "failing"))
            }
            ("POST", "/tasks/cancel" | "/tasks/retry" | "/tasks/delete") => {
                Asked::plain(format!("{}?kind=failing", route.path))
            }
            ("POST", "/tasks/claim") => Asked::json(route.path, json!({"id": self.task(whose).await})),
            ("GET", "/take_free_task") => {
                self.task(whose).await;
                Asked::plain(route.path)
            }
            ("GET" | "DELETE", "/tasks/{id}") | ("GET", "/tasks/{id}/events") => {
                Asked::plain(to(self.task(whose).await))
            }
            ("POST", "/tasks/{id}/cancel") => Asked::plain(to(self.task(whose).await)),
            ("POST", "/tasks/{id}/retry") => {
                let task = self.task(whose).await;
                self.post(&format!("/tasks/{task}/cancel"), json!({}), whose).await;
                Asked::plain(to(task))
            }
            ("POST", "/tasks/{id}/heartbeat" | "/tasks/{id}/complete" | "/tasks/{id}/release") => {
                Asked::json(to(self.task_in_hand(whose).await), attempt)
            }
            ("POST", "/tasks/{id}/progress") => {
                Asked::json(to(self.task_in_hand(whose).await), json!({"attempt": 1, "percent": 1}))
            }
            ("POST", "/tasks/{id}/fail") => {
                Asked::json(to(self.task_in_hand(whose).await), json!({"attempt": 1, "message": "x"}))
            }
            ("POST", "/users" | "/user") => Asked::json(route.path, json!({"name": "Somebody"})),
            ("GET", "/users") => Asked::plain(route.path),
            ("GET" | "DELETE", "/users/{id}") => self.user(route.path).await,
            ("PATCH", "/users/{id}") => {
                Asked { body: Body::Json(json!({"gender": "x"})), ..self.user(route.path).await }
            }
            ("POST", "/users/{id}/token") => self.user(route.path).await,
            ("GET", "/users/{id}/stats") => self.user(route.path).await,
            ("PUT" | "PATCH", "/users/{id}/stats") => {
                Asked { body: Body::Json(json!({"wins": 1})), ..self.user(route.path).await }
            }
            ("POST", "/users/{id}/report") => self.user(route.path).await,
            ("GET", "/reports/{id}") => Asked::plain(self.report().await),
            ("POST", "/quiz") => Asked::json(route.path, json!({"questions_num": 1})),
            ("GET", "/quiz/questions") => Asked::plain(route.path),
            ("GET", "/users/{id}/avatar") => Asked::plain(to(self.pictured.id)),
            ("POST", "/login") => {
                Asked::json(route.path, json!({"id": self.pictured.id, "password": PASSWORD}))
            }
            ("POST", "/logout") => Asked::plain(route.path),
            ("POST", "/records" | "/music-add") => {
                Asked { body: Body::Recording, ..Asked::plain(route.path) }
            }
            ("GET", "/records") => Asked::plain(route.path),
            ("DELETE", "/records/{id}") => Asked::plain(to_name(route.path, &self.recording().await)),
            ("GET", "/record") => Asked::plain(self.recording().await),
            ("POST", "/upload") => Asked { body: Body::Picture, ..Asked::plain(route.path) },
            ("GET", "/images/" | "/images") => Asked::plain(route.path),
            ("GET" | "DELETE", "/images/{name}") => Asked::plain(self.image(whose).await),
            ("GET", "/tasks/{id}/image") => {
                let task = json!({"kind": "manual", "image": PICTURE});
                Asked::plain(to(self.post("/tasks", task, whose).await["id"].as_i64().unwrap()))
            }
            ("GET", "/health/live" | "/health/ready" | "/metrics" | "/openapi.json") => {
                Asked::plain(route.path)
            }
            (method, path) => panic!("{method} {path}: say here what it is asked for, and how"),
        }
    }

    /// A user, who may be gone afterwards.
    async fn user(&self, pattern: &str) -> Asked {
        let user = self.daemon.someone("Ann").await;
        let path = pattern.replace("{id}", &user.id.to_string());
        Asked { owner: Some(user), ..Asked::plain(path) }
    }

    /// A task that waits for somebody to take it.
    async fn task(&self, whose: Option<&Someone>) -> i64 {
        self.post("/tasks", json!({"kind": "manual"}), whose).await["id"].as_i64().unwrap()
    }

    async fn task_in_hand(&self, whose: Option<&Someone>) -> i64 {
        let task = self.task(whose).await;
        self.post("/tasks/claim", json!({"id": task}), whose).await;
        task
    }

    /// The path of an image.
    async fn image(&self, whose: Option<&Someone>) -> String {
        let asked = Asked { body: Body::Picture, ..Asked::plain("/upload") };
        let made: Value = self.send("POST", asked, whose).await.json().await.unwrap();
        path_of(made["url"].as_str().unwrap_or_else(|| panic!("{made}")))
    }

    /// The link of a report.
    async fn report(&self) -> String {
        let order = Asked::plain(format!("/users/{}/report", self.pictured.id));
        let made: Value = self.send("POST", order, Some(&self.pictured)).await.json().await.unwrap();
        made["url"].as_str().unwrap_or_else(|| panic!("{made}")).to_owned()
    }

    /// The link of a recording.
    async fn recording(&self) -> String {
        let asked = Asked { body: Body::Recording, ..Asked::plain("/records") };
        let made: Value = self.send("POST", asked, Some(&self.owner)).await.json().await.unwrap();
        path_of(made["url"].as_str().unwrap())
    }

    async fn post(&self, path: &str, body: Value, who: Option<&Someone>) -> Value {
        let answer = self.send("POST", Asked::json(path, body), who).await;
        assert!(answer.status().is_success(), "{path}: {}", answer.status());
        answer.json().await.unwrap()
    }

    async fn send(&self, method: &str, asked: Asked, who: Option<&Someone>) -> reqwest::Response {
        let mut request = self.daemon.client.request(method.parse().unwrap(), self.daemon.url(&asked.path));
        if let Some(who) = who {
            request = request.bearer_auth(&who.token);
        }
        let request = match asked.body {
            Body::None => request,
            Body::Json(body) => request.json(&body),
            Body::Picture => {
                let bytes = STANDARD.decode(PICTURE).unwrap();
                request.header("content-type", "image/png").body(bytes)
            }
            Body::Recording => {
                let wav = Part::bytes(tone(1)).file_name("talk.wav");
                request.multipart(Form::new().part("file", wav))
            }
        };
        request.send().await.unwrap()
    }

    /// Asks, and compares. A stream is let go once its first line tells how it was answered.
    async fn judge(
        &self,
        route: &RouteInfo,
        asked: Asked,
        (name, who): (&str, Option<&Someone>),
        allowed: bool,
    ) {
        let path = asked.path.clone();
        let owner = asked.owner.clone();
        let who = owner.as_ref().filter(|_| name == "the owner").or(who);
        let answer = self.send(route.method, asked, who).await;
        let status = answer.status();
        let told = if status.is_success() { String::new() } else { answer.text().await.unwrap() };
        let line = format!("{} {path} by {name} ({:?}): {status} {told}", route.method, route.access);
        let kept_out = match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::NOT_FOUND => true,
            // Whose it is may be seen, and who has it in hand is another.
            StatusCode::CONFLICT => told.contains("\"not_held\""),
            _ => false,
        };
        assert!(if allowed { status.is_success() } else { kept_out }, "{line}");
        let known = who.is_some();
        assert!(!(known && status == StatusCode::UNAUTHORIZED), "{line}");
    }
}

/// The pattern with the recording's id, which its link tells.
fn to_name(pattern: &str, link: &str) -> String {
    let id = link.split(['=', '&']).nth(1).unwrap();
    pattern.replace("{id}", id)
}

impl Asked {
    fn plain(path: impl Into<String>) -> Self {
        Self { path: path.into(), body: Body::None, owner: None }
    }

    fn json(path: impl Into<String>, body: Value) -> Self {
        Self { path: path.into(), body: Body::Json(body), owner: None }
    }
}
