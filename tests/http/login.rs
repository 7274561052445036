//! Sessions: how they begin, what they open, and how they end.

use std::time::{Duration, Instant};

use gristmill::http::Code;
use serde_json::{Value, json};

use crate::harness::{Daemon, Wishes, start};

fn with(settings: &[(&'static str, &'static str)]) -> Wishes {
    Wishes { idle: true, settings: settings.to_vec(), ..Wishes::default() }
}

const PASSWORD: &str = "correct horse";

async fn ann(daemon: &Daemon) -> i64 {
    let body = json!({"name": "Ann", "email": "ann@example.com", "password": PASSWORD});
    daemon.post("/users", &body.to_string()).await.json(201)["id"].as_i64().unwrap()
}

async fn try_login(daemon: &Daemon, body: Value) -> crate::client::Answer {
    daemon.post("/login", &body.to_string()).await
}

#[tokio::test]
async fn a_login_by_email_number_or_name_sets_a_cookie_that_proves_who_calls() {
    let daemon = start(with(&[("auth.anonymous", "false")])).await;
    let id = ann(&daemon).await;
    for who in [
        json!({"email": "Ann@Example.com", "password": PASSWORD}),
        json!({"id": id, "password": PASSWORD}),
        json!({"name": "Ann", "password": PASSWORD}),
    ] {
        let answer = try_login(&daemon, who).await;
        let user = answer.json(200);
        assert_eq!((&user["id"], &user["email"]), (&json!(id), &json!("ann@example.com")));
        assert!(user.get("token").is_none() && user.get("password").is_none(), "{user}");
        assert_eq!(answer.header("cache-control"), "no-store");
        let set = answer.header("set-cookie");
        assert!(set.starts_with("gristmill_session=") && set.contains("; Path=/; Max-Age=1209600"), "{set}");
        assert!(
            set.contains("; HttpOnly") && set.contains("; SameSite=Lax") && !set.contains("Secure"),
            "{set}"
        );
        let cookie = answer.cookie();
        let task = daemon.with_cookie(&cookie, "POST", "/tasks", json!(null)).await.json(201);
        assert_eq!(task["owner"], id);
        daemon.with_cookie(&cookie, "GET", &format!("/tasks?user_id={id}"), json!(null)).await.json(200);
        daemon.with_cookie(&cookie, "GET", "/tasks?user_id=99", json!(null)).await.problem(Code::OtherUser);
    }
    assert!(daemon.action_lines().contains("Success: user Ann logged in."), "{}", daemon.action_lines());
}

#[tokio::test]
async fn the_cookie_is_for_tls_alone_where_callers_come_by_it() {
    for (settings, forwarded, secure) in [
        (vec![], None, false),
        (vec![], Some("https"), false),
        (vec![("http.trusted_proxies", "127.0.0.0/8")], Some("https"), true),
        (vec![("http.trusted_proxies", "127.0.0.0/8")], Some("http"), false),
        (vec![("http.trusted_proxies", "127.0.0.0/8")], None, false),
        (vec![("http.trusted_proxies", "10.0.0.0/8")], Some("https"), false),
        (vec![("http.public_url", "https://mill.example")], None, true),
        (vec![("http.public_url", "http://mill.example")], None, false),
    ] {
        let daemon = start(with(&settings)).await;
        ann(&daemon).await;
        let answer = daemon
            .ask("POST", "/login", |request| {
                let request = request.json(&json!({"name": "Ann", "password": PASSWORD}));
                forwarded.into_iter().fold(request, |request, it| request.header("x-forwarded-proto", it))
            })
            .await;
        answer.json(200);
        let set = answer.header("set-cookie");
        assert_eq!(set.ends_with("; Secure"), secure, "{settings:?} {forwarded:?}: {set}");
    }
}

#[tokio::test]
async fn a_logout_ends_the_session_and_takes_the_cookie_away() {
    let daemon = start(with(&[])).await;
    ann(&daemon).await;
    let who = json!({"name": "Ann", "password": PASSWORD});
    let (cookie, other) = (daemon.log_in(&who).await, daemon.log_in(&who).await);
    for _ in 0..2 {
        let gone = daemon.with_cookie(&cookie, "POST", "/logout", json!(null)).await;
        assert_eq!((gone.status, gone.body.len()), (204, 0));
        assert!(gone.header("set-cookie").starts_with("gristmill_session=; Path=/; Max-Age=0"));
    }
    assert_eq!(daemon.ask("POST", "/logout", |request| request).await.status, 204, "without a session too");
    assert_eq!(daemon.action_lines().matches("Success: user Ann logged out.").count(), 1);
    let refused = daemon.with_cookie(&cookie, "GET", "/tasks", json!(null)).await;
    refused.problem(Code::InvalidToken);
    assert!(refused.header("set-cookie").contains("Max-Age=0"), "so that it happens once");
    daemon.with_cookie(&other, "GET", "/tasks", json!(null)).await.json(200);
    // A login in its place ends the session that the browser forgets.
    let again = daemon.with_cookie(&other, "POST", "/login", who).await;
    again.json(200);
    daemon.with_cookie(&other, "GET", "/tasks", json!(null)).await.problem(Code::InvalidToken);
    daemon.with_cookie(&again.cookie(), "GET", "/tasks", json!(null)).await.json(200);
}

#[tokio::test]
async fn a_session_that_is_none_is_refused_and_never_taken_for_nobody() {
    let daemon = start(with(&[])).await;
    ann(&daemon).await;
    let cookie = daemon.log_in(&json!({"name": "Ann", "password": PASSWORD})).await;
    for bad in [
        "gristmill_session=",
        "gristmill_session=x",
        "gristmill_session=00000000-0000-4000-8000-000000000000",
        &format!("{cookie}; {cookie}"),
    ] {
        for (method, path) in [("GET", "/tasks"), ("POST", "/tasks"), ("GET", "/users"), ("POST", "/records")]
        {
            let refused = daemon.with_cookie(bad, method, path, json!(null)).await;
            refused.problem(Code::InvalidToken);
            assert!(refused.header("set-cookie").contains("Max-Age=0"), "{bad}");
        }
        // Where nobody needs to be anybody it is in nobody's way.
        let made = daemon.with_cookie(bad, "POST", "/users", json!({"name": "x"})).await;
        made.json(201);
    }
    assert_eq!(daemon.rows().await, 0);
    let among = format!("theme=dark; {cookie}; a=b");
    daemon.with_cookie(&among, "GET", "/tasks", json!(null)).await.json(200);
}

#[tokio::test]
async fn two_proofs_are_of_the_same_user_or_refused() {
    let daemon = start(with(&[])).await;
    let bob = daemon.someone("Bob").await;
    let body = json!({"name": "Ann", "password": PASSWORD});
    let made = daemon.post("/users", &body.to_string()).await.json(201);
    let cookie = daemon.log_in(&body).await;
    let ask = |token: String| {
        daemon.ask("GET", "/tasks", |request| request.header("cookie", &cookie).bearer_auth(token))
    };
    ask(made["token"].as_str().unwrap().to_owned()).await.json(200);
    ask(bob.token.clone()).await.problem(Code::OtherUser);
    ask("x".to_owned()).await.problem(Code::InvalidToken);
}

#[tokio::test]
async fn sessions_outlive_the_daemon_and_end_in_their_time() {
    let first = start(with(&[])).await;
    ann(&first).await;
    let cookie = first.log_in(&json!({"name": "Ann", "password": PASSWORD})).await;
    let token = cookie.split('=').nth(1).unwrap().to_owned();
    let folder = first.stop().await;
    let second = start(Wishes { folder: Some(folder), ..with(&[]) }).await;
    second.with_cookie(&cookie, "GET", "/tasks", json!(null)).await.json(200);
    // Its time comes: the rows are looked at and moved from outside, as the clock would.
    let path = second.folder.path().join("gristmill.db");
    let url = format!("sqlite:{}", path.display());
    let pool = sqlx::SqlitePool::connect(&url).await.unwrap();
    let kept: Vec<String> =
        sqlx::query_scalar("SELECT token_hash FROM sessions").fetch_all(&pool).await.unwrap();
    assert_eq!(kept.len(), 1);
    assert!(!kept[0].contains(&token) && kept[0].len() == 64, "{kept:?}");
    let moved = sqlx::query("UPDATE sessions SET expires_at = 1").execute(&pool).await.unwrap();
    assert_eq!(moved.rows_affected(), 1);
    pool.close().await;
    second.with_cookie(&cookie, "GET", "/tasks", json!(null)).await.problem(Code::InvalidToken);
}

#[tokio::test]
async fn a_new_password_ends_the_other_sessions_and_not_the_one_that_sets_it() {
    let daemon = start(with(&[])).await;
    let id = ann(&daemon).await;
    let who = json!({"name": "Ann", "password": PASSWORD});
    let (mine, other) = (daemon.log_in(&who).await, daemon.log_in(&who).await);
    let path = format!("/users/{id}");
    let new = json!({"password": "battery staple", "current_password": PASSWORD});
    daemon.with_cookie(&mine, "PATCH", &path, new).await.json(200);
    daemon.with_cookie(&mine, "GET", "/tasks", json!(null)).await.json(200);
    daemon.with_cookie(&other, "GET", "/tasks", json!(null)).await.problem(Code::InvalidToken);
    try_login(&daemon, who).await.problem(Code::LoginFailed);
    let new = json!({"name": "Ann", "password": "battery staple"});
    daemon.log_in(&new).await;
    // Without a password there is no logging in, and nothing goes on by the old one but the session that says so.
    let body = json!({"password": null, "current_password": "battery staple"});
    let changed = daemon.with_cookie(&mine, "PATCH", &path, body).await.json(200);
    assert_eq!(changed["has_password"], false);
    try_login(&daemon, new).await.problem(Code::LoginFailed);
}

#[tokio::test]
async fn a_session_alone_changes_neither_password_nor_token() {
    let daemon = start(with(&[])).await;
    let id = ann(&daemon).await;
    let cookie = daemon.log_in(&json!({"name": "Ann", "password": PASSWORD})).await;
    let (path, token) = (format!("/users/{id}"), format!("/users/{id}/token"));
    for current in [json!(null), json!("wrong password"), json!("")] {
        let body = json!({"password": "battery staple", "current_password": current});
        let refused = daemon.with_cookie(&cookie, "PATCH", &path, body).await.problem(Code::Forbidden);
        assert_eq!(refused["field"], "current_password");
        let body = json!({"current_password": current});
        daemon.with_cookie(&cookie, "POST", &token, body).await.problem(Code::Forbidden);
    }
    daemon.with_cookie(&cookie, "PATCH", &path, json!({"name": "Anna"})).await.json(200);
    let renewed = daemon.with_cookie(&cookie, "POST", &token, json!({"current_password": PASSWORD})).await;
    assert_eq!(renewed.json(200)["token"].as_str().map(str::len), Some(36));
    daemon.log_in(&json!({"id": id, "password": PASSWORD})).await;
}

#[tokio::test]
async fn a_login_that_fails_tells_nothing_but_that() {
    let daemon = start(with(&[])).await;
    let id = ann(&daemon).await;
    daemon.someone("Bob").await;
    let mut told = Vec::new();
    for who in [
        json!({"name": "Ann", "password": "wrong password"}),
        json!({"email": "ann@example.com", "password": ""}),
        json!({"id": id, "password": "x".repeat(5000)}),
        json!({"name": "Nobody", "password": PASSWORD}),
        json!({"email": "nobody@example.com", "password": PASSWORD}),
        json!({"id": 99, "password": PASSWORD}),
        // Who has no password.
        json!({"name": "Bob", "password": PASSWORD}),
        json!({"name": "Bob", "password": ""}),
    ] {
        let answer = try_login(&daemon, who).await;
        let mut problem = answer.problem(Code::LoginFailed);
        assert_eq!(answer.header("set-cookie"), "");
        problem.as_object_mut().unwrap().remove("instance");
        told.push(problem);
    }
    told.dedup();
    assert_eq!(told.len(), 1, "{told:?}");
    let lines = daemon.action_lines();
    assert!(lines.contains("Error: login failed (#1 from 127.0.0.1)."), "{lines}");
    assert!(lines.contains("Error: login failed (unknown user from 127.0.0.1)."), "{lines}");
    assert!(!lines.contains("Nobody") && !lines.contains('@'), "{lines}");
}

#[tokio::test]
async fn a_login_that_cannot_be_read_names_what_is_wrong() {
    let daemon = start(with(&[])).await;
    for (body, field) in [
        (json!({}), "password"),
        (json!({"name": "Ann"}), "password"),
        (json!({"password": "x"}), "email"),
        (json!({"name": "Ann", "email": "a@b", "password": "x"}), "email"),
        (json!({"email": "nobody", "password": "x"}), "email"),
        (json!({"id": 0, "password": "x"}), "id"),
        (json!({"id": "1", "password": "x"}), "id"),
        (json!({"name": "Ann", "password": 5}), "password"),
        (json!({"name": "Ann", "password": "x", "remember": true}), "remember"),
    ] {
        let problem = try_login(&daemon, body.clone()).await.problem(Code::InvalidBody);
        let named = problem["errors"].as_array().unwrap().iter().any(|error| error["field"] == field);
        assert!(named, "{body}: {problem}");
    }
}

#[tokio::test]
async fn of_one_account_only_so_many_passwords_are_tried_and_a_success_gives_them_back() {
    let daemon = start(with(&[("auth.login_attempts", "3")])).await;
    let id = ann(&daemon).await;
    let wrong = || json!({"name": "Ann", "password": "wrong password"});
    let right = || json!({"email": "ann@example.com", "password": PASSWORD});
    for _ in 0..2 {
        try_login(&daemon, wrong()).await.problem(Code::LoginFailed);
    }
    daemon.log_in(&right()).await;
    for _ in 0..3 {
        try_login(&daemon, wrong()).await.problem(Code::LoginFailed);
    }
    // Whatever it is called, and be the password right.
    for who in [wrong(), right(), json!({"id": id, "password": PASSWORD})] {
        let problem = try_login(&daemon, who).await.problem(Code::RateLimited);
        assert!((1..=300).contains(&problem["retry_after_s"].as_u64().unwrap()), "{problem}");
    }
    // One that does not exist is limited alike, or it would be told by that.
    for _ in 0..3 {
        try_login(&daemon, json!({"name": "Nobody", "password": "x"})).await.problem(Code::LoginFailed);
    }
    try_login(&daemon, json!({"name": "Nobody", "password": "x"})).await.problem(Code::RateLimited);
}

#[tokio::test]
async fn who_guesses_by_way_of_a_change_is_limited_as_well() {
    let daemon = start(with(&[("auth.login_attempts", "3")])).await;
    let id = ann(&daemon).await;
    let cookie = daemon.log_in(&json!({"name": "Ann", "password": PASSWORD})).await;
    let guess = || {
        let body = json!({"password": "battery staple", "current_password": "wrong password"});
        daemon.with_cookie(&cookie, "PATCH", "/users/1", body)
    };
    assert_eq!(id, 1);
    for _ in 0..3 {
        guess().await.problem(Code::Forbidden);
    }
    guess().await.problem(Code::RateLimited);
}

#[tokio::test]
async fn of_one_address_only_so_many_passwords_are_tried_whatever_it_says_of_itself() {
    let attempts = |n: usize, from: Option<String>| {
        let body = json!({"name": format!("nobody {n}"), "password": "x"}).to_string();
        move |request: reqwest::RequestBuilder| {
            let request = request.header("content-type", "application/json").body(body);
            from.into_iter().fold(request, |request, from| request.header("x-forwarded-for", from))
        }
    };
    // Nobody is believed: all come from one address.
    let daemon = start(with(&[("auth.login_attempts", "1")])).await;
    for n in 0..10 {
        let from = Some(format!("192.0.2.{n}"));
        daemon.ask("POST", "/login", attempts(n, from)).await.problem(Code::LoginFailed);
    }
    let from = Some("192.0.2.99".to_owned());
    daemon.ask("POST", "/login", attempts(10, from)).await.problem(Code::RateLimited);
    // A proxy is: each of those it speaks for has their own, and what they add themselves does not count.
    let proxied = [("auth.login_attempts", "1"), ("http.trusted_proxies", "127.0.0.1")];
    let daemon = start(with(&proxied)).await;
    for n in 0..10 {
        let from = Some(format!("203.0.113.{n}, 192.0.2.1"));
        daemon.ask("POST", "/login", attempts(n, from)).await.problem(Code::LoginFailed);
    }
    let from = Some("203.0.113.99, 192.0.2.1".to_owned());
    daemon.ask("POST", "/login", attempts(10, from)).await.problem(Code::RateLimited);
    let from = Some("192.0.2.2".to_owned());
    daemon.ask("POST", "/login", attempts(11, from)).await.problem(Code::LoginFailed);
    assert!(daemon.action_lines().contains("(unknown user from 192.0.2.2)"), "{}", daemon.action_lines());
}

#[tokio::test]
async fn five_hundred_logins_at_once_are_all_answered_and_others_meanwhile() {
    // As dear as by default, in memory; in time a third.
    let price =
        [("auth.argon2_memory_kib", "19456"), ("auth.argon2_passes", "1"), ("auth.login_attempts", "10000")];
    let daemon = start(with(&price)).await;
    ann(&daemon).await;
    let login = |n: usize| {
        let password = if n.is_multiple_of(2) { PASSWORD } else { "wrong password" };
        try_login(&daemon, json!({"name": "Ann", "password": password}))
    };
    let all = futures_util::future::join_all((0..500).map(login));
    let others = async {
        let mut slowest = Duration::ZERO;
        for _ in 0..20 {
            let begun = Instant::now();
            daemon.get("/users").await.json(200);
            slowest = slowest.max(begun.elapsed());
        }
        slowest
    };
    let (answers, slowest) = tokio::join!(all, others);
    let mut counts = std::collections::BTreeMap::new();
    for (n, answer) in answers.iter().enumerate() {
        let allowed: &[u16] = if n % 2 == 0 { &[200, 503] } else { &[401, 503] };
        assert!(allowed.contains(&answer.status), "{n}: {}", answer.text());
        *counts.entry(answer.status).or_insert(0) += 1;
    }
    assert!(counts.get(&200).is_some_and(|logins| *logins > 20), "{counts:?}");
    assert!(slowest < Duration::from_secs(5), "others waited {slowest:?} for logins: {counts:?}");
}

#[tokio::test]
async fn a_password_is_hashed_anew_when_the_price_has_changed_and_no_session_ends_by_that() {
    let first = start(with(&[])).await;
    ann(&first).await;
    let who = json!({"name": "Ann", "password": PASSWORD});
    let cookie = first.log_in(&who).await;
    let kept = |daemon: &Daemon| {
        let url = format!("sqlite:{}", daemon.folder.path().join("gristmill.db").display());
        async move {
            let pool = sqlx::SqlitePool::connect(&url).await.unwrap();
            let kept: String =
                sqlx::query_scalar("SELECT password FROM users WHERE id = 1").fetch_one(&pool).await.unwrap();
            pool.close().await;
            kept
        }
    };
    let before = kept(&first).await;
    assert!(before.starts_with("$argon2id$v=19$m=8,t=1,p=1$"), "{before}");
    let folder = first.stop().await;
    let dearer = [("auth.argon2_memory_kib", "64"), ("auth.argon2_passes", "2")];
    let second = start(Wishes { folder: Some(folder), ..with(&dearer) }).await;
    assert_eq!(kept(&second).await, before, "nobody knows the password until it is typed");
    try_login(&second, json!({"name": "Ann", "password": "wrong password"})).await.problem(Code::LoginFailed);
    assert_eq!(kept(&second).await, before);
    // Both at once, and nobody is turned away.
    let (one, two) = tokio::join!(second.log_in(&who), second.log_in(&who));
    let after = kept(&second).await;
    assert!(after.starts_with("$argon2id$v=19$m=64,t=2,p=1$"), "{after}");
    for cookie in [cookie, one, two] {
        second.with_cookie(&cookie, "GET", "/tasks", json!(null)).await.json(200);
    }
    second.log_in(&who).await;
}

#[tokio::test]
async fn passwords_are_chosen_from_one_address_only_so_often() {
    let proxied = [("auth.passwords_per_address", "3"), ("http.trusted_proxies", "127.0.0.1")];
    let daemon = start(with(&proxied)).await;
    let from = |address: &'static str, password: Option<&'static str>| {
        let body = json!({"name": "Ann", "password": password});
        daemon.ask("POST", "/users", move |request| request.header("x-forwarded-for", address).json(&body))
    };
    for _ in 0..2 {
        from("192.0.2.1", Some(PASSWORD)).await.json(201);
    }
    let ann = from("192.0.2.1", Some(PASSWORD)).await.json(201);
    let refused = from("192.0.2.1", Some(PASSWORD)).await;
    let problem = refused.problem(Code::RateLimited);
    assert!(problem["detail"].as_str().unwrap().contains("auth.passwords_per_address"), "{problem}");
    let wait: u64 = refused.header("retry-after").parse().unwrap();
    assert!((200..=300).contains(&wait), "a third of a quarter of an hour: {wait}");
    // One in place of an old one counts as well, and neither who needs none, nor another address.
    let path = format!("/users/{}", ann["id"]);
    let token = ann["token"].as_str().unwrap();
    let change = |address: &'static str| {
        daemon.ask("PATCH", &path, move |request| {
            request
                .header("x-forwarded-for", address)
                .bearer_auth(token)
                .json(&json!({"password": "another horse"}))
        })
    };
    change("192.0.2.1").await.problem(Code::RateLimited);
    from("192.0.2.1", None).await.json(201);
    from("192.0.2.2", Some(PASSWORD)).await.json(201);
    change("192.0.2.2").await.json(200);
    assert_eq!(try_login(&daemon, json!({"id": ann["id"], "password": "another horse"})).await.status, 200);
}
