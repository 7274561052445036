//! A bell: rung often, heard at least once after each ringing, by everybody.

use std::sync::Arc;

use tokio::sync::watch;

/// What is rung. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Bell {
    rung: Arc<watch::Sender<u64>>,
}

/// What hears it.
#[derive(Debug, Clone)]
pub struct Ears {
    heard: watch::Receiver<u64>,
}

impl Default for Bell {
    fn default() -> Self {
        Self { rung: Arc::new(watch::Sender::new(0)) }
    }
}

impl Bell {
    /// Rings.
    pub fn ring(&self) {
        self.rung.send_modify(|times| *times = times.wrapping_add(1));
    }

    /// Somebody who hears it from now on.
    #[must_use]
    pub fn ears(&self) -> Ears {
        Ears { heard: self.rung.subscribe() }
    }
}

impl Ears {
    /// Resolves when it was rung since this last resolved. Several rings in between are one.
    pub async fn hear(&mut self) {
        if self.heard.changed().await.is_err() {
            // Nobody is left to ring it.
            std::future::pending::<()>().await;
        }
    }
}
