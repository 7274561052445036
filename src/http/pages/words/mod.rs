//! What the pages say, in each language: a file a theme, every text beside its translation.
//!
//! Called by the pages. True here: a text without its translation does not compile, and one that no page shows is told of
//! by the compiler as a field that nobody reads. What depends on a number is a function in [`written`].

/// Declares a theme: `name: "English" => "Русский";` for each text. `of` gives all of them in one language.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($field:ident: $en:literal => $ru:literal;)+ }) => {
        $(#[$doc])*
        pub(in crate::http) struct $name {
            $(
                #[doc = $en]
                pub(in crate::http) $field: &'static str,
            )+
        }

        impl $name {
            /// The texts in that language.
            pub(in crate::http) fn of(language: crate::media::report::Language) -> &'static Self {
                static EN: $name = $name { $($field: $en,)+ };
                static RU: $name = $name { $($field: $ru,)+ };
                match language {
                    crate::media::report::Language::En => &EN,
                    crate::media::report::Language::Ru => &RU,
                }
            }

            /// Every text, for the test of them all: its name, in English, in Russian.
            #[cfg(test)]
            pub(in crate::http) fn pairs() -> Vec<[&'static str; 3]> {
                vec![$([stringify!($field), $en, $ru],)+]
            }
        }
    };
}

pub(super) mod admin;
pub(super) mod charts;
pub(super) mod frame;
pub(super) mod images;
pub(super) mod people;
pub(super) mod problems;
pub(super) mod records;
pub(super) mod tasks;
pub(super) mod written;

/// The text with each `{}` in it filled by one of `values`, in their order.
pub(in crate::http) fn filled(text: &str, values: &[&str]) -> String {
    let mut values = values.iter();
    let mut parts = text.split("{}");
    let mut whole = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        whole.push_str(values.next().copied().unwrap_or_default());
        whole.push_str(part);
    }
    whole
}

/// A part of a text in which what is meant to the letter stands between backticks.
pub(in crate::http) struct Piece<'a> {
    /// The part, without them.
    pub(in crate::http) text: &'a str,
    /// Whether it is meant to the letter.
    pub(in crate::http) literal: bool,
}

/// The parts of a text.
pub(in crate::http) fn pieces(text: &str) -> Vec<Piece<'_>> {
    let parts = text.split('`').enumerate().map(|(at, text)| Piece { text, literal: at % 2 == 1 });
    parts.filter(|piece| !piece.text.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_are_filled_in_their_order() {
        assert_eq!(filled("{} of {}", &["1", "2"]), "1 of 2");
        assert_eq!(filled("none", &["1"]), "none");
        assert_eq!(filled("{}!", &[]), "!");
    }

    #[test]
    fn a_translation_has_the_gaps_of_its_text_and_no_letters_of_the_other_language() {
        let cyrillic = |text: &str| text.chars().any(|c| ('\u{400}'..='\u{4ff}').contains(&c));
        let themes = [
            admin::AdminWords::pairs(),
            admin::TaskWords::pairs(),
            admin::BulkWords::pairs(),
            admin::UserWords::pairs(),
            admin::ListWords::pairs(),
            admin::DeadWords::pairs(),
            admin::StorageWords::pairs(),
            admin::LatelyWords::pairs(),
            admin::OverviewWords::pairs(),
            admin::KindWords::pairs(),
            admin::NodeWords::pairs(),
            charts::ChartWords::pairs(),
            frame::ConfirmWords::pairs(),
            frame::FrameWords::pairs(),
            frame::HomeWords::pairs(),
            frame::ApiWords::pairs(),
            images::ImageWords::pairs(),
            people::EntryWords::pairs(),
            people::ProfileWords::pairs(),
            problems::ProblemWords::pairs(),
            records::QuizWords::pairs(),
            records::RecordWords::pairs(),
            tasks::ReportWords::pairs(),
            tasks::TaskWords::pairs(),
        ];
        for [name, en, ru] in themes.concat() {
            assert_eq!(en.matches("{}").count(), ru.matches("{}").count(), "{name}");
            assert!(!en.is_empty() && (!cyrillic(en) || en == "Русский"), "{name}: {en}");
            let bare = !ru.chars().any(char::is_lowercase);
            assert!(cyrillic(ru) || bare || ["English", "Markdown", "BBCode"].contains(&ru), "{name}: {ru}");
        }
    }
}
