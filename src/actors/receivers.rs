//! Whom callbacks go to, and how quick they are: so that a receiver that hangs does not take the places of all others.
//!
//! [`super::callbacks`] asks for leave before each call. True here: a receiver whose last call was slow holds no more than
//! a share of the places; one that is quick, or not known yet, as many as there are; and what is remembered is bounded.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// The most receivers that are remembered while nothing is on its way to them.
const MOST: usize = 10_000;

/// The receivers of one node. Clones share them.
#[derive(Clone)]
pub(super) struct Receivers {
    known: Arc<Mutex<HashMap<String, Known>>>,
    /// Calls at once to one that is slow.
    share: usize,
    /// A call that takes so long is slow.
    slow: Duration,
}

#[derive(Default)]
struct Known {
    calls: usize,
    slow: bool,
}

/// Leave to call a receiver, given back when dropped.
pub(super) struct Leave {
    receivers: Receivers,
    name: String,
}

impl Receivers {
    /// For so many calls at once, each of which may take as long as `timeout`.
    pub(super) fn new(places: usize, timeout: Duration) -> Self {
        Self { known: Arc::default(), share: (places / 4).max(1), slow: timeout / 4 }
    }

    /// Leave to call that address; `None` when its receiver is slow and has its share already.
    pub(super) fn leave(&self, url: &str) -> Option<Leave> {
        let name = receiver(url).to_owned();
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MOST && !known.contains_key(&name) {
            known.retain(|_, one| one.calls > 0);
        }
        let one = known.entry(name.clone()).or_default();
        if one.slow && one.calls >= self.share {
            return None;
        }
        one.calls += 1;
        Some(Leave { receivers: self.clone(), name })
    }
}

impl Leave {
    /// Writes down how long the call took.
    pub(super) fn took(&self, span: Duration) {
        let mut known = self.receivers.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(one) = known.get_mut(&self.name) {
            one.slow = span >= self.receivers.slow;
        }
    }
}

impl Drop for Leave {
    fn drop(&mut self) {
        let mut known = self.receivers.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(one) = known.get_mut(&self.name) {
            one.calls -= 1;
            if one.calls == 0 && !one.slow {
                known.remove(&self.name);
            }
        }
    }
}

/// Who answers at an address: its host and port.
fn receiver(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.split(['/', '?', '#']).next().unwrap_or(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_receiver_has_its_share_and_a_quick_one_all() {
        let receivers = Receivers::new(8, Duration::from_secs(4));
        let many: Vec<Leave> = (0..8).map(|n| receivers.leave(&format!("http://a:1/{n}")).unwrap()).collect();
        many[0].took(Duration::from_secs(1));
        assert!(receivers.leave("http://a:1/").is_none());
        assert!(receivers.leave("http://a:2/").is_some() && receivers.leave("https://b?a:1").is_some());
        drop(many);
        let slow = (receivers.leave("http://a:1/").unwrap(), receivers.leave("http://a:1#x").unwrap());
        assert!(receivers.leave("http://a:1/").is_none(), "two of eight are its share");
        slow.0.took(Duration::from_millis(999));
        assert!(receivers.leave("http://a:1/").is_some(), "it is quick again");
        drop(slow);
        assert!(receivers.known.lock().unwrap().is_empty(), "nothing to be remembered");
        assert!(Receivers::new(1, Duration::from_secs(4)).leave("http://a/").is_some());
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let receivers = Receivers::new(8, Duration::from_secs(4));
        for n in 0..MOST + 5 {
            receivers.leave(&format!("http://{n}/")).unwrap().took(Duration::from_secs(4));
        }
        assert!(receivers.known.lock().unwrap().len() <= MOST);
    }
}
