//! Where a call goes: a URL, checked once at the edge.
//!
//! Made by whoever takes a URL from a caller. True here: a target in hand is http or https, has a host, holds
//! no user, password or fragment, and names no address that the policy it was parsed with forbids. What a name
//! stands for is found out, and checked, when a call is made.

use std::fmt;
use std::net::IpAddr;

use url::{Host, Url};

use super::address::{Forbidden, Policy};

/// The longest URL, in bytes.
const MAX_BYTES: usize = 2000;

/// Where a call goes. Shown (`Display`, `Debug`) as its origin alone: the path and the query of a webhook often
/// hold a secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Target {
    url: Url,
    host: TargetHost,
    port: u16,
}

/// The host of a target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum TargetHost {
    /// A name, in lower case and ASCII.
    Name(String),
    /// An address.
    Address(IpAddr),
}

impl Target {
    /// Reads a URL.
    ///
    /// # Errors
    /// [`BadTarget`] when it is none that may be called under the policy. The message quotes neither path nor
    /// query.
    pub fn parse(text: &str, policy: &Policy) -> Result<Self, BadTarget> {
        if text.len() > MAX_BYTES {
            return Err(BadTarget::TooLong { bytes: text.len() });
        }
        // The parser would drop tabs and line ends, and take a backslash for a slash: two readers of one URL
        // could differ on its host.
        if text.chars().any(|c| c.is_control() || c.is_whitespace() || c == '\\') {
            return Err(BadTarget::Character);
        }
        let url = Url::parse(text).map_err(BadTarget::Url)?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(BadTarget::Scheme);
        }
        // The parser is content with any number of slashes; others would look for the host elsewhere.
        let rest = text.split_once("://").map_or("", |(_, rest)| rest);
        let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest);
        if authority.is_empty() {
            return Err(BadTarget::Host);
        }
        // Also the empty user, which the parser drops.
        if authority.contains('@') {
            return Err(BadTarget::User);
        }
        if url.fragment().is_some() {
            return Err(BadTarget::Fragment);
        }
        let port = url.port_or_known_default().filter(|port| *port != 0).ok_or(BadTarget::Port)?;
        let host = host(&url, policy)?;
        Ok(Self { url, host, port })
    }

    /// The whole URL, for whoever keeps it. Never log it.
    #[must_use]
    pub fn reveal(&self) -> &str {
        self.url.as_str()
    }

    /// Scheme, host and port: what may be shown.
    #[must_use]
    pub fn origin(&self) -> String {
        self.url.origin().ascii_serialization()
    }

    pub(super) fn host(&self) -> &TargetHost {
        &self.host
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    pub(super) fn is_tls(&self) -> bool {
        self.url.scheme() == "https"
    }

    /// Host, and port where it is not the scheme's own: the header `Host`.
    pub(super) fn authority(&self) -> String {
        let host = self.url.host_str().unwrap_or_default();
        self.url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
    }

    /// Path and query, as the request line has them.
    pub(super) fn path_and_query(&self) -> String {
        let path = self.url.path();
        self.url.query().map_or_else(|| path.to_owned(), |query| format!("{path}?{query}"))
    }
}

/// The host, after what its text alone tells. The parser has read every odd form of an IPv4 address by now
/// (`2130706433`, `0x7f.1`, `0177.0.0.1`, `127.1`).
fn host(url: &Url, policy: &Policy) -> Result<TargetHost, BadTarget> {
    let address = match url.host() {
        None => return Err(BadTarget::Host),
        Some(Host::Domain(name)) => return named(name, policy),
        Some(Host::Ipv4(address)) => IpAddr::V4(address),
        Some(Host::Ipv6(address)) => IpAddr::V6(address),
    };
    let refused = |why| BadTarget::Forbidden { address, why };
    policy.check(address).map_err(refused)?;
    Ok(TargetHost::Address(address))
}

fn named(name: &str, policy: &Policy) -> Result<TargetHost, BadTarget> {
    if name.is_empty() {
        return Err(BadTarget::Host);
    }
    // Certificates name no host that way, and whoever compares names would miss it.
    if name.ends_with('.') {
        return Err(BadTarget::TrailingDot);
    }
    let loopback = [IpAddr::from([127, 0, 0, 1]), IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1])];
    let local = name == "localhost" || name.ends_with(".localhost");
    if local && loopback.into_iter().all(|address| policy.check(address).is_err()) {
        return Err(BadTarget::Localhost);
    }
    Ok(TargetHost::Name(name.to_owned()))
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.origin())
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Target({})", self.origin())
    }
}

impl fmt::Display for TargetHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Address(address) => write!(f, "{address}"),
        }
    }
}

/// Why a text is no target, as the end of a sentence about it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadTarget {
    /// Longer than anybody needs.
    #[error("is {bytes} bytes long; at most {MAX_BYTES} are taken")]
    TooLong {
        /// How long.
        bytes: usize,
    },
    /// A character that readers of URLs disagree on.
    #[error("holds a space, a control character or a backslash: write it percent-encoded")]
    Character,
    /// No URL at all.
    #[error("is not a URL ({0})")]
    Url(url::ParseError),
    /// Another scheme.
    #[error("is neither http nor https")]
    Scheme,
    /// Credentials in the URL.
    #[error("holds a user or a password before its host, which are not sent")]
    User,
    /// A fragment, which is never sent.
    #[error("has a fragment (#), which is never sent")]
    Fragment,
    /// No host, or not two slashes before it.
    #[error("has no host after ://")]
    Host,
    /// Port 0.
    #[error("has the port 0, on which nothing listens")]
    Port,
    /// A name that ends with a dot.
    #[error("has a host that ends with a dot: write it without")]
    TrailingDot,
    /// The name of this machine to itself.
    #[error("leads to the daemon's own machine, which is not allowed")]
    Localhost,
    /// An address that the policy forbids.
    #[error("leads to {address}, which is not allowed: that address is {}", why.what)]
    Forbidden {
        /// Which.
        address: IpAddr,
        /// What it is.
        why: Forbidden,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(text: &str) -> String {
        match Target::parse(text, &Policy::public()) {
            Ok(target) => panic!("{text} was taken: {target:?}"),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn a_url_of_the_world_is_a_target_and_shows_its_origin_only() {
        let url = "https://hooks.example.com:8443/T0/secret?token=hush";
        let target = Target::parse(url, &Policy::public()).unwrap();
        assert_eq!(target.reveal(), url);
        assert_eq!(target.to_string(), "https://hooks.example.com:8443");
        assert_eq!(format!("{target:?}"), "Target(https://hooks.example.com:8443)");
        assert_eq!(target.authority(), "hooks.example.com:8443");
        assert_eq!(target.path_and_query(), "/T0/secret?token=hush");
        assert!(target.is_tls());

        for (text, origin) in [
            ("http://example.com", "http://example.com"),
            ("HTTP://EXAMPLE.com:80/", "http://example.com"),
            ("http://8.8.8.8/a@b", "http://8.8.8.8"),
            ("http://[2606:4700::1111]:81/", "http://[2606:4700::1111]:81"),
            ("https://bücher.example/", "https://xn--bcher-kva.example"),
            ("http://localhost.example/", "http://localhost.example"),
        ] {
            assert_eq!(
                Target::parse(text, &Policy::public()).map(|target| target.origin()),
                Ok(origin.to_owned()),
                "{text}"
            );
        }
    }

    #[test]
    fn every_form_of_a_forbidden_address_is_refused() {
        for (text, address) in [
            ("http://127.0.0.1/", "127.0.0.1"),
            ("http://2130706433/", "127.0.0.1"),
            ("http://0x7f000001/", "127.0.0.1"),
            ("http://0x7f.1/", "127.0.0.1"),
            ("http://0177.0.0.1/", "127.0.0.1"),
            ("http://017700000001/", "127.0.0.1"),
            ("http://127.1/", "127.0.0.1"),
            ("http://127.0.1/", "127.0.0.1"),
            ("http://127.0.0.1./", "127.0.0.1"),
            ("http://%31%32%37.0.0.1/", "127.0.0.1"),
            ("http://①②⑦.0.0.1/", "127.0.0.1"),
            ("http://127。0。0。1/", "127.0.0.1"),
            ("http://0/", "0.0.0.0"),
            ("http://169.254.169.254/latest/meta-data/", "169.254.169.254"),
            ("http://0xa9fea9fe/", "169.254.169.254"),
            ("http://[::]/", "::"),
            ("http://[::1]/", "::1"),
            ("http://[0:0:0:0:0:0:0:1]/", "::1"),
            ("http://[::ffff:127.0.0.1]/", "::ffff:127.0.0.1"),
            ("http://[::ffff:7f00:1]/", "::ffff:127.0.0.1"),
            ("http://[::127.0.0.1]/", "::127.0.0.1"),
            ("http://[64:ff9b::10.0.0.1]/", "64:ff9b::a00:1"),
            ("http://[2002:7f00:1::]/", "2002:7f00:1::"),
            ("http://[fe80::1]/", "fe80::1"),
            ("https://[fd00::1]:8443/", "fd00::1"),
        ] {
            let refusal = refusal(text);
            let address: IpAddr = address.parse().unwrap();
            assert!(
                refusal.contains(&format!("leads to {address}, which is not allowed")),
                "{text}: {refusal}"
            );
        }
    }

    #[test]
    fn what_is_no_target_is_refused_with_the_reason() {
        let long = format!("http://example.com/{}", "a".repeat(2000));
        for (text, reason) in [
            (long.as_str(), "is 2019 bytes long"),
            ("", "is not a URL"),
            ("example.com/path", "is not a URL"),
            ("ftp://example.com/", "neither http nor https"),
            ("file:///etc/passwd", "neither http nor https"),
            ("http://", "is not a URL"),
            ("http://user@example.com/", "a user or a password"),
            ("http://:pass@example.com/", "a user or a password"),
            ("http://@example.com/", "a user or a password"),
            ("http://example.com/#part", "has a fragment"),
            ("http://example.com:0/", "the port 0"),
            ("http://example.com./", "ends with a dot"),
            ("http://localhost./", "ends with a dot"),
            ("http://localhost/", "the daemon's own machine"),
            ("http://LOCALHOST:5000/", "the daemon's own machine"),
            ("http://a.localhost/", "the daemon's own machine"),
            ("http://exa\tmple.com/", "a control character"),
            (" http://example.com/", "a space"),
            ("http:\\\\example.com/", "a backslash"),
            ("http://[fe80::1%25eth0]/", "is not a URL"),
        ] {
            let refusal = refusal(text);
            assert!(refusal.contains(reason), "{text}: {refusal}");
        }
    }

    #[test]
    fn an_odd_number_of_slashes_is_refused() {
        for text in
            ["http:/example.com/", "http:///example.com/", "http:example.com/", "http:/u@example.com/"]
        {
            assert_eq!(Target::parse(text, &Policy::public()), Err(BadTarget::Host), "{text}");
        }
    }

    #[test]
    fn what_the_policy_opens_is_taken() {
        let private = Policy::public().with_private();
        for text in ["http://localhost:8080/", "http://127.0.0.1/", "http://10.0.0.1/", "http://[::1]/"] {
            assert!(Target::parse(text, &private).is_ok(), "{text}");
        }
        assert!(Target::parse("http://169.254.169.254/", &private).is_err());
        let one = Policy::public().with(["127.0.0.1".parse().unwrap()]);
        assert!(Target::parse("http://localhost/", &one).is_ok());
        assert!(Target::parse("http://127.0.0.2/", &one).is_err());
    }
}
