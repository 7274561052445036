//! What `gristmill config print` and `config check` say.
//!
//! Called by the command line. True here: secrets are blanked already, and every value is in TOML's notation.

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::error::Origin;
use super::load::Loaded;
use super::section::Literal;

/// One key as it stands.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Entry {
    /// Section and name: `http.bind`.
    pub key: String,
    /// The value in force, secrets blanked.
    pub value: Literal,
    /// Where it came from.
    pub origin: Origin,
}

impl Loaded {
    /// A table for people: key, value, origin; a line each.
    pub fn table(&self) -> String {
        let values: Vec<String> = self.entries.iter().map(|entry| entry.value.to_string()).collect();
        let widest = |lengths: &mut dyn Iterator<Item = usize>| lengths.max().unwrap_or(0);
        let key_width = widest(&mut self.entries.iter().map(|entry| entry.key.chars().count()));
        let value_width = widest(&mut values.iter().map(|value| value.chars().count()));
        let mut table = String::new();
        for (entry, value) in self.entries.iter().zip(&values) {
            let line = format!("{:key_width$}  {value:value_width$}  {}\n", entry.key, entry.origin);
            table.push_str(&line);
        }
        table
    }

    /// The same for programs: an object of keys, each with `value` and `origin`.
    pub fn json(&self) -> Value {
        let keys: Map<String, Value> = self
            .entries
            .iter()
            .map(|entry| (entry.key.clone(), json!({ "value": entry.value, "origin": entry.origin })))
            .collect();
        Value::Object(keys)
    }

    /// The verdict of `config check` on settings that loaded.
    pub fn summary(&self) -> String {
        let set = self.entries.iter().filter(|entry| entry.origin != Origin::Default).count();
        let mut summary = format!("settings are good: {} keys, {set} of them set", self.entries.len());
        if !self.files.is_empty() {
            let files: Vec<String> = self.files.iter().map(|file| file.display().to_string()).collect();
            summary.push_str(&format!("; read {}", files.join(", ")));
        }
        summary.push('\n');
        for warning in &self.warnings {
            summary.push_str(&format!("warning: {warning}\n"));
        }
        summary
    }
}
