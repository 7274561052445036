//! The rule of `tasks.keep_kinds`: for how long tasks of some kinds are kept, by how they ended.
//!
//! Used by `tasks`. Text and not a table, so that a file and a variable write it the same way.

use std::collections::BTreeMap;
use std::time::Duration;

use super::by_kind::pairs;
use super::rule::{Raw, Refusal, Rule};
use super::section::Literal;
use crate::task::{Kind, Status};

/// For how long tasks of a kind are kept that ended like this; zero is for ever.
pub type Keep = BTreeMap<(Kind, Status), Duration>;

/// The statuses in which a task has ended, by the word for it here.
const ENDS: [(&str, Status); 3] =
    [("completed", Status::Completed), ("failed", Status::Failed), ("cancelled", Status::Cancelled)];

/// For how long tasks of some kinds are kept.
pub(super) fn keep() -> KeepRule {
    KeepRule
}

pub(super) struct KeepRule;

impl Rule for KeepRule {
    type Out = Keep;

    fn parse(&self, raw: &Raw) -> Result<Keep, Refusal> {
        let mut keep = Keep::new();
        for (words, seconds) in pairs(raw.text()?)? {
            let mut words = words.split_whitespace();
            let name = words.next().unwrap_or_default();
            let kind: Kind = name.parse().map_err(|error| format!("has a word that is no kind: {error}"))?;
            let ends: Vec<Status> = match words.next() {
                None => ENDS.iter().map(|(_, status)| *status).collect(),
                Some(word) => match ENDS.iter().find(|(name, _)| *name == word) {
                    Some((_, status)) => vec![*status],
                    None => {
                        return Err(format!("has {word:?}, which is none of completed, failed, cancelled"));
                    }
                },
            };
            if let Some(word) = words.next() {
                return Err(format!("has {word:?} where `=` must be"));
            }
            for status in ends {
                if keep.insert((kind.clone(), status), Duration::from_secs(seconds)).is_some() {
                    return Err(format!("says twice how long `{kind}` is kept that is {}", word_of(status)));
                }
            }
        }
        Ok(keep)
    }

    fn allowed(&self) -> String {
        "seconds for some kinds, as \"resize = 3600, ocr failed = 86400\", each for `completed`, `failed` or `cancelled` \
         tasks or for all three, or \"\" for none"
            .to_owned()
    }

    fn show(&self, value: &Keep) -> Literal {
        let pair = |((kind, status), keep): (&(Kind, Status), &Duration)| {
            format!("{kind} {} = {}", word_of(*status), keep.as_secs())
        };
        Literal::Text(value.iter().map(pair).collect::<Vec<_>>().join(", "))
    }
}

fn word_of(status: Status) -> &'static str {
    ENDS.iter().find(|(_, end)| *end == status).map_or("not ended", |(word, _)| *word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_end_of_a_kind_may_be_kept_for_a_time_of_its_own() {
        let read = |text: &str| KeepRule.parse(&Raw::Text(text.to_owned()));
        let keep = read("resize = 60, ocr  failed=7, ocr completed = 0").unwrap();
        let of = |kind: &str, status| keep.get(&(kind.parse().unwrap(), status)).map(Duration::as_secs);
        assert_eq!(of("resize", Status::Failed), Some(60));
        assert_eq!(of("resize", Status::Completed), Some(60));
        assert_eq!((of("ocr", Status::Failed), of("ocr", Status::Completed)), (Some(7), Some(0)));
        assert_eq!(of("ocr", Status::Cancelled), None);
        let Literal::Text(shown) = KeepRule.show(&keep) else { unreachable!() };
        assert_eq!(read(&shown).unwrap(), keep);
        for wrong in ["ocr done = 1", "ocr failed now = 1", "ocr = 1, ocr failed = 2", "ocr failed", " = 1"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
