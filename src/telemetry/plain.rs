//! Text from strangers as it may stand in a log.
//!
//! Used by the action log and by the log on standard error. True here: what comes out stands on one line, moves no
//! cursor, turns no text around and hides nothing; and what is escaped cannot be mistaken for what is not.

/// Appends `text`, of which no more than `most` characters, with an ellipsis for the rest.
pub(super) fn push(out: &mut String, text: &str, most: usize) {
    for (index, c) in text.chars().enumerate() {
        if index == most {
            out.push('…');
            return;
        }
        match c {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if is_treacherous(c) => out.extend(c.escape_unicode()),
            c => out.push(c),
        }
    }
}

/// Whether a character is a control character, ends a line, changes the direction of what follows, or is nothing that
/// anybody sees. The joiners U+200C and U+200D are needed for proper Persian and for emoji, and do nothing else.
pub(super) fn is_treacherous(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{00ad}'
                | '\u{034f}'
                | '\u{061c}'
                | '\u{115f}'..='\u{1160}'
                | '\u{17b4}'..='\u{17b5}'
                | '\u{180b}'..='\u{180f}'
                | '\u{200b}'
                | '\u{200e}'
                | '\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{2800}'
                | '\u{3164}'
                | '\u{feff}'
                | '\u{ffa0}'
                | '\u{fff0}'..='\u{fffb}'
                | '\u{1d173}'..='\u{1d17a}'
                | '\u{e0000}'..='\u{e007f}'
        )
}
