//! The declaration of a section: one macro call yields the struct, its defaults, its checks and its
//! documentation.
//!
//! Called by the section files (`section!`) and by `mod.rs` (`settings!`); read by `load.rs` and
//! `reference.rs`. True here: a key exists if and only if a `section!` names it, and its rule is the only
//! judge of its value.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use serde::Serialize;

use super::load::Reader;
use super::rule::Rule;

/// A value as a settings file writes it.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Literal {
    /// `true` or `false`.
    Flag(bool),
    /// A whole number.
    Whole(i64),
    /// A number with a fraction.
    Fraction(f64),
    /// Text.
    Text(String),
}

/// In TOML's notation, so that what is printed may be pasted into a file.
impl fmt::Display for Literal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(flag) => write!(f, "{flag}"),
            Self::Whole(number) => write!(f, "{number}"),
            Self::Fraction(number) => write!(f, "{number:?}"),
            Self::Text(text) => write!(f, "{}", toml_edit::Value::from(text.as_str())),
        }
    }
}

impl From<Literal> for config::Value {
    fn from(literal: Literal) -> Self {
        match literal {
            Literal::Flag(flag) => flag.into(),
            Literal::Whole(number) => number.into(),
            Literal::Fraction(number) => number.into(),
            Literal::Text(text) => text.into(),
        }
    }
}

/// What a default may depend on: facts that are known before the other keys are read.
#[derive(Debug, Clone)]
pub(super) struct Base {
    /// The folder that systemd made for the service (`STATE_DIRECTORY`).
    pub(super) state_directory: Option<String>,
    /// `data_dir`, as settled.
    pub(super) data_dir: PathBuf,
    /// `http.bind`, as settled.
    pub(super) bind: SocketAddr,
}

impl Base {
    /// A path inside the data folder, as text.
    pub(super) fn in_data_dir(&self, name: &str) -> String {
        self.data_dir.join(name).display().to_string()
    }
}

impl Default for Base {
    fn default() -> Self {
        Self {
            state_directory: None,
            data_dir: PathBuf::from("./data"),
            bind: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 5000),
        }
    }
}

/// What a key holds when no layer gives it.
#[derive(Debug, Clone)]
pub(super) enum DefaultValue {
    /// Always the same.
    Fixed(Literal),
    /// Worked out from other facts; `rule` says how, for the documents.
    Derived {
        /// How, in words.
        rule: &'static str,
        /// How, in code.
        make: fn(&Base) -> Literal,
    },
}

impl DefaultValue {
    pub(super) fn literal(&self, base: &Base) -> Literal {
        match self {
            Self::Fixed(literal) => literal.clone(),
            Self::Derived { make, .. } => make(base),
        }
    }
}

/// A default that depends on other facts.
pub(super) fn derived(rule: &'static str, make: fn(&Base) -> Literal) -> DefaultValue {
    DefaultValue::Derived { rule, make }
}

impl From<bool> for DefaultValue {
    fn from(flag: bool) -> Self {
        Self::Fixed(Literal::Flag(flag))
    }
}

impl From<i64> for DefaultValue {
    fn from(number: i64) -> Self {
        Self::Fixed(Literal::Whole(number))
    }
}

impl From<f64> for DefaultValue {
    fn from(number: f64) -> Self {
        Self::Fixed(Literal::Fraction(number))
    }
}

impl From<&'static str> for DefaultValue {
    fn from(text: &'static str) -> Self {
        Self::Fixed(Literal::Text(text.to_owned()))
    }
}

/// One declared key.
#[derive(Debug, Clone)]
pub(super) struct Key {
    /// Section and name: `http.bind`.
    pub(super) path: String,
    /// The lines of its documentation.
    pub(super) doc: &'static [&'static str],
    /// What it holds when nobody sets it.
    pub(super) default: DefaultValue,
    /// What it may hold, in words.
    pub(super) allowed: String,
}

impl Key {
    pub(super) fn new<T, R: Rule<Out = T>>(
        path: String,
        doc: &'static [&'static str],
        default: impl Into<DefaultValue>,
        rule: &R,
    ) -> Self {
        Self { path, doc, default: default.into(), allowed: rule.allowed() }
    }

    /// The environment variable that sets this key.
    pub(super) fn env_name(&self) -> String {
        env_name(&self.path)
    }

    /// The name without its section.
    pub(super) fn name_in(&self, section: &str) -> &str {
        self.path.strip_prefix(section).map_or(self.path.as_str(), |rest| rest.trim_start_matches('.'))
    }
}

/// The environment variable of a key's path.
pub(super) fn env_name(path: &str) -> String {
    format!("{}{}", super::load::ENV_PREFIX, path.to_uppercase().replace('.', "__"))
}

/// Joins a section and a name; the top level has no section.
pub(super) fn join(section: &str, name: &str) -> String {
    if section.is_empty() { name.to_owned() } else { format!("{section}.{name}") }
}

/// One declared section, for the documents and the checks of unknown keys.
#[derive(Debug, Clone)]
pub(super) struct SectionInfo {
    /// Its name; empty for the top level.
    pub(super) name: &'static str,
    /// The lines of its documentation.
    pub(super) doc: &'static [&'static str],
    /// Its keys, as declared.
    pub(super) keys: Vec<Key>,
}

/// What `section!` implements.
pub(super) trait Section: Sized {
    fn info() -> SectionInfo;

    /// The keys whose values differ between these two, secrets included.
    fn changed(&self, other: &Self) -> Vec<String>;

    /// Reads every key; `None` if one of them was refused (the reader holds the reasons).
    fn read(reader: &mut Reader) -> Option<Self>;
}

/// Declares a section: its documentation, type and name, then for each key its documentation, name, field,
/// type, default and rule. `check` names a function that compares keys with each other and gives (key,
/// reason) pairs.
macro_rules! section {
    (
        $(#[doc = $section_doc:literal])+
        $section_type:ident = $section:literal {
            $(
                $(#[doc = $doc:literal])+
                $key:literal => $field:ident: $type:ty = $default:expr, $rule:expr;
            )+
            $(check $check:path;)?
        }
    ) => {
        $(#[doc = $section_doc])+
        #[derive(Debug, Clone, PartialEq)]
        pub struct $section_type {
            $(
                $(#[doc = $doc])+
                #[doc = concat!(
                    "\n\nKey `", $key, "`; default `", stringify!($default), "`; rule `", stringify!($rule), "`."
                )]
                pub $field: $type,
            )+
        }

        impl $crate::config::section::Section for $section_type {
            fn info() -> $crate::config::section::SectionInfo {
                $crate::config::section::SectionInfo {
                    name: $section,
                    doc: &[$($section_doc),+],
                    keys: vec![$(
                        $crate::config::section::Key::new::<$type, _>(
                            $crate::config::section::join($section, $key),
                            &[$($doc),+],
                            $default,
                            &$rule,
                        ),
                    )+],
                }
            }

            fn changed(&self, other: &Self) -> Vec<String> {
                let mut changed = Vec::new();
                $(
                    if self.$field != other.$field {
                        changed.push($crate::config::section::join($section, $key));
                    }
                )+
                changed
            }

            fn read(reader: &mut $crate::config::load::Reader) -> Option<Self> {
                // Read all of them before giving up on any, so that every problem is told.
                $(
                    let $field: Option<$type> =
                        reader.read(&$crate::config::section::join($section, $key), &$rule);
                )+
                let section = Self { $($field: $field?,)+ };
                $(
                    for (key, reason) in $check(&section) {
                        reader.refuse(&$crate::config::section::join($section, key), reason);
                    }
                )?
                Some(section)
            }
        }
    };
}
pub(super) use section;

/// Puts the sections together into `Settings`.
macro_rules! settings {
    ($($field:ident: $section:ident,)+) => {
        /// All settings of the daemon, checked.
        #[derive(Debug, Clone, PartialEq)]
        pub struct Settings {
            $(
                #[doc = concat!("See [`", stringify!($section), "`].")]
                pub $field: $section,
            )+
        }

        impl Settings {
            /// Every section and key that exists.
            fn sections() -> Vec<section::SectionInfo> {
                vec![$(<$section as section::Section>::info(),)+]
            }

            /// The keys whose values differ between these settings and others, in the order of the documents; secrets
            /// too, by their names.
            pub fn changed(&self, other: &Self) -> Vec<String> {
                let mut changed = Vec::new();
                $(changed.extend(section::Section::changed(&self.$field, &other.$field));)+
                changed
            }

            fn read(reader: &mut load::Reader) -> Option<Self> {
                $(let $field = <$section as section::Section>::read(reader);)+
                Some(Self { $($field: $field?,)+ })
            }
        }
    };
}
pub(super) use settings;
