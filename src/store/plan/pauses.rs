//! Kinds that are paused: nothing of them starts, whoever asks.
//!
//! What a claim or a take of this very group found of a kind that the group pauses is left as it is, and has its ready row
//! again at the end. A kind that the group lets go on starts with the next one, which finds first what waited longest.

use std::collections::BTreeMap;

use super::{Needs, Planner};
use crate::account::Caller;
use crate::store::Pause;
use crate::store::command::Wanted;
use crate::task::Kind;

impl Needs {
    /// Leaves kinds that are paused out of what is looked for.
    pub(in crate::store) fn hold_back(&mut self, pauses: &BTreeMap<Kind, Pause>) {
        if pauses.is_empty() {
            return;
        }
        for claim in &mut self.claims {
            claim.want.retain(|(kind, _)| !pauses.contains_key(kind));
            // A suspect that may not start must not keep the others waiting for its turn.
            claim.known.retain(|kind| !pauses.contains_key(kind));
        }
        for take in &mut self.takes {
            match &mut take.wanted {
                Wanted::Kinds(kinds) => kinds.retain(|kind| !pauses.contains_key(kind)),
                Wanted::Id(_) => {}
            }
        }
    }
}

impl Planner<'_> {
    /// Pauses a kind or lets it go on; how it stands then. A pause stays that of whoever came first.
    pub(super) fn set_paused(&mut self, kind: &Kind, paused: bool, caller: Caller) -> Option<Pause> {
        match (self.pauses.get(kind).cloned(), paused) {
            (Some(pause), true) => Some(pause),
            (None, true) => {
                let pause = Pause { kind: kind.clone(), paused_at: self.now, paused_by: caller.user() };
                self.held_back.insert(kind.clone());
                self.pauses.insert(kind.clone(), pause.clone());
                self.changes.pauses.insert(kind.clone(), Some(pause.clone()));
                Some(pause)
            }
            (Some(_), false) => {
                self.pauses.remove(kind);
                self.changes.pauses.insert(kind.clone(), None);
                None
            }
            (None, false) => None,
        }
    }

    /// Whether nothing of that kind starts in this group: it was paused before, or is by one of the group's commands.
    pub(super) fn is_held_back(&self, kind: &Kind) -> bool {
        self.held_back.contains(kind)
    }
}
