//! What may change of a user, and what becomes of the user then.

use super::{Avatar, Email, Gender, Name, PasswordHash, Role, TokenHash, User, UserError};

/// What to do with a value that may be there or not, as a merge patch has it (RFC 7396).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Change<T> {
    /// Leave it.
    #[default]
    Keep,
    /// Make it this.
    Set(T),
    /// Take it away.
    Clear,
}

impl<T: Clone> Change<T> {
    fn apply(&self, value: &mut Option<T>) {
        match self {
            Self::Keep => {}
            Self::Set(new) => *value = Some(new.clone()),
            Self::Clear => *value = None,
        }
    }
}

/// What is to change of a user. [`Default`] is nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct UserChange {
    /// The name.
    pub name: Change<Name>,
    /// The e-mail.
    pub email: Change<Email>,
    /// The gender.
    pub gender: Change<Gender>,
    /// The picture.
    pub avatar: Change<Avatar>,
    /// The password. A new one, or none, ends the sessions that the old one began.
    pub password: Change<PasswordHash>,
    /// What the user may do.
    pub role: Option<Role>,
    /// A new token; the old one is nobody's from then on.
    pub token: Option<TokenHash>,
}

impl UserChange {
    /// The user as changed.
    ///
    /// # Errors
    /// [`UserError::Nameless`] when neither name nor e-mail would be left.
    pub fn apply(&self, user: &User) -> Result<User, UserError> {
        let mut changed = user.clone();
        self.name.apply(&mut changed.name);
        self.email.apply(&mut changed.email);
        self.gender.apply(&mut changed.gender);
        self.avatar.apply(&mut changed.avatar);
        changed.role = self.role.unwrap_or(user.role);
        changed.has_password = match &self.password {
            Change::Keep => user.has_password,
            Change::Set(_) => true,
            Change::Clear => false,
        };
        if changed.name.is_none() && changed.email.is_none() {
            return Err(UserError::Nameless);
        }
        Ok(changed)
    }

    /// Whether sessions that were begun before must not go on.
    #[must_use]
    pub fn ends_sessions(&self) -> bool {
        match self.password {
            Change::Keep => false,
            Change::Set(_) | Change::Clear => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::{Timestamp, UserId};

    #[test]
    fn what_is_not_named_stays_and_somebody_remains() {
        let ann =
            User { name: Some("Ann".parse().unwrap()), ..User::plain(UserId(1), Timestamp::from_micros(0)) };
        let change = UserChange { gender: Change::Set("f".parse().unwrap()), ..UserChange::default() };
        let changed = change.apply(&ann).unwrap();
        assert_eq!(changed.name, ann.name);
        assert_eq!(changed.gender.as_ref().map(Gender::as_str), Some("f"));
        let nobody = UserChange { name: Change::Clear, ..UserChange::default() };
        assert_eq!(nobody.apply(&changed), Err(UserError::Nameless));
        let moved = UserChange { email: Change::Set("a@b".parse().unwrap()), ..nobody };
        assert_eq!(moved.apply(&changed).unwrap().name, None);
    }

    #[test]
    fn only_another_password_ends_sessions() {
        assert!(!UserChange { role: Some(Role::Admin), ..UserChange::default() }.ends_sessions());
        assert!(UserChange { password: Change::Clear, ..UserChange::default() }.ends_sessions());
    }
}
