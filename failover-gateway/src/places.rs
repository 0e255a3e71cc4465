//! The places of connections, and those of calls: one that each connection has for itself, and some that all share.
//!
//! So a connection of HTTP/2 with many calls takes from nobody the one call that each connection can have.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde::Serialize;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

/// A call's place, until it is dropped.
pub(crate) type Place = OwnedSemaphorePermit;

/// The places of connections, those for calls that they share, and the queue for these.
pub(crate) struct Places {
    connections: Arc<Semaphore>,
    shared: Arc<Semaphore>,
    queued: AtomicUsize,
    /// Of each.
    count: usize,
}

/// How many places are taken.
#[derive(Serialize)]
pub(crate) struct Taken {
    /// Connections of clients.
    pub(crate) connections: usize,
    pub(crate) max_connections: usize,
    /// Calls beyond the one that each connection can have.
    pub(crate) shared: usize,
    /// Calls that wait for a place.
    pub(crate) queued: usize,
}

impl Places {
    /// So many of each, and as many calls that wait for one.
    pub(crate) fn new(count: u32) -> Self {
        let count = count as usize;
        let [connections, shared] = [(); 2].map(|()| Arc::new(Semaphore::new(count)));
        Self { connections, shared, queued: AtomicUsize::new(0), count }
    }

    /// The places of connections.
    pub(crate) fn connections(&self) -> Arc<Semaphore> {
        Arc::clone(&self.connections)
    }

    pub(crate) fn taken(&self) -> Taken {
        let taken = |places: &Semaphore| self.count.saturating_sub(places.available_permits());
        Taken {
            connections: taken(&self.connections),
            max_connections: self.count,
            shared: taken(&self.shared),
            queued: self.queued.load(Ordering::Relaxed),
        }
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
        (self.queued.fetch_add(1, Ordering::Relaxed) < self.count).then_some(queued)
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
