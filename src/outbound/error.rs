//! Why a call came to nothing.
//!
//! Given by `client.rs` and what it uses. True here: no message holds a path, a query, a header or a body.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::address::Forbidden;

/// Why a call came to nothing. An answer of any status is not among these: it is a response.
#[derive(Debug, thiserror::Error)]
pub enum OutboundError {
    /// The host stands for an address that the policy forbids; nothing was sent. Trying again is of use only
    /// once the name or the policy has changed.
    #[error("{host} leads to {address}, which is not allowed: that address is {}", why.what)]
    Forbidden {
        /// The host of the target.
        host: String,
        /// The first of its addresses that is forbidden.
        address: IpAddr,
        /// What that address is.
        why: Forbidden,
    },
    /// The name was not found.
    #[error("the address of {host} cannot be found: {source}")]
    Resolve {
        /// The host of the target.
        host: String,
        /// The resolver's word.
        source: io::Error,
    },
    /// Nobody answered at the addresses, or not in the time that each of them has.
    #[error("cannot connect to {origin} at {address}: {source}")]
    Connect {
        /// Scheme, host and port.
        origin: String,
        /// The last address that was tried.
        address: SocketAddr,
        /// The system's word on it.
        source: io::Error,
    },
    /// The connection could not be made safe; nothing was sent.
    #[error("no safe connection to {origin}: {reason}")]
    Tls {
        /// Scheme, host and port.
        origin: String,
        /// What is wrong, as rustls says it.
        reason: String,
    },
    /// It took too long. Unless it was still finding the address or connecting, the other side may have got
    /// the request.
    #[error("{origin} took more than {} s {phase}", after.as_secs_f64())]
    Timeout {
        /// Scheme, host and port.
        origin: String,
        /// What it was at.
        phase: Phase,
        /// The limit that ran out.
        after: Duration,
    },
    /// What came back is not HTTP, has a head beyond bounds, or broke off. The other side may have got the
    /// request.
    #[error("{origin} gave no proper answer: {source}")]
    Protocol {
        /// Scheme, host and port.
        origin: String,
        /// What is wrong, as hyper says it.
        source: hyper::Error,
    },
}

/// What a call was at when its time ran out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Finding the addresses of the host.
    Resolving,
    /// Connecting, and making the connection safe.
    Connecting,
    /// The whole, at the end of it: sending the request or waiting for the answer.
    Answering,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Resolving => "to be found",
            Self::Connecting => "to be connected to",
            Self::Answering => "to answer",
        })
    }
}
