//! The bytes that belong to a task, by name: the bytes themselves are the blob store's.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// The name of a blob: SHA-256 of its bytes, as 64 small hexadecimal digits. Equal bytes have one name, and a
/// name from outside that is well formed cannot leave the blob folder.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlobName(String);

/// The text is no blob's name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no blob name: 64 of 0-9 and a-f")]
pub struct BlobNameError(String);

impl BlobName {
    /// The name of bytes with that digest.
    #[must_use]
    pub fn of_digest(digest: &[u8; 32]) -> Self {
        let mut name = String::with_capacity(64);
        for byte in digest {
            use fmt::Write as _;
            // Writing to a string cannot fail.
            let _ = write!(name, "{byte:02x}");
        }
        Self(name)
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for BlobName {
    type Err = BlobNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let well_formed =
            text.len() == 64 && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        if well_formed {
            Ok(Self(text.to_owned()))
        } else {
            Err(BlobNameError(text.chars().take(80).collect()))
        }
    }
}

impl fmt::Display for BlobName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for BlobName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for BlobName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

/// What an attachment is to its task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Role {
    /// What the task works on.
    Input,
    /// What it made.
    Output,
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 2] = [Self::Input, Self::Output];

    /// The word in the database.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Input => "input",
            Self::Output => "output",
        }
    }

    /// The role that `word` is.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == word)
    }
}

/// A blob that belongs to a task: at most one in each role. The blob lives while any task has it attached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attachment {
    /// What it is to the task.
    pub role: Role,
    /// Which bytes.
    pub blob: BlobName,
    /// How many.
    pub bytes: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blob_name_is_exactly_sixty_four_small_hex_digits() {
        let name = BlobName::of_digest(&[0xab; 32]);
        assert_eq!(name.as_str(), "ab".repeat(32));
        assert_eq!(name.as_str().parse::<BlobName>().unwrap(), name);
        for bad in ["", "../../etc/passwd", &"AB".repeat(32), &"a".repeat(63), &"g".repeat(64)] {
            assert!(bad.parse::<BlobName>().is_err(), "{bad}");
        }
    }
}
