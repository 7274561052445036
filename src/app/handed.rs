//! The socket that systemd (or a program that does as it does) listens on in the daemon's name, so that connections wait
//! in its queue while one process ends and the next one starts.
//!
//! Taken once by `gristmill serve`, before there are threads: the variables that name it are removed from the environment.
//! What is taken is one listening TCP socket, on IPv4 or IPv6; all else is refused with what to change.

use std::net::{SocketAddr, TcpListener};

use listenfd::ListenFd;
use rustix::net::sockopt::socket_acceptconn;

/// A socket that was handed over.
#[derive(Debug)]
pub struct Handed {
    pub(super) listener: TcpListener,
    address: SocketAddr,
}

/// Why what was handed over cannot be listened on.
#[derive(Debug, thiserror::Error)]
pub enum HandedError {
    /// There are several.
    #[error(
        "{0} sockets were handed over (LISTEN_FDS), and the daemon listens on one: leave one ListenStream= in the socket \
         unit; one on [::]:5000 hears IPv4 as well"
    )]
    Several(usize),
    /// It is something else.
    #[error(
        "what was handed over (LISTEN_FDS) is no TCP socket: have ListenStream=ADDRESS:PORT in the socket unit ({0})"
    )]
    NoTcp(std::io::Error),
    /// Nobody listens on it.
    #[error(
        "the socket that was handed over (LISTEN_FDS) does not listen: have Accept=no in the socket unit, which gives the \
         listening socket, and not a connection"
    )]
    Deaf,
}

impl Handed {
    /// The socket, if there is one. To be called before any other thread is started.
    ///
    /// # Errors
    /// [`HandedError`].
    pub fn take() -> Result<Option<Self>, HandedError> {
        let mut handed = ListenFd::from_env();
        match handed.len() {
            0 => return Ok(None),
            1 => {}
            several => return Err(HandedError::Several(several)),
        }
        let Some(listener) = handed.take_tcp_listener(0).map_err(HandedError::NoTcp)? else {
            return Ok(None);
        };
        if !socket_acceptconn(&listener).map_err(|error| HandedError::NoTcp(error.into()))? {
            return Err(HandedError::Deaf);
        }
        let address = listener.local_addr().map_err(HandedError::NoTcp)?;
        Ok(Some(Self { listener, address }))
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}
