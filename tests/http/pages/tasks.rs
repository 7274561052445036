//! Tasks and reports for people.

use gristmill::http::Code;
use serde_json::json;

use super::{in_both, led_to, look, page, problem_page, send, user};
use crate::harness::{Wishes, start};

#[tokio::test]
async fn my_tasks_are_listed_filtered_and_paged() {
    let daemon = start(Wishes { idle: true, ..Wishes::default() }).await;
    let (_, ann) = user(&daemon, "Ann").await;
    for _ in 0..3 {
        daemon
            .with_cookie(&ann, "POST", "/tasks", json!({"kind": "noop", "tags": ["nightly"]}))
            .await
            .json(201);
    }
    daemon.post("/tasks", r#"{"meta": {"a": 1}}"#).await.json(201);
    let mine = in_both(&daemon, "/tasks", &ann, "Your tasks", "Ваши задачи").await;
    assert!(mine.contains("data-live-source=\"/events\"") && mine.contains("href=\"/tasks/1\""), "{mine}");
    assert!(!mine.contains("href=\"/tasks/4\""), "{mine}");
    // The newest first; a field that was left empty asks for nothing.
    let path = "/tasks?status=New&kind=&tag=nightly&limit=2";
    let first = page(&look(&daemon, path, &[("cookie", &ann)]).await, 200);
    assert!(first.contains("href=\"/tasks/3\"") && !first.contains("href=\"/tasks/1\""), "{first}");
    assert!(first.contains("<option value=\"New\" selected>"), "{first}");
    let next = first.split("rel=\"next\" href=\"").nth(1).unwrap().split('"').next().unwrap();
    let next = format!("/tasks{}", next.replace("&#38;", "&").replace("&amp;", "&"));
    let second = page(&look(&daemon, &next, &[("cookie", &ann)]).await, 200);
    assert!(second.contains("href=\"/tasks/1\"") && !second.contains("rel=\"next\""), "{second}");
    let none = page(&look(&daemon, "/tasks?status=Failed", &[("cookie", &ann)]).await, 200);
    assert!(none.contains("There are no such tasks."), "{none}");
    problem_page(&look(&daemon, "/tasks?status=Odd", &[]).await, Code::InvalidParameter);
    // Programs see what they saw before.
    let json = daemon.get("/tasks").await;
    assert_eq!((json.json(200)[0]["id"].as_i64(), json.header("vary")), (Some(4), "accept"));
}

#[tokio::test]
async fn a_task_shows_its_life_and_everything_in_it_is_escaped() {
    let daemon = start(Wishes { idle: true, ..Wishes::default() }).await;
    let body = json!({"kind": "manual", "payload": {"x": "</pre><script>alert(1)</script>"}, "tags": ["<i>\u{202e}"]});
    let made = daemon.post("/tasks", &body.to_string()).await;
    let id = made.json(201)["id"].as_i64().unwrap();
    let path = format!("/tasks/{id}");
    let text = in_both(&daemon, &path, "", "What happened", "Что происходило").await;
    assert!(text.contains(&format!("data-live-source=\"/tasks/{id}/events\"")), "{text}");
    assert!(
        text.contains("http-equiv=\"refresh\""),
        "what has not ended is looked at again without scripts: {text}"
    );
    assert!(!text.contains("<script>") && !text.contains("<i>"), "{text}");
    assert!(text.contains("&#60;/pre&#62;&#60;script&#62;alert(1)"), "{text}");
    assert!(text.contains("<bdi>&#60;i&#62;\u{202e}</bdi>"), "{text}");
    let json = daemon.get(&path).await;
    assert_eq!((json.json(200)["id"].as_i64(), json.header("vary")), (Some(id), "accept"));
    problem_page(&look(&daemon, "/tasks/99", &[]).await, Code::TaskNotFound);
}

#[tokio::test]
async fn a_task_is_cancelled_tried_again_and_deleted_by_forms_of_whoever_may() {
    let daemon = start(Wishes { idle: true, ..Wishes::default() }).await;
    let (_, ann) = user(&daemon, "Ann").await;
    let (_, bob) = user(&daemon, "Bob").await;
    daemon.with_cookie(&ann, "POST", "/tasks", json!({"kind": "noop"})).await.json(201);
    for act in ["cancel", "retry", "delete"] {
        for cookie in [bob.as_str(), ""] {
            let refused = send(&daemon, &format!("/tasks/1/{act}"), cookie, &[]).await;
            assert!(refused.status >= 400, "{act} by {cookie}: {}", refused.status);
        }
    }
    let look_at = async || page(&look(&daemon, "/tasks/1", &[("cookie", &ann)]).await, 200);
    assert!(look_at().await.contains("action=\"/tasks/1/cancel\""));
    let back = [("back", "/tasks?status=New")];
    assert_eq!(led_to(&send(&daemon, "/tasks/1/cancel", &ann, &back).await), "/tasks?status=New");
    let text = look_at().await;
    assert!(
        text.contains("class=\"status cancelled\"") && text.contains("action=\"/tasks/1/retry\""),
        "{text}"
    );
    assert!(!text.contains("action=\"/tasks/1/cancel\""), "{text}");
    let elsewhere = [("back", "//evil.example")];
    assert_eq!(led_to(&send(&daemon, "/tasks/1/retry", &ann, &elsewhere).await), "/tasks/1");
    problem_page(&send(&daemon, "/tasks/1/retry", &ann, &[]).await, Code::StatusForbids);
    let asked = page(&send(&daemon, "/tasks/1/delete", &ann, &back).await, 200);
    assert!(
        asked.contains("Delete task 1?") && asked.contains("name=\"back\" value=\"/tasks?status=New\""),
        "{asked}"
    );
    look_at().await;
    for cookie in [bob.as_str(), ""] {
        assert!(send(&daemon, "/tasks/1/delete", cookie, &[("sure", "yes")]).await.status >= 400);
    }
    assert_eq!(led_to(&send(&daemon, "/tasks/1/delete", &ann, &[("sure", "yes")]).await), "/tasks");
    problem_page(&look(&daemon, "/tasks/1", &[("cookie", &ann)]).await, Code::TaskNotFound);
}

#[tokio::test]
async fn the_api_still_answers_json_to_json_whatever_is_accepted() {
    let daemon = start(Wishes { idle: true, ..Wishes::default() }).await;
    daemon.post("/tasks", "{}").await.json(201);
    let cancelled = daemon
        .ask("POST", "/tasks/1/cancel", |request| {
            request.header("accept", super::HTML).header("content-type", "application/json").body("{}")
        })
        .await;
    assert_eq!(cancelled.json(200)["status"], "Cancelled");
}

#[tokio::test]
async fn my_report_is_ordered_watched_and_opened_at_one_address() {
    let daemon = start(Wishes { idle: true, ..Wishes::default() }).await;
    let (_, ann) = user(&daemon, "Ann").await;
    let form = [("days", "14"), ("language", "ru"), ("contact", "yes")];
    let place = led_to(&send(&daemon, "/profile/report", &ann, &form).await);
    assert!(place.starts_with("/reports/"), "{place}");
    let watched = page(&look(&daemon, &place, &[("cookie", &ann)]).await, 202);
    assert!(
        watched.contains("data-live-source=\"/tasks/1/events\"")
            && watched.contains("http-equiv=\"refresh\""),
        "{watched}"
    );
    // Who left the page finds it again.
    let profile = page(&look(&daemon, "/profile", &[("cookie", &ann)]).await, 200);
    assert!(profile.contains(&format!("<a href=\"{place}\">")), "{profile}");
    // Who has the link alone learns no more than that it is on its way.
    let linked = page(&look(&daemon, &place, &[]).await, 202);
    assert!(linked.contains("data-live-every=\"2\"") && !linked.contains("/tasks/1"), "{linked}");
    assert_eq!(daemon.get(&place).await.json(202)["id"], 1);
    daemon.work();
    let mut ready = look(&daemon, &place, &[("cookie", &ann)]).await;
    while ready.status == 202 {
        ready = look(&daemon, &place, &[("cookie", &ann)]).await;
    }
    assert_eq!((ready.status, ready.header("content-type")), (200, "application/pdf"));
    assert!(ready.body.starts_with(b"%PDF-"));
    let refused = send(&daemon, "/profile/report", &ann, &[("days", "1000")]).await;
    assert!(page(&refused, 422).contains("role=\"alert\""));
    problem_page(&look(&daemon, "/reports/none", &[]).await, Code::ReportNotFound);
}
