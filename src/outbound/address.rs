//! Which addresses a call may go to.
//!
//! Asked by `target.rs` for addresses that stand in a URL, and by `client.rs` for those that a name resolves
//! to. True here: without an exception, only addresses that are globally reachable pass; an IPv4 address inside
//! an IPv6 one gains nothing by it.
//!
//! Sources: the IANA IPv4 and IPv6 Special-Purpose Address Registries (RFC 6890 and its updates), and the IANA
//! registry of the IPv6 address space, of which only 2000::/3 is given out for global unicast. The registries do
//! not know where clouds serve machines their metadata and credentials when that is not link-local; these few
//! addresses come from the clouds' own manuals.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::config::{Network, WebhookSettings};

/// Which addresses may be called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    allow_public: bool,
    allow_private: bool,
    allow: Vec<Network>,
}

/// Why an address may not be called: what it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Forbidden {
    /// What kind of address it is, as the end of "it is …".
    pub what: &'static str,
}

impl Policy {
    /// Only what is globally reachable.
    #[must_use]
    pub fn public() -> Self {
        Self { allow_public: true, allow_private: false, allow: Vec::new() }
    }

    /// Only these networks, whatever they are.
    #[must_use]
    pub fn only(networks: impl IntoIterator<Item = Network>) -> Self {
        Self { allow_public: false, allow_private: false, allow: networks.into_iter().collect() }
    }

    /// Also loopback addresses and private networks. Link-local addresses, those where clouds serve their
    /// metadata, and other special ones stay forbidden.
    #[must_use]
    pub fn with_private(mut self) -> Self {
        self.allow_private = true;
        self
    }

    /// Also these networks, whatever they are.
    #[must_use]
    pub fn with(mut self, networks: impl IntoIterator<Item = Network>) -> Self {
        self.allow.extend(networks);
        self
    }

    /// Whether the address may be called.
    ///
    /// # Errors
    /// [`Forbidden`] when it may not.
    pub fn check(&self, address: IpAddr) -> Result<(), Forbidden> {
        let allowed = self.allow.iter().any(|network| network.contains(address));
        if let Some(inner) = embedded(address)
            && allowed
        {
            // A translator's network may be opened; what lies behind it is judged for itself.
            return self.check(IpAddr::V4(inner));
        }
        match class(address) {
            Global if allowed || self.allow_public => Ok(()),
            Global => Err(Forbidden { what: "public" }),
            Private(_) if allowed || self.allow_private => Ok(()),
            Special(_) if allowed => Ok(()),
            Private(what) | Special(what) => Err(Forbidden { what }),
        }
    }
}

impl From<&WebhookSettings> for Policy {
    fn from(settings: &WebhookSettings) -> Self {
        Self { allow_public: true, allow_private: settings.allow_private, allow: settings.allow.clone() }
    }
}

/// What an address is, to those who route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    /// Reachable from everywhere.
    Global,
    /// In use on this machine or in a network of one's own.
    Private(&'static str),
    /// Anything else; nobody's server answers there.
    Special(&'static str),
}

use Class::{Global, Private, Special};

/// The first that holds an address tells what it is: the narrower stand before the wider.
const V4: &[([u8; 4], u32, Class)] = &[
    ([0, 0, 0, 0], 32, Special("the unspecified address")),
    ([0, 0, 0, 0], 8, Special("of \"this network\"")),
    ([10, 0, 0, 0], 8, Private("private")),
    // Alibaba Cloud, and Azure.
    ([100, 100, 100, 200], 32, Special("a cloud's metadata")),
    ([168, 63, 129, 16], 32, Special("a cloud's metadata")),
    ([100, 64, 0, 0], 10, Private("shared by a carrier's customers")),
    ([127, 0, 0, 0], 8, Private("loopback")),
    ([169, 254, 0, 0], 16, Special("link-local")),
    ([172, 16, 0, 0], 12, Private("private")),
    ([192, 0, 0, 0], 24, Special("for protocols")),
    ([192, 0, 2, 0], 24, Special("for documentation")),
    ([192, 88, 99, 0], 24, Special("a relay of 6to4")),
    ([192, 168, 0, 0], 16, Private("private")),
    ([198, 18, 0, 0], 15, Special("for benchmarks")),
    ([198, 51, 100, 0], 24, Special("for documentation")),
    ([203, 0, 113, 0], 24, Special("for documentation")),
    ([224, 0, 0, 0], 4, Special("multicast")),
    ([255, 255, 255, 255], 32, Special("broadcast")),
    ([240, 0, 0, 0], 4, Special("reserved")),
];

/// As [`V4`]. What stands nowhere here and not in 2000::/3 either is reserved.
const V6: &[([u16; 8], u32, Class)] = &[
    ([0, 0, 0, 0, 0, 0, 0, 0], 128, Special("the unspecified address")),
    ([0, 0, 0, 0, 0, 0, 0, 1], 128, Private("loopback")),
    ([0, 0, 0, 0, 0, 0xffff, 0, 0], 96, Special("IPv4 written as IPv6")),
    ([0, 0, 0, 0, 0, 0, 0, 0], 96, Special("IPv4 written as IPv6")),
    ([0x64, 0xff9b, 0, 0, 0, 0, 0, 0], 96, Special("IPv4 behind a translator (NAT64)")),
    ([0x64, 0xff9b, 1, 0, 0, 0, 0, 0], 48, Special("behind a local translator (NAT64)")),
    ([0x100, 0, 0, 0, 0, 0, 0, 0], 64, Special("discarded")),
    ([0x2001, 0, 0, 0, 0, 0, 0, 0], 32, Special("a tunnel (Teredo)")),
    ([0x2001, 2, 0, 0, 0, 0, 0, 0], 48, Special("for benchmarks")),
    ([0x2001, 0x10, 0, 0, 0, 0, 0, 0], 28, Special("no address but a hash (ORCHID)")),
    ([0x2001, 0x20, 0, 0, 0, 0, 0, 0], 28, Special("no address but a hash (ORCHID)")),
    ([0x2001, 0, 0, 0, 0, 0, 0, 0], 23, Special("for protocols")),
    ([0x2001, 0xdb8, 0, 0, 0, 0, 0, 0], 32, Special("for documentation")),
    ([0x2002, 0, 0, 0, 0, 0, 0, 0], 16, Special("a tunnel (6to4)")),
    ([0x3fff, 0, 0, 0, 0, 0, 0, 0], 20, Special("for documentation")),
    ([0x5f00, 0, 0, 0, 0, 0, 0, 0], 16, Special("for segment routing")),
    // AWS, and Google Cloud.
    ([0xfd00, 0xec2, 0, 0, 0, 0, 0, 0], 32, Special("a cloud's metadata")),
    ([0xfd20, 0xce, 0, 0, 0, 0, 0, 0], 32, Special("a cloud's metadata")),
    ([0xfc00, 0, 0, 0, 0, 0, 0, 0], 7, Private("private")),
    ([0xfe80, 0, 0, 0, 0, 0, 0, 0], 10, Special("link-local")),
    ([0xfec0, 0, 0, 0, 0, 0, 0, 0], 10, Special("site-local")),
    ([0xff00, 0, 0, 0, 0, 0, 0, 0], 8, Special("multicast")),
];

fn class(address: IpAddr) -> Class {
    match address {
        IpAddr::V4(address) => {
            let bits = u32::from(address);
            let holds = |first: [u8; 4], prefix| (u32::from_be_bytes(first) ^ bits).leading_zeros() >= prefix;
            let found = V4.iter().find(|(first, prefix, _)| holds(*first, *prefix));
            found.map_or(Global, |(_, _, class)| *class)
        }
        IpAddr::V6(address) => {
            let bits = u128::from(address);
            let holds = |first: [u16; 8], prefix| {
                (u128::from(Ipv6Addr::from(first)) ^ bits).leading_zeros() >= prefix
            };
            let found = V6.iter().find(|(first, prefix, _)| holds(*first, *prefix));
            let given_out = address.segments()[0] & 0xe000 == 0x2000;
            let other = if given_out { Global } else { Special("reserved") };
            found.map_or(other, |(_, _, class)| *class)
        }
    }
}

/// The IPv4 address that packets to an IPv6 one end up at.
fn embedded(address: IpAddr) -> Option<Ipv4Addr> {
    let IpAddr::V6(address) = address else { return None };
    let [a, b, c, _, _, _, high, low] = address.segments();
    let low_half = Ipv4Addr::from(u32::from(high) << 16 | u32::from(low));
    match (a, b) {
        _ if address.to_ipv4_mapped().is_some() => Some(low_half),
        (0x64, 0xff9b) if c == 0 => Some(low_half),
        (0x2002, _) => Some(Ipv4Addr::from(u32::from(b) << 16 | u32::from(c))),
        (_, _) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap_or_else(|_| panic!("{text} is no address"))
    }

    fn verdict(policy: &Policy, text: &str) -> Option<&'static str> {
        policy.check(address(text)).err().map(|forbidden| forbidden.what)
    }

    /// First and last address of every block of the registries, and what they are.
    const FORBIDDEN: &[(&str, &str)] = &[
        // RFC 791, RFC 1122
        ("0.0.0.0", "the unspecified address"),
        ("0.0.0.1", "of \"this network\""),
        ("0.255.255.255", "of \"this network\""),
        ("127.0.0.0", "loopback"),
        ("127.0.0.1", "loopback"),
        ("127.255.255.255", "loopback"),
        // RFC 1918
        ("10.0.0.0", "private"),
        ("10.255.255.255", "private"),
        ("172.16.0.0", "private"),
        ("172.31.255.255", "private"),
        ("192.168.0.0", "private"),
        ("192.168.255.255", "private"),
        // RFC 6598
        ("100.64.0.0", "shared by a carrier's customers"),
        ("100.127.255.255", "shared by a carrier's customers"),
        // RFC 3927; where clouds serve their metadata
        ("169.254.0.0", "link-local"),
        ("169.254.169.254", "link-local"),
        ("169.254.255.255", "link-local"),
        // RFC 6890
        ("192.0.0.0", "for protocols"),
        ("192.0.0.255", "for protocols"),
        // RFC 5737
        ("192.0.2.0", "for documentation"),
        ("192.0.2.255", "for documentation"),
        ("198.51.100.0", "for documentation"),
        ("203.0.113.255", "for documentation"),
        // RFC 7526
        ("192.88.99.1", "a relay of 6to4"),
        // RFC 2544
        ("198.18.0.0", "for benchmarks"),
        ("198.19.255.255", "for benchmarks"),
        // RFC 5771, RFC 1112, RFC 919
        ("224.0.0.1", "multicast"),
        ("239.255.255.255", "multicast"),
        ("240.0.0.0", "reserved"),
        ("255.255.255.254", "reserved"),
        ("255.255.255.255", "broadcast"),
        // RFC 4291
        ("::", "the unspecified address"),
        ("::1", "loopback"),
        ("::ffff:127.0.0.1", "IPv4 written as IPv6"),
        ("::ffff:8.8.8.8", "IPv4 written as IPv6"),
        ("::127.0.0.1", "IPv4 written as IPv6"),
        ("::2", "IPv4 written as IPv6"),
        ("fe80::1", "link-local"),
        ("febf:ffff::1", "link-local"),
        ("fec0::1", "site-local"),
        ("feff::1", "site-local"),
        ("ff02::1", "multicast"),
        ("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "multicast"),
        // RFC 6052, RFC 8215
        ("64:ff9b::10.0.0.1", "IPv4 behind a translator (NAT64)"),
        ("64:ff9b::8.8.8.8", "IPv4 behind a translator (NAT64)"),
        ("64:ff9b:1::1", "behind a local translator (NAT64)"),
        ("64:ff9b:1:ffff:ffff:ffff:ffff:ffff", "behind a local translator (NAT64)"),
        // RFC 6666
        ("100::", "discarded"),
        ("100::ffff:ffff:ffff:ffff", "discarded"),
        // RFC 9780
        ("100:0:0:1::1", "reserved"),
        // RFC 4380, RFC 2928, RFC 5180, RFC 4843, RFC 7343
        ("2001::1", "a tunnel (Teredo)"),
        ("2001:0:ffff::", "a tunnel (Teredo)"),
        ("2001:2::1", "for benchmarks"),
        ("2001:10::1", "no address but a hash (ORCHID)"),
        ("2001:1f:ffff::", "no address but a hash (ORCHID)"),
        ("2001:2f:ffff::", "no address but a hash (ORCHID)"),
        ("2001:1::1", "for protocols"),
        ("2001:1ff:ffff::", "for protocols"),
        // RFC 3849, RFC 9637
        ("2001:db8::1", "for documentation"),
        ("2001:db8:ffff::1", "for documentation"),
        ("3fff::1", "for documentation"),
        ("3fff:fff:ffff::1", "for documentation"),
        // RFC 3056
        ("2002:7f00:1::1", "a tunnel (6to4)"),
        ("2002:808:808::1", "a tunnel (6to4)"),
        // RFC 9602
        ("5f00::1", "for segment routing"),
        // RFC 4193
        ("fc00::1", "private"),
        // The clouds' manuals
        ("100.100.100.200", "a cloud's metadata"),
        ("168.63.129.16", "a cloud's metadata"),
        ("fd00:ec2::254", "a cloud's metadata"),
        ("fd20:ce::254", "a cloud's metadata"),
        ("fdff:ffff::1", "private"),
        // Given out to nobody
        ("1fff::1", "reserved"),
        ("4000::1", "reserved"),
        ("fe00::1", "reserved"),
        ("64:ff9b:2::1", "reserved"),
    ];

    /// Neighbours of the blocks, and the AS112 and AMT blocks, which the registries call globally reachable.
    const GLOBAL: &[&str] = &[
        "1.0.0.0",
        "8.8.8.8",
        "9.255.255.255",
        "11.0.0.0",
        "100.63.255.255",
        "168.63.129.15",
        "100.128.0.0",
        "126.255.255.255",
        "128.0.0.0",
        "169.253.255.255",
        "169.255.0.0",
        "172.15.255.255",
        "172.32.0.0",
        "191.255.255.255",
        "192.0.1.0",
        "192.0.3.0",
        "192.31.196.1",
        "192.52.193.1",
        "192.88.98.255",
        "192.88.100.0",
        "192.167.255.255",
        "192.169.0.0",
        "192.175.48.1",
        "198.17.255.255",
        "198.20.0.0",
        "198.51.99.255",
        "203.0.112.255",
        "203.0.114.0",
        "223.255.255.255",
        "2000::1",
        "2001:200::1",
        "2001:db7::1",
        "2001:db9::1",
        "2003::1",
        "2606:4700::1111",
        "2620:4f:8000::1",
        "3ffe::1",
        "3fff:1000::1",
    ];

    #[test]
    fn only_what_is_globally_reachable_passes() {
        let policy = Policy::public();
        for (text, what) in FORBIDDEN {
            assert_eq!(verdict(&policy, text), Some(*what), "{text}");
        }
        for text in GLOBAL {
            assert_eq!(verdict(&policy, text), None, "{text}");
        }
    }

    #[test]
    fn private_networks_can_be_opened_and_the_special_stay_shut() {
        let policy = Policy::public().with_private();
        for open in
            ["127.0.0.1", "::1", "10.0.0.1", "172.16.0.1", "192.168.1.1", "100.64.0.1", "fd00::1", "8.8.8.8"]
        {
            assert_eq!(verdict(&policy, open), None, "{open}");
        }
        let private = |what: &str| ["private", "loopback", "shared by a carrier's customers"].contains(&what);
        for (text, what) in FORBIDDEN.iter().filter(|(_, what)| !private(what)) {
            assert_eq!(verdict(&policy, text), Some(*what), "{text}");
        }
    }

    #[test]
    fn a_network_that_is_named_is_open_and_its_neighbours_are_not() {
        let network = |text: &str| text.parse::<Network>().unwrap();
        let policy = Policy::public().with([network("10.1.0.0/16"), network("169.254.7.7")]);
        assert_eq!(verdict(&policy, "10.1.2.3"), None);
        assert_eq!(verdict(&policy, "169.254.7.7"), None);
        assert_eq!(verdict(&policy, "10.2.0.0"), Some("private"));
        assert_eq!(verdict(&policy, "169.254.169.254"), Some("link-local"));
        assert_eq!(verdict(&policy, "::ffff:10.1.2.3"), Some("IPv4 written as IPv6"), "the other family");
    }

    #[test]
    fn where_only_some_networks_are_open_the_public_ones_are_shut_too() {
        let network = |text: &str| text.parse::<Network>().unwrap();
        let policy = Policy::only([network("10.1.0.0/16"), network("8.8.8.0/24")]);
        assert_eq!(verdict(&policy, "10.1.2.3"), None);
        assert_eq!(verdict(&policy, "8.8.8.8"), None);
        assert_eq!(verdict(&policy, "9.9.9.9"), Some("public"));
        assert_eq!(verdict(&policy, "127.0.0.1"), Some("loopback"));
    }

    #[test]
    fn behind_an_open_translator_the_inner_address_counts() {
        let policy = Policy::public()
            .with(["64:ff9b::/96", "2002::/16", "::ffff:0:0/96"].map(|text| text.parse().unwrap()));
        for (text, what) in [
            ("64:ff9b::8.8.8.8", None),
            ("64:ff9b::10.0.0.1", Some("private")),
            ("64:ff9b::169.254.169.254", Some("link-local")),
            ("2002:808:808::1", None),
            ("2002:7f00:1::1", Some("loopback")),
            ("::ffff:8.8.8.8", None),
            ("::ffff:127.0.0.1", Some("loopback")),
        ] {
            assert_eq!(verdict(&policy, text), what, "{text}");
        }
    }
}
