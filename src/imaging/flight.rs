//! One making for all who ask at the same time.

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use super::variants::Variant;
use super::{ImagingError, cache::Key};

type Outcome = Result<Variant, ImagingError>;
type Landing = watch::Receiver<Option<Outcome>>;

/// What is being made now. Clones share it.
#[derive(Clone, Default)]
pub(super) struct Flights(Arc<Mutex<HashMap<Key, Landing>>>);

/// Takes a flight out of the list, however it ends.
struct Listed {
    flights: Flights,
    key: Key,
}

impl Drop for Listed {
    fn drop(&mut self) {
        self.flights.lock().remove(&self.key);
    }
}

impl Flights {
    /// What `make` gives, or somebody else's `make` of the same that is under way. It runs by itself, so that it ends
    /// whoever hangs up meanwhile.
    pub(super) async fn join<F>(&self, key: &Key, make: impl FnOnce() -> F) -> Outcome
    where
        F: Future<Output = Outcome> + Send + 'static,
    {
        let mut landing = {
            let mut flights = self.lock();
            match flights.get(key) {
                Some(landing) => landing.clone(),
                None => {
                    let (tell, landing) = watch::channel(None);
                    flights.insert(key.clone(), landing.clone());
                    let listed = Listed { flights: self.clone(), key: key.clone() };
                    let making = make();
                    tokio::spawn(async move {
                        let outcome = making.await;
                        // Before it is told: who asks after that finds it in the folder, or makes it anew.
                        drop(listed);
                        tell.send_replace(Some(outcome));
                    });
                    landing
                }
            }
        };
        let landed = landing.wait_for(Option::is_some).await;
        // Only a runtime that is going down drops a flight.
        landed.ok().and_then(|outcome| outcome.clone()).unwrap_or(Err(ImagingError::Stopping))
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Landing>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
