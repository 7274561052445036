//! What only those see who run the daemon, and what it costs to look: how much waits and runs, the dead queue, the sums of
//! storage, the disk.
//!
//! Made by the composition root, asked by the pages of `/admin`. True here: however many look, and however often, each of
//! these is found out by one at a time, and what was found is kept for some seconds: for longer, the longer it took.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::Instant;

use super::spool::blocking;
use super::{Problem, State};
use crate::broker::{Bounds, DeadQueue, DeadQueueError, Letter};
use crate::store::{KindLoad, Minute, Storage, Totals};
use crate::task::Timestamp;
use crate::telemetry::disk::{self, Room};

/// What is known of the node itself. Cheap to clone.
#[derive(Clone)]
pub struct Backstage {
    inner: Arc<Inner>,
}

struct Inner {
    dead: Option<DeadQueue>,
    data_dir: PathBuf,
    storage: Kept<Storage>,
    figures: Kept<Figures>,
    dead_count: Kept<u32>,
    letters: Kept<Letters>,
    room: Kept<Room>,
}

/// How much of what there is to do, and was done, over all nodes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Figures {
    /// When they were so.
    pub(super) at: Timestamp,
    /// What waits and runs.
    pub(super) loads: Vec<KindLoad>,
    /// What failed, and what was ever made.
    pub(super) totals: Totals,
    /// What happened in the hour before.
    pub(super) history: Vec<Minute>,
}

/// How far back [`Figures::history`] goes.
const HOUR: Duration = Duration::from_secs(3600);

/// The beginning of the dead queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Letters {
    /// The oldest messages.
    pub(super) lines: Vec<LetterLine>,
    /// How many more there are.
    pub(super) behind: u32,
}

/// A dead message, as a list shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LetterLine {
    /// By what it is known.
    pub(super) key: String,
    /// Its place, the oldest being 1.
    pub(super) position: u32,
    /// The id that its publisher gave it.
    pub(super) id: Option<String>,
    /// Why it is no task.
    pub(super) reason: Option<String>,
    /// Since when it is dead, where that is known.
    pub(super) since: Option<Timestamp>,
    /// How many bytes its body has.
    pub(super) bytes: u64,
    /// The beginning of its body.
    pub(super) beginning: String,
    /// Whether that is all of it.
    pub(super) whole: bool,
}

/// What a list of dead messages looks at.
const LISTED: Bounds = Bounds { messages: 100, bytes: 16 << 20, time: Duration::from_secs(5) };

/// What is looked through for messages that were chosen from such a list: others may stand before them by now.
pub(super) const SEARCHED: Bounds =
    Bounds { messages: 1_000, bytes: 64 << 20, time: Duration::from_secs(10) };

/// How much of a body a list shows, in characters.
const BEGINNING: usize = 200;

impl Backstage {
    /// Of the node with that dead queue, where there is a broker, and that data folder.
    #[must_use]
    pub fn new(dead: Option<DeadQueue>, data_dir: PathBuf) -> Self {
        let inner = Inner {
            dead,
            data_dir,
            storage: Kept::new(Duration::from_secs(5)),
            figures: Kept::new(Duration::from_secs(1)),
            dead_count: Kept::new(Duration::from_secs(5)),
            letters: Kept::new(Duration::from_secs(2)),
            room: Kept::new(Duration::from_secs(2)),
        };
        Self { inner: Arc::new(inner) }
    }

    /// The sums of what is kept.
    pub(super) async fn storage(&self, state: &State) -> Result<Arc<Storage>, Problem> {
        self.inner.storage.get(async { Ok(state.store.storage().await?) }).await
    }

    /// How much there is to do, and was done.
    pub(super) async fn figures(&self, state: &State) -> Result<Arc<Figures>, Problem> {
        let find = async {
            let store = &state.store;
            let at = store.now().await?;
            let history = store.history(at.before(HOUR));
            let (loads, totals, history) = futures_util::try_join!(store.loads(), store.totals(), history)?;
            Ok(Figures { at, loads, totals, history })
        };
        self.inner.figures.get(find).await
    }

    /// The room on the disk that the data folder is on; why it is not known.
    pub(super) async fn room(&self) -> Result<Arc<Room>, String> {
        let folder = self.inner.data_dir.clone();
        let look = async {
            let looked = blocking(move || disk::room_at(&folder)).await;
            looked.map_err(|problem| problem.detail().to_owned())?.map_err(|error| error.to_string())
        };
        self.inner.room.get(look).await
    }

    /// The dead queue; `None` where no broker is set.
    pub(super) fn dead(&self) -> Option<&DeadQueue> {
        self.inner.dead.as_ref()
    }

    /// How many dead messages there are, without looking at them: looking hides them from others; `None` where no broker is
    /// set.
    pub(super) async fn dead_count(&self) -> Option<Result<u32, DeadQueueError>> {
        let dead = self.dead()?;
        Some(self.inner.dead_count.get(dead.count()).await.map(|count| *count))
    }

    /// The oldest dead messages; `None` where no broker is set.
    pub(super) async fn letters(&self) -> Option<Result<Arc<Letters>, DeadQueueError>> {
        let dead = self.dead()?;
        let look = async {
            let looked = dead.look(LISTED, LetterLine::of).await?;
            Ok(Letters { lines: looked.lines, behind: looked.behind })
        };
        Some(self.inner.letters.get(look).await)
    }

    /// Has the dead messages looked at anew: they were changed.
    pub(super) async fn letters_changed(&self) {
        self.inner.letters.forget().await;
        self.inner.dead_count.forget().await;
    }
}

impl LetterLine {
    fn of(letter: &Letter) -> Self {
        let (beginning, whole) = letter.beginning(BEGINNING);
        Self {
            key: letter.key.clone(),
            position: letter.position,
            id: letter.delivery.message_id().map(str::to_owned),
            reason: letter.reason(),
            since: letter.since().map(|at| Timestamp::from_micros(at.timestamp_micros())),
            bytes: letter.delivery.body.len() as u64,
            beginning,
            whole,
        }
    }
}

/// A value that costs something to find out.
struct Kept<T> {
    value: Mutex<Option<(Instant, Arc<T>)>>,
    least: Duration,
}

/// For how many times as long as it took to find out a value is kept.
const WORTH: u32 = 50;

impl<T> Kept<T> {
    /// One that is kept at least for so long.
    fn new(least: Duration) -> Self {
        Self { value: Mutex::new(None), least }
    }

    /// The value; found out by `find` where it is not known any more. Whoever comes meanwhile waits for it.
    async fn get<E>(&self, find: impl Future<Output = Result<T, E>>) -> Result<Arc<T>, E> {
        self.get_by(Instant::now, find).await
    }

    /// The same by that watch.
    async fn get_by<E>(
        &self,
        watch: impl Fn() -> Instant,
        find: impl Future<Output = Result<T, E>>,
    ) -> Result<Arc<T>, E> {
        let mut place = self.value.lock().await;
        let begun = watch();
        if let Some((until, value)) = &*place
            && begun < *until
        {
            return Ok(Arc::clone(value));
        }
        let value = Arc::new(find.await?);
        let now = watch();
        let keep = self.least.max((now - begun) * WORTH);
        *place = Some((now + keep, Arc::clone(&value)));
        Ok(value)
    }

    async fn forget(&self) {
        *self.value.lock().await = None;
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::convert::Infallible;

    use super::*;

    /// A watch that is set by hand.
    struct Watch(Cell<Instant>);

    impl Watch {
        fn new() -> Self {
            Self(Cell::new(Instant::now()))
        }

        fn advance(&self, millis: u64) {
            self.0.set(self.0.get() + Duration::from_millis(millis));
        }
    }

    #[tokio::test]
    async fn a_value_is_found_out_once_for_all_who_ask_and_again_when_it_is_old() {
        let (kept, watch, found) = (Kept::new(Duration::from_secs(2)), Watch::new(), Cell::new(0));
        let find = async || {
            // Others come while it is looked for.
            tokio::task::yield_now().await;
            watch.advance(10);
            found.set(found.get() + 1);
            Ok::<_, Infallible>(found.get())
        };
        let get = async || *kept.get_by(|| watch.0.get(), find()).await.unwrap();
        assert_eq!(tokio::join!(get(), get()), (1, 1));
        watch.advance(1_900);
        assert_eq!(get().await, 1);
        watch.advance(200);
        assert_eq!(get().await, 2);
        kept.forget().await;
        assert_eq!(get().await, 3);
    }

    #[tokio::test]
    async fn what_took_long_is_kept_for_longer_and_a_failure_not_at_all() {
        let (kept, watch) = (Kept::new(Duration::from_secs(2)), Watch::new());
        let get = async |took: u64, found: Result<u32, &'static str>| {
            let find = async {
                watch.advance(took);
                found
            };
            kept.get_by(|| watch.0.get(), find).await.map(|value| *value)
        };
        assert_eq!(get(0, Err("away")).await, Err("away"));
        assert_eq!(get(1_000, Ok(1)).await, Ok(1));
        watch.advance(49_000);
        assert_eq!(get(0, Ok(2)).await, Ok(1));
        watch.advance(2_000);
        assert_eq!(get(0, Ok(2)).await, Ok(2));
    }
}
