//! Who may do what: the rules of access, in one table.
//!
//! Every route has an [`Access`] (`http/routes`), every question of access that the store or a handler asks is a method of
//! [`Caller`] and answered from here, and one test asks every route as each of the four callers and compares. What a
//! caller may not see is not there to them: the answer is then the same as for what does not exist.

use super::Caller;
use crate::task::UserId;

/// Who may use a route on a thing, or a thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Access {
    /// Everybody.
    Everybody,
    /// Users; and callers without an identity where `auth.anonymous` lets them in.
    Guests,
    /// Users.
    Users,
    /// Whoever owns it. What nobody owns is that of callers without an identity.
    Owner,
    /// Whoever owns it, and the user whom it was given to as work.
    OwnerOrAssignee,
    /// Whoever may take it in hand as work: its owner, and everybody where nobody owns it. Who runs the daemon takes as
    /// little as any other.
    Taker,
    /// Whoever has it in hand: nobody speaks for another, whoever that is.
    Holder,
    /// Whoever knows its link, which nobody can guess.
    LinkHolder,
    /// Whoever owns it, and whoever has the token that was given for it. What nobody owns is the token's alone.
    TokenHolder,
    /// Whoever runs the daemon.
    Admins,
}

/// What a caller is to a thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Standing {
    /// It is theirs, in the sense of the access: owned, given to them, in their hands.
    Theirs,
    /// A caller without an identity, and it is not theirs.
    Anonymous,
    /// A user, and it is another's.
    Stranger,
    /// Who runs the daemon, and it is another's.
    Admin,
}

/// A line of the table: who may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    /// Whose it is.
    pub theirs: bool,
    /// A caller without an identity.
    pub anonymous: bool,
    /// Another user.
    pub stranger: bool,
    /// Who runs the daemon.
    pub admin: bool,
    /// Whether callers without an identity are let in only where `auth.anonymous` says so; also to what is theirs.
    pub admits: bool,
}

const fn rule(theirs: bool, anonymous: bool, stranger: bool, admin: bool, admits: bool) -> Rule {
    Rule { theirs, anonymous, stranger, admin, admits }
}

impl Access {
    /// Every access.
    pub const ALL: [Self; 10] = [
        Self::Everybody,
        Self::Guests,
        Self::Users,
        Self::Owner,
        Self::OwnerOrAssignee,
        Self::Taker,
        Self::Holder,
        Self::LinkHolder,
        Self::TokenHolder,
        Self::Admins,
    ];

    /// The table. A link or a token that somebody shows is judged where it is read: the line is for those without it.
    #[must_use]
    #[rustfmt::skip]
    pub const fn rule(self) -> Rule {
        //                                theirs anonymous stranger admin  admits
        match self {
            Self::Everybody       => rule(true,  true,     true,    true,  false),
            Self::Guests          => rule(true,  true,     true,    true,  true),
            Self::Users           => rule(true,  false,    true,    true,  true),
            Self::Owner           => rule(true,  false,    false,   true,  true),
            Self::OwnerOrAssignee => rule(true,  false,    false,   true,  true),
            Self::Taker           => rule(true,  false,    false,   false, true),
            Self::Holder          => rule(true,  false,    false,   false, true),
            Self::LinkHolder      => rule(true,  true,     true,    true,  false),
            Self::TokenHolder     => rule(true,  false,    false,   true,  false),
            Self::Admins          => rule(false, false,    false,   true,  true),
        }
    }

    /// What the caller is to a thing of `owner` that is given to `assignee`.
    #[must_use]
    pub fn standing(self, caller: Caller, owner: Option<UserId>, assignee: Option<UserId>) -> Standing {
        let own = caller.user() == owner;
        let given = caller.user() == assignee;
        let theirs = match self {
            Self::Everybody | Self::Guests | Self::Users | Self::LinkHolder | Self::Admins => false,
            Self::Owner => own,
            // Who is nobody is not the same nobody who was given the token.
            Self::TokenHolder => own && owner.is_some(),
            Self::OwnerOrAssignee => own || (given && assignee.is_some()),
            Self::Taker => own || owner.is_none(),
            Self::Holder => given,
        };
        if theirs {
            return Standing::Theirs;
        }
        match caller {
            Caller::Anonymous => Standing::Anonymous,
            Caller::User(_) => Standing::Stranger,
            Caller::Admin(_) => Standing::Admin,
        }
    }

    /// Whether a caller who is let in at all may.
    #[must_use]
    pub fn allows(self, caller: Caller, owner: Option<UserId>, assignee: Option<UserId>) -> bool {
        let rule = self.rule();
        match self.standing(caller, owner, assignee) {
            Standing::Theirs => rule.theirs,
            Standing::Anonymous => rule.anonymous,
            Standing::Stranger => rule.stranger,
            Standing::Admin => rule.admin,
        }
    }

    /// The rule in words, as the API's description has it.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::Everybody => "For everybody.",
            Self::Guests => {
                "For users, and for callers without an identity where `auth.anonymous` lets them in."
            }
            Self::Users => "For users.",
            Self::Owner => {
                "For its owner and admins; what nobody owns is that of callers without an identity, where \
                 `auth.anonymous` lets them in."
            }
            Self::OwnerOrAssignee => {
                "For its owner, the user whom it was given to, and admins; what nobody owns is that of callers without \
                 an identity, where `auth.anonymous` lets them in."
            }
            Self::Taker => {
                "For its owner, and for everybody where nobody owns it; callers without an identity where \
                 `auth.anonymous` lets them in."
            }
            Self::Holder => "For whoever has it in hand, and nobody else, admins included.",
            Self::LinkHolder => "For whoever has the link.",
            Self::TokenHolder => "For its owner, admins, and whoever has the token that was given for it.",
            Self::Admins => "For admins.",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANN: UserId = UserId(1);
    const BOB: UserId = UserId(2);

    #[test]
    fn only_what_is_for_all_has_no_owner_to_ask_for() {
        for access in Access::ALL {
            let rule = access.rule();
            // Nobody may more with what is another's than with what is theirs, but those who run the daemon.
            assert!(rule.theirs || !(rule.anonymous || rule.stranger), "{access:?}");
            // A stranger has at least an identity.
            assert!(rule.stranger || !rule.anonymous, "{access:?}");
            assert!(access.words().ends_with('.'), "{access:?}");
        }
    }

    #[test]
    fn what_nobody_owns_is_that_of_callers_without_an_identity() {
        let nobodys = |access: Access, caller| access.allows(caller, None, None);
        for access in [Access::Owner, Access::OwnerOrAssignee] {
            assert!(nobodys(access, Caller::Anonymous));
            assert!(nobodys(access, Caller::Admin(None)));
            assert!(!nobodys(access, Caller::User(ANN)));
        }
        assert!(!nobodys(Access::TokenHolder, Caller::Anonymous), "without the token");
        assert!(nobodys(Access::Taker, Caller::User(ANN)));
        assert!(!nobodys(Access::TokenHolder, Caller::Anonymous), "anybody could say so");
        assert!(nobodys(Access::TokenHolder, Caller::Admin(None)));
    }

    #[test]
    fn admins_may_what_owners_may_and_speak_for_nobody() {
        let admin = Caller::Admin(Some(BOB));
        for access in Access::ALL {
            let may = access.allows(admin, Some(ANN), Some(ANN));
            assert_eq!(may, !matches!(access, Access::Holder | Access::Taker), "{access:?}");
        }
        assert!(Access::Holder.allows(admin, Some(ANN), Some(BOB)));
        assert!(!Access::Admins.allows(Caller::User(BOB), None, None));
    }
}
