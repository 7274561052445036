//! The daemon under systemd: what it says to one, which sockets it takes from one, and the package with its units under a
//! real one.
//!
//! `container` boots a Debian of its own and tries the package there. The others have a systemd that is played: a socket
//! that hears what `sd_notify` says, and `systemd-socket-activate`, which hands over sockets.

#![expect(clippy::unwrap_used, reason = "what surprises a test ends it")]

#[path = "../common/mod.rs"]
mod common;

mod container;
mod handed;
mod heard;
mod manager;
