//! Files that come as text in JSON: base64 as programs write it, plain or in a data URL.
//!
//! Called by the routes that take images in JSON. True here: both alphabets are read (RFC 4648, 4 and 5), with line breaks
//! and without padding; anything else is refused with its place, since what is guessed at would be another file than the
//! one that was sent. Memory: a piece of the file at a time.

use std::io::{self, Write};

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

/// Characters that are decoded at a time; a multiple of four.
const PIECE: usize = 64 * 1024;

/// Padding is looked at here, so the engine sees none.
const ENGINE: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::RequireNone),
);

/// Why a text is no file.
#[derive(Debug, thiserror::Error)]
pub enum NotBase64 {
    /// A character that has no business there.
    #[error("{0:?} at character {1} is none of base64's")]
    Character(char, usize),
    /// `+` or `/` beside `-` or `_`.
    #[error("it mixes the two alphabets of base64: `{0}` at character {1}")]
    Mixed(char, usize),
    /// Something after the end.
    #[error("it goes on after the padding, at character {0}")]
    AfterPadding(usize),
    /// No number of characters makes whole bytes that way.
    #[error("it is cut off: {0} characters and {1} of padding do not make whole bytes")]
    Length(usize, usize),
    /// The last character holds bits that belong to no byte.
    #[error("its last character does not end on a whole byte")]
    LooseBits,
    /// A data URL of another form.
    #[error("a data URL must be `data:<type>;base64,<data>`")]
    DataUrl,
    /// The file is longer than may be.
    #[error("the file is longer than {0} bytes")]
    TooLong(u64),
    /// What was decoded cannot be written.
    #[error(transparent)]
    Write(#[from] io::Error),
}

/// The bytes that `text` is, a data URL or nothing but base64 of either alphabet: at most `most`.
///
/// # Errors
/// [`NotBase64`], with the place of what is wrong.
pub fn bytes(text: &str, most: u64) -> Result<Vec<u8>, NotBase64> {
    let mut bytes = Vec::new();
    decode(text, most, &mut bytes)?;
    Ok(bytes)
}

/// Decodes `text`, a data URL or nothing but base64, and writes the bytes to `file`: at most `most`. Says how many.
///
/// # Errors
/// [`NotBase64`]; something may have been written by then.
pub(super) fn decode(text: &str, most: u64, file: &mut impl Write) -> Result<u64, NotBase64> {
    let data = data_of(text)?;
    let skipped = text.len() - data.len();
    let mut reading = Reading { file, most, written: 0, piece: Vec::with_capacity(PIECE), bytes: Vec::new() };
    let (mut characters, mut padding, mut alphabet) = (0, 0, None);
    for (at, byte) in data.bytes().enumerate() {
        let at = skipped + at;
        let plain = match byte {
            b' ' | b'\t' | b'\r' | b'\n' => continue,
            b'=' => {
                padding += 1;
                continue;
            }
            _ if padding > 0 => return Err(NotBase64::AfterPadding(at)),
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' => byte,
            b'+' | b'/' | b'-' | b'_' => {
                let url_safe = matches!(byte, b'-' | b'_');
                if *alphabet.get_or_insert(url_safe) != url_safe {
                    return Err(NotBase64::Mixed(char::from(byte), at));
                }
                match byte {
                    b'-' => b'+',
                    b'_' => b'/',
                    plain => plain,
                }
            }
            _ => return Err(NotBase64::Character(character_at(text, at), at)),
        };
        characters += 1;
        reading.push(plain)?;
    }
    let whole = match characters % 4 {
        0 => padding == 0,
        2 => matches!(padding, 0 | 2),
        3 => matches!(padding, 0 | 1),
        _ => false,
    };
    if !whole {
        return Err(NotBase64::Length(characters, padding));
    }
    reading.flush()?;
    Ok(reading.written)
}

/// The most characters that a file of so many bytes may take in JSON: padded, with line breaks, and with every `/`
/// escaped as some programs do.
pub(super) fn longest(bytes: u64) -> u64 {
    bytes.saturating_mul(3) / 2 + 64 * 1024
}

/// What follows the head of a data URL (RFC 2397); all of a text that is none.
fn data_of(text: &str) -> Result<&str, NotBase64> {
    let trimmed = text.trim_start();
    if !trimmed.get(..5).is_some_and(|scheme| scheme.eq_ignore_ascii_case("data:")) {
        return Ok(text);
    }
    let (head, data) = trimmed.split_once(',').ok_or(NotBase64::DataUrl)?;
    let encoding = head.rsplit_once(';').map_or("", |(_, encoding)| encoding.trim());
    if encoding.eq_ignore_ascii_case("base64") { Ok(data) } else { Err(NotBase64::DataUrl) }
}

fn character_at(text: &str, at: usize) -> char {
    text.get(at..).and_then(|rest| rest.chars().next()).unwrap_or(char::REPLACEMENT_CHARACTER)
}

struct Reading<'a, W> {
    file: &'a mut W,
    most: u64,
    written: u64,
    piece: Vec<u8>,
    bytes: Vec<u8>,
}

impl<W: Write> Reading<'_, W> {
    fn push(&mut self, plain: u8) -> Result<(), NotBase64> {
        self.piece.push(plain);
        if self.piece.len() == PIECE { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<(), NotBase64> {
        self.bytes.clear();
        // Every character and the length were looked at: what is left are bits that belong to no byte.
        ENGINE.decode_vec(&self.piece, &mut self.bytes).map_err(|_| NotBase64::LooseBits)?;
        self.piece.clear();
        self.written += self.bytes.len() as u64;
        if self.written > self.most {
            return Err(NotBase64::TooLong(self.most));
        }
        self.file.write_all(&self.bytes)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::{STANDARD as PADDED, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
    use proptest::prelude::*;

    use super::*;

    fn decoded(text: &str) -> Result<Vec<u8>, String> {
        let mut bytes = Vec::new();
        let written = decode(text, 1 << 20, &mut bytes).map_err(|error| error.to_string())?;
        assert_eq!(written, bytes.len() as u64);
        Ok(bytes)
    }

    proptest! {
        #[test]
        fn whatever_a_program_writes_reads_back(
            bytes in proptest::collection::vec(any::<u8>(), 0..300), line in 1_usize..80,
        ) {
            for text in [
                PADDED.encode(&bytes), STANDARD_NO_PAD.encode(&bytes), URL_SAFE.encode(&bytes), URL_SAFE_NO_PAD.encode(&bytes),
            ] {
                prop_assert_eq!(decoded(&text), Ok(bytes.clone()));
                prop_assert_eq!(decoded(&format!("data:image/png;base64,{text}")), Ok(bytes.clone()));
                let lines: Vec<&str> =
                    text.as_bytes().chunks(line).map(|line| std::str::from_utf8(line).unwrap()).collect();
                prop_assert_eq!(decoded(&format!(" {}\r\n", lines.join("\r\n"))), Ok(bytes.clone()));
            }
        }

        #[test]
        fn no_text_makes_it_panic_and_what_it_takes_is_what_was_meant(text in "\\PC{0,40}") {
            if let Ok(bytes) = decoded(&text) {
                let plain: String = text.rsplit(',').next().unwrap().chars()
                    .filter(|c| !c.is_ascii_whitespace() && *c != '=')
                    .map(|c| match c { '-' => '+', '_' => '/', c => c }).collect();
                prop_assert_eq!(STANDARD_NO_PAD.encode(bytes), plain);
            }
        }
    }

    #[test]
    fn a_long_text_is_decoded_piece_by_piece_and_a_longer_file_than_allowed_is_not() {
        let bytes: Vec<u8> = (0..200_001_u32).map(|n| n.to_le_bytes()[0] ^ n.to_le_bytes()[1]).collect();
        let text = PADDED.encode(&bytes);
        assert_eq!(decoded(&text), Ok(bytes));
        assert_eq!(decode(&text, 200_001, &mut io::sink()).unwrap(), 200_001);
        assert!(matches!(decode(&text, 200_000, &mut io::sink()), Err(NotBase64::TooLong(200_000))));
    }

    #[test]
    fn what_is_no_base64_is_refused_with_its_place() {
        for (text, told) in [
            ("QUJD*", "'*' at character 4"),
            ("QUж=", "'ж' at character 2"),
            ("+A-A", "mixes the two alphabets of base64: `-` at character 2"),
            ("QQ==QQ==", "goes on after the padding, at character 4"),
            ("Q", "cut off: 1 characters"),
            ("QUJDQ", "cut off: 5 characters"),
            ("QQ=", "2 characters and 1 of padding"),
            ("QUJD=", "4 characters and 1 of padding"),
            ("=", "0 characters and 1 of padding"),
            ("QR==", "whole byte"),
            ("data:image/png,abc", "data URL"),
            ("data:image/png;base64", "data URL"),
            ("data:;base64,Q*", "'*' at character 14"),
            ("\u{0}", "'\\0' at character 0"),
        ] {
            let refused = decoded(text).expect_err(text);
            assert!(refused.contains(told), "{text:?}: {refused}");
        }
        assert_eq!(decoded("").unwrap(), b"");
        assert_eq!(decoded("DATA:image/png;charset=x;BASE64, QUJD").unwrap(), b"ABC");
    }
}
