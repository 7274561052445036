//! A network that swallows: connections that are open, and answer nothing any more.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::common::{eventually, fresh_postgres_database};
use crate::harness::{Daemon, on_system};

/// Stands between the daemon and its database.
#[derive(Clone)]
struct Proxy {
    address: SocketAddr,
    /// Connections from before this are swallowed: nothing passes, nothing is closed.
    swallowed: Arc<AtomicU64>,
    opened: Arc<AtomicU64>,
}

impl Proxy {
    async fn before(upstream: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let proxy = Self {
            address: listener.local_addr().unwrap(),
            swallowed: Arc::default(),
            opened: Arc::default(),
        };
        let this = proxy.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let number = this.opened.fetch_add(1, Ordering::SeqCst) + 1;
                let server = TcpStream::connect(&upstream).await.unwrap();
                let (from_client, to_client) = client.into_split();
                let (from_server, to_server) = server.into_split();
                tokio::spawn(this.clone().pump(number, from_client, to_server));
                tokio::spawn(this.clone().pump(number, from_server, to_client));
            }
        });
        proxy
    }

    async fn pump(
        self,
        number: u64,
        mut from: tokio::net::tcp::OwnedReadHalf,
        mut to: tokio::net::tcp::OwnedWriteHalf,
    ) {
        let mut buffer = vec![0; 64 * 1024];
        while let Ok(read) = from.read(&mut buffer).await {
            if number <= self.swallowed.load(Ordering::SeqCst) {
                // Both ends stay open, in the hands of nobody.
                return std::future::pending().await;
            }
            if read == 0 || to.write_all(&buffer[..read]).await.is_err() {
                return;
            }
        }
    }

    fn swallow_what_is_open(&self) {
        self.swallowed.store(self.opened.load(Ordering::SeqCst), Ordering::SeqCst);
    }
}

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
