//! The operator: whoever can read the daemon's data folder, where a token is written at each start.
//!
//! Made by the composition root, asked by `auth`. So the subcommands can speak to a daemon that has its database to itself,
//! and make the first admin. True here: the token counts on a connection from this machine alone, and not through a
//! proxy; and how long the comparison takes tells nothing of it.

use std::net::{IpAddr, SocketAddr};

use actix_web::HttpRequest;
use actix_web::http::header;
use subtle::ConstantTimeEq;

use crate::account::{Token, TokenHash};

/// By what the operator is known. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Operator {
    token: TokenHash,
    /// Where the daemon listens.
    bind: SocketAddr,
}

impl Operator {
    /// Whoever has that token, on the machine that listens there.
    #[must_use]
    pub fn new(token: &Token, bind: SocketAddr) -> Self {
        Self { token: token.hash(), bind }
    }

    /// Whether it is the operator who sent this token.
    pub(super) fn admits(&self, request: &HttpRequest, token: &str) -> bool {
        let Ok(token) = token.parse::<Token>() else { return false };
        let same = token.hash().as_str().as_bytes().ct_eq(self.token.as_str().as_bytes());
        bool::from(same) && !is_forwarded(request) && self.is_near(request.peer_addr())
    }

    /// Whether the other end of the connection is this machine.
    fn is_near(&self, peer: Option<SocketAddr>) -> bool {
        peer.is_some_and(|peer| {
            let peer: IpAddr = peer.ip().to_canonical();
            peer.is_loopback() || peer == self.bind.ip().to_canonical()
        })
    }
}

fn is_forwarded(request: &HttpRequest) -> bool {
    let headers = request.headers();
    headers.contains_key(header::FORWARDED) || headers.contains_key(header::X_FORWARDED_FOR)
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    #[test]
    fn the_operator_is_who_has_the_token_on_this_machine() {
        let (token, other) = (Token::fresh(), Token::fresh());
        let operator = Operator::new(&token, "10.1.2.3:5000".parse().unwrap());
        let from = |peer: &str| TestRequest::get().peer_addr(peer.parse().unwrap());
        for near in ["127.0.0.1:9", "[::1]:9", "[::ffff:127.0.0.1]:9", "10.1.2.3:9"] {
            assert!(operator.admits(&from(near).to_http_request(), &token.reveal()), "{near}");
        }
        assert!(!operator.admits(&from("127.0.0.1:9").to_http_request(), &other.reveal()));
        assert!(!operator.admits(&from("127.0.0.1:9").to_http_request(), ""));
        assert!(!operator.admits(&from("10.1.2.4:9").to_http_request(), &token.reveal()));
        assert!(!operator.admits(&TestRequest::get().to_http_request(), &token.reveal()), "from nowhere");
        for proxied in ["x-forwarded-for", "forwarded"] {
            let request = from("127.0.0.1:9").insert_header((proxied, "for=10.0.0.9")).to_http_request();
            assert!(!operator.admits(&request, &token.reveal()), "{proxied}");
        }
    }
}
