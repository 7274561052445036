//! Waiting and not waiting, as RFC 7240 has it.
//!
//! Called by the routes that start a task. True here: a preference that cannot be read counts as not given; nobody waits
//! longer than `http.max_wait_s`, nor past the moment at which the daemon drains.

use std::time::Duration;

use actix_web::HttpRequest;
use actix_web::http::header::{HeaderName, HeaderValue};
use tokio::time::Instant;

use super::{Problem, State};
use crate::task::{Task, TaskId};

/// `Prefer`.
const PREFER: HeaderName = HeaderName::from_static("prefer");
/// `Preference-Applied`.
pub(super) const PREFERENCE_APPLIED: HeaderName = HeaderName::from_static("preference-applied");

/// What the caller wishes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wish {
    /// Nothing: the route's own way.
    Default,
    /// `respond-async`.
    Async,
    /// `wait=N`.
    Wait(Duration),
}

impl Wish {
    /// Reads the wish of a request.
    pub(super) fn of(request: &HttpRequest) -> Self {
        let values = request.headers().get_all(PREFER).filter_map(|value| value.to_str().ok());
        Self::parse(values)
    }

    /// `wait` beats `respond-async`: RFC 7240 reads the two together as "wait so long, then go on without me".
    fn parse<'a>(values: impl Iterator<Item = &'a str>) -> Self {
        let mut wish = Self::Default;
        for preference in values.flat_map(|value| split(value, ',')) {
            let preference = split(preference, ';').next().unwrap_or_default();
            let (name, value) = preference.split_once('=').unwrap_or((preference, ""));
            let value = value.trim().trim_matches('"');
            if name.trim().eq_ignore_ascii_case("wait") {
                // The first counts.
                if let (Some(seconds), Self::Default | Self::Async) = (seconds(value), wish) {
                    wish = Self::Wait(Duration::from_secs(seconds.into()));
                }
            } else if name.trim().eq_ignore_ascii_case("respond-async") && wish == Self::Default {
                wish = Self::Async;
            }
        }
        wish
    }

    /// How long to wait, on a route that waits for `default` of its own accord.
    pub(super) fn patience(self, state: &State, default: Duration) -> Duration {
        match self {
            Self::Default => default,
            Self::Async => Duration::ZERO,
            Self::Wait(wished) => wished.min(state.http.max_wait),
        }
    }

    /// What to say of it in the answer.
    pub(super) fn applied(self, state: &State) -> Option<HeaderValue> {
        match self {
            Self::Default => None,
            Self::Async => Some(HeaderValue::from_static("respond-async")),
            Self::Wait(_) => {
                let seconds = self.patience(state, Duration::ZERO).as_secs();
                HeaderValue::from_str(&format!("wait={seconds}")).ok()
            }
        }
    }
}

/// The parts of `text` between those `at` that stand outside of quotes.
fn split(text: &str, at: char) -> impl Iterator<Item = &str> {
    let (mut quoted, mut escaped) = (false, false);
    text.split(move |c| {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = quoted,
            '"' => quoted = !quoted,
            c => return c == at && !quoted,
        }
        false
    })
}

/// A number of seconds; one too large to hold is longer than any wait.
fn seconds(text: &str) -> Option<u32> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().unwrap_or(u32::MAX))
}

/// Waits for the end of a task that was accepted: the task as it is after the wait, and as it was accepted where
/// nothing newer is to be had, since what was accepted must not be answered with an error.
pub(super) async fn settle(state: &State, accepted: Task, patience: Duration) -> Result<Task, Problem> {
    if patience.is_zero() {
        return Ok(accepted);
    }
    let id = accepted.life.id;
    match wait(state, id, Instant::now() + patience).await {
        Some(Ok(Some(task))) => Ok(task),
        Some(Ok(None)) => Err(Problem::no_task(id)),
        Some(Err(error)) => {
            tracing::warn!(task_id = id.0, "task {id} was accepted, but its end cannot be seen: {error}");
            Ok(accepted)
        }
        None => match state.store.task(id).await {
            Ok(Some(task)) => Ok(task),
            Ok(None) | Err(_) => Ok(accepted),
        },
    }
}

/// A task that was accepted by an earlier request, as it is after the wait; `None` when it is gone, or cannot be seen.
pub(super) async fn revisit(state: &State, id: TaskId, patience: Duration) -> Option<Task> {
    match wait(state, id, Instant::now() + patience).await {
        Some(Ok(task)) => task,
        Some(Err(error)) => {
            tracing::warn!(task_id = id.0, "task {id} was accepted before, but cannot be seen: {error}");
            None
        }
        None => state.store.task(id).await.ok().flatten(),
    }
}

/// `None` when the daemon began to drain first.
async fn wait(
    state: &State,
    task: TaskId,
    deadline: Instant,
) -> Option<Result<Option<Task>, crate::store::StoreError>> {
    tokio::select! {
        biased;
        ended = state.intake.wait(task, deadline) => Some(ended),
        () = state.draining.cancelled() => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wishes_are_read_as_rfc_7240_writes_them() {
        let wait = |seconds| Wish::Wait(Duration::from_secs(seconds));
        for (header, wish) in [
            ("respond-async", Wish::Async),
            ("Respond-Async", Wish::Async),
            ("wait=10", wait(10)),
            ("wait=\"10\"", wait(10)),
            ("respond-async, wait=10", wait(10)),
            ("wait = 10; foo=bar, respond-async", wait(10)),
            ("wait=1, wait=2", wait(1)),
            ("wait=0", wait(0)),
            ("wait=soon", Wish::Default),
            ("wait=-1", Wish::Default),
            ("wait", Wish::Default),
            ("wait=+5", Wish::Default),
            ("wait=99999999999999999999999", wait(u32::MAX.into())),
            ("foo=\"a,wait=5\"", Wish::Default),
            ("foo=\"a\\\",wait=5\", wait=7", wait(7)),
            ("foo=\"a;b\"; c=\"d,respond-async\", wait=7", wait(7)),
            ("return=minimal", Wish::Default),
            ("", Wish::Default),
        ] {
            assert_eq!(Wish::parse([header].into_iter()), wish, "{header}");
        }
        assert_eq!(Wish::parse(["respond-async", "wait=3"].into_iter()), wait(3));
    }
}
