//! Users: who they say they are.

use std::fmt;
use std::str::FromStr;

use super::TokenHash;
use crate::task::{Timestamp, UserId};

/// A user as everybody may know them, and the e-mail, which only they may.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// The number.
    pub id: UserId,
    /// What they are called, when they said so.
    pub name: Option<Name>,
    /// Where to reach them, when they said so. For their own eyes.
    pub email: Option<Email>,
    /// Since when.
    pub created_at: Timestamp,
}

/// A user about to be made: a name, an e-mail, or both.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewUser {
    name: Option<Name>,
    email: Option<Email>,
    /// What is kept of the token.
    pub token: TokenHash,
}

/// Why a user cannot be made of that.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UserError {
    /// Neither was given.
    #[error("a user needs a `name` or an `email`")]
    Nameless,
    /// No name.
    #[error("a name has 1 to {} characters, none of them a control character", Name::MAX_CHARS)]
    Name,
    /// No address.
    #[error("`{0}` is no e-mail address: it needs one `@` with something on both sides, at most 254 bytes")]
    Email(String),
}

impl NewUser {
    /// A user of that name, e-mail, or both.
    ///
    /// # Errors
    /// [`UserError::Nameless`] when there is neither.
    pub fn new(name: Option<Name>, email: Option<Email>, token: TokenHash) -> Result<Self, UserError> {
        if name.is_none() && email.is_none() {
            return Err(UserError::Nameless);
        }
        Ok(Self { name, email, token })
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> Option<&Name> {
        self.name.as_ref()
    }

    /// The e-mail.
    #[must_use]
    pub fn email(&self) -> Option<&Email> {
        self.email.as_ref()
    }
}

/// What a user is called: 1 to 100 characters, none of them a control character, no space at the ends. Names
/// need not be unique.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Name(String);

impl Name {
    const MAX_CHARS: usize = 100;

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Name {
    type Err = UserError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim();
        let fits = !text.is_empty()
            && text.chars().count() <= Self::MAX_CHARS
            && !text.chars().any(char::is_control);
        if fits { Ok(Self(text.to_owned())) } else { Err(UserError::Name) }
    }
}

/// An e-mail address, in lower case, since that is how people expect it to be recognised; unique. Only its
/// shape is checked: whether anybody reads it, only a letter could tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Email(String);

impl Email {
    /// RFC 5321, 4.5.3.1.3, less the angle brackets.
    const MAX_BYTES: usize = 254;

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Email {
    type Err = UserError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim();
        let no_address = || UserError::Email(text.chars().take(64).collect());
        let (local, domain) = text.split_once('@').ok_or_else(no_address)?;
        let fits = text.len() <= Self::MAX_BYTES
            && !local.is_empty()
            && !domain.is_empty()
            && !domain.contains('@')
            && !text.chars().any(|c| c.is_control() || c.is_whitespace());
        if fits { Ok(Self(text.to_lowercase())) } else { Err(no_address()) }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::Token;

    #[test]
    fn a_name_is_short_and_printable() {
        assert_eq!("  Жанна d'Arc ".parse::<Name>().unwrap().as_str(), "Жанна d'Arc");
        for bad in ["", "   ", "a\nb", "a\u{0}", &"x".repeat(101)] {
            assert!(bad.parse::<Name>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn an_email_has_one_at_sign_and_is_known_in_lower_case() {
        assert_eq!("Ann@Example.com".parse::<Email>().unwrap().as_str(), "ann@example.com");
        for bad in ["", "ann", "@b", "a@", "a@b@c", "a b@c", "a@\u{7}c", &format!("a@{}", "b".repeat(260))] {
            assert!(bad.parse::<Email>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_user_without_name_and_email_is_none() {
        let token = Token::fresh().hash();
        assert_eq!(NewUser::new(None, None, token), Err(UserError::Nameless));
    }
}
