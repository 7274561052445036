//! Which tasks a query means: the filters of `GET /tasks` and of what is done to many tasks at once.

use super::extract::Query;
use super::task_form;
use crate::account::Caller;
use crate::store::TaskFilter;
use crate::task::{Kind, Status, Timestamp};

/// What a query says of the tasks that it means.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Filters {
    pub(super) status: Option<Status>,
    pub(super) kind: Option<Kind>,
    pub(super) tag: Option<String>,
    created_from: Option<Timestamp>,
    created_before: Option<Timestamp>,
}

impl Filters {
    /// Reads `status`, `kind`, `tag`, `created_from` and `created_before`.
    pub(super) fn read(query: &mut Query<'_>) -> Self {
        Self {
            status: query.parsed("status", |text| Status::parse(text).ok_or_else(no_status)),
            kind: query.parsed("kind", str::parse::<Kind>),
            tag: query.parsed("tag", |text| task_form::check_tag(text).map(|()| text.to_owned())),
            created_from: query.parsed("created_from", task_form::instant),
            created_before: query.parsed("created_before", task_form::instant),
        }
    }

    /// Whether it leaves nothing out.
    pub(super) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Of what that caller may see.
    pub(super) fn of(self, caller: Caller) -> TaskFilter {
        let Self { status, kind, tag, created_from, created_before } = self;
        TaskFilter { status, kind, tag, created_from, created_before, ..TaskFilter::of(caller) }
    }
}

/// The words of a status.
pub(super) fn no_status() -> String {
    let words = Status::ALL.map(|status| format!("`{status}`"));
    format!("expected one of {}", words.join(", "))
}
