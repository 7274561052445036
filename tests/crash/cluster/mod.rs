//! The real binary beside a real RabbitMQ, and several of it on one PostgreSQL: killed, frozen, cut off, with a broker
//! that is killed, wiped, blocked or swallowed, and a database that goes away.
//!
//! Each story ends before the judge of the other crash tests. Producers send messages with a `message_id` and count
//! one as accepted when the broker has confirmed it; somebody listens to `gristmill.events` through a durable queue.

mod awkward;
mod ear;
mod field;
mod ingress;
mod network;
mod nodes;
mod outages;
mod pictures;
mod producer;
mod restarts;
mod roles;
