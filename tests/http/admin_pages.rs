//! The pages of those who run the daemon: for whom they are, what they show, what their forms do.

use std::collections::BTreeSet;

use gristmill::account::Token;
use gristmill::http::{Code, Operator};
use gristmill::media::image::Format;
use gristmill::store::Overview;
use serde_json::{Value, json};

use crate::client::Answer;
use crate::harness::{Daemon, Wishes, start};
use crate::pages::{look, page, problem_page, send};
use crate::store::Fault;

/// Every page, and words that its heading has in each language.
const PAGES: [(&str, &str, &str); 11] = [
    ("/admin", "Overview", "Обзор"),
    ("/admin/tasks", "Tasks", "Задачи"),
    ("/admin/kinds", "Kinds", "Виды"),
    ("/admin/nodes", "Nodes", "Узлы"),
    ("/admin/users", "Users", "Пользователи"),
    ("/admin/images", "Images", "Изображения"),
    ("/admin/recordings", "Recordings", "Записи"),
    ("/admin/questions", "Questions", "Вопросы"),
    ("/admin/reports", "Reports", "Отчёты"),
    ("/admin/dead", "Dead letters", "Недоставленные"),
    ("/admin/storage", "Storage", "Хранилище"),
];

/// Every form, with fields that mean something.
const FORMS: [(&str, &[(&str, &str)]); 7] = [
    ("/admin/tasks/act", &[("act", "retry"), ("id", "1")]),
    ("/admin/users/1/role", &[("role", "admin")]),
    ("/admin/users/1/token", &[("confirmed", "yes")]),
    ("/admin/users/1/delete", &[("confirmed", "yes")]),
    ("/admin/dead/act", &[("act", "purge_all"), ("confirmed", "yes")]),
    ("/admin/kinds/noop/pause", &[]),
    ("/admin/kinds/noop/resume", &[]),
];

const PASSWORD: &str = "correct horse";

/// Nobody works but when told to.
async fn idle() -> (Daemon, String) {
    with(Wishes { idle: true, ..Wishes::default() }).await
}

/// A daemon, and the cookie of an admin.
pub(crate) async fn with(wishes: Wishes) -> (Daemon, String) {
    let daemon = start(wishes).await;
    let cookie = member(&daemon, "Root").await.1;
    daemon.promote(1).await;
    (daemon, cookie)
}

/// A user, by number and cookie.
async fn member(daemon: &Daemon, name: &str) -> (i64, String) {
    let body = json!({ "name": name, "password": PASSWORD }).to_string();
    let id = daemon.post("/users", &body).await.json(201)["id"].as_i64().unwrap();
    let cookie = daemon.log_in(&json!({ "id": id, "password": PASSWORD })).await;
    (id, cookie)
}

pub(crate) async fn seen(daemon: &Daemon, cookie: &str, path: &str) -> String {
    page(&look(daemon, path, &[("cookie", cookie)]).await, 200)
}

async fn create(daemon: &Daemon, body: Value) -> i64 {
    daemon.post("/tasks", &body.to_string()).await.json(201)["id"].as_i64().unwrap()
}

async fn status(daemon: &Daemon, cookie: &str, task: i64) -> String {
    let task = daemon.with_cookie(cookie, "GET", &format!("/tasks/{task}"), Value::Null).await;
    if task.status == 404 { "gone".to_owned() } else { task.json(200)["status"].as_str().unwrap().to_owned() }
}

/// The numbers of the tasks that a list shows.
fn listed(text: &str) -> Vec<i64> {
    let boxes = text.split("name=\"id\" value=\"").skip(1);
    boxes.map(|rest| rest.split('"').next().unwrap().parse().unwrap()).collect()
}

/// The fields of the only form that a page of a question, or of a step, has besides those of the frame.
pub(crate) fn fields(text: &str) -> Vec<(String, String)> {
    let form =
        text.split("<form method=\"post\" action=\"/admin").nth(1).unwrap().split("</form>").next().unwrap();
    let inputs = form.split("<input type=\"hidden\" name=\"").skip(1);
    let attribute = |text: &str| text.split('"').next().unwrap().to_owned();
    inputs
        .map(|rest| (attribute(rest), attribute(rest.split("value=\"").nth(1).unwrap())))
        .map(|(name, value)| (name, html_escape::decode_html_entities(&value).into_owned()))
        .collect()
}

/// Says yes to a question.
pub(crate) async fn confirm(daemon: &Daemon, cookie: &str, path: &str, asked: &Answer) -> Answer {
    let text = page(asked, 200);
    let mut fields = fields(&text);
    fields.push(("confirmed".into(), "yes".into()));
    let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (&**name, &**value)).collect();
    send(daemon, path, cookie, &fields).await
}

#[track_caller]
pub(crate) fn leads_to(answer: &Answer, place: &str) {
    assert_eq!((answer.status, answer.header("location")), (303, place), "{}", answer.text());
}

#[tokio::test]
async fn every_page_and_form_is_for_admins_alone() {
    let (daemon, admin) = idle().await;
    let (_, user) = member(&daemon, "Ann").await;
    for (path, _, _) in PAGES {
        let nobody = look(&daemon, path, &[]).await;
        let next = path.replace('/', "%2F");
        leads_to(&nobody, &format!("/login?next={next}"));
        problem_page(&look(&daemon, path, &[("cookie", &user)]).await, Code::Forbidden);
        seen(&daemon, &admin, path).await;
        daemon.store.set(Fault::Unavailable);
        problem_page(&look(&daemon, path, &[("cookie", &admin)]).await, Code::DatabaseUnavailable);
        daemon.store.set(Fault::None);
    }
    for (path, form) in FORMS {
        problem_page(&send(&daemon, path, "", form).await, Code::Unauthenticated);
        problem_page(&send(&daemon, path, &user, form).await, Code::Forbidden);
    }
    // Users see no way there, admins do.
    assert!(!seen(&daemon, &user, "/").await.contains("href=\"/admin\""));
    assert!(seen(&daemon, &admin, "/").await.contains("href=\"/admin\""));
}

#[tokio::test]
async fn forms_that_another_site_has_sent_do_nothing() {
    let (daemon, admin) = idle().await;
    let task = create(&daemon, json!({})).await;
    for (path, form) in FORMS {
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let answer = daemon
            .ask("POST", path, |request| {
                let request = request.header("accept", crate::pages::HTML).header("cookie", &admin);
                let request = request.header("origin", "https://evil.example");
                request.header("content-type", "application/x-www-form-urlencoded").body(body)
            })
            .await;
        problem_page(&answer, Code::CrossOrigin);
    }
    assert_eq!(status(&daemon, &admin, task).await, "New");
}

#[tokio::test]
async fn every_page_speaks_both_languages_and_stands_with_nothing_on_it() {
    let (daemon, admin) = idle().await;
    for (path, en, ru) in PAGES {
        let english = seen(&daemon, &admin, path).await;
        assert!(english.contains(&format!("<h1>{en}</h1>")), "{path}: {english}");
        let russian = look(&daemon, path, &[("cookie", &format!("{admin}; language=ru"))]).await;
        let russian = page(&russian, 200);
        assert!(
            russian.contains("<html lang=\"ru\">") && russian.contains(&format!("<h1>{ru}</h1>")),
            "{russian}"
        );
        // The tab is marked, and each page leads to each other.
        assert!(english.contains(&format!("<a href=\"{path}\" aria-current=\"page\">{en}</a>")), "{english}");
        for (other, _, _) in PAGES {
            assert!(english.contains(&format!("<a href=\"{other}\"")), "{path}: {other}");
        }
        problem_page(
            &look(&daemon, &format!("{path}?what=this"), &[("cookie", &admin)]).await,
            Code::InvalidParameter,
        );
    }
}

#[tokio::test]
async fn what_users_wrote_is_text_on_every_page() {
    let (daemon, admin) = with(Wishes::default()).await;
    let evil = "<script>alert('1')</script>\"><img src=x>";
    let user = daemon.post("/users", &json!({ "name": evil }).to_string()).await.json(201);
    let failing = json!({ "kind": "failing", "payload": { "because": evil }, "tags": [evil] });
    let task = create(&daemon, failing).await;
    daemon.until(task, "Failed").await;
    daemon.plant(Format::Png, evil, b"no picture".to_vec()).await;
    let query = url::form_urlencoded::Serializer::new(String::new()).append_pair("q", evil).finish();
    let mut found = 0;
    for path in [
        "/admin".to_owned(),
        "/admin/tasks".to_owned(),
        "/admin/users".to_owned(),
        "/admin/images".to_owned(),
        format!("/admin/users?{query}"),
        format!("/admin/tasks?{query}"),
        format!("/admin/questions?{query}"),
    ] {
        let text = seen(&daemon, &admin, &path).await;
        assert!(!text.contains("<script>alert") && !text.contains("<img src=x"), "{path}: {text}");
        found += usize::from(text.contains("&#60;script&#62;"));
    }
    assert!(found >= 6, "it is there, as text: {found}");
    // So it is in a question.
    let asked = send(&daemon, &format!("/admin/users/{}/delete", user["id"]), &admin, &[]).await;
    assert!(page(&asked, 200).contains("&#60;script&#62;"));
}

#[tokio::test]
async fn tasks_are_listed_newest_first_by_pages_and_found_by_what_they_are() {
    let (daemon, admin) = idle().await;
    let (ann, cookie) = member(&daemon, "Ann").await;
    let tagged = create(&daemon, json!({ "kind": "noop", "tags": ["night & day"] })).await;
    let keyed = create(&daemon, json!({ "kind": "noop", "unique_key": "order-5" })).await;
    let theirs = daemon.with_cookie(&cookie, "POST", "/tasks", json!({ "kind": "noop" })).await.json(201);
    let theirs = theirs["id"].as_i64().unwrap();
    let manual = create(&daemon, json!({ "meta": { "a": 1 } })).await;
    for (query, expected) in [
        ("", vec![manual, theirs, keyed, tagged]),
        ("?kind=manual", vec![manual]),
        ("?status=New&kind=noop", vec![theirs, keyed, tagged]),
        ("?status=Failed", vec![]),
        ("?tag=night+%26+day", vec![tagged]),
        (&format!("?owner={ann}"), vec![theirs]),
        ("?owner=0", vec![manual, keyed, tagged]),
        ("?q=order-5", vec![keyed]),
        (&format!("?q={tagged}"), vec![tagged]),
        ("?q=999999", vec![]),
        ("?before=2020-01-01T00%3A00", vec![]),
        ("?from=2020-01-01T00%3A00&status=&kind=&tag=&owner=&q=", vec![manual, theirs, keyed, tagged]),
    ] {
        let text = seen(&daemon, &admin, &format!("/admin/tasks{query}")).await;
        assert_eq!(listed(&text), expected, "{query}");
        assert_eq!(text.contains("No task matches."), expected.is_empty(), "{query}");
    }
    for bad in ["?status=Done", "?kind=A+B", "?owner=ann", "?from=yesterday", "?after=x"] {
        let answer = look(&daemon, &format!("/admin/tasks{bad}"), &[("cookie", &admin)]).await;
        problem_page(&answer, Code::InvalidParameter);
    }

    let many: Vec<Value> = (0..60).map(|_| json!({ "kind": "noop", "tags": ["many"] })).collect();
    daemon.post("/tasks/batch", &Value::from(many).to_string()).await.json(201);
    let (mut path, mut all) = ("/admin/tasks?tag=many".to_owned(), Vec::new());
    loop {
        let text = seen(&daemon, &admin, &path).await;
        all.extend(listed(&text));
        let Some(next) = text.split("rel=\"next\" href=\"").nth(1) else { break };
        path = next.split('"').next().unwrap().replace("&#38;", "&");
        assert!(path.starts_with("/admin/tasks?tag=many&after="), "{path}");
    }
    assert_eq!(all.len(), 60);
    assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), 60);
    assert!(all.is_sorted_by(|one, other| one > other));
}

#[tokio::test]
async fn one_task_a_choice_of_them_and_nothing_are_acted_on_by_plain_forms() {
    let (daemon, admin) = idle().await;
    let mut tasks = Vec::new();
    for _ in 0..4 {
        tasks.push(create(&daemon, json!({})).await);
    }
    let back = "/admin/tasks?status=New";
    let act = async |form: &[(&str, &str)]| send(&daemon, "/admin/tasks/act", &admin, form).await;
    let one = act(&[("one", &format!("cancel:{}", tasks[0])), ("back", back)]).await;
    leads_to(&one, "/admin/tasks?status=New&told=cancelled.1.0.0");
    assert_eq!(status(&daemon, &admin, tasks[0]).await, "Cancelled");
    let told = seen(&daemon, &admin, one.header("location")).await;
    assert!(told.contains("role=\"status\">Cancelled: 1.</p>"), "{told}");

    let ids: Vec<String> = tasks.iter().map(ToString::to_string).collect();
    let chosen = act(&[("act", "cancel"), ("id", &ids[0]), ("id", &ids[1]), ("id", &ids[2])]).await;
    leads_to(&chosen, "/admin/tasks?told=cancelled.2.1.0");
    assert_eq!(status(&daemon, &admin, tasks[2]).await, "Cancelled");
    assert_eq!(status(&daemon, &admin, tasks[3]).await, "New");
    leads_to(&act(&[("act", "retry"), ("id", &ids[1])]).await, "/admin/tasks?told=retried.1.0.0");
    assert_eq!(status(&daemon, &admin, tasks[1]).await, "New");

    // A line for each request that changed something.
    let lines = daemon.action_lines();
    let noted =
        ["tasks cancelled (1, by admin #1).", "cancelled (2, by admin #1).", "retried (1, by admin #1)."];
    for line in noted {
        assert_eq!(lines.matches(line).count(), 1, "{line}: {lines}");
    }

    leads_to(&act(&[("act", "retry")]).await, "/admin/tasks?told=nothing.0.0.0");
    assert_eq!(daemon.action_lines(), lines);
    leads_to(&act(&[]).await, "/admin/tasks?told=nothing.0.0.0");
    for bad in [
        &[("act", "explode"), ("id", "1")][..],
        &[("act", "retry"), ("id", "x")],
        &[("one", "retry:")],
        &[("one", "retry")],
        &[("act", "retry"), ("id", "1"), ("colour", "red")],
        &[("all", "retry"), ("status", "Done")],
    ] {
        problem_page(&act(bad).await, Code::InvalidForm);
    }
    // Back is only ever a page of ours.
    let elsewhere = act(&[("one", &format!("cancel:{}", ids[1])), ("back", "https://evil.example/")]).await;
    leads_to(&elsewhere, "/admin/tasks?told=cancelled.1.0.0");
}

#[tokio::test]
async fn what_removes_is_asked_about_first() {
    let (daemon, admin) = idle().await;
    let (kept, gone) = (create(&daemon, json!({})).await, create(&daemon, json!({})).await);
    let form = [("one", format!("delete:{gone}")), ("back", "/admin/tasks?kind=noop".to_owned())];
    let form: Vec<(&str, &str)> = form.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let asked = send(&daemon, "/admin/tasks/act", &admin, &form).await;
    let text = page(&asked, 200);
    assert!(text.contains("<h1>Delete 1 task?</h1>") && text.contains("There is no way back."), "{text}");
    assert!(text.contains("href=\"/admin/tasks?kind=noop\""), "the way back");
    assert_eq!(status(&daemon, &admin, gone).await, "New", "nothing was done so far");
    let done = confirm(&daemon, &admin, "/admin/tasks/act", &asked).await;
    leads_to(&done, "/admin/tasks?kind=noop&told=deleted.1.0.0");
    assert_eq!(status(&daemon, &admin, gone).await, "gone");
    assert_eq!(status(&daemon, &admin, kept).await, "New");
}

#[tokio::test]
async fn all_that_match_are_counted_and_acted_on_and_none_that_comes_later() {
    let (daemon, admin) = idle().await;
    let many: Vec<Value> =
        (0..30).map(|n| json!({ "kind": "noop", "tags": [format!("t{}", n % 2)] })).collect();
    daemon.post("/tasks/batch", &Value::from(many).to_string()).await.json(201);
    let form = [("all", "cancel"), ("tag", "t1"), ("status", "New"), ("back", "/admin/tasks?tag=t1")];
    let asked = send(&daemon, "/admin/tasks/act", &admin, &form).await;
    let text = page(&asked, 200);
    assert!(text.contains("<h1>Cancel 15 tasks?</h1>"), "{text}");
    let cookie = format!("{admin}; language=ru");
    let russian = send(&daemon, "/admin/tasks/act", &cookie, &[("all", "cancel"), ("tag", "t1")]).await;
    assert!(page(&russian, 200).contains("<h1>Отменить 15 задач?</h1>"));

    let later = create(&daemon, json!({ "tags": ["t1"] })).await;
    let done = confirm(&daemon, &admin, "/admin/tasks/act", &asked).await;
    leads_to(&done, "/admin/tasks?tag=t1&told=cancelled.15.0.0");
    assert_eq!(status(&daemon, &admin, later).await, "New", "it came after the question");
    let left = seen(&daemon, &admin, "/admin/tasks?tag=t0&status=New").await;
    assert_eq!(listed(&left).len(), 15);

    // Without a status those are meant to whom it can happen.
    let asked = send(&daemon, "/admin/tasks/act", &admin, &[("all", "retry"), ("tag", "t1")]).await;
    assert!(page(&asked, 200).contains("<h1>Retry 15 tasks?</h1>"));
    leads_to(&confirm(&daemon, &admin, "/admin/tasks/act", &asked).await, "/admin/tasks?told=retried.15.0.0");
    let none = send(&daemon, "/admin/tasks/act", &admin, &[("all", "retry"), ("tag", "t1")]).await;
    leads_to(&none, "/admin/tasks?told=retried.0.0.0");
}

#[tokio::test]
async fn very_much_is_done_in_steps_that_say_how_far_they_are() {
    let (daemon, admin) = idle().await;
    let many: Vec<Value> = (0..5_500).map(|_| json!({ "kind": "noop" })).collect();
    let many = Value::from(many).to_string();
    for _ in 0..2 {
        daemon.post("/tasks/batch", &many).await.json(201);
    }
    let asked = send(&daemon, "/admin/tasks/act", &admin, &[("all", "cancel"), ("kind", "noop")]).await;
    assert!(page(&asked, 200).contains("<h1>Cancel 11,000 tasks?</h1>"));
    let mut step = confirm(&daemon, &admin, "/admin/tasks/act", &asked).await;
    let text = page(&step, 200);
    assert!(text.contains("data-steps") && text.contains("of 11,000 are done."), "{text}");
    assert!(text.contains("<progress max=\"11000\""), "{text}");
    let mut steps = 1;
    while step.status == 200 {
        let fields = fields(&page(&step, 200));
        let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (&**name, &**value)).collect();
        step = send(&daemon, "/admin/tasks/act", &admin, &fields).await;
        steps += 1;
        assert!(steps < 100, "it gets nowhere");
    }
    leads_to(&step, "/admin/tasks?told=cancelled.11000.0.0");
}

#[tokio::test]
async fn users_get_roles_and_tokens_and_go() {
    let (daemon, admin) = idle().await;
    let ann = daemon.someone("Ann").await;
    let place = |what: &str| format!("/admin/users/{}/{what}", ann.id);
    let text = seen(&daemon, &admin, "/admin/users?q=An").await;
    assert!(text.contains("<bdi>Ann</bdi>") && !text.contains("href=\"/users/1\""), "{text}");
    let own = seen(&daemon, &admin, "/admin/users?q=1").await;
    assert!(
        own.contains("<bdi>Root</bdi>") && !own.contains("/admin/users/1/delete"),
        "nobody shuts themselves out"
    );

    let made =
        send(&daemon, &place("role"), &admin, &[("role", "admin"), ("back", "/admin/users?q=An")]).await;
    leads_to(&made, "/admin/users?q=An&told=role_set.1.0.0");
    assert_eq!(daemon.by(&ann, "GET", "/kinds", Value::Null).await.status, 200);
    send(&daemon, &place("role"), &admin, &[("role", "user")]).await;
    daemon.by(&ann, "GET", "/kinds", Value::Null).await.problem(Code::Forbidden);
    problem_page(&send(&daemon, &place("role"), &admin, &[("role", "king")]).await, Code::InvalidForm);
    problem_page(&send(&daemon, &place("role"), &admin, &[]).await, Code::InvalidForm);

    let asked = send(&daemon, &place("token"), &admin, &[]).await;
    assert!(page(&asked, 200).contains("Make another token for Ann"));
    let shown = page(&confirm(&daemon, &admin, &place("token"), &asked).await, 200);
    let token = shown.split("readonly value=\"").nth(1).unwrap().split('"').next().unwrap();
    assert_ne!(token, ann.token);
    daemon.by(&ann, "GET", "/tasks", Value::Null).await.problem(Code::InvalidToken);
    let again = daemon.ask("GET", "/tasks", |request| request.bearer_auth(token)).await;
    assert_eq!(again.status, 200);

    let asked = send(&daemon, &place("delete"), &admin, &[]).await;
    assert!(page(&asked, 200).contains("Delete Ann (User 2) with all that is theirs?"));
    leads_to(&confirm(&daemon, &admin, &place("delete"), &asked).await, "/admin/users?told=deleted.1.0.0");
    problem_page(&send(&daemon, &place("delete"), &admin, &[]).await, Code::UserNotFound);
    let gone = seen(&daemon, &admin, "/admin/users?q=An").await;
    assert!(gone.contains("There is no such user."), "{gone}");
}

#[tokio::test]
async fn images_are_listed_and_removed_with_their_tasks() {
    let (daemon, admin) = with(Wishes::default()).await;
    let planted = daemon.plant(Format::Png, "cat & dog.png", b"some bytes".to_vec()).await;
    let other = daemon.plant(Format::Gif, "bird.gif", b"other bytes".to_vec()).await;
    let text = seen(&daemon, &admin, "/admin/images").await;
    assert_eq!(listed(&text), [other.task.0, planted.task.0]);
    assert!(
        text.contains("cat &#38; dog.png") && text.contains(&format!("/images/{}?w=", planted.name)),
        "{text}"
    );
    assert_eq!(listed(&seen(&daemon, &admin, "/admin/images?owner=0").await).len(), 2);
    assert_eq!(listed(&seen(&daemon, &admin, "/admin/images?owner=1").await).len(), 0);

    let id = planted.task.to_string();
    let form = [("act", "delete"), ("id", &*id), ("what", "images"), ("back", "/admin/images")];
    let asked = send(&daemon, "/admin/tasks/act", &admin, &form).await;
    assert!(page(&asked, 200).contains("<h1>Delete 1 image?</h1>"));
    leads_to(&confirm(&daemon, &admin, "/admin/tasks/act", &asked).await, "/admin/images?told=deleted.1.0.0");
    assert_eq!(listed(&seen(&daemon, &admin, "/admin/images").await), [other.task.0]);
    daemon.get(&planted.path).await.problem(Code::ImageNotFound);
}

#[tokio::test]
async fn reports_and_questions_of_all_are_listed() {
    let (daemon, admin) = with(Wishes::default()).await;
    let (ann, cookie) = member(&daemon, "Ann").await;
    let path = format!("/users/{ann}/report");
    let ordered = daemon.with_cookie(&cookie, "POST", &path, json!({})).await.json(202);
    let url = ordered["url"].as_str().unwrap();
    let id = url.rsplit('/').next().unwrap();
    daemon.post("/quiz", &json!({ "questions_num": 3 }).to_string()).await.json(200);
    let text = seen(&daemon, &admin, "/admin/reports").await;
    assert!(text.contains(id) && text.contains(&format!("href=\"/users/{ann}\"")), "{text}");
    let text = seen(&daemon, &admin, "/admin/questions?source=bank").await;
    assert_eq!(text.matches("<tr>").count(), 1 + 3, "{text}");
    let none = seen(&daemon, &admin, "/admin/questions?source=opentdb").await;
    assert!(none.contains("There is nothing here."), "{none}");
}

#[tokio::test]
async fn storage_and_the_overview_tell_what_there_is() {
    let (daemon, admin) = with(Wishes::default()).await;
    let task = create(&daemon, json!({ "kind": "failing", "payload": { "because": "no reason" } })).await;
    daemon.until(task, "Failed").await;
    daemon.plant(Format::Png, "cat.png", vec![7; 2048]).await;
    let text = seen(&daemon, &admin, "/admin/storage").await;
    let row = text.split("href=\"/admin/images\">Images</a></th>").nth(1).unwrap();
    assert!(row.starts_with("<td class=\"number\">1</td><td class=\"number\">2\u{a0}KiB</td>"), "{text}");
    assert!(text.contains("Free on the disk of the data folder") && text.contains("<meter"), "{text}");

    let text = seen(&daemon, &admin, "/admin").await;
    let tile = |name: &str| {
        text.split(&format!(">{name}</a></dt><dd>")).nth(1).unwrap().split('<').next().unwrap().trim()
    };
    assert_eq!(tile("Failed"), "1");
    assert_eq!(tile("Waiting"), "0");
    assert_eq!(tile("Database"), "up");
    assert!(text.contains("no broker is set") || text.contains("not set"), "{text}");
    assert_eq!(text.matches("<svg role=\"img\"").count(), 3);
}

#[tokio::test]
async fn without_the_database_the_operator_still_sees_what_there_is_to_see() {
    let token = Token::fresh();
    let operator = Some(Operator::new(&token, "127.0.0.1:1".parse().unwrap()));
    let daemon = start(Wishes { idle: true, operator, ..Wishes::default() }).await;
    let bearer = format!("Bearer {}", token.reveal());
    let overview = async || page(&look(&daemon, "/admin", &[("authorization", &bearer)]).await, 200);
    let there = overview().await;
    assert!(there.contains(">Waiting</a>") && !there.contains("The database does not answer"), "{there}");
    assert_eq!(there.matches("<svg role=\"img\"").count(), 3);
    daemon.store.set(Fault::Unavailable);
    let away = overview().await;
    assert!(away.contains("The database does not answer, so there are no numbers."), "{away}");
    assert!(
        away.contains("class=\"tile bad\"") && away.contains(">down</") || away.contains(">down "),
        "{away}"
    );
    assert!(away.contains(">Free disk</a>") && !away.contains(">Waiting</a>"), "{away}");
}

#[tokio::test]
async fn pages_with_something_to_tick_or_fill_in_are_not_loaded_again_without_scripts() {
    let (daemon, admin) = idle().await;
    for (path, _, _) in PAGES {
        let text = seen(&daemon, &admin, path).await;
        let forms =
            text.contains("<form method=\"get\"") || text.contains("<form method=\"post\" action=\"/admin/");
        let refreshes = text.contains("http-equiv=\"refresh\"");
        let only_buttons = path == "/admin/kinds";
        assert!(!refreshes || !forms || only_buttons, "{path}: {text}");
        assert!(
            refreshes || !["/admin", "/admin/kinds", "/admin/nodes", "/admin/storage"].contains(&path),
            "{path}"
        );
    }
}

#[tokio::test]
async fn a_kind_is_paused_and_goes_on_by_a_button() {
    let (daemon, admin) = idle().await;
    let text = seen(&daemon, &admin, "/admin/kinds").await;
    assert!(text.contains("action=\"/admin/kinds/noop/pause\""), "{text}");
    leads_to(&send(&daemon, "/admin/kinds/noop/pause", &admin, &[]).await, "/admin/kinds?told=paused.1.0.0");
    let text = seen(&daemon, &admin, "/admin/kinds").await;
    assert!(
        text.contains("action=\"/admin/kinds/noop/resume\"") && text.contains(">paused</span>"),
        "{text}"
    );
    assert!(daemon.store.pauses().await.is_ok_and(|pauses| pauses.len() == 1));
    let overview = seen(&daemon, &admin, "/admin").await;
    assert!(overview.contains("Paused kinds"), "{overview}");
    leads_to(
        &send(&daemon, "/admin/kinds/noop/resume", &admin, &[]).await,
        "/admin/kinds?told=resumed.1.0.0",
    );
    assert!(daemon.store.pauses().await.is_ok_and(|pauses| pauses.is_empty()));
    problem_page(&send(&daemon, "/admin/kinds/nonsense/pause", &admin, &[]).await, Code::UnknownKind);
}

#[tokio::test]
async fn without_a_broker_there_are_no_dead_letters() {
    let (daemon, admin) = idle().await;
    let text = seen(&daemon, &admin, "/admin/dead").await;
    assert!(text.contains("No broker is set (broker.url)"), "{text}");
    let form = [("act", "purge_all"), ("confirmed", "yes")];
    let answer = send(&daemon, "/admin/dead/act", &admin, &form).await;
    assert!(page(&answer, 200).contains("No broker is set"));
}
