//! How long a part of a task's life took that a change ended.

use crate::store::{Span, Stretch};
use crate::task::{Event, Fact, Life, RetryCause};

/// What the change that `event` tells of ended of the life `before`. A try that was given back, or whose worker was lost,
/// tells nothing of how long such tasks take.
pub(super) fn ended(before: &Life, event: &Event) -> Option<Span> {
    let (stretch, since) = match &event.fact {
        Fact::Started { .. } => (Stretch::Wait, before.run_at()?),
        Fact::Completed
        | Fact::Failed(_)
        | Fact::Cancelled
        | Fact::Retrying { cause: RetryCause::Failed(_), .. } => {
            before.holder()?;
            (Stretch::Run, before.started_at?)
        }
        Fact::Created
        | Fact::Progress(_)
        | Fact::Retrying {
            cause: RetryCause::Interrupted | RetryCause::WorkerLost | RetryCause::Asked,
            ..
        }
        | Fact::Deleted => return None,
    };
    Some(Span { kind: event.kind.clone(), stretch, took: event.at.since(since), at: event.at })
}
