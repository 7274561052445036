//! Parameters of lists, as forms send them, and the ways from page to page.

use std::fmt::Display;

use actix_web::HttpRequest;

use super::notice::NAME as TOLD;
use crate::account::Caller;
use crate::http::Problem;
use crate::http::extract::{self, Query};
use crate::task::TaskId;

/// How many lines a page of a list has.
pub(super) const LINES: u32 = 50;

/// What a field of a form means; one that was left empty says nothing.
pub(super) fn given<T, E: Display>(
    query: &mut Query<'_>,
    name: &str,
    parse: impl FnOnce(&str) -> Result<T, E>,
) -> Option<T> {
    let empty = query.text(name).is_none_or(|text| text.trim().is_empty());
    if empty { None } else { query.parsed(name, |text| parse(text.trim())) }
}

/// The number behind which the page begins.
pub(super) fn after(query: &mut Query<'_>) -> Option<i64> {
    given(query, "after", extract::number)
}

/// What the query of a list by owner asks for.
pub(super) struct Wanted {
    /// Whose: the admin's own view, which is all, unless an owner is named.
    pub(super) whose: Option<Caller>,
    /// The owner as it was written.
    pub(super) owner: String,
    /// Behind which task the page begins.
    pub(super) after: Option<TaskId>,
}

impl Wanted {
    /// Reads it.
    pub(super) fn of(request: &HttpRequest) -> Result<Self, Problem> {
        let mut query = Query::of(request, &["owner", "after", TOLD]);
        let whose = given(&mut query, "owner", super::tasks::whose);
        let owner = query.text("owner").unwrap_or_default().to_owned();
        let after = after(&mut query).map(TaskId);
        query.finish()?;
        Ok(Self { whose, owner, after })
    }
}

/// The address of the same list from its beginning, where `request` is for a later page of it.
pub(super) fn first(request: &HttpRequest) -> Option<String> {
    let query = url::form_urlencoded::parse(request.query_string().as_bytes());
    query.into_iter().any(|(name, _)| name == "after").then(|| list(request, None))
}

/// The address of the same list behind that number.
pub(super) fn next(request: &HttpRequest, last: i64) -> String {
    list(request, Some(last))
}

fn list(request: &HttpRequest, after: Option<i64>) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    for (name, value) in url::form_urlencoded::parse(request.query_string().as_bytes()) {
        if name != "after" && name != TOLD && !value.is_empty() {
            query.append_pair(&name, &value);
        }
    }
    if let Some(after) = after {
        query.append_pair("after", &after.to_string());
    }
    let query = query.finish();
    if query.is_empty() { request.path().to_owned() } else { format!("{}?{query}", request.path()) }
}

/// Takes from `found`, which has up to one more than a page, what is a page; gives the last of it where there is more.
pub(super) fn cut<T>(found: &mut Vec<T>, number: impl Fn(&T) -> i64) -> Option<i64> {
    let more = found.len() > LINES as usize;
    found.truncate(LINES as usize);
    found.last().filter(|_| more).map(number)
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    #[test]
    fn pages_keep_the_filters_and_lose_the_rest() {
        let request = TestRequest::with_uri("/admin/tasks?status=Failed&kind=&after=9&told=x&tag=a%26b");
        let request = request.to_http_request();
        assert_eq!(next(&request, 7), "/admin/tasks?status=Failed&tag=a%26b&after=7");
        assert_eq!(first(&request).as_deref(), Some("/admin/tasks?status=Failed&tag=a%26b"));
        let request = TestRequest::with_uri("/admin/users").to_http_request();
        assert_eq!(first(&request), None);
        assert_eq!(next(&request, 7), "/admin/users?after=7");
    }

    #[test]
    fn a_page_has_so_many_lines_and_the_next_begins_behind_the_last_of_them() {
        let mut exact: Vec<i64> = (0..i64::from(LINES)).collect();
        assert_eq!(cut(&mut exact, |line| *line), None);
        let mut more: Vec<i64> = (0..=i64::from(LINES)).collect();
        assert_eq!(cut(&mut more, |line| *line), Some(i64::from(LINES) - 1));
        assert_eq!(more.len(), LINES as usize);
    }
}
