//! Backups of other schemas than this program's.

use std::fs;

use serde_json::Value;

use crate::common::Engine;
use crate::place::{Place, digest, sums};

/// Writes a manifest as another program would have, with its digest.
fn rewrite(place: &Place, name: &str, change: impl FnOnce(&mut Value)) {
    let file = place.shelf.join(name).join("manifest.json");
    let text = fs::read_to_string(&file).unwrap();
    let (_, backup) = text.trim_end().split_once("\"backup\":").unwrap();
    let mut backup: Value = serde_json::from_str(backup.strip_suffix('}').unwrap()).unwrap();
    change(&mut backup);
    let backup = backup.to_string();
    let sealed = format!("{{\"sha256\":\"{}\",\"backup\":{backup}}}\n", digest(backup.as_bytes()));
    fs::write(file, sealed).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_of_an_older_schema_is_restored_and_brought_up_to_date() {
    for engine in Engine::ALL {
        let place = Place::new(engine).await;
        let daemon = place.daemon().await;
        daemon.user("ann").await;
        daemon.drain().await;
        let name = place.json(&["backup"])["name"].as_str().unwrap().to_owned();
        let before = sums(&place.manifest(&name));
        // Schema 8 had all tables that are saved but the marks, and no `holds`.
        rewrite(&place, &name, |manifest| {
            manifest["schema"] = 8.into();
            manifest["tables"].as_array_mut().unwrap().retain(|table| table["table"] != "marks");
        });
        let new = place.beside(engine).await;
        let shelf = place.shelf.display().to_string();
        new.json(&["restore", &shelf]);
        let (found, known) = new.archive().schema().await.unwrap();
        assert_eq!(found, Some(known));
        let again = new.json(&["backup"])["name"].as_str().unwrap().to_owned();
        assert_eq!(sums(&new.manifest(&again)), before);
        fs::remove_dir_all(place.shelf.join(&again)).unwrap();

        rewrite(&place, &name, |manifest| manifest["schema"] = 9999.into());
        let new = place.beside(engine).await;
        let problem = new.fails(&["restore", &shelf], 1);
        assert!(problem.contains("has schema 9999, this program knows"), "{problem}");

        // One that names what no program of ours has is none.
        rewrite(&place, &name, |manifest| manifest["tables"][0]["table"] = "users; DROP TABLE tasks".into());
        let problem = new.fails(&["restore", &shelf, "--name", &name], 1);
        assert!(problem.contains("names that are none"), "{problem}");
        for (pointer, other) in [
            ("/tables/0/table", "holds"),
            ("/tables/0/table", "tasks"),
            ("/tables/0/columns/1/name", "until"),
        ] {
            let file = place.shelf.join(&name).join("manifest.json");
            rewrite(&place, &name, |manifest| {
                manifest["schema"] = 8.into();
                manifest["tables"][0]["table"] = "users".into();
                *manifest.pointer_mut(pointer).unwrap() = other.into();
            });
            let problem = new.fails(&["restore", &shelf, "--name", &name], 1);
            assert!(problem.contains("not written by this program"), "{}: {problem}", file.display());
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_of_another_schema_is_saved_by_the_program_that_made_it() {
    use sqlx::{Connection as _, SqliteConnection};
    let place = Place::new(Engine::Sqlite).await;
    place.run(&["migrate"]);
    let mut sqlite = SqliteConnection::connect(&place.database_url()).await.unwrap();
    let newer = "UPDATE _sqlx_migrations SET version = 9999 WHERE version = (SELECT max(version) FROM _sqlx_migrations)";
    sqlx::query(newer).execute(&mut sqlite).await.unwrap();
    sqlite.close().await.unwrap();
    let problem = place.fails(&["backup"], 1);
    assert!(problem.contains("has schema 9999") && problem.contains("run that one's backup"), "{problem}");
}
