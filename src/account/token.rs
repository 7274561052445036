//! A user's access token: a random UUID shown once, kept as its hash.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest, Sha256};
use uuid::Uuid;

/// The secret itself: 122 random bits in a UUID. Never logged: its `Debug` hides it.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(Uuid);

/// What the database keeps of a token: SHA-256 of its 16 bytes. A slow password hash would add nothing, since
/// nobody can guess 122 random bits. Found by an index on the whole hash, so nothing is compared byte by byte
/// with a secret.
#[derive(Clone, PartialEq, Eq)]
pub struct TokenHash(String);

impl Token {
    /// A new secret.
    #[must_use]
    pub fn fresh() -> Self {
        Self(Uuid::new_v4())
    }

    /// What to keep of it.
    #[must_use]
    pub fn hash(&self) -> TokenHash {
        TokenHash(format!("{:x}", Sha256::digest(self.0.as_bytes())))
    }

    /// The text to show, once.
    #[must_use]
    pub fn reveal(&self) -> String {
        self.0.to_string()
    }
}

impl FromStr for Token {
    type Err = uuid::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(hidden)")
    }
}

impl fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenHash(hidden)")
    }
}

impl TokenHash {
    /// A hash that comes out of the database.
    #[must_use]
    pub fn trusted(text: String) -> Self {
        Self(text)
    }

    /// Lower-case hexadecimal, 64 characters.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_reads_back_hashes_alike_and_hides_itself() {
        let token = Token::fresh();
        let again: Token = token.reveal().parse().unwrap();
        assert_eq!(token.hash(), again.hash());
        assert_ne!(token.hash(), Token::fresh().hash());
        assert_eq!(token.hash().as_str().len(), 64);
        assert!(!format!("{token:?} {:?}", token.hash()).contains(&token.reveal()));
    }
}
