//! What a node does: all of it, or a part, so that parts can be scaled apart.

use std::fmt;
use std::str::FromStr;

use super::rule::{Raw, Refusal, Rule};
use super::section::Literal;

/// A part of the daemon's work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// The doors: HTTP, and the broker's queue of tasks.
    Http,
    /// Running tasks.
    Worker,
    /// What is done for all nodes: rescue, sweep, events to the broker, callbacks.
    Janitor,
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 3] = [Self::Http, Self::Worker, Self::Janitor];

    /// The word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Worker => "worker",
            Self::Janitor => "janitor",
        }
    }
}

/// The roles of a node: at least one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Roles(Vec<Role>);

impl Roles {
    /// The words of all.
    pub fn words(&self) -> impl Iterator<Item = &'static str> {
        self.0.iter().map(|role| role.as_str())
    }

    /// Whether the node has that role.
    #[must_use]
    pub fn has(&self, role: Role) -> bool {
        self.0.contains(&role)
    }
}

impl FromStr for Roles {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let role = |word: &str| {
            let found = Role::ALL.into_iter().find(|role| role.as_str() == word.trim());
            found.ok_or_else(|| format!("has {:?}, which is no role", word.trim()))
        };
        let mut roles = text.split(',').map(role).collect::<Result<Vec<_>, _>>()?;
        roles.sort();
        roles.dedup();
        Ok(Self(roles))
    }
}

impl fmt::Display for Roles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.iter().map(|role| role.as_str()).collect::<Vec<_>>().join(", "))
    }
}

/// Roles, separated by commas.
pub(super) fn roles() -> RolesRule {
    RolesRule
}

pub(super) struct RolesRule;

impl Rule for RolesRule {
    type Out = Roles;

    fn parse(&self, raw: &Raw) -> Result<Roles, Refusal> {
        raw.text()?.parse()
    }

    fn allowed(&self) -> String {
        "one or more of http, worker and janitor, separated by commas".to_owned()
    }

    fn show(&self, value: &Roles) -> Literal {
        Literal::Text(value.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_are_read_in_any_order_and_shown_in_one() {
        let roles: Roles = " janitor,http, janitor".parse().unwrap();
        assert_eq!(roles.to_string(), "http, janitor");
        assert!(roles.has(Role::Http) && roles.has(Role::Janitor) && !roles.has(Role::Worker));
        for bad in ["", "http,", "boss"] {
            assert!(bad.parse::<Roles>().is_err(), "{bad:?}");
        }
    }
}
