//! A connection to addresses that have been checked, safe where the target asks for it.
//!
//! Called by `client.rs`. True here: this file gets addresses and never resolves a name; the name serves only
//! to be compared with the certificate.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use rustls::crypto::ring;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::OnceCell;
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsConnector;

use super::error::{OutboundError, Phase};
use super::target::{Target, TargetHost};

/// How many addresses of a name are tried before the call is given up.
const TRIES: u32 = 4;

/// Bytes both ways, plain or through TLS.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// Makes connections.
pub(super) struct Connector {
    /// The limit on connecting and making the connection safe.
    limit: Duration,
    /// Read at the first call that needs it: the certificates of the machine take a while.
    tls: OnceCell<Arc<ClientConfig>>,
}

impl Connector {
    pub(super) fn new(limit: Duration) -> Self {
        Self { limit, tls: OnceCell::new() }
    }

    /// With these roots instead of the machine's.
    #[cfg(test)]
    pub(super) fn trusting(limit: Duration, roots: RootCertStore) -> Self {
        let config = config(roots).expect("ring speaks the usual versions");
        Self { limit, tls: OnceCell::new_with(Some(Arc::new(config))) }
    }

    /// Connects to the first of the addresses that answers.
    pub(super) async fn connect(
        &self,
        target: &Target,
        addresses: &[IpAddr],
    ) -> Result<Box<dyn Stream>, OutboundError> {
        let late = |_| OutboundError::Timeout {
            origin: target.origin(),
            phase: Phase::Connecting,
            after: self.limit,
        };
        if !target.is_tls() {
            return Ok(Box::new(self.reach(target, addresses).await?));
        }
        let refused = |reason: String| OutboundError::Tls { origin: target.origin(), reason };
        let config = self.tls.get_or_try_init(machine_config).await.map_err(refused)?;
        let deadline = Instant::now() + self.limit;
        let stream = self.reach(target, addresses).await?;
        let name = match target.host() {
            TargetHost::Name(name) => {
                ServerName::try_from(name.clone()).map_err(|error| refused(error.to_string()))?
            }
            TargetHost::Address(address) => ServerName::from(*address),
        };
        let safe = TlsConnector::from(Arc::clone(config)).connect(name, stream);
        let safe = tokio::time::timeout_at(deadline, safe).await.map_err(late)?;
        Ok(Box::new(safe.map_err(|error| refused(error.to_string()))?))
    }

    /// Each address gets an even share of the time that is left, so that one that swallows packets does not
    /// stand before one that answers.
    async fn reach(&self, target: &Target, addresses: &[IpAddr]) -> Result<TcpStream, OutboundError> {
        let deadline = Instant::now() + self.limit;
        let mut left = u32::try_from(addresses.len()).unwrap_or(TRIES).clamp(1, TRIES);
        let mut last = None;
        for address in addresses.iter().take(TRIES as usize) {
            let address = SocketAddr::new(*address, target.port());
            let share = deadline.saturating_duration_since(Instant::now()) / left;
            left = left.saturating_sub(1).max(1);
            let source = match timeout(share, TcpStream::connect(address)).await {
                Ok(Ok(stream)) => match stream.set_nodelay(true) {
                    Ok(()) => return Ok(stream),
                    Err(error) => error,
                },
                Ok(Err(error)) => error,
                Err(_) => io::Error::new(io::ErrorKind::TimedOut, "no answer in time"),
            };
            last = Some(OutboundError::Connect { origin: target.origin(), address, source });
        }
        Err(last.unwrap_or_else(|| OutboundError::Resolve {
            host: target.host().to_string(),
            source: io::Error::new(io::ErrorKind::NotFound, "the name has no addresses"),
        }))
    }
}

/// TLS with the certificates that the machine trusts.
async fn machine_config() -> Result<Arc<ClientConfig>, String> {
    let read = tokio::task::spawn_blocking(|| {
        let found = rustls_native_certs::load_native_certs();
        let mut roots = RootCertStore::empty();
        let (taken, _) = roots.add_parsable_certificates(found.certs);
        if taken > 0 {
            return config(roots).map_err(|error| error.to_string());
        }
        let errors: Vec<String> = found.errors.iter().map(ToString::to_string).collect();
        let why = if errors.is_empty() { String::new() } else { format!(" ({})", errors.join("; ")) };
        Err(format!(
            "this machine has no root certificates{why}: install its package ca-certificates, or name a file of \
             them in SSL_CERT_FILE"
        ))
    });
    let config = read.await.map_err(|error| format!("the root certificates cannot be read: {error}"))??;
    Ok(Arc::new(config))
}

/// The provider is named here, and none is installed for the process: nobody else's choice changes ours.
fn config(roots: RootCertStore) -> Result<ClientConfig, rustls::Error> {
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let mut config =
        builder.with_safe_default_protocol_versions()?.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}
