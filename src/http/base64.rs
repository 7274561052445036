//! Bytes as text: base64 as programs and browsers send it, piece by piece.
//!
//! Called by the forms that take a picture inside JSON. It takes what real senders write: the standard alphabet and the
//! URL-safe one (RFC 4648), with or without padding, with line breaks and spaces anywhere, plain or as a `data:` URL
//! (RFC 2397). What is none of that is refused with the place. Holds no more than four characters besides its output.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};

/// Both forms are taken; the last characters must not carry bits that belong to no byte.
const ENGINE: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The longest head of a `data:` URL, in bytes: a media type with its parameters.
const MAX_HEAD: usize = 256;

/// Why a text is not the bytes that it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Base64Error {
    /// A character that has no place in it.
    #[error("expected base64, found `{0}` in it (character {1})")]
    Character(char, u64),
    /// Characters are missing at the end, or padding stands in the middle.
    #[error("the base64 is cut short, or padded (`=`) before its end")]
    Length,
    /// A `data:` URL of another form.
    #[error("expected `data:<type>;base64,<data>`")]
    Url,
}

/// A decoder that is fed piece by piece.
#[derive(Debug, Default)]
pub struct Decoder {
    head: Head,
    /// Characters that do not make three bytes yet.
    rest: Vec<u8>,
    /// Padding has begun.
    padded: usize,
    seen: u64,
}

/// What has been seen of the beginning.
#[derive(Debug)]
enum Head {
    /// It may be a `data:` URL.
    Open(Vec<u8>),
    /// It is past.
    Done,
}

impl Default for Head {
    fn default() -> Self {
        Self::Open(Vec::new())
    }
}

impl Decoder {
    /// Decodes `text`, which need not be whole in any sense, onto the end of `out`.
    ///
    /// # Errors
    /// [`Base64Error`]; then `out` holds what came before.
    pub fn push(&mut self, text: &[u8], out: &mut Vec<u8>) -> Result<(), Base64Error> {
        let text = match &mut self.head {
            Head::Done => text,
            Head::Open(head) => {
                head.extend_from_slice(text);
                let Some(body) = past_head(head)? else { return Ok(()) };
                let body = head.split_off(body);
                self.seen = head.len() as u64;
                self.head = Head::Done;
                return self.body(&body, out);
            }
        };
        self.body(text, out)
    }

    /// Decodes what is left.
    ///
    /// # Errors
    /// [`Base64Error`].
    pub fn finish(mut self, out: &mut Vec<u8>) -> Result<(), Base64Error> {
        if let Head::Open(head) = std::mem::replace(&mut self.head, Head::Done) {
            if head.starts_with(b"data:") {
                return Err(Base64Error::Url);
            }
            self.body(&head, out)?;
        }
        if self.padded > 0 && (self.rest.len() + self.padded) % 4 != 0 {
            return Err(Base64Error::Length);
        }
        ENGINE.decode_vec(&self.rest, out).map_err(|_| Base64Error::Length)
    }

    fn body(&mut self, text: &[u8], out: &mut Vec<u8>) -> Result<(), Base64Error> {
        for &byte in text {
            self.seen += 1;
            let standard = match byte {
                b'-' => b'+',
                b'_' => b'/',
                b' ' | b'\t' | b'\r' | b'\n' => continue,
                b'=' if self.padded < 2 => {
                    self.padded += 1;
                    continue;
                }
                b'+' | b'/' => byte,
                byte if byte.is_ascii_alphanumeric() => byte,
                other => return Err(Base64Error::Character(char::from(other), self.seen)),
            };
            if self.padded > 0 {
                return Err(Base64Error::Length);
            }
            self.rest.push(standard);
        }
        // Whole groups only: what is behind them may go on in the next piece.
        let whole = self.rest.len() / 4 * 4;
        ENGINE.decode_vec(&self.rest[..whole], out).map_err(|_| Base64Error::Length)?;
        self.rest.drain(..whole);
        Ok(())
    }
}

/// Where the data begins, once that can be told.
fn past_head(text: &[u8]) -> Result<Option<usize>, Base64Error> {
    let begins = b"data:";
    let known = text.len().min(begins.len());
    if !text[..known].eq_ignore_ascii_case(&begins[..known]) {
        return Ok(Some(0));
    }
    if known < begins.len() {
        return Ok(None);
    }
    let comma = text.iter().take(MAX_HEAD).position(|byte| *byte == b',');
    match comma {
        Some(comma) if text[..comma].to_ascii_lowercase().ends_with(b";base64") => Ok(Some(comma + 1)),
        Some(_) => Err(Base64Error::Url),
        None if text.len() >= MAX_HEAD => Err(Base64Error::Url),
        None => Ok(None),
    }
}

/// Decodes a whole text.
///
/// # Errors
/// [`Base64Error`].
pub fn decode(text: &str) -> Result<Vec<u8>, Base64Error> {
    let mut out = Vec::with_capacity(text.len() / 4 * 3);
    let mut decoder = Decoder::default();
    decoder.push(text.as_bytes(), &mut out)?;
    decoder.finish(&mut out)?;
    Ok(out)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_senders_write_is_read() {
        for text in [
            "+/8=",
            "-_8=",
            "+/8",
            " +/\r\n8 = ",
            "data:image/png;base64,+/8=",
            "DATA:;base64,-_8",
            "data:image/svg+xml;charset=utf-8;BASE64,+/8=",
        ] {
            assert_eq!(decode(text), Ok(vec![0xfb, 0xff]), "{text}");
        }
        assert_eq!(decode(""), Ok(Vec::new()));
        assert_eq!(decode("data:,"), Err(Base64Error::Url));
    }

    #[test]
    fn what_is_no_base64_is_refused() {
        for (text, error) in [
            ("ab*d", Base64Error::Character('*', 3)),
            ("a", Base64Error::Length),
            ("abcde", Base64Error::Length),
            ("ab=cd=", Base64Error::Length),
            ("ab=", Base64Error::Length),
            ("abc==", Base64Error::Length),
            ("====", Base64Error::Character('=', 3)),
            ("data:image/png,abcd", Base64Error::Url),
            ("data:image/png;base64", Base64Error::Url),
            ("данные", Base64Error::Character('Ð', 1)),
        ] {
            assert_eq!(decode(text), Err(error), "{text}");
        }
        assert_eq!(decode(&format!("data:{},abcd", "x".repeat(300))), Err(Base64Error::Url));
    }

    proptest! {
        #[test]
        fn in_whatever_pieces_it_comes_it_is_the_same(text in "(data:image/gif;base64,)?[A-Za-z0-9+/ =-]{0,40}", at in 0usize..60) {
            let at = at.min(text.len());
            let mut out = Vec::new();
            let mut decoder = Decoder::default();
            let pieces = decoder
                .push(&text.as_bytes()[..at], &mut out)
                .and_then(|()| decoder.push(&text.as_bytes()[at..], &mut out))
                .and_then(|()| decoder.finish(&mut out));
            prop_assert_eq!(pieces.map(|()| out), decode(&text));
        }

        #[test]
        fn bytes_come_back(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let text = base64::engine::general_purpose::STANDARD.encode(&bytes);
            prop_assert_eq!(decode(&text).unwrap(), bytes);
        }
    }
}
