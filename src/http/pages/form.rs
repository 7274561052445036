//! Forms as a page without a script sends them: `application/x-www-form-urlencoded`.
//!
//! Called by the pages' handlers. True here: a form is small, comes in bounded time, and is read strictly: a field that is
//! unknown, or given twice where once is meant, is refused by name. Faults gather until [`Form::finish`].

use actix_web::HttpRequest;
use actix_web::http::header;
use actix_web::web::{BytesMut, Payload};
use futures_util::StreamExt as _;

use crate::http::catalogue::Code;
use crate::http::extract::{Pace, broken_body, check_coding};
use crate::http::problem::Fault;
use crate::http::{Problem, State};

/// The media type of a form of texts.
pub(super) const URLENCODED: &str = "application/x-www-form-urlencoded";

/// The media type of a form with files.
pub(super) const MULTIPART: &str = "multipart/form-data";

/// The largest form, in bytes: a thousand ticked boxes fit.
const MOST: usize = 64 * 1024;

/// What came.
pub(in crate::http) struct Form {
    pairs: Vec<(String, String)>,
    faults: Vec<Fault>,
}

impl Form {
    /// Reads the form, which may have the fields `names`, each once.
    pub(in crate::http) async fn read(
        state: &State,
        request: &HttpRequest,
        body: Payload,
        names: &[&str],
    ) -> Result<Self, Problem> {
        Self::with_lists(state, request, body, names, &[]).await
    }

    /// The same with fields that may come any number of times (`lists`).
    pub(in crate::http) async fn with_lists(
        state: &State,
        request: &HttpRequest,
        mut body: Payload,
        names: &[&str],
        lists: &[&str],
    ) -> Result<Self, Problem> {
        check_coding(request.headers())?;
        let mut pace = Pace::new(state.http.request_timeout);
        let mut bytes = BytesMut::new();
        while let Some(chunk) = pace.wait(body.next()).await? {
            let chunk = chunk.map_err(|error| broken_body(&error))?;
            pace.came(chunk.len());
            if bytes.len() + chunk.len() > MOST {
                return Err(Problem::new(
                    Code::BodyTooLarge,
                    format!("the form is larger than {MOST} bytes"),
                ));
            }
            bytes.extend_from_slice(&chunk);
        }
        if !bytes.is_empty() && !has_type(request.headers(), URLENCODED) {
            let detail = format!("expected `Content-Type: {URLENCODED}`");
            return Err(Problem::new(Code::UnsupportedMediaType, detail));
        }
        Ok(Self::of(&bytes, names, lists))
    }

    fn of(bytes: &[u8], names: &[&str], lists: &[&str]) -> Self {
        let mut form = Self { pairs: Vec::new(), faults: Vec::new() };
        for (name, value) in url::form_urlencoded::parse(bytes) {
            let (once, often) = (names.contains(&&*name), lists.contains(&&*name));
            if !once && !often {
                form.fault(&name.chars().take(64).collect::<String>(), "there is no such field");
            } else if once && form.pairs.iter().any(|(earlier, _)| *earlier == name) {
                form.fault(&name, "the field is given twice");
            } else {
                form.pairs.push((name.into_owned(), value.into_owned()));
            }
            if form.faults.len() == 20 {
                break;
            }
        }
        form
    }

    /// What stands in the field; `None` where it is not there, or empty, which is the same to who fills in a form.
    pub(in crate::http) fn text(&self, name: &str) -> Option<&str> {
        self.given(name).filter(|value| !value.is_empty())
    }

    /// The same, where what is empty says something: that it is to be taken away.
    pub(in crate::http) fn given(&self, name: &str) -> Option<&str> {
        self.pairs.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    /// Every value of a field that may come often.
    pub(in crate::http) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.pairs.iter().filter(move |(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    /// Notes a fault.
    pub(in crate::http) fn fault(&mut self, name: &str, problem: impl Into<String>) {
        self.faults.push(Fault { field: name.to_owned(), pointer: None, problem: problem.into() });
    }

    /// Refuses the form if there are faults.
    pub(in crate::http) fn finish(&self) -> Result<(), Problem> {
        if self.faults.is_empty() {
            return Ok(());
        }
        Err(Problem::with_faults(Code::InvalidForm, self.faults.clone()))
    }
}

/// Whether the body is of that type, whatever parameters it has.
pub(super) fn has_type(headers: &header::HeaderMap, wanted: &str) -> bool {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    value.split(';').next().is_some_and(|essence| essence.trim().eq_ignore_ascii_case(wanted))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_is_read_strictly() {
        let form = Form::of(b"a=1&b=&id=1&id=2&a=3&x=4", &["a", "b"], &["id"]);
        assert_eq!((form.text("a"), form.text("b"), form.given("b")), (Some("1"), None, Some("")));
        assert_eq!(form.all("id").collect::<Vec<_>>(), ["1", "2"]);
        let faults: Vec<&str> = form.faults.iter().map(|fault| fault.field.as_str()).collect();
        assert_eq!(faults, ["a", "x"]);
        assert!(form.finish().is_err());
        assert!(Form::of(b"", &[], &[]).finish().is_ok());
    }
}
