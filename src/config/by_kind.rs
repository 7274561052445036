//! The rule of keys that hold something for each of some kinds: `"resize = 5, ocr = 7"`.
//!
//! Used by the sections. Text and not a table, so that a file and a variable write it the same way.

use std::collections::BTreeMap;

use super::rule::{Raw, Refusal, Rule};
use super::section::Literal;
use crate::task::Kind;

/// The most that one of them may hold.
const MOST: u64 = 1_000_000_000_000;

/// A whole number for each of some kinds; `of` says of what.
pub(super) fn by_kind(of: &'static str) -> ByKind {
    ByKind { of }
}

pub(super) struct ByKind {
    of: &'static str,
}

impl Rule for ByKind {
    type Out = BTreeMap<Kind, u64>;

    fn parse(&self, raw: &Raw) -> Result<BTreeMap<Kind, u64>, Refusal> {
        let mut values = BTreeMap::new();
        for (name, number) in pairs(raw.text()?)? {
            let kind: Kind = name.parse().map_err(|error| format!("has a word that is no kind: {error}"))?;
            if values.insert(kind, number).is_some() {
                return Err(format!("has `{name}` twice"));
            }
        }
        Ok(values)
    }

    fn allowed(&self) -> String {
        format!("{} for each of some kinds, as \"resize = 5, ocr = 7\", or \"\" for none", self.of)
    }

    fn show(&self, value: &BTreeMap<Kind, u64>) -> Literal {
        let pair = |(kind, number): (&Kind, &u64)| format!("{kind} = {number}");
        Literal::Text(value.iter().map(pair).collect::<Vec<_>>().join(", "))
    }
}

/// The words and numbers of a text like `a = 1, b = 2`.
pub(super) fn pairs(text: &str) -> Result<Vec<(&str, u64)>, Refusal> {
    if text.trim().is_empty() {
        return Ok(Vec::new());
    }
    let pair =
        |part| {
            let (name, number) = str::split_once(part, '=')
                .ok_or_else(|| format!("has {:?}, which has no `=`", part.trim()))?;
            let number: u64 =
                number.trim().parse().ok().filter(|number| *number <= MOST).ok_or_else(|| {
                    format!("has {:?}, which is no whole number up to {MOST}", number.trim())
                })?;
            Ok((name.trim(), number))
        };
    text.split(',').map(pair).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_for_kinds_are_read_and_shown_the_same_way() {
        let rule = by_kind("a number");
        let value = rule.parse(&Raw::Text(" resize=5 ,ocr = 7".to_owned())).unwrap();
        assert_eq!(value.len(), 2);
        assert_eq!(rule.show(&value), Literal::Text("ocr = 7, resize = 5".to_owned()));
        let Literal::Text(shown) = rule.show(&value) else { unreachable!() };
        assert_eq!(rule.parse(&Raw::Text(shown)).unwrap(), value);
        assert!(rule.parse(&Raw::Loose(String::new())).unwrap().is_empty());
        for wrong in
            ["resize", "resize =", "resize = -1", "a b = 1", "x = 1, x = 2", "x = 1,", "x=2000000000000"]
        {
            assert!(rule.parse(&Raw::Text(wrong.to_owned())).is_err(), "{wrong}");
        }
        assert!(rule.parse(&Raw::Whole(3)).is_err());
    }
}
