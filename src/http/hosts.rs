//! Under which names the daemon may be called, where being able to reach it is all that a caller needs.
//!
//! Called around every route by `observe`. A daemon on loopback trusts whoever is on its machine, and a browser there runs
//! pages of strangers: one of `evil.example` has its name point to 127.0.0.1 (DNS rebinding), is then of the same origin as
//! the daemon, and would be let in as a program is. What gives it away is the name in `Host`, which the browser writes. True
//! here: an address, `localhost` and the names of the settings pass, since no stranger decides where those lead; nothing is
//! asked of requests where nobody is let in without proof.

use std::net::{Ipv4Addr, Ipv6Addr};

use actix_web::http::header::{self, HeaderMap, HeaderValue};

use super::Problem;
use super::catalogue::Code;
use crate::config::{AuthSettings, HostName, HttpSettings};

/// The names that pass.
pub(super) struct Hosts {
    names: Vec<HostName>,
    /// The host of `http.public_url`, whatever it is.
    public: Option<String>,
}

impl Hosts {
    /// By these settings; `None` where any name does.
    pub(super) fn guarded(http: &HttpSettings, auth: &AuthSettings) -> Option<Self> {
        let trusts = http.bind.ip().is_loopback() && (auth.anonymous || auth.trust_user_id);
        let public = http.public_url.as_ref().and_then(|url| url.host_str()).map(str::to_owned);
        (trusts || !http.hosts.is_empty()).then(|| Self { names: http.hosts.clone(), public })
    }

    /// Whether a request with this head may be answered. One without `Host` comes from a program.
    pub(super) fn admit(&self, headers: &HeaderMap) -> bool {
        headers.get_all(header::HOST).all(|host| self.knows(host.as_bytes()))
    }

    /// Refuses what [`admit`](Self::admit) does not.
    pub(super) fn check(&self, headers: &HeaderMap) -> Result<(), Problem> {
        if self.admit(headers) {
            return Ok(());
        }
        let host = headers.get(header::HOST).map(HeaderValue::as_bytes).unwrap_or_default();
        let host: String = String::from_utf8_lossy(host).chars().take(100).collect();
        let detail = format!(
            "the daemon is not known as `{host}`: call it by its address or as `localhost`, or name the host in \
             `http.hosts` or `http.public_url`"
        );
        Err(Problem::new(Code::ForeignHost, detail))
    }

    fn knows(&self, host: &[u8]) -> bool {
        let Ok(host) = std::str::from_utf8(host) else { return false };
        let Some(name) = without_port(host) else { return false };
        name.is_empty() || is_address(name) || is_localhost(name) || self.is_named(name)
    }

    fn is_named(&self, name: &str) -> bool {
        self.names.iter().any(|known| known.is(name))
            || self.public.as_ref().is_some_and(|public| public.eq_ignore_ascii_case(name))
    }
}

/// The host of `host:port` or `[address]:port`; `None` where there is something else behind it.
fn without_port(host: &str) -> Option<&str> {
    let end = if host.starts_with('[') { host.find(']')? + 1 } else { host.find(':').unwrap_or(host.len()) };
    let (name, port) = host.split_at(end);
    let digits = port.strip_prefix(':').unwrap_or(port);
    let is_port = digits.len() <= 5 && digits.bytes().all(|byte| byte.is_ascii_digit());
    (is_port && (port.is_empty() || port.starts_with(':'))).then_some(name)
}

fn is_address(name: &str) -> bool {
    match name.strip_prefix('[').and_then(|inner| inner.strip_suffix(']')) {
        Some(inner) => inner.parse::<Ipv6Addr>().is_ok(),
        None => name.parse::<Ipv4Addr>().is_ok(),
    }
}

/// `localhost` and what lies below it (RFC 6761): names that no server of names is asked for.
fn is_localhost(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    let cut = name.len().saturating_sub("localhost".len());
    // Within other scripts there may be no letter's border.
    let Some((before, last)) = name.split_at_checked(cut) else { return false };
    last.eq_ignore_ascii_case("localhost") && (before.is_empty() || before.ends_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{LoadOptions, Settings};

    fn guarded(settings: &[(&str, &str)]) -> Option<Hosts> {
        let env = settings
            .iter()
            .map(|(key, value)| {
                let name = format!("GRISTMILL__{}", key.to_uppercase().replace('.', "__"));
                (name.into(), (*value).into())
            })
            .collect();
        let options = LoadOptions { files: Vec::new(), directory: "no such folder".into(), env };
        let settings = Settings::load(options).unwrap().settings;
        Hosts::guarded(&settings.http, &settings.auth)
    }

    #[test]
    fn addresses_localhost_and_the_names_of_the_settings_pass_and_no_other() {
        let hosts = guarded(&[
            ("http.public_url", "https://front.example:8443/mill/"),
            ("http.hosts", "mill.example, box"),
        ]);
        let hosts = hosts.unwrap();
        for host in [
            "127.0.0.1",
            "127.0.0.1:5000",
            "192.0.2.7:80",
            "[::1]",
            "[::1]:5000",
            "[2001:db8::1]:5000",
            "localhost",
            "LocalHost:5000",
            "localhost.:5000",
            "mill.localhost:5000",
            "front.example",
            "FRONT.example:8443",
            "mill.example:5000",
            "Mill.example.",
            "box",
            "",
        ] {
            assert!(hosts.knows(host.as_bytes()), "{host}");
        }
        for host in [
            "evil.example",
            "evil.example:5000",
            "127.0.0.1.evil.example",
            "127.0.0.1.evil.example:5000",
            "localhost.evil.example",
            "evillocalhost",
            "жlocalhost",
            "жж",
            "mill.example.evil.example",
            "xmill.example",
            "::1",
            "[::1",
            "[::1].evil.example",
            "[evil.example]",
            "127.0.0.1:5000.evil.example",
            "127.0.0.1:5000:5000",
            "localhost:x",
            "127.1",
            "2130706433",
            "\u{ff}",
        ] {
            assert!(!hosts.knows(host.as_bytes()), "{host}");
        }
        assert!(!hosts.knows(b"\xff"));
    }

    #[test]
    fn names_count_only_where_somebody_is_let_in_for_being_near_or_names_are_listed() {
        for (settings, expected) in [
            (&[][..], true),
            (&[("http.bind", "[::1]:5000")], true),
            (&[("http.bind", "0.0.0.0:5000")], false),
            (&[("http.bind", "0.0.0.0:5000"), ("auth.anonymous", "true")], false),
            (&[("http.bind", "0.0.0.0:5000"), ("http.hosts", "mill.example")], true),
            (&[("auth.anonymous", "false")], false),
            (&[("auth.anonymous", "false"), ("auth.trust_user_id", "true")], true),
        ] {
            assert_eq!(guarded(settings).is_some(), expected, "{settings:?}");
        }
    }

    #[test]
    fn every_host_that_a_request_names_counts_and_none_is_a_program() {
        let hosts = guarded(&[]).unwrap();
        let mut headers = HeaderMap::new();
        assert!(hosts.check(&headers).is_ok());
        headers.append(header::HOST, HeaderValue::from_static("localhost"));
        assert!(hosts.check(&headers).is_ok());
        headers.append(header::HOST, HeaderValue::from_static("evil.example"));
        assert_eq!(hosts.check(&headers).unwrap_err().code(), Code::ForeignHost);
    }
}
