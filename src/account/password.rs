//! Passwords: what is kept of them.

use std::fmt;

/// What the database keeps of a password: the text of the PHC string format, which names the algorithm, its parameters
/// and the salt. Never logged: its `Debug` hides it.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash(String);

impl PasswordHash {
    /// A text that a hasher of ours made, or that comes out of the database.
    #[must_use]
    pub fn trusted(text: String) -> Self {
        Self(text)
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash(hidden)")
    }
}
