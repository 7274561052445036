//! The name of what a task does.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// A kind's name: a small letter, then up to 31 small letters, digits or underscores. Whether the running
/// daemon has such a kind is the registry's to say; here it is only well formed. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Kind(Arc<str>);

/// The text is no kind's name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a kind: a small letter, then at most 31 of a-z, 0-9 and _")]
pub struct KindError(String);

impl Kind {
    const MAX_BYTES: usize = 32;

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Kind {
    type Err = KindError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let well_formed = text.len() <= Self::MAX_BYTES
            && text.starts_with(|c: char| c.is_ascii_lowercase())
            && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
        if well_formed { Ok(Self(text.into())) } else { Err(KindError(text.chars().take(64).collect())) }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Borrow<str> for Kind {
    fn borrow(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_is_a_short_word_of_small_letters_digits_and_underscores() {
        for good in ["noop", "a", "to_mp3", "x9", &"k".repeat(32)] {
            assert_eq!(good.parse::<Kind>().unwrap().as_str(), good);
        }
        for bad in ["", "9x", "_a", "Noop", "a b", "a-b", "ж", &"k".repeat(33)] {
            assert!(bad.parse::<Kind>().is_err(), "{bad}");
        }
    }
}
