//! A network that misbehaves: it stands between the daemon and a server, and swallows, or drops what a test picks.

#![allow(
    dead_code,
    unreachable_pub,
    clippy::allow_attributes,
    reason = "each test binary uses a part of this"
)]

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};

/// Decides over a frame of AMQP (type, channel, body) on its way from the server: whether it goes on.
pub type Sieve = Arc<dyn Fn(u8, &[u8]) -> bool + Send + Sync>;

/// The way to a server.
#[derive(Clone)]
pub struct Proxy {
    pub address: SocketAddr,
    /// Connections up to this number are swallowed: nothing passes, nothing is closed.
    swallowed: Arc<AtomicU64>,
    opened: Arc<AtomicU64>,
    /// New connections are accepted, and get no answer.
    silent: Arc<AtomicBool>,
    sieve: Option<Sieve>,
}

impl Proxy {
    pub async fn before(upstream: String) -> Self {
        Self::with_sieve(upstream, None).await
    }

    pub async fn with_sieve(upstream: String, sieve: Option<Sieve>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let proxy = Self {
            address: listener.local_addr().unwrap(),
            swallowed: Arc::default(),
            opened: Arc::default(),
            silent: Arc::default(),
            sieve,
        };
        let this = proxy.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let number = this.opened.fetch_add(1, Ordering::SeqCst) + 1;
                if this.silent.load(Ordering::SeqCst) {
                    tokio::spawn(async move {
                        let _held = client;
                        std::future::pending::<()>().await;
                    });
                    continue;
                }
                let Ok(server) = TcpStream::connect(&upstream).await else { continue };
                let (from_client, to_client) = client.into_split();
                let (from_server, to_server) = server.into_split();
                tokio::spawn(this.clone().pump(number, from_client, to_server));
                if this.sieve.is_some() {
                    tokio::spawn(this.clone().sift(number, from_server, to_client));
                } else {
                    tokio::spawn(this.clone().pump(number, from_server, to_client));
                }
            }
        });
        proxy
    }

    /// From now on nothing passes on the connections that are open; both ends stay open.
    pub fn swallow_what_is_open(&self) {
        self.swallowed.store(self.opened.load(Ordering::SeqCst), Ordering::SeqCst);
    }

    /// Whether new connections get no answer.
    pub fn set_silent(&self, silent: bool) {
        self.silent.store(silent, Ordering::SeqCst);
    }

    /// Connections made so far.
    pub fn opened(&self) -> u64 {
        self.opened.load(Ordering::SeqCst)
    }

    fn is_swallowed(&self, number: u64) -> bool {
        number <= self.swallowed.load(Ordering::SeqCst)
    }

    async fn pump(self, number: u64, mut from: OwnedReadHalf, mut to: OwnedWriteHalf) {
        let mut buffer = vec![0; 64 * 1024];
        while let Ok(read) = from.read(&mut buffer).await {
            if self.is_swallowed(number) {
                // Both ends stay open, in the hands of nobody.
                return std::future::pending().await;
            }
            if read == 0 || to.write_all(&buffer[..read]).await.is_err() {
                return;
            }
        }
    }

    /// Frame by frame: type, channel (2 bytes), size (4), that many, an end mark.
    async fn sift(self, number: u64, mut from: OwnedReadHalf, mut to: OwnedWriteHalf) {
        let sieve = self.sieve.clone().expect("called with one");
        let mut head = [0; 7];
        while from.read_exact(&mut head).await.is_ok() {
            let size = u32::from_be_bytes([head[3], head[4], head[5], head[6]]) as usize;
            let mut body = vec![0; size + 1];
            if from.read_exact(&mut body).await.is_err() {
                return;
            }
            if self.is_swallowed(number) {
                return std::future::pending().await;
            }
            if sieve(head[0], &body[..size])
                && (to.write_all(&head).await.is_err() || to.write_all(&body).await.is_err())
            {
                return;
            }
        }
    }
}
