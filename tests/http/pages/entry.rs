//! Signing up, logging in and out, the profile.

use gristmill::http::Code;
use serde_json::json;

use super::{PASSWORD, in_both, led_to, look, page, problem_page, send, send_files, user};
use crate::client::Someone;
use crate::harness::{Daemon, Wishes, start};
use crate::photos::png;

async fn daemon() -> Daemon {
    start(Wishes { settings: vec![("auth.anonymous", "false")], ..Wishes::default() }).await
}

/// What stands between two marks.
fn between<'a>(text: &'a str, before: &str, after: &str) -> &'a str {
    text.split(before).nth(1).and_then(|rest| rest.split(after).next()).unwrap_or_else(|| panic!("{text}"))
}

#[tokio::test]
async fn who_signs_up_sees_their_token_once_and_is_logged_in() {
    let daemon = daemon().await;
    in_both(&daemon, "/sign-up", "", "Create the account", "Создать учётную запись").await;
    let form = [("name", "Ann <b>"), ("email", "ann@example.com"), ("password", PASSWORD)];
    let answer = send(&daemon, "/sign-up", "", &form).await;
    let text = page(&answer, 200);
    assert!(text.contains("Ann &#60;b&#62;") && !text.contains("Ann <b>"), "{text}");
    let token = between(&text, "id=\"token\" readonly value=\"", "\"").to_owned();
    let ann = Someone { id: 1, token: token.clone() };
    assert_eq!(daemon.by(&ann, "GET", "/users/1", json!(null)).await.json(200)["email"], "ann@example.com");
    let cookie = answer.cookie();
    let profile = page(&look(&daemon, "/profile", &[("cookie", &cookie)]).await, 200);
    assert!(profile.contains("value=\"ann@example.com\"") && !profile.contains(&token), "{profile}");
}

#[tokio::test]
async fn a_form_that_is_refused_says_why_and_keeps_what_was_typed_but_the_password() {
    let daemon = daemon().await;
    user(&daemon, "Bob").await;
    let form = [("name", "Ann"), ("email", "ann@"), ("password", "longenough")];
    let text = page(&send(&daemon, "/sign-up", "", &form).await, 422);
    assert!(text.contains("role=\"alert\"") && text.contains("value=\"Ann\""), "{text}");
    assert!(text.contains("value=\"ann@\"") && !text.contains("longenough"), "{text}");
    page(&send(&daemon, "/sign-up", "", &[("name", "Ann")]).await, 400);
    page(&send(&daemon, "/sign-up", "", &[("name", "Ann"), ("password", "short")]).await, 422);
    let text = page(&send(&daemon, "/login", "", &[("who", "<Bob>"), ("password", "wrong")]).await, 401);
    assert!(text.contains("The login failed") && text.contains("value=\"&#60;Bob&#62;\""), "{text}");
    // A field that the form does not have was not sent by it.
    let made = [("name", "Eve"), ("password", PASSWORD), ("role", "admin")];
    page(&send(&daemon, "/sign-up", "", &made).await, 400);
    assert_eq!(daemon.get("/users").await.json(200).as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_login_leads_on_to_a_place_of_ours_and_nowhere_else() {
    let daemon = daemon().await;
    let (id, _) = user(&daemon, "Ann").await;
    in_both(&daemon, "/login", "", "No account yet?", "Ещё нет учётной записи?").await;
    let text = page(&look(&daemon, "/login?next=%2Ftasks%3Fstatus%3DNew", &[]).await, 200);
    assert!(text.contains("name=\"next\" value=\"/tasks?status=New\""), "{text}");
    let number = id.to_string();
    for (who, next, place) in [
        ("Ann", "/tasks?status=New", "/tasks?status=New"),
        (number.as_str(), "//evil.example/", "/"),
        ("Ann", "https://evil.example/", "/"),
        ("Ann", "/\\evil.example", "/"),
        ("Ann", "", "/"),
    ] {
        let form = [("who", who), ("password", PASSWORD), ("next", next)];
        let answer = send(&daemon, "/login", "", &form).await;
        assert_eq!(led_to(&answer), place, "{next}");
        page(&look(&daemon, "/profile", &[("cookie", &answer.cookie())]).await, 200);
    }
    for elsewhere in ["%2F%2Fevil.example", "https%3A%2F%2Fevil.example", "javascript%3Aalert(1)"] {
        let text = page(&look(&daemon, &format!("/login?next={elsewhere}"), &[]).await, 200);
        assert!(!text.contains("name=\"next\""), "{text}");
    }
}

#[tokio::test]
async fn logging_out_ends_the_session() {
    let daemon = daemon().await;
    let (_, cookie) = user(&daemon, "Ann").await;
    let answer = send(&daemon, "/logout", &cookie, &[]).await;
    assert_eq!(led_to(&answer), "/");
    assert!(answer.header("set-cookie").starts_with("gristmill_session=; "), "{:?}", answer.headers);
    // The session is over, also for who kept the cookie; what they send is not done.
    assert_eq!(led_to(&look(&daemon, "/profile", &[("cookie", &cookie)]).await), "/profile");
    let refused = send(&daemon, "/profile", &cookie, &[("name", "Ann"), ("email", ""), ("gender", "")]).await;
    let text = problem_page(&refused, Code::InvalidToken);
    assert!(text.contains("href=\"/login"), "{text}");
}

#[tokio::test]
async fn a_profile_is_changed_by_its_forms() {
    let daemon = daemon().await;
    let (id, cookie) = user(&daemon, "Ann").await;
    in_both(&daemon, "/profile", &cookie, "Make my report", "Составить мой отчёт").await;
    let form = [("name", "Ann Lee"), ("email", "ann@example.com"), ("gender", "")];
    assert_eq!(led_to(&send(&daemon, "/profile", &cookie, &form).await), "/profile?done=saved");
    let text = page(&look(&daemon, "/profile?done=saved", &[("cookie", &cookie)]).await, 200);
    assert!(text.contains("value=\"Ann Lee\"") && text.contains(">Saved.<"), "{text}");
    let refused = send(&daemon, "/profile", &cookie, &[("email", "nonsense")]).await;
    assert!(page(&refused, 422).contains("role=\"alert\""));

    let set = send_files(&daemon, "/profile/avatar", &cookie, &[("me.png", png(40, 30))]).await;
    assert_eq!(led_to(&set), "/profile?done=saved");
    assert_eq!(daemon.get(&format!("/users/{id}/avatar")).await.status, 200);
    let none = send_files(&daemon, "/profile/avatar", &cookie, &[("me.txt", b"text".to_vec())]).await;
    assert!(page(&none, 415).contains("role=\"alert\""));
    led_to(&send(&daemon, "/profile/avatar/delete", &cookie, &[]).await);
    daemon.get(&format!("/users/{id}/avatar")).await.problem(Code::AvatarNotFound);
}

#[tokio::test]
async fn the_password_and_the_token_want_the_password_as_it_is() {
    let daemon = daemon().await;
    let (id, cookie) = user(&daemon, "Ann").await;
    let (_, other) = (id, daemon.log_in(&json!({"id": id, "password": PASSWORD})).await);
    let wrong = [("current_password", "wrong horse"), ("password", "battery staple")];
    let refused = send(&daemon, "/profile/password", &cookie, &wrong).await;
    let told = page(&refused, 403);
    assert!(told.contains("role=\"alert\"") && told.contains("Check the password"), "{told}");
    assert!(!told.contains("Only the owner"), "{told}");
    page(&send(&daemon, "/profile/password", &cookie, &[("password", "battery staple")]).await, 403);
    let right = [("current_password", PASSWORD), ("password", "battery staple")];
    led_to(&send(&daemon, "/profile/password", &cookie, &right).await);
    page(&look(&daemon, "/profile", &[("cookie", &cookie)]).await, 200);
    assert_eq!(led_to(&look(&daemon, "/profile", &[("cookie", &other)]).await), "/profile");

    page(&send(&daemon, "/profile/token", &cookie, &[]).await, 403);
    let form = [("current_password", "battery staple")];
    let text = page(&send(&daemon, "/profile/token", &cookie, &form).await, 200);
    let token = between(&text, "id=\"token\" readonly value=\"", "\"").to_owned();
    daemon.by(&Someone { id, token }, "GET", "/tasks", json!(null)).await.json(200);
}

#[tokio::test]
async fn an_account_goes_only_with_the_box_ticked() {
    let daemon = daemon().await;
    let (id, cookie) = user(&daemon, "Ann").await;
    page(&send(&daemon, "/profile/delete", &cookie, &[]).await, 400);
    daemon.get(&format!("/users/{id}")).await.json(200);
    assert_eq!(led_to(&send(&daemon, "/profile/delete", &cookie, &[("sure", "yes")]).await), "/");
    daemon.get(&format!("/users/{id}")).await.problem(Code::UserNotFound);
}

#[tokio::test]
async fn a_user_is_json_to_programs_and_a_page_to_people_with_what_each_may_see() {
    let daemon = daemon().await;
    let (id, cookie) = user(&daemon, "Ann").await;
    send(&daemon, "/profile", &cookie, &[("email", "ann@example.com")]).await;
    let (_, other) = user(&daemon, "Bob").await;
    let path = format!("/users/{id}");
    let json = daemon.get(&path).await;
    assert_eq!(json.json(200)["name"], "Ann");
    assert_eq!(json.header("vary"), "accept");
    for (cookie, sees) in [(&cookie, true), (&other, false)] {
        let text = page(&look(&daemon, &path, &[("cookie", cookie)]).await, 200);
        assert_eq!(text.contains("ann@example.com"), sees, "{text}");
    }
    problem_page(&look(&daemon, "/users/99", &[]).await, Code::UserNotFound);
}

#[tokio::test]
async fn who_was_led_out_sees_the_page_as_anybody_does() {
    let daemon = daemon().await;
    let (_, cookie) = user(&daemon, "Ann").await;
    send(&daemon, "/logout", &cookie, &[]).await;
    for cookie in [cookie.as_str(), "gristmill_session=nonsense"] {
        for path in ["/", "/login?next=%2Ftasks", "/profile", "/images/"] {
            let answer = look(&daemon, path, &[("cookie", cookie)]).await;
            assert_eq!((answer.status, answer.header("location")), (303, path), "{cookie}");
            assert_eq!(answer.cookie(), "gristmill_session=");
        }
    }
    // A program is told, as ever.
    let told = daemon.ask("GET", "/tasks", |request| request.header("cookie", cookie.as_str())).await;
    told.problem(Code::InvalidToken);
}

#[tokio::test]
async fn pages_of_users_lead_who_is_nobody_to_the_login() {
    let daemon = start(Wishes::default()).await;
    for path in ["/profile", "/records"] {
        let place = format!("/login?next=%2F{}", &path[1..]);
        assert_eq!(led_to(&look(&daemon, path, &[]).await), place);
    }
    for path in ["/profile", "/profile/password", "/profile/token", "/profile/report", "/profile/delete"] {
        problem_page(&send(&daemon, path, "", &[]).await, Code::Unauthenticated);
    }
    assert_eq!(daemon.rows().await, 0);
}
