//! Names of files that come from outside: made harmless when they come in, and again when they go out.
//!
//! True here: a name is text to show, never a path; what is put into a header cannot end it, and is read there as the
//! same name again.

use std::fmt::Write as _;

use actix_web::http::header::{ContentDisposition, HeaderValue};

/// The longest name that is kept, in bytes; as much as file systems take.
const MAX_BYTES: usize = 255;

/// What a header `Content-Disposition` calls a file: in the extended form (`filename*`, RFC 8187) where there is one. The
/// name as it was sent: [`kept`] makes it harmless. `None` where there is none, or the header cannot be read.
#[must_use]
pub fn said(header: &HeaderValue) -> Option<String> {
    said_in(&ContentDisposition::from_raw(header).ok()?)
}

/// The same of a header that was read.
pub(super) fn said_in(header: &ContentDisposition) -> Option<String> {
    match header.get_filename_ext() {
        Some(extended) => Some(String::from_utf8_lossy(&extended.value).into_owned()),
        None => header.get_filename().map(str::to_owned),
    }
}

/// The name without folders, control characters, ends of lines and marks that turn text around, of at most 255 bytes;
/// `None` where nothing is left to call a file by.
#[must_use]
pub fn kept(given: &str) -> Option<String> {
    let last = given.rsplit(['/', '\\']).next().unwrap_or_default();
    let clean: String =
        last.chars().filter(|c| !c.is_control() && !turns_text(*c) && !ends_line(*c)).collect();
    let clean = cut(clean.trim(), MAX_BYTES).trim_end();
    (!clean.chars().all(|c| c == '.')).then(|| clean.to_owned())
}

/// What a browser does with a file that it follows a link to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shown {
    /// It shows it.
    Inline,
    /// It saves it.
    Saved,
}

/// `Content-Disposition` of a file under that name, with another extension (RFC 6266): once in ASCII for old clients,
/// once in UTF-8.
#[must_use]
pub fn disposition(shown: Shown, kept: &str, extension: &str) -> String {
    let name = format!("{}.{extension}", cut(stem(kept), MAX_BYTES - extension.len() - 1));
    let ascii: String =
        name.chars()
            .map(|c| {
                if c.is_ascii_graphic() && !matches!(c, '"' | '\\' | '%' | '/') || c == ' ' { c } else { '_' }
            })
            .collect();
    let word = match shown {
        Shown::Inline => "inline",
        Shown::Saved => "attachment",
    };
    let mut header = format!("{word}; filename=\"{ascii}\"; filename*=UTF-8''");
    for byte in name.bytes() {
        // RFC 8187, attr-char.
        if byte.is_ascii_alphanumeric() || b"!#$&+-.^_`|~".contains(&byte) {
            header.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(header, "%{byte:02X}");
        }
    }
    header
}

/// The name without its extension.
fn stem(name: &str) -> &str {
    match name.rsplit_once('.') {
        Some((stem, extension)) if !stem.is_empty() && extension.len() <= 5 => stem,
        Some(_) | None => name,
    }
}

/// At most `most` bytes, whole characters.
fn cut(text: &str, most: usize) -> &str {
    let mut end = most.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}

/// Marks that turn the direction of text, with which a name can look like another.
fn turns_text(c: char) -> bool {
    matches!(c, '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// Ends of lines that are no control characters: a line of a log must stay one, whoever reads it.
fn ends_line(c: char) -> bool {
    matches!(c, '\u{2028}' | '\u{2029}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kept_name_is_no_path_and_holds_no_control_characters() {
        for (given, name) in [
            ("talk.wav", "talk.wav"),
            ("../../etc/passwd", "passwd"),
            ("C:\\music\\a.wav", "a.wav"),
            ("a\r\nSet-Cookie: x=1.wav", "aSet-Cookie: x=1.wav"),
            ("голос.wav", "голос.wav"),
            ("a\u{202e}vaw.exe", "avaw.exe"),
            ("a\u{85}b\u{2028}c\u{2029}d.wav", "abcd.wav"),
            ("", ""),
            ("..", ""),
            ("dir/", ""),
            (" \t ", ""),
        ] {
            assert_eq!(kept(given).unwrap_or_default(), name, "{given:?}");
        }
        let long = kept(&"ж".repeat(300)).unwrap();
        assert_eq!(long.len(), 254);
    }

    #[test]
    fn a_disposition_is_one_line_of_ascii_with_the_name_twice() {
        for (name, header) in [
            ("talk.wav", "attachment; filename=\"talk.mp3\"; filename*=UTF-8''talk.mp3"),
            ("a\"b.wav", "attachment; filename=\"a_b.mp3\"; filename*=UTF-8''a%22b.mp3"),
            ("го.wav", "attachment; filename=\"__.mp3\"; filename*=UTF-8''%D0%B3%D0%BE.mp3"),
            (".wav", "attachment; filename=\".wav.mp3\"; filename*=UTF-8''.wav.mp3"),
            ("v1.2 final", "attachment; filename=\"v1.2 final.mp3\"; filename*=UTF-8''v1.2%20final.mp3"),
            ("a\r\nb", "attachment; filename=\"a__b.mp3\"; filename*=UTF-8''a%0D%0Ab.mp3"),
        ] {
            assert_eq!(disposition(Shown::Saved, name, "mp3"), header);
        }
    }
}
