//! Which tasks a query means: the filters of `GET /tasks` and of what is done to many tasks at once.

use super::extract::Query;
use super::task_form;
use crate::account::Caller;
use crate::store::TaskFilter;
use crate::task::{Kind, Status, Timestamp};

/// The filters, in the API document.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "documents what `Filters::read` reads")]
pub(super) struct FilterParams {
    /// Only those that stand there: `New`, `In Progress`, `Completed`, `Failed` or `Cancelled`.
    #[param(example = "Completed")]
    status: Option<String>,
    /// Only those of this kind.
    #[param(example = "noop")]
    kind: Option<String>,
    /// Only those with this tag.
    #[param(min_length = 1, max_length = 64)]
    tag: Option<String>,
    /// Only those accepted at this time or later.
    #[param(format = DateTime)]
    created_from: Option<String>,
    /// Only those accepted before this time.
    #[param(format = DateTime)]
    created_before: Option<String>,
}

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
