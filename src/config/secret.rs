//! Secrets as settings: the one that webhooks are signed with, in the form that the Standard Webhooks give it, and
//! those that others gave us, which are any text; with their rules.
//!
//! Used by `webhooks.rs` and `blobs.rs`, and by the rooms that sign. True here: a secret in hand can be written again
//! exactly as it was read, and one of webhooks is long enough; neither `Debug`, nor a refusal, nor `config print` shows
//! it.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::rule::{Raw, Refusal, Rule};
use super::section::Literal;

/// How the text of a secret begins.
const PREFIX: &str = "whsec_";

/// How many bytes a key may have.
const BYTES: std::ops::RangeInclusive<usize> = 24..=64;

/// The key that webhooks are signed with: 24 to 64 bytes, written `whsec_` and base64.
#[derive(Clone, PartialEq, Eq)]
pub struct WebhookSecret(Vec<u8>);

impl WebhookSecret {
    /// Reads a secret.
    ///
    /// # Errors
    /// Text that is not `whsec_` and the base64 of 24 to 64 bytes. The error never quotes it.
    pub fn parse(text: &str) -> Result<Self, BadSecret> {
        let encoded = text.strip_prefix(PREFIX).ok_or(BadSecret::Prefix)?;
        Self::from_key(STANDARD.decode(encoded).map_err(|_| BadSecret::Encoding)?)
    }

    /// Takes a key as it is.
    ///
    /// # Errors
    /// [`BadSecret::Length`] when it has not 24 to 64 bytes.
    pub fn from_key(key: Vec<u8>) -> Result<Self, BadSecret> {
        if !BYTES.contains(&key.len()) {
            return Err(BadSecret::Length { bytes: key.len() });
        }
        Ok(Self(key))
    }

    /// The key, for whoever signs.
    #[must_use]
    pub fn key(&self) -> &[u8] {
        &self.0
    }

    /// The text, for whoever keeps it. Never log it.
    #[must_use]
    pub fn reveal(&self) -> String {
        format!("{PREFIX}{}", STANDARD.encode(&self.0))
    }
}

impl FromStr for WebhookSecret {
    type Err = BadSecret;

    fn from_str(text: &str) -> Result<Self, BadSecret> {
        Self::parse(text)
    }
}

impl fmt::Debug for WebhookSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WebhookSecret(hidden)")
    }
}

/// Why a text is no secret, as the end of a sentence about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadSecret {
    /// It begins differently.
    #[error("does not begin with {PREFIX}")]
    Prefix,
    /// What follows is not base64.
    #[error("is not base64 (with + and /, padded with =) after {PREFIX}")]
    Encoding,
    /// Too short to be safe, or longer than receivers take.
    #[error("holds {bytes} bytes, and must hold {} to {}", BYTES.start(), BYTES.end())]
    Length {
        /// How many it has.
        bytes: usize,
    },
}

/// The secret of webhooks, or `""` for none.
pub(super) fn optional_webhook_secret() -> OptionalWebhookSecret {
    OptionalWebhookSecret
}

pub(super) struct OptionalWebhookSecret;

impl Rule for OptionalWebhookSecret {
    type Out = Option<WebhookSecret>;

    fn parse(&self, raw: &Raw) -> Result<Option<WebhookSecret>, Refusal> {
        match raw.text()? {
            "" => Ok(None),
            text => WebhookSecret::parse(text).map(Some).map_err(|error| error.to_string()),
        }
    }

    fn allowed(&self) -> String {
        format!("\"{PREFIX}\" and the base64 of {} to {} bytes, or \"\"", BYTES.start(), BYTES.end())
    }

    fn show(&self, value: &Option<WebhookSecret>) -> Literal {
        Literal::Text(value.as_ref().map(|_| format!("{PREFIX}***")).unwrap_or_default())
    }

    fn is_secret(&self) -> bool {
        true
    }
}

/// A secret that somebody else made: text of which nothing is known.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretText(String);

impl SecretText {
    /// The text, for whoever signs with it. Never log it.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretText(hidden)")
    }
}

/// A secret of at most so many bytes, or `""` for none.
pub(super) fn optional_secret(most: usize) -> OptionalSecret {
    OptionalSecret { most }
}

pub(super) struct OptionalSecret {
    most: usize,
}

impl Rule for OptionalSecret {
    type Out = Option<SecretText>;

    fn parse(&self, raw: &Raw) -> Result<Option<SecretText>, Refusal> {
        match raw.text()? {
            "" => Ok(None),
            text if text.len() > self.most => Err(format!("is longer than {} bytes", self.most)),
            text if text.chars().any(|c| c.is_control() || c.is_whitespace()) => {
                Err("holds a space or a line break".to_owned())
            }
            text => Ok(Some(SecretText(text.to_owned()))),
        }
    }

    fn allowed(&self) -> String {
        format!("text of at most {} bytes without spaces, or \"\"", self.most)
    }

    fn show(&self, value: &Option<SecretText>) -> Literal {
        Literal::Text(value.as_ref().map(|_| "***".to_owned()).unwrap_or_default())
    }

    fn is_secret(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_read_and_written_and_not_shown() {
        let text = format!("whsec_{}", STANDARD.encode([7; 24]));
        let secret = WebhookSecret::parse(&text).unwrap();
        assert_eq!((secret.key(), secret.reveal().as_str()), ([7; 24].as_slice(), text.as_str()));
        assert_eq!(format!("{secret:?}"), "WebhookSecret(hidden)");
        let shown = OptionalWebhookSecret.show(&Some(secret));
        assert_eq!(shown, Literal::Text("whsec_***".to_owned()));
    }

    #[test]
    fn what_is_no_secret_is_refused_and_not_quoted() {
        let of = |bytes: usize| format!("whsec_{}", STANDARD.encode(vec![7; bytes]));
        for (text, reason) in [
            ("BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcH".to_owned(), BadSecret::Prefix),
            ("whsec_BwcHBwc HBwcH".to_owned(), BadSecret::Encoding),
            (of(25).trim_end_matches('=').to_owned(), BadSecret::Encoding),
            (of(23), BadSecret::Length { bytes: 23 }),
            (of(65), BadSecret::Length { bytes: 65 }),
            ("whsec_".to_owned(), BadSecret::Length { bytes: 0 }),
        ] {
            assert_eq!(WebhookSecret::parse(&text), Err(reason), "{text}");
            assert!(!reason.to_string().contains("BwcH"), "{reason}");
        }
        assert!(WebhookSecret::parse(&of(64)).is_ok());
        assert_eq!(OptionalWebhookSecret.parse(&Raw::Text(String::new())), Ok(None));
    }
}
