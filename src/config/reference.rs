//! The two documents about settings, made from the declarations.
//!
//! Called by the tests, which compare them with `config/gristmill.toml` and `docs/configuration.md` (and
//! rewrite those when run with `UPDATE=1`), and by the command line to print a fresh file. True here: nothing
//! about a key is written by hand anywhere else.

use super::Settings;
use super::section::{Base, DefaultValue, Key, SectionInfo};

/// The annotated settings file: every section, every key commented out at its default.
pub fn reference_toml() -> String {
    let mut out = String::from(
        "# Settings of gristmill. Every key stands here at its default, commented out: remove the # to change it.\n\
         #\n\
         # A variable in the environment beats every file; among files the last in the order of their names wins.\n\
         # `gristmill config print` shows what is in force and where it came from.\n\
         #\n\
         # Made from the declarations in src/config/ (UPDATE=1 cargo test --lib config); edits of the comments are lost.\n",
    );
    for section in Settings::sections() {
        out.push('\n');
        comment(&mut out, section.doc);
        if !section.name.is_empty() {
            out.push_str(&format!("[{}]\n", section.name));
        }
        for key in &section.keys {
            out.push('\n');
            comment(&mut out, key.doc);
            let DefaultText { literal, rule } = default_text(key);
            if let Some(rule) = rule {
                out.push_str(&format!("# Default: {rule}.\n"));
            }
            out.push_str(&format!("# Allowed: {}.\n", key.allowed));
            out.push_str(&format!("# Environment: {}\n", key.env_name()));
            out.push_str(&format!("#{} = {literal}\n", key.name_in(section.name)));
        }
    }
    out
}

/// The same as a page.
pub fn reference_markdown() -> String {
    let mut out = String::from(
        "# Configuration\n\n\
         <!-- Made from the declarations in src/config/ (UPDATE=1 cargo test --lib config): do not edit. -->\n\n\
         Values come from three layers, the later over the earlier: the built-in defaults; the files `config/*.toml` in \
         the order of their names, or those given with `--config`; the environment, as `GRISTMILL__SECTION__KEY`.\n\
         A key that does not exist, or a value that is not allowed, stops the start; every such problem is told at once, \
         with its file and line or its variable. `gristmill config check` tells them without starting; \
         `gristmill config print` shows every value in force and where it came from.\n",
    );
    for section in Settings::sections() {
        out.push_str(&section_heading(&section));
        for key in &section.keys {
            let DefaultText { literal, rule } = default_text(key);
            let default = match rule {
                Some(rule) => format!("{rule} (`{literal}`)"),
                None => format!("`{literal}`"),
            };
            out.push_str(&format!(
                "\n### `{}`\n\n{}\n\n- Default: {default}\n- Allowed: {}\n- Environment: `{}`\n",
                key.path,
                paragraph(key.doc),
                key.allowed,
                key.env_name(),
            ));
        }
    }
    out
}

fn section_heading(section: &SectionInfo) -> String {
    let title =
        if section.name.is_empty() { "Top level".to_owned() } else { format!("`[{}]`", section.name) };
    format!("\n## {title}\n\n{}\n", paragraph(section.doc))
}

struct DefaultText {
    /// The value in a plain setting: nothing set, no systemd.
    literal: String,
    /// How it is worked out, if it is.
    rule: Option<&'static str>,
}

fn default_text(key: &Key) -> DefaultText {
    let rule = match &key.default {
        DefaultValue::Fixed(_) => None,
        DefaultValue::Derived { rule, .. } => Some(*rule),
    };
    DefaultText { literal: key.default.literal(&Base::default()).to_string(), rule }
}

fn comment(out: &mut String, doc: &[&str]) {
    for line in doc {
        out.push_str(&format!("#{}\n", line.trim_end()));
    }
}

fn paragraph(doc: &[&str]) -> String {
    doc.iter().map(|line| line.trim()).collect::<Vec<_>>().join("\n")
}
