//! Backups that the daemon makes by itself, and who may ask for one.

use serde_json::{Value, json};

use crate::common::{Engine, eventually};
use crate::place::{Daemon, Place, begun};

async fn tasks(daemon: &Daemon, operator: &str) -> Vec<Value> {
    let (status, tasks) = daemon.get_as(operator, "/tasks?kind=backup&limit=100").await;
    assert_eq!(status, 200, "{tasks}");
    tasks.as_array().unwrap().clone()
}

async fn ended(daemon: &Daemon, operator: &str, count: usize) -> Vec<Value> {
    eventually("the backup is made", || async {
        let tasks = tasks(daemon, operator).await;
        assert!(tasks.iter().all(|task| task["status"] != "Failed"), "{tasks:?}");
        (tasks.len() == count && tasks.iter().all(|task| task["status"] == "Completed")).then_some(tasks)
    })
    .await
}

fn metric(text: &str, name: &str) -> f64 {
    let line = text.lines().find(|line| line.starts_with(&format!("{name} "))).unwrap();
    line.rsplit_once(' ').unwrap().1.parse().unwrap()
}

async fn scheduled(engine: Engine) {
    let place = Place::new(engine).await.with("BACKUP__EVERY_H", 24);
    let daemon = place.daemon().await;
    let operator = daemon.operator(&place);
    let made = ended(&daemon, &operator, 1).await;
    let names = begun(&place.shelf);
    assert_eq!(names.len(), 1);
    assert_eq!(made[0]["result"]["name"], names[0].as_str());
    assert!(made[0]["result"]["rows"].as_u64().unwrap() > 0, "{}", made[0]);
    let (_, Value::String(metrics)) = daemon.get_as(&operator, "/metrics").await else {
        panic!("no metrics")
    };
    assert!(metric(&metrics, "gristmill_backup_newest_timestamp_seconds") > 1.7e9, "{metrics}");
    assert!(metric(&metrics, "gristmill_backup_newest_bytes") > 100.0);
    assert!((metric(&metrics, "gristmill_backup_interval_seconds") - 86_400.0).abs() < 1.0);
    assert!(metric(&metrics, "gristmill_backup_failures_total").abs() < 0.1);

    // It is nobody's to see or to touch but the admins'.
    let path = format!("/tasks/{}", made[0]["id"]);
    let user = daemon.user("ann").await;
    assert_eq!(daemon.get(&path).await.0, 404);
    assert_eq!(daemon.get_as(&user.1, &path).await.0, 404);
    assert_eq!(daemon.delete(&path).await.0, 404);
    assert_eq!(daemon.get_as(&operator, &path).await.0, 200);
    let (status, refused) = daemon.post("/tasks", json!({"kind": "backup"})).await;
    assert_eq!(status, 403, "{refused}");
    assert_eq!(daemon.post_as(&user.1, "/tasks", json!({"kind": "backup"})).await.0, 403);
    let (status, wrong) =
        daemon.post_as(&operator, "/tasks", json!({"kind": "backup", "payload": {"to": "/etc"}})).await;
    assert_eq!(status, 422, "{wrong}");
    daemon.drain().await;

    // The same day again: it was made. An admin may have one more.
    let daemon = place.daemon().await;
    let operator = daemon.operator(&place);
    let (status, asked) = daemon.post_as(&operator, "/tasks", json!({"kind": "backup"})).await;
    assert_eq!(status, 201, "{asked}");
    ended(&daemon, &operator, 2).await;
    eventually("the schedule was looked at", || async {
        daemon.log().contains("this node cleans up for all").then_some(())
    })
    .await;
    assert_eq!(tasks(&daemon, &operator).await.len(), 2);
    assert_eq!(begun(&place.shelf).len(), 2);
    daemon.drain().await;

    // What a restored installation remembers is the schedule as well; the task that made the backup runs again.
    let new = place.beside(engine).await;
    new.json(&["restore", &place.shelf.display().to_string(), "--name", &begun(&place.shelf)[0]]);
    let daemon = new.daemon().await;
    let operator = daemon.operator(&new);
    let again = ended(&daemon, &operator, 1).await;
    assert_eq!((&again[0]["id"], &again[0]["crashes"]), (&made[0]["id"], &json!(0)), "{}", again[0]);
    daemon.drain().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slot_has_one_backup_which_only_admins_see_on_sqlite() {
    scheduled(Engine::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slot_has_one_backup_which_only_admins_see_on_postgres() {
    scheduled(Engine::Postgres).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_that_cannot_be_made_is_a_task_that_failed() {
    let place = Place::new(Engine::Sqlite).await.with("TASKS__RETRY_BASE_S", 0.01);
    // A file is where the folder should be.
    std::fs::write(&place.shelf, "in the way").unwrap();
    let daemon = place.daemon().await;
    let operator = daemon.operator(&place);
    let (_, asked) = daemon.post_as(&operator, "/tasks", json!({"kind": "backup", "max_attempts": 2})).await;
    let path = format!("/tasks/{}", asked["id"]);
    let failed = eventually("it fails", || async {
        let (_, task) = daemon.get_as(&operator, &path).await;
        (task["status"] == "Failed").then_some(task)
    })
    .await;
    assert!(failed["error"].to_string().contains("cannot make"), "{failed}");
    let (_, Value::String(metrics)) = daemon.get_as(&operator, "/metrics").await else {
        panic!("no metrics")
    };
    assert!((metric(&metrics, "gristmill_backup_failures_total") - 2.0).abs() < 0.1);
    daemon.drain().await;
}
