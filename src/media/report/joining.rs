//! Arabic letters in the form that they have between their neighbours.
//!
//! The fonts have a sign for each form (the block "Arabic Presentation Forms-B"), and Unicode says which letter each of
//! them is, and in which order they stand. That is all that is used here.

use std::collections::HashMap;
use std::sync::OnceLock;

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// The forms of a letter, as the block has them: alone and after another; of letters that also join to the next one, at
/// the beginning and in the middle as well.
type Forms = Vec<char>;

/// By the letter; two letters for lam with alef, which are written as one.
fn forms() -> &'static HashMap<String, Forms> {
    static FORMS: OnceLock<HashMap<String, Forms>> = OnceLock::new();
    FORMS.get_or_init(|| {
        let mut forms: HashMap<String, Forms> = HashMap::new();
        for form in '\u{fe80}'..='\u{fefc}' {
            forms.entry(form.nfkc().collect()).or_default().push(form);
        }
        forms
    })
}

const LAM: char = '\u{644}';

/// The text with each Arabic letter in its form; marks stay where they are.
pub(super) fn join(text: &str) -> String {
    let letters = letters(text);
    let mut joined = String::with_capacity(text.len());
    for (index, (letter, marks)) in letters.iter().enumerate() {
        let after = index > 0 && joins_next(&letters[index - 1].0) && joins_last(letter);
        let before = joins_next(letter) && letters.get(index + 1).is_some_and(|(next, _)| joins_last(next));
        let place = usize::from(after) + 2 * usize::from(before);
        match forms().get(letter).and_then(|forms| forms.get(place)) {
            Some(form) => joined.push(*form),
            None => joined.push_str(letter),
        }
        joined.push_str(marks);
    }
    joined
}

/// The text as letters, each with the marks on it.
fn letters(text: &str) -> Vec<(String, String)> {
    let mut letters: Vec<(String, String)> = Vec::new();
    for sign in text.chars() {
        match letters.last_mut() {
            Some((_, marks)) if is_combining_mark(sign) => marks.push(sign),
            Some((letter, marks))
                if marks.is_empty()
                    && letter.chars().eq([LAM])
                    && forms().contains_key(&format!("{LAM}{sign}")) =>
            {
                letter.push(sign);
            }
            _ => letters.push((sign.into(), String::new())),
        }
    }
    letters
}

/// Whether a letter holds on to the one before it.
fn joins_last(letter: &str) -> bool {
    forms().get(letter).is_some_and(|forms| forms.len() > 1)
}

/// Whether it holds on to the one after it.
fn joins_next(letter: &str) -> bool {
    forms().get(letter).is_some_and(|forms| forms.len() > 2)
}

#[cfg(test)]
mod tests {
    use super::join;

    #[test]
    fn letters_take_the_form_that_their_place_asks_for() {
        // Alone, at the beginning, in the middle, at the end.
        assert_eq!(join("\u{628}"), "\u{fe8f}");
        assert_eq!(join("\u{628}\u{628}\u{628}"), "\u{fe91}\u{fe92}\u{fe90}");
        // Alef never holds on to what follows.
        assert_eq!(join("\u{627}\u{628}"), "\u{fe8d}\u{fe8f}");
        // Lam with alef is one sign, and a space ends a word.
        assert_eq!(join("\u{644}\u{627}"), "\u{fefb}");
        assert_eq!(join("\u{628} \u{628}"), "\u{fe8f} \u{fe8f}");
        // A mark is between letters and not in between.
        assert_eq!(join("\u{628}\u{64e}\u{628}"), "\u{fe91}\u{64e}\u{fe90}");
        assert_eq!(join("Привет, שלום"), "Привет, שלום");
    }
}
