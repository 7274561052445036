//! What has to hold for any conditions and ranges of a request for a file. Run by the fuzzer, and by `tests/fuzz`.

use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue, IF_MATCH, IF_NONE_MATCH, IF_RANGE, RANGE};
use gristmill::http::{Code, Part, wanted};

/// The tag of the file.
pub(crate) const TAG: &str = "\"ab12\"";

/// Takes the first line for the length of the file in bytes, and the others for headers: a letter for its name, and its
/// value.
///
/// # Panics
/// When what is sent would not lie in the file, or is not what the headers allow.
pub(crate) fn run(bytes: &[u8]) {
    let mut lines = bytes.split(|byte| *byte == b'\n');
    let length = lines.next().unwrap_or_default();
    let length = length.iter().fold(0, |sum: u64, byte| sum.wrapping_mul(251).wrapping_add(u64::from(*byte)));
    let mut headers = HeaderMap::new();
    for line in lines.take(20) {
        let Some((name, value)) = line.split_first() else { continue };
        let name: HeaderName = match name {
            b'r' => RANGE,
            b'n' => IF_NONE_MATCH,
            b'm' => IF_MATCH,
            b'i' => IF_RANGE,
            _ => continue,
        };
        if let Ok(value) = HeaderValue::from_bytes(value) {
            headers.append(name, value);
        }
    }
    let has = |name: HeaderName| headers.contains_key(name);
    match wanted(&headers, TAG, length) {
        Ok(Part::All) => {}
        Ok(Part::None) => assert!(has(IF_NONE_MATCH)),
        Ok(Part::Range { first, last }) => assert!(has(RANGE) && first <= last && last < length),
        Err(problem) if problem.code() == Code::RangeNotSatisfiable => assert!(has(RANGE)),
        Err(problem) => assert!(problem.code() == Code::PreconditionFailed && has(IF_MATCH), "{problem}"),
    }
}
