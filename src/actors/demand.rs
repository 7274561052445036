//! What this node is ready to take: free permits, and where work may be waiting.
//!
//! A permit stands for the right to run one task of a kind here. The tracker, when it puts a group together, draws
//! a claim for as many tasks as there are free permits, in the same transaction as everything else in the group,
//! and only for kinds of which something may be ready: what the group itself creates, or what a look found more
//! of, or everything when the dispatcher's poll comes round. So a node never holds more than it can run, an idle
//! kind costs no statement, and a lost hint costs no more than a poll's wait.
//!
//! A suspect (a task that was running when two workers died) runs alone: once one waits, nothing more is claimed
//! until the node is idle, then it is claimed by itself, then all goes on.
//!
//! Only the tracker draws and takes, so what it saw free stays free until it takes it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::keeper::Lease;
use crate::kinds::Registry;
use crate::store::{Claim, Claimed, Command};
use crate::task::{Kind, NodeId};

/// The node's demand. Cheap to clone.
#[derive(Clone)]
pub struct Demand {
    inner: Arc<Inner>,
}

struct Inner {
    slots: BTreeMap<Kind, Slots>,
    lease: Lease,
    open: AtomicBool,
    changed: Notify,
    /// Told of each permit that comes back.
    freed: Notify,
    search: Mutex<Search>,
}

struct Slots {
    free: AtomicU32,
    total: u32,
}

#[derive(Default)]
struct Search {
    /// Kinds of which ready rows may be waiting.
    look: BTreeSet<Kind>,
    /// Whether parked tasks may have come due.
    promote: bool,
    suspect: Suspect,
}

#[derive(Default, Clone, Copy, PartialEq, Eq)]
enum Suspect {
    #[default]
    None,
    /// One waits for the node to be idle.
    Waits,
    /// One runs; nothing else may.
    Runs,
}

/// The right to run one task of a kind. Given back by dropping it.
pub struct Permit {
    demand: Demand,
    kind: Kind,
}

impl Demand {
    /// All permits free, and everything to be looked for.
    #[must_use]
    pub fn new(kinds: &Registry, lease: Lease) -> Self {
        let slots = kinds
            .iter()
            .map(|(kind, total)| (kind.clone(), Slots { free: AtomicU32::new(total), total }))
            .collect();
        let inner = Inner {
            slots,
            lease,
            open: AtomicBool::new(true),
            changed: Notify::new(),
            freed: Notify::new(),
            search: Mutex::default(),
        };
        let demand = Self { inner: Arc::new(inner) };
        demand.look_everywhere();
        demand
    }

    /// Work of any kind may be waiting, and parked tasks may have come due.
    pub fn look_everywhere(&self) {
        let mut search = self.search();
        search.look.extend(self.inner.slots.keys().cloned());
        search.promote = true;
        drop(search);
        self.inner.changed.notify_one();
    }

    /// Work of this kind may be waiting.
    pub fn look_for(&self, kind: &Kind) {
        if self.inner.slots.contains_key(kind) && self.search().look.insert(kind.clone()) {
            self.inner.changed.notify_one();
        }
    }

    /// Whether a permit for that kind is free, and the node may claim.
    #[must_use]
    pub fn has_free(&self, kind: &Kind) -> bool {
        self.free(kind) > 0 && self.inner.open.load(Ordering::SeqCst)
    }

    /// Resolves when a permit for that kind is free.
    pub async fn until_free(&self, kind: &Kind) {
        loop {
            let freed = self.inner.freed.notified();
            if self.has_free(kind) {
                return;
            }
            freed.await;
        }
    }

    /// Each kind with how many permits there are, and how many of them are free.
    pub fn permits(&self) -> impl Iterator<Item = (&Kind, u32, u32)> {
        let slots = self.inner.slots.iter();
        slots.map(|(kind, slots)| (kind, slots.total, slots.free.load(Ordering::SeqCst)))
    }

    /// Takes nothing any more: the node drains.
    pub fn close(&self) {
        self.inner.open.store(false, Ordering::SeqCst);
    }

    /// Whether no permit is out.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.inner.slots.values().all(|slots| slots.free.load(Ordering::SeqCst) == slots.total)
    }

    /// Resolves when a claim is worth a transaction of its own.
    pub async fn wanted(&self) {
        loop {
            let changed = self.inner.changed.notified();
            if self.worth_a_look() {
                return;
            }
            changed.await;
        }
    }

    fn worth_a_look(&self) -> bool {
        if self.holder().is_none() {
            return false;
        }
        let search = self.search();
        match search.suspect {
            // Its turn has come, or is it still there?
            Suspect::Waits => self.is_idle() || search.promote,
            // Its turn is over.
            Suspect::Runs => self.is_idle(),
            Suspect::None => search.promote || search.look.iter().any(|kind| self.free(kind) > 0),
        }
    }

    /// The claim to add to a group of these commands, if any.
    #[must_use]
    pub fn draw(&self, commands: &[Command]) -> Option<Claim> {
        let node = self.holder()?;
        let mut search = self.search();
        if search.suspect == Suspect::Runs && self.is_idle() {
            search.suspect = Suspect::None;
            search.look.extend(self.inner.slots.keys().cloned());
            search.promote = true;
        }
        match search.suspect {
            Suspect::Runs => return None,
            // Whether it still waits is asked at each poll: another node may have taken it.
            Suspect::Waits if !self.is_idle() => {
                let promote = std::mem::take(&mut search.promote);
                return promote.then(|| Claim { promote, ..self.nothing(node) });
            }
            Suspect::Waits => {
                let want = self.inner.slots.keys().map(|kind| (kind.clone(), 1)).collect();
                return Some(Claim { want, look: true, suspect: true, ..self.nothing(node) });
            }
            Suspect::None => {}
        }
        let created = commands.iter().flat_map(Command::new_tasks);
        let mut kinds: BTreeSet<&Kind> = created.map(|task| &task.kind).collect();
        kinds.extend(&search.look);
        let want: Vec<(Kind, u32)> = kinds
            .into_iter()
            .map(|kind| (kind.clone(), self.free(kind)))
            .filter(|(_, free)| *free > 0)
            .collect();
        let look = want.iter().any(|(kind, _)| search.look.contains(kind));
        let promote = std::mem::take(&mut search.promote);
        // Looked for now; what is found to be more is put back by `learn`.
        for (kind, _) in &want {
            search.look.remove(kind);
        }
        (promote || !want.is_empty()).then(|| Claim { want, look, promote, ..self.nothing(node) })
    }

    /// Learns from what a claim found.
    pub fn learn(&self, claim: &Claim, claimed: &Claimed) {
        let mut search = self.search();
        if claim.suspect {
            // None there after all (another node took it): all goes on.
            search.suspect = if claimed.tasks.is_empty() { Suspect::None } else { Suspect::Runs };
            search.look.extend(self.inner.slots.keys().cloned());
            search.promote = true;
        } else if claim.promote && search.suspect != Suspect::Runs {
            search.suspect = if claimed.suspect_waits { Suspect::Waits } else { Suspect::None };
        }
        search.look.extend(claimed.more.iter().filter(|kind| self.inner.slots.contains_key(*kind)).cloned());
        drop(search);
        self.inner.changed.notify_one();
    }

    /// Takes a permit for a task that was claimed.
    #[must_use]
    pub fn take(&self, kind: &Kind) -> Option<Permit> {
        let slots = self.inner.slots.get(kind)?;
        slots
            .free
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |free| free.checked_sub(1))
            .ok()
            .map(|_| Permit { demand: self.clone(), kind: kind.clone() })
    }

    /// A claim of nothing, to be filled in.
    fn nothing(&self, node: NodeId) -> Claim {
        let known = self.inner.slots.keys().cloned().collect();
        Claim { node, want: Vec::new(), known, look: false, promote: false, suspect: false }
    }

    fn free(&self, kind: &Kind) -> u32 {
        self.inner.slots.get(kind).map_or(0, |slots| slots.free.load(Ordering::SeqCst))
    }

    /// The incarnation for which to claim, while this node may.
    fn holder(&self) -> Option<NodeId> {
        if self.inner.open.load(Ordering::SeqCst) { self.inner.lease.claimer() } else { None }
    }

    fn search(&self) -> MutexGuard<'_, Search> {
        // No code here panics while it holds this.
        self.inner.search.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if let Some(slots) = self.demand.inner.slots.get(&self.kind) {
            slots.free.fetch_add(1, Ordering::SeqCst);
            self.demand.inner.changed.notify_one();
            self.demand.inner.freed.notify_waiters();
        }
    }
}
