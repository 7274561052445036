//! Where the broker is, and one attempt to connect to it.
//!
//! Called by `link.rs` only. True here: an attempt ends within its time limit whatever the other side does, and leaves
//! no thread and no socket behind; no text that leaves this file holds the password, nor the user.

use std::fmt;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::os::fd::{AsFd, AsRawFd};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_rs::traits::Reactor;
use async_rs::util::RuntimeParts;
use async_rs::{Runtime, Tokio};
use futures_util::Stream;
use futures_util::io::{AsyncRead, AsyncWrite};
use lapin::tcp::{AsyncTcpStream, OwnedTLSConfig};
use lapin::uri::{AMQPAuthority, AMQPQueryString, AMQPScheme, AMQPUri, AMQPUserInfo};
use lapin::{Connection, ConnectionProperties, ErrorKind};
use tokio::net::lookup_host;
use tokio::time::timeout;

use super::repair::Repaired;
use crate::config::BrokerSettings;

/// A file that the settings name cannot be used: the daemon does not start.
#[derive(Debug, thiserror::Error)]
pub enum BrokerFileError {
    /// The file of the password cannot be read.
    #[error("broker.password_file {path}: {source}: give a file that this user may read", path = path.display())]
    Password {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file of the password holds none.
    #[error("broker.password_file {path} is empty: write the password into it", path = path.display())]
    EmptyPassword {
        /// Which.
        path: PathBuf,
    },
    /// The certificates cannot be read.
    #[error("broker.ca_file {path}: {source}: give a file of PEM certificates", path = path.display())]
    Certificates {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

/// The broker's address and our credentials.
pub(super) struct Endpoint {
    uri: AMQPUri,
    tls: OwnedTLSConfig,
    patience: Duration,
    /// `host:port`.
    shown: String,
}

impl Endpoint {
    /// What the settings say; `None` if they name no broker.
    pub(super) fn new(settings: &BrokerSettings) -> Result<Option<Self>, BrokerFileError> {
        let Some(url) = &settings.url else { return Ok(None) };
        let password = match (&settings.password_file, url.password()) {
            (Some(path), _) => read_password(path)?,
            (None, Some(password)) => password.to_owned(),
            // RabbitMQ's own first user.
            (None, None) => "guest".to_owned(),
        };
        let cert_chain = settings.ca_file.as_deref().map(read_certificates).transpose()?;
        let host = if url.host().contains(':') { format!("[{}]", url.host()) } else { url.host().to_owned() };
        Ok(Some(Self {
            uri: AMQPUri {
                scheme: if url.tls() { AMQPScheme::AMQPS } else { AMQPScheme::AMQP },
                authority: AMQPAuthority {
                    userinfo: AMQPUserInfo { username: url.user().to_owned(), password },
                    host: url.host().to_owned(),
                    port: url.port(),
                },
                vhost: url.vhost().to_owned(),
                query: AMQPQueryString {
                    heartbeat: Some(settings.heartbeat_s),
                    ..AMQPQueryString::default()
                },
            },
            tls: OwnedTLSConfig { identity: None, cert_chain },
            patience: settings.connect_timeout,
            shown: format!("{host}:{}", url.port()),
        }))
    }

    /// Connects once.
    pub(super) async fn connect(&self, name: &str) -> Result<(Connection, Socket), String> {
        let runtime = Runtime::new(RuntimeParts::new(Tokio::current(), Repairing(Tokio::current())));
        let socket = Socket::default();
        let (kept, tls, patience) = (socket.clone(), self.tls.clone(), self.patience);
        let tokio = Tokio::current();
        // On a thread of lapin's own. Without its own limit it would wait as long as the kernel does.
        let open = async move |uri: AMQPUri, _| {
            let opening = async {
                let host = uri.authority.host.clone();
                let addresses: Vec<SocketAddr> =
                    lookup_host((host.as_str(), uri.authority.port)).await?.collect();
                let stream = AsyncTcpStream::connect(&tokio, addresses).await?;
                if let AsyncTcpStream::Plain(plain) = &stream {
                    kept.keep(plain.get_ref())?;
                }
                let stream = match uri.scheme {
                    AMQPScheme::AMQP => stream,
                    AMQPScheme::AMQPS => stream.into_tls(&host, tls.as_ref()).await?,
                };
                // Plain as lapin sees it: what is encrypted is so below the repair.
                Ok(AsyncTcpStream::Plain(Repaired::new(stream)))
            };
            let opened = timeout(patience, opening).await.unwrap_or_else(|_| Err(too_late(patience)));
            opened.map_err(lapin::Error::from)
        };
        let properties = ConnectionProperties::default()
            .with_connection_name(format!("gristmill {name}").as_str().into())
            .with_client_property("product".into(), "gristmill".into())
            .with_client_property("version".into(), env!("CARGO_PKG_VERSION").into());
        let connecting = Connection::connector(self.uri.clone(), runtime, open, properties);
        let connected = match timeout(self.patience, connecting).await {
            Ok(Ok(connection)) => return Ok((connection, socket)),
            Ok(Err(error)) => self.told(&error),
            Err(_) => self.in_place(&too_late(self.patience).to_string()),
        };
        socket.shut();
        Err(connected)
    }

    /// An error for people: with the place, without who was refused.
    pub(super) fn told(&self, error: &lapin::Error) -> String {
        let text = if let ErrorKind::IOError(error) = error.kind() {
            error.to_string()
        } else if let ErrorKind::ProtocolError(error) = error.kind() {
            error.get_message().to_string()
        } else {
            error.to_string()
        };
        self.in_place(&text)
    }

    /// A reason with the place before it.
    pub(super) fn in_place(&self, reason: &str) -> String {
        format!("{}: {}", self.shown, self.scrubbed(reason))
    }

    /// Without the user and the password, should the broker repeat them.
    fn scrubbed(&self, text: &str) -> String {
        let AMQPUserInfo { username, password } = &self.uri.authority.userinfo;
        let text = text.replace(&format!("user '{username}'"), "this user");
        // A short one stands in words by chance; the broker itself never repeats a password.
        if password.len() >= 4 { text.replace(password.as_str(), "***") } else { text }
    }

    /// `host:port`.
    pub(super) fn shown(&self) -> &str {
        &self.shown
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Endpoint({})", self.shown)
    }
}

/// Tokio, but for the type of the streams.
#[derive(Debug, Clone)]
struct Repairing(Tokio);

impl Reactor for Repairing {
    type TcpStream = Repaired<AsyncTcpStream<<Tokio as Reactor>::TcpStream>>;
    type Sleep = <Tokio as Reactor>::Sleep;

    fn register<H: Read + Write + AsFd + AsRawFd + Send + 'static>(
        &self,
        socket: H,
    ) -> std::io::Result<impl AsyncRead + AsyncWrite + Send + Unpin + 'static> {
        self.0.register(socket)
    }

    fn sleep(&self, span: Duration) -> Self::Sleep {
        self.0.sleep(span)
    }

    fn interval(&self, span: Duration) -> impl Stream<Item = Instant> + Send + 'static {
        self.0.interval(span)
    }

    fn tcp_connect_addr(
        &self,
        address: SocketAddr,
    ) -> impl Future<Output = std::io::Result<Self::TcpStream>> + Send + 'static {
        let connecting = self.0.tcp_connect_addr(address);
        async move { Ok(Repaired::new(AsyncTcpStream::Plain(connecting.await?))) }
    }
}

fn too_late(patience: Duration) -> std::io::Error {
    let told = format!("no connection within {} s", patience.as_secs_f64());
    std::io::Error::new(std::io::ErrorKind::TimedOut, told)
}

fn read_password(path: &Path) -> Result<String, BrokerFileError> {
    let at = |source| BrokerFileError::Password { path: path.to_owned(), source };
    let text = std::fs::read_to_string(path).map_err(at)?;
    let password = text.strip_suffix('\n').unwrap_or(&text);
    let password = password.strip_suffix('\r').unwrap_or(password);
    if password.is_empty() {
        return Err(BrokerFileError::EmptyPassword { path: path.to_owned() });
    }
    Ok(password.to_owned())
}

fn read_certificates(path: &Path) -> Result<String, BrokerFileError> {
    let at = |source| BrokerFileError::Certificates { path: path.to_owned(), source };
    let text = std::fs::read_to_string(path).map_err(at)?;
    if !text.contains("-----BEGIN CERTIFICATE-----") {
        let none = std::io::Error::new(std::io::ErrorKind::InvalidData, "holds no certificate");
        return Err(at(none));
    }
    Ok(text)
}

/// A second handle to the connection's socket, by which it can be ended at once: lapin itself would first wait for the
/// other side to agree.
#[derive(Clone, Default)]
pub(super) struct Socket(Arc<Mutex<SocketState>>);

#[derive(Default)]
struct SocketState {
    handle: Option<std::net::TcpStream>,
    shut: bool,
}

impl Socket {
    fn keep(&self, stream: &impl AsFd) -> std::io::Result<()> {
        let handle = std::net::TcpStream::from(stream.as_fd().try_clone_to_owned()?);
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if state.shut {
            return Err(std::io::Error::from(std::io::ErrorKind::ConnectionAborted));
        }
        state.handle = Some(handle);
        Ok(())
    }

    /// Ends the connection for both sides; lapin's thread sees the end of the stream, and ends as well.
    pub(super) fn shut(&self) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.shut = true;
        if let Some(handle) = state.handle.take()
            && let Err(error) = handle.shutdown(Shutdown::Both)
            && error.kind() != std::io::ErrorKind::NotConnected
        {
            tracing::debug!(%error, "a socket could not be shut down");
        }
    }
}
