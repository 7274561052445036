//! A group of commands, and what becomes of it when others are in the way or one of the commands is at fault.
//!
//! Called by both adapters, which bring the transaction. True here: who meets another node in the database gives way at random
//! before the next try; a command that the database refuses takes no other along.

use std::future::Future;
use std::time::Duration;

use super::{Command, Committed, Reply, Span, StoreError};
use crate::task::Event;

/// What an adapter does with a group: the transaction itself.
pub(super) trait Grouping: Sync {
    /// Makes the commands one transaction.
    fn group(&self, commands: &[Command]) -> impl Future<Output = Result<Group, StoreError>> + Send;
}

/// What a transaction did.
pub(super) struct Group {
    /// In the order of the commands.
    pub(super) replies: Vec<Reply>,
    /// In their own.
    pub(super) events: Vec<Event>,
    pub(super) spans: Vec<Span>,
}

/// How often a command is tried again that met another node's in the database. Of nodes that make and end tasks of the same
/// few unique keys all the time, each loses one try in several; on a busy machine five in a row were seen.
pub(super) const CONFLICTS: u32 = 15;

/// Before another try, so that those who met do not meet again: at random up to this, doubled each time, and up to the second.
const APART: (Duration, Duration) = (Duration::from_millis(2), Duration::from_millis(64));

/// Does it, and again while other nodes are in the way, `tries` times at most. What another was quicker to do is seen anew.
pub(super) async fn again<T, F: Future<Output = Result<T, StoreError>>>(
    tries: u32,
    mut attempt: impl FnMut() -> F,
) -> Result<T, StoreError> {
    let mut conflicts = 0;
    loop {
        match attempt().await {
            Err(error) if error.is_conflict() && conflicts < tries => {
                let most = APART.0.saturating_mul(1 << conflicts.min(16)).min(APART.1);
                conflicts += 1;
                tokio::time::sleep(most.mul_f64(rand::random())).await;
            }
            done => return done,
        }
    }
}

/// Tries the commands as one group; when the database refuses that, each by itself, so that only the one at
/// fault is refused. What another node was quicker to do is planned anew, on what that node left.
pub(super) async fn group_or_apart<G: Grouping>(
    adapter: &G,
    commands: &[Command],
) -> Result<Committed, StoreError> {
    let alone = commands.len() == 1;
    let refusal = match again(if alone { CONFLICTS } else { 1 }, || adapter.group(commands)).await {
        Ok(Group { replies, events, spans }) => {
            return Ok(Committed { replies: replies.into_iter().map(Ok).collect(), events, spans });
        }
        Err(error) if error.is_refusal() => error,
        Err(error) => return Err(error),
    };
    if alone {
        return Ok(Committed { replies: vec![Err(refusal)], events: Vec::new(), spans: Vec::new() });
    }
    let replies = Vec::with_capacity(commands.len());
    let mut committed = Committed { replies, events: Vec::new(), spans: Vec::new() };
    for command in commands {
        match again(CONFLICTS, || adapter.group(std::slice::from_ref(command))).await {
            Ok(Group { replies, events, spans }) => {
                committed.replies.extend(replies.into_iter().map(Ok));
                committed.events.extend(events);
                committed.spans.extend(spans);
            }
            Err(error) => committed.replies.push(Err(error)),
        }
    }
    Ok(committed)
}
