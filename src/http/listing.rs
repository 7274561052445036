//! A page of any list: the parameters that ask for it, cutting it off, and the way to the next.
//!
//! Called by the routes of lists and, for what is found, by their pages. True here: a list is walked by the number behind
//! which a page begins, never by counting lines; and no cache keeps a page, since what it shows is its reader's.

use actix_web::http::header::{self, HeaderValue};
use actix_web::http::uri;
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder};

use super::Problem;
use super::extract::{self, Query};
use crate::task::UserId;

/// The parameters of a list without filters.
pub(super) const PARAMETERS: &[&str] = &["limit", "after", "user_id"];

/// Which page.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "documents what `Wanted::read` reads")]
pub(super) struct PageParams {
    /// At most so many.
    #[param(minimum = 1, maximum = 1000, default = 100)]
    limit: Option<u32>,
    /// Only those behind this number in the order of the list, as `Link` names it.
    #[param(minimum = 1)]
    after: Option<i64>,
}

/// The page that a query asks for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted {
    /// How many it has at the most.
    pub(super) limit: u32,
    /// Behind which number it begins.
    pub(super) after: Option<i64>,
    /// Whose data is meant.
    pub(super) named: Option<UserId>,
}

impl Wanted {
    /// Reads `limit`, `after` and `user_id`, of which faults gather in the query.
    pub(super) fn read(query: &mut Query<'_>) -> Self {
        Self { limit: query.limit(), after: query.parsed("after", extract::number), named: query.user_id() }
    }
}

/// A page, and behind what the next one begins, where there is more.
pub(super) struct Cut<T> {
    pub(super) page: Vec<T>,
    pub(super) next: Option<i64>,
}

/// Cuts a page of at most `limit` off what was found, of which one more than that tells that there is more.
pub(super) fn cut<T>(mut found: Vec<T>, limit: u32, number: impl Fn(&T) -> i64) -> Cut<T> {
    let more = found.len() > limit as usize;
    found.truncate(limit as usize);
    let next = found.last().filter(|_| more).map(number);
    Cut { page: found, next }
}

/// What a page goes out with.
pub(super) fn answer(request: &HttpRequest, next: Option<i64>) -> Result<HttpResponseBuilder, Problem> {
    let mut answer = HttpResponse::Ok();
    // It is the caller's alone, and its links are by the host that the caller named.
    answer.insert_header((header::CACHE_CONTROL, "no-store"));
    if let Some(last) = next {
        answer.insert_header((header::LINK, next_link(request, last)?));
    }
    Ok(answer)
}

/// The header that leads to what is behind `last`.
fn next_link(request: &HttpRequest, last: i64) -> Result<HeaderValue, Problem> {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    for (name, value) in url::form_urlencoded::parse(request.query_string().as_bytes()) {
        if name != "after" {
            query.append_pair(&name, &value);
        }
    }
    let target = format!("{}?{}", request.path(), query.append_pair("after", &last.to_string()).finish());
    let target: uri::PathAndQuery =
        target.parse().map_err(|error: uri::InvalidUri| Problem::internal(error.to_string()))?;
    HeaderValue::from_str(&format!("<{target}>; rel=\"next\""))
        .map_err(|error| Problem::internal(error.to_string()))
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    #[test]
    fn one_more_than_a_page_says_that_there_is_more() {
        let of = |count: i64| cut((1..=count).collect(), 3, |number| *number);
        assert_eq!((of(3).page, of(3).next), (vec![1, 2, 3], None));
        assert_eq!((of(4).page, of(4).next), (vec![1, 2, 3], Some(3)));
        assert_eq!((of(0).page, of(0).next), (vec![], None));
    }

    #[test]
    fn the_next_page_keeps_the_filters() {
        let request = TestRequest::with_uri("/tasks?status=In%20Progress&after=3&limit=2").to_http_request();
        let link = next_link(&request, 9).unwrap();
        assert_eq!(link, "</tasks?status=In+Progress&limit=2&after=9>; rel=\"next\"");
    }
}
