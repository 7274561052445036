//! What a call says and what it hears.
//!
//! Built by callers. True here: the headers that say how a message is framed and to whom it goes are set by the
//! client alone, so that no caller can make one request look like two.

use bytes::Bytes;
use hyper::header::{CONNECTION, CONTENT_LENGTH, HOST, TE, TRAILER, TRANSFER_ENCODING, UPGRADE};
use hyper::header::{HeaderName, HeaderValue};
use hyper::{HeaderMap, Method};

use super::target::Target;

/// Set by the client, or by nobody.
const RESERVED: &[HeaderName] = &[CONNECTION, CONTENT_LENGTH, HOST, TE, TRAILER, TRANSFER_ENCODING, UPGRADE];

/// One request.
#[derive(Debug, Clone)]
pub struct Request {
    pub(super) method: Method,
    pub(super) target: Target,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Request {
    /// A GET.
    #[must_use]
    pub fn get(target: Target) -> Self {
        Self { method: Method::GET, target, headers: HeaderMap::new(), body: Bytes::new() }
    }

    /// A POST with this body. Its type is for the caller to say, as the header `content-type`.
    #[must_use]
    pub fn post(target: Target, body: impl Into<Bytes>) -> Self {
        Self { method: Method::POST, target, headers: HeaderMap::new(), body: body.into() }
    }

    /// Any method, with this body, which may be empty.
    #[must_use]
    pub fn new(method: Method, target: Target, body: impl Into<Bytes>) -> Self {
        Self { method, target, headers: HeaderMap::new(), body: body.into() }
    }

    /// Sets a header; one of that name that is there already is replaced.
    ///
    /// # Errors
    /// [`BadHeader`] for a name or a value that is not allowed in HTTP, or a header that the client sets.
    pub fn header(mut self, name: &str, value: &str) -> Result<Self, BadHeader> {
        let parsed: HeaderName = name.parse().map_err(|_| BadHeader::Name(name.to_owned()))?;
        if RESERVED.contains(&parsed) {
            return Err(BadHeader::Reserved(parsed));
        }
        let value = HeaderValue::from_str(value).map_err(|_| BadHeader::Value(parsed.clone()))?;
        self.headers.insert(parsed, value);
        Ok(self)
    }

    /// The same with another body.
    #[must_use]
    pub fn with_body(self, body: impl Into<Bytes>) -> Self {
        Self { body: body.into(), ..self }
    }

    /// Where it goes.
    #[must_use]
    pub fn target(&self) -> &Target {
        &self.target
    }
}

/// A header that cannot be sent. The message does not hold its value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadHeader {
    /// Not a name.
    #[error("{0:?} is no name of a header")]
    Name(String),
    /// A value with control characters.
    #[error("the header {0} has a value that cannot be sent: only visible ASCII and spaces can")]
    Value(HeaderName),
    /// Set by the client.
    #[error("the header {0} is set by the client itself")]
    Reserved(HeaderName),
}

/// One answer, whatever its status.
#[derive(Debug, Clone)]
pub struct Response {
    /// The status, 200 to 999; a redirect is one like any other.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body, as far as it was read. It was not decompressed.
    pub body: Bytes,
    /// Whether the body went on beyond the limit, and was cut there.
    pub cut: bool,
}

impl Response {
    /// Whether the status is one of 200 to 299.
    #[must_use]
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// A header as text, if it is there and is text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::super::address::Policy;
    use super::*;

    #[test]
    fn no_header_can_forge_a_second_request() {
        let request = Request::get(Target::parse("http://example.com/", &Policy::public()).unwrap());
        for (name, value, reason) in [
            ("x-a", "b\r\nx-c: d", "the header x-a has a value"),
            ("x-a\r\nx-b", "c", "is no name of a header"),
            ("", "c", "is no name of a header"),
            ("Host", "localhost", "host is set by the client"),
            ("content-length", "0", "content-length is set by the client"),
            ("Transfer-Encoding", "chunked", "transfer-encoding is set by the client"),
        ] {
            let told = request.clone().header(name, value).expect_err(name).to_string();
            assert!(told.contains(reason), "{name}: {told}");
        }
        let twice = request.header("x-a", "1").and_then(|request| request.header("X-A", "2")).unwrap();
        assert_eq!(twice.headers.get_all("x-a").iter().collect::<Vec<_>>(), ["2"]);
    }
}
