//! Texts of services as plain text.
//!
//! Used by the sources. True here: every encoding is taken off once. What is text after that stays text, though it
//! may look like a tag or an entity.

use std::borrow::Cow;

use html_escape::decode_html_entities;

/// What raw HTML says: without tags, with its entities read, in one line with single spaces.
pub(super) fn of_html(html: &str) -> String {
    line(&decode_html_entities(&without_tags(html)))
}

/// In one line, with single spaces and none around.
pub(super) fn line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// At most so many bytes of it, cut between two characters.
pub(super) fn cut(text: &str, most: usize) -> &str {
    text[..text.floor_char_boundary(most)].trim_end()
}

/// Whether there is something in it, and nothing that no text has: not every database keeps such signs.
pub(super) fn is_plain(word: &str) -> bool {
    !word.is_empty() && !word.chars().any(char::is_control)
}

/// Without the backslashes that some put before quotes.
pub(super) fn without_backslashes(text: &str) -> Cow<'_, str> {
    if text.contains('\\') {
        Cow::Owned(text.replace("\\'", "'").replace("\\\"", "\""))
    } else {
        Cow::Borrowed(text)
    }
}

/// No tag in a question is longer; so hostile text, in which every `<` looks for its end, takes bounded time.
const LONGEST_TAG: usize = 512;

/// Tags that end a word.
const BREAKS: [&str; 10] = ["br", "p", "div", "li", "ul", "ol", "tr", "td", "th", "hr"];

/// Without what HTML takes for a tag: `<` and a letter, `/` or `!`, up to the next `>` outside of quotes. A `<` before
/// anything else, or one that nothing ends, is a sign like any other.
fn without_tags(html: &str) -> String {
    let mut text = String::with_capacity(html.len());
    let mut rest = html;
    while let Some(start) = rest.find('<') {
        let (before, from) = rest.split_at(start);
        text.push_str(before);
        rest = match tag(from) {
            Some(length) => {
                let name = from[1..length].trim_start_matches('/');
                let name = name.split(|sign: char| !sign.is_ascii_alphanumeric()).next().unwrap_or(name);
                if BREAKS.iter().any(|tag| name.eq_ignore_ascii_case(tag)) {
                    text.push(' ');
                }
                &from[length..]
            }
            None => {
                text.push('<');
                &from[1..]
            }
        };
    }
    text.push_str(rest);
    text
}

/// How long the tag is with which the text begins; `None` when it begins with none.
fn tag(text: &str) -> Option<usize> {
    let opens = |sign: u8| sign.is_ascii_alphabetic() || sign == b'/' || sign == b'!';
    if !text.as_bytes().get(1).copied().is_some_and(opens) {
        return None;
    }
    let (mut quote, mut value) = (None, false);
    for (place, sign) in text.bytes().enumerate().take(LONGEST_TAG).skip(2) {
        match (quote, sign) {
            (Some(open), sign) if open == sign => quote = None,
            (Some(_), _) => {}
            // A quote means something only where a value begins.
            (None, b'"' | b'\'') if value => quote = Some(sign),
            (None, b'>') => return Some(place + 1),
            (None, _) => {}
        }
        value = sign == b'=' || (value && sign.is_ascii_whitespace());
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn html_becomes_what_a_reader_of_the_page_would_see() {
        for (html, text) in [
            ("<i>deus ex machina</i>", "deus ex machina"),
            ("meat-&amp;-dairy", "meat-&-dairy"),
            ("&quot;Caf&eacute;&#039;s&quot; &#x41;", "\"Café's\" A"),
            ("one<br />two<BR>three", "one two three"),
            ("H<sub>2</sub>O", "H2O"),
            ("  a \n\t b&nbsp;c ", "a b c"),
            ("<a href=\"x>y\" title='1 > 0'>link</a>", "link"),
            ("<a title=it's>quote</a>", "quote"),
            ("<!-- hush -->said", "said"),
            // Signs that are no tags.
            ("3 < 5 > 4", "3 < 5 > 4"),
            ("x<-y", "x<-y"),
            ("the end <i", "the end <i"),
            ("<", "<"),
            // Once, never twice.
            ("&lt;i&gt;x&lt;/i&gt;", "<i>x</i>"),
            ("&amp;lt;", "&lt;"),
            ("no &entity; of that name", "no &entity; of that name"),
        ] {
            assert_eq!(of_html(html), text, "{html}");
        }
    }

    #[test]
    fn a_text_is_cut_between_characters() {
        assert_eq!(cut("caf\u{e9}s", 4), "caf");
        assert_eq!(cut("caf\u{e9}s", 5), "café");
        assert_eq!(cut("two words", 4), "two");
        assert_eq!(cut("short", 200), "short");
    }

    #[test]
    fn backslashes_before_quotes_go_and_others_stay() {
        assert_eq!(without_backslashes(r#"it\'s \"so\" C:\dir"#), r#"it's "so" C:\dir"#);
    }

    #[test]
    fn tags_that_never_end_take_bounded_time() {
        // Without the bound on tags this takes many minutes.
        let html = "<a".repeat(1 << 16);
        assert_eq!(of_html(&html), html);
    }
}
