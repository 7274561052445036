//! Users: who they say they are.

use std::fmt;
use std::str::FromStr;

use super::{Password, PasswordHash, TokenHash};
use crate::task::{BlobName, Timestamp, UserId};

/// What a user may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Role {
    /// What is their own.
    #[default]
    User,
    /// Everything.
    Admin,
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 2] = [Self::User, Self::Admin];

    /// The word on the wire and in the database.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Admin => "admin",
        }
    }
}

impl FromStr for Role {
    type Err = UserError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.into_iter().find(|role| role.as_str() == text);
        found.ok_or_else(|| UserError::Role(text.chars().take(20).collect()))
    }
}

/// The picture of a user, as we made it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Avatar {
    /// Which bytes.
    pub blob: BlobName,
    /// How many.
    pub bytes: u64,
}

/// A user as everybody may know them, and the e-mail, which only they may.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// The number.
    pub id: UserId,
    /// What they are called, when they said so.
    pub name: Option<Name>,
    /// Where to reach them, when they said so. For their own eyes.
    pub email: Option<Email>,
    /// What they say they are.
    pub gender: Option<Gender>,
    /// Their picture.
    pub avatar: Option<Avatar>,
    /// What they may do.
    pub role: Role,
    /// Whether they can log in with a password.
    pub has_password: bool,
    /// Since when.
    pub created_at: Timestamp,
}

impl User {
    /// A user of whom nothing is known but the number.
    #[must_use]
    pub fn plain(id: UserId, created_at: Timestamp) -> Self {
        Self {
            id,
            name: None,
            email: None,
            gender: None,
            avatar: None,
            role: Role::default(),
            has_password: false,
            created_at,
        }
    }
}

/// By what a user is known at a login.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LoginName {
    /// The number.
    Id(UserId),
    /// The e-mail.
    Email(Email),
    /// The name. Names are not unique: it means the oldest user of that name who has a password, so that nobody can take
    /// another's login away by being called the same.
    Name(Name),
}

/// A user about to be made: a name, an e-mail, or both.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewUser {
    name: Option<Name>,
    email: Option<Email>,
    /// What is kept of the token.
    pub token: TokenHash,
    /// What is kept of the password, for those who want to log in.
    pub password: Option<PasswordHash>,
    /// What they say they are.
    pub gender: Option<Gender>,
    /// Their picture.
    pub avatar: Option<Avatar>,
    /// What they may do.
    pub role: Role,
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
    /// No gender.
    #[error("a gender has 1 to {} characters, none of them a control character", Gender::MAX_CHARS)]
    Gender,
    /// No password.
    #[error(
        "a password has at least {} characters and at most {} bytes",
        Password::MIN_CHARS,
        Password::MAX_BYTES
    )]
    Password,
    /// No role.
    #[error("`{0}` is no role: `user` or `admin`")]
    Role(String),
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
        Ok(Self { name, email, token, password: None, gender: None, avatar: None, role: Role::default() })
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
        short(text, Self::MAX_CHARS).map(Self).ok_or(UserError::Name)
    }
}

/// What a user says they are, in their own words: 1 to 40 characters, none of them a control character.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gender(String);

impl Gender {
    const MAX_CHARS: usize = 40;

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Gender {
    type Err = UserError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        short(text, Self::MAX_CHARS).map(Self).ok_or(UserError::Gender)
    }
}

/// A text of one line, without space at its ends.
fn short(text: &str, max_chars: usize) -> Option<String> {
    let text = text.trim();
    let fits = !text.is_empty() && text.chars().count() <= max_chars && !text.chars().any(char::is_control);
    fits.then(|| text.to_owned())
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
    fn a_role_and_a_gender_are_read_back_and_what_is_none_is_refused() {
        for role in Role::ALL {
            assert_eq!(role.as_str().parse(), Ok(role));
        }
        assert!("root".parse::<Role>().is_err());
        assert_eq!(" жен. ".parse::<Gender>().unwrap().as_str(), "жен.");
        assert!("x".repeat(41).parse::<Gender>().is_err());
    }

    #[test]
    fn a_user_without_name_and_email_is_none() {
        let token = Token::fresh().hash();
        assert_eq!(NewUser::new(None, None, token), Err(UserError::Nameless));
    }
}
