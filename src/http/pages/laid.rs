//! JSON laid out to be read, with every sign of it as it was given.
//!
//! Called by the pages that show what tasks were made of. True here: numbers, names and their order stay as they came,
//! since nothing is parsed and written anew; what has nothing nested stands on one line.

use crate::task::Json;

/// As much of a text as is shown, in bytes.
const SHOWN: usize = 64 * 1024;

/// A JSON text, laid out, as much of it as is shown.
pub(in crate::http) struct Laid {
    /// The text.
    pub(in crate::http) text: String,
    /// Whether there is more.
    pub(in crate::http) cut: bool,
}

impl Laid {
    /// That text; `None` for `null`, which is nothing to be shown.
    pub(in crate::http) fn of(json: &Json) -> Option<Self> {
        if json.is_null() {
            return None;
        }
        let mut text = laid_out(json.as_str());
        let cut = text.len() > SHOWN;
        if cut {
            text.truncate(text.floor_char_boundary(SHOWN));
        }
        Some(Self { text, cut })
    }
}

/// The text, which is JSON, with a line for each member of what holds others that hold something.
fn laid_out(json: &str) -> String {
    let mut out = String::with_capacity(json.len() * 2);
    // For each open bracket whether its members have lines of their own.
    let mut open: Vec<bool> = Vec::new();
    let mut rest = json;
    while let Some(c) = rest.chars().next() {
        let (token, after) = rest.split_at(token(rest, c));
        rest = after;
        match c {
            ' ' | '\t' | '\r' | '\n' => {}
            '{' | '[' => {
                out.push(c);
                open.push(nests(rest));
                line(&mut out, &open);
            }
            '}' | ']' => {
                let lines = open.pop().unwrap_or(false);
                if lines {
                    out.push('\n');
                    out.extend(std::iter::repeat_n("  ", open.len()));
                }
                out.push(c);
            }
            ',' => {
                out.push(c);
                if open.last() == Some(&true) { line(&mut out, &open) } else { out.push(' ') }
            }
            ':' => out.push_str(": "),
            _ => out.push_str(token),
        }
        if out.len() > 2 * SHOWN {
            break;
        }
    }
    out
}

/// Begins a line, where the innermost bracket wants one.
fn line(out: &mut String, open: &[bool]) {
    if open.last() == Some(&true) {
        out.push('\n');
        out.extend(std::iter::repeat_n("  ", open.len()));
    }
}

/// The length of what begins with `first`: a whole string, or one sign.
fn token(text: &str, first: char) -> usize {
    if first != '"' {
        return first.len_utf8();
    }
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// Whether a bracket that was just opened holds another before it ends, or a name: an object of anything has lines.
fn nests(inside: &str) -> bool {
    let mut rest = inside;
    while let Some(c) = rest.chars().next() {
        match c {
            '{' | '[' | ':' => return true,
            '}' | ']' => return false,
            _ => rest = rest.split_at(token(rest, c)).1,
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nests_has_lines_and_everything_stays_as_it_was() {
        for (given, expected) in [
            ("null", "null"),
            ("[]", "[]"),
            ("{}", "{}"),
            ("[1, 2,3]", "[1, 2, 3]"),
            (r#"{"b":1e400,"a":"x, {y}: \" z"}"#, "{\n  \"b\": 1e400,\n  \"a\": \"x, {y}: \\\" z\"\n}"),
            (r#"[[1],{"k":[]}]"#, "[\n  [1],\n  {\n    \"k\": []\n  }\n]"),
            ("\"ж\"", "\"ж\""),
        ] {
            assert_eq!(laid_out(given), expected);
        }
    }

    #[test]
    fn what_is_long_is_cut_and_says_so() {
        let long = format!("\"{}\"", "ж".repeat(SHOWN));
        let laid = Laid::of(&Json::trusted(&long)).unwrap();
        assert!(laid.cut && laid.text.len() <= SHOWN);
    }
}
