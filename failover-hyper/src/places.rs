//! The streams of a connection that requests share: how many are open, and how many may be.

use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};

use tokio::sync::Notify;

/// The places for requests on a connection of HTTP/2.
///
/// h2 sends what it queued even after its request was given up, so that a request is handed to it only when there is a
/// place: what waits is ours, and not sent (`not_sent_always`).
#[derive(Debug, Default)]
pub(crate) struct Places {
    taken: AtomicUsize,
    /// How many the peer allows.
    most: AtomicUsize,
    /// Whether the connection ended.
    closed: AtomicBool,
    changed: Notify,
}

impl Places {
    /// Sets how many there are; whether that is more than before.
    pub(crate) fn set_most(&self, most: usize) -> bool {
        let before = self.most.swap(most, Ordering::AcqRel);
        if before != most {
            self.changed.notify_waiters();
        }
        before < most
    }

    /// There will be no more.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.changed.notify_waiters();
    }

    pub(crate) fn are_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// Waits until there are any, or will be none; whether there are.
    pub(crate) async fn ready(&self) -> bool {
        loop {
            let mut changed = pin!(self.changed.notified());
            changed.as_mut().enable();
            if self.are_closed() || self.most() > 0 {
                return !self.are_closed();
            }
            changed.await;
        }
    }

    pub(crate) fn most(&self) -> usize {
        self.most.load(Ordering::Acquire)
    }

    /// Whether none is taken.
    pub(crate) fn are_free(&self) -> bool {
        self.taken.load(Ordering::Acquire) == 0
    }

    /// Takes a place, if there is one. `freed` is told when it is free again.
    pub(crate) fn take(self: &Arc<Self>, freed: Weak<dyn Freed>) -> Option<Arc<Place>> {
        let most = self.most();
        let more = |taken: usize| (taken < most).then_some(taken + 1);
        self.taken.fetch_update(Ordering::AcqRel, Ordering::Acquire, more).ok()?;
        Some(Arc::new(Place { places: Arc::clone(self), freed }))
    }
}

/// Is told of places that are free again.
pub(crate) trait Freed: Send + Sync {
    /// There may be a place.
    fn freed(&self);
}

/// Tells that there may be a place, if anybody is left to be told.
pub(crate) fn tell(freed: &Weak<dyn Freed>) {
    if let Some(freed) = freed.upgrade() {
        freed.freed();
    }
}

/// One place, taken until all of its request and of its answer have ended.
pub(crate) struct Place {
    places: Arc<Places>,
    freed: Weak<dyn Freed>,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.taken.fetch_sub(1, Ordering::AcqRel);
        tell(&self.freed);
    }
}

impl std::fmt::Debug for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Place")
    }
}
