//! Where a request comes from: the address of whoever sent it, and whether it came over TLS.
//!
//! Called by whatever counts requests by address, and by what makes cookies. True here: only a proxy of
//! `http.trusted_proxies` is believed, and only as far as such proxies go; what anybody else writes into
//! `X-Forwarded-For` or `X-Forwarded-Proto` changes nothing.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use actix_web::HttpRequest;
use actix_web::http::header::{self, HeaderMap, HeaderName};

use crate::config::{HttpSettings, Network};

/// The address that sent the request: of the connection, or, when that is a proxy that is believed, the last one in
/// `X-Forwarded-For` that is no such proxy.
pub(super) fn address(settings: &HttpSettings, request: &HttpRequest) -> IpAddr {
    origin_of(request.peer_addr(), request.headers(), &settings.trusted_proxies)
}

/// By what a limit for an address counts it: an IPv4 address by itself, of an IPv6 address the first 64 bits, since
/// whoever has one of those has them all.
pub(super) fn counted_as(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => {
            let network = u128::from(address) & (u128::MAX << 64);
            format!("{}/64", Ipv6Addr::from(network))
        }
    }
}

/// Whether callers reach the daemon over TLS: `http.public_url` says so, or a proxy that is believed.
pub(super) fn is_secure(settings: &HttpSettings, request: &HttpRequest) -> bool {
    if settings.public_url.as_ref().is_some_and(|url| url.scheme() == "https") {
        return true;
    }
    let peer = peer(request.peer_addr());
    let said = HeaderName::from_static("x-forwarded-proto");
    believed(&settings.trusted_proxies, peer)
        && listed(request.headers(), &said)
            .next_back()
            .is_some_and(|proto| proto.eq_ignore_ascii_case("https"))
}

fn origin_of(connection: Option<SocketAddr>, headers: &HeaderMap, trusted: &[Network]) -> IpAddr {
    let mut address = peer(connection);
    // From the nearest to the farthest: each entry was written by the one that we believed last.
    let mut hops = listed(headers, &header::X_FORWARDED_FOR).rev();
    while believed(trusted, address) {
        match hops.next().and_then(read) {
            Some(farther) => address = farther,
            None => break,
        }
    }
    address
}

/// The other end of the connection. One without an address is as near as can be.
fn peer(connection: Option<SocketAddr>) -> IpAddr {
    connection.map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |peer| peer.ip().to_canonical())
}

fn believed(trusted: &[Network], address: IpAddr) -> bool {
    trusted.iter().any(|network| network.contains(address))
}

/// The values of a header that is a list, in their order.
fn listed<'a>(
    headers: &'a HeaderMap,
    name: &HeaderName,
) -> impl DoubleEndedIterator<Item = &'a str> + use<'a> {
    let lines: Vec<&str> = headers.get_all(name).filter_map(|value| value.to_str().ok()).collect();
    lines.into_iter().flat_map(|line| line.split(',').map(str::trim).collect::<Vec<_>>())
}

/// An address as proxies write it: bare, in brackets, or with a port.
fn read(hop: &str) -> Option<IpAddr> {
    let bare = hop.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    let address = bare.or_else(|_| hop.parse::<SocketAddr>().map(|with_port| with_port.ip()));
    address.ok().map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;

    use super::*;

    fn seen(peer: &str, forwarded: &[&'static str], trusted: &str) -> String {
        let mut headers = HeaderMap::new();
        for line in forwarded {
            headers.append(header::X_FORWARDED_FOR, HeaderValue::from_static(line));
        }
        let trusted: Vec<Network> =
            trusted.split_whitespace().map(|network| network.parse().unwrap()).collect();
        let peer = SocketAddr::new(peer.parse().unwrap(), 4711);
        origin_of(Some(peer), &headers, &trusted).to_string()
    }

    #[test]
    fn only_proxies_that_are_believed_say_whom_they_speak_for() {
        for (peer, forwarded, trusted, expected) in [
            // Nobody is believed.
            ("192.0.2.1", &["198.51.100.7"][..], "", "192.0.2.1"),
            ("192.0.2.1", &["198.51.100.7"], "10.0.0.0/8", "192.0.2.1"),
            // One proxy; what the client wrote itself stands to the left.
            ("10.0.0.1", &["198.51.100.7"], "10.0.0.0/8", "198.51.100.7"),
            ("10.0.0.1", &["203.0.113.9, 198.51.100.7"], "10.0.0.0/8", "198.51.100.7"),
            ("10.0.0.1", &["203.0.113.9", "198.51.100.7"], "10.0.0.0/8", "198.51.100.7"),
            // Two of them.
            ("10.0.0.1", &["203.0.113.9, 198.51.100.7, 10.0.0.2"], "10.0.0.0/8", "198.51.100.7"),
            // All the way, or as far as it can be read.
            ("10.0.0.1", &["10.0.0.3, 10.0.0.2"], "10.0.0.0/8", "10.0.0.3"),
            ("10.0.0.1", &["198.51.100.7, unknown"], "10.0.0.0/8", "10.0.0.1"),
            ("10.0.0.1", &["198.51.100.7, "], "10.0.0.0/8", "10.0.0.1"),
            ("10.0.0.1", &[], "10.0.0.0/8", "10.0.0.1"),
            // The ways to write one.
            ("10.0.0.1", &["198.51.100.7:8080"], "10.0.0.1/32", "198.51.100.7"),
            ("::1", &["[2001:db8::1]:443"], "::1", "2001:db8::1"),
            ("::1", &["[2001:db8::1]"], "::1", "2001:db8::1"),
            // IPv4 that came through a socket of both families.
            ("::ffff:10.0.0.1", &["::ffff:198.51.100.7"], "10.0.0.0/8", "198.51.100.7"),
        ] {
            assert_eq!(seen(peer, forwarded, trusted), expected, "{peer} {forwarded:?} {trusted}");
        }
    }

    #[test]
    fn who_has_one_address_of_ipv6_has_its_network() {
        let counted = |address: &str| counted_as(address.parse().unwrap());
        assert_eq!(counted("192.0.2.1"), "192.0.2.1");
        assert_eq!(counted("2001:db8:1:2:3::4"), "2001:db8:1:2::/64");
        assert_eq!(counted("2001:db8:1:2::"), counted("2001:db8:1:2:ffff:ffff:ffff:ffff"));
        assert_ne!(counted("2001:db8:1:2::"), counted("2001:db8:1:3::"));
    }
}
