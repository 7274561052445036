//! `/admin/live`: that something happened, and not what, for pages that fetch themselves anew.
//!
//! Called by the route table; for admins alone. True here: a listener is told once a second at most, however much happens,
//! and costs no buffer; it counts among those of `/events`.

use std::sync::Arc;
use std::time::Duration;

use actix_web::web::{Bytes, Data};
use actix_web::{HttpRequest, HttpResponse};
use futures_util::stream::{self, Stream};
use tokio::time::sleep;

use super::events::{Place, stream_of};
use super::tasks::{UserParam, named};
use super::{Problem, State, auth};
use crate::store::Store;
use crate::telling::Pulse;

/// The least time between two words.
const BEAT: Duration = Duration::from_secs(1);

/// The longest: ages and rates change although nothing happens.
const REST: Duration = Duration::from_secs(10);

/// Tells that something changed. At once, then once a second at most while things happen, and every ten seconds all the
/// same.
#[utoipa::path(
    get, path = "/admin/live", operation_id = "streamChanges", tag = "Administration", params(UserParam),
    responses((status = 200, description = "A stream of server-sent events, which does not end by itself: `data` is \
        `{\"seq\": N}`, the number of the newest event.", content_type = "text/event-stream", body = String,
        example = "data: {\"seq\":4711}\n\n")),
)]
pub(super) async fn live(state: Data<State>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    auth::admin(&state, &request, named(&request)?).await?;
    let place = Place::take(&state.listeners)?;
    Ok(stream_of(beats(Arc::clone(&state.store), state.feed.feel(), place)))
}

/// The stream, until the daemon drains or the client goes.
fn beats(
    store: Arc<dyn Store>,
    pulse: Pulse,
    place: Place,
) -> impl Stream<Item = Result<Bytes, std::convert::Infallible>> {
    stream::unfold((true, store, pulse, place), async |(first, store, mut pulse, place)| {
        if !first && pulse.wait(BEAT, REST).await.is_none() {
            return None;
        }
        let word = match store.newest_event().await {
            Ok(newest) => format!("data: {{\"seq\":{newest}}}\n\n"),
            Err(error) => {
                tracing::warn!(%error, "whoever looks on waits: events cannot be read");
                sleep(BEAT).await;
                ": events cannot be read now\n\n".to_owned()
            }
        };
        Some((Ok(Bytes::from(word)), (false, store, pulse, place)))
    })
}
