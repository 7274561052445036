//! Text as a terminal may have it: without what moves its cursor, and as wide as there is room.
//!
//! Called by whatever shows what others wrote. True here: no character of the result but those asked for (ends of lines,
//! tabs) does anything but stand there.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// What stands in the place of a character that would do something.
const HARMLESS: char = '\u{fffd}';

/// Whether a character does something to a terminal, or to the order of what stands there, instead of standing there.
fn acts(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// A line of text.
pub(in crate::cli) fn harmless(text: &str) -> String {
    text.chars().map(|c| if acts(c) { HARMLESS } else { c }).collect()
}

/// Text of several lines, which stay.
pub(in crate::cli) fn harmless_lines(text: &str) -> String {
    text.chars().map(|c| if acts(c) && !matches!(c, '\n' | '\t') { HARMLESS } else { c }).collect()
}

/// A JSON text on one line, meaning the same: what would act is written as JSON escapes it.
pub(in crate::cli) fn harmless_json(json: &str) -> String {
    let mut line = String::with_capacity(json.len());
    for c in json.chars() {
        match c {
            // Between the tokens; inside of strings they cannot stand.
            '\n' | '\r' | '\t' => line.push(' '),
            c if acts(c) => {
                let mut units = [0; 2];
                for unit in c.encode_utf16(&mut units) {
                    line.push_str(&format!("\\u{unit:04x}"));
                }
            }
            c => line.push(c),
        }
    }
    line
}

/// How many columns it takes.
pub(in crate::cli) fn width(text: &str) -> usize {
    text.width()
}

/// The text in at most so many columns; where something is cut off, the last is an ellipsis.
pub(in crate::cli) fn cut(text: &str, columns: usize) -> String {
    // Marks that take no column of their own can be heaped up without end.
    let crowded = text.chars().nth(columns.saturating_mul(4)).is_some();
    if !crowded && text.width() <= columns {
        return text.to_owned();
    }
    let (mut kept, mut taken) = (String::new(), 0);
    for c in text.chars().take(columns.saturating_mul(4)) {
        let more = c.width().unwrap_or(0);
        if taken + more + 1 > columns {
            break;
        }
        taken += more;
        kept.push(c);
    }
    if columns > 0 {
        kept.push('…');
    }
    kept
}

/// The text with spaces behind it (or before it) up to so many columns.
pub(in crate::cli) fn padded(text: &str, columns: usize, to_the_right: bool) -> String {
    let space = " ".repeat(columns.saturating_sub(text.width()));
    if to_the_right { format!("{space}{text}") } else { format!("{text}{space}") }
}

/// A span of time for people.
pub(in crate::cli) fn span(seconds: i64) -> String {
    match seconds {
        ..60 => format!("{} s", seconds.max(0)),
        60..3600 => format!("{} min", seconds / 60),
        3600..86_400 => format!("{} h", seconds / 3600),
        86_400.. => format!("{} d", seconds / 86_400),
    }
}

/// A JSON text for people: indented, everything in it as it was written, in its order.
pub(in crate::cli) fn indented(json: &str) -> String {
    let (mut text, mut depth, mut quoted, mut escaped) =
        (String::with_capacity(json.len() * 2), 0, false, false);
    let line = |text: &mut String, depth: usize| {
        text.push('\n');
        text.push_str(&"  ".repeat(depth));
    };
    let mut rest = json.chars().filter(|c| !c.is_ascii_control()).peekable();
    while let Some(c) = rest.next() {
        if quoted {
            (quoted, escaped) = (escaped || c != '"', !escaped && c == '\\');
            text.push(c);
            continue;
        }
        match c {
            ' ' => {}
            '{' | '[' => {
                text.push(c);
                while rest.next_if_eq(&' ').is_some() {}
                match rest.next_if(|next| matches!(next, '}' | ']')) {
                    Some(end) => text.push(end),
                    None => {
                        depth += 1;
                        line(&mut text, depth);
                    }
                }
            }
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                line(&mut text, depth);
                text.push(c);
            }
            ',' => {
                text.push(c);
                line(&mut text, depth);
            }
            ':' => text.push_str(": "),
            c => {
                quoted = c == '"';
                text.push(c);
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_act_stands_there_instead() {
        assert_eq!(harmless("a\u{1b}[2Jb\r\n\u{9b}c\u{202e}d\u{7f}ж漢"), "a�[2Jb���c�d�ж漢");
        assert_eq!(harmless_lines("a\n\tb\r\u{1b}"), "a\n\tb��");
    }

    #[test]
    fn json_keeps_its_meaning_on_one_line() {
        let json = "{\n \"a\": \"\u{9b}31m\u{202e}\u{e0041}ж\" }";
        let line = harmless_json(json);
        assert!(!line.chars().any(acts), "{line}");
        let read = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
        assert_eq!(read(&line), read(json));
    }

    #[test]
    fn json_is_indented_and_nothing_else() {
        let json =
            r#"{"b":1.10,"a":[ ],"c":["x: {\"y\\"," z,"],"n":123456789012345678901234567890,"o":{"p":null}}"#;
        let text = indented(json);
        let compact: String = text.lines().map(str::trim_start).collect();
        assert_eq!(compact.replace("\": ", "\":").replace("[]", "[ ]"), json);
        assert!(text.starts_with("{\n  \"b\": 1.10,\n  \"a\": [],\n  \"c\": [\n    \"x: {"), "{text}");
        assert_eq!(indented("\"hello\""), "\"hello\"");
    }

    #[test]
    fn a_cut_text_fits_and_ends_with_an_ellipsis() {
        for (text, columns, expected) in [
            ("report", 6, "report"),
            ("report", 5, "repo…"),
            ("漢字かな", 8, "漢字かな"),
            ("漢字かな", 7, "漢字か…"),
            ("漢字かな", 6, "漢字…"),
            ("a", 0, ""),
            ("ab", 1, "…"),
            ("e\u{301}tude", 5, "e\u{301}tude"),
        ] {
            assert_eq!(cut(text, columns), expected, "{text} in {columns}");
            assert!(width(&cut(text, columns)) <= columns);
        }
        let heap = format!("a{}", "\u{301}".repeat(1000));
        assert!(cut(&heap, 5).chars().count() <= 21);
    }

    #[test]
    fn padding_counts_columns_and_not_letters() {
        assert_eq!(padded("漢", 4, false), "漢  ");
        assert_eq!(padded("7", 3, true), "  7");
    }

    #[test]
    fn spans_are_short() {
        for (seconds, text) in [(-3, "0 s"), (59, "59 s"), (60, "1 min"), (7200, "2 h"), (200_000, "2 d")] {
            assert_eq!(span(seconds), text);
        }
    }
}
