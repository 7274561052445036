//! `/users/{id}/stats`: a user's counters.
//!
//! True here: they are for their user and admins; a change by amounts loses no change that others make at the same time.

use std::collections::BTreeMap;
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use serde::Serialize;
use utoipa::ToSchema;

use super::extract::{self, Query};
use super::idempotency::{Key, remembered, replayed};
use super::json::{self, Form};
use super::tasks::{UserParam, named};
use super::user_view::{called, private_answer};
use super::users::{UserPath, check_theirs};
use super::{Problem, State, auth};
use crate::account::{CounterDay, CounterName, Counters, CountersChange, CountersNow, Day};
use crate::intake::Done;
use crate::store::{RememberedAnswer, Reply};
use crate::task::{Timestamp, UserId};
use crate::telemetry::Action;

/// The counters of a user.
#[derive(Serialize, ToSchema)]
#[schema(as = Stats, example = json!({
    "counters": {"losses": 4, "sessions": 11, "time_played_s": 36000, "wins": 7},
    "updated_at": "2026-01-31T12:00:00.000000Z",
    "history": {"wins": [{"date": "2026-01-30", "value": 6}, {"date": "2026-01-31", "value": 7}]}
}))]
pub(super) struct StatsView<'a> {
    /// By name.
    counters: BTreeMap<&'a str, i64>,
    /// When one of them was last set or changed; left out where there are none, and right after a change.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    updated_at: Option<Timestamp>,
    /// Where `days` asks for it: what each was at the end of the days (in UTC) on which it changed, oldest first, beginning
    /// with the last change before that time.
    #[serde(skip_serializing_if = "Option::is_none")]
    history: Option<BTreeMap<&'a str, Vec<DayView>>>,
}

/// What a counter was at the end of a day.
#[derive(Serialize, ToSchema)]
#[schema(as = StatsDay)]
pub(super) struct DayView {
    /// The day, in UTC.
    #[schema(format = Date, example = "2026-01-31")]
    date: String,
    /// What it was.
    value: i64,
}

/// Counters by name: 1 to 64 small letters, digits and `_`, beginning with a letter; whole numbers.
#[derive(ToSchema)]
#[schema(as = NewStats, value_type = BTreeMap<String, i64>, example = json!({"wins": 1, "time_played_s": 300}))]
#[expect(dead_code, reason = "documents what `counters_of` reads")]
pub(super) struct NewStatsSchema(BTreeMap<String, i64>);

/// The parameters of the counters.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "documents what `get` reads")]
struct StatsParams {
    /// With the history of so many days, today among them.
    #[param(minimum = 1, maximum = 1100)]
    days: Option<i64>,
    /// Whose data is meant. Proves nothing by itself, unless `auth.trust_user_id` is on.
    #[param(minimum = 1)]
    user_id: Option<i64>,
}

/// The counters of a user.
#[utoipa::path(
    get, path = "/users/{id}/stats", operation_id = "getStats", tag = "Users", params(UserPath, StatsParams),
    responses((status = 200, description = "The counters.", body = StatsView<'_>)),
)]
pub(super) async fn get(state: Data<State>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let id = extract::user_id(&request)?;
    let mut query = Query::of(&request, &["days", "user_id"]);
    let days = query.parsed("days", |text| match extract::number(text) {
        Ok(days) if (1..=Day::KEPT).contains(&days) => Ok(days),
        Ok(_) | Err(_) => Err(format!("expected a whole number from 1 to {}", Day::KEPT)),
    });
    let named = query.user_id();
    query.finish()?;
    let caller = auth::caller(&state, &request, named).await?;
    check_theirs(caller, id)?;
    if state.store.user(id).await?.is_none() {
        return Err(Problem::no_user(id));
    }
    let now = state.store.counters(id).await?;
    let history = match days {
        None => None,
        Some(days) => {
            let today = state.store.now().await?;
            let from =
                Day::of(today.before(Duration::from_secs(days.unsigned_abs().saturating_sub(1) * DAY_S)));
            Some(state.store.counter_days(id, from).await?)
        }
    };
    Ok(private_answer(HttpResponse::Ok(), view(&now, history.as_deref())))
}

/// The seconds of a day.
const DAY_S: u64 = 24 * 3600;

/// Sets the counters of a user: these, and no others. What is not named goes, with its history.
#[utoipa::path(
    put, path = "/users/{id}/stats", operation_id = "setStats", tag = "Users", params(UserPath, UserParam),
    request_body(content = NewStatsSchema, description = "At most 64 counters, each of -9007199254740991 to \
        9007199254740991."),
    responses((status = 200, description = "The counters as they are now.", body = StatsView<'_>)),
)]
pub(super) async fn put(
    state: Data<State>,
    request: HttpRequest,
    body: Payload,
) -> Result<HttpResponse, Problem> {
    change(&state, &request, body, CountersChange::Replace).await
}

/// Adds to the counters of a user: by these amounts, of which some may be negative. A counter that is not there begins at
/// zero; others stay as they are. What several callers add at the same time is all added.
#[utoipa::path(
    patch, path = "/users/{id}/stats", operation_id = "addToStats", tag = "Users", params(UserPath, UserParam),
    request_body(content = NewStatsSchema, description = "The amounts."),
    responses((status = 200, description = "All counters as they are now.", body = StatsView<'_>)),
)]
pub(super) async fn patch(
    state: Data<State>,
    request: HttpRequest,
    body: Payload,
) -> Result<HttpResponse, Problem> {
    change(&state, &request, body, CountersChange::Add).await
}

async fn change(
    state: &State,
    request: &HttpRequest,
    body: Payload,
    how: impl FnOnce(Counters) -> CountersChange,
) -> Result<HttpResponse, Problem> {
    let id = extract::user_id(request)?;
    let caller = auth::caller(state, request, named(request)?).await?;
    check_theirs(caller, id)?;
    let key = Key::of(request)?;
    let body = extract::json_body(state, request, body).await?;
    let counters = counters_of(&body)?;
    let remember = key.map(|key| key.remember(request, caller, &[&body], answered));
    drop(body);
    match state.intake.change_counters(caller, id, how(counters), remember).await? {
        Done::Now(counters) => {
            write_down(state, id).await;
            Ok(private_answer(HttpResponse::Ok(), view_of(&counters)))
        }
        Done::Before(answer) => replayed(answer),
    }
}

/// Notes the change under the user's name, or their number where that cannot be read any more.
async fn write_down(state: &State, id: UserId) {
    let name = match state.store.user(id).await {
        Ok(Some(user)) => called(&user),
        Ok(None) | Err(_) => format!("#{id}"),
    };
    state.actions.record(&Action::StatsChanged { name });
}

/// What to remember of a change.
fn answered(reply: &Reply) -> Option<RememberedAnswer> {
    let Reply::CountersChanged(Ok(counters)) = reply else { return None };
    Some(remembered(StatusCode::OK, None, view_of(counters)))
}

/// Reads counters, every one checked by itself.
fn counters_of(body: &[u8]) -> Result<Counters, Problem> {
    let (mut form, names) = json::map(body, Counters::MAX)?;
    let mut values = BTreeMap::new();
    for name in names {
        if let Some((name, value)) = counter(&mut form, &name) {
            values.insert(name, value);
        }
    }
    json::refuse(form.faults())?;
    Ok(Counters::new(values)?)
}

fn counter(form: &mut Form<'_>, name: &str) -> Option<(CounterName, i64)> {
    let bounds = (-Counters::MOST, Counters::MOST);
    let value = form.whole(name, bounds);
    if form.raw(name).is_none() {
        form.fault(name, format!("expected a whole number from {} to {}, got null", bounds.0, bounds.1));
    }
    match name.parse() {
        Ok(name) => Some((name, value?)),
        Err(error) => {
            form.fault(name, format!("{error}"));
            None
        }
    }
}

fn view_of(counters: &Counters) -> Vec<u8> {
    view(&CountersNow { counters: counters.clone(), updated_at: None }, None)
}

fn view(now: &CountersNow, history: Option<&[CounterDay]>) -> Vec<u8> {
    let view = StatsView {
        counters: now.counters.iter().map(|(name, value)| (name.as_str(), value)).collect(),
        updated_at: now.updated_at,
        history: history.map(|days| {
            let mut by_name: BTreeMap<&str, Vec<DayView>> = BTreeMap::new();
            for CounterDay { name, day, value } in days {
                let day = DayView { date: day.to_string(), value: *value };
                by_name.entry(name.as_str()).or_default().push(day);
            }
            by_name
        }),
    };
    // Texts and numbers always have a JSON form.
    serde_json::to_vec(&view).unwrap_or_default()
}
