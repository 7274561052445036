//! Who is calling, and what each caller may do. Pure: no database, no HTTP, no runtime.
//!
//! The credentials of a caller are read at the edge (`http/`), looked up in the store, and become a [`Caller`]
//! here; from then on only the caller travels. Every question of access is a method of [`Caller`],
//! answered from the table of [`Access`].

mod access;
mod change;
mod counters;
mod password;
mod portfolio;
mod token;
mod user;

pub use access::{Access, Rule, Standing};
pub use change::{Change, UserChange};
pub use counters::{CounterDay, CounterName, Counters, CountersChange, CountersError, CountersNow, Day};
pub use password::{Hasher, HasherError, Password, PasswordHash};
pub use portfolio::{Activity, Count, Holding, Portfolio, RecentWork, Stored};
pub use token::{Token, TokenHash};
pub use user::{Avatar, Email, Gender, LoginName, Name, NewUser, Role, User, UserError};

use crate::task::UserId;

/// Who is calling.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Caller {
    /// Nobody who proved who they are.
    Anonymous,
    /// A user who did.
    User(UserId),
    /// Somebody who runs this daemon: a user with that role, or, without a number, whoever can read its data folder.
    Admin(Option<UserId>),
}

impl Caller {
    /// The user, when there is one.
    #[must_use]
    pub fn user(self) -> Option<UserId> {
        match self {
            Self::Anonymous => None,
            Self::User(id) => Some(id),
            Self::Admin(id) => id,
        }
    }

    /// Whether it is somebody who runs this daemon.
    #[must_use]
    pub fn is_admin(self) -> bool {
        match self {
            Self::Admin(_) => true,
            Self::Anonymous | Self::User(_) => false,
        }
    }

    /// Whether the caller may see and change what `owner` owns. What a user owns is that user's and admins' alone; what
    /// nobody owns is anonymous callers' (where they are let in at all), so that they see their own work.
    #[must_use]
    pub fn may_touch(self, owner: Option<UserId>) -> bool {
        Access::Owner.allows(self, owner, None)
    }

    /// Whether the caller may change that user.
    #[must_use]
    pub fn may_change(self, user: UserId) -> bool {
        self.may_touch(Some(user))
    }

    /// Whether the caller may see a task of `owner` that `assignee` has or had in hand: who works on it must know
    /// it.
    #[must_use]
    pub fn may_see(self, owner: Option<UserId>, assignee: Option<UserId>) -> bool {
        Access::OwnerOrAssignee.allows(self, owner, assignee)
    }

    /// Whether the caller may take a task of `owner` in hand: their own, or one that nobody owns.
    #[must_use]
    pub fn may_take(self, owner: Option<UserId>) -> bool {
        Access::Taker.allows(self, owner, None)
    }

    /// Whether the caller may speak for a task that was given to `assignee`. Among callers without an identity only
    /// the attempt tells one from another.
    #[must_use]
    pub fn may_speak(self, assignee: Option<UserId>) -> bool {
        Access::Holder.allows(self, None, assignee)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_sees_their_own_and_anonymous_callers_what_nobody_owns() {
        let (ann, bob) = (UserId(1), UserId(2));
        for (caller, owner, allowed) in [
            (Caller::User(ann), Some(ann), true),
            (Caller::User(ann), Some(bob), false),
            (Caller::User(ann), None, false),
            (Caller::Anonymous, Some(ann), false),
            (Caller::Anonymous, None, true),
            (Caller::Admin(Some(bob)), Some(ann), true),
            (Caller::Admin(None), Some(ann), true),
            (Caller::Admin(None), None, true),
        ] {
            assert_eq!(caller.may_touch(owner), allowed, "{caller:?} on what {owner:?} owns");
        }
    }

    #[test]
    fn who_works_on_a_task_sees_it_and_nobody_speaks_for_another() {
        let (ann, bob) = (UserId(1), UserId(2));
        for (caller, owner, assignee, sees, takes, speaks) in [
            (Caller::User(ann), Some(ann), None, true, true, false),
            (Caller::User(ann), None, Some(ann), true, true, true),
            (Caller::User(ann), None, Some(bob), false, true, false),
            (Caller::User(ann), Some(bob), None, false, false, false),
            (Caller::User(ann), Some(bob), Some(ann), true, false, true),
            (Caller::Anonymous, None, None, true, true, true),
            (Caller::Anonymous, None, Some(ann), true, true, false),
            (Caller::Anonymous, Some(ann), None, false, false, true),
            (Caller::Admin(Some(bob)), Some(ann), Some(ann), true, false, false),
            (Caller::Admin(Some(bob)), None, Some(bob), true, true, true),
        ] {
            let case = format!("{caller:?}, owned by {owner:?}, given to {assignee:?}");
            assert_eq!(caller.may_see(owner, assignee), sees, "{case}");
            assert_eq!(caller.may_take(owner), takes, "{case}");
            assert_eq!(caller.may_speak(assignee), speaks, "{case}");
        }
    }
}
