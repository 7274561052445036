//! What those who run the daemon do on its pages: retry, many at once, all that match, pause a kind; live all the while.

use serde_json::{Value, json};

use crate::browser::Browser;
use crate::common::eventually;
use crate::look;
use crate::world::{Someone, World};

/// A daemon with an admin, who is logged in, and a user with so many tasks that failed.
async fn world_with(failed: usize) -> (World, Browser, Someone, Someone, Vec<i64>) {
    let (world, browser) = (World::start(), Browser::start().await);
    let (admin, user) = (world.admin("Oscar").await, world.someone("Ann").await);
    let mut ids = Vec::new();
    for _ in 0..failed {
        let task = world.post("/tasks", &json!({"kind": "manual", "tags": ["mine"]}), Some(&user)).await;
        let id = task["id"].as_i64().unwrap();
        let held = world.post("/tasks/claim", &json!({"id": id}), Some(&user)).await;
        let story = json!({"attempt": held["attempt"], "message": "no", "retry": false});
        world.post(&format!("/tasks/{id}/fail"), &story, Some(&user)).await;
        ids.push(id);
    }
    world.let_in(&browser, &admin).await;
    (world, browser, admin, user, ids)
}

async fn calm(browser: &Browser, world: &World) {
    assert_eq!(look::trouble(browser.heard().await, world), Vec::<String>::new());
}

/// Waits until each of these tasks has that status.
async fn all_are(world: &World, who: &Someone, ids: &[i64], status: &str) {
    for id in ids {
        eventually(&format!("task {id} is {status}"), || async {
            let task: Value = world.get(&format!("/tasks/{id}"), Some(who)).await;
            (task["status"] == status).then_some(())
        })
        .await;
    }
}

#[tokio::test]
async fn an_admin_retries_one_some_and_all_that_match_with_and_without_scripts() {
    for scripts in [true, false] {
        let (world, browser, _, user, ids) = world_with(4).await;
        browser.scripts(scripts).await;
        browser.open(&world.at("/admin/tasks?status=Failed")).await;
        browser.click(&format!("button[value='retry:{}']", ids[0])).await;
        all_are(&world, &user, &ids[..1], "New").await;
        browser.open(&world.at("/admin/tasks?status=Failed")).await;
        browser.click(&format!("input[name=id][value='{}']", ids[1])).await;
        browser.click("button[name=act][value=retry]").await;
        all_are(&world, &user, &ids[1..2], "New").await;
        all_are(&world, &user, &ids[2..], "Failed").await;
        browser.open(&world.at("/admin/tasks?status=Failed&tag=mine")).await;
        browser.click("button[name=all][value=retry]").await;
        browser.click("main form button[name=confirmed]").await;
        all_are(&world, &user, &ids, "New").await;
        calm(&browser, &world).await;
    }
}

#[tokio::test]
async fn an_admin_pauses_a_kind_and_lets_it_go_on() {
    let (world, browser, _, user, _) = world_with(0).await;
    browser.open(&world.at("/admin/kinds")).await;
    browser.click("form[action='/admin/kinds/noop/pause'] button").await;
    browser.one("form[action='/admin/kinds/noop/resume']").await;
    let task = world.post("/tasks", &json!({}), Some(&user)).await["id"].as_i64().unwrap();
    browser.click("form[action='/admin/kinds/noop/resume'] button").await;
    browser.one("form[action='/admin/kinds/noop/pause']").await;
    all_are(&world, &user, &[task], "Completed").await;
    calm(&browser, &world).await;
}

#[tokio::test]
async fn the_list_of_tasks_lives_and_keeps_what_is_ticked() {
    let (world, browser, _, user, ids) = world_with(2).await;
    browser.open(&world.at("/admin/tasks")).await;
    browser.run("window.stayed = true", json!([])).await;
    let box_of = format!("input[name=id][value='{}']", ids[0]);
    browser.click(&box_of).await;
    // What has the focus is not replaced.
    browser.run("document.activeElement.blur()", json!([])).await;
    let task = world.post("/tasks", &json!({"kind": "manual"}), Some(&user)).await["id"].clone();
    browser.one(&format!("#lines a[href='/tasks/{task}']")).await;
    let told =
        browser.run("return [stayed, document.querySelector(arguments[0]).checked]", json!([box_of])).await;
    assert_eq!(told, json!([true, true]), "loaded again, or not ticked any more");
    calm(&browser, &world).await;
}

#[tokio::test]
async fn the_pages_of_admins_are_for_admins() {
    let (world, browser) = (World::start(), Browser::start().await);
    let user = world.someone("Ann").await;
    world.let_in(&browser, &user).await;
    for path in ["/admin", "/admin/tasks", "/admin/users", "/admin/storage"] {
        browser.open(&world.at(path)).await;
        let status = "return performance.getEntriesByType('navigation')[0].responseStatus";
        assert_eq!(browser.run(status, json!([])).await, 403, "{path}");
    }
}
