//! Users: made, changed, removed, and what is theirs along with them; their counters; and how much of images each may
//! have.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::time::Duration;

use super::{ChangedCounters, ChangedUser, Gone, Planner};
use crate::account::{Caller, Change, Counters, CountersChange, NewUser, TokenHash, User, UserChange};
use crate::store::command::{NewTask, Purged, Reply, Usage, UserRefused};
use crate::task::{Status, TaskId, UserId};

/// For so long the number of a user who is gone is remembered, so that what was under way in their name when they went
/// is found and removed as well.
const REMEMBER_GONE: Duration = Duration::from_secs(24 * 3600);

impl Planner<'_> {
    pub(super) fn create_user(&mut self, new: &NewUser) -> Option<User> {
        let email = new.email().cloned();
        if let Some(email) = &email
            && !self.taken_emails.insert(email.as_str().to_owned())
        {
            return None;
        }
        let id = self.user_ids.next()?;
        let user = User {
            name: new.name().cloned(),
            email,
            gender: new.gender.clone(),
            avatar: new.avatar.clone(),
            role: new.role,
            has_password: new.password.is_some(),
            ..User::plain(id, self.now)
        };
        self.users.insert(id, user.clone());
        self.changes.users.push((user.clone(), new.clone()));
        Some(user)
    }

    pub(super) fn change_user(
        &mut self,
        id: UserId,
        caller: Caller,
        change: &UserChange,
        session: Option<&TokenHash>,
    ) -> Result<Box<User>, UserRefused> {
        let user = self.may_change(id, caller)?;
        if change.role.is_some_and(|role| role != user.role) && !caller.is_admin() {
            return Err(UserRefused::NotAdmin);
        }
        let changed = change.apply(user)?;
        if let Change::Set(email) = &change.email
            && user.email.as_ref() != Some(email)
            && !self.taken_emails.insert(email.as_str().to_owned())
        {
            return Err(UserRefused::EmailTaken);
        }
        self.users.insert(id, changed.clone());
        self.changes.users_changed.push(ChangedUser {
            user: changed.clone(),
            change: change.clone(),
            end_sessions: change.ends_sessions().then(|| session.cloned()),
        });
        Ok(Box::new(changed))
    }

    pub(super) fn delete_user(&mut self, id: UserId, caller: Caller) -> Result<Box<User>, UserRefused> {
        let user = self.may_change(id, caller)?.clone();
        self.users.remove(&id);
        self.changes.counters.remove(&id);
        self.changes.users_deleted.push((id, self.now));
        Ok(Box::new(user))
    }

    pub(super) fn change_counters(
        &mut self,
        id: UserId,
        caller: Caller,
        change: &CountersChange,
    ) -> Result<Counters, UserRefused> {
        self.may_change(id, caller)?;
        let before = self.counters.get(&id).cloned().unwrap_or_default();
        let after = change.apply(&before)?;
        let unchanged = || ChangedCounters { at: self.now, gone: BTreeSet::new(), set: BTreeMap::new() };
        let changed = self.changes.counters.entry(id).or_insert_with(unchanged);
        for (name, _) in before.iter().filter(|(name, _)| after.get(name).is_none()) {
            changed.set.remove(name);
            changed.gone.insert(name.clone());
        }
        for (name, value) in after.iter().filter(|(name, value)| before.get(name) != Some(*value)) {
            changed.set.insert(name.clone(), value);
        }
        self.counters.insert(id, after.clone());
        Ok(after)
    }

    fn may_change(&self, id: UserId, caller: Caller) -> Result<&User, UserRefused> {
        let user = self.users.get(&id).ok_or(UserRefused::NotFound(id))?;
        if caller.may_change(id) { Ok(user) } else { Err(UserRefused::NotTheirs(id)) }
    }

    /// Removes what users left who are gone; what was in their hands is free again.
    pub(super) fn purge(&mut self, limit: u32) -> Purged {
        let found = std::mem::take(&mut self.purged);
        let now = self.now;
        let mut tasks = 0;
        for (id, gone) in &found {
            let done = match gone {
                Gone::Owner => self.delete(*id, Caller::Admin(None)).is_ok(),
                Gone::Assignee(user) => {
                    self.is_with(*id, *user)
                        && self.change(*id, |life| life.release(life.attempt, now)).is_ok()
                }
            };
            // Not where somebody was quicker, or the row cannot be read: such rows must not keep anybody at it for ever.
            tasks += u32::from(done);
        }
        if found.is_empty() {
            self.changes.forget_users = Some(self.now.before(REMEMBER_GONE));
        }
        Purged { tasks, more: tasks > 0 && found.len() == limit as usize }
    }

    /// Whether the task is in that user's hands: it was looked for before it was locked.
    fn is_with(&self, id: TaskId, user: UserId) -> bool {
        let life = self.in_hand.get(&id).map(|in_hand| &in_hand.task.life);
        life.is_some_and(|life| life.status() == Status::InProgress && life.assignee == Some(user))
    }

    /// The refusal, where the images of these tasks are more than their owner may have. What is let in is counted.
    pub(super) fn over_quota(&mut self, tasks: &[NewTask]) -> Option<Reply> {
        let mut usage = self.usage.clone();
        let mut keys = HashSet::new();
        // Nothing is made of one whose unique key lives, here or earlier among these.
        let mut made = Vec::new();
        for task in tasks {
            let key = task.unique_key.as_ref();
            if self.living(task).is_none() && key.is_none_or(|key| keys.insert((task.owner, &task.kind, key)))
            {
                made.push(task);
            }
        }
        for (owner, (bytes, quota)) in made.into_iter().filter_map(|task| Some((task.owner, task.adds()?))) {
            let has = usage.entry(owner).or_default();
            let before = *has;
            *has = Usage { images: has.images + 1, bytes: has.bytes.saturating_add(bytes) };
            if quota.images.is_some_and(|most| has.images > most)
                || quota.bytes.is_some_and(|most| has.bytes > most)
            {
                return Some(Reply::OverQuota(quota, before));
            }
        }
        self.usage = usage;
        None
    }
}
