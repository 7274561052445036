//! `GET /tasks`: filters, order, pages.

use gristmill::http::Code;
use serde_json::{Value, json};

use crate::harness::{Daemon, Wishes, start};

async fn ids(daemon: &Daemon, query: &str) -> Vec<i64> {
    let list = daemon.get(&format!("/tasks{query}")).await.json(200);
    list.as_array().unwrap().iter().map(|task| task["id"].as_i64().unwrap()).collect()
}

async fn with_tasks(tasks: Value) -> Daemon {
    let daemon = start(Wishes { idle: true, ..Wishes::default() }).await;
    daemon.post("/tasks/batch", &tasks.to_string()).await.json(201);
    daemon
}

#[tokio::test]
async fn a_list_is_walked_page_by_page_without_a_gap_in_both_orders() {
    let daemon = with_tasks(json!(vec![json!({"tags": ["a b&c=ж"]}); 25])).await;
    for (order, expected) in
        [("id", (1..=25).collect::<Vec<i64>>()), ("-id", (1..=25).rev().collect::<Vec<i64>>())]
    {
        let mut seen = Vec::new();
        let mut path = format!("/tasks?limit=10&order={order}&tag=a+b%26c%3D%D0%B6");
        let mut pages = 0;
        loop {
            let page = daemon.get(&path).await;
            let list = page.json(200);
            seen.extend(list.as_array().unwrap().iter().map(|task| task["id"].as_i64().unwrap()));
            pages += 1;
            let link = page.header("link");
            if link.is_empty() {
                break;
            }
            let next = link.strip_prefix('<').and_then(|link| link.strip_suffix(">; rel=\"next\""));
            path = next.unwrap_or_else(|| panic!("{link}")).to_owned();
        }
        assert_eq!((seen, pages), (expected, 3));
    }
    assert_eq!(daemon.get("/tasks?limit=25").await.header("link"), "", "there is nothing behind the last");
    assert_eq!(ids(&daemon, "?after=20").await, [21, 22, 23, 24, 25]);
    assert_eq!(ids(&daemon, "?after=3&order=-id").await, [2, 1]);
    assert_eq!(ids(&daemon, "?after=9223372036854775807").await, [0; 0]);
}

#[tokio::test]
async fn a_list_shows_a_hundred_unless_asked_for_more() {
    let daemon = with_tasks(json!(vec![json!({}); 1001])).await;
    assert_eq!(ids(&daemon, "").await.len(), 100);
    assert_eq!(ids(&daemon, "?limit=1000").await.len(), 1000);
    assert_eq!(ids(&daemon, "?limit=1").await.len(), 1);
}

#[tokio::test]
async fn filters_narrow_the_list_and_can_be_combined() {
    let daemon = with_tasks(json!([
        {"tags": ["red"]},
        {"kind": "failing", "payload": {"because": "x"}, "tags": ["red", "blue"]},
        {"tags": ["blue"]},
    ]))
    .await;
    daemon.post("/tasks/1/cancel", "").await.json(200);
    let made = daemon.get("/tasks/2").await.json(200)["created_at"].as_str().unwrap().to_owned();
    for (query, expected) in [
        ("?status=New", vec![2, 3]),
        ("?status=Cancelled", vec![1]),
        ("?status=In%20Progress", vec![]),
        ("?status=In+Progress", vec![]),
        ("?kind=failing", vec![2]),
        ("?kind=nobody_has_it", vec![]),
        ("?tag=red", vec![1, 2]),
        ("?tag=red&status=New", vec![2]),
        (&format!("?created_from={made}"), vec![1, 2, 3]),
        (&format!("?created_before={made}"), vec![]),
        ("?created_from=2999-01-01T00:00:00Z", vec![]),
        ("?created_before=2999-01-01T00:00:00%2B03:00&order=-id", vec![3, 2, 1]),
    ] {
        assert_eq!(ids(&daemon, query).await, expected, "{query}");
    }
}

#[tokio::test]
async fn a_bad_parameter_is_named_with_what_was_expected() {
    let daemon = start(Wishes::default()).await;
    for (query, field, expected) in [
        ("status=Done", "status", "`In Progress`"),
        ("status=new", "status", "`New`"),
        ("kind=No", "kind", "a small letter"),
        ("tag=", "tag", "1 to 64 bytes"),
        ("tag=a%00", "tag", "control"),
        ("created_from=yesterday", "created_from", "RFC 3339"),
        ("created_before=5", "created_before", "RFC 3339"),
        ("order=name", "order", "`-id`"),
        ("limit=0", "limit", "from 1 to 1000"),
        ("limit=1001", "limit", "from 1 to 1000"),
        ("limit=-1", "limit", "from 1 to 1000"),
        ("limit=ten", "limit", "from 1 to 1000"),
        ("after=0", "after", "from 1 to 9223372036854775807"),
        ("after=x", "after", "from 1 to 9223372036854775807"),
        ("limit=1&limit=2", "limit", "twice"),
        ("offset=10", "offset", "no such parameter"),
    ] {
        let problem = daemon.get(&format!("/tasks?{query}")).await.problem(Code::InvalidParameter);
        assert_eq!(problem["field"], field, "{problem}");
        assert!(problem["errors"][0]["problem"].as_str().unwrap().contains(expected), "{problem}");
    }
}

#[tokio::test]
async fn a_page_carries_no_more_than_8_mib_and_the_rest_is_on_the_next() {
    let text = "x".repeat((256 << 10) - 2);
    let daemon = with_tasks(json!(vec![json!({"payload": text}); 40])).await;
    let (mut path, mut seen, mut pages) = ("/tasks?limit=1000".to_owned(), Vec::new(), Vec::new());
    loop {
        let page = daemon.get(&path).await;
        assert!(page.body.len() < 9 << 20, "{}", page.body.len());
        let list = page.json(200);
        let list = list.as_array().unwrap();
        seen.extend(list.iter().map(|task| task["id"].as_i64().unwrap()));
        pages.push(list.len());
        match page.header("link").strip_prefix('<').and_then(|link| link.split_once('>')) {
            Some((next, _)) => path = next.to_owned(),
            None => break,
        }
    }
    assert_eq!((seen, pages), ((1..=40).collect(), vec![32, 8]));
}
