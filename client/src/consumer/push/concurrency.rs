//! How many calls of a listener run at a time; it can be changed while they run (`updateCorePoolSize` in Java).

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The places for calls.
pub(crate) struct Concurrency {
    places: Arc<Semaphore>,
    size: Mutex<Size>,
}

struct Size {
    wanted: usize,
    /// Places that are to go as soon as they are free.
    excess: usize,
}

impl Concurrency {
    pub(crate) fn new(wanted: usize) -> Self {
        Self {
            places: Arc::new(Semaphore::new(wanted)),
            size: Mutex::new(Size { wanted, excess: 0 }),
        }
    }

    fn with<T>(&self, look: impl FnOnce(&mut Size) -> T) -> T {
        look(&mut self.size.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn wanted(&self) -> usize {
        self.with(|size| size.wanted)
    }

    /// Changes the number of places; calls that run keep theirs.
    pub(crate) fn change(&self, wanted: usize) {
        self.with(|size| {
            let more = wanted.saturating_sub(size.wanted);
            let kept = more.min(size.excess);
            size.excess -= kept;
            self.places.add_permits(more - kept);
            let fewer = size.wanted.saturating_sub(wanted);
            size.excess += fewer - self.places.forget_permits(fewer);
            size.wanted = wanted;
        });
    }

    /// Waits for a place; the call has it until it drops it.
    pub(crate) async fn enter(&self) -> OwnedSemaphorePermit {
        loop {
            let place = Arc::clone(&self.places).acquire_owned().await;
            let place = place.expect("the semaphore is never closed");
            let goes = self.with(|size| {
                let goes = size.excess > 0;
                size.excess -= usize::from(goes);
                goes
            });
            if !goes {
                return place;
            }
            place.forget();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;

    fn entered(concurrency: &Concurrency) -> Option<OwnedSemaphorePermit> {
        concurrency.enter().now_or_never()
    }

    #[test]
    fn no_more_calls_run_than_there_are_places() {
        let concurrency = Concurrency::new(2);
        let first = entered(&concurrency).unwrap();
        let _second = entered(&concurrency).unwrap();
        assert!(entered(&concurrency).is_none());
        drop(first);
        assert!(entered(&concurrency).is_some());
    }

    #[test]
    fn places_are_added_at_once_and_taken_away_when_they_are_free() {
        let concurrency = Concurrency::new(1);
        let first = entered(&concurrency).unwrap();
        concurrency.change(3);
        let second = entered(&concurrency).unwrap();
        let third = entered(&concurrency).unwrap();
        concurrency.change(1);
        assert_eq!(concurrency.wanted(), 1);
        drop(first);
        assert!(entered(&concurrency).is_none());
        drop(second);
        assert!(entered(&concurrency).is_none());
        drop(third);
        let _one = entered(&concurrency).unwrap();
        assert!(entered(&concurrency).is_none());
    }

    #[test]
    fn places_that_were_to_go_may_stay() {
        let concurrency = Concurrency::new(2);
        let held = [entered(&concurrency).unwrap(), entered(&concurrency).unwrap()];
        concurrency.change(1);
        concurrency.change(2);
        drop(held);
        let _both = [entered(&concurrency).unwrap(), entered(&concurrency).unwrap()];
        assert!(entered(&concurrency).is_none());
    }
}
