//! Files as answers: what a request wants of one (conditions and ranges), and its bytes on their way out of the store.
//!
//! Used by whoever serves bytes that have a strong ETag. True here: the conditions are taken in the order of RFC 9110,
//! 13.2.2; a range that cannot be understood asks for the whole; whatever was read, memory holds no more than a piece of
//! it at a time.

use std::io::{Read, Seek, SeekFrom};
use std::pin::Pin;
use std::task::{Context, Poll};

use actix_web::HttpResponseBuilder;
use actix_web::body::{BodySize, MessageBody, SizedStream};
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use actix_web::web::Bytes;
use futures_util::stream;
use sha2::{Digest, Sha256};

use super::catalogue::Code;
use super::spool::blocking;
use super::{Problem, extract};
use crate::blob::{BlobError, Blobs, Reader};
use crate::task::BlobName;

/// The bytes of a file.
#[derive(utoipa::ToSchema)]
#[schema(as = File, value_type = String, format = Binary)]
#[expect(dead_code, reason = "documents what is sent")]
pub(super) struct FileSchema(Vec<u8>);

/// As much as is read from the store at a time.
const PIECE: u64 = 128 * 1024;

/// As much of what is in memory already as is handed to a connection at a time: each may hold one piece more.
const SLICE: usize = 64 * 1024;

/// Nothing in an answer may be loaded from, run or embedded into: should a browser take a picture for a page, it is an
/// empty one.
const HARMLESS: HeaderValue = HeaderValue::from_static("default-src 'none'; sandbox");

const NO_SNIFF: HeaderValue = HeaderValue::from_static("nosniff");

/// Makes an answer one of which a browser runs nothing, whatever it takes its bytes for.
pub(super) fn harmless(answer: &mut HttpResponseBuilder) {
    answer.insert_header((header::X_CONTENT_TYPE_OPTIONS, NO_SNIFF));
    answer.insert_header((header::CONTENT_SECURITY_POLICY, HARMLESS));
}

/// What is to be sent of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Nothing: the client has it.
    None,
    /// All of it.
    All,
    /// The bytes from `first` to `last`, both of them too.
    Range {
        /// From 0.
        first: u64,
        /// Less than the length of the file.
        last: u64,
    },
}

impl Part {
    /// Where it begins, and how many bytes it has, in a file of so many.
    pub(super) fn of(self, length: u64) -> (u64, u64) {
        match self {
            Self::None => (0, 0),
            Self::All => (0, length),
            Self::Range { first, last } => (first, last - first + 1),
        }
    }

    /// Puts the status into an answer that was a 200, and the range where there is one.
    pub(super) fn tell(self, answer: &mut HttpResponseBuilder, length: u64) {
        match self {
            Self::None => {
                answer.status(StatusCode::NOT_MODIFIED);
            }
            Self::All => {}
            Self::Range { first, last } => {
                answer.status(StatusCode::PARTIAL_CONTENT);
                answer.insert_header((header::CONTENT_RANGE, format!("bytes {first}-{last}/{length}")));
            }
        }
    }
}

/// What a request with these headers wants of the file with that strong tag and length. There is no `Last-Modified`, so
/// the conditions on time say nothing.
///
/// # Errors
/// [`Code::PreconditionFailed`] and [`Code::RangeNotSatisfiable`].
pub fn wanted(headers: &HeaderMap, etag: &str, length: u64) -> Result<Part, Problem> {
    if headers.contains_key(header::IF_MATCH) && !has_tag(headers, &header::IF_MATCH, Compare::Strong, etag) {
        let detail = format!("the file is {etag}, which `If-Match` does not name");
        return Err(Problem::new(Code::PreconditionFailed, detail));
    }
    if has_tag(headers, &header::IF_NONE_MATCH, Compare::Weak, etag) {
        return Ok(Part::None);
    }
    range(headers, etag, length).ok_or_else(|| {
        let detail = format!("the length of the file is {}", extract::bytes(length));
        Problem::new(Code::RangeNotSatisfiable, detail).of_length(length)
    })
}

/// Reads `Range` and `If-Range` (RFC 9110, 14.2): what is not one well-formed range of bytes asks for the whole. `None`
/// when it is one and lies outside of the file.
fn range(headers: &HeaderMap, etag: &str, length: u64) -> Option<Part> {
    let mut ranges = headers.get_all(header::RANGE);
    let (Some(range), None) = (ranges.next(), ranges.next()) else { return Some(Part::All) };
    if headers.get(header::IF_RANGE).is_some_and(|tag| tag.as_bytes() != etag.as_bytes()) {
        return Some(Part::All);
    }
    match range.to_str().ok().and_then(ends) {
        None => Some(Part::All),
        Some(Ends::Suffix(0)) => None,
        Some(Ends::Suffix(_) | Ends::From(..)) if length == 0 => None,
        Some(Ends::Suffix(suffix)) => {
            Some(Part::Range { first: length.saturating_sub(suffix), last: length - 1 })
        }
        Some(Ends::From(first, _)) if first >= length => None,
        Some(Ends::From(first, last)) => Some(Part::Range { first, last: last.min(length - 1) }),
    }
}

/// One range of bytes, as it is asked for.
#[derive(Debug, PartialEq, Eq)]
enum Ends {
    /// From this byte to that one, which is not before it.
    From(u64, u64),
    /// The last so many.
    Suffix(u64),
}

fn ends(range: &str) -> Option<Ends> {
    let (unit, range) = range.split_once('=')?;
    let (first, last) = range.trim().split_once('-')?;
    if !unit.trim().eq_ignore_ascii_case("bytes") {
        return None;
    }
    match (first, last) {
        ("", last) => number(last).map(Ends::Suffix),
        (first, "") => number(first).map(|first| Ends::From(first, u64::MAX)),
        (first, last) => {
            let (first, last) = (number(first)?, number(last)?);
            (first <= last).then_some(Ends::From(first, last))
        }
    }
}

/// Only digits. A number too large to hold lies behind any end.
fn number(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().unwrap_or(u64::MAX))
}

/// How tags are compared (RFC 9110, 8.8.3.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Compare {
    /// A weak tag is the same as no other.
    Strong,
    /// A weak tag counts like a strong one.
    Weak,
}

/// Whether the client has the file with this tag already (RFC 9110, 13.1.2).
pub(super) fn has_it(headers: &HeaderMap, etag: &str) -> bool {
    has_tag(headers, &header::IF_NONE_MATCH, Compare::Weak, etag)
}

/// Whether a list of tags holds this one, which is strong, or `*`.
fn has_tag(headers: &HeaderMap, name: &HeaderName, compare: Compare, etag: &str) -> bool {
    headers
        .get_all(name)
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .any(|tag| match tag.strip_prefix("W/") {
            Some(weak) => compare == Compare::Weak && weak == etag,
            None => tag == "*" || tag == etag,
        })
}

/// Why the bytes of a blob that a row names cannot be sent.
#[derive(Debug, Clone, thiserror::Error)]
pub(super) enum Unread {
    /// There are none: either the row is gone by now, or they were lost.
    #[error("there is no such file")]
    Missing,
    /// They are not those that were stored; how that shows.
    #[error("{0}")]
    Damaged(String),
    /// Anything else.
    #[error("{0}")]
    Problem(Problem),
}

impl From<Problem> for Unread {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}

impl From<BlobError> for Unread {
    fn from(error: BlobError) -> Self {
        match error {
            BlobError::Missing(_) => Self::Missing,
            error @ (BlobError::Full { .. }
            | BlobError::Unavailable { .. }
            | BlobError::Settings { .. }
            | BlobError::Io { .. }) => Self::Problem(error.into()),
        }
    }
}

/// Opens a blob that must have so many bytes, and goes to the byte `first`.
pub(super) async fn open(blobs: &Blobs, name: &BlobName, length: u64, first: u64) -> Result<Reader, Unread> {
    let (blobs, name) = (blobs.clone(), name.clone());
    let opened = blocking(move || {
        let mut file = blobs.read(&name)?;
        let there = file.len();
        file.seek(SeekFrom::Start(first)).map_err(|source| BlobError::Io {
            doing: "cannot seek in",
            path: name.to_string(),
            source,
        })?;
        Ok::<_, BlobError>((file, there))
    })
    .await?;
    match opened? {
        (file, there) if there == length => Ok(file),
        (_, there) => Err(Unread::Damaged(format!("it has {}", extract::bytes(there)))),
    }
}

/// The body of an answer: the next `length` bytes of the file; `sent` is less when they are told of and not sent, as by
/// HEAD.
pub(super) fn body(file: Reader, length: u64, sent: u64) -> impl MessageBody + 'static {
    let sending = Sending { file, left: sent, seen: None };
    SizedStream::new(length, Box::pin(stream::try_unfold(sending, next_piece)))
}

/// The body of an answer that is all of the blob `name`, as [`body`]. Its last bytes are sent only once all are known to
/// be what was stored: whoever fetches others sees that the answer breaks off.
pub(super) fn checked_body(
    file: Reader,
    length: u64,
    sent: u64,
    name: BlobName,
) -> impl MessageBody + 'static {
    let sending = Sending { file, left: sent, seen: Some((name, Sha256::new())) };
    SizedStream::new(length, Box::pin(stream::try_unfold(sending, next_piece)))
}

struct Sending {
    file: Reader,
    left: u64,
    /// What the bytes should be, and what was seen of them.
    seen: Option<(BlobName, Sha256)>,
}

/// The next bytes of the file.
async fn next_piece(sending: Sending) -> Result<Option<(Bytes, Sending)>, actix_web::Error> {
    if sending.left == 0 {
        return Ok(None);
    }
    // The head of the answer is gone already, so all that is left is to break off, and to say why in the log.
    let broken = |cause: String| {
        let problem = Problem::internal(cause);
        problem.log();
        problem
    };
    let read = blocking(move || sending.read()).await?;
    Ok(Some(read.map_err(broken)?))
}

impl Sending {
    fn read(mut self) -> Result<(Bytes, Self), String> {
        let mut piece = Vec::new();
        let read = (&mut self.file).take(self.left.min(PIECE)).read_to_end(&mut piece);
        read.map_err(|error| format!("a blob cannot be read: {error}"))?;
        if piece.is_empty() {
            return Err("a blob became shorter while it was sent".to_owned());
        }
        self.left = self.left.saturating_sub(piece.len() as u64);
        if let Some((name, digest)) = &mut self.seen {
            digest.update(&piece);
            if self.left == 0 && BlobName::of_digest(&digest.clone().finalize().into()) != *name {
                return Err(format!("the bytes of the blob {name} are others: it is damaged"));
            }
        }
        Ok((Bytes::from(piece), self))
    }
}

/// A body that is in memory, given out in slices, so that what a connection has in hand stays small.
pub(super) struct Slices {
    left: Bytes,
    /// Of all of them.
    length: u64,
}

impl Slices {
    /// The body of an answer that has these bytes.
    pub(super) fn of(bytes: Bytes) -> Self {
        let length = bytes.len() as u64;
        Self { left: bytes, length }
    }
}

impl MessageBody for Slices {
    type Error = std::convert::Infallible;

    fn size(&self) -> BodySize {
        BodySize::Sized(self.length)
    }

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        if self.left.is_empty() {
            return Poll::Ready(None);
        }
        let slice = SLICE.min(self.left.len());
        Poll::Ready(Some(Ok(self.left.split_to(slice))))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TAG: &str = "\"x\"";

    fn headers(pairs: &[(HeaderName, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(name.clone(), HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        headers
    }

    fn asked(range: &str) -> Option<Part> {
        super::range(&headers(&[(header::RANGE, range)]), TAG, 10)
    }

    #[test]
    fn one_range_of_bytes_is_understood_and_anything_else_asks_for_the_whole() {
        for (range, first, last) in [
            ("bytes=0-0", 0, 0),
            ("bytes=2-5", 2, 5),
            ("bytes=5-", 5, 9),
            ("bytes=-3", 7, 9),
            ("bytes=-99", 0, 9),
            ("bytes=-99999999999999999999999", 0, 9),
            ("Bytes=9-99999999999999999999999", 9, 9),
        ] {
            assert_eq!(asked(range), Some(Part::Range { first, last }), "{range}");
        }
        for range in ["bytes=10-", "bytes=10-12", "bytes=-0", "bytes=99999999999999999999999-"] {
            assert_eq!(asked(range), None, "{range}");
        }
        for range in [
            "",
            "bytes",
            "bytes=",
            "bytes=-",
            "bytes=a-b",
            "bytes=5-2",
            "bytes=0-1,3-4",
            "lines=1-2",
            "bytes=+1-2",
            "bytes=1-2-3",
            "bytes=1-\u{442}",
        ] {
            assert_eq!(asked(range), Some(Part::All), "{range}");
        }
        let twice = headers(&[(header::RANGE, "bytes=0-1"), (header::RANGE, "bytes=3-4")]);
        assert_eq!(range(&twice, TAG, 10), Some(Part::All), "two lines are a list of two");
    }

    proptest! {
        #[test]
        fn whatever_is_asked_a_part_lies_within_the_file(
            range in "(bytes|Bytes|lines| )?=?[-0-9, +a]{0,24}",
            tag in "(W/)?\"?[x,*]{0,4}\"?",
            length in prop_oneof![Just(0), Just(1), 0..u64::MAX],
        ) {
            for condition in [header::IF_NONE_MATCH, header::IF_MATCH, header::IF_RANGE] {
                let asked = headers(&[(header::RANGE, &range), (condition, &tag)]);
                match wanted(&asked, TAG, length) {
                    Ok(Part::Range { first, last }) => prop_assert!(first <= last && last < length),
                    Ok(Part::None | Part::All) => {}
                    Err(problem) => prop_assert!(
                        matches!(problem.code(), Code::RangeNotSatisfiable | Code::PreconditionFailed)
                    ),
                }
            }
        }

        #[test]
        fn a_tag_in_a_list_is_found_and_one_that_is_not_there_is_not(
            before in prop::collection::vec("(W/)?\"[0-9a-f]{1,8}\"", 0..4),
            there: bool,
            weak: bool,
        ) {
            let mut tags = before;
            if there {
                tags.push(format!("{}{TAG}", if weak { "W/" } else { "" }));
            }
            let list = headers(&[(header::IF_NONE_MATCH, &tags.join(" , "))]);
            prop_assert_eq!(has_tag(&list, &header::IF_NONE_MATCH, Compare::Weak, TAG), there);
            prop_assert_eq!(has_tag(&list, &header::IF_NONE_MATCH, Compare::Strong, TAG), there && !weak);
        }
    }
}
