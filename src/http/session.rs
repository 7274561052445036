//! The session cookie: how it is read, set and taken away.
//!
//! Called by `auth`, `login` and what ends a session. Its value is a random token that the database knows by its hash
//! alone. True here: scripts cannot read the cookie (`HttpOnly`), other sites' forms and frames do not carry it
//! (`SameSite=Lax`), and where callers come over TLS it never travels without (`Secure`).

use std::time::Duration;

use actix_web::HttpRequest;
use actix_web::http::header;

use crate::account::{Token, TokenHash};

/// What the cookie is called.
pub(super) const COOKIE: &str = "gristmill_session";

/// What a request holds of a session.
pub(super) enum Held {
    /// No cookie of that name.
    None,
    /// One that can be a session's.
    Session(TokenHash),
    /// One that cannot, or several.
    Nonsense,
}

/// The session that the request names.
pub(super) fn of(request: &HttpRequest) -> Held {
    let values: Vec<&str> = request
        .headers()
        .get_all(header::COOKIE)
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .filter_map(|(name, value)| (name == COOKIE).then_some(value))
        .collect();
    match values.as_slice() {
        [] => Held::None,
        [value] => value.parse::<Token>().map_or(Held::Nonsense, |token| Held::Session(token.hash())),
        // Another host of the same site may have set one beside ours: which of them is meant nobody can tell.
        [..] => Held::Nonsense,
    }
}

/// The header that gives a browser the cookie for `span`.
pub(super) fn given(token: &Token, span: Duration, secure: bool) -> String {
    cookie(&token.reveal(), span.as_secs(), secure)
}

/// The header that takes it away.
pub(super) fn taken_away() -> String {
    // Without `Secure`: a browser would not take that over plain HTTP, and over TLS this clears either.
    cookie("", 0, false)
}

fn cookie(value: &str, max_age: u64, secure: bool) -> String {
    let secure = if secure { "; Secure" } else { "" };
    format!("{COOKIE}={value}; Path=/; Max-Age={max_age}; HttpOnly; SameSite=Lax{secure}")
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    fn held(lines: &[&str]) -> Result<Option<TokenHash>, ()> {
        let mut request = TestRequest::get();
        for line in lines {
            request = request.append_header(("cookie", *line));
        }
        match of(&request.to_http_request()) {
            Held::None => Ok(None),
            Held::Session(hash) => Ok(Some(hash)),
            Held::Nonsense => Err(()),
        }
    }

    #[test]
    fn the_cookie_is_found_among_others_and_nonsense_is_none_of_them() {
        let token = Token::fresh();
        let ours = format!("{COOKIE}={}", token.reveal());
        for lines in [&[ours.as_str()][..], &[&format!("a=b; {ours};c=d")], &["a=b", &ours]] {
            assert_eq!(held(lines), Ok(Some(token.hash())), "{lines:?}");
        }
        for lines in [&[][..], &["a=b"], &["gristmill_session"], &["xgristmill_session=1"], &[""]] {
            assert_eq!(held(lines), Ok(None), "{lines:?}");
        }
        let empty = format!("{COOKIE}=");
        for lines in [&[empty.as_str()][..], &["gristmill_session=x"], &[&ours, &ours]] {
            assert_eq!(held(lines), Err(()), "{lines:?}");
        }
    }

    #[test]
    fn the_cookie_is_for_this_service_and_no_script() {
        let token = Token::fresh();
        let set = given(&token, Duration::from_secs(60), true);
        let value = token.reveal();
        assert_eq!(
            set,
            format!("gristmill_session={value}; Path=/; Max-Age=60; HttpOnly; SameSite=Lax; Secure")
        );
        assert!(taken_away().starts_with("gristmill_session=; Path=/; Max-Age=0;"));
    }
}
