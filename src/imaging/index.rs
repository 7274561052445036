//! Which variants there are, how large they are, and which was used last. Pure; the folder does what it says.

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;

/// What is kept, up to so many bytes.
pub(super) struct Index<K> {
    most: u64,
    bytes: u64,
    entries: HashMap<K, Entry>,
    /// By when they were used last.
    order: BTreeMap<u64, K>,
    /// Counts uses.
    now: u64,
}

struct Entry {
    bytes: u64,
    used: u64,
    /// Whether it was written; until then it only takes up room.
    ready: bool,
}

impl<K: Clone + Eq + Hash> Index<K> {
    /// Nothing yet; at most so many bytes ever.
    pub(super) fn new(most: u64) -> Self {
        Self { most, bytes: 0, entries: HashMap::new(), order: BTreeMap::new(), now: 0 }
    }

    /// What everything takes.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Everything that is there.
    pub(super) fn keys(&self) -> impl Iterator<Item = &K> {
        self.entries.keys()
    }

    /// Makes room for something that is about to be written, and says what has to go for it; `None` when it would not
    /// fit into the empty folder.
    pub(super) fn make_room(&mut self, key: &K, bytes: u64) -> Option<Vec<K>> {
        if bytes > self.most {
            return None;
        }
        self.remove(key);
        let mut gone = Vec::new();
        while self.bytes + bytes > self.most {
            let Some(oldest) = self.order.first_key_value().map(|(_, key)| key.clone()) else { break };
            self.remove(&oldest);
            gone.push(oldest);
        }
        self.now += 1;
        self.bytes += bytes;
        self.order.insert(self.now, key.clone());
        self.entries.insert(key.clone(), Entry { bytes, used: self.now, ready: false });
        Some(gone)
    }

    /// It was written. `false` when it has lost its place meanwhile.
    pub(super) fn ready(&mut self, key: &K) -> bool {
        let entry = self.entries.get_mut(key);
        entry.map(|entry| entry.ready = true).is_some()
    }

    /// It was used.
    pub(super) fn used(&mut self, key: &K) {
        if let Some(entry) = self.entries.get_mut(key) {
            self.now += 1;
            self.order.remove(&entry.used);
            entry.used = self.now;
            self.order.insert(self.now, key.clone());
        }
    }

    /// It turned out not to be there, unless it is only about to be.
    pub(super) fn lost(&mut self, key: &K) {
        if self.entries.get(key).is_some_and(|entry| entry.ready) {
            self.remove(key);
        }
    }

    /// It is no more.
    pub(super) fn remove(&mut self, key: &K) {
        if let Some(entry) = self.entries.remove(key) {
            self.bytes -= entry.bytes;
            self.order.remove(&entry.used);
        }
    }

    /// All those are no more; they are given back.
    pub(super) fn remove_all(&mut self, which: impl Fn(&K) -> bool) -> Vec<K> {
        let keys: Vec<K> = self.entries.keys().filter(|key| which(key)).cloned().collect();
        for key in &keys {
            self.remove(key);
        }
        keys
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn put(index: &mut Index<&'static str>, key: &'static str, bytes: u64) -> Option<Vec<&'static str>> {
        let gone = index.make_room(&key, bytes);
        index.ready(&key);
        gone
    }

    #[test]
    fn what_nobody_used_the_longest_goes_first() {
        let mut index = Index::new(30);
        for key in ["a", "b", "c"] {
            assert_eq!(put(&mut index, key, 10), Some(vec![]));
        }
        index.used(&"a");
        assert_eq!(put(&mut index, "d", 15), Some(vec!["b", "c"]));
        assert_eq!(index.bytes(), 25);
        assert_eq!(put(&mut index, "too large", 31), None);
        assert_eq!(put(&mut index, "d", 20), Some(vec![]), "a second time in its own place");
        assert_eq!(index.bytes(), 30);
    }

    #[test]
    fn what_is_being_written_is_not_lost_and_may_lose_its_place() {
        let mut index = Index::new(30);
        index.make_room(&"a", 10);
        index.lost(&"a");
        assert_eq!(index.bytes(), 10);
        assert!(index.ready(&"a"));
        index.lost(&"a");
        assert_eq!(index.bytes(), 0);
        index.make_room(&"b", 10);
        index.make_room(&"c", 30);
        assert!(!index.ready(&"b"));
    }

    proptest! {
        #[test]
        fn the_limit_holds_and_the_sum_is_right(steps in proptest::collection::vec((0_u8..4, 0_u8..12, 0_u64..60), 1..200)) {
            let mut index = Index::new(100);
            for (verb, key, bytes) in steps {
                match verb {
                    0 => index.used(&key),
                    1 => index.lost(&key),
                    2 => index.remove(&key),
                    _ => {
                        index.make_room(&key, bytes);
                        index.ready(&key);
                    }
                }
                prop_assert!(index.bytes() <= 100);
                prop_assert_eq!(index.bytes(), index.entries.values().map(|entry| entry.bytes).sum::<u64>());
                prop_assert_eq!(index.order.len(), index.entries.len());
            }
        }
    }
}
