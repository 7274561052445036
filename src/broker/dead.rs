//! The dead queue: messages that are no tasks, whole, each with the reason.
//!
//! The inbox buries, `gristmill dead` looks, sends back and purges. `<queue>.dead` is a durable classic queue: it
//! outlives the broker's process as the messages do; and other than on a quorum queue a look leaves no trace in it, no
//! delivery count that rises with each look and no other place in the order. True here: a message is in the dead queue,
//! confirmed, before anybody acknowledges the original; and out of it only after it is confirmed elsewhere.

use chrono::{DateTime, SecondsFormat, Utc};

use super::message::{Delivery, Publish};
use super::publisher::PublishError;
use super::topology::Declare;
use super::{Broker, TopologyError};
use crate::config::QueueForm;

/// The header that holds the reason, in words.
pub const REASON_HEADER: &str = "x-gristmill-reason";
/// The header that holds the queue from which the message came.
pub const QUEUE_HEADER: &str = "x-gristmill-queue";
/// The header that holds when it was buried.
pub const DIED_HEADER: &str = "x-gristmill-died-at";

/// The name of the dead queue of a queue.
pub fn dead_queue(queue: &str) -> String {
    format!("{queue}.dead")
}

/// The queue that a dead message came from, if it says.
pub fn original_queue(dead: &Delivery) -> Option<String> {
    dead.header(QUEUE_HEADER)
}

/// When a dead message was buried, if it says.
pub fn died_at(dead: &Delivery) -> Option<DateTime<Utc>> {
    let text = dead.header(DIED_HEADER)?;
    DateTime::parse_from_rfc3339(&text).ok().map(|at| at.to_utc())
}

/// A message to be buried.
#[derive(Debug, Clone, Copy)]
pub struct Burial<'a> {
    /// The message.
    pub delivery: &'a Delivery,
    /// Why it is no task.
    pub reason: &'a str,
}

impl Broker {
    /// Puts messages of `queue` into its dead queue, which is made when missing; gives the broker's word on each. Those
    /// with `Ok` may be acknowledged.
    pub async fn bury(&self, queue: &str, burials: &[Burial<'_>]) -> Vec<Result<(), PublishError>> {
        let now = self.inner.clock.utc().to_rfc3339_opts(SecondsFormat::Millis, true);
        let letter = |burial: &Burial<'_>| {
            Publish::forward(burial.delivery, &dead_queue(queue))
                // It must neither expire here, nor vanish with the broker's process.
                .without_expiration()
                .persistent(true)
                .header(REASON_HEADER, burial.reason)
                .header(QUEUE_HEADER, queue)
                .header(DIED_HEADER, &now)
        };
        let mut results = self.publish(burials.iter().map(letter).collect()).await;
        // The first time there is no queue yet.
        let homeless: Vec<usize> = (0..results.len())
            .filter(|place| matches!(results[*place], Err(PublishError::Unroutable { .. })))
            .collect();
        if !homeless.is_empty() && self.ensure_dead_queue(queue).await.is_ok() {
            let again = homeless.iter().map(|place| letter(&burials[*place])).collect();
            for (place, result) in homeless.into_iter().zip(self.publish(again).await) {
                results[place] = result;
            }
        }
        results
    }

    /// Makes the dead queue of a queue when it is missing.
    ///
    /// # Errors
    /// [`TopologyError`].
    pub async fn ensure_dead_queue(&self, queue: &str) -> Result<(), TopologyError> {
        self.ensure_queue(&dead_queue(queue), &Declare::AttachOrCreate(QueueForm::Durable)).await.map(|_| ())
    }

    /// Sends a dead message back to the queue it came from (`queue`, if it does not say), without the headers that it
    /// got here. The caller removes it from the dead queue on `Ok`.
    ///
    /// # Errors
    /// [`PublishError`]; it stays dead.
    pub async fn redrive(&self, queue: &str, dead: &Delivery) -> Result<(), PublishError> {
        let home = original_queue(dead).unwrap_or_else(|| queue.to_owned());
        let message = [REASON_HEADER, QUEUE_HEADER, DIED_HEADER]
            .into_iter()
            .fold(Publish::forward(dead, &home), |message, header| message.without_header(header));
        self.publish_one(message).await
    }
}
