//! Telling: what happened, in the form in which everybody outside hears of it, and who listens.
//!
//! The events are rows with one public order (`docs/adr/0003-one-public-order.md`); whoever tells of them reads them by
//! number, so nothing here can lose one. True here:
//! - `message` is the one form of an event: server-sent events, the broker's exchange and callbacks differ only in what
//!   they put around it.
//! - `feed` gives each listener every event once, in order, from where they left off; what the live stream skipped is
//!   read from the store.
//! - `Bell` says "something was committed": a hint, behind which everybody also looks by themselves.

mod bell;
mod feed;
mod message;

pub use bell::{Bell, Ears};
pub use feed::{Audience, Feed, Listener, Pulse};
pub use message::{Ending, EventMessage, callback_body, frame};
