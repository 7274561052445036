//! Text of any origin, made fit to be drawn: cleaned, in the order of the eye, each sign in a face that has it, and no wider
//! than there is room.
//!
//! What strangers wrote is on these pages, so the rules are strict. Control characters, and whatever has no shape but
//! changes how its neighbours are shown (overrides of direction, joiners, selectors), is taken out; space of any kind is
//! one space; no more than three marks stand on a letter. A sign that no face has is drawn as U+FFFD, and copying it
//! still gives the sign itself. Text from right to left is put in the order of the eye, which readers turn again when it
//! is copied.

use unicode_bidi::{BidiInfo, Level};
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

use super::canvas::{Canvas, Face, Run};
use super::joining::join;

/// What is drawn in place of a sign that no face has.
const STAND_IN: char = '\u{fffd}';
/// The minus, which Noto Sans lacks, and what it draws just like it in every weight.
const MINUS: (char, char) = ('−', '–');
/// What is cut off ends with it.
const ELLIPSIS: char = '…';
/// More marks than that on one letter reach into other lines.
const MARKS_MAX: usize = 3;
/// No text on a page is longer; what comes after was never meant to be read.
const SIGNS_MAX: usize = 2000;

/// How heavy text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Weight {
    /// As text is.
    Regular,
    /// To stand out.
    Bold,
}

impl Weight {
    fn face(self) -> Face {
        match self {
            Self::Regular => Face::Regular,
            Self::Bold => Face::Bold,
        }
    }
}

/// A text on one line, ready to be drawn.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Line {
    /// From left to right.
    pub(super) runs: Vec<Run>,
}

impl Line {
    /// How wide it is at that size, in points.
    pub(super) fn width(&self, size: f32) -> f32 {
        points(self.runs.iter().map(|run| run.advance).sum(), size)
    }
}

fn points(thousandths: u32, size: f32) -> f32 {
    thousandths as f32 * size / 1000.0
}

/// The text without what cannot or should not be seen.
pub(super) fn clean(text: &str) -> String {
    let mut cleaned = String::with_capacity(text.len());
    let (mut marks, mut signs) = (0, 0);
    for sign in text.nfc() {
        if signs == SIGNS_MAX {
            break;
        }
        let sign = match sign {
            '\u{a0}' | '\u{202f}' => '\u{a0}',
            _ if sign.is_whitespace() => ' ',
            _ => sign,
        };
        if is_combining_mark(sign) && sign != ' ' {
            marks += 1;
            if marks > MARKS_MAX || cleaned.is_empty() || cleaned.ends_with(' ') {
                continue;
            }
        } else {
            marks = 0;
        }
        if unseen(sign) || (sign == ' ' && (cleaned.is_empty() || cleaned.ends_with(' '))) {
            continue;
        }
        cleaned.push(sign);
        signs += 1;
    }
    cleaned.truncate(cleaned.trim_end_matches(' ').len());
    cleaned
}

/// Whether a sign has no shape of its own.
fn unseen(sign: char) -> bool {
    sign.is_control()
        || matches!(sign,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}'
            | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
            | '\u{1f3fb}'..='\u{1f3ff}' | '\u{e0000}'..='\u{e0fff}')
}

/// A text on one line, however long that is.
pub(super) fn line(canvas: &dyn Canvas, text: &str, weight: Weight) -> Line {
    compose(canvas, &clean(text), weight)
}

/// A text on one line of that many points at most; what is too much is cut off, and an ellipsis says so.
pub(super) fn fitted(canvas: &dyn Canvas, text: &str, weight: Weight, size: f32, width: f32) -> Line {
    let text = clean(text);
    let whole = compose(canvas, &text, weight);
    if whole.width(size) <= width {
        return whole;
    }
    let mut cut = cut(canvas, &text, weight, size, width);
    let mut line = compose(canvas, &cut, weight);
    // Joined letters may be wider than they were alone.
    while line.width(size) > width && cut.chars().count() > 1 {
        cut.pop();
        cut.pop();
        cut.push(ELLIPSIS);
        line = compose(canvas, &cut, weight);
    }
    line
}

/// A text on so many lines of that width at most, broken between words where there are any.
pub(super) fn wrapped(
    canvas: &dyn Canvas,
    text: &str,
    weight: Weight,
    size: f32,
    width: f32,
    most: usize,
) -> Vec<Line> {
    let text = clean(text);
    let mut rest = text.as_str();
    let mut lines = Vec::new();
    while !rest.is_empty() && lines.len() < most {
        if lines.len() + 1 == most {
            lines.push(fitted(canvas, rest, weight, size, width));
            break;
        }
        let (head, tail) = rest.split_at(break_at(canvas, rest, weight, size, width));
        lines.push(compose(canvas, head.trim_end_matches(' '), weight));
        rest = tail.trim_start_matches(' ');
    }
    lines
}

/// Where the first line of a text ends, in bytes: after the last word that fits, or a hyphen in it, else anywhere; after
/// one sign at least.
fn break_at(canvas: &dyn Canvas, text: &str, weight: Weight, size: f32, width: f32) -> usize {
    let fits = prefix(canvas, text, weight, size, width);
    if fits == text.len() {
        return fits;
    }
    let first = text.chars().next().map_or(0, char::len_utf8);
    if text[fits..].starts_with(' ') {
        return fits.max(first);
    }
    let word = text[..fits].rfind([' ', '-']).map(|at| if text[at..].starts_with('-') { at + 1 } else { at });
    word.filter(|at| *at > 0).unwrap_or(fits).max(first)
}

/// As much of a cleaned text as fits with an ellipsis after it.
fn cut(canvas: &dyn Canvas, text: &str, weight: Weight, size: f32, width: f32) -> String {
    let (_, ellipsis) = sign_in(canvas, ELLIPSIS, weight.face());
    let kept = prefix(canvas, text, weight, size, width - points(ellipsis, size));
    let mut cut = text[..kept].trim_end_matches([' ', '\u{a0}']).to_owned();
    cut.push(ELLIPSIS);
    cut
}

/// How many bytes of a text fit; never between a letter and its marks.
fn prefix(canvas: &dyn Canvas, text: &str, weight: Weight, size: f32, width: f32) -> usize {
    let (mut advance, mut end) = (0, 0);
    let mut signs = text.char_indices().peekable();
    while let Some((at, sign)) = signs.next() {
        advance += sign_in(canvas, sign, weight.face()).1;
        if points(advance, size) > width {
            return end;
        }
        if signs.peek().is_none_or(|(_, next)| !is_combining_mark(*next)) {
            end = at + sign.len_utf8();
        }
    }
    end
}

/// The face that a sign is drawn in and its width there; [`None`] for the face where it is the stand-in.
fn sign_in(canvas: &dyn Canvas, sign: char, wanted: Face) -> (Option<Face>, u32) {
    let sign = alike(sign);
    for face in [wanted, Face::Signs] {
        if let Some(advance) = canvas.advance(face, sign) {
            return (Some(face), u32::from(advance));
        }
    }
    (None, canvas.advance(wanted, STAND_IN).map_or(0, u32::from))
}

/// The sign that is drawn for another, since it looks the same. A space that does not break looks like any other, and not
/// every face knows it.
fn alike(sign: char) -> char {
    match sign {
        '\u{a0}' => ' ',
        _ if sign == MINUS.0 => MINUS.1,
        _ => sign,
    }
}

/// Cleaned text as runs, from left to right.
fn compose(canvas: &dyn Canvas, text: &str, weight: Weight) -> Line {
    let mut line = Line::default();
    if !text.chars().any(from_right) {
        signs(canvas, text, weight.face(), &mut line.runs);
        return line;
    }
    // The page is written from left to right, whatever its texts are.
    let info = BidiInfo::new(text, Some(Level::ltr()));
    for paragraph in &info.paragraphs {
        let (levels, runs) = info.visual_runs(paragraph, paragraph.range.clone());
        for run in runs {
            let part = &text[run.clone()];
            if levels[run.start].is_rtl() {
                turned(canvas, part, weight.face(), &mut line.runs);
            } else {
                signs(canvas, part, weight.face(), &mut line.runs);
            }
        }
    }
    line
}

/// Whether a sign may be of a script that runs from right to left.
fn from_right(sign: char) -> bool {
    matches!(sign, '\u{590}'..='\u{8ff}' | '\u{fb1d}'..='\u{fdff}' | '\u{fe70}'..='\u{fefc}' | '\u{10800}'..='\u{10fff}' | '\u{1e800}'..='\u{1efff}')
}

/// A part that runs from right to left: letters joined, and in the order of the eye. Readers of PDFs know the order of
/// speech by themselves; telling them as well would have it turned twice.
fn turned(canvas: &dyn Canvas, text: &str, face: Face, runs: &mut Vec<Run>) {
    let mut letters: Vec<String> = Vec::new();
    for sign in join(text).chars() {
        match letters.last_mut() {
            Some(letter) if is_combining_mark(sign) => letter.push(sign),
            _ => letters.push(mirrored(sign).into()),
        }
    }
    signs(canvas, &letters.into_iter().rev().collect::<String>(), face, runs);
}

/// The sign that opens where the other closes.
fn mirrored(sign: char) -> char {
    const PAIRS: [(char, char); 6] = [('(', ')'), ('[', ']'), ('{', '}'), ('<', '>'), ('«', '»'), ('‹', '›')];
    let pair = PAIRS.into_iter().find(|(open, close)| *open == sign || *close == sign);
    pair.map_or(sign, |(open, close)| if sign == open { close } else { open })
}

/// Signs as they stand, as runs.
fn signs(canvas: &dyn Canvas, text: &str, wanted: Face, runs: &mut Vec<Run>) {
    let from = runs.len();
    for sign in text.chars() {
        let (face, advance) = sign_in(canvas, sign, wanted);
        let shown = face.map_or(STAND_IN, |_| alike(sign));
        // A space is copied as a space, whatever kind it was.
        let said = shown != sign && sign != '\u{a0}';
        let face = face.unwrap_or(wanted);
        match runs[from..].last_mut() {
            Some(run) if run.face == face && run.said.is_some() == said => {
                run.shown.push(shown);
                run.advance += advance;
                if let Some(said) = &mut run.said {
                    said.push(sign);
                }
            }
            _ => runs.push(Run { face, shown: shown.into(), said: said.then(|| sign.into()), advance }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::pdf::Paper;
    use super::*;

    fn composed(text: &str) -> Vec<Run> {
        line(&Paper::new().unwrap(), text, Weight::Regular).runs
    }

    fn shown(text: &str) -> String {
        composed(text).into_iter().map(|run| run.shown).collect()
    }

    #[test]
    fn what_has_no_shape_is_taken_out_and_space_is_one_space() {
        assert_eq!(clean("  a\tb\n\r\nc\u{0}d\u{7}  "), "a b cd");
        assert_eq!(clean("\u{202e}gnp.exe\u{202c}\u{200b}\u{feff}"), "gnp.exe");
        assert_eq!(clean("👩\u{200d}👧\u{fe0f}"), "👩👧");
        assert_eq!(clean("\u{301}\u{302}"), "");
        assert_eq!(clean("co\u{ad}op"), "coop");
        assert_eq!(clean("e\u{301}"), "é", "composed, as the fonts have it");
        assert_eq!(clean(&format!("x{}", "\u{323}".repeat(50))).chars().count(), 4, "three marks at most");
        assert_eq!(clean(&"я".repeat(9_000)).chars().count(), SIGNS_MAX);
    }

    #[test]
    fn a_sign_is_drawn_in_a_face_that_has_it_or_stood_in_for_and_copies_as_it_was() {
        let runs = composed("Ж → 山");
        let faces: Vec<Face> = runs.iter().map(|run| run.face).collect();
        assert_eq!(faces, [Face::Regular, Face::Signs, Face::Regular, Face::Regular]);
        assert_eq!((runs[1].shown.as_str(), &runs[1].said), ("→", &None));
        assert_eq!((runs[3].shown.as_str(), runs[3].said.as_deref()), ("\u{fffd}", Some("山")));
        let minus = composed("−5");
        assert_eq!((minus[0].shown.as_str(), minus[0].said.as_deref()), ("–", Some("−")));
    }

    #[test]
    fn what_runs_from_right_to_left_is_shown_so_with_its_letters_joined() {
        assert_eq!(shown("אב (ג)"), "(ג) בא");
        assert_eq!(shown("ab אב cd"), "ab בא cd");
        assert_eq!(shown("سلام"), "\u{fee1}\u{fefc}\u{feb3}", "joined: seen, lam with alef, meem");
    }

    #[test]
    fn text_that_is_too_wide_ends_with_an_ellipsis_within_its_width() {
        let canvas = Paper::new().unwrap();
        for text in [
            "Wide Words Without Way",
            "שלום עולם ומלואו",
            "السلام عليكم",
            "山田太郎山田太郎",
            "é\u{323}é\u{323}é\u{323}é\u{323}é\u{323}",
        ] {
            for width in [5.0, 12.0, 30.0, 50.0] {
                let line = fitted(&canvas, text, Weight::Bold, 10.0, width);
                let said: String = line.runs.iter().map(|run| run.shown.as_str()).collect();
                let alone = said == "…";
                assert!(line.width(10.0) <= width || alone, "{said:?} is {} wide", line.width(10.0));
                let whole = super::line(&canvas, text, Weight::Bold).width(10.0) <= width;
                assert!(whole || said.contains('…'), "{said:?}");
            }
        }
        let whole = fitted(&canvas, "fits", Weight::Regular, 10.0, 100.0);
        assert_eq!(whole.runs[0].shown, "fits");
    }

    #[test]
    fn lines_break_between_words_and_within_them_only_if_they_must() {
        let canvas = Paper::new().unwrap();
        let said = |text: &str, width: f32, most: usize| -> Vec<String> {
            let lines = wrapped(&canvas, text, Weight::Regular, 10.0, width, most);
            lines.iter().map(|line| line.runs.iter().map(|run| run.shown.as_str()).collect()).collect()
        };
        assert_eq!(said("one two three", 42.0, 5), ["one two", "three"]);
        assert_eq!(said("one two three four five", 42.0, 2), ["one two", "three f…"]);
        assert_eq!(said("one-two three", 34.0, 5), ["one-", "two", "three"]);
        let broken = said(&"w".repeat(20), 42.0, 9);
        assert!(broken.len() > 1 && broken.concat() == "w".repeat(20), "{broken:?}");
        assert_eq!(said("", 42.0, 3), Vec::<String>::new());
        assert_eq!(said("ww", 0.1, 9), ["w", "w"], "a line has one sign at least");
    }
}
