//! A page of a list of tasks: what a query asks for, and finding it.
//!
//! Called by `tasks` and by the pages, so that both show the same. True here: a page holds no more than a client's patience
//! and memory can carry, however many tasks it may have.

use actix_web::HttpRequest;

use super::extract::{self, Query};
use super::task_filter::Filters;
use super::{Problem, State, auth};
use crate::account::Caller;
use crate::store::{Order, Page};
use crate::task::{State as Stage, Task, TaskId, UserId};

/// As many bytes of payloads and results as one page carries: a thousand tasks may hold far more than memory and a
/// client's patience.
const PAGE_BYTES: usize = 8 << 20;

/// The tasks that a list asks for.
pub(super) struct Wanted {
    pub(super) filters: Filters,
    order: Order,
    pub(super) limit: u32,
    pub(super) after: Option<TaskId>,
    named: Option<UserId>,
}

impl Wanted {
    /// Reads the parameters, of which faults gather in the query; `order` is that of who names none.
    pub(super) fn read(query: &mut Query<'_>, order: Order) -> Self {
        Self {
            filters: Filters::read(query),
            order: query.parsed("order", order_of).unwrap_or(order),
            limit: query.limit(),
            after: query.parsed("after", |text| extract::number(text).map(TaskId)),
            named: query.user_id(),
        }
    }
}

fn order_of(text: &str) -> Result<Order, &'static str> {
    match text {
        "id" => Ok(Order::Ascending),
        "-id" => Ok(Order::Descending),
        _ => Err("expected `id` (the oldest first) or `-id` (the newest first)"),
    }
}

/// A page of a list.
pub(super) struct Found {
    /// Who asked.
    pub(super) caller: Caller,
    /// What they may see of it.
    pub(super) tasks: Vec<Task>,
    /// Behind what the next page begins, where there are more.
    pub(super) next: Option<TaskId>,
}

/// The page that is wanted of the tasks of whoever asks.
pub(super) async fn find(state: &State, request: &HttpRequest, wanted: Wanted) -> Result<Found, Problem> {
    let Wanted { filters, order, limit, after, named } = wanted;
    let caller = auth::reader(state, request, named).await?;
    let filter = filters.of(caller);
    // One more than asked for tells whether there are more.
    let page = Page { after, order, limit: limit + 1 };
    let mut tasks = state.store.tasks(&filter, &page).await?;
    let fit = page_of(&tasks, limit as usize);
    let more = tasks.len() > fit;
    tasks.truncate(fit);
    let next = tasks.last().filter(|_| more).map(|last| last.life.id);
    Ok(Found { caller, tasks, next })
}

/// How many of `tasks` make a page: at most `limit`, and no more than carry [`PAGE_BYTES`], but at least one.
fn page_of(tasks: &[Task], limit: usize) -> usize {
    let mut bytes = 0;
    let fitting = tasks.iter().take(limit).take_while(|task| {
        let result = match &task.life.state {
            Stage::Completed { result, .. } => result.as_str().len(),
            Stage::New { .. } | Stage::InProgress { .. } | Stage::Failed { .. } | Stage::Cancelled { .. } => {
                0
            }
        };
        bytes += task.payload.as_str().len() + result;
        bytes <= PAGE_BYTES
    });
    fitting.count().max(1).min(tasks.len())
}
