//! Looking into a queue, message by message, without consuming it.
//!
//! For the command line and for tests. True here: a message that was shown and not removed is back in its place, in
//! its order, once the [`Browser`] is closed, dropped or killed. (On a quorum queue a look counts as a delivery.)

use std::sync::Arc;

use lapin::Channel;
use lapin::options::{BasicAckOptions, BasicGetOptions};

use super::link::{Link, Open};
use super::message::Delivery;
use super::topology::{Topology, TopologyError, short};

/// One look into a queue, from its head on.
pub struct Browser {
    link: Link,
    open: Arc<Open>,
    channel: Channel,
    queue: String,
    patience: std::time::Duration,
}

impl Browser {
    pub(super) async fn open(
        link: Link,
        queue: &str,
        patience: std::time::Duration,
    ) -> Result<Self, TopologyError> {
        let open = link.now().map_err(|reason| TopologyError::Unavailable { reason: reason.to_string() })?;
        let topology = Topology { link: &link, open: &open, patience };
        topology.look(queue).await?;
        let channel = topology.channel().await?;
        Ok(Self { queue: queue.to_owned(), open, channel, link, patience })
    }

    /// The next message, with how many are behind it.
    ///
    /// # Errors
    /// [`TopologyError`] when the broker does not answer.
    pub async fn next(&mut self) -> Result<Option<(Delivery, u32)>, TopologyError> {
        let get = self.channel.basic_get(short(&self.queue)?, BasicGetOptions::default());
        let got = self.topology().within(&self.queue, get).await?;
        Ok(got.map(|message| (Delivery::new(message.delivery, 0), message.message_count)))
    }

    /// Removes a message that was shown.
    ///
    /// # Errors
    /// [`TopologyError`] when the broker does not answer.
    pub async fn remove(&mut self, delivery: &Delivery) -> Result<(), TopologyError> {
        let ack = self.channel.basic_ack(delivery.tag, BasicAckOptions { multiple: false });
        self.topology().within(&self.queue, ack).await
    }

    /// Puts back what was not removed, and waits until the broker has done so.
    ///
    /// # Errors
    /// [`TopologyError`] when the broker does not answer; then it puts them back as soon as it sees the end.
    pub async fn close(self) -> Result<(), TopologyError> {
        self.topology().within(&self.queue, self.channel.close(200, "OK".into())).await
    }

    fn topology(&self) -> Topology<'_> {
        Topology { link: &self.link, open: &self.open, patience: self.patience }
    }
}
