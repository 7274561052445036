//! A network that swallows: connections that are open, and answer nothing any more.

use serde_json::json;

use crate::common::proxy::Proxy;
use crate::common::{eventually, fresh_postgres_database};
use crate::harness::{Daemon, on_system};

#[test]
fn connections_that_answer_nothing_any_more_are_given_up_and_made_anew() {
    on_system(async || {
        let folder = tempfile::tempdir().unwrap();
        let url = fresh_postgres_database().await;
        let (login, rest) = url.split_once('@').unwrap();
        let (host, database) = rest.split_once('/').unwrap();
        let proxy = Proxy::before(host.to_owned()).await;
        let url = format!("{login}@{}/{database}", proxy.address);
        let wishes = [("DATABASE__URL", url.as_str()), ("DATABASE__STATEMENT_TIMEOUT_S", "1")];
        let daemon = Daemon::start(folder.path(), &wishes).await;
        daemon.still_works().await;
        for _ in 0..2 {
            proxy.swallow_what_is_open();
            // Writing and reading both come back, each after its own patience, and without a restart.
            let id = eventually("a task to be accepted again", async || {
                let answer = daemon.post("/tasks", &json!({ "kind": "chaos", "payload": "ok" })).await;
                answer["id"].as_i64()
            })
            .await;
            daemon.until(id, "Completed").await;
            eventually("the daemon to be ready", async || daemon.app.health().is_ready().then_some(())).await;
        }
        daemon.app.drain().await;
    });
}
