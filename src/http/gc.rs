//! `/gc`: what is here that need not be, and removing it now.
//!
//! Called by the route table; for admins alone. The janitor does the same by itself, on one node for all; this is for whoever
//! wants to know what it would do, or wants it done at once: doing it twice is doing it once, so it takes no key. Nothing
//! younger than the grace is touched either way.

use std::collections::BTreeMap;
use std::time::Duration;

use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;
use utoipa::ToSchema;

use super::extract::Query;
use super::task_view::TaskView;
use super::tasks::{json_answer, nothing};
use super::{Problem, State, auth, extract};
use crate::task::{Kind, Status};
use crate::tidy::{Cleared, Found, Held, Tidy, TidyError};

/// After so long a call takes no further step, and says that there is more.
const PATIENCE: Duration = Duration::from_secs(20);

/// The most names of blobs in an answer.
const MOST_NAMES: usize = 1_000;

/// What may go, or went.
#[derive(Debug, Default, Serialize, Deserialize, ToSchema)]
#[schema(as = Garbage, example = json!({
    "tasks": [{"kind": "resize", "status": "Completed", "tasks": 1200}],
    "blobs": {"count": 2, "bytes": 81920, "names": ["9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"]},
    "more": false
}))]
pub struct GarbageView {
    /// Tasks that ended longer ago than `tasks.keep_completed_s` and its like say, by kind and status.
    pub tasks: Vec<EndedView>,
    /// Blobs that no row names, older than `blobs.sweep_grace_s`.
    pub blobs: LooseView,
    /// Whether the call ended before all was done, or looked at: removals go on where the call is sent again.
    pub more: bool,
    /// What kept blobs from being removed, or would keep them now, if anything did: `backup` is one under way, `clock` a clock that was set forward less
    /// than `blobs.sweep_grace_s` ago, `empty_database` one that never had a task nor a picture, though there are blobs,
    /// `moved_away` one whose rows were moved to another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held_by: Option<HeldView>,
}

/// What keeps blobs from being removed at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = GarbageHeld)]
pub enum HeldView {
    /// A backup is being made.
    Backup,
    /// The clock was set forward.
    Clock,
    /// The database never named any blob.
    EmptyDatabase,
    /// The rows of the database were moved to another.
    MovedAway,
}

impl From<Held> for HeldView {
    fn from(held: Held) -> Self {
        match held {
            Held::Backup => Self::Backup,
            Held::Clock => Self::Clock,
            Held::EmptyDatabase => Self::EmptyDatabase,
            Held::MovedAway => Self::MovedAway,
        }
    }
}

impl HeldView {
    /// What it is, and what to do about it.
    #[must_use]
    pub fn told(self) -> &'static str {
        match self {
            Self::Backup => Held::Backup.told(),
            Self::Clock => Held::Clock.told(),
            Self::EmptyDatabase => Held::EmptyDatabase.told(),
            Self::MovedAway => Held::MovedAway.told(),
        }
    }
}

/// Tasks of a kind that ended so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = GarbageTasks)]
pub struct EndedView {
    /// Of which kind.
    pub kind: String,
    /// How they ended.
    pub status: String,
    /// How many.
    pub tasks: u64,
}

/// Blobs that no row names.
#[derive(Debug, Default, Serialize, Deserialize, ToSchema)]
#[schema(as = GarbageBlobs)]
pub struct LooseView {
    /// How many.
    pub count: u64,
    /// What they take, in bytes.
    pub bytes: u64,
    /// The first of them, as many as were asked for; not after a removal.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub names: Vec<String>,
}

impl GarbageView {
    /// What was found.
    #[must_use]
    pub fn of(found: Found) -> Self {
        let names = found.names.iter().map(|name| name.as_str().to_owned()).collect();
        let blobs = LooseView { count: found.blobs, bytes: found.bytes, names };
        let held_by = found.held.map(HeldView::from);
        Self { tasks: ended(&found.tasks), blobs, more: found.more, held_by }
    }
}

fn ended(tasks: &BTreeMap<(Kind, Status), u64>) -> Vec<EndedView> {
    let view = |((kind, status), tasks): (&(Kind, Status), &u64)| EndedView {
        kind: kind.to_string(),
        status: status.as_str().to_owned(),
        tasks: *tasks,
    };
    tasks.iter().map(view).collect()
}

/// Removes what may go, for no longer than `patience` and then some, and says what that was.
///
/// # Errors
/// [`TidyError`] when no round of tasks was removed before it; else what was is told, and that there is more.
pub async fn collect(tidy: &Tidy, patience: Duration) -> Result<GarbageView, TidyError> {
    let until = Instant::now() + patience;
    let (mut removed, mut view) = (BTreeMap::new(), GarbageView::default());
    loop {
        let expired = match tidy.expire().await {
            Ok(expired) => expired,
            Err(error) => return told_before(view, error),
        };
        for (key, tasks) in expired.tasks {
            *removed.entry(key).or_default() += tasks;
        }
        view.tasks = ended(&removed);
        if !expired.more {
            break;
        }
        if Instant::now() >= until {
            view.more = true;
            return Ok(view);
        }
    }
    let Cleared { swept, held, more } = match tidy.sweep(Some(until.into_std())).await {
        Ok(cleared) => cleared,
        Err(error) => return told_before(view, error),
    };
    (view.more, view.held_by) = (more, held.map(HeldView::from));
    if let Some(held @ (Held::Clock | Held::EmptyDatabase | Held::MovedAway)) = held {
        tracing::warn!("{}", held.told());
    }
    view.blobs = LooseView { count: swept.blobs, bytes: swept.bytes, names: Vec::new() };
    Ok(view)
}

/// What was removed before that error, and that there is more; the error where nothing was. Sent again, the call has it.
fn told_before(view: GarbageView, error: TidyError) -> Result<GarbageView, TidyError> {
    if view.tasks.is_empty() {
        return Err(error);
    }
    tracing::warn!(%error, "a removal by hand ended early; the next one goes on");
    Ok(GarbageView { more: true, ..view })
}

/// What a removal would remove now: tasks whose time is over, and blobs that no row names. Changes nothing.
#[utoipa::path(
    get, path = "/gc", operation_id = "lookForGarbage", tag = "Administration", params(GcParams),
    responses((status = 200, description = "What would go.", body = GarbageView)),
)]
pub(super) async fn look(state: Data<State>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let mut query = Query::of(&request, &["names", "user_id"]);
    let names = query.parsed("names", |text| {
        extract::number(text).and_then(|number| {
            usize::try_from(number)
                .ok()
                .filter(|names| *names <= MOST_NAMES)
                .ok_or_else(|| "expected at most 1000".to_owned())
        })
    });
    let named = query.user_id();
    query.finish()?;
    auth::admin(&state, &request, named).await?;
    let found = state.tidy.look(names.unwrap_or(0), Some(std::time::Instant::now() + PATIENCE)).await?;
    Ok(json_answer(HttpResponse::Ok(), TaskView::many(&GarbageView::of(found))))
}

/// Removes it, as the janitor does by itself from time to time.
#[utoipa::path(
    post, path = "/gc", operation_id = "collectGarbage", tag = "Administration", params(super::tasks::UserParam),
    responses((status = 200, description = "What went.", body = GarbageView)),
)]
pub(super) async fn act(
    state: Data<State>,
    request: HttpRequest,
    body: Payload,
) -> Result<HttpResponse, Problem> {
    auth::admin(&state, &request, super::tasks::named(&request)?).await?;
    nothing(&state, &request, body).await?;
    let view = collect(&state.tidy, PATIENCE).await?;
    Ok(json_answer(HttpResponse::Ok(), TaskView::many(&view)))
}

impl From<TidyError> for Problem {
    fn from(error: TidyError) -> Self {
        match error {
            TidyError::Blob(error) => error.into(),
            TidyError::Store(error) => error.into(),
            TidyError::Write(error) => error.into(),
            TidyError::Panicked => Self::internal(error.to_string()),
        }
    }
}

/// What to show.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "documents what `look` reads")]
struct GcParams {
    /// How many of the blobs to name.
    #[param(minimum = 0, maximum = 1000)]
    names: Option<u32>,
    /// Whose data is meant. Proves nothing by itself, unless `auth.trust_user_id` is on.
    #[param(minimum = 1)]
    user_id: Option<i64>,
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::account::Caller;
    use crate::blob::Blobs;
    use crate::clock::Clock;
    use crate::config::{LoadOptions, Settings};
    use crate::store::{Command, NewTask, SqliteStore, Store as _};
    use crate::task::TaskId;
    use crate::tidy::{Hand, Place, Retention};

    #[tokio::test]
    async fn what_was_removed_is_told_though_the_sweep_after_it_fails() {
        let (home, clock) = (tempfile::tempdir().unwrap(), Clock::system());
        let file = home.path().join("gristmill.db");
        let store = SqliteStore::open(&file, 2, Duration::from_secs(30), clock.clone()).await.unwrap();
        let kind: Kind = "noop".parse().unwrap();
        let env = [("GRISTMILL__TASKS__KEEP_CANCELLED_S".into(), "1".into())].into();
        let options = LoadOptions { files: Vec::new(), directory: "/nonexistent".into(), env };
        let settings = Settings::load(options).unwrap().settings.tasks;
        store.commit(&[Command::Create(vec![NewTask::plain(kind.clone(), None)])]).await.unwrap();
        let cancel = Command::Cancel { task: TaskId(1), caller: Caller::Admin(None) };
        assert!(store.commit(&[cancel]).await.unwrap().replies[0].is_ok());
        let blobs = home.path().join("blobs");
        let tidy = Tidy {
            store: Arc::new(store),
            blobs: Blobs::open(&blobs, "seat").unwrap(),
            hand: Hand::Store,
            retention: Arc::new(Retention::of(&settings, &[kind])),
            grace: Duration::from_secs(3600),
            watch: clock.watch(),
            place: Place::default(),
        };
        // Its time is over, and that was no step yet.
        clock.advance(Duration::from_secs(2));
        std::fs::remove_dir_all(&blobs).unwrap();
        let view = collect(&tidy, PATIENCE).await.unwrap();
        assert_eq!(view.tasks.iter().map(|ended| ended.tasks).sum::<u64>(), 1);
        assert!(view.more, "there may be blobs");
        let error = collect(&tidy, PATIENCE).await.unwrap_err();
        assert!(matches!(error, TidyError::Blob(_)), "nothing was removed before it: {error}");
    }
}
