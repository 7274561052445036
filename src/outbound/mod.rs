//! HTTP calls to the world outside, made so that they cannot be turned against the daemon that makes them.
//!
//! Called by whoever tells others something (webhooks) or asks them, the command line too. The address of such a call comes from a
//! caller, who must not reach through the daemon what he cannot reach himself: the daemon's own machine, the
//! network behind it, the cloud's metadata.
//!
//! What is true:
//! - A call goes only to addresses that the [`Policy`] lets it. A [`Target`] is checked when it is parsed, as
//!   far as its text tells; when a call is made, every address that its name resolves to is checked, and one
//!   that is forbidden refuses the call.
//! - The connection is made to a checked address, not to the name: nothing resolves the name a second time, so
//!   an answer that changes in between changes nothing.
//! - Every call has a connection of its own, closed after it. A connection kept open would be used by later
//!   calls without a check, and would hold on to an address that the name has left.
//! - Nothing is followed: a redirect is a status like any other. No proxy is taken from the environment.
//! - Every call ends: finding the address, connecting, and the whole have their time limits, and the head and
//!   the body of the answer their sizes. At most so many calls are under way at once. A call that carries a file or
//!   listens to a stream ([`Flow`]) has in place of the whole a limit on how long nothing moves.
//! - What is logged or told names the target by its origin alone: paths and queries may hold secrets.
//!
//! HTTP/1.1 is spoken by `hyper`, TLS by `rustls` with `ring`; above them no client library, since those pool
//! connections, read the environment, and resolve by themselves.

mod address;
mod client;
mod connect;
mod error;
mod flow;
mod request;
mod resolve;
mod target;
pub mod webhook;

#[cfg(test)]
mod tests;

pub use hyper::{HeaderMap, Method};

pub use self::address::{Forbidden, Policy};
pub use self::client::{Client, Limits};
pub use self::error::{OutboundError, Phase};
pub use self::flow::{Flow, Source};
pub use self::request::{BadHeader, Request, Response};
pub use self::resolve::{Resolver, SystemResolver};
pub use self::target::{BadTarget, Target};
