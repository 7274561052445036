//! Strict reading of JSON bodies: every fault of every field, with its place and what was expected.
//!
//! Called by the handlers that take JSON. A body is one object or an array of objects, whose values are taken out one by
//! one; what is to be carried as it is ([`Form::raw`]) stays the text that came. True here: a field that is unknown or
//! given twice is a fault; `null` is the same as leaving a field out; nothing here recurses over the input.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::Problem;
use super::catalogue::Code;
use super::problem::Fault;
use crate::task::Json;

/// The deepest nesting that is taken. As much as serde reads by default, so that whoever reads the payload later can.
const MAX_DEPTH: usize = 128;

/// The most faults that are told of one body.
const MAX_FAULTS: usize = 20;

/// The members of an object in their order, unread.
struct Members<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

/// A name, borrowed where it holds no escapes.
#[derive(Deserialize)]
#[serde(transparent)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;
        impl<'de> Visitor<'de> for Collect {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
                let mut members = Vec::new();
                while let Some(Key(name)) = map.next_key()? {
                    members.push((name, map.next_value()?));
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Collect)
    }
}

/// How many items an array has.
struct Counted(usize);

impl<'de> Deserialize<'de> for Counted {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Count;
        impl<'de> Visitor<'de> for Count {
            type Value = Counted;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an array")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Counted, A::Error> {
                let mut count = 0;
                while items.next_element::<IgnoredAny>()?.is_some() {
                    count += 1;
                }
                Ok(Counted(count))
            }
        }
        deserializer.deserialize_seq(Count)
    }
}

/// An object being read. Faults gather in it until it is finished.
pub(super) struct Form<'a> {
    members: Members<'a>,
    index: Option<usize>,
    faults: Vec<Fault>,
}

/// Reads the body as one object with members of these names; an empty body is an empty object.
pub(super) fn object<'a>(body: &'a [u8], names: &[&str]) -> Result<Form<'a>, Problem> {
    if body.is_empty() {
        return Ok(Form { members: Members(Vec::new()), index: None, faults: Vec::new() });
    }
    check_text(body)?;
    let members = serde_json::from_slice(body).map_err(|error| unreadable(body, &error, "an object"))?;
    Ok(Form::new(members, None, names))
}

/// Reads the body as one object of at most `most` members, with the names that it has, each once.
pub(super) fn map<'a>(body: &'a [u8], most: usize) -> Result<(Form<'a>, Vec<String>), Problem> {
    check_text(body)?;
    let members: Members<'a> =
        serde_json::from_slice(body).map_err(|error| unreadable(body, &error, "an object"))?;
    if members.0.len() > most {
        let problem = format!("expected an object of at most {most} members, got {}", members.0.len());
        return Err(Problem::with_faults(Code::InvalidBody, vec![whole_body(problem)]));
    }
    let mut names: Vec<String> = members.0.iter().map(|(name, _)| name.to_string()).collect();
    let allowed: Vec<&str> = names.iter().map(String::as_str).collect();
    let form = Form::new(members, None, &allowed);
    names.sort_unstable();
    names.dedup();
    Ok((form, names))
}

/// Reads the body as an array of 1 to `most` objects with members of these names.
pub(super) fn array<'a>(body: &'a [u8], most: usize, names: &[&str]) -> Result<Vec<Form<'a>>, Problem> {
    check_text(body)?;
    let items: Vec<&RawValue> =
        serde_json::from_slice(body).map_err(|error| unreadable(body, &error, "an array of objects"))?;
    if items.is_empty() || items.len() > most {
        let problem = format!("expected an array of 1 to {most} objects, got {}", items.len());
        return Err(Problem::with_faults(Code::InvalidBody, vec![whole_body(problem)]));
    }
    let mut forms = Vec::with_capacity(items.len());
    let mut faults = Vec::new();
    for (index, item) in items.into_iter().enumerate() {
        match serde_json::from_str(item.get()) {
            Ok(members) => forms.push(Form::new(members, Some(index), names)),
            Err(_) if faults.len() < MAX_FAULTS => faults.push(Fault {
                field: format!("[{index}]"),
                pointer: Some(format!("/{index}")),
                problem: format!("expected an object, got {}", kind_of(item)),
            }),
            Err(_) => break,
        }
    }
    if faults.is_empty() { Ok(forms) } else { Err(Problem::with_faults(Code::InvalidBody, faults)) }
}

/// What serde does not check, or not in words that help.
fn check_text(body: &[u8]) -> Result<(), Problem> {
    if body.starts_with(b"\xEF\xBB\xBF") {
        return Err(Problem::new(
            Code::InvalidJson,
            "the body begins with a byte order mark: send UTF-8 without it",
        ));
    }
    let (mut depth, mut in_text, mut escaped) = (0_usize, false, false);
    for (at, byte) in body.iter().enumerate() {
        if in_text {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => in_text = false,
                _ => {}
            }
            continue;
        }
        match byte {
            b'"' => in_text = true,
            b'[' | b'{' => {
                depth += 1;
                if depth > MAX_DEPTH {
                    let detail = format!("the body nests deeper than {MAX_DEPTH} levels, at byte {at}");
                    return Err(Problem::new(Code::InvalidJson, detail));
                }
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    Ok(())
}

fn unreadable(body: &[u8], error: &serde_json::Error, expected: &str) -> Problem {
    // Of another shape: but is the rest of it JSON at all?
    let syntax = if error.is_data() { serde_json::from_slice::<&RawValue>(body).err() } else { None };
    let error = syntax.as_ref().unwrap_or(error);
    if error.is_data() {
        let found = body.iter().find(|byte| !byte.is_ascii_whitespace()).copied();
        let problem = format!("expected {expected}, got {}", kind_of_byte(found));
        return Problem::with_faults(Code::InvalidBody, vec![whole_body(problem)]);
    }
    if let Err(invalid) = std::str::from_utf8(body) {
        let detail = format!("the body is not UTF-8, from byte {} on", invalid.valid_up_to());
        return Problem::new(Code::InvalidJson, detail);
    }
    Problem::new(Code::InvalidJson, format!("the body is not JSON: {error}"))
}

fn whole_body(problem: String) -> Fault {
    Fault { field: "body".to_owned(), pointer: Some(String::new()), problem }
}

impl<'a> Form<'a> {
    fn new(members: Members<'a>, index: Option<usize>, names: &[&str]) -> Self {
        let mut form = Self { members, index, faults: Vec::new() };
        let mut faults: Vec<(String, String)> = Vec::new();
        for (at, (name, _)) in form.members.0.iter().enumerate() {
            if !names.contains(&&**name) {
                let there_are = match names {
                    [] => "the object must be empty".to_owned(),
                    names => format!("there are: {}", names.join(", ")),
                };
                faults.push((shortened(name), format!("there is no such field; {there_are}")));
            } else if form.members.0.iter().take(at).any(|(earlier, _)| earlier == name) {
                faults.push((name.to_string(), "the field is given twice".to_owned()));
            }
            if faults.len() == MAX_FAULTS {
                break;
            }
        }
        for (name, problem) in faults {
            form.fault(&name, problem);
        }
        form
    }

    /// Notes a fault of the field `name`.
    pub(super) fn fault(&mut self, name: &str, problem: impl Into<String>) {
        let escaped = name.replace('~', "~0").replace('/', "~1");
        let (field, pointer) = match self.index {
            Some(index) => (format!("[{index}].{name}"), format!("/{index}/{escaped}")),
            None => (name.to_owned(), format!("/{escaped}")),
        };
        self.faults.push(Fault { field, pointer: Some(pointer), problem: problem.into() });
    }

    /// The value as it came; `None` where there is none, or `null`.
    pub(super) fn raw(&self, name: &str) -> Option<&'a RawValue> {
        let (_, value) = self.members.0.iter().find(|(found, _)| found == name)?;
        (value.get() != "null").then_some(*value)
    }

    /// The text of the value, `null` too; `None` where there is none.
    pub(super) fn given(&self, name: &str) -> Option<&'a str> {
        self.members.0.iter().find(|(found, _)| found == name).map(|(_, value)| value.get())
    }

    /// A text.
    pub(super) fn text(&mut self, name: &str) -> Option<String> {
        let value = self.raw(name)?;
        match serde_json::from_str(value.get()) {
            Ok(text) => Some(text),
            Err(_) => {
                self.fault(name, format!("expected text, got {}", kind_of(value)));
                None
            }
        }
    }

    /// A text, borrowed from the body where it holds no escapes: for those that are large.
    pub(super) fn borrowed(&mut self, name: &str) -> Option<Cow<'a, str>> {
        let value = self.raw(name)?;
        match serde_json::from_str(value.get()) {
            Ok(Key(text)) => Some(text),
            Err(_) => {
                self.fault(name, format!("expected text, got {}", kind_of(value)));
                None
            }
        }
    }

    /// A text that `parse` understands.
    pub(super) fn parsed<T, E: fmt::Display>(
        &mut self,
        name: &str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        let text = self.text(name)?;
        match parse(&text) {
            Ok(value) => Some(value),
            Err(error) => {
                self.fault(name, error.to_string());
                None
            }
        }
    }

    /// A whole number within bounds.
    pub(super) fn whole(&mut self, name: &str, (low, high): (i64, i64)) -> Option<i64> {
        let value = self.raw(name)?;
        match serde_json::from_str::<i64>(value.get()) {
            Ok(number) if (low..=high).contains(&number) => Some(number),
            Ok(_) | Err(_) => {
                let problem = format!("expected a whole number from {low} to {high}, got {}", shown(value));
                self.fault(name, problem);
                None
            }
        }
    }

    /// A number within bounds.
    pub(super) fn number(&mut self, name: &str, (low, high): (f64, f64)) -> Option<f64> {
        let value = self.raw(name)?;
        match serde_json::from_str::<f64>(value.get()) {
            Ok(number) if (low..=high).contains(&number) => Some(number),
            Ok(_) | Err(_) => {
                self.fault(name, format!("expected a number from {low} to {high}, got {}", shown(value)));
                None
            }
        }
    }

    /// Yes or no.
    pub(super) fn flag(&mut self, name: &str) -> Option<bool> {
        let value = self.raw(name)?;
        match value.get() {
            "true" => Some(true),
            "false" => Some(false),
            _ => {
                self.fault(name, format!("expected true or false, got {}", shown(value)));
                None
            }
        }
    }

    /// JSON of any shape and at most `most` bytes of text, which stays the text that came.
    pub(super) fn any(&mut self, name: &str, most: usize) -> Option<Json> {
        let text = self.raw(name)?.get();
        if text.len() > most {
            let (most_kib, bytes) = (most / 1024, text.len());
            self.fault(
                name,
                format!("expected at most {most_kib} KiB ({most} bytes) of JSON, got {bytes} bytes"),
            );
            return None;
        }
        Some(Json::trusted(text))
    }

    /// An array of at most `MOST` texts. Longer ones are counted, and what is in them is not looked at.
    pub(super) fn texts<const MOST: usize>(&mut self, name: &str) -> Option<Vec<String>> {
        let value = self.raw(name)?;
        if let Ok(Counted(count)) = serde_json::from_str(value.get())
            && count > MOST
        {
            self.fault(name, format!("expected at most {MOST} {name}, got {count}"));
            return None;
        }
        match serde_json::from_str(value.get()) {
            Ok(texts) => Some(texts),
            Err(_) => {
                self.fault(name, format!("expected an array of texts, got {}", shown(value)));
                None
            }
        }
    }

    /// The faults that were found.
    pub(super) fn faults(self) -> Vec<Fault> {
        self.faults
    }
}

/// Refuses the body if there are faults.
pub(super) fn refuse(mut faults: Vec<Fault>) -> Result<(), Problem> {
    if faults.is_empty() {
        return Ok(());
    }
    faults.truncate(MAX_FAULTS);
    Err(Problem::with_faults(Code::InvalidBody, faults))
}

fn kind_of(value: &RawValue) -> &'static str {
    kind_of_byte(value.get().bytes().next())
}

fn kind_of_byte(first: Option<u8>) -> &'static str {
    match first {
        Some(b'"') => "text",
        Some(b'{') => "an object",
        Some(b'[') => "an array",
        Some(b't' | b'f') => "a boolean",
        Some(b'n') => "null",
        Some(b'-' | b'0'..=b'9') => "a number",
        Some(_) | None => "nothing that can be read",
    }
}

/// The value itself where it is short, else what it is.
fn shown(value: &RawValue) -> String {
    if value.get().len() <= 40 { value.get().to_owned() } else { kind_of(value).to_owned() }
}

fn shortened(name: &str) -> String {
    name.chars().take(64).collect()
}

#[cfg(test)]
mod tests;
