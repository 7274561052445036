//! Networks of IP addresses, as settings name them, and the rule for a list of them.
//!
//! Used by `webhooks.rs`, and by the room that calls the world outside. True here: a network in hand has no
//! bits set beyond its prefix, so that what is printed is what is meant.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use super::rule::{Raw, Refusal, Rule};
use super::section::Literal;

/// All addresses that begin with the same bits, written `10.1.0.0/16` or `fd00::/8`; an address alone is the
/// network of that one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    first: IpAddr,
    /// How many bits count: at most 32 for IPv4, 128 for IPv6.
    prefix: u32,
}

impl Network {
    /// Whether the address lies in it. One family never lies in the other, not even an IPv4 address that is
    /// written as IPv6.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.first, address) {
            (IpAddr::V4(first), IpAddr::V4(address)) => {
                let differing = u32::from(first) ^ u32::from(address);
                differing.leading_zeros() >= self.prefix
            }
            (IpAddr::V6(first), IpAddr::V6(address)) => {
                let differing = u128::from(first) ^ u128::from(address);
                differing.leading_zeros() >= self.prefix
            }
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        }
    }
}

impl FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let first: IpAddr = address.parse().map_err(|_| format!("has {text:?}, which is no IP network"))?;
        let (widest, trailing_zeros) = match first {
            IpAddr::V4(first) => (32, u32::from(first).trailing_zeros()),
            IpAddr::V6(first) => (128, u128::from(first).trailing_zeros()),
        };
        let prefix = match prefix {
            Some(digits) => {
                // `u32` would also take a plus sign.
                let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
                let prefix: Option<u32> = digits.parse().ok().filter(|bits| plain && *bits <= widest);
                prefix.ok_or_else(|| format!("has {text:?}, whose prefix is not from 0 to {widest}"))?
            }
            None => widest,
        };
        if trailing_zeros < widest - prefix {
            return Err(format!("has {text:?}, an address with bits beyond its own prefix"));
        }
        Ok(Self { first, prefix })
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.first, self.prefix)
    }
}

/// Networks, separated by commas; `""` for none. Text and not a list, so that a file and a variable write it
/// the same way.
pub(super) fn networks() -> Networks {
    Networks
}

pub(super) struct Networks;

impl Rule for Networks {
    type Out = Vec<Network>;

    fn parse(&self, raw: &Raw) -> Result<Vec<Network>, Refusal> {
        let text = raw.text()?;
        if text.trim().is_empty() {
            return Ok(Vec::new());
        }
        text.split(',').map(|network| network.trim().parse()).collect()
    }

    fn allowed(&self) -> String {
        "IP networks separated by commas, as \"10.1.0.0/16, fd00::/8\", or \"\" for none".to_owned()
    }

    fn show(&self, value: &Vec<Network>) -> Literal {
        Literal::Text(value.iter().map(Network::to_string).collect::<Vec<_>>().join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_holds_what_begins_as_it_does() {
        for (network, address, inside) in [
            ("10.1.0.0/16", "10.1.255.255", true),
            ("10.1.0.0/16", "10.2.0.0", false),
            ("10.1.0.0/16", "10.0.255.255", false),
            ("0.0.0.0/0", "255.255.255.255", true),
            ("0.0.0.0/0", "::", false),
            ("192.168.7.9", "192.168.7.9", true),
            ("192.168.7.9", "192.168.7.8", false),
            ("fc00::/7", "fdff::1", true),
            ("fc00::/7", "fe00::", false),
            ("::/0", "10.0.0.1", false),
            ("10.0.0.0/8", "::ffff:10.0.0.1", false),
            ("::1/128", "::1", true),
        ] {
            let told = network.parse::<Network>().unwrap().contains(address.parse().unwrap());
            assert_eq!(told, inside, "{address} in {network}");
        }
    }

    #[test]
    fn a_list_is_shown_as_it_is_read() {
        let read = |text: &str| Networks.parse(&Raw::Text(text.to_owned()));
        let networks = read(" 10.1.0.0/16,fd00::/8 , 192.168.7.9").unwrap();
        assert_eq!(
            Networks.show(&networks),
            Literal::Text("10.1.0.0/16, fd00::/8, 192.168.7.9/32".to_owned())
        );
        assert_eq!(read("  ").unwrap(), []);
    }

    #[test]
    fn what_is_no_network_is_refused_with_the_reason() {
        for (text, reason) in [
            ("intranet", "\"intranet\", which is no IP network"),
            ("10.0.0.0/8,", "\"\", which is no IP network"),
            ("10.0.0.1/8", "an address with bits beyond its own prefix"),
            ("10.0.0.0/33", "whose prefix is not from 0 to 32"),
            ("10.0.0.0/+8", "whose prefix is not from 0 to 32"),
            ("10.0.0.0/", "whose prefix is not from 0 to 32"),
            ("fd00::/129", "whose prefix is not from 0 to 128"),
        ] {
            let refusal = Networks.parse(&Raw::Text(text.to_owned())).unwrap_err();
            assert!(refusal.contains(reason), "{text}: {refusal}");
        }
        assert!(Networks.parse(&Raw::Flag(true)).is_err());
    }
}
