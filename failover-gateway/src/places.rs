//! The places of calls: one that each connection has for itself, and some that all connections share.
//!
//! So a connection of HTTP/2 with many calls takes from nobody the one call that each connection can have.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

/// A call's place, until it is dropped.
pub(crate) type Place = OwnedSemaphorePermit;

/// The places that all connections share, and the queue for them.
pub(crate) struct Places {
    shared: Arc<Semaphore>,
    queued: AtomicUsize,
    most_queued: usize,
}

impl Places {
    /// So many, and as many calls that wait for one.
    pub(crate) fn new(count: u32) -> Self {
        let count = count as usize;
        Self { shared: Arc::new(Semaphore::new(count)), queued: AtomicUsize::new(0), most_queued: count }
    }

    /// The place that a connection has for itself.
    pub(crate) fn own() -> Arc<Semaphore> {
        Arc::new(Semaphore::new(1))
    }

    /// A place for a call: its connection's own, or else a shared one. There is none if the queue is full, or took too long.
    pub(crate) async fn enter(&self, own: &Arc<Semaphore>) -> Option<Place> {
        if let Ok(place) = Arc::clone(own).try_acquire_owned() {
            return Some(place);
        }
        if let Ok(place) = Arc::clone(&self.shared).try_acquire_owned() {
            return Some(place);
        }
        let _queued = self.queue()?;
        let place = async {
            tokio::select! {
                place = Arc::clone(own).acquire_owned() => place,
                place = Arc::clone(&self.shared).acquire_owned() => place,
            }
        };
        timeout(LONGEST_QUEUED, place).await.ok()?.ok()
    }

    /// Joins the queue if that is not full.
    fn queue(&self) -> Option<Queued<'_>> {
        let queued = Queued(&self.queued);
        (self.queued.fetch_add(1, Ordering::Relaxed) < self.most_queued).then_some(queued)
    }
}

/// A call that waits, until it is dropped.
struct Queued<'a>(&'a AtomicUsize);

impl Drop for Queued<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// How long a call waits for a place.
const LONGEST_QUEUED: Duration = Duration::from_secs(10);
