//! Acts on tasks: one by one, and on all that match.

use serde_json::{Value, json};

use crate::world::World;

#[test]
fn tasks_are_cancelled_tried_again_and_removed_each_with_its_own_answer() {
    let world = World::new();
    let (first, second) = (world.waiting().to_string(), world.waiting().to_string());
    world.run(&["submit", "--wait", "-q"]).done();
    let told = world.run(&["tasks", "cancel", &first, "99", "3", &second]);
    assert_eq!(told.out, "task 1: cancelled\ntask 2: cancelled\n");
    told.failed(1, &["there is no task 99", "(task_not_found)", "task 3 is Completed", "(status_forbids)"]);
    assert_eq!(world.run(&["tasks", "retry", &first]).done(), "task 1: ready again\n");
    let told = world.run(&["tasks", "retry", &second, "--json"]);
    assert_eq!(told.json()[0]["status"], "New", "{told:?}");
    let told = world.run(&["tasks", "delete", &first, &second, "--json"]);
    assert_eq!(told.json(), [json!({"id": 1, "status": "Deleted"}), json!({"id": 2, "status": "Deleted"})]);
    assert_eq!(world.run(&["tasks", "--json"]).json().len(), 1);
}

#[test]
fn all_that_match_are_acted_on_and_counted() {
    let world = World::new();
    let tasks: Vec<Value> = (0..120)
        .map(|n| json!({"kind": "resize", "tags": [if n % 2 == 0 { "even" } else { "odd" }]}))
        .collect();
    world.post("/tasks/batch", &json!(tasks));
    let told = world.run(&["tasks", "cancel", "--all-matching", "--tag", "even"]);
    assert_eq!(told.done(), "60 of 60 tasks: cancelled\n");
    let counted =
        |arguments: &[&str]| world.run(&[&["tasks", "--all", "--json"], arguments].concat()).json().len();
    assert_eq!((counted(&["--status", "cancelled"]), counted(&["--status", "new"])), (60, 60));
    let told = world.run(&["tasks", "retry", "--all-matching", "--status", "cancelled", "--json"]);
    assert_eq!(told.json(), [json!({"matched": 60, "changed": 60, "refused": 0})], "{told:?}");
    world.run(&["submit", "--wait", "-q"]).done();
    let refused = world.run(&["tasks", "cancel", "--all-matching", "--status", "completed"]);
    assert_eq!((refused.code, refused.out.as_str()), (Some(3), "0 of 1 tasks: cancelled; 1 could not be\n"));
    assert_eq!(
        world.run(&["tasks", "delete", "--all-matching", "--yes"]).done(),
        "121 of 121 tasks: deleted\n"
    );
    assert_eq!(counted(&[]), 0);
}

#[test]
fn kinds_are_listed_held_and_let_go_by_admins() {
    let world = World::new();
    let (_, admin) = world.user(&["--admin"]);
    let state = || -> Vec<(String, bool)> {
        let listed = world.run_as(&admin, &["kinds", "list", "--json"]);
        let kinds = listed.json();
        kinds
            .iter()
            .map(|kind| (kind["kind"].as_str().unwrap().to_owned(), kind["paused_at"].is_string()))
            .collect()
    };
    assert!(state().contains(&("noop".to_owned(), false)), "{:?}", state());
    let told = world.run_as(&admin, &["kinds", "pause", "noop", "resize"]);
    assert_eq!(told.done(), "noop: paused\nresize: paused\n");
    assert!(state().contains(&("noop".to_owned(), true)), "{:?}", state());
    world.run(&["submit", "-q"]).done();
    let table = world.run_as(&admin, &["kinds", "list"]).done();
    let noop = table.lines().find(|line| line.starts_with("noop")).unwrap();
    assert!(noop.contains("paused for ") && table.lines().next().unwrap().starts_with("KIND"), "{table}");
    assert_eq!(world.run(&["watch", "1", "--timeout", "1"]).code, Some(3), "it is held");
    let told = world.run_as(&admin, &["kinds", "resume", "noop", "nope", "--json"]);
    assert_eq!((told.code, &told.json()[0]["kind"]), (Some(1), &json!("noop")), "{told:?}");
    told.failed(1, &["nope", "(unknown_kind)"]);
    assert_eq!(world.run(&["watch", "1"]).code, Some(0), "it goes on");
}
