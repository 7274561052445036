//! How long reading may take: SQLite sets no limit to a statement by itself, and a pool of readers is small.
//!
//! Used by every read of the store. Whoever asked is answered when the patience is over; and since a statement does not
//! notice that, each connection looks now and then whether somebody gave up, and ends what has kept it busy for so long.
//! True here: a statement takes no connection for much longer than the patience. What is not known is whose statement it
//! was: of the connections that were busy without a pause for that long, each may end one that was not meant, which is
//! then a reading that can be tried again.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::time::timeout;

use crate::store::StoreError;

/// The patience of all readers of a store.
pub(super) struct Patience {
    span: Duration,
    /// How often somebody gave up.
    given_up: AtomicU64,
}

impl Patience {
    /// So many of SQLite's own steps lie between two looks: fractions of a millisecond.
    pub(super) const STEPS: i32 = 1_000;
    /// A pause between two looks that no single statement makes.
    const PAUSE: Duration = Duration::from_secs(1);

    pub(super) fn new(span: Duration) -> Arc<Self> {
        Arc::new(Self { span, given_up: AtomicU64::new(0) })
    }

    /// Does the work, or gives it up.
    pub(super) async fn limit<T>(
        &self,
        work: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        match timeout(self.span, work).await {
            Ok(done) => done,
            Err(_) => {
                self.given_up.fetch_add(1, Ordering::Relaxed);
                Err(StoreError::Unavailable { doing: "read in time", source: sqlx::Error::PoolTimedOut })
            }
        }
    }

    /// What a connection calls now and then while it works: whether to go on.
    pub(super) fn watch(self: &Arc<Self>) -> impl FnMut() -> bool + Send + 'static {
        let mut watch =
            Watch { patience: self.clone(), busy_since: None, looked_at: Instant::now(), heard: 0 };
        move || watch.goes_on(Instant::now())
    }
}

/// How long a connection has been busy.
struct Watch {
    patience: Arc<Patience>,
    /// `None` at first, and after something was ended.
    busy_since: Option<Instant>,
    looked_at: Instant,
    /// How often somebody had given up when this began.
    heard: u64,
}

impl Watch {
    fn goes_on(&mut self, now: Instant) -> bool {
        let given_up = self.patience.given_up.load(Ordering::Relaxed);
        let paused = now.duration_since(self.looked_at) > Patience::PAUSE;
        self.looked_at = now;
        let since = match self.busy_since.filter(|_| !paused) {
            Some(since) => since,
            None => {
                self.heard = given_up;
                *self.busy_since.insert(now)
            }
        };
        if given_up == self.heard || now.duration_since(since) < self.patience.span {
            return true;
        }
        self.busy_since = None;
        false
    }
}

#[cfg(test)]
mod tests {
    use super::super::SqliteStore;
    use super::*;
    use crate::clock::Clock;
    use crate::store::Store as _;

    #[test]
    fn what_was_busy_for_longer_than_the_patience_ends_when_somebody_has_given_up() {
        let patience = Patience::new(Duration::from_secs(30));
        let start = Instant::now();
        let mut watch = Watch { patience: patience.clone(), busy_since: None, looked_at: start, heard: 0 };
        let mut look = |millis: u64| watch.goes_on(start + Duration::from_millis(millis));
        let long = (0..=40_000).step_by(500);
        assert!(long.clone().all(&mut look), "nobody minds");
        patience.given_up.fetch_add(1, Ordering::Relaxed);
        assert!(!look(40_500));
        // What comes next has its own patience, also with the word of before in the air.
        assert!((41_000..=69_000).step_by(500).all(&mut look));
        patience.given_up.fetch_add(1, Ordering::Relaxed);
        assert!(look(69_500), "not for so long yet");
        assert!((70_000..=71_000).step_by(500).all(|at| look(at) || at >= 71_000));
        // After a pause it is another statement, of which nobody has given up anything.
        assert!((80_000..=120_000).step_by(500).all(&mut look));
    }

    #[tokio::test]
    async fn a_statement_that_never_ends_is_answered_and_gives_its_connection_back() {
        const ENDLESS: &str = "WITH RECURSIVE more (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM more) \
                               SELECT count(*) FROM more";
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("gristmill.db");
        let patience = Duration::from_millis(200);
        // One reader: whatever it is busy with is in the way of all.
        let store = SqliteStore::open(&file, 1, patience, Clock::system()).await.unwrap();
        let endless = async {
            let found = sqlx::query_scalar::<_, i64>(ENDLESS).fetch_one(&store.readers).await;
            found.map_err(StoreError::of("count without end"))
        };
        let told = store.limited(endless).await.unwrap_err();
        assert!(matches!(told, StoreError::Unavailable { .. }), "{told}");
        let began = Instant::now();
        while store.ping().await.is_err() {
            assert!(began.elapsed() < Duration::from_secs(30), "the only reader is gone");
        }
        store.close().await;
    }
}
