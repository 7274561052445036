//! From one database to the other, and back.

use serde_json::{Value, json};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _};

use crate::common::{Engine, eventually};
use crate::place::{Place, said, sums};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_are_the_same_whichever_database_they_come_from() {
    let place = Place::new(Engine::Sqlite).await;
    let daemon = place.daemon().await;
    let user = daemon.user("ann").await;
    daemon.record(&user, 600.0).await;
    daemon.picture(3).await;
    // Texts that databases sort and write in ways of their own.
    let odd = json!({"payload": {"text": "ж \u{1F98B} \"'\\ \u{7f} %_ \u{a0}", "number": 9_223_372_036_854_775_807_i64},
        "kind": "noop", "tags": ["Zebra", "apple", "Äpfel", "10", "9", "_"]});
    assert_eq!(daemon.post("/tasks", odd).await.0, 201);
    daemon.drain().await;
    let name = |made: &Value| made["name"].as_str().unwrap().to_owned();
    let first = name(&place.json(&["backup"]));
    let shelf = place.shelf.display().to_string();

    let postgres = place.beside(Engine::Postgres).await;
    postgres.json(&["restore", &shelf, "--name", &first]);
    let second = name(&postgres.json(&["backup"]));
    let sqlite = place.beside(Engine::Sqlite).await;
    sqlite.json(&["restore", &shelf, "--name", &second]);
    let third = name(&sqlite.json(&["backup"]));
    let of = |name: &str| sums(&place.manifest(name));
    assert!(of(&first).iter().map(|table| table.1).sum::<u64>() > 20);
    assert_eq!(of(&first), of(&second), "SQLite to PostgreSQL");
    assert_eq!(of(&second), of(&third), "and back");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_installation_moves_to_postgres_and_goes_on_there() {
    let place = Place::new(Engine::Sqlite).await;
    let daemon = place.daemon().await;
    let user = daemon.user("ann").await;
    let recording = daemon.record(&user, 700.0).await;
    let target = Place::new(Engine::Postgres).await;
    let url = target.database_url();
    let running = place.fails(&["migrate", "--to", &url], 1);
    assert!(running.contains("is the data folder of another gristmill process"), "{running}");
    let (_, last) = daemon.post("/tasks", json!({})).await;
    daemon.drain().await;
    let nothing = place.fails(&["migrate", "--to", "-"], 2);
    assert!(nothing.contains("--to"), "{nothing}");
    let wrong = place.fails(&["migrate", "--to", "sqlite:other.db"], 2);
    assert!(wrong.contains("it moves to PostgreSQL only"), "{wrong}");

    // As on the command line, but for nobody else to see.
    let file = place.path().join("address");
    std::fs::write(&file, format!("{url}\n")).unwrap();
    let mut command = place.command(&["migrate", "--to", "-"]);
    let output = command.stdin(std::fs::File::open(&file).unwrap()).output().unwrap();
    let told = said(&output);
    assert!(output.status.success() && told.contains("database.url"), "{told}");
    assert!(!told.contains("hunter2"), "{told}");
    let full = place.fails(&["migrate", "--to", &url], 1);
    assert!(full.contains("is not empty"), "{full}");

    // As the settings are changed: the same folder and blobs, the other database.
    let name = place.json(&["backup"])["name"].as_str().unwrap().to_owned();
    let before = sums(&place.manifest(&name));
    let moved = place.with("DATABASE__URL", &url);
    let name = moved.json(&["backup"])["name"].as_str().unwrap().to_owned();
    assert_eq!(sums(&moved.manifest(&name)), before);
    let daemon = moved.daemon().await;
    assert_eq!(daemon.get_as(&user.1, &format!("/users/{}", user.0)).await.0, 200);
    let link = recording["url"].as_str().unwrap();
    assert_eq!(daemon.bytes(&link[link.find("/record").unwrap()..]).await.0, 200);
    let (_, next) = daemon.post("/tasks", json!({})).await;
    assert_eq!(next["id"].as_i64().unwrap(), last["id"].as_i64().unwrap() + 1);
    daemon.drain().await;
    let already = moved.fails(&["migrate", "--to", &url], 2);
    assert!(already.contains("PostgreSQL already"), "{already}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_database_that_was_left_removes_no_blob_until_somebody_says_that_it_may() {
    let place = Place::new(Engine::Sqlite).await;
    let daemon = place.daemon().await;
    daemon.picture(1).await;
    daemon.drain().await;
    let (left, target) = (place.database_url(), Place::new(Engine::Postgres).await);
    let moved = place.json(&["migrate", "--to", &target.database_url()]);
    assert!(moved["rows"].as_u64().unwrap() > 0, "{moved}");
    let place = place.with("DATABASE__URL", target.database_url());
    let daemon = place.daemon().await;
    daemon.picture(2).await;
    daemon.drain().await;
    assert_eq!(place.sound_blobs(), 2);
    place.age_blobs();
    // Where the rows are, nothing keeps the sweep from what nobody names.
    assert_eq!(place.json(&["gc"])["held_by"], Value::Null);

    // By mistake, with the settings from before the move.
    let place = place.with("DATABASE__URL", left);
    let daemon = place.daemon().await;
    assert!(daemon.log().contains("what happens here from now on"), "{}", daemon.log());
    eventually("the sweep waits", || async {
        daemon.log().contains("are named there; none is removed").then_some(())
    })
    .await;
    daemon.drain().await;
    let output = place.run(&["gc", "--json"]);
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        (output.status.code(), &told["held_by"]),
        (Some(1), &json!("moved_away")),
        "{}",
        said(&output)
    );
    assert!(said(&output).contains("docs/backups.md"), "{}", said(&output));
    assert_eq!(place.sound_blobs(), 2);

    // The mark is about that one file: neither what is moved nor what is restored from it has one.
    let again = Place::new(Engine::Postgres).await;
    place.json(&["migrate", "--to", &again.database_url()]);
    let name = place.json(&["backup"])["name"].as_str().unwrap().to_owned();
    let restored = Place::new(Engine::Sqlite).await;
    restored.json(&["restore", &place.shelf.display().to_string(), "--name", &name]);
    for other in [&again, &restored] {
        assert_eq!(other.json(&["gc"])["held_by"], Value::Null);
    }

    let file = place.path().join("gristmill.db");
    let mut connection = SqliteConnectOptions::new().filename(file).connect().await.unwrap();
    let lifted = sqlx::query("DELETE FROM marks WHERE name = 'moved_away'").execute(&mut connection).await;
    assert_eq!(lifted.unwrap().rows_affected(), 1);
    connection.close().await.unwrap();
    assert_eq!(place.json(&["gc"])["blobs"]["count"], 1);
    assert_eq!(place.sound_blobs(), 1);
}
