//! Names of hosts, as settings list them, and the rule for a list of them.
//!
//! Used by `http.rs`, and by the room of the routes. True here: a name in hand is in lower case, without a port and without
//! the dot that may end it, and not empty.

use std::fmt;
use std::str::FromStr;

use super::rule::{Raw, Refusal, Rule};
use super::section::Literal;

/// The longest name that DNS has.
const LONGEST: usize = 253;

/// A name under which callers reach the daemon: `mill.example`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostName(String);

impl HostName {
    /// Whether `host`, which has no port, is this name: case and the dot at the end do not count.
    #[must_use]
    pub fn is(&self, host: &str) -> bool {
        host.strip_suffix('.').unwrap_or(host).eq_ignore_ascii_case(&self.0)
    }
}

impl FromStr for HostName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let name = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
        let plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
        if !plain || name.split('.').any(str::is_empty) || name.len() > LONGEST {
            return Err(format!("has {text:?}, which is no name of a host"));
        }
        Ok(Self(name))
    }
}

impl fmt::Display for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Names of hosts, separated by commas; `""` for none. Text and not a list, so that a file and a variable write it the
/// same way.
pub(super) fn host_names() -> HostNames {
    HostNames
}

pub(super) struct HostNames;

impl Rule for HostNames {
    type Out = Vec<HostName>;

    fn parse(&self, raw: &Raw) -> Result<Vec<HostName>, Refusal> {
        let text = raw.text()?;
        if text.trim().is_empty() {
            return Ok(Vec::new());
        }
        text.split(',').map(|name| name.trim().parse()).collect()
    }

    fn allowed(&self) -> String {
        "names of hosts without port, separated by commas, as \"mill.example, mill.lan\", or \"\" for none"
            .to_owned()
    }

    fn show(&self, value: &Vec<HostName>) -> Literal {
        Literal::Text(value.iter().map(HostName::to_string).collect::<Vec<_>>().join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_shown_as_it_is_read_and_no_host_is_refused() {
        let read = |text: &str| HostNames.parse(&Raw::Text(text.to_owned()));
        let names = read(" Mill.Example., box ,mill_1.lan").unwrap();
        assert_eq!(HostNames.show(&names), Literal::Text("mill.example, box, mill_1.lan".to_owned()));
        assert!(names[0].is("mill.example") && names[0].is("MILL.example."));
        assert!(!names[0].is("mill.example.evil") && !names[0].is("xmill.example") && !names[0].is(""));
        assert_eq!(read("  ").unwrap(), []);
        for bad in
            ["mill.example:5000", "http://mill", "*.example", "a,,b", "a..b", ".", "м", &"a".repeat(254)]
        {
            assert!(read(bad).unwrap_err().contains("no name of a host"), "{bad}");
        }
    }
}
